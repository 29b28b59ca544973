"""Places on an account: whoever is cancelled, and whenever, leaves none taken."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing

import pytest

from adapters.places import Places


async def question(places: Places, most: float = 120.0) -> None:
    async with AsyncExitStack() as held:
        async with aclosing(places.take(held, most)) as waiting:
            async for _ in waiting:
                pass
        await asyncio.Event().wait()


async def free(places: Places, count: int) -> bool:
    """Tell whether so many places can be had."""
    for _ in range(5):
        await asyncio.sleep(0)
    async with AsyncExitStack() as held:
        for _ in range(count):
            if places.locked():
                return False
            async for _waited in places.take(held, 120.0):
                return False
        return places.locked()


@pytest.mark.parametrize("turns", range(8))
async def test_who_is_stopped_as_it_gets_a_place_gives_it_back(turns: int) -> None:
    places = Places(4)
    for _ in range(4):
        asked = asyncio.create_task(question(places))
        for _ in range(turns):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait({asked})
    assert await free(places, 4)


@pytest.mark.parametrize("turns", range(8))
async def test_who_is_stopped_as_another_gives_it_a_place_gives_it_back(turns: int) -> None:
    places = Places(1)
    first, second = (asyncio.create_task(question(places)) for _ in range(2))
    for _ in range(10):
        await asyncio.sleep(0)
    first.cancel()
    for _ in range(turns):
        await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait({first, second})
    assert await free(places, 1)


async def test_who_goes_on_without_one_gives_none_back() -> None:
    places = Places(1)
    first = asyncio.create_task(question(places))
    await asyncio.sleep(0.001)
    async with AsyncExitStack() as held, aclosing(places.take(held, 0.0)) as waiting:
        async for _ in waiting:
            pass
    assert places.locked()
    first.cancel()
    await asyncio.wait({first})
    assert await free(places, 1)
