"""Every request of the bot, and every answer of the stand-ins, against the platforms' own machine-readable specifications.

Where a specification is laxer than the platform (Discord's names 4,000 characters of content), the stand-in's own limits rule: nothing that
the bot sends may be refused.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot import texts
from bot.bridge import Bridge
from bot.clock import SystemClock
from bot.model import ChatAddress, ChatKind, Entity, File, Page, Target
from bot.platforms.telegram import TelegramPlatform, WebhookSettings
from bot.presses import SLIP_SECONDS
from bot.render.telegram import STYLE
from sandbox.discord import DiscordSandbox
from sandbox.discord.server import API
from sandbox.outside import Outside
from sandbox.providers.voices import last_user_text
from sandbox.server import Call, Server
from sandbox.telegram import TelegramSandbox
from sandbox.telegram.world import Draft
from tests.support.bridge import DiscordChat, TelegramChat, eventually, running_bridge, until_said
from tests.support.seam import Inbox, Memo, Menu, running
from tests.support.specifications import DiscordSpecification, TelegramSpecification

REFILL_SECONDS = 3.5
"""Until a private chat's burst of 3 is there again: a bridge with a new database does not know what the one before it has spent."""

RICH = """# Heading

A **bold** and _slanted_ word, ~~struck~~, `code`, a [link](https://example.org/a?b=c) and @everyone.

> quoted

1. one
   - inner

| a | b |
|---|---|
| 1 | 2 |

```python
def f(x):
    return x
```
"""
LONG = RICH + "\n```python\n" + "\n".join(f"value_{number} = {number}  # a line of code" for number in range(140)) + "\n```\n\nThe end."


class Voice:
    """Says what the question asks for."""

    async def speak(self, model: str, messages: Sequence[Mapping[str, Any]]) -> AsyncIterator[str]:
        question = last_user_text(messages)
        if question == "nothing":
            return
        yield f"heard: {question}\n\n"
        for number in range(4000 if "for ever" in question else 4 if "slowly" in question else 0):
            await asyncio.sleep(0.4 if "slowly" in question else 0.05)
            yield f"word{number} "
        yield LONG if "long" in question else RICH


@pytest.fixture(autouse=True)
def typing_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The stand-ins answer so fast that nobody would see the bot typing."""
    monkeypatch.setattr("bot.turn.TYPING_AFTER_SECONDS", 0.0)


def answer_of(call: Call) -> Any:
    return json.loads(call.answer) if call.answer else None


# ---------------------------------------------------------------------------------------------------------- what is done


async def talk(outside: Outside) -> None:
    """Mention, reply, thread, private chat; a stream that is edited, a long answer."""
    discord = outside.discord
    thread = await discord.start_thread(discord.channel_id, "aside")
    channel, aside = DiscordChat(outside), DiscordChat(outside, thread)
    await asyncio.gather(channel.say("slowly hello"), aside.say("in the thread"))
    await asyncio.gather(until_said(channel, "word3"), until_said(aside, "in the thread"))
    own = next(message for message in discord.messages(channel.channel) if message["author"]["id"] == discord.bot_id)
    await discord.say(channel.channel, discord.user_id, "a reply", reply_to=own["id"])
    await until_said(channel, "heard: a reply")
    bob = discord.add_user("bob", guilds=[discord.guild_id])  # not seen in the server yet, so the bot has to look
    private = DiscordChat(outside, discord.open_dm(bob))
    await discord.say(private.channel, bob, "a long one, in private")
    await until_said(private, "The end.")


async def command(outside: Outside) -> None:
    """Use every command with and without arguments; suggestions and buttons."""
    discord = outside.discord
    await eventually(lambda: discord.commands, "the command tree")
    chats = [DiscordChat(outside, discord.add_channel(discord.guild_id, f"commands-{number}")) for number in range(3)]

    async def use(chat: DiscordChat, name: str, /, **options: str) -> None:
        before = len(chat.texts())
        await chat.command(name, **options)
        await eventually(lambda: len(chat.texts()) > before, f"an answer to /{name}")

    async def first() -> None:
        for name in ("help", "status", "models", "settings"):
            await use(chats[0], name)

    async def second() -> None:
        await use(chats[1], "provider")
        await chats[1].press("Segmind")
        await until_said(chats[1], "**Segmind** answers")
        await use(chats[1], "model")
        await use(chats[1], "settings", name="temperature", value="0.3")
        assert await discord.complete(chats[1].channel, discord.user_id, "model", "name", "llama")

    async def third() -> None:
        await use(chats[2], "ask", question="slowly, by slash")
        await until_said(chats[2], "word3")
        await use(chats[2], "system", text="You are a pirate.")
        await use(chats[2], "reset")

    await asyncio.gather(first(), second(), third())


async def go_on(chat: DiscordChat) -> None:
    """Press Continue, and again while it is taken for one more press on Stop."""
    slips: list[str] = []

    def heard() -> bool:
        return any("heard: Continue" in text for text in chat.texts())

    def told() -> bool:
        return heard() or chat.notes() != slips

    while not heard():
        await chat.press("Continue")
        await eventually(told, "it goes on, or says why not")
        slips = chat.notes()
        assert {*slips} <= {texts.SLIPPED}
        await asyncio.sleep(SLIP_SECONDS / 4)


async def halt(outside: Outside) -> None:
    """Controls, a word to who pressed one, an empty answer, and a long answer to a command where the bot may not write by itself."""
    discord = outside.discord
    chat, barred = (DiscordChat(outside, discord.add_channel(discord.guild_id, name)) for name in ("stops", "barred"))
    discord.barred[barred.channel] = 50013
    await eventually(lambda: discord.commands, "the command tree")
    await barred.command("ask", question="a long one, barred")
    await chat.say("for ever")
    await until_said(chat, "word3")
    await chat.press("Stop")
    await until_said(chat, "Stopped")
    await go_on(chat)
    await chat.command("stop")
    await eventually(lambda: "Continue" in chat.buttons()[1], "stopped again")
    await chat.press("Continue", place=0)
    await eventually(lambda: [note for note in chat.notes() if note != texts.SLIPPED], "a word to who pressed")
    await chat.say("nothing")
    await until_said(chat, "empty answer")
    await chat.command("retry")
    await chat.press("Other model")
    await until_said(chat, "Choose another")
    await until_said(barred, "The end.")


async def use_telegram(outside: Outside) -> None:
    """Private chat, group, topic; commands, buttons, a stream that is edited, stop, retry, a long answer."""
    telegram = outside.telegram
    forum = telegram.add_group("Forum", [telegram.user_id], forum=True)
    topic = telegram.add_topic(forum, "aside")
    others = [TelegramChat(outside, telegram.add_user(name)) for name in ("bob", "eve", "joe", "kim")]

    async def say(chat: TelegramChat, text: str, answer: str) -> None:
        await telegram.say(chat.chat, chat.chat, text)
        await until_said(chat, answer)

    async def group() -> None:
        chat = TelegramChat(outside, telegram.group_id)
        await chat.say("in the group")
        await until_said(chat, "heard")
        own = next(message for message in telegram.messages(chat.chat) if message["from"]["id"] == telegram.bot_id)
        await telegram.say(chat.chat, telegram.user_id, "a reply", reply_to=own["message_id"])
        await until_said(chat, "heard: a reply")
        await telegram.say(forum, telegram.user_id, "in the topic", thread=topic, mention=True)
        await eventually(lambda: any("heard" in message.get("text", "") for message in telegram.messages(forum, thread=topic)))

    async def buttons() -> None:
        chat = TelegramChat(outside)
        await chat.command("provider")
        await until_said(chat, "Choose another")
        await chat.press("Segmind")
        await until_said(chat, "Segmind answers")

    async def stop() -> None:
        await say(others[0], "for ever", "word3")
        await others[0].press("Stop")
        await until_said(others[0], "Stopped")
        await say(others[0], "nothing", "empty answer")
        await others[0].press("Retry")
        await eventually(lambda: others[0].buttons()[2:3] == [["Retry", "Other model…"]], "an empty answer again")
        await others[0].press("Continue")
        await until_said(others[0], "heard: Continue")
        await say(others[0], "/stop", "Stopped")
        await others[0].press("Continue", place=0)
        await telegram.say(others[0].chat, others[0].chat, "/retry")

    async def commands() -> None:
        for text, answer in (("/help", "/provider"), ("/models", "model"), ("/settings", "temperature"), ("/status", "Netmind")):
            await say(others[3], text, answer)

    await asyncio.gather(
        group(), buttons(), stop(), commands(), say(others[1], "slowly", "word3"), say(others[2], "a long one", "The end.")
    )


async def delete_last(bridge_platforms: Mapping[str, Any], account: str, chat: DiscordChat | TelegramChat) -> None:
    """Delete the last message of a chat through the platform, as the outbox does with pages that are left over."""
    if isinstance(chat, DiscordChat):
        address, message = ChatAddress("discord", account, chat.channel), chat._own()[-1]["id"]
    else:
        address, message = ChatAddress("telegram", account, str(chat.chat)), str(chat._own()[-1]["message_id"])
    await bridge_platforms[address.platform].delete(Target(address, ChatKind.GROUP), message)


async def grow_by_drafts(outside: Outside) -> None:
    """A stream shown by drafts, in a chat and in a topic, and one that is stopped by its own button."""
    telegram = outside.telegram
    names = ("pat", "sam")
    one, two = [TelegramChat(outside, telegram.add_user(name)) for name in names]
    topic = telegram.add_topic(two.chat, "aside")
    await telegram.say(one.chat, one.chat, "slowly, a long one")
    await telegram.say(two.chat, two.chat, "for ever", thread=topic)
    await eventually(lambda: any("word3" in draft.text for draft in telegram.drafts(two.chat)), "a draft")
    await telegram.stop_draft(two.chat, thread=topic)
    await asyncio.gather(until_said(two, "Stopped"), until_said(one, "The end."))


async def set_webhook(telegram: TelegramSandbox, port: int) -> None:
    settings = WebhookSettings(f"http://127.0.0.1:{port}/hook", "a-shared_secret", port=port)
    clock = SystemClock()
    platform = TelegramPlatform(telegram.token, Menu(()), Memo(), style=STYLE, api_base_url=telegram.api_url, webhook=settings, clock=clock)
    await platform.open()
    async with running(platform, Inbox()):
        await telegram.connected()
    await platform.aclose()


# ---------------------------------------------------------------------------------------------------------- Discord


DISCORD_ROUTES = {
    "DELETE /channels/{channel_id}/messages/{message_id}",
    "GET /guilds/{guild_id}/members/{user_id}",
    "GET /oauth2/applications/@me",
    "GET /users/@me",
    "PATCH /channels/{channel_id}/messages/{message_id}",
    "PATCH /webhooks/{webhook_id}/{webhook_token}/messages/@original",
    "PATCH /webhooks/{webhook_id}/{webhook_token}/messages/{message_id}",
    "POST /channels/{channel_id}/messages",
    "POST /channels/{channel_id}/typing",
    "POST /interactions/{interaction_id}/{interaction_token}/callback",
    "POST /webhooks/{webhook_id}/{webhook_token}",
    "PUT /applications/{application_id}/commands",
}


async def test_every_request_of_the_bot_and_every_answer_follows_discords_specification(
    tmp_path: Path, discord_says: DiscordSpecification
) -> None:
    async with (
        Outside(voice=Voice()) as outside,
        running_bridge(outside, tmp_path / "d.db", telegram_token=None, access="allowlist") as bridge,
    ):
        await asyncio.gather(talk(outside), command(outside), halt(outside))
        await delete_last(bridge.platforms, bridge.accounts["discord"], DiscordChat(outside))
        calls = [call for call in outside.discord.calls if call.path.startswith(API)]
    complaints: list[str] = []
    routes: set[str] = set()
    for call in calls:
        path = call.path.removeprefix(API)
        complaints += discord_says.request(call.method, path, call.query, call.body)
        complaints += discord_says.response(call.method, path, call.status, answer_of(call))
        routes.add(f"{call.method} {discord_says.template(call.method, path)}")
    assert sorted(set(complaints)) == []
    assert routes == DISCORD_ROUTES
    refused = [call for call in calls if call.status >= 400 and call.path.rsplit("/", 2)[1] not in outside.discord.barred]
    assert refused == []


async def send_file(bridge: Bridge, chat: DiscordChat | TelegramChat) -> None:
    """Let a long answer come as a file, and send it over itself, as after a crash."""
    await chat.say("a long one")
    await until_said(chat, "in the file")
    await eventually(lambda: "Retry" in str(chat._own()[-1]), "its buttons")
    place = chat.channel if isinstance(chat, DiscordChat) else str(chat.chat)
    message = chat._own()[-1]["id" if isinstance(chat, DiscordChat) else "message_id"]
    where = Target(ChatAddress(chat.name, bridge.accounts[chat.name], place), ChatKind.PRIVATE)
    file = File("answer.md", "text/markdown", b"once more")
    await asyncio.sleep(REFILL_SECONDS)
    await bridge.platforms[chat.name].edit(where, str(message), Page("here", (Entity("bold", 0, 4),), file=file), first=False)


async def test_files_on_discord_follow_its_specification(tmp_path: Path, discord_says: DiscordSpecification) -> None:
    async with (
        Outside(voice=Voice()) as outside,
        running_bridge(outside, tmp_path / "d.db", telegram_token=None, long_answer_pages=1) as bridge,
    ):
        await send_file(bridge, DiscordChat(outside))
        await eventually(lambda: outside.discord.commands, "the command tree")
        slash = DiscordChat(outside, outside.discord.add_channel(outside.discord.guild_id, "slash"))
        await slash.command("ask", question="a long one")
        await until_said(slash, "in the file")
        calls = [call for call in outside.discord.calls if call.path.startswith(API)]
    complaints: list[str] = []
    for call in calls:
        path = call.path.removeprefix(API)
        complaints += discord_says.request(call.method, path, call.query, call.body)
        complaints += discord_says.response(call.method, path, call.status, answer_of(call))
    assert sorted(set(complaints)) == []
    forms = [call.method for call in calls if call.headers.get("Content-Type", "").startswith("multipart/form-data")]
    assert sorted(forms) == ["PATCH", "POST", "POST"]
    assert [call for call in calls if call.status >= 400] == []


async def test_files_on_telegram_follow_its_specification(tmp_path: Path, telegram_says: TelegramSpecification) -> None:
    async with (
        Outside(voice=Voice()) as outside,
        running_bridge(outside, tmp_path / "d.db", discord_token=None, long_answer_pages=1) as bridge,
    ):
        await send_file(bridge, TelegramChat(outside))
        telegram = outside.telegram
    assert telegram_complaints(telegram_says, telegram) == []
    assert {"sendDocument", "editMessageMedia"} <= {method_of(call) for call in telegram.calls}
    assert [call for call in telegram.calls if call.status >= 400] == []
    assert telegram.unknown_parameters == []


async def ask_discord(discord: DiscordSandbox) -> None:
    """Call, as any client might, what the bot does not, and what has to be refused."""
    channel, headers = discord.channel_id, {"Authorization": f"Bot {discord.token}"}
    message = (await discord.say(channel, discord.user_id, "hello", mention=True))["id"]
    reply = {"content": "hi", "message_reference": {"message_id": message}, "nonce": "1", "enforce_nonce": True}
    wrong: list[tuple[str, str, Any]] = [
        ("POST", f"/channels/{channel}/messages", {"content": ""}),
        ("POST", f"/channels/{channel}/messages", {"content": "x" * 2001}),
        ("POST", "/channels/1/messages", {"content": "x"}),
        ("PATCH", f"/channels/{channel}/messages/{message}", {"content": "not mine"}),
        ("GET", f"/guilds/{discord.guild_id}/members/1", None),
        ("PATCH", f"/webhooks/{discord.application_id}/no-token/messages/@original", {"content": "x"}),
    ]
    right: list[tuple[str, str, Any]] = [
        ("POST", f"/channels/{channel}/messages", reply),
        ("GET", f"/channels/{channel}/messages?limit=5", None),
        ("GET", f"/channels/{channel}/messages/{message}", None),
        ("GET", f"/channels/{channel}", None),
        ("GET", f"/channels/{discord.open_dm(discord.user_id)}", None),
        ("POST", "/users/@me/channels", {"recipient_id": discord.user_id}),
        ("POST", f"/channels/{channel}/messages/{message}/threads", {"name": "from a message"}),
        ("POST", f"/channels/{channel}/threads", {"name": "on its own", "type": 11}),
        ("GET", f"/users/{discord.user_id}", None),
        ("GET", f"/guilds/{discord.guild_id}", None),
        ("GET", f"/guilds/{discord.guild_id}/members/{discord.user_id}", None),
        ("GET", "/applications/@me", None),
        ("GET", f"/applications/{discord.application_id}/commands", None),
        ("GET", "/gateway", None),
        ("GET", "/gateway/bot", None),
    ]
    async with aiohttp.ClientSession(discord.api_url + "/", headers=headers) as session:
        for method, path, body in [*right, *wrong]:
            async with session.request(method, path[1:], json=body):
                pass
        async with session.get("users/@me", headers={"Authorization": "Bot wrong"}):
            pass
        for _ in range(8):
            async with session.post(f"channels/{channel}/messages", json={"content": "too often"}):
                pass


async def test_what_discords_stand_in_answers_to_any_client_follows_the_specification(discord_says: DiscordSpecification) -> None:
    async with DiscordSandbox() as discord:
        await ask_discord(discord)
    statuses = {call.status for call in discord.calls}
    assert {200, 201, 400, 401, 403, 404, 429} <= statuses
    complaints = [
        complaint
        for call in discord.calls
        for complaint in discord_says.response(call.method, call.path.removeprefix(API), call.status, answer_of(call))
    ]
    assert sorted(set(complaints)) == []


# ---------------------------------------------------------------------------------------------------------- Telegram


TELEGRAM_METHODS = {
    "answerCallbackQuery",
    "deleteMessage",
    "deleteWebhook",
    "editMessageText",
    "getMe",
    "getUpdates",
    "sendChatAction",
    "sendMessage",
    "sendMessageDraft",
    "sendRichMessageDraft",
    "setMyCommands",
    "setWebhook",
}


def method_of(call: Call) -> str:
    return call.path.rpartition("/")[2]


def telegram_complaints(says: TelegramSpecification, server: Server) -> list[str]:
    complaints: list[str] = []
    for call in server.calls:
        complaints += says.request(method_of(call), {**call.query, **(call.body or {})})
        if call.answer is not None:
            complaints += says.answer(method_of(call), call.status, answer_of(call))
    return sorted(set(complaints))


async def test_every_call_of_the_bot_and_every_answer_follows_telegrams_specification(
    tmp_path: Path, telegram_says: TelegramSpecification, unused_tcp_port: int
) -> None:
    async with Outside(voice=Voice()) as outside:
        async with running_bridge(outside, tmp_path / "d.db", discord_token=None) as bridge:
            await use_telegram(outside)
            await eventually(lambda: not outside.telegram.pending, "all is confirmed: the next bridge begins with another database")
            await delete_last(bridge.platforms, bridge.accounts["telegram"], TelegramChat(outside))
        for mode in ("plain", "rich"):
            await asyncio.sleep(REFILL_SECONDS)
            async with running_bridge(outside, tmp_path / f"{mode}.db", discord_token=None, telegram_drafts=mode):
                await grow_by_drafts(outside)
        await set_webhook(outside.telegram, unused_tcp_port)
    assert telegram_complaints(telegram_says, outside.telegram) == []
    assert {method_of(call) for call in outside.telegram.calls} == TELEGRAM_METHODS
    assert [call for call in outside.telegram.calls if call.status >= 400] == []
    assert outside.telegram.unknown_parameters == []


async def ask_telegram(telegram: TelegramSandbox) -> None:
    """Call, as any client might, what the bot does not, and what has to be refused; let every kind of update come."""
    user, group = telegram.user_id, telegram.group_id
    forum = telegram.add_group("Forum", [user], forum=True)
    calls: list[tuple[str, dict[str, Any]]] = [
        ("getChat", {"chat_id": user}),
        ("getChat", {"chat_id": group}),
        ("getChatMember", {"chat_id": group, "user_id": user}),
        ("getChatAdministrators", {"chat_id": group}),
        ("getChatMemberCount", {"chat_id": group}),
        ("createForumTopic", {"chat_id": forum, "name": "aside"}),
        ("sendMessage", {"chat_id": user, "text": "<b>bold</b> https://example.org", "parse_mode": "HTML"}),
        ("sendMessageDraft", {"chat_id": user, "draft_id": 1, "text": "so far", "can_stop": True}),
        ("setMyCommands", {"commands": [{"command": "help", "description": "Help"}]}),
        ("getMyCommands", {}),
        ("getWebhookInfo", {}),
        ("getUpdates", {"timeout": 0}),
        ("sendMessage", {"chat_id": 1, "text": "nobody"}),
        ("editMessageText", {"chat_id": user, "message_id": 999, "text": "nothing"}),
        *[("sendMessage", {"chat_id": user, "text": "too often"})] * 6,
    ]
    topic = telegram.add_topic(forum, "other")
    telegram.world.chat(user).drafts[None] = Draft(1, None, "so far", [], math.inf, can_stop=True)
    await telegram.stop_draft(user)
    said = await telegram.say(user, user, "hello https://example.org /help")
    await telegram.edit(user, said["message_id"], "edited")
    await telegram.say(user, user, "look", photo=True)
    await telegram.say(group, user, "hey", mention=True)
    await telegram.say(forum, user, "/help", thread=topic)
    with pytest.raises(TimeoutError):
        await telegram.press(user, 999, "gone", user, wait_seconds=0.01)
    telegram.kick(group)
    async with aiohttp.ClientSession() as session:
        for method, parameters in calls:
            async with session.post(f"{telegram.api_url}/bot{telegram.token}/{method}", json=parameters):
                pass
        async with session.post(f"{telegram.api_url}/botwrong/getMe"):
            pass


async def test_what_telegrams_stand_in_answers_to_any_client_follows_the_specification(telegram_says: TelegramSpecification) -> None:
    async with TelegramSandbox() as telegram:
        await ask_telegram(telegram)
    assert {200, 400, 401, 429} <= {call.status for call in telegram.calls}
    assert telegram_complaints(telegram_says, telegram) == []
