"""The sandbox as a process of its own: `python -m bench.world`, so that what it costs is not counted as the bridge's.

Prints one JSON object with the environment variables that point a bridge at it, then answers each line of standard input with a line, both
JSON objects, until standard input closes:

    {"do": "accepting"}               → {"discord": t, "telegram": t, "commands": t}: epoch seconds at which each took events, was synced
    {"do": "ask", "platform": name}   → {"seconds": s}: from a person's question to the first text of the bot in that chat
    {"do": "forget"}                  → {}: waits until no bot is connected, and forgets the calls so far
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

from sandbox.outside import Outside
from sandbox.providers import ScriptedVoice

PATIENCE_SECONDS = 60.0
POLL_SECONDS = 0.005


class Control:
    """Carries out the lines."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        self._actions: dict[str, Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]] = {
            "accepting": self._accepting,
            "ask": self._ask,
            "forget": self._forget,
        }

    async def obey(self, line: bytes) -> dict[str, Any]:
        """Carry out one line; what goes wrong is the answer."""
        order = json.loads(line)
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await self._actions[order["do"]](order)
        except TimeoutError:
            return {"error": f"{order['do']}: it did not come about within {PATIENCE_SECONDS:g} s"}

    async def _accepting(self, _: dict[str, Any]) -> dict[str, Any]:
        discord, telegram = self._outside.discord, self._outside.telegram
        waits = (discord.connected(PATIENCE_SECONDS), telegram.connected(PATIENCE_SECONDS), self._synced())
        moments = await asyncio.gather(*(_moment(wait) for wait in waits))
        return dict(zip(("discord", "telegram", "commands"), moments, strict=True))

    async def _synced(self) -> None:
        while not any(call.status == 200 for call in self._outside.discord.calls_to("PUT", "/commands")):  # noqa: ASYNC110 - as below
            await asyncio.sleep(POLL_SECONDS)  # the stand-in has no event for it

    async def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        discord, telegram = self._outside.discord, self._outside.telegram
        answered = asyncio.Event()
        started = time.perf_counter()
        if order["platform"] == "discord":
            discord.on_change.append(lambda news: _note(answered, news, "message_create", ("author", discord.bot_id)))
            await discord.say(discord.channel_id, discord.user_id, "hello", mention=True)
        else:
            telegram.on_change.append(lambda news: _note(answered, news, "message", ("from", telegram.bot_id)))
            await telegram.say(telegram.user_id, telegram.user_id, "hello")
        await answered.wait()
        seconds = time.perf_counter() - started
        discord.on_change.clear()
        telegram.on_change.clear()
        return {"seconds": seconds}

    async def _forget(self, _: dict[str, Any]) -> dict[str, Any]:
        await self._outside.discord.disconnected(PATIENCE_SECONDS)
        for server in self._outside.servers:
            server.calls.clear()
        return {}


async def _moment(wait: Awaitable[None]) -> float:
    await wait
    return time.time()


def _note(answered: asyncio.Event, news: dict[str, Any], kind: str, author: tuple[str, Any]) -> None:
    if news["type"] == kind and news["message"][author[0]]["id"] == author[1]:
        answered.set()


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    async with Outside(voice=ScriptedVoice()) as outside:
        values = {**outside.platform_settings(), **outside.provider_settings()}
        print(json.dumps({name.upper(): str(value) for name, value in values.items()}), flush=True)
        control = Control(outside)
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            print(json.dumps(await control.obey(line)), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
