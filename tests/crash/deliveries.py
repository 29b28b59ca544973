"""Deliveries that no platform should make, and some do: the same event thousands of times, and events that can't be read."""

from __future__ import annotations

from dataclasses import dataclass

from tests.crash.processes import Bot, World
from tests.crash.rounds import Runner, Tally

PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, slots=True)
class Delivered:
    """What came of it.

    Attributes:
        counts: How many odd deliveries were made, by platform.
        turns: How many turns there are.
        set_aside: How many events could not be read and are kept as such.
    """

    tally: Tally
    counts: dict[str, int]
    turns: int
    set_aside: int

    @property
    def problems(self) -> list[str]:
        """What must not be."""
        return self.tally.problems

    def __str__(self) -> str:
        return f"{self.counts}: {self.turns} turns, set aside {self.set_aside}\n{self.tally}"


async def duplicates(outside: World, bot: Bot, times: int) -> Delivered:
    """Ask in every chat, deliver all that was said again and again, `times` in all, ask once more: that is answered, and nothing else."""
    runner = Runner(outside, bot, seed=11)
    await runner.begin()
    await runner.settle(await runner.ask(everywhere=True))
    counts = await outside.do("repeat", times=times)
    await runner.settle(await runner.ask(everywhere=True), PATIENCE_SECONDS)
    return await _judged(runner, bot, counts)


async def poisoned(outside: World, bot: Bot, seed: int, count: int) -> Delivered:
    """Deliver mutated events while questions are asked, and a frame that is no JSON; whatever else comes is answered."""
    runner = Runner(outside, bot, seed=seed)
    await runner.begin()
    await outside.do("material")
    asked = await runner.ask(everywhere=True)
    half = await outside.do("poison", seed=seed, count=count // 2)
    asked += await runner.ask(everywhere=True)
    rest = await outside.do("poison", seed=seed + 1, count=count - count // 2)
    asked += await runner.ask(everywhere=True)
    await runner.settle(asked, PATIENCE_SECONDS)
    await outside.do("frame", text="{")
    await bot.ready()
    await runner.settle(await runner.ask("telegram"), PATIENCE_SECONDS)
    await outside.do("accepting", seconds=PATIENCE_SECONDS)
    await runner.settle(await runner.ask(everywhere=True), PATIENCE_SECONDS)
    return await _judged(runner, bot, {name: half[name] + rest[name] for name in half})


async def _judged(runner: Runner, bot: Bot, counts: dict[str, int]) -> Delivered:
    await bot.end()
    remains = bot.read()
    return Delivered(await runner.judge(), counts, remains.turns, remains.set_aside)
