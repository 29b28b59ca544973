"""The rendering seam: what a platform declares about its text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bot.model import Entity


@dataclass(frozen=True, slots=True)
class Rendered:
    """A platform's own text: for Discord its Markdown, for Telegram plain text with entities."""

    text: str
    entities: tuple[Entity, ...] = ()


@dataclass(frozen=True, slots=True)
class Style:
    """How a platform shows text.

    Attributes:
        render: CommonMark in, platform text out. Takes any prefix of a document: what is half-written is healed first. Never fails.
        measure: Length of rendered text in the unit of `limit`.
        limit: Longest text of one message.
    """

    render: Callable[[str], Rendered]
    measure: Callable[[Rendered], int]
    limit: int
