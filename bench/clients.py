"""What others do, as a small program of its own against the same sandbox: `python -m bench.clients`, for `bench.load`.

It reads the same answers over the same sockets and shows them with the same calls as the bridge. It takes no events: an order on standard
input, one line of JSON (the fields of `Order`), tells it which questions are to be answered where and when. It ends when all are shown.
The rules look at each token whether it is time, make a call if none is under way in that chat, and show the end at once. A 429 is obeyed.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"
CHARS = 100
SHORTER = 4.5 / 1.25
"""The rule that counts characters takes each for so many: the answers' tokens are shorter than a model's (`bench.answers`)."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to do.

    Attributes:
        rule: A key of `RULES`.
        environment: Where sandbox and provider are, by the variables of a bridge.
        discord: The chats are Discord's, Telegram's otherwise.
        chats: Ids, in the order of the questions; `first` is the number of the first of these.
        starts: Seconds from now at which each is asked.
    """

    rule: str
    environment: dict[str, str]
    discord: bool
    chats: Sequence[str]
    first: int
    starts: Sequence[float]


@dataclass(slots=True)
class _Shown:
    """What was sent last: when, and how many characters."""

    at: float = -math.inf
    chars: int = 0


Due = Callable[[float, float, int], bool]
"""Tells from (seconds since the last call of this chat, of any chat, characters since the last call) whether it is time."""
RULES: dict[str, Due] = {
    "1 s, whole process": lambda _own, any_chat, _chars: any_chat >= 1.0,
    "100 characters": lambda _own, _any_chat, chars: chars * SHORTER >= CHARS,
    "500 ms": lambda own, _any_chat, _chars: own >= 0.5,
}


class Client:
    """Shows answers under one rule."""

    def __init__(self, session: aiohttp.ClientSession, order: Order) -> None:
        self._session = session
        self._order = order
        self._due = RULES[order.rule]
        self._last = -math.inf

    async def run(self) -> None:
        """Show all of them."""
        work = zip(self._order.chats, itertools.count(self._order.first), self._order.starts, strict=False)
        await asyncio.gather(*(self._show(chat, number, start) for chat, number, start in work))

    async def _show(self, chat: str, number: int, start: float) -> None:
        await asyncio.sleep(start)
        shown, text, message_id = _Shown(), "", ""
        under_way: asyncio.Task[str] | None = None
        async for piece in self._words(number):
            text += piece
            if under_way is not None:
                if not under_way.done():
                    continue
                message_id, under_way = under_way.result(), None
            now = time.monotonic()
            if not text.strip():  # the stream begins with the role alone
                continue
            if not shown.chars or self._due(now - shown.at, now - self._last, len(text) - shown.chars):
                shown.at = self._last = now
                shown.chars = len(text)
                under_way = asyncio.create_task(self._call(chat, message_id, text))
        if under_way is not None:
            message_id = await under_way
        if shown.chars < len(text):
            await self._call(chat, message_id, text)

    async def _words(self, number: int) -> AsyncIterator[str]:
        values = self._order.environment
        body = {"model": MODEL, "messages": [{"role": "user", "content": f"question {number}"}], "stream": True}
        headers = {"Authorization": f"Bearer {values['NETMIND_API_KEY']}"}
        async with self._session.post(f"{values['NETMIND_BASE_URL']}/chat/completions", json=body, headers=headers) as response:
            response.raise_for_status()
            async for raw in response.content:
                if raw.startswith(b"data: {"):
                    piece: str = json.loads(raw[6:])["choices"][0]["delta"].get("content", "")
                    yield piece

    async def _call(self, chat: str, message_id: str, text: str) -> str:
        """Create or edit a message, again after a 429 as long as told; return its id."""
        method, url, headers, body = self._request(chat, message_id, text.strip())
        while True:
            async with self._session.request(method, url, json=body, headers=headers) as response:
                said: dict[str, Any] = await response.json()
                if response.status == 200:
                    return str(said["id"] if self._order.discord else said["result"]["message_id"])
            if response.status == 429:
                await asyncio.sleep(said["retry_after"] if self._order.discord else said["parameters"]["retry_after"])
            elif "not modified" in str(said):  # nothing but a blank was added
                return message_id
            else:
                raise RuntimeError(f"refused with {response.status}: {said}")

    def _request(self, chat: str, message_id: str, text: str) -> tuple[str, str, dict[str, str], dict[str, Any]]:
        values = self._order.environment
        if self._order.discord:
            url = f"{values['DISCORD_API_BASE_URL']}/channels/{chat}/messages"
            headers = {"Authorization": f"Bot {values['DISCORD_TOKEN']}"}
            return ("PATCH", f"{url}/{message_id}", headers, {"content": text}) if message_id else ("POST", url, headers, {"content": text})
        url = f"{values['TELEGRAM_API_BASE_URL']}/bot{values['TELEGRAM_TOKEN']}"
        if message_id:
            return "POST", f"{url}/editMessageText", {}, {"chat_id": chat, "message_id": int(message_id), "text": text}
        return "POST", f"{url}/sendMessage", {}, {"chat_id": chat, "text": text}


async def _main() -> None:
    order = Order(**json.loads(sys.stdin.readline()))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
        await Client(session, order).run()


if __name__ == "__main__":
    asyncio.run(_main())
