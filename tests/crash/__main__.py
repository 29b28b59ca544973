"""The long run: `python -m tests.crash [--rounds N] [--seed N]`, or `make crash`. Exit code 1 if anything is wrong."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.processes import Bot, world
from tests.crash.rounds import Runner, Tally, plan


async def kills(rounds: int, seed: int, mutation: str | None) -> Tally:
    with tempfile.TemporaryDirectory(prefix="dragoman-crash-") as name:
        async with world() as outside:
            bot = Bot(outside, Path(name), mutation=mutation)
            try:
                return await Runner(outside, bot, seed=seed, say=_say).play(plan(rounds, seed))
            except BaseException:
                print(bot.log, file=sys.stderr)
                raise
            finally:
                await bot.end()


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description="Kill the bridge again and again, and see what it owes.")
    parser.add_argument("--rounds", type=int, default=208)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mutation")
    arguments = parser.parse_args()
    begun = time.monotonic()
    tally = asyncio.run(kills(arguments.rounds, arguments.seed, arguments.mutation))
    print(*tally.evidence, sep="\n", file=sys.stderr)
    print(f"{tally}\nin {time.monotonic() - begun:.0f} s, seed {arguments.seed}")
    return int(bool(tally.problems))


if __name__ == "__main__":
    sys.exit(main())
