"""What every platform is given in a test: a menu, a memo, a place that commits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from bot.commands.base import Answer, Command, Context, Option
from bot.model import ChatAddress, Incoming
from bot.platforms.base import Platform
from bot.render.base import Rendered, Style
from tests.support.clock import PATIENCE_SECONDS


async def _say(_: Context) -> Answer:
    return Answer("done")


async def _names(_: Context, text: str) -> Sequence[str]:
    return [text]


COMMANDS = (
    Command("ask", "Ask the model something", None, (Option("question", "What you want to know", required=True),), asks=True),
    Command("model", "Choose a model", _say, (Option("name", "Its name", complete=_names),)),
    Command("status", "See what holds here", _say, private=True),
    Command("stop", "Stop the running answer", _say, button=True),
)


@dataclass
class Menu:
    """`suggestions` for whatever is typed, after `delay` seconds; `asked` keeps what was."""

    commands: Sequence[Command] = COMMANDS
    suggestions: Sequence[str] = ()
    delay: float = 0.0
    asked: list[tuple[ChatAddress, str | None, str, str, str]] = field(default_factory=list)

    async def complete(self, chat: ChatAddress, server: str | None, command: str, option: str, text: str) -> Sequence[str]:
        self.asked.append((chat, server, command, option, text))
        await asyncio.sleep(self.delay)
        return self.suggestions


class Memo:
    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    async def get(self, key: str) -> str | None:
        return self.values.get(key)

    async def put(self, key: str, value: str) -> None:
        self.values[key] = value


class Cursors:
    """Positions by chat, as a store would keep them. `known` adds chats that none was noted of; `errors` meet the next calls."""

    def __init__(self, *known: str) -> None:
        self.positions: dict[str, str | None] = dict.fromkeys(known)
        self.gone: set[str] = set()
        self.errors: list[Exception] = []

    async def read(self, account: str) -> Mapping[str, str | None]:
        del account
        self._fail()
        return {chat: position for chat, position in self.positions.items() if chat not in self.gone}

    async def write(self, account: str, moved: Mapping[str, str | None]) -> None:
        del account
        self._fail()
        for chat, position in moved.items():
            if position is None:
                self.gone.add(chat)
            else:
                self.positions[chat] = position
                self.gone.discard(chat)

    def _fail(self) -> None:
        if self.errors:
            raise self.errors.pop(0)


@dataclass
class Inbox:
    """What was committed, in order, each key once.

    Attributes:
        delays: Seconds that the next events take, first come first served.
        errors: What the next events meet, first come first served.
        away: Text → what an event with this text meets for as long as it stands here.
        refused: How often one of `away` was met.
    """

    taken: list[Incoming] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    delays: list[float] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    away: dict[str, Exception] = field(default_factory=dict)
    refused: int = 0

    async def accept(self, incoming: Incoming) -> bool:
        if self.delays:
            await asyncio.sleep(self.delays.pop(0))
        if self.errors:
            raise self.errors.pop(0)
        if incoming.text in self.away:
            self.refused += 1
            raise self.away[incoming.text]
        if incoming.key in self.keys:
            return False
        self.keys.add(incoming.key)
        self.taken.append(incoming)
        return True

    async def wait(self, count: int) -> list[Incoming]:
        await eventually(lambda: len(self.taken) >= count)
        return self.taken

    async def one(self) -> Incoming:
        [incoming] = await self.wait(1)
        return incoming


def plain(limit: int, caption: int = 0) -> Style:
    """Text as it is, counted in code points."""
    return Style(render=Rendered, measure=lambda rendered: len(rendered.text), limit=limit, caption=caption)


async def eventually(holds: Callable[[], object]) -> None:
    """Return when `holds` does; fail if it does not in time."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for may be anything
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(platform: Platform, inbox: Inbox) -> AsyncIterator[None]:
    """Run a platform's intake until the block ends; it accepts when the block begins."""
    ready = asyncio.Event()
    task = asyncio.create_task(platform.run(inbox.accept, ready.set))
    waiting = asyncio.create_task(ready.wait())
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        yield
    finally:
        waiting.cancel()
        task.cancel()
        await asyncio.gather(task, waiting, return_exceptions=True)
