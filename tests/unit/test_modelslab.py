"""ModelsLab v6 chat: the chat_id is a cache and a secret, queued answers are collected, no question is asked twice."""

import asyncio
import json
import logging
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import pytest

from adapters.base import (
    Billed,
    ChatRequest,
    ErrorKind,
    Finished,
    Message,
    Progress,
    Provider,
    ProviderError,
    Scope,
    Started,
    Submitted,
    TextDelta,
    TextPart,
)
from adapters.http import Budgets
from adapters.modelslab import ModelsLab
from adapters.router import Router
from sandbox.faults import Fault
from sandbox.providers import ModelsLabSandbox
from sandbox.providers.modelslab import _ATTRIBUTES

KEY = "ml-canary-key-0123456789"
PROMPT = "canary prompt about forty silver spoons"
ZEPHYR = "zephyr-7b-beta"
CHAT, QUEUE = "*/llm/chat", "*/llm/get_queued_response"


@pytest.fixture
async def server(voice):
    async with ModelsLabSandbox(key=KEY, voice=voice) as sandbox:
        yield sandbox


@pytest.fixture
def slept():
    return []


@pytest.fixture
def modelslab(server, session, slept):
    async def sleep(seconds):
        slept.append(seconds)

    return ModelsLab(session, key=KEY, base_url=server.base_url, sleep=sleep)


def talk(*texts: str) -> tuple[Message, ...]:
    return tuple(Message("assistant" if number % 2 else "user", (TextPart(text),)) for number, text in enumerate(texts))


def ask(*texts: str, **more: Any) -> ChatRequest:
    return ChatRequest(ZEPHYR, talk(*(texts or (PROMPT,))), **more)


async def events(provider: Provider, request: ChatRequest) -> list[Any]:
    return [event async for event in provider.stream(request)]


async def failure(provider: Provider, request: ChatRequest, *secrets: str) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await events(provider, request)
    error = caught.value
    for secret in (KEY, PROMPT, *secrets):
        assert secret not in f"{error!r} {error} {error.detail}"
    return error


async def until(true: Callable[[], bool]) -> None:
    """Wait until a stand-in in the same loop has come so far."""
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - the stand-in has no event for it
            await asyncio.sleep(0.005)


def chat_id(state: str | None) -> str:
    assert state is not None
    return str(json.loads(state)["chat_id"])


def bodies(server: ModelsLabSandbox, part: str = "/llm/chat") -> list[Any]:
    return [call.body for call in server.calls_to("POST", part)]


# ------------------------------------------------------------------------------------- start and continue


async def test_a_new_chat_sends_persona_and_prompt_and_returns_its_state(modelslab, server):
    got = await events(modelslab, ask(system="Gold Mining"))
    assert got[:2] == [Started(model=ZEPHYR), TextDelta(f"{ZEPHYR} heard: {PROMPT}")]
    assert isinstance(got[2], Finished)
    assert len(got) == 3
    assert chat_id(got[2].state) in server.chats
    assert bodies(server) == [
        {
            "key": KEY,
            "model_id": ZEPHYR,
            "prompt": PROMPT,
            "system_prompt": "Gold Mining",
            "max_new_tokens": 1024,
            "do_sample": True,
            "no_repeat_ngram_size": 0,
            "temp": False,
        }
    ]


async def test_twenty_turns_use_one_chat_and_send_one_message_each(modelslab, server):
    state, said = None, []
    for number in range(20):
        said.append(f"question {number}")
        got = await events(modelslab, ask(*said, state=state, system="Gold"))
        said.append(next(event.text for event in got if isinstance(event, TextDelta)))
        state = got[-1].state
    assert list(server.chats) == [chat_id(state)]
    assert len(server.chats[chat_id(state)].messages) == 40
    assert [body["prompt"] for body in bodies(server)] == [f"question {number}" for number in range(20)]
    assert ["chat_id" in body for body in bodies(server)] == [False] + [True] * 19
    assert not any("system_prompt" in body for body in bodies(server)[1:])


async def test_without_state_the_transcript_is_told_to_a_new_chat(modelslab, voice):
    await events(modelslab, ask("cats?", "Cats purr.", "dogs?"))
    assert voice.heard[0][-1]["content"] == (
        "This is our conversation so far:\n\nUser: cats?\n\nAssistant: Cats purr.\n\nMy next message, which you answer now:\n\ndogs?"
    )


@pytest.mark.parametrize("state", ["", "{", "[]", '{"chat_id": 7}', '{"chat_id": ""}', "null"])
async def test_state_that_is_none_starts_a_new_chat(modelslab, server, state):
    got = await events(modelslab, ask(state=state))
    assert "chat_id" not in bodies(server)[0]
    assert chat_id(got[-1].state)


async def test_a_chat_continued_under_another_id_is_not_trusted(modelslab, server):
    server.faults.add(Fault(path=CHAT, status=200, body={"status": "success", "message": "Hi.", "chat_id": "another-chat-id-entirely"}))
    got = await events(modelslab, ask(state='{"chat_id": "the-first-chat-id"}'))
    assert got[-1].state is None


async def test_parameters_go_out_as_set(modelslab, server):
    values = {
        "max_new_tokens": 64, "do_sample": False, "temperature": 1.0, "top_k": 50, "top_p": 0.95, "no_repeat_ngram_size": 5, "seed": 1235,
        "temp": True, "generator_type": "choices", "generator_choices": "a,b",
    }  # fmt: skip
    await events(modelslab, ask(parameters=values))
    sent = bodies(server)[0]
    assert {name: sent[name] for name in values} == values


# ------------------------------------------------------------------------------------------------- queue


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


async def queued(provider: Provider, request: ChatRequest) -> str:
    """Ask, and crash as soon as the handle is there."""
    async with aclosing(provider.stream(request)) as stream:
        async for event in stream:
            if isinstance(event, Submitted):
                return event.handle
    raise AssertionError("nothing was queued")


async def test_after_a_crash_the_queued_answer_is_collected_and_not_asked_again(modelslab, server, session, slept):
    server.queue_for, server.eta = 1, 5
    handle = await queued(modelslab, ask())
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
    state, said = await _begun(modelslab)
    server.queue_for = 1
    handle = await queued(modelslab, ask(*said, "two", state=state))
    server.chats[chat_id(state)].queued = None  # the queue was emptied: what it has is the answer before
    after = ModelsLab(session, key=KEY, base_url=server.base_url, sleep=modelslab._sleep)
    error = await failure(after, ask(*said, "two", state=state, resume=handle))
    assert (error.kind, error.billed) == (ErrorKind.STATE_LOST, Billed.MAYBE)
    server.faults.add(Fault(path=QUEUE, status=200, body={"status": "success", "message": said[1]}))
    error = await failure(after, ask(*said, "two", state=state, resume=handle))
    assert (error.kind, error.billed) == (ErrorKind.STATE_LOST, Billed.MAYBE)


async def test_a_queued_answer_that_is_gone_is_lost_and_may_have_been_billed(modelslab, server):
    server.queue_for = 1
    handle = await queued(modelslab, ask())
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
    state, said = await _begun(modelslab)
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


# ------------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("status", "body", "kind", "billed"),
    [
        (200, {"status": "error", "message": "You are out of credits"}, ErrorKind.QUOTA, Billed.NO),
        (200, {"status": "error", "messege": "Your monthly limit exceeded, upgrade subscription now"}, ErrorKind.QUOTA, Billed.NO),
        (200, {"status": "error", "message": "Invalid API key"}, ErrorKind.AUTH, Billed.NO),
        (200, {"status": "error", "message": "temperature does not support 0.3, only the default (1)"}, ErrorKind.BAD_REQUEST, Billed.NO),
        (200, {"status": "failed", "message": "It broke"}, ErrorKind.SERVER, Billed.MAYBE),
        (200, {"status": "success"}, ErrorKind.EMPTY, Billed.MAYBE),
        (200, {"status": "processing"}, ErrorKind.PROTOCOL, Billed.MAYBE),
        (200, "<html>maintenance</html>", ErrorKind.PROTOCOL, Billed.MAYBE),
        (400, {"status": "error", "message": "Model not found: gpt-9"}, ErrorKind.MODEL_NOT_FOUND, Billed.NO),
        (400, {"status": "error", "message": "prompt is required"}, ErrorKind.BAD_REQUEST, Billed.NO),
        (401, {"status": "error", "message": "Invalid API key"}, ErrorKind.AUTH, Billed.NO),
        (402, {"status": "error", "message": "Insufficient credits."}, ErrorKind.QUOTA, Billed.NO),
        (403, {"status": "error", "message": "Not in your plan"}, ErrorKind.AUTH, Billed.NO),
        (404, {"message": "The route api/v6/llm/chat could not be found."}, ErrorKind.BAD_REQUEST, Billed.NO),
        (500, {"status": "error", "message": "Server Error"}, ErrorKind.SERVER, Billed.MAYBE),
        (502, "<html>Bad Gateway</html>", ErrorKind.SERVER, Billed.MAYBE),
        (503, {"status": "error", "message": "busy"}, ErrorKind.OVERLOADED, Billed.NO),
    ],
)
async def test_errors_are_understood_under_every_status(modelslab, server, status, body, kind, billed):  # noqa: PLR0917 - fixtures and a row
    server.faults.add(Fault(path=CHAT, status=status, body=body))
    error = await failure(modelslab, ask())
    assert (error.kind, error.billed) == (kind, billed)


async def test_429_names_its_wait_in_the_body(modelslab, server):
    text = "Rate limit exceeded. Maximum 5 queued requests allowed."
    server.faults.add(Fault(path=CHAT, status=429, body={"status": "error", "message": text, "retry_after": 30}))
    error = await failure(modelslab, ask())
    assert (error.kind, error.retry_after, error.billed, error.scope) == (ErrorKind.RATE_LIMIT, 30.0, Billed.NO, Scope.ACCOUNT)


@pytest.mark.parametrize(
    "words", ["Chat not found", "chat_id is invalid", "Invalid chat id", "The chat you asked for does not exist", "No such chat"]
)
async def test_an_unknown_chat_is_lost_state_and_nothing_was_billed(modelslab, server, words):
    server.faults.add(Fault(path=CHAT, status=200, body={"status": "error", "message": words}))
    error = await failure(modelslab, ask(state='{"chat_id": "gone-with-the-wind"}'), "gone-with-the-wind")
    assert (error.kind, error.billed, error.scope) == (ErrorKind.STATE_LOST, Billed.NO, Scope.REQUEST)


async def test_the_stand_ins_unknown_chat_is_lost_state_and_a_fresh_start_works(modelslab):
    assert (await failure(modelslab, ask(state='{"chat_id": "gone-with-the-wind"}'))).kind is ErrorKind.STATE_LOST
    assert isinstance((await events(modelslab, ask()))[-1], Finished)


async def test_a_lost_chat_is_started_anew_with_what_was_said(modelslab, server, voice):
    state, said = await _begun(modelslab)
    server.chats.clear()
    router = Router({"modelslab": modelslab})
    got: list[Any] = [event async for event in router.stream("modelslab", ask(*said, "two", state=state))]
    assert list(server.chats) == [chat_id(got[-1].state)]
    assert said[1] in voice.heard[-1][-1]["content"]


async def test_a_chat_lost_while_its_answer_was_queued_is_not_asked_again(modelslab, server):
    server.queue_for = 1
    server.faults.add(Fault(path=QUEUE, status=200, body={"status": "error", "message": "Chat not found"}))
    error = await failure(modelslab, ask())
    assert (error.kind, error.billed) == (ErrorKind.SERVER, Billed.MAYBE)


async def test_no_secret_is_in_errors_events_or_logs(modelslab, server, caplog):
    caplog.set_level(logging.DEBUG)
    got = await events(modelslab, ask())
    secret = chat_id(got[-1].state)
    assert secret not in repr(got)
    assert KEY not in repr(got)
    leak = f"chat {secret} of {KEY} broke: {PROMPT} https://pub-1.r2.dev/chats/{secret}.json"
    for status in (200, 400, 500):
        server.faults.add(Fault(path=CHAT, status=status, body={"status": "error", "message": leak, "chat_id": secret}))
        error = await failure(modelslab, ask(PROMPT, got[1].text, PROMPT, state=got[-1].state), secret, "r2.dev")
        assert "broke" in error.detail
        modelslab._lost.clear()
    server.faults.add(Fault(path=CHAT, status=200, body={"status": "error", "message": "new chat NEWCHATID broke", "chat_id": "NEWCHATID"}))
    assert "NEWCHATID" not in (await failure(modelslab, ask())).detail
    for hidden in (secret, KEY, PROMPT):
        assert hidden not in caplog.text


# ------------------------------------------------------------------------------------- outcome not known


async def _begun(modelslab: ModelsLab) -> tuple[str, tuple[str, str]]:
    """Return the state and the transcript of a chat with one turn."""
    got = await events(modelslab, ask("one"))
    return got[-1].state, ("one", got[1].text)


async def test_an_answer_whose_connection_was_cut_is_found_in_the_queue(modelslab, server):
    state, said = await _begun(modelslab)
    server.faults.add(Fault(path=CHAT, drop="after"))
    got = await events(modelslab, ask(*said, "two", state=state))
    assert got[1] == TextDelta(f"{ZEPHYR} heard: two")
    assert got[-1].state == state
    assert len(bodies(server)) == 2


async def test_a_question_that_never_arrived_is_not_answered_by_the_turn_before(modelslab, server):
    state, said = await _begun(modelslab)
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
    state, said = await _begun(modelslab)
    server.faults.add(Fault(path=CHAT, drop="before"))
    await failure(modelslab, ask(*said, "two", state=state))
    got = await events(modelslab, ask(*said, "two", state=state))
    assert chat_id(got[-1].state) != chat_id(state)
    assert "chat_id" not in bodies(server)[-1]
    assert bodies(server)[-1]["prompt"].endswith("two")


async def test_a_refusal_leaves_the_chat_usable(modelslab, server):
    state, said = await _begun(modelslab)
    server.faults.add(Fault(path=CHAT, status=429, body={"status": "error", "message": "Rate limit exceeded."}))
    await failure(modelslab, ask(*said, "two", state=state))
    assert (await events(modelslab, ask(*said, "two", state=state)))[-1].state == state


async def test_a_stopped_question_makes_its_chat_doubtful(modelslab, server):
    state, said = await _begun(modelslab)
    server.hold = asyncio.Event()
    task = asyncio.create_task(events(modelslab, ask(*said, "two", state=state)))
    await until(lambda: server.chats[chat_id(state)].busy)
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


async def test_a_question_that_is_still_at_work_after_a_cut_is_waited_for(server, session):
    waits = []

    async def sleep(seconds):
        waits.append(seconds)
        if len(waits) == 2:
            server.hold.set()
        await asyncio.sleep(0.01)

    provider = ModelsLab(session, key=KEY, base_url=server.base_url, budgets=Budgets(first=0.2, total=0.2), sleep=sleep)
    state, said = await _begun(provider)
    server.hold = asyncio.Event()
    got = await events(provider, ask(*said, "two", state=state))
    assert Progress("processing", 1.0) in got
    assert [event.text for event in got if isinstance(event, TextDelta)] == [f"{ZEPHYR} heard: two"]


# -------------------------------------------------------------------------------------------------- gates


async def test_one_chat_takes_one_request_at_a_time(modelslab, server):
    state, said = await _begun(modelslab)
    got = await asyncio.gather(*(events(modelslab, ask(*said, f"two {number}", state=state)) for number in range(3)))
    assert all(isinstance(one[-1], Finished) for one in got)
    assert len(server.chats[chat_id(state)].messages) == 8


async def test_the_account_has_one_request_less_under_way_than_it_may(modelslab, server):
    server.hold = asyncio.Event()
    tasks = [asyncio.create_task(events(modelslab, ask(f"question {number}"))) for number in range(8)]
    await until(lambda: sum(one.busy for one in server.chats.values()) == 4)
    await asyncio.sleep(0.05)
    assert len(server.calls) == 4
    server.hold.set()
    got = await asyncio.gather(*tasks)
    assert all(isinstance(one[-1], Finished) for one in got)


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


# ------------------------------------------------------------------------------------------------ account


async def test_check_asks_for_the_balance_beside_v6(modelslab, server, session):
    health = await modelslab.check()
    assert (health.credits, health.note) == (43.6, "balance in USD")
    assert server.calls[0].path == "/api/wallet_balance"
    with pytest.raises(ProviderError) as caught:
        await ModelsLab(session, key="wrong-key", base_url=server.base_url).check()
    assert caught.value.kind is ErrorKind.AUTH
    server.faults.add(Fault(status=200, body={"status": "error", "message": "Invalid API key"}))
    with pytest.raises(ProviderError) as caught:
        await modelslab.check()
    assert caught.value.kind is ErrorKind.AUTH


async def test_catalogue_and_capabilities_need_no_call(modelslab, server):
    assert [model.id for model in await modelslab.models()] == [ZEPHYR]
    capabilities = modelslab.capabilities("any-model")
    assert (capabilities.streaming, capabilities.server_memory, capabilities.max_output_tokens) == (False, True, 1024)
    assert not modelslab.lists_all_models
    assert server.calls == []
