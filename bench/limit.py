"""The least staleness that any schedule could reach, knowing the end in advance.

An answer is the moments (seconds, ascending) at which its tokens were emitted. An update shows every token emitted so far and counts
when it reaches the platform. The cost of a schedule is the sum over the tokens of the time each waits for its update; staleness is that
cost per token.

Every figure here is a lower bound: a ratio against it never flatters. Between two moments at which a window opens, updates are worth making
only when a token is emitted (an earlier update that shows as much never costs more), and there the search is exact. Openings of windows
lie anywhere in a cell of a grid and are charged as if they lay at its beginning, so the bound is low by at most one cell, and only for the
tokens that such a call shows. For a token bucket the search is exact. A round trip adds half of itself to every token and changes nothing
else.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from bot.platforms.budgets import Budget, BudgetKind

CELL_SECONDS = 0.01
"""Grid of a fixed window's openings."""
LATE_OPENING_SECONDS = 1.2
"""A window is opened at most so long after it could be: waiting longer gives up more than a fifth of the budget."""
BEFORE_FIRST_SECONDS = 0.004
"""The grid begins so much before the first token: tokens at an even pace that come a little early stay in their own cells."""


def staleness(times: Sequence[float], updates: Sequence[float]) -> float:
    """Return the mean wait of the tokens for the first update at or after them; infinite if the last one is never shown."""
    if not times:
        return 0.0
    if not updates or updates[-1] < times[-1]:
        return math.inf
    return sum(updates[bisect_left(updates, moment)] - moment for moment in times) / len(times)


def chat_limit(times: Sequence[float], budget: Budget, *, create_apart: bool) -> float:
    """Return the least staleness in a chat of its own.

    Args:
        times: Moments of the tokens.
        budget: Of updates: a fixed window or a token bucket.
        create_apart: The first update makes the message and counts in another budget.
    """
    if len(times) < 2:
        return 0.0
    if budget.kind is BudgetKind.FIXED_WINDOW:
        return _Windows(times, budget).cost(create_apart=create_apart) / len(times)
    if create_apart:
        raise ValueError("no platform counts creates apart and has a token bucket")
    return _Bucket(times, budget).cost() / len(times)


class _Tokens:
    """Sums over tokens. Counts stand for places: `count` tokens are shown."""

    def __init__(self, times: Sequence[float]) -> None:
        self.times = times
        self.total = len(times)
        self.sums = [0.0, *accumulate(times)]

    def wait(self, shown: int, until: int) -> float:
        """Cost of showing tokens `shown` to `until` when the last of them is emitted."""
        return self.times[until - 1] * (until - shown) - self.sums[until] + self.sums[shown] if until > shown else 0.0

    def wait_at(self, shown: int, moment: float, ripe: int) -> float:
        """Cost of showing those after `shown` at `moment`, by which `ripe` are emitted."""
        return moment * (ripe - shown) - self.sums[ripe] + self.sums[shown] if ripe > shown else 0.0


class _Windows:
    """`calls` in a window that its first call opens. Backwards over the cells in which a window may be opened."""

    def __init__(self, times: Sequence[float], budget: Budget) -> None:
        self._tokens = tokens = _Tokens(times)
        self._origin = times[0] - BEFORE_FIRST_SECONDS
        self._per_window = round(budget.seconds / CELL_SECONDS)
        self._late = round(LATE_OPENING_SECONDS / CELL_SECONDS)
        cells = int((times[-1] - self._origin) / CELL_SECONDS) + 2 + self._per_window
        starts = [self._origin + cell * CELL_SECONDS for cell in range(cells)]
        self._starts = starts
        self._ripe = [bisect_left(times, start) for start in starts]
        self._shown = [bisect_left(times, start + CELL_SECONDS) for start in starts]
        self._inside = [bisect_right(times, start + CELL_SECONDS + budget.seconds) for start in starts]
        band = max(inside - shown for inside, shown in zip(self._inside, self._shown, strict=True))
        self._interior = _chains(tokens, budget.calls - 1, band)

    def cost(self, *, create_apart: bool) -> float:
        tokens, total = self._tokens, self._tokens.total
        last = next(cell for cell, shown in enumerate(self._shown) if shown == total)
        togo = [0.0] * len(self._starts)  # cells from `last` on show everything
        for cell in range(last - 1, -1, -1):
            togo[cell] = self._from(cell, togo)
        openings = range(last + 1)
        if not create_apart:
            return min(tokens.wait_at(0, self._starts[cell], self._ripe[cell]) + togo[cell] for cell in openings)
        best = tokens.wait(0, total)
        for cell in openings:
            ripe, moment = self._ripe[cell], self._starts[cell]
            before = min((tokens.wait(0, shown) + tokens.wait_at(shown, moment, ripe) for shown in range(1, ripe + 1)), default=0.0)
            if before > best:
                break  # it only grows
            best = min(best, before + togo[cell])
        return best

    def _from(self, cell: int, togo: Sequence[float]) -> float:
        """Cost of the tokens not yet shown when a window is opened in this cell."""
        shown, inside = self._shown[cell], self._inside[cell]
        chain = self._interior[shown]
        sums, offset = self._tokens.sums, shown
        best = chain[self._tokens.total - offset] if inside == self._tokens.total else math.inf
        low = shown
        first = cell + self._per_window
        for opening in range(first, min(first + self._late, len(togo))):
            ripe, moment, after = self._ripe[opening], self._starts[opening], togo[opening]
            if opening > first and self._shown[opening] == ripe:
                continue  # a late opening waits for a token
            base = moment * ripe - sums[ripe] + after
            least, least_at = math.inf, low
            for place in range(low, min(inside, ripe) + 1):
                cost = chain[place - offset] - moment * place + sums[place]
                if cost < least:
                    least, least_at = cost, place
            low = least_at  # the later the opening, the later the last update before it
            best = min(best, base + least)
        return best


def _chains(tokens: _Tokens, edits: int, band: int) -> list[list[float]]:
    """Return table[shown][until - shown]: least cost of tokens up to `until` in at most so many updates, the last at its emission."""
    total = tokens.total
    powers = [[[tokens.wait(shown, until) for until in range(shown, min(shown + band, total) + 1)] for shown in range(total + 1)]]
    result: list[list[float]] | None = None
    while edits:
        if edits & 1:
            result = powers[-1] if result is None else joined(result, powers[-1], band)
        edits >>= 1
        if edits:
            powers.append(joined(powers[-1], powers[-1], band))
    if result is None:
        return [[0.0] + [math.inf] * min(band, total - shown) for shown in range(total + 1)]
    return result


def joined(left: list[list[float]], right: list[list[float]], band: int) -> list[list[float]]:
    """Return the cheapest ways through a place between. Both tables are Monge: the best place moves with either end, so few are tried."""
    total = len(left) - 1
    table = [[0.0] * (min(band, total - shown) + 1) for shown in range(total + 1)]
    places = list(range(total + 1))  # best place of (shown, shown + width - 1)
    for width in range(1, band + 1):
        for shown in range(total - width + 1):
            until, least = shown + width, math.inf
            row, best_at = left[shown], shown
            for place in range(places[shown], min(places[shown + 1], until) + 1):
                cost = row[place - shown] + right[place][until - place]
                if cost < least:
                    least, best_at = cost, place
            table[shown][width] = least
            places[shown] = best_at
    return table


class _Bucket:
    """A token bucket: exact.

    A call that finds the bucket full begins a run. As long as none after it finds it full, too, call number `place` of the run may go out
    from `(place - burst + 1)` intervals after the run's beginning on, and finds it full from `place` intervals on, whenever the others
    went. No call waits for longer than for the last token that it shows, or until it is allowed; so one that begins a run is made at a
    token. Backwards over (token that a run begins with, place in the run, tokens shown).
    """

    def __init__(self, times: Sequence[float], budget: Budget) -> None:
        self._times = times
        self._sums = [0.0, *accumulate(times)]
        self._interval = budget.seconds / budget.calls
        self._burst = budget.burst
        self._togo = [0.0] * (len(times) + 1)  # by tokens shown: cost of the others when the last of these began a run

    def cost(self) -> float:
        times, sums, togo = self._times, self._sums, self._togo
        for shown in range(len(times) - 1, 0, -1):
            togo[shown] = self._run(shown)
        return min(times[shown - 1] * shown - sums[shown] + togo[shown] for shown in range(1, len(times) + 1))

    def _run(self, first: int) -> float:
        """Return the cost of the tokens after `first` when a run begins with the last of these."""
        times, begin, total = self._times, self._times[first - 1], len(self._times)
        least = most = first  # shown before the next call
        calls: list[tuple[float, float, int, int]] = []
        while not calls or calls[-1][0] < times[-1]:
            place = len(calls) + 1
            free, full = begin + (place - self._burst + 1) * self._interval, begin + place * self._interval
            calls.append((free, full, least, most))
            least, most = max(least, bisect_right(times, free)), min(max(most, bisect_right(times, full)), total - 1)
        costs: list[float] = []
        for free, full, least, most in reversed(calls):
            costs = self._call(free, full, least, most, costs)
        return costs[0]

    def _call(self, free: float, full: float, least: int, most: int, costs: list[float]) -> list[float]:
        """Return the cost of what is to come before a call, for each number of tokens, `least` to `most`, that is shown before it.

        `costs`: the same for the call after it, whose own `least` is either this one's or the tokens that come until `free`.
        """
        times, sums, total, togo = self._times, self._sums, len(self._times), self._togo
        ripe = bisect_right(times, free)
        offset, within = max(least, ripe), max(bisect_right(times, full), ripe)
        low = max(least + 1, ripe)
        # Whoever waits for longer than an interval with a full bucket could as well have made a call more.
        high = bisect_right(times, max(full, times[most]) + self._interval)
        lines = []
        for shown in range(low, high + 1):
            moment = max(free, times[shown - 1])
            after = 0.0 if shown == total else costs[shown - offset] if shown <= within else togo[shown]
            lines.append((-moment, moment * shown - sums[shown] + after))
        return [sums[shown] + cost for shown, cost in zip(range(least, most + 1), _lowest(lines, low, ripe, least, most), strict=True)]


def _lowest(lines: Sequence[tuple[float, float]], low: int, ripe: int, least: int, most: int) -> list[float]:
    """Return, at each place from `least` to `most`, the lowest of the lines numbered above it and from `ripe` on.

    Lines are (slope, height), numbered from `low` on, their slopes never rising. From the last place back, the lower envelope: those that
    come in are the lowest further back, if anywhere.
    """
    slopes: list[float] = []
    heights: list[float] = []
    found = [0.0] * (most + 1 - least)
    head, number = 0, low + len(lines) - 1
    for place in range(most, least - 1, -1):
        while number > place and number >= ripe:
            slope, height = lines[number - low]
            number -= 1
            if len(slopes) > head and slopes[-1] == slope:
                if heights[-1] <= height:
                    continue
                slopes.pop(), heights.pop()
            while len(slopes) - head >= 2:
                left, above = slopes[-2] - slopes[-1], heights[-2]
                if (height - above) * left < (heights[-1] - above) * (slopes[-2] - slope):
                    break
                slopes.pop(), heights.pop()
            slopes.append(slope)
            heights.append(height)
        best = slopes[head] * place + heights[head]
        while head + 1 < len(slopes) and (other := slopes[head + 1] * place + heights[head + 1]) <= best:
            head, best = head + 1, other
        found[place - least] = best
    return found
