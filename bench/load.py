"""The whole bridge under load: `make bench`, or `python -m bench.load`.

The sandbox and the bridge run as two processes over real sockets, the bridge as a user starts it (`python -m bot.cli run`). One clock of
the sandbox's process says when each token was emitted and when each text became visible. Columns, in seconds unless said otherwise:

complete      answers that stand whole and exact, in one message, without another beside it
first         from the first token's emission to the first visible text
staleness     mean over the tokens from emission to being visible
limit         the least staleness any schedule could reach for the very moments at which the tokens were emitted, knowing the end in
              advance (`bench.limit`, `bench.shared`), and half a round trip
ratio         staleness by limit; "mean ratio" is the mean of each answer's own
lag           from the last token's emission to the whole text
calls         creates, edits and deletions for each answer
429s          refused calls
CPU           milliseconds of processor time of the bridge for each 1,000 tokens, everything from the question on
memory        most that was ever resident, MB
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench import report
from bench.answers import Outcome, Seen, outcome
from bench.farside import PLACES
from bench.limit import chat_limit
from bench.processes import BenchError, World, bridge, peak_megabytes, processor_seconds, world
from bench.rules import Run
from bench.schedules import rounds_for
from bench.shared import Crowd, shared_limit
from bench.stage import Found, Load, Told

SPREAD_SECONDS, LONGEST_SPREAD_SECONDS = 0.05, 20.0
"""Questions of a load come at random moments within so many seconds for each of them, and within 20 s in all."""
LIMITS_EXACT = 12
"""Of answers alike, the limits of so many are computed; the others have their mean."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A load that was run: what was seen of it, and what it cost the bridge."""

    load: Load
    found: Found
    cpu: float | None
    memory: float | None


async def run(load: Load) -> Measured:
    """Run one load with a sandbox and a bridge of its own."""
    async with world("bench.stage") as outside:
        await outside.do(do="prepare", **asdict(load))
        async with bridge(outside.environment, "-m", "bot.cli", "run") as running:
            await outside.do(do="ready")
            pid = running.process.pid
            before = processor_seconds(pid)
            found = await go(outside, load)
            after = processor_seconds(pid)
            cpu = None if before is None or after is None else after - before
            return Measured(load, found, cpu, peak_megabytes(pid))


async def go(outside: World, load: Load) -> Found:
    """Run a prepared load; return what was seen."""
    longest = max(load.starts) + max(load.lengths) + load.patience + 60.0
    with tempfile.TemporaryDirectory(prefix="dragoman-bench-") as folder:
        file = Path(folder) / "found.json"
        await outside.do(do="go", file=str(file), patience=longest)
        raw: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return Found(**{**raw, "told": [Told(**told) for told in raw["told"]]})


def starts(count: int, *, within: float | None = None, seed: int = 1) -> list[float]:
    """Return moments at which so many questions are asked: at random, so that neither tokens nor ends come in step."""
    rng = random.Random(seed)  # noqa: S311 - moments
    span = min(LONGEST_SPREAD_SECONDS, SPREAD_SECONDS * count) if within is None else within
    return sorted(rng.uniform(0.0, span) for _ in range(count))


def even(place: str, count: int, seconds: float, round_trip: float) -> Load:
    """Return a load of answers of one length."""
    return Load(place, starts(count), [seconds] * count, round_trip=round_trip)


def outcomes(found: Found) -> list[Outcome]:
    """Measure each answer. One that does not stand whole, once and alone is not complete."""
    measured = []
    for told in found.told:
        one = outcome(told.emitted, [Seen(moment, count) for moment, count in told.seen]) if told.emitted else None
        if one is None:
            measured.append(Outcome(complete=False, staleness=float("inf"), first=float("inf"), lag=float("inf")))
        else:
            measured.append(replace(one, complete=one.complete and told.whole == 1 and not told.others))
    return measured


def limits(measured: Measured) -> tuple[list[float], float]:
    """Return the least staleness of each answer in a chat of its own, and the least mean of them all."""
    place, found = PLACES[measured.load.place], measured.found
    answers = [told.emitted for told in found.told]
    alike = len(set(measured.load.lengths)) == 1 and len(answers) > LIMITS_EXACT
    sample = answers[:: max(1, len(answers) // LIMITS_EXACT)] if alike else answers
    exact = [chat_limit(times, place.edit, create_apart=place.create is not None) for times in sample]
    alone = [sum(exact) / len(exact)] * len(answers) if alike else exact
    mean = sum(alone) / len(alone)
    crowded = len(answers) * place.edit.calls / place.edit.seconds > place.overall.calls / place.overall.seconds / 2
    if not crowded or not all(answers):
        return alone, mean
    crowds = [Crowd(times, 1, limit) for times, limit in zip(answers, alone, strict=True)]
    return alone, shared_limit(crowds, place.overall, rounds=rounds_for(answers))


def row(measured: Measured, name: str) -> dict[str, Any]:
    """Return a line of the table."""
    load, found = measured.load, measured.found
    alone, shared = limits(measured)
    half = load.round_trip / 2
    calls = sum(told.calls for told in found.told)
    figures = report.figures(Run(outcomes(found), calls, found.refused), [limit + half for limit in alone], shared + half)
    tokens = sum(len(told.emitted) for told in found.told)
    cost = {
        "CPU": None if measured.cpu is None else 1e6 * measured.cpu / max(1, tokens),
        "memory": measured.memory,
    }
    sandbox = {"sandbox busy": found.busy, "tokens late": found.late}
    head = {"platform": load.place, "round trip": load.round_trip, "N": len(load.starts), "length": name}
    return head | figures | cost | sandbox


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description="The whole bridge under load.")
    parser.add_argument("--platform", choices=[*PLACES], action="append", help="only this one; may be repeated")
    parser.add_argument("--n", type=int, nargs="*", default=[1, 10, 100], help="answers at the same time (default: 1 10 100)")
    parser.add_argument("--lengths", type=float, nargs="*", default=[2.5, 8.4, 13.7, 58.3], help="seconds of an answer")
    parser.add_argument("--round-trip", type=float, nargs="*", default=[0.0, 0.12], help="seconds (default: 0 0.12)")
    arguments = parser.parse_args(argv)
    rows = []
    try:
        for place in arguments.platform or ["discord", "telegram"]:
            for trip in arguments.round_trip:
                for count in arguments.n:
                    for seconds in arguments.lengths:
                        rows.append(row(asyncio.run(run(even(place, count, seconds, trip))), f"{seconds:g} s"))
                        print(report.markdown(rows[-1:]), flush=True)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    print(report.markdown(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
