"""Reads: each in one hop to the connection's thread, in a rush many together."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

from storage.connection import Connection, rows
from storage.rush import GATHER_SECONDS, Rush, calm
from storage.tx import Row

Enough = Callable[[Row], bool] | None


@dataclass(slots=True)
class _Read:
    sql: str
    args: Sequence[object]
    enough: Enough
    future: asyncio.Future[Sequence[Row]]
    found: Sequence[Row] = ()
    error: Exception | None = None

    def settle(self) -> None:
        if self.future.done():
            return  # who asked was cancelled meanwhile
        if self.error is None:
            self.future.set_result(self.found)
        else:
            self.future.set_exception(self.error)


class Reader:
    """Reads on a connection.

    Args:
        connection: That nobody writes on.
        rush: Whether reads wait for each other.
    """

    def __init__(self, connection: Connection, rush: Rush = calm) -> None:
        self._connection = connection
        self._rush = rush
        self._waiting: list[_Read] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def fetch(self, sql: str, args: Sequence[object], enough: Enough = None) -> Sequence[Row]:
        """Run a statement; rows behind the first of which `enough` is true are not read."""
        if not self._rush():
            return await self._connection.work(lambda raw: _run(raw, sql, args, enough))
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_later(GATHER_SECONDS, self._go)
        future: asyncio.Future[Sequence[Row]] = loop.create_future()
        self._waiting.append(_Read(sql, args, enough, future))
        return await future

    async def finish(self) -> None:
        """Finish what is asked."""
        self._go()
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _go(self) -> None:
        reads, self._waiting = self._waiting, []
        if reads:
            task = asyncio.create_task(self._read(reads), name="store-reads")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _read(self, reads: Sequence[_Read]) -> None:
        try:
            await self._connection.work(lambda raw: _run_all(raw, reads))
        except Exception as error:  # noqa: BLE001 - the connection is gone: whoever asked is told
            for read in reads:
                read.error = read.error or error
        for read in reads:
            read.settle()


# in the connection's thread


def _run_all(raw: sqlite3.Connection, reads: Sequence[_Read]) -> None:
    for read in reads:
        try:
            read.found = _run(raw, read.sql, read.args, read.enough)
        except Exception as error:  # noqa: BLE001 - it is its caller's alone
            read.error = error


def _run(raw: sqlite3.Connection, sql: str, args: Sequence[object], enough: Enough) -> Sequence[Row]:
    if enough is None:
        return rows(raw, sql, args)
    with closing(raw.execute(sql, args)) as cursor:  # an open one would hold on to an old state of the database
        found: list[Row] = []
        for row in cursor:
            found.append(row)
            if enough(row):
                break
        return found
