"""Taking a turn, written over the tiny database protocol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from storage.parking import count, stored_event
from storage.questions import reopened, withdrawn_meanwhile
from storage.rows import turn_of
from storage.tx import Tx
from storage.values import ReplyRoute, Turn, TurnState


class NotServedError(Exception):
    """The turn belongs to a bot account that is not served here: its claim is undone."""


async def claim(tx: Tx, conversation: int, *, accounts: Mapping[str, str] | None, now: float) -> Turn | None:
    """Take the lowest open turn of a conversation. None: nothing is open, or it is held.

    Raises:
        NotServedError: None of the accounts has its chat.
    """
    claimed = await tx.fetch("turn_claim", conversation, now)
    if not claimed:
        return None
    turn = turn_of((await tx.fetch("turn_get", claimed[0]["id"]))[0])
    if accounts is not None and accounts.get(turn.chat.platform) != turn.chat.account:
        raise NotServedError
    if turn.tries > 1:  # the attempt before this one has not ended it
        turn = replace(turn, trouble=await count(tx, turn.event, now))
        if turn.state is TurnState.GENERATING:
            turn = await _mended(tx, turn)
    if turn.stop_requested:  # asked while it waited, or before a crash
        await tx.interrupt(turn.id)
    event = (await tx.fetch("event_asked", turn.event, now))[0]
    route = None if event["route"] is None else ReplyRoute(event["route"], event["expires_at"])
    return replace(turn, asked=stored_event(event), route=route)


async def _mended(tx: Tx, turn: Turn) -> Turn:
    """Take up what became of the question's messages during the attempt before."""
    if not turn.stop_requested and await withdrawn_meanwhile(tx, turn.id, turn.conversation):
        return replace(turn, stop_requested=True)
    turn = replace(turn, handle=turn_of((await tx.fetch("turn_get", turn.id))[0]).handle)
    if turn.handle is None:  # a job that was given the old words is collected: it is paid for
        await reopened(tx, turn.id)
    return turn
