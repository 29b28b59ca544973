"""Discord resets the token of a bot that opens more than 1,000 sessions in a day: however it is started, this one never does."""

from __future__ import annotations

import pytest

from bot.platforms.budgets import DISCORD_IDENTIFIES
from bot.platforms.discord.identifies import SECONDS_EACH, Identifies, TooManyIdentifiesError
from storage.base import StoreUnavailableError
from tests.support.clock import Epoch
from tests.support.seam import Memo

DAY = 86_400.0
DAILY = 1000
"""Documented: gateway, session start limit."""


class Broken(Memo):
    async def get(self, key: str) -> str | None:
        raise StoreUnavailableError("locked")

    async def put(self, key: str, value: str) -> None:
        raise StoreUnavailableError("locked")


@pytest.mark.parametrize("lives", [0.1, 3.0, 100.0])
async def test_a_bot_that_crashes_again_and_again_opens_fewer_sessions_than_a_day_allows(lives: float) -> None:
    memo, now, taken = Memo(), Epoch(), list[float]()
    while now.seconds < 1_800_000_000.0 + 2 * DAY:
        process = Identifies(memo, "500", now)
        now.seconds += await process.wait()
        await process.take()
        taken.append(now.seconds)
        now.seconds += lives
    busiest = max(sum(at <= other < at + DAY for other in taken) for at in taken[:: max(1, len(taken) // 50)])
    assert busiest < DAILY
    assert busiest > DAY / SECONDS_EACH * 0.8  # it backs off, and goes on


async def test_the_first_ones_are_granted_at_once_and_what_is_not_granted_is_refused() -> None:
    identifies = Identifies(Memo(), "500", Epoch())
    for _ in range(DISCORD_IDENTIFIES.burst):
        assert await identifies.wait() == 0.0
        await identifies.take()
    assert await identifies.wait() == pytest.approx(SECONDS_EACH)
    with pytest.raises(TooManyIdentifiesError):
        await identifies.take()


async def test_a_clock_that_is_set_back_holds_nothing_back() -> None:
    memo, now = Memo(), Epoch()
    first = Identifies(memo, "500", now)
    for _ in range(DISCORD_IDENTIFIES.burst):
        await first.take()
    now.seconds -= 10 * DAY
    second = Identifies(memo, "500", now)
    assert await second.wait() == pytest.approx(SECONDS_EACH)
    now.seconds += SECONDS_EACH
    await second.take()


@pytest.mark.parametrize("kept", ["", "[]", "{}", '{"left": "many", "at": 0}', "null"])
async def test_a_count_that_cant_be_read_keeps_nobody_out(kept: str) -> None:
    memo = Memo()
    memo.values["identifies:500"] = kept
    await Identifies(memo, "500", Epoch()).take()


async def test_a_store_that_fails_keeps_nobody_out_and_the_process_counts_on() -> None:
    identifies = Identifies(Broken(), "500", Epoch())
    for _ in range(DISCORD_IDENTIFIES.burst):
        await identifies.take()
    with pytest.raises(TooManyIdentifiesError):
        await identifies.take()
