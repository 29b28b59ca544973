"""The buttons under an answer: what stands there when, and what a press does, also a late one, a second one, and one of somebody else's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Alternatives, Billed, Capabilities, ErrorKind, Finished, FinishReason, ProviderError, TextDelta
from bot import controls, texts, transcript
from bot.access import Access
from bot.commands.registry import COMMANDS
from bot.model import ButtonPress, ChatKind, EventKind, Page, Sender
from bot.payload import dump
from bot.platforms.base import Call, Refusal, RefusedError
from bot.platforms.budgets import TELEGRAM_CALLBACK_BYTES
from storage.base import NewEvent
from tests.support.chat import PLAIN
from tests.support.core import PressableChat, World, eventually

STOP, RETRY, CONTINUE, MODEL = texts.LABEL_STOP, texts.LABEL_RETRY, texts.LABEL_CONTINUE, texts.LABEL_OTHER_MODEL
CUT = Finished(FinishReason.LENGTH)


@pytest.fixture
def chat() -> PressableChat:
    return PressableChat()


@pytest.fixture
def world(tmp_path: Path, chat: PressableChat) -> World:
    return World(tmp_path, chat=chat)


def said(world: World, request: int = -1) -> list[str]:
    """What the model was told by a request."""
    return [message.text for message in world.alpha.requests[request].messages]


# ------------------------------------------------------------------------------------------------ what stands there


def test_every_control_calls_a_command_that_buttons_may_call_and_fits_the_tightest_platform() -> None:
    commands = {command.name: command for command in COMMANDS}
    for rows in (controls.growing(10**17), controls.ended(10**17, more=True)):
        for button in rows[0]:
            name, _, argument = button.data.partition(":")
            assert commands[name].button
            assert commands[name].turn == bool(argument)
            assert argument == "" or controls.turn_of(argument) == 10**17
            assert len(button.data.encode()) <= TELEGRAM_CALLBACK_BYTES


@pytest.mark.parametrize("argument", ["", "x", "-1", "1.0", "١", " 1", "9" * 19])
def test_what_is_no_turn_is_none(argument: str) -> None:
    assert controls.turn_of(argument) is None


async def test_stop_stands_under_an_answer_that_grows_and_retry_and_other_model_under_one_that_is_done(world: World) -> None:
    gate = asyncio.Event()
    async with world.running():
        world.alpha.will(TextDelta("first"), gate, TextDelta(" and last"), Finished())
        await world.say("one")
        await world.until_said("first")
        assert world.buttons() == [{STOP: "stop:1"}]
        gate.set()
        await world.idle()
        assert world.texts() == ["first and last"]
        assert world.buttons() == [{RETRY: "retry:1", MODEL: "model:"}]


async def test_the_end_of_a_text_and_its_controls_come_by_one_call(world: World) -> None:
    gate = asyncio.Event()
    async with world.running():
        world.alpha.will(TextDelta("first"), gate, TextDelta(" and last"), Finished())
        await world.say("one")
        await world.until_said("first")
        gate.set()
        await world.idle()
    assert [(taken.call, taken.text) for taken in world.chat.taken] == [(Call.SEND, "first"), (Call.EDIT, "first and last")]


async def test_an_answer_of_a_provider_that_can_not_stream_comes_with_its_controls_by_one_call(world: World) -> None:
    world.alpha.capable = Capabilities(streaming=False)
    async with world.running():
        assert await world.ask("one") == "heard: one"
    assert [taken.call for taken in world.chat.taken] == [Call.SEND]
    assert world.buttons() == [{RETRY: "retry:1", MODEL: "model:"}]


async def test_a_page_that_is_followed_by_another_has_no_controls(world: World) -> None:
    gate = asyncio.Event()
    long = "\n\n".join(f"paragraph {number} " + "x" * 300 for number in range(10))
    async with world.running():
        world.alpha.will(TextDelta("first"), gate, TextDelta(long), asyncio.Event())
        await world.say("one")
        await world.until_said("first")
        calls = len(world.chat.taken)
        gate.set()
        await eventually(lambda: len(world.texts()) == 2)
        assert world.buttons() == [{}, {STOP: "stop:1"}]
        assert [taken.call for taken in world.chat.taken[calls:]] == [Call.EDIT, Call.SEND]
        await world.press("stop:1")
        await world.idle()
        assert [list(labels) for labels in world.buttons()] == [[], [CONTINUE, RETRY, MODEL]]


@pytest.mark.parametrize(
    ("end", "more"),
    [
        (CUT, True),
        (Finished(likely_truncated=True), True),
        (Finished(FinishReason.UNKNOWN, complete=False), True),
        (ProviderError(ErrorKind.TIMEOUT_IDLE), True),
        (ProviderError(ErrorKind.INCOMPLETE), True),
        (Finished(FinishReason.CONTENT_FILTER), False),
        (Finished(), False),
    ],
)
async def test_continue_stands_where_there_may_be_more(world: World, end: Finished | ProviderError, more: bool) -> None:
    async with world.running():
        world.alpha.will(TextDelta("as far as this"), end)
        await world.ask("one")
        assert list(world.buttons()[0]) == ([CONTINUE] if more else []) + [RETRY, MODEL]


async def test_words_about_a_failure_carry_retry_and_other_model(world: World) -> None:
    async with world.running():
        world.alpha.will(ProviderError(ErrorKind.AUTH))
        await world.ask("one")
        assert world.buttons() == [{RETRY: "retry:1", MODEL: "model:"}]
        await world.press("retry:1")
        await world.until_said("heard: one")


async def test_words_about_a_fault_of_ours_carry_them_too_and_those_of_a_refusal_none(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running() as core:

        async def broken(*_: object) -> bool:
            raise RuntimeError("a fault")

        monkeypatch.setattr(core.store, "answered", broken)
        assert "inside the bot" in await world.ask("one")
        assert world.buttons() == [{RETRY: "retry:1", MODEL: "model:"}]
        await core.drain_no_more()
        await world.say("two")
    world.access = Access()
    async with world.running():
        await world.until_said("does not know you")
        assert world.buttons()[-1] == {}


# ------------------------------------------------------------------------------------------------ Stop


async def test_stop_under_an_answer_ends_it_quietly_and_keeps_what_was_said(world: World, chat: PressableChat) -> None:
    async with world.running():
        world.alpha.will(TextDelta("the beginning"), asyncio.Event())
        await world.say("go on for ever")
        await world.until_said("the beginning")
        await world.say("and then?")
        await world.press("stop:1")
        await world.until_said("heard: and then?")
        assert world.alpha.closed == 1
        await world.idle()
        assert world.texts() == ["the beginning\n⏹ Stopped.", "heard: and then?"]
        assert list(world.buttons()[0]) == [CONTINUE, RETRY, MODEL]
        assert [state for state, _ in world.turns()] == ["stopped", "done"]
        assert chat.words == [""]


async def test_stop_pressed_twice_is_one_stop(world: World, chat: PressableChat) -> None:
    async with world.running():
        world.alpha.will(TextDelta("the beginning"), asyncio.Event())
        await world.say("one")
        await world.until_said("the beginning")
        await asyncio.gather(world.press("stop:1"), world.press("stop:1"))
        await world.idle()
        assert len(world.texts()) == 1
        assert set(chat.words) <= {"", texts.NOT_RUNNING}


async def test_stop_under_an_old_answer_does_not_end_a_newer_one(world: World, chat: PressableChat) -> None:
    async with world.running():
        await world.ask("one")
        world.alpha.will(TextDelta("the newer"), gate := asyncio.Event(), TextDelta(" one"), Finished())
        await world.say("two")
        await world.until_said("the newer")
        await world.press("stop:1")
        await eventually(lambda: chat.words == [texts.NOT_RUNNING])
        gate.set()
        await world.idle()
        assert world.texts()[1:] == ["the newer one"]


async def test_stop_works_after_a_restart_and_without_a_partial_text_there_is_nothing_to_continue(world: World) -> None:
    world.alpha.will(TextDelta("before the crash"), asyncio.Event())
    world.alpha.will(asyncio.Event())
    async with world.running():
        await world.say("one")
        await world.until_said("before the crash")
    async with world.running():
        await eventually(lambda: len(world.alpha.requests) == 2)
        assert world.buttons() == [{STOP: "stop:1"}]
        await world.press("stop:1")
        await world.idle()
    assert world.turns() == [("stopped", 2)]
    assert list(world.buttons()[-1]) == [RETRY, MODEL]


# ------------------------------------------------------------------------------------------------ Retry


async def test_retry_asks_again_in_a_new_message_and_in_place_of_the_former_answer(world: World, chat: PressableChat) -> None:
    async with world.running():
        await world.ask("one")
        world.alpha.will_say("another answer")
        await world.press("retry:1")
        await world.until_said("another answer")
        await world.idle()
        assert world.texts() == ["heard: one", "another answer"]
        assert world.buttons()[1] == {RETRY: "retry:2", MODEL: "model:"}
        await world.ask("two")
    assert said(world) == ["one", "another answer", "two"]
    assert chat.words == [""]


async def test_retry_under_an_old_answer_asks_its_question_as_the_newest(world: World) -> None:
    async with world.running():
        await world.ask("one")
        await world.ask("two")
        world.alpha.will_say("again")
        await world.press("retry:1")
        await world.until_said("again")
        await world.idle()
        await world.ask("three")
    assert said(world) == ["one", "heard: one", "two", "heard: two", "one", "again", "three"]


async def test_retry_pressed_twice_asks_once(world: World, chat: PressableChat) -> None:
    gate = asyncio.Event()
    async with world.running():
        await world.ask("one")
        world.alpha.will(gate, TextDelta("again"), Finished())
        await world.press("retry:1")
        await world.press("retry:1")
        await eventually(lambda: len(chat.words) == 2)
        gate.set()
        await world.idle()
    assert world.alpha.asked == ["one", "one"]
    assert chat.words == ["", ""]


async def test_retry_pressed_before_the_end_of_its_turn_is_stored_asks_again(
    world: World, chat: PressableChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running() as core:
        real, gate = core.store.close, asyncio.Event()

        async def slowly(*args: Any, **named: Any) -> bool:
            await gate.wait()
            return await real(*args, **named)

        monkeypatch.setattr(core.store, "close", slowly)
        world.alpha.will(ProviderError(ErrorKind.AUTH))
        await world.say("one")
        await world.until_said("refused this bot's key")
        await world.press("retry:1")
        await asyncio.sleep(0.05)
        assert chat.words == []
        gate.set()
        await world.until_said("heard: one")
    assert chat.words == [""]


async def test_a_question_that_is_not_there_is_not_asked_and_that_is_said(world: World, chat: PressableChat) -> None:
    async with world.running():
        await world.ask("one", chat="2")
        await world.press("retry:1")
        await world.press("retry:77")
        await world.press("continue:1")
        await world.press("stop:1")
        await world.idle()
        assert sorted(chat.words) == sorted([texts.NOT_KEPT, texts.NOT_KEPT, texts.NOT_CONTINUED, texts.NOT_RUNNING])
        assert world.texts() == []
    assert world.alpha.asked == ["one"]


# ------------------------------------------------------------------------------------------------ Continue


async def test_continue_asks_for_what_comes_next_and_the_conversation_holds_both_parts(world: World, chat: PressableChat) -> None:
    async with world.running():
        world.alpha.will(TextDelta("one two three"), CUT)
        await world.ask("count")
        world.alpha.will_say("four five")
        await world.press(world.buttons()[0][CONTINUE])
        await world.until_said("four five")
        await world.idle()
        assert said(world) == ["count", "one two three", transcript.go_on("one two three")]
        assert world.texts()[1] == "four five"
        assert world.buttons()[1] == {RETRY: "retry:2", MODEL: "model:"}
        assert chat.words == [""]
        await world.ask("thanks")
    assert said(world) == ["count", "one two three", transcript.go_on("one two three"), "four five", "thanks"]


async def test_continue_quotes_where_the_answer_stopped_so_that_what_was_said_since_does_not_matter(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta("one two three"), CUT)
        await world.ask("count")
        await world.ask("something else")
        await world.press("continue:1")
        await eventually(lambda: len(world.alpha.requests) == 3)
        await world.idle()
    assert said(world)[-1].endswith("one two three")
    assert said(world)[:-1] == ["count", "one two three", "something else", "heard: something else"]


async def test_continue_goes_on_after_stop_and_after_a_restart(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta("the beginning"), asyncio.Event())
        await world.say("tell")
        await world.until_said("the beginning")
        await world.press("stop:1")
        await world.idle()
    async with world.running():
        world.alpha.will_say("the rest")
        await world.press(world.buttons()[0][CONTINUE])
        await world.until_said("the rest")
        await world.idle()
    assert said(world) == ["tell", "the beginning", transcript.go_on("the beginning")]


async def test_continue_pressed_twice_goes_on_once_and_later_says_that_it_did(world: World, chat: PressableChat) -> None:
    gate = asyncio.Event()
    async with world.running():
        world.alpha.will(TextDelta("one"), CUT)
        await world.ask("count")
        world.alpha.will(gate, TextDelta("two"), Finished())
        await world.press("continue:1")
        await world.press("continue:1")
        await eventually(lambda: len(chat.words) == 2)
        gate.set()
        await world.idle()
        await world.press("continue:1")
        await world.idle()
    assert len(world.alpha.requests) == 2
    assert chat.words == ["", "", texts.NOT_CONTINUED]


async def test_a_continuation_that_is_cut_can_be_continued_and_asked_again(world: World) -> None:
    async with world.running():
        for text in ("one", "two", "three"):
            world.alpha.will(TextDelta(text), CUT)
        await world.ask("count")
        await world.press("continue:1")
        await world.idle()
        await world.press("continue:2")
        await world.idle()
        assert [text.partition("\n")[0] for text in world.texts()] == ["one", "two", "three"]
        world.alpha.will_say("three four")
        await world.press("retry:3")
        await world.until_said("three four")
        await world.idle()
        await world.ask("thanks")
    assert said(world) == ["count", "one", transcript.go_on("one"), "two", transcript.go_on("two"), "three four", "thanks"]


async def test_continue_as_a_written_command_goes_on_with_the_last_answer(world: World) -> None:
    async with world.running():
        assert "nothing to continue" in await world.order("continue")
        world.alpha.will(TextDelta("one"), CUT)
        await world.ask("count")
        world.alpha.will_say("two")
        assert await world.order("continue") == "two"
    assert said(world) == ["count", "one", transcript.go_on("one")]


@pytest.mark.parametrize("fails", [ErrorKind.SERVER, ErrorKind.AUTH, ErrorKind.EMPTY])
async def test_after_a_question_that_got_no_answer_continue_and_other_say_so_and_retry_asks_it(world: World, fails: ErrorKind) -> None:
    async with world.running():
        assert await world.order("continue") == texts.NOTHING_TO_CONTINUE
        assert await world.order("other") == texts.NOTHING_OTHER
        await world.ask("hello")
        world.alpha.will(ProviderError(fails, "no", billed=Billed.YES))
        await world.ask("and now?")
        for command, words in (("continue", texts.CONTINUE_UNANSWERED), ("other", texts.OTHER_UNANSWERED)):
            assert await world.order(command) == words
            assert "The last question got no answer: use /retry" in words
        assert await world.order("retry") == "heard: and now?"
        await world.order("reset")
        assert await world.order("continue") == texts.NOTHING_TO_CONTINUE
        assert await world.order("other") == texts.NOTHING_OTHER


@pytest.mark.parametrize("end", [Finished(FinishReason.CONTENT_FILTER), ProviderError(ErrorKind.CONTENT_FILTER, "declined")])
async def test_what_a_filter_ended_is_not_asked_again_by_continue_either(
    world: World, chat: PressableChat, end: Finished | ProviderError
) -> None:
    async with world.running():
        world.alpha.will(TextDelta("as far as this"), end)
        await world.ask("one")
        assert CONTINUE not in world.buttons()[0]
        assert await world.order("continue") == texts.CONTINUE_FILTERED
        await world.press("continue:1")
        await eventually(lambda: chat.words == [texts.CONTINUE_FILTERED])
        assert world.alpha.asked == ["one"]
        await world.order("retry")
        await world.order("continue")
    assert said(world)[-1] == transcript.go_on("heard: one")
    assert "other words" in texts.CONTINUE_FILTERED


async def test_of_several_answers_the_one_that_stands_decides_whether_continue_asks(world: World) -> None:
    async with world.running():
        ends = (Finished(FinishReason.CONTENT_FILTER),)
        world.alpha.will(TextDelta("first"), Alternatives(("second",), ends), Finished())
        await world.ask("one")
        await world.order("other")
        assert await world.order("continue") == texts.CONTINUE_FILTERED
        await world.order("other")
        await world.order("continue")
    assert said(world) == ["one", "first", transcript.go_on("first")]


async def test_text_before_a_tool_call_stands_with_a_note_below(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta("Let me look."), Finished(wanted_tool=True))
        await world.ask("one")
        assert world.texts() == [f"Let me look.\n{texts.WANTED_TOOL.strip('*')}"]
        world.alpha.will(TextDelta("Let me"), Finished(FinishReason.LENGTH, wanted_tool=True))
        await world.ask("two")
        assert "Cut at the length limit" in world.texts()[1]
        assert "tool" not in world.texts()[1]


def test_only_the_end_of_a_long_answer_is_quoted() -> None:
    long = "word " * 1000 + "the very end"
    assert transcript.go_on(long).endswith("the very end")
    assert len(transcript.go_on(long)) < len(transcript.go_on("")) + transcript.LAST_WORDS_CHARS
    assert transcript.go_on("語" * 1000).endswith("語" * transcript.LAST_WORDS_CHARS)


# ------------------------------------------------------------------------------------------------ Other model…


async def test_other_model_shows_the_choice_and_choosing_works(world: World, chat: PressableChat) -> None:
    async with world.running():
        await world.ask("one")
        await world.press(world.buttons()[0][MODEL])
        await world.until_said("The model is small")
        await world.press(world.buttons()[1]["large"])
        await world.until_said("answers with large")
        await world.press("retry:1")
        await eventually(lambda: len(world.alpha.requests) == 2)
        await world.idle()
    assert world.alpha.requests[1].model == "large"
    assert chat.words == ["", "", ""]


# ------------------------------------------------------------------------------------------------ who, where, and when the power fails


async def test_a_stranger_who_presses_is_told_alone_and_nothing_happens(tmp_path: Path, chat: PressableChat) -> None:
    world = World(tmp_path, chat=chat)
    async with world.running():
        world.alpha.will(TextDelta("one"), CUT)
        await world.ask("count")
    world.access = Access()
    async with world.running():
        for data in ("stop:1", "retry:1", "continue:1", "model:", "model:large", "nonsense"):
            await world.press(data, sender=Sender("4711", "Eve"), chat_kind=ChatKind.GROUP)
        await eventually(lambda: len(chat.words) == 6)
        await world.idle()
    assert all("does not know you" in word and "4711" in word for word in chat.words)
    assert len(world.texts()) == 1
    assert len(world.alpha.requests) == 1
    assert world.rows("SELECT * FROM setting") == []


async def test_where_others_write_too_the_new_answer_refers_to_the_message_with_the_button(world: World, chat: PressableChat) -> None:
    async with world.running():
        await world.ask("one")
        await world.press("retry:1", under="1", chat_kind=ChatKind.GROUP)
        await eventually(lambda: len(world.texts()) == 2)
        await world.press("model:", under="1", chat_kind=ChatKind.GROUP)
        await eventually(lambda: len(world.texts()) == 3)
    assert [target.reply_to for target in chat.targets.values()] == [None, "1", "1"]


async def test_a_press_that_was_accepted_before_a_crash_is_carried_out_after_it_and_once(world: World, chat: PressableChat) -> None:
    async with world.running() as core:
        world.alpha.will(TextDelta("one"), CUT)
        await world.ask("count")
        event = replace(world.event(EventKind.BUTTON), button=ButtonPress("continue:1"))
        assert await core.store.accept(NewEvent(event.key, event.kind, event.chat, dump(event))) is not None
    async with world.running() as core:
        await eventually(lambda: len(world.texts()) == 2)
        await world.idle()
        assert not await core.inbox.accept(event)  # the platform brings it again
    assert len(world.alpha.requests) == 2
    assert chat.words == [""]


async def test_a_press_that_a_crash_cut_off_after_its_turn_was_made_makes_no_second_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running() as core:
        await world.ask("one")

        async def never(_: int) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(core.store, "finish_event", never)
        await world.press("retry:1")
        await eventually(lambda: len(world.texts()) == 2)
        await eventually(lambda: world.turns() == [("done", 1)] * 2)
    async with world.running():
        await world.idle()
        await asyncio.sleep(0.05)
    assert world.alpha.asked == ["one", "one"]
    assert len(world.texts()) == 2


async def test_an_answer_that_is_refused_with_its_controls_comes_without(world: World) -> None:
    async with world.running():
        world.alpha.will_say("bare")
        world.chat.failures = [RefusedError(Refusal.BAD_REQUEST, "buttons")] * 2
        await world.ask("one")
    assert list(world.chat.shown.values()) == [Page(PLAIN.bare("bare"))]
