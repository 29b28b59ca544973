"""Calls of a platform's own accord stay within the budgets and behind the answers."""

from __future__ import annotations

import asyncio

import pytest

from bot.pacing import Meters
from bot.platforms.base import Allowance, FloodError
from bot.platforms.budgets import Budget, BudgetKind
from bot.spending import LOOK_AGAIN_SECONDS, SPARE_CALLS, spending
from tests.support.clock import FakeClock

CHANNEL = Allowance("channel", Budget(BudgetKind.FIXED_WINDOW, 2, 5.0))
OTHER = Allowance("other", Budget(BudgetKind.FIXED_WINDOW, 2, 5.0))
OVERALL = Allowance("overall", Budget(BudgetKind.SLIDING, SPARE_CALLS + 3, 1.0))


class Bench:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.meters = Meters(self.clock.now)
        self.spend = spending(self.meters, self.clock)
        self.made: list[float] = []

    async def call(self, allowance: Allowance = CHANNEL, error: Exception | None = None) -> None:
        async with self.spend((allowance, OVERALL)):
            self.made.append(self.clock.now() - 1000.0)
            if error is not None:
                raise error

    def start(self, count: int, allowance: Allowance = CHANNEL) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.call(allowance)) for _ in range(count)]


async def test_a_call_waits_for_its_bucket_and_is_counted_in_it() -> None:
    bench = Bench()
    calls = bench.start(3)
    await bench.clock.run(4.9)
    assert bench.made == [0.0, 0.0]
    await bench.clock.run(0.2)
    assert len(bench.made) == 3
    await asyncio.gather(*calls)


async def test_a_budget_that_is_smaller_than_what_is_spared_is_used_all_the_same() -> None:
    bench = Bench()

    async def call() -> None:
        async with bench.spend((CHANNEL,)):
            bench.made.append(bench.clock.now() - 1000.0)

    calls = [asyncio.create_task(call()) for _ in range(3)]
    await bench.clock.run(0.1)
    assert bench.made == [0.0, 0.0]
    await bench.clock.run(5.0)
    assert len(bench.made) == 3
    await asyncio.gather(*calls)


async def test_room_is_left_for_answers_in_the_budget_of_the_account() -> None:
    bench = Bench()
    overall = bench.meters.of(OVERALL)
    for _ in range(4):
        overall.leave(bench.clock.now())
        overall.arrive(bench.clock.now(), bench.clock.now())
    [call] = bench.start(1)
    await bench.clock.run(0.95)
    assert bench.made == []
    await bench.clock.run(2 * LOOK_AGAIN_SECONDS)
    assert len(bench.made) == 1
    await call


async def test_a_flood_halts_its_own_bucket_as_long_as_told_or_all_where_it_is_everywhere() -> None:
    bench = Bench()
    with pytest.raises(FloodError):
        await bench.call(error=FloodError(3.0))
    own, other = bench.start(1), bench.start(1, OTHER)
    await bench.clock.run(2.9)
    assert len(bench.made) == 2
    await bench.clock.run(0.2)
    assert len(bench.made) == 3
    with pytest.raises(FloodError):
        await bench.call(OTHER, error=FloodError(7.0, everywhere=True))
    assert bench.meters.of(OVERALL).blocked(bench.clock.now()) == 7.0
    await asyncio.gather(*own, *other)


async def test_what_the_platform_says_of_its_bucket_counts() -> None:
    bench = Bench()
    async with bench.spend((CHANNEL, OVERALL)) as heard:
        heard.remaining, heard.reset_after = 0, 2.0
    [call] = bench.start(1)
    await bench.clock.run(1.9)
    assert bench.made == []
    await bench.clock.run(0.2)
    assert len(bench.made) == 1
    await call
