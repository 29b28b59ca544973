"""ModelsLab v6 chat: the chat_id is a cache and a secret, every error has its true meaning."""

import logging
from typing import Any

import pytest

from adapters.base import Billed, ErrorKind, Finished, ProviderError, Scope, Started, TextDelta
from adapters.modelslab import ModelsLab
from adapters.router import Router
from sandbox.faults import Fault
from tests.support.modelslab import CHAT, QUEUE, ZEPHYR, ask, begun, bodies, chat_id
from tests.support.providers import KEY, PROMPT, events, failure, refusal
from tests.support.wire import RawServer, whole


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
    state, said = await begun(modelslab)
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


# ------------------------------------------------------------------------------------------------ account


async def test_check_asks_for_the_balance_beside_v6(modelslab, server, session):
    health = await modelslab.check()
    assert (health.credits, health.unit, health.note) == (43.6, "USD", "")
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


@pytest.mark.parametrize("balance", [b"9" * 400, b"NaN", b"1e999", b"true", b'"43"', b"null"])
async def test_a_balance_that_is_no_number_is_told_as_no_answer(session, balance):
    body = b'{"status": "success", "data": {"balance": ' + balance + b', "currency": "USD"}}'
    async with RawServer([whole(body)]) as raw:
        error = await refusal(ModelsLab(session, key=KEY, base_url=f"{raw.url}/api/v6").check())
    assert error.kind is ErrorKind.SERVER  # it spoke this API


async def test_a_promise_of_more_seconds_than_there_are_is_none(session, sleep):
    queued = whole(b'{"status": "processing", "chat_id": "a-chat", "eta": ' + b"9" * 400 + b"}")
    async with RawServer([queued, whole({"status": "success", "message": "Hello.", "chat_id": "a-chat"})]) as raw:
        got = await events(ModelsLab(session, key=KEY, base_url=f"{raw.url}/api/v6", sleep=sleep), ask())
    assert TextDelta("Hello.") in got


async def test_a_key_is_sent_without_the_line_end_behind_it(server, session):
    await events(ModelsLab(session, key=f" {KEY}\n", base_url=server.base_url), ask())
    assert bodies(server)[0]["key"] == KEY
