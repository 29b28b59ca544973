"""Draining lanes at the instants that a real database hits only by chance."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from storage.base import StoreUnavailableError
from storage.lanes import Lanes
from tests.support.stores import eventually


async def none_wait() -> Sequence[int]:
    return []


async def end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_wake_while_the_end_is_looked_up_is_not_lost() -> None:
    calls: list[int] = []

    async def first_open(conversation: int) -> int | None:
        if len(calls) == 1:
            lanes.wake(conversation)  # committed after the look-up read and before its answer arrived
        return None

    async def drain(conversation: int) -> None:
        calls.append(conversation)

    lanes = Lanes(first_open)
    task = asyncio.create_task(lanes.run(drain, none_wait))
    await asyncio.sleep(0)
    lanes.wake(5)
    await eventually(lambda: len(calls) == 2)
    await asyncio.sleep(0.01)
    assert calls == [5, 5]
    await end(task)


async def test_a_turn_committed_while_open_conversations_are_listed_is_drained_once() -> None:
    calls: list[int] = []

    async def first_open(conversation: int) -> int | None:
        return None

    async def waiting() -> Sequence[int]:
        lanes.wake(1)
        lanes.wake(2)
        return [2, 3]

    async def drain(conversation: int) -> None:
        calls.append(conversation)
        await asyncio.sleep(0.005)

    lanes = Lanes(first_open)
    task = asyncio.create_task(lanes.run(drain, waiting))
    await eventually(lambda: {1, 2, 3} <= set(calls))
    assert calls[:3] == [1, 2, 3]
    await end(task)


async def test_an_outage_of_the_look_up_is_waited_out(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []

    async def first_open(conversation: int) -> int | None:
        if len(calls) < 3:
            raise StoreUnavailableError("the disk failed")
        return None

    async def drain(conversation: int) -> None:
        calls.append(conversation)

    lanes = Lanes(first_open, first_retry=0.001)
    with caplog.at_level(logging.ERROR):
        task = asyncio.create_task(lanes.run(drain, none_wait))
        await asyncio.sleep(0)
        lanes.wake(5)
        await eventually(lambda: not lanes._lanes)
    assert calls == [5, 5, 5]
    assert "the disk failed" in caplog.text
    await end(task)


async def test_cancelling_run_ends_the_drains_and_later_wakes_do_nothing() -> None:
    ended: list[int] = []

    async def first_open(conversation: int) -> int | None:
        return 1

    async def drain(conversation: int) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            lanes.wake(6)  # as a write that ends with it would
            ended.append(conversation)

    lanes = Lanes(first_open)
    task = asyncio.create_task(lanes.run(drain, none_wait))
    await asyncio.sleep(0)
    lanes.wake(5)
    await asyncio.sleep(0.01)
    await end(task)
    lanes.wake(5)
    assert ended == [5]
    assert lanes._lanes == {}
