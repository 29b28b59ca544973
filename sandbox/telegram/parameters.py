"""The parameters of one call, from query, form or JSON body alike; nested values may be JSON strings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from aiohttp.web import FileField

from sandbox.telegram.errors import Json, bad

INTEGER = re.compile(r"[+-]?\d{1,19}")


class Parameters:
    """Reads parameters strictly: where the real server would take a wrong type for zero, this one says so.

    Args:
        values: As sent.
        unknown: Told the dotted name of every nested key that the Bot API does not have.
    """

    def __init__(self, values: Mapping[str, Any], unknown: Callable[[str], None]) -> None:
        self._values = values
        self._unknown = unknown

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def within(self, record: Mapping[str, Any]) -> Parameters:
        """Return the parameters of a nested object; uploads of the call can be named in it."""
        return Parameters({**{key: value for key, value in self._values.items() if isinstance(value, FileField)}, **record}, self._unknown)

    def upload(self, name: str, scheme: str) -> FileField | None:
        """Return the file that a parameter holds or names, None if there is none.

        Args:
            name: Of the parameter.
            scheme: What stands before the name of the field in which a file comes.
        """
        value = self._values.get(name)
        if isinstance(value, str) and value.startswith(scheme):
            value = self._values.get(value.removeprefix(scheme))
        return value if isinstance(value, FileField) else None

    def raw(self) -> Json:
        """Return all of them as they were sent."""
        return dict(self._values)

    def text(self, name: str, default: str = "") -> str:
        """Return a string; a number in a JSON body counts as its digits.

        Raises:
            ApiError: It is not valid Unicode.
        """
        value = self._values.get(name)
        if value is None:
            return default
        if not isinstance(value, str | int | float):
            raise bad(f'Field "{name}" must be of type String')
        text = str(value)
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise bad("strings must be encoded in UTF-8")
        return text

    def integer(self, name: str, default: int = 0) -> int:
        """Return an integer, also one written as a string."""
        value = self._values.get(name)
        if value is None or value == "":
            return default
        return whole(name, value)

    def boolean(self, name: str) -> bool:
        """Return whether a flag is set."""
        value = self._values.get(name)
        return str(value).lower() in {"true", "yes", "1"}

    def decoded(self, name: str) -> Any:
        """Return a nested value, None if it is missing or empty.

        Raises:
            ApiError: It is no JSON.
        """
        value = self._values.get(name)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise bad(f"can't parse {name} JSON object") from None

    def record(self, name: str, keys: Collection[str]) -> Json | None:
        """Return a nested object, None if it is missing; keys the Bot API does not have are told.

        Raises:
            ApiError: It is no object.
        """
        value = self.decoded(name)
        return None if value is None else self.check(name, value, keys)

    def records(self, name: str, keys: Collection[str]) -> list[Json] | None:
        """Return a nested array of objects, None if it is missing.

        Raises:
            ApiError: It is no array of objects.
        """
        value = self.decoded(name)
        if value is None:
            return None
        if not isinstance(value, list):
            raise bad(f"can't parse {name}: expected an Array")
        return [self.check(name, item, keys) for item in value]

    def check(self, name: str, value: Any, keys: Collection[str]) -> Json:
        """Return a value that has to be an object, telling its unknown keys."""
        if not isinstance(value, dict):
            raise bad(f"can't parse {name}: expected an Object")
        for key in value:
            if key not in keys:
                self._unknown(f"{name}.{key}")
        return value


def whole(name: str, value: Any) -> int:
    """Return an integer that may be written as a string.

    Raises:
        ApiError: It is none.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and INTEGER.fullmatch(value.strip()):
        return int(value)
    raise bad(f'Field "{name}" must be of type Number')
