"""A tiny database protocol: what the meaning of the store is written over, and what a driver brings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Row(Protocol):
    """A row, read by column name, or through."""

    def __getitem__(self, column: str, /) -> Any:
        """Return a column."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """Return the columns in their order."""
        ...


class Tx(Protocol):
    """A write transaction. What is asked of `wake`, `interrupt` and `forget` takes effect with its commit, or not at all."""

    async def fetch(self, name: str, *args: object) -> Sequence[Row]:
        """Run a named statement."""
        ...

    async def wake(self, conversation: int) -> None:
        """Have the conversation drained."""
        ...

    async def interrupt(self, turn: int) -> None:
        """Set the turn's stop signal, wherever it runs or will run."""
        ...

    async def forget(self, turn: int) -> None:
        """Let go of the turn's stop signal: it is closed."""
        ...


class Db(Protocol):
    """A database."""

    async def unit(self, fn: Callable[[Tx], Awaitable[T]], *, hurried: bool = False, alone: bool = False) -> T:
        """Run `fn` in one write transaction and return what it returned, after the commit. `fn` awaits nothing but its `Tx`.

        `hurried`: The disk is not waited for. A power cut can take it back, unless a later commit was waited for; the end of the
        process can't.
        `alone`: Others are not waited for, even in a rush (storage/rush.py): it may be one of many that are asked one after the other.
        """
        ...

    async def fetch(self, name: str, *args: object, enough: Callable[[Row], bool] | None = None) -> Sequence[Row]:
        """Run a named statement that only reads.

        `enough`: Asked of each row; the first of which it is true is the last one. What lies behind it is not read from the disk. It may
        be called in another thread.
        """
        ...


class OverDb:
    """What is written over a database.

    Args:
        db: The driver.
        now: Epoch seconds.
    """

    def __init__(self, db: Db, now: Callable[[], float]) -> None:
        self._db = db
        self._now = now
