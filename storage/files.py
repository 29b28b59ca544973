"""What the embedded store asks of the file system: a lock, private files, and errors told in words."""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

from storage.base import SchemaTooNewError, StoreError, StoreInUseError, StoreUnavailableError

_PRIVATE_FOLDER = 0o700
_PRIVATE_FILE = 0o600


class FileLock:
    """An exclusive lock that ends with the process however it ends, because the kernel holds it.

    Args:
        path: The lock file. It stays behind; only who holds it matters.
        guards: What it is for, to be named in the error.
    """

    def __init__(self, path: Path, guards: Path) -> None:
        self._path = path
        self._guards = guards
        self._fd: int | None = None

    def take(self) -> None:
        """Take the lock.

        Raises:
            StoreInUseError: Another process, or another store of this one, holds it.
            OSError: The file can't be made.
        """
        fd = os.open(self._path, os.O_RDWR | os.O_CREAT, _PRIVATE_FILE)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(fd, 0)
            os.write(fd, str(os.getpid()).encode())
        except BlockingIOError as error:
            holder = _written(fd)
            os.close(fd)
            raise StoreInUseError(
                f"Another Dragoman{f' (process {holder})' if holder else ''} uses the database {self._guards}: "
                "stop it first, or give this one a database of its own.",
                holder,
            ) from error
        except OSError:
            os.close(fd)
            raise
        self._fd = fd

    def held(self) -> tuple[bool, str | None]:
        """Tell whether somebody holds it, and that one's process id if it can be told. Makes nothing."""
        try:
            fd = os.open(self._path, os.O_RDONLY)
        except OSError:
            return False, None
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True, _written(fd)
        finally:
            os.close(fd)
        return False, None

    def release(self) -> None:
        """Let go. Idempotent."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


def _written(fd: int) -> str | None:
    written = os.pread(fd, 20, 0).decode(errors="replace")
    return written if written.isdigit() else None


def lock_of(file: Path) -> FileLock:
    """Return the lock of a database."""
    return FileLock(file.with_name(file.name + "-lock"), file)


def create_private(folder: Path, file: Path, locked: Callable[[], None]) -> None:
    """Make the folder and the file where they are missing, readable by their owner alone; call `locked` in between.

    Raises:
        StoreUnavailableError: They can't be made, read or written.
    """
    try:
        for missing in reversed([parent for parent in (folder, *folder.parents) if not parent.exists()]):
            missing.mkdir(mode=_PRIVATE_FOLDER, exist_ok=True)
        locked()
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, _PRIVATE_FILE))
    except OSError as error:
        if error.errno in _ERRNOS:
            raise unavailable(_ERRNOS[error.errno], file) from error
        raise StoreUnavailableError(
            f"The database {file} can't be opened: {error.strerror}. Check the path and who may write there."
        ) from error


def explain(error: sqlite3.Error, file: Path) -> StoreError:
    """Say in words what SQLite's error means for the person who runs the bridge. Never with the arguments of a statement."""
    try:
        kind = error.sqlite_errorcode & 0xFF  # the other bytes are its detail
    except AttributeError:  # raised by Python's own module and not by SQLite, as for a closed connection
        kind = sqlite3.SQLITE_ERROR
    if kind not in _SENTENCES:
        return StoreError(f"The database {file} refused a statement: {error}")
    return unavailable(kind, file)


def unavailable(kind: int, file: Path) -> StoreUnavailableError:
    """Say what one of SQLite's primary result codes means; only those that `explain` knows."""
    return StoreUnavailableError(_SENTENCES[kind].format(file=file))


def too_new(file: Path, schema: int, newest: int) -> SchemaTooNewError:
    """Say that a newer program wrote a database, and what to do."""
    return SchemaTooNewError(
        f"The database {file} has schema {schema}, and this version of Dragoman knows schemas up to {newest}. "
        "Start the newer version that wrote it, or restore a backup from before the upgrade."
    )


_ERRNOS = {errno.ENOSPC: sqlite3.SQLITE_FULL, errno.EDQUOT: sqlite3.SQLITE_FULL, errno.EROFS: sqlite3.SQLITE_READONLY}

_SENTENCES = {
    sqlite3.SQLITE_FULL: "The disk is full: {file} can't grow. Free some space; nothing that was confirmed is lost.",
    sqlite3.SQLITE_READONLY: "The database {file} is read-only. Give the user that runs Dragoman the right to write it and its folder.",
    sqlite3.SQLITE_PERM: "The database {file} may not be opened. Give the user that runs Dragoman the right to write it and its folder.",
    sqlite3.SQLITE_CANTOPEN: "The database {file} can't be opened. Check the path and who may write there.",
    sqlite3.SQLITE_BUSY: "Another program keeps the database {file} locked. Close it, or wait until it has finished.",
    sqlite3.SQLITE_LOCKED: "Another program keeps the database {file} locked. Close it, or wait until it has finished.",
    sqlite3.SQLITE_IOERR: "The disk failed while {file} was read or written. Look at the system's log; restore a backup if it goes on.",
    sqlite3.SQLITE_CORRUPT: "The database {file} is damaged. Restore a backup, or move it away to start with an empty one.",
    sqlite3.SQLITE_NOTADB: "{file} is no database. Give the path of a Dragoman database, or of a file that does not exist yet.",
}
