"""A number of places, of which each holder gives its own back, and a row before them that is not silent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack

TELL_S = 5.0
"""Who waits is told of so often, in seconds."""


class Places:
    """Places on an account.

    Args:
        count: How many there are. It may be a guess: who has waited as long as may be goes on without one.
    """

    def __init__(self, count: int) -> None:
        self._free = asyncio.Semaphore(count)

    def locked(self) -> bool:
        """Whether none is free."""
        return self._free.locked()

    async def take(self, held: AsyncExitStack, most: float) -> AsyncGenerator[float, None]:
        """Take a place, which is given back when `held` is closed. Yield now and then for how many seconds it was waited.

        Args:
            held: Holds the place.
            most: Seconds after which it goes on without one.
        """
        taking = asyncio.ensure_future(self._free.acquire())
        held.callback(taking.add_done_callback, self._left)  # given back whenever it is had, also by nobody's waiting for it
        held.callback(taking.cancel)
        clock = asyncio.get_running_loop().time
        began = clock()
        await asyncio.sleep(0)  # a free one is had at once
        while not taking.done() and (waited := clock() - began) < most:
            yield waited
            await asyncio.wait({taking}, timeout=min(TELL_S, most - waited))
        taking.cancel()  # if it still waits

    def _left(self, taking: asyncio.Task[bool]) -> None:
        if not taking.cancelled():
            self._free.release()
