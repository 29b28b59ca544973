"""Time that passes only when nothing is left to do: hours of waiting simulate in moments, without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
TICK_SECONDS = 1e-6
"""Real time is never still between two looks at the clock; here it moves at least so far."""


class _Idle:
    """Stands where an event loop asks the system for events: there are none, and the wait for them is skipped."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("everything waits and nothing will ever happen")
        self._loop.passed += timeout
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """An event loop whose clock jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self.passed = 0.0
        self._selector = _Idle(self)

    def time(self) -> float:
        """Return the virtual seconds that have passed."""
        return self.passed

    def _process_events(self, event_list: list[Any]) -> None:
        """Do nothing: `_Idle` has no events."""

    def _write_to_self(self) -> None:
        """Do nothing: no other thread is waited for."""


class LoopClock:
    """The running loop's time, as the core wants it."""

    def now(self) -> float:
        """Return the loop's seconds."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`, or a tick: a wait below the rounding of the clock would not move it, and be asked for again for ever."""
        await asyncio.sleep(max(seconds, TICK_SECONDS))


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main)
    finally:
        loop.close()
