"""What was said in a conversation: read for a turn, and told apart from what has changed since it was read.

Whoever keeps what was read of a conversation has to know when it holds no more. A conversation has a revision for it. It is raised in the
same transaction as every write to the entries of a turn behind which another turn was claimed: that one has read them, or may have. What is
added behind it raises nothing; it is read as new. No statement has to think of this: each that writes entries returns their turns, and
`Watched` sees to the rest.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from itertools import islice
from typing import TypeVar

from storage.base import Entry, Revision, Turn
from storage.rows import enough_before, entry_of
from storage.statements import statements
from storage.tx import Db, Row, Tx

T = TypeVar("T")

_WRITES_ENTRIES = re.compile(r"\b(?:INSERT\s+INTO|UPDATE|DELETE\s+FROM)\s+entry\b", re.IGNORECASE)


@cache
def entry_writers() -> frozenset[str]:
    """Return the names of the statements that write entries. Each of them returns the turns whose entries they are, as `turn`."""
    return frozenset(name for name, statement in statements().items() if _WRITES_ENTRIES.search(statement.sql))


class PastRecords:
    """The methods of `storage.pasts.PastStore`; see there."""

    _db: Db

    async def transcript(self, turn: Turn, limit: int, *, chars: int | None = None) -> Sequence[Entry]:
        """Return the last `limit` entries up to the turn's own question, oldest first, or as many as have `chars` characters."""
        enough = None if chars is None else enough_before(turn.id, chars)
        rows = await self._db.fetch("transcript", turn.conversation, turn.seq, limit, enough=enough)
        return [entry_of(row) for row in reversed(rows)]

    async def transcript_since(self, turn: Turn, place: int, revision: Revision, limit: int) -> Sequence[Entry] | None:
        """Return the newer part of a turn's transcript; None if the older part may have changed."""
        if place >= turn.seq:  # a parked turn that is tried again: turns behind it were answered meanwhile
            return None
        rows = await self._db.fetch("transcript_since", turn.conversation, turn.seq, place, limit)
        if not rows or len(rows) == limit:
            return None
        if Revision(rows[0]["revision"], rows[0]["reset_seq"]) != revision:  # the same in every row
            return None
        return [Entry(*islice(row, len(Entry._fields))) for row in reversed(rows)]


class Watched:
    """A `storage.tx.Db` that raises the revision of a conversation whenever what was read of it may have changed."""

    def __init__(self, db: Db) -> None:
        self._db = db

    async def unit(self, fn: Callable[[Tx], Awaitable[T]], *, hurried: bool = False, alone: bool = False) -> T:
        """Run `fn` in one write transaction, watched; see `storage.tx.Db.unit`."""
        return await self._db.unit(lambda tx: fn(_WatchedTx(tx)), hurried=hurried, alone=alone)

    async def fetch(self, name: str, *args: object, enough: Callable[[Row], bool] | None = None) -> Sequence[Row]:
        """Run a statement that only reads; see `storage.tx.Db.fetch`."""
        return await self._db.fetch(name, *args, enough=enough)


class _WatchedTx:
    """A `storage.tx.Tx` that raises revisions."""

    def __init__(self, tx: Tx) -> None:
        self._tx = tx
        self.wake, self.interrupt, self.forget = tx.wake, tx.interrupt, tx.forget

    async def fetch(self, name: str, *args: object) -> Sequence[Row]:
        rows = await self._tx.fetch(name, *args)
        if rows and name in entry_writers():
            for turn in sorted({row["turn"] for row in rows}):
                await self._tx.fetch("revision_raise", turn)
        return rows
