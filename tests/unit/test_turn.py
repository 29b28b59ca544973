"""One turn: transcript → request → stream → reply."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Billed, ErrorKind, Finished, FinishReason, Progress, ProviderError, ReasoningDelta, Submitted, TextDelta, Usage
from bot import texts
from bot.delivery import Delivery
from bot.lengths import Lengths
from bot.model import EventKind
from bot.outbox import Outbox
from bot.platforms.base import Refusal, RefusedError, UnavailableError
from bot.preferences import Defaults
from bot.turn import MOST_ATTEMPTS
from storage.base import StoreUnavailableError
from tests.support.core import World, eventually
from tests.support.scripted import ScriptedProvider

LULL_SECONDS = 0.125


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def growing(*words: str) -> list[TextDelta]:
    return [TextDelta(word) for word in words]


def requested_since(world: World, before: int) -> bool:
    return len(world.alpha.requests) == before + 1


# ------------------------------------------------------------------------------------------------ the plain way


async def test_the_text_is_whole_in_the_chat_and_in_the_transcript(world: World) -> None:
    words = [f"word{number} " for number in range(200)]
    async with world.running():
        world.alpha.will(Progress("thinking"), ReasoningDelta("hidden"), *growing(*words), Usage(5, 7), Finished())
        said = await world.ask("tell me")
        assert said == "".join(words).strip()
        assert world.turns() == [("done", 1)]
        await world.ask("more")
    asked = [(message.role, message.text) for message in world.alpha.requests[1].messages]
    assert asked == [("user", "tell me"), ("assistant", "".join(words)), ("user", "more")]
    reported = world.rows("SELECT provider, model, json_extract(amounts, '$.output_tokens') FROM usage ORDER BY turn")
    assert reported == [("alpha", "small", 7), ("alpha", "small", None)]


async def test_an_answer_longer_than_a_message_continues_in_further_ones(world: World) -> None:
    text = "\n\n".join(f"paragraph {number} " + "x" * 300 for number in range(20))
    async with world.running():
        world.alpha.will_say(text)
        await world.ask("tell me much")
    assert len(world.texts()) > 2
    assert " ".join(" ".join(world.texts()).split()) == " ".join(text.split())


async def test_persona_model_and_parameters_are_in_the_request(world: World) -> None:
    async with world.running():
        await world.order("system", text="You are a pirate.")
        await world.order("model", name="large")
        await world.order("settings", name="temperature", value="0.5")
        await world.ask("hello")
    (request,) = world.alpha.requests
    assert (request.system, request.model, request.parameters) == ("You are a pirate.", "large", {"temperature": 0.5})


@pytest.mark.parametrize(
    ("end", "note"),
    [
        (Finished(), ""),
        (Finished(FinishReason.LENGTH), "length limit"),
        (Finished(likely_truncated=True), "Probably cut"),
        (Finished(FinishReason.CONTENT_FILTER), "content filter"),
        (Finished(FinishReason.UNKNOWN, complete=False), "something may be missing"),
    ],
)
async def test_an_answer_that_is_not_whole_says_so_below(world: World, end: Finished, note: str) -> None:
    async with world.running():
        world.alpha.will(TextDelta("the answer"), end)
        said = await world.ask("hello")
    assert said.startswith("the answer")
    assert (said == "the answer") if not note else (note in said)


async def test_halves_of_a_character_in_two_pieces_are_shown_and_stored_as_one(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta("a \ud83d"), TextDelta("\ude00 and half \ud83d"), Finished())
        assert "a \U0001f600 and half" in await world.ask("hello")
        assert world.turns() == [("done", 1)]
        await world.ask("again")
    assert "a \U0001f600 and half" in world.alpha.requests[1].messages[1].text


# ------------------------------------------------------------------------------------------------ what goes wrong


async def test_a_failure_before_any_text_is_one_sentence_and_the_conversation_goes_on(world: World) -> None:
    async with world.running():
        world.alpha.will(ProviderError(ErrorKind.AUTH, "bad key"))
        assert "refused this bot's key" in await world.ask("one")
        assert await world.ask("two") == "heard: two"
        assert world.turns() == [("failed", 1), ("done", 1)]
    assert [message.text for message in world.alpha.requests[1].messages] == ["two"]


async def test_a_failure_after_text_keeps_the_text_and_says_so_below(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta("as far as "), TextDelta("this"), ProviderError(ErrorKind.TIMEOUT_IDLE))
        said = await world.ask("one")
        assert said.startswith("as far as this")
        assert "stopped in the middle" in said
        assert len(world.texts()) == 1
        await world.ask("two")
    assert [message.text for message in world.alpha.requests[1].messages] == ["one", "as far as this", "two"]


@pytest.mark.parametrize("kind", ErrorKind)
@pytest.mark.parametrize("begun", [True, False], ids=["begun", "silent"])
async def test_what_went_wrong_is_told_with_the_controls_that_stand_below_it(world: World, kind: ErrorKind, begun: bool) -> None:
    async with world.running():
        world.alpha.will(*([TextDelta("as far as this")] if begun else []), ProviderError(kind, "no", billed=Billed.MAYBE))
        said, buttons = await world.ask("one"), world.buttons()[-1]
        assert said.startswith("as far as this") == begun
        assert ("Continue" in said) == (texts.LABEL_CONTINUE in buttons)
        assert (texts.LABEL_CONTINUE in buttons) == (begun and kind is not ErrorKind.CONTENT_FILTER)
        assert texts.LABEL_RETRY in buttons


async def test_continue_goes_on_from_what_was_kept_and_retry_asks_anew(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta("as far as this"), ProviderError(ErrorKind.PROTOCOL))
        assert "Press Continue or use /continue to go on from here, or /retry to ask anew." in await world.ask("one")
        await world.command("continue")
        await world.idle()
    assert [message.text for message in world.alpha.requests[-1].messages][:2] == ["one", "as far as this"]
    assert "as far as this" in world.alpha.requests[-1].messages[2].text


@pytest.mark.parametrize("steps", [(Finished(),), (TextDelta(" \n"), Finished()), (ReasoningDelta("hm"), Finished())])
async def test_an_empty_answer_is_told(world: World, steps: tuple[TextDelta | Finished, ...]) -> None:
    async with world.running():
        world.alpha.will(*steps)
        assert "empty answer" in await world.ask("one")
        assert world.turns() == [("failed", 1)]


async def test_what_may_be_repeated_is_repeated_without_a_word(world: World) -> None:
    async with world.running():
        world.alpha.will(ProviderError(ErrorKind.OVERLOADED, billed=Billed.NO))
        assert await world.ask("one") == "heard: one"


async def test_a_bug_of_an_adapter_ends_its_turn_only_and_its_words_stay_out_of_log_and_chat(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.running():
        world.alpha.will(TextDelta("some"), ValueError("canary-prompt"))
        assert "can't be understood" in await world.ask("one")
        assert await world.ask("two") == "heard: two"
    assert "canary-prompt" not in caplog.text + "".join(world.texts())


async def test_a_chat_that_refuses_the_answer_ends_the_turn_and_not_the_conversation(world: World) -> None:
    async with world.running():
        world.chat.failures = [RefusedError(Refusal.FORBIDDEN, "blocked")]
        await world.say("one")
        await world.idle()
        assert await world.ask("two") == "heard: two"
        assert [state for state, _ in world.turns()] == ["failed", "done"]


async def test_a_provider_that_was_switched_off_is_told_and_another_can_be_chosen(world: World) -> None:
    async with world.running():
        await world.order("provider", name="beta")
    del world.providers["beta"]
    async with world.running():
        assert "beta is chosen here, but it is not set up" in await world.ask("hello")
        await world.order("provider", name="alpha")
        assert await world.ask("hello") == "heard: hello"


async def test_a_fault_of_ours_in_one_turn_is_told_and_leaves_no_second_message(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as core:
        real, gate, failed = core.store.answered, asyncio.Event(), asyncio.Event()

        async def broken(*_: object) -> bool:
            monkeypatch.setattr(core.store, "answered", real)
            raise RuntimeError("a fault")

        monkeypatch.setattr(core.store, "answered", broken)
        world.alpha.will(TextDelta("first"), gate, TextDelta(" second"), failed, Finished())
        await world.say("one")
        await world.until_said("first")
        world.chat.failures = [UnavailableError("away for a moment")]  # an edit is still to be repeated when the turn crashes
        gate.set()
        await eventually(lambda: not world.chat.failures)
        failed.set()
        await world.until_said("inside the bot")
        assert await world.ask("two") == "heard: two"
        await asyncio.sleep(0.8)  # longer than the wait before the repetition
        assert len(world.texts()) == 2
        assert "inside the bot" in world.texts()[0]


# ------------------------------------------------------------------------------------------------ stop


async def test_stop_closes_the_stream_at_once_and_keeps_what_was_said(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta("the beginning"), asyncio.Event())
        await world.say("go on for ever")
        await world.until_said("the beginning")
        await world.command("stop")
        stopped = await world.until_said("Stopped")
        assert stopped.startswith("the beginning")
        await world.until_said("Stopping.")
        assert world.alpha.closed == 1
        await world.idle()
        assert world.turns() == [("stopped", 1)]
        await world.ask("next")
    assert [message.text for message in world.alpha.requests[1].messages] == ["go on for ever", "the beginning", "next"]


async def test_stop_before_any_text_says_so_and_the_question_is_not_sent_again(world: World) -> None:
    async with world.running():
        world.alpha.will(asyncio.Event())
        await world.say("one")
        await eventually(lambda: world.alpha.requests)
        await world.command("stop")
        await world.until_said("Stopped")
        await world.idle()
        await world.ask("two")
    assert [message.text for message in world.alpha.requests[1].messages] == ["two"]


async def test_stop_meets_what_waits_behind_the_running_answer_too(world: World) -> None:
    async with world.running():
        world.alpha.will(asyncio.Event())
        for text in ("one", "two", "three"):
            await world.say(text)
        await eventually(lambda: world.alpha.requests)
        await world.command("stop")
        await world.until_said("2 waiting questions")
        await world.idle()
        assert [state for state, _ in world.turns()] == ["stopped"] * 3
        assert world.alpha.asked == ["one"]


async def test_a_question_stopped_while_it_waited_is_named_where_that_is_said(world: World) -> None:
    async with world.running():
        world.alpha.will(asyncio.Event())
        asked = [await world.say(text) for text in ("one", "two", "three")]
        await eventually(lambda: world.alpha.requests)
        await world.command("stop")
        await world.until_said("2 waiting questions")
        await world.idle()
    told = [world.chat.targets[key].reply_to for key, page in world.chat.shown.items() if "Stopped." in page.text]
    assert told == [None, asked[1].message_id, asked[2].message_id]


async def test_a_stop_asked_before_a_crash_holds_after_it(world: World) -> None:
    world.alpha.will(TextDelta("partial"), asyncio.Event())
    async with world.running() as core:
        await world.say("one")
        await world.until_said("partial")
        await core.drain_no_more()
        await core.store.stop(1)
    async with world.running():
        await world.idle()
    assert world.turns() == [("stopped", 2)]
    assert len(world.alpha.requests) == 1
    assert world.texts() == ["partial", "⏹ Stopped."]


# ------------------------------------------------------------------------------------------------ crashes


async def test_a_question_cut_off_by_a_crash_is_asked_again_in_the_same_message(world: World) -> None:
    world.alpha.will(TextDelta("half an ans"), asyncio.Event())
    async with world.running():
        await world.say("one")
        await world.until_said("half")
    async with world.running():
        await world.until_said("heard: one")
        await world.idle()
    assert world.texts() == ["heard: one"]
    assert world.turns() == [("done", 2)]


async def test_an_answer_that_was_stored_is_delivered_after_a_crash_without_asking_again(world: World) -> None:
    async with world.running():
        world.chat.failures = [UnavailableError("away")] * 100
        world.alpha.will(TextDelta("the whole answer"), Finished(FinishReason.LENGTH))
        await world.say("one")
        await eventually(lambda: world.turns() == [("answered", 1)])
    world.chat.failures = []
    async with world.running():
        said = await world.until_said("the whole answer")
        assert "length limit" in said
        await world.idle()
    assert len(world.alpha.requests) == 1
    assert world.turns() == [("done", 2)]


async def test_a_question_is_asked_at_most_so_often_over_crashes(world: World) -> None:
    for _ in range(MOST_ATTEMPTS):
        world.alpha.will(asyncio.Event())
    async with world.running():
        await world.say("deadly")
        await eventually(lambda: len(world.alpha.requests) == 1)
    for _ in range(1, MOST_ATTEMPTS):
        before = len(world.alpha.requests)
        async with world.running():
            await eventually(partial(requested_since, world, before))
    async with world.running():
        await world.until_said("interrupted several times")
        await world.idle()
        await world.order("retry")
        assert world.texts()[-1] == "heard: deadly"
    assert len(world.alpha.requests) == MOST_ATTEMPTS + 1


async def test_the_handle_of_a_job_is_stored_before_the_next_event_is_pulled_and_given_after_a_crash(world: World) -> None:
    handles: list[object] = []
    world.alpha.will(Submitted("job-1"), lambda: handles.extend(world.rows("SELECT handle FROM turn")), asyncio.Event())
    async with world.running():
        await world.say("one")
        await eventually(lambda: handles)
    assert handles == [("job-1",)]
    async with world.running():
        await world.until_said("heard: one")
    assert [request.resume for request in world.alpha.requests] == [None, "job-1"]
    assert world.alpha.requests[0].turn == world.alpha.requests[1].turn


async def test_a_job_whose_handle_can_not_be_stored_for_a_moment_is_not_asked_for_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.insist.STORE_PAUSE_SECONDS", 0.001)
    world.alpha.will(Submitted("job-1"), TextDelta("collected"), Finished())
    async with world.running() as core:
        submitted, failures = core.store.submitted, [StoreUnavailableError("locked")] * 2

        async def sometimes(*what: Any, **more: Any) -> bool:
            if failures:
                raise failures.pop()
            return await submitted(*what, **more)

        monkeypatch.setattr(core.store, "submitted", sometimes)
        assert await world.ask("one") == "collected"
    assert len(world.alpha.requests) == 1
    assert world.turns() == [("done", 1)]


async def test_a_worker_that_lost_its_turn_says_and_writes_nothing_more(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    gate = asyncio.Event()
    async with world.running() as core:
        world.alpha.will(gate, TextDelta("too late"), Finished(state="s"))
        world.alpha.will(asyncio.Event())
        await world.say("one")
        await eventually(lambda: world.alpha.requests)
        newer = await core.store.claim(1)
        assert newer is not None
        gate.set()
        await eventually(lambda: "turn.fenced" in caplog.text)
        assert world.rows("SELECT COUNT(*) FROM entry WHERE role = 'assistant'") == [(0,)]
        assert world.rows("SELECT COUNT(*) FROM provider_state") == [(0,)]


# ------------------------------------------------------------------------------------------------ typing


async def test_typing_is_shown_until_the_first_text_and_then_no_more(world: World) -> None:
    thought, ended = asyncio.Event(), asyncio.Event()
    async with world.running():
        world.alpha.will(thought, TextDelta("now"), ended, Finished())
        await world.say("one")
        await eventually(lambda: world.chat.typings >= 3)
        thought.set()
        await world.until_said("now")
        await asyncio.sleep(0.05)
        before = world.chat.typings
        await asyncio.sleep(0.1)
        assert world.chat.typings == before
        ended.set()
        await world.idle()


async def test_typing_ends_with_a_turn_that_says_nothing_and_its_failure_harms_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: object) -> None:
        raise UnavailableError("away")

    async with world.running():
        world.alpha.will(asyncio.Event())
        await world.say("one")
        await eventually(lambda: world.chat.typings)
        await world.command("stop")
        await world.idle()
        before = world.chat.typings
        await asyncio.sleep(0.1)
        assert world.chat.typings == before
        monkeypatch.setattr(world.chat, "typing", broken)
        assert await world.ask("two") == "heard: two"


# ------------------------------------------------------------------------------------------------ edits


async def test_an_edit_before_the_answer_begins_changes_what_is_asked(world: World) -> None:
    gate = asyncio.Event()
    async with world.running():
        world.alpha.will(gate, TextDelta("first"), Finished())
        await world.say("one")
        said = await world.say("two, misspelt")
        await eventually(lambda: world.alpha.requests)
        await world.edit(said, "two, corrected")
        gate.set()
        await world.until_said("heard: two, corrected")
        late = await world.say("three")
        await world.until_said("heard: three")
        await world.edit(late, "three, too late")
        await world.ask("four")
    assert world.alpha.requests[-1].messages[-3].text == "three"
    assert world.rows("SELECT COUNT(*) FROM event WHERE kind = ?", EventKind.EDIT) == [(2,)]


# ------------------------------------------------------------------------------------------------ what fits


async def test_the_oldest_messages_are_left_out_where_the_window_is_small(world: World) -> None:
    world.providers = {"alpha": ScriptedProvider(names=("small",))}
    world.defaults = Defaults("alpha", persona="Be brief.")
    world.alpha.capable = type(world.alpha.capable)(context_tokens=200)
    async with world.running():
        for number in range(6):
            await world.ask(f"question {number} " + "word " * 20)
    last = world.alpha.requests[-1].messages
    assert last[-1].text.startswith("question 5")
    assert last[0].role == "user"
    assert 1 <= len(last) < 11


async def test_a_model_may_be_left_unread_only_while_nothing_could_be_shown_anyway(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[float] = []

    def ask() -> None:
        pace = world.alpha.requests[-1].pace
        assert pace is not None
        told.append(pace.lull())

    async with world.running():
        world.alpha.will(ask, *growing("few"), ask, *growing(" chats"), Finished())
        assert await world.ask("tell me") == "few chats"
        assert told == [0.0, 0.0]
        monkeypatch.setattr(Delivery, "lull", lambda delivery: LULL_SECONDS if delivery.dirty else 0.0)
        world.alpha.will(ask, *growing("a"), ask, *growing(" crowd"), Finished())
        assert await world.ask("tell me") == "a crowd"
    assert told[2:] == [0.0, LULL_SECONDS]


async def test_what_came_unread_is_read_when_the_answer_is_about_to_be_shown(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Delivery] = []
    original = Outbox.open

    async def open_(self: Outbox, *args: Any, **options: Any) -> Delivery:
        opened.append(await original(self, *args, **options))
        return opened[-1]

    monkeypatch.setattr(Outbox, "open", open_)
    read: list[str] = []

    def leave_unread() -> None:
        pace = world.alpha.requests[-1].pace
        assert pace is not None
        pace.on_hurry(lambda: read.append("read"))
        opened[-1].near()

    async with world.running():
        world.alpha.will(*growing("few"), leave_unread, *growing(" words"), Finished())
        assert await world.ask("tell me") == "few words"
    assert read == ["read"]


async def test_an_answer_that_was_shown_leaves_no_circle_for_the_collector(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[weakref.ref[Delivery]] = []
    original = Outbox.open

    async def open_(self: Outbox, *args: Any, **options: Any) -> Delivery:
        delivery = await original(self, *args, **options)
        opened.append(weakref.ref(delivery))
        return delivery

    monkeypatch.setattr(Outbox, "open", open_)
    gc.disable()
    try:
        async with world.running():
            world.alpha.will(*growing("few", " words"), Finished())
            assert await world.ask("tell me") == "few words"
            world.alpha.requests.clear()
            await eventually(lambda: opened and opened[0]() is None)
    finally:
        gc.enable()


async def test_how_long_an_answer_grew_is_learnt_for_its_conversation_and_its_model_but_not_of_one_that_was_stopped(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt: list[tuple[Any, float]] = []
    monkeypatch.setattr(Lengths, "learn", lambda _, kinds, seconds: learnt.append((kinds, seconds)))
    async with world.running():
        world.alpha.will(*growing("some", " words"), Finished())
        await world.ask("tell me")
        [(kinds, seconds)] = learnt
        assert [kind[1:] for kind in kinds[:1]] == [*kinds[1:]] == [("alpha", "small")]
        assert seconds > 0
        world.alpha.will(*growing("begun", " and", " more"), asyncio.Event())
        await world.say("tell me more")
        await eventually(lambda: any("begun" in text for text in world.texts()))
        await world.command("stop")
        await eventually(lambda: world.turns()[-1] == ("stopped", 1))
    assert len(learnt) == 1


async def test_a_stop_does_not_wait_for_the_end_of_a_gulp(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Delivery, "lull", lambda _: 3600.0)

    async def rest() -> None:
        pace = world.alpha.requests[-1].pace
        assert pace is not None
        await asyncio.sleep(pace.lull())

    async with world.running():
        world.alpha.will(*growing("begun", " and", " more"), rest)
        await world.say("tell me")
        await eventually(world.texts)
        await world.command("stop")
        await eventually(lambda: world.turns() == [("stopped", 1)])
    assert world.alpha.closed == 1
