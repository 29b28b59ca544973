"""Start-up time and idle memory of the bridge: `python -m bench.startup [--rounds N] [--json] [--strict]`.

Each round starts the bridge twice against the sandbox in another process, with a clean environment and an empty database: once as an
operator would, `python -m bot.cli run`, and once with a halt between the imports of libraries and everything else. What is reported:

both intakes accept     from starting the process until Discord's gateway has sent READY and Telegram's first getUpdates is waiting, as the
                        stand-ins see it; "by its own log" is the same by the bridge's lines "… is accepting messages"
interpreter, libraries  second start: until every module is imported that `bot.app` and both platforms import and that is not ours, standard
                        library included
our own work            second start: from there until both intakes accept. It holds the import of our modules, the settings, the database,
                        the log-ins with the stand-ins' share of them, and whatever libraries do when they are used
memory                  3 s after both intakes accept: resident (RSS, which the limit is about), shared pages divided by their users (PSS),
                        and private ones (USS)
answers                 from a person's message to the bot's first text in the chat: the first question after the start, and the next one

One round more than reported is run first, so that compiled bytecode is there. Times depend on what else the machine does; memory does not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from bench.processes import LINE_SECONDS, BenchError, Running, World, bridge, environment, processor_seconds, world

SETTLE_SECONDS = 3.0
"""After both intakes accept, memory is read so much later."""
OURS = ("bot", "adapters", "storage", "bench", "sandbox")
OWN_MODULES = ("bot.cli", "bot.app", "bot.platforms.discord", "bot.platforms.telegram", "bot.render.discord", "bot.render.telegram")

LIST_MODULES = f"""
import sys
before = set(sys.modules)
import {", ".join(OWN_MODULES)}
print(" ".join(name for name in sys.modules if name not in before and name.split(".")[0] not in {OURS!r}))
"""
"""Prints what the bridge imports beside its own modules, in the order of import."""

IN_TWO_STEPS = f"""
import importlib, sys, time
for name in sys.argv[1:]:
    importlib.import_module(name)
libraries, used = time.time(), time.process_time()
import {", ".join(OWN_MODULES)}
print(libraries, used, time.time(), flush=True)
sys.exit(bot.cli.main(["run"]))
"""
"""Runs the bridge. Prints first when the libraries were imported, the processor time until then, and when our modules were imported."""


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: a measure, its unit and its limit."""

    key: str
    title: str
    unit: str
    limit: float | None = None


ROWS = (
    Row("total", "both intakes accept", "s", 2.5),
    Row("libraries", "  interpreter, libraries", "s"),
    Row("own", "  our own work", "s", 1.0),
    Row("own_import", "    of it, our own imports", "s"),
    Row("own_cpu", "    in processor time", "s"),
    Row("discord", "Discord accepts", "s"),
    Row("telegram", "Telegram accepts", "s"),
    Row("commands", "command tree is synced", "s"),
    Row("logged", "both accept, by its own log", "s"),
    Row("rss", "idle memory, RSS", "MB", 120.0),
    Row("pss", "idle memory, PSS", "MB"),
    Row("uss", "idle memory, USS", "MB"),
    Row("first_discord", "first answer on Discord", "s"),
    Row("first_telegram", "first answer on Telegram", "s"),
    Row("warm_discord", "next answer on Discord", "s"),
    Row("warm_telegram", "next answer on Telegram", "s"),
)
"""Limits: start to both intakes accepting at most 2.5 s, of which our own work at most 1 s; idle memory under 120 MB."""


async def measure(outside: World, modules: Sequence[str]) -> dict[str, float]:
    """Run one round; return each row's value."""
    return {**await _plain_start(outside), **await _start_in_two_steps(outside, modules)}


async def _plain_start(outside: World) -> dict[str, float]:
    async with _bridge(outside, "-m", "bot.cli", "run") as running:
        moments = {key: moment - running.started for key, moment in (await outside.do("accepting")).items()}
        await asyncio.sleep(SETTLE_SECONDS)
        found = {**moments, "total": max(moments["discord"], moments["telegram"]), **_memory(running.process.pid)}
        for kind in ("first", "warm"):
            for platform in ("discord", "telegram"):
                found[f"{kind}_{platform}"] = (await outside.do("ask", {"platform": platform}))["seconds"]
        return {**found, **_logged(running.log.read_text(), running.started)}


async def _start_in_two_steps(outside: World, modules: Sequence[str]) -> dict[str, float]:
    async with _bridge(outside, "-c", IN_TWO_STEPS, *modules) as running:
        assert running.process.stdout is not None
        accepting = await outside.do("accepting")
        used = processor_seconds(running.process.pid)
        words = (await asyncio.wait_for(running.process.stdout.readline(), LINE_SECONDS)).split()
        libraries, used_by_libraries, imported = (float(word) for word in words)
        found = {"libraries": libraries - running.started, "own_import": imported - libraries}
        found["own"] = max(accepting["discord"], accepting["telegram"]) - libraries
        return found if used is None else {**found, "own_cpu": used - used_by_libraries}


@asynccontextmanager
async def _bridge(outside: World, *arguments: str) -> AsyncIterator[Running]:
    """Run a bridge until the block ends; the sandbox then forgets it."""
    async with bridge(outside.environment, *arguments) as running:
        yield running
    await outside.do("forget")


async def _output(arguments: Sequence[str], values: dict[str, str], folder: Path) -> list[str]:
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, env=values, cwd=folder, stdout=PIPE)
    out, _ = await asyncio.wait_for(process.communicate(), LINE_SECONDS)
    if process.returncode:
        raise BenchError(f"an interpreter that only imports ended with {process.returncode}")
    return out.decode().split()


def _memory(pid: int) -> dict[str, float]:
    """Return RSS, PSS and USS in MB (10^6 bytes), nothing where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    except OSError:
        return {}
    kilobytes = {name: int(value) for name, value in re.findall(r"^(\w+):\s+(\d+) kB$", text, re.MULTILINE)}
    private = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
    return {key: value * 1024 / 1e6 for key, value in (("rss", kilobytes["Rss"]), ("pss", kilobytes["Pss"]), ("uss", private))}


def _logged(log: str, started: float) -> dict[str, float]:
    stamps = re.findall(r"^(\S+Z) .*is accepting messages", log, re.MULTILINE)
    return {"logged": max(datetime.fromisoformat(stamp).timestamp() for stamp in stamps) - started} if len(stamps) == 2 else {}


async def run(rounds: int) -> list[dict[str, float]]:
    """Measure; the first round, which compiles, is left out."""
    async with world() as outside:
        with tempfile.TemporaryDirectory(prefix="dragoman-bench-") as folder:
            modules = await _output(["-c", LIST_MODULES], environment(outside.environment, Path(folder)), Path(folder))
        measured = []
        for number in range(rounds + 1):
            measured.append(await measure(outside, modules))
            if sys.stderr.isatty():
                print(f"round {number} of {rounds}: {measured[-1]['total']:.2f} s", file=sys.stderr)
    return measured[1:]


@dataclass(frozen=True, slots=True)
class Finding:
    """What came out for one row."""

    row: Row
    median: float
    worst: float

    @property
    def over(self) -> bool:
        """The median is beyond the limit."""
        return self.row.limit is not None and self.median > self.row.limit

    def __str__(self) -> str:
        word = "" if self.row.limit is None else f"  {'over' if self.over else 'ok'} (limit {self.row.limit:g} {self.row.unit})"
        digits = 1 if self.row.unit == "MB" else 3
        return f"{self.row.title:<30}{self.median:>9.{digits}f}{self.worst:>9.{digits}f} {self.row.unit:<2}{word}".rstrip()


def findings(measured: Sequence[dict[str, float]]) -> list[Finding]:
    """Return the median and the worst of each row that could be measured."""
    columns = {row: [values[row.key] for values in measured if row.key in values] for row in ROWS}
    return [Finding(row, statistics.median(values), max(values)) for row, values in columns.items() if values]


def main() -> int:
    """Measure, print, and return the exit code: 1 if memory, or with --strict anything, is beyond its limit."""
    parser = argparse.ArgumentParser(prog="python -m bench.startup", description="Measure the bridge on the sandbox.")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--strict", action="store_true", help="fail over a limit of time, too, not of memory alone")
    arguments = parser.parse_args()
    try:
        found = findings(asyncio.run(run(arguments.rounds)))
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(
            json.dumps({it.row.key: {"median": it.median, "worst": it.worst, "unit": it.row.unit, "limit": it.row.limit} for it in found})
        )
    else:
        print(f"{f'median and worst of {arguments.rounds} rounds':<30}{'median':>9}{'worst':>9}", *found, sep="\n")
    return int(any(it.over and (arguments.strict or it.row.unit == "MB") for it in found))


if __name__ == "__main__":
    sys.exit(main())
