"""Application commands: what may be registered, and what a client sends when a person uses one.

Limits: documented under application commands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bot.platforms.budgets import DISCORD_CHOICES
from sandbox.discord.errors import FormErrors, invalid_form

CHAT_INPUT, USER_MENU, MESSAGE_MENU = 1, 2, 3
MOST = {CHAT_INPUT: 100, USER_MENU: 15, MESSAGE_MENU: 15}
SUB_COMMAND, SUB_GROUP, STRING, INTEGER, BOOLEAN, NUMBER = 1, 2, 3, 4, 5, 10
NAME_CHARS, DESCRIPTION_CHARS, VALUE_CHARS, OPTIONS, COMMAND_CHARS = 32, 100, 6000, 25, 8000
CHOICE_CHARS = 100
GUILD, BOT_DM = 0, 1
"""Contexts: a server, the private channel with the bot."""
_NAME = re.compile(r"[-_'\w]{1,32}")

Path = tuple[str | int, ...]


def register(
    body: Any, former: list[dict[str, Any]], new_id: Callable[[], str], application_id: str, guild_id: str | None = None
) -> list[dict[str, Any]]:
    """Check a bulk overwrite and return the commands as stored; a command that was there keeps its id.

    Raises:
        ApiError: 50035.
    """
    if not isinstance(body, list):
        raise invalid_form((), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
    errors = FormErrors()
    seen: set[tuple[int, str]] = set()
    counts = dict.fromkeys(MOST, 0)
    for number, command in enumerate(body):
        if not isinstance(command, dict):
            errors.add((number,), "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            continue
        kind = command.get("type") or CHAT_INPUT
        if not errors.choice((number, "type"), kind, tuple(MOST)):
            continue
        counts[kind] += 1
        _check_command(errors, (number,), command, kind)
        if (kind, str(command.get("name"))) in seen:
            errors.add((number, "name"), "APPLICATION_COMMANDS_DUPLICATE_NAME", "Application command names must be unique")
        seen.add((kind, str(command.get("name"))))
    for kind, count in counts.items():
        if count > MOST[kind]:
            errors.add((), "BASE_TYPE_MAX_LENGTH", f"Must be {MOST[kind]} or fewer in length.")
    errors.check()
    ids = {(command["type"], command["name"]): command["id"] for command in former}
    return [_stored(command, ids, new_id, application_id, guild_id) for command in body]


def find(commands: list[dict[str, Any]], name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the command of a path such as ``model`` or ``persona set``, and the options of its last step.

    Raises:
        LookupError: It is not registered.
    """
    first, *steps = name.split()
    for command in commands:
        if command["name"] == first and command["type"] == CHAT_INPUT:
            break
    else:
        raise LookupError(f"The command /{first} is not registered; registered are {[command['name'] for command in commands]}")
    options = command.get("options") or []
    for step in steps:
        found = [option for option in options if option["name"] == step and option["type"] in {SUB_COMMAND, SUB_GROUP}]
        if not found:
            raise LookupError(f"/{first} has no subcommand {step!r}")
        options = found[0].get("options") or []
    if any(option["type"] in {SUB_COMMAND, SUB_GROUP} for option in options):
        raise LookupError(f"/{name} needs a subcommand: {[option['name'] for option in options]}")
    return command, options


def fill(declared: list[dict[str, Any]], given: dict[str, str], *, focused: str | None = None) -> list[dict[str, Any]]:
    """Return the options as a client sends them: checked and converted; unchecked while one is being typed (`focused`).

    Raises:
        ValueError: A client would not let a person send this.
    """
    known = {option["name"]: option for option in declared}
    unknown = set(given) - set(known)
    if unknown:
        raise ValueError(f"unknown options: {sorted(unknown)}; declared are {sorted(known)}")
    missing = [name for name, option in known.items() if option.get("required") and name not in given]
    if missing and focused is None:
        raise ValueError(f"required options are missing: {missing}")
    filled = []
    for name, text in given.items():
        option = known[name]
        value: Any = text if focused is not None else _value(option, text)
        filled.append({"name": name, "type": option["type"], "value": value, **({"focused": True} if name == focused else {})})
    return filled


def nest(name: str, options: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Wrap options in the subcommands of a path."""
    steps = name.split()[1:]
    for depth, step in enumerate(reversed(steps)):
        options = [{"name": step, "type": SUB_COMMAND if depth == 0 else SUB_GROUP, "options": options}]
    return options


def check_choices(choices: Any) -> list[dict[str, Any]]:
    """Check the choices of an autocomplete answer and return them.

    Raises:
        ApiError: 50035.
    """
    errors = FormErrors()
    if not isinstance(choices, list) or len(choices) > DISCORD_CHOICES:
        raise invalid_form(("data", "choices"), "BASE_TYPE_MAX_LENGTH", f"Must be {DISCORD_CHOICES} or fewer in length.")
    for number, choice in enumerate(choices):
        _check_choice(errors, ("data", "choices", number), choice)
    errors.check()
    return choices


def _value(option: dict[str, Any], text: str) -> Any:
    kind, name = option["type"], option["name"]
    if kind == INTEGER:
        value: Any = int(text)
    elif kind == NUMBER:
        value = float(text)
    elif kind == BOOLEAN:
        value = {"true": True, "false": False}[text.lower()]
    else:
        value = text
        if not (option.get("min_length") or 0) <= len(text) <= (option.get("max_length") or VALUE_CHARS):
            raise ValueError(f"option {name!r} has the wrong length: {len(text)}")
    choices = [choice["value"] for choice in option.get("choices") or []]
    if choices and value not in choices:
        raise ValueError(f"option {name!r} must be one of {choices}")
    if kind in {INTEGER, NUMBER}:
        low, high = option.get("min_value"), option.get("max_value")
        if (low is not None and value < low) or (high is not None and value > high):
            raise ValueError(f"option {name!r} must lie between {low} and {high}")
    return value


def _stored(
    command: dict[str, Any], ids: dict[tuple[int, str], str], new_id: Callable[[], str], application_id: str, guild_id: str | None
) -> dict[str, Any]:
    kind = command.get("type") or CHAT_INPUT
    defaults: dict[str, Any] = {
        "description": "",
        "default_member_permissions": None,
        "nsfw": False,
        "contexts": None,
        "integration_types": [0],
    }
    known = ids.get((kind, command["name"]))
    result = {**defaults, **command, "type": kind, "id": known or new_id(), "application_id": application_id, "version": new_id()}
    return result if guild_id is None else {**result, "guild_id": guild_id}


def _check_command(errors: FormErrors, path: Path, command: dict[str, Any], kind: int) -> None:
    name = command.get("name")
    if kind != CHAT_INPUT:
        errors.length((*path, "name"), name, 1, NAME_CHARS)
        return
    _check_name(errors, (*path, "name"), name)
    errors.length((*path, "description"), command.get("description"), 1, DESCRIPTION_CHARS)
    _check_options(errors, path, command.get("options"))
    if _chars(command) > COMMAND_CHARS:
        errors.add(path, "APPLICATION_COMMAND_TOO_LARGE", f"Command exceeds maximum size ({COMMAND_CHARS})")


def _check_options(errors: FormErrors, path: Path, options: Any) -> None:
    if options is None:
        return
    if not isinstance(options, list) or len(options) > OPTIONS:
        errors.add((*path, "options"), "BASE_TYPE_MAX_LENGTH", f"Must be {OPTIONS} or fewer in length.")
        return
    optional_seen = False
    names: set[str] = set()
    for number, option in enumerate(options):
        place: Path = (*path, "options", number)
        if not isinstance(option, dict):
            errors.add(place, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
            continue
        errors.choice((*place, "type"), option.get("type"), tuple(range(1, 12)))
        _check_name(errors, (*place, "name"), option.get("name"))
        errors.length((*place, "description"), option.get("description"), 1, DESCRIPTION_CHARS)
        if option.get("required") and optional_seen:
            errors.add(place, "APPLICATION_COMMAND_OPTIONS_REQUIRED_INVALID", "Required options must be placed before non-required options")
        optional_seen = optional_seen or not option.get("required")
        if option.get("name") in names:
            errors.add((*place, "name"), "APPLICATION_COMMAND_OPTIONS_NAME_ALREADY_EXISTS", "Option name already exists")
        names.add(str(option.get("name")))
        if option.get("choices") and option.get("autocomplete"):
            errors.add(place, "APPLICATION_COMMAND_AUTOCOMPLETE_CHOICES", "Autocomplete options may not have choices")
        _check_declared_choices(errors, place, option.get("choices"))
        _check_options(errors, place, option.get("options"))


def _check_declared_choices(errors: FormErrors, path: Path, choices: Any) -> None:
    if choices is None:
        return
    if not isinstance(choices, list) or len(choices) > DISCORD_CHOICES:
        errors.add((*path, "choices"), "BASE_TYPE_MAX_LENGTH", f"Must be {DISCORD_CHOICES} or fewer in length.")
        return
    for number, choice in enumerate(choices):
        _check_choice(errors, (*path, "choices", number), choice)


def _check_choice(errors: FormErrors, path: Path, choice: Any) -> None:
    if not isinstance(choice, dict):
        errors.add(path, "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return
    errors.length((*path, "name"), choice.get("name"), 1, CHOICE_CHARS)
    if isinstance(choice.get("value"), str):
        errors.length((*path, "value"), choice["value"], 1, CHOICE_CHARS)
    elif not isinstance(choice.get("value"), int | float):
        errors.required((*path, "value"))


def _check_name(errors: FormErrors, path: Path, name: Any) -> None:
    if errors.length(path, name, 1, NAME_CHARS) and (not _NAME.fullmatch(name) or name != name.lower()):
        errors.add(path, "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")


def _chars(node: dict[str, Any]) -> int:
    """Count the characters of names, descriptions and choice values over a whole command."""
    own = len(str(node.get("name") or "")) + len(str(node.get("description") or ""))
    if isinstance(node.get("value"), str):
        own += len(node["value"])
    children = [*(node.get("options") or []), *(node.get("choices") or [])]
    return own + sum(_chars(child) for child in children if isinstance(child, dict))
