"""The long run: `python -m tests.crash [--rounds N] [--seed N] [--only PART]`, or `make crash`. Exit code 1 if anything is wrong."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.crash.deliveries import Delivered, duplicates, poisoned
from tests.crash.processes import Bot, World, world
from tests.crash.rounds import Runner, Tally, plan
from tests.crash.trials import trials
from tests.crash.windows import windows

DUPLICATES, POISON = 10_000, 600
"""Deliveries, half of them on each platform; mutated events, on each."""

Part = Callable[[World, Bot], Awaitable[Tally | Delivered]]


def parts(rounds: int, seed: int) -> dict[str, Part]:
    """Return the parts of the run, by name."""
    return {
        "kills": lambda outside, bot: Runner(outside, bot, seed=seed, say=_say).play(plan(rounds, seed)),
        "windows": lambda outside, bot: windows(outside, bot, seed, _say),
        "trials": lambda outside, bot: Runner(outside, bot, seed=seed, say=_say).try_all(trials(seed)),
        "duplicates": lambda outside, bot: duplicates(outside, bot, DUPLICATES),
        "poison": lambda outside, bot: poisoned(outside, bot, seed, POISON),
    }


async def run(part: Part, mutation: str | None) -> Tally | Delivered:
    """Run a part in a world of its own."""
    with tempfile.TemporaryDirectory(prefix="dragoman-crash-") as name:
        async with world() as outside:
            bot = Bot(outside, Path(name), mutation=mutation)
            try:
                return await part(outside, bot)
            except BaseException:
                _say(bot.log)
                raise
            finally:
                await bot.end()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    """Run, print, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description="Kill the bridge again and again, and see what it owes.")
    parser.add_argument("--rounds", type=int, default=208, help="kills, beside those of the trials (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=list(parts(0, 0)), help="one part of it")
    parser.add_argument("--mutation", help="a fault to put into the bridge, which the run has to find")
    arguments = parser.parse_args()
    bad = False
    for name, part in parts(arguments.rounds, arguments.seed).items():
        if arguments.only in {None, name}:
            begun = time.monotonic()
            found = asyncio.run(run(part, arguments.mutation))
            tally = found if isinstance(found, Tally) else found.tally
            _say("\n".join(tally.evidence))
            print(f"== {name}, seed {arguments.seed}, {time.monotonic() - begun:.0f} s\n{found}\n", flush=True)
            bad = bad or bool(found.problems)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
