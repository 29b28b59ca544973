"""The answers that are measured, and what is measured of one.

Every answer fits into one message of either platform, so that the limit is that of one growing message; its tokens are therefore shorter
than a model's. Lengths are no multiples of a bucket's window: multiples would measure luck.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

RATE = 20.0
"""Tokens per second."""
CHARS_PER_TOKEN = 4.5
"""Of a model's English text; for the rule that counts characters."""
JITTER_SECONDS = 0.012
"""A token comes at most so much before or after its even moment."""
LETTERS = "abdefghijklmnoprstuvwyz"
SPACE_EVERY = 4


@dataclass(frozen=True, slots=True)
class Seen:
    """Until something newer, `count` tokens were visible from `moment` on (seconds)."""

    moment: float
    count: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a reader had of an answer.

    Attributes:
        complete: The whole text was visible in the end.
        staleness: Mean seconds from a token's emission to its being visible; infinite if one never was.
        first: Seconds from the first token to the first visible text.
        lag: Seconds from the last token to the whole text.
    """

    complete: bool
    staleness: float
    first: float
    lag: float


def token_times(seconds: float, *, start: float = 0.0, rate: float = RATE) -> list[float]:
    """Return the moments of an answer's tokens; the first at `start`, the last `seconds` later at most."""
    return [start + place / rate for place in range(max(2, int(seconds * rate + 1e-9) + 1))]


def shaken_times(seconds: float, rng: random.Random, *, start: float = 0.0) -> list[float]:
    """Return the moments of an answer's tokens as they come from a model: each but the first a little early or late."""
    first, *others = token_times(seconds, start=start)
    return [first, *(max(first, moment + rng.uniform(-JITTER_SECONDS, JITTER_SECONDS)) for moment in others)]


def token_texts(count: int, seed: int) -> list[str]:
    """Return so many tokens of one to two characters: words of plain letters, the same for the same seed."""
    rng = random.Random(seed)  # noqa: S311 - filler text
    texts = [rng.choice(LETTERS) + (" " if place % SPACE_EVERY == SPACE_EVERY - 1 else "") for place in range(count)]
    texts[-1] = texts[-1].strip()
    return texts


def outcome(times: Sequence[float], seen: Sequence[Seen]) -> Outcome:
    """Measure one answer. `seen` in order of time; what was visible is taken to stay."""
    total, shown = 0.0, 0
    first = lag = math.inf
    for view in seen:
        if view.count <= shown:
            continue
        if not shown:
            first = view.moment - times[0]
        total += sum(view.moment - moment for moment in times[shown : view.count])
        shown = view.count
        if shown >= len(times):
            lag = view.moment - times[-1]
            break
    complete = shown >= len(times)
    return Outcome(complete, total / len(times) if complete else math.inf, first, lag)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share lies: the nearest rank."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, max(0, math.ceil(share * len(ranked)) - 1))] if ranked else math.nan
