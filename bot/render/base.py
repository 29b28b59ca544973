"""The rendering seam: what a platform declares about its text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bot.model import Entity
from bot.render.document import Block


@dataclass(frozen=True, slots=True)
class Rendered:
    """A platform's own text: for Discord its Markdown, for Telegram plain text with entities."""

    text: str
    entities: tuple[Entity, ...] = ()


def write_plain(blocks: Sequence[Block]) -> Rendered:
    """Write blocks without any formatting."""
    return Rendered("\n".join([f"{block.marker} {block.text}" if block.marker else block.text for block in blocks]).strip())


@dataclass(frozen=True, slots=True)
class Style:
    """How a platform shows text.

    Attributes:
        render: CommonMark in, platform text out. Takes any prefix of a document: what is half-written is healed first. Never fails.
        measure: Length of rendered text in the unit of `limit`.
        limit: Longest text of one message.
        write: What `render` does after the parse; paging cuts between the two.
        bare: Makes rendered text harmless where it is shown without its entities, without making it longer.
    """

    render: Callable[[str], Rendered]
    measure: Callable[[Rendered], int]
    limit: int
    write: Callable[[Sequence[Block]], Rendered] = write_plain
    bare: Callable[[str], str] = str
