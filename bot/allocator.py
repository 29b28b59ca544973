"""Who goes next when there are more chats than the account's budget can serve.

One allocator per platform. A lane whose chat allows a call asks for admission. While the budget has room and nobody waits it is admitted at
once; otherwise it waits, and each place that comes free goes to who is worth it most:

    finals            in order of arrival
    overdue texts     first texts that have waited as long as the setting allows, in order of arrival
    everything else   by the staleness that the call would save: the token-seconds that wait to be seen

The token-seconds of a chat grow with the square of its wait, so that none is passed over for ever. Growth is spread evenly: it does not use
up in an instant what a final may need in the next.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import math
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from bot.clock import Clock, woken
from bot.pacing import Meter

log = logging.getLogger(__name__)

RANKING_SECONDS = 0.1
"""An order of the waiting by their token-seconds is used for so long before it is made anew."""
GROWTH_AHEAD = 0.2
"""Growth may go out ahead of an even pace by this share of the budget's period. Found in virtual time with 100 and 1,000 chats."""
SHORTEST_SLEEP_SECONDS = 0.0005
"""A wait below the clock's rounding would not move it, and be asked for again for ever."""
FEWEST_WAITING = 125
"""From so many that wait for a place on, each of them hears its model out in gulps."""
GULP_SHARE, LONGEST_GULP_SECONDS = 0.25, 3.0
"""A gulp takes this share of the wait, and no longer than that."""
NEAR_SECONDS = 0.2
"""Whose turn is nearer than this is told, to have its newest text read."""
FIRST_TEXT_SECONDS = 0.7
"""How long a first text may wait for its turn unless a setting says otherwise. Less than the schedule that knows all ends would let it
wait (`bench.shared.share`): with 100 answers on Discord 0.8 to 1.0 s, on Telegram 1.2 to 1.8 s."""


class Rank(IntEnum):
    """Kinds of calls; the lower goes first."""

    FINAL = 0
    FIRST_TEXT = 1
    GROWTH = 2


@dataclass(frozen=True, slots=True)
class Bid:
    """What a lane would do with a place: token-seconds that its call makes visible, and since when it waits."""

    rank: Rank
    worth: float
    since: float


class Bidder(Protocol):
    """A lane, as far as the allocator needs it."""

    def bid(self, now: float) -> Bid | None:
        """Return what a place is worth to it now; None if it has no use for one any more."""
        ...

    def wake(self) -> None:
        """Look again: it was admitted."""
        ...

    def approach(self) -> None:
        """Its turn comes near. May be said several times."""
        ...


class Place:
    """One call of the overall budget, reserved from the moment it was given."""

    def __init__(self, meter: Meter, now: float) -> None:
        self._meter = meter
        self.left = now
        self._open = True
        meter.leave(now)

    def arrived(self, now: float) -> None:
        """The call was answered; `now` is the earliest moment from which its budget may be counted as coming back."""
        if self._open:
            self._open = False
            self._meter.arrive(now, self.left)

    def give_back(self) -> bool:
        """No call was made; False if one was."""
        was_open, self._open = self._open, False
        if was_open:
            self._meter.unleave()
        return was_open


class Allocator:
    """Gives the places of one overall budget to the lanes that want them."""

    def __init__(
        self,
        meter: Callable[[], Meter],
        clock: Clock,
        spawn: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        *,
        first_text_seconds: float = FIRST_TEXT_SECONDS,
    ) -> None:
        self._meter = meter
        self._clock = clock
        self._spawn = spawn
        self._first_text_seconds = first_text_seconds
        self._slot = meter().budget.seconds / meter().budget.calls
        self._ahead = GROWTH_AHEAD * meter().budget.seconds
        self._even = -math.inf
        self._waiting: dict[Bidder, Bid] = {}
        self._counts = dict.fromkeys(Rank, 0)  # of those that wait: to look for a final among a thousand others takes its time
        self._given: dict[Bidder, Place] = {}
        self._ranking: list[Bidder] = []
        self._ranked_at = self._told_at = -1.0
        self._changed = asyncio.Event()
        self._pump: asyncio.Task[None] | None = None

    @property
    def crowded(self) -> bool:
        """Somebody waits for a place."""
        return bool(self._waiting)

    def lull(self, lane: Bidder) -> float:
        """Return for how many seconds a lane may let its text come unread: it waits for a place, in a long row. 0: it does not."""
        waiting = len(self._waiting)
        if waiting < FEWEST_WAITING or lane not in self._waiting:
            return 0.0
        return min(GULP_SHARE * waiting * self._slot, LONGEST_GULP_SECONDS)

    def admit(self, lane: Bidder, bid: Bid) -> Place | None:
        """Return a place if the lane's turn is now; otherwise it is put down as waiting and woken when its turn comes."""
        place = self._given.pop(lane, None)
        if place is not None:
            return place
        now = self._clock.now()
        if not self._waiting and self._wait(now, urgent=bid.rank is not Rank.GROWTH) <= 0:
            return self._take(now)
        known = self._waiting.get(lane)
        if known is None or known.rank != bid.rank:
            self._waiting[lane] = bid  # in its place, if it has one
            self._counts[bid.rank] += 1
            if known is not None:
                self._counts[known.rank] -= 1
            self._changed.set()
            if self._pump is None or self._pump.done():
                self._pump = self._spawn(self._serve())
        return None

    def withdraw(self, lane: Bidder) -> None:
        """Forget a lane that wants nothing any more; a place it was given goes to the next."""
        self._strike(lane)
        place = self._given.pop(lane, None)
        if place is not None:
            self.take_back(place)

    def take_back(self, place: Place) -> None:
        """A place was not used after all."""
        if place.give_back():
            self._even -= self._slot
            self._changed.set()

    def close(self) -> None:
        """Nobody is admitted any more."""
        self._waiting.clear()
        self._counts = dict.fromkeys(Rank, 0)
        self._changed.set()

    def _strike(self, lane: Bidder) -> None:
        bid = self._waiting.pop(lane, None)
        if bid is not None:
            self._counts[bid.rank] -= 1

    def _take(self, now: float) -> Place:
        self._even = max(self._even, now) + self._slot
        return Place(self._meter(), now)

    def _wait(self, now: float, *, urgent: bool) -> float:
        """Return the seconds until a place for such a call is free."""
        seconds = self._meter().wait(now)
        return seconds if urgent else max(seconds, self._even - now - self._ahead)

    async def _serve(self) -> None:
        while self._waiting:
            self._changed.clear()
            now = self._clock.now()
            best = self._best(now)
            if best is None:
                continue
            if now - self._told_at >= RANKING_SECONDS:
                self._tell(now)
            lane, urgent = best
            if lane not in self._waiting:
                continue  # what it was told made it leave
            seconds = self._wait(now, urgent=urgent)
            if seconds > 0:
                # Of a long wait the last moment is left: who is next then is told in it.
                seconds -= NEAR_SECONDS if seconds > 2 * NEAR_SECONDS else 0.0
                await woken(self._clock, self._changed, max(seconds, SHORTEST_SLEEP_SECONDS))
                continue
            self._strike(lane)
            if self._ranking and self._ranking[-1] is lane:
                self._ranking.pop()
            self._given[lane] = self._take(now)
            lane.wake()

    def _tell(self, now: float) -> None:
        """Tell those who are next; who waits with a final has nothing more to read."""
        self._told_at = now
        left = math.ceil(NEAR_SECONDS / self._slot)
        near = self._ranking[-left:]
        if self._counts[Rank.FIRST_TEXT]:
            since = now + NEAR_SECONDS - self._first_text_seconds
            due = (lane for lane, bid in self._waiting.items() if bid.rank is Rank.FIRST_TEXT and bid.since <= since)
            near += itertools.islice(due, left)
        for lane in near:
            try:
                lane.approach()
            except Exception:  # it reaches down to a socket; the others wait for their places
                log.exception("allocator.approach_failed")

    def _best(self, now: float) -> tuple[Bidder, bool] | None:
        """Return who goes next, of equals who came first, and whether it need not keep to the even pace; None: look again."""
        if self._counts[Rank.FINAL]:
            return next(lane for lane, bid in self._waiting.items() if bid.rank is Rank.FINAL), True
        if self._counts[Rank.FIRST_TEXT]:
            since = now - self._first_text_seconds
            for lane, bid in self._waiting.items():
                if bid.rank is Rank.FIRST_TEXT and bid.since <= since:
                    return lane, True
        if not self._ranking or now - self._ranked_at >= RANKING_SECONDS:
            self._rank(now)
        while self._ranking:
            lane = self._ranking[-1]
            if lane in self._waiting:
                return lane, False
            self._ranking.pop()
        return None

    def _rank(self, now: float) -> None:
        """Order the waiting by what a call is worth to each; who has no use for one is forgotten."""
        worths: list[tuple[float, Bidder]] = []
        for lane in list(self._waiting):
            bid = lane.bid(now)
            if bid is None:
                self._strike(lane)
            else:
                worths.append((bid.worth, lane))
        worths.sort(key=lambda item: item[0])
        self._ranking, self._ranked_at = [lane for _, lane in worths], now
