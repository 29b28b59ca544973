"""/system, /settings and /reasoning: how the model answers, and what of it is shown."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from adapters.base import ADVISED, NEEDS, Parameters, Provider
from bot import texts
from bot.catalogue import CLOSE, nearest
from bot.commands.base import DEFAULT, Answer, Command, Context, Option, takes_back
from bot.preferences import Choice, InvalidPreferenceError
from bot.render.text import escape

REASONING_CHOICES = {"show": True, "hide": False, DEFAULT: None}
"""Words that /reasoning takes, and what they set."""
CLEARING = frozenset({"none", "off", "-"})
"""Further words that take the persona back to its default."""
CLAUSE_END = re.compile(r"[.:;] (?=\w)")
"""Where the help of a parameter has said what it is; what follows explains it."""
RANGE_KEYS = (("minimum", "at least {}"), ("exclusiveMinimum", "above {}"), ("maximum", "at most {}"), ("exclusiveMaximum", "below {}"))


async def persona(context: Context) -> Answer:
    """Show, set or clear the persona."""
    text = context.arguments.get("text")
    if text is None:
        choice = await context.choice()
        if choice.persona is None:
            return Answer("No persona is set. `/system You are a pirate.` sets one.")
        return Answer(f"The persona is:\n\n> {escape(choice.persona)}\n\n`/system default` takes it back.")
    clear = takes_back(text) or text.lower() in CLEARING
    try:
        await context.preferences.set_persona(context.conversation, None if clear else text)
    except InvalidPreferenceError as error:
        return Answer(f"That can't be the persona: {escape(str(error))}.")
    return Answer("The persona is back to the default." if clear else "The persona is set, from the next question on.", chose=True)


async def settings(context: Context) -> Answer:
    """Show the provider's parameters, explain one, or set it."""
    choice = await context.choice()
    provider = context.providers.get(choice.provider)
    if provider is None:
        return Answer(texts.provider_off(choice.provider))
    name, value = context.arguments.get("name"), context.arguments.get("value")
    fields = provider.parameters.model_fields
    if name is None:
        return Answer(_overview(provider, choice))
    name = name.lower()
    if name not in fields:
        alone = value is None and takes_back(name)
        unknown = texts.unknown(f"{provider.title} setting", name, nearest(name, fields, CLOSE), list(fields))
        return Answer(_taking_back(choice.parameters) if alone else unknown)
    left_away = texts.not_taken([name] if name in provider.capabilities(choice.model).unsupported else [], choice.model)
    if value is None:
        about = f"{_about(provider.parameters, name)}{left_away}"
        return Answer(f"**{name}** = {_shown(provider.parameters, name, choice.parameters)} · {about}")
    try:
        clear = takes_back(value)  # no further word: "off" is a value of switches, "-" and "none" may be texts
        stored = await context.preferences.set_parameter(context.conversation, choice, name, None if clear else value)
    except InvalidPreferenceError as error:
        return Answer(f"{texts.code(value)} does not fit **{name}**: {escape(str(error))}. {_about(provider.parameters, name)}")
    sent = texts.clamped(value, stored) if _clamped(value, stored) else "."
    more = f"{_advice(provider.parameters, name, stored)}{_needed(provider.parameters, name, stored, choice.parameters)}{left_away}"
    done = f"{texts.value(stored)} from the next question on{sent}{more}"
    return Answer(f"**{name}** is {'back to its default.' if clear else done}", chose=True)


def _advice(model: type[Parameters], name: str, value: Any) -> str:
    """Say that a value is taken which the provider advises against; empty: it does not."""
    advised = model.model_json_schema()["properties"][name].get(ADVISED)
    return texts.advised(*advised) if advised and value is not None and not advised[0] <= value <= advised[1] else ""


def _clamped(typed: str, value: Any) -> bool:
    """Tell whether another number was taken than was typed."""
    try:
        return isinstance(value, float) and not math.isclose(float(typed), value)
    except ValueError:
        return False


def _needed(model: type[Parameters], name: str, value: Any, chosen: Mapping[str, Any]) -> str:
    """Say that a value does nothing without another parameter, which is not set; empty: it does."""
    other, values = model.model_json_schema()["properties"][name].get(NEEDS, (None, None))
    missing = other is not None and value is not None and (values is None or value in values) and other not in chosen
    return texts.needed(other, _choices(_branches(model, other))) if missing else ""


def _overview(provider: Provider, choice: Choice) -> str:
    """List all settings, a short line for each, what is set here first."""
    chosen, model = choice.parameters, choice.model
    unsupported = provider.capabilities(model).unsupported
    left_away = texts.not_taken([name for name in provider.parameters.model_fields if name in unsupported], model)
    fields = sorted(provider.parameters.model_fields, key=lambda name: name not in chosen)
    lines = [f"**{name}** = {_shown(provider.parameters, name, chosen, DEFAULT)} · {_brief(provider.parameters, name)}" for name in fields]
    return (
        f"Settings of **{provider.title}** in this conversation (`{DEFAULT}`: the provider's own value):\n\n"
        f"{texts.listed(lines, len(lines))}\n\n"
        f"{f'{left_away.strip()}{chr(10)}{chr(10)}' if left_away else ''}"
        "`/settings NAME` explains one, `/settings NAME VALUE` sets it, the value `default` (or `reset`) takes it back."
    )


def _taking_back(chosen: Mapping[str, Any]) -> str:
    """Say how what is set is taken back: one by one, so that what is chosen meanwhile by others is left."""
    if not chosen:
        return "Nothing is set here: every setting is the provider's default."
    ways = " and ".join(texts.code(f"/settings {name} {DEFAULT}") for name in chosen)
    return f"Nothing was changed: one setting at a time is taken back. Here that is {ways}."


def _shown(model: type[Parameters], name: str, chosen: dict[str, Any], unset: str = "the provider's default") -> str:
    if name in chosen:
        return texts.value(chosen[name])
    default = model.model_fields[name].default
    return unset if default is None else f"{texts.value(default)} (default)"


def _about(model: type[Parameters], name: str) -> str:
    """Describe a parameter from its declaration: help, then range or choices."""
    branches = _branches(model, name)
    limits = [words.format(branch[key]) for branch in branches for key, words in RANGE_KEYS if key in branch]
    about = escape(_help(model, name))
    if limits:
        return f"{about} ({', '.join(limits)})."
    choices = texts.one_of(_choices(branches))
    ends = CLAUSE_END.search(about)  # right behind what it is: further behind they could be taken for those of another one
    place = ends.start() if ends else len(about)
    return f"{about[:place]}{f' ({choices})' if choices else ''}{about[place:]}."


def _brief(model: type[Parameters], name: str) -> str:
    """Describe a parameter in a few words: the first clause of its help, then range or choices."""
    branches = _branches(model, name)
    ranges = [_range(branch) for branch in branches]
    bounds = ", ".join(text for text in ranges if text) or texts.one_of(_choices(branches))
    about = escape(CLAUSE_END.split(_help(model, name), maxsplit=1)[0])
    return f"{about}{f' ({bounds})' if bounds else ''}"


def _range(branch: Mapping[str, Any]) -> str:
    """Write a range shortly; empty where there is none."""
    if "minimum" in branch and "maximum" in branch:
        return f"{branch['minimum']} to {branch['maximum']}"
    return ", ".join(words.format(branch[key]) for key, words in RANGE_KEYS if key in branch)


def _choices(branches: Sequence[Mapping[str, Any]]) -> list[str]:
    if any(branch.get("type") == "boolean" for branch in branches):
        return ["true", "false"]
    return [str(item) for branch in branches for item in branch.get("enum", [])]


def _branches(model: type[Parameters], name: str) -> list[Mapping[str, Any]]:
    """Return what a parameter may be, from its declaration, without null."""
    schema = model.model_json_schema()["properties"][name]
    return [branch for branch in schema.get("anyOf", [schema]) if branch.get("type") != "null"]


def _help(model: type[Parameters], name: str) -> str:
    return (model.model_fields[name].description or "").rstrip(".")


async def complete_parameter(context: Context, typed: str) -> Sequence[str]:
    """Suggest the current provider's parameters."""
    choice = await context.choice()
    provider = context.providers.get(choice.provider)
    return [name for name in provider.parameters.model_fields if typed.lower() in name] if provider else []


async def reasoning(context: Context) -> Answer:
    """Show or hide what the model says to itself."""
    wanted = context.arguments.get("choice", "").lower()
    wanted = DEFAULT if takes_back(wanted) else wanted
    if wanted:
        if wanted not in REASONING_CHOICES:
            return Answer(texts.reasoning_refused(wanted, list(REASONING_CHOICES)))
        await context.preferences.set_reasoning(context.conversation, REASONING_CHOICES[wanted])
    return Answer(texts.reasoning((await context.choice()).reasoning, changed=bool(wanted)), chose=bool(wanted))


async def complete_reasoning(_: Context, typed: str) -> Sequence[str]:
    """Suggest what /reasoning takes."""
    return [choice for choice in REASONING_CHOICES if typed.lower() in choice]


COMMANDS = (
    Command(
        "system",
        "Show or set the persona the model follows here",
        persona,
        (Option("text", "The persona, or “default”"),),
        changes=True,
        choice="persona",
    ),
    Command(
        "settings",
        "Show or set a parameter of the provider",
        settings,
        (
            Option("name", "The parameter, such as temperature", complete=complete_parameter),
            Option("value", "Its value, or “default”"),
        ),
        changes=True,
        choice="parameter",
    ),
    Command(
        "reasoning",
        "Show or hide what the model says to itself before it answers",
        reasoning,
        (Option("choice", "“show”, “hide” or “default”", complete=complete_reasoning, usage="/".join(REASONING_CHOICES)),),
        changes=True,
        choice="reasoning",
    ),
)
