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
from pathlib import Path
from typing import Any

from bench import report, warm
from bench.answers import shaken_times
from bench.farside import PLACES, FarSide, Place
from bench.limit import chat_limit
from bench.mix import APART_SECONDS, READINGS, mixed_lengths, verdicts, yardstick
from bench.rules import Bridge, Rule, others, simulate
from bench.shared import Crowd, Shared, share

LENGTHS = (2.5, 8.4, 13.7, 23.7, 58.3)
"""Seconds of answers; none a multiple of a window."""
STAGGER_SECONDS, STARTS_SECONDS = 0.05, 20.0
"""Answers of a load begin one after the other, so far apart, all of them within so long."""
GROUPS = 100
"""A load of more chats begins in so many groups: those that run alike need one path in the limit."""
MIX_COUNT = 200
SAMPLE = 12
"""Of more answers of one length the own limits of so many stand for the others."""


@dataclass(frozen=True, slots=True)
class Load:
    """Answers that run together, and their limits without a round trip."""

    name: str
    answers: Sequence[Sequence[float]]
    alone: Sequence[float]
    shared: Shared


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
    shared = share(crowds, place.overall, rounds=rounds_for(answers[:: count // groups])) if crowded else Shared(alone, 0.0)
    return Load(f"{seconds:g} s", answers, [alone] * count, shared)


def rounds_for(answers: Sequence[Sequence[float]]) -> int:
    """Return how many adjustments of the prices a load is worth: about ten million steps."""
    return max(100, min(300, 10_000_000 // sum(map(len, answers))))


def mixed_load(place: Place, count: int) -> Load:
    """Return answers of mixed lengths, each alone: they begin far apart."""
    answers = [_shaken(seconds, number, APART_SECONDS) for number, seconds in enumerate(mixed_lengths(count))]
    alone = [own_limit(place, times) for times in answers]
    return Load("mix", answers, alone, Shared(sum(alone) / count, 0.0))


def rows_of(place: Place, load: Load, rules: dict[str, Callable[[FarSide], Rule]], round_trip: float) -> list[dict[str, Any]]:
    """Run a load under each rule."""
    rows = []
    for name, rule in rules.items():
        run = simulate(rule, place, load.answers, round_trip=round_trip)
        alone = [limit + round_trip / 2 for limit in load.alone]
        head = {"platform": place.name, "round trip": round_trip, "N": len(load.answers), "length": load.name, "rule": name}
        rows.append(head | report.figures(run, alone, load.shared.limit + round_trip / 2, load.shared.first))
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
        lengths = mixed_lengths(MIX_COUNT)
        for name in arguments.platform or [*PLACES]:
            print(report.table([warm.row_of(PLACES[name], case) for case in warm.cases(lengths)]), end="\n\n", flush=True)
        return 0
    rules: dict[str, Callable[[FarSide], Rule]] = {"bridge": Bridge}
    if arguments.others:
        rules |= others()
    everything: list[dict[str, Any]] = []
    verdict: list[dict[str, Any]] = []
    for name in arguments.platform or [*PLACES]:
        place = PLACES[name]
        judged: list[dict[str, Any]] = []
        loads = [even_load(place, count, seconds) for count in arguments.n for seconds in arguments.lengths]
        rows = [row for trip in arguments.round_trip for load in loads for row in rows_of(place, load, rules, trip)]
        if not arguments.no_mix:
            load = mixed_load(place, MIX_COUNT)
            mixed = rows_of(place, load, rules, 0.0)
            best = [yardstick(place, load.answers, load.alone, reading) for reading in READINGS]
            head = {"platform": name, "round trip": 0.0, "N": MIX_COUNT, "length": "mix"}
            rows += mixed + [head | {"rule": f"best blind, {one.reading}"} | dict(one.columns) for one in best]
            judged = verdicts({"platform": name}, mixed[0], best)
        print(report.table(rows), end="\n\n", flush=True)
        if judged:
            print(report.table(judged), end="\n\n", flush=True)
        everything += rows
        verdict += judged
    if arguments.json:
        report.write(arguments.json, {"rows": everything, "mix": verdict})
    return 0


if __name__ == "__main__":
    sys.exit(main())
