"""Group commit: one task that writes, and commits together what has queued up.

One commit costs one fsync however many units it holds, so a slow disk slows the single unit but not the many. Each unit has a savepoint of
its own: one that fails is undone alone. A group is one hop to the connection's thread, not one for each statement: a hop costs more
than most statements do. In a rush the hops themselves are what costs: units wait a moment for each other.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from storage.base import StoreError
from storage.connection import Connection, rows
from storage.rush import GATHER_SECONDS, Rush, calm
from storage.tx import Row, Tx

log = logging.getLogger(__name__)

T = TypeVar("T")

LARGEST_GROUP = 128
"""Units of one commit. Bounds how long the first of them waits for the last."""


def _driven(unit: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never has to wait to its end: a unit awaits its transaction alone, which answers at once."""
    try:
        unit.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    unit.close()
    raise TypeError("a unit awaited something else than its transaction")


class Effects(Protocol):
    """What a transaction sets in motion once it is committed."""

    def wake(self, conversation: int) -> None:
        """Have a conversation drained."""
        ...

    def interrupt(self, turn: int) -> None:
        """Set a turn's stop signal."""
        ...

    def forget(self, turn: int) -> None:
        """Let go of a turn's stop signal."""
        ...


@dataclass(slots=True)
class _Unit:
    fn: Callable[[Tx], Awaitable[Any]]
    future: asyncio.Future[Any]
    hurried: bool
    effects: list[Callable[[], None]] = field(default_factory=list)
    result: Any = None
    error: Exception | None = None

    def settle(self) -> None:
        """Tell the caller, unless it was cancelled meanwhile: what it asked for is done all the same."""
        if self.future.done():
            return
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


@dataclass(slots=True)
class _Errand:
    """Something that can't be done inside a transaction."""

    work: Callable[[Connection], Awaitable[Any]]
    future: asyncio.Future[Any]


class _UnitTx:
    """A `storage.tx.Tx` of one unit."""

    def __init__(self, raw: sqlite3.Connection, statements: Mapping[str, str], unit: _Unit, effects: Effects) -> None:
        self._raw = raw
        self._statements = statements
        self._unit = unit
        self._effects = effects

    async def fetch(self, name: str, *args: object) -> Sequence[Row]:
        return rows(self._raw, self._statements[name], args)

    async def wake(self, conversation: int) -> None:
        self._unit.effects.append(lambda: self._effects.wake(conversation))

    async def interrupt(self, turn: int) -> None:
        self._unit.effects.append(lambda: self._effects.interrupt(turn))

    async def forget(self, turn: int) -> None:
        self._unit.effects.append(lambda: self._effects.forget(turn))


class Writer:
    """Runs units one after the other on a connection that nobody else writes on.

    Args:
        connection: In autocommit mode, so that BEGIN and COMMIT are ours alone.
        statements: Name → SQL in SQLite's spelling.
        effects: Set in motion after a commit, in the order of the units.
        translate: Makes a `StoreError` of SQLite's own errors.
        synchronous: The connection's pragma of that name.
        rush: Whether units wait for each other.
    """

    def __init__(
        self,
        connection: Connection,
        statements: Mapping[str, str],
        effects: Effects,
        translate: Callable[[sqlite3.Error], StoreError],
        synchronous: str,
        *,
        rush: Rush = calm,
    ) -> None:
        self._connection = connection
        self._statements = statements
        self._effects = effects
        self._translate = translate
        self._synchronous = synchronous
        self._waits = True
        self._rush = rush
        self._go = asyncio.Event()
        self._queue: asyncio.Queue[_Unit | _Errand | None] = asyncio.Queue()
        self._task = asyncio.create_task(self._run(), name="store-writer")

    async def unit(self, fn: Callable[[Tx], Awaitable[T]], *, hurried: bool = False, alone: bool = False) -> T:
        """Run `fn` in a transaction and return its result after the commit. To cancel the caller doesn't take it back.

        `hurried`, `alone`: see `storage.tx.Db.unit`. A group waits for the disk if one of its units does.
        """
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Unit(fn, future, hurried))
        if alone:
            self._go.set()
        return await future

    async def between(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Run `work` between two transactions. It must be quick: every commit waits for it."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait(_Errand(work, future))
        return await future

    async def aclose(self) -> None:
        """Finish what is queued and end."""
        self._queue.put_nowait(None)
        self._go.set()
        await self._task

    async def _run(self) -> None:
        while (first := await self._queue.get()) is not None:
            if self._rush():
                await self._gather()
            group: list[_Unit] = []
            following: _Unit | _Errand | None = first
            while isinstance(following, _Unit):
                group.append(following)
                if len(group) == LARGEST_GROUP or self._queue.empty():
                    break
                following = self._queue.get_nowait()
            if self._queue.empty():
                self._go.clear()
            if group:
                await self._commit(group)
            if isinstance(following, _Errand):
                await self._do(following)
            if following is None:
                return

    async def _gather(self) -> None:
        """Wait for others, until one comes that does not wait."""
        timer = asyncio.get_running_loop().call_later(GATHER_SECONDS, self._go.set)
        try:
            await self._go.wait()
        finally:
            timer.cancel()

    async def _do(self, errand: _Errand) -> None:
        try:
            result = await errand.work(self._connection)
        except Exception as error:  # noqa: BLE001 - nothing may end the writer; who asked for it is told
            if not errand.future.done():
                errand.future.set_exception(self._translate(error) if isinstance(error, sqlite3.Error) else error)
        else:
            if not errand.future.done():
                errand.future.set_result(result)

    async def _commit(self, group: Sequence[_Unit]) -> None:
        """Run the units in one transaction and settle them in their order."""
        try:
            await self._connection.work(lambda raw: self._run_all(raw, group))
        except Exception as error:  # noqa: BLE001 - nothing may end the writer, or every later caller would wait for ever; all are told
            refusal = self._translate(error) if isinstance(error, sqlite3.Error) else error
            for unit in group:
                unit.error = unit.error or refusal
        for unit in group:
            if unit.error is None:
                self._set_in_motion(unit)
            unit.settle()

    @staticmethod
    def _set_in_motion(unit: _Unit) -> None:
        try:
            for effect in unit.effects:
                effect()
        except Exception:  # what is committed is committed: the caller is told so, and the writer goes on
            log.exception("a committed transaction could not set in motion what follows from it")

    # in the connection's thread

    def _run_all(self, raw: sqlite3.Connection, group: Sequence[_Unit]) -> None:
        try:
            self._wait_for_the_disk(raw, wait=not all(unit.hurried for unit in group))
            rows(raw, "BEGIN IMMEDIATE")
            if len(group) == 1:  # the transaction is its savepoint
                self._attempt(raw, group[0])
            else:
                for unit in group:
                    self._savepoint(raw, unit)
            rows(raw, "COMMIT" if len(group) > 1 or group[0].error is None else "ROLLBACK")
        except Exception:
            self._rollback(raw)
            raise

    def _wait_for_the_disk(self, raw: sqlite3.Connection, *, wait: bool) -> None:
        """Set whether the next commit does. Only a database that is kept to the full ever hurries."""
        if self._synchronous == "FULL" and wait is not self._waits:
            rows(raw, f"PRAGMA synchronous = {'FULL' if wait else 'NORMAL'}")
            self._waits = wait

    def _savepoint(self, raw: sqlite3.Connection, unit: _Unit) -> None:
        """Run one unit so that it leaves nothing behind if it fails.

        Raises:
            sqlite3.Error: The whole transaction is lost: a full disk or an I/O error can make SQLite roll it back by itself.
        """
        rows(raw, "SAVEPOINT unit")
        self._attempt(raw, unit)
        if unit.error is not None:
            rows(raw, "ROLLBACK TO unit")
        rows(raw, "RELEASE unit")

    def _attempt(self, raw: sqlite3.Connection, unit: _Unit) -> None:
        """Run one unit and keep what came of it. Errors as for `_savepoint`."""
        try:
            unit.result = _driven(_awaited(unit.fn(_UnitTx(raw, self._statements, unit, self._effects))))
        except sqlite3.Error as error:
            if not raw.in_transaction:
                raise
            unit.error = self._translate(error)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is its caller's, who gets it; the other units go on
            unit.error = error

    @staticmethod
    def _rollback(raw: sqlite3.Connection) -> None:
        try:
            if raw.in_transaction:
                rows(raw, "ROLLBACK")
        except Exception:  # it is the second error of this group; the next BEGIN tells whether the connection still works
            log.exception("a failed transaction could not be rolled back")


async def _awaited(work: Awaitable[T]) -> T:
    return await work
