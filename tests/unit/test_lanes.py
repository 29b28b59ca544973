"""First come, first served, per key."""

import asyncio

import pytest

from bot.lanes import Lanes


@pytest.fixture
def lanes() -> Lanes[str]:
    return Lanes()


async def test_a_lane_is_handed_on_in_the_order_of_asking(lanes):
    order: list[int] = []

    async def use(number: int) -> None:
        async with lanes.of("a"):
            await asyncio.sleep(0)
            order.append(number)

    await asyncio.gather(*(use(number) for number in range(5)))
    assert order == [0, 1, 2, 3, 4]


async def test_lanes_do_not_wait_for_each_other(lanes):
    async with lanes.of("a"), lanes.of("b"):
        assert len(lanes) == 2


async def test_a_lane_is_forgotten_with_its_last_user_however_that_ends(lanes):
    async def use() -> None:
        async with lanes.of("a"):
            raise ValueError

    async with lanes.of("a"):
        failing = asyncio.create_task(use())
        cancelled = asyncio.create_task(use())
        await asyncio.sleep(0)
        cancelled.cancel()
        await asyncio.gather(cancelled, return_exceptions=True)
        assert len(lanes) == 1
    with pytest.raises(ValueError):
        await failing
    assert len(lanes) == 0
