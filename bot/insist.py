"""Writing to a store that may fail for a moment."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from bot.clock import Clock
from storage.base import StoreError

log = logging.getLogger(__name__)

STORE_TRIES, STORE_PAUSE_SECONDS = 6, 0.25
"""What is finished is not given up because the store fails for a moment: so many tries, the pause doubling."""

T = TypeVar("T")


async def insist(clock: Clock, write: Callable[[], Awaitable[T]]) -> T:
    """Write, again if the store fails for a moment: what was done is not to be lost, nor done and shown once more.

    Raises:
        StoreError: It failed every time.
    """
    for number in range(STORE_TRIES - 1):
        try:
            return await write()
        except StoreError as error:
            log.warning("the store failed, it is tried again: %s", error)
            await clock.sleep(STORE_PAUSE_SECONDS * 2**number)
    return await write()
