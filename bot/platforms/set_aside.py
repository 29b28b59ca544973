"""What could not be read, or not be stored, is kept with the reason and as it came, so that it is neither lost nor in anybody's way."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import Any

from bot.model import EventKind, Incoming
from bot.platforms.budgets import DISCORD_INTERACTION_ACK_SECONDS

REASON_CHARS = 200
NOT_STORED = ":not-stored"
"""Ends the key of an event that could be read and that the store would not take."""
GIVEN_UP = ":given-up"
"""Ends the key of an event that its platform has given up by the time that it could be read again."""
WHY_GIVEN_UP = (
    f"it is a command or a press on Discord, which ended it {DISCORD_INTERACTION_ACK_SECONDS:g} s after it came, unanswered, and told "
    "whoever called it: it can't be answered any more and has to be called again"
)
RAW_CHARS = 100_000
"""So much of what came is kept; ours, far more than any real event has."""


def reason_of(error: Exception) -> str:
    """Say why something could not be read, without a word of what a person wrote."""
    # Of these two the text names fields; that of others, such as ValueError, may quote what was written.
    if isinstance(error, KeyError | TypeError):
        return f"{type(error).__name__}: {error}"[:REASON_CHARS]
    return type(error).__name__


def why_never(key: str) -> str | None:
    """Say why an event that was set aside can't be tried again, by its key; None if it can."""
    return WHY_GIVEN_UP if key.endswith(GIVEN_UP) else None


def raw_of(payload: Any) -> str:
    """Return what came as JSON in ASCII, which every database takes; cut if it is huge."""
    try:
        return json.dumps(payload, default=str)[:RAW_CHARS]
    except (ValueError, RecursionError) as error:  # what can just be parsed may be nested too deeply to be written
        return json.dumps(f"can't be written: {type(error).__name__}")


def not_stored(incoming: Incoming, error: Exception) -> Incoming:
    """Make an event that the store would not take into one that is kept as it came."""
    return replace(
        incoming,
        key=f"{incoming.key}{NOT_STORED}",
        kind=EventKind.UNREADABLE,
        text=f"not stored: {type(error).__name__}",
        command=None,
        button=None,
        attachments=(),
        route=None,
        raw=raw_of(asdict(replace(incoming, route=None))),  # the route is a secret
    )
