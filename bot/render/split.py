"""Cutting blocks into what fits on one page and what comes after.

Positions count characters of the blocks' text, plus one for every block, as if each ended in a line break.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import NamedTuple

from bot.render.document import Block, Kind, Span
from bot.render.text import cluster_boundary

_SENTENCE = re.compile(
    "[.!?\u2026][\"'\u201d\u2019)\\]*_]*\\s+|[\u3002\uff01\uff1f]"
)  # the last ones end sentences in Chinese and Japanese
_WORD = re.compile(r"\s+")


class Cut(NamedTuple):
    """Where a page ends.

    Attributes:
        offset: Place in the source where the next page begins.
        skip: Characters of the span beginning there that are already shown; for spans that don't correspond to their source one to one.
    """

    offset: int
    skip: int = 0


def take(blocks: Sequence[Block], position: int) -> list[Block]:
    """Return what stands before `position`."""
    taken: list[Block] = []
    for block in blocks:
        if position <= 0:
            break
        size = sum([len(span.text) for span in block.spans])
        taken.append(block if position >= size else block._replace(spans=_first(block.spans, position)))
        position -= size + 1
    return taken


def _first(spans: Sequence[Span], count: int) -> tuple[Span, ...]:
    kept: list[Span] = []
    for span in spans:
        if count <= 0:
            break
        kept.append(span if len(span.text) <= count else span._replace(text=span.text[:count]))
        count -= len(span.text)
    return tuple(kept)


def drop(blocks: Sequence[Block], cut: Cut, source: str) -> list[Block]:
    """Return what stands from `cut` on in blocks that were read, located, from `source`."""
    left: list[Block] = []
    for block in blocks:
        if block.start >= cut.offset and not (cut.skip and block.start == cut.offset):
            left.append(block)
        elif block.end > cut.offset:
            spans = tuple([rest for span in block.spans if (rest := _rest(span, cut, source)).text])
            if spans:
                left.append(block._replace(spans=spans, marker="", task=None))
    return left


def _rest(span: Span, cut: Cut, source: str) -> Span:
    if span.start > cut.offset:
        return span
    if span.start == cut.offset:
        return span._replace(text=span.text[cut.skip :], end=span.start) if cut.skip else span
    if span.end <= cut.offset:
        return span._replace(text="")
    if span.end - span.start == len(span.text):
        return span._replace(text=span.text[cut.offset - span.start :], start=cut.offset)
    return span._replace(text=source[cut.offset : span.end], start=cut.offset)  # became something else since: show it raw


class Splitter:
    """Finds where a page of blocks, which together are too long, has to end."""

    def __init__(self, blocks: Sequence[Block], begin: Cut, fits: Callable[[Sequence[Block]], bool], longest: int) -> None:
        """Take blocks, where they begin, a test of whether blocks fit on a page, and a position that is certainly too far."""
        self._blocks = blocks
        self._begin = begin
        self._fits = fits
        self._texts = [block.text for block in blocks]
        self._starts = [0, *accumulate(len(text) + 1 for text in self._texts)]
        self._longest = min(longest, self._starts[-1] - 1)
        self._flat = "\n".join(self._texts)[: longest + 256]

    def split(self) -> int:
        """Return the position where the page ends, 0 if not one character fits."""
        most = self._most()
        while most > 0:
            position = self._nice(most)
            if self._fits(take(self._blocks, position)):
                return position
            most = position - 1  # closing what is open at a nicer place can take more room than at a later one
        return 0

    def _most(self) -> int:
        low, high = 0, self._longest
        while low < high:
            middle = (low + high + 1) // 2
            if self._fits(take(self._blocks, middle)):
                low = middle
            else:
                high = middle - 1
        return low

    def _nice(self, most: int) -> int:
        """Return the best place in the second half of what fits: after a paragraph, line, sentence or word, else between characters."""
        least = max(1, most // 2)
        index = bisect_right(self._starts, most) - 1
        for block in range(index, 0, -1):
            start = self._starts[block]
            if start < least:
                break
            if start <= most and self._blocks[block].gap and self._blocks[block - 1].kind is not Kind.HEADING:
                return start
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
