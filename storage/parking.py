"""What the store does about events that fail again and again, written over the tiny database protocol."""

from __future__ import annotations

from collections.abc import Sequence

from storage.base import EventKind, StoredEvent, Turn, TurnState
from storage.questions import reopened, withdrawn_meanwhile
from storage.removal import clear_away
from storage.troubles import Trouble
from storage.tx import OverDb, Row, Tx

UNEXPLAINED = "it was cut off each time: the process ended in the middle of it, or could not say why"
"""The reason where none was noted."""


class ParkingRecords(OverDb):
    """The methods of `storage.troubles.TroubleStore`; see there."""

    async def failed(self, event_id: int, reason: str) -> Trouble:
        """Count a failure of an event that no turn carries."""
        return await self._db.unit(lambda tx: count(tx, event_id, self._now(), reason))

    async def note_failure(self, event_id: int, reason: str) -> None:
        """Note why the present attempt at a turn fails."""
        await self._db.unit(lambda tx: tx.fetch("trouble_count", event_id, 0, self._now(), reason, UNEXPLAINED))

    async def forgive(self, event_id: int) -> None:
        """Count nothing so far."""
        await self._db.unit(lambda tx: tx.fetch("trouble_drop", event_id))

    async def park_event(self, event_id: int) -> None:
        """Park an event that no turn carries."""
        now = self._now()

        async def unit(tx: Tx) -> None:
            await tx.fetch("trouble_park", event_id, 1, now, UNEXPLAINED)
            await finish(tx, event_id, now)

        await self._db.unit(unit)

    async def retries_wanted(self) -> Sequence[int]:
        """List the parked events that somebody wants to be tried again, oldest first."""
        return [int(row["event"]) for row in await self._db.fetch("troubles_wanted")]

    async def unpark(self, event_id: int) -> StoredEvent | None:
        """Let a parked event be tried again."""
        return await self._db.unit(lambda tx: _unpark(tx, event_id))

    async def take_edits(self, turn: Turn) -> bool | None:
        """Give a turn's question the newest text, and let its job go if there is one. None: fenced."""

        async def unit(tx: Tx) -> bool | None:
            return await reopened(tx, turn.id) if await tx.fetch("turn_fence", turn.id, turn.attempt) else None

        return await self._db.unit(unit)

    async def commands_after(self, conversation: int, event_id: int, limit: int) -> Sequence[StoredEvent]:
        """List commands and presses that were carried out after an event."""
        return [stored_event(row) for row in await self._db.fetch("commands_after", conversation, event_id, limit)]

    async def forgotten(self, conversation: int) -> int:
        """Return the newest event of a conversation that had everything before it forgotten."""
        rows = await self._db.fetch("conversation_forgotten", conversation)
        return int(rows[0]["forgotten_event"]) if rows else 0

    async def read_at_last(self, event_id: int) -> None:
        """Empty an event that is kept as another one by now."""
        now = self._now()
        await self._db.unit(lambda tx: tx.fetch("event_read_at_last", event_id, now))

    async def unreadable_still(self, event_id: int, reason: str) -> None:
        """Set an event aside again."""
        now = self._now()

        async def unit(tx: Tx) -> None:
            await tx.fetch("event_unreadable_still", event_id, reason)
            await finish(tx, event_id, now)

        await self._db.unit(unit)


async def count(tx: Tx, event_id: int, now: float, reason: str = "") -> Trouble:
    """Count a failure; without a reason the one noted before stays."""
    row = (await tx.fetch("trouble_count", event_id, 1, now, reason, UNEXPLAINED))[0]
    return Trouble(row["failures"], max(0.0, now - row["since"]), row["reason"])


async def over(tx: Tx, event_id: int, now: float, error: str | None) -> None:
    """Note that an event was carried out, or why nothing came of it: it is in no trouble any more."""
    await tx.fetch("trouble_drop", event_id)
    if error is not None:
        await tx.fetch("event_in_vain", event_id, error)
    await finish(tx, event_id, now)


async def finish(tx: Tx, event_id: int, now: float) -> None:
    """Note that an event was carried out, or parked; what was forgotten meanwhile is removed."""
    for row in await tx.fetch("event_finish", event_id, now):
        if row["forgotten"]:
            await clear_away(tx, row["conversation"], above=event_id - 1, upto=event_id)


async def closed(tx: Tx, turn: Turn, state: TurnState, now: float) -> None:
    """Take note that a turn has ended or was parked."""
    if state is TurnState.PARKED:
        await tx.fetch("trouble_park", turn.event, turn.attempt, now, UNEXPLAINED)
    elif turn.tries > 1:
        await tx.fetch("trouble_drop", turn.event)


async def give_up(tx: Tx, turn: int) -> None:
    """Give a turn up that is parked: its question is asked again by another."""
    for row in await tx.fetch("turn_give_up", turn):
        await tx.fetch("trouble_drop", row["event"])


async def _unpark(tx: Tx, event_id: int) -> StoredEvent | None:
    if not await tx.fetch("trouble_unpark", event_id):
        return None
    for turn in await tx.fetch("turn_unpark", event_id):
        if turn["state"] == TurnState.ACCEPTED:
            await withdrawn_meanwhile(tx, turn["id"], turn["conversation"])
            await reopened(tx, turn["id"])
        await tx.wake(turn["conversation"])
        return None
    for row in await tx.fetch("event_unpark", event_id):
        return stored_event(row)
    return None


def stored_event(row: Row) -> StoredEvent:
    """Return the event of a row."""
    return StoredEvent(row["id"], row["key"], EventKind(row["kind"]), row["conversation"], row["payload"])
