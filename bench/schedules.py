"""Pacing in virtual time: `python -m bench.schedules`.

The bridge's own outbox and the rules used by others against the platforms' budgets, without sockets, in seconds. For tuning; what counts is
`bench.load`, which runs the whole bridge.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench import report, warm
from bench.answers import RATE, shaken_times, token_times
from bench.blind import Length, blind_schedule, log_normal
from bench.farside import PLACES, FarSide, Place
from bench.limit import chat_limit
from bench.rules import Bridge, Listed, Rule, others, simulate
from bench.shared import Crowd, shared_limit

LENGTHS = (2.5, 8.4, 13.7, 23.7, 58.3)
"""Seconds of answers; none a multiple of a window."""
MEDIAN_SECONDS, SIGMA, LONGEST_SECONDS = 6.0, 0.9, 60.0
"""The mix of lengths: log-normal."""
STAGGER_SECONDS, STARTS_SECONDS = 0.05, 20.0
"""Answers of a load begin one after the other, so far apart, all of them within so long."""
GROUPS = 100
"""A load of more chats begins in so many groups: those that run alike need one path in the limit."""
MIX_COUNT = 200
RIPPLE = 1.12
"""For the yardstick, limits of even answers are computed at lengths so much apart and read off between."""
SAMPLE = 12
"""Of more answers of one length the own limits of so many stand for the others."""


@dataclass(frozen=True, slots=True)
class Load:
    """Answers that run together, and their limits without a round trip."""

    name: str
    answers: Sequence[Sequence[float]]
    alone: Sequence[float]
    shared: float


@lru_cache(maxsize=256)
def limit_of(place: Place, seconds: float) -> float:
    """Return the limit of an answer of this length, with tokens at even moments, in its own chat."""
    return own_limit(place, token_times(seconds))


def near_limit(place: Place, seconds: float) -> float:
    """Return the limit read off between neighbouring lengths."""
    below = 0.2
    while below * RIPPLE < seconds:
        below *= RIPPLE
    low, high = limit_of(place, below), limit_of(place, below * RIPPLE)
    return low + (high - low) * (seconds - below) / (below * RIPPLE - below)


def own_limit(place: Place, times: Sequence[float]) -> float:
    """Return the limit of an answer in its own chat."""
    return chat_limit(times, place.edit, create_apart=place.create is not None)


def _shaken(seconds: float, number: int, apart: float) -> list[float]:
    return shaken_times(seconds, random.Random(number), start=number * apart)  # noqa: S311 - jitter


def even_load(place: Place, count: int, seconds: float) -> Load:
    """Return so many answers of one length."""
    groups = min(count, GROUPS)
    stagger = min(STAGGER_SECONDS, STARTS_SECONDS / count) * count / groups
    answers = [_shaken(seconds, chat * groups // count, stagger) for chat in range(count)]
    alone = sum(own_limit(place, times) for times in answers[:SAMPLE]) / min(count, SAMPLE)
    crowded = count * place.edit.calls / place.edit.seconds > place.overall.calls / place.overall.seconds / 2
    crowds = [Crowd(times, chats, alone) for times, chats in Counter(map(tuple, answers)).items()]
    shared = shared_limit(crowds, place.overall, rounds=rounds_for(answers[:: count // groups])) if crowded else alone
    return Load(f"{seconds:g} s", answers, [alone] * count, shared)


def rounds_for(answers: Sequence[Sequence[float]]) -> int:
    """Return how many adjustments of the prices a load is worth: about ten million steps."""
    return max(100, min(300, 10_000_000 // sum(map(len, answers))))


def mixed_load(place: Place, count: int, *, seed: int = 1) -> Load:
    """Return answers of mixed lengths, each alone: they begin far apart."""
    lengths = log_normal(MEDIAN_SECONDS, SIGMA, count, longest=LONGEST_SECONDS)
    random.Random(seed).shuffle(lengths)  # noqa: S311 - an order
    answers = [_shaken(seconds, number, 2 * LONGEST_SECONDS) for number, seconds in enumerate(lengths)]
    alone = [own_limit(place, times) for times in answers]
    return Load("mix", answers, alone, sum(alone) / count)


def blind_rule(place: Place, *, ratios: bool) -> Callable[[FarSide], Rule]:
    """Return the best schedule that doesn't know the end, for the mix: of the mean of the ratios, or of the ratio of the means."""
    lengths = log_normal(MEDIAN_SECONDS, SIGMA, 2 * MIX_COUNT, longest=LONGEST_SECONDS)
    known = [Length(seconds, 1 / len(lengths), near_limit(place, seconds) if ratios else 1.0) for seconds in lengths]
    ages = blind_schedule(known, RATE, place.edit, create_apart=place.create is not None)
    return lambda far: Listed(far, ages)


def rows_of(place: Place, load: Load, rules: dict[str, Callable[[FarSide], Rule]], round_trip: float) -> list[dict[str, Any]]:
    """Run a load under each rule."""
    rows = []
    for name, rule in rules.items():
        run = simulate(rule, place, load.answers, round_trip=round_trip)
        alone = [limit + round_trip / 2 for limit in load.alone]
        head = {"platform": place.name, "round trip": round_trip, "N": len(load.answers), "length": load.name, "rule": name}
        rows.append(head | report.figures(run, alone, load.shared + round_trip / 2))
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.schedules", description="Pacing in virtual time.")
    parser.add_argument("--platform", choices=[*PLACES], action="append", help="only this one; may be repeated")
    parser.add_argument("--n", type=int, nargs="*", default=[1, 10, 100], help="answers at the same time (default: 1 10 100)")
    parser.add_argument("--lengths", type=float, nargs="*", default=[*LENGTHS], help="seconds of an answer")
    parser.add_argument("--round-trip", type=float, nargs="*", default=[0.0, 0.12], help="seconds (default: 0 0.12)")
    parser.add_argument("--others", action="store_true", help="the rules used by others, too")
    parser.add_argument("--no-mix", action="store_true", help="leave out the mix of lengths")
    parser.add_argument("--warm", action="store_true", help="instead: what it is worth to know how long answers were lately")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    arguments = parser.parse_args(argv)
    if arguments.warm:
        lengths = log_normal(MEDIAN_SECONDS, SIGMA, MIX_COUNT, longest=LONGEST_SECONDS)
        random.Random(1).shuffle(lengths)  # noqa: S311 - an order
        for name in arguments.platform or [*PLACES]:
            print(report.table([warm.row_of(PLACES[name], case) for case in warm.cases(lengths)]), end="\n\n", flush=True)
        return 0
    rules: dict[str, Callable[[FarSide], Rule]] = {"bridge": Bridge}
    if arguments.others:
        rules |= others()
    everything: list[dict[str, Any]] = []
    for name in arguments.platform or [*PLACES]:
        place = PLACES[name]
        loads = [even_load(place, count, seconds) for count in arguments.n for seconds in arguments.lengths]
        rows = [row for trip in arguments.round_trip for load in loads for row in rows_of(place, load, rules, trip)]
        if not arguments.no_mix:
            yardsticks = {"best blind, ratios": blind_rule(place, ratios=True), "best blind, means": blind_rule(place, ratios=False)}
            rows += rows_of(place, mixed_load(place, MIX_COUNT), rules | yardsticks, 0.0)
        print(report.table(rows), end="\n\n", flush=True)
        everything += rows
    if arguments.json:
        report.write(arguments.json, {"rows": everything})
    return 0


if __name__ == "__main__":
    sys.exit(main())
