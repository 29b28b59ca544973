"""`dragoman doctor`: check what can be checked, and say what to mend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from adapters import http
from adapters.base import Provider, ProviderError
from bot import texts
from bot.app import LateMenu, StoreMemo, build_platforms, build_providers, defaults_of
from bot.clock import SystemClock
from bot.platforms.base import Platform, PlatformError
from bot.settings import Settings, SettingsError
from storage.base import StoreError
from storage.sqlite import SqliteStore


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    fine: bool
    what: str
    words: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.fine else 'MEND'}  {self.what}: {self.words}"


async def examine(settings: Settings) -> list[Finding]:
    """Check database, providers and platforms. Makes only calls that are never billed; sends nothing to any chat."""
    return [finding async for finding in _findings(settings)]


async def _findings(settings: Settings) -> AsyncIterator[Finding]:
    store = SqliteStore(settings.database_path)
    try:
        await store.open()
        yield Finding(True, "database", str(settings.database_path))
    except StoreError as error:
        yield Finding(False, "database", str(error))
        return
    try:
        async with http.open_session() as session:
            try:
                providers = build_providers(settings, session)
                yield Finding(True, "default provider", defaults_of(settings, providers).provider)
            except SettingsError as error:
                yield Finding(False, "providers", str(error))
                return
            for finding in await asyncio.gather(*(_provider(provider) for provider in providers.values())):
                yield finding
            for provider in providers.values():
                await provider.aclose()
        platforms = build_platforms(settings, LateMenu(), partial(StoreMemo, store), SystemClock())
        for name, variable in (("discord", "DISCORD_TOKEN"), ("telegram", "TELEGRAM_TOKEN")):
            if name not in platforms:
                yield Finding(True, name, f"off, {variable} is not set")
        for finding in await asyncio.gather(*(_platform(name, platform) for name, platform in platforms.items())):
            yield finding
        if settings.access == "allowlist":
            yield Finding(True, "access", "people in servers the bot was invited to, and the listed ids (ACCESS=open lets everybody in)")
        if "discord" in platforms and not settings.discord_message_content:
            yield Finding(
                True,
                "discord",
                "in channels and threads the bot sees only messages that mention it or reply to it (DISCORD_MESSAGE_CONTENT)",
            )
    finally:
        await store.aclose()


async def _provider(provider: Provider) -> Finding:
    try:
        health = await provider.check()
    except ProviderError as error:
        detail = f" [{error.detail}]" if error.detail else ""
        return Finding(False, provider.name, texts.provider_error(error, provider.title, provider.default_model) + detail)
    credits_left = f", {health.credits:g} credits left" if health.credits is not None else ""
    return Finding(True, provider.name, f"reachable, the key was taken{credits_left}{f'; {health.note}' if health.note else ''}")


async def _platform(name: str, platform: Platform) -> Finding:
    try:
        account = await platform.open()
    except PlatformError as error:
        return Finding(False, name, str(error))
    finally:
        await platform.aclose()
    return Finding(True, name, f"logged in as {account}")
