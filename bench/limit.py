"""The least staleness that any schedule could reach, knowing the end in advance.

An answer is the moments (seconds, ascending) at which its tokens were emitted. An update shows every token emitted so far and counts
when it reaches the platform. The cost of a schedule is the sum over the tokens of the time each waits for its update; staleness is that
cost per token.

Every figure here is a lower bound: a ratio against it never flatters. Between two moments at which a window opens, updates are worth making
only when a token is emitted (an earlier update that shows as much never costs more), and there the search is exact. Openings of windows and
calls of a bucket lie anywhere in a cell of a grid and are charged as if they lay at its beginning, so the bound is low by at most one cell,
and only for the tokens that such a call shows. A round trip adds half of itself to every token and changes nothing else.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate

from bot.platforms.budgets import Budget, BudgetKind

CELL_SECONDS = 0.025
"""Grid of a fixed window's openings."""
CELLS_PER_INTERVAL = 20
"""Grid of a bucket's calls: so many cells between two refills."""
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
    """A token bucket. Backwards over (cell of the last call, cells until the bucket would be full again)."""

    def __init__(self, times: Sequence[float], budget: Budget) -> None:
        self._tokens = _Tokens(times)
        self._burst = budget.burst
        self._width = budget.seconds / budget.calls / CELLS_PER_INTERVAL
        origin = times[0] - min(BEFORE_FIRST_SECONDS, self._width)
        cells = int((times[-1] - origin) / self._width) + 2 + (self._burst + 1) * CELLS_PER_INTERVAL
        self._starts = [origin + cell * self._width for cell in range(cells)]
        self._ripe = [bisect_left(times, start) for start in self._starts]
        self._shown = [bisect_left(times, start + self._width) for start in self._starts]

    def cost(self) -> float:
        step, total = CELLS_PER_INTERVAL, self._tokens.total
        full = self._burst * step
        last = next(cell for cell, shown in enumerate(self._shown) if shown == total)
        done = [0.0] * (full - step + 1)
        togo = [done] * len(self._starts)
        for cell in range(last - 1, -1, -1):
            togo[cell] = [self._from(cell, owed, togo) for owed in range(step, full + 1)]
        openings = range(last + 1)
        return min(self._tokens.wait_at(0, self._starts[cell], self._ripe[cell]) + togo[cell][0] for cell in openings)

    def _from(self, cell: int, owed: int, togo: Sequence[Sequence[float]]) -> float:
        """Cost of the tokens not yet shown after a call in this cell that leaves the bucket full in `owed` cells."""
        step, sums, shown = CELLS_PER_INTERVAL, self._tokens.sums, self._shown[cell]
        full_at = cell + owed
        earliest = max(cell + 1, full_at - (self._burst - 1) * step)
        best, base = math.inf, sums[shown]
        starts, ripes = self._starts, self._ripe
        waited = bisect_right(self._shown, shown)  # the first cell that has something new
        for moment in range(max(earliest, waited), max(full_at, waited) + 1):
            ripe = ripes[moment]
            cost = (starts[moment] * (ripe - shown) - sums[ripe] + base if ripe > shown else 0.0) + togo[moment][max(full_at - moment, 0)]
            best = min(best, cost)
        return best
