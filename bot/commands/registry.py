"""The list of all commands."""

from __future__ import annotations

from bot.commands import about, accounting, choosing, conversing, fallback, keeping, shaping
from bot.commands.base import Command

_OWN = (
    *conversing.COMMANDS,
    *choosing.COMMANDS,
    *fallback.COMMANDS,
    *shaping.COMMANDS,
    *keeping.COMMANDS,
    *accounting.COMMANDS,
    about.STATUS,
)
COMMANDS: tuple[Command, ...] = (*_OWN, about.helper(_OWN))
"""Every command, in the order people see them."""
