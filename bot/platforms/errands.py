"""Work that runs to its end whatever becomes of who asked for it: calls to a platform, events being committed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from bot.platforms.base import PlatformError

T = TypeVar("T")
log = logging.getLogger(__name__)


class Errands:
    """Holds running work. What is cut off half-way may have been done or not, and nobody would know.

    Args:
        kind: What the work is, for the log, such as ``call to Discord``.
    """

    def __init__(self, kind: str) -> None:
        self._kind = kind
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, errand: Coroutine[Any, Any, T]) -> T:
        """Await an errand; if the caller is cancelled, it goes on alone and its failure is logged."""
        task = self._hold(errand)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(self._report)
            raise

    def start(self, errand: Coroutine[Any, Any, None]) -> None:
        """Start an errand that nobody waits for; its failure is logged."""
        self._hold(errand).add_done_callback(self._report)

    async def finish(self, seconds: float) -> None:
        """Wait for what is running now; cut off what is left of it after `seconds`."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            log.warning("given up at shutdown, their outcome is unknown: %d of kind %s", len(late), self._kind)
            await asyncio.wait(late)

    def _hold(self, errand: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(errand)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _report(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if isinstance(error, PlatformError):
            log.info("a %s that nobody waited for failed: %s", self._kind, error)
        elif error is not None:
            log.error("a %s that nobody waited for broke: %s", self._kind, type(error).__name__, exc_info=error)
