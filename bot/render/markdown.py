"""CommonMark with tables, strikethrough, task lists and formulas → blocks. The one parse that both renderings share.

What models write and chats can't show is turned into what can be shown here, once for both: raw HTML is text, images are links, tables
are code, formulas are lines of signs, links that are neither http nor https are text (`tg://user` would mention a person).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import pyromark

from bot.render import fastpath
from bot.render.document import BOLD, CODE, ITALIC, STRIKE, Block, Kind, Span
from bot.render.formula import formulas_in, may_hold_formulas
from bot.render.latex import readable
from bot.render.links import is_link
from bot.render.mask import NONE, Masked, Places, flattened, mask
from bot.render.references import NOTE, resolver
from bot.render.symbols import SUPERSCRIPTS
from bot.render.table import Cell, table_spans
from bot.render.text import is_blank

_OPTIONS = (
    pyromark.Options.ENABLE_TABLES
    | pyromark.Options.ENABLE_STRIKETHROUGH
    | pyromark.Options.ENABLE_TASKLISTS
    | pyromark.Options.ENABLE_MATH
)
DEEPEST = 24
"""Lists and quotes that stand in each other. In a line that opens more, what follows is text: a thousand would take long to read."""
_new = tuple.__new__  # a third of what calling the class costs; every field has to be given
_BREAK = re.compile(r"\s*<br\s*/?>\s*", re.IGNORECASE)
_NOWHERE: pyromark.event.Range = {"start": 0, "end": 0}
_MARKS = {"Emphasis": ITALIC, "Strong": BOLD, "Strikethrough": STRIKE}


def read(
    source: str, *, located: bool = False, number: int | None = None, targets: Mapping[str, str] = NONE, known: fastpath.Known | None = None
) -> list[Block]:
    """Parse Markdown. Never fails on text that went through `clean`.

    Args:
        source: CommonMark.
        located: Give every span and block its place in the source; takes twice the time.
        number: Number of the first list item, if the source begins with one; its own number otherwise.
        targets: Of references, by label in lower case, that were defined before.
        known: Of what was read the last time.
    """
    formulas = formulas_in(source) if may_hold_formulas(source) else ()
    if not (located or targets) and (blocks := fastpath.blocks(source, number, formulas, known)) is not None:
        return blocks
    masked = mask(source, targets, formulas)
    try:
        return _read(source, masked, number, located=located, deepest=DEEPEST)
    except _TooDeepError:
        return _read(source, flattened(masked, DEEPEST), number, located=located, deepest=len(source))


def _read(source: str, masked: Masked, number: int | None, *, located: bool, deepest: int) -> list[Block]:
    reader = _Reader(source, masked, number, located=located, deepest=deepest)
    if located:
        return reader.read_located(parsed(source, masked))
    return reader.read(pyromark.events(masked.text, options=_OPTIONS, broken_link_callback=resolver(source, masked)))


def parsed(source: str, masked: Masked) -> Iterable[tuple[pyromark.event.Event, pyromark.event.Range]]:
    """Return the parser's events, and where each stands in the masked text, in bytes."""
    return pyromark.events_with_range(masked.text, options=_OPTIONS, broken_link_callback=resolver(source, masked))


class _TooDeepError(Exception):
    """Lists and quotes stand in each other as nobody writes them."""


class _Leaf(NamedTuple):
    """The block that spans are being collected for."""

    kind: Kind = Kind.TEXT
    level: int = 0
    language: str = ""
    start: int | None = None
    fence: str = ""
    loose: bool = False


class _Item(NamedTuple):
    """A list item that has no block yet."""

    marker: str
    start: int
    first: bool


_TEXT = Kind.TEXT
_INLINE = _Leaf()
_PARAGRAPH = _Leaf(start=0, loose=True)


class _Reader:
    """Turns parser events into blocks."""

    def __init__(self, source: str, masked: Masked, number: int | None, *, located: bool, deepest: int) -> None:
        self._blocks: list[Block] = []
        self._source = source
        self._number = number
        self._located = located
        self._deepest = deepest
        self._masked = bool(masked.used)
        self._unmask, self._formula = masked.unmask, masked.formula
        self._char = Places(masked).char if located else int
        self._pieces: list[str] = []  # text that has no span yet
        self._piece_at = self._piece_end = 0  # where it stands, in bytes, if `located`
        self._spans: list[Span] = []
        self._marks = 0
        self._links: list[tuple[str, int]] = []  # target and index of its first span, innermost last
        self._url: str | None = None
        self._lists: list[int | None] = []  # next number of each open list; None for bullets
        self._begun: list[bool] = []  # whether each open list had an item
        self._quote = 0
        self._item: _Item | None = None
        self._task: bool | None = None
        self._anchor: tuple[int, int | None] = (0, None)
        self._leaf = _INLINE
        self._alignments: tuple[str, ...] = ()
        self._rows: list[list[Cell]] = []
        self._rule_at = 0
        self._in_table = False

    def read(self, events: Iterable[Any]) -> list[Block]:  # noqa: C901, PLR0912 - a call for each would cost most
        """Go through the events, each a string or a dictionary with one entry."""
        unmask, masked, marks_of = self._unmask, self._masked, _MARKS
        text = ""  # that has no span yet; it comes in pieces
        tag: Any = None
        for event in events:
            if type(event) is str:
                if event != "Rule":
                    text += "\n"
                    continue
                name = event
            else:
                name, tag = event.popitem()
                if name == "Text":
                    text += tag
                    continue
            if text:
                if masked and not text.isascii():
                    text = unmask(text)
                self._spans.append(_new(Span, (text, self._marks, self._url, 0, 0)))
                text = ""
            if name == "End":
                if type(tag) is not str:
                    self._end(tag)
                elif tag in marks_of:
                    self._marks &= ~marks_of[tag]
                elif tag in _ENDS:
                    _ENDS[tag](self, _NOWHERE)
            elif name == "Start":
                if type(tag) is not str:
                    ((kind, value),) = tag.items()
                    self._start(kind, value, _NOWHERE)
                elif tag in marks_of:
                    self._marks |= marks_of[tag]
                elif tag in _STARTS:
                    _STARTS[tag](self, _NOWHERE)
            elif name == "Code":
                if masked and not tag.isascii():
                    tag = unmask(tag)
                self._spans.append(_new(Span, (tag, self._marks | CODE, self._url, 0, 0)))
            elif name == "Rule":
                self._rule(_NOWHERE)
            else:
                self._other(name, tag, _NOWHERE)
        if text:
            self._spans.append(_new(Span, (unmask(text), self._marks, self._url, 0, 0)))
        self._flush()
        return self._blocks

    def read_located(self, pairs: Iterable[tuple[Any, pyromark.event.Range]]) -> list[Block]:  # noqa: C901, PLR0912 - the same with places
        """Go through the events and their places."""
        for event, where in pairs:
            if type(event) is str:
                if event == "Rule":
                    self._rule(where)
                else:
                    self._piece("\n", where)
                continue
            ((name, tag),) = event.items()
            if name == "Text":
                self._piece(tag, where)
                continue
            if self._pieces:
                self._join()
            if name == "End":
                if type(tag) is not str:
                    self._end(tag)
                elif tag in _MARKS:
                    self._marks &= ~_MARKS[tag]
                elif tag in _ENDS:
                    _ENDS[tag](self, where)
            elif name == "Start":
                if type(tag) is not str:
                    ((kind, value),) = tag.items()
                    self._start(kind, value, where)
                elif tag in _MARKS:
                    self._marks |= _MARKS[tag]
                elif tag in _STARTS:
                    _STARTS[tag](self, where)
            else:
                self._other(name, tag, where)
        self._flush()
        return self._blocks

    # ------------------------------------------------------------------------------------------------------ inline

    def _join(self) -> None:
        """Make one span of the pieces that text comes in."""
        pieces = self._pieces
        text = pieces[0] if len(pieces) == 1 else "".join(pieces)
        pieces.clear()
        if self._masked and not text.isascii():
            text = self._unmask(text)
        if self._located:
            self._spans.append(_new(Span, (text, self._marks, self._url, self._char(self._piece_at), self._char(self._piece_end))))
        else:
            self._spans.append(_new(Span, (text, self._marks, self._url, 0, 0)))

    def _piece(self, text: str, where: pyromark.event.Range) -> None:
        """Take a piece of text with its place: pieces that follow each other in the source, too, make one span."""
        start, end = where["start"], where["end"]
        as_it_is = end - start == (len(text) if text.isascii() else len(text.encode()))
        if self._pieces and not (as_it_is and start == self._piece_end):
            self._join()
        if not self._pieces:
            self._piece_at = start
        self._pieces.append(text)
        self._piece_end = end
        if not as_it_is:  # nor does it go with what follows
            self._join()

    def _add(self, text: str, marks: int, where: pyromark.event.Range) -> None:
        if self._pieces:
            self._join()
        if self._masked and not text.isascii():
            text = self._unmask(text)
        start, end = (self._char(where["start"]), self._char(where["end"])) if self._located else (0, 0)
        self._spans.append(_new(Span, (text, self._marks | marks, self._url, start, end)))

    def _other(self, name: str, value: Any, where: pyromark.event.Range) -> None:
        if name == "Code":
            self._add(value, CODE, where)
            if self._located:
                self._locate_code()
        elif name in {"InlineMath", "DisplayMath"}:
            self._add_formula(value, where)
        elif name == "TaskListMarker":
            self._task = value
        else:  # HTML that was not masked
            self._add(value, 0, where)

    def _locate_code(self) -> None:
        span = self._spans[-1]
        at = self._source.find(span.text, span.start, span.end) if span.text else -1
        if at >= 0:
            self._spans[-1] = span._replace(start=at, end=at + len(span.text))

    def _add_formula(self, value: str, where: pyromark.event.Range) -> None:
        source = self._formula(value)
        if self._quote:
            source = re.sub(rf"\n(?:[ \t]*>){{1,{self._quote}}}", "\n", source)
        self._add(readable(source) or f"${source}$", 0, where)
        self._keep_apart()

    def _keep_apart(self) -> None:
        """See to it that the last span is not taken for its source, by its length."""
        span = self._spans[-1]
        if span.end - span.start == len(span.text):
            self._spans[-1] = span._replace(end=span.end - 1)

    def _open_link(self, url: str) -> None:
        self._links.append((url, len(self._spans)))
        self._url = url if is_link(url) else None

    def close_link(self, where: pyromark.event.Range) -> None:
        url, first = self._links.pop()
        if url == NOTE:
            self._close_note(first, where)
            return
        allowed = not self._in_table and is_link(url)  # a table becomes code, which holds no links
        label = _label(self._spans, first, len(url) + len("mailto:"))
        if url and (is_blank(label) or not (allowed or url in {label, f"mailto:{label}"})):
            start = self._spans[-1].end if label else self._char(where["start"])
            shown = url if is_blank(label) else f" ({url})"
            self._spans.append(Span(shown, self._marks, url if allowed else None, start, max(start, self._char(where["end"]))))
        outer = self._links[-1][0] if self._links else ""
        self._url = outer if outer and is_link(outer) else None

    def _close_note(self, first: int, where: pyromark.event.Range) -> None:
        """Write the sign of a footnote, at its place in the text or before the note itself."""
        label = "".join([span.text for span in self._spans[first:]]).removeprefix("^")
        del self._spans[first:]
        self._add(label.translate(SUPERSCRIPTS) if label.isdecimal() else f"[{label}]", 0, where)
        self._keep_apart()

    # ------------------------------------------------------------------------------------------------------ blocks

    def _start(self, name: str, value: Any, where: pyromark.event.Range) -> None:
        if name in {"Link", "Image"}:
            self._open_link(self._unmask(value["dest_url"]))
        elif name == "List":
            self._flush()
            self._spend_item()
            self._lists.append(value)
            self._begun.append(False)
            self._check_depth()
        elif name == "CodeBlock":
            self._open_code(value, self._char(where["start"]))
        elif name == "Heading":
            self._open(_Leaf(Kind.HEADING, int(value["level"][1]), start=self._char(where["start"])))
        elif name == "BlockQuote":
            self._flush()
            self._spend_item()
            self._set_anchor(where)
            self._quote += 1
            self._check_depth()
        elif name == "Table":
            self._open(_Leaf(Kind.CODE, start=self._char(where["start"])))
            self._alignments, self._rows, self._in_table = value, [], True

    def _check_depth(self) -> None:
        if len(self._lists) + self._quote > self._deepest:
            raise _TooDeepError

    def _end(self, tag: Any) -> None:
        self._flush()
        if "List" in tag:
            self._lists.pop()
            self._begun.pop()
        elif "BlockQuote" in tag:
            self._quote -= 1

    def open_paragraph(self, where: pyromark.event.Range) -> None:
        self._open(_PARAGRAPH._replace(start=self._char(where["start"])) if self._located else _PARAGRAPH)

    def open_html(self, where: pyromark.event.Range) -> None:
        self._open(_Leaf(start=self._char(where["start"])))

    def open_row(self, _: pyromark.event.Range) -> None:
        self._rows.append([])

    def close_item(self, _: pyromark.event.Range) -> None:
        self._flush()
        if self._item:
            self._spend_item()

    def close_table(self, _: pyromark.event.Range) -> None:
        self._in_table = False
        self._spans = table_spans(self._rows, self._alignments, self._rule_at, located=self._located)
        self._flush()

    def close(self, _: pyromark.event.Range) -> None:
        self._flush()

    def _open(self, leaf: _Leaf) -> None:
        if self._spans or self._pieces:
            self._flush()
        self._leaf = leaf
        if self._located and not self._lists and not self._quote:
            self._anchor = (self._line(leaf.start or 0), None)

    def _open_code(self, kind: Any, start: int) -> None:
        name = fastpath.language(kind["Fenced"]) if kind != "Indented" else ""
        fence = ""
        if self._located and kind != "Indented" and not self._lists and not self._quote:
            fence = self._source[self._line(start) :].partition("\n")[0] + "\n"
        self._open(_Leaf(Kind.CODE, language=name, start=start, fence=fence))

    def open_item(self, where: pyromark.event.Range) -> None:
        if self._spans or self._pieces:
            self._flush()
        number = self._lists[-1]
        if number is not None:
            if self._number is not None and not self._blocks and len(self._lists) == 1:
                number = self._number
            self._lists[-1] = number + 1
        start = self._char(where["start"])
        if self._located and len(self._lists) == 1 and not self._quote:
            self._anchor = (self._line(start), number)
        self._item = _new(_Item, ("-" if number is None else f"{number}.", start, not self._begun[-1]))
        self._begun[-1] = True

    def close_cell(self, where: pyromark.event.Range) -> None:
        spans = self._spans
        text = (spans[0].text if len(spans) == 1 else "".join([span.text for span in spans])).replace("\n", " ").strip()
        if "<br" in text:  # the way to break a line in a cell
            text = _BREAK.sub(" ", text)
        start, end = (self._char(where["start"]), self._char(where["end"])) if self._located else (0, 0)
        self._rows[-1].append(_new(Cell, (text, start, end)))
        if len(self._rows) == 1:  # healing may have made the end of the header row: its text ends in what is really there
            self._rule_at = spans[-1].end if spans else start
        self._spans = []

    def _rule(self, where: pyromark.event.Range) -> None:
        start = self._char(where["start"])
        self._open(_Leaf(Kind.RULE, start=start))
        self._emit(start, self._char(where["end"]))

    def _spend_item(self) -> None:
        """Show an item that has no text of its own: its marker stands alone."""
        if self._item:
            self._emit(self._item.start, self._item.start + 1)

    def _flush(self) -> None:
        if self._pieces:
            self._join()
        if self._spans:
            first = self._spans[0].start
            start = self._leaf.start
            if start is None:
                start = first
                if self._located and not self._lists and not self._quote:
                    self._anchor = (self._line(first), None)
            self._emit(start, max(start + 1, self._spans[-1].end))
        self._leaf = _INLINE

    def _emit(self, start: int, end: int) -> None:
        item, leaf = self._item, self._leaf
        depth = len(self._lists)
        marker, gap = "", True
        if item:
            marker, start = item.marker, item.start
            gap = leaf.loose or (item.first and depth == 1)
        elif depth and leaf.kind is _TEXT:
            gap = leaf.loose
        spans = tuple(self._spans)
        values = (leaf.kind, spans, leaf.level, leaf.language, self._quote, depth, marker, self._task, gap, start, end)
        self._blocks.append(_new(Block, (*values, *self._anchor, leaf.fence)))
        self._spans = []
        self._item = self._task = None

    def _set_anchor(self, where: pyromark.event.Range) -> None:
        if self._located and not self._lists and not self._quote:
            self._anchor = (self._line(self._char(where["start"])), None)

    def _line(self, start: int) -> int:
        return self._source.rfind("\n", 0, start) + 1


def _label(spans: Sequence[Span], first: int, most: int) -> str:
    """Return what spans say, from the first one on; no more than is needed to see that it is neither empty nor of so many characters."""
    parts: list[str] = []
    size = 0
    for index in range(first, len(spans)):
        parts.append(spans[index].text)
        size += len(parts[-1])
        if size > most and not is_blank(parts[-1]):
            break
    return "".join(parts)


# What is done where a tag begins or ends that is a name alone.
_Step: TypeAlias = Callable[[_Reader, "pyromark.event.Range"], None]
_STARTS: dict[str, _Step] = {
    "Paragraph": _Reader.open_paragraph,
    "Item": _Reader.open_item,
    "TableHead": _Reader.open_row,
    "TableRow": _Reader.open_row,
    "HtmlBlock": _Reader.open_html,
}
_ENDS: dict[str, _Step] = {
    "Paragraph": _Reader.close,
    "Item": _Reader.close_item,
    "TableCell": _Reader.close_cell,
    "Table": _Reader.close_table,
    "Link": _Reader.close_link,
    "Image": _Reader.close_link,
    "CodeBlock": _Reader.close,
    "HtmlBlock": _Reader.close,
}
