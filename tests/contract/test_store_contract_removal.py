"""The promises of `storage.base.Store` about removing what was said, for every implementation in `tests.support.stores.PLACES`."""

from __future__ import annotations

import asyncio

import pytest

from storage.base import EventKind, Merge, NewEvent, NewTurn, Owner, OwnerKind, Store, TurnState
from tests.support.stores import HERE, THERE, Place, accept, ask, claim, command, exchange, memory, message, opened, read, reply

DAY = 24 * 3600.0


async def forget(store: Store, conversation: int = 1, key: str = "forget") -> int:
    """What /forget does, up to the removal itself; the number of its event."""
    event = (await accept(store, command(key))).event
    await store.forget(conversation, before=event)
    return event


async def sweep(store: Store, conversation: int = 1, *, older_than: float | None = None, limit: int = 50) -> int:
    """Sweep to the end; how many events were emptied."""
    removed, after = 0, 0
    while True:
        done = await store.sweep(conversation, older_than=older_than, after=after, limit=limit)
        removed += done.removed
        assert done.removed <= limit
        if done.resume is None:
            return removed
        assert done.resume > after
        after = done.resume


async def payload(store: Store, event: int) -> str:
    return (await store.event(event)).payload


class TestForget:
    async def test_nothing_stays_of_what_was_said_but_the_keys(self, store: Store) -> None:
        turns = [await exchange(store, key, state=memory()) for key in ("q1", "q2")]
        owners = [Owner(OwnerKind.TURN, turns[0].id), *(Owner(kind, turns[0].event) for kind in (OwnerKind.EVENT, OwnerKind.WAITING))]
        for number, owner in enumerate(owners):
            await store.begin_delivery(owner, HERE, 0, f"n{number}")
        await forget(store)
        assert await sweep(store) == 2
        assert [await payload(store, turn.event) for turn in turns] == ["", ""]
        assert await store.counts(1) == (0, 0)
        assert [await store.deliveries(owner) for owner in owners] == [[], [], []]
        assert await store.provider_state(1, "modelslab") is None
        assert [await store.accept(message(key)) for key in ("q1", "q2")] == [None, None]
        assert await read(store, await ask(store, "q3")) == ["q3"]

    async def test_at_once_nothing_of_it_is_sent_to_a_model_any_more(self, store: Store) -> None:
        await exchange(store, "q1", state=memory())
        await forget(store)
        assert await store.provider_state(1, "modelslab") is None
        assert await read(store, await ask(store, "q2")) == ["q2"]

    async def test_up_to_where_all_was_forgotten_is_told(self, store: Store) -> None:
        first = await exchange(store, "q1")
        assert await store.forgotten(first.conversation) == 0
        event = await forget(store)
        assert await store.forgotten(first.conversation) == event
        await exchange(store, "q2")
        assert await store.forgotten(first.conversation) == event
        assert await store.forgotten(first.conversation + 1) == 0

    async def test_another_conversation_keeps_all(self, store: Store) -> None:
        await exchange(store, "q1")
        there = await exchange(store, "q2", THERE)
        await forget(store)
        for conversation in (1, there.conversation):
            await sweep(store, conversation)
        assert await payload(store, there.event)
        assert await store.counts(there.conversation) == (2, 0)

    async def test_what_comes_after_it_stays(self, store: Store) -> None:
        await exchange(store, "q1")
        await forget(store)
        later = await exchange(store, "q2")
        assert await sweep(store) == 1
        assert await payload(store, later.event)
        assert await read(store, await ask(store, "q3")) == ["q2", "[a-q2]", "q3"]

    async def test_carried_out_again_after_a_crash_it_forgets_no_more(self, store: Store) -> None:
        await exchange(store, "q1")
        event = await forget(store)
        await exchange(store, "q2")
        await store.forget(1, before=event)
        await sweep(store)
        assert await store.counts(1) == (2, 0)

    async def test_an_older_one_carried_out_late_takes_nothing_back(self, store: Store) -> None:
        first = (await accept(store, command("first"))).event
        await exchange(store, "q1")
        await forget(store, key="second")
        await store.forget(1, before=first)
        assert await sweep(store) == 1

    @pytest.mark.parametrize("partial", [None, "[half]"])
    async def test_a_running_turn_leaves_nothing_once_it_ends(self, store: Store, partial: str | None) -> None:
        turn = await ask(store, "q1")
        await forget(store)
        assert await sweep(store) == 0
        assert await read(store, turn) == ["q1"]
        await store.close(turn, TurnState.STOPPED, partial=partial)
        assert await payload(store, turn.event) == ""
        assert await store.counts(1) == (0, 0)
        assert await sweep(store) == 0

    async def test_a_turn_answered_meanwhile_is_still_shown_and_then_gone(self, store: Store) -> None:
        turn = await ask(store, "q1")
        await forget(store)
        assert await store.answered(turn, reply("a", state=memory()))
        again = await claim(store, turn.conversation)
        assert again.answer == "a"
        await store.close(again, TurnState.DONE)
        assert await store.counts(1) == (0, 0)
        assert await store.provider_state(1, "modelslab") is None

    async def test_a_turn_asked_again_leaves_nothing_however_it_and_its_command_end(self, store: Store) -> None:
        await exchange(store, "q1")
        for key, command_first in (("r1", True), ("r2", False)):
            again = (await accept(store, command(key))).event
            assert await store.retry(1, again, HERE) is not None
            turn = await claim(store, 1)
            await forget(store, key=f"f-{key}")
            if command_first:
                await store.finish_event(again)
            await store.close(turn, TurnState.DONE, partial="[half]")
            if not command_first:
                await store.finish_event(again)
            assert await payload(store, again) == ""
            assert await store.counts(1) == (0, 0)
            await exchange(store, f"next-{key}")

    async def test_the_command_itself_is_emptied_once_it_is_carried_out(self, store: Store) -> None:
        event = await forget(store)
        assert await payload(store, event)
        await store.finish_event(event)
        assert await payload(store, event) == ""

    async def test_there_is_nothing_to_ask_again(self, store: Store) -> None:
        await exchange(store, "q1")
        event = await forget(store)
        await sweep(store)
        assert await store.retry(1, event, HERE) is None

    async def test_an_unfinished_removal_goes_on_after_a_restart(self, place: Place) -> None:
        async with opened(place.store()) as store:
            for number in range(5):
                await exchange(store, f"q{number}")
            await forget(store)
            assert (await store.sweep(1, older_than=None, limit=2)).removed == 2
        async with opened(place.store()) as store:
            assert await sweep(store) == 3

    async def test_what_could_not_be_read_goes_too(self, store: Store) -> None:
        bad = await accept(store, NewEvent("u", EventKind.UNREADABLE, HERE, '{"raw": "words"}', error="no chat in it"))
        await forget(store)
        assert await sweep(store) == 1
        assert await payload(store, bad.event) == ""


class TestAge:
    async def test_what_is_older_goes_and_what_is_younger_stays(self, store: Store, place: Place) -> None:
        old = await exchange(store, "q1", state=memory())
        place.now.seconds += 3 * DAY
        young = await exchange(store, "q2", state=memory())
        assert await sweep(store, older_than=2 * DAY) == 1
        assert await payload(store, old.event) == ""
        assert await payload(store, young.event)
        assert await store.provider_state(1, "modelslab") is None  # what the provider remembers holds the older question, too
        assert await read(store, await ask(store, "q3")) == ["q2", "[a-q2]", "q3"]

    async def test_without_an_age_nothing_goes_by_age(self, store: Store, place: Place) -> None:
        await exchange(store, "q1")
        place.now.seconds += 3000 * DAY
        assert await sweep(store) == 0
        assert await store.counts(1) == (2, 0)

    async def test_duplicates_of_what_went_are_known(self, store: Store, place: Place) -> None:
        await exchange(store, "q1")
        place.now.seconds += 60 * DAY
        await sweep(store, older_than=DAY)
        assert await store.accept(message("q1")) is None

    async def test_what_is_open_stays_until_it_has_ended(self, store: Store, place: Place) -> None:
        turn = await ask(store, "q1")
        order = (await accept(store, command("c1"))).event
        place.now.seconds += 3 * DAY
        assert await sweep(store, older_than=DAY) == 0
        await store.close(turn, TurnState.DONE, partial="[half]")
        await store.finish_event(order)
        assert await sweep(store, older_than=DAY) == 2

    async def test_what_is_open_does_not_hold_up_what_is_over(self, store: Store, place: Place) -> None:
        for number in range(3):
            await accept(store, command(f"c{number}"))
        await exchange(store, "q1")
        place.now.seconds += 3 * DAY
        assert await sweep(store, older_than=DAY, limit=2) == 1

    async def test_a_long_past_goes_in_short_steps_while_others_are_served(self, store: Store, place: Place) -> None:
        for number in range(25):
            await exchange(store, f"q{number}")
        place.now.seconds += 3 * DAY
        swept, served = await asyncio.gather(sweep(store, older_than=DAY, limit=4), store.accept(message("meanwhile", THERE)))
        assert swept == 25
        assert served is not None

    async def test_there_is_nothing_to_ask_again_where_the_question_went(self, store: Store, place: Place) -> None:
        await exchange(store, "q1")
        place.now.seconds += 3 * DAY
        await sweep(store, older_than=DAY)
        event = (await accept(store, command("again"))).event
        assert await store.retry(1, event, HERE) is None

    async def test_an_edit_of_what_went_is_of_no_account(self, store: Store, place: Place) -> None:
        await exchange(store, "q1")
        place.now.seconds += 3 * DAY
        await sweep(store, older_than=DAY)
        assert not await store.edit_entry(HERE, "m-q1", "[new]")
        assert await store.counts(1) == (0, 0)


class TestMerged:
    """Several messages that make one question go together, once their turn is over."""

    @pytest.fixture
    async def pieces(self, store: Store) -> list[int]:
        """A question of three messages that waits behind a running answer; the numbers of its events."""
        await ask(store, "running")
        taken = [await accept(store, self.piece(key)) for key in "abc"]
        assert [one.turn for one in taken] == [taken[0].turn] * 3
        return [one.event for one in taken]

    @staticmethod
    def piece(key: str) -> NewEvent:
        return NewEvent(key, EventKind.MESSAGE, HERE, f'{{"of": "{key}"}}', NewTurn(key, f"m-{key}", "7", "Ada", Merge(2.0, more=False)))

    async def end(self, store: Store) -> None:
        """End what runs, and then the question."""
        for _ in range(2):
            await store.close(await claim(store, 1), TurnState.DONE, partial="[half]")

    async def test_no_piece_of_an_open_question_goes_by_age(self, store: Store, place: Place, pieces: list[int]) -> None:
        place.now.seconds += 3 * DAY
        assert await sweep(store, older_than=DAY) == 0
        assert all([await payload(store, event) for event in pieces])
        await self.end(store)
        assert await sweep(store, older_than=DAY) == 4
        assert [await payload(store, event) for event in pieces] == [""] * 3
        assert await store.counts(1) == (0, 0)

    async def test_none_goes_by_forgetting_before_its_question_ends_and_all_do_then(self, store: Store, pieces: list[int]) -> None:
        await forget(store)
        assert await sweep(store) == 0
        assert all([await payload(store, event) for event in pieces])
        await self.end(store)
        assert [await payload(store, event) for event in pieces] == [""] * 3
        assert await store.counts(1) == (0, 0)

    async def test_what_comes_after_it_is_no_piece_of_it(self, store: Store, place: Place, pieces: list[int]) -> None:
        order = (await accept(store, command("c1"))).event
        await store.finish_event(order)
        place.now.seconds += 3 * DAY
        assert await sweep(store, older_than=DAY) == 1
        assert await payload(store, order) == ""
        assert all([await payload(store, event) for event in pieces])


async def test_conversations_are_listed_in_pages(store: Store) -> None:
    for key, chat in (("a", HERE), ("b", THERE)):
        await accept(store, message(key, chat))
    assert [list(await store.conversations(after, 1)) for after in (0, 1, 2)] == [[1], [2], []]


async def test_scrubbing_a_store_in_use_changes_nothing_that_is_kept(store: Store) -> None:
    await exchange(store, "q1")
    await forget(store)
    await sweep(store)
    served, clean = await asyncio.gather(store.accept(message("meanwhile")), store.scrub())
    assert served is not None
    assert clean
    assert await store.counts(1) == (1, 1)


async def test_a_question_whether_to_forget_is_answered_once(place: Place) -> None:
    async with opened(place.store()) as store:
        turn = await exchange(store, "q1")
        asked = (await accept(store, command("forget?"))).event
        first = (await accept(store, command("yes"))).event
        assert await store.forget(turn.conversation, before=first, asked=asked)
        await exchange(store, "q2")
        second = (await accept(store, command("yes again"))).event
        assert not await store.forget(turn.conversation, before=second, asked=asked)
    async with opened(place.store()) as store:
        assert await store.forget(turn.conversation, before=first, asked=asked)  # a crash cut it off: it is carried out again
        assert await read(store, await ask(store, "q3")) == ["q2", "[a-q2]", "q3"]
        asked = (await accept(store, command("forget once more?"))).event
        assert await store.forget(turn.conversation, before=(await accept(store, command("yes!"))).event, asked=asked)
