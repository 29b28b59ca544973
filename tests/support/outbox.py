"""The outbox over a platform in memory, with a time that a test moves."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bot.model import Button, Page
from bot.outbox import Outbox
from storage.base import Owner, OwnerKind
from tests.support.chat import MemoryDeliveries, MemoryPlatform
from tests.support.clock import FakeClock


class World:
    """What outlives the outbox: a clock, a platform, what is stored."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.platform = MemoryPlatform(self.clock)
        self.rows = MemoryDeliveries()
        self.outbox = self.restarted()

    def restarted(self) -> Outbox:
        """An outbox as after a crash: it knows what is stored and nothing else."""
        return Outbox({"memory": self.platform}, self.rows, self.clock, rng=random.Random(1))


@asynccontextmanager
async def lived() -> AsyncIterator[World]:
    """A world whose outbox ends in an orderly way."""
    world = World()
    yield world
    await world.outbox.aclose()


class Text:
    """A source whose text grows: each entry of `now` is a page, and empty ones are none. All pages have the same `buttons`."""

    def __init__(self, *pages: str) -> None:
        self.now = list(pages)
        self.buttons: tuple[tuple[Button, ...], ...] = ()

    def __call__(self) -> list[Page]:
        return [Page(text, (), self.buttons) for text in self.now if text]


def turn(number: int = 1) -> Owner:
    """The answer of a turn."""
    return Owner(OwnerKind.TURN, number)
