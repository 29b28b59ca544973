"""Pages that may stand in the chat without anybody knowing: their create was made, and its answer was lost, with the process or without.

What a repeated create does differs. Where it makes nothing new, it is repeated. Where it may, the platform's history is searched for the
first message; if that can't be read, or there is none, the page is made once more, says that it may stand there twice, and is counted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from bot.delivery import Delivery, Step, Visible
from bot.model import Receipt, Target
from bot.platforms.base import Call, Platform, PlatformError, RefusedError, Repeat, SupportsSearch
from storage.base import DeliveryRow, DeliveryStore

log = logging.getLogger(__name__)

MOST_READS = 10
"""So many parts of a history are read for a page; a message that is further from the question counts as not to be found out about."""
MOST_FAILURES = 4
"""So often a history is asked for that does not come."""


def pages_of(rows: Sequence[DeliveryRow]) -> list[Visible]:
    """Return the pages of an earlier attempt, each in the place of its number; what it shows now is not known."""
    by_page = {row.page: row for row in rows}
    return [visible_of(by_page[page], tried=True) if page in by_page else Visible() for page in range(max(by_page, default=-1) + 1)]


def visible_of(row: DeliveryRow, *, tried: bool = False) -> Visible:
    """Return a page as its row has it. `tried`: its create may have been made already."""
    doubtful = tried and row.message_id is None and not row.repeated
    return Visible(row.id, row.nonce, row.message_id, row.created_at, tried=tried, doubtful=doubtful, repeated=row.repeated)


class Doubts:
    """Decides about such pages on one platform.

    Args:
        platform: Made the creates.
        store: Knows which messages are pages of other deliveries.
        now: Epoch seconds, by which rows were made.
        counted: Called for every page that is made once more because nothing tells.
    """

    def __init__(self, platform: Platform, store: DeliveryStore, now: Callable[[], float], counted: Callable[[], None]) -> None:
        self._platform = platform
        self._store = store
        self._now = now
        self._counted = counted

    def arises(self, target: Target, *, first: bool) -> bool:
        """Tell whether a create that failed as having done nothing may have made a message: where it could be repeated, it may."""
        return self._repeat(target, first=first) in {Repeat.NONCE, Repeat.SEARCH}

    def resolve(self, delivery: Delivery) -> Step | None:
        """Decide what can be decided without a call; return the search that is to be made before anything else, if there is one."""
        for index, seen in enumerate(delivery.visible):
            if not seen.doubtful:
                continue
            how = self._repeat(delivery.target, first=index == 0)
            if how is Repeat.SAME or (how is Repeat.NONCE and self._is_young(seen)):
                continue
            if how is not Repeat.NEW and isinstance(self._platform, SupportsSearch):
                return Step(Call.SEARCH, index, None)
            self._label(seen)
        return None

    async def search(self, delivery: Delivery, index: int, taken: Callable[[str], bool]) -> None:
        """Read a part of the history for a page. `taken` tells of messages that are pages of something else, beside those in the store.

        Raises:
            PlatformError: It did not come.
        """
        seen = delivery.visible[index]
        if not isinstance(self._platform, SupportsSearch):
            self._label(seen)
            return
        sighting = await self._platform.search(delivery.target, first=index == 0, position=seen.position)
        seen.reads += 1
        chat = delivery.target.chat
        for message_id in sighting.messages:
            if not taken(message_id) and not await self._store.is_delivered(chat, message_id):
                log.info("delivery.found_again owner=%s:%s page=%s", delivery.owner.kind, delivery.owner.id, index)
                seen.message_id, seen.recorded, seen.doubtful = message_id, False, False
                return
        seen.position = sighting.further
        if sighting.further is None:
            seen.doubtful = seen.tried = False  # it never arrived
        elif seen.reads >= MOST_READS:
            self._label(seen)

    def failed(self, seen: Visible, error: PlatformError) -> bool:
        """Take note that a part of the history did not come; True if it is of no use to ask again, and the page is made without it."""
        seen.failures += 1
        if not isinstance(error, RefusedError) and seen.failures < MOST_FAILURES:
            return False
        self._label(seen)
        return True

    async def resend(self, delivery: Delivery, step: Step, seen: Visible) -> Receipt | None:
        """Repeat the create of a page in doubt; None where the platform has no way of its own for it."""
        if step.page is None or not isinstance(self._platform, SupportsSearch):
            return None
        return await self._platform.resend(delivery.target, step.page, nonce=seen.nonce, first=step.index == 0)

    def _label(self, seen: Visible) -> None:
        seen.doubtful, seen.repeated = False, True
        self._counted()

    def _is_young(self, seen: Visible) -> bool:
        """Tell whether its nonce is still honoured. After a clock that was set back nobody knows how old a page is."""
        return 0.0 <= self._now() - seen.since < self._platform.limits.nonce_seconds

    def _repeat(self, target: Target, *, first: bool) -> Repeat:
        if isinstance(self._platform, SupportsSearch):
            return self._platform.repeat(target, first=first)
        return Repeat.NONCE if self._platform.limits.idempotent_send else Repeat.NEW
