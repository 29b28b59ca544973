"""The promises of `storage.base.Store` on what was read of a conversation and is used again, for every implementation.

`Reader` does what whoever keeps a past does, and compares it with the whole each time: what is said to be unchanged has to be.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from storage.alternatives import Alternative
from storage.base import Entry, Merge, Revision, Store, Turn, TurnState
from storage.revisions import entry_writers
from storage.statements import statements
from tests.support.stores import HERE, Place, accept, ask, claim, command, exchange, message, opened, reply

ALL = 1000


@dataclass
class Reader:
    """Keeps what it has read of a conversation. `used`: of each question, whether what was kept held."""

    store: Store
    kept: list[Entry] | None = None
    place: int = 0
    revision: Revision = field(default_factory=lambda: Revision(0, 0))
    used: list[bool] = field(default_factory=list)

    async def read(self, turn: Turn) -> list[Entry]:
        """Return a claimed turn's transcript, and fail if what was kept does not lead to the same."""
        whole = list(await self.store.transcript(turn, ALL))
        newer = None
        if self.kept is not None:
            newer = await self.store.transcript_since(turn, self.place, self.revision, ALL)
            if newer is not None:
                assert [*self.kept, *newer] == whole
        self.used.append(newer is not None)
        if self.kept is None or turn.seq > self.place:
            self.kept = [entry for entry in whole if entry.turn != turn.id]
            self.place, self.revision = turn.seq - 1, turn.revision
        return whole

    async def ask(self, key: str) -> Turn:
        """Ask, and read what the question's request holds."""
        turn = await ask(self.store, key)
        await self.read(turn)
        return turn

    async def exchange(self, key: str, *, others: tuple[Alternative, ...] = ()) -> Turn:
        """The same, with an answer."""
        turn = await self.ask(key)
        assert await self.store.answered(turn, replace(reply(f"a-{key}"), others=others))
        assert await self.store.close(turn, TurnState.DONE)
        return turn


SECOND = (Alternative("another", "[another]"),)


async def retried(store: Store, turns: list[Turn]) -> None:
    event = await accept(store, command("again"))
    assert await store.retry(1, event.event, HERE, turn=turns[0].id)
    turn = await claim(store, 1)
    await store.answered(turn, reply("once more"))
    await store.close(turn, TurnState.DONE)


async def chosen(store: Store, turns: list[Turn]) -> None:
    assert await store.choose(1, turns[0].id)


async def reset(store: Store, turns: list[Turn]) -> None:
    await store.reset(1)


async def forgotten(store: Store, turns: list[Turn]) -> None:
    await store.forget(1, before=turns[1].event + 1)
    await store.sweep(1, older_than=None)


async def aged(store: Store, turns: list[Turn]) -> None:
    assert (await store.sweep(1, older_than=-1.0, limit=1)).removed == 1


CHANGES: list[Callable[[Store, list[Turn]], Awaitable[None]]] = [chosen, reset, forgotten, aged]


@pytest.mark.parametrize("change", CHANGES)
async def test_what_changed_since_it_was_read_is_said_to_have(store: Store, change: Callable[[Store, list[Turn]], Awaitable[None]]) -> None:
    reader = Reader(store)
    turns = [await reader.exchange(key, others=SECOND) for key in ("q1", "q2", "q3")]
    before = await reader.read(await ask(store, "q4"))
    await store.close(await _running(store), TurnState.FAILED)
    await change(store, turns)
    after = await reader.read(await ask(store, "q5"))
    assert before[:-1] != after[:-1]
    assert reader.used == [False, True, True, True, False]
    await store.close(await _running(store), TurnState.FAILED)
    await reader.ask("q6")
    assert reader.used[-1], "from then on it holds again"


async def _running(store: Store) -> Turn:
    """The turn that was claimed last, as it is now."""
    number = 1
    while True:
        turn = await store.turn(number)
        if turn.state is TurnState.GENERATING:
            return turn
        number += 1


async def test_what_is_added_leaves_it_as_it_was(store: Store) -> None:
    reader = Reader(store)
    for key in ("q1", "q2", "q3"):
        await reader.exchange(key)
    await retried(store, [await store.turn(3)])
    turn = await reader.ask("q4")
    assert await store.fill(turn, {(await store.transcript(turn, 1))[0].id: '["with what stood in its file"]'})
    assert await store.close(turn, TurnState.STOPPED, partial="[in part]")
    await reader.ask("q5")
    assert reader.used == [False, True, True, True, True]
    assert [entry.content for entry in reader.kept or ()][-2:] == ['["with what stood in its file"]', "[in part]"]


async def test_an_answer_that_is_asked_again_before_anybody_read_it_is_read_as_it_is(store: Store) -> None:
    reader = Reader(store)
    turns = [await reader.exchange(key) for key in ("q1", "q2")]
    event = await accept(store, command("again"))
    assert await store.retry(1, event.event, HERE, turn=turns[1].id)
    entries = await reader.read(await claim(store, 1))
    assert [entry.content for entry in entries] == ["q1", "[a-q1]", "q2"]
    assert reader.used[-1]


async def test_a_parked_question_that_is_answered_later_is_seen_by_those_that_came_after_it(store: Store) -> None:
    reader = Reader(store)
    await reader.exchange("q1")
    parked = await reader.ask("q2")
    await store.close(parked, TurnState.PARKED, error="too often")
    await reader.exchange("q3")
    await store.unpark(parked.event)
    again = await claim(store, 1)
    assert again.id == parked.id
    assert [entry.content for entry in await reader.read(again)] == ["q1", "[a-q1]", "q2"]
    assert not reader.used[-1], "it stands before what is kept"
    await store.answered(again, reply("at last"))
    await store.close(again, TurnState.DONE)
    entries = await reader.read(await ask(store, "q4"))
    assert [entry.content for entry in entries] == ["q1", "[a-q1]", "q2", "[at last]", "q3", "[a-q3]", "q4"]
    assert not reader.used[-1]


async def test_a_question_accepted_before_a_reset_sees_only_itself(store: Store) -> None:
    reader = Reader(store)
    running = await reader.ask("q1")
    await accept(store, message("q2"))
    await store.answered(running, reply("a-q1"))
    await store.close(running, TurnState.DONE)
    await store.reset(1)
    assert [entry.content for entry in await reader.read(await claim(store, 1))] == ["q2"]


async def test_more_than_asked_for_is_not_read_in_part(store: Store) -> None:
    turn = await exchange(store, "q1")
    for key in ("q2", "q3"):
        await exchange(store, key)
    asked = await ask(store, "q4")
    assert await store.transcript_since(asked, 1, turn.revision, 5) is None
    newer = await store.transcript_since(asked, 1, turn.revision, 6)
    assert newer is not None
    assert [entry.content for entry in newer] == ["q2", "[a-q2]", "q3", "[a-q3]", "q4"]


async def test_it_holds_over_a_restart(place: Place) -> None:
    async with opened(place.store()) as store:
        reader = Reader(store)
        turns = [await reader.exchange(key, others=SECOND) for key in ("q1", "q2")]
        await reader.ask("q3")
    async with opened(place.store()) as store:
        reader.store = store
        await reader.read(await claim(store, 1))
        assert reader.used[-1]
        await store.choose(1, turns[0].id)
        await store.close(await _running(store), TurnState.FAILED)
        await reader.ask("q4")
        assert not reader.used[-1]


# ------------------------------------------------------------------------------------ whatever happens, in whatever order


class Life:
    """A conversation in which anything may happen that a store knows of."""

    def __init__(self, store: Store, seed: int) -> None:
        self.store = store
        self.reader = Reader(store)
        self.random = random.Random(seed)
        self.turns: list[Turn] = []
        self.claimed: Turn | None = None
        self.keys = 0

    async def go_on(self) -> None:
        """Let one thing happen."""
        doings = [self.say] * 4 + [self.take_up] * 6 + [self.answer] * 6
        doings += [self.fail, self.stop_partly, self.park, self.unpark, self.retry, self.extend, self.choose, self.edit, self.withdraw]
        doings += [self.fill] if self.claimed else [self.reset, self.forget, self.age] if not self.random.randrange(6) else []
        await self.random.choice(doings)()

    def some(self) -> Turn | None:
        return self.random.choice(self.turns) if self.turns else None

    async def say(self) -> None:
        self.keys += 1
        event = message(f"q{self.keys}")
        assert event.turn is not None
        author = self.random.choice(["7", "8"])
        await accept(self.store, replace(event, turn=replace(event.turn, author=author, merge=self.random.choice([None, Merge(2.0)]))))

    async def take_up(self) -> None:
        """Claim what comes next, or, as after a crash, what was claimed already."""
        turn = await self.store.claim(1) if self.keys else None
        if turn is not None:
            self.claimed = turn
            self.turns.append(turn)
            await self.reader.read(turn)

    async def answer(self) -> None:
        if self.claimed is not None:
            self.keys += 1
            others = self.random.choice([(), SECOND])
            await self.store.answered(self.claimed, replace(reply(f"a{self.keys}"), others=others))
            await self.end(TurnState.DONE)

    async def end(self, state: TurnState, **more: Any) -> None:
        claimed, self.claimed = self.claimed, None
        assert claimed is not None
        await self.store.close(claimed, state, **more)

    async def fail(self) -> None:
        if self.claimed is not None:
            await self.end(TurnState.FAILED, error="no")

    async def stop_partly(self) -> None:
        if self.claimed is not None:
            await self.end(TurnState.STOPPED, partial="[in part]")

    async def park(self) -> None:
        if self.claimed is not None:
            await self.end(TurnState.PARKED, error="too often")

    async def unpark(self) -> None:
        for turn in self.turns:
            if (await self.store.turn(turn.id)).state is TurnState.PARKED:
                await self.store.unpark(turn.event)
                return

    async def retry(self) -> None:
        event = await self._command()
        turn = self.some()
        await self.store.retry(1, event, HERE, turn=None if turn is None else turn.id)

    async def extend(self) -> None:
        if turn := self.some():
            asked = message("more").turn
            assert asked is not None
            await self.store.extend(1, await self._command(), HERE, turn.id, asked)

    async def _command(self) -> int:
        self.keys += 1
        event = (await accept(self.store, command(f"c{self.keys}"))).event
        await self.store.finish_event(event)
        return event

    async def choose(self) -> None:
        if turn := self.some():
            await self.store.choose(1, turn.id)

    async def edit(self) -> None:
        number = self.random.randint(1, self.keys + 1)
        await self.store.edit_entry(HERE, f"m-q{number}", f'["edited {number}"]')

    async def withdraw(self) -> None:
        await self.store.withdraw(HERE, f"m-q{self.random.randint(1, self.keys + 1)}")

    async def fill(self) -> None:
        assert self.claimed is not None
        entries = [entry for entry in await self.store.transcript(self.claimed, ALL) if entry.turn == self.claimed.id]
        await self.store.fill(self.claimed, {entry.id: '["filled"]' for entry in entries})

    async def reset(self) -> None:
        if self.keys:
            await self.store.reset(1, before=await self._command())

    async def forget(self) -> None:
        if self.keys:
            await self.store.forget(1, before=await self._command())
            await self.store.sweep(1, older_than=None)

    async def age(self) -> None:
        await self.store.sweep(1, older_than=-1.0, limit=self.random.randint(1, 5))


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_happens_what_is_said_to_be_unchanged_is(store: Store, seed: int) -> None:
    life = Life(store, seed)
    await life.say()
    for _ in range(150):
        await life.go_on()
    assert sum(life.reader.used) >= 10, "else it says nothing"
    assert life.reader.used.count(False) >= 2


# ------------------------------------------------------------------------------------------------ every statement


def test_every_statement_that_writes_entries_says_whose_they_are() -> None:
    assert {"entry_insert", "question_copy", "answer_replace", "entry_replace", "entry_fill"} <= entry_writers()
    assert {
        "entries_supersede",
        "answers_supersede",
        "entries_remove",
        "entry_withdraw",
        "entry_note_edit",
        "edits_take",
        "withdrawal_note",
    } <= entry_writers()
    for name in entry_writers():
        returned = statements()[name].sql.rpartition("RETURNING")[2]
        assert "turn" in [column.strip() for column in returned.split(",")], name


async def test_a_statement_that_raised_nothing_would_be_found(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(store)
    turns = [await reader.exchange(key, others=SECOND) for key in ("q1", "q2")]
    monkeypatch.setattr("storage.revisions.entry_writers", lambda: entry_writers() - {"answer_replace"})
    await store.choose(1, turns[0].id)
    with pytest.raises(AssertionError):
        await reader.ask("q3")
