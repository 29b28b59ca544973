"""Drafts: how an answer grows where the platform can show text that is no message yet.

While the model speaks, the page that still grows is shown as a draft; a page that is full, and the last one in the end, become ordinary
messages by the ordinary delivery. So nothing depends on a draft: one that is refused, lost or forgotten costs a look at the growing text,
never the text. What shows of a draft is gone with the bot's next message in the chat, and by itself after a while.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from bot.clock import Clock
from bot.model import Page, Target
from bot.platforms.base import SupportsDrafts

PAGES = 64
"""Numbers of drafts that a turn has: one for each of its pages; after so many they come round again."""
STOP = "stop"
"""The command that a person's stop of a draft is, as a button's data."""
KEPT_SHARE = 0.6
"""A draft that nothing new comes for is shown again after this share of its life."""


def number_of(turn: int, page: int) -> int:
    """Return the number of the draft of a turn's page: positive, and another one for the next page, which is another text."""
    return turn * PAGES + page % PAGES


def stop_of(number: int) -> str:
    """Return the button data that stops the turn of a draft."""
    return f"{STOP}:{number // PAGES}"


class Draft:
    """The draft of one answer.

    Args:
        platform: Shows it.
        target: Where.
        turn: Whose answer it is.

    Attributes:
        began: Something of the answer has been shown.
    """

    def __init__(self, platform: SupportsDrafts, target: Target, turn: int) -> None:
        self._platform = platform
        self._target = target
        self.began = False
        self._turn = turn
        self._shown: Page | None = None
        self._shown_at = -math.inf
        self._refused: Page | None = None
        self._refusals = 0

    async def show(self, page: Page, index: int) -> None:
        """Show a page, the one with this index.

        Raises:
            PlatformError: It was not shown.
        """
        await self._platform.draft(self._target, page, number=number_of(self._turn, index))

    def wants(self, page: Page) -> Page | None:
        """Return what has to be shown for a page, None if it shows already or is refused."""
        page = replace(page, buttons=())
        return None if page in (self._shown, self._refused) else page

    def showed(self, page: Page | None, at: float) -> None:
        """Take note that a page has been shown by a call that left at `at`."""
        self.began = True
        self._shown, self._shown_at = page, at
        self._refusals = 0

    def refused(self, page: Page | None) -> bool:
        """Take note that the platform will not show a page; False if there is no use in going on."""
        self._refused = page
        self._refusals += 1
        return self._refusals < self._platform.draft_refusals and self._platform.drafts(self._target)

    def fade(self) -> bool:
        """Take note that it shows no longer, or soon will not; False if nothing of it showed."""
        faded, self._shown = self._shown is not None, None
        return faded

    async def keep(self, clock: Clock, touch: Callable[[], None]) -> None:
        """Have it shown again before it fades, for as long as this is awaited. `touch` tells that there is something to show."""
        kept = self._platform.draft_seconds * KEPT_SHARE
        while True:
            rest = self._shown_at + kept - clock.now()
            if rest > 0:
                await clock.sleep(rest)
                continue
            if self.fade():
                touch()
            await clock.sleep(kept)
