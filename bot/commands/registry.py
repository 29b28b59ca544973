"""The list of all commands, and finding one."""

from __future__ import annotations

from bot.commands import about, choosing, conversing, shaping
from bot.commands.base import Command

_OWN = (*conversing.COMMANDS, *choosing.COMMANDS, *shaping.COMMANDS, about.STATUS)
COMMANDS: tuple[Command, ...] = (*_OWN, about.helper(_OWN))
"""Every command, in the order people see them."""
BY_NAME: dict[str, Command] = {command.name: command for command in COMMANDS}
