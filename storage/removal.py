"""Removing what was said: in steps short enough that nobody waits for them, each whole or not at all."""

from __future__ import annotations

from collections.abc import Sequence

from storage.base import Sweep
from storage.tx import Db, Tx


async def forget(tx: Tx, conversation: int, *, before: int, asked: int | None, settings: Sequence[tuple[str, str]]) -> bool:
    """Start afresh, and mark what older events brought for removal; False if another event did since `asked`."""
    forgotten = (await tx.fetch("conversation_forgotten", conversation))[0]["forgotten_event"]
    if asked is not None and asked < forgotten != before:
        return False
    await tx.fetch("conversation_reset", conversation, before)
    await tx.fetch("states_drop", conversation)
    if await tx.fetch("conversation_forget", conversation, before):  # carried out once more it removes nothing that was set since
        for scope, key in settings:
            await tx.fetch("setting_drop", scope, key)
    return True


async def step(db: Db, conversation: int, *, came_before: float, after: int, limit: int) -> Sweep:
    """Look at some of a conversation's events that still have content, oldest first, and empty those whose time has come.

    Args:
        db: The driver.
        conversation: Its id.
        came_before: Epoch seconds; what came later is emptied only if it is marked as forgotten.
        after: Look only at events above this one.
        limit: Look at so many.
    """
    # Read beside the writer: most steps find nothing to do.
    rows = await db.fetch("events_kept", conversation, after, limit)
    due = [row["id"] for row in rows if row["forgotten"] or row["received_at"] < came_before]
    resume = due[-1] if due and due[-1] == rows[-1]["id"] and len(rows) == limit else None  # events are numbered in their order of arrival
    if not due:
        return Sweep(0, None)
    removed = await db.unit(lambda tx: clear_away(tx, conversation, above=after, upto=due[-1], came_before=came_before))
    return Sweep(removed, resume)


async def clear_away(tx: Tx, conversation: int, *, above: int, upto: int, came_before: float = 0.0) -> int:
    """Empty events above one and up to another that are over and due, with all that came of them; return how many."""
    span = (conversation, above, upto, came_before)
    await tx.fetch("entries_remove", *span)
    await tx.fetch("alternatives_remove", *span)
    await tx.fetch("deliveries_remove", *span)
    await tx.fetch("troubles_remove", *span)
    turns = await tx.fetch("turns_empty", *span)
    events = await tx.fetch("events_empty", *span)
    if turns:
        await tx.fetch("conversation_begin_after", conversation, max(row["seq"] for row in turns))
        await tx.fetch("states_drop", conversation)  # a provider's own memory holds what is gone here
    return len(events)
