"""Egress: one lane per chat brings the pages that are visible to the pages that are wanted.

Level-triggered: a lane (bot/sending.py) compares and sends the difference, so that retries, coalescing, recovery after a crash and "nothing
to do" are one mechanism. A flood or an outage holds up its own chat only.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from bot.allocator import FIRST_TEXT_SECONDS, Allocator, Place
from bot.clock import Clock
from bot.delivery import Delivery, DeliveryError
from bot.doubts import Doubts, pages_of
from bot.drafts import Draft
from bot.gulps import Gulps
from bot.lengths import Lengths
from bot.model import Page, Target
from bot.pacing import Meters, RoundTrip
from bot.patience import PATIENCE, ParkingRule
from bot.platforms.base import Call, Platform, SupportsDrafts, SupportsSearch, SupportsTyping
from bot.sending import Lane
from storage.base import DeliveryStore, Owner, OwnerKind

__all__ = ["Delivery", "DeliveryError", "Outbox"]

log = logging.getLogger(__name__)

TYPING_ROOM = 10
"""A typing signal goes out only while so many calls of the account's budget are left for what matters more."""
FEWEST_LANES = 64
"""So many lanes are kept however idle they are."""
CLOSING_SECONDS = 15.0
"""At shutdown a call in flight may take so long, so that its outcome is recorded."""


class Outbox:
    """All lanes of the process.

    Attributes:
        rule: When a reply is given up that fails again and again while others arrive.
        worked: When a platform took a call last, by its name.
        gulps: How coarsely models are heard out, by how many replies are on their way.
        closing: No further call goes out.
        unknown_outcomes: How many sends were repeated because nobody could tell whether they had arrived.

    Args:
        now: Epoch seconds, the store's.
        lengths: How long answers took lately; nothing is known of them unless it is given.
        gulps: Counts the replies; one of its own unless it is given.
    """

    def __init__(
        self,
        platforms: Mapping[str, Platform],
        store: DeliveryStore,
        clock: Clock,
        *,
        rng: random.Random | None = None,
        first_text_seconds: float = FIRST_TEXT_SECONDS,
        now: Callable[[], float] = time.time,
        rule: ParkingRule = PATIENCE,
        lengths: Lengths | None = None,
        gulps: Gulps | None = None,
    ) -> None:
        self.clock = clock
        self.store = store
        self.meters = Meters(clock.now)
        self.random = rng or random.Random()  # noqa: S311 - nonces and jitter guard nothing
        self.rule = rule
        self.lengths = lengths or Lengths()
        self.gulps = gulps or Gulps()
        self.worked: dict[str, float] = {}
        self.closing = False
        self.unknown_outcomes = 0
        self.round_trips = {platform.name: RoundTrip() for platform in platforms.values()}
        self._first_text_seconds = first_text_seconds
        self._now = now
        self._allocators: dict[str, Allocator] = {}
        self._platforms = platforms
        # Told once: to ask an object whether it keeps a protocol takes Python 3.11 longer than all else here.
        self._drafting = {name: platform for name, platform in platforms.items() if isinstance(platform, SupportsDrafts)}
        self._typing = {name: platform for name, platform in platforms.items() if isinstance(platform, SupportsTyping)}
        self._searching = {name for name, platform in platforms.items() if isinstance(platform, SupportsSearch)}
        self._lanes: dict[tuple[str, str, str], Lane] = {}
        self._sweep_at = FEWEST_LANES
        self._tasks: set[asyncio.Task[None]] = set()

    def allocator(self, platform: Platform) -> Allocator:
        """Return the allocator of a platform's overall budget."""
        known = self._allocators.get(platform.name)
        if known is None:
            overall = platform.limits.overall
            known = Allocator(lambda: self.meters.of(overall), self.clock, self.spawn, first_text_seconds=self._first_text_seconds)
            self._allocators[platform.name] = known
        return known

    def doubts(self, platform: Platform) -> Doubts:
        """Return what decides about a platform's pages that may stand in the chat without anybody knowing."""
        return Doubts(platform, self.store, self._now, self._not_known)

    def nonce(self) -> str:
        """Return a fresh nonce of 24 characters."""
        return f"{self.random.getrandbits(96):024x}"

    async def open(
        self, owner: Owner, target: Target, source: Callable[[], Sequence[Page]], *, again: bool = False, fresh: bool = False
    ) -> Delivery:
        """Begin a delivery, or take one up again in the messages that an earlier attempt made.

        `again`: There was an earlier attempt, which may have called the platform without leaving a message. `fresh`: There was none, and
        nothing of the owner has been shown by this one: it can have no pages yet.
        """
        chat = target.chat
        platform = self._platforms[chat.platform]
        rows = () if fresh else await self.store.deliveries(owner)
        key = (chat.platform, chat.account, chat.chat)
        lane = self._lanes.get(key)
        if lane is None:
            self._sweep()
            lane = self._lanes[key] = Lane(self, platform)
        delivery = Delivery(owner, target, source, lane, platform.style)
        delivery.lengths = self.lengths
        delivery.visible, delivery.searches = pages_of(rows), chat.platform in self._searching
        drafting = self._drafting.get(chat.platform)
        if owner.kind is OwnerKind.TURN and drafting is not None and drafting.drafts(target) and not lane.drafting(chat):
            delivery.draft = Draft(drafting, target, owner.id)
        if rows or again:
            for allowance in platform.allowances(Call.SEND, target, first=True):
                self.meters.of(allowance).be_careful(self.clock.now())
        lane.add(delivery)
        return delivery

    async def post(self, owner: Owner, target: Target, pages: Sequence[Page]) -> None:
        """Show pages that are ready, and return once they are visible.

        Raises:
            DeliveryError: They can't be shown.
        """
        delivery = await self.open(owner, target, lambda: pages)
        await delivery.finish()

    async def typing(self, target: Target) -> None:
        """Show that the bot is writing, if the platform can and the account's budget has plenty of room."""
        platform = self._platforms[target.chat.platform]
        overall, now = self.meters.of(platform.limits.overall), self.clock.now()
        typing = self._typing.get(target.chat.platform)
        if typing is None or self.allocator(platform).crowded or overall.room(now) < TYPING_ROOM:
            return
        place = Place(overall, now)
        try:
            await typing.typing(target)
        finally:
            place.arrived(self.clock.now())

    def logging_in(self, name: str) -> Callable[[], None]:
        """Count the calls of a platform's login as under way, and return what is to be called when it is over.

        They wait for nothing, and what a crash left open goes out beside them.
        """
        limits = self._platforms[name].limits
        places = [Place(self.meters.of(limits.overall), self.clock.now()) for _ in range(limits.login_calls)]

        def over() -> None:
            for place in places:
                place.arrived(self.clock.now())

        return over

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a lane, keep its reference and report its end."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def aclose(self) -> None:
        """End every lane. A call in flight is let finish and recorded; nothing further goes out."""
        self.closing = True
        for allocator in self._allocators.values():
            allocator.close()
        for lane in self._lanes.values():
            lane.wake()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=CLOSING_SECONDS)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _not_known(self) -> None:
        self.unknown_outcomes += 1

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("outbox.lane_died", exc_info=error)

    def _sweep(self) -> None:
        """Forget idle lanes whenever their number has doubled: to look through them at every new chat would be work squared."""
        if len(self._lanes) < self._sweep_at:
            return
        self._lanes = {key: lane for key, lane in self._lanes.items() if not lane.idle}
        self._sweep_at = max(FEWEST_LANES, 2 * len(self._lanes))
