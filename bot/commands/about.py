"""/help and /status."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.base import Provider, ProviderError
from bot import texts, texts_failed, texts_usage
from bot.commands.base import Answer, Command, Context
from bot.preferences import Choice
from bot.render.text import escape

PERSONA_SHOWN_CHARS = 120
"""So much of the persona /status shows."""


def helper(commands: Sequence[Command]) -> Command:
    """Return /help over all commands, itself included."""

    async def run(_: Context) -> Answer:
        lines = [f"/{command.name}{_usage(command)} — {command.description}" for command in (*commands, own)]
        return Answer(
            "Write to me and I pass it on to a language model; the answer grows in the chat. "
            "In channels and groups mention me or reply to one of my messages.\n\n"
            f"While an answer runs, what you write waits ({texts.WAITING_SIGN} on your message). /stop ends the answer and all that "
            "waits; to take back one waiting message, reply to it with /stop (Telegram) or delete it (Discord).\n\n"
            + texts.listed(lines, len(lines))
        )

    own = Command("help", "What this bot can do", run, private=True)
    return own


def _usage(command: Command) -> str:
    named = [(option, option.usage or option.name.upper()) for option in command.options]
    return "".join(f" {usage}" if option.required else f" [{usage}]" for option, usage in named)


async def status(context: Context) -> Answer:
    """Say what holds in this conversation, and whether the provider can be reached."""
    choice = await context.choice()
    provider = context.providers.get(choice.provider)
    entries, running = await context.store.counts(context.conversation)
    lines = [
        f"Provider: **{provider.title if provider else choice.provider}**{await _health(context, choice.provider)}",
        *await _chain(context),
        f"Model: {texts.code(choice.model)}",
        f"Persona: {_short(choice.persona)}",
        f"Settings: {_settings(choice, provider)}",
        f"Remembered: {entries} message{'' if entries == 1 else 's'}",
        f"Running: {running} question{'' if running == 1 else 's'}",
    ]
    return Answer(texts.listed(lines, len(lines)))


def _settings(choice: Choice, provider: Provider | None) -> str:
    """Name what is set, and what of it the model does not take."""
    if not choice.parameters:
        return "the provider's defaults"
    unsupported = provider.capabilities(choice.model).unsupported if provider else frozenset()
    left_away = texts.not_taken([name for name in choice.parameters if name in unsupported], choice.model)
    return ", ".join(f"{name} = {texts.value(value)}" for name, value in choice.parameters.items()) + ("." + left_away if left_away else "")


async def _chain(context: Context) -> list[str]:
    """Say who else is asked, and who of all is asked last for a while."""
    chain = await context.preferences.chain(context.conversation, context.chat, context.server)
    known = [(choice, context.providers[choice.provider].title) for choice in chain if choice.provider in context.providers]
    resting = [(title, pause) for choice, title in known if (pause := context.cooling(choice.provider, choice.model)) is not None]
    others = [context.providers[choice.provider].title for choice in chain[1:]]
    return [texts.chain(others), *(texts_failed.cooling(title, seconds, why, alone=not others) for title, (seconds, why) in resting)]


async def _health(context: Context, name: str) -> str:
    provider = context.providers.get(name)
    if provider is None:
        return " (not set up on this bot)"
    try:
        health = await provider.check()
    except ProviderError as error:
        return f" — {texts_failed.provider_error(error, provider.title, '')}"
    return f", reachable, {texts_usage.left(health.credits, health.unit)}" if health.credits is not None else ", reachable"


def _short(persona: str | None) -> str:
    if persona is None:
        return "none"
    line = " ".join(persona.split())
    return escape(line if len(line) <= PERSONA_SHOWN_CHARS else line[: PERSONA_SHOWN_CHARS - 1] + "…")


STATUS = Command("status", "What is chosen here, and whether the provider can be reached", status, private=True)
