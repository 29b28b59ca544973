"""How long what was said stays: /keep, /forget and the housekeeper."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.base import TextDelta
from bot import housekeeping, texts
from bot.housekeeping import EVERY_SECONDS, FIRST_SECONDS, Housekeeper, shorter
from bot.model import Receipt
from bot.past import KEPT_SECONDS, Past, Pasts
from bot.preferences import Defaults
from storage.base import Revision, StoreUnavailableError
from tests.support.clock import FakeClock
from tests.support.core import PressableChat, World, eventually

DAY = 24 * 3600


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def limited(tmp_path: Path, days: int) -> World:
    return World(tmp_path, defaults=Defaults("alpha", most_days=days))


def age(world: World, days: float, conversation: int = 1) -> None:
    """Make all that was said in a conversation older."""
    with closing(sqlite3.connect(world.database)) as connection, connection:
        connection.execute("UPDATE event SET received_at = received_at - ? WHERE conversation = ?", (days * DAY, conversation))


async def never_sent(*_: object, **__: object) -> Receipt:
    """A chat that is flooded until the process ends."""
    await asyncio.Event().wait()
    raise AssertionError


def said(world: World) -> list[str]:
    return [text for (text,) in world.rows("SELECT content FROM entry ORDER BY id")]


class TestForget:
    async def test_it_asks_back_and_then_removes_everything_but_the_keys(self, world: World) -> None:
        async with world.running():
            await world.order("system", text="canary-persona")
            await world.ask("canary-question")
            assert await world.order("forget") == texts.FORGET_SURE
            assert said(world)
            ((button, _),) = world.chat.shown[list(world.chat.shown)[-1]].buttons
            await world.press(button.data)
            await world.until_said("Forgotten")
            await world.idle()
            assert said(world) == []
            assert world.rows("SELECT COUNT(*) FROM event WHERE payload <> ''") == [(0,)]
            assert world.rows("SELECT COUNT(*) FROM setting WHERE value LIKE '%canary%'") == [(0,)]
            assert await world.ask("and now") == "heard: and now"
        assert [message.text for message in world.alpha.requests[-1].messages] == ["and now"]
        assert b"canary" not in b"".join(file.read_bytes() for file in world.folder.iterdir())

    async def test_it_removes_what_is_at_hand_in_memory_too(self, world: World) -> None:
        async with world.running() as core:
            await world.ask("canary")
            await world.ask("once more")
            assert core.pasts.bytes
            await world.order("forget", confirm="yes")
            assert not core.pasts.bytes

    async def test_a_persona_whose_command_a_crash_cut_off_does_not_come_back(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        async with world.running():
            with monkeypatch.context() as flooded:
                flooded.setattr(world.chat, "send", never_sent)
                await world.command("system", text="canary-persona")
                await eventually(lambda: world.rows("SELECT value FROM setting") == [("canary-persona",)])
                await world.command("forget", confirm="yes")
                await eventually(lambda: world.rows("SELECT value FROM setting") == [])
        async with world.running():
            await world.idle()
            assert world.rows("SELECT value FROM setting") == []
            assert texts.OVERTAKEN in world.texts()

    async def test_a_choice_that_a_crash_cut_off_undoes_no_newer_one_that_was_forgotten(self, world: World) -> None:
        async with world.running() as core:
            finish = core.store.finish_event

            async def but_the_first(event: int, *error: Any) -> None:
                await (asyncio.Event().wait() if event == 1 else finish(event, *error))

            core.store.finish_event = but_the_first  # type: ignore[assignment, method-assign]
            for days in ("30", "1"):
                await world.command("keep", days=days)
                await eventually(lambda days=days: world.rows("SELECT value FROM setting") == [(days,)])  # type: ignore[misc]
            await world.command("forget", confirm="yes")
            await world.until_said(texts.FORGOTTEN)
            await eventually(lambda: world.rows("SELECT id FROM event WHERE finished_at IS NULL") == [(1,)])
        async with world.running():
            await world.idle()
            assert world.rows("SELECT value FROM setting") == [("1",)]

    async def test_its_button_pressed_twice_is_carried_out_and_said_once(self, tmp_path: Path) -> None:
        chat = PressableChat()
        world = World(tmp_path, chat=chat)
        async with world.running():
            await world.ask("one")
            await world.order("forget")
            label, _ = world.buttons()[-1].items()
            await asyncio.gather(world.press(label[1]), world.press(label[1]))
            await world.idle()
            assert world.texts().count(texts.FORGOTTEN) == 1
            await world.ask("two")
        async with world.running():
            await world.press(label[1])
            await world.idle()
            assert world.texts().count(texts.FORGOTTEN) == 1
            assert chat.words == ["", texts.FORGOTTEN_BEFORE, texts.FORGOTTEN_BEFORE]
            assert any("two" in text for text in said(world))
            await world.order("forget")
            await world.press(world.buttons()[-1][label[0]])
            await world.idle()
            assert world.texts().count(texts.FORGOTTEN) == 2
            assert said(world) == []

    async def test_cancel_removes_nothing_and_says_so_to_who_pressed(self, tmp_path: Path) -> None:
        chat = PressableChat()
        world = World(tmp_path, chat=chat)
        async with world.running():
            await world.ask("one")
            await world.order("forget")
            before = world.texts()
            assert list(world.buttons()[-1]) == [texts.FORGET_BUTTON, texts.FORGET_CANCEL]
            await world.press(world.buttons()[-1][texts.FORGET_CANCEL])
            await world.idle()
            assert chat.words == [texts.NOT_FORGOTTEN]
            assert world.texts() == before
            assert any("one" in text for text in said(world))
            assert await world.order("forget", confirm="no") == texts.NOT_FORGOTTEN
            assert any("one" in text for text in said(world))

    async def test_after_cancel_the_button_beside_it_is_dead_also_after_a_restart(self, tmp_path: Path) -> None:
        chat = PressableChat()
        world = World(tmp_path, chat=chat)
        async with world.running():
            await world.ask("one")
            await world.order("forget")
            cancelled = world.buttons()[-1]
            await world.press(cancelled[texts.FORGET_CANCEL])
            await world.press(cancelled[texts.FORGET_BUTTON])
            await world.idle()
            assert chat.words == [texts.NOT_FORGOTTEN, texts.FORGET_CANCELLED]
        async with world.running():
            await world.press(cancelled[texts.FORGET_BUTTON])
            await world.idle()
            assert chat.words[2:] == [texts.FORGET_CANCELLED]
            assert any("one" in text for text in said(world))
            await world.order("forget")
            anew = world.buttons()[-1]
            await world.press(cancelled[texts.FORGET_CANCEL])  # that of before: the new one stays
            await world.press(anew[texts.FORGET_BUTTON])
            await world.until_said(texts.FORGOTTEN)
            await world.idle()
            assert said(world) == []
            await world.press(anew[texts.FORGET_CANCEL])
            await world.idle()
            assert chat.words[3:] == [texts.NOT_FORGOTTEN, "", texts.FORGOTTEN_BEFORE]

    async def test_a_number_that_somebody_types_cancels_no_question_to_come(self, world: World) -> None:
        async with world.running():
            await world.ask("one")
            assert await world.order("forget", confirm="cancel 999999999") == texts.NOT_FORGOTTEN
            await world.order("forget")
            await world.press(world.buttons()[-1][texts.FORGET_BUTTON])
            await world.until_said(texts.FORGOTTEN)
            await world.idle()
            assert said(world) == []

    async def test_with_yes_it_does_not_ask_back(self, world: World) -> None:
        async with world.running():
            await world.ask("one")
            assert await world.order("forget", confirm="Yes") == texts.FORGOTTEN
            assert said(world) == []

    async def test_a_running_answer_is_stopped_and_removed_when_it_has_ended(self, world: World) -> None:
        world.alpha.will(TextDelta("so far"), asyncio.Event())
        async with world.running():
            await world.say("one")
            await world.until_said("so far")
            assert await world.order("forget", confirm="yes") == texts.FORGOTTEN_STOPPED
            await world.idle()
            assert [state for state, _ in world.turns()] == ["stopped"]
            assert said(world) == []
            assert world.rows("SELECT COUNT(*) FROM event WHERE payload <> ''") == [(0,)]

    async def test_another_conversation_keeps_what_was_said_in_it(self, world: World) -> None:
        async with world.running():
            await world.ask("here")
            await world.ask("there", chat="2")
            await world.order("forget", confirm="yes")
            assert any("there" in text for text in said(world))
            assert not any('here"' in text.replace("there", "") for text in said(world))

    async def test_run_again_after_a_crash_it_removes_no_persona_that_was_set_since(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with world.running() as core:
            await world.order("system", text="a pirate")
            finish, forgetting = core.store.finish_event, 2

            async def not_that_one(event: int, *error: str) -> None:
                await (asyncio.Event().wait() if event == forgetting else finish(event, *error))

            monkeypatch.setattr(core.store, "finish_event", not_that_one)
            await world.command("forget", confirm="yes")
            await world.until_said(texts.FORGOTTEN)
            assert world.rows("SELECT value FROM setting") == []
            await world.command("system", text="a cook")
            await eventually(lambda: world.rows("SELECT id FROM event WHERE finished_at IS NULL") == [(forgetting,)])
        async with world.running():
            await world.idle()
        assert world.rows("SELECT value FROM setting") == [("a cook",)]

    async def test_one_that_a_crash_cut_off_is_finished_at_the_next_start(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        async with world.running() as core:
            await world.ask("one")

            async def never(*_: object, **__: object) -> None:
                await asyncio.Event().wait()

            monkeypatch.setattr(core.store, "sweep", never)
            await world.command("forget", confirm="yes")
            await eventually(lambda: world.rows("SELECT forgotten_event FROM conversation") != [(0,)])
            assert said(world)
        async with world.running():
            await world.until_said("Forgotten")
            await world.idle()
            assert said(world) == []


class TestKeep:
    async def test_it_is_shown_set_and_taken_back(self, world: World) -> None:
        async with world.running() as core:
            assert "kept until" in await world.run("keep")
            assert "removed after 30 days" in await world.run("keep", days="30 days")
            assert await core.preferences.keep_days(1) == 30
            assert "removed after 30 days" in await world.run("keep")
            assert "removed after 1 day." in await world.run("keep", days="1")
            assert "kept until" in await world.run("keep", days="Forever")
            assert await core.preferences.keep_days(1) is None

    @pytest.mark.parametrize("wrong", ["0", "-1", "1.5", "soon", "٣", "999999999", "days", "3 weeks"])
    async def test_what_is_no_number_of_days_is_refused_and_changes_nothing(self, world: World, wrong: str) -> None:
        async with world.running() as core:
            await world.run("keep", days="7")
            assert "a whole number from 1 to" in await world.run("keep", days=wrong)
            assert await core.preferences.keep_days(1) == 7

    async def test_the_operators_limit_can_be_made_shorter_but_not_longer(self, tmp_path: Path) -> None:
        world = limited(tmp_path, 10)
        async with world.running():
            assert "removed after 10 days; that is the operator's limit" in await world.run("keep")
            assert "from 1 to 10 (that is the operator's limit)" in await world.run("keep", days="11")
            assert "removed after 3 days" in await world.run("keep", days="3")
            assert "operator's limit" in await world.run("keep", days="forever")

    async def test_a_limit_that_got_shorter_holds_for_those_who_chose_longer(self, tmp_path: Path) -> None:
        world = limited(tmp_path, 10)
        async with world.running() as core:
            await core.preferences.set_keep_days(await core.store.conversation_of(world.event().chat), 20)
            assert "removed after 10 days; that is the operator's limit" in await world.run("keep")


class TestHousekeeper:
    async def test_it_removes_what_is_older_than_the_conversation_or_the_operator_wants(self, tmp_path: Path) -> None:
        world = limited(tmp_path, 10)
        async with world.running() as core:
            for chat in ("1", "2", "3"):
                await world.ask(f"in {chat}", chat=chat)
            await core.preferences.set_keep_days(1, 2)
            for conversation, days in ((1, 3), (2, 9), (3, 11)):
                age(world, days, conversation)
            assert await core.housekeeper.tidy() == 2
            assert ["in 2" in text for text in said(world)] == [True, True]

    async def test_without_a_limit_nothing_is_removed(self, world: World) -> None:
        async with world.running() as core:
            await world.ask("one")
            age(world, 10_000)
            assert await core.housekeeper.tidy() == 0
            assert len(said(world)) == 2

    async def test_a_removal_that_was_never_finished_is_finished(self, world: World) -> None:
        async with world.running() as core:
            await world.ask("one")
            await core.store.forget(1, before=2**40)
            await core.housekeeper.tidy()
            assert said(world) == []

    async def test_a_conversation_goes_on_while_its_past_is_removed(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(housekeeping, "STEP_PAUSE_SECONDS", 0.0)
        world = limited(tmp_path, 10)
        async with world.running() as core:
            for number in range(60):
                await world.say(f"old {number}")
            await world.idle()
            age(world, 11)
            tidying = asyncio.create_task(core.housekeeper.tidy())
            assert await world.ask("new") == "heard: new"
            assert await tidying == 60
            assert await world.ask("newer") == "heard: newer"
        assert [message.text for message in world.alpha.requests[-1].messages] == ["new", "heard: new", "newer"]

    async def test_what_is_removed_or_unused_for_long_goes_from_memory_too(self, world: World) -> None:
        clock = FakeClock()
        async with world.running() as core:
            await world.order("keep", days="10")
            await world.ask("old")
            await world.ask("old, too")
            assert core.pasts.bytes
            await core.housekeeper.tidy()
            assert core.pasts.bytes
            age(world, 11)
            await core.housekeeper.tidy()
            assert not core.pasts.bytes

            pasts = Pasts(clock)
            pasts.put(1, Past.of([], 1, Revision(0, 0), whole=True))
            keeper = Housekeeper(core.store, core.preferences, clock, pasts)
            await keeper.tidy()
            assert pasts.get(1) is not None
            await clock.run(KEPT_SECONDS + 1)
            await keeper.tidy()
            assert pasts.get(1) is None

    async def test_it_begins_after_a_while_goes_on_hourly_and_outlasts_a_store_that_fails(
        self, world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        clock = FakeClock()
        rounds: list[float] = []

        async with world.running() as core:
            keeper = Housekeeper(core.store, core.preferences, clock, Pasts(clock))

            async def tidy() -> int:
                rounds.append(clock.now())
                if len(rounds) == 1:
                    raise StoreUnavailableError("the disk is full")
                return 1

            monkeypatch.setattr(keeper, "tidy", tidy)
            begun = clock.now()
            running = asyncio.create_task(keeper.run())
            await clock.run(FIRST_SECONDS + 2 * EVERY_SECONDS)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert rounds == [begun + FIRST_SECONDS + number * EVERY_SECONDS for number in range(3)]
        assert "the disk is full" in caplog.text

    def test_the_shorter_of_two_limits_holds(self) -> None:
        assert [shorter(*pair) for pair in ((None, None), (3, None), (None, 4), (3, 4))] == [None, 3, 4, 3]
