r"""Where formulas stand in a text: `$…$`, `$$…$$`, `\(…\)`, `\[…\]`. A dollar is money more often than not.

What decides is what stands between the signs: "$5 and $10" and "$HOME:$PATH" are none, "$x$" and "$5x + 3 = y$" are. This module decides,
not the parser: `bot.render.mask` shows the parser what is a formula, and hides from it every dollar that is none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from bot.render.latex import readable

_SIGN = re.compile(r"[$\\]")
# One in dollars, in one line and without any code; whatever else is one takes longer to tell.
_USUAL = re.compile(r"\$(?![\s$])((?:[^$`~\n\\]|\\[^`\n])++)(?<!\s)\$(?![\d$])")
_BRACE = re.compile(r"\\.|[{}$]", re.DOTALL)
_BLANK = re.compile(r"\n[ \t>]*\n")
_CODE = re.compile(r"`|~~~")
# Three letters in a row, or one of a script that nobody writes formulas in.
_WORD = re.compile(r"[A-Za-z]{3,}|[A-Z]{2,}[a-z_:/]|[\u00c0-\u024f\u0400-\u1fff\u2e80-\uffff]")
_CERTAIN = re.compile(r"\\[A-Za-z]|\^|(?<![A-Za-z])[A-Za-z]_[A-Za-z0-9{\\]")
_UNFINISHED = re.compile(r"(?:[-+*/=<>:,;.(\[{^_\s]|\\[A-Za-z]*|\\(?:begin|end)\{[A-Za-z*]*)+\Z")
_RAGGED = re.compile(r"[-+*/=<>:,;.(\[{]\Z|\A[*/:,;.)\]}]")
_NUMBER = re.compile(r"[\d.,\s]+")
_NUMBERS = re.compile(r"[\d.,]+\s[\d.,\s]+")
_LETTER = re.compile(r"[A-Za-z](?![A-Za-z])")
_NAMES = re.compile(r"\b(?:sin|cos|tan|cot|log|ln|exp|max|min|lim|mod|det|gcd)\b")
_MONEY = re.compile(r"\d[\d.,]*[kKmMbB]?(?:\s|[a-z]{2}|\Z)")


_new = tuple.__new__  # see bot.render.markdown
_CLOSINGS = {"$": "$", "$$": "$$", "\\(": "\\)", "\\[": "\\]"}


_LONGEST = 2000  # characters of a formula that is still open, which is a Discord message full of it; no one waits for its end

_MOST_TRIES = 8  # of signs that may open what one sign closes; more of them mean themselves

_EMPTY = "$$$$"
DOLLARS = re.compile(r"\$+(?=\$\$\$)")
"""Those of a row of them that open nothing, as what they open would be empty."""

_LEAST = {"$": 2, "$$": 1, "\\(": 1, "\\[": 1}  # characters; one letter after a dollar may become the name of a variable


class Formula(NamedTuple):
    """A formula's place.

    Attributes:
        start: Of the signs that open it.
        opened: Of what it says.
        closed: Of the signs that close it.
        end: Behind these.
    """

    start: int
    opened: int
    closed: int
    end: int


class Formulas:
    """Finds the formulas of one text.

    Asked for one place after the other, it looks for what ends a formula once and not once for each sign that may open it: the time
    it takes grows with the text, whatever stands there.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._ahead: dict[str, tuple[int, int, int]] = {}  # what was looked for → from where, and where it begins and ends
        self._tries: dict[int, int] = {}  # a place where something closes → how many were found not to be opened by

    def at(self, start: int) -> Formula | None:
        """Return the formula that the dollar or backslash at this place opens, if it does."""
        text = self._text
        usual = _USUAL.match(text, start)
        if usual and not (self._tries or text[usual.end() : usual.end() + 1].isdigit()) and _is_meant(usual[1], "$"):
            return _new(Formula, (start, start + 1, usual.end() - 1, usual.end()))
        opening = _opening(text, start)
        if not opening or text.startswith(_EMPTY, start):
            return None
        opened = start + len(opening)
        closed = self._closing(opened, opening)
        if closed < 0 or self._is_within(_BLANK, opened, closed) or self._is_within(_CODE, opened, closed):
            return None
        tries = self._tries.get(closed, 0)
        if tries >= _MOST_TRIES:
            return None
        if not _is_meant(text[opened:closed], opening):
            self._tries[closed] = tries + 1
            return None
        return Formula(start, opened, closed, closed + len(opening))

    def _is_within(self, pattern: re.Pattern[str], start: int, end: int) -> bool:
        """Tell whether something stands between two places."""
        asked, found, stop = self._ahead.get(pattern.pattern, (0, -1, -1))
        if not asked <= start <= found:
            match = pattern.search(self._text, start)
            found, stop = match.span() if match else (len(self._text), len(self._text) + 1)
            self._ahead[pattern.pattern] = start, found, stop
        return stop <= end

    def _closing(self, start: int, opening: str) -> int:
        """Return where the signs stand that close a formula, -1 if there are none."""
        text, closing = self._text, _CLOSINGS[opening]
        asked, at, _ = self._ahead.get(closing, (0, -1, -1))
        if not asked <= start <= at:
            at = text.find(closing, start)
            while at >= 0 and _is_escaped(text, at):
                at = text.find(closing, at + 1)
            at = at if at >= 0 else len(text)
            self._ahead[closing] = start, at, at
        if at == len(text):
            return -1
        return at if opening != "$" or _is_dollar_closing(text, start, at) else -1


def may_hold_formulas(text: str) -> bool:
    """Tell whether any of the signs is there that open one."""
    return "$" in text or "\\(" in text or "\\[" in text


def formulas_in(text: str) -> list[Formula]:
    """Return all formulas, in rising order."""
    found: list[Formula] = []
    formulas, at = Formulas(text), 0
    while sign := _SIGN.search(text, at):
        start = sign.start()
        formula = formulas.at(start)
        if formula:
            found.append(formula)
            at = formula.end
        elif sign[0] == "$":
            empty = DOLLARS.match(text, start)
            at = empty.end() if empty else start + 1
        else:
            at = start + 2
    return found


def formula_at(text: str, start: int) -> Formula | None:
    """Return the formula that the dollar or backslash at this place opens, if it does."""
    return Formulas(text).at(start)


def complete(text: str, start: int) -> str | None:
    """Close the formula that the dollar or backslash at this place opens and the end of the text cuts.

    Returns:
        The text with a formula that is whole at its end; without the formula, if nothing of it can be shown yet; None if it opens none.
    """
    opening = _opening(text, start)
    opened = start + len(opening)
    if not opening or len(text) - opened > _LONGEST:
        return None
    content = text[opened:]
    if _BLANK.search(content) or _CODE.search(content) or not _may_be_meant(content, opening):
        return None
    content = _UNFINISHED.sub("", content.rstrip("$"))
    if len(content) < _LEAST[opening] or not readable(content):
        return text[:start]
    closed = f"{text[:start]}{opening}{content}{'}' * _open_braces(content)}{_CLOSINGS[opening]}"
    return closed if formula_at(closed, start) else None


def open_from(text: str) -> int:
    """Return where the content of a formula that the end of the text cuts can begin at the earliest: behind all that no formula holds.

    Looks at the end of the text only, once for all that may open one.
    """
    least = max(0, len(text) - _LONGEST)
    end = len(text.rstrip("$"))
    dollar = text.rfind("$", least, end)
    while dollar >= 0 and _is_escaped(text, dollar):
        dollar = text.rfind("$", least, dollar)
    least = max(least, dollar + 1)
    for pattern in (_CODE, _BLANK):
        for match in pattern.finditer(text, least):
            least = match.start() + 1
    return least


def _may_be_meant(content: str, opening: str) -> bool:
    if _CERTAIN.search(content) or not content.strip():
        return True
    if opening != "$":
        return not _WORD.search(content) or (opening == "$$" and "=" in content)
    if "$" in content or content[0].isspace() or _MONEY.match(content) or _WORD.search(_NAMES.sub("", content)):
        return False
    return _LETTER.search(content) is not None


def _open_braces(content: str) -> int:
    """Count the braces that are not closed; -1 if the parser would not take it for a formula at all."""
    if "$" not in content and "{" not in content and "}" not in content:
        return 0
    count = 0
    for sign in _BRACE.findall(content):
        if sign == "{":
            count += 1
        elif sign == "}":
            count -= 1
        elif sign == "$":
            return -1
        if count < 0:
            return -1
    return count


def _opening(text: str, start: int) -> str:
    if text[start] == "$":
        return "$$" if text.startswith("$$", start) else "$"
    return text[start : start + 2] if text[start + 1 : start + 2] in {"(", "["} else ""


def _is_dollar_closing(text: str, start: int, at: int) -> bool:
    """Tell whether a dollar closes what begins at `start`."""
    if at <= start or text[start].isspace() or text[at - 1].isspace():
        return False
    return not (text[at + 1 : at + 2].isdigit() or text.startswith("$", at + 1))


def _is_escaped(text: str, at: int) -> bool:
    before = at
    while before and text[before - 1] == "\\":
        before -= 1
    return (at - before) % 2 == 1


@lru_cache(maxsize=256)
def _is_meant(content: str, opening: str) -> bool:
    """Tell whether what stands between the signs is a formula."""
    if not content.strip() or _open_braces(content) != 0:
        return False
    if _CERTAIN.search(content):
        return opening != "$" or "\n" not in content or "\\" in content
    if _WORD.search(_NAMES.sub("", content)):
        return opening == "$$" and "=" in content
    if opening == "$":
        return not (_RAGGED.search(content) or _NUMBERS.fullmatch(content) or "\n" in content)
    return not (opening == "\\[" and _NUMBER.fullmatch(content))  # "\[1\]" is a bracket that means itself
