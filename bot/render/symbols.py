"""What LaTeX's commands are in Unicode. Spaces around a sign stand for the room that LaTeX gives it."""

from __future__ import annotations

_GREEK = (
    "alpha α beta β gamma γ delta δ epsilon ε varepsilon ε zeta ζ eta η theta θ vartheta ϑ iota ι kappa κ lambda λ mu μ nu ν xi ξ pi π "
    "varpi ϖ rho ρ varrho ϱ sigma σ varsigma ς tau τ upsilon υ phi φ varphi φ chi χ psi ψ omega ω Gamma Γ Delta Δ Theta Θ Lambda Λ Xi Ξ "
    "Pi Π Sigma Σ Upsilon Υ Phi Φ Psi Ψ Omega Ω"
)
_PLAIN = (
    "infty ∞ partial ∂ nabla ∇ hbar ℏ ell ℓ Re ℜ Im ℑ aleph ℵ wp ℘ emptyset ∅ varnothing ∅ forall ∀ exists ∃ nexists ∄ neg ¬ lnot ¬ top ⊤ "
    "bot ⊥ angle ∠ triangle △ square □ blacksquare ■ Box □ Diamond ◇ star ⋆ circ ∘ degree ° prime ′ dagger † ddagger ‡ bullet • "
    "ldots … dots … cdots ⋯ dotsc … dotsb ⋯ vdots ⋮ ddots ⋱ sum ∑ prod ∏ coprod ∐ int ∫ iint ∬ iiint ∭ oint ∮ bigcup ⋃ bigcap ⋂ "
    "bigoplus ⨁ bigotimes ⨂ bigvee ⋁ bigwedge ⋀ langle ⟨ rangle ⟩ lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ lbrace { rbrace } lbrack [ rbrack ] "
    "vert | lvert | rvert | Vert ‖ lVert ‖ rVert ‖ backslash \\ checkmark ✓ imath ı jmath ȷ S § P ¶ copyright © pounds £ yen ¥ euro € "
    "AA Å aa å ss ß oe œ ae æ o ø O Ø surd √ complement ∁ flat ♭ natural ♮ sharp ♯ clubsuit ♣ diamondsuit ♢ heartsuit ♡ spadesuit ♠ "
    "therefore ∴ because ∵ QED ∎ qed ∎ blacktriangleright ▶ mho ℧ eth ð"
)
_SPACED = (
    "le ≤ leq ≤ leqslant ≤ ge ≥ geq ≥ geqslant ≥ ne ≠ neq ≠ ll ≪ gg ≫ approx ≈ approxeq ≊ sim ∼ simeq ≃ cong ≅ equiv ≡ propto ∝ doteq ≐ "
    "triangleq ≜ coloneqq ≔ prec ≺ succ ≻ preceq ⪯ succeq ⪰ in ∈ notin ∉ ni ∋ subset ⊂ subseteq ⊆ subsetneq ⊊ supset ⊃ supseteq ⊇ "
    "supsetneq ⊋ cup ∪ cap ∩ setminus ∖ vee ∨ lor ∨ wedge ∧ land ∧ oplus ⊕ ominus ⊖ otimes ⊗ odot ⊙ times × div ÷ cdot · ast ∗ "
    "pm ± mp ∓ mid | nmid ∤ parallel ∥ nparallel ∦ perp ⊥ vdash ⊢ dashv ⊣ models ⊨ vDash ⊨ to → rightarrow → longrightarrow ⟶ "
    "leftarrow ← gets ← longleftarrow ⟵ leftrightarrow ↔ Rightarrow ⇒ implies ⟹ Longrightarrow ⟹ Leftarrow ⇐ impliedby ⟸ "
    "Leftrightarrow ⇔ iff ⟺ Longleftrightarrow ⟺ mapsto ↦ longmapsto ⟼ hookrightarrow ↪ uparrow ↑ downarrow ↓ updownarrow ↕ "
    "Uparrow ⇑ Downarrow ⇓ nearrow ↗ searrow ↘ swarrow ↙ nwarrow ↖ rightharpoonup ⇀ rightleftharpoons ⇌ leadsto ⇝ rightsquigarrow ⇝ "
    "lt < gt > colon : asymp ≍ bowtie ⋈ ltimes ⋉ rtimes ⋊ lesssim ≲ gtrsim ≳ trianglelefteq ⊴ sqsubseteq ⊑ sqcup ⊔ sqcap ⊓ uplus ⊎ "
    "amalg ⨿ wr ≀ circledast ⊛ multimap ⊸ between ≬"
)


def _table(pairs: str) -> dict[str, str]:
    words = pairs.split()
    return dict(zip(words[::2], words[1::2], strict=True))


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SYMBOLS = _table(f"{_GREEK} {_PLAIN}") | {name: f" {sign} " for name, sign in _table(_SPACED).items()} | {"|": "‖"}
"""Commands that are a sign."""

TIED = frozenset({"partial", "nabla", "neg", "lnot", "Delta", "lvert", "lVert", "langle", "lfloor", "lceil", "surd"})
"""Signs that stand close to what follows."""

SPACES = {
    ",": " ",
    ";": " ",
    ":": " ",
    ">": " ",
    " ": " ",
    "\n": " ",
    "!": "",
    "quad": "  ",
    "qquad": "   ",
    "enspace": " ",
    "thinspace": " ",
}
SPACES |= {"space": " ", "nobreakspace": " ", "hfill": " ", "/": "", "-": "", "@": ""}
"""Commands that are room."""

NAMES = _words(
    "sin cos tan cot sec csc arcsin arccos arctan sinh cosh tanh coth log ln lg exp lim limsup liminf max min sup inf det dim ker hom deg "
    "gcd lcm arg argmax argmin Pr mod bmod tr rank sgn sign diag span"
)
"""Commands that are their own name, set upright with room around."""

PASSED_OVER = _words(
    "left right middle big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm Bigm limits nolimits displaystyle textstyle "
    "scriptstyle scriptscriptstyle normalsize small large Large it rm bf cal nonumber notag hline centering allowbreak "
    "protect relax strut mathstrut null"
)
"""Commands about looks only."""

TEXTS = _words("text textrm textbf textit textsf texttt textnormal textup mbox hbox emph intertext")
"""Commands whose argument is text, not a formula."""

FONTS = _words(
    "mathrm mathbf mathit mathsf mathtt mathnormal boldsymbol bm pmb mathop mathbin mathrel mathord mathfrak mathscr operatorname "
    "boxed fbox smash underline uline cancel"
)
"""Commands that show their argument as it is."""

DROPPED = _words("label phantom hphantom vphantom hspace vspace color ref eqref notag class style cline rule")
"""Commands that hide their argument."""

ACCENTS = {
    "hat": "\u0302", "widehat": "\u0302", "tilde": "\u0303", "widetilde": "\u0303", "bar": "\u0304", "dot": "\u0307", "ddot": "\u0308",
    "vec": "\u20d7", "overrightarrow": "\u20d7", "check": "\u030c", "breve": "\u0306", "acute": "\u0301", "grave": "\u0300",
    "mathring": "\u030a", "overline": "\u0305",
}  # fmt: skip
"""Combining signs."""

DOUBLE_STRUCK = dict(zip("CHNPQRZ", "ℂℍℕℙℚℝℤ", strict=True)) | {"1": "𝟙", "E": "𝔼", "F": "𝔽", "K": "𝕂", "D": "𝔻", "S": "𝕊", "T": "𝕋"}
CURLY = dict(zip("BEFHILMR", "ℬℰℱℋℐℒℳℛ", strict=True))

SUPERSCRIPTS = str.maketrans(
    "0123456789+-=()abcdefghijklmnoprstuvwxyzABDEGHIJKLMNOPRTUVWβγδθφχ−",
    "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖʳˢᵗᵘᵛʷˣʸᶻᴬᴮᴰᴱᴳᴴᴵᴶᴷᴸᴹᴺᴼᴾᴿᵀᵁⱽᵂᵝᵞᵟᶿᵠᵡ⁻",
)
SUBSCRIPTS = str.maketrans("0123456789+-=()aehijklmnoprstuvxβγρφχ−", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₕᵢⱼₖₗₘₙₒₚᵣₛₜᵤᵥₓᵦᵧᵨᵩᵪ₋")

CLOSING = {"⊤": "ᵀ", "∘": "°", "′": "′", "′′": "″", "∗": "*", "*": "*", "†": "†", "‡": "‡"}
"""Signs that stand high by themselves."""

FRACTIONS = _words("frac dfrac tfrac cfrac sfrac nicefrac")
BINOMIALS = _words("binom dbinom tbinom")

ROOTS = {"": "√", "2": "√", "3": "∛", "4": "∜"}

MATRICES = {
    "matrix": "()", "pmatrix": "()", "bmatrix": "[]", "Bmatrix": "{}", "vmatrix": "||", "Vmatrix": "‖‖", "smallmatrix": "()", "array": "()",
}  # fmt: skip
"""Environments of rows and columns, and what stands around them."""

CASES = frozenset({"cases", "dcases", "rcases"})
