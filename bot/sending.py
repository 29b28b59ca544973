"""The calls of one chat: what is visible is brought to what is wanted, one call at a time, within the budgets.

Growth is spread over the budget, the newest text wins; within a lane first texts go before growth and finals before both, as soon as the
budget has room; who goes first between the chats is the allocator's business (bot/allocator.py).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bot.allocator import Bid, Place, Rank
from bot.clock import woken
from bot.delivery import Delivery, DeliveryError, Step, Visible
from bot.doubts import visible_of
from bot.model import ChatAddress, Receipt
from bot.pacing import Meter, opening_gap
from bot.patience import WORKED_SECONDS
from bot.platforms.base import Allowance, Call, FloodError, Platform, PlatformError, RefusedError, UnknownOutcomeError
from storage.base import StoreError, StoreUnavailableError

if TYPE_CHECKING:
    from bot.outbox import Outbox

log = logging.getLogger(__name__)

BACKOFF_SECONDS, BACKOFF_MOST_SECONDS = 0.5, 30.0
"""First and longest wait before a call that failed for the platform's or the store's own reasons is repeated; doubled in between."""
LEAST_WAIT_SECONDS = 0.1
"""After a refused call nothing goes out for so long, even where the platform names no wait."""


class _Candidate(NamedTuple):
    """A call that is wanted: seconds to wait, then what decides between those that may go now."""

    wait: float
    rank: Rank
    updated_at: float
    delivery: Delivery
    allowances: Sequence[Allowance]


class Lane:
    """The calls of one chat, one at a time."""

    def __init__(self, outbox: Outbox, platform: Platform) -> None:
        self._outbox = outbox
        self._platform = platform
        self.now = outbox.clock.now
        self._doubts = outbox.doubts(platform)
        self._deliveries: list[Delivery] = []
        self._wake = asyncio.Event()
        self._growth_at = -1.0
        self._task: asyncio.Task[None] | None = None
        self._calling: Delivery | None = None
        self._called = asyncio.Event()
        self._allocator = outbox.allocator(platform)
        self._overall = platform.limits.overall
        self._wanting: Delivery | None = None

    @property
    def idle(self) -> bool:
        """Nothing is on its way."""
        return not self._deliveries and (self._task is None or self._task.done())

    def add(self, delivery: Delivery) -> None:
        """Take a delivery in."""
        self._deliveries.append(delivery)
        self._outbox.gulps.begin()

    def drafting(self, chat: ChatAddress) -> bool:
        """Tell whether a draft grows in a chat: there is room for one."""
        return any(delivery.draft is not None and delivery.target.chat == chat for delivery in self._deliveries)

    def remove(self, delivery: Delivery) -> None:
        """Forget a delivery."""
        if delivery in self._deliveries:
            self._deliveries.remove(delivery)
            self._outbox.gulps.end()
            self._wake.set()

    def lull(self, delivery: Delivery) -> float:
        """Return for how many seconds what is new of a delivery may come unread, because many others have to be served as well."""
        gulp = self._outbox.gulps.seconds
        return max(gulp, self._allocator.lull(self)) if self._wanting is delivery else gulp

    def approach(self) -> None:
        """The lane's turn comes near: have what is new of its delivery read."""
        if self._wanting is not None:
            self._wanting.near()

    async def quiet(self, delivery: Delivery) -> None:
        """Return once no call of a delivery is being prepared, in flight or being recorded."""
        while self._calling is delivery:
            self._called.clear()
            await self._called.wait()

    def wake(self) -> None:
        """Look again: a delivery has something new to do, or there is nothing more to wait for."""
        self._wake.set()
        if self._deliveries and (self._task is None or self._task.done()):
            self._task = self._outbox.spawn(self._work())

    def bid(self, now: float) -> Bid | None:
        """Return what a place in the overall budget is worth to the delivery that wants it."""
        delivery = self._wanting
        if delivery is None or not delivery.dirty or delivery not in self._deliveries:
            return None
        return Bid(_rank(delivery), delivery.pending.worth(now), delivery.pending.since)

    async def _work(self) -> None:
        try:
            while self._deliveries and not self._outbox.closing:
                try:
                    await self._next()
                except Exception:  # a lane that ended here would leave its replies waiting until the next start
                    log.exception("outbox.lane_failed, it goes on after a pause")
                    await self._outbox.clock.sleep(BACKOFF_SECONDS)
        finally:
            self._stand_back()

    async def _next(self) -> None:
        """Make the call that may go out first, or wait until one may."""
        self._wake.clear()
        ready = self._soonest()
        if ready is None or ready.wait > 0:
            self._stand_back()
            await (self._wake.wait() if ready is None else woken(self._outbox.clock, self._wake, ready.wait))
            return
        delivery = ready.delivery
        if self._overall not in ready.allowances:
            self._stand_back()
            await self._attend(delivery, None)
        elif (place := self._ask(delivery)) is None:
            await self._turn_or_due()
        else:
            try:
                await self._attend(delivery, place)
            finally:
                self._allocator.take_back(place)

    def _ask(self, delivery: Delivery) -> Place | None:
        self._wanting = delivery
        delivery.due_since = None  # it waits for its place now, not for a token: the next ones need not wake the lane
        now = self._outbox.clock.now()
        bid = self.bid(now)
        place = self._allocator.admit(self, bid) if bid else None
        if place is not None:
            self._wanting = None
        return place

    def _stand_back(self) -> None:
        self._wanting = None
        self._allocator.withdraw(self)

    async def _turn_or_due(self) -> None:
        """Return when the lane's turn has come, or when another of its deliveries is due, which may be the more urgent one."""
        later = [one.wait for one in self._candidates() if one.wait > 0] if len(self._deliveries) > 1 else []
        await (woken(self._outbox.clock, self._wake, min(later)) if later else self._wake.wait())

    def _soonest(self) -> _Candidate | None:
        """Return the call that may go out first; the more urgent one of those that may go now."""
        return min(self._candidates(), key=_urgency, default=None)

    def _candidates(self) -> Iterator[_Candidate]:
        """Yield every call that is wanted."""
        now = self._outbox.clock.now()
        for delivery in tuple(self._deliveries):
            allowances = self._guess(delivery) if delivery.dirty else None
            if allowances is None:
                continue
            rank = _rank(delivery)
            seconds = max(self._own_wait(allowances, now), delivery.not_before - now, 0.0)
            if rank is Rank.GROWTH:
                seconds = max(seconds, self._growth_at - now)
                if seconds <= 0 and not self._allocator.crowded:
                    seconds = max(delivery.patience(now), 0.0)
            yield _Candidate(seconds, rank, delivery.updated_at, delivery, allowances)

    def _guess(self, delivery: Delivery) -> Sequence[Allowance] | None:
        """Return the budgets of the next call of a delivery, as far as can be told without rendering it; None: it has failed."""
        call = Call.EDIT if delivery.shown else Call.SEND
        try:
            return self._platform.allowances(call, delivery.target, first=len(delivery.visible) <= 1)
        except Exception as error:  # noqa: BLE001 - whatever is odd about one reply's address, the others of the chat go on
            self._fail(delivery, error)
            return None

    def _fail(self, delivery: Delivery, error: Exception) -> None:
        log.error("delivery.failed owner=%s:%s", delivery.owner.kind, delivery.owner.id, exc_info=error)
        delivery.settle(DeliveryError(None, f"{type(error).__name__} while it was being delivered"))

    def _own_wait(self, allowances: Sequence[Allowance], now: float) -> float:
        """Return the seconds until the chat's own budgets have room; a halt of the whole account holds up every call."""
        meters, overall = self._outbox.meters, self._overall
        seconds = meters.of(overall).blocked(now)
        for allowance in allowances:
            if allowance.bucket != overall.bucket:
                seconds = max(seconds, meters.of(allowance).wait(now))
        return seconds

    async def _attend(self, delivery: Delivery, place: Place | None) -> None:
        self._calling = delivery
        try:
            await self._advance(delivery, place)
        except StoreError as error:
            log.warning("delivery.store_failed owner=%s:%s: %s", delivery.owner.kind, delivery.owner.id, error)
            self._postpone(delivery, error)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one reply (its text, its rows), the others of the chat go on
            self._fail(delivery, error)
        finally:
            self._calling = None
            self._called.set()

    async def _advance(self, delivery: Delivery, place: Place | None) -> None:
        """Make the next call of a delivery, or settle it if there is none."""
        delivery.dirty = False
        await self._record(delivery)
        step = self._doubts.resolve(delivery) or delivery.step()
        if step is None:
            if delivery.closing:
                delivery.settle(None)
            return
        delivery.dirty = True
        if step.call is Call.SEND and not delivery.begun(step.index):
            await self._begin(delivery, step.index)
            if self._outbox.closing or delivery not in self._deliveries:
                return  # given up meanwhile: its next attempt makes the page
        # From here to the call nothing is awaited: budgets that were looked at must still hold when the call is counted.
        allowances = self._platform.allowances(step.call, delivery.target, first=step.index == 0)
        now = self._outbox.clock.now()
        if (seconds := self._own_wait(allowances, now)) > 0:
            delivery.not_before = now + seconds
            return
        if place is None and self._overall in allowances and (place := self._ask(delivery)) is None:
            await self._wake.wait()
            return
        delivery.dirty = False
        delivery.due_since = None
        waited = delivery.pending.take()
        try:
            await self._call(delivery, step, allowances, place)
        except PlatformError as error:
            delivery.dirty = True
            delivery.pending.put_back(waited)
            self._failed(delivery, step, error)
        else:
            if step.call is Call.SEARCH:
                delivery.pending.put_back(waited)  # nothing was shown
            else:
                delivery.failures, delivery.failing_since = 0, math.inf
            self._look_again(delivery, step)

    def _look_again(self, delivery: Delivery, step: Step) -> None:
        """After a call: settle a reply that is whole. Whether a growing one has more only its source knows, and it is touched by itself."""
        if not delivery.closing:
            delivery.dirty = delivery.dirty or step.more or step.call in {Call.SEND, Call.SEARCH} or len(delivery.visible) > 1
            return
        left = self._doubts.resolve(delivery) or delivery.step()
        delivery.dirty = left is not None or not all(seen.recorded for seen in delivery.visible)
        if not delivery.dirty:
            delivery.settle(None)

    async def _begin(self, delivery: Delivery, index: int) -> None:
        """Make the row of a page. One whose message is gone gives its place to another, with a nonce of its own."""
        former = delivery.visible[index] if index < len(delivery.visible) else Visible()
        if former.row is not None:
            await self._outbox.store.drop_delivery(former.row)
        row = await self._outbox.store.begin_delivery(delivery.owner, delivery.target.chat, index, self._outbox.nonce())
        delivery.visible[index : index + 1] = [visible_of(row)]
        delivery.visible[index].repeated |= former.repeated  # another copy of the one that is gone may still stand there
        if former.replaced and delivery.target.private and self._platform.limits.private_answers:
            # What one person alone sees can't be reached any more, which is not to say that it is gone.
            delivery.visible[index].repeated = True
            self._outbox.unknown_outcomes += 1

    async def _record(self, delivery: Delivery) -> None:
        """Store message ids that could not be stored when they came."""
        for seen in delivery.visible:
            if seen.row is not None and seen.message_id is not None and not seen.recorded:
                await self._outbox.store.delivered(seen.row, seen.message_id, repeated=seen.repeated)
                seen.recorded = True

    async def _call(self, delivery: Delivery, step: Step, allowances: Sequence[Allowance], place: Place | None) -> None:
        outbox, clock = self._outbox, self._outbox.clock
        meters = [outbox.meters.of(allowance) for allowance in allowances if allowance.bucket != self._overall.bucket]
        left = clock.now()
        for meter in meters:
            meter.leave(left)
        receipt: Receipt | None = None
        try:
            receipt = await self._make(delivery, step)
            outbox.worked[self._platform.name] = clock.now()
        finally:
            self._answered(meters, place, left, receipt)
        if step.call is Call.SEARCH:
            await self._record(delivery)
            return
        delivery.updated_at = clock.now()
        delivery.shown_at = min(delivery.shown_at, left)
        if meters and not delivery.closing:
            self._growth_at = left + self._growth_gap(delivery, step, left)
        if step.call is Call.DRAFT:
            if delivery.draft is not None:
                delivery.draft.showed(step.page, left)
            return
        seen = delivery.visible[step.index]
        if step.page is None:
            await self._forget(delivery, step.index)
            return
        # A repeated create gives back the message that was made first, as it was: what it shows is not known then.
        seen.page = None if seen.tried and step.call is Call.SEND and self._platform.limits.idempotent_send else step.page
        if receipt is not None and seen.message_id is None:
            seen.message_id, seen.recorded, seen.doubtful = receipt.message_id, False, False
            self._fade_drafts(delivery.target.chat)
            await self._record(delivery)

    async def _forget(self, delivery: Delivery, index: int) -> None:
        """Take note that a message was deleted. One that did not fit gives its place to another; the row of one too many goes."""
        seen = delivery.visible[index]
        if seen.misfit:
            seen.give_place()
            return
        row, delivery.visible[index] = seen.row, Visible()
        while delivery.visible and delivery.visible[-1].row is None:
            delivery.visible.pop()
        if row is not None:
            await self._outbox.store.drop_delivery(row)

    def _shows(self, message_id: str) -> bool:
        """Tell whether a message is a page of a delivery under way, whose id may not be stored yet."""
        return any(seen.message_id == message_id for delivery in self._deliveries for seen in delivery.visible)

    def _fade_drafts(self, chat: ChatAddress) -> None:
        """A message has come into a chat: whatever draft showed there is gone and has to be shown anew."""
        for delivery in self._deliveries:
            if delivery.draft is not None and delivery.target.chat == chat and delivery.draft.fade():
                delivery.touch()

    def _answered(self, meters: Sequence[Meter], place: Place | None, left: float, receipt: Receipt | None) -> None:
        now = self._outbox.clock.now()
        round_trip = self._outbox.round_trips[self._platform.name]
        if receipt is not None:
            round_trip.heard(now, now - left)
        counted = max(left, now - round_trip.credit)
        for number, meter in enumerate(meters):
            heard = receipt if number == 0 else None
            meter.arrive(counted, left, remaining=heard.remaining if heard else None, reset_after=heard.reset_after if heard else None)
        if place is not None:
            place.arrived(counted)

    def _growth_gap(self, delivery: Delivery, step: Step, left: float) -> float:
        edits = self._outbox.meters.of(self._platform.allowances(Call.EDIT, delivery.target, first=step.index == 0)[0])
        if step.call is Call.SEND and edits is not self._outbox.meters.of(
            self._platform.allowances(Call.SEND, delivery.target, first=step.index == 0)[0]
        ):
            return opening_gap(edits.budget, delivery.ahead(left))  # edits have a bucket of their own, which the first of them will open
        return edits.growth_gap(left, left - delivery.shown_at, delivery.ahead(left))

    async def _make(self, delivery: Delivery, step: Step) -> Receipt | None:
        target, first = delivery.target, step.index == 0
        if step.call is Call.DRAFT:
            if delivery.draft is not None and step.page is not None:
                await delivery.draft.show(step.page, step.index)
            return None
        if step.call is Call.SEARCH:
            await self._doubts.search(delivery, step.index, self._shows)
            return None
        seen = delivery.visible[step.index]
        if step.page is None:
            await self._platform.delete(target, seen.message_id or "")
            return None
        if step.call is Call.SEND:
            again = await self._doubts.resend(delivery, step, seen) if seen.doubtful else None
            return again or await self._platform.send(target, step.page, nonce=seen.nonce, first=first)
        return await self._platform.edit(target, seen.message_id or "", step.page, first=first)

    def _failed(self, delivery: Delivery, step: Step, error: PlatformError) -> None:
        what = f"call={step.call} owner={delivery.owner.kind}:{delivery.owner.id} page={step.index}"
        log.warning("delivery.call_failed %s: %s", what, error)
        if isinstance(error, FloodError):
            self._flooded(delivery, step, error)
        elif step.call is Call.SEARCH:
            if not self._doubts.failed(delivery.visible[step.index], error):
                self._postpone(delivery, error)
        elif isinstance(error, RefusedError):
            if not delivery.refused(step, error.reason):
                delivery.settle(DeliveryError(error.reason, str(error)))
        else:
            if step.call is not Call.DRAFT:
                self._in_doubt(delivery, step.index, error)
            self._postpone(delivery, error)
        if step.call is Call.DRAFT and not isinstance(error, RefusedError):
            delivery.draft = None  # this answer goes on by edits, which are repeated until they arrive

    def _in_doubt(self, delivery: Delivery, index: int, error: PlatformError) -> None:
        seen = delivery.visible[index]
        seen.tried = True
        if isinstance(error, UnknownOutcomeError):
            seen.repeated, seen.doubtful = True, False
            self._outbox.unknown_outcomes += 1
        elif seen.message_id is None and not seen.repeated and self._doubts.arises(delivery.target, first=index == 0):
            seen.doubtful = True

    def _flooded(self, delivery: Delivery, step: Step, error: FloodError) -> None:
        """Wait exactly as long as told: this bucket, or everything where the platform says so."""
        until = self._outbox.clock.now() + max(error.retry_after, LEAST_WAIT_SECONDS)
        delivery.not_before = until
        delivery.ordered_wait = max(delivery.ordered_wait, error.retry_after)
        if error.everywhere:
            self._outbox.meters.of(self._overall).block(until)
        else:
            for allowance in self._platform.allowances(step.call, delivery.target, first=step.index == 0)[:1]:
                if allowance != self._overall:
                    self._outbox.meters.of(allowance).block(until)

    def _postpone(self, delivery: Delivery, error: Exception) -> None:
        now = self._outbox.clock.now()
        delivery.failing_since = min(delivery.failing_since, now)
        delivery.dirty = True
        delivery.failures += 1
        works = now - self._outbox.worked.get(self._platform.name, -math.inf) < WORKED_SECONDS
        hopeless = works and self._outbox.rule.exceeded(delivery.failures, now - delivery.failing_since)
        if hopeless and not isinstance(error, StoreUnavailableError):
            what = f"{type(error).__name__}, {delivery.failures} times, while others arrived"
            delivery.settle(DeliveryError(None, what, hopeless=True))
            return
        backoff = min(BACKOFF_MOST_SECONDS, BACKOFF_SECONDS * 2.0 ** min(delivery.failures - 1, 10))
        delivery.not_before = self._outbox.clock.now() + backoff * self._outbox.random.uniform(0.75, 1.25)


def _urgency(candidate: _Candidate) -> tuple[float, Rank, float]:
    return candidate[:3]


def _rank(delivery: Delivery) -> Rank:
    return Rank.FINAL if delivery.closing else Rank.GROWTH if delivery.shown else Rank.FIRST_TEXT
