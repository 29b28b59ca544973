"""How often the bot logs in to the gateway: Discord counts it per day and resets the token of a bot that does it too often."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import Final

import discord

from bot.platforms.base import Memo
from bot.platforms.budgets import DISCORD_IDENTIFIES
from storage.base import StoreError

log = logging.getLogger(__name__)

SECONDS_EACH: Final = DISCORD_IDENTIFIES.seconds / DISCORD_IDENTIFIES.calls
"""So long after an IDENTIFY another one is granted, beyond those granted at once."""


SLACK: Final = 1e-6
"""Epoch seconds as floats are good to about a tenth of this; waiting exactly as long as told must suffice."""


class TooManyIdentifiesError(discord.DiscordException):
    """The connection needs a new session, and has to wait before it asks for one."""


class Identifies:
    """A token bucket that outlives the process: a bot that is started again and again backs off, however it ended.

    Args:
        memo: Keeps it.
        account: The bot's id.
        now: Epoch seconds.
    """

    def __init__(self, memo: Memo, account: str, now: Callable[[], float]) -> None:
        self._memo = memo
        self._key = f"identifies:{account}"
        self._now = now
        self._left: float | None = None
        self._at = 0.0

    async def wait(self) -> float:
        """Return the seconds until one is granted."""
        await self._refill()
        return max(0.0, 1.0 - (self._left or 0.0)) * SECONDS_EACH

    @property
    def granted(self) -> bool:
        """One may go out now. Known once `wait` was asked."""
        self._pour()
        return self._left is not None and self._left >= 1 - SLACK

    async def take(self) -> None:
        """Count one that goes out now; it is stored before.

        Raises:
            TooManyIdentifiesError: None is granted now.
        """
        await self._refill()
        if self._left is None or not self.granted:
            raise TooManyIdentifiesError("too many new sessions")
        self._left -= 1
        try:
            await self._memo.put(self._key, json.dumps({"left": self._left, "at": self._at}))
        except StoreError as error:  # this process counts on all the same
            log.warning("a login to Discord is not counted beyond this process: %s", error)

    async def _refill(self) -> None:
        if self._left is None:
            self._left, self._at = await self._read()
        self._pour()

    def _pour(self) -> None:
        if self._left is None:
            return
        now = self._now()
        # A clock that was set back gives nothing, and does not hold back what is granted later either.
        self._left = min(float(DISCORD_IDENTIFIES.burst), self._left + max(0.0, now - self._at) / SECONDS_EACH)
        self._at = now

    async def _read(self) -> tuple[float, float]:
        full = float(DISCORD_IDENTIFIES.burst), self._now()
        try:
            kept = await self._memo.get(self._key)
            value = json.loads(kept) if kept is not None else None
            return (float(value["left"]), float(value["at"])) if value is not None else full
        except (StoreError, ValueError, TypeError, KeyError) as error:
            log.warning("how often the bot logged in to Discord is not known: %s", type(error).__name__)
            return full
