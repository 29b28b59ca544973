"""Closing what is half-written at the end of a growing text, so that no raw `**` and no broken fence flashes up.

The parser takes every text; this is about looks only, so a rare wrong guess costs a flicker and nothing else. A finished text must not
be healed: what looks half-written there is what the model said.

The healed text is the text up to some place near its end, plus closers. Places in the text before that stay as they are.
"""

from __future__ import annotations

import re
from bisect import bisect_left

from bot.render.boundary import last_boundary
from bot.render.emphasis import is_meant
from bot.render.formula import DOLLARS, Formulas, complete, open_from

_FENCE = re.compile(r"([ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)*)(`{3,}|~{3,})([^\n]*)")
_TRIPLE = re.compile("```|~~~")
_MARKER = re.compile(r"[-*+]|\d{1,9}[.)]")
# Quantifiers that give nothing back: each line is gone through once, whatever it holds.
_LONE = re.compile(r"[-*+=_~`#>! \t]*+|[ \t>]*+(?:[-*+][ \t]++)?+(?:\[[ xX]?+\]?+[ \t]*+|\|[-|: \t]*+)")
_LONE_SIGNS = frozenset("-*+=_~`#>! \t\n[]xX|:")  # what such a line can end in
_TAG = re.compile(r"(?<![\\\w])<(?:[/!?]?[A-Za-z][\w:./@&?=#%+-]*)?[/!?]?\Z")
_BLOCK_START = re.compile(r"[ \t>]*(?:(?:[-*+]|\d{1,9}[.)]|#{1,6})[ \t]+)+")
_SIGN = re.compile(r"[\\`*_~!\[\]$]")  # a token begins with one; looking for these first is five times as fast
# What leaves nothing open, whatever stands before and behind it: text, code, marked words apart from others, links. Most of a text is that.
_PLAIN, _WORDS = r"[^\\`*_~!\[\]$]", r"[^\W_](?:[^\\`*_~!\[\]$]*[^\W_])?"
_CLOSED = re.compile(
    rf"(?:{_PLAIN}++|`[^`]++`(?!`)|(?<!\S)(?:\*{_WORDS}\*|\*\*{_WORDS}\*\*|~~{_WORDS}~~)(?![*~])"
    rf"|\[(?!\^)(?:(?!\n){_PLAIN})++\]\(https?://[^\s()\\<]*+\))*+"
)
_TOKEN = re.compile(r"`+|\*+|_+|~+|!?\[|\](?:\(|)", re.DOTALL)
_LINK_TAIL = re.compile(r"\s*+(?:<[^<>\n]*+>|(?:[^\s()\\<]|\\.|\([^\s()]*+\))*+)(?:\s++(?:\"[^\"]*+\"|'[^']*+'))?\s*+\)")
_HALF_LINK_TAIL = re.compile(r"\s*+(?:<[^<>\n]*+>?+|(?:[^\s()\\<]|\\.|\([^\s()]*+\)?+)*+)(?:\s++(?:\"[^\"]*+\"?+|'[^']*+'?+)?+)?+\s*+\Z")
_DELIMITER = re.compile(r"\s*\|[ \t:|-]*")
_ROW = re.compile(r"\s*+\|")

_HALF_DEFINITION = re.compile(r"^([ \t>]*\[(?!\^)[^\]\n]{1,200}\]:)[ \t]*\S+\Z", re.MULTILINE)

_MOST_OPENERS = 8  # of formulas that one text leaves open; more of them are signs that mean themselves

_LONGEST_ROW = 1000  # characters of a table's first line for which the second one is made
_LONGEST_TARGET = 2000  # characters of a link's target that is still open; no one waits for its end
_MOST_LONE = 16  # lines of nothing but markers at the end; of more of them all but the last ones are meant

_CLOSINGS = {"\\(": "\\)", "\\[": "\\]"}
_DISPLAYS = (("$$", "$$"), ("\\[", "\\]"))

_STRIKE = 2  # tildes; a single one means "about" more often


def heal(markdown: str, start: int = -1) -> str:
    """Close what is half-written at the end of `markdown`. Works for every prefix of every document and never fails.

    Args:
        markdown: CommonMark.
        start: The last place that divides it (`bot.render.boundary`), if that is known.
    """
    if start < 0:
        start = last_boundary(markdown)
    return markdown[:start] + _heal(markdown[start:]) if start else _heal(markdown)


def _heal(markdown: str) -> str:
    text = markdown.rstrip()
    fence, closed = _last_fence(text)
    if fence:
        return _close_fence(markdown.rstrip("\n"), *fence)
    text = text[:closed] + _without_half_line(text[closed:]) if closed else _without_half_line(text)
    start = _paragraph_start(text, closed)
    tail = text[start:]
    if "]:" in tail and len(text) == len(markdown):  # more of the target may follow
        tail = _HALF_DEFINITION.sub(r"\1", tail)
    tag = tail.rfind("<")
    if tag >= 0 and _TAG.match(tail, tag):
        tail = tail[:tag]
    if tail.endswith("\\") and len(tail) - len(tail.rstrip("\\")) & 1:
        tail = tail[:-1]
    closed_tail = _CLOSED.match(tail)
    healed = text[:start] + (tail.rstrip() if closed_tail and closed_tail.end() == len(tail) else _Inline(tail).close())
    return _complete_table(_without_half_line(healed) if len(healed) < len(text) else healed)


def _last_fence(text: str) -> tuple[tuple[str, str, int] | None, int]:
    """Return what stands before the fence open at the end, the fence, and where its line ends; and where the last closed one ends."""
    found: tuple[str, str, int] | None = None
    closed = 0
    if "```" not in text and "~~~" not in text:
        return found, closed
    at = 0
    while triple := _TRIPLE.search(text, at):
        match = _FENCE.match(text, text.rfind("\n", at, triple.start()) + 1 or at)
        if not match:
            at = text.find("\n", triple.end()) + 1 or len(text)  # nor does another one in this line open or close any
            continue
        at = match.end()
        lead, fence, info = match.groups()
        if found is None:
            if fence[0] == "~" or "`" not in info:
                found = (lead, fence, match.end())
        elif fence.startswith(found[1]) and not info.strip() and not _MARKER.search(lead):
            found, closed = None, match.end()
    return found, closed


def _close_fence(text: str, lead: str, fence: str, opened: int) -> str:
    body, _, last = text.rpartition("\n")
    half = last.strip(" \t>")
    if len(text) > opened and half and len(half) < len(fence) and not half.strip(fence[0]):
        text = body
    indentation = _MARKER.sub(lambda match: " " * len(match.group()), lead)
    return f"{text}\n{indentation}{fence}"


def _without_half_line(text: str) -> str:
    """Drop a last line that is nothing but markers: it would show as a raw sign, or make a heading of the line above."""
    end = len(text)
    if text and text[-1] not in _LONE_SIGNS:
        return text
    for _ in range(_MOST_LONE):
        start = text.rfind("\n", 0, end) + 1
        if not end or not _LONE.fullmatch(text, start, end) or _is_delimiter(text, start, end):
            break
        end = _stripped(text, start)
    return text[:end]


def _stripped(text: str, end: int) -> int:
    """Return where `text[:end]` ends without the white space behind it; takes time for that only."""
    while end and text[end - 1].isspace():
        end -= 1
    return end


def _paragraph_start(text: str, start: int) -> int:
    """Return where the text of the last paragraph begins, from `start` on: behind an empty line or the signs that open a block."""
    displays: list[list[tuple[int, int]]] | None = None if "$$" in text or "\\[" in text else []
    end = len(text)
    while end >= start:
        line = max(start, text.rfind("\n", start, end) + 1)
        if not text[line:end].strip(" \t>") and end < len(text):
            return end + 1
        begun = _BLOCK_START.match(text, line)
        if begun:
            if displays is None:
                displays = [_displays(text, start, *signs) for signs in _DISPLAYS]
            if not any(_is_inside(line, places) for places in displays):  # a formula's lines are no blocks
                return begun.end()
        end = line - 1
    return start


def _displays(text: str, start: int, opening: str, closing: str) -> list[tuple[int, int]]:
    """Find the formulas of a kind that may go over several lines; one that is not closed goes to the end of the text."""
    found: list[tuple[int, int]] = []
    at = start
    while (opened := text.find(opening, at)) >= 0:
        closed = text.find(closing, opened + 2)
        at = closed + 2 if closed >= 0 else len(text)
        found.append((opened, at))
    return found


def _is_inside(place: int, places: list[tuple[int, int]]) -> bool:
    """Tell whether a place lies inside one of these, which are in rising order."""
    index = bisect_left(places, (place, 0)) - 1
    return index >= 0 and place < places[index][1]


def _is_delimiter(text: str, start: int, end: int) -> bool:
    """Tell whether the last line, which stands here, can be the second one of a table."""
    if _DELIMITER.fullmatch(text, start, end) is None:
        return False
    above = text.rfind("\n", 0, max(0, start - 1)) + 1
    before = text.rfind("\n", 0, max(0, above - 1)) + 1
    return _ROW.match(text, above, max(0, start - 1)) is not None and (not above or _ROW.match(text, before, above - 1) is None)


def _complete_table(text: str) -> str:
    """Complete the header of a table that has just begun, so that it is a table at once."""
    if "|" not in text:
        return text
    body, _, last = text.rpartition("\n")
    if not last.lstrip().startswith("|") or len(last) > _LONGEST_ROW:
        return text
    if _is_delimiter(text, len(text) - len(last), len(text)):
        head, body = body, body.rpartition("\n")[0]
    else:
        head = text
    if body.rpartition("\n")[2].lstrip().startswith("|"):  # rows stand above: the header is complete already
        return text
    row = head.rpartition("\n")[2].strip()
    if not row.endswith("|") or len(row) == 1:
        head, row = f"{head} |", f"{row} |"
    columns = row.replace("\\|", "").count("|") - 1
    if head is not text and not text.startswith(f"{head} |") and last.count("|") > columns and last.rstrip().endswith("-|"):
        return text
    return f"{head}\n|{'---|' * columns}"


class _Inline:
    """Scans a paragraph for what is open at its end."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[tuple[str, int, int]] = []  # delimiter, how many of it, and where it ends; innermost last
        self._count = {"*": 0, "_": 0, "~": 0}  # of each delimiter in it
        self._formulas: Formulas | None = None  # of the text; most have none
        self._brackets: list[int] = []
        self._formulas_from = -1  # where a formula that is open at the end can begin; -1 while no one has asked
        self._openers = 0  # of formulas that were tried and are none

    def close(self) -> str:
        """Return the text with what is open closed, or held back where nothing of it is there yet."""
        at = 0
        while (closed := _CLOSED.match(self._text, at)) and (sign := _SIGN.match(self._text, closed.end())):
            reached = self._formula(sign.start()) if sign[0] in "\\$" else self._token(sign.start())
            if isinstance(reached, str):
                return reached
            at = reached
        if self._brackets and "\n" not in self._text[self._brackets[-1] :]:
            return self._finish(self._text, "]()")
        return self._finish(self._text, "")

    def _token(self, start: int) -> int | str:
        """Return where to scan on behind a token; the closed text if the token goes on behind its end."""
        text = self._text
        match = _TOKEN.match(text, start)
        if not match:  # an exclamation mark
            return start + 1
        run, at = match.group(), match.end()
        if run[0] == "`":
            at = _code_end(text, at, len(run))
            return at if at >= 0 else self._close_code(start, run)
        if run[0] in "*_~":
            if at == len(text) and not self._closes(run, start):
                self._text = text[:start]
            else:
                self._delimiter(run, start, at)
            return at
        at = self._bracket(run, start, at)
        return at if at >= 0 else self._finish(text[: match.end()], ")")

    def _formula(self, start: int) -> int | str:
        """The same behind a dollar or backslash."""
        if not self._formulas:
            self._formulas = Formulas(self._text)
        found = self._formulas.at(start)
        if found:
            return found.end
        end = start + 2 if self._text[start] == "\\" or self._text.startswith("$$", start) else start + 1
        if not self._may_open(start, end):
            return self._behind_dollars(start, end)
        completed = complete(self._text, start)
        return self._finish(completed, "") if completed is not None else end

    def _behind_dollars(self, start: int, end: int) -> int:
        """Return where to scan on behind a sign that opens nothing: behind those of a row of dollars that open nothing either."""
        row = DOLLARS.match(self._text, start)
        if not row:
            return end
        last = row.end() if self._openers == _MOST_OPENERS else min(row.end(), self._formulas_from - 2)
        return end if last < end else last - (last - start) % 2

    def _may_open(self, start: int, end: int) -> bool:
        """Tell whether a sign can open a formula that goes on to the end of the text: few can, of however many."""
        if self._formulas_from < 0:
            self._formulas_from = open_from(self._text)
        if end < self._formulas_from or self._openers == _MOST_OPENERS:
            return False
        if self._text[start] == "\\":
            closing = _CLOSINGS.get(self._text[start:end])
            if not closing or self._text.find(closing, end) >= 0:
                return False
        self._openers += 1
        return True

    def _bracket(self, run: str, start: int, end: int) -> int:
        """Return where to scan on; -1 if a link's target goes on behind the end."""
        if run[0] != "]":
            self._brackets.append(start)
            return end
        if not self._brackets:
            return end
        self._brackets.pop()
        if run == "]":
            return end
        target = _LINK_TAIL.match(self._text, end)
        if target:
            return target.end()
        return -1 if len(self._text) - end <= _LONGEST_TARGET and _HALF_LINK_TAIL.match(self._text, end) else end

    def _finish(self, text: str, closer: str) -> str:
        parts: list[str] = []  # that go behind the text
        end = _stripped(text, len(text))
        if closer == "]()":
            bracket = self._brackets[-1]
            if text.startswith("^", bracket + 1, end):  # a footnote's sign, of which no part is to be shown
                end, closer = _stripped(text, min(end, bracket)), ""
            elif text.endswith("[", 0, end):
                end -= 2 if text.endswith("![", 0, end) else 1
                end, closer = _stripped(text, end), ""
            else:  # what was opened inside the label closes before the label
                while self._open and self._open[-1][2] > bracket:
                    sign, count, opened = self._open.pop()
                    if parts or end > opened:
                        parts.append(sign * count)
                    else:
                        end = _stripped(text, min(end, opened - count))
        while self._open and not parts and end <= self._open[-1][2]:  # nothing came after it
            _, count, opened = self._open.pop()
            end = _stripped(text, min(end, opened - count))
        return "".join([text[:end], *parts, closer, *[sign * count for sign, count, _ in reversed(self._open)]])

    def _close_code(self, start: int, run: str) -> str:
        content = self._text[start + len(run) :].rstrip()
        inner = content.rstrip("`") if len(run) > 1 else content
        if not inner.strip():
            return self._finish(self._text[:start], "")
        return self._finish(self._text[:start] + run + inner, run)

    def _closes(self, run: str, start: int) -> bool:
        return start > 0 and not self._text[start - 1].isspace() and self._count[run[0]] > 0

    def _delimiter(self, run: str, start: int, end: int) -> None:
        sign, count = run[0], len(run)
        if sign == "~" and count != _STRIKE and not self._closes(run, start):
            return
        if self._closes(run, start) and self._is_right(start, end, sign):
            count = self._shut(sign, count)
        if count and self._is_left(start, end, sign):
            self._open.append((sign, count, end))
            self._count[sign] += 1

    def _shut(self, sign: str, count: int) -> int:
        while count and self._count[sign]:
            opened, many, end = self._open.pop()
            self._count[opened] -= 1
            if opened != sign:
                continue
            used = min(many, count)
            count -= used
            if many > used:
                self._open.append((sign, many - used, end))
                self._count[sign] += 1
        return count

    def _is_left(self, start: int, end: int, sign: str) -> bool:
        """Tell whether a run of delimiters at this place can open; CommonMark calls it left-flanking."""
        after = self._text[end : end + 1]
        if not after or after.isspace():
            return False
        before = self._text[start - 1 : start]
        if sign == "_" and before.isalnum():
            return False
        if after.isalnum() or not before.isalnum():
            return True
        return sign == "*" and not f"{before}{after}".isascii()

    def _is_right(self, start: int, end: int, sign: str) -> bool:
        after = self._text[end : end + 1]
        if sign == "_" and after.isalnum():
            return False
        before = self._text[start - 1 : start]
        return before.isalnum() or not after.isalnum() or (sign == "*" and self._is_meant(start, end))

    def _is_meant(self, start: int, end: int) -> bool:
        """Tell whether stars between a punctuation mark and a letter close the last ones that are open."""
        text = self._text
        sign, count, opened = self._open[-1]
        if sign != "*" or count != end - start:
            return False
        before = text[opened - count - 1 : opened - count]
        return is_meant(count, before, (text[opened], text[start - 1]), text[end : end + 1]) and text.find("\n", opened, start) < 0


def _code_end(text: str, at: int, count: int) -> int:
    """Return where a code span that was opened by `count` backticks ends, -1 if it does not."""
    fence = "`" * count
    while (found := text.find(fence, at)) >= 0:
        end = found + count
        while end < len(text) and text[end] == "`":
            end += 1
        if end - found == count:
            return end
        at = end
    return -1
