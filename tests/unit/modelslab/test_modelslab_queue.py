"""ModelsLab v6 chat: queued answers are collected, also after a crash and by another process."""

import json

import pytest

from adapters.base import Billed, ErrorKind, Finished, Progress, Started, Submitted, TextDelta
from adapters.modelslab import ModelsLab
from sandbox.faults import Fault
from sandbox.providers.modelslab import _ATTRIBUTES
from tests.support.modelslab import QUEUE, ZEPHYR, ask, begun, bodies, chat_id
from tests.support.providers import KEY, PROMPT, events, failure, submitted


async def test_a_queued_answer_is_polled_for_and_progress_is_told(modelslab, server, slept):
    server.queue_for, server.eta = 3, 5
    got = await events(modelslab, ask())
    assert got[0] == Started()
    assert isinstance(got[1], Submitted)
    assert got[2:6] == [Progress("processing", 5.0)] * 4
    assert got[6] == TextDelta(f"{ZEPHYR} heard: {PROMPT}")
    assert chat_id(got[-1].state) in server.chats
    assert slept == [5.0, 7.5, 10.0, 10.0]
    assert bodies(server, "get_queued_response") == [{"key": KEY, "chat_id": chat_id(got[-1].state)}] * 4


@pytest.mark.parametrize(("eta", "in_meta", "first"), [(1, False, 2.0), (0.4, True, 2.0), (7.25, True, 7.25), (500, False, 120.0)])
async def test_eta_is_read_where_it_stands_and_waited_for(modelslab, server, slept, eta, in_meta, first):  # noqa: PLR0917 - fixtures and a row
    server.queue_for, server.eta, server.eta_in_meta, server.vain_success = 1, eta, in_meta, True
    if eta == 500:
        assert (await failure(modelslab, ask())).kind is ErrorKind.EMPTY
    else:
        assert isinstance((await events(modelslab, ask()))[-1], Finished)
    assert slept[0] == first


async def test_after_a_crash_the_queued_answer_is_collected_and_not_asked_again(modelslab, server, session, slept):
    server.queue_for, server.eta = 1, 5
    handle = await submitted(modelslab, ask())
    assert KEY not in handle
    assert PROMPT not in handle
    after = ModelsLab(session, key=KEY, base_url=server.base_url, sleep=modelslab._sleep)
    got = await events(after, ask(resume=handle))
    assert [event for event in got if isinstance(event, TextDelta)] == [TextDelta(f"{ZEPHYR} heard: {PROMPT}")]
    assert not [event for event in got if isinstance(event, Submitted)]
    assert len(bodies(server)) == 1
    assert slept == [2.0]
    assert list(server.chats) == [chat_id(got[-1].state)]


async def test_the_answer_collected_is_the_one_to_this_question(modelslab, server, session):
    state, said = await begun(modelslab)
    server.queue_for = 1
    handle = await submitted(modelslab, ask(*said, "two", state=state))
    server.chats[chat_id(state)].queued = None  # the queue was emptied: what it has is the answer before
    after = ModelsLab(session, key=KEY, base_url=server.base_url, sleep=modelslab._sleep)
    error = await failure(after, ask(*said, "two", state=state, resume=handle))
    assert (error.kind, error.billed) == (ErrorKind.STATE_LOST, Billed.MAYBE)
    server.faults.add(Fault(path=QUEUE, status=200, body={"status": "success", "message": said[1]}))
    error = await failure(after, ask(*said, "two", state=state, resume=handle))
    assert (error.kind, error.billed) == (ErrorKind.STATE_LOST, Billed.MAYBE)


async def test_a_queued_answer_that_is_gone_is_lost_and_may_have_been_billed(modelslab, server):
    server.queue_for = 1
    handle = await submitted(modelslab, ask())
    server.chats.clear()
    error = await failure(modelslab, ask(resume=handle), json.loads(handle)["chat"])
    assert (error.kind, error.billed) == (ErrorKind.STATE_LOST, Billed.MAYBE)
    assert len(bodies(server)) == 1


@pytest.mark.parametrize(
    "handle", ["", "{", "[]", '{"chat_id": "x"}', '{"account": "a", "chat": "b", "prompt": "c"}', '{"account": 1, "chat": 2, "prompt": 3}']
)
async def test_a_handle_of_somebody_else_is_not_collected(modelslab, server, handle):
    assert isinstance((await events(modelslab, ask(resume=handle)))[-1], Finished)
    assert len(bodies(server)) == 1


async def test_reset_sends_the_conversation_along_and_keeps_the_chat(modelslab, server, voice):
    state, said = await begun(modelslab)
    got = await events(modelslab, ask(*said, "two", state=state, system="Gold", parameters={"reset": True}))
    sent = bodies(server)[-1]
    assert (sent["chat_id"], sent["reset"], sent["system_prompt"]) == (chat_id(state), True, "Gold")
    assert [message["content"] for message in voice.heard[-1]] == ["Gold", sent["prompt"]]
    assert said[1] in sent["prompt"]
    assert got[-1].state == state
    await events(modelslab, ask(parameters={"reset": True}))
    assert "reset" not in bodies(server)[-1]


async def test_only_the_operator_starts_uncensored_chats(server, session):
    assert "uncensored_system_prompt" not in ModelsLab.parameters.model_fields
    provider = ModelsLab(session, key=KEY, base_url=server.base_url, uncensored=True)
    got = await events(provider, ask("one"))
    await events(provider, ask("one", "uno", "two", state=got[-1].state))
    assert [body.get("uncensored_system_prompt") for body in bodies(server)] == [True, None]


def test_every_attribute_of_the_document_is_known_to_adapter_and_stand_in():
    ours = {"key", "model_id", "chat_id", "system_prompt", "prompt", "uncensored_system_prompt", *ModelsLab.parameters.model_fields}
    assert {*_ATTRIBUTES} - ours == {"webhook", "track_id"}  # these the operator sets, see test_modelslab_hints


async def test_success_without_text_is_not_yet_an_answer(modelslab, server):
    server.queue_for, server.vain_success = 2, True
    got = await events(modelslab, ask())
    assert [event for event in got if isinstance(event, TextDelta)] == [TextDelta(f"{ZEPHYR} heard: {PROMPT}")]


async def test_a_queue_without_end_times_out_in_two_minutes(modelslab, server, slept):
    server.queue_for = 1000
    error = await failure(modelslab, ask())
    assert (error.kind, error.billed) == (ErrorKind.TIMEOUT_TOTAL, Billed.MAYBE)
    assert 119 <= sum(slept) <= 120


async def test_an_empty_direct_answer_is_looked_for_shortly_then_given_up(modelslab, voice, slept):
    voice.queue("")
    error = await failure(modelslab, ask())
    assert error.kind is ErrorKind.EMPTY
    assert sum(slept) <= 10


@pytest.mark.parametrize("fault", [Fault(path=QUEUE, status=503), Fault(path=QUEUE, drop="before"), Fault(path=QUEUE, status=429)])
async def test_looks_into_the_queue_are_repeated_the_question_is_not(modelslab, server, fault):
    server.queue_for = 1
    server.faults.add(Fault(**{name: getattr(fault, name) for name in ("path", "status", "drop")}))
    assert isinstance((await events(modelslab, ask()))[-1], Finished)
    assert len(bodies(server)) == 1


async def test_a_look_into_the_queue_waits_as_long_as_told(modelslab, server, slept):
    server.queue_for = 1
    server.faults.add(Fault(path=QUEUE, status=429, body={"status": "error", "message": "Rate limit exceeded.", "retry_after": 30}))
    await events(modelslab, ask())
    assert slept[:2] == [2.0, 30.0]


async def test_a_failed_job_ends_the_waiting(modelslab, server):
    server.queue_for = 1
    server.faults.add(Fault(path=QUEUE, status=200, body={"status": "failed", "message": "Something broke in the model"}))
    error = await failure(modelslab, ask())
    assert (error.kind, error.billed) == (ErrorKind.SERVER, Billed.MAYBE)
    assert len(bodies(server, "get_queued_response")) == 1
