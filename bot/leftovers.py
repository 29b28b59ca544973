"""What a killed process left of an answer: its text is known to the chat alone and stays; the button under it is dead and goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from bot.clock import Clock
from bot.model import Target
from bot.platforms.base import Allowance, Call, Heard, Platform, PlatformError, RefusedError, SupportsUnbuttoning
from storage.base import DeliveryStore, Owner, OwnerKind

log = logging.getLogger(__name__)

TRIES = 3
PAUSE_SECONDS = 2.0
LONGEST_SECONDS = 30.0
"""So long it may take in all: what comes next in the conversation waits for it."""


class Leftovers:
    """Takes buttons from under messages whose text is not known here any more.

    Args:
        store: Knows the messages.
        platforms: By name. One that can't take buttons away alone keeps them; a press then says that the answer has ended.
        spend: Waits until a call may go out beside the answers.
        clock: For waits.
    """

    def __init__(
        self,
        store: DeliveryStore,
        platforms: Mapping[str, Platform],
        spend: Callable[[Sequence[Allowance]], AbstractAsyncContextManager[Heard]],
        clock: Clock,
    ) -> None:
        self._store = store
        self._platforms = platforms
        self._spend = spend
        self._clock = clock

    async def unbutton(self, turn: int, target: Target) -> None:
        """Take the buttons from under what the chat shows of a turn's answer. Best effort: the turn ends however that goes.

        Only its last message has any: before a further one is made, the one above it is shown without.

        Raises:
            StoreError: Its messages can't be looked up.
        """
        platform = self._platforms.get(target.chat.platform)
        shown = [row for row in await self._store.deliveries(Owner(OwnerKind.TURN, turn)) if row.message_id is not None]
        if not shown or not isinstance(platform, SupportsUnbuttoning):
            return
        last = max(shown, key=lambda row: row.page)
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await self._unbutton(platform, target, last.message_id or "", first=last.page == 0)
        except TimeoutError:
            log.warning("turn.button_left turn=%d: there was no room for the call", turn)

    async def _unbutton(self, platform: SupportsUnbuttoning, target: Target, message_id: str, *, first: bool) -> None:
        for tried in range(1, TRIES + 1):
            try:
                async with self._spend(platform.allowances(Call.EDIT, target, first=first)):
                    await platform.unbutton(target, message_id, first=first)
            except PlatformError as error:  # after a flood the budget also waits as long as told
                if isinstance(error, RefusedError) or tried == TRIES:
                    log.info("a button that does nothing any more is left: %s", error)
                    return
                await self._clock.sleep(PAUSE_SECONDS)
            else:
                return
