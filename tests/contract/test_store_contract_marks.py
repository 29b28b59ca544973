"""The promises of `storage.marks.MarkStore`: what shows that it waits is known after a crash, and can be withdrawn."""

from __future__ import annotations

from storage.base import EventKind, Merge, NewEvent, NewTurn, Store, TurnState
from tests.support.stores import HERE, THERE, Place, accept, ask, claim, command, message, opened, read


async def test_only_what_waits_is_marked(store: Store) -> None:
    running = await ask(store, "q1")
    waits = await accept(store, message("q2"))
    assert waits.turn is not None
    assert not await store.mark(running.id, HERE, "m-q1")
    assert await store.mark(waits.turn, HERE, "m-q2")
    assert await store.mark(waits.turn, HERE, "m-q2")
    (mark,) = await store.marks()
    assert (mark.turn, mark.event, mark.conversation, mark.chat, mark.message_id) == (
        waits.turn,
        waits.event,
        waits.conversation,
        HERE,
        "m-q2",
    )
    assert mark.waiting


async def test_a_mark_is_found_after_a_crash_and_it_says_whether_its_turn_has_begun(place: Place) -> None:
    async with opened(place.store()) as store:
        first = await ask(store, "q1")
        waits = await accept(store, message("q2"))
        assert waits.turn is not None
        assert await store.mark(waits.turn, HERE, "m-q2")
    async with opened(place.store()) as store:
        assert [mark.waiting for mark in await store.marks()] == [True]
        await store.close(await claim(store, first.conversation), TurnState.DONE)
        await claim(store, first.conversation)
        assert [mark.waiting for mark in await store.marks()] == [False]
        await store.unmark(THERE, "m-q2")
        assert await store.marks()
        await store.unmark(HERE, "m-q2")
        await store.unmark(HERE, "m-q2")
        assert await store.marks() == []


async def test_a_question_that_waits_can_be_withdrawn_and_no_other(store: Store) -> None:
    first = await ask(store, "q1")
    await accept(store, message("q2"))
    await accept(store, message("q3"))
    assert not await store.withdraw(HERE, "m-q1")  # it runs
    assert not await store.withdraw(THERE, "m-q2")
    assert not await store.withdrawn(HERE, "m-q2")
    assert await store.withdraw(HERE, "m-q2")
    assert not await store.withdraw(HERE, "m-q2")
    assert [await store.withdrawn(*of) for of in ((HERE, "m-q1"), (HERE, "m-q2"), (HERE, "m-q3"), (THERE, "m-q2"))] == [
        False,
        True,
        False,
        False,
    ]
    await store.close(first, TurnState.DONE)
    second = await claim(store, first.conversation)
    assert second.stop_requested
    assert store.stop_signal(second.id).is_set()
    await store.close(second, TurnState.STOPPED)
    assert not (await claim(store, first.conversation)).stop_requested


async def test_of_a_question_of_several_messages_the_others_stay(store: Store) -> None:
    def piece(key: str) -> NewEvent:
        return NewEvent(key, EventKind.MESSAGE, HERE, f'{{"of": "{key}"}}', NewTurn(key, f"m-{key}", "7", "Ada", Merge(5.0)))

    first = await ask(store, "q1")
    await accept(store, piece("a"))
    assert (await accept(store, piece("b"))).joined
    assert await store.withdraw(HERE, "m-a")
    await store.close(first, TurnState.FAILED)
    second = await claim(store, first.conversation)
    assert not second.stop_requested
    assert await read(store, second) == ["b"]
    await store.close(second, TurnState.FAILED)
    assert await store.retry(first.conversation, (await accept(store, command("c1"))).event, HERE) is not None
    assert await read(store, await claim(store, first.conversation)) == ["b"]


async def test_a_stop_does_not_count_what_was_withdrawn(store: Store) -> None:
    first = await ask(store, "q1")
    await accept(store, message("q2"))
    await accept(store, message("q3"))
    assert await store.withdraw(HERE, "m-q2")
    assert await store.stop(first.conversation, queued=True) == 2
    await store.close(first, TurnState.STOPPED)
    withdrawn = await claim(store, first.conversation)
    assert withdrawn.stop_requested
    assert "q2" not in [entry.content for entry in await store.transcript(withdrawn, 10)]
