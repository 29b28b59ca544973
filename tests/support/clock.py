"""Clocks that a test owns."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from bot.clock import SystemClock

SETTLE_ROUNDS = 60
"""So many turns of the event loop let everything run that can run without time passing."""

PATIENCE_SECONDS = 60.0
"""What has to come about is waited for so long: nobody waits for it but a test that fails, and a busy machine is slow."""


@dataclass
class Epoch:
    """Epoch seconds that a test moves."""

    seconds: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


class FakeClock:
    """Time stands still until `run` moves it; sleepers wake in order."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self._now

    async def sleep(self, seconds: float) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._order), future))
        await future

    async def settle(self) -> None:
        for _ in range(SETTLE_ROUNDS):
            await asyncio.sleep(0)

    async def run(self, seconds: float) -> None:
        """Let `seconds` pass."""
        end = self._now + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            when, _, future = heapq.heappop(self._sleepers)
            self._now = max(self._now, when)
            if not future.done():
                future.set_result(None)
            await self.settle()
        self._now = end
        await self.settle()


class LoopTime:
    """The running event loop's time, which a test puts forward. It goes on by itself, too: what may end in time gets a long time-out, and
    what has to run out of it is made to, once everything before it has come about. So neither depends on how fast the machine is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loop = asyncio.get_running_loop()
        self._own = loop.time
        self._ahead = 0.0
        self._still: float | None = None
        monkeypatch.setattr(loop, "time", self._time)

    async def skip(self, seconds: float) -> None:
        """Let `seconds` pass at once, and everything run that they bring about. What was sent before is met before."""
        await self._settle()
        self._ahead += seconds
        await self._settle()

    @staticmethod
    async def _settle() -> None:
        for _ in range(SETTLE_ROUNDS):
            await asyncio.sleep(0)

    async def at_once(self, happens: Callable[[], object]) -> None:
        """Return when something happens that no timer may have to bring about: the loop's time stands still meanwhile."""
        end = time.monotonic() + PATIENCE_SECONDS
        with self.still():
            while not happens():
                assert time.monotonic() < end, "it does not happen at once"
                await asyncio.sleep(0)

    @contextmanager
    def still(self) -> Iterator[None]:
        """No time passes."""
        self._still = self._time()
        try:
            yield
        finally:
            self._still = None

    def _time(self) -> float:
        return self._own() + self._ahead if self._still is None else self._still


class ShiftedClock(SystemClock):
    """The machine's clock, moved on by as many seconds as a test likes; sleeps last as long as ever."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return super().now() + self.ahead
