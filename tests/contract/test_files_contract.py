"""What every platform promises of pages with a file, checked on every platform against its stand-in over real sockets."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bot.model import Button, File, Page
from bot.platforms.base import PlatformError, Refusal, RefusedError, UnknownOutcomeError

FILE = File("answer.md", "text/markdown", "# Größe 😀\n".encode())
PAGE = Page("all of it", buttons=((Button("Again", "retry:1"),),), file=FILE)
SHOWN = ("all of it", ("Again",), (("answer.md", FILE.content),))


def shown(world, where):
    return [(one.text, one.buttons, one.files) for one in world.shown(where)]


async def test_a_file_comes_with_its_text_and_buttons_as_an_answer(world, platform, where):
    said = await world.say(where, "tell me much")
    sent = await platform.send(replace(where, reply_to=said), PAGE, nonce="1", first=True)
    assert shown(world, where) == [SHOWN]
    assert [one.id for one in world.shown(where)] == [sent.message_id]


async def test_a_page_with_a_file_can_be_sent_over_it_again(world, platform, where):
    """As after a crash, when nobody knows what shows."""
    sent = await platform.send(where, PAGE, nonce="1", first=True)
    await platform.edit(where, sent.message_id, PAGE, first=True)
    assert shown(world, where) == [SHOWN]


async def test_a_text_can_become_a_file(world, platform, where):
    sent = await platform.send(where, Page("some of it"), nonce="1", first=True)
    await platform.edit(where, sent.message_id, PAGE, first=True)
    assert shown(world, where) == [SHOWN]


async def test_a_file_becomes_a_text_or_says_that_it_cant(world, platform, where):
    sent = await platform.send(where, PAGE, nonce="1", first=True)
    outcomes = await asyncio.gather(platform.edit(where, sent.message_id, Page("short"), first=True), return_exceptions=True)
    outcome: object = outcomes[0]
    if isinstance(outcome, RefusedError):
        assert outcome.reason is Refusal.OTHER_KIND
        await platform.delete(where, sent.message_id)
        await platform.send(where, Page("short"), nonce="2", first=True)
    assert shown(world, where) == [("short", (), ())]


async def test_where_files_may_not_be_sent_it_is_told_and_a_text_still_comes(world, platform, where):
    world.bar_files(where)
    with pytest.raises(RefusedError) as caught:
        await platform.send(where, PAGE, nonce="1", first=True)
    assert caught.value.reason is Refusal.FORBIDDEN
    await platform.send(where, Page("a text"), nonce="1", first=True)
    assert shown(world, where) == [("a text", (), ())]


async def test_the_longest_text_beside_a_file_is_taken_and_a_longer_one_refused(world, platform, where):
    room = platform.style.room(file=True)
    await platform.send(where, replace(PAGE, text="x" * room), nonce="1", first=True)
    with pytest.raises(RefusedError) as caught:
        await platform.send(where, replace(PAGE, text="x" * (room + 1)), nonce="2", first=True)
    assert caught.value.reason is Refusal.TOO_LONG


async def test_a_file_that_is_too_large_is_refused_and_not_taken_for_a_lost_answer(world, platform, where):
    world.harm_file(too_large=True)
    with pytest.raises(RefusedError) as caught:
        await platform.send(where, PAGE, nonce="1", first=True)
    assert caught.value.reason in {Refusal.TOO_LONG, Refusal.BAD_REQUEST}
    assert shown(world, where) == []


async def test_a_file_whose_outcome_is_lost_is_not_sent_twice_by_repeating_what_may_be_repeated(world, platform, where):
    world.harm_file(drop="after")
    with pytest.raises(PlatformError) as caught:
        await platform.send(where, PAGE, nonce="1", first=True)
    if not platform.limits.idempotent_send:
        assert isinstance(caught.value, UnknownOutcomeError)
        return
    repeated = await platform.send(where, PAGE, nonce="1", first=True)
    assert [one.id for one in world.shown(where)] == [repeated.message_id]
    assert shown(world, where) == [SHOWN]
