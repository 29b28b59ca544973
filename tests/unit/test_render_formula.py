"""Formulas become text that people can read; money, variables of a shell and code stay what they are."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.render import discord, formula, telegram
from bot.render.heal import heal
from bot.render.latex import readable
from bot.render.markdown import read
from bot.render.mask import holds_stand_in
from bot.render.text import clean
from tests.support.documents import FORMULAS, LATEX


@pytest.mark.parametrize(
    ("source", "text"),
    [
        (r"\frac{a}{b}", "a/b"),
        (r"\frac{x+1}{2a}", "(x+1)/(2a)"),
        (r"\dfrac{P(B|A)P(A)}{P(B)}", "P(B|A)P(A)/P(B)"),
        (r"\frac{dy}{dx} + \frac{\partial f}{\partial x}", "dy/dx + ∂f/∂x"),
        (r"\frac12", "1/2"),
        (r"x^2 + y_1", "x² + y₁"),
        (r"x^{n+1}_{i,j}", "xⁿ⁺¹ᵢ,ⱼ"),
        (r"x_{1,2} = \frac{-b \pm \sqrt{b^2 - 4ac}}{2a}", "x₁,₂ = (-b ± √(b² - 4ac))/(2a)"),
        (r"e^{i\pi} + e^{-x^2}", "e^(iπ) + e^(-x²)"),
        (r"x^{a_b} A_Q", "x^(a_b) A_Q"),
        (r"90^\circ, f'(x), A^\top", "90°, f′(x), Aᵀ"),
        (r"\sum_{i=1}^{n} x_i^2 \le \infty", "∑ᵢ₌₁ⁿ xᵢ² ≤ ∞"),
        (r"\int_0^\infty e^{-x}\,dx", "∫₀^∞ e⁻ˣ dx"),
        (r"\lim_{h \to 0} f(h)", "lim_(h → 0) f(h)"),
        (r"2\sin x\cos^2 y, \log_2 n", "2 sin x cos² y, log₂ n"),
        (r"\sqrt 2, \sqrt[3]{x}, \sqrt[n]{x+1}", "√2, ∛x, ⁿ√(x+1)"),
        (r"\alpha \in \mathbb{R}^n, A\subseteq B", "α ∈ ℝⁿ, A ⊆ B"),
        (r"\left(\frac{1}{2}\right)^n, \left\{ x \mid x > 0 \right\}", "(1/2)ⁿ, {x | x > 0}"),
        (r"\text{if } x > 0 \text{ and }y", "if x > 0 and y"),
        (r"\operatorname{softmax}(z)_i, \mathrm{d}x, \boxed{42}", "softmax(z)ᵢ, dx, 42"),
        (r"\hat{y}, \vec v, \overline{AB}", "ŷ, v⃗, A̅B̅"),
        (r"\binom{n}{k}, x \equiv 1 \pmod{7}, \not= 0", "C(n, k), x ≡ 1 (mod 7), ≠ 0"),
        (r"50\%, \$5, \{a\}, a\_b, \|x\|", "50%, $5, {a}, a_b, ‖x‖"),
        (r"\begin{aligned} a &= b + c \\ &= d \end{aligned}", "a = b + c\n= d"),
        (r"\begin{pmatrix} 1 & 2 \\ 3 & 4 \end{pmatrix}", "(1, 2; 3, 4)"),
        (r"\begin{cases} 1 & x>0 \\ 0 & \text{else} \end{cases}", "{1, x>0; 0, else}"),
        (r"\ce{2H2 + O2 -> 2H2O}", "2H₂ + O₂ → 2H₂O"),
        (r"\unheard{x} + \of", r"\unheard{x} + \of"),
        (r"\frac{a", "a"),
        (r"x^{", "x"),
        (r"}} \end{x} \\", ""),
    ],
)
def test_latex_becomes_readable(source, text):
    assert readable(source) == text


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                *"ab12 {}[]()^_&\\'$",
                r"\frac",
                r"\sqrt",
                r"\left",
                r"\begin{cases}",
                r"\end{cases}",
                r"\text",
                r"\sum",
                r"\\",
                r"\hat",
                r"\sin",
            ]
        ),
        max_size=40,
    ).map("".join)
    | st.text(max_size=40)
)
def test_any_formula_is_taken(source):
    text = readable(source)
    assert "\0" in source or "\0" not in text
    assert text == text.strip()


def test_nesting_without_end_is_taken():
    assert isinstance(readable("{" * 5000 + "x"), str)
    assert isinstance(readable(r"\frac{" * 3000), str)
    assert isinstance(readable(r"\begin{cases}" * 3000), str)
    assert isinstance(readable("x^" * 5000), str)


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("Let $x$ be, $i$th, 设$x$为", "Let x be, ith, 设x为"),
        (r"\(x\) and \[y^2\] and $$z^2$$", "x and y² and z²"),
        ("$a*b*c$ and $a_1 * b_1$", "a*b*c and a₁ * b₁"),
        ("$5 and $10, $5-$10, $1,000, 5$ or 10$, $10k", "$5 and $10, $5-$10, $1,000, 5$ or 10$, $10k"),
        ("**$5** or **$10**", "$5 or $10"),
        ("it costs $5, and $x$ of them $5x$", "it costs $5, and x of them 5x"),
        ("$HOME:$PATH, ${var}, $FOO_BAR:$BAZ", "$HOME:$PATH, ${var}, $FOO_BAR:$BAZ"),
        ("花了$5元和$6元", "花了$5元和$6元"),
        (r"\[1\] and \[see below\] and \(a note\)", "[1] and [see below] and (a note)"),
        (r"\$5 and \$x\$", "$5 and $x$"),
        (r"`$x^2$` and `\(a\)` and `\[b^2\]`", r"$x^2$ and \(a\) and \[b^2\]"),
        ("```tex\n\\[\na\n+ b\n\\]\n$x^2$ $5 $$y$$\n```", "\\[\na\n+ b\n\\]\n$x^2$ $5 $$y$$"),
        ("$$\na\n+ b\n= c\n$$", "a + b = c"),
        ("> $$\n> a\n> + b\n> $$", "a + b"),
        ("- $$\n  a\n  - b\n  $$\n- c", "• a - b\n• c"),
        ("$$x\n\ny$$", "$$x\n\ny$$"),
        ("$$\n$5$$ and $$a}{b$$", "$$\n$5$$ and $$a}{b$$"),
        (r"$\left\{ x \right.$", "{x"),
        ("| $x^2$ | b |\n|--|--|\n| \\(y\\) | $5 |", "x² | b\n---+---\ny  | $5"),
        ("**$x^2$** and *\\(y\\)*", "x² and y"),
        ("# $x^2$", "x²"),
        ("$x < y$ and $<b>$", "x < y and $<b>$"),
        ("\u2e47 and $x^2$", "\u2e47 and x²"),
    ],
)
def test_what_is_a_formula_and_what_is_not(markdown, text):
    assert telegram.write(read(clean(markdown))).text == text


SIGNS = [
    "$$",
    "\\(",
    "\\)",
    "\\[",
    "\\]",
    "\\frac",
    "\\{",
    "\n\n",
    "> ",
    "- ",
    "```",
    "]: http://x.yz ",
    "| a |\n|---|\n|",
    *"ab1{} $$\\()[]*_`|<\n->^=",
]


@settings(max_examples=400)
@given(st.lists(st.sampled_from(SIGNS), max_size=25).map("".join))
def test_what_the_parser_is_shown_for_a_formula_is_never_seen(markdown):
    for located in (False, True):
        for block in read(markdown, located=located):
            assert not any(holds_stand_in(f"{span.text}{span.url}") for span in block.spans)


def test_a_formula_is_escaped_for_discord():
    assert discord.render(r"$x^* \cdot y^*$, $a_Q$, $|x|$ and $\|y\|$").text == r"x\* · y\*, a_Q, |x| and ‖y‖"


SIGNS = [
    "$",
    "$",
    "$",
    "$$",
    "x",
    "y^2",
    "a_1",
    " ",
    "5",
    "²",
    "\\",
    "\\alpha",
    "\\$",
    "\\`",
    "`",
    "~",
    "~~~",
    "{",
    "}",
    "\n",
    "\\(",
    "\\)",
    "word",
]


@settings(max_examples=1000)
@given(st.lists(st.sampled_from(SIGNS), max_size=14).map("".join))
@example("$\\`a{b}$")
@example("$x^2$²")
def test_a_usual_formula_is_found_where_it_is_found_the_long_way(text):
    found = formula.formulas_in(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(formula, "_USUAL", re.compile(r"(?!)"))
        assert found == formula.formulas_in(text)


@pytest.mark.parametrize(
    ("half", "healed"),
    [
        ("a $E = mc^", "a $E = mc$"),
        ("a $E = ", "a"),
        ("a $\\frac{a}{b", "a $\\frac{a}{b}$"),
        ("a $\\alp", "a"),
        ("a $$x", "a $$x$$"),
        ("a $$x$", "a $$x$$"),
        ("a $$", "a"),
        ("a \\[\nx\n- y", "a \\[\nx\n- y\\]"),
        ("a \\(x", "a \\(x\\)"),
        ("a \\(", "a"),
        ("**a $x + y", "**a $x + y$**"),
        ("it costs $5", "it costs $5"),
        ("it costs $5 and", "it costs $5 and"),
        ("echo $HOME", "echo $HOME"),
        ("see \\[the note", "see \\[the note"),
        ("$a_1 * b_1$ *c", "$a_1 * b_1$ *c*"),
    ],
)
def test_a_half_written_formula_is_closed_or_held_back(half, healed):
    assert heal(half) == healed


@pytest.mark.parametrize("document", [LATEX, FORMULAS.replace("`$x$` is code, $HOME:$PATH is not.", "")], ids=["latex", "formulas"])
def test_no_prefix_shows_the_signs_of_a_formula(document):
    for end in range(len(document) + 1):
        shown = telegram.render(document[:end]).text
        assert not re.search(r"\$(?![0-9])|\\[A-Za-z()\[\]{]", shown), document[max(0, end - 60) : end]


@pytest.mark.parametrize("command", ["\\frac", "\\sqrt", "\\sqrt[", "\\hat", "^", "\\xrightarrow[", "\\left\\frac", "\\\\["])
def test_commands_that_apply_to_each_other_without_end_are_taken(command):
    assert isinstance(readable(command * 3000 + "x"), str)
