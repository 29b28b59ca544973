"""Runs loads and measures them: a sandbox and a bridge, or the client of another rule, as processes of their own."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import tempfile
from asyncio.subprocess import PIPE
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from bench import report
from bench.answers import Outcome, Seen, outcome
from bench.clients import Order
from bench.farside import PLACES
from bench.limit import chat_limit
from bench.processes import ROOT, BenchError, World, bridge, end, environment, peak_megabytes, processor_seconds, world
from bench.rules import Run
from bench.schedules import rounds_for
from bench.shared import Crowd, Shared, share
from bench.stage import Found, Load, Told
from bot.lengths import FEWEST, RECENT

SPREAD_SECONDS, LONGEST_SPREAD_SECONDS = 0.05, 20.0
"""Questions of a load come at random moments within so many seconds for each of them, and within 20 s in all."""
ALONE_SECONDS, LEAST_ALONE, PAUSE_SECONDS = 45.0, 2, 2.0
"""What one answer alone is like is the mean of some, one after the other with a pause between: as many as fit into so many seconds, two at
least, and no more than a bridge shows before it knows how long such answers are."""
LIMITS_EXACT = 12
"""Of answers alike, the limits of so many are computed; the others have their mean."""
LEAST_ROUNDS = 150
"""Adjustments of the prices of `bench.shared`: with 1,000 answers 50 give a bound 9 % too low, 150 one 2 % too low."""
LIGHT = 20
"""Loads of at most so many answers run some at a time."""
GRACE_SECONDS = 60.0
NEVER = Outcome(complete=False, staleness=float("inf"), first=float("inf"), lag=float("inf"))


@dataclass(frozen=True, slots=True)
class Measured:
    """A load that was run: what was seen of it, and what it cost.

    Attributes:
        rule: Who showed the answers.
        cpu: Processor seconds of the bridge or client.
        memory: The most it ever held, MB.
    """

    load: Load
    found: Found
    rule: str
    cpu: float | None
    memory: float | None


async def run(load: Load) -> Measured:
    """Run one load with a sandbox and a bridge of its own."""
    async with world("bench.stage") as outside:
        await outside.do("prepare", asdict(load))
        async with bridge(outside.environment, "-m", "bot.cli", "run") as running:
            await outside.do("ready")
            pid = running.process.pid
            before = processor_seconds(pid)
            found = await _go(outside, load)
            after = processor_seconds(pid)
            if after is None and running.process.returncode is not None:
                raise BenchError(f"the bridge ended with {running.process.returncode}")
            cpu = None if before is None or after is None or load.warm else after - before
            return Measured(*_measured_part(load, found), "bridge", cpu, peak_megabytes(pid))


def _measured_part(load: Load, found: Found) -> tuple[Load, Found]:
    """Leave out the answers that only told the bridge how long answers are; a call that was refused for one of them counts."""
    if any(told.whole != 1 for told in found.told[: load.warm]):
        raise BenchError("an answer that was not to be measured did not arrive whole and once")
    kept = slice(load.warm, None)
    return replace(load, starts=load.starts[kept], lengths=load.lengths[kept], warm=0), replace(found, told=found.told[kept])


async def run_client(load: Load, rule: str) -> Measured:
    """Run one load with a sandbox of its own and the client of another rule (`bench.clients`)."""
    load = replace(load, asked=False)
    async with world("bench.stage") as outside:
        prepared = await outside.do("prepare", asdict(load))
        discord = load.place == "discord"
        order = Order(rule, outside.environment, discord, prepared["chats"], prepared["first"], load.starts)
        with tempfile.TemporaryDirectory(prefix="dragoman-bench-") as folder:
            values = environment({}, Path(folder))
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.clients", stdin=PIPE, cwd=ROOT, env=values)
            try:
                assert process.stdin is not None
                process.stdin.write(json.dumps(asdict(order)).encode() + b"\n")
                going, ended = asyncio.ensure_future(_go(outside, load)), asyncio.ensure_future(process.wait())
                await asyncio.wait({going, ended}, return_when=asyncio.FIRST_COMPLETED)
                if process.returncode:
                    going.cancel()
                    raise BenchError(f"the client of the rule {rule} ended with {process.returncode}")
                found = await going
            finally:
                await end(process)
        return Measured(load, found, rule, None, None)


async def _go(outside: World, load: Load) -> Found:
    """Run a prepared load; return what was seen."""
    longest = max(load.starts) + max(load.lengths) + load.patience + GRACE_SECONDS
    with tempfile.TemporaryDirectory(prefix="dragoman-bench-") as folder:
        file = Path(folder) / "found.json"
        await outside.do("go", {"file": str(file)}, patience=longest)
        raw: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return Found(**{**raw, "told": [Told(**told) for told in raw["told"]]})


async def run_all(works: Sequence[tuple[Load, Callable[[], Awaitable[Measured]]]], *, at_once: int = 2) -> list[Measured]:
    """Run loads in order, small ones some at a time: they leave the processors idle nearly always."""
    measured: dict[int, Measured] = {}
    light = asyncio.Semaphore(at_once)

    async def small(place: int) -> None:
        async with light:
            measured[place] = await works[place][1]()

    few = [place for place, (load, _) in enumerate(works) if len(load.starts) <= LIGHT]
    try:
        async with asyncio.TaskGroup() as group:
            for place in few:
                group.create_task(small(place))
    except ExceptionGroup as failed:
        errors, others = failed.split(BenchError)
        if errors is None or others is not None:
            raise
        raise BenchError("\n".join(dict.fromkeys(str(error) for error in errors.exceptions))) from None
    for place, (_, work) in enumerate(works):
        if place not in measured:
            measured[place] = await work()
    return [measured[place] for place in range(len(works))]


def starts(count: int, *, within: float | None = None, seed: int = 1) -> list[float]:
    """Return moments at which so many questions are asked: at random, so that neither tokens nor ends come in step."""
    rng = random.Random(seed)  # noqa: S311 - moments
    span = min(LONGEST_SPREAD_SECONDS, SPREAD_SECONDS * count) if within is None else within
    return sorted(rng.uniform(0.0, span) for _ in range(count))


def even(place: str, count: int, seconds: float, round_trip: float = 0.0) -> Load:
    """Return a load of so many answers of one length at the same time."""
    return Load(place, starts(count), [seconds] * count, round_trip=round_trip)


def several(place: str, count: int, seconds: float, round_trip: float = 0.0) -> Load:
    """Return the same; where it would be one answer, some come one after the other, each in a chat of its own."""
    if count > 1:
        return even(place, count, seconds, round_trip)
    begins = [number * (seconds + PAUSE_SECONDS) for number in range(max(LEAST_ALONE, min(FEWEST, int(ALONE_SECONDS / seconds))))]
    return Load(place, begins, [seconds] * len(begins), round_trip=round_trip)


def warmed(load: Load, *, noise: float = 0.1, pause: float = 3.0) -> Load:
    """Return the same load after as many answers as the bridge remembers, of such lengths, give or take `noise`, have ended."""
    rng = random.Random(load.seed)  # noqa: S311 - lengths
    before = [rng.uniform(1 - noise, 1 + noise) * load.lengths[0] for _ in range(RECENT)]
    after = max(before) + load.thinking + pause
    return replace(
        load,
        starts=[*starts(RECENT), *(after + start for start in load.starts)],
        lengths=[*before, *load.lengths],
        warm=RECENT,
    )


def outcomes(found: Found) -> list[Outcome]:
    """Measure each answer. One that does not stand whole, once, and without a part of it beside it is not complete."""
    measured = []
    for told in found.told:
        one = outcome(told.emitted, [Seen(moment, count) for moment, count in told.seen]) if told.emitted else NEVER
        measured.append(replace(one, complete=one.complete and told.whole == 1 and not told.strays))
    return measured


def limits(load: Load, found: Found) -> tuple[list[float], Shared]:
    """Return the least staleness of each answer in a chat of its own, and what all of them could reach, without a round trip."""
    place = PLACES[load.place]
    answers = [told.emitted for told in found.told if told.emitted]
    if not answers:
        return [0.0], Shared(0.0, 0.0)
    alike = len(set(load.lengths)) == 1 and len(answers) > LIMITS_EXACT
    sample = answers[:: max(1, len(answers) // LIMITS_EXACT)] if alike else answers
    exact = [chat_limit(times, place.edit, create_apart=place.create is not None) for times in sample]
    alone = [sum(exact) / len(exact)] * len(answers) if alike else exact
    mean = sum(alone) / len(alone)
    if most_at_once(answers) * place.edit.calls / place.edit.seconds <= place.overall.calls / place.overall.seconds / 2:
        return alone, Shared(mean, 0.0)
    crowds = [Crowd(times, 1, limit) for times, limit in zip(answers, alone, strict=True)]
    return alone, share(crowds, place.overall, rounds=max(LEAST_ROUNDS, rounds_for(answers)))


def most_at_once(answers: Sequence[Sequence[float]]) -> int:
    """Return how many answers grow at the same time at most. `answers`: moments of their tokens."""
    ends = sorted(times[-1] for times in answers)
    return max(begun - bisect_left(ends, start) for begun, start in enumerate(sorted(times[0] for times in answers), 1))


def figures(measured: Measured) -> dict[str, Any]:
    """Return the columns of a load's line in a table."""
    load, found = measured.load, measured.found
    measured_outcomes = outcomes(found)
    alone, shared = limits(load, found)
    half = load.round_trip / 2
    calls = sum(told.calls for told in found.told)
    if len(alone) < len(measured_outcomes):  # some were never begun: nothing can be said of their limit
        alone = [shared.limit] * len(measured_outcomes)
    run = Run(measured_outcomes, calls, found.refused)
    columns = report.figures(run, [limit + half for limit in alone], shared.limit + half, shared.first)
    tokens = sum(len(told.emitted) for told in found.told)
    cpu = None if measured.cpu is None else 1e6 * measured.cpu / max(1, tokens)
    return {**columns, "CPU": cpu, "memory": measured.memory}
