"""What the gateway brings, as discord.py reads it."""

from __future__ import annotations

from typing import Any

import discord

ADA = 600


def user(user_id: int, name: str, *, bot: bool = False) -> dict[str, Any]:
    return {"id": str(user_id), "username": name, "discriminator": "0", "avatar": None, "global_name": None, "bot": bot}


def raw_message(content: str = "hello", **more: Any) -> dict[str, Any]:
    """A direct message, as the gateway brings it."""
    return {
        "id": "900",
        "channel_id": "77",
        "author": user(ADA, "ada"),
        "content": content,
        "timestamp": "2026-11-21T09:00:00+00:00",
        "edited_timestamp": None,
        "type": 0,
        "mentions": [],
        "mention_roles": [],
        "mention_everyone": False,
        "attachments": [],
        "embeds": [],
        "tts": False,
        "pinned": False,
        **more,
    }


def message(state: Any, content: str = "hello", **more: Any) -> discord.Message:
    """The same, as the library reads it."""
    data = raw_message(content, **more)
    channel = discord.DMChannel._from_message(state, int(data["channel_id"]))
    return discord.Message(state=state, channel=channel, data=data)  # type: ignore[arg-type]  # a payload is a dict


def raw_slash(name: str, number: int = 555, **more: Any) -> dict[str, Any]:
    """A command given in a direct message, as the gateway brings it."""
    return _raw(2, {"id": "1", "name": name, "type": 1, **more}, number)


def _raw(kind: int, told: dict[str, Any], number: int) -> dict[str, Any]:
    return {
        "id": str(number),
        "type": kind,
        "application_id": "9",
        "token": "tok",
        "version": 1,
        "channel": {"id": "77", "type": 1},
        "channel_id": "77",
        "user": user(ADA, "ada"),
        "attachment_size_limit": 0,
        "data": told,
    }


def slash(state: Any, name: str, number: int = 555) -> discord.Interaction:
    """The same, as the library reads it."""
    data = raw_slash(name, number)
    return discord.Interaction(data=data, state=state)  # type: ignore[arg-type]  # a payload is a dict


def press(state: Any, custom_id: str, number: int = 555) -> discord.Interaction:
    """A button pressed in a direct message, as the library reads it."""
    data = _raw(3, {"custom_id": custom_id, "component_type": 2}, number)
    return discord.Interaction(data=data, state=state)  # type: ignore[arg-type]  # a payload is a dict
