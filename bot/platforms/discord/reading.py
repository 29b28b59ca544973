"""What discord.py's objects say, as the core's values."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

import discord

from bot.model import Attachment, ButtonPress, ChatAddress, ChatKind, CommandCall, EventKind, Incoming, ReplyRoute, Sender

log = logging.getLogger(__name__)

NAME: Final = "discord"
_MARKUP: Final = re.compile(
    r"<(?P<sign>@!?|@&|#)(?P<id>\d{1,20})>|<a?(?P<emoji>:\w{2,32}:)\d{1,20}>|<(?P<command>/[^<>:]{1,100}):\d{1,20}>"
)
"""Mentions, custom emojis and command mentions. Documented: reference, message formatting."""
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND: Final = timedelta(microseconds=1)
_PEOPLE: Final = frozenset({discord.MessageType.default, discord.MessageType.reply})
"""Every other type is a system message or was made by an app."""


def is_from_person(message: discord.Message) -> bool:
    """Tell whether a person wrote a message: no bot (this one included), no webhook, not Discord itself."""
    return not message.author.bot and message.webhook_id is None and message.type in _PEOPLE


def is_addressed(message: discord.Message, account: int, *, message_content: bool) -> bool:
    """Tell whether a message is meant for the bot and can be read by it.

    Meant for it is a direct message, a mention, and a reply to one of its messages; a reply mentions the bot unless the person switches the
    ping off. With the message content intent, replies without the ping are meant for it, too, and so is everything written in a thread the
    bot has joined; Discord makes it join when it is mentioned there or writes there.

    Without the intent Discord withholds text and files of all that is neither direct nor a mention. A reply without the ping then arrives
    empty and can't be fetched either; it is left out, since any answer would be wrong. Documented: gateway, message content intent.
    """
    if isinstance(message.channel, discord.DMChannel) or any(user.id == account for user in message.mentions):
        return True
    reference = message.reference
    if reference is not None and isinstance(reference.resolved, discord.Message) and message.type is discord.MessageType.reply:
        mine = reference.resolved.author.id == account
        if mine and not message_content:
            log.debug("message %d answers the bot without a ping: its text is withheld and it is left out", message.id)
        return mine and message_content
    return message_content and isinstance(message.channel, discord.Thread) and message.channel.me is not None


def readable(message: discord.Message, account: int) -> str:
    """Return a message's text without the bot's own mention, other mentions as the names people see. Forwarded text counts as text."""
    said = message.content or "\n\n".join(snapshot.content for snapshot in message.message_snapshots)
    said = re.sub(rf"^\s*<@!?{account}>[\s,:]*", "", said)
    said = re.sub(rf"[ \t]?<@!?{account}>", "", said)
    names = {f"@{user.id}": f"@{user.display_name}" for user in message.mentions}
    names |= {f"@&{role.id}": f"@{role.name}" for role in message.role_mentions}
    names |= {f"#{channel.id}": f"#{channel.name}" for channel in message.channel_mentions}

    def name(match: re.Match[str]) -> str:
        if match["sign"] is None:
            return match["emoji"] or match["command"]
        return names.get(match["sign"].rstrip("!") + match["id"], match[0])

    return _MARKUP.sub(name, said).strip()


def sender(person: discord.User | discord.Member, *, member: bool | None) -> Sender:
    """Return who did something. The role everybody has is left out."""
    roles = person.roles if isinstance(person, discord.Member) else []
    return Sender(str(person.id), person.display_name, tuple(str(role.id) for role in roles if not role.is_default()), member)


def from_message(message: discord.Message, account: int, *, member: bool | None, edited: bool) -> Incoming:
    """Return a message, or its new text after an edit."""
    private = isinstance(message.channel, discord.DMChannel)
    when = message.edited_at.isoformat() if edited and message.edited_at is not None else ""
    version = (message.edited_at - EPOCH) // MICROSECOND if message.edited_at is not None else 0
    return Incoming(
        key=f"{NAME}:{account}:edit:{message.id}:{when}" if edited else f"{NAME}:{account}:message:{message.id}",
        kind=EventKind.EDIT if edited else EventKind.MESSAGE,
        chat=ChatAddress(NAME, str(account), str(message.channel.id)),
        chat_kind=ChatKind.PRIVATE if private else ChatKind.GROUP,
        sender=sender(message.author, member=member),
        server=None if message.guild is None else str(message.guild.id),
        text=readable(message, account),
        message_id=str(message.id),
        attachments=tuple(
            Attachment(file.filename, file.content_type or "application/octet-stream", file.size, file.url) for file in message.attachments
        ),
        version=version,
    )


def from_interaction(interaction: discord.Interaction, account: int, route: ReplyRoute, *, member: bool | None) -> Incoming | None:
    """Return a slash command or a pressed button; None for what the bot never offers."""
    channel, data = interaction.channel_id, interaction.data
    if channel is None or data is None:
        return None
    command, button = None, None
    if interaction.type is discord.InteractionType.application_command:
        command = CommandCall(str(data.get("name", "")), arguments(interaction))
    elif interaction.type is discord.InteractionType.component and data.get("component_type") == discord.ComponentType.button.value:
        button = ButtonPress(str(data.get("custom_id", "")), None if interaction.message is None else str(interaction.message.id))
    else:
        return None
    return Incoming(
        key=f"{NAME}:{account}:interaction:{interaction.id}",
        kind=EventKind.BUTTON if command is None else EventKind.COMMAND,
        chat=ChatAddress(NAME, str(account), str(channel)),
        chat_kind=ChatKind.PRIVATE if interaction.guild_id is None else ChatKind.GROUP,
        sender=replace(sender(interaction.user, member=member), admin=administers(interaction)),
        server=None if interaction.guild_id is None else str(interaction.guild_id),
        command=command,
        button=button,
        route=route,
    )


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reply answers: the id of a message, or of an interaction, which stands in the order of the messages as well."""

    id: int
    interaction: bool


def asked_of(key: str | None) -> Asked | None:
    """Return what an event of a key made here is about; None for other keys."""
    kind, _, number = (key or "").removeprefix(f"{NAME}:").partition(":")[2].partition(":")
    number = number.partition(":")[0]
    if kind not in {"message", "edit", "interaction"} or not number.isdecimal():
        return None
    return Asked(int(number), kind == "interaction")


def administers(interaction: discord.Interaction) -> bool:
    """Tell whether who calls administers the server: Discord tells with every interaction what the person may do in its channel."""
    may = interaction.permissions
    return may.administrator or may.manage_guild


def options(interaction: discord.Interaction) -> list[dict[str, object]]:
    """Return a command's options as Discord sent them: `name`, `value`, and `focused` on the one being typed."""
    sent = interaction.data.get("options", []) if interaction.data is not None else []
    return [dict(option) for option in sent] if isinstance(sent, list) else []


def arguments(interaction: discord.Interaction) -> dict[str, str]:
    """Return a command's arguments as text."""
    return {str(option["name"]): str(option["value"]) for option in options(interaction) if "value" in option}
