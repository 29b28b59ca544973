"""A quick second press on Stop meets the buttons that took its place: it asks nothing. A press that is meant comes later and is served."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from adapters.base import TextDelta
from bot import texts, transcript
from bot.model import ButtonPress, ChatAddress, ChatKind, EventKind, Incoming, Sender
from bot.presses import SLIP_SECONDS, Presses
from tests.support.clock import FakeClock, ShiftedClock
from tests.support.core import PressableChat, World, eventually

LONG = 3600.0
"""In the place of `SLIP_SECONDS` where the time is the machine's: no machine is so slow that a press that follows comes later."""


@pytest.fixture
def clock() -> ShiftedClock:
    return ShiftedClock()


@pytest.fixture
def chat(clock: ShiftedClock) -> PressableChat:
    return PressableChat(clock)


@pytest.fixture
def world(tmp_path: Path, chat: PressableChat, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setattr("bot.presses.SLIP_SECONDS", LONG)
    return World(tmp_path, chat=chat)


async def stopped(world: World) -> None:
    """Have an answer that somebody pressed Stop under."""
    world.alpha.will(TextDelta("the beginning"), asyncio.Event())
    await world.say("one")
    await world.until_said("the beginning")
    await world.press("stop:1", under="1")
    await world.idle()
    await eventually(lambda: world.now.dispatcher.idle)


@pytest.mark.parametrize("button", ["continue:1", "retry:1", "model:", "other:1"])
async def test_a_quick_second_press_asks_nothing_and_says_so_to_who_pressed(world: World, chat: PressableChat, button: str) -> None:
    async with world.running():
        await stopped(world)
        shown = world.texts()
        await world.press(button, under="1")
        await world.idle()
        assert chat.words == ["", texts.SLIPPED]
        assert world.texts() == shown
    assert world.alpha.asked == ["one"]


async def test_one_that_comes_before_the_end_is_stored_asks_nothing_either(
    world: World, chat: PressableChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running() as core:
        real, gate = core.store.close, asyncio.Event()

        async def slowly(*args: object, **named: object) -> bool:
            await gate.wait()
            return await real(*args, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(core.store, "close", slowly)
        world.alpha.will(TextDelta("the beginning"), asyncio.Event())
        await world.say("one")
        await world.until_said("the beginning")
        await world.press("stop:1", under="1")
        await world.until_said("Stopped")
        await world.press("retry:1", under="1")
        await eventually(lambda: chat.words == ["", texts.SLIPPED])
        gate.set()
        await world.idle()
    assert world.alpha.asked == ["one"]


async def test_a_press_that_is_meant_is_served(world: World, clock: ShiftedClock, chat: PressableChat) -> None:
    async with world.running():
        await stopped(world)
        clock.ahead += LONG
        await world.press("continue:1", under="1")
        await world.until_said("heard: Continue")
        await world.idle()
        assert chat.words == ["", ""]
    assert world.alpha.asked == ["one", transcript.go_on("the beginning")]


async def test_somebody_elses_press_a_written_command_and_one_elsewhere_are_served(world: World, chat: PressableChat) -> None:
    async with world.running():
        await stopped(world)
        await world.press("model:", under="1", chat="2")
        await world.until_said("Choose another", chat="2")
        await world.press("model:", under="2")
        await world.until_said("Choose another")
        await world.press("retry:1", under="1", sender=Sender("8", "Bob"))
        await world.until_said("heard: one")
        await world.idle()
        await world.order("retry")
        assert chat.words == ["", "", "", ""]
    assert world.alpha.asked == ["one", "one", "one"]


async def test_a_stop_that_came_too_late_keeps_nothing_from_being_pressed(world: World, chat: PressableChat) -> None:
    async with world.running():
        await world.ask("one")
        await world.press("stop:1", under="1")
        await eventually(lambda: chat.words == [texts.NOT_RUNNING])
        await world.press("retry:1", under="1")
        await eventually(lambda: len(world.alpha.asked) == 2)
        await world.idle()


def press(data: str = "x", sender: str = "7") -> Incoming:
    address = ChatAddress("memory", "bot", "1")
    return Incoming("key", EventKind.BUTTON, address, ChatKind.PRIVATE, Sender(sender, "Ada"), button=ButtonPress(data))


async def test_what_is_remembered_is_forgotten_again() -> None:
    clock = FakeClock()
    presses = Presses(clock)
    for turn in range(1000):
        presses.stopping(turn, press())
        presses.ended(turn)
        await clock.run(SLIP_SECONDS)
    assert len(presses._stops) == 1
    assert not presses.slipped(999, press())
