"""The part of the store seam that knows what fails again and again: an event, or the turn that it asked for.

A failure is counted until what failed is carried out. What has failed too often for too long is parked: it is out of the way of what comes
after it, and kept until somebody asks for another try, or until its content is removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from storage.base import StoredEvent, Turn


@dataclass(frozen=True, slots=True)
class Trouble:
    """How an event has failed so far.

    Attributes:
        failures: How often.
        seconds: Since it first did.
        reason: Of the last time, as far as it was noted; quotes nothing that was said.
    """

    failures: int
    seconds: float
    reason: str


class TroubleStore(Protocol):
    """Failures, parking and another try. A turn is named by the event that asked for it; `Store.close` parks it."""

    async def failed(self, event_id: int, reason: str) -> Trouble:
        """Count a failure of an event that no turn carries. Those of a turn are counted by its next claim."""
        ...

    async def note_failure(self, event_id: int, reason: str) -> None:
        """Note why the present attempt at a turn fails."""
        ...

    async def forgive(self, event_id: int) -> None:
        """Count nothing so far: it was not the event's own fault."""
        ...

    async def park_event(self, event_id: int) -> None:
        """Park an event that no turn carries. It counts as finished until it is unparked."""
        ...

    async def retries_wanted(self) -> Sequence[int]:
        """List the parked events that somebody wants to be tried again, oldest first."""
        ...

    async def unpark(self, event_id: int) -> StoredEvent | None:
        """Let a parked event be tried again, as if it had never failed. A turn is drained again, and asked afresh if it has no answer.

        It is asked with the newest text of its question; one that was taken back is asked to stop.

        Returns:
            The event, if it is to be carried out by the caller; None for a turn, and if there is nothing left to be tried.
        """
        ...

    async def take_edits(self, turn: Turn) -> bool | None:
        """Give the question of a turn that is asked afresh the text that edits brought since it was claimed.

        Returns:
            True: it has other words now, and a provider's job that was given the old ones is let go. False: it has not. None: fenced.
        """
        ...

    async def commands_after(self, conversation: int, event_id: int, limit: int) -> Sequence[StoredEvent]:
        """List commands and presses that came to a conversation after an event and were carried out, oldest first, at most `limit`.

        Not those of which nothing came (see `Store.finish_event`).
        """
        ...

    async def forgotten(self, conversation: int) -> int:
        """Return the newest event of a conversation that had all before it forgotten, 0 if none did: `commands_after` has none of it."""
        ...

    async def read_at_last(self, event_id: int) -> None:
        """Note that an event which could not be read has been, and is kept as another one: nothing but the key stays of this one."""
        ...

    async def unreadable_still(self, event_id: int, reason: str) -> None:
        """Note that an event can't be read this time either, and why. It is set aside again."""
        ...
