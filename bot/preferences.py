"""What a conversation has chosen: provider, model, persona, parameters. Inherits from its server, then from all, then from the operator."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from pydantic import ValidationError

from adapters.base import Parameters, Provider
from bot.model import ChatAddress
from storage.base import Store

GLOBAL = "global"
PERSONA_CHARS = 8000
"""Longest persona; ours, so that it leaves room for the conversation in a small model's window."""


KEEP_DAYS = "keep_days"
"""Key of how long what is said in a conversation is kept."""
MOST_KEEP_DAYS = 36_500
FORGET_CANCELLED = "forget_cancelled"
"""Key of the event of the newest question of /forget that was cancelled."""
PERSONA = "persona"
"""Key of who the model is told to be."""
REASONING = "reasoning"
"""Key of whether reasoning is shown."""
FALLBACK = "fallback"
"""Key of who is asked where the chosen provider does not answer: names with commas between, empty for nobody."""
_SHOWN, _HIDDEN = "shown", "hidden"
_WRONG = {
    "int": "is no whole number",
    "float": "is no number",
    "finite": "is no finite number",
    "literal": "is none of the choices",
    "bool": "is neither true nor false",
}
"""What is wrong with a value, by the first word of the validating library's name of the error."""

_WITH_COMMA = re.compile(r"[+-]?\d*,\d+", re.ASCII)
"""A number as much of the world writes it."""

_LENGTHS = {
    "too_long": "must",
    "too_short": "must",
    "string_too_long": "must, each text of it,",
    "string_too_short": "must, each text of it,",
}
"""What a value, or a text in it, that is too long or too short must; how much is in the validating library's own words."""


class InvalidPreferenceError(Exception):
    """A value was refused. The message says why, for people."""


@dataclass(frozen=True, slots=True)
class Choice:
    """What holds in a conversation.

    Attributes:
        parameters: Only those that were set, validated: name → value.
        reasoning: What the model says to itself is shown, folded, above its answer.
    """

    provider: str
    model: str
    persona: str | None = field(repr=False)
    parameters: dict[str, Any] = field(default_factory=dict)
    reasoning: bool = False

    @property
    def persona_hash(self) -> str:
        """Fingerprint of the persona: state made under another one is not used."""
        return hashlib.sha256((self.persona or "").encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Defaults:
    """The operator's own choice, under everything. An empty model leaves it to the provider.

    Attributes:
        fallback: Providers that are asked, in this order, where the chosen one does not answer.
        most_days: What is said is removed after so many days wherever nobody chose fewer; None: it is kept.
        reasoning: It is shown wherever nobody chose otherwise.
    """

    provider: str
    model: str = ""
    persona: str | None = None
    most_days: int | None = None
    reasoning: bool = False
    fallback: tuple[str, ...] = ()


Where: TypeAlias = tuple[int, ChatAddress, str | None]
"""Where a choice holds: the conversation, its chat, and the server that it is in."""


def conversation_scope(conversation: int) -> str:
    """Return the scope of one conversation's settings."""
    return f"conversation:{conversation}"


def server_scope(chat: ChatAddress, server: str) -> str:
    """Return the scope of one server's settings."""
    return f"server:{chat.platform}:{chat.account}:{server}"


class Preferences:
    """Reads and writes choices. The only place that knows their keys."""

    def __init__(self, store: Store, providers: Mapping[str, Provider], defaults: Defaults) -> None:
        self._store = store
        self._providers = providers
        self._defaults = defaults

    async def of(self, conversation: int, chat: ChatAddress, server: str | None = None) -> Choice:
        """Return what holds in a conversation. The provider may be one that is switched off by now."""
        merged = await self._merged(conversation, chat, server)
        return self._choice(merged, merged.get("provider", self._defaults.provider))

    async def chain(self, conversation: int, chat: ChatAddress, server: str | None = None) -> tuple[Choice, ...]:
        """Return what holds in a conversation, then who is asked in its place: each with its own model and parameters, as chosen here."""
        merged = await self._merged(conversation, chat, server)
        chosen = merged.get("provider", self._defaults.provider)
        named = merged[FALLBACK].split(",") if FALLBACK in merged else self._defaults.fallback
        others = [name for name in named if name != chosen and name in self._providers]
        return tuple(self._choice(merged, name) for name in (chosen, *others))

    async def everywhere(self, where: Where) -> dict[str, Choice]:
        """Return what each provider would be asked with if it were chosen: by name."""
        merged = await self._merged(*where)
        return {name: self._choice(merged, name) for name in self._providers}

    async def _merged(self, conversation: int, chat: ChatAddress, server: str | None) -> dict[str, str]:
        scopes = [conversation_scope(conversation), *([server_scope(chat, server)] if server else []), GLOBAL]
        stored = await self._store.settings(scopes)
        merged: dict[str, str] = {}
        for scope in reversed(scopes):
            merged.update(stored.get(scope, {}))
        return merged

    def _choice(self, merged: Mapping[str, str], name: str) -> Choice:
        provider = self._providers.get(name)
        model = merged.get(f"model.{name}")
        if model is None:
            model = self.default_model(name)
        prefix = f"parameter.{name}."
        raw = {key.removeprefix(prefix): json.loads(value) for key, value in merged.items() if key.startswith(prefix)}
        parameters = _still_valid(provider.parameters, raw) if provider else {}
        shown = merged.get(REASONING, _SHOWN if self._defaults.reasoning else _HIDDEN) == _SHOWN
        return Choice(name, model, merged.get(PERSONA, self._defaults.persona) or None, parameters, shown)

    @property
    def most_days(self) -> int | None:
        """How many days the operator lets what is said be kept; None: no limit."""
        return self._defaults.most_days

    async def keep_days(self, conversation: int) -> int | None:
        """Return how many days what is said is kept; None: for ever, as far as the conversation has a say."""
        scope = conversation_scope(conversation)
        chosen = (await self._store.settings([scope])).get(scope, {}).get(KEEP_DAYS)
        return int(chosen) if chosen is not None and chosen.isdigit() else None

    async def set_keep_days(self, conversation: int, days: int | None) -> None:
        """Set how many days what is said is kept; None takes it back."""
        await self._store.put_setting(conversation_scope(conversation), KEEP_DAYS, None if days is None else str(days))

    async def forget_cancelled(self, conversation: int) -> int:
        """Return the event of the newest /forget that asked back and was cancelled; 0: none was."""
        scope = conversation_scope(conversation)
        return int((await self._store.settings([scope])).get(scope, {}).get(FORGET_CANCELLED, 0))

    async def cancel_forget(self, conversation: int, asked: int) -> None:
        """Note that a /forget that asked back was cancelled, and with it those before."""
        await self._store.put_setting(conversation_scope(conversation), FORGET_CANCELLED, str(asked))

    def default_model(self, name: str) -> str:
        """Return the model of a provider that answers where nobody chose one: the operator's, or the provider's own."""
        if name == self._defaults.provider and self._defaults.model:
            return self._defaults.model
        provider = self._providers.get(name)
        return provider.default_model if provider else ""

    async def set_provider(self, conversation: int, name: str) -> None:
        """Switch the provider; its model and parameters are as they were when it was last used here."""
        await self._store.put_setting(conversation_scope(conversation), "provider", name)

    async def set_fallback(self, conversation: int, names: Sequence[str] | None) -> None:
        """Set who is asked, in this order, where the chosen provider does not answer; None goes back to what is inherited."""
        await self._store.put_setting(conversation_scope(conversation), FALLBACK, None if names is None else ",".join(names))

    async def set_model(self, conversation: int, provider: str, model: str | None) -> None:
        """Choose a model of a provider; None goes back to what is inherited."""
        await self._store.put_setting(conversation_scope(conversation), f"model.{provider}", model)

    async def set_persona(self, conversation: int, persona: str | None) -> None:
        """Set the persona; None goes back to the inherited one.

        Raises:
            InvalidPreferenceError: Too long.
        """
        if persona is not None and len(persona) > PERSONA_CHARS:
            raise InvalidPreferenceError(f"a persona has at most {PERSONA_CHARS} characters, this one has {len(persona)}")
        await self._store.put_setting(conversation_scope(conversation), PERSONA, persona)

    def words(self, conversation: int) -> Sequence[tuple[str, str]]:
        """Return scope and key of what people chose in words of their own, which may tell of them."""
        return [(conversation_scope(conversation), PERSONA)]

    async def set_reasoning(self, conversation: int, shown: bool | None) -> None:  # noqa: FBT001 - the value itself
        """Show or hide what the model says to itself; None goes back to what is inherited."""
        value = None if shown is None else _SHOWN if shown else _HIDDEN
        await self._store.put_setting(conversation_scope(conversation), REASONING, value)

    async def set_parameter(self, conversation: int, choice: Choice, name: str, text: str | None) -> Any:
        """Set a parameter of the current provider from what a person typed; None goes back to the default. Return the value.

        Raises:
            InvalidPreferenceError: The provider has no such parameter, or the value is out of its range.
        """
        model = self._providers[choice.provider].parameters
        key = f"parameter.{choice.provider}.{name}"
        if name not in model.model_fields:
            raise InvalidPreferenceError(f"no parameter {name}")
        if text is None:
            await self._store.put_setting(conversation_scope(conversation), key, None)
            return None
        value = parse(model, name, text, choice.parameters)
        await self._store.put_setting(conversation_scope(conversation), key, json.dumps(value))
        return value


def parse(model: type[Parameters], name: str, text: str, others: Mapping[str, Any]) -> Any:
    """Read a parameter's value from what a person typed: as it stands, as JSON, or as a comma-separated list; the first that is valid.

    Raises:
        InvalidPreferenceError: None of them is.
    """
    readings: list[Any] = [text]
    with suppress(ValueError):
        readings.append(json.loads(text))
    if '"' not in text and not text.startswith(("[", "{")):  # what looks like JSON, or is quoted, and is refused has a mistake in it
        readings.append([piece.strip() for piece in text.split(",") if piece.strip()])
    problem = ""
    for reading in readings:
        try:
            valid = model.model_validate({**others, name: reading})
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            problem = problem or f"it {_wrong(first['type'], first['msg'])}{_pointed(first['type'], text)}"
        else:
            value = valid.model_dump(mode="json")[name]
            if value is not None:  # "null" is no value
                return value
    raise InvalidPreferenceError(problem)


def _wrong(kind: str, message: str) -> str:
    """Say what is wrong with a value in words for people: `kind` and `message` are the validating library's."""
    if kind == "value_error":
        return message.removeprefix("Value error, ")  # a validator of ours
    if kind.startswith(("less_than", "greater_than")):
        return f"must be {message.rpartition(' should be ')[2]}"
    if kind in _LENGTHS:
        return f"{_LENGTHS[kind]} {message.rpartition(' should ')[2].replace(' after validation', '')}"
    return _WRONG.get(kind.partition("_")[0], "is not of the form that is taken")


def _pointed(kind: str, text: str) -> str:
    """Say how a number is written that has a comma where its point belongs; empty: it is none."""
    return f". Write it with a point: {text.replace(',', '.')}" if kind.startswith("float") and _WITH_COMMA.fullmatch(text) else ""


def _still_valid(model: type[Parameters], raw: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what the provider's parameters still admit: a program that got stricter must not make a conversation unusable."""
    kept: dict[str, Any] = {}
    for name, value in raw.items():
        with suppress(ValidationError):
            kept = {key: item for key, item in model.model_validate({**kept, name: value}).model_dump().items() if item is not None}
    return {name: value for name, value in kept.items() if name in raw}
