"""Work beside other work: in the background of a block, or until something else happens first."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from typing import TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")


class background:  # noqa: N801 - used like a function: `async with background(work):`
    """Run something beside a block and end it with the block. Its own failure is logged and harms nobody."""

    def __init__(self, work: Awaitable[None]) -> None:
        self._task = asyncio.ensure_future(work)

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        (outcome,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(outcome, Exception):
            log.warning("turn.background_failed: %s", type(outcome).__name__)


async def unless(work: Awaitable[T], *ends: Awaitable[Exception]) -> T:
    """Await `work`, but end it at once when one of `ends` returns, and raise what that returned."""
    job = asyncio.ensure_future(work)
    watchers = [asyncio.ensure_future(end) for end in ends]
    try:
        await asyncio.wait({job, *watchers}, return_when=asyncio.FIRST_COMPLETED)
        if job.done():
            return job.result()
        raise next(watcher.result() for watcher in watchers if watcher.done())
    finally:
        for task in (job, *watchers):
            task.cancel()
        await asyncio.gather(job, *watchers, return_exceptions=True)
