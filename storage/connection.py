"""A connection to SQLite whose thread takes whole pieces of work."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import TypeVar

import aiosqlite

from storage.tx import Row

T = TypeVar("T")


class Connection(aiosqlite.Connection):
    """A connection that also takes whole pieces of work to its thread."""

    async def open(self) -> Connection:
        """Start the thread and connect in it."""
        await self
        return self

    async def work(self, job: Callable[[sqlite3.Connection], T]) -> T:
        """Run `job` in the connection's thread and return its result."""
        result: T = await self._execute(lambda: job(self._conn))  # type: ignore[no-untyped-call]
        return result


def rows(raw: sqlite3.Connection, sql: str, args: Sequence[object] = ()) -> Sequence[Row]:
    """Run a statement, in the connection's thread.

    Half a surrogate pair, which JSON can spell and UTF-8 can't, becomes U+FFFD: one odd character must not make an event unacceptable.
    """
    try:
        return raw.execute(sql, args).fetchall()
    except UnicodeEncodeError:
        return raw.execute(sql, [_encodable(arg) for arg in args]).fetchall()


def _encodable(arg: object) -> object:
    return arg.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if isinstance(arg, str) else arg
