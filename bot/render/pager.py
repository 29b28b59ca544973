"""A growing text as pages that each fit one message.

A page that is followed by another never changes again and is not rendered again: what it holds is cut off the text, up to the last place
where reading can start anew (a block, a list item or a line of a fence).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bot.render.base import Rendered, Style
from bot.render.document import Block
from bot.render.heal import heal
from bot.render.markdown import read
from bot.render.split import Cut, Splitter, drop, take
from bot.render.text import clean, escape, is_blank

_ROOM = 2  # positions beyond the limit: the last block's own one and its neighbour's

_WINDOW = 4  # pages of source read at once, so that a long text that comes in one piece is not read whole for each of its pages

_LEAST_WINDOW = 8000  # characters


class _Page(NamedTuple):
    """The last page, and what it was made of."""

    shown: Rendered
    blocks: list[Block]


class Pager:
    """Pages of one answer."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._frozen: list[Rendered] = []
        self._live: _Page | None = None
        self._seen = 0  # characters of the text that are in `_tail` or were
        self._tail = ""
        self._cut = Cut(0)  # where the last page begins in `_tail`
        self._number: int | None = None  # of the list item that `_tail` begins with
        self._window = max(style.limit * _WINDOW, _LEAST_WINDOW)

    def pages(self, markdown: str, *, final: bool = False, note: str = "") -> tuple[Rendered, ...]:
        """Render the text so far. Costs time in proportion to the last page, not to the text. Never fails.

        Args:
            markdown: Begins with what was given the last time; only what is new is looked at.
            final: Nothing follows, so what looks half-written is meant.
            note: The bot's own Markdown below a final text. Whatever the text left open does not reach it. It stands on the last page, or
                on pages of its own if there is no room or no text.

        Returns:
            Pages, none of them empty or longer than the style allows; none at all while there is nothing to see.
        """
        self._take_in(markdown, final=final)
        page = self._last_page(final=final)
        if is_blank(page.shown.text) and final and not self._frozen and not is_blank(self._tail):
            self._tail, self._cut = escape(self._tail), Cut(0)  # markup of nothing, but all that was said
            page = self._last_page(final=True)
        if not is_blank(page.shown.text):
            self._live = page
        if final and note:
            return (*self._frozen, *self._with_note(note))
        return (*self._frozen, self._live.shown) if self._live else tuple(self._frozen)

    def _with_note(self, note: str) -> tuple[Rendered, ...]:
        """Return the last page with the note below it; blocks know nothing of what was open in the text that they were read from."""
        if not self._live:
            return Pager(self._style).pages(note, final=True)
        below = self._style.write([*self._live.blocks, *read(clean(note))])
        if self._style.measure(below) <= self._style.limit:
            return (below,)
        return (self._live.shown, *Pager(self._style).pages(note, final=True))

    def _last_page(self, *, final: bool) -> _Page:
        """Freeze pages until what is left fits on one."""
        while True:
            is_all = len(self._tail) <= self._window
            source = self._tail if final and is_all else heal(self._tail[: self._window])
            blocks = self._read(source, located=self._cut != Cut(0))
            page = self._style.write(blocks)
            if self._style.measure(page) > self._style.limit:
                self._freeze(source)
            elif is_all:
                return _Page(page, blocks)
            else:
                self._window *= 2  # much markup, little text

    def _take_in(self, markdown: str, *, final: bool) -> None:
        end = len(markdown)
        if (not final and markdown[self._seen :].endswith("\r")) or (
            not final and end > self._seen and "\ud800" <= markdown[-1] <= "\udbff"
        ):  # its line feed may follow
            end -= 1
        if end > self._seen:
            self._tail += clean(markdown[self._seen : end])
            self._seen = end

    def _read(self, source: str, *, located: bool) -> list[Block]:
        blocks = read(source, located=located, number=self._number)
        return drop(blocks, self._cut, source) if self._cut != Cut(0) else blocks

    def _freeze(self, source: str) -> None:
        """End the last page and begin another."""
        blocks = self._read(source, located=True)
        style = self._style

        def fits(some: Sequence[Block]) -> bool:
            return style.measure(style.write(some)) <= style.limit

        splitter = Splitter(blocks, self._cut, fits, style.limit + _ROOM)
        position = splitter.split()
        if not position:  # not even the formatting of one character fits: leave it out
            blocks = [block._replace(spans=tuple([span._replace(marks=0, url=None) for span in block.spans])) for block in blocks]
            splitter = Splitter(blocks, self._cut, fits, style.limit + _ROOM)
            position = splitter.split() or 1
        page = style.write(take(blocks, position))
        if not is_blank(page.text):
            self._frozen.append(page)
        self._live = None
        before = len(self._tail), self._cut
        self._advance(blocks, *splitter.locate(position))
        if (len(self._tail), self._cut) == before:  # whatever the text, no call may go on for ever
            self._cut = self._cut._replace(skip=self._cut.skip + 1)

    def _advance(self, blocks: Sequence[Block], index: int, cut: Cut) -> None:
        """Cut off what is frozen, as far as reading can start anew."""
        tail = self._tail
        offset = cut.offset
        if index >= len(blocks) or offset > len(tail):  # a place that only healing made: all that was said is shown
            self._tail, self._cut, self._number = tail[offset:], Cut(0), None
            return
        block = blocks[index]
        anchor, prefix, self._number = min(block.anchor, offset), "", block.number
        if block.fence and offset > block.start:
            anchor, prefix = tail.rfind("\n", 0, offset) + 1, block.fence
        self._tail = prefix + tail[anchor:]
        whole = not cut.skip and (anchor == offset if prefix else block.start == offset and not tail[anchor:offset].strip())
        self._cut = Cut(0) if whole else Cut(offset - anchor + len(prefix), cut.skip)
