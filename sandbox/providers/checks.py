"""Checks of one JSON value each, of which the stand-ins build their parameter tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Check = Callable[[Any], bool]


def whole(low: int, high: float = float("inf")) -> Check:
    """Accept integers of the range."""
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and low <= value <= high


def number(low: float, high: float, *, above: bool = False) -> Check:
    """Accept numbers of the range; `above` excludes `low` itself."""

    def check(value: Any) -> bool:
        right = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
        return right and not (above and value == low)

    return check


def flag(value: Any) -> bool:
    """Accept true and false."""
    return isinstance(value, bool)


def text(value: Any) -> bool:
    """Accept strings that are not empty."""
    return isinstance(value, str) and bool(value)
