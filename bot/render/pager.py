"""A growing text as pages that each fit one message.

A page that is followed by another never changes again and is not rendered again: what it holds is cut off the text, up to the last place
where reading can start anew (a block, a list item or a line of a fence). Of the last page, what no later text can change is read and
written once, too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bot.render import resume
from bot.render.base import Draft, Rendered, Style
from bot.render.boundary import boundaries
from bot.render.document import Block, Kind
from bot.render.heal import heal
from bot.render.items import Items
from bot.render.markdown import read
from bot.render.mask import NONE, definitions, holds_stand_in
from bot.render.split import Above, Cut, Splitter, drop
from bot.render.text import clean, escape, is_blank

_WINDOW = 2  # pages of source read at once, so that a long text that comes in one piece is not read whole for each of its pages

_LEAST_WINDOW = 4000  # characters

_START = Cut(0)

_new = tuple.__new__  # see bot.render.markdown


def _ends_in_heading(text: str, end: int) -> bool:
    """Tell whether the block before this place is a heading. One that is underlined is not seen."""
    while end and text[end - 1] == "\n":
        end -= 1
    return text.startswith("#", text.rfind("\n", 0, end) + 1)


class _Page(NamedTuple):
    """The last page, and what it was made of."""

    shown: Rendered
    draft: Draft


class _Settled(NamedTuple):
    """What is written of the last page for good.

    Attributes:
        offset: How far, in `_tail`.
        draft: What is written.
        characters: Of it, as `bot.render.split` counts them.
        last: The last block of it.
        reached: How far is read what may not be settled yet, a heading: it stays with what follows.
        blocks: What is read there.
    """

    offset: int
    draft: Draft
    characters: int = 0
    last: Block | None = None
    reached: int = 0
    blocks: Sequence[Block] = ()

    def then(self, blocks: Sequence[Block], draft: Draft, offset: int) -> _Settled:
        """Settle more, up to a place in the source; `draft` is what is written with it."""
        characters = self.characters + sum([len(span[0]) for block in blocks for span in block.spans]) + len(blocks)
        return _new(_Settled, (offset, draft, characters, blocks[-1] if blocks else self.last, 0, ()))


class Pager:
    """Pages of one answer."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._frozen: list[Rendered] = []
        self._top = style.draft  # of the last page: what stands above its text
        self._live: _Page | None = None
        self._seen = 0  # characters of the text that are in `_tail` or were
        self._tail = ""
        self._cut = _START  # where the last page begins in `_tail`
        self._number: int | None = None  # of the list item that `_tail` begins with
        self._settled = _Settled(0, self._top)
        self._stem: tuple[Draft, list[Block], Draft] = (style.draft, [], style.draft)  # see _after
        self._items = Items()
        self._settles = True
        self._divided = 0  # the last place that divides `_tail`
        self._defines = False  # references, perhaps
        self._targets: Mapping[str, str] = NONE
        self._past_targets: Mapping[str, str] = NONE  # defined on pages that are followed
        self._asked: tuple[int, bool, str] | None = None
        self._answer: tuple[Rendered, ...] = ()
        self._window = max(style.limit * _WINDOW, _LEAST_WINDOW)

    def put_above(self, blocks: Sequence[Block]) -> None:
        """Have blocks stand above the text, in place of those that did; they take no more than a part of a message.

        Without effect once a page is followed by another: it never changes again.
        """
        if not self._frozen:
            self._top = self._style.draft.then(blocks) if blocks else self._style.draft
            self._settled = _Settled(0, self._top)
            self._live = self._asked = None

    def pages(self, markdown: str, *, final: bool = False, note: str = "") -> tuple[Rendered, ...]:
        """Render the text so far. Costs time in proportion to what changed, not to the text. Never fails.

        Args:
            markdown: Begins with what was given the last time; only what is new is looked at.
            final: Nothing follows, so what looks half-written is meant.
            note: The bot's own Markdown below a final text. Whatever the text left open does not reach it. It stands on the last page, or
                on pages of its own if there is no room or no text.

        Returns:
            Pages, none of them empty or longer than the style allows; none at all while there is nothing to see.
        """
        asked = len(markdown), final, note
        if asked != self._asked:
            self._asked, self._answer = asked, self._pages(markdown, final=final, note=note)
        return self._answer

    def _pages(self, markdown: str, *, final: bool, note: str) -> tuple[Rendered, ...]:
        self._take_in(markdown, final=final)
        if self._defines:
            self._define(self._tail if final else heal(self._tail))
        page = self._last_page(final=final)
        if self._is_empty(page) and final and not self._frozen and not is_blank(self._tail):
            self._tail = escape(self._tail)  # markup of nothing, but all that was said
            self._begin(0)
            page = self._last_page(final=True)
        if not self._is_empty(page) or (self._live is None and not is_blank(page.shown.text)):
            self._live = page
        if final and note:
            return (*self._frozen, *self._with_note(note))
        return (*self._frozen, self._live.shown) if self._live else tuple(self._frozen)

    def _is_empty(self, page: _Page) -> bool:
        """Tell whether nothing of the text is to be seen on a page, whatever stands above it."""
        return is_blank(page.shown.text) or (self._top is not self._style.draft and page.shown == self._top.shown())

    def _with_note(self, note: str) -> tuple[Rendered, ...]:
        """Return the last page with the note below it; blocks know nothing of what was open in the text that they were read from."""
        if not self._live:
            return Pager(self._style).pages(note, final=True)
        below = self._live.draft.then(read(clean(note))).shown()
        if self._style.measure(below) <= self._style.limit:
            return (below,)
        return (self._live.shown, *Pager(self._style).pages(note, final=True))

    def _take_in(self, markdown: str, *, final: bool) -> None:
        end = len(markdown)
        if not final and end > self._seen and (markdown[-1] == "\r" or "\ud800" <= markdown[-1] <= "\udbff"):  # its other half may follow
            end -= 1
        if end > self._seen:
            more = clean(markdown[self._seen : end])
            self._tail += more
            self._seen = end
            self._defines = self._defines or "]:" in self._tail[-len(more) - 1 :]
            if self._settles and holds_stand_in(more):  # from now on the text has to be read as a whole
                self._settles, self._settled = False, _Settled(0, self._top)

    def _define(self, source: str) -> None:
        """Learn the targets of references; one above may be meant."""
        targets = {**definitions(source), **self._past_targets}
        if targets != self._targets:
            self._targets, self._settled = targets, _Settled(0, self._top)

    def _begin(self, at: int, cut: Cut = _START, number: int | None = None, prefix: str = "") -> None:
        """Begin a page at a place in the tail, with a line put before it that it needs."""
        if self._defines:
            lines = self._tail.rfind("\n", 0, at) + 1
            self._past_targets = {**definitions(self._tail[:lines]), **self._past_targets}
        self._tail, self._cut, self._number = prefix + self._tail[at:], cut, number
        self._settled = _Settled(0, self._top)

    # ------------------------------------------------------------------------------------------------- the last page

    def _last_page(self, *, final: bool) -> _Page:
        """Freeze pages until what is left fits on one."""
        window = self._cut.offset + self._window
        while True:
            is_all = len(self._tail) <= window
            source, meant = (self._tail, final) if is_all else (self._tail[:window], False)
            if self._settles and (end := self._settle(source)):
                self._freeze(source[:end])
                window = self._cut.offset + self._window
                continue
            draft, rest = self._written(source, meant=meant)
            shown = draft.shown()
            if self._style.measure(shown) > self._style.limit:
                self._freeze(rest, source)
                window = self._cut.offset + self._window
            elif is_all:
                return _new(_Page, (shown, draft))
            else:
                window *= 2  # much markup, little text

    def _settle(self, source: str) -> int:
        """Write what can't change any more. Return 0 if all of it fits on the page, else where what doesn't fit ends."""
        self._divided = max(self._settled.offset, self._settled.reached)
        for end in boundaries(source, self._divided):
            self._divided = end
            if end <= self._cut.offset:
                continue
            start = self._settled.offset
            blocks = self._read(source[start:end], start)
            if _ends_in_heading(source, end):
                self._settled = _new(_Settled, (*self._settled[:4], end, blocks))
                continue
            settled = self._settled.then(blocks, self._after(self._settled.draft, blocks), end)
            if settled.draft.length() > self._style.limit:
                return end
            self._settled = settled
        return 0

    def _written(self, source: str, *, meant: bool) -> tuple[Draft, str]:
        """Write the page; return it, and its source as it was read.

        Args:
            source: Of the page, as much as may be needed.
            meant: What looks half-written is meant.
        """
        start, draft = self._settled[:2]
        rest = source[start:] if meant else heal(source[start:], self._divided - start if self._settles else -1)
        return self._after(draft, self._read(rest, start)), source[:start] + rest

    def _after(self, draft: Draft, blocks: list[Block]) -> Draft:
        """Write blocks below what is settled. All but the last one are nearly always what they were at the last update: items of a list."""
        begun, stem, written = self._stem
        if begun is not draft or blocks[: len(stem)] != stem:
            stem, written = [], draft
        last = max(0, len(blocks) - 1)
        if last > len(stem):
            written = written.then(blocks[len(stem) : last])
            stem = blocks[:last]
        self._stem = draft, stem, written
        return written.then(blocks[len(stem) :])

    def _read(self, source: str, start: int, *, located: bool = False) -> list[Block]:
        """Read what begins at `start` of the tail."""
        cut = self._cut
        if not (located or self._targets or (cut != _START and not start)):
            _, _, _, _, reached, blocks = self._settled
            if start < reached <= start + len(source):
                return [*blocks, *self._items.read(source[reached - start :], None)]
            return self._items.read(source, None if start else self._number)
        if start:
            return read(source, targets=self._targets)
        blocks = read(source, located=located or cut != _START, number=self._number, targets=self._targets)
        return drop(blocks, cut, source) if cut != _START else blocks

    # ---------------------------------------------------------------------------------------------- those before it

    def _freeze(self, source: str, said: str = "") -> None:
        """End the last page, which begins with more than it can hold, and begin another.

        Args:
            source: Of the page, as it was read.
            said: The same before anything half-written was closed, if it was.
        """
        start, draft, characters, last = self._settled[:4]
        above = None
        if start and not (last and last.kind is Kind.HEADING):
            above, source, said = Above(draft, characters), source[start:], said[start:]
            self._begin(start)
        if above is None and self._top is not self._style.draft:
            above = Above(self._top, 0)
        blocks, splitter, position = self._split(source, above)
        if said and said != source and splitter.locate(position)[1].skip:
            # It ends in what was closed as a guess (code, a formula). The next page is read without that, and would begin elsewhere.
            source = said
            blocks, splitter, position = self._split(source, above, whole=False)
        page = splitter.page(position).shown()
        if not is_blank(page.text):
            self._frozen.append(page)
            self._top = self._style.draft
        self._live = None
        before = len(self._tail), self._cut
        self._advance(blocks, *splitter.locate(position), source)
        if not above and (len(self._tail), self._cut) == before:  # whatever the text, no call may go on for ever
            self._cut = self._cut._replace(skip=self._cut.skip + 1)

    def _split(self, source: str, above: Above | None, *, whole: bool = True) -> tuple[list[Block], Splitter, int]:
        """Read the last page and find where it has to end."""
        blocks = self._read(source, 0, located=True)
        splitter = Splitter(blocks, self._cut, self._style, above)
        position = splitter.split(whole=whole)
        if not position and not above:  # not even the formatting of one character fits: leave it out
            blocks = [block._replace(spans=tuple([span._replace(marks=0, url=None) for span in block.spans])) for block in blocks]
            splitter = Splitter(blocks, self._cut, self._style)
            position = splitter.split() or 1
        return blocks, splitter, position

    def _advance(self, blocks: Sequence[Block], index: int, cut: Cut, source: str) -> None:
        """Cut off what is frozen, as far as reading can start anew.

        Args:
            blocks: Of the page and beyond it.
            index: Of the one that the next page begins in.
            cut: Where it begins.
            source: That the blocks were read from.
        """
        tail = self._tail
        offset = cut.offset
        if index >= len(blocks) or offset > len(tail):  # a place that only healing made: all that was said is shown
            self._begin(offset)
            return
        block = blocks[index]
        anchor, prefix, whole = min(block.anchor, offset), "", False
        if block.fence and offset > block.start:
            anchor, prefix = tail.rfind("\n", 0, offset) + 1, block.fence
            whole = anchor == offset
        elif offset - anchor > self._window and (found := self._opened(source, block, cut)):
            prefix, anchor = found
        else:
            whole = block.start == offset and not tail[anchor:offset].strip()
        begin = _START if whole and not cut.skip else Cut(offset - anchor + len(prefix), cut.skip)
        self._begin(anchor, begin, block.number, prefix)

    def _opened(self, source: str, block: Block, cut: Cut) -> tuple[str, int] | None:
        """Return what is put before a place far inside of what reading can start with, and from where on the text follows."""
        if cut.skip and block.kind is Kind.CODE:  # another part of a table may be as wide as that
            return None
        return resume.before(source, cut.offset, self._targets, inside=cut.offset > block.start or cut.skip > 0)
