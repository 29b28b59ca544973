"""Segmind v1: three shapes in, one stream of events out, every status with its true meaning."""

import asyncio
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.base import (
    Billed,
    ChatRequest,
    ErrorKind,
    Finished,
    FinishReason,
    ModelInfo,
    ProviderError,
    ReasoningDelta,
    Scope,
    Started,
    TextDelta,
    Usage,
)
from adapters.http import Budgets
from adapters.segmind import BUDGETS, CATALOGUE, SLOW, Segmind
from adapters.segmind_shapes import read_content
from sandbox.faults import Fault
from sandbox.providers import SegmindSandbox
from sandbox.providers.segmind import SLUGS
from tests.support.providers import KEY, PROMPT, events, failure, said
from tests.support.seam import eventually

LLAMA = "llama-v3p1-8b-instruct"


@pytest.fixture
async def server(voice):
    async with SegmindSandbox(key=KEY, voice=voice, slugs=[LLAMA, "claude-4.5-sonnet", "gemini-2.5-flash", "gpt-5"]) as sandbox:
        yield sandbox


@pytest.fixture
def segmind(server, session):
    return Segmind(session, key=KEY, base_url=server.base_url)


def ask(model: str = LLAMA, text: str = PROMPT, **more: Any) -> ChatRequest:
    return ChatRequest(model, (said("user", text),), **more)


@pytest.mark.parametrize("slug", [LLAMA, "claude-4.5-sonnet", "gemini-2.5-flash"])
async def test_each_vendors_shape_gives_one_text_and_one_end(segmind, server, slug):
    got = await events(segmind, ask(slug))
    started, text, usage, finished = got
    assert isinstance(started, Started)
    assert started.request_id
    assert started.model == slug
    assert text == TextDelta(f"{slug} heard: {PROMPT}")
    assert isinstance(usage, Usage)
    assert (usage.cost, usage.remaining_credits) == (0.00025, 4.99975)
    assert usage.input_tokens == 6
    assert usage.output_tokens
    assert finished == Finished(FinishReason.STOP, finished.raw_reason)
    call = server.calls[0]
    assert call.headers["Content-Type"] == "application/json"
    assert call.headers["x-api-key"] == KEY
    assert "Authorization" not in call.headers
    assert KEY not in str(call.body)


async def test_token_cap_of_each_vendor_ends_as_length(segmind):
    for slug in (LLAMA, "claude-4.5-sonnet", "gemini-2.5-flash"):
        got = await events(segmind, ask(slug, parameters={"max_tokens": 2}))
        assert got[-1].reason is FinishReason.LENGTH


async def test_transcript_and_parameters_go_out_as_documented(segmind, server):
    request = ChatRequest(
        LLAMA,
        (said("user", "cats?"), said("assistant", "here"), said("user", "dogs?")),
        system="Be brief",
        parameters={"temperature": 0.5, "max_tokens": 100, "top_p": 0.9},
    )
    await events(segmind, request)
    assert server.calls[0].body == {
        "messages": [
            {"role": "system", "content": "Be brief"},
            {"role": "user", "content": "cats?"},
            {"role": "assistant", "content": "here"},
            {"role": "user", "content": "dogs?"},
        ],
        "temperature": 0.5,
        "max_tokens": 100,
        "top_p": 0.9,
    }


@pytest.mark.parametrize(
    ("slug", "mode", "expected"),
    [
        (LLAMA, "role", {"messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "hi"}]}),
        (LLAMA, "first_user", {"messages": [{"role": "user", "content": "Be brief\n\nhi"}]}),
        (LLAMA, "instruction", {"messages": [{"role": "user", "content": "hi"}], "instruction": "Be brief"}),
        ("claude-4.5-sonnet", None, {"messages": [{"role": "user", "content": "hi"}], "instruction": "Be brief"}),
    ],
)
async def test_persona_goes_where_the_mode_says(segmind, server, slug, mode, expected):
    await events(segmind, ask(slug, "hi", system="Be brief", parameters={"system_mode": mode}))
    assert server.calls[0].body == expected


def _fault(status: int, error: str = "", **more: Any) -> Fault:
    return Fault(status=status, body=error if error.startswith("<") else {"error": error} if error else "", **more)


@pytest.mark.parametrize(
    ("fault", "kind", "billed", "scope"),
    [
        (_fault(400, "messages is required"), ErrorKind.BAD_REQUEST, Billed.NO, Scope.REQUEST),
        (_fault(401, "Missing Authorization or x-api-key in header"), ErrorKind.AUTH, Billed.NO, Scope.ACCOUNT),
        (_fault(401, "Unauthorized. API key is invalid or may have expired"), ErrorKind.AUTH, Billed.NO, Scope.ACCOUNT),
        (_fault(403, "Your team may not use this model"), ErrorKind.AUTH, Billed.NO, Scope.MODEL),
        (_fault(403, "Forbidden"), ErrorKind.AUTH, Billed.NO, Scope.MODEL),
        (_fault(403, "This API key is disabled"), ErrorKind.AUTH, Billed.NO, Scope.ACCOUNT),
        (_fault(404, "Not Found"), ErrorKind.MODEL_NOT_FOUND, Billed.NO, Scope.MODEL),
        (_fault(404), ErrorKind.MODEL_NOT_FOUND, Billed.NO, Scope.MODEL),
        (_fault(405, "<html><h1>Method Not Allowed</h1></html>"), ErrorKind.BAD_REQUEST, Billed.NO, Scope.PROVIDER),
        (_fault(406, "Invalid content type"), ErrorKind.BAD_REQUEST, Billed.NO, Scope.REQUEST),
        (_fault(406, "Insufficient credits. Please add more."), ErrorKind.QUOTA, Billed.NO, Scope.ACCOUNT),
        (_fault(406, "Team spend limit reached"), ErrorKind.QUOTA, Billed.NO, Scope.ACCOUNT),
        (_fault(406, "temperature out of range"), ErrorKind.BAD_REQUEST, Billed.NO, Scope.REQUEST),
        (_fault(406), ErrorKind.QUOTA, Billed.NO, Scope.ACCOUNT),
        (_fault(410, "Model retired"), ErrorKind.MODEL_NOT_FOUND, Billed.NO, Scope.MODEL),
        (_fault(422, "Prompt is Mandatory and must be string"), ErrorKind.BAD_REQUEST, Billed.NO, Scope.REQUEST),
        (_fault(429, "Rate limit exceeded"), ErrorKind.RATE_LIMIT, Billed.NO, Scope.ACCOUNT),
        (_fault(500, "Something went wrong"), ErrorKind.SERVER, Billed.NO, Scope.PROVIDER),
        (_fault(502, "<html>Bad Gateway</html>"), ErrorKind.SERVER, Billed.MAYBE, Scope.PROVIDER),
        (_fault(503, "busy"), ErrorKind.OVERLOADED, Billed.NO, Scope.PROVIDER),
        (_fault(200, "Insufficient credits"), ErrorKind.QUOTA, Billed.NO, Scope.ACCOUNT),
        (Fault(status=200, body="<html>hello</html>"), ErrorKind.PROTOCOL, Billed.MAYBE, Scope.REQUEST),
        (Fault(status=200, body={"choices": []}), ErrorKind.PROTOCOL, Billed.MAYBE, Scope.REQUEST),
    ],
    ids=lambda value: f"{value.status}-{value.body}" if isinstance(value, Fault) else "",
)
async def test_every_status_has_its_true_meaning(segmind, server, fault, kind, billed, scope):  # noqa: PLR0917 - two fixtures and a row
    server.faults.add(Fault(**{name: getattr(fault, name) for name in ("status", "body", "headers")}))
    error = await failure(segmind, ask())
    assert (error.kind, error.billed, error.scope, error.status) == (kind, billed, scope, fault.status)
    assert str(error).startswith(kind)


@pytest.mark.parametrize(
    ("reset", "least", "most"),
    [("2000-01-01T00:00:00", 60, 60), (None, 60, 60), ("4102444800", 120, 120), ("nonsense", 60, 60)],
)
async def test_429_waits_until_the_reset_or_a_minute(segmind, server, reset, least, most):
    server.faults.add(_fault(429, "Rate limit exceeded", headers={"x-rate-limit-reset-at-utc": reset} if reset else {}))
    error = await failure(segmind, ask())
    assert least <= error.retry_after <= most


async def test_the_stand_ins_own_refusals_are_understood(server, session, segmind):
    wrong = Segmind(session, key="SG_wrongkey012345", base_url=server.base_url)
    assert (await failure(wrong, ask())).kind is ErrorKind.AUTH
    assert (await failure(segmind, ask("llama-9"))).kind is ErrorKind.MODEL_NOT_FOUND
    assert (await failure(segmind, ask("claude-3-haiku"))).status == 410
    assert (await failure(segmind, ask("get-user-credits"))).kind is ErrorKind.BAD_REQUEST
    server.credits = 0.0
    assert (await failure(segmind, ask())).kind is ErrorKind.QUOTA


@pytest.mark.parametrize("slug", ["../v1/x", "a/b", "x?y=1", "", ".", "ünï", "a b"])
async def test_a_typed_model_cannot_leave_its_place_in_the_address(segmind, server, slug):
    error = await failure(segmind, ask(slug))
    assert (error.kind, error.billed) == (ErrorKind.MODEL_NOT_FOUND, Billed.NO)
    assert server.calls == []


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_cap_that_was_used_up_before_the_first_word_is_told_apart(segmind, voice, server, mode):
    body = {"choices": [{"message": {"content": "<think>hm"}, "finish_reason": "length"}]}
    if mode == "sync":
        server.faults.add(Fault(status=200, body=body))
    else:
        server.faults.add(Fault(path="*/requests/*", status=200, body={"status": "COMPLETED", "output": body}))
        server.faults.add(Fault(path="*/requests/*", status=200, body={"status": "COMPLETED", "output": body}))
    error = await failure(segmind, ask(parameters={"mode": mode}))
    assert (error.kind, error.at_cap, error.billed) == (ErrorKind.EMPTY, True, Billed.YES)


async def test_an_answer_without_text_is_no_answer(segmind, voice, server):
    voice.queue("", "  \n")
    for _ in range(2):
        error = await failure(segmind, ask())
        assert (error.kind, error.billed) == (ErrorKind.EMPTY, Billed.YES)
    server.faults.add(Fault(status=200, body={"promptFeedback": {"blockReason": "SAFETY"}}))
    assert (await failure(segmind, ask("gemini-2.5-flash"))).kind is ErrorKind.CONTENT_FILTER


async def test_no_answer_in_time_and_cut_connections_may_have_been_billed(server, segmind, loop_time):
    server.faults.add(Fault(delay=3600))
    asking = asyncio.create_task(failure(segmind, ask()))
    await eventually(lambda: server.calls)
    await loop_time.skip(BUDGETS.total)
    error = await asking
    assert error.kind in {ErrorKind.TIMEOUT_FIRST, ErrorKind.TIMEOUT_TOTAL}
    assert error.billed is Billed.MAYBE
    server.faults.add(Fault(drop="after"))
    error = await failure(segmind, ask())
    assert (error.kind, error.billed) == (ErrorKind.SERVER, Billed.MAYBE)


async def test_slow_models_get_the_time_they_need_also_in_one_call(server, session):
    quick = Segmind(session, key=KEY, base_url=server.base_url, budgets=Budgets(first=0.1, total=0.1))
    server.faults.add(Fault(delay=0.3))  # longer than that, as it may be
    assert isinstance((await events(quick, ask("gpt-5", parameters={"mode": "sync"})))[-1], Finished)
    assert server.calls[0].path == "/v1/gpt-5"


async def test_a_stopped_question_closes_its_socket(server, segmind, voice):
    voice.queue("word " * 500)
    voice._delay = 0.01
    task = asyncio.create_task(events(segmind, ask()))
    while not voice.heard:  # noqa: ASYNC110 - the stand-in has no event for it
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0.1)
    assert (server.calls[0].status, server.credits) == (0, 5.0)


@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_model_that_refuses_the_system_role_is_told_the_persona_otherwise(segmind, server, caplog, mode):
    server.system_role = False
    caplog.set_level("INFO")
    for _ in range(2):
        await events(segmind, ask(text="hi there", system="Be brief", parameters={"mode": mode}))
    sent = [call.body["messages"] for call in server.calls_to("POST")]
    after = [{"role": "user", "content": "Be brief\n\nhi there"}]
    assert sent == [[{"role": "system", "content": "Be brief"}, {"role": "user", "content": "hi there"}], after, after]
    assert f"no_system_role model={LLAMA}" in caplog.text
    assert "Be brief" not in caplog.text


async def test_a_persona_is_not_moved_where_its_place_was_set(segmind, server):
    server.system_role = False
    error = await failure(segmind, ask(system="Be brief", parameters={"system_mode": "role"}))
    assert error.kind is ErrorKind.BAD_REQUEST
    assert len(server.calls) == 1


async def test_check_tells_paid_and_free_credits(segmind, server):
    health = await segmind.check()
    assert health.credits == pytest.approx(5.018)
    assert health.note == "5 paid and 0.018 free credits"
    assert server.calls[0].method == "GET"
    server.faults.add(Fault(status=200, body={"credits": 4.99975, "free-credits": 0.00018456}))
    assert (await segmind.check()).note == "4.99 paid and 0.00018 free credits"
    server.faults.add(_fault(404, "No credits found for the user"))
    assert (await segmind.check()).credits == 0.0


async def test_check_fails_with_a_wrong_key_or_nobody_there(server, session):
    with pytest.raises(ProviderError) as caught:
        await Segmind(session, key="SG_wrong", base_url=server.base_url).check()
    assert caught.value.kind is ErrorKind.AUTH
    server.faults.add(Fault(status=200, body={"hello": 1}))
    with pytest.raises(ProviderError) as caught:
        await Segmind(session, key=KEY, base_url=server.base_url).check()
    assert caught.value.kind is ErrorKind.PROTOCOL
    await server.stop()
    with pytest.raises(ProviderError) as caught:
        await Segmind(session, key=KEY, base_url=server.base_url).check()
    assert (caught.value.kind, caught.value.billed) == (ErrorKind.CONNECT, Billed.NO)


async def test_catalogue_is_offered_without_a_call_and_is_no_gate(segmind, server):
    listed = await segmind.models()
    assert [model.id for model in listed] == list(CATALOGUE)
    assert set(CATALOGUE) == set(SLUGS)
    assert set(CATALOGUE) >= SLOW
    assert listed[0] == ModelInfo(LLAMA, 131_072)
    assert server.calls == []
    assert not segmind.lists_all_models
    assert segmind.capabilities("brand-new-model").context_tokens == 8192
    assert not segmind.capabilities(LLAMA).streaming


def test_account_tells_accounts_apart_and_is_no_secret(session):
    one, same, other = (Segmind(session, key=key) for key in (KEY, KEY, "SG_other"))
    assert one.account == same.account != other.account
    assert KEY not in one.account


@pytest.mark.parametrize("wrong", [{"temperature": 2.1}, {"max_tokens": 0}, {"top_p": 0}, {"system_mode": "x"}, {"stop": "x"}])
def test_parameters_out_of_range_are_refused(wrong):
    with pytest.raises(ValidationError):
        Segmind.parameters.model_validate(wrong)
    assert all(field.description for field in Segmind.parameters.model_fields.values())


@pytest.mark.parametrize(
    ("data", "text", "reasoning", "reason"),
    [
        ({"choices": [{"message": {"content": [{"type": "text", "text": "a"}, {"text": "b"}]}}]}, "ab", "", FinishReason.UNKNOWN),
        ({"choices": [{"message": {"content": "a", "reasoning_content": "r"}, "finish_reason": "stop"}]}, "a", "r", FinishReason.STOP),
        ({"choices": [{"message": {"content": "<think>r</think>\n\na"}}]}, "a", "r", FinishReason.UNKNOWN),
        ({"choices": [{"message": {"content": None, "refusal": "no"}}]}, "no", "", FinishReason.CONTENT_FILTER),
        ({"choices": [{"message": {"content": None}}], "usage": None}, "", "", FinishReason.UNKNOWN),
        (
            {"content": [{"type": "thinking", "thinking": "r"}, {"text": "a"}], "stop_reason": "max_tokens"}, "a", "r", FinishReason.LENGTH,
        ),
        (
            {"candidates": [{"content": {"parts": [{"text": "r", "thought": True}, {"text": "a"}]}, "finishReason": "STOP"}]},
            "a", "r", FinishReason.STOP,
        ),
        ({"candidates": [{"finishReason": "PROHIBITED_CONTENT"}]}, "", "", FinishReason.CONTENT_FILTER),
        ({"candidates": []}, "", "", FinishReason.UNKNOWN),
        ({"output": "a"}, "a", "", FinishReason.UNKNOWN),
        ({"response": "a"}, "a", "", FinishReason.UNKNOWN),
        ({"text": "a"}, "a", "", FinishReason.UNKNOWN),
    ],
)  # fmt: skip
def test_shapes_are_told_apart_by_structure(data, text, reasoning, reason):
    content = read_content(data)
    assert content is not None
    assert (content.text, content.reasoning, content.reason) == (text, reasoning, reason)


@pytest.mark.parametrize("data", [None, [], "text", {}, {"choices": None}, {"choices": [1]}, {"output": 1}, {"content": "x"}])
def test_what_has_no_known_shape_is_not_guessed(data):
    assert read_content(data) is None


async def test_reasoning_comes_before_the_text(segmind, voice):
    voice.queue("<think>hm</think>\nyes")
    got = await events(segmind, ask())
    assert [event for event in got if isinstance(event, ReasoningDelta | TextDelta)] == [ReasoningDelta("hm"), TextDelta("yes")]
