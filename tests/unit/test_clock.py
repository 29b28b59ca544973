"""Waiting for an event that sets itself after a while."""

import asyncio

import pytest

from bot.clock import Clock, SystemClock, woken
from tests.support.clock import FakeClock, ShiftedClock


@pytest.mark.parametrize("clock", [SystemClock(), ShiftedClock()])
async def test_the_machines_clock_wakes_without_a_task_and_leaves_nothing_behind(clock: Clock) -> None:
    event, tasks = asyncio.Event(), len(asyncio.all_tasks())
    waiting = asyncio.ensure_future(woken(clock, event, 0.001))
    await asyncio.sleep(0)
    assert len(asyncio.all_tasks()) == tasks + 1
    await waiting
    assert event.is_set()


async def test_who_is_woken_before_does_not_wait_for_the_time_to_be_over() -> None:
    clock, event = FakeClock(), asyncio.Event()
    waiting = asyncio.ensure_future(woken(clock, event, 5.0))
    await clock.run(4.9)
    assert not waiting.done()
    event.set()
    await waiting
    event.clear()
    await clock.run(5.0)
    assert not event.is_set()


async def test_a_clock_that_a_test_owns_wakes_at_its_own_time() -> None:
    clock, event = FakeClock(), asyncio.Event()
    waiting = asyncio.ensure_future(woken(clock, event, 5.0))
    await clock.run(4.9)
    assert not waiting.done()
    await clock.run(0.1)
    assert waiting.done()
