"""The promises of `storage.base.Store`, for every implementation in `tests.support.stores.PLACES`."""

from __future__ import annotations

import asyncio

import pytest

from storage.base import ChatAddress, EventKind, NewEvent, NewTurn, Owner, OwnerKind, ReplyRoute, Store, StoreError, TurnState
from tests.support.stores import HERE, THERE, Place, accept, ask, claim, command, exchange, memory, message, opened, read, reply

CLOSED = [TurnState.DONE, TurnState.STOPPED, TurnState.FAILED]


class TestIntake:
    async def test_an_event_becomes_a_conversation_and_a_turn(self, store: Store) -> None:
        accepted = await accept(store, message("q"))
        turn = await claim(store, accepted.conversation)
        assert (turn.id, turn.event, turn.seq, turn.chat) == (accepted.turn, accepted.event, 1, HERE)
        assert (turn.state, turn.attempt, turn.stop_requested) == (TurnState.GENERATING, 1, False)

    async def test_the_same_event_a_thousand_times_makes_one_turn(self, store: Store) -> None:
        first = await accept(store, message("q"))
        assert await asyncio.gather(*(store.accept(message("q")) for _ in range(1000))) == [None] * 1000
        assert await store.counts(first.conversation) == (1, 1)

    async def test_of_equal_events_at_the_same_instant_one_is_accepted(self, store: Store) -> None:
        results = await asyncio.gather(*(store.accept(message("q")) for _ in range(50)))
        assert sum(result is not None for result in results) == 1

    async def test_a_duplicate_is_known_weeks_later_and_after_a_restart(self, place: Place) -> None:
        async with opened(place.store()) as store:
            await exchange(store, "q")
        place.now.seconds += 60 * 24 * 3600
        async with opened(place.store()) as store:
            assert await store.accept(message("q")) is None

    async def test_a_duplicate_key_from_another_chat_is_a_duplicate(self, store: Store) -> None:
        await accept(store, message("q", HERE))
        assert await store.accept(message("q", THERE)) is None

    async def test_a_thread_is_a_conversation_of_its_own(self, store: Store) -> None:
        plain = await accept(store, message("1", ChatAddress("memory", "bot", "9")))
        topic = await accept(store, message("2", ChatAddress("memory", "bot", "9", "4")))
        other_bot = await accept(store, message("3", ChatAddress("memory", "bot2", "9")))
        assert len({plain.conversation, topic.conversation, other_bot.conversation}) == 3

    async def test_an_event_is_read_back_as_it_went_in(self, store: Store) -> None:
        accepted = await accept(store, message("q"))
        event = await store.event(accepted.event)
        assert (event.id, event.key, event.kind, event.conversation) == (accepted.event, "q", EventKind.MESSAGE, accepted.conversation)
        assert event.payload == '{"of": "q"}'

    async def test_an_unknown_event_is_an_error_that_says_so(self, store: Store) -> None:
        with pytest.raises(StoreError, match="no event 99"):
            await store.event(99)

    async def test_what_cannot_be_read_is_kept_without_a_turn(self, store: Store) -> None:
        accepted = await accept(store, NewEvent("u", EventKind.UNREADABLE, HERE, "{", error="no chat in it"))
        assert accepted.turn is None
        assert await store.claim(accepted.conversation) is None
        assert (await store.event(accepted.event)).kind is EventKind.UNREADABLE

    async def test_half_a_surrogate_pair_does_not_make_an_event_unacceptable(self, store: Store) -> None:
        turn = NewTurn("hi \ud83d", "m", "7", "Ada \udc00")
        await accept(store, NewEvent("odd", EventKind.MESSAGE, HERE, "{}", turn))
        assert await read(store, await claim(store, 1)) == ["hi \ufffd"]

    async def test_conversation_of_is_the_one_its_events_go_to(self, store: Store) -> None:
        made = await store.conversation_of(HERE)
        assert (await accept(store, message("q"))).conversation == made == await store.conversation_of(HERE)


class TestCommands:
    async def test_commands_and_buttons_stay_open_until_finished_oldest_first(self, store: Store) -> None:
        first = await accept(store, command("c1"))
        second = await accept(store, NewEvent("b1", EventKind.BUTTON, HERE, "{}"))
        assert [event.id for event in await store.open_events()] == [first.event, second.event]
        await store.finish_event(first.event)
        assert [event.key for event in await store.open_events()] == ["b1"]

    async def test_open_commands_survive_a_restart(self, place: Place) -> None:
        async with opened(place.store()) as store:
            await accept(store, command("c1"))
        async with opened(place.store()) as store:
            assert [(event.key, event.payload) for event in await store.open_events()] == [("c1", '{"of": "c1"}')]

    async def test_edits_and_messages_without_a_question_stay_open_too(self, store: Store) -> None:
        await accept(store, NewEvent("e", EventKind.EDIT, HERE, "{}"))
        await accept(store, NewEvent("picture", EventKind.MESSAGE, HERE, "{}"))
        assert [event.key for event in await store.open_events()] == ["e", "picture"]

    async def test_what_a_turn_carries_or_nobody_can_read_is_not_listed(self, store: Store) -> None:
        await accept(store, message("q"))
        await accept(store, NewEvent("bad", EventKind.UNREADABLE, HERE, "{}", error="not JSON"))
        await accept(store, NewEvent("ask", EventKind.COMMAND, HERE, "{}", NewTurn("[]", None, "7", "Ada")))
        assert await store.open_events() == []

    async def test_a_reply_route_holds_until_it_expires(self, store: Store, place: Place) -> None:
        route = ReplyRoute("token", place.now() + 900)
        event = (await accept(store, command("c1", route=route))).event
        place.now.seconds += 899
        assert await store.reply_route(event) == route
        place.now.seconds += 1
        assert await store.reply_route(event) is None

    async def test_no_reply_route_is_none(self, store: Store) -> None:
        assert await store.reply_route((await accept(store, command("c1"))).event) is None


class TestOrder:
    async def test_turns_are_claimed_in_order_of_arrival(self, store: Store) -> None:
        for key in "abc":
            await accept(store, message(key))
        seen = []
        while (turn := await store.claim(1)) is not None:
            seen.append((turn.seq, (await store.event(turn.event)).key))
            await store.close(turn, TurnState.DONE)
        assert seen == [(1, "a"), (2, "b"), (3, "c")]

    async def test_concurrent_accepts_are_numbered_without_gap_in_the_order_they_were_asked(self, store: Store) -> None:
        results = await asyncio.gather(*(store.accept(message(f"{i:03}")) for i in range(200)))
        assert [result.turn for result in results if result] == sorted(result.turn or 0 for result in results if result)
        seqs = []
        while (turn := await store.claim(1)) is not None:
            seqs.append((turn.seq, (await store.event(turn.event)).key))
            await store.close(turn, TurnState.DONE)
        assert seqs == [(i + 1, f"{i:03}") for i in range(200)]

    async def test_a_conversation_has_its_own_numbers(self, store: Store) -> None:
        await exchange(store, "a", HERE)
        assert (await ask(store, "b", THERE)).seq == 1

    async def test_nothing_open_is_none(self, store: Store) -> None:
        await exchange(store, "a")
        assert await store.claim(1) is None


class TestFence:
    async def test_a_turn_left_generating_is_claimed_again_with_the_next_attempt(self, store: Store) -> None:
        first = await ask(store, "q")
        second = await claim(store, first.conversation)
        assert (second.id, second.attempt, second.state) == (first.id, 2, TurnState.GENERATING)

    async def test_an_older_attempt_writes_nothing_and_is_told(self, store: Store) -> None:
        old = await ask(store, "q")
        new = await claim(store, old.conversation)
        assert not await store.submitted(old, "job", provider="p", model="m")
        assert not await store.answered(old, reply("old", state=memory(), usage="{}"))
        assert not await store.close(old, TurnState.FAILED, partial="[old]")
        assert await store.answered(new, reply("new"))
        assert await read(store, await claim(store, new.conversation)) == ["q"]
        assert await store.provider_state(new.conversation, "modelslab") is None

    async def test_an_answered_turn_is_claimed_as_answered_with_its_whole_answer(self, store: Store) -> None:
        first = await ask(store, "q")
        await store.answered(first, reply("whole"))
        again = await claim(store, first.conversation)
        assert (again.state, again.answer, again.attempt) == (TurnState.ANSWERED, "whole", 2)
        assert (again.finish, again.provider, again.model) == ('{"reason": "stop"}', "modelslab", "model")
        assert not await store.close(first, TurnState.DONE)
        assert await store.close(again, TurnState.DONE)

    async def test_an_answer_is_stored_once(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert await store.answered(turn, reply("one"))
        assert not await store.answered(turn, reply("two"))
        assert not await store.submitted(turn, "late job", provider="p", model="m")

    @pytest.mark.parametrize("state", CLOSED)
    async def test_a_closed_turn_takes_no_more_writes(self, store: Store, state: TurnState) -> None:
        turn = await ask(store, "q")
        assert await store.close(turn, state)
        assert not await store.close(turn, TurnState.DONE)
        assert not await store.answered(turn, reply("late"))
        assert await store.claim(turn.conversation) is None

    async def test_a_turn_is_not_closed_as_open(self, store: Store) -> None:
        turn = await ask(store, "q")
        with pytest.raises(ValueError, match="answered"):
            await store.close(turn, TurnState.ANSWERED)

    async def test_a_provider_job_is_found_again_after_a_crash(self, place: Place) -> None:
        async with opened(place.store()) as store:
            turn = await ask(store, "q")
            assert await store.submitted(turn, "job-1", provider="segmind", model="opus")
        async with opened(place.store()) as store:
            again = await claim(store, turn.conversation)
            assert (again.handle, again.provider, again.model, again.attempt) == ("job-1", "segmind", "opus", 2)


class TestTranscript:
    async def test_it_ends_with_the_question_oldest_first(self, store: Store) -> None:
        await exchange(store, "q1")
        await exchange(store, "q2")
        entries = await store.transcript(await ask(store, "q3"), 100)
        assert [(entry.role, entry.content) for entry in entries] == [
            ("user", "q1"),
            ("assistant", "[a-q1]"),
            ("user", "q2"),
            ("assistant", "[a-q2]"),
            ("user", "q3"),
        ]
        assert (entries[0].author, entries[0].author_name, entries[1].author) == ("7", "Ada", None)

    async def test_the_limit_keeps_the_newest(self, store: Store) -> None:
        for key in ("q1", "q2"):
            await exchange(store, key)
        assert await read(store, await ask(store, "q3"), limit=2) == ["[a-q2]", "q3"]

    async def test_a_question_that_waits_stands_after_the_answer_before_it(self, store: Store) -> None:
        first = await ask(store, "q1")
        await accept(store, message("q2"))
        assert await read(store, first) == ["q1"]
        await store.answered(first, reply("a-q1"))
        await store.close(first, TurnState.DONE)
        assert await read(store, await claim(store, first.conversation)) == ["q1", "[a-q1]", "q2"]

    @pytest.mark.parametrize("state", [TurnState.STOPPED, TurnState.FAILED])
    async def test_a_turn_that_ended_without_an_answer_is_left_out(self, store: Store, state: TurnState) -> None:
        await store.close(await ask(store, "lost"), state, error="why")
        assert await read(store, await ask(store, "q")) == ["q"]
        assert await store.counts(1) == (1, 1)

    @pytest.mark.parametrize("state", [TurnState.STOPPED, TurnState.FAILED])
    async def test_a_partial_answer_counts_as_one(self, store: Store, state: TurnState) -> None:
        await store.close(await ask(store, "q1"), state, partial="[half]")
        assert await read(store, await ask(store, "q2")) == ["q1", "[half]", "q2"]

    async def test_an_answer_stopped_while_it_was_shown_counts_as_far_as_it_was_shown(self, store: Store) -> None:
        turn = await ask(store, "q1")
        await store.answered(turn, reply("whole"))
        await store.close(turn, TurnState.STOPPED, partial="[wh]")
        assert await read(store, await ask(store, "q2")) == ["q1", "[wh]", "q2"]

    async def test_an_answer_that_could_not_be_shown_stays(self, store: Store) -> None:
        turn = await ask(store, "q1")
        await store.answered(turn, reply("whole"))
        await store.close(turn, TurnState.FAILED, error="delivery")
        assert await read(store, await ask(store, "q2")) == ["q1", "[whole]", "q2"]

    async def test_conversations_do_not_see_each_other(self, store: Store) -> None:
        await exchange(store, "q1", HERE)
        assert await read(store, await ask(store, "q2", THERE)) == ["q2"]

    async def test_counts_are_exact_over_many_turns(self, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("storage.records.COUNTED_AT_ONCE", 3)
        assert await store.counts(404) == (0, 0)
        for i in range(2):
            await exchange(store, f"before {i}")
        await store.reset(1)
        for i in range(7):
            await exchange(store, str(i))
        await store.close(await ask(store, "failed"), TurnState.FAILED)
        await accept(store, message("waiting"))
        assert await store.counts(1) == (15, 1)

    async def test_last_entry_is_the_newest_before_the_turns_own(self, store: Store) -> None:
        first = await ask(store, "q1")
        assert await store.last_entry(first.conversation, first.id) == 0
        await accept(store, message("q2"))
        await store.answered(first, reply("a"))
        await store.close(first, TurnState.DONE)
        second = await claim(store, first.conversation)
        answer = (await store.transcript(second, 2))[0]
        assert answer.role == "assistant"
        assert await store.last_entry(second.conversation, second.id) == answer.id


class TestEdits:
    async def test_before_generation_the_text_is_replaced(self, store: Store) -> None:
        await accept(store, message("q", message_id="m1"))
        assert await store.edit_entry(HERE, "m1", "better")
        assert await read(store, await claim(store, 1)) == ["better"]

    async def test_once_generation_began_it_is_not_used(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert not await store.edit_entry(HERE, "m-q", "better")
        assert await read(store, turn) == ["q"]

    async def test_the_newest_by_its_version_stays_in_whatever_order_they_come(self, store: Store) -> None:
        await accept(store, message("q", message_id="m1"))
        assert await store.edit_entry(HERE, "m1", "second", 20)
        assert not await store.edit_entry(HERE, "m1", "first", 10)
        assert not await store.edit_entry(HERE, "m1", "of unknown age")
        assert await store.edit_entry(HERE, "m1", "second, once more", 20)
        assert await read(store, await claim(store, 1)) == ["second, once more"]

    async def test_a_question_that_is_asked_again_keeps_the_version_of_its_text(self, store: Store) -> None:
        asked = await accept(store, message("q", message_id="m1"))
        assert await store.edit_entry(HERE, "m1", "second", 20)
        turn = await claim(store, asked.conversation)
        await store.answered(turn, reply("a"))
        await store.close(turn, TurnState.DONE)
        again = await accept(store, command("c"))
        assert await store.retry(asked.conversation, again.event, HERE) is not None
        assert not await store.edit_entry(HERE, "m1", "first", 10)
        assert await read(store, await claim(store, asked.conversation)) == ["second"]

    async def test_an_edit_of_a_message_of_another_chat_or_of_no_known_one_changes_nothing(self, store: Store) -> None:
        await accept(store, message("q"))
        assert not await store.edit_entry(THERE, "m-q", "foreign")
        await accept(store, message("r", THERE))
        assert not await store.edit_entry(THERE, "m-q", "foreign")
        assert not await store.edit_entry(HERE, "m-unknown", "foreign")
        assert await read(store, await claim(store, 1)) == ["q"]


class TestReset:
    async def test_later_requests_see_nothing_of_before(self, store: Store) -> None:
        await exchange(store, "q1", state=memory())
        await store.reset(1)
        assert await store.counts(1) == (0, 0)
        assert await store.provider_state(1, "modelslab") is None
        turn = await ask(store, "q2")
        assert await read(store, turn) == ["q2"]
        assert await store.last_entry(1, turn.id) == 0

    async def test_what_was_said_after_it_is_seen(self, store: Store) -> None:
        await exchange(store, "q1")
        await store.reset(1)
        await exchange(store, "q2")
        assert await read(store, await ask(store, "q3")) == ["q2", "[a-q2]", "q3"]

    async def test_an_open_turn_of_before_keeps_its_own_question_only_and_leaves_no_trace(self, store: Store) -> None:
        await exchange(store, "q1")
        turn = await ask(store, "q2")
        await store.reset(1)
        assert await read(store, turn) == ["q2"]
        assert await store.answered(turn, reply("a", state=memory()))
        assert await store.close(turn, TurnState.DONE)
        assert await store.provider_state(1, "modelslab") is None
        assert await read(store, await ask(store, "q3")) == ["q3"]

    async def test_another_conversation_is_untouched(self, store: Store) -> None:
        await exchange(store, "q1", HERE)
        other = await exchange(store, "q2", THERE, state=memory())
        await store.reset(1)
        assert await store.counts(other.conversation) == (2, 0)
        assert await store.provider_state(other.conversation, "modelslab") is not None


class TestProviderState:
    async def test_it_points_at_the_answers_own_entry(self, store: Store) -> None:
        await exchange(store, "q1", state=memory("chat-1"))
        turn = await ask(store, "q2")
        row = await store.provider_state(1, "modelslab")
        assert row is not None
        assert (row.value, row.account, row.model, row.persona) == ("chat-1", "account", "model", "persona")
        assert row.last_entry == await store.last_entry(1, turn.id)

    async def test_another_providers_answer_makes_it_stale(self, store: Store) -> None:
        await exchange(store, "q1", state=memory("chat-1", provider="other"))
        await exchange(store, "q2", state=memory("chat-2"))
        turn = await ask(store, "q3")
        row = await store.provider_state(1, "other")
        assert row is not None
        assert row.last_entry != await store.last_entry(1, turn.id)

    async def test_none_drops_it(self, store: Store) -> None:
        await exchange(store, "q1", state=memory())
        await exchange(store, "q2", state=None)
        assert await store.provider_state(1, "modelslab") is None

    @pytest.mark.parametrize("state", CLOSED)
    async def test_a_turn_that_ends_drops_those_that_are_to_be_forgotten(self, store: Store, state: TurnState) -> None:
        await exchange(store, "q1", state=memory())
        await store.close(await ask(store, "q2"), state, forget=["netmind"])
        assert await store.provider_state(1, "modelslab") is not None
        await store.close(await ask(store, "q3"), state, forget=["netmind", "modelslab"])
        assert await store.provider_state(1, "modelslab") is None


class TestSettings:
    async def test_they_are_kept_by_scope_and_key(self, store: Store) -> None:
        await store.put_setting("conversation:1", "model", "a")
        await store.put_setting("conversation:1", "model", "b")
        await store.put_setting("global", "model", "c")
        assert await store.settings(["conversation:1", "global", "empty"]) == {
            "conversation:1": {"model": "b"},
            "global": {"model": "c"},
            "empty": {},
        }

    async def test_however_many_scopes_are_asked_for_each_has_its_own(self, store: Store) -> None:
        for number in range(7):
            await store.put_setting(f"s{number}", "k", str(number))
        for count in range(8):
            scopes = [f"s{number}" for number in range(count)]
            assert await store.settings(scopes) == {scope: {"k": scope[1:]} for scope in scopes}
        assert await store.settings(["s1", "s1", "none", "s0"]) == {"s0": {"k": "0"}, "s1": {"k": "1"}, "none": {}}

    async def test_none_removes_one(self, store: Store) -> None:
        await store.put_setting("s", "k", "v")
        await store.put_setting("s", "k", None)
        await store.put_setting("s", "never set", None)
        assert await store.settings(["s"]) == {"s": {}}

    async def test_they_survive_a_restart(self, place: Place) -> None:
        async with opened(place.store()) as store:
            await store.put_setting("s", "k", "v")
        async with opened(place.store()) as store:
            assert await store.settings(["s"]) == {"s": {"k": "v"}}


class TestDeliveries:
    owner = Owner(OwnerKind.TURN, 1)

    async def test_a_page_knows_when_it_was_begun(self, store: Store, place: Place) -> None:
        begun = place.now.seconds
        await store.begin_delivery(self.owner, HERE, 0, "n1")
        place.now.seconds += 60
        await store.begin_delivery(self.owner, HERE, 0, "n2")
        assert [row.created_at for row in await store.deliveries(self.owner)] == [begun]

    async def test_it_is_known_which_messages_are_pages_of_a_delivery(self, store: Store) -> None:
        row = await store.begin_delivery(self.owner, HERE, 0, "n1")
        assert not await store.is_delivered(HERE, "m1")
        await store.delivered(row.id, "m1")
        assert [await store.is_delivered(chat, key) for chat, key in ((HERE, "m1"), (HERE, "m2"), (THERE, "m1"))] == [True, False, False]
        await store.drop_delivery(row.id)
        assert not await store.is_delivered(HERE, "m1")

    async def test_a_page_keeps_its_first_nonce_and_its_message(self, store: Store) -> None:
        row = await store.begin_delivery(self.owner, HERE, 0, "n1")
        assert (row.owner, row.chat, row.page, row.nonce, row.message_id) == (self.owner, HERE, 0, "n1", None)
        await store.delivered(row.id, "m1")
        again = await store.begin_delivery(self.owner, HERE, 0, "n2")
        assert (again.id, again.nonce, again.message_id) == (row.id, "n1", "m1")

    async def test_a_message_that_may_stand_in_the_chat_twice_is_known_as_such(self, store: Store) -> None:
        once, again = [await store.begin_delivery(self.owner, HERE, page, f"n{page}") for page in range(2)]
        await store.delivered(once.id, "m1")
        await store.delivered(again.id, "m2", repeated=True)
        assert [row.repeated for row in await store.deliveries(self.owner)] == [False, True]

    async def test_pages_are_listed_in_order_for_their_owner_alone(self, store: Store) -> None:
        for page in (1, 0, 2):
            await store.begin_delivery(self.owner, HERE, page, f"n{page}")
        await store.begin_delivery(Owner(OwnerKind.EVENT, 1), HERE, 0, "other")
        assert [(row.page, row.nonce) for row in await store.deliveries(self.owner)] == [(0, "n0"), (1, "n1"), (2, "n2")]

    async def test_a_dropped_page_is_forgotten_and_its_number_is_not_given_again(self, store: Store) -> None:
        row = await store.begin_delivery(self.owner, HERE, 0, "n1")
        await store.drop_delivery(row.id)
        assert await store.deliveries(self.owner) == []
        new = await store.begin_delivery(self.owner, HERE, 0, "n2")
        await store.delivered(row.id, "late")
        assert (await store.deliveries(self.owner))[0].message_id is None
        assert new.nonce == "n2"

    async def test_they_survive_a_restart(self, place: Place) -> None:
        async with opened(place.store()) as store:
            await store.delivered((await store.begin_delivery(self.owner, THERE, 0, "n1")).id, "m1")
        async with opened(place.store()) as store:
            (row,) = await store.deliveries(self.owner)
        assert (row.chat, row.nonce, row.message_id) == (THERE, "n1", "m1")


class TestCursors:
    async def test_every_chat_of_the_account_is_listed_with_how_far_it_was_read(self, place: Place) -> None:
        async with opened(place.store()) as store:
            for number, chat in enumerate((HERE, THERE)):
                await accept(store, message(f"q{number}", chat))
            assert await store.cursors(HERE.platform, HERE.account) == {HERE: None, THERE: None}
            await store.move_cursors({HERE: "100"})
            await store.move_cursors({HERE: "200"})
        async with opened(place.store()) as store:
            assert await store.cursors(HERE.platform, HERE.account) == {HERE: "200", THERE: None}
            assert await store.cursors(HERE.platform, "another account") == {}

    async def test_a_chat_that_is_gone_is_listed_no_more_until_it_is_read_again(self, store: Store) -> None:
        await accept(store, message("q", HERE))
        await store.move_cursors({HERE: None})
        assert await store.cursors(HERE.platform, HERE.account) == {}
        await store.move_cursors({HERE: "300", THERE: "1"})
        assert await store.cursors(HERE.platform, HERE.account) == {HERE: "300", THERE: "1"}
