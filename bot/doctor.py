"""`dragoman doctor`: check what can be checked, and say what to mend. It may run beside the bot."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from adapters import http
from adapters.base import Provider, ProviderError
from bot import texts, texts_usage
from bot.app import LateMenu, build_platforms, build_providers, defaults_of, missing_tokens
from bot.clock import SystemClock
from bot.configured import Configured, configured
from bot.live import cause, one_line, passes
from bot.platforms.base import Platform, PlatformError, RefusedError
from bot.settings import Settings, SettingsError
from storage.base import StoreError
from storage.beside import Parked, Survey, survey


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the examination."""

    fine: bool
    what: str
    words: str
    doubtful: bool = False
    """It may be wrong, and what is known does not tell."""

    def __str__(self) -> str:
        return f"{'MEND' if not self.fine else 'warn' if self.doubtful else 'ok  '}  {self.what}: {one_line(self.words)}"


class _PassingMemo:
    """A platform's memo for as long as the examination lasts: the real one belongs to the bot, which may be running."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}

    async def get(self, key: str) -> str | None:
        return self._kept.get(key)

    async def put(self, key: str, value: str) -> None:
        self._kept[key] = value


async def examine(settings: Settings, *, models: bool = True) -> list[Finding]:
    """Check database, providers and platforms. Makes only calls that are never billed; sends nothing to any chat.

    Whatever is wrong with one part, the others are examined all the same.

    Args:
        settings: What is examined.
        models: Look each provider's usual model up in its list, too; `bot.live` does so itself.
    """
    path = settings.database_path.absolute()
    database = await _database(path) if path.exists() else [_to_be_made(path)]
    return [*database, *_try_out(settings), *await _providers(settings, models=models), *await _platforms(settings), *_manners(settings)]


def _try_out(settings: Settings) -> list[Finding]:
    """Say that a try-out's conversations are not looked at here: without a token that is what is likely running."""
    words = "`dragoman sandbox` (and `make run` without a token) has a database of its own, which goes when it ends; this is not about it"
    return [Finding(True, "try-out", words)] if missing_tokens(settings) else []


def _to_be_made(path: Path) -> Finding:
    """Say whether the database could be made. Only looked at: what is made is made by the bot."""
    folder = next(parent for parent in path.parents if parent.exists())
    if folder.is_dir() and os.access(folder, os.W_OK):
        return Finding(True, "database", f"{path} does not exist yet; the first start makes it")
    return Finding(False, "database", f"{path} can't be made: {folder} is no folder that can be written to. Set DATABASE_URL.")


async def _database(path: Path) -> list[Finding]:
    try:
        seen = await asyncio.to_thread(survey, path)
    except StoreError as error:
        return [Finding(False, "database", str(error))]
    words = f"{path}, {texts.size(seen.size)}, schema {seen.schema}"
    if seen.schema < seen.newest_schema:
        words += f" (the next start of this version makes it {seen.newest_schema}; make a backup before)"
    if seen.in_use:
        holder = f"process {seen.holder}" if seen.holder else "another process"
        words += f", in use by {holder}, which is fine while the bot runs"
    return [Finding(True, "database", words), *_set_aside(seen), *_interrupted(seen), *_parked(seen)]


def _interrupted(seen: Survey) -> list[Finding]:
    if not seen.interrupted:
        return []
    many = f"{seen.interrupted} question{' was' if seen.interrupted == 1 else 's were'}"
    return [
        Finding(True, "interrupted", f"{many} interrupted by a crash and not asked again (REASK_AFTER_CRASH=never); their askers were told")
    ]


def _parked(seen: Survey) -> list[Finding]:
    if not seen.parked:
        return []
    many = "1 event has failed too often" if seen.parked == 1 else f"{seen.parked} events have failed too often"
    advice = "`dragoman retry ID` tries one again, `dragoman retry --all` all of them"
    newest = [Finding(False, "parked", _parked_one(one)) for one in seen.newest_parked]
    left = seen.parked - len(newest)
    more = [Finding(False, "parked", f"… and {left} older")] if left else []
    return [Finding(False, "parked", f"{many} and nothing waits for it any more: mend what is behind it, then {advice}"), *newest, *more]


def _parked_one(one: Parked) -> str:
    words = f"event {one.id} ({one.kind} from {one.platform}), {_when(one.parked_at)}, "
    words += f"after {one.failures} failed attempt{'' if one.failures == 1 else 's'} since {_when(one.since)}: {one.reason}"
    return f"{words}; another try is asked for, the bot makes it while it runs" if one.wanted else words


def _set_aside(seen: Survey) -> list[Finding]:
    if not seen.set_aside:
        return []
    many = f"{seen.set_aside} event{'' if seen.set_aside == 1 else 's'} could not be read and harmed no other"
    many += " (`dragoman retry ID` has one read again: a newer version may be able to)"
    newest = [
        Finding(True, "set aside", f"event {one.id} from {one.platform}, {_when(one.received_at)}: {one.reason}")
        for one in seen.newest_set_aside
    ]
    return [Finding(True, "set aside", f"{many}; the newest:"), *newest]


def _when(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).strftime("%Y-%m-%d %H:%M UTC")


async def _providers(settings: Settings, *, models: bool) -> list[Finding]:
    findings: list[Finding] = []
    async with http.open_session(private_addresses=settings.provider_private_addresses) as session:
        try:
            providers = build_providers(settings, session)
        except SettingsError as error:
            findings.append(Finding(False, "local", str(error)))
            providers = build_providers(settings.model_copy(update={"local_model": "off"}), session)
        try:
            setups = configured(settings, providers)
            findings.append(_default(settings, providers))
            findings += [Finding(False, "prices", line) for line in settings.unused_prices]
            findings += _unpriced(settings, setups)
            findings += await asyncio.gather(*(_provider(provider, setups[name]) for name, provider in providers.items()))
            findings += await _models(providers, setups) if models else []
        finally:
            for provider in providers.values():
                await provider.aclose()
    return findings


def _default(settings: Settings, providers: Mapping[str, Provider]) -> Finding:
    try:
        return Finding(True, "default provider", defaults_of(settings, providers).provider)
    except SettingsError as error:
        return Finding(False, "default provider", str(error))


async def _models(providers: Mapping[str, Provider], setups: Mapping[str, Configured]) -> list[Finding]:
    """Look each provider's usual model up in its list."""
    found = await asyncio.gather(*(_model(provider, setups[name]) for name, provider in providers.items()))
    return [finding for finding in found if finding is not None]


async def _model(provider: Provider, setup: Configured) -> Finding | None:
    """Say whether a provider's list has its usual model; None if it has, or if there is no list, which the provider's own line tells."""
    try:
        names = [one.id for one in await provider.models()]
    except Exception:  # noqa: BLE001 - a refusal or a fault of ours, which the line before tells
        return None
    if setup.model in names:
        return None
    return Finding(not provider.lists_all_models, f"{provider.name}, model", setup.unlisted(provider, names), doubtful=True)


def _unpriced(settings: Settings, setups: Mapping[str, Configured]) -> list[Finding]:
    """Say which providers can't be asked because there is a budget of money and their usual model has no price in its currency."""
    findings = []
    for currency in settings.budgets.currencies():
        for name, setup in setups.items():
            cost = settings.prices.cost(name, setup.model, 1, 1)
            if cost is None or (cost.nanos and cost.currency != currency):
                words = f"{setup.model} has no price in {currency}, and a budget is in it: it is not asked. Add it to PRICES_FILE"
                findings.append(Finding(False, f"{name}, budgets", words))
    return findings


async def _provider(provider: Provider, setup: Configured) -> Finding:
    try:
        health = await provider.check()
    except ProviderError as error:
        return Finding(passes(error), provider.name, cause(provider, setup, error), doubtful=passes(error))
    except Exception as error:  # noqa: BLE001 - a fault of ours in one provider is a line of its own, and the others are examined
        return Finding(False, provider.name, f"this program failed at it ({type(error).__name__}); please report that")
    credits_left = f", {texts_usage.left(health.credits, health.unit)}" if health.credits is not None else ""
    return Finding(True, provider.name, f"answers{credits_left}{f'; {health.note}' if health.note else ''}")


async def _platforms(settings: Settings) -> list[Finding]:
    platforms = build_platforms(settings, LateMenu(), lambda _: _PassingMemo(), SystemClock())
    off = [
        Finding(True, name, f"off, {variable} is not set")
        for name, variable in (("discord", "DISCORD_TOKEN"), ("telegram", "TELEGRAM_TOKEN"))
        if name not in platforms
    ]
    if missing_tokens(settings):
        return [Finding(False, "platforms", "none is set up, `dragoman run` has nothing to do: set DISCORD_TOKEN or TELEGRAM_TOKEN")]
    return [*off, *await asyncio.gather(*(_platform(name, platform) for name, platform in platforms.items()))]


async def _platform(name: str, platform: Platform) -> Finding:
    try:
        account = await platform.open()
    except PlatformError as error:
        return Finding(False, name, error.words if isinstance(error, RefusedError) else str(error))
    finally:
        await platform.aclose()
    return Finding(True, name, f"logged in as {account}")


def _manners(settings: Settings) -> list[Finding]:
    findings: list[Finding] = []
    if settings.access == "allowlist":
        words = "people in servers the bot was invited to, and the listed ids (ACCESS=open lets everybody in)"
        findings.append(Finding(True, "access", words))
    if settings.discord_token:
        findings.append(Finding(True, "discord", _missed(settings)))
    if settings.discord_token and not settings.discord_message_content:
        words = "in channels and threads the bot sees only messages that mention it or reply to it (DISCORD_MESSAGE_CONTENT)"
        findings.append(Finding(True, "discord", words))
    return findings


def _missed(settings: Settings) -> str:
    hours, messages = settings.discord_catch_up_hours, settings.discord_catch_up_messages
    if not hours or not messages:
        return "what is written while the bot is down is lost (DISCORD_CATCH_UP_HOURS, DISCORD_CATCH_UP_MESSAGES)"
    return (
        f"what is written while the bot is down is read back, up to {hours:g} hours and {messages} messages of a channel it has talked in "
        "(it needs the permission Read Message History); commands, buttons and edits of that time are lost"
    )
