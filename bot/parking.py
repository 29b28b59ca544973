"""What fails again and again is parked: out of the way of what comes after it, and kept.

`dragoman doctor` shows it, `dragoman retry` has it tried again. An attempt that fails is repeated by itself (`storage.lanes`, `bot.inbox`).
It is given up only after several attempts and some hours: whatever is wrong with the disk, the network or a provider may be mended by then.
A refused token and a store that is away are nobody's own fault and count nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace

from bot import controls, texts
from bot.clock import Clock
from bot.insist import insist
from bot.leftovers import Leftovers, shown_of
from bot.model import Incoming, Target
from bot.outbox import DeliveryError, Outbox
from bot.patience import ParkingRule
from bot.platforms.base import Platform
from bot.reply import Buttons, Reply
from bot.spending import spending
from bot.turn import TokenRefusedError, UnshownError
from storage.base import Owner, OwnerKind, Store, StoreError, StoreUnavailableError, Turn, TurnState

log = logging.getLogger(__name__)

TELL_SECONDS = 30.0
"""So long the words to the asker may take; what comes next waits for them."""
WATCH_SECONDS = 2.0
"""So often the running bridge looks whether something parked is to be tried again."""
REASON_CHARS = 200
STOPPED_MEANWHILE = "the process ended before it was carried out"


class Parking:
    """Counts failures, parks, tells the asker."""

    def __init__(self, store: Store, outbox: Outbox, platforms: Mapping[str, Platform], clock: Clock, rule: ParkingRule) -> None:
        self.clock = clock
        self._store = store
        self._outbox = outbox
        self._platforms = platforms
        self._rule = rule
        self._leftovers = Leftovers(store, platforms, spending(outbox.meters, clock), clock)

    def due(self, turn: Turn) -> bool:
        """Tell whether a turn that was just claimed is to be parked."""
        return turn.trouble is not None and self._rule.exceeded(turn.trouble.failures, turn.trouble.seconds)

    async def note(self, turn: Turn, error: Exception) -> None:
        """Keep why an attempt at a turn failed. If it can't be kept, the next claim counts the failure all the same."""
        try:
            if isinstance(error, StoreUnavailableError | TokenRefusedError):
                await self._store.forgive(turn.event)
            else:
                await self._store.note_failure(turn.event, reason_of(error))
        except StoreError as problem:
            log.warning("turn.failure_not_noted turn=%d: %s", turn.id, problem)

    async def park(self, turn: Turn, incoming: Incoming | None) -> None:
        """Park a turn and tell its asker, if `incoming` says who that is. Told first: a crash in between tells it in the same message.

        Raises:
            StoreError: It is not parked.
        """
        log.error("turn.parked turn=%d event=%d (`dragoman retry %d` tries it again)", turn.id, turn.event, turn.event)
        if incoming is not None:
            seconds = turn.trouble.seconds if turn.trouble is not None else 0.0
            await self._unbutton(turn, incoming)  # first: the words bring Retry, and a press waits some seconds only for the turn's end
            await self.tell(turn.event, incoming, texts.parked(seconds), controls.ended(turn.id), turn=turn.id)
        await insist(self.clock, lambda: self._store.close(turn, TurnState.PARKED))

    async def _unbutton(self, turn: Turn, incoming: Incoming) -> None:
        """Leave no Stop under what is shown of an answer that nobody works on."""
        try:
            await self._leftovers.unbutton(turn, Target.answering(incoming, await self._store.reply_route(turn.event)))
        except Exception as error:  # noqa: BLE001 - whatever keeps the button there, the turn has to get out of the way
            log.warning("turn.button_left turn=%d: %s", turn.id, type(error).__name__)

    async def failed(self, event: int, incoming: Incoming, error: Exception | None) -> bool:
        """Count a failure of an event that no turn carries; None: the process ended in the middle of it. True: it is parked now.

        Raises:
            StoreError: It can't be counted, or not be parked.
        """
        if isinstance(error, StoreUnavailableError):
            return False
        trouble = await self._store.failed(event, STOPPED_MEANWHILE if error is None else reason_of(error))
        if not self._rule.exceeded(trouble.failures, trouble.seconds):
            return False
        log.error("event.parked event=%d: %s (`dragoman retry %d` tries it again)", event, trouble.reason, event)
        await self.tell(event, incoming, texts.parked(trouble.seconds, asked=False))
        await insist(self.clock, lambda: self._store.park_event(event))
        return True

    async def tell(self, event: int, incoming: Incoming, text: str, buttons: Buttons = (), *, turn: int | None = None) -> None:
        """Say it in the chat, if that can be done soon. An own reply: what was shown of the turn's answer stays for the next attempt."""
        try:
            platform = self._platforms[incoming.chat.platform]
            note = Reply(platform.style)
            note.end(text, buttons)
            target = Target.answering(incoming, await self._store.reply_route(event))
            if turn is not None and await shown_of(self._store, turn):
                target = replace(target, below=True)
            delivery = await self._outbox.open(Owner(OwnerKind.EVENT, event), target, note.pages, again=True)
            try:
                async with asyncio.timeout(TELL_SECONDS):
                    await delivery.finish()
            finally:
                delivery.abandon()
        except (StoreError, DeliveryError, TimeoutError) as error:
            log.warning("event.parking_not_told event=%d: %s", event, str(error) or type(error).__name__)
        except Exception as error:  # noqa: BLE001 - whatever keeps it from being told, it has to get out of the way
            log.error("event.parking_not_told event=%d: %s", event, type(error).__name__)  # noqa: TRY400 - the error may quote what people wrote


def reason_of(error: Exception) -> str:
    """Say why something failed, without a word of what a person or a model said: only our own errors are quoted."""
    cause = error.__cause__ if isinstance(error, UnshownError) else error
    words = str(cause) if isinstance(cause, StoreError | DeliveryError) else type(cause).__name__
    return f"{'it could not be shown: ' if isinstance(error, UnshownError) else ''}{words}"[:REASON_CHARS]
