"""The embedded default: one SQLite file, one process.

Two connections: one writes (`storage.writer`), one reads and can't write. synchronous=FULL because a commit rolled back by a power cut
could take a message id with it and make a second answer. Every writing transaction is IMMEDIATE: a deferred one that reads first fails at
once with "database is locked" whatever the busy timeout.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from storage.base import Drain, StopSignal, StoreError, StoreUnavailableError
from storage.connection import Connection
from storage.files import create_private, explain, lock_of, too_new
from storage.lanes import FIRST_RETRY_SECONDS, Lanes
from storage.reader import Reader
from storage.records import Records
from storage.rush import Rush, calm
from storage.statements import for_sqlite, migrations, statements
from storage.tx import Row, Tx
from storage.writer import Effects, Writer

T = TypeVar("T")

OLDEST_SQLITE = (3, 35, 0)  # RETURNING
ROWS_AT_ONCE = 64  # aiosqlite's own default; nothing here reads a cursor piece by piece
BUSY_TIMEOUT_MS = 5000  # for a backup or a curious sqlite3 shell; a second Dragoman is kept out by the lock file


class SqliteStore(Records):
    """A `storage.base.Store` in one SQLite file.

    Args:
        path: The database; it and its folder are made if they are missing, for the owner alone.
        now: Epoch seconds.
        synchronous: SQLite's pragma of that name. Less than FULL loses commits at a power cut.
        first_retry: Seconds until a conversation whose drain failed is drained again; doubles up to a minute.
        rush: Whether so many people wait that what is asked of the file is gathered.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        now: Callable[[], float] = time.time,
        synchronous: str = "FULL",
        first_retry: float = FIRST_RETRY_SECONDS,
        rush: Rush = calm,
    ) -> None:
        self._lanes = Lanes(self.first_open, first_retry=first_retry)
        self._file = SqliteDb(Path(path), self._lanes, now=now, synchronous=synchronous, rush=rush)
        super().__init__(self._file, now)

    async def open(self) -> None:
        """Take the database, migrate it, refuse a newer one."""
        await self._file.open()
        try:
            await self.purge()
        except StoreError:
            await self._file.aclose()
            raise

    async def aclose(self) -> None:
        """Finish what is queued and let go. End `run` before."""
        await self._file.aclose()

    async def run(self, drain: Drain) -> None:
        """Call `drain` for every conversation with open turns until cancelled."""
        await self._lanes.run(drain, self.open_conversations)

    async def scrub(self) -> bool:
        """Make what was removed unreadable in the files. Removed rows are written over; what is left is the log, which is emptied."""
        return await self._file.empty_log()

    def stop_signal(self, turn_id: int) -> StopSignal:
        """Return the signal of a claimed turn, set already if the stop came first. Kept until the turn is closed."""
        return self._lanes.signal(turn_id)


class SqliteDb:
    """The file: its lock, its schema, its two connections. A `storage.tx.Db`."""

    def __init__(self, path: Path, effects: Effects, *, now: Callable[[], float], synchronous: str, rush: Rush = calm) -> None:
        self._path = path.expanduser().resolve()  # two names of one file are to share the lock
        self._effects = effects
        self._now = now
        self._synchronous = synchronous
        self._rush = rush
        self._statements = {name: for_sqlite(statement.sql) for name, statement in statements().items()}
        self._lock = lock_of(self._path)
        self._reader: Connection | None = None
        self._reads: Reader | None = None
        self._connection: Connection | None = None
        self._writer: Writer | None = None

    async def open(self) -> None:
        """Lock, connect, migrate. Errors as for `storage.base.Store.open`; after one, nothing is held."""
        if sqlite3.sqlite_version_info < OLDEST_SQLITE:
            raise StoreUnavailableError(f"SQLite {sqlite3.sqlite_version} is too old: Python has to be linked with 3.35 or newer")
        if self._writer is not None:
            raise StoreError("The store is open already")
        # aiosqlite logs every statement with its arguments, which are people's words and secrets, as soon as DEBUG is on.
        logging.getLogger("aiosqlite").setLevel(logging.INFO)
        create_private(self._path.parent, self._path, self._lock.take)
        try:
            self._connection = await self._connect()
            await self._migrate(self._connection)
            self._reader = await self._connect()
            await self._reader.execute_fetchall("PRAGMA query_only = ON")
            self._reads = Reader(self._reader, self._rush)
        except sqlite3.Error as error:
            await self.aclose()
            raise explain(error, self._path) from error
        except BaseException:
            await self.aclose()
            raise
        self._writer = Writer(
            self._connection, self._statements, self._effects, lambda error: explain(error, self._path), self._synchronous, rush=self._rush
        )

    async def aclose(self) -> None:
        """Finish what is queued and let go. Idempotent."""
        writer, self._writer = self._writer, None
        if writer is not None:
            await writer.aclose()
        reads, self._reads = self._reads, None
        if reads is not None:
            await reads.finish()
        reader, self._reader = self._reader, None
        connection, self._connection = self._connection, None
        try:
            for one in (reader, connection):  # the writer last: who closes last folds the log into the database
                if one is not None:
                    await one.close()
        except sqlite3.Error as error:
            raise explain(error, self._path) from error
        finally:
            self._lock.release()

    async def unit(self, fn: Callable[[Tx], Awaitable[T]], *, hurried: bool = False, alone: bool = False) -> T:
        """Run `fn` in one write transaction."""
        if self._writer is None:
            raise self._closed()
        return await self._writer.unit(fn, hurried=hurried, alone=alone)

    async def fetch(self, name: str, *args: object, enough: Callable[[Row], bool] | None = None) -> Sequence[Row]:
        """Run a statement on the reading connection."""
        if self._reads is None:
            raise self._closed()
        try:
            return await self._reads.fetch(self._statements[name], args, enough)
        except sqlite3.Error as error:
            raise explain(error, self._path) from error

    async def empty_log(self) -> bool:
        """Bring the log into the database and cut it to nothing. False: a reader holds on to it."""
        if self._writer is None:
            raise self._closed()
        return await self._writer.between(_empty_log)

    def _closed(self) -> StoreUnavailableError:
        return StoreUnavailableError(f"The database {self._path} is not open")

    async def _connect(self) -> Connection:
        connect = partial(sqlite3.connect, self._path, isolation_level=None)
        connection = await Connection(connect, iter_chunk_size=ROWS_AT_ONCE).open()
        try:
            connection.row_factory = sqlite3.Row
            await self._prepare(connection)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _prepare(self, connection: Connection) -> None:
        await connection.execute_fetchall(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        ((mode,),) = await connection.execute_fetchall("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise StoreUnavailableError(f"SQLite can't keep its log beside {self._path}: put the database on a local disk")
        await connection.execute_fetchall(f"PRAGMA synchronous = {self._synchronous}")
        await connection.execute_fetchall("PRAGMA foreign_keys = ON")
        await connection.execute_fetchall("PRAGMA secure_delete = ON")  # what was removed is written over with zeros

    async def _migrate(self, connection: Connection) -> None:
        """Bring the schema up to date, each step in a transaction of its own."""
        steps = migrations()
        version = 0
        if list(await connection.execute_fetchall("PRAGMA table_info(schema_version)")):
            ((version,),) = await connection.execute_fetchall(self._statements["schema_version"])
        if version > len(steps):
            raise too_new(self._path, version, len(steps))
        for step in steps[version:]:
            try:
                await connection.executescript(f"BEGIN IMMEDIATE;\n{for_sqlite(step.sql)}")
                await connection.execute_fetchall(self._statements["schema_applied"], (step.version, self._now()))
                await connection.execute_fetchall("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    await connection.execute_fetchall("ROLLBACK")
                raise


async def _empty_log(connection: Connection) -> bool:
    # Nobody is waited for: a backup that is being made reads for as long as it takes, and every commit would wait with us.
    await connection.execute_fetchall("PRAGMA busy_timeout = 0")
    try:
        ((busy, _, _),) = await connection.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        await connection.execute_fetchall(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    return not busy
