"""Kills in windows that open only after something else went wrong.

A downtime longer than Discord's nonces live; a channel that lets the bot answer by the interaction alone; an answer that got shorter.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.crash.processes import Bot, World
from tests.crash.rounds import Round, Runner, Tally
from tests.crash.trials import BROKEN, CHAT

NONCE_SECONDS = 1.0
"""Discord's are shortened to this, so that a downtime can be longer."""
LONG = 900
"""Words of an answer that takes four messages on Discord."""
THREE_PAGES = 50
"""So many pieces of it (`tests.crash.talk.PIECES`) begin the third one."""
POINT_SECONDS = 60.0
FORGOTTEN = Round("before_record", "discord", stays=2 * NONCE_SECONDS)
BETWEEN = Round("before_create", "discord", stays=2 * NONCE_SECONDS)


async def follow_up(runner: Runner, outside: World, bot: Bot, *, history: bool, chat: str = "discord-1") -> None:
    """A kill after a follow-up of an interaction was made and before that was noted. No nonce tells, and without a `history` nothing."""
    await outside.do("bar", chat=chat, history=history)
    await bot.arm("after_follow_up", 1)
    asked = await runner.put(chat, LONG, slash=True)
    remains = await runner.dead("after_follow_up", POINT_SECONDS)
    if not history:
        runner.tally.unrecorded |= remains.unnoted
    await bot.start(points=True)
    await bot.ready()
    await runner.settle([asked])
    await outside.do("admit", chat=chat)
    runner.tally.rounds += 1


async def dead_row(runner: Runner, outside: World, bot: Bot, chat: str = "discord-0") -> None:
    """A kill after a page too many was deleted and before that was noted, and then the page is wanted again.

    The first attempt stalls and is killed when three of its pages stand there, the second one fails with a sentence, the third one answers.
    """
    await outside.do("fault", server="netmind", path=CHAT, times=1, stream="stall", after_pieces=THREE_PAGES, stall=2 * POINT_SECONDS)
    await bot.arm("after_record", 3)
    asked = await runner.put(chat, LONG)
    await runner.dead("after_record", POINT_SECONDS)
    await outside.do("mend")
    await outside.do("fault", server="netmind", path=CHAT, times=-1, status=500, body=BROKEN)
    await bot.start(points=True, at="before_drop:1")
    await runner.dead("before_drop", POINT_SECONDS)
    await outside.do("mend")
    await bot.start(points=True)
    await bot.ready()
    await runner.settle([asked])
    runner.tally.rounds += 1


async def windows(outside: World, bot: Bot, seed: int, say: Callable[[str], None] = lambda _: None, *, times: int = 3) -> Tally:
    """Go through all of them some times and judge."""
    await outside.do("nonces", seconds=NONCE_SECONDS)
    bot.nonce_seconds = 0.0
    runner = Runner(outside, bot, seed=seed, say=say)
    await runner.begin(points=True)
    for _ in range(times):
        await runner.round(FORGOTTEN, BETWEEN)
        await runner.round(BETWEEN, FORGOTTEN)
        await follow_up(runner, outside, bot, history=True)
        await follow_up(runner, outside, bot, history=False)
        await dead_row(runner, outside, bot)
        say(f"windows, {runner.tally.rounds} rounds, late={runner.tally.late}")
    await bot.end()
    return await runner.judge()
