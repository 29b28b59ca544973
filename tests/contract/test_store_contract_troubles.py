"""The promises of `storage.troubles.TroubleStore`: failures are counted, what failed too often is parked and can be tried again."""

from __future__ import annotations

import pytest

from storage.base import EventKind, Merge, NewEvent, NewTurn, Store, Turn, TurnState
from tests.support.stores import HERE, THERE, Place, accept, ask, claim, command, drainer, eventually, message, opened, read, reply, running


async def parked(store: Store, key: str = "q", *, answer: str | None = None) -> Turn:
    """A turn that was claimed three times and is parked."""
    turn = await ask(store, key)
    if answer is not None:
        assert await store.answered(turn, reply(answer))
    for _ in range(2):
        await store.note_failure(turn.event, "because")
        turn = await claim(store, turn.conversation)
    assert await store.close(turn, TurnState.PARKED)
    return turn


class TestCounting:
    async def test_each_claim_after_the_first_counts_that_the_one_before_did_not_end_it(self, store: Store, place: Place) -> None:
        turn = await ask(store, "q")
        assert turn.trouble is None
        await store.note_failure(turn.event, "the first reason")
        for failures in (1, 2, 3):
            place.now.seconds += 60
            turn = await claim(store, turn.conversation)
            assert turn.trouble is not None
            assert (turn.trouble.failures, turn.trouble.seconds) == (failures, failures * 60)
            assert turn.trouble.reason == "the first reason"
        await store.note_failure(turn.event, "a newer reason")
        trouble = (await claim(store, turn.conversation)).trouble
        assert trouble is not None
        assert trouble.reason == "a newer reason"

    async def test_where_nobody_could_note_why_it_says_so(self, store: Store) -> None:
        turn = await ask(store, "q")
        trouble = (await claim(store, turn.conversation)).trouble
        assert trouble is not None
        assert trouble.failures == 1
        assert "the process ended" in trouble.reason

    async def test_it_outlives_a_restart(self, place: Place) -> None:
        async with opened(place.store()) as store:
            turn = await ask(store, "q")
            await store.note_failure(turn.event, "because")
        place.now.seconds += 3600
        async with opened(place.store()) as store:
            trouble = (await claim(store, turn.conversation)).trouble
        assert trouble is not None
        assert (trouble.failures, trouble.seconds, trouble.reason) == (1, 3600, "because")

    async def test_what_is_forgiven_counts_from_the_beginning(self, store: Store) -> None:
        turn = await ask(store, "q")
        await claim(store, turn.conversation)
        await claim(store, turn.conversation)
        await store.forgive(turn.event)
        trouble = (await claim(store, turn.conversation)).trouble
        assert trouble is not None
        assert trouble.failures == 1

    async def test_an_event_counts_by_itself_until_it_is_finished(self, store: Store, place: Place) -> None:
        event = (await accept(store, command("c"))).event
        assert (await store.failed(event, "one")).failures == 1
        place.now.seconds += 5
        again = await store.failed(event, "two")
        assert (again.failures, again.seconds, again.reason) == (2, 5, "two")
        await store.finish_event(event)
        assert (await store.failed(event, "three")).failures == 1


class TestParking:
    async def test_a_parked_turn_lets_the_next_ones_go_on(self, store: Store) -> None:
        await parked(store, "q1")
        second = (await accept(store, message("q2"))).conversation
        assert (await claim(store, second)).seq == 2
        assert await store.counts(second) == (1, 1)

    async def test_its_own_worker_writes_nothing_any_more(self, store: Store) -> None:
        turn = await parked(store)
        assert not await store.answered(turn, reply("late"))
        assert not await store.close(turn, TurnState.DONE)

    async def test_it_is_tried_again_before_what_waits_and_as_if_for_the_first_time(self, store: Store) -> None:
        turn = await parked(store, "q1")
        await accept(store, message("q2"))
        assert await store.unpark(turn.event) is None
        again = await claim(store, turn.conversation)
        assert (again.id, again.state, again.tries, again.trouble) == (turn.id, TurnState.GENERATING, 1, None)
        assert again.attempt == turn.attempt + 1
        assert await read(store, again) == ["q1"]
        assert await store.answered(again, reply("at last"))
        assert await store.close(again, TurnState.DONE)
        assert await read(store, await claim(store, turn.conversation)) == ["q1", "[at last]", "q2"]

    async def test_one_with_an_answer_keeps_it(self, store: Store) -> None:
        turn = await parked(store, answer="whole")
        await store.unpark(turn.event)
        again = await claim(store, turn.conversation)
        assert (again.state, again.answer) == (TurnState.ANSWERED, "whole")

    async def test_a_running_drain_is_woken(self, store: Store) -> None:
        turn = await parked(store)
        done: list[int] = []

        async def work(one: Turn) -> None:
            done.append(one.id)

        async with running(store, drainer(store, work)):
            await store.unpark(turn.event)
            await eventually(lambda: done == [turn.id])

    async def test_an_event_is_open_again(self, place: Place) -> None:
        async with opened(place.store()) as store:
            event = (await accept(store, command("c"))).event
            await store.failed(event, "because")
            await store.park_event(event)
            assert await store.open_events() == []
        async with opened(place.store()) as store:
            assert await store.open_events() == []
            again = await store.unpark(event)
            assert again is not None
            assert (again.id, again.key) == (event, "c")
            assert [one.id for one in await store.open_events()] == [event]
            assert await store.unpark(event) is None  # a wish that is granted twice, as after a crash, does nothing more

    async def test_what_was_never_parked_stays_as_it_is(self, store: Store) -> None:
        turn = await ask(store, "q")
        event = (await accept(store, command("c", THERE))).event
        await store.finish_event(event)
        assert [await store.unpark(one) for one in (turn.event, event, 999)] == [None, None, None]
        assert await store.open_events() == []
        assert await store.close(turn, TurnState.DONE)

    async def test_a_question_that_is_asked_again_is_parked_no_more(self, store: Store) -> None:
        turn = await parked(store)
        event = (await accept(store, command("retry"))).event
        fresh = await store.retry(turn.conversation, event, HERE, turn=turn.id)
        assert fresh is not None
        await store.unpark(turn.event)
        again = await claim(store, turn.conversation)
        assert again.id == fresh

    @pytest.mark.parametrize("forgotten", [True, False])
    async def test_what_was_removed_meanwhile_is_not_tried_again(self, store: Store, place: Place, *, forgotten: bool) -> None:
        turn = await parked(store)
        if forgotten:
            await store.forget(turn.conversation, before=turn.event + 1)
        place.now.seconds += 1000
        assert (await store.sweep(turn.conversation, older_than=None if forgotten else 500)).removed == 1
        assert await store.unpark(turn.event) is None
        assert await store.claim(turn.conversation) is None

    async def test_what_is_forgotten_while_it_fails_leaves_nothing_when_it_is_parked(self, store: Store) -> None:
        turn = await ask(store, "q")
        await store.forget(turn.conversation, before=turn.event + 1)
        assert await store.close(turn, TurnState.PARKED)
        assert (await store.event(turn.event)).payload == ""


class TestWordsOfWhatFails:
    async def test_the_next_attempt_has_the_words_that_were_given_since(self, store: Store) -> None:
        turn = await ask(store, "q")
        await store.note_failure(turn.event, "no")
        assert not await store.edit_entry(HERE, "m-q", "better", 2)
        assert await read(store, await claim(store, turn.conversation)) == ["better"]
        assert not await store.edit_entry(HERE, "m-q", "older", 1)
        assert await read(store, await claim(store, turn.conversation)) == ["better"]

    async def test_a_job_that_was_given_the_old_words_is_collected_as_it_is_paid_for(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert await store.submitted(turn, "job-1", provider="segmind", model="slow")
        await store.edit_entry(HERE, "m-q", "better", 2)
        again = await claim(store, turn.conversation)
        assert (again.handle, await read(store, again)) == ("job-1", ["q"])

    async def test_one_that_is_taken_back_stops_and_only_after_a_failure(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert not await store.withdraw(HERE, "m-q")  # it is being answered
        await store.note_failure(turn.event, "no")
        assert await store.withdraw(HERE, "m-q")
        assert store.stop_signal(turn.id).is_set()
        again = await claim(store, turn.conversation)
        assert (again.id, again.stop_requested, await read(store, again)) == (turn.id, True, [])

    async def test_one_that_is_deleted_during_the_first_attempt_is_answered_by_that_and_asked_by_no_other(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert not await store.withdraw(HERE, "m-q", later=True)
        assert not store.stop_signal(turn.id).is_set()
        assert await read(store, turn) == ["q"]
        assert not await store.edit_entry(HERE, "m-q", "an older edit that comes late", 1)
        again = await claim(store, turn.conversation)
        assert (again.id, again.stop_requested, store.stop_signal(again.id).is_set()) == (turn.id, True, True)
        assert await read(store, again) == []
        assert await store.withdrawn(HERE, "m-q")

    async def test_one_that_is_deleted_while_it_is_answered_and_answered_stays(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert not await store.withdraw(HERE, "m-q", later=True)
        assert await store.answered(turn, reply("whole"))
        again = await claim(store, turn.conversation)  # the answer is still to be shown
        assert (again.state, again.stop_requested) == (TurnState.ANSWERED, False)
        assert await store.close(again, TurnState.DONE)
        assert await read(store, await ask(store, "next")) == ["q", "[whole]", "next"]

    async def test_of_several_messages_one_that_is_deleted_during_the_first_attempt_is_not_asked_again(self, store: Store) -> None:
        first = await ask(store, "q1")
        for key in ("a", "b"):
            await accept(store, NewEvent(key, EventKind.MESSAGE, HERE, "{}", NewTurn(key, f"m-{key}", "7", "Ada", Merge(5.0))))
        await store.close(first, TurnState.FAILED)
        turn = await claim(store, first.conversation)
        assert await store.submitted(turn, "job-1", provider="segmind", model="slow")
        assert not await store.withdraw(HERE, "m-a", later=True)
        again = await claim(store, turn.conversation)
        assert (again.stop_requested, again.handle, await read(store, again)) == (False, None, ["b"])

    async def test_one_that_was_stopped_is_stopped_and_not_taken_back(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert not await store.withdraw(HERE, "m-q", later=True)
        assert await store.stop_turn(turn.conversation, turn.id)
        again = await claim(store, turn.conversation)
        assert (again.stop_requested, await read(store, again)) == (True, ["q"])

    async def test_one_that_is_deleted_during_the_attempt_that_parks_it_is_to_stop_when_it_is_tried_again(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert not await store.withdraw(HERE, "m-q", later=True)
        assert await store.close(turn, TurnState.PARKED)
        await store.unpark(turn.event)
        again = await claim(store, turn.conversation)
        assert (again.stop_requested, await read(store, again)) == (True, [])

    async def test_where_a_job_is_not_collected_the_edits_are_taken_and_it_is_let_go(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert await store.submitted(turn, "job-1", provider="segmind", model="slow")
        assert await store.take_edits(turn) is False
        assert (await store.turn(turn.id)).handle == "job-1"
        await store.edit_entry(HERE, "m-q", "better", 2)
        again = await claim(store, turn.conversation)
        assert await store.take_edits(turn) is None  # another has it
        assert await store.take_edits(again) is True
        assert ((await store.turn(turn.id)).handle, await read(store, again)) == (None, ["better"])
        assert await store.take_edits(again) is False


class TestWordsOfWhatIsParked:
    async def test_it_is_tried_again_with_the_words_it_was_given_meanwhile(self, store: Store) -> None:
        turn = await parked(store)
        assert await store.edit_entry(HERE, "m-q", "better", 2)
        assert not await store.edit_entry(HERE, "m-q", "older", 1)
        await store.unpark(turn.event)
        again = await claim(store, turn.conversation)
        assert not again.stop_requested
        assert await read(store, again) == ["better"]

    async def test_it_is_tried_again_with_the_words_it_was_given_while_it_still_failed(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert not await store.edit_entry(HERE, "m-q", "better", 2)
        assert await store.close(turn, TurnState.PARKED)
        await store.unpark(turn.event)
        assert await read(store, await claim(store, turn.conversation)) == ["better"]

    async def test_the_newest_of_both_stays(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert not await store.edit_entry(HERE, "m-q", "while it failed", 2)
        assert await store.close(turn, TurnState.PARKED)
        assert await store.edit_entry(HERE, "m-q", "while it was parked", 3)
        await store.unpark(turn.event)
        assert await store.edit_entry(HERE, "m-q", "while it waited", 4)
        again = await claim(store, turn.conversation)
        assert await read(store, again) == ["while it waited"]
        assert await store.close(again, TurnState.PARKED)
        await store.unpark(turn.event)
        assert await read(store, await claim(store, turn.conversation)) == ["while it waited"]

    @pytest.mark.parametrize("parked_first", [True, False])
    async def test_a_job_that_was_given_the_old_words_is_let_go(self, store: Store, *, parked_first: bool) -> None:
        turn = await ask(store, "q")
        assert await store.submitted(turn, "job-1", provider="segmind", model="slow")
        if not parked_first:
            await store.edit_entry(HERE, "m-q", "better", 2)
        assert await store.close(turn, TurnState.PARKED)
        if parked_first:
            await store.edit_entry(HERE, "m-q", "better", 2)
        await store.unpark(turn.event)
        assert (await claim(store, turn.conversation)).handle is None

    async def test_a_job_of_a_question_that_was_left_alone_is_kept(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert await store.submitted(turn, "job-1", provider="segmind", model="slow")
        assert await store.close(turn, TurnState.PARKED)
        assert not await store.edit_entry(HERE, "m-other", "better", 2)
        await store.unpark(turn.event)
        assert (await claim(store, turn.conversation)).handle == "job-1"

    @pytest.mark.parametrize("stopped", [True, False])
    async def test_one_that_is_taken_back_is_to_stop_once_it_is_tried_again(self, store: Store, *, stopped: bool) -> None:
        turn = await ask(store, "q1")
        if stopped:
            await store.stop_turn(turn.conversation, turn.id)
        assert await store.close(turn, TurnState.PARKED)
        assert await store.withdraw(HERE, "m-q1")
        assert await store.withdrawn(HERE, "m-q1")
        assert not await store.withdraw(HERE, "m-q1")
        assert (await store.turn(turn.id)).state is TurnState.PARKED
        await store.unpark(turn.event)
        again = await claim(store, turn.conversation)
        assert (again.id, again.stop_requested, store.stop_signal(again.id).is_set()) == (turn.id, True, True)
        assert await read(store, again) == []

    async def test_of_several_messages_the_others_are_asked(self, store: Store) -> None:
        def piece(key: str) -> NewEvent:
            return NewEvent(key, EventKind.MESSAGE, HERE, f'{{"of": "{key}"}}', NewTurn(key, f"m-{key}", "7", "Ada", Merge(5.0)))

        first = await ask(store, "q1")
        waits = await accept(store, piece("a"))
        assert (await accept(store, piece("b"))).joined
        await store.close(first, TurnState.FAILED)
        turn = await claim(store, first.conversation)
        assert turn.id == waits.turn
        assert await store.submitted(turn, "job-1", provider="segmind", model="slow")
        assert await store.close(turn, TurnState.PARKED)
        assert await store.withdraw(HERE, "m-a")
        await store.unpark(turn.event)
        again = await claim(store, turn.conversation)
        assert (again.stop_requested, again.handle) == (False, None)
        assert await read(store, again) == ["b"]

    async def test_one_with_an_answer_keeps_its_question_too(self, store: Store) -> None:
        turn = await parked(store, answer="whole")
        assert not await store.edit_entry(HERE, "m-q", "better", 2)
        assert not await store.withdraw(HERE, "m-q")
        await store.unpark(turn.event)
        again = await claim(store, turn.conversation)
        assert (again.state, again.stop_requested) == (TurnState.ANSWERED, False)
        assert await store.close(again, TurnState.DONE)
        assert await read(store, await ask(store, "next")) == ["q", "[whole]", "next"]

    async def test_a_retry_asks_in_the_words_that_the_question_was_given_since(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert await store.answered(turn, reply("a"))
        assert await store.close(turn, TurnState.DONE)
        assert not await store.edit_entry(HERE, "m-q", "better", 2)
        event = (await accept(store, command("retry"))).event
        assert await store.retry(turn.conversation, event, HERE) is not None
        assert await read(store, await claim(store, turn.conversation)) == ["better"]

    async def test_a_retry_of_an_older_answer_asks_in_the_newest_words_too(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert await store.answered(turn, reply("a"))
        assert await store.close(turn, TurnState.DONE)
        assert await store.retry(turn.conversation, (await accept(store, command("retry"))).event, HERE) is not None
        again = await claim(store, turn.conversation)
        assert await store.answered(again, reply("b"))
        assert await store.close(again, TurnState.DONE)
        assert not await store.edit_entry(HERE, "m-q", "better", 2)
        event = (await accept(store, command("again"))).event
        assert await store.retry(turn.conversation, event, HERE, turn=turn.id) is not None
        assert await read(store, await claim(store, turn.conversation)) == ["better"]

    async def test_a_retry_asks_what_came_before_one_that_was_taken_back(self, store: Store) -> None:
        first = await ask(store, "q1")
        assert await store.answered(first, reply("a"))
        assert await store.close(first, TurnState.DONE)
        await parked(store, "q2")
        assert await store.withdraw(HERE, "m-q2")
        event = (await accept(store, command("retry"))).event
        assert await store.retry(first.conversation, event, HERE) is not None
        assert await read(store, await claim(store, first.conversation)) == ["q1"]


class TestWhatCouldNotBeRead:
    async def unreadable(self, store: Store) -> int:
        return (await accept(store, NewEvent("odd", EventKind.UNREADABLE, HERE, "[as it came]", error="TypeError: date"))).event

    async def test_it_is_open_once_it_is_unparked_and_emptied_once_it_is_read(self, store: Store) -> None:
        event = await self.unreadable(store)
        assert await store.unpark(event) is None
        await store.park_event(event)
        again = await store.unpark(event)
        assert again is not None
        assert (again.kind, again.payload) == (EventKind.UNREADABLE, "[as it came]")
        assert [one.id for one in await store.open_events()] == [event]
        await store.read_at_last(event)
        assert await store.open_events() == []
        assert (await store.event(event)).payload == ""
        assert await store.accept(NewEvent("odd", EventKind.UNREADABLE, HERE, "[as it came]")) is None
        await store.park_event(event)
        assert await store.unpark(event) is None

    async def test_it_is_set_aside_again_where_it_still_can_not_be_read(self, store: Store) -> None:
        event = await self.unreadable(store)
        for _ in range(2):
            await store.park_event(event)
            assert await store.unpark(event) is not None
            await store.unreadable_still(event, "ValueError")
            assert await store.open_events() == []
        assert (await store.event(event)).payload == "[as it came]"

    async def test_what_was_read_is_left_alone(self, store: Store) -> None:
        event = (await accept(store, command("c"))).event
        await store.read_at_last(event)
        assert (await store.event(event)).payload
        assert [one.id for one in await store.open_events()] == [event]


async def test_commands_that_were_carried_out_after_an_event_are_listed_in_order(store: Store) -> None:
    first = await accept(store, command("c1"))
    made = [(await accept(store, command(key))).event for key in ("c2", "c3", "c4", "c5")]
    await accept(store, message("q"))
    await accept(store, command("elsewhere", THERE))
    for event in made[:3]:
        await store.finish_event(event)
    await store.park_event(made[1])

    async def listed(after: int, limit: int = 10) -> list[int]:
        return [one.id for one in await store.commands_after(first.conversation, after, limit)]

    await store.finish_event(made[3], "it was refused")
    assert await listed(first.event) == [made[0], made[2]]
    assert await listed(first.event, 1) == [made[0]]
    assert await listed(made[0]) == [made[2]]
