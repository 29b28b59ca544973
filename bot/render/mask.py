"""Stand-ins for what the parser would take for something else than models mean by it.

The parser sees the masked text; its reader takes the stand-ins out again. A text that holds a stand-in itself is not masked with it.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from bot.render.emphasis import loosen
from bot.render.formula import Formula, formulas_in, may_hold_formulas

# For "<" where HTML would begin: HTML blocks would hide the Markdown inside them. It has to be punctuation, as "<" is, or emphasis beside
# it would not open. The HTML of a text that holds it itself is shown as it is.
_LESS = "\u2e45"
_HTML = re.compile(r"<(?<!\\<)(?<!\]\(<)(?=[A-Za-z/!?])(?!https?://[^\s<>]*>)")
# For the colon of `[label]: target`: the parser would swallow the line.
_COLON = "\u2e46"
_DEFINITION = re.compile(r"^((?:[ \t>]++|(?:[-*+]|[0-9]{1,9}[.)])[ \t])*+\[([^\]\n]{1,200})\]):(?=[ \t]*(\S+))", re.MULTILINE)
# For a line break in a formula where the next line looks like a block of its own, such as a list that begins with a plus.
_LINE = "\u2e4b"
# For a dollar that opens no formula, and in a formula's signs: the parser takes it in dollars only. Punctuation, as they are.
_DOLLAR, _ROUND, _SQUARE, _DOUBLE = "\u2e47\u2e48\u2e49\u2e4a"
_SIGNS = {"\\(": f"${_ROUND}", "\\[": f"${_SQUARE}", "$$": f"${_DOUBLE}", "$": "$"}
_CLOSINGS = {"\\(": f"{_ROUND}$", "\\[": f"{_SQUARE}$", "$$": f"{_DOUBLE}$", "$": "$"}
_MEANT_BY_FORMULAS = (
    *[(sign, meant) for meant, sign in _SIGNS.items() if sign != meant],
    *[(_CLOSINGS[opening], closing) for opening, closing in (("\\(", "\\)"), ("\\[", "\\]"), ("$$", "$$"))],
    (_DOLLAR, "$"),
    (_LINE, "\n"),
)
# For what makes a marker of a list or quote, behind so many of them that it is none: a quote's sign, white space behind a list item's.
_MEANT_BY_MARKERS = (("\u2e4c", ">"), ("\u2e4d", " "), ("\u2e4e", "\t"))
_MARKERS = r"^((?:[ \t]*+(?:>|(?:[-*+]|[0-9]{1,9}[.)])(?=[ \t]))){%d}[ \t]*+(?:[-*+]|[0-9]{1,9}[.)]|))([> \t])"
_BLOCK = re.compile(r"\n([ \t]*(?:>[ \t]?)*)(?=[-+*=#>|]|[0-9]+[.)])")
_MONEY = re.compile(r"\$+|\\.", re.DOTALL)
# White space that the parser takes for such only where it looks at what surrounds stars.
_SPACE = "\u1680"
_STAND_IN = re.compile(f"[{_LESS}{_COLON}{_SPACE}{_LINE}{_DOLLAR}{_ROUND}{_SQUARE}{_DOUBLE}]")
_ANY_STAND_IN = re.compile(
    f"[{_LESS}{_COLON}{_SPACE}{_LINE}{_DOLLAR}{_ROUND}{_SQUARE}{_DOUBLE}{''.join([sign for sign, _ in _MEANT_BY_MARKERS])}]"
)
NONE: Mapping[str, str] = MappingProxyType({})
"""No targets."""


def holds_stand_in(text: str) -> bool:
    """Tell whether the text holds one itself."""
    return not text.isascii() and _STAND_IN.search(text) is not None


class Masked(NamedTuple):
    """What the parser gets.

    Attributes:
        text: With stand-ins.
        used: The stand-ins in it, and what they stand for.
        targets: Of reference definitions, by label in lower case.
        added: Places in `text` of stand-ins for nothing, rising.
    """

    text: str
    used: tuple[tuple[str, str], ...]
    targets: Mapping[str, str]
    added: list[int]

    def formula(self, text: str) -> str:
        """Return what a formula says that the parser found, apart from its signs."""
        return self.unmask(text.strip(f"{_ROUND}{_SQUARE}{_DOUBLE}"))

    def unmask(self, text: str) -> str:
        """Take the stand-ins out."""
        if not _ANY_STAND_IN.search(text):
            return text
        for sign, meant in self.used:
            text = text.replace(sign, meant)
        return text


def definitions(source: str) -> dict[str, str]:
    """Return the targets of references that are defined, by label in lower case. The first one of a label counts."""
    if "]:" not in source or _COLON in source:
        return {}
    return {label.casefold(): target for _, label, target in reversed(_DEFINITION.findall(source))}


def mask(source: str, known: Mapping[str, str] = NONE, formulas: Sequence[Formula] | None = None) -> Masked:
    """Put the stand-ins in.

    Args:
        source: CommonMark.
        known: Targets that were defined before.
        formulas: Where they stand in the source, if that is known.
    """
    text = source
    used: list[tuple[str, str]] = []
    targets = known
    added: list[int] = []
    if may_hold_formulas(text) and not any(sign in text for sign in (_DOLLAR, _ROUND, _SQUARE, _DOUBLE, _LINE)):
        text = _mask_formulas(text, formulas_in(text) if formulas is None else formulas)
        used += _MEANT_BY_FORMULAS
    if "]:" in text and _COLON not in text:
        targets = {**definitions(source), **known}
        text = _DEFINITION.sub(rf"\1{_COLON}", text)
        used.append((_COLON, ":"))
    if "<" in text and _LESS not in text:
        text = _HTML.sub(_LESS, text)
        used.append((_LESS, "<"))
    if "*" in text and _SPACE not in text:
        text, added = loosen(text, _SPACE)
        if added:
            used.append((_SPACE, ""))
    return Masked(text, tuple(used), targets, added)


def _mask_formulas(text: str, formulas: Sequence[Formula]) -> str:
    parts: list[str] = []
    done = 0
    for start, opened, closed, end in formulas:
        opening = text[start:opened]
        content = _BLOCK.sub(_join_line, text[opened:closed])
        parts += [_MONEY.sub(_mask_dollars, text[done:start]), _SIGNS[opening], content, _CLOSINGS[opening]]
        done = end
    return "".join([*parts, _MONEY.sub(_mask_dollars, text[done:])])


def _mask_dollars(sign: re.Match[str]) -> str:
    return sign[0] if sign[0][0] == "\\" else _DOLLAR * len(sign[0])


def _join_line(line: re.Match[str]) -> str:
    return _LINE + " " * len(line[1])


def is_definition(masked: bytes, end: int) -> bool:
    """Tell whether the label that ends at this byte is the one of a definition."""
    return masked.startswith(_COLON.encode(), end)


def flattened(masked: Masked, deepest: int) -> Masked:
    """Let no line open more lists and quotes than so many: the sign behind them gets a stand-in."""
    used = [pair for pair in _MEANT_BY_MARKERS if pair[0] not in masked.text]

    def flatten(line: re.Match[str]) -> str:
        sign = next((sign for sign, meant in used if meant == line[2]), line[2])
        return line[1] + sign

    text = re.sub(_MARKERS % deepest, flatten, masked.text, flags=re.MULTILINE)
    return masked._replace(text=text, used=(*masked.used, *used))


class Places:
    """Byte offsets in masked text, which the parser gives, to character offsets in the source; asked for mostly in rising order."""

    def __init__(self, masked: Masked) -> None:
        self._data = b"" if masked.text.isascii() else masked.text.encode()
        self._added = masked.added
        self._byte = self._char = 0

    def char(self, byte: int) -> int:
        """Return the place in the source; what was put in has the place of what follows it."""
        if not self._data:
            return byte
        if byte < self._byte:
            self._char -= len(self._data[byte : self._byte].decode())
        else:
            self._char += len(self._data[self._byte : byte].decode())
        self._byte = byte
        return self._char - bisect_left(self._added, self._char) if self._added else self._char
