"""Command menus by scope and language."""

from __future__ import annotations

import re

from sandbox.telegram.errors import Json, bad
from sandbox.telegram.parameters import Parameters, whole
from sandbox.telegram.world import World

MAX_COMMANDS = 100
"""Most commands of a scope. Documented: setMyCommands."""
MAX_DESCRIPTION = 256
"""Longest description. Documented: BotCommand."""
NAME = re.compile(r"[a-z0-9_]{1,32}")
"""Documented: BotCommand."""
LANGUAGE = re.compile(r"([a-z]{2})?")
SCOPES = {
    "default": (),
    "all_private_chats": (),
    "all_group_chats": (),
    "all_chat_administrators": (),
    "chat": ("chat_id",),
    "chat_administrators": ("chat_id",),
    "chat_member": ("chat_id", "user_id"),
}


class Menus:
    """Handlers of the command methods.

    Attributes:
        commands: Menus by scope: `default`, `chat:-100123`, `chat_member:-100123:42`, …; with a language, `/de` is appended.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.commands: dict[str, list[Json]] = {}

    async def set_my_commands(self, parameters: Parameters) -> bool:
        """Set the menu of a scope; an empty one removes it."""
        scope = self._scope(parameters)
        commands = parameters.records("commands", {"command", "description", "is_ephemeral"})
        if commands is None:
            raise bad("can't parse commands: Expected an Array of BotCommand")
        if len(commands) > MAX_COMMANDS:
            raise bad("BOT_COMMANDS_TOO_MUCH")
        self._put(scope, [_command(item) for item in commands])
        return True

    async def get_my_commands(self, parameters: Parameters) -> list[Json]:
        """Return the menu of exactly this scope."""
        return self.commands.get(self._scope(parameters), [])

    async def delete_my_commands(self, parameters: Parameters) -> bool:
        """Remove the menu of a scope."""
        self._put(self._scope(parameters), [])
        return True

    def _put(self, scope: str, commands: list[Json]) -> None:
        if commands:
            self.commands[scope] = commands
        else:
            self.commands.pop(scope, None)
        self._world.change("commands", scope=scope, commands=[dict(item) for item in commands])

    def _scope(self, parameters: Parameters) -> str:
        scope = parameters.record("scope", {"type", "chat_id", "user_id"}) or {"type": "default"}
        kind = scope.get("type")
        if kind not in SCOPES:
            raise bad("can't parse BotCommandScope: unsupported type specified")
        ids = [whole(key, scope.get(key)) for key in SCOPES[str(kind)]]
        if ids and ids[0] not in self._world.chats:
            raise bad("chat not found")
        language = parameters.text("language_code")
        if not LANGUAGE.fullmatch(language):
            raise bad("invalid language code specified")
        return ":".join([str(kind), *map(str, ids)]) + (f"/{language}" if language else "")


def _command(item: Json) -> Json:
    name, description = item.get("command"), item.get("description")
    if not isinstance(name, str) or not isinstance(description, str):
        raise bad("can't parse BotCommand: command and description must be of type String")
    name, description = name.strip().removeprefix("/"), description.strip()
    if not NAME.fullmatch(name):
        raise bad("BOT_COMMAND_INVALID")
    if not 1 <= len(description) <= MAX_DESCRIPTION:
        raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
    return {**item, "command": name, "description": description}
