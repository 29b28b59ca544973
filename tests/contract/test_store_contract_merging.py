"""The promises of `storage.base.Store` about several messages that make one question, for every implementation."""

from __future__ import annotations

import asyncio

import pytest

from storage.base import Accepted, ChatAddress, EventKind, Merge, NewEvent, NewTurn, ReplyRoute, Store, TurnState
from storage.merging import MOST_PIECES
from tests.support.stores import HERE, THERE, Place, accept, ask, claim, command, exchange, opened, read, reply

WINDOW = 2.0


def piece(key: str, chat: ChatAddress = HERE, *, more: bool = False, author: str = "7", merge: bool = True) -> NewEvent:
    turn = NewTurn(key, f"m-{key}", author, "Ada", Merge(WINDOW, more) if merge else None)
    return NewEvent(key, EventKind.MESSAGE, chat, f'{{"of": "{key}"}}', turn)


async def busy(store: Store) -> None:
    """An answer runs, so that what comes next waits."""
    await ask(store, "running")


async def turns(store: Store, conversation: int = 1) -> list[list[str]]:
    """Close the open turns one after the other; what each of them asks."""
    asked = []
    while (turn := await store.claim(conversation)) is not None:
        if turn.attempt == 1:
            asked.append([entry.content for entry in await store.transcript(turn, 100) if entry.turn == turn.id])
        await store.close(turn, TurnState.FAILED)
    return asked


class TestBurst:
    async def test_messages_in_quick_succession_join_the_turn_that_waits(self, store: Store) -> None:
        await busy(store)
        first = await accept(store, piece("a"))
        second = await accept(store, piece("b"))
        third = await accept(store, piece("c"))
        assert first == Accepted(first.event, 1, first.turn)
        assert [second, third] == [Accepted(event, 1, first.turn, joined=True) for event in (second.event, third.event)]
        assert await turns(store) == [["a", "b", "c"]]

    async def test_every_event_keeps_its_key(self, store: Store) -> None:
        await busy(store)
        for key in "abc":
            await accept(store, piece(key))
        assert [await store.accept(piece(key)) for key in "abc"] == [None] * 3
        assert await turns(store) == [["a", "b", "c"]]

    async def test_a_turn_that_has_begun_is_joined_by_nothing(self, store: Store) -> None:
        first = await accept(store, piece("a"))
        await claim(store, 1)
        second = await accept(store, piece("b"))
        assert second.turn != first.turn
        assert not second.joined

    async def test_what_comes_later_than_the_window_is_a_question_of_its_own(self, store: Store, place: Place) -> None:
        await busy(store)
        await accept(store, piece("a"))
        place.now.seconds += WINDOW
        await accept(store, piece("b"))  # counted from the message before, not from the first
        place.now.seconds += WINDOW
        await accept(store, piece("c"))
        place.now.seconds += WINDOW + 0.1
        await accept(store, piece("d"))
        assert await turns(store) == [["a", "b", "c"], ["d"]]

    @pytest.mark.parametrize(
        "between", [piece("x", author="8"), piece("x", merge=False), command("x"), NewEvent("x", EventKind.EDIT, HERE, "{}")]
    )
    async def test_what_came_in_between_keeps_them_apart(self, store: Store, between: NewEvent) -> None:
        await busy(store)
        await accept(store, piece("a"))
        await accept(store, between)
        assert not (await accept(store, piece("b"))).joined

    async def test_what_happens_in_another_conversation_is_not_in_between(self, store: Store) -> None:
        await busy(store)
        await accept(store, piece("a"))
        await accept(store, piece("x", THERE))
        assert (await accept(store, piece("b"))).joined

    async def test_another_persons_message_joins_nothing(self, store: Store) -> None:
        await busy(store)
        await accept(store, piece("a"))
        assert not (await accept(store, piece("b", author="8"))).joined

    async def test_what_is_a_question_of_its_own_neither_joins_nor_is_joined(self, store: Store) -> None:
        await busy(store)
        await accept(store, piece("a"))
        assert not (await accept(store, piece("b", merge=False))).joined
        assert not (await accept(store, piece("c"))).joined

    async def test_a_turn_that_is_to_stop_is_joined_by_nothing(self, store: Store) -> None:
        await busy(store)
        first = await accept(store, piece("a"))
        assert first.turn is not None
        await store.stop_turn(1, first.turn)
        assert not (await accept(store, piece("b"))).joined

    async def test_a_turn_from_before_a_reset_is_joined_by_nothing(self, store: Store) -> None:
        await busy(store)
        await accept(store, piece("a"))
        await store.reset(1)
        assert not (await accept(store, piece("b"))).joined

    async def test_a_question_asked_again_is_joined_by_nothing_and_has_all_its_parts(self, store: Store) -> None:
        await busy(store)
        for key in "ab":
            await accept(store, piece(key))
        await turns(store)
        again = await accept(store, command("again"))
        assert await store.retry(1, again.event, HERE) is not None
        assert not (await accept(store, piece("c"))).joined
        assert await turns(store) == [["a", "b"], ["c"]]

    async def test_a_question_has_so_many_parts_at_most(self, store: Store) -> None:
        await busy(store)
        joined = [(await accept(store, piece(str(number)))).joined for number in range(MOST_PIECES + 2)]
        assert joined == [False, *[True] * (MOST_PIECES - 1), False, True]

    async def test_the_answer_belongs_to_all_of_them(self, store: Store) -> None:
        await busy(store)
        for key in "ab":
            await accept(store, piece(key))
        await store.close(await claim(store, 1), TurnState.FAILED)
        turn = await claim(store, 1)
        await store.answered(turn, reply("yes"))
        await store.close(turn, TurnState.DONE)
        assert await read(store, await ask(store, "next")) == ["a", "b", "[yes]", "next"]
        assert await store.counts(1) == (4, 1)

    async def test_an_edit_of_a_part_that_waits_changes_that_part(self, store: Store) -> None:
        await busy(store)
        for key in "ab":
            await accept(store, piece(key))
        assert await store.edit_entry(HERE, "m-b", "better")
        assert await turns(store) == [["a", "better"]]

    async def test_they_are_one_turn_after_a_restart_too(self, place: Place) -> None:
        async with opened(place.store()) as store:
            await busy(store)
            await accept(store, piece("a"))
        async with opened(place.store()) as store:
            assert (await accept(store, piece("b"))).joined
        async with opened(place.store()) as store:
            assert await store.accept(piece("b")) is None
            assert await turns(store) == [["a", "b"]]

    async def test_all_of_them_are_forgotten_together(self, store: Store) -> None:
        await busy(store)
        events = [(await accept(store, piece(key))).event for key in "ab"]
        forget = (await accept(store, command("f"))).event
        await store.forget(1, before=forget)
        await turns(store)
        await store.sweep(1, older_than=None)
        assert [(await store.event(event)).payload for event in events] == ["", ""]
        assert await store.counts(1) == (0, 0)

    async def test_many_at_once_make_one_turn_in_their_order(self, store: Store) -> None:
        await busy(store)
        accepted = await asyncio.gather(*(store.accept(piece(str(number))) for number in range(20)))
        assert len({one.turn for one in accepted if one is not None}) == 1
        assert await turns(store) == [[str(number) for number in range(20)]]

    async def test_with_a_route_of_its_own_before_it_nothing_is_joined(self, store: Store, place: Place) -> None:
        await busy(store)
        asked = NewEvent("ask", EventKind.COMMAND, HERE, "{}", NewTurn("q", None, "7", "Ada"), ReplyRoute("t", place.now() + 900))
        await accept(store, asked)
        assert not (await accept(store, piece("a"))).joined


class TestHold:
    async def test_a_piece_that_looks_cut_off_waits_for_the_rest_and_no_longer_than_the_window(self, store: Store, place: Place) -> None:
        await accept(store, piece("a", more=True))
        assert await store.claim(1) is None
        assert await store.held(1) == WINDOW
        place.now.seconds += 0.5
        assert await store.held(1) == WINDOW - 0.5
        place.now.seconds += WINDOW - 0.5
        assert await store.held(1) == 0
        assert await turns(store) == [["a"]]

    async def test_the_last_piece_lets_it_go_at_once(self, store: Store) -> None:
        for key in "ab":
            await accept(store, piece(key, more=True))
        assert await store.held(1) == WINDOW
        await accept(store, piece("c"))
        assert await store.held(1) == 0
        assert await turns(store) == [["a", "b", "c"]]

    async def test_every_piece_begins_the_wait_anew(self, store: Store, place: Place) -> None:
        await accept(store, piece("a", more=True))
        place.now.seconds += WINDOW - 0.1
        await accept(store, piece("b", more=True))
        assert await store.held(1) == WINDOW

    async def test_a_short_question_is_never_held(self, store: Store) -> None:
        await accept(store, piece("a"))
        assert await store.held(1) == 0
        assert await turns(store) == [["a"]]

    async def test_where_nothing_is_open_nothing_is_held(self, store: Store) -> None:
        assert await store.held(1) == 0
        await exchange(store, "q")
        assert await store.held(1) == 0

    async def test_one_that_is_to_stop_is_held_no_longer(self, store: Store) -> None:
        held = await accept(store, piece("a", more=True))
        assert held.turn is not None
        await store.stop_turn(1, held.turn)
        assert await store.held(1) == 0
        assert (await claim(store, 1)).stop_requested

    async def test_a_clock_that_is_set_back_holds_nothing_up(self, store: Store, place: Place) -> None:
        await accept(store, piece("a", more=True))
        place.now.seconds -= 3600
        assert await store.held(1) == 0
        assert await turns(store) == [["a"]]

    async def test_what_was_held_when_it_stopped_is_asked_after_a_restart(self, place: Place) -> None:
        async with opened(place.store()) as store:
            await accept(store, piece("a", more=True))
        place.now.seconds += WINDOW
        async with opened(place.store()) as store:
            assert await turns(store) == [["a"]]
