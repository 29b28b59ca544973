"""The promises of `storage.base.Store` behind files that come with a question, for every implementation."""

from __future__ import annotations

from storage.base import Store, TurnState
from tests.support.stores import HERE, Place, accept, ask, claim, command, exchange, opened, read


async def test_a_question_gets_the_content_of_its_files_and_keeps_it_over_a_restart(place: Place) -> None:
    async with opened(place.store()) as store:
        turn = await ask(store, "q1")
        (entry,) = await store.transcript(turn, 10)
        assert await store.fill(turn, {entry.id: "q1 and its file"})
    async with opened(place.store()) as store:
        assert await read(store, await claim(store, 1)) == ["q1 and its file"]


async def test_only_who_claimed_the_turn_can_fill_it_and_only_while_it_is_answered(store: Store) -> None:
    turn = await ask(store, "q1")
    (entry,) = await store.transcript(turn, 10)
    again = await claim(store, 1)
    assert not await store.fill(turn, {entry.id: "x"})
    assert await read(store, again) == ["q1"]
    await store.close(again, TurnState.FAILED)
    assert not await store.fill(again, {entry.id: "x"})


async def test_nothing_but_the_turns_own_question_is_filled(store: Store) -> None:
    await exchange(store, "q1")
    turn = await ask(store, "q2")
    entries = await store.transcript(turn, 10)
    assert await store.fill(turn, {entry.id: "filled" for entry in entries})
    assert await read(store, turn) == ["q1", "[a-q1]", "filled"]


async def test_asked_again_a_question_comes_with_what_was_read(store: Store) -> None:
    turn = await ask(store, "q1")
    (entry,) = await store.transcript(turn, 10)
    await store.fill(turn, {entry.id: "q1 and its file"})
    await store.close(turn, TurnState.FAILED)
    await store.retry(1, (await accept(store, command("r"))).event, HERE)
    assert await read(store, await claim(store, 1)) == ["q1 and its file"]
