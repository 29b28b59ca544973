"""Messages that wait behind a running answer show it: a mark on the message, taken away when its turn begins.

Nothing waits for this: marks are set and taken away beside the answers, within budgets of their own where the platform has them. A message
whose turn comes soon gets none. What is marked is stored before it is, so that a start finds what a crash left.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Any

from bot import texts
from bot.clock import Clock
from bot.model import ChatKind, Incoming, Target
from bot.outbox import Delivery, DeliveryError, Outbox
from bot.platforms.base import Allowance, Call, Heard, Platform, PlatformError, Refusal, RefusedError, SupportsMarks
from bot.reply import Reply
from storage.base import Accepted, Owner, OwnerKind, Store, StoreError

log = logging.getLogger(__name__)

MARK_AFTER_SECONDS = 1.0
"""A message that waits less long shows no mark."""
TRIES, PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5, 2.0, 60.0
"""So often a mark is tried to be set while the platform is away; the pause doubles."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A message that waits.

    Attributes:
        over: Its turn has begun, or has ended without.
        marked: It may show a mark.
        told: It could not show one, and a message says so in its place.
    """

    turn: int
    event: int
    conversation: int
    target: Target
    message_id: str
    over: asyncio.Event = field(default_factory=asyncio.Event)
    marked: bool = False
    told: bool = False


class Waiting:
    """Marks what waits.

    Args:
        store: Where marks are noted.
        outbox: Says it in words where there can be no mark.
        platforms: By name.
        spend: Waits until a call may go out beside the answers.
        clock: For waits.
    """

    def __init__(
        self,
        store: Store,
        outbox: Outbox,
        platforms: Mapping[str, Platform],
        spend: Callable[[Sequence[Allowance]], AbstractAsyncContextManager[Heard]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._platforms = platforms
        self._spend = spend
        self._clock = clock
        self._running: dict[int, int] = {}
        self._queues: dict[int, dict[int, list[_Waiting]]] = {}
        self._told: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def queued(self, accepted: Accepted, incoming: Incoming) -> None:
        """A question was accepted. If others of its conversation are before it, its message will show that it waits."""
        if accepted.turn is None:
            return
        queue = self._queues.setdefault(accepted.conversation, {})
        alone = accepted.conversation not in self._running and not [turn for turn in queue if turn != accepted.turn]
        messages = queue.setdefault(accepted.turn, [])
        platform = self._platforms[incoming.chat.platform]
        if alone or incoming.message_id is None or not isinstance(platform, SupportsMarks):
            return
        target = Target.answering(incoming, None)
        message = _Waiting(accepted.turn, accepted.event, accepted.conversation, target, incoming.message_id)
        messages.append(message)
        self._spawn(self._attend(message, tell=not accepted.joined))

    def began(self, conversation: int, turn: int) -> None:
        """A turn begins: its messages wait no more."""
        self._running[conversation] = turn
        queue = self._queues.get(conversation, {})
        for begun in [one for one in queue if one <= turn]:  # turns of a conversation begin in the order of their numbers
            for message in queue.pop(begun):
                message.over.set()
        if not queue:
            self._queues.pop(conversation, None)

    def ended(self, conversation: int) -> None:
        """No turn of a conversation runs just now."""
        self._running.pop(conversation, None)

    async def recover(self, platform: str) -> None:
        """Take away the marks that a crash left on a platform; those of turns that still wait go when these begin."""
        if not isinstance(self._platforms.get(platform), SupportsMarks):
            return
        for mark in await self._store.marks():
            if mark.chat.platform != platform:
                continue
            target = Target(mark.chat, ChatKind.PRIVATE)
            message = _Waiting(mark.turn, mark.event, mark.conversation, target, mark.message_id, marked=True, told=True)
            if mark.waiting:
                self._queues.setdefault(mark.conversation, {}).setdefault(mark.turn, []).append(message)
            else:
                message.over.set()
            self._spawn(self._attend(message, tell=False))

    async def aclose(self) -> None:
        """Stop; what is marked is taken up at the next start."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _attend(self, message: _Waiting, *, tell: bool) -> None:
        if not message.marked:
            await self._either(message.over.wait(), self._clock.sleep(MARK_AFTER_SECONDS))
            if message.over.is_set() or not await self._store.mark(message.turn, message.target.chat, message.message_id):
                return
            message.marked = True
            if not await self._set(message, on=True) and tell:
                await self._tell(message)
        if not message.over.is_set():
            await self._either(message.over.wait(), self._store.stop_signal(message.turn).wait())
            message.over.set()
        await self._untell(message)
        await self._set(message, on=False)
        await self._store.unmark(message.target.chat, message.message_id)

    @staticmethod
    async def _either(*waits: Awaitable[object]) -> None:
        """Return when one of them is over; the others are given up."""
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()

    async def _set(self, message: _Waiting, *, on: bool) -> bool:
        """Set or take away a mark; False if the platform will not have it. To take it away is tried until it is done."""
        platform = self._platforms[message.target.chat.platform]
        if not isinstance(platform, SupportsMarks):
            return False
        pause = PAUSE_SECONDS
        for tried in itertools.count():
            if on and (message.over.is_set() or tried == TRIES):
                break
            try:
                async with self._spend(platform.mark_allowances(message.target)):
                    await platform.mark(message.target, message.message_id, on=on)
            except PlatformError as error:  # after a flood the budget also waits as long as told
                # A mark that a refused token keeps from being taken away is no mark that is gone.
                if isinstance(error, RefusedError) and (on or error.reason is not Refusal.TOKEN):
                    log.info("a waiting message is not marked: %s", error)
                    return False
                await self._clock.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
            else:
                break
        return True

    async def _tell(self, message: _Waiting) -> None:
        """Say in words that a message waits, once a conversation."""
        if message.over.is_set() or message.conversation in self._told:
            return
        self._told.add(message.conversation)
        message.told = True
        note = Reply(self._platforms[message.target.chat.platform].style)
        note.end(texts.WAITING)
        # Rows of its own: those of the event may be of what is said when its turn ends, and that stays.
        delivery = await self._outbox.open(Owner(OwnerKind.WAITING, message.event), message.target, note.pages)
        try:
            await self._either(self._said(delivery), message.over.wait())
        finally:
            await delivery.abandoned()  # what a flood held up until the turn began is not said any more

    @staticmethod
    async def _said(delivery: Delivery) -> None:
        with suppress(DeliveryError):
            await delivery.finish()

    async def _untell(self, message: _Waiting) -> None:
        """Take the words away again."""
        if not message.told:
            return
        self._told.discard(message.conversation)
        platform = self._platforms[message.target.chat.platform]
        for row in await self._store.deliveries(Owner(OwnerKind.WAITING, message.event)):
            if row.message_id is not None:
                with suppress(PlatformError):
                    async with self._spend(platform.allowances(Call.DELETE, message.target, first=False)):
                        await platform.delete(message.target, row.message_id)
            await self._store.drop_delivery(row.id)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, StoreError):
            log.warning("a waiting message's mark could not be noted: %s", error)
        else:
            log.error("waiting.failed", exc_info=error)
