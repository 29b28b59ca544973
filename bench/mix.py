"""A mix of lengths: what was asked of it, what any schedule can reach without knowing the end, and how near the bridge comes.

The yardstick is the best list of `bench.blind` for the very lengths and limits of a load: it knows how likely each length is, and not which
comes next. Both readings of the mean have one of their own, as what is best for the one is not for the other.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench import report
from bench.answers import RATE
from bench.blind import Blind, Length, blind_schedule, log_normal
from bench.farside import Place
from bench.rules import Listed, simulate

MEDIAN_SECONDS, SIGMA, LONGEST_SECONDS = 6.0, 0.9, 60.0
"""The mix of lengths: log-normal."""
ASKED, ASKED_OF_BEST = 1.3, 1.1
"""Mean ratio that was asked for: at most so much, and at most so many times that of the best schedule that does not know the end."""
APART_SECONDS = 2 * LONGEST_SECONDS
"""In virtual time answers begin so far apart: each is alone."""
READINGS = {"mean of ratios": "mean ratio", "ratio of means": "ratio"}
"""The two readings of a mean ratio, and their columns."""


def mixed_lengths(count: int, *, seed: int = 1) -> list[float]:
    """Return so many lengths in seconds, in an order by chance."""
    lengths = log_normal(MEDIAN_SECONDS, SIGMA, count, longest=LONGEST_SECONDS)
    random.Random(seed).shuffle(lengths)  # noqa: S311 - an order
    return lengths


@dataclass(frozen=True, slots=True)
class Yardstick:
    """The best schedule for one reading.

    Attributes:
        expected: The least that any schedule that does not know the end is expected to reach, tokens at even moments.
        columns: What the same schedule makes of the answers in virtual time, tokens as they come; of `bench.report.figures`.
    """

    reading: str
    expected: float
    columns: Mapping[str, Any]


def yardstick(place: Place, answers: Sequence[Sequence[float]], alone: Sequence[float], reading: str) -> Yardstick:
    """Find the best schedule for answers, and play it.

    Args:
        place: Kind of chat.
        answers: Moments of their tokens.
        alone: Limits of the answers, each in a chat of its own.
        reading: One of `READINGS`.
    """
    mean = sum(alone) / len(alone)
    blind = best_blind(place, answers, alone if reading == "mean of ratios" else [mean] * len(alone))
    begun = [[number * APART_SECONDS + moment - times[0] for moment in times] for number, times in enumerate(answers)]
    run = simulate(lambda far: Listed(far, blind.moments), place, begun)
    return Yardstick(reading, blind.expected, report.figures(run, alone, mean))


def best_blind(place: Place, answers: Sequence[Sequence[float]], limits: Sequence[float]) -> Blind:
    """Return the list of least expected ratio to these limits."""
    known = [Length((len(times) - 1) / RATE, 1 / len(answers), limit) for times, limit in zip(answers, limits, strict=True)]
    return blind_schedule(known, RATE, place.edit, create_apart=place.create is not None)


def verdicts(head: Mapping[str, Any], columns: Mapping[str, Any], yardsticks: Sequence[Yardstick]) -> list[dict[str, Any]]:
    """Return a line for each reading: what was asked, what is possible, what the bridge reached (`columns`), and the same of the best.

    Where chats share a budget nobody knows the ratio of one answer: what depends on it is None.
    """
    lines = []
    for best in yardsticks:
        reached: float | None = columns[READINGS[best.reading]]
        lines.append(
            {
                **head,
                "reading": best.reading,
                "asked": ASKED,
                "possible": best.expected,
                "best blind": best.columns[READINGS[best.reading]],
                "bridge": reached,
                "asked / possible": ASKED_OF_BEST,
                "bridge / possible": None if reached is None else reached / best.expected,
            }
        )
    return lines
