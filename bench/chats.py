"""Chats of each platform as a load needs them: new ones, questions in them, what the bot shows there, and which calls it made."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from aiohttp import web

from sandbox.discord.guard import answer
from sandbox.outside import Outside
from sandbox.server import Server
from sandbox.telegram.errors import flood

GUILD_CHANNELS = 250
"""Channels of one server; Discord has 500 at most."""
Listener = Callable[[str, str], None]
"""Takes (chat, text) when the bot's text in a chat becomes visible."""


class Chats(Protocol):
    """One kind of chat."""

    @property
    def server(self) -> Server:
        """The platform's stand-in."""
        ...

    def new(self) -> str:
        """Make a chat and the person in it; return its id."""
        ...

    async def say(self, chat: str, text: str) -> None:
        """Write as that person, to the bot."""
        ...

    async def command(self, chat: str, name: str) -> None:
        """Give the bot a command."""
        ...

    def watch(self, listener: Listener | None) -> None:
        """Tell of everything the bot shows; None ends that."""
        ...

    def texts(self, chat: str) -> list[str]:
        """Return what the bot's messages show now."""
        ...

    @property
    def repeatable_creates(self) -> bool:
        """A create that is made again makes no second message."""
        ...

    def chat_of(self, method: str, path: str, values: Mapping[str, Any]) -> str | None:
        """Return the chat whose messages a call is about, None for any other call."""
        ...

    def is_edit(self, method: str, path: str) -> bool:
        """Tell whether a call changes a message."""
        ...

    def is_typing(self, path: str) -> bool:
        """Tell whether a call is a typing signal."""
        ...

    def refusal(self, seconds: float, *, via: bool) -> web.Response:
        """Return a 429 that tells to wait; without `via` it is that of a proxy in front of the platform."""
        ...


class DiscordChannels:
    """Channels of servers, each with a member of its own."""

    _MESSAGES = re.compile(r"/channels/(\d+)/messages(/\d+)?$")

    def __init__(self, outside: Outside) -> None:
        self._discord = outside.discord
        self._people: dict[str, str] = {}
        self._guild = ""

    @property
    def server(self) -> Server:
        return self._discord

    def new(self) -> str:
        if len(self._people) % GUILD_CHANNELS == 0:
            self._guild = self._discord.add_guild(f"guild {len(self._people)}")
        channel = self._discord.add_channel(self._guild, f"channel-{len(self._people)}")
        self._people[channel] = self._discord.add_user(f"person{len(self._people)}", guilds=[self._guild])
        return channel

    async def say(self, chat: str, text: str) -> None:
        await self._discord.say(chat, self._people[chat], text, mention=True)

    async def command(self, chat: str, name: str) -> None:
        await self._discord.slash(chat, self._people[chat], name, {})

    def watch(self, listener: Listener | None) -> None:
        def heard(news: dict[str, Any]) -> None:
            if listener is not None and news["type"] in {"message_create", "message_update"} and news["viewer"] is None:
                message = news["message"]
                if message["author"]["id"] == self._discord.bot_id:
                    listener(message["channel_id"], message["content"])

        self._discord.on_change[:] = [heard] if listener else []

    def texts(self, chat: str) -> list[str]:
        return [message["content"] for message in self._discord.messages(chat) if message["author"]["id"] == self._discord.bot_id]

    @property
    def repeatable_creates(self) -> bool:
        return True

    def chat_of(self, method: str, path: str, values: Mapping[str, Any]) -> str | None:
        del values
        found = self._MESSAGES.search(path) if method in {"POST", "PATCH", "DELETE"} else None
        return found[1] if found else None

    def is_edit(self, method: str, path: str) -> bool:
        return method == "PATCH" and self._MESSAGES.search(path) is not None

    def is_typing(self, path: str) -> bool:
        return path.endswith("/typing")

    def refusal(self, seconds: float, *, via: bool) -> web.Response:
        told = math.ceil(seconds * 1000) / 1000
        headers = {"Retry-After": str(math.ceil(seconds))}
        if not via:
            return web.Response(status=429, text="error code: 1015", headers=headers)
        body = {"message": "You are being rate limited.", "retry_after": told, "global": False}
        return answer(body, status=429, headers={**headers, "Via": "1.1 sandbox", "X-RateLimit-Scope": "user"})


class TelegramChats:
    """Private chats, or groups of one person and the bot."""

    _METHODS = frozenset({"sendMessage", "editMessageText", "editMessageReplyMarkup", "deleteMessage", "sendMessageDraft"})

    def __init__(self, outside: Outside, *, groups: bool) -> None:
        self._telegram = outside.telegram
        self._people: dict[str, int] = {}
        self._groups = groups

    @property
    def server(self) -> Server:
        return self._telegram

    def new(self) -> str:
        person = self._telegram.add_user(f"person{len(self._people)}")
        chat = self._telegram.add_group(f"group {person}", [person]) if self._groups else person
        self._telegram.world.chat(chat).open = True
        self._people[str(chat)] = person
        return str(chat)

    async def say(self, chat: str, text: str) -> None:
        await self._telegram.say(int(chat), self._people[chat], text, mention=self._groups)

    async def command(self, chat: str, name: str) -> None:
        await self._telegram.say(int(chat), self._people[chat], f"/{name}")

    def watch(self, listener: Listener | None) -> None:
        def heard(news: dict[str, Any]) -> None:
            if listener is not None and news["type"] in {"message", "edited_message"}:
                message = news["message"]
                if message["from"]["id"] == self._telegram.bot_id:
                    listener(str(news["chat_id"]), message["text"])

        self._telegram.on_change[:] = [heard] if listener else []

    def texts(self, chat: str) -> list[str]:
        return [message["text"] for message in self._telegram.messages(int(chat)) if message["from"]["id"] == self._telegram.bot_id]

    @property
    def repeatable_creates(self) -> bool:
        return False

    def chat_of(self, method: str, path: str, values: Mapping[str, Any]) -> str | None:
        del method
        return str(values["chat_id"]) if path.rpartition("/")[2] in self._METHODS else None

    def is_edit(self, method: str, path: str) -> bool:
        del method
        return path.rpartition("/")[2].startswith("editMessage")

    def is_typing(self, path: str) -> bool:
        return path.endswith("/sendChatAction")

    def refusal(self, seconds: float, *, via: bool) -> web.Response:
        del via
        return web.json_response(flood(math.ceil(seconds)).answer(), status=429)


async def values_of(request: web.Request) -> dict[str, Any]:
    """Return the parameters of a request, from its query and its body."""
    values: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        body = json.loads(await request.read() or b"{}")
        return {**values, **body} if isinstance(body, dict) else values
    return {**values, **await request.post()}


CHATS: dict[str, Callable[[Outside], Chats]] = {
    "discord": DiscordChannels,
    "telegram": lambda outside: TelegramChats(outside, groups=False),
    "telegram group": lambda outside: TelegramChats(outside, groups=True),
}
"""By the names of `bench.farside.PLACES`."""
