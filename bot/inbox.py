"""Intake: accept → commit → acknowledge. What was accepted before a crash is taken up again at start."""

from __future__ import annotations

import asyncio
import logging

from bot import transcript
from bot.access import Access
from bot.commands.base import question_of
from bot.dispatcher import Dispatcher
from bot.merging import Merging
from bot.model import EventKind, Incoming
from bot.payload import dump, load
from storage.base import Accepted, NewEvent, NewTurn, Store

log = logging.getLogger(__name__)

ASKING = frozenset({EventKind.MESSAGE, EventKind.COMMAND})


class Inbox:
    """Commits events, recognises duplicates, hands on what is new."""

    def __init__(self, store: Store, dispatcher: Dispatcher, access: Access, merging: Merging) -> None:
        self._store = store
        self._dispatcher = dispatcher
        self._access = access
        self._merging = merging
        self._tasks: set[asyncio.Task[None]] = set()

    async def accept(self, incoming: Incoming) -> bool:
        """Commit an event; True if it is new. When it returns, the platform may acknowledge.

        Raises:
            StoreError: It could not be committed: don't acknowledge.
        """
        asks = incoming.kind in ASKING and self._access.admits(incoming)  # a stranger's words are no part of a conversation
        question = question_of(self._dispatcher.commands, incoming) if asks else None
        turn = None
        if question is not None:
            sender = incoming.sender
            merge = self._merging.of(incoming)
            turn = NewTurn(transcript.content(question), incoming.message_id, sender.id, sender.name, merge)
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
        accepted = await self._store.accept(event)
        if accepted is None:
            return False
        if turn is None and not unreadable:
            self._hand_on(accepted, incoming)
        return True

    async def recover(self, platform: str) -> None:
        """Take up what a crash interrupted on a platform: commands, buttons, edits. Turns are taken up by the store's own run."""
        for event in await self._store.open_events():
            accepted = Accepted(event.id, event.conversation, None)
            try:
                incoming = load(event.payload)
            except ValueError:  # written by another version, or by hand: it must not keep the bot from starting
                log.error("command.unreadable event=%d", event.id)  # noqa: TRY400 - the error quotes what people wrote
                await self._store.finish_event(event.id)
                continue
            if incoming.chat.platform == platform and self._dispatcher.serves(incoming.chat):
                self._hand_on(accepted, incoming)

    async def aclose(self) -> None:
        """Stop what is being carried out; it is taken up again at the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _edited(self, accepted: Accepted, incoming: Incoming) -> None:
        if incoming.message_id is not None and incoming.text:
            await self._store.edit_entry(incoming.chat, incoming.message_id, transcript.content(incoming.text))
        await self._store.finish_event(accepted.event)

    def _hand_on(self, accepted: Accepted, incoming: Incoming) -> None:
        edit = incoming.kind is EventKind.EDIT
        work = self._edited(accepted, incoming) if edit else self._dispatcher.carry_out(accepted, incoming)
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("command.died", exc_info=error)
