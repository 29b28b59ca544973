"""Meters: how soon a call may go out under a platform's budget. Pure; time is passed in.

A meter never knows when a call reached the platform, only when it left and when its answer came. It assumes the worst of both: a call
counts from the moment it leaves, and its budget comes back counted from the moment its answer arrived, less what no answer and no call
ever takes on the way (`RoundTrip.credit`). What the platform itself says of its bucket (`Meter.arrive`) and of a flood (`Meter.block`)
overrides the table.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable
from typing import Protocol

from bot.lengths import Ahead
from bot.platforms.base import Allowance
from bot.platforms.budgets import Budget, BudgetKind

IN_FLIGHT_SECONDS = 0.02
"""How soon to ask again while only the answers of calls in flight can tell when there is room."""
OPENING_GAP_SECONDS = 0.37
"""From the first text to the first edit, where edits have a bucket of their own, which that edit opens."""
EXPECTED_GAP_SECONDS = 0.5
"""Fixed window in which an answer is expected to end: the least gap. It may go on beyond that, and must not find the window used up: with
no such bound an answer of 2.5 s behind some of 1 s ended 2.7 s late."""
WINDOW_HURRY, WINDOW_CALM_SECONDS = (0.02, 0.16, 0.28, 0.32), 120.0
"""Fixed window: by how much of an even share of the window's rest the gap before the next call is shorter, by the calls that are left: one,
two, … So the gaps grow towards the window's end, where an answer that goes on is sure of the next window. At this age of an answer the
hurry is half as much. These and the opening gap were found by search over answers of 2 to 3 s, of 8 to 58 s and over log-normal lengths
(median 6 s, sigma 0.9), in virtual time, with tokens up to 12 ms early or late; docs/benchmark.md says what is possible."""
BUCKET_GAP, BUCKET_GAP_GROWTH, BUCKET_GAP_MOST, BUCKET_RESERVE = 0.6, 0.05, 0.97, 1.82
"""Token bucket, in times its refill: first gap, its growth for each refill of the answer's age, the longest gap, and the calls that are in
store by the next update, so that an end soon after it need not wait for long. Found in the same way."""
ROUND_TRIP_SHARE = 0.85
"""The share of the least round trip that is counted on: the next may be a little quicker than any before."""
ROUND_TRIP_SPREAD, ROUND_TRIP_RECENT = 1.0, 0.1
"""Less is counted on where round trips vary: so many times the mean's distance from the least. The newest one's weight in the mean."""
ROUND_TRIP_SPAN_SECONDS, ROUND_TRIP_SAMPLES = 30.0, 8
"""The least round trip is that of the last one to two spans of this length with so many answers each: ways get longer, too, and what was
seen a few times only (with the greetings of a new connection in it) says little of the least."""
IDLE_SECONDS = 900.0
"""A meter unused for so long is forgotten: longer than any window of the table."""


class RoundTrip:
    """The least time that a call and its answer were under way.

    The platform counted the call that was answered at `now` no later than `now` less the way back, and counts one that leaves at `t` no
    earlier than `t` plus the way there. So the next call may leave by both ways together earlier than the answer's arrival would allow.
    """

    def __init__(self) -> None:
        self._least = self._least_before = math.inf
        self._mean = math.nan
        self._samples = 0
        self._since = -math.inf

    def heard(self, now: float, seconds: float) -> None:
        """Take note of an answer that came `seconds` after its call left."""
        if self._samples >= ROUND_TRIP_SAMPLES and now - self._since >= ROUND_TRIP_SPAN_SECONDS:
            self._least_before, self._least, self._samples = self._least, math.inf, 0
        if not self._samples:
            self._since = now
        self._samples += 1
        self._least = min(self._least, seconds)
        self._mean = seconds if math.isnan(self._mean) else self._mean + ROUND_TRIP_RECENT * (seconds - self._mean)

    @property
    def credit(self) -> float:
        """The seconds by which the next call may leave earlier."""
        if self._samples < ROUND_TRIP_SAMPLES and math.isinf(self._least_before):
            return 0.0
        least = min(self._least, self._least_before)
        return max(0.0, ROUND_TRIP_SHARE * least - ROUND_TRIP_SPREAD * max(0.0, self._mean - least))


class _Rule(Protocol):
    """How one kind of budget is counted. `left` is when the call that is answered went out."""

    def wait(self, now: float) -> float: ...

    def room(self, now: float) -> int: ...

    def growth_gap(self, now: float, age: float, ends: Ahead | None) -> float: ...

    def leave(self, now: float) -> None: ...

    def arrive(self, now: float, left: float, remaining: int | None, reset_after: float | None) -> None: ...


class _FixedWindow:
    """`calls` in a window that the platform opens when the first of them reaches it.

    When a window ends is known within bounds only. Once a call was under way between the earliest and the latest end nobody knows which
    window it fell in, and where the next one begins: until the platform says so, or all is quiet, the stricter sliding count is kept, which
    fits any window wherever it begins.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._sliding = _Sliding(budget)
        self._certain = True
        self._count = 0
        self._earliest_end = self._latest_end = -math.inf

    def wait(self, now: float) -> float:
        if not self._certain:
            return self._sliding.wait(now)
        if self._count < self._budget.calls or now >= self._latest_end:
            return 0.0
        return IN_FLIGHT_SECONDS if math.isinf(self._latest_end) else self._latest_end - now

    def room(self, now: float) -> int:
        if not self._certain:
            return self._sliding.room(now)
        return self._budget.calls - (0 if now >= self._latest_end else self._count)

    def growth_gap(self, now: float, age: float, ends: Ahead | None) -> float:
        left = self.room(now)
        rest = self._budget.seconds if math.isinf(self._latest_end) else max(self._latest_end - now, 0.0)
        if left <= 0:
            return rest
        if ends is not None:
            if ends.far <= rest and left > 1:  # the last one is for the end; in no hurry, as it may go on beyond what is expected
                return max(ends.far / left, EXPECTED_GAP_SECONDS)
            if ends.near >= rest:
                return rest / (left + 1)
        hurry = WINDOW_HURRY[min(left, len(WINDOW_HURRY)) - 1] / (1 + age / WINDOW_CALM_SECONDS)
        return (1 - hurry) * rest / (left + 1)

    def leave(self, now: float) -> None:
        if (now >= self._latest_end and not self._sliding.in_flight) if self._certain else self._sliding.empty(now):
            self._certain, self._count = True, 0
            self._earliest_end, self._latest_end = now + self._budget.seconds, math.inf
        elif now >= self._earliest_end:
            self._certain = False
        self._count += 1
        self._sliding.leave(now)

    def arrive(self, now: float, left: float, remaining: int | None, reset_after: float | None) -> None:
        self._sliding.arrive(now, left, remaining, reset_after)
        if remaining is not None and reset_after is not None:
            self._certain = True
            self._count = self._budget.calls - remaining
            self._earliest_end, self._latest_end = left + reset_after, now + reset_after
            return
        if math.isinf(self._latest_end):
            self._latest_end = now + self._budget.seconds
        if now >= self._earliest_end:
            self._certain = False


class _TokenBucket:
    """`burst` at once, refilled steadily, also while a call is under way.

    Counted is the least that can be left: a bucket that is refilled just before a call is counted can lose what is more than it holds. So a
    call under way takes its place in the bucket until it is answered.
    """

    def __init__(self, budget: Budget) -> None:
        self._interval = budget.seconds / budget.calls
        self._burst = float(budget.burst)
        self._tokens = self._burst
        self._in_flight = 0
        self._refilled_at = -math.inf

    def wait(self, now: float) -> float:
        self._refill(now)
        return max(0.0, (1.0 - self._tokens) * self._interval) if self._in_flight < self._burst else IN_FLIGHT_SECONDS

    def room(self, now: float) -> int:
        self._refill(now)
        return int(self._tokens)

    def growth_gap(self, now: float, age: float, ends: Ahead | None) -> float:
        del ends  # to know it is worth 1 to 3 %, and some ends would wait for a refill
        self._refill(now)
        gap = self._interval * min(BUCKET_GAP + BUCKET_GAP_GROWTH * age / self._interval, BUCKET_GAP_MOST)
        return max(gap, self._interval * (BUCKET_RESERVE - self._tokens) + self._refilled_at - now)

    def empty_but_for(self, tokens: float) -> None:
        """Assume that no more than `tokens` are left."""
        self._tokens = min(self._tokens, tokens)

    def leave(self, now: float) -> None:
        self._refill(now)
        self._in_flight += 1
        self._tokens -= 1.0

    def arrive(self, now: float, left: float, remaining: int | None, reset_after: float | None) -> None:
        del left, remaining, reset_after
        self._refill(now)
        self._in_flight -= 1

    def _refill(self, now: float) -> None:
        if now > self._refilled_at:
            self._tokens = min(self._burst - self._in_flight, self._tokens + (now - self._refilled_at) / self._interval)
            self._refilled_at = now


class _Sliding:
    """At most `calls` in any `seconds`."""

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self.in_flight = 0
        self._answered: deque[float] = deque()

    def empty(self, now: float) -> bool:
        """Tell whether nothing is counted any more."""
        self._forget(now)
        return not self._answered and not self.in_flight

    def _forget(self, now: float) -> None:
        while self._answered and self._answered[0] + self._budget.seconds <= now:
            self._answered.popleft()

    def wait(self, now: float) -> float:
        self._forget(now)
        if len(self._answered) + self.in_flight < self._budget.calls:
            return 0.0
        return self._answered[0] + self._budget.seconds - now if self._answered else IN_FLIGHT_SECONDS

    def room(self, now: float) -> int:
        self._forget(now)
        return self._budget.calls - len(self._answered) - self.in_flight

    def growth_gap(self, now: float, age: float, ends: Ahead | None) -> float:
        del now, age, ends
        return self._budget.seconds / self._budget.calls

    def leave(self, now: float) -> None:
        del now
        self.in_flight += 1

    def unleave(self) -> None:
        """Uncount a call that was counted as leaving and was not made."""
        self.in_flight -= 1

    def arrive(self, now: float, left: float, remaining: int | None, reset_after: float | None) -> None:
        del left, remaining, reset_after
        self.in_flight -= 1
        self._answered.append(now)


_RULES: dict[BudgetKind, Callable[[Budget], _Rule]] = {
    BudgetKind.FIXED_WINDOW: _FixedWindow,
    BudgetKind.TOKEN_BUCKET: _TokenBucket,
    BudgetKind.SLIDING: _Sliding,
}


def opening_gap(budget: Budget, ends: Ahead | None) -> float:
    """Return the seconds from a create to the first edit, which opens a window of its own."""
    if ends is not None and ends.far <= budget.seconds:
        return max(ends.far / budget.calls, OPENING_GAP_SECONDS)
    return OPENING_GAP_SECONDS


class Meter:
    """One bucket of a platform, seen from here."""

    def __init__(self, budget: Budget, made_at: float = -math.inf) -> None:
        self.budget = budget
        self.last_used = -math.inf
        self.made_at = made_at
        self._rule = _RULES[budget.kind](budget)
        self._blocked_until = -math.inf

    def growth_gap(self, now: float, age: float, ends: Ahead | None = None) -> float:
        """Return the seconds until a growing text is best shown again, after a call that left at `now`.

        Early in an answer calls are worth most: they come closer together while the budget has room, further apart the older the answer
        is. A bucket that refills nearly keeps one call for the end. Where it is known about when the end comes, those of a window
        are spread evenly up to it.

        Args:
            now: Seconds of the clock.
            age: Seconds since the first text was shown.
            ends: When the answer is expected to end, from now on; None: nobody knows.
        """
        return self._rule.growth_gap(now, age, ends)

    def wait(self, now: float) -> float:
        """Return the seconds until a call may go out."""
        return max(self._blocked_until - now, self._rule.wait(now), 0.0)

    def room(self, now: float) -> int:
        """Return how many calls could go out at once."""
        return 0 if self._blocked_until > now else self._rule.room(now)

    def blocked(self, now: float) -> float:
        """Return the seconds for which the platform forbade every call."""
        return max(self._blocked_until - now, 0.0)

    def be_careful(self, now: float) -> None:
        """Take no burst for granted: the bucket may have been used by a process before this one."""
        if isinstance(self._rule, _TokenBucket) and math.isinf(self.last_used):
            self._rule.wait(now)
            self._rule.empty_but_for(1.0)

    def leave(self, now: float) -> None:
        """Count a call that goes out now."""
        self.last_used = now
        self._rule.leave(now)

    def arrive(self, now: float, left: float, *, remaining: int | None = None, reset_after: float | None = None) -> None:
        """Count the answer to a call that went out at `left`, with what the platform said of its bucket (calls; seconds)."""
        self.last_used = now
        self._rule.arrive(now, left, remaining, reset_after)

    def unleave(self) -> None:
        """Uncount a call that was counted as leaving and was not made; of no effect where a window may have been opened by it."""
        if isinstance(self._rule, _Sliding):
            self._rule.unleave()

    def block(self, until: float) -> None:
        """Let nothing out before `until`: the platform said so."""
        self._blocked_until = max(self._blocked_until, until)


class Meters:
    """All meters of the process, by bucket name."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._meters: dict[str, Meter] = {}
        self._swept = now()

    def of(self, allowance: Allowance) -> Meter:
        """Return the meter of a bucket, making it if it is new."""
        meter = self._meters.get(allowance.bucket)
        if meter is None:
            self._sweep()
            meter = self._meters[allowance.bucket] = Meter(allowance.budget, made_at=self._now())
        return meter

    def wait(self, allowances: Iterable[Allowance]) -> float:
        """Return the seconds until a call counted in all of them may go out."""
        now = self._now()
        return max((self.of(allowance).wait(now) for allowance in allowances), default=0.0)

    def _sweep(self) -> None:
        now = self._now()
        if now - self._swept < IDLE_SECONDS:
            return
        self._swept = now
        self._meters = {
            name: meter
            for name, meter in self._meters.items()
            if meter.blocked(now) or now - max(meter.last_used, meter.made_at) < IDLE_SECONDS  # a block may be longer than any window
        }
