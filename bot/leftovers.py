"""What a killed process left of an answer: its text is known to the chat alone and stays; the button under it is dead and goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager

from bot.clock import Clock
from bot.model import Target
from bot.platforms.base import Allowance, Call, Heard, Platform, PlatformError, RefusedError, SupportsUnbuttoning
from storage.base import DeliveryRow, DeliveryStore, Owner, OwnerKind, Turn

log = logging.getLogger(__name__)

INTERRUPTED = "interrupted"
"""Why a turn failed that a crash interrupted and that is not asked again; what counts them looks for it."""
ATTEMPTS = 2
"""The one that ended and the one that finds what it left: with more, others before them left something, too."""
TRIES = 3
PAUSE_SECONDS = 2.0
LONGEST_SECONDS = 10.0
"""So long it may take in all: the words about the turn's end, and what comes next in the conversation, wait for it."""


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

    async def unbutton(self, turn: Turn, target: Target) -> None:
        """Take the buttons from under what the chat shows of a turn's answer. Best effort: the turn ends however that goes.

        Of one attempt only the last message has any: before a further one is made, the one above it is shown without. Of several, each
        may have got to another one.

        Raises:
            StoreError: Its messages can't be looked up.
        """
        platform = self._platforms.get(target.chat.platform)
        shown = await shown_of(self._store, turn.id)
        if not shown or not isinstance(platform, SupportsUnbuttoning):
            return
        shown.sort(key=lambda row: row.page, reverse=True)
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                for row in shown if turn.attempt > ATTEMPTS else shown[:1]:
                    await self._unbutton(platform, target, row.message_id or "", first=row.page == 0)
        except TimeoutError:
            log.warning("turn.button_left turn=%d: there was no room for the call", turn.id)
        except Exception:  # for a button no turn fails
            log.exception("turn.button_left turn=%d", turn.id)

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


async def shown_of(store: DeliveryStore, turn: int) -> list[DeliveryRow]:
    """Return the pages of a turn's answer that are known to stand in the chat.

    Raises:
        StoreError: They can't be looked up.
    """
    return [row for row in await store.deliveries(Owner(OwnerKind.TURN, turn)) if row.message_id is not None]
