"""Intake: accept → commit → acknowledge. What was accepted before a crash is taken up again at start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Coroutine
from functools import partial
from typing import Any

from bot import parts, texts
from bot.access import Access
from bot.commands.base import question_of
from bot.dispatcher import Dispatcher
from bot.insist import insist
from bot.merging import Merging
from bot.model import EventKind, Incoming
from bot.parking import WATCH_SECONDS, Parking
from bot.payload import dump, load
from bot.rereading import UnreadableStillError
from bot.waiting import Waiting
from storage.base import Accepted, NewEvent, NewTurn, Store, StoredEvent, StoreError, StoreUnavailableError

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS, LONGEST_RETRY_SECONDS = 1.0, 60.0
"""Before what could not be carried out is tried again: first and longest pause, doubled in between."""
ASKING = frozenset({EventKind.MESSAGE, EventKind.COMMAND})


class Inbox:
    """Commits events, recognises duplicates, hands on what is new.

    Args:
        one_by_one: Platforms that offer an event only when the one before is committed; see `bot.platforms.base.Limits`.
    """

    def __init__(
        self,
        store: Store,
        dispatcher: Dispatcher,
        access: Access,
        merging: Merging,
        *,
        parking: Parking,
        waiting: Waiting,
        one_by_one: Collection[str] = (),
    ) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._access = access
        self._merging = merging
        self._parking = parking
        self._waiting = waiting
        self._one_by_one = one_by_one
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    async def accept(self, incoming: Incoming) -> bool:
        """Commit an event; True if it is new. When it returns, the platform may acknowledge.

        Raises:
            StoreError: It could not be committed: don't acknowledge.
        """
        asks = incoming.kind in ASKING and self._access.admits(incoming)  # a stranger's words are no part of a conversation
        question = question_of(self._dispatcher.commands, incoming) if asks else None
        turn = None
        files = incoming if self._dispatcher.takes_files(incoming.chat) else None
        if question is None and asks and incoming.command is None and files is not None and incoming.attachments:
            question = ""
        if question is not None:
            sender = incoming.sender
            merge = self._merging.of(incoming)
            turn = NewTurn(parts.question(question, files), incoming.message_id, sender.id, sender.name, merge, incoming.version)
        unreadable = incoming.kind is EventKind.UNREADABLE
        event = NewEvent(
            key=incoming.key,
            kind=incoming.kind,
            chat=incoming.chat,
            payload=dump(incoming),
            turn=turn,
            route=incoming.route,
            error=incoming.text if unreadable else None,
        )
        accepted = await self._store.accept(event, alone=incoming.chat.platform in self._one_by_one)
        if accepted is None:
            return False
        self._waiting.queued(accepted, incoming)
        if turn is None and not unreadable:
            self._hand_on(accepted, incoming)
        return True

    async def recover(self, platform: str) -> None:
        """Take up what a crash interrupted on a platform: commands, buttons, edits, marks. Turns are taken up by the store's own run."""
        await self._waiting.recover(platform)
        for event in await self._store.open_events():
            incoming = await self._read_back(event)
            if incoming is None or incoming.chat.platform != platform or not self._dispatcher.serves(incoming.chat):
                continue
            if incoming.kind is EventKind.UNREADABLE or not await self._given_up(event.id, incoming, None):
                await self._take_up(event, incoming)

    async def watch(self) -> None:
        """Try again what is parked and what somebody wants to be tried again, until cancelled."""
        while True:
            try:
                for event in await self._store.retries_wanted():
                    await self._unpark(event)
            except StoreError as error:
                log.warning("what is to be tried again could not be looked up: %s", error)
            await self._parking.clock.sleep(WATCH_SECONDS)

    async def _unpark(self, event_id: int) -> None:
        log.info("event.unparked event=%d", event_id)
        event = await self._store.unpark(event_id)  # a turn is drained by the store; an event is open from here on, also after a crash
        incoming = await self._read_back(event) if event is not None else None
        if event is not None and incoming is not None and self._dispatcher.serves(incoming.chat):
            await self._take_up(event, incoming)

    async def _take_up(self, event: StoredEvent, incoming: Incoming) -> None:
        """Carry out, once more, what came a while ago."""
        if incoming.kind is EventKind.UNREADABLE:
            self._spawn(self._read_again(event, incoming))  # its platform may have to be connected first
        else:
            self._hand_on(Accepted(event.id, event.conversation, None), incoming, late=True)

    async def _read_again(self, event: StoredEvent, kept: Incoming) -> None:
        """Read once more what could not be read. A store that is away is waited for: the event is open, and in nobody else's hands."""
        pause = FIRST_RETRY_SECONDS
        while not await self._read_at_last(event, kept):
            await self._parking.clock.sleep(pause)
            pause = min(2 * pause, LONGEST_RETRY_SECONDS)

    async def _read_at_last(self, event: StoredEvent, kept: Incoming) -> bool:
        """Take it as the event that it is, if it can be read by now; False if the store is away. Done twice, it is one event."""
        try:
            fresh = await self._dispatcher.read_again(kept)
            if fresh is not None and await self._dispatcher.too_late(event, fresh):
                await self._parking.tell(event.id, fresh, texts.TOO_LATE)
            elif fresh is not None:
                await self.accept(fresh)
            await self._store.read_at_last(event.id)
            log.info("event.read_at_last event=%d%s", event.id, "" if fresh is not None else ", it is nothing for the bot")
        except StoreUnavailableError as error:
            log.warning("event.not_read_again event=%d, it is tried again: %s", event.id, error)
            return False
        except Exception as error:  # noqa: BLE001 - it is set aside as before, and must be in nobody's way
            reason = str(error) if isinstance(error, UnreadableStillError) else f"not stored: {type(error).__name__}"
            log.warning("event.unreadable_still event=%d: %s", event.id, reason)
            try:
                await insist(self._parking.clock, lambda: self._store.unreadable_still(event.id, reason))
            except StoreError as problem:
                log.warning("event.not_set_aside_again event=%d, it is tried again: %s", event.id, problem)
                return False
        return True

    async def _read_back(self, event: StoredEvent) -> Incoming | None:
        try:
            return load(event.payload)
        except ValueError:  # written by another version, or by hand: it must not keep the bot from starting
            log.error("command.unreadable event=%d", event.id)  # noqa: TRY400 - the error quotes what people wrote
            await self._store.finish_event(event.id)
            return None

    async def aclose(self) -> None:
        """Stop what is being carried out; it is taken up again at the next start."""
        self._closed = True
        await self._waiting.aclose()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _edited(self, accepted: Accepted, incoming: Incoming) -> None:
        files = incoming if self._dispatcher.takes_files(incoming.chat) else None
        if incoming.message_id is not None and (incoming.text or (files is not None and incoming.attachments)):
            await self._store.edit_entry(incoming.chat, incoming.message_id, parts.question(incoming.text, files), incoming.version)
        elif incoming.message_id is not None and not incoming.text and not incoming.attachments:  # it was deleted
            await self._store.withdraw(incoming.chat, incoming.message_id, later=True)
        await self._store.finish_event(accepted.event)

    def _hand_on(self, accepted: Accepted, incoming: Incoming, pause: float = FIRST_RETRY_SECONDS, *, late: bool = False) -> None:
        edit = incoming.kind is EventKind.EDIT
        work = self._edited(accepted, incoming) if edit else self._dispatcher.carry_out(accepted, incoming, late=late)
        self._spawn(work).add_done_callback(partial(self._ended, accepted, incoming, pause))

    def _ended(self, accepted: Accepted, incoming: Incoming, pause: float, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if not isinstance(error, Exception):
            return
        if isinstance(error, StoreUnavailableError):  # it says what to mend
            log.error("command.failed event=%d, it is tried again: %s", accepted.event, error)
        else:
            log.error("command.failed event=%d, it is tried again", accepted.event, exc_info=error)
        if not self._closed:
            self._spawn(self._again(accepted, incoming, pause, error))

    async def _again(self, accepted: Accepted, incoming: Incoming, pause: float, error: Exception) -> None:
        """Carry an event out once more after a pause, unless it has failed too often."""
        if await self._given_up(accepted.event, incoming, error):
            return
        await self._parking.clock.sleep(pause)
        if not self._dispatcher.closing and self._dispatcher.serves(incoming.chat):
            self._hand_on(accepted, incoming, min(2 * pause, LONGEST_RETRY_SECONDS), late=True)

    async def _given_up(self, event: int, incoming: Incoming, error: Exception | None) -> bool:
        try:
            return await self._parking.failed(event, incoming, error)
        except StoreError as problem:
            log.warning("event.failure_not_counted event=%d: %s", event, problem)
            return False

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
