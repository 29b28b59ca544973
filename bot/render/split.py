"""Cutting blocks into what fits on one page and what comes after.

Positions count characters of the blocks' text, plus one for every block, as if each ended in a line break.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

from bot.render.base import Draft, Style
from bot.render.document import Block, Kind, Span
from bot.render.text import cluster_boundary

_SENTENCE = re.compile(
    "[.!?\u2026][\"'\u201d\u2019)\\]*_]*\\s+|[\u3002\uff01\uff1f]"
)  # the last ones end sentences in Chinese and Japanese
_WORD = re.compile(r"\s+")
_BEYOND = 256  # characters behind the limit; what ends there begins before it


class Cut(NamedTuple):
    """Where a page ends.

    Attributes:
        offset: Place in the source where the next page begins.
        skip: Characters from there on that are already shown; for spans that don't correspond to their source one to one. If the span there
            has become shorter, the rest of them is in those that follow.
    """

    offset: int
    skip: int = 0


def _first(block: Block, count: int) -> Block:
    """Return the first characters of a block."""
    kept: list[Span] = []
    for span in block.spans:
        if count <= 0:
            break
        kept.append(span if len(span.text) <= count else span._replace(text=span.text[:count]))
        count -= len(span.text)
    return block._replace(spans=tuple(kept))


def drop(blocks: Sequence[Block], cut: Cut, source: str) -> list[Block]:
    """Return what stands from `cut` on in blocks that were read, located, from `source`."""
    left: list[Block] = []
    skip = cut.skip
    for block in blocks:
        if block.start >= cut.offset and not (cut.skip and block.start == cut.offset):
            left.append(block)
        elif block.end > cut.offset:
            spans: list[Span] = []
            for span in block.spans:
                rest = _rest(span, cut.offset, source)
                skipped = min(skip, len(rest.text))
                skip -= skipped
                if skipped < len(rest.text):
                    spans.append(_behind(rest, skipped, cut.offset) if skipped else rest)
            if spans:
                left.append(block._replace(spans=tuple(spans), marker="", task=None))
    return left


def _rest(span: Span, offset: int, source: str) -> Span:
    if span.start >= offset:
        return span
    if span.end <= offset:
        return span._replace(text="")
    if span.end - span.start == len(span.text):
        return span._replace(text=span.text[offset - span.start :], start=offset)
    return span._replace(text=source[offset : span.end], start=offset)  # became something else since: show it raw


def _behind(span: Span, skipped: int, offset: int) -> Span:
    """Return a span without its first characters. What isn't its source is found by what is skipped from `offset` on."""
    if span.end - span.start == len(span.text):
        return span._replace(text=span.text[skipped:], start=span.start + skipped)
    return span._replace(text=span.text[skipped:], start=offset, end=offset)


class Above(NamedTuple):
    """What of the page is written already, and ends where pages like to end.

    Attributes:
        draft: What is written.
        characters: Of it, counted as positions are.
    """

    draft: Draft
    characters: int


class Splitter:
    """Finds where a page of blocks, which together are too long, has to end."""

    def __init__(self, blocks: Sequence[Block], begin: Cut, style: Style, above: Above | None = None) -> None:
        """Take blocks, where they begin, and what stands above them on the page."""
        self._blocks = blocks
        self._begin = begin
        self._style = style
        self._above = above.characters if above else 0
        self._texts = [block.text for block in blocks]
        self._starts = [0, *accumulate(len(text) + 1 for text in self._texts)]
        self._drafts = {0: above.draft if above else style.draft}  # with the first blocks, for the counts that were asked for
        self._flat = "\n".join(self._texts)[: style.limit + _BEYOND]

    def split(self, *, whole: bool = True) -> int:
        """Return the position where the page ends; without anything above, 0 means that not one character fits.

        Args:
            whole: It may end with the blocks, should they fit; if not, it ends before.
        """
        most = self._most() if whole else min(self._most(), self._starts[-1] - 2)
        while most > 0:
            position = self._nice(most)
            if self._length(position) <= self._style.limit:
                return position
            most = position - 1  # closing what is open at a nicer place can take more room than at a later one
        return 0

    def page(self, position: int) -> Draft:
        """Write what stands before `position`."""
        index = max(0, bisect_left(self._starts, position) - 1)
        draft = self._first_blocks(index)
        if position <= self._starts[index]:
            return draft
        return draft.then([_first(self._blocks[index], position - self._starts[index])])

    def _first_blocks(self, count: int) -> Draft:
        """Write so many blocks, beginning with the most of them that are written."""
        if count not in self._drafts:
            below = max([known for known in self._drafts if known < count])
            self._drafts[count] = self._drafts[below].then(self._blocks[below:count])
        return self._drafts[count]

    def _length(self, position: int) -> int:
        return self.page(position).length()

    def _most(self) -> int:
        """Return the last position that fits. Each guess goes as far beyond as is missing; every other one halves what is left."""
        limit = self._style.limit
        low, high = self._block()
        guess, halve = low + limit // 2, False
        while low < high:
            middle = (low + high + 1) // 2 if halve else min(high, max(low + 1, guess))
            length = self._length(middle)
            if length <= limit:
                low = middle
            else:
                high = middle - 1
            guess, halve = middle + limit - length, not halve
        return low

    def _block(self) -> tuple[int, int]:
        """Return the first and the last position of the first block that does not fit as a whole."""
        low, reach, limit = 0, self._style.limit, self._style.limit
        while True:  # blocks without much text are many: no more of them are written than may be needed
            high = max(low, min(bisect_right(self._starts, reach), len(self._blocks)))
            if high > low and self._length(self._starts[high] - 1) > limit:
                break
            if high == len(self._blocks):
                return self._starts[-1] - 1, self._starts[-1] - 1
            low, reach = high, 2 * reach
        while low < high - 1:
            middle = (low + high) // 2
            if self._length(self._starts[middle] - 1) > limit:
                high = middle
            else:
                low = middle
        return self._starts[low], self._starts[low + 1] - 2

    def _nice(self, most: int) -> int:
        """Return the best place in the second half of what fits: after a paragraph, line, sentence or word, else between characters."""
        least = (self._above + most) // 2 - self._above
        index = bisect_right(self._starts, most) - 1
        for block in range(index, 0, -1):
            start = self._starts[block]
            if start < least:
                break
            if start <= most and self._blocks[block].gap and self._blocks[block - 1].kind is not Kind.HEADING:
                return start
        if self._above and least <= 0:
            return 0
        least = max(1, least)
        line = self._flat.rfind("\n", least, most) + 1
        if line:
            return line
        for pattern in (_SENTENCE, _WORD):
            ends = [match.end() for match in pattern.finditer(self._flat, least, most)]
            if ends:
                return ends[-1]
        return max(1, cluster_boundary(self._flat, most))

    def locate(self, position: int) -> tuple[int, Cut]:
        """Return the block that the next page begins in, and the place in its source. White space at the cut belongs to neither page."""
        index = bisect_right(self._starts, position) - 1
        while index < len(self._blocks):
            block, inside = self._blocks[index], position - self._starts[index]
            if inside == 0:
                return index, Cut(block.start)
            text = self._texts[index]
            rest = text[inside:]
            if block.kind is Kind.CODE:
                inside += rest.startswith("\n") and text[inside - 1] != "\n"
            else:
                inside += len(rest) - len(rest.lstrip())
            if inside < len(text):
                return index, self._cut_inside(block.spans, inside)
            index, position = index + 1, self._starts[index + 1]
        return index, Cut(self._blocks[-1].end)

    def _cut_inside(self, spans: Sequence[Span], inside: int) -> Cut:
        for span in spans:
            if inside < len(span.text):
                if span.end - span.start == len(span.text):
                    return Cut(span.start + inside)
                return Cut(span.start, inside + (self._begin.skip if span.start == self._begin.offset else 0))
            inside -= len(span.text)
        return Cut(spans[-1].end)
