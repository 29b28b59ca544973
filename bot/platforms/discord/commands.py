"""The command tree: derived from the core's menu, synced when it changed."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from typing import Any, Final

from bot.commands.base import Command
from bot.platforms.base import Memo, PlatformError
from bot.platforms.budgets import DISCORD_CHOICES
from bot.platforms.discord.rest import Rest

log = logging.getLogger(__name__)

CHAT_INPUT, STRING = 1, 3
"""Types of a slash command and of its text option. Documented: application commands."""
GUILD_INSTALL, GUILD, BOT_DM = 0, 0, 1
"""Installation and interaction contexts. Documented: application commands."""
CHOICE_CHARS: Final = 100
"""Longest name and value of a choice. Documented: application commands."""
SUGGEST_SECONDS: Final = 1.8
"""Suggestions later than this are given up: Discord waits 3 s, of which the way there and back needs a share."""


def payload(commands: Sequence[Command]) -> list[dict[str, Any]]:
    """Return the command tree as Discord takes it."""
    return [
        {
            "name": command.name,
            "type": CHAT_INPUT,
            "description": command.description,
            "options": [
                {
                    "type": STRING,
                    "name": option.name,
                    "description": option.description,
                    "required": option.required,
                    "autocomplete": option.complete is not None,
                }
                for option in command.options
            ],
            "integration_types": [GUILD_INSTALL],
            "contexts": [GUILD, BOT_DM],
        }
        for command in commands
    ]


async def sync(rest: Rest, memo: Memo, application: str, base_url: str, commands: Sequence[Command]) -> bool:
    """Replace the bot's global commands if they changed since they were last replaced; True if they were.

    A failure is logged: the commands known to Discord go on working, and the next start tries again.
    """
    tree = payload(commands)
    key = f"discord:commands:{application}"
    fingerprint = hashlib.sha256(json.dumps([base_url, tree], sort_keys=True).encode()).hexdigest()
    try:
        if await memo.get(key) == fingerprint:
            return False
        await rest.call("PUT", f"/applications/{application}/commands", tree)
        await memo.put(key, fingerprint)
    except PlatformError as error:
        log.warning("Discord did not take the slash commands, the former ones stay: %s", error)
        return False
    except Exception:  # the memo is a store of any kind; without it the bot still answers
        log.exception("the slash commands could not be synced")
        return False
    log.info("synced %d slash commands with Discord", len(tree))
    return True


def choices(values: Sequence[str]) -> list[dict[str, str]]:
    """Return suggestions as Discord takes them. A value that is too long is left out: shortened it would be another value."""
    usable = [value for value in dict.fromkeys(values) if 0 < len(value) <= CHOICE_CHARS]
    return [{"name": value, "value": value} for value in usable[:DISCORD_CHOICES]]
