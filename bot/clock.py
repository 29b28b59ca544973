"""Time as a thing that is passed in, so that a test can own it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds and a sleep on the same scale."""

    def now(self) -> float:
        """Return monotonic seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(seconds)

    def call_later(self, seconds: float, call: Callable[[], object]) -> asyncio.TimerHandle:
        """Have `call` called after `seconds`."""
        return asyncio.get_running_loop().call_later(seconds, call)


async def woken(clock: Clock, event: asyncio.Event, seconds: float) -> None:
    """Return when an event is set; it sets itself after `seconds`. A clock that can call needs no task for it."""
    alarm: asyncio.TimerHandle | asyncio.Task[None]
    if isinstance(clock, SystemClock):
        alarm = clock.call_later(seconds, event.set)
    else:
        alarm = asyncio.get_running_loop().create_task(_rouse(clock, event, seconds))
    try:
        await event.wait()
    finally:
        alarm.cancel()


async def _rouse(clock: Clock, event: asyncio.Event, seconds: float) -> None:
    await clock.sleep(seconds)
    event.set()
