"""Long polling. An update is confirmed by the next request's offset, which moves only past what is committed."""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeVar

from telegram.error import Conflict, TelegramError

from bot.clock import Clock
from bot.platforms.base import FloodError, PlatformError, Refusal, RefusedError
from bot.platforms.budgets import TELEGRAM_POLL_SECONDS
from bot.platforms.telegram.api import Api, UnparsedError
from bot.platforms.telegram.backoff import Backoff
from bot.platforms.telegram.errors import platform_error
from bot.platforms.telegram.intake import ALLOWED_UPDATES, UNPARSED, Intake, update_id_of
from storage.base import StoreUnavailableError

POLL_SECONDS = min(25, TELEGRAM_POLL_SECONDS)
"""How long the server holds a request that has nothing to give. A connection that died silently is noticed after this and the slack."""
SLACK_SECONDS = 10.0
BATCH = 100
"""Most updates of an answer. Documented: getUpdates."""
UNREADABLE_TRIES = 3
"""So often an update that can't be parsed is asked for alone, for the answer may have been cut off on its way; then it is set aside."""
CONFLICT_TRIES = 5
CONFLICT_CALM_SECONDS = 60.0
"""Conflicts that lie further apart are counted anew. Polls that succeed in between mean nothing: two copies take turns."""
ANOTHER_COPY = "another copy of the bot is running with this TELEGRAM_TOKEN; stop it, or give this one a token of its own"

T = TypeVar("T")
log = logging.getLogger(__name__)


async def poll(api: Api, intake: Intake, clock: Clock, ready: Callable[[], None], backoff: Backoff | None = None) -> NoReturn:
    """Take updates in until cancelled.

    Raises:
        RefusedError: The token was revoked, or another copy of the bot is polling.
    """
    backoff = backoff or Backoff()
    # While a webhook is set, polling is refused. What waits is kept: people wrote it while the bot was down.
    await insist(lambda: api.call("deleteWebhook", {"drop_pending_updates": False}), clock, backoff)
    ready()
    offset: int | None = None
    conflicts, conflict_at = 0, -math.inf
    unparsed = _Unparsed()
    while True:
        try:
            batch = await _fetch(api, offset, unparsed.limit)
        except UnparsedError as error:
            if unparsed.again(error.update_id):
                await wait_out(platform_error(error, repeatable=True), clock, backoff)
                continue
            batch = [{"update_id": error.update_id, UNPARSED: True}]
        except Conflict as error:
            conflicts = 1 if clock.now() - conflict_at > CONFLICT_CALM_SECONDS else conflicts + 1
            conflict_at = clock.now()
            if conflicts >= CONFLICT_TRIES:
                raise RefusedError(Refusal.FORBIDDEN, ANOTHER_COPY) from None
            log.warning("polling was refused (%s); trying again", error.message)
            await clock.sleep(backoff.next())
            continue
        except TelegramError as error:
            await wait_out(platform_error(error, repeatable=True), clock, backoff)
            continue
        unparsed = _Unparsed()
        before = offset
        whole, offset = await _take(intake, batch, offset)
        if whole:
            backoff.reset()
        if not whole or (batch and offset == before):  # the latter: updates without an id, which nothing can confirm
            await clock.sleep(backoff.next())


async def insist(call: Callable[[], Awaitable[T]], clock: Clock, backoff: Backoff) -> T:
    """Make a call until it succeeds.

    Raises:
        RefusedError: It never will.
    """
    while True:
        try:
            result = await call()
        except TelegramError as error:
            await wait_out(platform_error(error, repeatable=True), clock, backoff)
        else:
            backoff.reset()
            return result


async def wait_out(error: PlatformError, clock: Clock, backoff: Backoff) -> None:
    """Wait as long as an error asks for; raise it if waiting is of no use."""
    if isinstance(error, RefusedError):
        raise error
    seconds = error.retry_after if isinstance(error, FloodError) else backoff.next()
    log.warning("no updates for %.1f s: %s", seconds, error)
    await clock.sleep(seconds)


class _Unparsed:
    """Answers that could not be parsed, one after the other."""

    def __init__(self) -> None:
        self.limit = BATCH
        self._update: int | None = None
        self._tries = 0

    def again(self, update: int | None) -> bool:
        """Tell whether to ask again, for one update at a time from now on; if not, its only update is what can't be parsed."""
        alone = self.limit == 1 and update is not None and update == self._update
        self._tries = self._tries + 1 if alone else 1
        self._update = update if self.limit == 1 else None
        self.limit = 1
        return self._update is None or self._tries < UNREADABLE_TRIES


async def _fetch(api: Api, offset: int | None, limit: int) -> list[Any]:
    parameters = {"offset": offset, "limit": limit, "timeout": POLL_SECONDS, "allowed_updates": ALLOWED_UPDATES}
    batch = await api.call("getUpdates", parameters, read_timeout=POLL_SECONDS + SLACK_SECONDS)
    if not isinstance(batch, list):
        raise TelegramError("the answer to getUpdates is not a list")
    return batch


async def _take(intake: Intake, batch: list[Any], offset: int | None) -> tuple[bool, int | None]:
    """Commit a batch in order. Return whether all of it is committed, and the offset after what is."""
    for raw in batch:
        try:
            await intake.take(raw)
        except StoreUnavailableError as error:  # it says what to mend; the update stays unconfirmed and is asked for again
            log.error("an update could not be committed; asking for it again: %s", error)  # noqa: TRY400 - a traceback would hide it
            return False, offset
        except Exception:  # the store's trouble of any other kind
            log.exception("an update could not be committed; asking for it again")
            return False, offset
        update_id = update_id_of(raw)
        if update_id is not None:
            offset = update_id + 1
    return True, offset
