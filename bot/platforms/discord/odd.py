"""Events that discord.py can't read, as events of ours that are set aside."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

import discord

from bot.model import ChatAddress, ChatKind, EventKind, Incoming, Sender
from bot.platforms.discord.reading import NAME
from bot.platforms.set_aside import GIVEN_UP, WHY_GIVEN_UP, raw_of

UNKNOWN: Final = "unknown"
CREATED, EDITED, CALLED = "MESSAGE_CREATE", "MESSAGE_UPDATE", "INTERACTION_CREATE"
DELETED: Final = "MESSAGE_DELETE"
SAYING: Final = frozenset({CREATED, EDITED, CALLED})
"""What people do. Other events tell of servers and channels; one of those that can't be read is only logged."""
_SECRET: Final = "token"  # noqa: S105 - the name of a key
"""Key of an interaction's token: whoever has it can answer in the bot's name."""


def odd(kind: str, raw: Any, account: int, reason: str) -> Incoming | None:
    """Make the event of what can't be read, with the address as far as it can be seen; None for what no person did."""
    if not isinstance(raw, dict):
        return None
    message = kind != CALLED
    person = _part(raw, "author") if message else _part(_part(raw, "member"), "user") or _part(raw, "user")
    if person.get("bot") is True or (message and raw.get("webhook_id") is not None):
        return None
    kept = {key: value for key, value in raw.items() if key != _SECRET}
    number = _id(raw, "id")
    if number == UNKNOWN or kind == EDITED:  # a message is edited more than once
        number = f"{number}:{hashlib.sha256(raw_of(kept).encode()).hexdigest()[:16]}"
    if not message:
        number += GIVEN_UP
    server = _id(raw, "guild_id")
    return Incoming(
        key=f"{NAME}:{account}:odd:{kind}:{number}",
        kind=EventKind.UNREADABLE,
        chat=ChatAddress(NAME, str(account), _id(raw, "channel_id")),
        chat_kind=ChatKind.PRIVATE if server == UNKNOWN else ChatKind.GROUP,
        sender=Sender(_id(person, "id"), UNKNOWN),
        server=None if server == UNKNOWN else server,
        text=reason,
        raw=raw_of(kept),
    )


def read_kept(kept: Incoming) -> tuple[str, dict[str, Any]]:
    """Return the kind of an event that `odd` made, and what came.

    Raises:
        TypeError, ValueError: It is no message, or is not kept whole.
    """
    kind = kept.key.split(":")[3]
    if kind not in {CREATED, EDITED}:
        raise TypeError(WHY_GIVEN_UP)
    raw = json.loads(kept.raw or "")
    if not isinstance(raw, dict):
        raise TypeError("it was not kept as a message")
    return kind, raw


def as_seen(message: discord.Message) -> dict[str, Any]:
    """Return what is to be kept of a message that discord.py could read and we could not."""
    return {
        "id": str(message.id),
        "channel_id": str(message.channel.id),
        "guild_id": str(message.guild.id) if message.guild is not None else None,
        "author": {"id": str(message.author.id), "bot": message.author.bot},
        "content": message.content,
    }


def _part(raw: dict[str, Any], name: str) -> dict[str, Any]:
    part = raw.get(name)
    return part if isinstance(part, dict) else {}


def _id(raw: dict[str, Any], name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) and value.isascii() and value.isdecimal() else UNKNOWN
