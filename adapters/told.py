"""Numbers that providers tell of what a question used. What can't be one is taken for not told: an answer is not lost over it."""

from __future__ import annotations

import math
from decimal import ROUND_FLOOR, Decimal
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


_DECIMALS, _MOST_DECIMALS = 2, 9
_ROUNDED_BELOW = 20
"""Numbers of more digits than this before the point have none behind it that a float could tell."""


def rounded_down(value: float | Decimal) -> str:
    """Write what is left of something, never more than is: with two decimals at most, less than one with two digits that count."""
    exact = Decimal(str(value))  # of a float the shortest that means it: 43.6, and not 43.60000000000000142
    if exact.adjusted() < _ROUNDED_BELOW:
        places = _DECIMALS if abs(exact) >= 1 else min(_MOST_DECIMALS, _DECIMALS - 1 - exact.adjusted())
        exact = exact.quantize(Decimal(1).scaleb(-places), ROUND_FLOOR)
    text = f"{exact:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
