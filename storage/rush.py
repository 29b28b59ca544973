"""When many ask the database at once: what they ask goes to it together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Rush: TypeAlias = Callable[[], bool]
"""Tells whether so many people are waiting for answers that none of them feels `GATHER_SECONDS`."""

GATHER_SECONDS = 0.02
"""In a rush what is asked waits so long for others, to go to the connection's thread together: with a thousand answers under way a hop to
a thread and back costs more than most statements do. A reader of chats feels less than a tenth of a second of it, as there are four or
five such waits up to an answer's first text. What comes one after the other is taken in
without such a wait."""


def calm() -> bool:
    """Tell that there is no rush."""
    return False
