"""The promises of `storage.base.Store` behind Retry and Continue, for every implementation."""

from __future__ import annotations

import pytest

from storage.base import ChatAddress, NewTurn, Store, Turn, TurnState
from tests.support.stores import HERE, THERE, accept, ask, claim, command, exchange, memory, message, read, reply


class TestRetry:
    async def test_the_last_question_is_asked_again_without_its_answer(self, store: Store) -> None:
        await exchange(store, "q1")
        await exchange(store, "q2", state=memory())
        event = (await accept(store, command("/retry"))).event
        turn_id = await store.retry(1, event, HERE)
        turn = await claim(store, 1)
        assert (turn.id, turn.event, turn.attempt) == (turn_id, event, 1)
        assert await read(store, turn) == ["q1", "[a-q1]", "q2"]
        assert await store.provider_state(1, "modelslab") is None

    async def test_it_can_be_repeated(self, store: Store) -> None:
        await exchange(store, "q1")
        for key in ("r1", "r2"):
            assert await store.retry(1, (await accept(store, command(key))).event, HERE)
            turn = await claim(store, 1)
            assert await read(store, turn) == ["q1"]
            await store.answered(turn, reply(key))
            await store.close(turn, TurnState.DONE)
        assert await read(store, await ask(store, "q2")) == ["q1", "[r2]", "q2"]

    @pytest.mark.parametrize("state", [TurnState.STOPPED, TurnState.FAILED])
    async def test_a_turn_without_an_answer_can_be_asked_again(self, store: Store, state: TurnState) -> None:
        await store.close(await ask(store, "q1"), state, partial="[half]" if state is TurnState.STOPPED else None)
        await store.retry(1, (await accept(store, command("r"))).event, HERE)
        assert await read(store, await claim(store, 1)) == ["q1"]

    async def test_it_answers_where_it_was_asked(self, store: Store) -> None:
        await exchange(store, "q1", HERE)
        await store.retry(1, (await accept(store, command("r"))).event, THERE)
        assert (await claim(store, 1)).chat == THERE

    async def test_the_same_command_run_again_after_a_crash_makes_no_second_turn(self, store: Store) -> None:
        await exchange(store, "q1")
        event = (await accept(store, command("r"))).event
        turn = await store.retry(1, event, HERE)
        assert await store.retry(1, event, HERE) == turn
        await store.close(await claim(store, 1), TurnState.DONE)
        assert await store.retry(1, event, HERE) == turn
        assert await store.claim(1) is None

    async def test_nothing_to_ask_again_is_none(self, store: Store) -> None:
        event = (await accept(store, command("r"))).event
        assert await store.retry(1, event, HERE) is None

    async def test_while_a_turn_is_open_it_is_none(self, store: Store) -> None:
        await exchange(store, "q1")
        await accept(store, message("q2"))
        event = (await accept(store, command("r"))).event
        assert await store.retry(1, event, HERE) is None

    async def test_what_was_reset_is_not_asked_again(self, store: Store) -> None:
        await exchange(store, "q1")
        await store.reset(1)
        event = (await accept(store, command("r"))).event
        assert await store.retry(1, event, HERE) is None


class TestRetryOfATurn:
    """Retry under one answer of several."""

    async def again(self, store: Store, turn: Turn, key: str = "r", chat: ChatAddress = HERE) -> int | None:
        return await store.retry(turn.conversation, (await accept(store, command(key, chat))).event, chat, turn=turn.id)

    async def test_the_newest_answer_is_replaced(self, store: Store) -> None:
        await exchange(store, "q1")
        turn = await exchange(store, "q2", state=memory())
        made = await self.again(store, turn)
        again = await claim(store, 1)
        assert (again.id, again.seq) == (made, 3)
        assert await read(store, again) == ["q1", "[a-q1]", "q2"]
        assert await store.provider_state(1, "modelslab") is None

    async def test_an_older_question_is_asked_anew_and_what_was_said_since_stays(self, store: Store) -> None:
        turn = await exchange(store, "q1")
        await exchange(store, "q2", state=memory())
        await self.again(store, turn)
        again = await claim(store, 1)
        assert await read(store, again) == ["q1", "[a-q1]", "q2", "[a-q2]", "q1"]
        assert await store.provider_state(1, "modelslab") is not None
        await store.answered(again, reply("anew"))
        await store.close(again, TurnState.DONE)
        assert await read(store, await ask(store, "q3")) == ["q1", "[a-q1]", "q2", "[a-q2]", "q1", "[anew]", "q3"]

    async def test_an_answer_asked_for_twice_leaves_one_exchange_whichever_of_its_messages_is_pressed(self, store: Store) -> None:
        turn = await exchange(store, "q1")
        for key in ("r1", "r2"):
            await self.again(store, turn, key)
            again = await claim(store, 1)
            assert await read(store, again) == ["q1"]
            await store.answered(again, reply(key))
            await store.close(again, TurnState.DONE)
        assert await read(store, await ask(store, "q2")) == ["q1", "[r2]", "q2"]
        assert await store.counts(1) == (3, 1)

    async def test_pressed_twice_it_is_asked_once(self, store: Store) -> None:
        turn = await exchange(store, "q1")
        made = await self.again(store, turn, "r1")
        assert await self.again(store, turn, "r2") == made
        again = await claim(store, 1)
        assert await self.again(store, turn, "r3") == made
        await store.answered(again, reply("a"))
        assert await self.again(store, turn, "r4") not in {None, made}

    async def test_it_waits_behind_what_is_open(self, store: Store) -> None:
        turn = await exchange(store, "q1")
        other = await ask(store, "q2")
        made = await self.again(store, turn)
        await store.answered(other, reply("a-q2"))
        await store.close(other, TurnState.DONE)
        again = await claim(store, 1)
        assert again.id == made
        assert await read(store, again) == ["q1", "[a-q1]", "q2", "[a-q2]", "q1"]

    async def test_an_answer_that_is_still_being_shown_can_be_asked_again(self, store: Store) -> None:
        turn = await ask(store, "q1")
        await store.answered(turn, reply("a"))
        made = await self.again(store, turn)
        assert made not in {None, turn.id}
        await store.close(turn, TurnState.DONE)
        assert await read(store, await claim(store, 1)) == ["q1"]

    async def test_a_turn_without_an_answer_yet_is_not_asked_again(self, store: Store) -> None:
        turn = await ask(store, "q1")
        assert await self.again(store, turn) is None

    async def test_another_conversations_turn_is_not_asked_again(self, store: Store) -> None:
        turn = await exchange(store, "q1", THERE)
        mine = await exchange(store, "q2", HERE)
        event = (await accept(store, command("r", HERE))).event
        assert await store.retry(mine.conversation, event, HERE, turn=turn.id) is None
        assert await store.retry(mine.conversation, event, HERE, turn=10**15) is None

    async def test_what_was_said_before_a_reset_is_asked_without_it(self, store: Store) -> None:
        await exchange(store, "q1")
        turn = await exchange(store, "q2")
        await store.reset(1)
        await self.again(store, turn)
        assert await read(store, await claim(store, 1)) == ["q2"]

    async def test_what_is_to_be_forgotten_is_not_asked_again(self, store: Store) -> None:
        turn = await exchange(store, "q1")
        await store.forget(1, before=(await accept(store, command("/forget"))).event)
        assert await self.again(store, turn) is None

    async def test_an_edit_reaches_the_question_that_waits(self, store: Store) -> None:
        turn = await exchange(store, "q1")
        await self.again(store, turn)
        assert await store.edit_entry(HERE, "m-q1", "corrected")
        assert await read(store, await claim(store, 1)) == ["corrected"]


GO_ON = NewTurn("go on", None, "8", "Bob")


class TestExtend:
    """Continue under an answer."""

    async def more(self, store: Store, turn: Turn, key: str = "c") -> int | None:
        return await store.extend(turn.conversation, (await accept(store, command(key))).event, HERE, turn.id, GO_ON)

    async def test_the_answer_stays_and_what_is_asked_comes_behind_it(self, store: Store) -> None:
        turn = await exchange(store, "q1")
        made = await self.more(store, turn)
        more = await claim(store, 1)
        assert more.id == made
        assert await read(store, more) == ["q1", "[a-q1]", "go on"]
        (*_, entry) = await store.transcript(more, 9)
        assert (entry.role, entry.author, entry.author_name) == ("user", "8", "Bob")
        await store.answered(more, reply("more"))
        await store.close(more, TurnState.DONE)
        assert await read(store, await ask(store, "q2")) == ["q1", "[a-q1]", "go on", "[more]", "q2"]

    async def test_a_partial_answer_can_be_continued(self, store: Store) -> None:
        turn = await ask(store, "q1")
        await store.close(turn, TurnState.STOPPED, partial="[half]")
        said = await store.answer_of(1, turn.id)
        assert said is not None
        assert (said.turn, said.role, said.content) == (turn.id, "assistant", "[half]")
        await self.more(store, turn)
        assert await read(store, await claim(store, 1)) == ["q1", "[half]", "go on"]

    async def test_the_newest_answer_is_found_by_itself(self, store: Store) -> None:
        assert await store.answer_of(1) is None
        await exchange(store, "q1")
        await exchange(store, "q2")
        said = await store.answer_of(1)
        assert said is not None
        assert said.content == "[a-q2]"
        await ask(store, "q3")
        assert await store.answer_of(1) is None

    async def test_the_newest_turn_is_found_with_or_without_an_answer_until_a_reset(self, store: Store) -> None:
        assert await store.newest_turn(1) is None
        first = await exchange(store, "q1")
        between = (await accept(store, command("c"))).event
        failed = await ask(store, "q2")
        await store.close(failed, TurnState.FAILED, error="interrupted")
        assert await store.newest_turn(1) == failed.id
        assert (await store.turn(failed.id)).error == "interrupted"
        assert await store.newest_turn(1, before=between) == first.id
        await store.reset(1)
        assert await store.newest_turn(1) is None

    async def test_the_same_event_carried_out_again_makes_no_second_turn(self, store: Store) -> None:
        turn = await exchange(store, "q1")
        event = (await accept(store, command("c"))).event
        made = await store.extend(1, event, HERE, turn.id, GO_ON)
        assert await store.extend(1, event, HERE, turn.id, GO_ON) == made
        more = await claim(store, 1)
        await store.answered(more, reply("more"))
        await store.close(more, TurnState.DONE)
        assert await store.extend(1, event, HERE, turn.id, GO_ON) == made
        assert await store.claim(1) is None

    async def test_pressed_twice_it_goes_on_once(self, store: Store) -> None:
        turn = await exchange(store, "q1")
        made = await self.more(store, turn, "c1")
        assert await self.more(store, turn, "c2") == made
        more = await claim(store, 1)
        await store.answered(more, reply("more"))
        await store.close(more, TurnState.DONE)
        assert await self.more(store, turn, "c3") is None

    async def test_a_continuation_that_brought_nothing_is_no_continuation(self, store: Store) -> None:
        turn = await exchange(store, "q1")
        await self.more(store, turn, "c1")
        await store.close(await claim(store, 1), TurnState.FAILED)
        assert await self.more(store, turn, "c2") is not None
        assert await read(store, await claim(store, 1)) == ["q1", "[a-q1]", "go on"]

    async def test_a_continuation_asked_again_is_still_one(self, store: Store) -> None:
        turn = await exchange(store, "q1")
        await self.more(store, turn, "c1")
        more = await claim(store, 1)
        await store.answered(more, reply("more"))
        await store.close(more, TurnState.DONE)
        again = await store.retry(1, (await accept(store, command("r"))).event, HERE, turn=more.id)
        assert await self.more(store, turn, "c2") == again
        assert await read(store, await claim(store, 1)) == ["q1", "[a-q1]", "go on"]

    async def test_what_no_request_holds_is_not_continued(self, store: Store) -> None:
        unanswered = await ask(store, "q1")
        assert await self.more(store, unanswered, "c1") is None
        await store.answered(unanswered, reply("a"))
        await store.close(unanswered, TurnState.DONE)
        await store.retry(1, (await accept(store, command("r"))).event, HERE, turn=unanswered.id)
        assert await store.answer_of(1, unanswered.id) is None
        assert await self.more(store, unanswered, "c2") is None
        again = await claim(store, 1)
        await store.answered(again, reply("b"))
        await store.close(again, TurnState.DONE)
        await store.reset(1)
        assert await store.answer_of(1, again.id) is None
        assert await self.more(store, again, "c3") is None

    async def test_another_conversations_answer_is_neither_read_nor_continued(self, store: Store) -> None:
        mine, other = await exchange(store, "q1", HERE), await exchange(store, "q2", THERE)
        event = (await accept(store, command("c", HERE))).event
        assert await store.answer_of(mine.conversation, other.id) is None
        assert await store.extend(mine.conversation, event, HERE, other.id, GO_ON) is None
