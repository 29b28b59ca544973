"""Looking at the embedded database beside the process that has it: no lock is asked for, nothing is migrated, nothing is written."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from storage.base import StoreError
from storage.files import explain, lock_of, too_new, unavailable
from storage.statements import for_sqlite, migrations, statements
from storage.tallies import summed
from storage.usage import Tally

BUSY_TIMEOUT_SECONDS = 5.0
NEWEST_SHOWN = 3
PARKED_SHOWN = 20


@dataclass(frozen=True, slots=True)
class SetAside:
    """An event that could not be read. `reason` quotes nothing that was written; `received_at` is in epoch seconds."""

    id: int
    platform: str
    reason: str
    received_at: float


@dataclass(frozen=True, slots=True)
class Parked:
    """An event that failed too often. `reason` quotes nothing that was said; times are in epoch seconds.

    Attributes:
        since: When it first failed.
        wanted: Somebody asked for another try, which is still to come.
    """

    id: int
    kind: str
    platform: str
    failures: int
    since: float
    reason: str
    parked_at: float
    wanted: bool


@dataclass(frozen=True, slots=True)
class Survey:
    """What a look at the database shows.

    Attributes:
        size: Bytes of the file, without its log.
        schema: Number of its newest migration.
        newest_schema: The same of this program.
        in_use: A bridge has it.
        holder: That one's process id, None if it can't be told.
        set_aside: How many events could not be read.
        newest_set_aside: The newest of them, newest first.
        interrupted: How many questions were interrupted by a crash and not asked again.
        parked: How many events failed too often and are parked.
        newest_parked: The newest of them, newest first.
    """

    path: Path
    size: int
    schema: int
    newest_schema: int
    in_use: bool
    holder: str | None
    set_aside: int
    newest_set_aside: tuple[SetAside, ...]
    interrupted: int
    parked: int = 0
    newest_parked: tuple[Parked, ...] = ()


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """Connect to a database that is there.

    Raises:
        StoreError: There is none, or it can't be opened.
    """
    if not path.is_file():
        raise StoreError(f"There is no database {path}. Check DATABASE_URL; the first start of the bridge makes it.")
    try:
        # Not mode=ro: to read what a crash left in the log, SQLite has to make the log's index.
        database = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None)
    except sqlite3.Error as error:
        raise explain(error, path) from error
    try:
        database.row_factory = sqlite3.Row
        yield database
    except sqlite3.Error as error:
        raise explain(error, path) from error
    finally:
        database.close()


def run(database: sqlite3.Connection, name: str, *args: object) -> Sequence[sqlite3.Row]:
    """Run a named statement."""
    return database.execute(for_sqlite(statements()[name].sql), args).fetchall()


def schema_of(database: sqlite3.Connection, path: Path) -> int:
    """Return the number of the newest migration.

    Raises:
        StoreError: It is no database of ours.
    """
    if not database.execute("PRAGMA table_info(schema_version)").fetchall():
        raise StoreError(f"{path} is no database of Dragoman. Check DATABASE_URL.")
    ((schema,),) = run(database, "schema_version")
    return int(schema)


def usage_by_day(path: Path, first_day: int, end_day: int, *, of: str) -> Mapping[tuple[int, str], Sequence[Tally]]:
    """Return the usage of the subjects whose names begin with `of`: (day, subject) → sums by provider and currency, newest day first.

    Raises:
        StoreError: There is no database, it is not ours, or of a version that kept no sums.
    """
    path = path.expanduser().absolute()
    with connected(path) as database:
        schema, newest = schema_of(database, path), len(migrations())
        if schema > newest:
            raise too_new(path, schema, newest)
        if not database.execute("PRAGMA table_info(tally)").fetchall():
            raise StoreError(
                f"{path} is from an older version, which kept no sums. Start the bridge once: it brings the database up to date."
            )
        rows = database.execute(for_sqlite(statements()["tallies_by_day"].sql), (first_day, end_day, of)).fetchall()
    found: dict[tuple[int, str], list[sqlite3.Row]] = {}
    for row in rows:
        found.setdefault((row["day"], row["subject"]), []).append(row)
    return {key: sums for key in sorted(found, key=lambda key: (-key[0], key[1])) if (sums := summed(found[key]))}


def survey(path: Path) -> Survey:
    """Look at a database, and whether it is sound, which takes some seconds for a large one.

    Raises:
        SchemaTooNewError: A newer program wrote it.
        StoreError: There is none, it is not ours, damaged, or may not be read or written.
    """
    path = path.expanduser().absolute()
    with connected(path) as database:
        schema, newest = schema_of(database, path), len(migrations())
        if schema > newest:
            raise too_new(path, schema, newest)
        ((sound, *_), *_) = database.execute("PRAGMA quick_check(1)")
        if sound != "ok":
            raise unavailable(sqlite3.SQLITE_CORRUPT, path)
        ((count,),) = run(database, "unreadable_count")
        ((interrupted,),) = run(database, "interrupted_count")
        rows = run(database, "unreadable_newest", NEWEST_SHOWN)
        parked, newest_parked = _parked(database)
    if not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)):
        raise unavailable(sqlite3.SQLITE_READONLY, path)
    in_use, holder = lock_of(path.resolve()).held()
    return Survey(
        path=path,
        size=path.stat().st_size,
        schema=schema,
        newest_schema=newest,
        in_use=in_use,
        holder=holder,
        set_aside=count,
        newest_set_aside=tuple(SetAside(row["id"], row["platform"], row["error"] or "", row["received_at"]) for row in rows),
        interrupted=interrupted,
        parked=parked,
        newest_parked=newest_parked,
    )


def _parked(database: sqlite3.Connection) -> tuple[int, tuple[Parked, ...]]:
    if not database.execute("PRAGMA table_info(trouble)").fetchall():  # the database is of an older version
        return 0, ()
    ((count,),) = run(database, "parked_count")
    rows = run(database, "parked_newest", PARKED_SHOWN)
    newest = (
        Parked(
            row["event"],
            row["kind"],
            row["platform"],
            row["failures"],
            row["since"],
            row["reason"],
            row["parked_at"],
            row["retry_at"] is not None,
        )
        for row in rows
    )
    return count, tuple(newest)
