"""A provider's own memory of a chat is used only while it has seen exactly what the transcript holds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from adapters.base import ErrorKind, Finished, ProviderError, TextDelta
from tests.support.core import World, eventually
from tests.support.scripted import ScriptedProvider

Act = Callable[[World], Awaitable[object]]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(
        tmp_path,
        {
            "alpha": ScriptedProvider(memory="state-"),
            "beta": ScriptedProvider("beta", "Beta", default_model="b-one", names=("b-one",)),
        },
    )


async def nothing(_: World) -> None:
    pass


async def a_look_around(world: World) -> None:
    for name in ("status", "settings", "models", "help"):
        await world.order(name)


async def a_late_edit(world: World) -> None:
    said = await world.say("edited later")
    await world.idle()
    await world.edit(said, "too late")
    await world.idle()


async def a_message_without_text(world: World) -> None:
    await world.say("")
    await world.idle()


async def a_switch_and_back_without_a_question(world: World) -> None:
    await world.order("provider", name="beta")
    await world.order("provider", name="alpha")


async def a_model_and_back(world: World) -> None:
    await world.order("model", name="large")
    await world.order("model", name="small")


async def a_parameter(world: World) -> None:
    await world.order("settings", name="temperature", value="1")


async def another_provider_answered(world: World) -> None:
    await world.order("provider", name="beta")
    await world.ask("in between")
    await world.order("provider", name="alpha")


async def another_model(world: World) -> None:
    await world.order("model", name="large")


async def another_persona(world: World) -> None:
    await world.order("system", text="You are a pirate.")


async def another_account(world: World) -> None:
    world.alpha.account = "another key"


async def a_reset(world: World) -> None:
    await world.order("reset")


async def a_failed_turn(world: World) -> None:
    world.alpha.will(ProviderError(ErrorKind.SERVER))
    await world.ask("fails")


async def a_failed_turn_with_text(world: World) -> None:
    world.alpha.will(TextDelta("some"), ProviderError(ErrorKind.TIMEOUT_IDLE))
    await world.ask("fails")


async def a_stopped_turn(world: World) -> None:
    world.alpha.will(TextDelta("some"), asyncio.Event())
    asked = len(world.alpha.requests)
    await world.say("stops")
    await eventually(lambda: len(world.alpha.requests) > asked)
    await world.command("stop")
    await world.idle()


async def an_answer_without_state(world: World) -> None:
    world.alpha.will(TextDelta("forgetful"), Finished())
    await world.ask("in between")


async def another_provider_failed(world: World) -> None:
    world.providers["beta"].will(ProviderError(ErrorKind.SERVER))
    await another_provider_answered(world)


@pytest.mark.parametrize(
    "act",
    [
        nothing,
        a_look_around,
        a_message_without_text,
        a_switch_and_back_without_a_question,
        a_model_and_back,
        a_parameter,
        another_provider_failed,
    ],
)
async def test_memory_is_used_where_nothing_came_between(world: World, act: Act) -> None:
    async with world.running():
        await world.ask("one")
        await act(world)
        await world.ask("two")
    first, second = world.alpha.requests
    assert (first.state, second.state) == (None, "state-1")
    assert len(second.messages) == 3  # the whole transcript comes with it all the same


async def test_memory_follows_from_turn_to_turn_and_over_restarts(world: World) -> None:
    for number in range(3):
        async with world.running():
            await world.ask(f"question {number}")
    assert [request.state for request in world.alpha.requests] == [None, "state-1", "state-2"]


async def test_memory_is_used_after_an_edit_that_came_too_late(world: World) -> None:
    async with world.running():
        await a_late_edit(world)
        await world.ask("two")
    assert world.alpha.requests[-1].state == "state-1"
    assert world.alpha.requests[-1].messages[0].text == "edited later"


@pytest.mark.parametrize(
    "act",
    [
        another_provider_answered,
        another_model,
        another_persona,
        another_account,
        a_reset,
        a_failed_turn,
        a_failed_turn_with_text,
        a_stopped_turn,
        an_answer_without_state,
    ],
)
async def test_memory_is_dropped_where_something_came_between(world: World, act: Act) -> None:
    async with world.running():
        await world.ask("one")
        await act(world)
        await world.ask("two")
    assert world.alpha.requests[-1].messages[-1].text == "two"
    assert world.alpha.requests[-1].state is None


async def test_a_retry_starts_anew_and_what_it_brought_is_used_next(world: World) -> None:
    async with world.running():
        await world.ask("one")
        await world.ask("two")
        assert await world.order("retry") == "heard: two"
        await world.ask("three")
    assert [request.state for request in world.alpha.requests] == [None, "state-1", None, "state-3"]
    assert [message.text for message in world.alpha.requests[-1].messages] == ["one", "heard: one", "two", "heard: two", "three"]


async def test_a_reset_while_an_answer_runs_is_not_undone_by_its_memory(world: World) -> None:
    gate = asyncio.Event()
    async with world.running():
        world.alpha.will(gate, TextDelta("secret of before"), Finished(state="of before"))
        await world.say("one")
        await eventually(lambda: world.alpha.requests)
        await world.command("reset")
        await world.until_said("Started afresh")
        gate.set()
        await world.idle()
        await world.ask("two")
    assert world.alpha.requests[-1].state is None
    assert [message.text for message in world.alpha.requests[-1].messages] == ["two"]


async def test_memory_that_the_provider_lost_is_left_away_and_the_answer_comes_all_the_same(world: World) -> None:
    async with world.running():
        await world.ask("one")
        world.alpha.will(ProviderError(ErrorKind.STATE_LOST))
        assert await world.ask("two") == "heard: two"
    assert [request.state for request in world.alpha.requests] == [None, "state-1", None]


async def test_two_conversations_share_no_memory(world: World) -> None:
    async with world.running():
        await world.ask("one")
        await world.ask("elsewhere", chat="2")
    assert world.alpha.requests[-1].state is None
    assert [message.text for message in world.alpha.requests[-1].messages] == ["elsewhere"]
