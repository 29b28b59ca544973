"""Calls that a platform makes of its own accord, counted in the same budgets as the answers, and going behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from bot.clock import Clock
from bot.pacing import Meters
from bot.platforms.base import Allowance, FloodError, Heard

SPARE_CALLS = 10
"""Such a call goes out only while so many calls of the account's budget are left for answers."""
LOOK_AGAIN_SECONDS = 0.1
"""Between two looks at a budget that has no room to spare."""


def spending(meters: Meters, clock: Clock) -> Callable[[Sequence[Allowance]], AbstractAsyncContextManager[Heard]]:
    """Return a `bot.platforms.base.Spend` over the outbox's meters."""

    @asynccontextmanager
    async def spend(allowances: Sequence[Allowance]) -> AsyncIterator[Heard]:
        while (wait := _wait(meters, allowances, clock.now())) > 0:
            await clock.sleep(wait)
        # From here to the count nothing is awaited: the room that was seen must still be there.
        counted = [meters.of(allowance) for allowance in allowances]
        left, heard = clock.now(), Heard()
        for meter in counted:
            meter.leave(left)
        try:
            yield heard
        except FloodError as error:
            counted[-1 if error.everywhere else 0].block(clock.now() + error.retry_after)
            raise
        finally:
            for place, meter in enumerate(counted):
                told = heard if place == 0 else Heard()
                meter.arrive(clock.now(), left, remaining=told.remaining, reset_after=told.reset_after)

    return spend


def _wait(meters: Meters, allowances: Sequence[Allowance], now: float) -> float:
    wait, widest = meters.wait(allowances), meters.of(allowances[-1])
    shared = widest.budget.calls > SPARE_CALLS  # what goes by an interaction has a budget of its own
    crowded = shared and widest.room(now) < SPARE_CALLS
    return max(wait, LOOK_AGAIN_SECONDS) if crowded else wait
