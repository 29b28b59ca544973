"""Asking for another try of what is parked, beside a bridge or without one: the wish is stored, a running bridge grants it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.base import StoreError
from storage.beside import connected, run, schema_of
from storage.files import lock_of, too_new
from storage.statements import migrations

LISTED = 10
"""So many parked events are named where one that is not parked was asked for."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that can't be tried again, and why."""

    event: int
    why: str


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for.

    Attributes:
        taken: Events that will be tried again.
        refused: Those that will not.
        in_use: A bridge has the database and grants the wishes within seconds; otherwise the next one does that starts.
    """

    taken: tuple[int, ...]
    refused: tuple[Refused, ...]
    in_use: bool


def _nothing_forbids(_key: str) -> str | None:
    return None


def want_again(path: Path, events: Sequence[int] | None, *, why_never: Callable[[str], str | None] = _nothing_forbids) -> Wishes:
    """Ask for another try of parked events, of all where `events` is None. Asking twice does no more than asking once.

    What could not be read is tried again where it is named: a newer version may be able to.

    Args:
        path: The database.
        events: Their numbers.
        why_never: Tells by its key why an event that could not be read is of no use by now; None: it may be.

    Raises:
        SchemaTooNewError: A newer program wrote the database.
        StoreError: There is none, it is an older one, or it can't be written.
    """
    path = path.expanduser().absolute()
    with connected(path) as database:
        schema, newest = schema_of(database, path), len(migrations())
        if schema > newest:
            raise too_new(path, schema, newest)
        if schema < newest:
            raise StoreError(f"The database {path} is of an older version: start this version of the bridge once, it brings it up to date.")
        database.execute("BEGIN IMMEDIATE")
        now = time.time()
        never: Mapping[int, str] = {}
        if events is None:
            taken = sorted(row["event"] for row in run(database, "parked_want_all", now))
        else:
            never = _never(database, dict.fromkeys(events), why_never)
            taken = [event for event in dict.fromkeys(events) if event not in never and _want(database, event, now)]
        refused = [
            Refused(event, never.get(event) or _why_not(database, event)) for event in dict.fromkeys(events or ()) if event not in taken
        ]
        database.execute("COMMIT")
    in_use, _ = lock_of(path.resolve()).held()
    return Wishes(tuple(taken), tuple(refused), in_use)


def _never(database: sqlite3.Connection, events: Iterable[int], why_never: Callable[[str], str | None]) -> Mapping[int, str]:
    """Return which events are of no use to be read again, and why."""
    standing = {event: row for event in events for row in run(database, "event_standing", event)}
    kept = {event: why_never(row["key"]) for event, row in standing.items() if row["kind"] == "unreadable" and row["kept"]}
    return {event: why for event, why in kept.items() if why is not None}


def _want(database: sqlite3.Connection, event: int, now: float) -> bool:
    """Ask for another try of an event that is parked, or for what could not be read to be read again."""
    return bool(run(database, "parked_want", event, now) or run(database, "unreadable_want", event, now))


def _why_not(database: sqlite3.Connection, event: int) -> str:
    rows = run(database, "event_standing", event)
    if not rows:
        return f"there is no event {event}; {_parked(database)}"
    row = rows[0]
    if not row["kept"]:
        return "its content has been removed, nothing is left to be tried again"
    if row["failures"] or not row["finished"]:
        return "it is not parked: it is still being tried by itself"
    return f"it is not parked; {_parked(database)}"


def _parked(database: sqlite3.Connection) -> str:
    """Say which events are parked, the newest first."""
    count = run(database, "parked_count")[0]["n"]
    if not count:
        return "nothing is parked"
    newest = [str(row["event"]) for row in run(database, "parked_newest", LISTED)]
    more = f" and {count - len(newest)} older" if count > len(newest) else ""
    return f"parked {'is' if count == 1 else 'are'} {', '.join(newest)}{more} (`dragoman doctor` tells more)"
