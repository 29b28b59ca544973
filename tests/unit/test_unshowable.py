"""An answer that can't be shown while it grows: what is read of the model is paid for, so it is read on only if it can be shown later."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.base import Finished, TextDelta
from bot.platforms.base import Refusal, RefusedError
from tests.support.core import World, eventually


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_what_the_chat_refuses_for_good_is_not_read_to_its_end(world: World) -> None:
    async with world.running():
        world.chat.failures = [RefusedError(Refusal.FORBIDDEN, "no")]
        world.alpha.will(TextDelta("first words "), asyncio.Event(), TextDelta("and more"), Finished())
        await world.say("hello")
        await world.idle()
        assert world.alpha.closed == 1  # the provider's connection is closed, in the middle of its answer
        assert world.turns() == [("failed", 1)]
        assert await world.ask("still there?") == "heard: still there?"
    told = [(message.role, message.text) for message in world.alpha.requests[1].messages]
    assert told == [("user", "hello"), ("assistant", "first words "), ("user", "still there?")]


async def test_a_growing_page_that_is_refused_for_its_content_costs_no_word(world: World) -> None:
    async with world.running():
        world.chat.failures = [RefusedError(Refusal.BAD_REQUEST, "odd")]
        more = asyncio.Event()
        world.alpha.will(TextDelta("first words "), more, TextDelta("and more"), Finished())
        await world.say("hello")
        await eventually(lambda: not world.chat.failures)
        more.set()
        await world.idle()
    assert world.texts() == ["first words and more"]
    assert world.alpha.closed == 0


async def test_an_answer_that_a_good_token_can_show_is_read_to_its_end_and_not_asked_again(world: World) -> None:
    async with world.running():
        world.chat.failures = [RefusedError(Refusal.TOKEN, "revoked")]
        more = asyncio.Event()
        world.alpha.will(TextDelta("first words "), more, TextDelta("and more"), Finished())
        await world.say("hello")
        await eventually(lambda: not world.chat.failures)
        more.set()
        await world.idle()
        assert world.texts() == ["first words and more"]
        assert (len(world.alpha.requests), world.alpha.closed) == (1, 0)
