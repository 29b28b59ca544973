"""The running bridge: serves every platform, logs in to those that were away, ends in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from adapters.base import Provider
from bot.clock import Clock
from bot.dispatcher import Dispatcher
from bot.housekeeping import Housekeeper
from bot.inbox import Inbox
from bot.outbox import Outbox
from bot.platforms.base import Platform, Refusal, RefusedError, UnavailableError
from bot.settings import GRACE_SECONDS
from storage.base import Store

log = logging.getLogger(__name__)

LOGIN_PAUSE_SECONDS, LOGIN_PAUSE_MOST_SECONDS = 2.0, 60.0
"""Before a platform that was away at start is tried again: first and longest pause, doubled in between."""


class BridgeError(Exception):
    """The bridge can't go on. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """All parts, wired. Made by `bot.app.open_bridge`.

    Attributes:
        accounts: Platform name → the bot account's id on it, of those platforms that it is logged in to.
    """

    store: Store
    providers: dict[str, Provider]
    platforms: dict[str, Platform]
    accounts: dict[str, str]
    outbox: Outbox
    dispatcher: Dispatcher
    inbox: Inbox
    clock: Clock
    housekeeper: Housekeeper

    async def run(self, stop: asyncio.Event, ready: Callable[[str], None] = lambda _: None, *, grace: float = GRACE_SECONDS) -> None:
        """Serve until `stop` is set, then end in order: intake first, running answers for a bounded time, then the rest.

        Args:
            stop: Set it to end.
            ready: Called with a platform's name when its first event can arrive.
            grace: Seconds that what runs may take to end by itself.

        Raises:
            BridgeError: No platform's intake is left.
        """
        for name in self.accounts:
            await self.inbox.recover(name)  # before any intake: what that brings is open, too, and would be carried out twice
        logins = {name: self.outbox.logging_in(name) for name in self.platforms}  # before anything goes out beside them
        drain = asyncio.create_task(self.store.run(self.dispatcher.drain))
        intakes = {asyncio.create_task(self._take_in(name, ready, over)): name for name, over in logins.items()}
        stopper = asyncio.create_task(stop.wait())
        tidying = asyncio.create_task(self._tidy())
        watching = asyncio.create_task(self.inbox.watch())
        try:
            await self._serve(drain, intakes, stopper)
        finally:
            await self._end_in_order(drain, stopper, tidying, watching, *intakes, grace=grace)

    async def _end_in_order(self, drain: asyncio.Task[None], *rest: asyncio.Task[Any], grace: float) -> None:
        await _end(*rest)
        try:
            if not self.dispatcher.idle:
                log.info("finishing what runs, for at most %g s; a second signal leaves at once", grace)
            if not await self.dispatcher.settle(grace):
                log.info("what still runs is taken up again at the next start")
        finally:  # also if a second signal cuts the wait short: what is in flight must be recorded before the platforms are closed
            await self.inbox.aclose()
            await _end(drain)
            await self.outbox.aclose()

    async def _tidy(self) -> None:
        try:
            await self.housekeeper.run()
        except Exception:  # nobody's answer depends on it; it begins anew at the next start
            log.exception("housekeeping has ended")

    async def _take_in(self, name: str, ready: Callable[[str], None], logged_in: Callable[[], None]) -> None:
        """Serve one platform; one that is away at start is logged in to as soon as it is back, and keeps no other waiting."""

        def begin() -> None:
            logged_in()
            ready(name)

        platform = self.platforms[name]
        pause = LOGIN_PAUSE_SECONDS
        while name not in self.accounts:
            await self.clock.sleep(pause)
            pause = min(pause * 2, LOGIN_PAUSE_MOST_SECONDS)
            account = await _log_in(name, platform)
            if account is not None:
                self.accounts[name] = account
                await self.inbox.recover(name)
        try:
            await platform.run(self.inbox.accept, begin)
        finally:
            logged_in()

    async def _serve(self, drain: asyncio.Task[None], intakes: Mapping[asyncio.Task[None], str], stopper: asyncio.Task[Any]) -> None:
        serving = set(intakes)
        while serving:
            done, _ = await asyncio.wait({drain, stopper, *serving}, return_when=asyncio.FIRST_COMPLETED)
            if stopper in done:
                return
            if drain in done:
                drain.result()
                raise BridgeError("The store's run ended.")
            for task in done & serving:
                serving.discard(task)
                error = task.exception()
                log.error("%s has ended: %s", intakes[task], error or "without a reason")
                if isinstance(error, RefusedError) and error.reason is Refusal.TOKEN:
                    self.accounts.pop(intakes[task], None)  # nothing can be said there any more: what is open waits for a good token
        raise BridgeError("No platform is left to serve: see the lines above.")


async def log_in_to_all(platforms: Mapping[str, Platform]) -> dict[str, str]:
    """Return platform name → account id of those that can be reached.

    Raises:
        RefusedError: A token is wrong. All have been tried by then.
    """
    logins = await asyncio.gather(*(_log_in(name, platform) for name, platform in platforms.items()), return_exceptions=True)
    accounts: dict[str, str] = {}
    for name, login in zip(platforms, logins, strict=True):
        if isinstance(login, BaseException):
            raise login
        if login is not None:
            accounts[name] = login
    return accounts


async def _log_in(name: str, platform: Platform) -> str | None:
    """Return the bot account's id, None if the platform is away.

    Raises:
        RefusedError: The token is wrong.
    """
    try:
        return await platform.open()
    except UnavailableError as error:
        log.warning("%s is away and is tried again: %s", name, error)
        return None


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
