"""What comes late, twice, from a stranger or on a failing store: nothing is lost and nothing meets what came after it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from adapters.base import ErrorKind, Finished, ProviderError, TextDelta
from bot.access import Access, AllowList
from bot.bridge import Bridge
from bot.clock import SystemClock
from bot.model import ChatAddress, EventKind, Sender
from bot.outbox import Outbox
from bot.platforms.base import UnavailableError
from storage.base import StoreUnavailableError
from tests.support.chat import LIMITS
from tests.support.core import World, eventually


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def failing(method: Any, times: int) -> Any:
    left = [times]

    async def call(*args: Any, **more: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise StoreUnavailableError("locked")
        return await method(*args, **more)

    return call


@pytest.mark.parametrize("method", ["answered", "close", "delivered", "begin_delivery"])
async def test_a_store_that_fails_for_a_moment_costs_no_answer(world: World, monkeypatch: pytest.MonkeyPatch, method: str) -> None:
    async with world.running() as core:
        monkeypatch.setattr(core.store, method, failing(getattr(core.store, method), 2))
        assert await world.ask("one") == "heard: one"
    assert world.texts() == ["heard: one"]
    assert [state for state, _ in world.turns()] == ["done"]
    assert len(world.alpha.requests) == 1


async def test_an_answer_that_can_not_be_stored_for_long_is_neither_lost_nor_taken_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running() as core:
        monkeypatch.setattr("bot.insist.STORE_PAUSE_SECONDS", 0.001)
        monkeypatch.setattr(core.store, "close", failing(core.store.close, 8))
        assert await world.ask("one") == "heard: one"
    assert world.texts() == ["heard: one"]
    assert [state for state, _ in world.turns()] == ["done"]
    assert len(world.alpha.requests) == 1


async def test_a_stop_does_not_meet_a_question_that_came_after_it(world: World) -> None:
    world.alpha.will(TextDelta("partial"), asyncio.Event())
    async with world.running():
        await world.say("one")
        await world.until_said("partial")
        await world.command("stop")
        await world.say("two")
        await world.until_said("heard: two")
        await world.idle()
    assert [state for state, _ in world.turns()] == ["stopped", "done"]


async def test_a_reset_does_not_forget_a_question_that_came_after_it(world: World) -> None:
    async with world.running():
        await world.ask("one")
        await world.command("reset")
        await world.say("two")
        await world.until_said("heard: two")
        await world.ask("three")
    assert [message.text for message in world.alpha.requests[-1].messages] == ["two", "heard: two", "three"]


async def test_a_stop_that_is_carried_out_again_after_a_crash_meets_nothing_new(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as core:
        with monkeypatch.context() as patch:
            patch.setattr(core.inbox, "_hand_on", lambda *_: None)  # the crash comes before it is carried out
            await world.command("stop")
        await core.drain_no_more()
        await world.say("after the stop")
    async with world.running():
        await world.until_said("heard: after the stop")
        await world.until_said("Nothing is running")
        await world.idle()


async def test_a_question_waits_for_the_choice_that_came_before_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as core:
        real = core.preferences.set_provider

        async def slowly(*args: Any) -> None:
            await asyncio.sleep(0.1)
            await real(*args)

        monkeypatch.setattr(core.preferences, "set_provider", slowly)
        await world.command("provider", name="beta")
        await world.say("one")
        await world.idle()
    assert not world.alpha.requests
    assert len(world.providers["beta"].requests) == 1


async def test_stop_waits_behind_no_other_command(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = asyncio.Event()
    world.alpha.will(TextDelta("partial"), asyncio.Event())
    async with world.running():
        await world.say("one")
        await world.until_said("partial")

        async def check() -> None:
            await slow.wait()
            raise ProviderError(ErrorKind.CONNECT)

        monkeypatch.setattr(world.alpha, "check", check)
        await world.command("status")
        await world.command("stop")
        await world.until_said("Stopped")
        slow.set()
        await world.idle()


async def test_a_strangers_words_are_never_asked_and_cost_nobody_the_memory_of_a_provider(tmp_path: Path) -> None:
    world = World(tmp_path, access=Access(lists={"memory": AllowList(frozenset({"7"}))}))
    async with world.running():
        world.alpha.will(TextDelta("heard: one"), Finished(state="s1"))
        await world.ask("one")
        await world.say("a stranger's", sender=Sender("666", "Eve"))
        await world.until_said("does not know you")
        await world.idle()
        await world.command("retry")
        await world.until_said("heard: one", since=2)
        await world.idle()
    assert [request.messages[-1].text for request in world.alpha.requests] == ["one", "one"]
    assert all("stranger" not in message.text for request in world.alpha.requests for message in request.messages)


async def test_what_is_open_on_a_platform_that_is_not_set_up_stays_open(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as core:
        await core.drain_no_more()
        await world.say("one")
    async with world.running() as core:
        monkeypatch.setattr(core.dispatcher, "_accounts", {})
        await asyncio.sleep(0.1)
        assert [state for state, _ in world.turns()] == ["accepted"]
        assert not core.dispatcher.serves(ChatAddress("memory", "another bot", "1"))
    async with world.running():
        await world.until_said("heard: one")


async def test_a_platform_that_is_away_at_start_is_logged_in_to_later_and_keeps_nobody_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Away:
        limits = LIMITS
        opened = 0

        def __init__(self, name: str) -> None:
            self.name = name

        async def open(self) -> str:
            self.opened += 1
            if self.opened < 3:
                raise UnavailableError("503")
            return "bot"

        async def run(self, accept: Any, ready: Any) -> None:
            ready()
            await asyncio.Event().wait()

    monkeypatch.setattr("bot.bridge.LOGIN_PAUSE_SECONDS", 0.01)
    async with world.running() as core:
        await core.drain_no_more()
        accounts = {"here": "bot"}
        platforms: Any = {name: Away(name) for name in ("away", "here")}
        outbox = Outbox(platforms, core.store, SystemClock())
        bridge = Bridge(core.store, {}, platforms, accounts, outbox, core.dispatcher, core.inbox, SystemClock(), core.housekeeper)
        stop, ready = asyncio.Event(), list[str]()
        task = asyncio.create_task(bridge.run(stop, ready.append))
        await eventually(lambda: len(ready) == 2)
        assert ready == ["here", "away"]
        assert accounts == {"here": "bot", "away": "bot"}
        stop.set()
        await task


async def test_an_orderly_end_lets_a_command_finish(world: World) -> None:
    async with world.running() as core:
        await world.come(EventKind.COMMAND, command=None)
        assert await core.dispatcher.settle(5.0)
        assert world.texts()


async def test_a_second_signal_cuts_the_wait_short_and_still_records_what_is_in_flight(world: World) -> None:
    world.alpha.will(TextDelta("partial"), asyncio.Event())

    class Intake:
        async def run(self, accept: Any, ready: Any) -> None:
            await asyncio.Event().wait()

    async with world.running() as core:
        await core.drain_no_more()
        platforms: Any = {"memory": Intake()}
        bridge = Bridge(
            core.store, {}, platforms, {"memory": "bot"}, core.outbox, core.dispatcher, core.inbox, SystemClock(), core.housekeeper
        )
        stop = asyncio.Event()
        task = asyncio.create_task(bridge.run(stop, grace=60.0))
        await world.say("one")
        await world.until_said("partial")
        stop.set()
        await asyncio.sleep(0.05)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert world.rows("SELECT COUNT(*) FROM delivery WHERE message_id IS NULL") == [(0,)]
        assert not core.outbox._tasks
    assert [state for state, _ in world.turns()] == ["generating"]
    world.alpha.will(TextDelta("whole"), Finished())
    async with world.running():
        await world.until_said("whole")
