"""The best schedule that does not know the end.

Until the end comes nothing is learnt but that it has not come yet: such a schedule is a fixed list of moments, counted from the first
token, cut short by the end, which is shown as soon as the budget has room. The list with the least expected ratio of staleness to its
limit, over a given distribution of lengths and a steady pace, is found by search backwards over a grid of moments and states of the budget.

Tokens are taken to come at even moments, and the grid is theirs: an update between two of them shows no more than one at the first. So what
the list is expected to reach is the least that any schedule can without knowing the end, in answers of such tokens: it is what brute force
finds, on the same grid and on one twice as fine (`tests/unit/test_bench_blind.py`). Where the grid is coarser than the tokens (a bucket
that refills slowly) it is a good list only. What could be made of a token that comes a little early or late is left out.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import NormalDist

from bench.limit import joined
from bot.platforms.budgets import Budget, BudgetKind

CELLS_PER_INTERVAL = 20
"""Grid of the moments for a token bucket: at most so many between two refills."""
LATE_SHARE = 4
"""A window is opened at most by this part of it later than it could be."""
NEGLIGIBLE = 1e-9


@dataclass(frozen=True, slots=True)
class Length:
    """An answer whose last token comes so many seconds after its first, how likely it is, and its limit (least staleness, seconds)."""

    seconds: float
    share: float
    limit: float


@dataclass(frozen=True, slots=True)
class Blind:
    """The best list: seconds after the first token, the first is 0; and the mean of staleness by limit that it is expected to reach."""

    moments: list[float]
    expected: float


def log_normal(median: float, sigma: float, count: int, *, longest: float) -> list[float]:
    """Return so many lengths, each as likely as the others: the middles of equal parts of the distribution."""
    normal = NormalDist(math.log(median), sigma)
    return [min(longest, math.exp(normal.inv_cdf((place + 0.5) / count))) for place in range(count)]


def blind_schedule(lengths: Sequence[Length], rate: float, budget: Budget, *, create_apart: bool) -> Blind:
    """Return the best list of updates.

    Args:
        lengths: The distribution.
        rate: Tokens per second.
        budget: Of updates.
        create_apart: The first update counts in another budget.
    """
    if budget.kind is BudgetKind.FIXED_WINDOW:
        return _windows(_Hazard(lengths, rate, 1 / rate), budget, create_apart=create_apart)
    interval = budget.seconds / budget.calls
    return _bucket(_Hazard(lengths, rate, interval / min(CELLS_PER_INTERVAL, round(interval * rate))), budget)


class _Hazard:
    """Expected costs of waiting, over where the end may come. Moments are cells."""

    def __init__(self, lengths: Sequence[Length], rate: float, cell: float) -> None:
        self.cell = cell
        self.rate = rate
        self.cells = int(max(length.seconds for length in lengths) / cell + NEGLIGIBLE) + 1
        ends = sorted(lengths, key=lambda length: length.seconds)
        weights = [end.share / ((end.seconds * rate + 1) * max(end.limit, 1e-3)) for end in ends]
        seconds = [end.seconds for end in ends]
        sums = [[0.0, *accumulate(w * s**power for w, s in zip(weights, seconds, strict=True))] for power in range(3)]
        upto = [bisect_right(seconds, moment * cell + NEGLIGIBLE) for moment in range(self.cells + 1)]
        self._moments = [[row[place] for place in upto] for row in sums]
        self._alive = [sums[0][-1] - row for row in self._moments[0]]

    def gap(self, last: int, free: int, following: int) -> float:
        """Cost of the tokens between two updates; an end before `free` is shown at `free`, one after it at once."""
        last_s, freed = last * self.cell, min(max(free, last), following)
        w0, w1, w2 = (row[following] - row[freed] for row in self._moments)
        apart = (following - last) * self.cell
        cost = self._alive[following] * (self.rate * apart - 1.0) * apart
        cost += self.rate * (w2 - 2 * last_s * w1 + last_s * last_s * w0) - (w1 - last_s * w0)
        if free > last:
            w0, w1, w2 = (row[freed] - row[last] for row in self._moments)
            wait = (free - last) * self.cell
            into1 = w1 - last_s * w0
            cost += 2 * self.rate * wait * into1 - self.rate * (w2 - 2 * last_s * w1 + last_s * last_s * w0) - into1
        return 0.5 * cost


def _windows(hazard: _Hazard, budget: Budget, *, create_apart: bool) -> Blind:
    cells, window = hazard.cells, round(budget.seconds / hazard.cell)
    band = window - 1
    single = [[hazard.gap(a, a, b) for b in range(a, min(a + band, cells) + 1)] for a in range(cells + 1)]
    chains = [[[0.0] + [math.inf] * (len(row) - 1) for row in single], single]
    for _ in range(budget.calls - 2):
        chains.append(joined(chains[-1], single, band))
    togo = [0.0] * (cells + 1)
    choice: list[tuple[int, int, int]] = [(0, 0, 0)] * (cells + 1)
    for opened in range(cells - 1, -1, -1):
        closes, best = opened + window, math.inf
        openings = range(min(closes, cells), min(closes + window // LATE_SHARE, cells) + 1)
        least_after = min(togo[opening] for opening in openings)
        for edits, held in ((budget.calls - 1, False), (budget.calls - 2, True)):
            for last, before in enumerate(chains[edits][opened], opened):
                for opening in openings:
                    cost = before + hazard.gap(last, last if held else closes, opening)
                    if cost + least_after >= best:
                        break  # it only grows
                    if cost + togo[opening] < best:
                        best, choice[opened] = cost + togo[opening], (last, edits, opening)
        togo[opened] = best
    first = min(range(cells), key=lambda at: hazard.gap(0, 0, at) + togo[at]) if create_apart else 0
    moments = [0] if create_apart else []
    at = first
    while at < cells:
        last, edits, opening = choice[at]
        moments += [at, *_chain(single, at, last, edits)]
        at = opening
    return Blind([moment * hazard.cell for moment in moments], hazard.gap(0, 0, first) + togo[first])


def _chain(single: Sequence[Sequence[float]], begin: int, end: int, edits: int) -> list[int]:
    """Return the places of the cheapest so many steps from `begin` to `end`."""
    costs = {begin: (0.0, [])}  # type: dict[int, tuple[float, list[int]]]
    for _ in range(edits):
        costs = {
            to: min(
                ((cost + single[at][to - at], [*path, to] if to > at else path) for at, (cost, path) in costs.items() if at <= to),
                key=lambda way: way[0],
            )
            for to in range(begin, end + 1)
        }
    return costs[end][1]


def _bucket(hazard: _Hazard, budget: Budget) -> Blind:
    cells, step = hazard.cells, round(budget.seconds / budget.calls / hazard.cell)
    full = budget.burst * step
    togo = [[0.0] * (full - step + 1) for _ in range(cells + 1)]
    choice = [[cells] * (full - step + 1) for _ in range(cells + 1)]
    for at in range(cells - 1, -1, -1):
        for owed in range(step, full + 1):
            full_at = at + owed
            free = max(at + 1, full_at - (budget.burst - 1) * step)
            best = math.inf
            for following in range(min(free, cells), min(max(full_at, free) + step, cells) + 1):
                cost = hazard.gap(at, free, following)
                if cost >= best:
                    break  # it only grows
                cost += togo[following][min(max(full_at - following, 0), full - step)]
                if cost < best:
                    best, choice[at][owed - step] = cost, following
            togo[at][owed - step] = best
    moments, at, owed = [0], 0, step
    while at < cells:
        following = choice[at][owed - step]
        owed = max(at + owed - following, 0) + step
        at = following
        if at < cells:
            moments.append(at)
    return Blind([moment * hazard.cell for moment in moments], togo[0][0])
