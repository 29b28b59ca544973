r"""A formula in LaTeX → a line of Unicode text: `\frac{a}{b}` is a/b, `x^2` is x².

What people can read in a chat, not what a typesetter would do: brackets are put where leaving out the layout would change the meaning, and
a command that is not known stays as it was written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from bot.render.symbols import (
    ACCENTS,
    BINOMIALS,
    CASES,
    CLOSING,
    CURLY,
    DOUBLE_STRUCK,
    DROPPED,
    FONTS,
    FRACTIONS,
    MATRICES,
    NAMES,
    PASSED_OVER,
    ROOTS,
    SPACES,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    SYMBOLS,
    TEXTS,
    TIED,
)

_DEEPEST = 12
_MOST_APPLIED = 32  # commands that each apply to the next one, without braces
_PLAIN = re.compile(r"(?:(?!_)[\w+=<>()|.,:;!/* -])*")
_TOKEN = re.compile(r"\\(?:[A-Za-z]+\*?|.|\Z)|[{}\[\]^_&~']|\s+|[^\\{}\[\]^_&~'\s]+", re.DOTALL)
_SCRIPT = "⁰¹²³⁴-⁾ⁱⁿᵃ-ᶿᴬ-ᵂⱽ₀-₎ₐ-ₜⱼ′″°"
_SCRIPTED = re.compile(f"[{_SCRIPT}]")
# What needs no brackets below a fraction bar or a root: a number, a letter, or a word or letter with what is applied to it.
_ATOM = re.compile(
    rf"(?:\d+(?:[.,]\d+)?|(?:[d∂][{_SCRIPT}]*)?[^\W\d_][\u0300-\u036f\u20d7]*|[∞∂])[{_SCRIPT}]*"
    rf"|[√∛∜]?(?:[^\W\d_]+[{_SCRIPT}]*)?\([^()]*\)|[√∛∜]\w"
)
_SIGNS = {"{": "", "}": "", "\\": "", "^": "", "_": "", "'": "′", "&": " ", "~": " "}
_GROUP = re.compile(r"\([^()]*\)")
_SUM = re.compile(r"[-+±∓=<>≤≥≠≈,;:/→∈\s]")  # a fraction's upper part with one of these needs brackets
_MARKUP = re.compile(r"[$\\{}]")
_INSIDE = re.compile(r"(?<=[(\[{⟨]) +| +(?=[)\]}⟩,;!])")
_ROOM = re.compile(r" {2,}")
_ATOMS_OF_CHEMISTRY = re.compile(r"(?<=[A-Za-z)\]])\d+")


@lru_cache(maxsize=256)
def readable(source: str) -> str:
    """Return a formula, without the signs around it, as text; lines where it has several. Takes any text and never fails."""
    if _PLAIN.fullmatch(source):
        return _ROOM.sub(" ", source).strip()
    text = _Formula(source).read()
    lines = [_ROOM.sub(" ", _INSIDE.sub("", line)).strip() for line in text.split("\n")]
    return unicodedata.normalize("NFC", "\n".join([line for line in lines if line]))


def _scripted(text: str, table: dict[int, int], sign: str) -> str:
    """Write an exponent or an index: with small signs if there are all of them."""
    text = text.strip()
    if not text:
        return ""
    if sign == "^" and text in CLOSING:
        return CLOSING[text]
    close = text.replace(" ", "")
    if all(ord(char) in table or (char == "," and sign == "_") for char in close):
        return close.translate(table)
    return f"{sign}{text}" if len(close) == 1 else f"{sign}({text})"


def _bracketed(text: str) -> str:
    text = text.strip()
    return text if _ATOM.fullmatch(text) or not text else f"({text})"


def _fraction(above: str, below: str) -> str:
    above, below = above.strip(), below.strip()
    if not below:
        return above
    if _SUM.search(_GROUP.sub("", _GROUP.sub("", above.removeprefix("-")))):
        above = _bracketed(above)
    return f"{above}/{_bracketed(below)}"


class _Formula:
    """Reads a formula from left to right."""

    def __init__(self, source: str) -> None:
        self._tokens = _TOKEN.findall(source)
        self._at = 0
        self._depth = 0
        self._applied = 0

    def read(self) -> str:
        parts: list[str] = []
        while self._at < len(self._tokens):
            parts.append(self._until(frozenset()))
            self._at += 1  # past what closes nothing
        return "".join(parts)

    def _until(self, ends: frozenset[str]) -> str:
        """Read up to one of these tokens, which is left, or to the end."""
        out: list[str] = []
        self._depth += 1
        while self._at < len(self._tokens):
            token = self._tokens[self._at]
            if token in ends or (token[0] == "}" and self._depth > 1):
                break
            self._at += 1
            _append(out, self._token(token))
        self._depth -= 1
        return "".join(out).removesuffix("\0")

    def _token(self, token: str) -> str:
        sign = token[0]
        if sign == "\\" and len(token) > 1:
            return self._command(token[1:])
        if sign not in _SIGNS:
            return " " if token.isspace() else token
        if sign == "{":
            return self._group() if self._depth <= _DEEPEST else ""
        if sign in "^_":
            return _scripted(self._argument(), SUPERSCRIPTS if sign == "^" else SUBSCRIPTS, sign)
        return _SIGNS[sign]

    def _group(self) -> str:
        """Read the rest of a group in braces."""
        text = self._until(frozenset({"}"}))
        self._at += 1
        return text

    def _argument(self) -> str:
        """Read what a command or a script applies to: a group, or the next sign."""
        self._skip_space()
        if self._at >= len(self._tokens):
            return ""
        token = self._tokens[self._at]
        if token in {"}", "&"} or self._depth > _DEEPEST or self._applied > _MOST_APPLIED:
            return ""
        if len(token) > 1 and token[0] != "\\":  # the next sign only
            token, self._tokens[self._at] = token[0], token[1:]
        else:
            self._at += 1
        self._applied += 1
        text = self._token(token).strip("\0")
        self._applied -= 1
        return text

    def _option(self) -> str:
        """Read an argument in square brackets, if there is one."""
        if self._at >= len(self._tokens) or self._tokens[self._at] != "[" or self._depth > _DEEPEST:
            return ""
        self._at += 1
        text = self._until(frozenset({"]"}))
        self._at += 1
        return text

    def _raw(self) -> str:
        """Read a group in braces without understanding it."""
        self._skip_space()
        if self._at >= len(self._tokens) or self._tokens[self._at] != "{":
            return self._argument()
        start, level = self._at + 1, 0
        while self._at < len(self._tokens):
            level += {"{": 1, "}": -1}.get(self._tokens[self._at], 0)
            self._at += 1
            if not level:
                return "".join(self._tokens[start : self._at - 1])
        return "".join(self._tokens[start:])

    def _skip_space(self) -> None:
        while self._at < len(self._tokens) and self._tokens[self._at].isspace():
            self._at += 1

    def _command(self, name: str) -> str:
        if name in SYMBOLS:
            if name in TIED and "".join(self._tokens[self._at + 1 : self._at + 2]).isalnum():
                self._skip_space()
            return SYMBOLS[name]
        if name in NAMES:
            return f"\0{name}\0"  # words keep apart from their neighbours: see _append
        if name in SPACES:
            return SPACES[name]
        if name == "\\":
            self._option()
            return "\n"
        return self._wordy(name)

    def _wordy(self, name: str) -> str:
        if name in PASSED_OVER:
            return self._delimiter(name)
        if name in TEXTS:
            return _MARKUP.sub("", self._raw().replace("~", " "))
        if name in ACCENTS:
            return self._accented(ACCENTS[name])
        return self._structure(name.rstrip("*"), name)

    def _delimiter(self, name: str) -> str:
        """Leave out a command about looks, and the dot that stands for no bracket."""
        if name in {"left", "right", "middle"} and self._tokens[self._at : self._at + 1] == ["."]:
            self._at += 1
        return ""

    def _structure(self, name: str, written: str) -> str:
        if name in FRACTIONS:
            return _fraction(self._argument(), self._argument())
        if name in FONTS:
            return self._argument()
        if name in DROPPED:
            self._raw()
            return ""
        rule = _RULES.get(name)
        if rule:
            return rule(self)
        return self._unknown(written) if name.isalpha() else written

    def root(self) -> str:
        index = self._option().strip()
        inner = _bracketed(self._argument())
        return f"{ROOTS[index]}{inner}" if index in ROOTS else f"{_scripted(index, SUPERSCRIPTS, '')}√{inner}"

    def binomial(self) -> str:
        return f"C({self._argument().strip()}, {self._argument().strip()})"

    def begin(self) -> str:
        return self._environment(self._raw())

    def end(self) -> str:
        self._raw()
        return "\n"

    def double_struck(self) -> str:
        return "".join([DOUBLE_STRUCK.get(char, char) for char in self._argument()])

    def curly(self) -> str:
        return "".join([CURLY.get(char, char) for char in self._argument()])

    def operator(self) -> str:
        return f"\0{self._raw().replace(chr(92), '')}\0"

    def coloured(self) -> str:
        self._raw()
        return self._argument()

    def braced(self) -> str:
        return _bracketed(self._argument())

    def above(self) -> str:
        over, base = self._argument(), self._argument().strip()
        return f"{base}{_scripted(over, SUPERSCRIPTS, '^')}"

    def below(self) -> str:
        under, base = self._argument(), self._argument().strip()
        return f"{base}{_scripted(under, SUBSCRIPTS, '_')}"

    def arrow(self, sign: str) -> str:
        below, above = self._option(), self._argument()
        return f" {sign}{_scripted(above, SUPERSCRIPTS, '^')}{_scripted(below, SUBSCRIPTS, '_')} "

    def modulus(self) -> str:
        return f" (mod {self._argument().strip()})"

    def tag(self) -> str:
        return f"  ({self._raw()})"

    def negated(self) -> str:
        sign = self._argument().strip()
        return f" {sign[0]}\u0338{sign[1:]} " if sign else ""

    def chemistry(self) -> str:
        return _ATOMS_OF_CHEMISTRY.sub(lambda digits: digits[0].translate(SUBSCRIPTS), self._raw().replace("->", " → "))

    def _unknown(self, name: str) -> str:
        arguments = ""
        while self._at < len(self._tokens) and self._tokens[self._at] == "{" and self._depth <= _DEEPEST:
            arguments += f"{{{self._argument()}}}"
        return f"\\{name}{arguments or ' '}"

    def _accented(self, sign: str) -> str:
        text = self._argument().strip()
        if not text:
            return ""
        if sign == ACCENTS["overline"]:
            return "".join([f"{char}{sign}" for char in text])
        return f"{text}{sign}"

    def _environment(self, name: str) -> str:
        """Read up to where it ends."""
        name = name.rstrip("*")
        if name == "array":
            self._raw()
        rows: list[list[str]] = [[]]
        while self._at < len(self._tokens) and self._depth <= _DEEPEST:
            cell = self._until(frozenset({"&", "\\\\", "\\end"}))
            rows[-1].append(_ROOM.sub(" ", cell.replace("\n", " ")).strip())
            end = self._tokens[self._at] if self._at < len(self._tokens) else ""
            if end not in {"&", "\\\\", "\\end"}:
                break
            self._at += 1
            if end == "\\end":
                self._raw()
                break
            if end == "\\\\":
                self._option()
                rows.append([])
        return _laid_out(name, [row for row in rows if any(row)])


_RULES: dict[str, Callable[[_Formula], str]] = {
    "sqrt": _Formula.root,
    **dict.fromkeys(BINOMIALS, _Formula.binomial),
    "begin": _Formula.begin,
    "end": _Formula.end,
    "mathbb": _Formula.double_struck,
    "mathcal": _Formula.curly,
    "mathscr": _Formula.curly,
    "operatorname": _Formula.operator,
    "textcolor": _Formula.coloured,
    "underbrace": _Formula.braced,
    "overbrace": _Formula.braced,
    "overset": _Formula.above,
    "stackrel": _Formula.above,
    "underset": _Formula.below,
    "xrightarrow": lambda formula: formula.arrow("→"),
    "xleftarrow": lambda formula: formula.arrow("←"),
    "pmod": _Formula.modulus,
    "tag": _Formula.tag,
    "not": _Formula.negated,
    "ce": _Formula.chemistry,
}
"""What a command does with what follows it."""


def _laid_out(name: str, rows: list[list[str]]) -> str:
    if name in MATRICES:
        around = MATRICES[name]
        return f"{around[0]}{'; '.join([', '.join(row) for row in rows])}{around[-1]}"
    if name in CASES:
        return f"{{ {'; '.join([', '.join([cell.rstrip(',') for cell in row]) for row in rows])} }}"
    return "\n" + "\n".join([" ".join(row) for row in rows]) + "\n"


def _append(out: list[str], piece: str) -> None:
    """Add a piece; a word keeps apart from letters and digits on both sides of it."""
    if not piece:
        return
    last = out[-1] if out else ""
    if piece[0] == "\0":
        piece = piece[1:]
        if last and (last[-1].isalnum() or last[-1] in ")\0"):
            piece = f" {piece}"
    elif last.endswith("\0") and ((piece[0].isalnum() and not _SCRIPTED.match(piece)) or piece[0] in "\\√"):
        piece = f" {piece}"
    if last.endswith("\0"):
        out[-1] = last[:-1]
    out.append(piece)
