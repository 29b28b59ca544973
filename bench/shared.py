"""The least staleness when many chats share the bot's overall budget: a true lower bound, by Lagrangian duality.

Whatever the schedule, at most `calls` calls fit into each period of the overall budget, counted from any moment. Charge a price for a
call, one for each of many periods, which overlap: then every chat finds its cheapest schedule alone, and the sum of their costs less the
income of a fully sold budget is below the cost of every schedule that keeps to the budget, whatever the prices are (weak duality). The
prices are raised where too much is asked and lowered where too little is, and the best bound is kept. The chats' own budgets are left out
here, which only lowers the bound; `shared_limit` takes the greater of this and what the chats could reach each alone.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from statistics import median

from bot.platforms.budgets import Budget

ROUNDS = 300
"""Adjustments of the prices: a third of them is within 2 %, all within half a percent."""
PARTS, MANY, PARTS_OF_MANY = 10, 200, 4
"""A period begins so often within one. With one period behind the other instead, 100 calls could go out around the moment at which one ends
and the next begins, and the bound for 100 answers of 8.4 s is 7 % lower. Of more than `MANY` crowds fewer, as that takes its time."""
FADE_ROUNDS = 8
"""After so many the prices move half as far."""
LAST_ROUNDS = 50
"""Of the last so many rounds the first texts are looked at: the prices go to and fro to the end, and so do those."""
SPARE_PERIODS = 2
"""The horizon ends so many periods after the budget could have shown every last token."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Answers that run alike: `chats` of them, their tokens at `times`. `alone`: the least staleness of one of them in its chat."""

    times: Sequence[float]
    chats: int
    alone: float


@dataclass(frozen=True, slots=True)
class Shared:
    """What the budget forces on the best that could be done.

    Attributes:
        limit: A lower bound of the mean over the chats of their staleness, seconds.
        first: How long after its first token a chat's first text is shown, seconds, the median over the chats: at the prices that were
            adjusted last, when they have settled. No bound, as those schedules together keep to the budget nearly, not wholly.
    """

    limit: float
    first: float


def shared_limit(crowds: Sequence[Crowd], overall: Budget, *, rounds: int = ROUNDS) -> float:
    """Return the limit of `share` alone."""
    return share(crowds, overall, rounds=rounds).limit


def share(crowds: Sequence[Crowd], overall: Budget, *, rounds: int = ROUNDS) -> Shared:
    """Return what the overall budget forces on these chats.

    Args:
        crowds: The load.
        overall: Counts every update of every chat.
        rounds: Adjustments of the prices; more can only raise the bound.
    """
    chats = sum(crowd.chats for crowd in crowds)
    alone = sum(crowd.alone * crowd.chats for crowd in crowds) / chats
    begin = min(crowd.times[0] for crowd in crowds)
    end = max(crowd.times[-1] for crowd in crowds)
    parts = PARTS if len(crowds) <= MANY else PARTS_OF_MANY
    cells = parts * (int((end - begin + chats * overall.seconds / overall.calls) / overall.seconds) + 1 + SPARE_PERIODS)
    paths = [_Path(crowd.times, begin, overall.seconds / parts, cells) for crowd in crowds]
    prices = [0.0] * (cells - parts + 1)  # by the cell that a period begins with
    best = alone * chats
    firsts: deque[float] = deque(maxlen=LAST_ROUNDS * chats)
    turns = max(best * 1.3, 0.5 * chats * chats * overall.seconds / overall.calls)  # about what it costs if each chat has its turn
    for turn in range(rounds):
        asked = [0] * cells
        cost = -overall.calls * sum(prices)
        charged = _charged(prices, parts)
        for crowd, path in zip(crowds, paths, strict=True):
            cheapest, calls, first = path.cheapest(charged, 1.0 / len(crowd.times))
            cost += cheapest * crowd.chats
            firsts.extend([first - crowd.times[0]] * crowd.chats)
            for cell in calls:
                asked[cell] += crowd.chats
        best = max(best, cost)
        counts = [sum(asked[first : first + parts]) for first in range(len(prices))]
        slopes = [count - overall.calls if price > 0 or count > overall.calls else 0 for count, price in zip(counts, prices, strict=True)]
        size = sum(slope * slope for slope in slopes)
        if not size:
            break
        # Polyak's step towards a target above the best bound so far, coming nearer to it so that the prices settle.
        target = best + max(turns - best, 0.3 * best) / (1.0 + turn / FADE_ROUNDS)
        stride = max(target - cost, 0.0) / size
        prices = [max(0.0, price + stride * slope) for price, slope in zip(prices, slopes, strict=True)]
    return Shared(best / chats, median(firsts))


def _charged(prices: Sequence[float], parts: int) -> list[float]:
    """Return what a call costs in each cell: the prices of all periods that it lies in."""
    cells = len(prices) + parts - 1
    return [sum(prices[max(0, cell - parts + 1) : cell + 1]) for cell in range(cells)]


class _Path:
    """The cheapest schedule of one chat when a call costs what is charged in its cell. Cells are `seconds` long."""

    def __init__(self, times: Sequence[float], begin: float, seconds: float, cells: int) -> None:
        moments = sorted({*times, *(begin + seconds * cell for cell in range(cells) if begin + seconds * cell > times[0])})
        self._moments = moments
        self._counts = [bisect_right(times, moment) for moment in moments]
        self._cells = [min(int((moment - begin) / seconds + 1e-9), cells - 1) for moment in moments]
        self._sums = [0.0, *accumulate(times)]
        self._total = len(times)

    def cheapest(self, charged: Sequence[float], weight: float) -> tuple[float, list[int], float]:
        """Return its cost, the cell of each of its calls, and the moment of the first.

        The cost up to an update at `moment` with `count` tokens shown is least over the earlier updates, each a line in `moment` of slope
        minus what it had shown: the lower envelope of lines that come with falling slope and are asked at rising places.
        """
        sums, total = self._sums, self._total
        slopes: list[float] = [0.0]
        heights: list[float] = [0.0]
        origins: list[int] = [-1]
        before: list[int] = []
        head, best, best_at = 0, float("inf"), -1
        for place, (moment, count) in enumerate(zip(self._moments, self._counts, strict=True)):
            while head + 1 < len(slopes) and slopes[head + 1] * moment + heights[head + 1] <= slopes[head] * moment + heights[head]:
                head += 1
            cost = charged[self._cells[place]] + weight * (moment * count - sums[count]) + slopes[head] * moment + heights[head]
            before.append(origins[head])
            if count == total:
                if cost < best:
                    best, best_at = cost, place
                continue
            slope, height = -weight * count, cost + weight * sums[count]
            if slope == slopes[-1]:
                if height >= heights[-1]:
                    continue
                if len(slopes) - 1 > head:
                    slopes.pop(), heights.pop(), origins.pop()
            while len(slopes) - head >= 2 and _hidden(slopes, heights, slope, height):
                slopes.pop(), heights.pop(), origins.pop()
            slopes.append(slope)
            heights.append(height)
            origins.append(place)
        calls = []
        first = self._moments[best_at]
        while best_at >= 0:
            calls.append(self._cells[best_at])
            first, best_at = self._moments[best_at], before[best_at]
        return best, calls, first


def _hidden(slopes: list[float], heights: list[float], slope: float, height: float) -> bool:
    """Tell whether the last line lies nowhere below both the one before it and the new one."""
    left, right = slopes[-2] - slopes[-1], slopes[-2] - slope
    return (height - heights[-2]) * left <= (heights[-1] - heights[-2]) * right
