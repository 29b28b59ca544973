"""A copy of the embedded database, taken while the bridge runs or stands still.

SQLite copies what one read transaction sees, so the copy is consistent whatever is written meanwhile, and the writer never waits for it.
The lock file that keeps a second bridge out is not asked for.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from storage.base import StoreError, StoreUnavailableError
from storage.beside import connected, schema_of
from storage.files import explain, unavailable


@dataclass(frozen=True, slots=True)
class Copy:
    """A finished copy. `size` is in bytes, `schema` the number of its newest migration."""

    path: Path
    size: int
    schema: int


def back_up(source: Path, target: Path) -> Copy:
    """Copy a database to a file that does not exist yet, readable by its owner alone; it is there whole or not at all.

    What was deleted is not copied, and the copy is read through once: a damaged database makes no backup.

    Raises:
        StoreError: There is no database, something has the target's name, or the copy can't be made.
    """
    source, target = source.expanduser().absolute(), target.expanduser().absolute()
    if os.path.lexists(target):
        raise _taken(target)
    with connected(source) as database:
        schema = schema_of(database, source)
        part = _part(target)
        try:
            with _told(source, target):
                database.execute("VACUUM INTO ?", (str(part),))
            _check(part, source)
            size = _settle(part, target)
        finally:
            part.unlink(missing_ok=True)
    return Copy(target, size, schema)


def _part(target: Path) -> Path:
    """Make the empty file, for its owner alone, that grows into the copy."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    except OSError as error:
        raise StoreUnavailableError(
            f"The backup {target} can't be made: {error.strerror}. Check the path and who may write there."
        ) from error
    os.close(handle)
    return Path(name)


@contextmanager
def _told(source: Path, target: Path) -> Iterator[None]:
    """Tell trouble with the copy from trouble with the database: SQLite's own words don't say which of the two has no room."""
    try:
        yield
    except sqlite3.Error as error:
        kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if kind == sqlite3.SQLITE_FULL:
            raise StoreUnavailableError(
                f"There is no room for the backup {target}. Free some space, or write it to another disk."
            ) from error
        raise explain(error, source) from error


def _check(part: Path, source: Path) -> None:
    try:
        copy = sqlite3.connect(part)
        try:
            ((found,), *_) = copy.execute("PRAGMA quick_check(1)")
        finally:
            copy.close()
    except sqlite3.Error as error:
        raise explain(error, source) from error
    if found != "ok":
        raise unavailable(sqlite3.SQLITE_CORRUPT, source)


def _settle(part: Path, target: Path) -> int:
    """Bring the copy to the disk and give it its name, which nobody may have taken meanwhile; return its size."""
    try:
        with part.open("rb") as file:
            os.fsync(file.fileno())
            size = os.fstat(file.fileno()).st_size
        try:
            os.link(part, target)
        except FileExistsError:
            raise _taken(target) from None
        except OSError:  # a file system without hard links
            if os.path.lexists(target):
                raise _taken(target) from None
            part.rename(target)
        with suppress(OSError):  # where folders can't be opened or synced, such as on some network disks
            folder = os.open(target.parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
    except OSError as error:
        raise StoreUnavailableError(f"The backup {target} can't be written: {error.strerror}.") from error
    return size


def _taken(target: Path) -> StoreError:
    return StoreError(f"{target} exists already and is left as it is. Give the backup another name.")
