"""Files are fetched from where the platform keeps them and from nowhere else; an address that has expired is asked for anew."""

from __future__ import annotations

import asyncio
import socket

import pytest
from yarl import URL

from bot.clock import SystemClock
from bot.model import Attachment, ChatAddress, EventKind
from bot.platforms.base import FileError, FileTrouble
from bot.platforms.discord import DiscordPlatform
from sandbox.discord import DiscordSandbox
from sandbox.discord.forms import File
from sandbox.faults import Fault
from sandbox.telegram import TelegramSandbox
from sandbox.telegram.people import Sent
from tests.support.platforms import DiscordWorld, TelegramWorld
from tests.support.seam import Inbox, Memo, Menu, plain, running

MOST = 1000


def discord_platform(sandbox, cdn_base_url):
    return DiscordPlatform(
        sandbox.token,
        Menu(),
        Memo(),
        style=plain(2000),
        api_base_url=sandbox.api_url,
        gateway_url=sandbox.gateway_url,
        cdn_base_url=cdn_base_url,
        clock=SystemClock(),
    )


@pytest.mark.parametrize(
    "address",
    [
        "http://cdn.discordapp.com/attachments/1/2/a.png",
        "https://cdn.discordapp.com.evil.example/attachments/1/2/a.png",
        "https://evil.example/attachments/1/2/a.png",
        "https://cdn.discordapp.com:8443/attachments/1/2/a.png",
        "https://user@cdn.discordapp.com/attachments/1/2/a.png",
        "https://cdn.discordapp.com/embed/avatars/0.png",
        "https://cdn.discordapp.com/attachments/1/2/../../3/a.png",
        "https://cdn.discordapp.com/attachments/1/2/%2e%2e/a/b.png",
        "http://127.0.0.1/attachments/1/2/a.png",
        "http://169.254.169.254/attachments/1/2/a.png",
        "file:///etc/passwd",
        "//cdn.discordapp.com/attachments/1/2/a.png",
        "",
        "https://[::1",
    ],
)
async def test_only_discords_own_addresses_are_fetched(address):
    async with DiscordSandbox() as sandbox:
        platform = discord_platform(sandbox, None)
        attachment = Attachment("a.png", "image/png", 3, address)
        with pytest.raises(FileError) as caught:
            await platform.fetch(attachment, ChatAddress("discord", "1", "2"), "3", most_bytes=MOST)
        await platform.aclose()
        assert caught.value.trouble is FileTrouble.REFUSED
        assert sandbox.calls == []


async def test_a_name_that_leads_to_this_machine_is_not_fetched_from(monkeypatch):
    async with DiscordSandbox() as sandbox:
        said = await sandbox.say(sandbox.channel_id, sandbox.user_id, "x", attachments=[File("a.txt", "text/plain", b"abc")])
        asked: list[str] = []

        async def lookup(host, port, **_):
            asked.append(host)
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", lookup)
        here = URL(sandbox.url)
        platform = discord_platform(sandbox, f"http://files.example:{here.port}")
        address = said["attachments"][0]["url"].replace(f"{here.host}:{here.port}", f"files.example:{here.port}")
        with pytest.raises(FileError) as caught:
            await platform.fetch(Attachment("a.txt", "text/plain", 3, address), ChatAddress("discord", "1", "2"), "3", most_bytes=MOST)
        await platform.aclose()
        assert caught.value.trouble is FileTrouble.UNAVAILABLE
        assert asked == ["files.example"]
        assert sandbox.calls_to("GET", "/attachments/") == []


async def brought(world, where, data=b"abc"):
    platform, inbox = world.make(), Inbox()
    await platform.open()
    async with running(platform, inbox):
        await world.attach(where, "see", ("a.txt", "text/plain", data))
        event = await inbox.one()
    return platform, event


async def fetched(platform, event):
    return await platform.fetch(event.attachments[0], event.chat, event.message_id, most_bytes=MOST)


async def test_an_expired_address_is_asked_for_anew_by_reading_the_message_again():
    async with DiscordSandbox() as sandbox:
        world = DiscordWorld(sandbox)
        sandbox.world.links.seconds = -1.0
        platform, event = await brought(world, world.group)
        sandbox.world.links.seconds = 86_400.0
        assert await fetched(platform, event) == b"abc"
        assert world.downloads() == 1
        await platform.aclose()


async def test_an_address_that_is_refused_is_asked_for_anew_once():
    async with DiscordSandbox() as sandbox:
        world = DiscordWorld(sandbox)
        platform, event = await brought(world, world.private)
        world.harm_download(Fault(status=404))
        assert await fetched(platform, event) == b"abc"
        world.harm_download(Fault(status=404, times=9))
        with pytest.raises(FileError) as caught:
            await fetched(platform, event)
        assert caught.value.trouble is FileTrouble.GONE
        assert world.downloads() == 4
        await platform.aclose()


async def test_a_message_that_was_deleted_or_can_not_be_read_again_has_no_file():
    async with DiscordSandbox() as sandbox:
        world = DiscordWorld(sandbox)
        sandbox.world.links.seconds = -1.0
        platform, event = await brought(world, world.group)
        sandbox.without_history.add(sandbox.channel_id)
        with pytest.raises(FileError) as barred:
            await fetched(platform, event)
        sandbox.without_history.clear()
        await sandbox.delete(sandbox.channel_id, event.message_id)
        with pytest.raises(FileError) as deleted:
            await fetched(platform, event)
        assert [barred.value.trouble, deleted.value.trouble] == [FileTrouble.GONE, FileTrouble.GONE]
        await platform.aclose()


async def test_an_address_that_discord_names_anew_is_looked_at_too():
    async with DiscordSandbox() as sandbox:
        world = DiscordWorld(sandbox)
        sandbox.world.links.seconds = -1.0
        platform, event = await brought(world, world.private)
        number = event.attachments[0].source.split("/")[-2]
        forged = {"attachments": [{"id": number, "url": "https://evil.example/attachments/1/2/a.png"}]}
        sandbox.faults.add(Fault("GET", "*/messages/*", status=200, body=forged))
        with pytest.raises(FileError) as caught:
            await fetched(platform, event)
        assert caught.value.trouble is FileTrouble.REFUSED
        await platform.aclose()


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../secret", "photos/../../x", "//evil.example/x", "http://evil.example/x", "a?b", "", None, 7]
)
async def test_telegram_names_a_path_and_nothing_that_leads_elsewhere(path):
    async with TelegramSandbox() as sandbox:
        world = TelegramWorld(sandbox)
        platform, event = await brought(world, world.private)
        named = {"ok": True, "result": {"file_id": "x", "file_unique_id": "y", "file_path": path}}
        sandbox.faults.add(Fault("POST", "*/getFile", status=200, body=named))
        with pytest.raises(FileError) as caught:
            await fetched(platform, event)
        assert caught.value.trouble is FileTrouble.UNAVAILABLE
        assert world.downloads() == 0
        await platform.aclose()


async def test_telegram_is_not_believed_about_a_size(monkeypatch):
    async with TelegramSandbox() as sandbox:
        world = TelegramWorld(sandbox)
        platform, event = await brought(world, world.private, bytes(100))
        assert await fetched(platform, event) == bytes(100)
        path = sandbox.calls_to("GET", "/file/")[-1].path.partition(f"bot{world.token}/")[2]
        named = {"ok": True, "result": {"file_id": "x", "file_unique_id": "y", "file_path": path, "file_size": 3}}
        sandbox.faults.add(Fault("POST", "*/getFile", status=200, body=named))
        monkeypatch.setattr("bot.platforms.telegram.files._check", lambda *_: None)
        with pytest.raises(FileError) as caught:
            await platform.fetch(event.attachments[0], event.chat, event.message_id, most_bytes=10)
        assert caught.value.trouble is FileTrouble.TOO_LARGE
        await platform.aclose()


async def test_telegram_gives_no_file_beyond_20_mb():
    async with TelegramSandbox() as sandbox:
        world = TelegramWorld(sandbox)
        platform, event = await brought(world, world.private, bytes(20_000_001))
        with pytest.raises(FileError) as caught:
            await platform.fetch(event.attachments[0], event.chat, event.message_id, most_bytes=50_000_000)
        assert caught.value.trouble is FileTrouble.TOO_LARGE
        await platform.aclose()


async def test_an_album_is_a_message_for_each_of_its_pictures():
    async with TelegramSandbox() as sandbox:
        world = TelegramWorld(sandbox)
        platform, inbox = world.make(), Inbox()
        await platform.open()
        async with running(platform, inbox):
            await sandbox.say(sandbox.user_id, sandbox.user_id, "two", files=[Sent(b"one"), Sent(b"two")])
            events = await inbox.wait(2)
        assert [(event.kind, event.text) for event in events] == [(EventKind.MESSAGE, "two"), (EventKind.MESSAGE, "")]
        assert [await fetched(platform, event) for event in events] == [b"one", b"two"]
        await platform.aclose()


async def test_the_address_of_discords_stand_in_holds_for_a_day_and_only_as_it_was_signed():
    async with DiscordSandbox() as sandbox:
        said = await sandbox.say(sandbox.channel_id, sandbox.user_id, "x", attachments=[File("a b.txt", "text/plain", b"abc")])
        url = said["attachments"][0]["url"]
        path = url.removeprefix(sandbox.url)
        assert sandbox.world.links.hold(path)
        assert not sandbox.world.links.hold(path.partition("?")[0])
        assert not sandbox.world.links.hold(path.replace("a%20b", "b"))
        assert not sandbox.world.links.hold(path.replace("ex=", "ex=f"))
