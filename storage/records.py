"""What the store means, written over a tiny database protocol: every driver has the same turns, transcripts and fences.

A driver brings transactions, wake-up and interruption (`Db`, `Tx`) and adds `open`, `aclose`, `run` and `stop_signal` to `Records`; that
makes a `storage.base.Store`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TypeVar

from storage.alternatives import Alternative, Chosen, choose, keep
from storage.base import (
    Accepted,
    ChatAddress,
    DeliveryRow,
    Entry,
    EventKind,
    Merge,
    NewEvent,
    NewTurn,
    Owner,
    ProviderStateRow,
    ReplyRoute,
    StoredEvent,
    StoreError,
    Sweep,
    Turn,
    TurnAnswer,
    TurnState,
)
from storage.claims import NotServedError, claim
from storage.marking import MarkRecords
from storage.merging import join, ready_at
from storage.parking import ParkingRecords, closed, give_up, over, stored_event
from storage.questions import edit, fill
from storage.removal import clear_away, forget, step
from storage.revisions import PastRecords, Watched
from storage.rows import address_of, delivery_of, entry_of, turn_of
from storage.tallies import UsageRecords, settle
from storage.tx import Db, Row, Tx

T = TypeVar("T")

OPEN_STATES = frozenset({TurnState.ACCEPTED, TurnState.GENERATING, TurnState.ANSWERED})
WITHOUT_AN_ANSWER = frozenset({TurnState.ACCEPTED, TurnState.GENERATING})
SET_ASIDE = frozenset({EventKind.UNREADABLE})
"""Events that nothing follows from. All others stay open until `Records.finish_event`, unless a turn carries them."""

NEVER = 2**62
"""An event that comes after every other."""
NOTHING_IS_OLDER = 0.0
"""Epoch seconds before which no event came."""
SWEPT_AT_ONCE = 50
"""Events looked at by one step of a removal: some milliseconds, so that no commit waits long for it."""
SCOPES_AT_ONCE = 3
"""Scopes of settings that one statement reads: those of a conversation, its server and the operator are asked for together."""
COUNTED_AT_ONCE = 1000
"""Turns counted by one statement: some milliseconds, so that a huge conversation does not hold up the reads of all others."""


class Records(UsageRecords, ParkingRecords, MarkRecords, PastRecords):
    """The meaning of every method of `storage.base.Store` that does not depend on the driver; see there.

    Args:
        db: The driver.
        now: Epoch seconds.
    """

    def __init__(self, db: Db, now: Callable[[], float]) -> None:
        super().__init__(Watched(db), now)

    # intake

    async def accept(self, event: NewEvent, *, alone: bool = False) -> Accepted | None:
        """Take an event in one transaction; None if its key was seen before."""
        return await self._db.unit(partial(_accept, event=event, now=self._now()), alone=alone)

    async def open_events(self) -> Sequence[StoredEvent]:
        """List events not carried out yet that no turn carries, oldest first."""
        return [stored_event(row) for row in await self._db.fetch("events_open")]

    async def event(self, event_id: int) -> StoredEvent:
        """Read one event back."""
        rows = await self._db.fetch("event_get", event_id)
        if not rows:
            raise StoreError(f"There is no event {event_id} in the database")
        return stored_event(rows[0])

    async def finish_event(self, event_id: int, error: str | None = None) -> None:
        """Mark an event that no turn carries as carried out, or say why nothing came of it."""
        await self._db.unit(lambda tx: over(tx, event_id, self._now(), error))

    async def reply_route(self, event_id: int) -> ReplyRoute | None:
        """Return the event's reply route while it has not expired."""
        rows = await self._db.fetch("route_get", event_id, self._now())
        return ReplyRoute(rows[0]["value"], rows[0]["expires_at"]) if rows else None

    async def cursors(self, platform: str, account: str) -> Mapping[ChatAddress, str | None]:
        """List the chats of a bot account and how far each has been read."""
        return {address_of(row): row["position"] for row in await self._db.fetch("cursors", platform, account)}

    async def move_cursors(self, moved: Mapping[ChatAddress, str | None]) -> None:
        """Note how far chats have been read; None: the chat is gone."""
        now = self._now()

        async def unit(tx: Tx) -> None:
            for address, position in moved.items():
                chat, _ = await _chat(tx, address, now)
                await tx.fetch("cursor_put", chat, position)

        await self._db.unit(unit)

    async def edit_entry(self, chat: ChatAddress, message_id: str, content: str, version: int = 0) -> bool:
        """Replace a question's text before generation; later record it beside it (False). A newer one stays."""
        return await self._db.unit(partial(edit, chat=chat, message_id=message_id, content=content, version=version))

    # turns

    async def next_chat(self, conversation: int) -> ChatAddress | None:
        """Return the chat of the lowest open turn."""
        rows = await self._db.fetch("turn_first_open_chat", conversation)
        return address_of(rows[0]) if rows else None

    async def claim(self, conversation: int, *, accounts: Mapping[str, str] | None = None) -> Turn | None:
        """Take the lowest open turn, if one of the accounts has its chat."""
        unit = partial(claim, conversation=conversation, accounts=accounts, now=self._now())
        with suppress(NotServedError):
            # What it asks for is shown only after the row of its first page is committed, and that waits for the disk.
            return await self._db.unit(unit, hurried=True)
        return None

    async def held(self, conversation: int) -> float:
        """Return for how many seconds at most the lowest open turn is held."""
        now = self._now()
        for row in await self._db.fetch("turn_held", conversation):
            if (
                row["state"] == TurnState.ACCEPTED
                and not row["stop_requested"]
                and row["ready_at"] is not None
                and row["accepted_at"] <= now
            ):
                return max(0.0, float(row["ready_at"]) - now)
        return 0.0

    async def submitted(self, turn: Turn, handle: str, *, provider: str, model: str) -> bool:
        """Store the handle of a provider job. False: fenced."""
        return bool(await self._write("turn_submitted", turn.id, turn.attempt, handle, provider, model))

    async def fill(self, turn: Turn, contents: Mapping[int, str]) -> bool:
        """Give entries of the turn's own question their content as read. False: fenced."""
        return await self._db.unit(partial(fill, turn=turn, contents=contents))

    async def answered(self, turn: Turn, answer: TurnAnswer) -> bool:
        """Store the whole answer. False: fenced."""
        return await self._db.unit(partial(_answered, turn=turn, answer=answer, now=self._now()))

    async def close(
        self, turn: Turn, state: TurnState, *, error: str | None = None, partial: str | None = None, forget: Sequence[str] = ()
    ) -> bool:
        """End a turn. False: fenced."""
        if state in OPEN_STATES:
            raise ValueError(f"A turn can't be closed as {state}")
        now = self._now()
        return await self._db.unit(lambda tx: _close(tx, turn, state, error=error, partial=partial, forget=forget, now=now))

    async def stop(self, conversation: int, *, queued: bool = False, before: int | None = None) -> int:
        """Ask the running turn to stop (`queued`: those that wait, too)."""
        return await self._db.unit(lambda tx: _stop(tx, conversation, queued=queued, before=NEVER if before is None else before))

    async def stop_turn(self, conversation: int, turn: int) -> bool:
        """Ask one turn to stop; False if it is not open."""
        return await self._db.unit(lambda tx: _stop_turn(tx, conversation, turn))

    async def retry(self, conversation: int, event_id: int, chat: ChatAddress, *, turn: int | None = None) -> int | None:
        """Ask a turn's question again. The same event asked twice, as after a crash, gets the same turn."""
        return await self._db.unit(lambda tx: _retry(tx, conversation, event_id, chat, turn=turn, now=self._now()))

    async def answer_of(self, conversation: int, turn: int | None = None, *, before: int | None = None) -> Entry | None:
        """Return what a turn answered, whole or in part, if a request would still hold it; without `turn`, the newest one."""
        if turn is None:
            turn = await self.newest_turn(conversation, before=before)
            if turn is None:
                return None
        rows = await self._db.fetch("answer_get", conversation, turn)
        return entry_of(rows[0]) if rows else None

    async def newest_turn(self, conversation: int, *, before: int | None = None) -> int | None:
        """Return the newest turn that was asked since the last reset."""
        rows = await self._db.fetch("turn_newest", conversation, NEVER if before is None else before)
        return int(rows[0]["id"]) if rows else None

    async def extend(self, conversation: int, event_id: int, chat: ChatAddress, turn: int, asked: NewTurn) -> int | None:
        """Make a turn that goes on where another one's answer stopped. The same event asked twice gets the same turn."""
        return await self._db.unit(lambda tx: _extend(tx, conversation, event_id, chat, turn=turn, asked=asked, now=self._now()))

    async def choose(self, conversation: int, turn: int, number: int | None = None, *, event: int | None = None) -> Chosen | None:
        """Let another answer of a turn stand."""
        return await self._db.unit(lambda tx: choose(tx, conversation, turn, number, event))

    async def turn(self, turn_id: int) -> Turn:
        """Read one turn back."""
        rows = await self._db.fetch("turn_get", turn_id)
        if not rows:
            raise StoreError(f"There is no turn {turn_id} in the database")
        return turn_of(rows[0])

    # conversations

    async def conversation_of(self, chat: ChatAddress) -> int:
        """Find or make the conversation of a chat."""
        rows = await self._db.fetch("chat_find", chat.platform, chat.account, chat.chat, chat.thread)
        if rows:
            return int(rows[0]["conversation"])
        _, conversation = await self._db.unit(lambda tx: _chat(tx, chat, self._now()))
        return conversation

    async def reset(self, conversation: int, *, before: int | None = None) -> None:
        """Start afresh."""

        async def unit(tx: Tx) -> None:
            await tx.fetch("conversation_reset", conversation, NEVER if before is None else before)
            await tx.fetch("states_drop", conversation)

        await self._db.unit(unit)

    async def forget(self, conversation: int, *, before: int, asked: int | None = None, settings: Sequence[tuple[str, str]] = ()) -> bool:
        """Start afresh, and mark what older events brought for removal."""
        return await self._db.unit(lambda tx: forget(tx, conversation, before=before, asked=asked, settings=settings))

    async def sweep(self, conversation: int, *, older_than: float | None, after: int = 0, limit: int = SWEPT_AT_ONCE) -> Sweep:
        """Remove some of what is marked as forgotten or came too long ago."""
        came_before = NOTHING_IS_OLDER if older_than is None else self._now() - older_than
        return await step(self._db, conversation, came_before=came_before, after=after, limit=limit)

    async def conversations(self, after: int, limit: int) -> Sequence[int]:
        """List some conversations with a higher id than `after`, in their order."""
        return [row["id"] for row in await self._db.fetch("conversations_after", after, limit)]

    async def counts(self, conversation: int) -> tuple[int, int]:
        """Return (entries since the last reset, open turns). What no request sees, such as a failed turn's question, is not counted."""
        turns = await self._db.fetch("turns_count_open", conversation)
        entries = 0
        for span in await self._db.fetch("conversation_span", conversation):
            for above in range(span["above"], span["last"], COUNTED_AT_ONCE):
                rows = await self._db.fetch("entries_count", conversation, above, above + COUNTED_AT_ONCE)
                entries += rows[0]["n"]
        return entries, turns[0]["n"]

    async def settings(self, scopes: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Return scope → key → value for the given scopes."""
        found: dict[str, dict[str, str]] = {scope: {} for scope in scopes}
        for place in range(0, len(scopes), SCOPES_AT_ONCE):
            asked = list(scopes[place : place + SCOPES_AT_ONCE])
            asked += asked[-1:] * (SCOPES_AT_ONCE - len(asked))
            for row in await self._db.fetch("settings_get", *asked):
                found[row["scope"]][row["key"]] = row["value"]
        return found

    async def put_setting(self, scope: str, key: str, value: str | None) -> None:
        """Set a value; None removes it."""
        if value is None:
            await self._write("setting_drop", scope, key)
        else:
            await self._write("setting_put", scope, key, value)

    async def provider_state(self, conversation: int, provider: str) -> ProviderStateRow | None:
        """Return what the provider remembers of the conversation."""
        for row in await self._db.fetch("state_get", conversation, provider):
            return ProviderStateRow(row["provider"], row["account"], row["model"], row["persona"], row["last_entry"], row["value"])
        return None

    async def last_entry(self, conversation: int, before_turn: int) -> int:
        """Return the id of the newest transcript entry before the turn with the id `before_turn`, 0 if there is none."""
        rows = await self._db.fetch("entry_last", conversation, before_turn)
        return int(rows[0]["id"]) if rows else 0

    # deliveries

    async def begin_delivery(self, owner: Owner, chat: ChatAddress, page: int, nonce: str) -> DeliveryRow:
        """Return the row of a page, making it if there is none yet."""
        now = self._now()
        return await self._db.unit(lambda tx: _begin_delivery(tx, owner, chat, page=page, nonce=nonce, now=now))

    async def delivered(self, delivery: int, message_id: str, *, repeated: bool = False) -> None:
        """Record the platform's message id, and whether the message may stand in the chat twice."""
        await self._write("delivery_sent", delivery, message_id, repeated)

    async def deliveries(self, owner: Owner) -> Sequence[DeliveryRow]:
        """List the pages of an owner, in order."""
        return [delivery_of(owner, row) for row in await self._db.fetch("deliveries", owner.kind, owner.id)]

    async def drop_delivery(self, delivery: int) -> None:
        """Forget a page whose message was deleted."""
        await self._write("delivery_drop", delivery)

    async def is_delivered(self, chat: ChatAddress, message_id: str) -> bool:
        """Tell whether a message of the bot is a page of any delivery."""
        return bool(await self._db.fetch("delivery_of", chat.platform, chat.account, chat.chat, chat.thread, message_id))

    # for drivers

    async def open_conversations(self) -> Sequence[int]:
        """List conversations with open turns, the one that waited longest first."""
        return [row["conversation"] for row in await self._db.fetch("conversations_open")]

    async def first_open(self, conversation: int) -> int | None:
        """Return the turn to be claimed next."""
        rows = await self._db.fetch("turn_first_open", conversation)
        return rows[0]["id"] if rows else None

    async def purge(self) -> None:
        """Remove what has expired. `accept` does so as well whenever a new reply route comes in."""
        await self._write("routes_purge", self._now())

    async def _write(self, name: str, *args: object) -> Sequence[Row]:
        return await self._db.unit(lambda tx: tx.fetch(name, *args))


# ------------------------------------------------------------------------------------------------- units of work


async def _chat(tx: Tx, address: ChatAddress, now: float) -> tuple[int, int]:
    """Find or make a chat: (its row, its conversation)."""
    fields = (address.platform, address.account, address.chat, address.thread)
    rows = await tx.fetch("chat_find", *fields)
    if not rows:
        made = await tx.fetch("conversation_insert", now)
        rows = await tx.fetch("chat_insert", *fields, made[0]["id"])
    return rows[0]["id"], rows[0]["conversation"]


async def _accept(tx: Tx, event: NewEvent, now: float) -> Accepted | None:
    chat, conversation = await _chat(tx, event.chat, now)
    finished_at = now if event.kind in SET_ASIDE or event.turn is not None else None
    rows = await tx.fetch("event_insert", event.key, event.kind, chat, conversation, event.payload, event.error, now, finished_at)
    if not rows:
        return None
    event_id = rows[0]["id"]
    if event.route is not None:
        await tx.fetch("routes_purge", now)
        await tx.fetch("route_insert", event_id, event.route.value, event.route.expires_at)
    turn = None
    joined = False
    if event.turn is not None:
        turn = await join(tx, conversation, chat, event.turn, event=event_id, now=now)
        joined = turn is not None
        if turn is None:
            turn = await _new_turn(tx, conversation, event_id, chat, now, merge=event.turn.merge)
        await _ask(tx, turn, event.turn, chat, now)
    return Accepted(event_id, conversation, turn, joined)


async def _new_turn(
    tx: Tx,
    conversation: int,
    event_id: int,
    chat: int,
    now: float,
    *,
    again: int | None = None,
    continues: int | None = None,
    merge: Merge | None = None,
) -> int:
    seq = (await tx.fetch("conversation_next_seq", conversation))[0]["seq"]
    more = (ready_at(merge, now), None if merge is None else event_id)
    turn = (await tx.fetch("turn_insert", conversation, seq, event_id, chat, now, again, continues, *more))[0]["id"]
    await tx.wake(conversation)
    return int(turn)


async def _ask(tx: Tx, turn: int, new: NewTurn, chat: int, now: float) -> None:
    await tx.fetch("entry_insert", turn, "user", new.author, new.author_name, new.content, chat, new.message_id, now, new.version)


async def _reply(tx: Tx, turn: int, content: str, chat: int, now: float) -> int:
    rows = await tx.fetch("entry_insert", turn, "assistant", None, None, content, chat, None, now, 0)
    return int(rows[0]["id"])


async def _answered(tx: Tx, turn: Turn, answer: TurnAnswer, now: float) -> bool:
    rows = await tx.fetch("turn_answered", turn.id, turn.attempt, answer.text, answer.finish, answer.provider, answer.model)
    if not rows:
        return False
    entry = await _reply(tx, turn.id, answer.content, rows[0]["chat"], now)
    await keep(tx, turn.id, Alternative(answer.text, answer.content), answer.others)
    if answer.state is None:
        await tx.fetch("state_drop", turn.conversation, answer.provider)
    else:
        state = answer.state
        memory = (state.provider, state.account, state.model, state.persona, entry, state.value)
        await tx.fetch("state_put", turn.conversation, turn.seq, *memory)
    asked = {"provider": answer.provider, "model": answer.model}
    settled = answer.spent is not None and await settle(tx, turn.id, answer.spent, **asked, report=answer.usage)
    if answer.usage is not None and not settled:
        await tx.fetch("usage_insert", turn.id, answer.provider, answer.model, answer.usage, now)
    return True


async def _close(
    tx: Tx, turn: Turn, state: TurnState, *, error: str | None, partial: str | None, forget: Sequence[str], now: float
) -> bool:
    rows = await tx.fetch("turn_close", turn.id, turn.attempt, state, error, now)
    if not rows:
        return False
    if partial is not None:
        await tx.fetch(
            "answers_supersede", turn.id
        )  # one answer a turn: an answer cut short while it was shown counts as far as it was shown
        await _reply(tx, turn.id, partial, rows[0]["chat"], now)
    for provider in forget:
        await tx.fetch("state_drop", turn.conversation, provider)
    await closed(tx, turn, state, now)
    if rows[0]["forgotten"]:
        await clear_away(tx, turn.conversation, above=rows[0]["event"] - 1, upto=rows[0]["newest_event"])
    await tx.forget(turn.id)
    return True


async def _stop(tx: Tx, conversation: int, *, queued: bool, before: int) -> int:
    met = await tx.fetch("turns_stop_open" if queued else "turns_stop_running", conversation, before)
    for row in met:
        await tx.interrupt(row["id"])
    return len(met)


async def _stop_turn(tx: Tx, conversation: int, turn: int) -> bool:
    met = await tx.fetch("turn_stop", turn, conversation)
    for row in met:
        await tx.interrupt(row["id"])
    return bool(met)


async def _retry(tx: Tx, conversation: int, event_id: int, address: ChatAddress, *, turn: int | None, now: float) -> int | None:
    made = await tx.fetch("turn_of_event", event_id)
    if made:
        return int(made[0]["id"])
    newest = await tx.fetch("turn_newest", conversation, NEVER)
    if turn is None:
        if not newest or await tx.fetch("turn_first_open", conversation):
            return None
        turn = int(newest[0]["id"])
    former = await tx.fetch("turn_asked", turn, conversation)
    if not former or former[0]["state"] in WITHOUT_AN_ANSWER or not await tx.fetch("question_any", turn):
        return None
    asked = former[0]["asked"]
    under_way = await tx.fetch("turn_asking_again", asked)
    if under_way:
        return int(under_way[0]["id"])
    chat, _ = await _chat(tx, address, now)
    fresh = await _new_turn(tx, conversation, event_id, chat, now, again=asked, continues=former[0]["continues"])
    await tx.fetch("question_copy", turn, fresh, now)
    await give_up(tx, turn)
    if newest and newest[0]["asked"] == asked:  # nothing was built on its answer: the new one takes its place
        await tx.fetch("entries_supersede", newest[0]["id"])
        await tx.fetch("states_drop", conversation)
    return fresh


async def _extend(tx: Tx, conversation: int, event_id: int, address: ChatAddress, *, turn: int, asked: NewTurn, now: float) -> int | None:
    made = await tx.fetch("turn_of_event", event_id)
    if made:
        return int(made[0]["id"])
    if not await tx.fetch("answer_get", conversation, turn):
        return None
    if going_on := await tx.fetch("turns_continuing", turn):
        return next((int(row["id"]) for row in going_on if row["state"] in OPEN_STATES), None)
    chat, _ = await _chat(tx, address, now)
    fresh = await _new_turn(tx, conversation, event_id, chat, now, continues=turn)
    await _ask(tx, fresh, asked, chat, now)
    return fresh


async def _begin_delivery(tx: Tx, owner: Owner, address: ChatAddress, *, page: int, nonce: str, now: float) -> DeliveryRow:
    chat, _ = await _chat(tx, address, now)
    for made in await tx.fetch("delivery_insert", owner.kind, owner.id, chat, page, nonce, now):
        return DeliveryRow(made["id"], owner, address, page, nonce, None, created_at=now)
    rows = await tx.fetch("deliveries", owner.kind, owner.id)
    return next(delivery_of(owner, row) for row in rows if row["page"] == page)
