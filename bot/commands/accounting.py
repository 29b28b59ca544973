"""/usage: what was used here, by whom and at which provider, what is left, and how far the budgets are."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal

from adapters.base import ProviderError
from bot import budgets, texts, texts_usage
from bot.commands.base import Answer, Command, Context
from bot.render.text import escape
from bot.usage import Accounting
from storage.usage import Tally

LEFT_SECONDS = 3.0
"""A person waits for the other numbers meanwhile; without an answer until then the one heard last is shown."""


async def usage(context: Context) -> Answer:
    """Say what was used in this conversation and by who asks, today and this month."""
    accounting, sender = context.accounting, context.sender
    if accounting is None or sender is None:
        raise ValueError("/usage needs somebody who asks")
    here, mine = budgets.conversation_of(context.conversation), budgets.user_of(context.chat.platform, sender)
    month = await accounting.tallies(here, *budgets.month_of(accounting.today()))
    sections = [
        (texts_usage.USAGE_HERE, [*await _newest(context, accounting), *await _spans(accounting, here)]),
        (texts_usage.USAGE_YOU, await _spans(accounting, mine)),
        (texts_usage.USAGE_PROVIDERS, await _providers(context, accounting, month)),
        (texts_usage.USAGE_BUDGETS, [texts_usage.budget_line(standing) for standing in await accounting.standings(context.chat, sender)]),
    ]
    lines = [f"**{title}**\n{texts.listed(items, len(items))}" for title, items in sections if items]
    return Answer("\n\n".join([*lines, texts_usage.USAGE_NOTE]))


async def _newest(context: Context, accounting: Accounting) -> list[str]:
    newest = await accounting.newest(context.conversation)
    if newest is None:
        return []
    provider = context.providers.get(newest.provider)
    return [texts_usage.turn_usage(newest, provider.title if provider else newest.provider)]


async def _spans(accounting: Accounting, subject: str) -> list[str]:
    today = accounting.today()
    day = await accounting.tallies(subject, today, today + 1)
    month = await accounting.tallies(subject, *budgets.month_of(today))
    return [f"{texts_usage.USAGE_TODAY}: {texts_usage.usage_line(day)}", f"{texts_usage.USAGE_MONTH}: {texts_usage.usage_line(month)}"]


async def _providers(context: Context, accounting: Accounting, month: Sequence[Tally]) -> list[str]:
    """Return a line for each provider that was asked here or that told what is left on its account."""
    chosen = (await context.choice()).provider
    left = {name: texts_usage.credits_left(told.left, told.at) for name, told in (await accounting.credits()).items()}
    if (now := await _left(context, chosen)) is not None:
        left[chosen] = now
    asked = {tally.provider for tally in month}
    lines = []
    for name in sorted(asked | left.keys()):
        provider = context.providers.get(name)
        parts = [texts_usage.usage_line([tally for tally in month if tally.provider == name])] if name in asked else []
        lines.append(f"{escape(provider.title if provider else name)}: {'; '.join([*parts, *([left[name]] if name in left else [])])}")
    return lines


async def _left(context: Context, name: str) -> str | None:
    """Ask a provider what is left on its account, and say it; None if it does not tell, or can't be reached in time."""
    provider = context.providers.get(name)
    if provider is None or not provider.tells_credits:  # to ask may start a model, or fetch a long list, for nothing
        return None
    try:
        async with asyncio.timeout(LEFT_SECONDS):
            health = await provider.check()
    except (ProviderError, TimeoutError):
        return None
    return None if health.credits is None else texts_usage.credits_left(Decimal(str(health.credits)), None, health.unit)


COMMANDS = (Command("usage", "What was used here and by you, what it cost, and how far the budgets are", usage, private=True),)
