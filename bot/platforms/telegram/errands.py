"""Calls that run to their end whatever becomes of who asked for them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from bot.platforms.base import PlatformError

T = TypeVar("T")
log = logging.getLogger(__name__)


class Errands:
    """Holds running calls. A call that was cut off half-way may have been done or not, and nobody would know."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Await a call; if the caller is cancelled, the call goes on alone."""
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            task.add_done_callback(_report)
            raise

    def start(self, call: Coroutine[Any, Any, None]) -> None:
        """Start a call that nobody waits for; its failure is logged."""
        task = asyncio.get_running_loop().create_task(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_report)

    async def finish(self, seconds: float) -> None:
        """Wait for what is still running; after `seconds` cut it off."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)


def _report(task: asyncio.Task[Any]) -> None:
    if task.cancelled():
        return
    error = task.exception()
    if isinstance(error, PlatformError):
        log.debug("a call nobody waited for failed: %s", error)
    elif error is not None:
        log.error("a call nobody waited for broke: %s", type(error).__name__, exc_info=error)
