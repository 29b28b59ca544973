"""What fails again and again gets out of the way, is seen by the operator, and can be tried again."""

from __future__ import annotations

import asyncio
import logging
import pickle
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Billed, ErrorKind, Finished, ProviderError, Submitted, TextDelta
from bot import texts
from bot.access import Access, AllowList
from bot.budgets import Budget, Budgets
from bot.inbox import FIRST_RETRY_SECONDS
from bot.model import CommandCall, EventKind, Page, Receipt, Sender, Target
from bot.parking import WATCH_SECONDS, reason_of
from bot.patience import ParkingRule
from bot.payload import dump
from bot.platforms.base import UnavailableError
from bot.preferences import Defaults
from bot.turn import UnshownError
from storage.base import NewEvent, StoreError, StoreUnavailableError, Turn
from storage.beside import survey
from storage.wishes import want_again
from tests.support.core import World, eventually
from tests.support.scripted import ScriptedProvider

SECRET = "canary-words-of-a-person"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, parking_rule=ParkingRule(attempts=3, seconds=0))


def poison(world: World, monkeypatch: pytest.MonkeyPatch, number: int, error: Exception) -> list[int]:
    """Have every attempt at the turn with this number fail, until the list that is returned is emptied; it holds that number."""
    poisoned, turns = [number], world.now.dispatcher._turns
    run = turns.run

    async def failing(turn: Turn, incoming: object) -> None:
        if turn.id in poisoned:
            raise error
        await run(turn, incoming)  # type: ignore[arg-type]

    monkeypatch.setattr(turns, "run", failing)
    return poisoned


@pytest.mark.parametrize(
    ("failures", "seconds", "due"), [(8, 10800, True), (7, 10**6, False), (10**6, 10799, False), (9, 10801, True), (0, 0, False)]
)
def test_it_takes_several_attempts_and_some_hours(failures: int, seconds: float, *, due: bool) -> None:
    assert ParkingRule().exceeded(failures, seconds) is due


async def test_a_turn_that_fails_each_time_is_parked_its_asker_told_and_the_next_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running():
        poison(world, monkeypatch, 1, StoreError("the disk says no"))
        await world.say(SECRET)
        await world.say("two")
        await world.until_said("heard: two")
        await world.idle()
        assert world.turns() == [("parked", 4), ("done", 1)]
        told, _ = world.texts()
        assert "failed again and again" in told
        assert "Retry" in world.buttons()[0]
    seen = survey(world.database)
    (one,) = seen.newest_parked
    assert (seen.parked, one.kind, one.platform, one.failures, one.reason) == (1, "message", "memory", 3, "the disk says no")
    assert SECRET not in repr(seen)


async def test_it_stays_parked_over_restarts_until_somebody_asks_for_another_try(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running():
        poison(world, monkeypatch, 1, StoreError("no"))
        await world.say("one")
        await eventually(lambda: world.turns() == [("parked", 4)])
    monkeypatch.undo()
    async with world.running():
        assert await world.ask("two") == "heard: two"
        assert world.turns()[0] == ("parked", 4)
    wishes = want_again(world.database, [1])
    assert (wishes.taken, wishes.refused, wishes.in_use) == ((1,), (), False)
    assert survey(world.database).newest_parked[0].wanted
    async with world.running() as core:
        watch = asyncio.create_task(core.inbox.watch())
        assert await world.until_said("heard: one") == "heard: one"
        await world.idle()
        watch.cancel()
    assert world.turns() == [("done", 5), ("done", 1)]
    assert survey(world.database).parked == 0


async def test_a_running_bridge_grants_the_wish_within_seconds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.inbox.WATCH_SECONDS", WATCH_SECONDS / 100)
    async with world.running() as core:
        poisoned = poison(world, monkeypatch, 1, StoreError("no"))
        watch = asyncio.create_task(core.inbox.watch())
        await world.say("one")
        await eventually(lambda: world.turns() == [("parked", 4)])
        poisoned.clear()
        wishes = want_again(world.database, None)
        assert wishes.in_use
        assert await world.until_said("heard: one") == "heard: one"
        await world.idle()
        assert len([text for text in world.texts() if text == "heard: one"]) == 1
        watch.cancel()


async def test_what_was_parked_with_a_part_of_its_answer_and_is_taken_back_keeps_no_stop_button(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.alpha.will(TextDelta("the first part"), asyncio.Event())
    async with world.running():
        said = await world.say("one")
        await world.until_said("the first part")
        assert list(world.buttons()[0]) == [texts.LABEL_STOP]
    async with world.running() as core:
        poisoned = poison(world, monkeypatch, 1, StoreError("no"))
        await eventually(lambda: world.turns()[0][0] == "parked")
        gate = asyncio.Event()
        world.alpha.will(gate, TextDelta("heard: two"), Finished())
        await world.say("two")
        await eventually(lambda: len(world.alpha.requests) == 2)
        poisoned.clear()
        want_again(world.database, [1])
        watch = asyncio.create_task(core.inbox.watch())
        await eventually(lambda: world.turns()[0][0] == "accepted")
        await world.come(EventKind.EDIT, message_id=said.message_id)  # it was deleted
        await eventually(lambda: world.rows("SELECT stop_requested FROM turn WHERE id = 1") == [(1,)])
        gate.set()
        await world.idle()
        watch.cancel()
    assert [state for state, _ in world.turns()] == ["stopped", "done"]
    assert world.texts()[0] == texts.WITHDRAWN
    assert world.buttons()[0] == {}
    assert len(world.alpha.requests) == 2


async def test_what_is_parked_with_a_part_of_its_answer_has_no_stop_button_until_it_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.alpha.will(TextDelta("the first part"), asyncio.Event())
    async with world.running():
        await world.say("one")
        await world.until_said("the first part")
    async with world.running() as core:
        poisoned = poison(world, monkeypatch, 1, StoreError("no"))
        await eventually(lambda: world.turns()[0][0] == "parked")
        assert world.texts()[0].startswith("the first part")
        assert world.buttons()[0] == {}
        assert texts.LABEL_RETRY in world.buttons()[1]
        poisoned.clear()
        gate = asyncio.Event()
        world.alpha.will(TextDelta("all of it"), gate, Finished())
        await core.store.unpark(1)
        await world.until_said("all of it")
        assert list(world.buttons()[0]) == [texts.LABEL_STOP]
        gate.set()
        await world.idle()
        assert texts.LABEL_RETRY in world.buttons()[0]


@pytest.mark.parametrize(("words", "asked", "ends"), [("mended words", ["mended words"], "done"), ("", [], "stopped")])
async def test_what_is_edited_or_deleted_while_it_is_parked_is_not_asked_in_its_old_words(
    world: World, monkeypatch: pytest.MonkeyPatch, words: str, asked: list[str], ends: str
) -> None:
    monkeypatch.setattr("bot.inbox.WATCH_SECONDS", WATCH_SECONDS / 100)
    async with world.running() as core:
        poisoned = poison(world, monkeypatch, 1, StoreError("no"))
        said = await world.say(SECRET)
        await eventually(lambda: world.turns()[0][0] == "parked")
        poisoned.clear()
        await world.edit(said, words)
        await world.idle()
        want_again(world.database, None)
        watch = asyncio.create_task(core.inbox.watch())
        await eventually(lambda: world.turns()[0][0] == ends)
        await world.idle()
        watch.cancel()
    assert world.alpha.asked == asked
    assert survey(world.database).parked == 0


@pytest.mark.parametrize(("words", "asked", "ends"), [("mended words", ["mended words"], "done"), ("", [], "stopped")])
async def test_what_is_edited_or_deleted_between_two_attempts_is_not_asked_in_its_old_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, asked: list[str], ends: str
) -> None:
    world, again = World(tmp_path), asyncio.Event()
    async with world.running() as core:
        poisoned, claim = poison(world, monkeypatch, 1, StoreError("no")), core.store.claim

        async def held(conversation: int, **more: Any) -> Turn | None:
            if world.rows("SELECT COUNT(*) FROM trouble") == [(1,)]:
                await again.wait()
            return await claim(conversation, **more)

        monkeypatch.setattr(core.store, "claim", held)
        said = await world.say(SECRET)
        await eventually(lambda: world.rows("SELECT COUNT(*) FROM trouble") == [(1,)])
        await world.edit(said, words)
        await eventually(lambda: world.rows("SELECT COUNT(*) FROM event WHERE finished_at IS NULL") == [(0,)])
        assert world.turns() == [("generating", 1)]
        poisoned.clear()
        again.set()
        await eventually(lambda: world.turns()[0][0] == ends)
        await world.idle()
    assert world.alpha.asked == asked
    assert world.rows("SELECT COUNT(*) FROM trouble") == [(0,)]


@pytest.mark.parametrize(("words", "asked", "ends"), [("mended words", [SECRET, "mended words"], "done"), ("", [SECRET], "stopped")])
async def test_what_is_edited_or_deleted_during_the_first_attempt_is_not_asked_in_its_old_words_by_the_next(
    tmp_path: Path, words: str, asked: list[str], ends: str
) -> None:
    world = World(tmp_path)
    world.alpha.will(TextDelta("the first part"), asyncio.Event())
    async with world.running():
        said = await world.say(SECRET)
        await world.until_said("the first part")
        await world.edit(said, words)
        await eventually(lambda: world.rows("SELECT COUNT(*) FROM event WHERE finished_at IS NULL") == [(0,)])
        assert world.turns() == [("generating", 1)]
    async with world.running():
        await world.idle()
        assert world.turns()[0][0] == ends
    assert world.alpha.asked == asked
    assert world.texts() == ([texts.WITHDRAWN] if not words else ["heard: mended words"])


async def test_what_is_deleted_during_the_first_attempt_is_answered_by_it(tmp_path: Path) -> None:
    world, gate = World(tmp_path), asyncio.Event()
    world.alpha.will(TextDelta("the first part"), gate, TextDelta(", the second"), Finished())
    async with world.running():
        said = await world.say(SECRET)
        await world.until_said("the first part")
        await world.edit(said, "")
        await eventually(lambda: world.rows("SELECT COUNT(*) FROM event WHERE finished_at IS NULL") == [(0,)])
        gate.set()
        await world.idle()
    assert world.texts() == ["the first part, the second"]


LOST = ProviderError(ErrorKind.STATE_LOST, billed=Billed.MAYBE)


@pytest.mark.parametrize("second", ["alpha", "beta"])
async def test_where_a_job_is_lost_the_question_is_asked_in_its_newest_words(tmp_path: Path, second: str) -> None:
    world = World(tmp_path, {"alpha": ScriptedProvider(), "beta": ScriptedProvider("beta", "Beta")})
    world.defaults = Defaults("alpha", fallback=("beta",) if second == "beta" else ())
    world.alpha.will(Submitted("job-1"), asyncio.Event())
    async with world.running():
        said = await world.say("old words")
        await eventually(lambda: world.rows("SELECT handle FROM turn") == [("job-1",)])
        await world.edit(said, "new words")
        await eventually(lambda: world.rows("SELECT COUNT(*) FROM event WHERE finished_at IS NULL") == [(0,)])
    world.alpha.will(LOST if second == "alpha" else ProviderError(ErrorKind.SERVER, billed=Billed.MAYBE))
    async with world.running():
        await world.idle()
    assert [request.resume for request in world.alpha.requests][:2] == [None, "job-1"]
    answering = world.providers[second].requests[-1]
    assert (answering.resume, answering.messages[-1].text) == (None, "new words")
    assert world.texts()[-1].startswith("heard: new words")
    assert world.rows("SELECT handle FROM turn") == [(None,)]


async def test_a_job_that_is_lost_is_asked_again_as_it_was_where_nothing_was_edited(world: World) -> None:
    world.alpha.will(Submitted("job-1"), asyncio.Event())
    async with world.running():
        await world.say("words")
        await eventually(lambda: world.rows("SELECT handle FROM turn") == [("job-1",)])
    world.alpha.will(LOST)
    async with world.running():
        await world.idle()
    assert [(request.resume, request.messages[-1].text) for request in world.alpha.requests] == [
        (None, "words"), ("job-1", "words"), (None, "words")
    ]  # fmt: skip


@pytest.mark.parametrize("words", ["", "new words " * 1000])
async def test_what_is_asked_in_the_place_of_a_lost_job_is_held_against_the_budgets_and_the_job_stays_counted(
    tmp_path: Path, words: str
) -> None:
    world = World(tmp_path)
    world.budgets = Budgets([Budget(name="everybody", tokens=1500 if words else 2_000_000)])
    world.alpha.will(Submitted("job-1"), asyncio.Event())
    async with world.running():
        said = await world.say("old words")
        await eventually(lambda: world.rows("SELECT handle FROM turn") == [("job-1",)])
        if words:
            await world.edit(said, words)
            await eventually(lambda: world.rows("SELECT COUNT(*) FROM event WHERE finished_at IS NULL") == [(0,)])
        else:
            world.budgets = Budgets([Budget(name="everybody", tokens=100)])
    world.alpha.will(LOST)
    async with world.running():
        await world.idle()
    assert "everybody" in world.texts()[-1]
    assert [request.resume for request in world.alpha.requests] == [None, "job-1"]
    assert world.rows("SELECT possibly_double, output_tokens > 0 OR input_tokens > 0 FROM usage") == [(1, 1)]


async def test_a_job_is_shown_to_nobody_but_who_has_it(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.defaults = Defaults("alpha", fallback=("beta",))
    world.alpha.will(Submitted("job-1"), asyncio.Event())
    async with world.running():
        await world.say("words")
        await eventually(lambda: world.rows("SELECT handle FROM turn") == [("job-1",)])
    world.alpha.will(ProviderError(ErrorKind.SERVER, billed=Billed.MAYBE))
    async with world.running():
        await world.idle()
    assert [request.resume for request in world.providers["beta"].requests] == [None]


async def test_a_stored_answer_is_shown_whole_although_its_question_is_asked_again_and_stop_was_pressed(world: World) -> None:
    edit = world.chat.edit
    world.alpha.will(TextDelta("the whole"), shown := asyncio.Event(), TextDelta(" answer"), Finished())

    async def never(*_: object, **__: object) -> Receipt:
        return await asyncio.Event().wait()  # type: ignore[return-value]

    async with world.running() as core:
        await world.say("one")
        await world.until_said("the whole")
        world.chat.edit = never  # type: ignore[method-assign]
        shown.set()
        await eventually(lambda: world.turns() == [("answered", 1)])
        await world.press("retry:1")
        await eventually(lambda: len(world.turns()) == 2)
        assert await core.store.stop_turn(1, 1)
    world.chat.edit = edit  # type: ignore[method-assign]
    async with world.running():
        await world.idle()
    assert world.turns()[0] == ("done", 2)
    assert world.texts()[0] == "the whole answer"


async def test_an_answer_that_can_not_be_shown_is_parked_with_its_words_and_shown_by_the_next_try(world: World) -> None:
    refusing = [True]
    send = world.chat.send

    async def odd(target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        if refusing and page.text.startswith("the whole"):
            raise ValueError(SECRET)
        return await send(target, page, nonce=nonce, first=first)

    world.chat.send = odd  # type: ignore[method-assign]
    async with world.running() as core:
        world.alpha.will(TextDelta("the whole answer"), Finished())
        await world.say("one")
        await eventually(lambda: [state for state, _ in world.turns()] == ["parked"])
        assert "failed again and again" in world.texts()[-1]
        (one,) = survey(world.database).newest_parked
        assert one.reason.startswith("it could not be shown: ValueError")
        assert SECRET not in one.reason
        refusing.clear()
        want_again(world.database, None)
        watch = asyncio.create_task(core.inbox.watch())
        await world.until_said("the whole answer")
        await world.idle()
        watch.cancel()
    assert len(world.alpha.requests) == 1  # it was not asked again


async def test_an_answer_that_the_platform_fails_to_show_while_others_arrive_is_parked_and_the_next_goes_on(world: World) -> None:
    failing = [True]
    send = world.chat.send

    async def odd(target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        if failing and page.text.startswith("the whole"):
            raise UnavailableError("500")
        return await send(target, page, nonce=nonce, first=first)

    async with world.running() as core:
        await world.ask("elsewhere", chat="2")
        world.chat.send = odd  # type: ignore[method-assign]
        world.alpha.will(TextDelta("the whole answer"), Finished())
        await world.say("one")
        await world.say("two")
        await world.until_said("heard: two")
        await world.idle()
        assert [state for state, _ in world.turns()] == ["done", "parked", "done"]
        (one,) = survey(world.database).newest_parked
        assert one.reason == "it could not be shown: UnavailableError, 3 times, while others arrived"
        failing.clear()
        want_again(world.database, None)
        watch = asyncio.create_task(core.inbox.watch())
        await world.until_said("the whole answer")
        await world.idle()
        watch.cancel()
    assert len(world.alpha.requests) == 3


async def test_a_command_that_fails_each_time_is_parked_and_carried_out_by_the_next_try(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.inbox.FIRST_RETRY_SECONDS", 0.001)
    monkeypatch.setattr("bot.inbox.LONGEST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("bot.insist.STORE_PAUSE_SECONDS", 0.001)
    async with world.running() as core:
        with monkeypatch.context() as broken:

            async def no(*_: object) -> None:
                raise StoreError("no room")

            broken.setattr(core.store, "finish_event", no)
            await world.command("keep", days="7")
            await eventually(lambda: survey(world.database).parked)
        await world.until_said("failed again and again")
        (one,) = survey(world.database).newest_parked
        assert (one.kind, one.failures, one.reason) == ("command", 3, "no room")
        want_again(world.database, [one.id])
        watch = asyncio.create_task(core.inbox.watch())
        await world.until_said("removed after 7 days")
        await eventually(lambda: not survey(world.database).parked)
        await world.idle()
        watch.cancel()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR and SECRET in record.getMessage()]


@pytest.mark.parametrize(
    ("parked", "since", "undone"),
    [
        (("model", {"name": "large"}), [("model", {"name": "small"})], True),
        (("model", {"name": "large"}), [("provider", {"name": "beta"})], True),
        (("model", {"name": "large"}), [("model", {}), ("status", {}), ("settings", {"name": "temperature", "value": "1"})], False),
        (("settings", {"name": "temperature", "value": "1"}), [("settings", {"name": "Temperature", "value": "0"})], True),
        (("settings", {"name": "temperature", "value": "1"}), [("settings", {"name": "penalty", "value": "2"})], False),
        (("keep", {"days": "7"}), [("keep", {"days": "9"})], True),
        (("system", {"text": "a pirate"}), [("system", {"text": "a cook"})], True),
        (("provider", {"name": "beta"}), [("provider", {"name": "alpha"})], True),
        (("provider", {"name": "beta"}), [("model", {"name": "small"}), ("settings", {"name": "temperature", "value": "1"})], False),
        (("settings", {"name": "temperature", "value": "1"}), [("provider", {"name": "beta"})], False),
        (("fallback", {"names": "beta"}), [("fallback", {"names": "off"})], True),
        (("reasoning", {"choice": "show"}), [("reasoning", {"choice": "hide"})], True),
        # What was refused undid nothing, and is no newer choice.
        (("provider", {"name": "beta"}), [("provider", {"name": "nobody"})], False),
        (("model", {"name": "large"}), [("model", {"name": "no-such-model"})], False),
        (("settings", {"name": "temperature", "value": "1"}), [("settings", {"name": "temperature", "value": "99"})], False),
        (("keep", {"days": "7"}), [("keep", {"days": "never"})], False),
        (("system", {"text": "a pirate"}), [("system", {"text": "a cook" * 2000})], False),
        (("fallback", {"names": "beta"}), [("fallback", {"names": "nobody"})], False),
        (("reasoning", {"choice": "show"}), [("reasoning", {"choice": "perhaps"})], False),
    ],
)
async def test_a_choice_that_is_tried_again_undoes_no_newer_one(
    world: World, parked: tuple[str, dict[str, str]], since: list[tuple[str, dict[str, str]]], *, undone: bool
) -> None:
    async with world.running() as core:
        await world.ask("one")
        event = world.event(EventKind.COMMAND, command=CommandCall(*parked))
        accepted = await core.store.accept(NewEvent(event.key, event.kind, event.chat, dump(event)))
        assert accepted is not None
        await core.store.park_event(accepted.event)
        for name, arguments in since:
            await world.order(name, **arguments)
        held = world.rows("SELECT key, value FROM setting ORDER BY key")
        want_again(world.database, [accepted.event])
        watch = asyncio.create_task(core.inbox.watch())
        await eventually(lambda: not survey(world.database).parked)
        await world.idle()
        watch.cancel()
        assert (texts.OVERTAKEN in world.texts()) == undone
        assert (world.rows("SELECT key, value FROM setting ORDER BY key") == held) == undone


async def test_a_store_that_fails_for_a_moment_leaves_no_command_that_is_tried_again_for_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.insist.STORE_PAUSE_SECONDS", 0.001)
    async with world.running() as core:
        event = world.event(EventKind.COMMAND, command=CommandCall("keep", {"days": "7"}))
        accepted = await core.store.accept(NewEvent(event.key, event.kind, event.chat, dump(event)))
        assert accepted is not None
        await core.store.park_event(accepted.event)
        later, failures = core.store.commands_after, [StoreUnavailableError("locked")]

        async def sometimes(*args: int) -> object:
            if failures:
                raise failures.pop()
            return await later(*args)

        monkeypatch.setattr(core.store, "commands_after", sometimes)
        want_again(world.database, [accepted.event])
        watch = asyncio.create_task(core.inbox.watch())
        await world.until_said("removed after 7 days")
        await world.idle()
        watch.cancel()
    assert not failures


async def parked(world: World, name: str, **arguments: str) -> int:
    """A command that is parked; return its event."""
    return await parked_call(world, CommandCall(name, arguments))


async def parked_call(world: World, call: CommandCall) -> int:
    event = world.event(EventKind.COMMAND, command=call)
    accepted = await world.now.store.accept(NewEvent(event.key, event.kind, event.chat, dump(event)))
    assert accepted is not None
    await world.now.store.park_event(accepted.event)
    return accepted.event


async def test_a_newer_choice_counts_while_its_answer_is_still_on_its_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as core:
        event = await parked(world, "keep", days="7")
        send, held = world.chat.send, asyncio.Event()

        async def slowly(target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
            await held.wait()
            return await send(target, page, nonce=nonce, first=first)

        monkeypatch.setattr(world.chat, "send", slowly)
        await world.command("keep", days="9")
        await eventually(lambda: world.rows("SELECT value FROM setting") == [("9",)])
        want_again(world.database, [event])
        watch = asyncio.create_task(core.inbox.watch())
        await eventually(lambda: not survey(world.database).parked)
        held.set()
        await world.until_said(texts.OVERTAKEN)
        watch.cancel()
        await world.idle()
        assert world.rows("SELECT value FROM setting") == [("9",)]


async def test_a_choice_that_fails_and_is_tried_again_by_itself_undoes_no_newer_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.insist.STORE_PAUSE_SECONDS", 0.001)
    async with world.running() as core:
        route, failures, again = core.store.reply_route, [StoreUnavailableError("locked")] * 6, asyncio.Event()

        async def sometimes(event: int) -> object:
            if event == 1 and failures:
                raise failures.pop()
            return await route(event)

        sleep = world.chat.clock.sleep

        async def until_then(seconds: float) -> None:
            await (again.wait() if seconds == FIRST_RETRY_SECONDS else sleep(seconds))

        monkeypatch.setattr(core.store, "reply_route", sometimes)
        monkeypatch.setattr(world.chat.clock, "sleep", until_then)
        await world.command("keep", days="7")
        await eventually(lambda: not failures)
        await world.command("keep", days="9")
        await world.until_said("9 days")
        again.set()
        await world.until_said(texts.OVERTAKEN)
        await world.idle()
        assert world.rows("SELECT value FROM setting") == [("9",)]


async def test_a_choice_that_was_made_before_a_fault_counts(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as core:
        event = await parked_call(world, CommandCall("provider", {"name": "beta"}))
        choose, settings = core.preferences.set_provider, core.store.settings

        async def then_fail(*chosen: Any) -> None:
            async def locked(*_: object) -> Any:
                monkeypatch.setattr(core.store, "settings", settings)
                raise StoreUnavailableError("locked")

            await choose(*chosen)
            monkeypatch.setattr(core.store, "settings", locked)

        with monkeypatch.context() as failing:
            failing.setattr(core.preferences, "set_provider", then_fail)
            await world.come(EventKind.COMMAND, command=CommandCall("provider", {"name": "alpha"}))
            await world.until_said(texts.INTERNAL)
        want_again(world.database, [event])
        watch = asyncio.create_task(core.inbox.watch())
        await world.until_said(texts.OVERTAKEN)
        watch.cancel()
        assert world.rows("SELECT value FROM setting WHERE key = 'provider'") == [("alpha",)]


async def test_of_a_parked_choice_no_words_stay_in_memory(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.inbox.FIRST_RETRY_SECONDS", 0.001)
    monkeypatch.setattr("bot.insist.STORE_PAUSE_SECONDS", 0.001)
    world.parking_rule = ParkingRule(attempts=3, seconds=0)
    async with world.running() as core:
        with monkeypatch.context() as broken:

            async def no_room(*_: object) -> None:
                raise StoreError("no room")

            broken.setattr(core.store, "finish_event", no_room)
            await world.command("system", text="canary-persona")
            await eventually(lambda: survey(world.database).parked)
        made = core.dispatcher._choices._made
        assert made
        assert b"canary" not in pickle.dumps(made)


async def test_a_newer_choice_of_a_stranger_or_one_that_is_parked_itself_counts_for_nothing(world: World) -> None:
    world.access = Access(False, {"memory": AllowList(frozenset({"7"}))})
    async with world.running() as core:
        await world.ask("one")
        parked: list[int] = []
        for days in ("7", "8"):
            event = world.event(EventKind.COMMAND, command=CommandCall("keep", {"days": days}))
            accepted = await core.store.accept(NewEvent(event.key, event.kind, event.chat, dump(event)))
            assert accepted is not None
            await core.store.park_event(accepted.event)
            parked.append(accepted.event)
        await world.come(EventKind.COMMAND, command=CommandCall("keep", {"days": "9"}), sender=Sender("8", "Eve"))
        await world.idle()
        want_again(world.database, parked[:1])
        watch = asyncio.create_task(core.inbox.watch())
        await world.until_said("removed after 7 days")
        watch.cancel()


async def test_a_command_that_the_store_would_not_end_is_carried_out_without_a_restart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.inbox.FIRST_RETRY_SECONDS", 0.001)
    monkeypatch.setattr("bot.insist.STORE_PAUSE_SECONDS", 0.001)
    async with world.running() as core:
        route, failures = core.store.reply_route, [StoreUnavailableError("locked")] * 10

        async def sometimes(event: int) -> object:
            if failures:
                raise failures.pop()
            return await route(event)

        monkeypatch.setattr(core.store, "reply_route", sometimes)
        assert "7 days" in await world.order("keep", days="7")
        assert len(world.texts()) == 1
        assert not failures
        assert survey(world.database).parked == 0  # a store that is away is no fault of the command


async def test_a_command_that_ends_the_process_each_time_is_not_carried_out_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    for _ in range(3):
        async with world.running() as core:
            monkeypatch.setattr(core.store, "finish_event", never)
            if not world.rows("SELECT 1 FROM event"):
                await world.command("keep", days="7")
    async with world.running():
        await world.idle()
        assert "failed again and again" in world.texts()[-1]
    (one,) = survey(world.database).newest_parked
    assert "the process ended" in one.reason


async def test_a_store_that_is_away_parks_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running():
        poisoned = poison(world, monkeypatch, 1, StoreUnavailableError("The disk is full"))
        await world.say("one")
        await eventually(lambda: world.turns()[0][1] > 5)
        assert survey(world.database).parked == 0
        poisoned.clear()
        await world.idle()
    assert survey(world.database).parked == 0


def test_what_can_not_be_tried_again_is_refused_with_the_reason(world: World) -> None:
    async def fill() -> None:
        async with world.running():
            await world.ask("one")
            await world.order("keep", days="1")

    asyncio.run(fill())
    before = world.rows("SELECT * FROM event")
    wishes = want_again(world.database, [1, 2, 77, 1])
    assert wishes.taken == ()
    assert {one.event: one.why.split(";")[0] for one in wishes.refused} == {
        1: "it is not parked",
        2: "it is not parked",
        77: "there is no event 77",
    }
    assert want_again(world.database, None).taken == ()
    assert world.rows("SELECT * FROM event") == before


def test_no_database_is_told_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database"):
        want_again(tmp_path / "none.db", [1])
    assert not list(tmp_path.iterdir())


def test_a_reason_quotes_nobody() -> None:
    assert reason_of(ValueError(SECRET)) == "ValueError"
    error = UnshownError()
    error.__cause__ = ValueError(SECRET)
    assert reason_of(error) == "it could not be shown: ValueError"
