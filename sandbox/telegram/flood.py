"""Flood control: what a chat and the whole bot may send, and what insistence costs."""

from __future__ import annotations

import math
from collections.abc import Callable

from bot.platforms.budgets import TELEGRAM_FLOOD_SECONDS, TELEGRAM_GLOBAL, TELEGRAM_GROUP, TELEGRAM_PRIVATE, TELEGRAM_REACTION
from sandbox.limits import SLACK_SECONDS, Gates
from sandbox.telegram.errors import flood

LONGEST_SECONDS = 3600
"""No penalty grows beyond this. Assumed; the field knows some of several minutes."""


class Flood:
    """Counts sends, edits, drafts and deletions together, per chat and over all.

    A chat beyond its budget waits `TELEGRAM_FLOOD_SECONDS`; each call made before the wait is over doubles it. Other chats are not touched.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._gates = Gates(now)
        self._penalties: dict[str, tuple[float, int]] = {}

    def charge(self, chat_id: int) -> None:
        """Count one call to a chat; the id is negative for groups.

        Raises:
            ApiError: 429 with `retry_after`.
        """
        key, now = str(chat_id), self._now()
        until, seconds = self._penalties.get(key, (0.0, 0))
        if until - now > SLACK_SECONDS:
            self._punish(key, min(seconds * 2, LONGEST_SECONDS))
        self._penalties.pop(key, None)
        budget = TELEGRAM_GROUP if chat_id < 0 else TELEGRAM_PRIVATE
        if not self._gates.peek(key, budget).allowed:
            self._punish(key, TELEGRAM_FLOOD_SECONDS)
        self.charge_overall()
        self._gates.take(key, budget)

    def charge_reaction(self, chat_id: int) -> None:
        """Count one reaction: a budget of its own, and that of the whole bot.

        Raises:
            ApiError: 429 with `retry_after`.
        """
        key = f"reaction:{chat_id}"
        if not self._gates.peek(key, TELEGRAM_REACTION).allowed:
            raise flood(TELEGRAM_FLOOD_SECONDS)
        self.charge_overall()
        self._gates.take(key, TELEGRAM_REACTION)

    def charge_overall(self) -> None:
        """Count one call in the whole bot's budget alone.

        Raises:
            ApiError: 429 with `retry_after`.
        """
        overall = self._gates.take("overall", TELEGRAM_GLOBAL)
        if not overall.allowed:
            raise flood(max(1, math.ceil(overall.reset_after)))

    def forgive(self) -> None:
        """Forget everything counted and every penalty."""
        self._gates.reset()
        self._penalties.clear()

    def _punish(self, key: str, seconds: int) -> None:
        self._penalties[key] = (self._now() + seconds, seconds)
        raise flood(seconds)
