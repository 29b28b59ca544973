"""Numbers that providers tell of what a question used. What can't be one is taken for not told: an answer is not lost over it."""

from __future__ import annotations

import math
from typing import Any

MOST_TOKENS = 100_000_000
"""More than any model's window or answer has, by a factor of ten: a greater number is a mistake, or somebody's joke on a budget."""
MOST_COST = 1_000_000.0
"""Of one question, in the account's own units."""


def tokens(value: Any) -> int | None:
    """Return a number of tokens: whole, from 0 to `MOST_TOKENS`; None for all else."""
    number = amount(value)
    return int(number) if number is not None and 0 <= number <= MOST_TOKENS else None


def cost(value: Any) -> float | None:
    """Return a cost from 0 to `MOST_COST`, None for all else. Nothing is given back by a negative one."""
    number = amount(value)
    return number if number is not None and 0 <= number <= MOST_COST else None


def amount(value: Any) -> float | None:
    """Return a number of any size, None for all else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # JSON's whole numbers have no end
        return None
    return number if math.isfinite(number) else None
