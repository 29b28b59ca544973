"""The rendering seam: what a platform declares about its text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from bot.model import Entity
from bot.render.document import Block


@dataclass(frozen=True, slots=True)
class Rendered:
    """A platform's own text: for Discord its Markdown, for Telegram plain text with entities."""

    text: str
    entities: tuple[Entity, ...] = ()


class Draft(Protocol):
    """Blocks as far as they are written. Never changes itself, so what is written once can be gone on from many times."""

    def then(self, blocks: Sequence[Block]) -> Self:
        """Write more below it."""

    def shown(self) -> Rendered:
        """Return what it looks like if nothing follows."""

    def length(self) -> int:
        """Return how long that is, in the unit of the style's limit, without making it."""


@dataclass(frozen=True, slots=True)
class PlainDraft:
    """Blocks without any formatting."""

    lines: tuple[str, ...] = ()

    def then(self, blocks: Sequence[Block]) -> Self:
        """Write more below it."""
        more = [f"{block.marker} {block.text}" if block.marker else block.text for block in blocks]
        return type(self)((*self.lines, *more))

    def shown(self) -> Rendered:
        """Return its lines."""
        return Rendered("\n".join(self.lines).strip())

    def length(self) -> int:
        """Count the characters of its lines."""
        return len(self.shown().text)


@dataclass(frozen=True, slots=True)
class Style:
    """How a platform shows text.

    Attributes:
        render: CommonMark in, platform text out. Takes any prefix of a document: what is half-written is healed first. Never fails.
        measure: Length of rendered text in the unit of `limit`.
        limit: Longest text of one message.
        draft: What `render` does after the parse begins here; paging cuts between the two.
        caption: Longest text of a message with a file, in the same unit; 0: as long as any.
        bare: Makes rendered text harmless where it is shown without its entities, without making it longer.
    """

    render: Callable[[str], Rendered]
    measure: Callable[[Rendered], int]
    limit: int
    draft: Draft = PlainDraft()
    bare: Callable[[str], str] = str
    caption: int = 0

    def room(self, *, file: bool) -> int:
        """Return how long the text of a message may be, with a file or without."""
        return self.caption if file and self.caption else self.limit

    def write(self, blocks: Sequence[Block]) -> Rendered:
        """Write blocks: `render` after the parse."""
        return self.draft.then(blocks).shown()
