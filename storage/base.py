"""The store seam: accept an event, drain a conversation, stop a turn; rows as frozen values.

States of a turn:

    accepted ──claim──▶ generating ──answered──▶ answered ──close──▶ done
        │                   │  ▲ claim (again, after a crash)
        └───────────────────┴──┴──close──▶ stopped | failed | parked ──unpark──▶ accepted | answered

Every write of a turn carries the `attempt` its worker claimed: a worker whose attempt is no longer the turn's writes nothing and is told
so by False. Content (transcript entries, event payloads, provider state) is opaque text here; what it means is the caller's business.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

from storage.alternatives import AlternativeStore
from storage.marks import MarkStore
from storage.pasts import PastStore
from storage.troubles import TroubleStore
from storage.usage import UsageStore
from storage.values import (
    Accepted,
    ChatAddress,
    DeliveryRow,
    Entry,
    EventKind,
    Merge,
    NewEvent,
    NewTurn,
    Owner,
    OwnerKind,
    ProviderStateRow,
    ReplyRoute,
    Revision,
    StoredEvent,
    Sweep,
    Turn,
    TurnAnswer,
    TurnState,
)

__all__ = [
    "Accepted",
    "ChatAddress",
    "DeliveryRow",
    "DeliveryStore",
    "Drain",
    "Entry",
    "EventKind",
    "Merge",
    "NewEvent",
    "NewTurn",
    "Owner",
    "OwnerKind",
    "ProviderStateRow",
    "ReplyRoute",
    "Revision",
    "SchemaTooNewError",
    "StopSignal",
    "Store",
    "StoreError",
    "StoreInUseError",
    "StoreUnavailableError",
    "StoredEvent",
    "Sweep",
    "Turn",
    "TurnAnswer",
    "TurnState",
]


class StoreError(Exception):
    """The store could not do what was asked. The message says what happened and what to do next."""


class StoreUnavailableError(StoreError):
    """Another process holds the database, the disk is full, or the file can't be read or written."""


class StoreInUseError(StoreUnavailableError):
    """Another process, or another store of this one, holds the database. `holder` is its process id, None if that can't be told."""

    def __init__(self, message: str, holder: str | None = None) -> None:
        super().__init__(message)
        self.holder = holder


class SchemaTooNewError(StoreError):
    """The database was written by a newer version of the program; start that one, or restore a backup."""


Drain: TypeAlias = Callable[[int], Awaitable[None]]


class StopSignal(Protocol):
    """Set when the turn is to stop. `asyncio.Event` is one."""

    def is_set(self) -> bool:
        """Tell whether it was set."""
        ...

    async def wait(self) -> object:
        """Return once it is set."""
        ...


class DeliveryStore(Protocol):
    """What the outbox needs of a store: which pages of which reply are which messages."""

    async def begin_delivery(self, owner: Owner, chat: ChatAddress, page: int, nonce: str) -> DeliveryRow:
        """Return the row of a page, making it with `nonce` if there is none yet. Done before the platform is asked to create."""
        ...

    async def delivered(self, delivery: int, message_id: str, *, repeated: bool = False) -> None:
        """Record the platform's message id, and whether the message may stand in the chat twice. Done before the first edit."""
        ...

    async def deliveries(self, owner: Owner) -> Sequence[DeliveryRow]:
        """List the pages of an owner, in order."""
        ...

    async def drop_delivery(self, delivery: int) -> None:
        """Forget a page whose message was deleted."""
        ...

    async def is_delivered(self, chat: ChatAddress, message_id: str) -> bool:
        """Tell whether a message of the bot is a page of any delivery."""
        ...


class Store(AlternativeStore, DeliveryStore, UsageStore, TroubleStore, MarkStore, PastStore, Protocol):
    """Durable state of the bridge. Every method that writes returns after the commit."""

    async def open(self) -> None:
        """Take the database, migrate it, refuse a newer one.

        Raises:
            StoreUnavailableError: It can't be had.
            SchemaTooNewError: A newer program wrote it.
        """
        ...

    async def aclose(self) -> None:
        """Finish what is queued and let go. Idempotent."""
        ...

    # intake

    async def accept(self, event: NewEvent, *, alone: bool = False) -> Accepted | None:
        """Take an event in one transaction: recognise a duplicate (None), find or make the conversation, number and store the turn.

        `alone`: no other event is offered before this one is taken: it waits for nobody who could be written with it.
        """
        ...

    async def open_events(self) -> Sequence[StoredEvent]:
        """List events that were accepted, that no turn carries and that are not finished yet, oldest first (after a crash)."""
        ...

    async def event(self, event_id: int) -> StoredEvent:
        """Read one event back."""
        ...

    async def finish_event(self, event_id: int, error: str | None = None) -> None:
        """Mark an event that no turn carries as carried out; `error` says why nothing came of it."""
        ...

    async def reply_route(self, event_id: int) -> ReplyRoute | None:
        """Return the event's reply route while it has not expired."""
        ...

    async def cursors(self, platform: str, account: str) -> Mapping[ChatAddress, str | None]:
        """Return how far each chat of a bot account has been read, None if that was never noted; chats that are gone are left out."""
        ...

    async def move_cursors(self, moved: Mapping[ChatAddress, str | None]) -> None:
        """Note how far chats have been read, all or none; None: it is gone. What a position means is the platform's business."""
        ...

    async def edit_entry(self, chat: ChatAddress, message_id: str, content: str, version: int = 0) -> bool:
        """Replace the text of the user entry that came from a message. Before generation only; later it is recorded beside it (False).

        The question of a parked turn without an answer is replaced, too. `unpark`, the next claim of a turn that failed and has no job, and
        `take_edits` put what was recorded beside it in its place.
        `version`: Orders the edits of the message. Of a newer one the text stays (False).
        """
        ...

    # turns

    async def run(self, drain: Drain) -> None:
        """Call `drain(conversation)` whenever a conversation has open turns, never twice at once for one. Runs until cancelled.

        Conversations with open turns from before are drained first. An error of `drain` is logged and never ends the loop.
        """
        ...

    async def next_chat(self, conversation: int) -> ChatAddress | None:
        """Return the chat of the lowest open turn, None if nothing is open."""
        ...

    async def claim(self, conversation: int, *, accounts: Mapping[str, str] | None = None) -> Turn | None:
        """Take the lowest open turn, with its event and reply route: attempt + 1, `accepted` becomes `generating`.

        `accounts`: Platform → bot account; the turn of a chat that none of them has is left alone. None: every turn may be taken.
        None: nothing is open, or it is held, or left alone.
        """
        ...

    async def held(self, conversation: int) -> float:
        """Return for how many seconds at most the lowest open turn is held, because more of its question is expected; 0: it is not."""
        ...

    async def submitted(self, turn: Turn, handle: str, *, provider: str, model: str) -> bool:
        """Store the handle of a provider job and whose it is. False: fenced."""
        ...

    async def fill(self, turn: Turn, contents: Mapping[int, str]) -> bool:
        """Give entries of the turn's own question, by id, their content with the files that were read. False: fenced."""
        ...

    async def answered(self, turn: Turn, answer: TurnAnswer) -> bool:
        """Store the whole answer, its transcript entry and the provider's state; the turn becomes `answered`. False: fenced."""
        ...

    async def close(
        self, turn: Turn, state: TurnState, *, error: str | None = None, partial: str | None = None, forget: Sequence[str] = ()
    ) -> bool:
        """End a turn as done, stopped or failed, or park it.

        `partial`, JSON content parts, enters the transcript as the assistant's entry; a failed or stopped turn without it is left out of
        later requests. `forget` names providers whose states of the conversation are dropped: what they remember of the turn is not known.
        False: fenced.
        """
        ...

    async def stop(self, conversation: int, *, queued: bool = False, before: int | None = None) -> int:
        """Ask the running turn to stop (`queued`: those that wait, too), durably, then set its signal. Return how many it met.

        `before`: Only turns that older events than this one asked for: a stop carried out late, or again, does not meet what came after.
        """
        ...

    def stop_signal(self, turn_id: int) -> StopSignal:
        """Return the signal of a claimed turn."""
        ...

    async def stop_turn(self, conversation: int, turn: int) -> bool:
        """Ask one turn of the conversation to stop, durably, then set its signal. False: it has ended, or is another conversation's."""
        ...

    async def retry(self, conversation: int, event_id: int, chat: ChatAddress, *, turn: int | None = None) -> int | None:
        """Ask a turn's question again, as the conversation's newest turn. The event asks once, however often it is carried out.

        If the newest turn asked the same question, it leaves the transcript: the new answer takes its place. What other turns came after
        stays where it was.

        Args:
            conversation: The turn's.
            event_id: Who asks again.
            chat: Where the answer goes.
            turn: Whose question; None for the newest turn since the last reset, and then only while none is open.

        Returns:
            The new turn, or the one that is under way if the question is being asked again already. None: there is nothing to ask again, or
            the turn is still on its way to its answer.
        """
        ...

    async def answer_of(self, conversation: int, turn: int | None = None, *, before: int | None = None) -> Entry | None:
        """Return what a turn of the conversation has answered, whole or in part.

        Without `turn` it is the newest one; with `before`, the newest that an older event than this one asked for.

        None: nothing, or no request would hold it any more: it was reset, or the question was asked again.
        """
        ...

    async def newest_turn(self, conversation: int, *, before: int | None = None) -> int | None:
        """Return the newest turn since the last reset; with `before`, the newest that an older event than this one asked for.

        Not one whose question was taken back while it waited.
        """
        ...

    async def extend(self, conversation: int, event_id: int, chat: ChatAddress, turn: int, asked: NewTurn) -> int | None:
        """Make a new turn that goes on where another one's answer stopped; `asked` is what the model is told.

        Returns:
            The new turn, or the one that is under way if the answer is being continued already. None: there is no answer (see `answer_of`),
            or it was continued.
        """
        ...

    async def turn(self, turn_id: int) -> Turn:
        """Read one turn back."""
        ...

    # conversations

    async def conversation_of(self, chat: ChatAddress) -> int:
        """Find or make the conversation of a chat."""
        ...

    async def reset(self, conversation: int, *, before: int | None = None) -> None:
        """Start afresh: later requests see nothing of what was said before; provider states are dropped.

        `before`: Only turns that older events than this one asked for are forgotten.
        """
        ...

    async def forget(self, conversation: int, *, before: int, asked: int | None = None, settings: Sequence[tuple[str, str]] = ()) -> bool:
        """Start afresh, and mark that nothing is to stay of what older events than `before` brought, nor the content of that one.

        What is over is removed by `sweep`, what is still open as soon as it ends. The keys of events stay: duplicates are recognised.

        `asked`: The event that asked whether to. False: it was answered already, another event forgot it; nothing is marked.
        `settings`: Scope and key of what goes with it. Done once more, as after a crash, what was set since stays.
        """
        ...

    async def sweep(self, conversation: int, *, older_than: float | None, after: int = 0, limit: int = 50) -> Sweep:
        """Remove some of what is marked as forgotten or came more than `older_than` seconds ago; None: only what is marked.

        One short transaction. Gone are the events' payloads, what was said in their turns, the answers, where they were shown, and what
        providers remember of the conversation. What is still open is left out. Usage and the events' keys stay.

        Args:
            conversation: Its id.
            older_than: Seconds since the event came.
            after: `Sweep.resume` of the step before.
            limit: Most events to look at.
        """
        ...

    async def scrub(self) -> bool:
        """Make what was removed unreadable in the store's files, too. False: somebody reads an older state; try again later."""
        ...

    async def conversations(self, after: int, limit: int) -> Sequence[int]:
        """List some conversations with a higher id than `after`, in their order."""
        ...

    async def counts(self, conversation: int) -> tuple[int, int]:
        """Return (entries since the last reset, open turns)."""
        ...

    async def settings(self, scopes: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """Return scope → key → value for the given scopes."""
        ...

    async def put_setting(self, scope: str, key: str, value: str | None) -> None:
        """Set a value; None removes it."""
        ...

    async def provider_state(self, conversation: int, provider: str) -> ProviderStateRow | None:
        """Return what the provider remembers of the conversation, if anything."""
        ...

    async def last_entry(self, conversation: int, before_turn: int) -> int:
        """Return the id of the newest transcript entry before a turn's own, 0 if there is none since the last reset."""
        ...
