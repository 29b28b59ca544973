"""Files in TOML that an operator writes: read whole, and checked with an error that names the place and holds no value."""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Container, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

from bot.catalogue import CLOSE, nearest

FILE_BYTES = 256 * 1024


class TableError(ValueError):
    """The file is wrong. The message names the file and the place in it, and holds no value."""


def read(path: Path, *, number: Callable[[str], Any] = float, named: Callable[[str], str]) -> dict[str, Any]:
    """Read a file.

    Args:
        path: The file.
        number: Makes what stands for a number with a point: `Decimal` where what was written is what counts.
        named: Says how a table's name is written in this file, given what stands between brackets in place of one.

    Raises:
        TableError: It can't be read, is too large, or is no TOML.
    """
    try:
        if path.stat().st_size > FILE_BYTES:
            raise TableError(f"{path} is larger than {FILE_BYTES} bytes")
        text = path.read_text(encoding="utf-8-sig")  # some editors begin a file with a byte order mark, which TOML does not know
    except OSError as error:
        raise TableError(f"{path} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise TableError(f"{path} is not UTF-8 text") from None
    try:
        return tomllib.loads(text, parse_float=number)
    except tomllib.TOMLDecodeError as error:
        raise TableError(f"{path} is no TOML: {error}{_badly_named(text, str(error), named)}") from None
    except (RecursionError, ValueError):  # tables within hundreds of others, a number of thousands of digits
        raise TableError(f"{path} is no TOML that can be read: something in it is nested too deeply, or a number is too long") from None


_LINE = re.compile(r"\(at line (\d+),")
"""Where the reading library says that it met something wrong."""
_HEADER = re.compile(r"\s*\[\[?(.*?)\]\]?\s*(#.*)?")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_BARE = re.compile(r"\s*[A-Za-z0-9_-]+\s*")


def _badly_named(text: str, error: str, named: Callable[[str], str]) -> str:
    """Say, behind an error that met a table's name, how such a name is written; empty: it met something else."""
    place = _LINE.search(error)
    header = _HEADER.fullmatch(text.split("\n")[int(place[1]) - 1]) if place else None
    if header is None or all(_BARE.fullmatch(part) for part in _QUOTED.sub("x", header[1]).split(".")):
        return ""
    return f". {named(header[1].strip())}"


def within_dots(name: str, value: Any, known: Container[str]) -> str:
    """Return a name that the dots in it have taken apart into tables within tables, as a whole; `name` itself where they have not.

    Args:
        name: The first of its parts.
        value: What stands below it.
        known: Keys that may stand below the whole name: they are no part of it. One of them has to stand there: else the table is no more
            than the value of a key that there is not.
    """
    parts: list[str] = [name]
    last: Mapping[str, Any] = {}
    while isinstance(value, Mapping):
        last = value
        key, value = next(((key, below) for key, below in value.items() if key not in known and isinstance(below, Mapping)), ("", None))
        parts += [key] if value is not None else []
    return ".".join(parts) if any(key in known for key in last) else name


def no_table(path: Path, name: str, value: Any) -> str:
    """Say how a provider's table begins, where something else stands under its name."""
    if isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        return f"{path}: write [{name}], not [[{name}]]: each provider has one table, which begins with its name in single brackets"
    return f"{path}: {name} stands outside of a table: begin each provider with its name in brackets"


def problem(error: ValidationError, model: type[BaseModel] | None = None) -> str:
    """Say what is wrong first: the key, what it takes, and what to write.

    Args:
        error: Of the validating library; of its own words none are passed on, and no value.
        model: What was validated: knows the keys, and what could stand there (`examples` of a field).
    """
    first = error.errors(include_url=False, include_input=False)[0]
    kind, place = str(first["type"]), first["loc"]
    key = ".".join(str(part) for part in place if part != "[key]")
    if kind == "value_error":
        words = str(first["msg"]).removeprefix("Value error, ")
    elif kind == "extra_forbidden":
        words = _unknown(place, model)
    else:
        words = _takes(kind, first.get("ctx", {})) + _example(place, model)
    return f"{key}: {words}" if key else words


def number(value: Any) -> Any:
    """Refuse true and false where a number is wanted: they would count as 1 and 0.

    Raises:
        PydanticCustomError: It is one of them.
    """
    if isinstance(value, bool):
        raise PydanticCustomError("number_type", "takes a number")
    return value


def visible(text: str) -> str:
    """Refuse a text of nothing that can be seen.

    Raises:
        PydanticCustomError: It is one.
    """
    if not any(character.isprintable() and not character.isspace() for character in text):
        raise PydanticCustomError("blank_text", "takes a text that is not blank")
    return text


def one_line(text: str) -> str:
    """Refuse a name with a line end or another control character in it.

    Raises:
        ValueError: It has one.
    """
    if any(unicodedata.category(character) in {"Cc", "Zl", "Zp"} for character in text):
        raise ValueError("takes a name on one line: people read it")
    return text


_TAKES = {
    "bool": "takes true or false, without quotation marks",
    "string": "takes a text in quotation marks",
    "int": "takes a whole number",
    "float": "takes a number",
    "number": "takes a number",
    "decimal": "takes a number",
    "finite": "takes a number that is finite",
    "frozen": "takes a list in square brackets",
    "tuple": "takes a list in square brackets",
    "dict": "takes a table",
    "model": "takes a table",
    "missing": "is missing: write it",
    "blank": "takes a text that is more than blanks",
}
"""Beginning of an error's type → what is said of it."""
_BOUNDS = {
    "greater_than": ("gt", "takes more than {}"),
    "greater_than_equal": ("ge", "takes {} or more"),
    "less_than": ("lt", "takes less than {}"),
    "less_than_equal": ("le", "takes {} or less"),
    "string_too_short": ("min_length", "takes a text of at least {} character"),
    "string_too_long": ("max_length", "takes a text of at most {} characters"),
}


def _takes(kind: str, context: Mapping[str, Any]) -> str:
    if kind == "literal_error":
        return f"takes {context['expected']}".replace("'", '"')
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return words.format(context[name])
    return _TAKES.get(kind.partition("_")[0], "is not of the form that is taken")


def _unknown(place: Sequence[int | str], model: type[BaseModel] | None) -> str:
    """Say that there is no such key, and which is meant."""
    owner, _ = _at(place[:-1], model)
    name, keys = str(place[-1]), sorted(owner.model_fields) if owner is not None else []
    near = nearest(name, keys, CLOSE)
    if near:
        return f"there is no such key; did you mean {' or '.join(near)}?"
    if model is not None and owner is not model and name in model.model_fields:
        return "can't differ between models: write it into the table itself"
    return f"there is no such key; there are {', '.join(keys)}"


def _example(place: Sequence[int | str], model: type[BaseModel] | None) -> str:
    owner, field = _at(place, model)
    key = next((str(part) for part in reversed(place) if owner is not None and part in owner.model_fields), "")
    return f", such as {key} = {field.examples[0]}" if key and field is not None and field.examples else ""


def _at(place: Sequence[int | str], model: type[BaseModel] | None) -> tuple[type[BaseModel] | None, FieldInfo | None]:
    """Return the model that a place belongs to, and the last of its fields on the way there."""
    owner, field, named = model, None, False
    for part in place:
        if named:  # a key of the operator's own, such as a pattern of models
            inner = _model_in(field.annotation) if field is not None else None
            if inner is None:
                break
            owner, field, named = inner, None, False
        elif owner is not None and part in owner.model_fields:
            field, named = owner.model_fields[str(part)], True
    return owner, field


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _model_in(each)) is not None), None)
