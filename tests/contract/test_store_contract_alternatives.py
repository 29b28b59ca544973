"""The promises of `storage.base.Store` about several answers to one question, for every implementation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from storage.alternatives import Alternative, Chosen
from storage.base import Store, StoreError, Turn, TurnState
from tests.support.stores import Place, accept, ask, command, exchange, memory, opened, read, reply

OTHERS = (Alternative("second", "[second]"), Alternative("third", "[third]"))


def contents(folder: Path) -> list[bytes]:
    """Every file of a store that has files."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


async def answered(store: Store, key: str = "q") -> Turn:
    turn = await ask(store, key)
    assert await store.answered(turn, replace(reply("first", state=memory()), others=OTHERS))
    return turn


async def done(store: Store, key: str = "q") -> Turn:
    turn = await answered(store, key)
    assert await store.close(turn, TurnState.DONE)
    return turn


async def test_the_first_one_stands_until_another_is_chosen_and_can_be_chosen_again(store: Store) -> None:
    turn = await done(store)
    assert ((await store.turn(turn.id)).answer, (await store.turn(turn.id)).shown) == ("first", 1)
    assert await store.choose(1, turn.id, 3) == Chosen(turn.id, 3, 3)
    assert ((await store.turn(turn.id)).answer, (await store.turn(turn.id)).shown) == ("third", 3)
    assert await read(store, await ask(store, "more")) == ["q", "[third]", "more"]
    assert await store.choose(1, turn.id, 1) == Chosen(turn.id, 1, 3)
    assert (await store.turn(turn.id)).answer == "first"


async def test_without_a_number_it_is_the_next_one_and_after_the_last_the_first(store: Store) -> None:
    turn = await done(store)
    numbers = [chosen.number for _ in range(4) if (chosen := await store.choose(1, turn.id))]
    assert numbers == [2, 3, 1, 2]


async def test_an_event_that_chooses_twice_moves_once_and_undoes_no_newer_choice(store: Store) -> None:
    turn = await done(store)
    for _ in range(2):  # as after a crash
        assert await store.choose(1, turn.id, event=7) == Chosen(turn.id, 2, 3)
    assert await store.choose(1, turn.id, event=8) == Chosen(turn.id, 3, 3)
    assert await store.choose(1, turn.id, event=7) == Chosen(turn.id, 3, 3)
    assert await store.choose(1, turn.id, 1, event=7) == Chosen(turn.id, 3, 3)
    assert await store.choose(1, turn.id, 1, event=8) == Chosen(turn.id, 1, 3)
    assert await store.choose(1, turn.id, 1, event=9) == Chosen(turn.id, 1, 3)  # it stands already, and now because of a newer event
    assert await store.choose(1, turn.id, event=8) == Chosen(turn.id, 1, 3)
    assert (await store.turn(turn.id)).answer == "first"


async def test_what_a_provider_remembers_of_another_answer_goes_and_the_same_choice_changes_nothing(store: Store) -> None:
    turn = await done(store)
    await store.choose(1, turn.id, 1)
    assert await store.provider_state(1, "modelslab") is not None
    await store.choose(1, turn.id, 2)
    assert await store.provider_state(1, "modelslab") is None


@pytest.mark.parametrize("number", [0, 4, -1, 10**12])
async def test_a_number_that_there_is_not_is_none(store: Store, number: int) -> None:
    turn = await done(store)
    assert await store.choose(1, turn.id, number) is None
    assert (await store.turn(turn.id)).answer == "first"


async def test_only_of_a_turn_that_is_done_has_several_and_is_of_this_conversation(store: Store) -> None:
    single = await exchange(store, "one answer")
    assert await store.choose(1, single.id, 1) is None
    assert await store.choose(1, 999, 2) is None
    turn = await answered(store)
    assert await store.choose(1, turn.id, 2) is None  # it is still on its way into the chat
    await store.close(turn, TurnState.DONE)
    assert await store.choose(2, turn.id, 2) is None
    with pytest.raises(StoreError):
        await store.turn(999)


async def test_the_choice_survives_a_restart(place: Place) -> None:
    async with opened(place.store()) as store:
        turn = await done(store)
        await store.choose(1, turn.id, 2)
    async with opened(place.store()) as store:
        assert (await store.turn(turn.id)).shown == 2
        assert await store.choose(1, turn.id) == Chosen(turn.id, 3, 3)
        assert await read(store, await ask(store, "more")) == ["q", "[third]", "more"]


async def test_what_is_forgotten_can_not_be_chosen_and_nothing_of_it_stays(store: Store, tmp_path: Path) -> None:
    turn = await done(store)
    event = (await accept(store, command("forget"))).event
    await store.forget(1, before=event)
    assert await store.choose(1, turn.id, 2) is None
    assert (await store.sweep(1, older_than=None)).removed == 1
    await store.scrub()
    assert not [data for data in contents(tmp_path) if b"[second]" in data or b"[third]" in data]


async def test_what_is_too_old_goes_with_all_its_answers(store: Store, place: Place) -> None:
    turn = await done(store)
    place.now.seconds += 1000.0
    assert (await store.sweep(1, older_than=500.0)).removed == 1
    assert await store.choose(1, turn.id, 2) is None
