"""What every platform promises of files that people send, checked on every platform against its stand-in over real sockets."""

from __future__ import annotations

import asyncio
import gzip
from dataclasses import replace

import pytest

from bot.model import Page
from bot.platforms.base import FileError, FileTrouble, SupportsAttachments
from bot.platforms.budgets import ATTACHMENT_SECONDS
from sandbox.faults import Fault
from tests.support.seam import Inbox, running

CONTENT = "Größe\n".encode() * 100
NOTES = ("notes.txt", "text/plain", CONTENT)
ROOMY = 10_000_000


@pytest.fixture(params=["private", "group"])
def where(request, world):
    return world.private if request.param == "private" else world.group


async def sent(world, platform, where, *files):
    """Return the event that brings files."""
    inbox = Inbox()
    async with running(platform, inbox):
        await world.attach(where, "see here", *files)
        await inbox.one()
    return inbox.taken[0]


async def fetched(platform, event, *, most_bytes=ROOMY):
    return await platform.fetch(event.attachments[0], event.chat, event.message_id, most_bytes=most_bytes)


async def trouble(world, platform, event, *, most_bytes=ROOMY):
    """Return why a file can't be had; the error tells nobody how to have it."""
    with pytest.raises(FileError) as caught:
        await fetched(platform, event, most_bytes=most_bytes)
    said = f"{caught.value} {caught.value!r}"
    assert world.token not in said
    assert "://" not in said
    assert caught.value.__cause__ is None
    return caught.value.trouble


def test_both_can_fetch(world):
    assert isinstance(world.make(), SupportsAttachments)


async def test_a_file_comes_as_it_was_sent(world, platform, where):
    event = await sent(world, platform, where, NOTES)
    assert [(one.name, one.media_type, one.size) for one in event.attachments] == [("notes.txt", "text/plain", len(CONTENT))]
    assert await fetched(platform, event) == CONTENT


async def test_it_comes_after_a_restart_too(world, platform, where):
    event = await sent(world, platform, where, NOTES)
    later = world.make()
    await later.open()
    assert await fetched(later, event) == CONTENT
    await later.aclose()


async def test_no_more_is_read_than_was_asked_for(world, platform, where):
    event = await sent(world, platform, where, NOTES)
    assert await fetched(platform, event, most_bytes=len(CONTENT)) == CONTENT
    assert await trouble(world, platform, event, most_bytes=len(CONTENT) - 1) is FileTrouble.TOO_LARGE


async def test_what_is_larger_than_it_was_said_to_be_is_still_not_read(world, platform, where):
    event = await sent(world, platform, where, NOTES)
    world.swap_files(bytes(ROOMY + 1))
    assert await trouble(world, platform, replace(event, attachments=(replace(event.attachments[0], size=3),))) is FileTrouble.TOO_LARGE


async def test_a_head_that_lies_about_the_size_lets_no_more_in(world, platform, where, monkeypatch):
    event = await sent(world, platform, where, NOTES)
    monkeypatch.setattr(f"bot.platforms.{world.name}.files._check", lambda *_: None)
    assert await fetched(platform, event, most_bytes=len(CONTENT)) == CONTENT
    assert await trouble(world, platform, event, most_bytes=len(CONTENT) - 1) is FileTrouble.TOO_LARGE


async def test_a_redirect_is_not_followed(world, platform, where):
    event = await sent(world, platform, where, NOTES)
    world.harm_download(Fault(status=302, headers={"Location": "/elsewhere"}))
    assert await trouble(world, platform, event) is FileTrouble.REFUSED
    assert world.sandbox.calls_to("GET", "/elsewhere") == []


async def test_what_comes_compressed_unasked_is_refused(world, platform, where):
    event = await sent(world, platform, where, NOTES)
    world.swap_files(gzip.compress(bytes(ROOMY)))
    world.harm_download(Fault(status=200, body="x", headers={"Content-Encoding": "gzip"}))
    assert await trouble(world, platform, event) is FileTrouble.REFUSED


@pytest.mark.parametrize(
    "fault",
    [Fault(status=500), Fault(status=503, body="<html>"), Fault(drop="before", times=-1), Fault(status=429)],
    ids=["500", "503", "cut", "429"],
)
async def test_what_may_pass_is_told_apart_and_the_next_try_brings_it(world, platform, where, fault):
    event = await sent(world, platform, where, NOTES)
    world.harm_download(replace(fault))
    assert await trouble(world, platform, event) is FileTrouble.UNAVAILABLE
    world.sandbox.faults.clear()
    assert await fetched(platform, event) == CONTENT


async def test_a_server_that_takes_its_time_is_given_up(world, platform, where, monkeypatch):
    assert ATTACHMENT_SECONDS >= 5  # a phone's picture over a slow line
    event = await sent(world, platform, where, NOTES)
    monkeypatch.setattr(f"bot.platforms.{world.name}.files.ATTACHMENT_SECONDS", 0.1)
    world.harm_download(Fault(delay=30.0))
    assert await trouble(world, platform, event) is FileTrouble.UNAVAILABLE


async def test_files_that_do_not_come_hold_up_no_message(world, platform, where, monkeypatch):
    monkeypatch.setattr(f"bot.platforms.{world.name}.files.ATTACHMENT_SECONDS", 3600.0)
    event = await sent(world, platform, where, NOTES)
    world.harm_download(Fault(delay=3600.0, times=-1))
    hanging = [asyncio.ensure_future(fetched(platform, event)) for _ in range(70)]
    under_way = [0]
    while under_way[-1] == 0 or under_way[-10:] != [under_way[-1]] * 10:  # until no further one begins
        await asyncio.sleep(0.02)
        under_way.append(world.downloads())
    said = asyncio.ensure_future(platform.send(where, Page("hello"), nonce="n", first=True))
    done, _ = await asyncio.wait([said, *hanging], return_when=asyncio.FIRST_COMPLETED)
    for one in hanging:
        one.cancel()
    await asyncio.gather(*hanging, return_exceptions=True)
    assert done == {said}
    assert said.result().message_id


async def test_what_the_platform_has_no_more_is_gone(world, platform, where):
    event = await sent(world, platform, where, NOTES)
    world.lose_files()
    assert await trouble(world, platform, event) is FileTrouble.GONE


async def test_nobody_listens(world, where, platform):
    event = await sent(world, platform, where, NOTES)
    await world.sandbox.stop()
    assert await trouble(world, platform, event) is FileTrouble.UNAVAILABLE
