"""The calls that fetch people's files, and the messages that bring them, held against the platforms' own specifications."""

from __future__ import annotations

import json

from bot.platforms.base import SupportsAttachments
from sandbox.discord import DiscordSandbox
from sandbox.discord.server import API
from sandbox.telegram import TelegramSandbox
from sandbox.telegram.people import Sent
from tests.support.platforms import DiscordWorld, TelegramWorld
from tests.support.seam import Inbox, running
from tests.support.specifications import discord_specification, telegram_specification


async def test_a_discord_file_and_its_message_read_again_follow_the_specification():
    says = discord_specification()
    async with DiscordSandbox() as sandbox:
        world = DiscordWorld(sandbox)
        sandbox.world.links.seconds = -1.0
        platform, inbox = world.make(), Inbox()
        await platform.open()
        async with running(platform, inbox):
            await world.attach(world.group, "see", ("a b.txt", "text/plain", b"abc"))
            event = await inbox.one()
        sandbox.world.links.seconds = 86_400.0
        assert isinstance(platform, SupportsAttachments)
        assert await platform.fetch(event.attachments[0], event.chat, event.message_id, most_bytes=10) == b"abc"
        await platform.aclose()
        reads = [call for call in sandbox.calls if call.method == "GET" and "/messages/" in call.path]
    assert len(reads) == 1
    assert reads[0].answer is not None
    path = reads[0].path.removeprefix(API)
    assert says.request("GET", path, reads[0].query, reads[0].body) == []
    assert says.response("GET", path, reads[0].status, json.loads(reads[0].answer)) == []


async def test_a_telegram_file_and_an_album_follow_the_specification():
    says = telegram_specification()
    async with TelegramSandbox() as sandbox:
        world = TelegramWorld(sandbox)
        platform, inbox = world.make(), Inbox()
        await platform.open()
        async with running(platform, inbox):
            await sandbox.say(sandbox.user_id, sandbox.user_id, "see", files=[Sent(b"one"), Sent(b"two", "a.txt", "text/plain")])
            events = await inbox.wait(2)
        assert isinstance(platform, SupportsAttachments)
        for event in events:
            await platform.fetch(event.attachments[0], event.chat, event.message_id, most_bytes=10)
        await platform.aclose()
        complaints: list[str] = []
        for call in sandbox.calls:
            if call.path.startswith("/bot") and call.answer is not None:
                method = call.path.rpartition("/")[2]
                complaints += says.request(method, {**call.query, **(call.body or {})})
                complaints += says.answer(method, call.status, json.loads(call.answer))
        assert {call.path.rpartition("/")[2] for call in sandbox.calls} >= {"getFile", "getUpdates"}
        assert complaints == []
        assert sandbox.unknown_parameters == []
