"""What a crash does to a question that was being answered: asked again, or its asker is told (REASK_AFTER_CRASH)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Finished, Submitted, TextDelta, Usage
from bot import texts
from bot.leftovers import TRIES
from bot.platforms.base import Refusal, RefusedError, UnavailableError
from storage.base import StoreUnavailableError
from tests.support.core import World, eventually


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, reask=False)


async def crash_while_answering(world: World, *said: str) -> None:
    """One life, cut off after so much was said."""
    world.alpha.will(*(TextDelta(text) for text in said), asyncio.Event())
    async with world.running():
        await world.say("one")
        await eventually(lambda: world.alpha.requests)
        if said:
            await world.until_said(said[-1])


async def test_a_question_cut_off_before_its_first_word_is_not_asked_again_and_its_asker_told(world: World) -> None:
    await crash_while_answering(world)
    async with world.running():
        assert texts.INTERRUPTED in await world.until_said("interrupted")
        await world.idle()
        assert world.alpha.asked == ["one"]
        assert world.rows("SELECT state, error FROM turn") == [("failed", "interrupted")]


async def test_what_was_said_before_the_crash_stays_and_the_words_stand_below_with_a_retry_button(world: World) -> None:
    await crash_while_answering(world, "so far")
    async with world.running():
        await world.until_said("interrupted")
        await world.idle()
        first, second = world.texts()
        assert first.startswith("so far")
        assert second == texts.INTERRUPTED_BELOW
        buttons = [button for row in world.chat.shown[list(world.chat.shown)[-1]].buttons for button in row]
        retry = next(button.data for button in buttons if button.data.startswith("retry:"))
        await world.press(retry)
        await world.until_said("heard: one")
        await world.idle()
    assert world.alpha.asked == ["one", "one"]
    assert [state for state, _ in world.turns()] == ["failed", "done"]


@pytest.mark.parametrize("stopped", [False, True])
async def test_the_stop_button_of_what_was_cut_off_goes_and_its_text_stays(tmp_path: Path, *, stopped: bool) -> None:
    world = World(tmp_path, reask=stopped)  # stopped: what would be asked again is stopped before that
    await crash_while_answering(world, "so far")
    before = world.texts()[0]
    assert list(world.buttons()[0]) == [texts.LABEL_STOP]
    if stopped:
        with closing(sqlite3.connect(world.database)) as connection, connection:
            connection.execute("UPDATE turn SET stop_requested = 1")
    async with world.running():
        await world.idle()
    assert world.texts() == [before, texts.STOPPED.strip("*") if stopped else texts.INTERRUPTED_BELOW]
    assert [texts.LABEL_STOP in row for row in world.buttons()] == [False, False]
    assert world.buttons()[0] == {}
    assert texts.LABEL_RETRY in world.buttons()[1]


@pytest.mark.parametrize("said", [(), ("s1 … s19",)])
async def test_what_was_interrupted_can_not_be_continued_and_that_is_said_above_and_by_continue(
    world: World, said: tuple[str, ...]
) -> None:
    await crash_while_answering(world, *said)
    async with world.running():
        note = await world.until_said("interrupted")
        await world.idle()
        assert ("above: it is not whole, and I kept nothing of it, so it can't be continued" in note) == bool(said)
        assert await world.order("continue") == texts.CONTINUE_INTERRUPTED
        assert "or was interrupted" in await world.order("usage")
        await world.order("reset")
        assert await world.order("continue") == texts.NOTHING_TO_CONTINUE
    assert world.alpha.asked == ["one"]


@pytest.mark.parametrize(
    ("failures", "left"),
    [
        ([UnavailableError("no")], False),
        ([UnavailableError("no")] * TRIES, True),
        ([RefusedError(Refusal.FORBIDDEN)], True),
        ([ValueError("a fault of ours")], True),
    ],
)
async def test_a_button_that_can_not_be_taken_away_holds_nothing_up(
    world: World, monkeypatch: pytest.MonkeyPatch, failures: list[Exception], *, left: bool
) -> None:
    monkeypatch.setattr("bot.leftovers.PAUSE_SECONDS", 0.0)
    await crash_while_answering(world, "so far")
    unbutton, failing = world.chat.unbutton, list(failures)

    async def failed(*args: Any, **more: Any) -> None:
        if failing:
            raise failing.pop()
        await unbutton(*args, **more)

    monkeypatch.setattr(world.chat, "unbutton", failed)
    async with world.running():
        await world.idle()
        assert await world.ask("two") == "heard: two"
    assert (texts.LABEL_STOP in world.buttons()[0], failing) == (left, [])
    assert world.turns()[0][0] == "failed"
    assert world.texts()[:2] == ["so far", texts.INTERRUPTED_BELOW]


async def test_the_words_with_retry_come_once_the_dead_button_is_gone_so_that_a_press_finds_the_turn_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await crash_while_answering(world, "so far")
    unbutton, reached, gate = world.chat.unbutton, asyncio.Event(), asyncio.Event()

    async def held(*args: Any, **more: Any) -> None:
        reached.set()
        await gate.wait()
        await unbutton(*args, **more)

    monkeypatch.setattr(world.chat, "unbutton", held)
    async with world.running():
        await reached.wait()
        assert world.texts() == ["so far"]
        gate.set()
        await world.idle()
    assert world.texts() == ["so far", texts.INTERRUPTED_BELOW]


async def test_after_two_crashes_no_page_of_either_attempt_keeps_a_stop_button(tmp_path: Path) -> None:
    world = World(tmp_path)
    await crash_while_answering(world, "a " * 1500, "the second page")
    assert [list(row) for row in world.buttons()] == [[], [texts.LABEL_STOP]]
    world.alpha.will(TextDelta("shorter"), asyncio.Event())
    async with world.running():
        await world.until_said("shorter")
    assert [list(row) for row in world.buttons()] == [[texts.LABEL_STOP]] * 2
    with closing(sqlite3.connect(world.database)) as connection, connection:
        connection.execute("UPDATE turn SET stop_requested = 1")
    async with world.running():
        await world.idle()
    assert world.buttons()[:2] == [{}, {}]
    assert texts.LABEL_RETRY in world.buttons()[2]


async def test_the_next_question_is_answered_as_ever(world: World) -> None:
    await crash_while_answering(world)
    async with world.running():
        await world.until_said("interrupted")
        assert await world.ask("two") == "heard: two"
    assert [message.text for message in world.alpha.requests[-1].messages] == ["two"]


async def test_a_crash_while_it_is_told_tells_it_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object, **__: object) -> bool:
        await asyncio.Event().wait()
        return True

    await crash_while_answering(world, "so far")
    async with world.running() as core:
        monkeypatch.setattr(core.store, "close", never)
        await world.until_said("interrupted")
    async with world.running():
        await world.idle()
    assert [texts.INTERRUPTED_BELOW in text for text in world.texts()] == [False, True]


async def test_a_question_that_waited_is_asked_for_the_first_time(world: World) -> None:
    world.alpha.will(asyncio.Event())
    async with world.running():
        await world.say("one")
        await world.say("two")
        await eventually(lambda: world.alpha.requests)
    async with world.running():
        await world.until_said("heard: two")
        await world.idle()
    assert world.alpha.asked == ["one", "two"]


async def test_an_answer_that_was_stored_is_shown(world: World) -> None:
    async with world.running() as core:
        world.alpha.will_say("the answer")
        gate = asyncio.Event()
        world.chat.failures = []
        store = core.store
        real = store.answered

        async def answered(*args: object, **more: object) -> bool:
            done = await real(*args, **more)  # type: ignore[arg-type]  # passed on
            gate.set()
            await asyncio.Event().wait()
            return done

        store.answered = answered  # type: ignore[method-assign]
        await world.say("one")
        await gate.wait()
    async with world.running():
        await world.until_said("the answer")
        await world.idle()
    assert world.alpha.asked == ["one"]
    assert [state for state, _ in world.turns()] == ["done"]


async def test_a_job_that_the_provider_keeps_is_collected(world: World) -> None:
    world.alpha.will(Submitted("job-1"), asyncio.Event())
    async with world.running():
        await world.say("one")
        await eventually(lambda: world.rows("SELECT handle FROM turn") == [("job-1",)])
    world.alpha.will(TextDelta("collected"), Finished())
    async with world.running():
        await world.until_said("collected")
        await world.idle()
    assert world.alpha.requests[-1].resume == "job-1"


async def test_a_store_that_failed_before_anybody_was_asked_is_no_crash(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as core:
        real = core.store.transcript
        failures = [StoreUnavailableError("the disk is full")] * 2

        async def transcript(*args: object, **more: object) -> object:
            if failures:
                raise failures.pop()
            return await real(*args, **more)  # type: ignore[arg-type]  # passed on

        monkeypatch.setattr(core.store, "transcript", transcript)
        assert await world.ask("one") == "heard: one"
    assert world.turns() == [("done", 3)]


@pytest.mark.parametrize("crashes", [0, 1])
async def test_usage_after_a_crash_is_marked_as_possibly_double(tmp_path: Path, crashes: int) -> None:
    world = World(tmp_path)
    for _ in range(crashes):
        await crash_while_answering(world)
    world.alpha.will(TextDelta("yes"), Usage(input_tokens=3, output_tokens=1), Finished())
    async with world.running():
        if not crashes:
            await world.say("one")
        await world.until_said("yes")
        await world.idle()
        ((amounts,),) = world.rows("SELECT amounts FROM usage")
    assert json.loads(amounts).get("possibly_double", False) is bool(crashes)
