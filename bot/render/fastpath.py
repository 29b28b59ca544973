"""The Markdown that models nearly always write, read without the parser.

Most lines hold text, words marked alone, code and links, nothing of which can mean two things. One expression tells those, another cuts
them, in a fifth of the time that the parser's events take. Whatever is not certain is left to the parser: what is said here is what
`bot.render.markdown.read` would say without it, or nothing (`tests/unit/test_render_fastpath.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bot.render.boundary import fence_close
from bot.render.document import BOLD, CODE, ITALIC, STRIKE, Block, Kind, Span
from bot.render.formula import Formula
from bot.render.latex import readable
from bot.render.links import is_link
from bot.render.table import Cell, table_spans

_new = tuple.__new__  # see bot.render.markdown
_TEXT, _HEADING, _CODE_BLOCK, _RULE = Kind.TEXT, Kind.HEADING, Kind.CODE, Kind.RULE

# What `bot.render.mask` puts in: a text that holds one itself is read otherwise. Two of them stand for formulas here.
_STAND_IN = re.compile("[\u1680\u2e45-\u2e4e]")
_FORMULA, _LONG_FORMULA = "\u2e47\u2e48"  # in one line, over several

_LETTER = r"[^\W_]"
_BEHIND = r"(?=[ ,.:;?)\n]|\Z)"
# Text that means itself wherever it stands, with signs that what stands beside them makes harmless. Every choice begins with the sign
# that it is about: then only one of them is tried.
_PLAIN = rf"[^\\`*_~\[\]<&!\t\n{_FORMULA}{_LONG_FORMULA}]++|_(?<={_LETTER}_)(?={_LETTER})|!(?!\[)|&(?=[ \n])|<(?=[ =0-9])"
_CODE = rf"`(?! )[^`*\n{_FORMULA}{_LONG_FORMULA}]++(?<! )`(?!`)"
_INNER = rf"(?:{_PLAIN}|{_CODE})++(?<!\s)"


def _marked(stars: str) -> str:
    """Match marks that open and close for certain: a letter is inside of them, or nothing that changes what they mean is outside."""
    opened = rf"{stars}(?:(?={_LETTER})|(?<![^ (\n]{stars})(?=[^\s*]))"
    return rf"{opened}{_INNER}{stars}(?:(?<={_LETTER}{stars})|{_BEHIND})(?!\*)"


_STRIKE = rf"~~(?<![^ (\n]~~)(?={_LETTER})(?:{_PLAIN})++(?<={_LETTER})~~{_BEHIND}"
_LINK = rf"\[(?={_LETTER})(?:{_PLAIN})++\]\((?:https?://[^\s()\\<>;$*`\[\]{_FORMULA}{_LONG_FORMULA}]++)?+\)"  # empty if half-written
_INLINE = re.compile(
    rf"(?:{_PLAIN}|\n)++|{_CODE}|{_marked('[*][*]')}|{_marked('[*]')}|{_marked('[*][*][*]')}|{_LINK}|{_STRIKE}|[{_FORMULA}{_LONG_FORMULA}]"
)
_TOKENS = frozenset(f"~[{_FORMULA}{_LONG_FORMULA}")
_CODE_CUT = re.compile("`([^`]++)`")

# A line that begins so is, or may be, more than the text of a paragraph.
_MORE = r"[-+#>|=: \t]|\*[ \t]|```|~~~|[0-9]{1,9}[.)](?:[ \t\n]|\Z)"
_OPENS = re.compile(_MORE)
_HASHES = re.compile(r"(#{1,6}) (?=[^ #\n])")
_ITEM = re.compile(rf"( *)(?:([-*+])|(0|[1-9][0-9]{{0,8}})([.)])) {{1,4}}((?!{_MORE})[^\n]++)(?<! )(?:\n|\Z)")
_THEMATIC_BREAK = re.compile(r"(?:-{3,}+|\*{3,}+|_{3,}+)(?=\n|\Z)")
_FENCE = re.compile(r"(`{3,}+)([^`\n\\&]*+)\n")
_DELIMITER = re.compile(r" *(:?)-++(:?) *")
_ALIGNMENTS = {("", ""): "None", (":", ""): "Left", (":", ":"): "Center", ("", ":"): "Right"}
_LANGUAGE = re.compile(r"[\w+#.-]{1,32}", re.ASCII)
_LOSSY = re.compile(r"\n[ \t]*[>\t]")  # lines of a formula that `bot.render.mask` changes
_NO_CELL = Cell("", 0, 0)
_FURTHEST = 4  # columns from a list item's text on that begin code


class _UncertainError(Exception):
    """The parser has to tell."""


class Known:
    """What is read of a paragraph that may grow.

    Attributes:
        head: Its beginning, and the sign behind that: no piece of a line depends on what stands further behind it.
        spans: What its beginning says.
    """

    __slots__ = ("head", "spans")

    def __init__(self) -> None:
        self.head = ""
        self.spans: list[Span] = []


class _List(NamedTuple):
    """An open list: columns of its markers and of its last item's text, what makes its markers, and the last number."""

    column: int
    text: int
    sign: str
    number: int


def blocks(source: str, number: int | None, formulas: Sequence[Formula], known: Known | None = None) -> list[Block] | None:
    """Read Markdown; None if it is not that simple.

    Args:
        source: CommonMark that went through `clean`.
        number: See `bot.render.markdown.read`.
        formulas: Where they stand in the source, in rising order.
        known: Of the last source, of which this one may be what it has grown to.
    """
    if not source.isascii() and _STAND_IN.search(source):
        return None
    try:
        return _Reader(source, number, formulas, known).read()
    except _UncertainError:
        return None


def language(info: str) -> str:
    """Return the language that the first line of a fence says, or nothing."""
    words = info.split()
    found = _LANGUAGE.fullmatch(words[0].strip("{}").lstrip(".")) if words else None
    return found.group() if found else ""


def _stood_in(source: str, formulas: Sequence[Formula]) -> str:
    """Put one sign in for each formula."""
    parts: list[str] = []
    at = 0
    for formula in formulas:
        parts += [source[at : formula.start], _LONG_FORMULA if source.find("\n", formula.start, formula.end) >= 0 else _FORMULA]
        at = formula.end
    text = "".join([*parts, source[at:]])
    if "{" in text or "}" in text:  # the parser counts them for the dollars behind
        raise _UncertainError
    return text


class _Reader:
    """Reads line by line. Every method that reads a block takes where it begins and returns where it ends, behind the line break."""

    def __init__(self, source: str, number: int | None, formulas: Sequence[Formula], known: Known | None) -> None:
        self._text = _stood_in(source, formulas) if formulas else source
        self._source = source
        self._formulas = iter(formulas)
        self._has_formulas = bool(formulas)
        self._known = None if formulas else known
        self._number = number
        self._blocks: list[Block] = []
        self._in_paragraph = False  # the line above is one's
        self._below_list = False

    def read(self) -> list[Block]:
        text, at = self._text, 0
        end = len(text)
        while at < end:
            first = text[at]
            if first == "\n":
                at += 1
                self._in_paragraph = False
                continue
            step = _STEPS.get(first)
            at = step(self, at) if step else self.paragraph(at)
        return self._blocks

    def _add(self, kind: Kind, text: str, level: int = 0, quote: int = 0) -> None:
        self._emit((kind, self._inline(text, self._known), level, "", quote, 0, "", None, True, 0, 1, 0, None, ""))
        self._below_list = False

    def _emit(self, values: tuple[object, ...]) -> None:
        self._blocks.append(_new(Block, values))

    def _line_end(self, at: int) -> int:
        end = self._text.find("\n", at)
        return end if end >= 0 else len(self._text)

    def _must_end(self, end: int) -> int:
        """Return where the next block begins, below an empty line: what stands right below may belong to this one."""
        if not (end >= len(self._text) - 1 or self._text[end + 1] == "\n"):
            raise _UncertainError
        return end + 1

    # ------------------------------------------------------------------------------------------------------- blocks

    def paragraph(self, at: int) -> int:
        text = self._text
        if _OPENS.match(text, at):
            raise _UncertainError
        end = self._line_end(at)
        while end + 1 < len(text) and text[end + 1] != "\n" and not _OPENS.match(text, end + 1):
            end = self._line_end(end + 1)
        body = text[at:end]
        if body[-1] == " " or " \n" in body:  # breaks the line
            raise _UncertainError
        self._add(_TEXT, body)
        self._in_paragraph = True
        return end + 1

    def heading(self, at: int) -> int:
        hashes = _HASHES.match(self._text, at)
        end = self._line_end(at)
        if not hashes or self._text[end - 1] in "# ":
            raise _UncertainError
        self._add(_HEADING, self._of_one_line(self._text[hashes.end() : end]), len(hashes[1]))
        self._in_paragraph = False
        return end + 1

    def quote(self, at: int) -> int:
        end = self._line_end(at)
        body = self._text[at + 2 : end]
        if self._text[at + 1 : at + 2] != " " or not body or body[-1] == " " or _OPENS.match(body):
            raise _UncertainError
        self._add(_TEXT, self._of_one_line(body), quote=1)
        return self._must_end(end)

    def thematic_break(self, at: int) -> int:
        found = _THEMATIC_BREAK.match(self._text, at)
        if not found:
            return self.paragraph(at)
        if self._in_paragraph:
            raise _UncertainError
        self._emit((_RULE, (), 0, "", 0, 0, "", None, True, 0, 0, 0, None, ""))
        self._below_list = False
        return found.end() + 1

    def fence(self, at: int) -> int:
        opened = _FENCE.match(self._text, at)
        if not opened:
            return self.paragraph(at)
        end = fence_close(self._text, opened.end() - 1, opened[1])
        line = self._text.rfind("\n", 0, end) + 1
        if end < 0 or line <= opened.end():
            raise _UncertainError
        code = self._text[opened.end() : line]
        if _FORMULA in code or _LONG_FORMULA in code:
            code = "".join([self._unread() if char in (_FORMULA, _LONG_FORMULA) else char for char in code])
        span = _new(Span, (code, 0, None, 0, 0))
        self._emit((_CODE_BLOCK, (span,), 0, language(opened[2]), 0, 0, "", None, True, 0, 1, 0, None, ""))
        self._in_paragraph = self._below_list = False
        return end + 1

    def _unread(self) -> str:
        """Return the next formula as it was written."""
        formula = next(self._formulas)
        said = self._source[formula.start : formula.end]
        if _LOSSY.search(said):
            raise _UncertainError
        return said

    def table(self, at: int) -> int:
        if self._has_formulas:  # one may hold what parts two cells
            raise _UncertainError
        lines: list[list[str]] = []
        text, end = self._text, at - 1
        while end + 1 < len(text) and text[end + 1] != "\n":
            begin, end = end + 1, self._line_end(end + 1)
            if text[begin] != "|" or not text[begin:end].strip("| "):  # a sign alone is no row
                raise _UncertainError
            lines.append(text[begin + 1 : end - (text[end - 1] == "|")].split("|"))
        rules = [_DELIMITER.fullmatch(cell) for cell in lines[1]] if len(lines) > 1 else [None]
        alignments = tuple([_ALIGNMENTS[rule[1], rule[2]] for rule in rules if rule])
        count = len(alignments)
        if self._in_paragraph or not (count == len(rules) == len(lines[0])) or text[at + len("|".join(lines[0])) + 1] != "|":
            raise _UncertainError
        del lines[1]
        rows: list[list[Cell]] = []
        for line in lines:
            cells = [_new(Cell, (self._cell(cell.strip(" ")), 0, 0)) for cell in line]
            if len(cells) > count:
                raise _UncertainError
            rows.append(cells + [_NO_CELL] * (count - len(cells)))
        spans = tuple(table_spans(rows, alignments, 0, located=False))
        self._emit((_CODE_BLOCK, spans, 0, "", 0, 0, "", None, True, 0, 1, 0, None, ""))
        self._below_list = False
        return end + 1

    def _cell(self, text: str) -> str:
        """Return what is to be read in a cell: tables are code, in which nothing is marked."""
        parts: list[str] = []
        size = 0
        for piece in _INLINE.findall(text):
            size += len(piece)
            first = piece[0]
            if first == "`":
                parts.append(piece[1:-1])
            elif first == "*":
                parts.append(piece.strip("*").replace("`", ""))
            elif first in _TOKENS:
                span = self._token(piece)
                if span.url:
                    raise _UncertainError
                parts.append(span.text)
            else:
                parts.append(piece)
        if size != len(text):
            raise _UncertainError
        return "".join(parts).replace("\n", " ").strip()

    def _of_one_line(self, text: str) -> str:
        if self._has_formulas and _LONG_FORMULA in text:
            raise _UncertainError
        return text

    # -------------------------------------------------------------------------------------------------------- lists

    def list_or_other(self, at: int) -> int:
        text = self._text
        size = len(text)
        item = _ITEM.match(text, at)
        if not item:
            return self.thematic_break(at)
        if self._below_list:  # the empty line between them may part all items of one list
            raise _UncertainError
        lists: list[_List] = []
        while item:
            spaces, sign, _, stop, said = item.groups()
            column = len(spaces)
            if lists and column == lists[-1].column and lists[-1].sign == (sign or stop):
                first, number = False, lists[-1].number + 1
                lists[-1] = _new(_List, (column, item.start(5) - at, sign or stop, number))
            else:
                first = self._enter(lists, column, item)
                number = lists[-1].number
            marker, depth = "-" if sign else f"{number}.", len(lists)
            spans = self._inline(self._of_one_line(said) if self._has_formulas else said)
            self._emit((_TEXT, spans, 0, "", 0, depth, marker, None, first and depth == 1, 0, 1, 0, None, ""))
            at = item.end()
            if at >= size or text[at] == "\n":
                self._below_list = True
                return at
            item = _ITEM.match(text, at)
        raise _UncertainError

    def _enter(self, lists: list[_List], column: int, item: re.Match[str]) -> bool:
        """Open the list that an item begins, or go on with one further out. Tell whether it is the first one there."""
        _, sign, digits, stop, _ = item.groups()
        text, signs = item.start(5) - item.start(), sign or stop
        left = len(lists)
        while lists and column < lists[-1].column:
            lists.pop()
        above = lists[-1] if lists else None
        if above and column == above.column:
            if above.sign != signs:
                raise _UncertainError
            lists[-1] = _new(_List, (column, text, signs, above.number + 1))
            return False
        number = int(digits) if digits else 0
        if above:
            if left > len(lists) or not above.text <= column < above.text + _FURTHEST or number > 1 or digits == "0":
                raise _UncertainError
        elif column or (self._in_paragraph and digits and number != 1):
            raise _UncertainError
        elif digits and self._number is not None and not self._blocks:
            number = self._number
        lists.append(_new(_List, (column, text, signs, number)))
        return True

    # ------------------------------------------------------------------------------------------------------- inline

    def _inline(self, text: str, known: Known | None = None) -> tuple[Span, ...]:
        """Cut a line into spans; go on where the last call with `known` ended, if it is the same line that has grown."""
        spans: list[Span] = []
        size, piece = 0, ""
        if known and known.spans and text.startswith(known.head):
            size, spans = len(known.head) - 1, known.spans.copy()
        for piece in _INLINE.findall(text, size):
            size += len(piece)
            first = piece[0]
            if first == "`":
                spans.append(_new(Span, (piece[1:-1], CODE, None, 0, 0)))
            elif first == "*":
                if "`" in piece:
                    _mark(piece, spans)
                elif piece[1] != "*":
                    spans.append(_new(Span, (piece[1:-1], ITALIC, None, 0, 0)))
                else:
                    spans.append(
                        _new(Span, (piece[2:-2], BOLD, None, 0, 0) if piece[2] != "*" else (piece[3:-3], BOLD | ITALIC, None, 0, 0))
                    )
            elif first in _TOKENS:
                spans.append(self._token(piece))
            else:
                spans.append(_new(Span, (piece, 0, None, 0, 0)))
        if size != len(text):
            raise _UncertainError
        if known and not (piece[0] == "*" and "`" in piece):  # the last piece is one span, and may become longer
            known.head, known.spans = text[: size - len(piece) + 1], spans[:-1]
        return tuple(spans)

    def _token(self, token: str) -> Span:
        """Return a link, struck out text or a formula."""
        if token[0] == "[":
            label, _, target = token[1:-1].partition("](")
            if target and not is_link(target):
                raise _UncertainError
            return _new(Span, (label, 0, target or None, 0, 0))
        if token[0] == "~":
            return _new(Span, (token[2:-2], STRIKE, None, 0, 0))
        formula = next(self._formulas)
        said = self._source[formula.opened : formula.closed]
        if token == _LONG_FORMULA and _LOSSY.search(said):
            raise _UncertainError
        return _new(Span, (readable(said) or f"${said}$", 0, None, 0, 0))


def _mark(token: str, spans: list[Span]) -> None:
    """Add the spans of marked text that holds code."""
    text = token.strip("*")
    width = (len(token) - len(text)) // 2
    marks = (ITALIC, BOLD, BOLD | ITALIC)[width - 1]
    for index, piece in enumerate(_CODE_CUT.split(text)):
        if piece:
            spans.append(_new(Span, (piece, marks | CODE if index % 2 else marks, None, 0, 0)))


# How a line is read, by the sign that it begins with; as a paragraph if that is none of them.
_STEPS: dict[str, Callable[[_Reader, int], int]] = {
    "#": _Reader.heading,
    ">": _Reader.quote,
    "|": _Reader.table,
    "`": _Reader.fence,
    "_": _Reader.thematic_break,
    **dict.fromkeys("-*+0123456789", _Reader.list_or_other),
}
