"""The tables of `bench.load`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from bench.answers import percentile
from bench.clients import RULES
from bench.farside import PLACES
from bench.measuring import Measured, even, figures, limits, outcomes, run, run_all, run_client, several, starts, warmed
from bench.mix import MEDIAN_SECONDS, READINGS, SIGMA, Yardstick, mixed_lengths, verdicts, yardstick
from bench.reference import parse_milliseconds
from bench.stage import Found, Load
from bot.lengths import RECENT

LENGTHS = (2.5, 8.4, 13.7, 58.3)
"""Seconds of answers; none a multiple of a window."""
COUNTS = (1, 10, 100)
ROUND_TRIP = 0.12
WARM_COUNTS, LONGEST_WARM = (1, 10), 20.0
"""So many answers, up to so many seconds, are measured once more by a bridge that has shown answers of such lengths before."""
LONGEST_WITH_ROUND_TRIP = 20.0
"""With a round trip only answers up to so many seconds are measured: the whole is to take less than an hour."""
CROWD, CROWD_SECONDS, CROWD_SPREAD_SECONDS = 1000, 9.95, 20.0
"""1,000 answers of 200 tokens, begun within 20 s."""
MIX_COUNT, MIX_ANSWERS = 10, 100
"""So many at the same time, so many in all."""
GROUP_SECONDS = 58.3
TROUBLED, TROUBLED_SECONDS = 10, 23.7
STOPPED, STOP_AFTER_SECONDS, STOPPED_SECONDS = 10, 3.3, 58.3
THINKING, THINKING_SECONDS = 100, 2.0
OTHERS_SECONDS = 13.7


@dataclass(frozen=True, slots=True)
class Choice:
    """What is measured. None: what belongs to the table."""

    platforms: Sequence[str]
    counts: Sequence[int] | None = None
    lengths: Sequence[float] | None = None
    round_trips: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """A table, and which promises it saw broken: those that hold on a slow machine, too.

    `judged`: what was asked beside what is possible.
    """

    title: str
    rows: Sequence[Mapping[str, Any]]
    broken: Sequence[str] = field(default_factory=list)
    judged: Sequence[Mapping[str, Any]] = field(default_factory=list)


def _broken(name: str, measured: Measured) -> list[str]:
    """Tell of answers that are not complete and of calls that were refused for no other reason than the bridge's pace."""
    found = measured.found
    said = []
    missing = [told for told, one in zip(found.told, outcomes(found), strict=True) if not one.complete]
    if missing:
        twice = sum(told.whole > 1 or told.strays > 0 for told in missing)
        said.append(
            f"{name}: {len(missing)} of {len(found.told)} answers are not complete, {twice} of them stand twice or in part beside it"
        )
    if found.refused > found.injected:
        said.append(f"{name}: {found.refused - found.injected} calls were refused with 429")
    if found.early:
        said.append(f"{name}: {found.early} calls came before the time that was told was over")
    return said


def _label(load: Load, length: str) -> str:
    return f"{load.place}, N = {len(load.starts)}, {length}, round trip {load.round_trip:g} s"


async def _rows(loads: Sequence[tuple[int, str, Load]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the lines of loads: answers at the same time, what is said of their length, the load."""
    measured = await run_all([(load, partial(run, load)) for _, _, load in loads])
    with ProcessPoolExecutor(max_workers=2) as pool:  # nothing is measured any more
        columns = list(pool.map(figures, measured))
    rows, broken = [], []
    for (count, length, load), one, found in zip(loads, measured, columns, strict=True):
        head = {"platform": load.place, "round trip": load.round_trip, "N": count, "length": length}
        rows.append(head | found)
        broken += _broken(_label(one.load, length), one)
    return rows, broken


async def answers(choice: Choice) -> Made:
    """Measure answers of one length, each in its own chat: by a bridge that was just started, and by one that knows such answers."""
    loads = []
    for place in choice.platforms:
        for trip in choice.round_trips or (0.0, ROUND_TRIP):
            lengths = choice.lengths or [length for length in LENGTHS if not trip or length <= LONGEST_WITH_ROUND_TRIP]
            loads += [
                (count, f"{seconds:g} s", several(place, count, seconds, trip)) for count in choice.counts or COUNTS for seconds in lengths
            ]
        loads += [
            (count, f"{seconds:g} s, {RECENT} such before", warmed(several(place, count, seconds)))
            for count in WARM_COUNTS
            for seconds in choice.lengths or LENGTHS
            if count in (choice.counts or COUNTS) and seconds <= LONGEST_WARM and 0.0 in (choice.round_trips or (0.0,))
        ]
    return Made("Answers", *await _rows(loads))


async def crowd(choice: Choice) -> Made:
    """Measure a thousand at once, on Discord."""
    trips = choice.round_trips or (0.0,)
    counts = choice.counts or (CROWD,)
    lengths = choice.lengths or (CROWD_SECONDS,)
    loads = [
        (f"{seconds:g} s", Load("discord", starts(count, within=CROWD_SPREAD_SECONDS), [seconds] * count, round_trip=trip, patience=150.0))
        for trip in trips
        for count in counts
        for seconds in lengths
    ]
    before = parse_milliseconds()
    measured = await run_all([(load, partial(run, load)) for _, load in loads])
    reference = (before + parse_milliseconds()) / 2
    rows, broken = [], []
    for (length, load), one in zip(loads, measured, strict=True):
        head = {"platform": load.place, "round trip": load.round_trip, "N": len(load.starts), "length": length}
        asked = percentile([told.waited for told in one.found.told], 0.95)
        sandbox = {"asked p95": asked, "sandbox busy": one.found.busy, "tokens late": one.found.late}
        rows.append(head | figures(one) | {"parse": reference} | sandbox)
        broken += _broken(_label(load, length), one)
    words = (
        '"parse": milliseconds of processor time for json.loads of 1,000 chunks, on this machine now',
        '"sandbox busy": share of a processor',
        '"tokens late": 99 % were emitted so soon after their due time',
    )
    return Made(f"A crowd ({'; '.join(words)})", rows, broken)


async def groups(choice: Choice) -> Made:
    """Measure Telegram groups."""
    counts = choice.counts or (1, 10)
    lengths = choice.lengths or (8.4, GROUP_SECONDS)
    trips = choice.round_trips or (0.0,)
    loads = [(n, f"{s:g} s", several("telegram group", n, s, trip)) for trip in trips for n in counts for s in lengths]
    return Made("Groups on Telegram: 20 calls a minute", *await _rows(loads))


async def thinking(choice: Choice) -> Made:
    """Measure a model that thinks before it speaks: typing indicators take part of the overall budget."""
    counts, lengths = choice.counts or (THINKING,), choice.lengths or (8.4,)
    loads = [
        (n, f"{s:g} s", replace(even(place, n, s), thinking=THINKING_SECONDS))
        for place in choice.platforms
        for n in counts
        for s in lengths
    ]
    return Made(f"A model that thinks for {THINKING_SECONDS:g} s first: typing indicators go out", *await _rows(loads))


# ---------------------------------------------------------------------------------------------------- a mix of lengths


def _yardstick(load: Load, found: Found, reading: str) -> Yardstick:
    """Return the best schedule that does not know the end, for the moments at which the answers of a load were emitted."""
    answers = [told.emitted for told in found.told if told.emitted]
    return yardstick(PLACES[load.place], answers, limits(load, found)[0], reading)


async def mix(choice: Choice) -> Made:
    """Measure lengths as they come: log-normal, on the average so many at the same time."""
    lengths = mixed_lengths(MIX_ANSWERS)
    trips = choice.round_trips or (0.0,)
    counts = choice.counts or (MIX_COUNT,)
    loads = [
        (count, Load(place, starts(MIX_ANSWERS, within=sum(lengths) / count), lengths, round_trip=trip))
        for place in choice.platforms
        for trip in trips
        for count in counts
    ]
    measured = await run_all([(load, partial(run, load)) for _, load in loads])
    rows, judged, broken = [], [], []
    with ProcessPoolExecutor(max_workers=2) as pool:
        found = [pool.submit(figures, one) for one in measured]
        best = [
            [pool.submit(_yardstick, one.load, one.found, reading) for reading in READINGS if not one.load.round_trip] for one in measured
        ]
        for (count, load), one, columns, beside in zip(loads, measured, found, best, strict=True):
            head = {"platform": load.place, "round trip": load.round_trip, "N": count}
            yardsticks = [future.result() for future in beside]
            rows.append({**head, "rule": "bridge", **columns.result()})
            rows += [{**head, "rule": f"best blind, {it.reading}", **it.columns} for it in yardsticks]
            judged += verdicts({"platform": load.place, "N": count}, columns.result(), yardsticks)
            broken += _broken(_label(load, "mix"), one)
    title = f"A mix of lengths: {MIX_ANSWERS} answers, log-normal, median {MEDIAN_SECONDS:g} s, sigma {SIGMA:g}"
    return Made(f"{title}; beside it the best schedules that do not know the end", rows, broken, judged)


# ------------------------------------------------------------------------------------------------- what others do


async def others(choice: Choice) -> Made:
    """Measure the rules used by others beside the bridge."""
    works: list[tuple[Load, Callable[[], Any]]] = []
    for place in choice.platforms:
        for count in choice.counts or (1, 10):
            for seconds in choice.lengths or (OTHERS_SECONDS,):
                load = even(place, count, seconds, (choice.round_trips or (0.0,))[0])
                works.append((load, partial(run, load)))
                works += [(load, partial(run_client, load, rule)) for rule in RULES]
    rows = []
    for one in await run_all(works):
        load = one.load
        head = {"platform": load.place, "N": len(load.starts), "length": f"{load.lengths[0]:g} s", "rule": one.rule}
        rows.append(head | {key: value for key, value in figures(one).items() if key not in {"CPU", "memory"}})
    return Made("The rules used by others, as programs of their own on the same sandbox", rows)


# ------------------------------------------------------------------------------------------------------- trouble


def _staleness(measured: Measured, *, without: int) -> float:
    kept = [one.staleness for place, one in enumerate(outcomes(measured.found)) if place != without]
    return sum(kept) / len(kept)


async def trouble(choice: Choice) -> Made:
    """Measure what goes wrong."""
    count = choice.counts[0] if choice.counts else TROUBLED
    seconds = choice.lengths[0] if choice.lengths else TROUBLED_SECONDS
    kinds = ["", "flood", "503", "cuts", "no via"]
    loads = [
        replace(even(place, count, seconds), trouble=kind)
        for place in choice.platforms
        for kind in kinds
        if not (kind == "no via" and place != "discord")
    ]
    rows, broken, usual = [], [], {}
    for one in await run_all([(load, partial(run, load)) for load in loads]):
        load, found, measured = one.load, one.found, outcomes(one.found)
        apart = _staleness(one, without=0)
        if not load.trouble:
            usual[load.place] = apart
        rows.append(
            {
                "platform": load.place,
                "trouble": load.trouble or "none",
                "complete": f"{sum(one.complete for one in measured)}/{count}",
                "first chat's lag": measured[0].lag,
                "others' staleness": apart,
                "against usual": apart / usual[load.place],
                "others' lag p95": percentile([one.lag for one in measured[1:]], 0.95),
                "refused by trouble": found.injected,
                "of them too early": found.early,
                "other 429s": found.refused - found.injected,
                "notices": sum(len(told.notices) for told in found.told),
            }
        )
        broken += _broken(f"{load.place}, {load.trouble or 'no trouble'}", one)
    kinds_said = "flood: the first chat alone, for 30 s; 503 on edits for 8 s; every third call cut for 8 s; 429s without Via for 5 s"
    return Made(f"Trouble, with {count} answers of {seconds:g} s. {kinds_said}", rows, broken)


async def stop(choice: Choice) -> Made:
    """Measure how soon the provider's socket is closed."""
    count = choice.counts[0] if choice.counts else STOPPED
    loads = [replace(even(place, count, STOPPED_SECONDS), stop_after=STOP_AFTER_SECONDS) for place in choice.platforms]
    rows, broken = [], []
    for one in await run_all([(load, partial(run, load)) for load in loads]):
        told = one.found.told
        closed = [it.closed - it.pressed for it in told if it.closed is not None and it.pressed is not None]
        kept = sum(it.partial for it in told)
        rows.append(
            {
                "platform": one.load.place,
                "N": count,
                "closed": f"{len(closed)}/{count}",
                "closed p50": percentile(closed, 0.5),
                "closed at most": max(closed, default=float("inf")),
                "partial kept and marked": f"{kept}/{count}",
                "429s": one.found.refused,
            }
        )
        if len(closed) < count or kept < count:
            broken.append(f"stop on {one.load.place}: {len(closed)} of {count} sockets closed, {kept} partial texts kept and marked")
    return Made("Stop: from the press (or command) to the provider's socket closed", rows, broken)


# --------------------------------------------------------------------------------------------------------- quick


async def quick(choice: Choice) -> Made:
    """Run a little of everything in little time."""
    rows: list[dict[str, Any]] = []
    broken: list[str] = []
    lengths = [2.5, 8.4, 13.7, 4.1, 6.6] * 2
    loads = []
    for place in choice.platforms:
        base = Load(place, starts(len(lengths)), lengths, patience=30.0)
        loads += [base, replace(base, round_trip=ROUND_TRIP), replace(base, trouble="cuts")]
    stopped = [Load(place, starts(5), [STOPPED_SECONDS] * 5, stop_after=STOP_AFTER_SECONDS) for place in choice.platforms]
    for one in await run_all([(load, partial(run, load)) for load in loads + stopped], at_once=3):
        load = one.load
        kind = "stop" if load.stop_after else load.trouble or "answers"
        head = {"platform": load.place, "round trip": load.round_trip, "N": len(load.starts), "what": kind}
        if load.stop_after:
            rows.append(head)
            if not all(told.closed is not None and told.partial for told in one.found.told):
                broken.append(f"stop on {load.place}: a socket stayed open, or a partial text was not kept and marked")
            continue
        rows.append(head | figures(one))
        broken += _broken(_label(load, kind), one)
    return Made("A short run; its figures are not looked at", rows, broken)
