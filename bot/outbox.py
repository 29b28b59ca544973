"""Egress: one lane per chat brings the pages that are visible to the pages that are wanted.

Level-triggered: a lane compares and sends the difference, so that retries, coalescing, recovery after a crash and "nothing to do" are one
mechanism. A lane has one call in flight; growth is spread over the budget, the newest text wins; first texts go before growth and
finals before both, as soon as the budget has room. A flood or an outage holds up its own chat only.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bot.clock import Clock
from bot.model import Page, Receipt, Target
from bot.pacing import Meters
from bot.platforms.base import Call, FloodError, Platform, PlatformError, Refusal, RefusedError, UnknownOutcomeError
from storage.base import DeliveryStore, Owner

log = logging.getLogger(__name__)

BACKOFF_SECONDS, BACKOFF_MOST_SECONDS = 0.5, 30.0
"""First and longest wait before a call that failed for the platform's own reasons is repeated; doubled in between."""
GIVE_UP_SECONDS = 3600.0
"""A reply that could not be shown for so long is given up."""
FINAL, FIRST_TEXT, GROWTH = range(3)
"""Ranks of calls that could go out now; the lower goes first."""


class DeliveryError(Exception):
    """A reply can't be shown. `refusal` is None if the platform was away for too long."""

    def __init__(self, refusal: Refusal | None, detail: str) -> None:
        super().__init__(detail)
        self.refusal = refusal


@dataclass(slots=True)
class Visible:
    """A page in the chat. `page` is None while what it shows is not known; `gone` if somebody deleted it."""

    row: int
    nonce: str
    message_id: str | None
    page: Page | None = None
    gone: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """The next call of a delivery. `page` is None for a delete."""

    call: Call
    index: int
    page: Page | None


class Delivery:
    """A reply on its way: what is wanted, what is visible.

    Made by `Outbox.open`. `source` gives the wanted pages; it is asked only when a call is about to go out.
    """

    def __init__(self, owner: Owner, target: Target, source: Callable[[], Sequence[Page]], lane: Lane) -> None:
        self.owner = owner
        self.target = target
        self.visible: list[Visible] = []
        self.dirty = False
        self.closing = False
        self.plain = False
        self.not_before = -math.inf
        self.failures = 0
        self.failing_since = math.inf
        self.updated_at = -math.inf
        self._source = source
        self._lane = lane
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def shown(self) -> bool:
        """Something of it is in the chat."""
        return any(page.message_id is not None for page in self.visible)

    def touch(self) -> None:
        """Tell that the source has something newer. Cheap: called for every token."""
        if not self.dirty:
            self.dirty = True
            self._lane.wake()

    async def finish(self) -> None:
        """Bring the source's last word into the chat and return once all of it is visible.

        Raises:
            DeliveryError: It can't be shown.
        """
        self.closing = self.dirty = True
        self._lane.wake()
        await asyncio.shield(self._done)

    def abandon(self) -> None:
        """Send nothing more; what is visible stays."""
        self._lane.remove(self)
        if not self._done.done():
            self._done.cancel()

    def settle(self, error: DeliveryError | None) -> None:
        """Take it out of its lane, whole or failed."""
        self._lane.remove(self)
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)
            self._done.exception()  # `finish` may never be awaited for a delivery that fails while it grows

    def step(self) -> Step | None:
        """Compare wanted and visible; None if there is nothing to do."""
        wanted = self._source()
        for index, page in enumerate(wanted):
            if index >= len(self.visible) or self.visible[index].message_id is None:
                return Step(Call.SEND, index, self._dress(page))
            seen = self.visible[index]
            dressed = self._dress(page)
            if not seen.gone and seen.page != dressed:
                return Step(Call.EDIT, index, dressed)
        if self.closing and wanted:
            for index in range(len(self.visible) - 1, len(wanted) - 1, -1):
                if self.visible[index].message_id is not None and not self.visible[index].gone:
                    return Step(Call.DELETE, index, None)
        return None

    def _dress(self, page: Page) -> Page:
        return Page(page.text) if self.plain else page


class Lane:
    """The calls of one chat, one at a time."""

    def __init__(self, outbox: Outbox, platform: Platform) -> None:
        self._outbox = outbox
        self._platform = platform
        self._deliveries: list[Delivery] = []
        self._wake = asyncio.Event()
        self._growth_at = -math.inf
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Nothing is on its way."""
        return not self._deliveries

    def add(self, delivery: Delivery) -> None:
        """Take a delivery in."""
        self._deliveries.append(delivery)

    def remove(self, delivery: Delivery) -> None:
        """Forget a delivery."""
        if delivery in self._deliveries:
            self._deliveries.remove(delivery)

    def wake(self) -> None:
        """Look again: a delivery has something new to do."""
        if self._task is None or self._task.done():
            self._task = self._outbox.spawn(self._work())
        else:
            self._wake.set()

    async def _work(self) -> None:
        while self._deliveries:
            self._wake.clear()
            ready = self._soonest()
            if ready is None:
                await self._sleep(math.inf)
            elif ready[0] > 0:
                await self._sleep(ready[0])
            else:
                await self._attend(ready[1])

    async def _attend(self, delivery: Delivery) -> None:
        try:
            await self._advance(delivery)
        except Exception as error:  # whatever is wrong with one reply (its text, its rows), the others of the chat go on
            log.exception("delivery.failed owner=%s:%s", delivery.owner.kind, delivery.owner.id)
            delivery.settle(DeliveryError(None, f"{type(error).__name__} while it was being delivered"))

    async def _sleep(self, seconds: float) -> None:
        clock = self._outbox.clock
        if math.isinf(seconds):
            await self._wake.wait()
            return
        sleeper = asyncio.ensure_future(clock.sleep(seconds))
        waker = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait({sleeper, waker}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            waker.cancel()

    def _soonest(self) -> tuple[float, Delivery] | None:
        """Return (seconds to wait, delivery) of the call that may go out first; the more urgent one of those that may go now."""
        now = self._outbox.clock.now()
        best: tuple[float, int, float, Delivery] | None = None
        for delivery in self._deliveries:
            if not delivery.dirty:
                continue
            rank = FINAL if delivery.closing else GROWTH if delivery.shown else FIRST_TEXT
            call = Call.EDIT if delivery.shown else Call.SEND
            wait = max(self._budget_wait(delivery, call, first=len(delivery.visible) <= 1), delivery.not_before - now)
            if rank == GROWTH:
                wait = max(wait, self._growth_at - now)
            candidate = (max(wait, 0.0), rank, delivery.updated_at, delivery)
            if best is None or candidate[:3] < best[:3]:
                best = candidate
        return (best[0], best[3]) if best else None

    def _budget_wait(self, delivery: Delivery, call: Call, *, first: bool) -> float:
        return self._outbox.meters.wait(self._platform.allowances(call, delivery.target, first=first))

    async def _advance(self, delivery: Delivery) -> None:
        """Make the next call of a delivery, or settle it if there is none."""
        delivery.dirty = False
        step = delivery.step()
        if step is None:
            if delivery.closing:
                delivery.settle(None)
            return
        delivery.dirty = True
        wait = self._budget_wait(delivery, step.call, first=step.index == 0)
        if wait > 0:
            delivery.not_before = self._outbox.clock.now() + wait
            return
        delivery.dirty = False
        try:
            await self._call(delivery, step)
        except PlatformError as error:
            delivery.dirty = True
            self._failed(delivery, step, error)
        else:
            delivery.failures, delivery.failing_since = 0, math.inf
            # Whether more is wanted by now only the source knows; a delivery that grows is touched again, a closing one is looked at again.
            delivery.dirty = delivery.dirty or delivery.closing or step.call is Call.SEND or len(delivery.visible) > 1

    async def _call(self, delivery: Delivery, step: Step) -> None:
        first = step.index == 0
        allowances = self._platform.allowances(step.call, delivery.target, first=first)
        if step.call is Call.SEND and step.index >= len(delivery.visible):
            row = await self._outbox.store.begin_delivery(delivery.owner, delivery.target.chat, step.index, self._outbox.nonce())
            delivery.visible.append(Visible(row.id, row.nonce, row.message_id))
        seen = delivery.visible[step.index]
        meters = [self._outbox.meters.of(allowance) for allowance in allowances]
        clock = self._outbox.clock
        left = clock.now()
        for meter in meters:
            meter.leave(left)
        receipt: Receipt | None = None
        try:
            receipt = await self._make(delivery.target, step, seen, first=first)
        finally:
            for place, meter in enumerate(meters):
                if place == 0 and receipt is not None:
                    meter.arrive(clock.now(), left, remaining=receipt.remaining, reset_after=receipt.reset_after)
                else:
                    meter.arrive(clock.now(), left)
        delivery.updated_at = clock.now()
        if meters and not delivery.closing:
            self._growth_at = clock.now() + meters[0].interval
        if step.page is None:
            delivery.visible.pop(step.index)
            await self._outbox.store.drop_delivery(seen.row)
            return
        seen.page = step.page
        if receipt is not None and seen.message_id is None:
            seen.message_id = receipt.message_id
            await self._outbox.store.delivered(seen.row, receipt.message_id)

    async def _make(self, target: Target, step: Step, seen: Visible, *, first: bool) -> Receipt | None:
        if step.page is None:
            await self._platform.delete(target, seen.message_id or "")
            return None
        if step.call is Call.SEND:
            return await self._platform.send(target, step.page, nonce=seen.nonce, first=first)
        return await self._platform.edit(target, seen.message_id or "", step.page, first=first)

    def _failed(self, delivery: Delivery, step: Step, error: PlatformError) -> None:
        now = self._outbox.clock.now()
        log.warning(
            "delivery.call_failed call=%s owner=%s:%s page=%d: %s", step.call, delivery.owner.kind, delivery.owner.id, step.index, error
        )
        if isinstance(error, FloodError):
            allowances = self._platform.allowances(step.call, delivery.target, first=step.index == 0)
            blocked = [self._platform.limits.overall] if error.everywhere or not allowances else [allowances[0]]
            for allowance in blocked:
                self._outbox.meters.of(allowance).block(now + error.retry_after)
            return
        if isinstance(error, RefusedError):
            self._refused(delivery, step, error)
            return
        if isinstance(error, UnknownOutcomeError):
            self._outbox.unknown_outcomes += 1
        delivery.failures += 1
        delivery.failing_since = min(delivery.failing_since, now)
        if now - delivery.failing_since > GIVE_UP_SECONDS:
            delivery.settle(DeliveryError(None, str(error)))
            return
        backoff = min(BACKOFF_MOST_SECONDS, BACKOFF_SECONDS * 2.0 ** min(delivery.failures - 1, 10))
        delivery.not_before = now + backoff * self._outbox.random.uniform(0.75, 1.25)

    def _refused(self, delivery: Delivery, step: Step, error: RefusedError) -> None:
        if step.call is Call.DELETE or (step.call is Call.EDIT and error.reason is Refusal.GONE):
            delivery.visible[step.index].gone = True  # deleted by somebody who wanted it away: it is not made again
        elif error.reason is Refusal.BAD_REQUEST and not delivery.plain:
            delivery.plain = True  # better without formatting and buttons than not at all
        elif not delivery.closing and step.call is Call.EDIT and error.reason in {Refusal.BAD_REQUEST, Refusal.TOO_LONG}:
            delivery.visible[step.index].page = step.page  # this version is skipped; the next one may be taken
        else:
            delivery.settle(DeliveryError(error.reason, str(error)))


class Outbox:
    """All lanes of the process.

    Attributes:
        unknown_outcomes: How many sends were repeated because nobody could tell whether they had arrived.
    """

    def __init__(self, platforms: Mapping[str, Platform], store: DeliveryStore, clock: Clock, *, rng: random.Random | None = None) -> None:
        self.clock = clock
        self.store = store
        self.meters = Meters(clock.now)
        self.random = rng or random.Random()  # noqa: S311 - nonces and jitter guard nothing
        self.unknown_outcomes = 0
        self._platforms = platforms
        self._lanes: dict[tuple[str, str, str], Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def nonce(self) -> str:
        """Return a fresh nonce of 24 characters."""
        return f"{self.random.getrandbits(96):024x}"

    async def open(self, owner: Owner, target: Target, source: Callable[[], Sequence[Page]]) -> Delivery:
        """Begin a delivery, or take one up again in the messages that an earlier attempt made."""
        chat = target.chat
        platform = self._platforms[chat.platform]
        rows = await self.store.deliveries(owner)
        key = (chat.platform, chat.account, chat.chat)
        lane = self._lanes.get(key)
        if lane is None:
            self._sweep()
            lane = self._lanes[key] = Lane(self, platform)
        delivery = Delivery(owner, target, source, lane)
        delivery.visible = [Visible(row.id, row.nonce, row.message_id) for row in rows]
        lane.add(delivery)
        return delivery

    async def post(self, owner: Owner, target: Target, pages: Sequence[Page]) -> None:
        """Show pages that are ready, and return once they are visible.

        Raises:
            DeliveryError: They can't be shown.
        """
        delivery = await self.open(owner, target, lambda: pages)
        await delivery.finish()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a lane, keep its reference and report its end."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    async def aclose(self) -> None:
        """End every lane; a call in flight is let finish by its platform."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("outbox.lane_died", exc_info=error)

    def _sweep(self) -> None:
        self._lanes = {key: lane for key, lane in self._lanes.items() if not lane.idle}
