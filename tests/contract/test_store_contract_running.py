"""The promises of `storage.base.Store` about draining, stopping, closing and starting again."""

from __future__ import annotations

import asyncio
import itertools
import logging

import pytest

from storage.base import ChatAddress, ReplyRoute, Store, StoreUnavailableError, Turn, TurnState
from tests.support.clock import PATIENCE_SECONDS
from tests.support.stores import (
    HERE,
    THERE,
    Place,
    accept,
    ask,
    claim,
    command,
    drainer,
    eventually,
    exchange,
    memory,
    message,
    opened,
    read,
    reply,
    running,
)


class TestStop:
    async def test_it_sets_the_signal_of_the_running_turn_only(self, store: Store) -> None:
        turn = await ask(store, "q1")
        await accept(store, message("q2"))
        signal = store.stop_signal(turn.id)
        assert not signal.is_set()
        assert await store.stop(turn.conversation) == 1
        await asyncio.wait_for(signal.wait(), PATIENCE_SECONDS)
        await store.close(turn, TurnState.STOPPED)
        second = await claim(store, turn.conversation)
        assert not second.stop_requested
        assert not store.stop_signal(second.id).is_set()

    async def test_a_stop_between_claim_and_signal_is_not_lost(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert await store.stop(turn.conversation) == 1
        assert store.stop_signal(turn.id).is_set()

    async def test_queued_turns_stop_too_when_asked_for(self, store: Store) -> None:
        turn = await ask(store, "q1")
        await accept(store, message("q2"))
        assert await store.stop(turn.conversation, queued=True) == 2
        await store.close(turn, TurnState.STOPPED)
        second = await claim(store, turn.conversation)
        assert second.stop_requested
        assert store.stop_signal(second.id).is_set()

    async def test_it_survives_a_restart(self, place: Place) -> None:
        async with opened(place.store()) as store:
            turn = await ask(store, "q")
            await store.stop(turn.conversation)
        async with opened(place.store()) as store:
            again = await claim(store, turn.conversation)
            assert again.stop_requested
            assert store.stop_signal(again.id).is_set()

    async def test_nothing_to_stop_is_none_met(self, store: Store) -> None:
        await exchange(store, "q1")
        await accept(store, message("q2"))
        assert await store.stop(1) == 0
        assert await store.stop(99, queued=True) == 0

    async def test_one_turn_is_stopped_by_its_id_and_no_other(self, store: Store) -> None:
        running, waiting, other = await ask(store, "q1"), await accept(store, message("q2")), await ask(store, "q3", THERE)
        assert await store.stop_turn(running.conversation, running.id)
        assert await store.stop_turn(running.conversation, running.id)
        await asyncio.wait_for(store.stop_signal(running.id).wait(), PATIENCE_SECONDS)
        assert not await store.stop_turn(running.conversation, other.id)
        assert not store.stop_signal(other.id).is_set()
        await store.close(running, TurnState.STOPPED)
        assert not await store.stop_turn(running.conversation, running.id)
        second = await claim(store, running.conversation)
        assert (second.id, second.stop_requested) == (waiting.turn, False)

    async def test_one_turn_that_waits_is_stopped_by_its_id(self, store: Store) -> None:
        running, waiting = await ask(store, "q1"), await accept(store, message("q2"))
        assert waiting.turn is not None
        assert await store.stop_turn(1, waiting.turn)
        await store.close(running, TurnState.DONE)
        assert (await claim(store, 1)).stop_requested

    async def test_another_conversation_is_not_met(self, store: Store) -> None:
        mine, other = await ask(store, "q1", HERE), await ask(store, "q2", THERE)
        assert await store.stop(mine.conversation) == 1
        assert not store.stop_signal(other.id).is_set()


class TestRun:
    async def test_an_accepted_turn_is_drained(self, store: Store) -> None:
        done: list[str] = []

        async def work(turn: Turn) -> None:
            done.append((await store.event(turn.event)).key)

        async with running(store, drainer(store, work)):
            for key in "abc":
                await accept(store, message(key))
            await eventually(lambda: done == ["a", "b", "c"])

    async def test_a_conversation_is_never_drained_twice_at_once_and_in_order(self, store: Store) -> None:
        active: dict[int, int] = {}
        order: dict[int, list[int]] = {}

        async def work(turn: Turn) -> None:
            active[turn.conversation] = active.get(turn.conversation, 0) + 1
            assert active[turn.conversation] == 1
            await asyncio.sleep(0.001)
            order.setdefault(turn.conversation, []).append(turn.seq)
            active[turn.conversation] -= 1

        async with running(store, drainer(store, work)):
            for i in range(60):
                await accept(store, message(str(i), HERE if i % 2 else THERE))
                await asyncio.sleep(0.0005 * (i % 4))
            await eventually(lambda: sum(map(len, order.values())) == 60)
        assert list(order.values()) == [list(range(1, 31))] * 2

    async def test_a_stuck_conversation_holds_no_other(self, store: Store) -> None:
        done: list[int] = []

        async def work(turn: Turn) -> None:
            if turn.chat == HERE:
                await asyncio.Event().wait()
            done.append(turn.id)

        async with running(store, drainer(store, work)):
            await accept(store, message("stuck", HERE))
            others = [await accept(store, message(str(i), ChatAddress("memory", "bot", f"c{i}"))) for i in range(20)]
            await eventually(lambda: sorted(done) == sorted(other.turn or 0 for other in others))

    async def test_a_failing_conversation_is_logged_and_tried_again_without_spinning_and_holds_no_other(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        tries: list[float] = []
        done: list[int] = []

        async def work(turn: Turn) -> None:
            if turn.chat == HERE:
                tries.append(asyncio.get_running_loop().time())
                if len(tries) < 4:
                    raise RuntimeError("a bug of the caller")
            done.append(turn.id)

        with caplog.at_level(logging.ERROR):
            async with running(store, drainer(store, work)):
                poison = await accept(store, message("poison", HERE))
                good = await accept(store, message("good", THERE))
                await eventually(lambda: good.turn in done)
                await eventually(lambda: poison.turn in done)
        pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
        assert all(pause >= least for pause, least in zip(pauses, [0.019, 0.039, 0.079], strict=True))
        assert sum("draining conversation" in record.message for record in caplog.records) == 3

    async def test_a_drain_cancelled_from_within_is_tried_again(self, store: Store) -> None:
        tries: list[int] = []

        async def work(turn: Turn) -> None:
            tries.append(turn.attempt)
            if len(tries) == 1:
                raise asyncio.CancelledError

        async with running(store, drainer(store, work)):
            await accept(store, message("q"))
            await eventually(lambda: tries == [1, 2])

    async def test_a_drain_that_leaves_turns_open_is_called_again_but_does_not_spin(self, store: Store) -> None:
        calls: list[int] = []

        async def drain(conversation: int) -> None:
            calls.append(conversation)
            if len(calls) >= 4 and (turn := await store.claim(conversation)) is not None:
                await store.close(turn, TurnState.DONE)

        async with running(store, drain):
            started = asyncio.get_running_loop().time()
            await accept(store, message("q"))
            await eventually(lambda: len(calls) == 4)
            assert asyncio.get_running_loop().time() - started >= 0.055
            await asyncio.sleep(0.1)
            assert len(calls) == 4

    async def test_turns_left_open_are_drained_after_a_restart(self, place: Place) -> None:
        async with opened(place.store()) as store:
            waiting = await accept(store, message("waiting", HERE))
            generating = await ask(store, "generating", THERE)
            answered = await ask(store, "answered", ChatAddress("memory", "bot", "3"))
            await store.answered(answered, reply("whole"))
            await exchange(store, "done", ChatAddress("memory", "bot", "4"))
        seen: dict[int, tuple[TurnState, int, str | None]] = {}
        async with opened(place.store()) as store:

            async def work(turn: Turn) -> None:
                seen[turn.id] = (turn.state, turn.attempt, turn.answer)

            async with running(store, drainer(store, work)):
                await eventually(lambda: len(seen) == 3)
                await asyncio.sleep(0.01)
        assert seen == {
            waiting.turn: (TurnState.GENERATING, 1, None),
            generating.id: (TurnState.GENERATING, 2, None),
            answered.id: (TurnState.ANSWERED, 2, "whole"),
        }

    async def test_retry_wakes_the_conversation(self, store: Store) -> None:
        await exchange(store, "q1")
        event = (await accept(store, command("r"))).event
        seen: list[int] = []

        async def work(turn: Turn) -> None:
            seen.append(turn.event)

        async with running(store, drainer(store, work)):
            await store.retry(1, event, HERE)
            await eventually(lambda: seen == [event])

    async def test_an_accept_whose_caller_was_cancelled_is_drained_all_the_same(self, store: Store) -> None:
        seen: list[int] = []

        async def work(turn: Turn) -> None:
            seen.append(turn.id)

        async with running(store, drainer(store, work)):
            task = asyncio.create_task(store.accept(message("q")))
            await asyncio.sleep(0)
            task.cancel()
            await eventually(lambda: len(seen) == 1)
            assert await store.accept(message("q")) is None

    async def test_it_can_run_again_after_it_was_cancelled_and_not_twice_at_once(self, store: Store) -> None:
        seen: list[int] = []

        async def work(turn: Turn) -> None:
            seen.append(turn.seq)

        drain = drainer(store, work)
        for seq in (1, 2):
            async with running(store, drain):
                await asyncio.sleep(0)
                with pytest.raises(RuntimeError):
                    await store.run(drain)
                await accept(store, message(str(seq)))
                await eventually(lambda seq=seq: seq in seen)  # type: ignore[misc]  # mypy can't infer a lambda with a default


class TestLife:
    async def test_everything_is_as_before_after_a_restart(self, place: Place) -> None:
        async with opened(place.store()) as store:
            await exchange(store, "q1", state=memory("chat-1"))
            before = await store.provider_state(1, "modelslab")
            await accept(store, message("q2"))
        async with opened(place.store()) as store:
            turn = await claim(store, 1)
            assert await read(store, turn) == ["q1", "[a-q1]", "q2"]
            assert await store.provider_state(1, "modelslab") == before
            assert await store.counts(1) == (3, 1)

    async def test_a_closed_store_says_so(self, place: Place) -> None:
        store = place.store()
        async with opened(store):
            pass
        await store.aclose()
        with pytest.raises(StoreUnavailableError, match="not open"):
            await store.accept(message("q"))
        with pytest.raises(StoreUnavailableError, match="not open"):
            await store.open_events()

    async def test_what_is_queued_when_it_closes_is_committed(self, place: Place) -> None:
        store = place.store()
        await store.open()
        tasks = [asyncio.create_task(store.accept(message(str(i)))) for i in range(300)]
        await asyncio.sleep(0)
        await store.aclose()
        assert all(result is not None for result in await asyncio.gather(*tasks))
        async with opened(place.store()) as store:
            assert await store.counts(1) == (300, 300)

    async def test_no_word_said_reaches_the_log(self, place: Place, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG):
            async with opened(place.store()) as store:
                await accept(store, message("q", text="very private"))
                await accept(store, command("c", route=ReplyRoute("very private token", place.now() + 900)))
                await read(store, await claim(store, 1))
        assert "very private" not in caplog.text


async def test_a_turn_tells_whether_other_questions_waited_with_it(place: Place) -> None:
    async def later(key: str) -> None:
        place.now.seconds += 1
        await accept(store, message(key))
        place.now.seconds += 1

    async with opened(place.store()) as store:
        turn = await ask(store, "q1")
        for key in ("q2", "q3"):
            await later(key)
        told = [turn.among_others]
        for key in ("", "q4", ""):
            await store.close(turn, TurnState.DONE)
            turn = await claim(store, turn.conversation)
            told.append(turn.among_others)
            if key:
                await later(key)
        assert told == [False, True, True, False]
        await store.close(turn, TurnState.DONE)
        place.now.seconds += 1
        assert not (await ask(store, "q5")).among_others
