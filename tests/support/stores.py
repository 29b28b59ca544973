"""Places where a store can live, and short ways to fill one."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Protocol

from storage.base import (
    Accepted,
    ChatAddress,
    Drain,
    EventKind,
    NewEvent,
    NewTurn,
    ProviderStateRow,
    ReplyRoute,
    Store,
    Turn,
    TurnAnswer,
    TurnState,
)
from storage.sqlite import SqliteStore
from tests.support.clock import PATIENCE_SECONDS, Epoch

HERE = ChatAddress("memory", "bot", "1")
THERE = ChatAddress("memory", "bot", "2")


class Place(Protocol):
    """Where a store keeps its rows: every store made here sees what those before it left."""

    now: Epoch

    def store(self) -> Store:
        """Make a store that is not open yet."""
        ...

    async def prepare(self) -> None:
        """Leave behind what a first start does, so that the next one has nothing to migrate."""
        ...


class SqlitePlace:
    """A file in a folder of the test."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "data" / "dragoman.db"
        self.now = Epoch(1_000_000.0)

    def store(self) -> SqliteStore:
        return SqliteStore(self.path, now=self.now, first_retry=0.02)

    async def prepare(self) -> None:
        await prepare(self.path)


_migrated: list[bytes] = []


async def prepare(path: Path) -> None:
    """Put an empty database of today's schema there: a copy, which is a fifth of the work of the migrations.

    What these do is tested where a store is opened in an empty place (`tests.unit.test_migrating`, `tests.unit.test_sqlite_store`).
    """
    if not _migrated:
        with tempfile.TemporaryDirectory() as folder:
            first = Path(folder, "dragoman.db")
            async with opened(SqliteStore(first, now=Epoch(1_000_000.0), synchronous="OFF")):
                pass
            _migrated.append(first.read_bytes())  # noqa: ASYNC240 - a test's disk, and short
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.touch(mode=0o600)  # noqa: ASYNC240
    path.write_bytes(_migrated[0])  # noqa: ASYNC240


PLACES: dict[str, Callable[[Path], Place]] = {"sqlite": SqlitePlace}
"""Every implementation of the seam; the contract suite runs on each."""


def message(key: str, chat: ChatAddress = HERE, *, text: str | None = None, message_id: str | None = None) -> NewEvent:
    """A question; its message has the id ``m-KEY`` and its text is its key if nothing else is said."""
    turn = NewTurn(text or key, message_id or f"m-{key}", "7", "Ada")
    return NewEvent(key, EventKind.MESSAGE, chat, f'{{"of": "{key}"}}', turn)


def command(key: str, chat: ChatAddress = HERE, *, route: ReplyRoute | None = None) -> NewEvent:
    """A command that asks the model nothing."""
    return NewEvent(key, EventKind.COMMAND, chat, f'{{"of": "{key}"}}', route=route)


def memory(value: str = "remembered", provider: str = "modelslab") -> ProviderStateRow:
    return ProviderStateRow(provider, "account", "model", "persona", -1, value)


def reply(text: str, *, state: ProviderStateRow | None = None, usage: str | None = None) -> TurnAnswer:
    return TurnAnswer(text, f"[{text}]", '{"reason": "stop"}', "modelslab", "model", state, usage)


async def accept(store: Store, event: NewEvent) -> Accepted:
    accepted = await store.accept(event)
    assert accepted is not None
    return accepted


async def claim(store: Store, conversation: int) -> Turn:
    turn = await store.claim(conversation)
    assert turn is not None
    return turn


async def ask(store: Store, key: str, chat: ChatAddress = HERE) -> Turn:
    """Accept a question and claim it."""
    return await claim(store, (await accept(store, message(key, chat))).conversation)


async def exchange(store: Store, key: str, chat: ChatAddress = HERE, *, state: ProviderStateRow | None = None) -> Turn:
    """A question and its answer, from beginning to end. The answer to `q` is ``[a-q]``."""
    turn = await ask(store, key, chat)
    assert await store.answered(turn, reply(f"a-{key}", state=state))
    assert await store.close(turn, TurnState.DONE)
    return turn


async def read(store: Store, turn: Turn, limit: int = 100) -> list[str]:
    """What the request of a turn would hold."""
    return [entry.content for entry in await store.transcript(turn, limit)]


@contextlib.asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Store]:
    await store.open()
    try:
        yield store
    finally:
        await store.aclose()


@contextlib.asynccontextmanager
async def running(store: Store, drain: Drain) -> AsyncIterator[None]:
    """Drain in the background; the test fails if `run` ended by itself."""
    task = asyncio.create_task(store.run(drain))
    try:
        yield
        assert not task.done(), "run ended by itself"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def eventually(holds: Callable[[], bool]) -> None:
    """Return once something holds."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for tells nobody
            await asyncio.sleep(0.002)


def drainer(store: Store, work: Callable[[Turn], Awaitable[None]]) -> Drain:
    """Claim and work on turns until none is open, and close each."""

    async def drain(conversation: int) -> None:
        while (turn := await store.claim(conversation)) is not None:
            await work(turn)
            await store.close(turn, TurnState.DONE)

    return drain
