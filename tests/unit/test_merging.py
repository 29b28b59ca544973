"""Pieces of a long paste and quick bursts make one question; a short question is never delayed."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Finished, TextDelta
from bot.merging import ALBUM_SECONDS, NEAR_LIMIT, Merging
from bot.model import CommandCall, EventKind, ReplyRoute, Sender
from storage.base import Merge, Turn
from tests.support.core import World, eventually, picture

LONG = "x" * 90
"""Near the longest message of the chat in memory."""


WINDOW = 3600.0
"""No machine is so slow that what a test says in succession is further apart."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path, merge_window=WINDOW)
    world.chat.style = replace(world.chat.style, limit=92)
    return world


async def test_what_is_written_in_quick_succession_while_an_answer_runs_is_one_question(world: World) -> None:
    running = asyncio.Event()
    world.alpha.will(running, TextDelta("first answer"), Finished())
    async with world.running():
        await world.say("one")
        await eventually(lambda: world.alpha.requests)
        for text in ("two", "three", "four"):
            await world.say(text)
        running.set()
        await world.until_said("heard: two\nthree\nfour")
        await world.idle()
    assert world.alpha.asked == ["one", "two\nthree\nfour"]
    assert len(world.texts()) == 2
    assert [message.role for message in world.alpha.requests[-1].messages] == ["user", "assistant", "user"]


async def test_the_pieces_of_a_paste_are_one_question_asked_as_soon_as_the_last_one_is_there(world: World) -> None:
    async with world.running():
        for text in (LONG, LONG, "the end"):
            await world.say(text)
            assert world.alpha.requests == []
        await world.idle()
    assert world.alpha.asked == [f"{LONG}\n{LONG}\nthe end"]
    assert world.turns() == [("done", 1)]


async def test_a_long_message_alone_is_asked_after_the_window(world: World) -> None:
    world.merge_window = 0.1
    async with world.running():
        await world.ask(LONG)
    assert world.alpha.asked == [LONG]


async def test_a_short_question_is_claimed_at_once_however_long_the_window(world: World) -> None:
    async with world.running():
        assert await world.ask("hello") == "heard: hello"


async def test_a_paste_that_a_crash_cuts_off_is_one_question_at_the_next_start(world: World) -> None:
    async with world.running():
        await world.say(LONG)
        await world.say(LONG)
    async with world.running():
        await world.say("the end")
        await world.idle()
    assert world.alpha.asked == [f"{LONG}\n{LONG}\nthe end"]


async def test_an_orderly_end_does_not_wait_for_the_rest_of_a_paste(world: World) -> None:
    async with world.running() as core:
        await world.say(LONG)
        await eventually(lambda: not core.dispatcher.idle)
        assert await core.dispatcher.settle(5.0)
    assert world.turns() == [("accepted", 0)]


async def test_stop_lets_go_of_a_paste_that_is_still_held(world: World) -> None:
    async with world.running():
        await world.say(LONG)
        await world.command("stop")
        await world.idle()
    assert world.alpha.requests == []
    assert [state for state, _ in world.turns()] == ["stopped"]


async def test_two_people_are_two_questions(world: World) -> None:
    running = asyncio.Event()
    world.alpha.will(running, Finished())
    async with world.running():
        await world.say("one")
        await eventually(lambda: world.alpha.requests)
        await world.say("two")
        await world.say("three", sender=Sender("8", "Bob"))
        running.set()
        await world.idle()
    assert world.alpha.asked[1:] == ["two", "Bob: three"]


async def test_without_a_window_every_message_is_a_question(world: World) -> None:
    world.merge_window = 0.0
    running = asyncio.Event()
    world.alpha.will(running, Finished())
    async with world.running():
        for text in ("one", LONG, "three"):
            await world.say(text)
        running.set()
        await world.idle()
    assert world.alpha.asked == ["one", LONG, "three"]


def test_only_plain_messages_are_merged_and_only_what_nearly_fills_one_waits(world: World) -> None:
    merging = Merging({"memory": world.chat}, 0.5)
    plain = world.event(text="hello")
    assert merging.of(plain) == Merge(0.5, more=False)
    limit = world.chat.style.limit
    for length, more in ((int(limit * NEAR_LIMIT) - 1, False), (int(limit * NEAR_LIMIT) + 1, True), (limit, True), (limit + 1, False)):
        assert merging.of(replace(plain, text="x" * length)) == Merge(0.5, more=more)
    for other in (
        replace(plain, kind=EventKind.COMMAND, command=CommandCall("ask", {"question": "why"})),
        replace(plain, attachments=(picture(),)),
        replace(plain, route=ReplyRoute("token", 9e9)),
    ):
        assert merging.of(other) is None


@pytest.mark.parametrize("window", [0.0, 0.5])
def test_the_messages_of_an_album_belong_together_whatever_the_window(world: World, window: float) -> None:
    of_album = world.event(text="", attachments=(picture(),), album="7")
    assert Merging({"memory": world.chat}, window).of(of_album) == Merge(ALBUM_SECONDS, more=True)
    assert Merging({"memory": world.chat}, window).of(replace(of_album, kind=EventKind.EDIT)) is None


async def test_a_question_that_is_held_no_more_just_after_it_was_looked_for_is_asked_without_a_pause(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = asyncio.Event()
    world.alpha.will(running, TextDelta("first answer"), Finished())
    async with world.running() as core:
        monkeypatch.setattr(core.store._lanes, "_first_retry", 3600.0)
        real, looks = core.store.claim, itertools.count(1)

        async def claim(conversation: int, **more: Any) -> Turn | None:
            return None if next(looks) == 1 else await real(conversation, **more)

        await world.say("one")
        await eventually(lambda: world.alpha.requests)
        await world.say("two")
        monkeypatch.setattr(core.store, "claim", claim)
        running.set()
        await world.until_said("heard: two")
        await world.idle()
    assert next(looks) == 3


async def test_what_was_taken_out_of_a_question_is_not_asked_by_a_retry_either(world: World) -> None:
    running = asyncio.Event()
    world.alpha.will(running, TextDelta("first answer"), Finished())
    async with world.running():
        await world.say("one")
        await eventually(lambda: world.alpha.requests)
        await world.say("two")
        regretted = await world.say("a secret")
        await world.edit(regretted, "")
        await eventually(lambda: world.rows("SELECT COUNT(*) FROM event WHERE kind = 'edit' AND finished_at IS NOT NULL") == [(1,)])
        running.set()
        await world.idle()
        await world.order("retry")
        await world.press("retry:2")  # the answer that the first retry took the place of
        await eventually(lambda: len(world.alpha.requests) == 4)
        await world.idle()
    assert world.alpha.asked == ["one", "two", "two", "two"]
