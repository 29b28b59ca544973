"""The promises of `storage.base.Store` on how much of a conversation's past is read, for every implementation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from storage.base import Merge, Store, TurnState
from tests.support.stores import accept, ask, claim, exchange, message

PAST = ["one", "[a-one]", "two", "[a-two]", "three", "[a-three]"]
"""Contents of 3, 7, 3, 7, 5 and 9 characters."""


@pytest.mark.parametrize(
    ("chars", "read"), [(None, 6), (1000, 6), (34, 6), (32, 6), (31, 5), (25, 5), (24, 4), (14, 2), (10, 2), (9, 1), (1, 1)]
)
async def test_the_past_is_read_back_to_the_entry_with_which_it_has_so_many_characters(store: Store, chars: int | None, read: int) -> None:
    for key in ("one", "two", "three"):
        await exchange(store, key)
    turn = await ask(store, "a question that is longer than all that was said before it")
    entries = await store.transcript(turn, 100, chars=chars)
    assert [entry.content for entry in entries[:-1]] == PAST[-read:]
    assert entries[-1].content == "a question that is longer than all that was said before it"


async def test_the_question_is_whole_however_many_parts_it_has(store: Store) -> None:
    await exchange(store, "one")
    running = await ask(store, "two")
    for key in ("part 1", "part 2", "part 3"):
        event = message(key)
        assert event.turn is not None
        await accept(store, replace(event, turn=replace(event.turn, merge=Merge(2.0))))
    await store.close(running, TurnState.FAILED)
    entries = await store.transcript(await claim(store, running.conversation), 100, chars=1)
    assert [entry.content for entry in entries] == ["[a-one]", "part 1", "part 2", "part 3"]


async def test_no_more_entries_than_asked_for_are_read_however_short_they_are(store: Store) -> None:
    for key in ("one", "two", "three"):
        await exchange(store, key)
    turn = await ask(store, "and now?")
    assert [entry.content for entry in await store.transcript(turn, 3, chars=1000)] == ["three", "[a-three]", "and now?"]


async def test_what_was_forgotten_is_not_read_for_want_of_characters(store: Store) -> None:
    await exchange(store, "one")
    await store.reset(1)
    await exchange(store, "two")
    assert [entry.content for entry in await store.transcript(await ask(store, "and now?"), 100, chars=1000)][:-1] == ["two", "[a-two]"]
