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

import difflib
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    ValidationError,
    field_validator,
    model_validator,
)

from adapters.http import Budgets
from adapters.openai_parameters import OpenAIParameters, Vendor
from adapters.openai_vendors import GENERIC, PRESETS
from bot import tables
from bot.catalogue import CLOSE, nearest
from bot.edge import Key, checked_api_address, cleaned_key, names_a_variable

TAKEN = ("netmind", "segmind", "modelslab", "openai", "local")
"""Names of the providers that have variables of their own."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,30}")
EXAMPLE_NAME = "gpu-box"
PAIR = 2

_WORD = re.compile(r"[a-z_]{1,30}")
"""A name like those of parameters: it is no key, and may be repeated in an error."""


def _parameter(name: str) -> str:
    known = list(OpenAIParameters.model_fields)
    if name in known:
        return name
    near = nearest(name, known, CLOSE)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
    raise ValueError(f"{name if _WORD.fullmatch(name) else 'a name there'} is no parameter; {hint}")


ParameterName = Annotated[str, AfterValidator(_parameter)]
Window = Annotated[int, BeforeValidator(tables.number), Field(ge=256)]
"""Tokens of a model's window."""
Seconds = Annotated[float, BeforeValidator(tables.number), Field(gt=0, allow_inf_nan=False)]


Text = Annotated[str, Field(min_length=1), AfterValidator(tables.visible)]
TITLE_CHARS = 60
Title = Annotated[str, Field(min_length=1, max_length=TITLE_CHARS), AfterValidator(tables.visible), AfterValidator(tables.one_line)]
Patterns = frozenset[Text]
"""Of models' ids, in which ``*`` stands for anything."""

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
_AS_VARIABLE = re.compile(r"\$(?:\{(.*)\}|(.*))")
"""How a shell would put a variable's value there; this file takes it for the key."""
NO_NAME = "api_key_env takes the name of a variable, such as GROQ_API_KEY"
UNSEEN = "what stands there may be a key, so it isn't shown"

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.6.2
_HEADER_VALUE = re.compile(r"[\t -~\x80-\xff]*")
_OWN_HEADERS = frozenset({"authorization", "content-type", "content-length", "host", "connection", "accept-encoding"})


class EndpointsError(ValueError):
    """The file is wrong. The message names the table and the field, and holds no value."""


class Quirks(BaseModel):
    """How a vendor, or some of its models, differ from OpenAI's API. `adapters.openai_parameters.Vendor` explains each."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    system_role: Literal["system", "developer", "first_user"] | None = None
    renames: dict[ParameterName, Text] | None = Field(None, examples=['{ max_tokens = "max_completion_tokens" }'])
    unsupported: frozenset[ParameterName] | None = Field(None, examples=['["temperature"]'])
    extra: dict[str, Any] | None = Field(None, examples=['{ user = "dragoman" }'])
    usage_in_stream: StrictBool | None = Field(None, examples=["false"])
    reasoning_fields: tuple[Text, ...] | None = Field(None, examples=['["reasoning"]'])
    think_tags: tuple[str, ...] | None = Field(None, examples=['["<think>", "</think>"]'])
    starts_thinking: Patterns | None = Field(None, examples=['["qwen3-*"]'])
    completion_models: Patterns | None = Field(None, examples=['["davinci-*"]'])
    context: Window | None = Field(None, examples=["32768"])
    images: StrictBool | None = Field(None, examples=["true"])
    vision: Patterns | None = Field(None, examples=['["qwen*-vl-*"]'])
    first_seconds: Seconds | None = Field(None, examples=["90"])

    @model_validator(mode="after")
    def _tags_are_a_pair(self) -> Quirks:
        if self.think_tags and (len(self.think_tags) != PAIR or not all(self.think_tags)):
            raise ValueError('think_tags takes an opening and a closing tag, such as ["<think>", "</think>"], or [] for none')
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

    preset: str | None = Field(None, examples=['"vllm"'])
    title: Title | None = Field(None, examples=['"GPU box"'])
    base_url: str | None = Field(None, examples=['"https://api.example.com/v1"'])
    api_key: Key = None
    api_key_env: str | None = Field(None, examples=['"GROQ_API_KEY"'])
    default_model: Annotated[str, AfterValidator(str.strip)] | None = Field(None, examples=['"qwen3-32b"'])
    headers: dict[str, str] | None = Field(None, examples=['{ "X-Title" = "Dragoman" }'])
    contexts: dict[str, Window] | None = Field(None, examples=['{ "qwen3-32b" = 32768 }'])
    lists_all_models: StrictBool | None = Field(None, examples=["true"])
    models: dict[str, Quirks] | None = Field(None, examples=['{ "qwen3-*" = { context = 32768 } }'])
    idle_seconds: Seconds | None = Field(None, examples=["60"])
    total_seconds: Seconds | None = Field(None, examples=["300"])

    @model_validator(mode="after")
    def _makes_sense(self) -> Table:
        if "api_key" in self.model_fields_set and self.api_key is None:
            raise ValueError("api_key is empty: write the key there, or take the line out for a server that wants none")
        if self.api_key_env is not None and not self.api_key_env.strip():
            raise ValueError(
                "api_key_env is empty: write the name of the variable that holds the key, or take the line out for a server that wants none"
            )
        if self.api_key_env is not None and not _VARIABLE.fullmatch(self.api_key_env):
            raise ValueError(f"{NO_NAME}; the key itself would stand in api_key ({UNSEEN})")
        if self.api_key and self.api_key_env:
            raise ValueError("takes api_key or api_key_env, not both")
        if self.api_key and (written := _AS_VARIABLE.fullmatch(self.api_key.get_secret_value())):
            name = written[1] or written[2] or ""
            if names_a_variable(name):
                raise ValueError(f'api_key takes no variable: write the key itself, or api_key_env = "{name}"')
        if self.preset is not None and self.preset not in PRESETS:
            near = nearest(self.preset, PRESETS, CLOSE)
            raise ValueError(f"preset is one of {', '.join(PRESETS)}{f'; did you mean {near[0]}?' if near else ''}")
        return self

    @model_validator(mode="after")
    def _can_be_reached(self) -> Table:
        if self.base_url is not None:
            try:
                checked_api_address(self.base_url)
            except ValueError as error:
                raise ValueError(f"base_url {error}") from None
        if own := sorted(name for name in self.headers or {} if name.lower() in _OWN_HEADERS):
            raise ValueError(f"headers can't set {', '.join(own)}")
        for name, value in (self.headers or {}).items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                raise ValueError(f"headers: {name!r} has a sign in its name or value that no header has, such as a line end")
        return self

    def vendor(self, name: str) -> Vendor:
        """Return the declaration: the preset's, with what is set here in its place."""
        base = PRESETS.get(self.preset or name, replace(GENERIC, title=name, base_url="", default_model=""))
        if self.preset not in {None, name}:
            base = replace(base, title=f"{base.title} ({name})")  # there may be several of one kind
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
        key_variable: The variable that holds the key; empty: it stands in the file, or there is none.
    """

    vendor: Vendor
    key: SecretStr | None = field(repr=False)
    budgets: Budgets | None = None
    key_variable: str = ""


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
        return tables.read(path, named=_named)
    except tables.TableError as error:
        raise EndpointsError(str(error)) from None


def _clash(vendor: Vendor) -> str:
    """Say which two things would be sent under one name, by the table or for some models; empty: none."""
    found = [(f"models.{pattern}.", replace(vendor, **fields)) for pattern, fields in vendor.models.items()]
    return next((f"{place}renames: {words}" for place, each in [("", vendor), *found] if (words := _renamed_twice(each))), "")


def _renamed_twice(vendor: Vendor) -> str:
    others = OpenAIParameters.model_fields.keys() - _NOT_SENT - vendor.unsupported
    sent = {name: vendor.renames.get(name, name) for name in sorted(others)}
    for name, other in vendor.renames.items():
        if name in _NOT_SENT:
            return f"{name} is not sent under any name: take it out"
        twin = next((one for one, its in sent.items() if its == other and one != name), None)
        own = OWN_FIELDS.get(other) if other != name else None
        if why := own or (f"{twin} is sent as that" if twin else None):
            return f"{name} can't be sent as {other}, {why}: write this provider's own word for {name}"
    return ""


def _wrong_name(name: str) -> str:
    """Say what is wrong with a table's name, and which one to write in its place; empty: nothing is."""
    if name.lower() in TAKEN:
        words = f"a table's name is none of {', '.join(TAKEN)}, which are set up by variables"
        return f"{words}: {_instead(name.lower())}"
    if _NAME.fullmatch(name):
        return ""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    alike = re.sub(r"[^a-z0-9_-]+", "-", plain.lower()).strip("-")
    better = alike if _NAME.fullmatch(alike) and alike not in TAKEN else EXAMPLE_NAME
    words = "a table's name has 1-31 characters of a-z, 0-9, _ and -, and begins with a letter"
    return f"{words}: write [{better}], and what people are to read as its title, such as title = {json.dumps(name, ensure_ascii=False)}"


_QUOTED_WHY = "a model whose name has a dot, a * or another such sign stands in quotation marks"


def _named(header: str) -> str:
    """Say how a table's name is written in this file, given what stands in place of one."""
    name, models, pattern = (part.strip() for part in header.partition(".models."))
    if pattern and _NAME.fullmatch(name) and '"' not in pattern:
        return f'A{_QUOTED_WHY[1:]}: write [{name}.models."{pattern}"]'
    wrong = "" if models else _wrong_name(name.strip("[]\"' ")) if name else ""
    rule = wrong or "a table's name has 1-31 characters of a-z, 0-9, _ and -, and begins with a letter, such as [my-box]"
    return f'A{rule[1:]}. Patterns of models stand below a table, in quotation marks: [my-box.models."qwen*"]'


def _taken_apart(name: str, table: Mapping[str, Any]) -> str:
    """Say how a table's or a model's name is written that dots have taken apart; empty: they have not."""
    below = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    for model, window in below.get("contexts", {}).items():
        if isinstance(window, Mapping) and window:
            return f'contexts: {_QUOTED_WHY}: write contexts = {{ "{model}.{next(iter(window))}" = 32768 }}'
    for model, quirks in below.get("models", {}).items():
        whole = tables.within_dots(model, quirks, Quirks.model_fields)
        if whole != model and not _is_misspelt(whole.removeprefix(f"{model}."), Quirks.model_fields):
            return f'{_QUOTED_WHY}: write [{name}.models."{whole}"]'
    unknown = [key for key in below if key not in Table.model_fields and not _is_misspelt(key, Table.model_fields)]
    if not unknown:
        return ""
    whole = tables.within_dots(unknown[0], below[unknown[0]], Table.model_fields)
    if len(unknown) == len(table) and name not in PRESETS and re.fullmatch(r"[a-zA-Z0-9_.-]+", whole):
        return f"a dot in a table's name makes a table within a table; {_wrong_name(f'{name}.{whole}')}"
    if _WORD.fullmatch(unknown[0]):
        return ""  # of one that looks like a key, those that there are help more
    return f'{unknown[0]}: there is no such key; what is different for some models stands under [{name}.models."{whole}"]'


def _is_misspelt(key: str, keys: Iterable[str]) -> bool:
    return bool(difflib.get_close_matches(key, keys, 1, CLOSE))


def _instead(taken: str) -> str:
    """Say what to do for a provider whose name no table can have."""
    other = f"give the table another name, such as [my-{taken}]"
    if taken == "openai":
        return f'set OPENAI_API_KEY (and OPENAI_BASE_URL for another address), or {other}, and write preset = "openai" into it'
    if taken == "local":
        return f"the local model is there where it is installed (LOCAL_MODEL); for another server {other}"
    return f"set {taken.upper()}_API_KEY, or {other}"


def _endpoint(path: Path, name: str, table: Any, environment: Mapping[str, str]) -> Endpoint:
    where = f"{path}, [{name}]"
    if not isinstance(table, Mapping):
        raise EndpointsError(tables.no_table(path, name, table))
    if wrong := _wrong_name(name):
        raise EndpointsError(f"{where}: {wrong}")
    if wrong := _taken_apart(name, table):
        raise EndpointsError(f"{where}: {wrong}")
    try:
        read_table = Table.model_validate(table)
    except ValidationError as error:
        raise EndpointsError(f"{where}: {tables.problem(error, Table)}") from None
    vendor = read_table.vendor(name)
    if wrong := _clash(vendor):
        raise EndpointsError(f"{where}: {wrong}")
    if not vendor.base_url:
        example = 'write the address of its API, such as base_url = "https://api.example.com/v1"'
        raise EndpointsError(f"{where}: base_url is missing: {example} (or a preset: {', '.join(PRESETS)})")
    if not vendor.default_model.strip():
        example = 'write the model that is asked where nobody chose another, such as default_model = "qwen3-32b"'
        raise EndpointsError(f"{where}: default_model is missing: {example}")
    return Endpoint(vendor, _key(where, read_table, environment), read_table.budgets(), read_table.api_key_env or "")


def _key(where: str, table: Table, environment: Mapping[str, str]) -> SecretStr | None:
    if table.api_key_env is None:
        return table.api_key
    value = environment.get(table.api_key_env)
    if not value and not names_a_variable(table.api_key_env):
        raise EndpointsError(f"{where}: {NO_NAME}; there is none of that name, and {UNSEEN}")
    if not value:
        raise EndpointsError(f"{where}: the variable {table.api_key_env} is not set")
    try:
        key = cleaned_key(SecretStr(value))
    except ValueError as error:
        raise EndpointsError(f"{where}: the variable {table.api_key_env} {error}") from None
    if key is None:
        raise EndpointsError(f"{where}: the variable {table.api_key_env} holds nothing but blanks: set it to the key")
    return key
