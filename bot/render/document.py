"""What a Markdown text says, apart from how a platform shows it: a flat list of blocks, each a run of marked spans.

Flat, because chats have no nested boxes: depth of lists and quotes is a number on the block. Every span knows where in the source its text
stands, so that a page can end at any character and the next one can start there.

Named tuples and not dataclasses: thousands are made per answer, and they cost a quarter.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from bot.render.text import is_blank

BOLD, ITALIC, STRIKE, CODE = 1, 2, 4, 8
"""Marks of a span, as bits."""

RULE_TEXT = "─" * 10
"""How a thematic break is shown where the platform has none."""


class Kind(StrEnum):
    """What a block is."""

    TEXT = "text"
    HEADING = "heading"
    CODE = "code"
    RULE = "rule"
    FOLDED = "folded"  # plain text beside the answer; no Markdown says it


_RULE = Kind.RULE


class Span(NamedTuple):
    """Text with marks.

    Attributes:
        text: What people read.
        marks: Bits of `BOLD`, `ITALIC`, `STRIKE`, `CODE`.
        url: Target of the link that the text belongs to.
        start: Where the text begins in the source, in characters; 0 unless the document was read with `located`.
        end: Where it ends. If `end - start` is not the length of `text`, the characters between don't correspond one to one.
    """

    text: str
    marks: int = 0
    url: str | None = None
    start: int = 0
    end: int = 0


class Block(NamedTuple):
    """A paragraph, heading, code block or rule.

    Attributes:
        level: 1 to 6 for headings.
        language: Of a code block; letters, digits and a few signs, or empty.
        quote: How many quotes it stands in.
        depth: How many lists it stands in.
        marker: "-" or "7." if it opens a list item.
        task: Whether the item it opens is ticked; None if that is no task.
        gap: An empty line stands before it.
        start: Where it begins in the source, with its marker.
        end: Where it ends in the source.
        anchor: Where reading can start anew to meet this block again: the line of its outermost block or list item.
        number: What the list item at `anchor` is numbered.
        fence: The line that opened it, if it is a fenced code block outside of lists and quotes.
    """

    kind: Kind
    spans: tuple[Span, ...] = ()
    level: int = 0
    language: str = ""
    quote: int = 0
    depth: int = 0
    marker: str = ""
    task: bool | None = None
    gap: bool = True
    start: int = 0
    end: int = 0
    anchor: int = 0
    number: int | None = None
    fence: str = ""

    @property
    def text(self) -> str:
        """What people read of it, without its marker."""
        return "".join([span.text for span in self.spans])


def is_visible(block: Block) -> bool:
    """Tell whether anything of the block can be seen. A code block has to hold something."""
    if block.marker or block.kind is _RULE:
        return True
    for span in block.spans:  # noqa: SIM110 - the first one tells, nearly always, and a generator costs more than the answer
        if not is_blank(span.text):
            return True
    return False
