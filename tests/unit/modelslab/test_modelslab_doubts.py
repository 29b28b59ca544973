"""ModelsLab v6 chat: no question is asked twice, and no chat is used of which nobody knows what it heard."""

import asyncio
from contextlib import AsyncExitStack, aclosing

import pytest

from adapters.base import Billed, ErrorKind, Finished, Progress, Started, Submitted, TextDelta
from adapters.http import Budgets
from adapters.modelslab import BUDGETS, ModelsLab
from adapters.router import Candidate, Router
from sandbox.faults import Fault
from tests.support.modelslab import CHAT, ZEPHYR, ask, begun, bodies, chat_id
from tests.support.providers import KEY, events, failure
from tests.support.scripted import ScriptedProvider
from tests.support.seam import eventually


async def test_an_answer_whose_connection_was_cut_is_found_in_the_queue(modelslab, server):
    state, said = await begun(modelslab)
    server.faults.add(Fault(path=CHAT, drop="after"))
    got = await events(modelslab, ask(*said, "two", state=state))
    assert got[1] == TextDelta(f"{ZEPHYR} heard: two")
    assert got[-1].state == state
    assert len(bodies(server)) == 2


@pytest.mark.parametrize("status", [200, 400])
async def test_what_the_server_itself_calls_failed_is_not_looked_for(modelslab, server, status):
    state, said = await begun(modelslab)
    server.faults.add(Fault(path=CHAT, status=status, body={"status": "failed", "message": "It broke"}))
    await failure(modelslab, ask(*said, "two", state=state))
    assert not bodies(server, "get_queued_response")


async def test_a_question_that_never_arrived_is_not_answered_by_the_turn_before(modelslab, server):
    state, said = await begun(modelslab)
    server.faults.add(Fault(path=CHAT, drop="before"))
    error = await failure(modelslab, ask(*said, "two", state=state))
    assert (error.kind, error.billed) == (ErrorKind.SERVER, Billed.MAYBE)
    assert len(bodies(server, "get_queued_response")) == 1


async def test_the_same_question_again_is_not_answered_by_its_first_answer(modelslab, server, voice):
    voice.queue("Yes.")
    got = await events(modelslab, ask("again?"))
    server.faults.add(Fault(path=CHAT, drop="before"))
    assert (await failure(modelslab, ask("again?", "Yes.", "again?", state=got[-1].state))).billed is Billed.MAYBE


async def test_a_chat_with_an_unknown_outcome_is_never_used_again(modelslab, server):
    state, said = await begun(modelslab)
    server.faults.add(Fault(path=CHAT, drop="before"))
    await failure(modelslab, ask(*said, "two", state=state))
    got = await events(modelslab, ask(*said, "two", state=state))
    assert chat_id(got[-1].state) != chat_id(state)
    assert "chat_id" not in bodies(server)[-1]
    assert bodies(server)[-1]["prompt"].endswith("two")


async def test_a_refusal_leaves_the_chat_usable(modelslab, server):
    state, said = await begun(modelslab)
    server.faults.add(Fault(path=CHAT, status=429, body={"status": "error", "message": "Rate limit exceeded."}))
    await failure(modelslab, ask(*said, "two", state=state))
    assert (await events(modelslab, ask(*said, "two", state=state)))[-1].state == state


async def test_a_stopped_question_makes_its_chat_doubtful(modelslab, server):
    state, said = await begun(modelslab)
    server.hold = asyncio.Event()
    task = asyncio.create_task(events(modelslab, ask(*said, "two", state=state)))
    await eventually(lambda: server.chats[chat_id(state)].busy)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    server.hold.set()
    got = await events(modelslab, ask(*said, "three", state=state))
    assert chat_id(got[-1].state) != chat_id(state)


async def test_a_time_out_may_have_been_billed(server, session):
    quick = ModelsLab(session, key=KEY, base_url=server.base_url, budgets=Budgets(first=0.1, total=0.1))
    server.hold = asyncio.Event()
    error = await failure(quick, ask())
    assert error.kind in {ErrorKind.TIMEOUT_FIRST, ErrorKind.TIMEOUT_TOTAL}
    assert error.billed is Billed.MAYBE


async def test_a_question_that_is_still_at_work_after_its_time_is_waited_for(server, session, loop_time):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            server.hold.set()
        await asyncio.sleep(0.01)

    provider = ModelsLab(session, key=KEY, base_url=server.base_url, sleep=sleep)
    state, said = await begun(provider)
    server.hold = asyncio.Event()
    asking = asyncio.create_task(events(provider, ask(*said, "two", state=state)))
    await eventually(lambda: server.chats[chat_id(state)].busy)
    await loop_time.skip(BUDGETS.total)
    got = await asking
    assert Progress("processing", 1.0) in got
    assert [event.text for event in got if isinstance(event, TextDelta)] == [f"{ZEPHYR} heard: two"]


# -------------------------------------------------------------------------------------------------- gates


async def test_one_chat_takes_one_request_at_a_time(modelslab, server):
    state, said = await begun(modelslab)
    got = await asyncio.gather(*(events(modelslab, ask(*said, f"two {number}", state=state)) for number in range(3)))
    assert all(isinstance(one[-1], Finished) for one in got)
    assert len(server.chats[chat_id(state)].messages) == 8


async def test_the_account_has_one_request_less_under_way_than_it_may(modelslab, server):
    server.hold = asyncio.Event()
    tasks = [asyncio.create_task(events(modelslab, ask(f"question {number}"))) for number in range(8)]
    await eventually(lambda: sum(one.busy for one in server.chats.values()) == 4)
    await asyncio.sleep(0.05)
    assert len(server.calls) == 4
    server.hold.set()
    got = await asyncio.gather(*tasks)
    assert all(isinstance(one[-1], Finished) for one in got)


async def test_who_waits_for_a_place_says_so_and_gets_the_next_that_is_free(modelslab, server, monkeypatch):
    monkeypatch.setattr("adapters.places.TELL_S", 0.01)
    server.hold = asyncio.Event()
    tasks = [asyncio.create_task(events(modelslab, ask(f"question {number}"))) for number in range(4)]
    await eventually(modelslab._gate.locked)
    stream = modelslab.stream(ask("the fifth"))
    waits = [await anext(stream) for _ in range(4)]
    assert [wait.kind for wait in waits] == ["queued"] * 4
    assert waits[0].eta is None or waits[0].eta < 1
    assert waits[3].eta > waits[1].eta > 0  # nobody knows; as long again as it has waited
    assert len(server.calls) == 4
    server.hold.set()
    rest = [event async for event in stream if not isinstance(event, Progress)]
    assert [type(event) for event in rest] == [Started, TextDelta, Finished]
    await asyncio.gather(*tasks)
    assert not modelslab._gate.locked()


async def test_others_answer_where_the_account_has_no_room_for_long(modelslab, server, monkeypatch):
    monkeypatch.setattr("adapters.places.TELL_S", 0.01)
    monkeypatch.setattr("adapters.router.PATIENCE_S", 0.05)
    server.hold = asyncio.Event()
    tasks = [asyncio.create_task(events(modelslab, ask(f"question {number}"))) for number in range(4)]
    await eventually(modelslab._gate.locked)
    router = Router({"modelslab": modelslab, "alpha": ScriptedProvider()})

    async def made():
        return ask("the fifth")

    chain = router.chain([Candidate("modelslab", ZEPHYR, made), Candidate("alpha", "small", made)])
    got = [event async for event in chain]
    assert [event.text for event in got if isinstance(event, TextDelta)] == ["heard: the fifth"]
    assert len(server.calls) == 4  # it was not asked at all
    server.hold.set()
    await asyncio.gather(*tasks)
    assert isinstance((await events(modelslab, ask("the sixth")))[-1], Finished)
    assert not modelslab._gate.locked()


async def test_who_has_waited_as_long_as_may_be_is_asked_all_the_same(modelslab, server, monkeypatch):
    monkeypatch.setattr("adapters.modelslab.PLACE_TOTAL_S", 0.05)
    server.hold = asyncio.Event()
    tasks = [asyncio.create_task(events(modelslab, ask(f"question {number}"))) for number in range(5)]
    await eventually(lambda: len(server.calls) == 5)
    server.hold.set()
    assert all(isinstance(got[-1], Finished) for got in await asyncio.gather(*tasks))
    assert [await _free(modelslab) for _ in range(2)] == [4, 4]  # who had none gave none back


async def _free(modelslab):
    """How many places are free."""
    async with AsyncExitStack() as held:
        for count in range(9):
            async with aclosing(modelslab._gate.take(held, 3600.0)) as waits:
                async for _ in waits:
                    return count
    return None


async def test_a_stop_ends_the_waiting_and_loses_no_place(modelslab, server):
    server.hold = asyncio.Event()
    tasks = [asyncio.create_task(events(modelslab, ask(f"question {number}"))) for number in range(6)]
    await eventually(modelslab._gate.locked)
    await asyncio.sleep(0.05)
    for task in tasks[4:]:
        task.cancel()
    server.hold.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert len(server.calls) == 4
    assert await _free(modelslab) == 4


async def test_a_generator_closed_while_queued_lets_go_of_its_place(modelslab, server):
    server.queue_for = 100
    for _ in range(6):
        stream = modelslab.stream(ask())
        assert await anext(stream) == Started()
        assert isinstance(await anext(stream), Submitted)
        assert isinstance(await anext(stream), Progress)
        await stream.aclose()
        server.chats.clear()
    assert not modelslab._gate.locked()
