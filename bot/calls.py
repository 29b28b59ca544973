"""What an event calls: a command that was written, or one behind a button."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bot import controls
from bot.commands.base import Command
from bot.model import Incoming


@dataclass(frozen=True, slots=True)
class Call:
    """A command that is called, with its arguments, still unchecked; by a button under the answer of `turn`, if it is one of those."""

    name: str
    arguments: Mapping[str, str]
    turn: int | None = None


class Calls:
    """Knows the commands by their names."""

    def __init__(self, commands: Sequence[Command]) -> None:
        self.by_name: Mapping[str, Command] = {command.name: command for command in commands}

    def of(self, incoming: Incoming) -> Call | None:
        """Return what a command or button event calls. A forged button gets no further than a typed command would."""
        if incoming.button is None:
            return Call(incoming.command.name, incoming.command.arguments) if incoming.command is not None else None
        name, _, argument = incoming.button.data.partition(":")
        command = self.by_name.get(name)
        if command is None or not command.button:
            return None
        if command.turn:
            turn, argument = controls.split(argument)
            if turn is None or (argument and not command.options):
                return None
            return Call(name, {command.options[0].name: argument} if argument else {}, turn)
        return Call(name, {command.options[0].name: argument} if argument and command.options else {})

    def command_of(self, incoming: Incoming) -> Command | None:
        """Return the command that an event calls; None if it calls none, or one that there is not."""
        call = self.of(incoming)
        return self.by_name.get(call.name) if call is not None else None
