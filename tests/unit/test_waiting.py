"""What waits behind a running answer shows it, as long as it waits, and can be taken back."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from adapters.base import Finished, TextDelta
from bot import texts
from bot.clock import SystemClock
from bot.model import ChatKind, Target
from bot.platforms.base import Allowance, FloodError, PlatformError, Refusal, RefusedError, UnavailableError
from bot.platforms.budgets import Budget, BudgetKind
from bot.waiting import TRIES
from tests.support.core import Chat, World, eventually

ALL = Budget(BudgetKind.SLIDING, 1000, 1.0)


class MarkableChat(Chat):
    """A chat that can mark messages. `marked` are those that show a mark, `calls` what was asked for; `refusals` come first."""

    def __init__(self) -> None:
        super().__init__()
        self.marked: set[str] = set()
        self.calls: list[tuple[str, bool]] = []
        self.refusals: list[PlatformError] = []

    def mark_allowances(self, target: Target) -> Sequence[Allowance]:
        return [Allowance(f"mark:{target.chat.chat}", ALL), Allowance("memory:marks", ALL)]

    async def mark(self, target: Target, message_id: str, *, on: bool) -> None:
        self.calls.append((message_id, on))
        if self.refusals:
            raise self.refusals.pop(0)
        (self.marked.add if on else self.marked.discard)(message_id)


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.waiting.MARK_AFTER_SECONDS", 0.01)
    monkeypatch.setattr("bot.waiting.PAUSE_SECONDS", 0.001)
    monkeypatch.setattr("bot.waiting.LONGEST_PAUSE_SECONDS", 0.01)


@pytest.fixture
def chat() -> MarkableChat:
    return MarkableChat()


@pytest.fixture
def world(tmp_path: Path, chat: MarkableChat) -> World:
    return World(tmp_path, chat=chat)


@asynccontextmanager
async def an_answer_runs(world: World) -> AsyncIterator[asyncio.Event]:
    """The first question's answer runs until the event that is given is set."""
    gate = asyncio.Event()
    world.alpha.will(TextDelta("long"), gate, TextDelta(" answer"), Finished())
    since = len(world.texts())
    await world.say("one", message_id="m-one")
    await world.until_said("long", since=since)
    yield gate
    gate.set()
    await world.idle()


def noted(world: World) -> list[tuple[str, ...]]:
    return world.rows("SELECT message_id FROM waiting_mark ORDER BY message_id")


async def test_it_is_marked_while_it_waits_and_not_when_its_turn_has_come(world: World, chat: MarkableChat) -> None:
    async with world.running():
        async with an_answer_runs(world):
            await world.say("two", message_id="m-two")
            await world.say("three", message_id="m-three")
            await eventually(lambda: chat.marked == {"m-two", "m-three"})
            assert noted(world) == [("m-three",), ("m-two",)]
        await eventually(lambda: not chat.marked and not noted(world))
        assert sorted(chat.calls) == [("m-three", False), ("m-three", True), ("m-two", False), ("m-two", True)]
    assert world.texts() == ["long answer", "heard: two", "heard: three"]


async def test_where_nothing_waits_nothing_is_asked_of_the_platform(world: World, chat: MarkableChat) -> None:
    async with world.running() as core:
        for number in range(3):
            await world.ask(f"question {number}")
            await eventually(lambda: core.dispatcher.idle)  # a turn is stored as closed a moment before the next need not wait for it
        assert not core.dispatcher._waiting._tasks
        assert not core.dispatcher._waiting._queues
    assert chat.calls == []


async def test_what_waits_only_a_moment_is_not_marked(world: World, chat: MarkableChat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.waiting.MARK_AFTER_SECONDS", 30.0)
    async with world.running() as core:
        async with an_answer_runs(world):
            await world.say("two", message_id="m-two")
        await eventually(lambda: not core.dispatcher._waiting._tasks)
    assert chat.calls == []


async def test_other_conversations_and_commands_are_not_marked(world: World, chat: MarkableChat) -> None:
    async with world.running(), an_answer_runs(world):
        await world.say("elsewhere", chat="2", message_id="m-elsewhere")
        await world.until_said("heard: elsewhere", chat="2")
        await world.command("status")
        await world.until_said("Remembered")
    assert chat.calls == []


async def test_a_mark_that_a_crash_left_goes_when_its_turn_begins(world: World, chat: MarkableChat) -> None:
    async with world.running():
        world.alpha.will(TextDelta("long"), asyncio.Event())
        await world.say("one")
        await world.until_said("long")
        await world.say("two", message_id="m-two")
        await eventually(lambda: chat.marked == {"m-two"})
    assert chat.marked == {"m-two"}
    async with world.running():
        await world.idle()
        await eventually(lambda: not chat.marked and not noted(world))


async def test_a_mark_that_could_not_be_taken_away_before_the_end_goes_at_the_next_start(world: World, chat: MarkableChat) -> None:
    async with world.running(), an_answer_runs(world):
        await world.say("two", message_id="m-two")
        await eventually(lambda: chat.marked == {"m-two"})
        chat.refusals = [UnavailableError("away")] * (TRIES * 2)
        world.now.dispatcher._waiting._clock = _Still()
    assert chat.marked == {"m-two"}
    chat.refusals.clear()
    async with world.running():
        await eventually(lambda: not chat.marked and not noted(world))


class _Still(SystemClock):
    """A clock on which no wait ends."""

    async def sleep(self, seconds: float) -> None:
        await asyncio.Event().wait()


@pytest.mark.parametrize("error", [UnavailableError("away"), FloodError(0.01)])
async def test_trouble_with_a_mark_is_outlasted_and_costs_no_answer(world: World, chat: MarkableChat, error: PlatformError) -> None:
    async with world.running():
        async with an_answer_runs(world):
            chat.refusals = [error, error]
            await world.say("two", message_id="m-two")
            await eventually(lambda: chat.marked == {"m-two"})
            chat.refusals = [error, error]
        await eventually(lambda: not chat.marked)
    assert world.texts()[-1] == "heard: two"


@pytest.mark.parametrize("error", [UnavailableError("away"), RefusedError(Refusal.TOKEN, "revoked")])
async def test_a_mark_is_taken_away_however_long_the_platform_was_away(world: World, chat: MarkableChat, error: PlatformError) -> None:
    async with world.running():
        async with an_answer_runs(world):
            await world.say("two", message_id="m-two")
            await eventually(lambda: chat.marked == {"m-two"})
            chat.refusals = [error] * (2 * TRIES)
        await eventually(lambda: not chat.marked and not noted(world))


async def test_where_there_can_be_no_mark_it_is_said_once_and_taken_away_again(world: World, chat: MarkableChat) -> None:
    async with world.running():
        async with an_answer_runs(world):
            chat.refusals = [RefusedError(Refusal.FORBIDDEN)] * 2
            await world.say("two", message_id="m-two", chat_kind=ChatKind.GROUP)
            await world.until_said("This waits")
            await world.say("three", message_id="m-three", chat_kind=ChatKind.GROUP)
            await eventually(lambda: ("m-three", True) in chat.calls)
            assert world.texts() == ["long", texts.WAITING]
        await eventually(lambda: texts.WAITING not in world.texts())
        assert world.texts() == ["long answer", "heard: two", "heard: three"]
        assert not world.rows("SELECT 1 FROM delivery WHERE owner_kind <> 'turn'")
        await eventually(lambda: not noted(world))


async def test_what_is_said_when_a_turn_ends_stays_where_its_mark_is_taken_away_late(world: World, chat: MarkableChat) -> None:
    async with world.running():
        world.alpha.will(TextDelta("long"), asyncio.Event())
        await world.say("one", message_id="m-one")
        await world.until_said("long")
    with closing(sqlite3.connect(world.database)) as database, database:  # pressed, and then the process was killed
        database.execute("UPDATE turn SET stop_requested = TRUE")
        database.execute("INSERT INTO waiting_mark (chat, message_id, turn) SELECT chat, 'm-one', id FROM turn")
    chat.refusals = [UnavailableError("away")] * 1000
    async with world.running():
        await world.until_said("Stopped")
        await eventually(lambda: world.rows("SELECT state FROM turn") == [("stopped",)])
    chat.refusals.clear()
    said = world.texts()
    async with world.running():
        await eventually(lambda: not noted(world))
        assert world.texts() == said
        assert len(said) == 2


async def test_words_that_a_flood_held_up_until_the_turn_began_are_not_said_any_more(world: World, chat: MarkableChat) -> None:
    async with world.running():
        async with an_answer_runs(world):
            chat.refusals = [RefusedError(Refusal.FORBIDDEN)] * 2
            chat.failures = [FloodError(3)]
            await world.say("two", message_id="m-two", chat_kind=ChatKind.GROUP)
            await eventually(lambda: not chat.failures)
        await eventually(lambda: not noted(world))
    assert world.texts() == ["long answer", "heard: two"]
    assert texts.WAITING not in [call.text for call in chat.taken]
    assert not world.rows("SELECT 1 FROM delivery WHERE owner_kind = 'waiting'")


async def test_stop_ends_the_answer_and_what_waits_and_takes_the_marks_away_at_once(world: World, chat: MarkableChat) -> None:
    async with world.running():
        async with an_answer_runs(world):
            await world.say("two", message_id="m-two")
            await eventually(lambda: chat.marked == {"m-two"})
            await world.command("stop")
            await eventually(lambda: not chat.marked)
        assert "Stopping, and 1 waiting question with it." in world.texts()
    assert len(world.alpha.requests) == 1


async def test_stop_as_a_reply_to_what_waits_takes_that_back_alone(world: World, chat: MarkableChat) -> None:
    async with world.running(), an_answer_runs(world):
        await world.say("two", message_id="m-two")
        await world.say("three", message_id="m-three")
        await eventually(lambda: chat.marked == {"m-two", "m-three"})
        await world.command("stop", reply_to="m-two")
        await world.until_said("Withdrawn")
        await eventually(lambda: chat.marked == {"m-three"})
    assert [request.messages[-1].text for request in world.alpha.requests] == ["one", "three"]


async def test_taking_back_that_a_crash_cut_off_stops_nothing_else_when_it_is_done_once_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    async with world.running() as core:
        world.alpha.will(TextDelta("long"), asyncio.Event())
        await world.say("one")
        await world.until_said("long")
        for text in ("two", "three"):
            await world.say(text, message_id=f"m-{text}")
        monkeypatch.setattr(core.outbox, "post", never)
        await world.command("stop", reply_to="m-two")
        await eventually(lambda: world.rows("SELECT stop_requested FROM turn ORDER BY id") == [(0,), (1,), (0,)])
    async with world.running():
        await world.idle()
    assert world.alpha.asked == ["one", "one", "three"]
    assert texts.WITHDRAWN in world.texts()
    assert [state for state, _ in world.turns()] == ["done", "stopped", "done"]


async def test_what_is_deleted_while_it_waits_is_not_asked(world: World) -> None:
    async with world.running(), an_answer_runs(world):
        said = await world.say("two", message_id="m-two")
        await world.edit(said, "")
        await eventually(lambda: world.rows("SELECT stop_requested FROM turn ORDER BY id") == [(0,), (1,)])
    assert [request.messages[-1].text for request in world.alpha.requests] == ["one"]


async def test_what_was_taken_back_is_said_once_and_not_counted_by_a_later_stop(world: World, chat: MarkableChat) -> None:
    async with world.running(), an_answer_runs(world):
        await world.say("two", message_id="m-two")
        deleted = await world.say("three", message_id="m-three")
        await world.say("four", message_id="m-four")
        await world.command("stop", reply_to="m-two")
        await world.until_said("Withdrawn")
        await world.edit(deleted, "")
        await eventually(lambda: len(world.rows("SELECT 1 FROM turn WHERE stop_requested")) == 2)
        await world.command("stop")
        await world.until_said("Stopping, and 1 waiting question with it.")
        await world.idle()
        await eventually(
            lambda: sum("⏹ Stopped" in text for text in world.texts()) == 2
        )  # the answer that ran, and the one question that waited
        assert len(world.texts()) == 4
    assert [state for state, _ in world.turns()] == ["stopped"] * 4


async def test_retry_asks_the_question_before_what_was_taken_back(world: World) -> None:
    async with world.running():
        async with an_answer_runs(world):
            await world.say("two", message_id="m-two")
            await world.command("stop", reply_to="m-two")
            await world.until_said("Withdrawn")
        await world.order("retry")
        assert world.alpha.asked == ["one", "one"]
        await world.ask("three")
    assert [message.text for message in world.alpha.requests[-1].messages] == ["one", "heard: one", "three"]


async def test_what_was_taken_back_is_not_told_after_a_restart_either(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta("long"), asyncio.Event())
        await world.say("one")
        await world.until_said("long")
        await world.say("two", message_id="m-two")
        await world.command("stop", reply_to="m-two")
        await world.until_said("Withdrawn")
        told = len(world.texts())
    async with world.running():
        await world.idle()
        assert [state for state, _ in world.turns()] == ["done", "stopped"]
        assert len(world.texts()) == told
    assert world.alpha.asked == ["one", "one"]


async def test_answers_to_several_open_questions_say_which_is_which_in_a_private_chat_too(world: World, chat: MarkableChat) -> None:
    async with world.running():
        async with an_answer_runs(world):
            await world.say("two", message_id="m-two")
            await world.say("three", message_id="m-three")
        assert world.texts() == ["long answer", "heard: two", "heard: three"]
        async with an_answer_runs(world):
            await world.say("four", message_id="m-four")
        assert world.texts()[-2:] == ["long answer", "heard: four"]
    assert [target.reply_to for target in chat.targets.values()] == [None, "m-two", "m-three", None, None]


async def test_help_says_how_to_take_back_what_waits(world: World) -> None:
    async with world.running():
        told = await world.order("help")
    assert texts.WAITING_SIGN in told
    assert "reply to it with /stop (Telegram) or delete it (Discord)" in told
