"""Further OpenAI-compatible providers: one table each of the file that PROVIDERS_FILE names, dialect and all.

[groq]                                  # a preset: its address and dialect are known
api_key_env = "GROQ_API_KEY"

[gpu-box]
base_url = "http://gpu-box:8000/v1"
default_model = "qwen3-32b"
[gpu-box.models."qwen3-*"]              # what is different for some models
starts_thinking = ["*"]
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from adapters.http import Budgets
from adapters.openai_parameters import OpenAIParameters, Vendor
from adapters.openai_vendors import GENERIC, PRESETS
from bot import tables
from bot.edge import Key, checked_address, cleaned_key

TAKEN = ("netmind", "segmind", "modelslab", "openai", "local")
"""Names of the providers that have variables of their own."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")

ParameterName = Literal[
    "max_tokens",
    "temperature",
    "top_p",
    "stop",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
    "logit_bias",
    "n",
    "stream",
    "endpoint",
]
assert set(ParameterName.__args__) == set(OpenAIParameters.model_fields)  # type: ignore[attr-defined]  # mypy does not know a Literal's arguments

Window = Annotated[int, Field(ge=256)]
"""Tokens of a model's window."""
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]

OWN_FIELDS: Mapping[str, str] = {
    "model": "default_model and /model choose it",
    "messages": "it is the conversation",
    "prompt": "it is the conversation",
    "stream": "/settings stream sets it",
    "stream_options": "usage_in_stream sets it",
    "n": "/settings n sets it",
}
"""Fields of a request that are made of the question, and what sets each: no table may put anything else there."""
_NOT_SENT = frozenset({"stream", "endpoint"})
"""Parameters that say how to ask, and so have no name in a request."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_OWN_HEADERS = frozenset({"authorization", "content-type", "content-length", "host", "connection", "accept-encoding"})


def _is_address(value: str) -> bool:
    try:
        checked_address(value)
    except ValueError:
        return False
    return True


class EndpointsError(ValueError):
    """The file is wrong. The message names the table and the field, and holds no value."""


class Quirks(BaseModel):
    """How a vendor, or some of its models, differ from OpenAI's API. `adapters.openai_parameters.Vendor` explains each."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    system_role: Literal["system", "developer", "first_user"] | None = None
    renames: dict[ParameterName, Annotated[str, Field(min_length=1)]] | None = None
    unsupported: frozenset[ParameterName] | None = None
    extra: dict[str, Any] | None = None
    usage_in_stream: bool | None = None
    reasoning_fields: tuple[str, ...] | None = None
    think_tags: Annotated[tuple[str, ...], Field(max_length=2)] | None = None
    starts_thinking: frozenset[str] | None = None
    completion_models: frozenset[str] | None = None
    context: Window | None = None
    images: bool | None = None
    vision: frozenset[str] | None = None
    first_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _tags_are_a_pair(self) -> Quirks:
        if self.think_tags and (len(self.think_tags) == 1 or not all(self.think_tags)):
            raise ValueError("think_tags takes an opening and a closing tag, or [] for none")
        return self

    @field_validator("extra")
    @classmethod
    def _is_json(cls, extra: dict[str, Any] | None) -> dict[str, Any] | None:
        try:
            json.dumps(extra, allow_nan=False)
        except (TypeError, ValueError):  # TOML has dates, and numbers that are none
            raise ValueError("takes what JSON has: texts, numbers, true and false, lists, tables") from None
        return extra

    @field_validator("extra")
    @classmethod
    def _adds(cls, extra: dict[str, Any] | None) -> dict[str, Any] | None:
        for name in extra or {}:
            if name in OWN_FIELDS:
                raise ValueError(f"{name} can't be among the further fields, {OWN_FIELDS[name]}: take it out")
        return extra

    @model_validator(mode="after")
    def _names_are_apart(self) -> Quirks:
        renames: dict[str, str] = dict(self.renames.items()) if self.renames else {}
        others = OpenAIParameters.model_fields.keys() - _NOT_SENT - (self.unsupported or frozenset())
        sent = {name: renames.get(name, name) for name in sorted(others)}
        for name, other in renames.items():
            if name in _NOT_SENT:
                raise ValueError(f"renames: {name} is not sent under any name: take it out")
            twin = next((one for one, its in sent.items() if its == other and one != name), None)
            own = OWN_FIELDS.get(other) if other != name else None
            if why := own or (f"{twin} is sent as that" if twin else None):
                raise ValueError(f"renames: {name} can't be sent as {other}, {why}: write this provider's own word for {name}")
        return self

    def changes(self) -> dict[str, Any]:
        """Return the fields of `Vendor` that are set here."""
        values = {name: getattr(self, name) for name in Quirks.model_fields if getattr(self, name) is not None}
        if "think_tags" in values:
            values["think_tags"] = self.think_tags or None
        if "first_seconds" in values:
            values["first_seconds_guessed"] = False
        return values


class Table(Quirks):
    """One provider."""

    preset: str | None = None
    title: str | None = None
    base_url: str | None = None
    api_key: Key = None
    api_key_env: str | None = None
    default_model: str | None = None
    headers: dict[str, str] | None = None
    contexts: dict[str, Window] | None = None
    lists_all_models: bool | None = None
    models: dict[str, Quirks] | None = None
    idle_seconds: Seconds | None = None
    total_seconds: Seconds | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Table:
        if "api_key" in self.model_fields_set and self.api_key is None:
            raise ValueError("api_key is empty: write the key there, or take the line out for a server that wants none")
        if self.api_key_env is not None and not self.api_key_env.strip():
            raise ValueError(
                "api_key_env is empty: write the name of the variable that holds the key, or take the line out for a server that wants none"
            )
        if self.api_key_env is not None and not _VARIABLE.fullmatch(self.api_key_env):
            raise ValueError("api_key_env takes the name of a variable, such as GROQ_API_KEY; the key itself would stand in api_key")
        if self.api_key and self.api_key_env:
            raise ValueError("takes api_key or api_key_env, not both")
        if self.preset is not None and self.preset not in PRESETS:
            raise ValueError(f"preset is one of {', '.join(PRESETS)}")
        if self.base_url is not None and not _is_address(self.base_url):
            raise ValueError("base_url takes an address such as https://api.example.com/v1")
        if own := sorted(name for name in self.headers or {} if name.lower() in _OWN_HEADERS):
            raise ValueError(f"headers can't set {', '.join(own)}")
        for name, value in (self.headers or {}).items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"headers: {name!r} has a sign in its name or value that no header has, such as a line end")
        return self

    def vendor(self, name: str) -> Vendor:
        """Return the declaration: the preset's, with what is set here in its place."""
        base = PRESETS.get(self.preset or name, replace(GENERIC, title=name, base_url="", default_model=""))
        own = {key: getattr(self, key) for key in ("title", "base_url", "default_model", "headers", "contexts", "lists_all_models")}
        set_here = {key: value for key, value in own.items() if value is not None}
        changes = self.changes()
        waits = {"first_seconds", "first_seconds_guessed"} & changes.keys()  # what is set for all goes before what is known of some
        known = {pattern: {key: value for key, value in fields.items() if key not in waits} for pattern, fields in base.models.items()}
        here = {pattern: {**known.get(pattern, {}), **quirks.changes()} for pattern, quirks in (self.models or {}).items()}
        models = {**here, **{pattern: fields for pattern, fields in known.items() if pattern not in here}}
        return replace(base, name=name, **set_here, **changes, models=models)

    def budgets(self) -> Budgets | None:
        """Return the time budgets, None for the usual ones."""
        set_here = {"first": self.first_seconds, "idle": self.idle_seconds, "total": self.total_seconds}
        found = {key: value for key, value in set_here.items() if value is not None}
        return replace(Budgets(), **found) if found else None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A further provider, ready to be made.

    Attributes:
        vendor: Where it is and how it speaks.
        key: Its API key; None for a server that wants none.
        budgets: Of time; None for the usual ones.
    """

    vendor: Vendor
    key: SecretStr | None = field(repr=False)
    budgets: Budgets | None = None


def read(path: Path, environment: Mapping[str, str]) -> tuple[Endpoint, ...]:
    """Read the file, in its order.

    Args:
        path: The TOML file.
        environment: Where the keys stand that tables name by `api_key_env`.

    Raises:
        EndpointsError: It can't be read, or something in it is wrong.
    """
    return tuple(_endpoint(path, name, table, environment) for name, table in _tables(path).items())


def key_variables(path: Path) -> frozenset[str]:
    """Return the variables that the file names for keys; none if it can't be read, which `read` tells."""
    try:
        tables = _tables(path).values()
    except EndpointsError:
        return frozenset()
    return frozenset(name for table in tables if isinstance(table, Mapping) and isinstance(name := table.get("api_key_env"), str))


def _tables(path: Path) -> dict[str, Any]:
    try:
        return tables.read(path)
    except tables.TableError as error:
        raise EndpointsError(str(error)) from None


def _endpoint(path: Path, name: str, table: Any, environment: Mapping[str, str]) -> Endpoint:
    where = f"{path}, [{name}]"
    if not isinstance(table, Mapping):
        raise EndpointsError(f"{path}: {name} stands outside of a table: begin each provider with its name in brackets")
    if name in TAKEN or not _NAME.fullmatch(name):
        raise EndpointsError(
            f"{where}: a name has 1-31 characters of a-z, 0-9, _ and -, begins with a letter, and is none of {', '.join(TAKEN)}"
        )
    try:
        read_table = Table.model_validate(table)
    except ValidationError as error:
        raise EndpointsError(f"{where}: {tables.problem(error)}") from None
    vendor = read_table.vendor(name)
    if not vendor.base_url:
        raise EndpointsError(f"{where}: base_url is missing (or a preset: {', '.join(PRESETS)})")
    if not vendor.default_model.strip():
        raise EndpointsError(f"{where}: default_model is missing")
    key = read_table.api_key
    if read_table.api_key_env is not None:
        value = environment.get(read_table.api_key_env)
        if not value:
            raise EndpointsError(f"{where}: the variable {read_table.api_key_env} is not set")
        try:
            key = cleaned_key(SecretStr(value))
        except ValueError as error:
            raise EndpointsError(f"{where}: the variable {read_table.api_key_env} {error}") from None
        if key is None:
            raise EndpointsError(f"{where}: the variable {read_table.api_key_env} holds nothing but blanks: set it to the key")
    return Endpoint(vendor, key, read_table.budgets())
