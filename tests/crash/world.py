"""The sandbox as a process of its own: `python -m tests.crash.world`.

Prints one JSON object, then answers each line of standard input with a line, both JSON objects, until standard input closes. `Control`
lists the orders; what goes wrong is answered as ``{"error": …}``.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from bot.platforms.telegram.intake import ALLOWED_UPDATES
from sandbox.faults import Fault
from sandbox.outside import Outside
from sandbox.server import Call
from tests.crash.poison import broken_events, broken_updates
from tests.crash.talk import Question, Talker
from tests.crash.verdict import Asked, Said, is_told, is_whole

POLL_SECONDS = 0.02
LAST = 60
"""So many messages of a chat are looked at while an answer is awaited."""
HEARTBEAT_SECONDS = 5.0
"""Shorter than Discord's, so that a client's beats are part of a short run."""
FLOODED, CUT = 429, 499
"""Statuses that refuse nothing for good; the second is the stand-ins' own, for a connection that a fault cut."""
MAY_NOT_WRITE = 50013
"""Discord's code for a missing permission."""
MESSAGES, DIRECT = 1 << 9, 1 << 12
"""Intents of messages in servers and of direct ones."""


class Chats:
    """Ten chats: five on Discord (three channels, a thread, a direct one), five on Telegram (four private ones, a group)."""

    def __init__(self, outside: Outside) -> None:
        self._discord, self._telegram = outside.discord, outside.telegram
        self._places: dict[str, Any] = {}
        self._people: dict[str, Any] = {}

    async def make(self) -> None:
        discord, telegram = self._discord, self._telegram
        places = [discord.channel_id, *(discord.add_channel(discord.guild_id, name) for name in ("second", "third"))]
        places += [await discord.start_thread(discord.channel_id, "aside"), discord.open_dm(discord.user_id)]
        for number, place in enumerate(places):
            self._places[f"discord-{number}"], self._people[f"discord-{number}"] = place, discord.user_id
        people = [telegram.user_id, *(telegram.add_user(name) for name in ("bea", "cyd", "dan"))]
        for number, person in enumerate(people):
            self._places[f"telegram-{number}"], self._people[f"telegram-{number}"] = person, person
        self._places["telegram-4"], self._people["telegram-4"] = telegram.group_id, telegram.user_id

    @property
    def names(self) -> list[str]:
        return list(self._places)

    def place(self, chat: str) -> Any:
        return self._places[chat]

    async def say(self, chat: str, text: str) -> str:
        place, person = self._places[chat], self._people[chat]
        if chat.startswith("discord"):
            return str((await self._discord.say(place, person, text, mention=chat != "discord-4"))["id"])
        return str((await self._telegram.say(place, person, text, mention=place < 0))["message_id"])

    async def slash(self, chat: str, text: str) -> str:
        return str((await self._discord.slash(self._places[chat], self._people[chat], "ask", {"question": text})).id)

    def said(self, chat: str, last: int | None = None) -> list[Said]:
        place = self._places[chat]
        if chat.startswith("discord"):
            log = self._discord.messages(place, viewer=self._people[chat])[-last if last else None :]
            return [Said(one["id"], one["author"]["id"] == self._discord.bot_id, one["content"]) for one in log]
        log = self._telegram.messages(place)[-last if last else None :]
        return [Said(str(one["message_id"]), one["from"]["id"] == self._telegram.bot_id, one.get("text", "")) for one in log]


class Control:
    """Carries out the orders: every method that has no underscore, its parameters by name."""

    def __init__(self, outside: Outside, chats: Chats, talker: Talker) -> None:
        self._outside, self._chats, self._talker = outside, chats, talker
        self._updates: list[dict[str, Any]] = []
        self._events: list[tuple[str, dict[str, Any]]] = []

    async def obey(self, line: bytes) -> dict[str, Any]:
        order = json.loads(line)
        action: Callable[..., Awaitable[dict[str, Any]]] = getattr(self, order.pop("do"))
        try:
            return await action(**order)
        except (TimeoutError, LookupError, ValueError) as error:
            return {"error": f"{type(error).__name__}: {error}"}

    async def accepting(self, seconds: float) -> dict[str, Any]:
        """Wait until the bot takes events on both platforms and its commands are known."""
        await asyncio.gather(self._outside.discord.connected(seconds), self._outside.telegram.connected(seconds))
        async with asyncio.timeout(seconds):
            while not self._outside.discord.commands:  # noqa: ASYNC110 - the stand-in has no event for it
                await asyncio.sleep(POLL_SECONDS)
        return {}

    async def gone(self, seconds: float) -> dict[str, Any]:
        """Wait until the stand-ins have noticed that the bot is dead."""
        await self._outside.discord.disconnected(seconds)
        async with asyncio.timeout(seconds):
            while self._outside.telegram.polled:  # noqa: ASYNC110 - as above
                await asyncio.sleep(POLL_SECONDS)
        return {}

    async def ask(self, chat: str, text: str, *, slash: bool = False) -> dict[str, Any]:
        """Let a person say something; return the id of the message or interaction."""
        return {"id": await (self._chats.slash if slash else self._chats.say)(chat, text)}

    async def settled(self, asked: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
        """Wait until questions are answered in full or, where that counts, told about, and nothing shows that it waits.

        Returns the numbers of those that are not in time, and how many messages still show it.
        """
        missing = [_asked(one) for one in asked]
        end = asyncio.get_running_loop().time() + seconds
        while missing and asyncio.get_running_loop().time() < end:
            missing = [one for one in missing if not self._is_settled(one)]
            await asyncio.sleep(POLL_SECONDS)
        while (marked := self._marked()) and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110 - as above
            await asyncio.sleep(POLL_SECONDS)
        return {"missing": [one.question.number for one in missing], "marked": marked}

    def _marked(self) -> int:
        """Count the messages that show that they wait."""
        discord, telegram = self._outside.discord, self._outside.telegram
        on_telegram = sum(bool(emojis) for emojis in telegram.world.reactions.values())
        return on_telegram + sum(len(discord.reactions(channel)) for channel in discord.channels)

    def _is_settled(self, one: Asked) -> bool:
        said = self._chats.said(one.chat, LAST)
        return is_whole(said, one.question) or (one.failing and is_told(said, one))

    async def fault(self, server: str, **fault: Any) -> dict[str, Any]:
        """Add a fault to a stand-in."""
        getattr(self._outside, server).faults.add(Fault(**fault))
        return {}

    async def nonces(self, seconds: float) -> dict[str, Any]:
        """Let Discord forget a nonce so long after its message was made."""
        self._outside.discord.world.nonce_seconds = seconds
        return {}

    async def bar(self, chat: str, *, history: bool) -> dict[str, Any]:
        """Forbid the bot to write in one of Discord's channels, and perhaps to read its history. Interactions are answered all the same."""
        place = self._chats.place(chat)
        self._outside.discord.barred[place] = MAY_NOT_WRITE
        if not history:
            self._outside.discord.without_history.add(place)
        return {}

    async def admit(self, chat: str) -> dict[str, Any]:
        """Take that back."""
        place = self._chats.place(chat)
        self._outside.discord.barred.pop(place, None)
        self._outside.discord.without_history.discard(place)
        return {}

    async def mend(self) -> dict[str, Any]:
        """Take all faults back."""
        for server in self._outside.servers:
            server.faults.clear()
        return {}

    async def gateway(self, act: str) -> dict[str, Any]:
        """Do something to the gateway's connections: ``close``, ``resumable``, ``invalid``, ``reconnect``, ``zombie``."""
        discord = self._outside.discord
        acts: dict[str, Callable[[], Awaitable[None]]] = {
            "close": lambda: discord.close_gateway(4000),
            "resumable": lambda: discord.invalidate(True),
            "invalid": lambda: discord.invalidate(False),
            "reconnect": discord.reconnect,
            "zombie": discord.silence,
        }
        await acts[act]()
        return {}

    async def repeat(self, times: int) -> dict[str, Any]:
        """Deliver everything that was said once more, again and again, half of `times` on each platform; return how many deliveries."""
        discord, telegram = self._outside.discord, self._outside.telegram
        updates = telegram.given
        count = 0
        while count < times / 2:
            await telegram.repeat(updates)
            count += len(updates)
        on_discord = 0
        while on_discord < times / 2:
            on_discord += discord.gateway.repeat("MESSAGE_CREATE")
            await asyncio.sleep(POLL_SECONDS)
        async with asyncio.timeout(120):
            while telegram.repeating:  # noqa: ASYNC110 - the stand-in has no event for it
                await asyncio.sleep(POLL_SECONDS)
        return {"telegram": count, "discord": on_discord}

    async def material(self) -> dict[str, Any]:
        """Let people say, edit and press something everywhere, so that there are payloads of every kind to mutate."""
        discord, telegram = self._outside.discord, self._outside.telegram
        updates, events = len(telegram.given), len(discord.gateway.kept())
        for chat in self._chats.names:
            await self._chats.say(chat, "please have a look")
        await self._chats.slash("discord-1", "please have a look")
        said = await discord.say(discord.channel_id, discord.user_id, "and at this", mention=True)
        await discord.edit(discord.channel_id, said["id"], f"<@{discord.bot_id}> and at that")
        told = await telegram.say(telegram.user_id, telegram.user_id, "and at this")
        await telegram.edit(telegram.user_id, told["message_id"], "and at that")
        await telegram.press(telegram.user_id, told["message_id"], "nothing", telegram.user_id)
        async with asyncio.timeout(30):
            while len(telegram.given) < updates + 8:  # noqa: ASYNC110 - the stand-in has no event for it
                await asyncio.sleep(POLL_SECONDS)
        self._updates, self._events = telegram.given[updates:], discord.gateway.kept()[events:]
        return {}

    async def poison(self, seed: int, count: int) -> dict[str, Any]:
        """Deliver mutated copies of what was said: `count` on each platform."""
        discord, telegram = self._outside.discord, self._outside.telegram
        for number, update in enumerate(broken_updates(self._updates, seed, count, ALLOWED_UPDATES)):
            await telegram.push(update)
            if number % 20 == 0:
                await asyncio.sleep(POLL_SECONDS)
        for number, (name, data) in enumerate(broken_events(self._events, seed, count)):
            await discord.push(name, data)
            if number % 20 == 0:
                await asyncio.sleep(POLL_SECONDS)
        return {"telegram": count, "discord": count}

    async def frame(self, text: str) -> dict[str, Any]:
        """Send a gateway frame as it is."""
        self._outside.discord.gateway.send_frame(text)
        return {}

    async def report(self) -> dict[str, Any]:
        """Return all that the chats show, what the provider was asked, and how the platforms answered."""
        statuses: dict[str, Counter[str]] = {}
        refusals: Counter[str] = Counter()
        for server in (self._outside.discord, self._outside.telegram):
            statuses[type(server).__name__] = Counter(str(call.status) for call in server.calls)
            refusals.update(_refusal(call) for call in server.calls if 400 <= call.status < 500 and call.status not in {FLOODED, CUT})
        return {
            "chats": {name: [[one.id, one.mine, one.text] for one in self._chats.said(name)] for name in self._chats.names},
            "asked": list(self._talker.asked.items()),
            "muddled": self._talker.muddled,
            "statuses": statuses,
            "refusals": refusals,
            "marks": sum(
                call.status in {200, 204} and ("/reactions/" in call.path or call.path.endswith("/setMessageReaction"))
                for server in (self._outside.discord, self._outside.telegram)
                for call in server.calls
            ),
            "identifies": self._outside.discord.gateway.identifies,
        }


def _refusal(call: Call) -> str:
    """Say what a platform refused, and with which words; without ids."""
    try:
        answer = json.loads(call.answer or b"{}")
    except ValueError:
        answer = {}
    told = answer.get("description") or answer.get("message") or "without a word"
    what = re.sub(r"[^/]{18,}", "…", call.path)
    return f"{call.status} {call.method} {re.sub(r'[0-9]{2,}', 'N', what)}: {told}"


def _asked(one: dict[str, Any]) -> Asked:
    return Asked(one["chat"], Question(one["number"], one["words"]), one["message"], failing=one["failing"])


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    talker = Talker()
    async with Outside(voice=talker) as outside:
        outside.netmind.keep_calls = 10  # each holds a whole transcript
        outside.discord.gateway.heartbeat_seconds = HEARTBEAT_SECONDS
        chats = Chats(outside)
        await chats.make()
        values = {**outside.platform_settings(), **outside.provider_settings()}
        environment = {name.upper(): str(value) for name, value in values.items()}
        print(json.dumps({"environment": environment, "chats": chats.names}), flush=True)
        control = Control(outside, chats, talker)
        while line := await loop.run_in_executor(None, sys.stdin.buffer.readline):
            print(json.dumps(await control.obey(line)), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve())
