"""What it is worth to know how long the last answers took, in virtual time: `python -m bench.schedules --warm`.

The same answers are shown by a bridge that knows nothing and by one that has shown answers of such lengths before and learns of each.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bench.answers import percentile, shaken_times
from bench.farside import Place
from bench.limit import chat_limit
from bench.rules import KINDS, Bridge, Run, simulate
from bot.lengths import RECENT, Lengths

STEADY_SECONDS = (2.5, 5.3, 8.0, 8.2, 8.4, 8.6, 10.4, 13.7, 20.6, 58.3)
STEADY_COUNT = 8
NOISES = (0.1, 0.3)
"""Lengths are even within this share of their middle."""
CHANGES = ((2.5, 13.7), (13.7, 2.5), (2.5, 8.4), (8.4, 2.5), (8.4, 30.0), (30.0, 8.4))
BEFORE_CHANGE, AFTER_CHANGE = 20, 20
CHANGE_NOISE = 0.1
APART_SECONDS = 150.0
"""Answers begin so far apart: each is alone, and has ended before the next."""


@dataclass(frozen=True, slots=True)
class Case:
    """Answers one after the other: lengths known before the first, lengths shown, how many of these come before a change."""

    name: str
    known: Sequence[float]
    shown: Sequence[float]
    before: int = 0


def cases(mix: Sequence[float]) -> list[Case]:
    """Return all that is looked at. `mix`: seconds of answers of all lengths, one after the other."""
    rng = random.Random(1)  # noqa: S311 - lengths

    def near(seconds: float, noise: float, count: int) -> list[float]:
        return [seconds * rng.uniform(1 - noise, 1 + noise) for _ in range(count)]

    found = [
        Case(f"{seconds:g} s, {noise:.0%}", near(seconds, noise, RECENT), near(seconds, noise, STEADY_COUNT))
        for seconds in STEADY_SECONDS
        for noise in NOISES
    ]
    found.append(Case("mix", [], mix))
    found += [
        Case(
            f"{first:g} s, then {then:g} s",
            [],
            near(first, CHANGE_NOISE, BEFORE_CHANGE) + near(then, CHANGE_NOISE, AFTER_CHANGE),
            BEFORE_CHANGE,
        )
        for first, then in CHANGES
    ]
    return found


def row_of(place: Place, case: Case) -> dict[str, Any]:
    """Run a case both ways: staleness by limit, cold and warm; the first answer after the change, warm by cold; final lags."""
    answers = [
        shaken_times(seconds, random.Random(number), start=number * APART_SECONDS)  # noqa: S311 - jitter
        for number, seconds in enumerate(case.shown)
    ]
    limits = [chat_limit(times, place.edit, create_apart=place.create is not None) for times in answers]
    lengths = Lengths()
    for seconds in case.known:
        lengths.learn(KINDS, seconds)
    cold = simulate(Bridge, place, answers)
    warm = simulate(partial(Bridge, lengths=lengths), place, answers)
    row: dict[str, Any] = {"platform": place.name, "lengths": case.name}
    for name, run in (("cold", cold), ("warm", warm)):
        row[name] = _staleness(run) / sum(limits)
    row["warm/cold"] = _staleness(warm) / _staleness(cold)
    row["first after"] = warm.outcomes[case.before].staleness / cold.outcomes[case.before].staleness if case.before else None
    for name, run in (("cold", cold), ("warm", warm)):
        lags = [one.lag for one in run.outcomes]
        row |= {f"{name} lag p50": percentile(lags, 0.5), f"{name} lag p95": percentile(lags, 0.95)}
    return row | {"429s": cold.floods + warm.floods}


def _staleness(run: Run) -> float:
    return sum(one.staleness for one in run.outcomes)
