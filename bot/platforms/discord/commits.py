"""Events are offered to the core until it takes them: the gateway brings nothing a second time."""

from __future__ import annotations

import asyncio
import logging
import math
from enum import Enum, auto
from typing import Final

from bot.clock import Clock
from bot.model import Incoming
from bot.platforms.base import Accept
from bot.platforms.set_aside import not_stored
from storage.base import StoreError, StoreUnavailableError

log = logging.getLogger(__name__)

RETRY_SECONDS: Final = 0.5
"""Wait after the first failure; doubled after each further one, unless there is a deadline."""
RETRY_MOST_SECONDS: Final = 10.0
TRIES: Final = 8
"""So often, over half a minute, an event is offered to a store that works but will not take this one; then the others have their turn."""


class Fate(Enum):
    """What became of an event that was offered."""

    NEW = auto()
    KNOWN = auto()  # it was committed before
    ASIDE = auto()  # the store would not take it; it is kept as it came
    LOST = auto()  # it was not committed


class Commits:
    """Commits events, with patience.

    A store that is away is waited for as long as the platform is open. `close` ends the waits: what waits is offered once more.
    """

    def __init__(self, accept: Accept, clock: Clock) -> None:
        self._accept = accept
        self._clock = clock
        self._closed = False
        self._naps: set[asyncio.Task[None]] = set()

    async def offer(self, incoming: Incoming, *, deadline: float = math.inf) -> Fate:
        """Commit an event; what can't be committed is logged.

        Args:
            incoming: The event.
            deadline: On the clock; from then on it is of no use to commit it.

        Returns:
            What became of it. One that failed before counts as new: it may have been committed although the store could not say so.
        """
        failures = 0
        while self._clock.now() < deadline:
            try:
                return Fate.NEW if await self._accept(incoming) or failures > 0 else Fate.KNOWN
            except Exception as error:  # whatever keeps an event from being committed; it is logged, and tried again
                failures += 1
                if failures >= TRIES and not isinstance(error, StoreUnavailableError):
                    log.exception("event %s was not committed after %d tries and is set aside", incoming.key, failures)
                    return await self._set_aside(incoming, error)
                if self._closed:
                    log.exception("event %s was not committed and is lost after %d tries", incoming.key, failures)
                    return Fate.LOST
                # Of other errors the text may quote what a person wrote.
                reason = str(error) if isinstance(error, StoreError) else type(error).__name__
                log.warning("event %s is not committed yet: %s", incoming.key, reason)
            wait = RETRY_SECONDS if deadline < math.inf else min(RETRY_SECONDS * 2.0 ** (failures - 1), RETRY_MOST_SECONDS)
            await self._nap(wait)
        log.error("event %s was not committed in time and is left out (%d tries)", incoming.key, failures)
        return Fate.LOST

    async def _set_aside(self, incoming: Incoming, error: Exception) -> Fate:
        try:
            await self._accept(not_stored(incoming, error))
        except Exception:  # as in `offer`
            log.exception("event %s could not even be set aside and is lost", incoming.key)
            return Fate.LOST
        return Fate.ASIDE

    def close(self) -> None:
        """Wait no more."""
        self._closed = True
        for nap in self._naps:
            nap.cancel()

    async def _nap(self, seconds: float) -> None:
        nap = asyncio.get_running_loop().create_task(self._clock.sleep(seconds))
        self._naps.add(nap)
        try:
            await asyncio.wait({nap})  # unlike awaiting it, this does not raise when `close` cancels the nap
        finally:
            nap.cancel()
            self._naps.discard(nap)
