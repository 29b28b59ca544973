"""Several messages that make one question: each is an event with its key and an entry of its own, and one turn asks them together."""

from __future__ import annotations

from storage.base import Merge, NewTurn
from storage.tx import Tx

MOST_PIECES = 50
"""Messages of one question; what comes after makes the next one."""


async def join(tx: Tx, conversation: int, chat: int, new: NewTurn, *, event: int, now: float) -> int | None:
    """Make a question part of the turn before it, if that waits and they belong together; return the turn, None if they don't.

    They do if the same person wrote both in the same chat, as plain messages, so close together, and nothing came in between.
    """
    if new.merge is None:
        return None
    found = await tx.fetch("turn_joinable", conversation, chat, new.author, now - new.merge.window, event, MOST_PIECES)
    if not found:
        return None
    turn = int(found[0]["id"])
    await tx.fetch("turn_join", turn, event, ready_at(new.merge, now))
    await tx.wake(conversation)
    return turn


def ready_at(merge: Merge | None, now: float) -> float | None:
    """Return when a question may be asked, epoch seconds; None: at once."""
    return now + merge.window if merge is not None and merge.more else None
