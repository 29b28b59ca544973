"""The platforms as the contract suite sees them: each with its stand-in, people who write, and ways to go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from bot.clock import SystemClock
from bot.model import ChatAddress, ChatKind, Target
from bot.platforms.base import Call, Platform, SupportsDrafts
from bot.platforms.discord import DiscordPlatform
from bot.platforms.telegram import DraftMode, TelegramPlatform
from sandbox.discord import DiscordSandbox
from sandbox.discord.forms import EPHEMERAL, File
from sandbox.discord.interactions import Interaction
from sandbox.faults import Fault
from sandbox.telegram import TelegramSandbox
from sandbox.telegram.people import Sent
from tests.support.seam import Memo, Menu, eventually, plain

NOBODY_LISTENS = "http://127.0.0.1:1"
"""A port that is never open."""


@dataclass(frozen=True)
class Shown:
    """A message of the bot as people see it."""

    id: str
    text: str
    buttons: tuple[str, ...]
    files: tuple[tuple[str, bytes], ...] = ()


class World(Protocol):
    """One platform with its people.

    Attributes:
        name: The platform's.
        token: The bot's, which no error may tell.
        account: The bot's id.
        private: Where a person and the bot are alone.
        group: Where others read along.
    """

    name: str
    token: str
    account: str
    private: Target
    group: Target

    def make(self, *, token: str | None = None, address: str | None = None) -> Platform:
        """Return a platform that talks to the stand-in, or to another address."""
        ...

    async def say(self, where: Target, text: str) -> str:
        """Let a person speak to the bot; return the message's id."""
        ...

    async def rewrite(self, where: Target, message_id: str, text: str) -> None:
        """Let the person edit what was said, still speaking to the bot."""
        ...

    async def commands_known(self) -> None:
        """Return when people can use the commands of the running platform."""
        ...

    async def command(self, where: Target, name: str, **arguments: str) -> None:
        """Let a person use a command."""
        ...

    async def press(self, where: Target, message_id: str, data: str) -> None:
        """Let a person press a button. It does not wait for what the bot says to it."""
        ...

    def words(self, where: Target) -> list[str]:
        """Return what was said there to people who pressed buttons, to each alone; empty for presses that were taken without a word."""
        ...

    async def remove(self, where: Target, message_id: str) -> None:
        """Let somebody delete a message."""
        ...

    def bar(self, where: Target) -> None:
        """Forbid the bot to write there."""
        ...

    def bar_files(self, where: Target) -> None:
        """Forbid the bot to send files there."""
        ...

    def shown(self, where: Target) -> list[Shown]:
        """Return the bot's messages, oldest first."""
        ...

    async def attach(self, where: Target, text: str, *files: tuple[str, str, bytes]) -> str:
        """Let a person speak to the bot and send files, each with name, media type and content; return the first message's id."""
        ...

    def swap_files(self, content: bytes) -> None:
        """Let all files have another content than was said of them."""
        ...

    def harm_download(self, fault: Fault) -> None:
        """Let this happen to the next fetches of a file."""
        ...

    def downloads(self) -> int:
        """Return how often a file was fetched."""
        ...

    def lose_files(self) -> None:
        """Let the platform have no file any more."""
        ...

    def harm(self, call: Call, *, drop: str | None = None, delay: float = 0.0, down: bool = False, flood: int | None = None) -> None:
        """Let the next call of a kind meet a cut connection, a wait, an error of the server, or a flood of so many seconds."""
        ...

    def harm_file(self, *, drop: str | None = None, too_large: bool = False) -> None:
        """Let the next message with a file meet a cut connection, or a server to which it is too large."""
        ...

    def calls(self, call: Call) -> int:
        """Return how many calls of a kind have come in."""
        ...


class DraftingWorld(World, Protocol):
    """A platform on which drafts can be shown where a person and the bot are alone."""

    def drafting(self) -> DraftingPlatform:
        """Return a platform that shows drafts."""
        ...

    def drafted(self, where: Target) -> list[str]:
        """Return the text of the draft that shows, if one does."""
        ...

    async def stop_draft(self, where: Target) -> None:
        """Let the person press the Stop button of the draft that shows."""
        ...


class DraftingPlatform(Platform, SupportsDrafts, Protocol):
    """Both."""


class DiscordWorld:
    name = "discord"

    def __init__(self, sandbox: DiscordSandbox) -> None:
        self.sandbox = sandbox
        self._presses: list[Interaction] = []
        self.token = sandbox.token
        self.account = sandbox.bot_id
        self.private = self._target(sandbox.open_dm(sandbox.user_id), ChatKind.PRIVATE)
        self.group = self._target(sandbox.channel_id, ChatKind.GROUP)

    def _target(self, channel: str, kind: ChatKind) -> Target:
        return Target(ChatAddress(self.name, self.account, channel), kind)

    def make(self, *, token: str | None = None, address: str | None = None) -> Platform:
        return DiscordPlatform(
            token or self.token,
            Menu(),
            Memo(),
            style=plain(2000),
            api_base_url=address or self.sandbox.api_url,
            gateway_url=self.sandbox.gateway_url,
            cdn_base_url=self.sandbox.cdn_url,
            clock=SystemClock(),
        )

    async def say(self, where: Target, text: str) -> str:
        mention = where.chat_kind is ChatKind.GROUP
        return str((await self.sandbox.say(where.chat.chat, self.sandbox.user_id, text, mention=mention))["id"])

    async def attach(self, where: Target, text: str, *files: tuple[str, str, bytes]) -> str:
        mention = where.chat_kind is ChatKind.GROUP
        said = await self.sandbox.say(
            where.chat.chat, self.sandbox.user_id, text, mention=mention, attachments=[File(*file) for file in files]
        )
        return str(said["id"])

    def swap_files(self, content: bytes) -> None:
        kept = self.sandbox.world.files
        kept.update({number: replace(file, data=content) for number, file in kept.items()})

    def harm_download(self, fault: Fault) -> None:
        self.sandbox.faults.add(replace(fault, method="GET", path="/attachments/*"))

    def downloads(self) -> int:
        return len(self.sandbox.calls_to("GET", "/attachments/"))

    def lose_files(self) -> None:
        self.sandbox.world.files.clear()

    async def rewrite(self, where: Target, message_id: str, text: str) -> None:
        mention = f"<@{self.account}> " if where.chat_kind is ChatKind.GROUP else ""
        await self.sandbox.edit(where.chat.chat, message_id, mention + text)

    async def commands_known(self) -> None:
        await eventually(lambda: self.sandbox.commands)  # one can only choose from what is registered

    async def command(self, where: Target, name: str, **arguments: str) -> None:
        await self.sandbox.slash(where.chat.chat, self.sandbox.user_id, name, arguments)

    async def press(self, where: Target, message_id: str, data: str) -> None:
        self._presses.append(await self.sandbox.press(where.chat.chat, message_id, data, self.sandbox.user_id))

    def words(self, where: Target) -> list[str]:
        seen = self.sandbox.messages(where.chat.chat, viewer=self.sandbox.user_id)
        alone = [one["content"] for one in seen if one["flags"] & EPHEMERAL]
        return alone or ["" for press in self._presses if press.responded.is_set()]

    async def remove(self, where: Target, message_id: str) -> None:
        await self.sandbox.delete(where.chat.chat, message_id)

    def bar(self, where: Target) -> None:
        self.sandbox.barred[where.chat.chat] = 50001

    def bar_files(self, where: Target) -> None:
        self.sandbox.without_files.add(where.chat.chat)

    def shown(self, where: Target) -> list[Shown]:
        return [
            Shown(
                one["id"],
                one["content"],
                tuple(button["label"] for row in one["components"] for button in row["components"]),
                tuple((about["filename"], data) for about, data in zip(one["attachments"], self.sandbox.attached(one), strict=True)),
            )
            for one in self.sandbox.messages(where.chat.chat)
            if one["author"]["id"] == self.account
        ]

    def harm(self, call: Call, *, drop: str | None = None, delay: float = 0.0, down: bool = False, flood: int | None = None) -> None:
        fault = Fault(self._method(call), "*/messages*", drop=drop, delay=delay)
        if down:
            fault.status, fault.body = 502, "<html>Bad Gateway</html>"
        elif flood is not None:
            fault.status, fault.body, fault.headers = 429, {"retry_after": float(flood), "global": False}, {"Via": "1.1 google"}
        self.sandbox.faults.add(fault)

    def harm_file(self, *, drop: str | None = None, too_large: bool = False) -> None:
        fault = Fault("POST", "*/messages", drop=drop)
        if too_large:
            fault.status, fault.body = 413, {"message": "Request entity too large", "code": 40005}
        self.sandbox.faults.add(fault)

    def calls(self, call: Call) -> int:
        return len(self.sandbox.calls_to(self._method(call), "/messages"))

    def _method(self, call: Call) -> str:
        return {Call.SEND: "POST", Call.EDIT: "PATCH", Call.DELETE: "DELETE"}[call]


class TelegramWorld:
    name = "telegram"
    drafts = DraftMode.PLAIN
    draft_method = "sendMessageDraft"

    def __init__(self, sandbox: TelegramSandbox) -> None:
        self.sandbox = sandbox
        self._answers: list[asyncio.Future[dict[str, Any]]] = []
        self.token = sandbox.token
        self.account = str(sandbox.bot_id)
        self.private = self._target(sandbox.user_id, ChatKind.PRIVATE)
        self.group = self._target(sandbox.group_id, ChatKind.GROUP)

    def _target(self, chat: int, kind: ChatKind) -> Target:
        return Target(ChatAddress(self.name, self.account, str(chat)), kind)

    def make(self, *, token: str | None = None, address: str | None = None) -> Platform:
        base = self.sandbox.api_url if address is None else address
        return TelegramPlatform(
            token or self.token, Menu(), Memo(), style=plain(4096, caption=1024), api_base_url=base, clock=SystemClock()
        )

    def drafting(self) -> DraftingPlatform:
        base, clock = self.sandbox.api_url, SystemClock()
        return TelegramPlatform(
            self.token, Menu(), Memo(), style=plain(4096, caption=1024), api_base_url=base, drafts=self.drafts, clock=clock
        )

    def drafted(self, where: Target) -> list[str]:
        return [draft.text for draft in self.sandbox.drafts(int(where.chat.chat))]

    async def stop_draft(self, where: Target) -> None:
        await self.sandbox.stop_draft(int(where.chat.chat))

    async def say(self, where: Target, text: str) -> str:
        mention = where.chat_kind is ChatKind.GROUP
        return str((await self.sandbox.say(int(where.chat.chat), self.sandbox.user_id, text, mention=mention))["message_id"])

    async def attach(self, where: Target, text: str, *files: tuple[str, str, bytes]) -> str:
        mention = where.chat_kind is ChatKind.GROUP
        sent = [Sent(content, name, media_type) for name, media_type, content in files]
        said = await self.sandbox.say(int(where.chat.chat), self.sandbox.user_id, text, mention=mention, files=sent)
        return str(said["message_id"] - len(files) + 1)

    def swap_files(self, content: bytes) -> None:
        kept = self.sandbox.world.files
        kept.update(dict.fromkeys(kept, content))

    def harm_download(self, fault: Fault) -> None:
        self.sandbox.faults.add(replace(fault, method="GET", path="/file/*"))

    def downloads(self) -> int:
        return len(self.sandbox.calls_to("GET", "/file/"))

    def lose_files(self) -> None:
        self.sandbox.world.files.clear()

    async def rewrite(self, where: Target, message_id: str, text: str) -> None:
        mention = f"@{self.sandbox.bot_username} " if where.chat_kind is ChatKind.GROUP else ""
        await self.sandbox.edit(int(where.chat.chat), int(message_id), mention + text)

    async def commands_known(self) -> None:
        return  # one can type anything

    async def command(self, where: Target, name: str, **arguments: str) -> None:
        to = f"@{self.sandbox.bot_username}" if where.chat_kind is ChatKind.GROUP else ""
        text = " ".join([f"/{name}{to}", *arguments.values()])
        await self.sandbox.say(int(where.chat.chat), self.sandbox.user_id, text)

    async def press(self, where: Target, message_id: str, data: str) -> None:
        press = self.sandbox.press(int(where.chat.chat), int(message_id), data, self.sandbox.user_id)
        self._answers.append(asyncio.ensure_future(press))
        await asyncio.sleep(0)

    def words(self, where: Target) -> list[str]:
        return [answer.result().get("text", "") for answer in self._answers if answer.done()]

    async def aclose(self) -> None:
        for answer in self._answers:
            answer.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)

    async def remove(self, where: Target, message_id: str) -> None:
        await self.sandbox.delete(int(where.chat.chat), int(message_id))

    def bar(self, where: Target) -> None:
        if where.chat_kind is ChatKind.PRIVATE:
            self.sandbox.block(int(where.chat.chat))
        else:
            self.sandbox.kick(int(where.chat.chat))

    def bar_files(self, where: Target) -> None:
        self.sandbox.world.without_documents.add(int(where.chat.chat))

    def shown(self, where: Target) -> list[Shown]:
        return [
            Shown(
                str(one["message_id"]),
                str(one.get("text", one.get("caption", ""))),
                tuple(button["text"] for row in _keyboard(one) for button in row),
                ((one["document"]["file_name"], self.sandbox.attached(one)),) if "document" in one else (),
            )
            for one in self.sandbox.messages(int(where.chat.chat))
            if str(one["from"]["id"]) == self.account
        ]

    def harm(self, call: Call, *, drop: str | None = None, delay: float = 0.0, down: bool = False, flood: int | None = None) -> None:
        fault = Fault("POST", f"*/{self._name(call)}", drop=drop, delay=delay)
        if down:
            fault.status, fault.body = 502, "<html>Bad Gateway</html>"
        elif flood is not None:
            fault.status = 429
            fault.body = {"ok": False, "error_code": 429, "description": "Too Many Requests", "parameters": {"retry_after": flood}}
        self.sandbox.faults.add(fault)

    def harm_file(self, *, drop: str | None = None, too_large: bool = False) -> None:
        fault = Fault("POST", "*/sendDocument", drop=drop)
        if too_large:
            fault.status, fault.body = 413, {"ok": False, "error_code": 413, "description": "Request Entity Too Large"}
        self.sandbox.faults.add(fault)

    def calls(self, call: Call) -> int:
        return len(self.sandbox.calls_to("POST", f"/{self._name(call)}"))

    def _name(self, call: Call) -> str:
        return {Call.SEND: "sendMessage", Call.EDIT: "editMessageText", Call.DELETE: "deleteMessage", Call.DRAFT: self.draft_method}[call]


class RichTelegramWorld(TelegramWorld):
    """With rich drafts."""

    drafts = DraftMode.RICH
    draft_method = "sendRichMessageDraft"


def _keyboard(message: dict[str, Any]) -> list[list[dict[str, Any]]]:
    keyboard: list[list[dict[str, Any]]] = message.get("reply_markup", {}).get("inline_keyboard", [])
    return keyboard


@asynccontextmanager
async def discord_world() -> AsyncIterator[World]:
    """Give Discord with a server, a channel and a person."""
    async with DiscordSandbox() as sandbox:
        yield DiscordWorld(sandbox)


@asynccontextmanager
async def telegram_world() -> AsyncIterator[DraftingWorld]:
    """Give Telegram with a person and a group."""
    async with TelegramSandbox() as sandbox:
        world = TelegramWorld(sandbox)
        yield world
        await world.aclose()


@asynccontextmanager
async def rich_telegram_world() -> AsyncIterator[DraftingWorld]:
    """Give Telegram with a person and a group, and rich drafts."""
    async with TelegramSandbox() as sandbox:
        yield RichTelegramWorld(sandbox)


WORLDS: dict[str, Callable[[], AbstractAsyncContextManager[World]]] = {"discord": discord_world, "telegram": telegram_world}
"""Every platform by name. A new one adds its world here and so runs the whole contract."""

DRAFTING_WORLDS: dict[str, Callable[[], AbstractAsyncContextManager[DraftingWorld]]] = {
    "telegram": telegram_world,
    "telegram, rich": rich_telegram_world,
}
"""Those of them that can show drafts, once for each way of theirs."""
