"""The real bridge against the sandbox over sockets, and both platforms behind one face for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from bot.app import open_bridge
from bot.bridge import Bridge
from bot.settings import GRACE_SECONDS, Settings, load
from sandbox.discord.forms import EPHEMERAL
from sandbox.discord.places import DM
from sandbox.outside import Outside
from tests.support.clock import PATIENCE_SECONDS
from tests.support.discord_platform import patient_discord


async def eventually(holds: Callable[[], Any], words: str = "") -> Any:
    """Return the first true value of `holds`; fail if there is none in time."""
    for _ in range(int(PATIENCE_SECONDS / 0.02)):
        if value := holds():
            return value
        await asyncio.sleep(0.02)
    raise AssertionError(f"did not come about: {words or holds}")


@asynccontextmanager
async def patient_bridge(settings: Settings) -> AsyncIterator[Bridge]:
    """Open a bridge that has more time for Discord's acknowledgements than on Discord."""
    with patient_discord():
        async with open_bridge(settings) as bridge:
            yield bridge


@asynccontextmanager
async def running_bridge(outside: Outside, database: Path, *, grace: float = GRACE_SECONDS, **values: Any) -> AsyncIterator[Bridge]:
    """Run the bridge on the sandbox until the block ends; both intakes accept when it begins. It ends in order, within `grace` seconds."""
    settings = {**outside.platform_settings(), **outside.provider_settings(), "access": "open", "local_model": "off"}
    settings |= {"database_url": f"sqlite:///{database}", "merge_window_seconds": 0, **values}
    async with patient_bridge(load(None, **settings)) as bridge:
        stop, ready = asyncio.Event(), set[str]()
        task = asyncio.create_task(bridge.run(stop, ready.add, grace=grace))
        try:
            await eventually(lambda: task.done() or ready == set(bridge.platforms), "intakes")
            if "discord" in bridge.platforms:
                await outside.discord.connected()
            if "telegram" in bridge.platforms:
                await outside.telegram.connected()
            yield bridge
        finally:
            stop.set()
            await task


class Chat(Protocol):
    """A place to talk to the bot, on either platform."""

    name: str

    async def say(self, text: str) -> None: ...

    async def command(self, name: str, /, **options: str) -> None: ...

    async def press(self, label: str, *, place: int = -1) -> None:
        """Press the button with this label, the last one if `place` does not say which; return when the press was taken."""
        ...

    def texts(self) -> list[str]:
        """Everything the bot says there now, in order."""
        ...

    def buttons(self) -> list[list[str]]:
        """The labels under every message of the bot that all may read, in order."""
        ...

    def notes(self) -> list[str]:
        """What the bot said to who pressed a button, and to nobody else."""
        ...


class DiscordChat:
    """A channel; the bot is mentioned in every message."""

    name = "discord"

    def __init__(self, outside: Outside, channel: str | None = None, person: str | None = None) -> None:
        self.discord = outside.discord
        self.channel = channel or self.discord.channel_id
        self.person = person or self.discord.user_id

    async def say(self, text: str) -> None:
        private = self.discord.channels[self.channel]["type"] == DM
        await self.discord.say(self.channel, self.person, text, mention=not private)

    async def command(self, name: str, /, **options: str) -> None:
        await eventually(lambda: self.discord.commands)  # one can only choose from what is registered
        await self.discord.slash(self.channel, self.person, name, options)

    async def press(self, label: str, *, place: int = -1) -> None:
        message, custom_id = [
            (message["id"], button["custom_id"])
            for message in self._own()
            for row in message["components"]
            for button in row["components"]
            if label in button["label"]
        ][place]
        interaction = await self.discord.press(self.channel, message, custom_id, self.person)
        await asyncio.wait_for(interaction.responded.wait(), PATIENCE_SECONDS)

    def texts(self) -> list[str]:
        return [message["content"] for message in self._own() if message["content"]]

    def buttons(self) -> list[list[str]]:
        seen = [message["components"] for message in self._own() if not message["flags"] & EPHEMERAL]
        return [[button["label"] for row in rows for button in row["components"]] for rows in seen]

    def notes(self) -> list[str]:
        return [message["content"] for message in self._own() if message["flags"] & EPHEMERAL]

    def _own(self) -> list[dict[str, Any]]:
        everything = self.discord.messages(self.channel, viewer=self.person)
        return [message for message in everything if message["author"]["id"] == self.discord.bot_id]


class TelegramChat:
    """A private chat."""

    name = "telegram"

    def __init__(self, outside: Outside, chat: int | None = None) -> None:
        self.telegram = outside.telegram
        self.chat = chat or self.telegram.user_id
        self.person = self.chat if self.chat > 0 else self.telegram.user_id
        self._notes: list[str] = []

    async def say(self, text: str) -> None:
        await self.telegram.say(self.chat, self.person, text, mention=self.chat < 0)

    async def command(self, name: str, /, **options: str) -> None:
        await self.telegram.say(self.chat, self.person, " ".join([f"/{name}", *options.values()]))

    async def press(self, label: str, *, place: int = -1) -> None:
        message, data = [
            (message["message_id"], button["callback_data"])
            for message in self._own()
            for row in _keyboard(message)
            for button in row
            if label in button["text"]
        ][place]
        answer = await self.telegram.press(self.chat, message, data, self.person)
        self._notes += [answer["text"]] if answer["text"] else []

    def texts(self) -> list[str]:
        return [message.get("text", message.get("caption", "")) for message in self._own()]

    def buttons(self) -> list[list[str]]:
        return [[button["text"] for row in _keyboard(message) for button in row] for message in self._own()]

    def notes(self) -> list[str]:
        return self._notes

    def _own(self) -> list[dict[str, Any]]:
        return [message for message in self.telegram.messages(self.chat) if message["from"]["id"] == self.telegram.bot_id]


def _keyboard(message: dict[str, Any]) -> list[list[dict[str, Any]]]:
    rows: list[list[dict[str, Any]]] = message.get("reply_markup", {}).get("inline_keyboard", [])
    return rows


CHATS: dict[str, Callable[[Outside], Chat]] = {"discord": DiscordChat, "telegram": TelegramChat}


async def until_said(chat: Chat, wanted: str, *, since: int = 0) -> str:
    """Return the bot's first message from `since` on that holds `wanted`."""
    try:
        return str(await eventually(lambda: next((text for text in chat.texts()[since:] if wanted in text), None), wanted))
    except AssertionError:
        raise AssertionError(f"{wanted!r} was not said on {chat.name}; what was: {chat.texts()[since:]}") from None


def answers(chat: Chat) -> list[int]:
    """Return which of the questions "question N …" were answered, in order; an answer may take several messages."""
    return [int(text.split("question ", 1)[1].split()[0]) for text in chat.texts() if "heard: question" in text]
