"""An incoming event as stored JSON, and back: what a crash interrupted is rebuilt from it."""

from __future__ import annotations

import json
from dataclasses import replace

from pydantic import TypeAdapter
from pydantic_core import PydanticSerializationError

from bot.model import Incoming

_INCOMING = TypeAdapter(Incoming)


def dump(incoming: Incoming) -> str:
    """Return the event as JSON. Its reply route is a secret with a life of its own and is stored apart."""
    kept = incoming if incoming.route is None else replace(incoming, route=None)
    try:
        return _INCOMING.dump_json(kept, warnings=False).decode()
    except PydanticSerializationError:  # half a surrogate pair, which a store replaces
        return json.dumps(_INCOMING.dump_python(kept, warnings=False), ensure_ascii=False)


def sound(incoming: Incoming) -> Incoming:
    """Return an event of which every part has its type. The platforms' libraries take what comes; what is stored has to be read back.

    Raises:
        TypeError: A part has another type.
    """
    try:
        load(dump(incoming).encode("utf-16", "surrogatepass").decode("utf-16", "replace"))
    except ValueError:
        raise TypeError("a part of the event has another type than it should") from None  # its own words quote the part
    return incoming


def load(payload: str) -> Incoming:
    """Return the event that was stored.

    Raises:
        pydantic.ValidationError: It is not one.
    """
    return _INCOMING.validate_json(payload)
