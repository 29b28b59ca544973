"""What was said is removed when its time has come. Runs beside everything else and never in its way: one short step after the other."""

from __future__ import annotations

import logging

from bot.clock import Clock
from bot.past import Pasts
from bot.preferences import Preferences
from storage.base import Store, StoreError

log = logging.getLogger(__name__)

FIRST_SECONDS = 60.0
"""The first round begins so long after the start: what a crash left open goes first."""
EVERY_SECONDS = 3600.0
STEP_PAUSE_SECONDS = 0.02
"""Between two steps, so that a large removal takes no more than a share of the disk's time."""
CONVERSATIONS_AT_ONCE = 200
DAY_SECONDS = 86_400.0


class Housekeeper:
    """Removes what is older than the operator or a conversation wants, and what was forgotten and not yet removed.

    Args:
        store: Where it is.
        preferences: How long each conversation wants to keep what is said, and the operator's limit, which it can only shorten.
        clock: Paces the steps and rounds.
        pasts: What is at hand of conversations, which goes with what is removed.
    """

    def __init__(self, store: Store, preferences: Preferences, clock: Clock, pasts: Pasts) -> None:
        self._store = store
        self._preferences = preferences
        self._clock = clock
        self._pasts = pasts

    async def run(self) -> None:
        """Tidy up now and then, until cancelled. A store that fails is tried again in the next round."""
        await self._clock.sleep(FIRST_SECONDS)
        while True:
            try:
                removed = await self.tidy()
            except StoreError as error:
                log.warning("housekeeping.store_failed: %s", error)
            else:
                if removed:
                    log.info("housekeeping.removed events=%d", removed)
            await self._clock.sleep(EVERY_SECONDS)

    async def tidy(self) -> int:
        """Go through all conversations once; return how many events were emptied.

        Raises:
            StoreError: The store failed; what was removed so far is gone.
        """
        removed, after = 0, 0
        self._pasts.drop()
        while page := await self._store.conversations(after, CONVERSATIONS_AT_ONCE):
            for conversation in page:
                removed += await self._sweep(conversation)
            after = page[-1]
        await self._store.scrub()  # also what a removal before could not scrub, because a backup was being made
        return removed

    async def _sweep(self, conversation: int) -> int:
        days = shorter(await self._preferences.keep_days(conversation), self._preferences.most_days)
        removed = 0
        after: int | None = 0
        while after is not None:
            step = await self._store.sweep(conversation, older_than=None if days is None else days * DAY_SECONDS, after=after)
            removed += step.removed
            if step.removed:
                self._pasts.forget(conversation)
            after = step.resume
            if after is not None:
                await self._clock.sleep(STEP_PAUSE_SECONDS)
        return removed


def shorter(one: int | None, other: int | None) -> int | None:
    """Return the smaller number of days; None stands for no limit."""
    limits = [days for days in (one, other) if days is not None]
    return min(limits, default=None)
