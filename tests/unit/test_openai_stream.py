"""Every quirk of OpenAI-compatible answers that was met in the wild, as a wire tape."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.base import Billed, ErrorKind, Event, Finished, FinishReason, ProviderError, ReasoningDelta, Scope, Started, TextDelta, Usage
from adapters.http import Budgets
from adapters.openai_answer import ANSWER_CHARS
from adapters.openai_compatible import OpenAICompatible
from adapters.openai_vendors import GENERIC
from tests.support.clock import PATIENCE_SECONDS
from tests.support.openai_tapes import DONE, MODEL, Tape, TapeServer, body, delta, event
from tests.support.providers import KEY, PROMPT, request
from tests.support.seam import eventually

PATIENT = Budgets(connect=100, first=1000, idle=1000, total=3000)
STOP = delta(finish="stop")
HELLO = [delta("Hel"), delta("lo")]


@pytest.fixture
async def server():
    async with TapeServer() as opened:
        yield opened


@pytest.fixture
def provider(server, session):
    return OpenAICompatible(session, GENERIC, key=KEY, base_url=f"{server.url}/v1/", budgets=PATIENT)


async def ask(provider, asked=None):
    return [event async for event in provider.stream(asked or request(MODEL))]


async def fails(provider, asked=None):
    """Return the error and what came before it."""
    events: list[Event] = []
    with pytest.raises(ProviderError) as caught:
        await _into(events, provider.stream(asked or request(MODEL)))
    error = caught.value
    assert KEY not in f"{error!r}{error.detail}{events!r}"
    assert PROMPT not in f"{error!r}{error.detail}"
    return error, events


async def _into(events, stream):
    async for got in stream:
        events.append(got)


def text(events):
    return "".join(got.text for got in events if isinstance(got, TextDelta))


def reasoning(events):
    return "".join(got.text for got in events if isinstance(got, ReasoningDelta))


def choices(*entries, **more):
    return event({"id": "c1", "model": MODEL, "choices": list(entries)} | more)


USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
BIG = "x" * 700_000

HELLOS = {
    "plain": [*HELLO, STOP, DONE],
    "role only, null and empty deltas": [
        delta("", role="assistant"),
        delta(role=""),
        choices({"index": 0, "delta": None}),
        choices({"index": 0}),
        choices({"index": 0, "delta": {"content": None}}),
        *HELLO,
        STOP,
        DONE,
    ],
    "content in parts": [delta([{"type": "text", "text": "Hel"}, {"type": "image"}]), delta(["lo"]), STOP, DONE],
    "usage with empty choices": [*HELLO, STOP, choices(usage=USAGE), DONE],
    "usage with null choices": [*HELLO, STOP, event({"id": "c1", "choices": None, "usage": USAGE}), DONE],
    "usage without choices": [*HELLO, STOP, event({"usage": USAGE}), DONE],
    "usage before the end, cumulative": [
        choices({"index": 0, "delta": {"content": "Hel"}}, usage=USAGE | {"completion_tokens": 1}),
        choices({"index": 0, "delta": {"content": "lo"}, "finish_reason": "stop"}, usage=USAGE),
        choices(usage=None),
        DONE,
    ],
    "finish twice and content after it": [delta("Hel", finish="stop"), delta("lo"), STOP, DONE],
    "finish with the text": [delta("Hel"), delta("lo", finish="stop"), DONE],
    "no [DONE]": [*HELLO, STOP],
    "the last event without its blank line": [delta("Hel"), delta("lo", finish="stop").rstrip()],
    "[DONE] without a space": [*HELLO, STOP, b"data:[DONE]\n\n"],
    "[DONE] with a tail, and more after it": [*HELLO, STOP, b"data: [DONE] bye\n\n", delta("not this")],
    "[DONE] without its blank line": [*HELLO, STOP, b"data: [DONE]"],
    "crlf": [piece.replace(b"\n", b"\r\n") for piece in (*HELLO, STOP, DONE)],
    "comments and blank lines between": [b": OPENROUTER PROCESSING\n\n", b"\n\n", HELLO[0], b": keep-alive\n\n", HELLO[1], STOP, DONE],
    "a ping event": [b'event: ping\ndata: {"type": "ping"}\n\n', *HELLO, STOP, DONE],
    "words that are no JSON": [b"data: hello\n\n", *HELLO, STOP, DONE],
    "several lines of data": [b'data: {"choices": [{"delta":\ndata:  {"content": "Hello"}, "finish_reason": "stop"}]}\n\n', DONE],
    "other choices interleaved": [
        choices({"index": 1, "delta": {"content": "no"}}, {"index": 0, "delta": {"content": "Hel"}}),
        choices({"index": 1, "delta": {"content": "no"}}),
        choices({"delta": {"content": "lo"}, "finish_reason": "stop"}),
        DONE,
    ],
    "changing ids and models": [event({"choices": [{"delta": {"content": "Hel"}}]}), *[delta("lo", finish="stop")], DONE],
    "a message for a delta": [choices({"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"}), DONE],
    "an error that is null": [choices({"index": 0, "delta": {"content": "Hello"}, "finish_reason": "stop"}, error=None), DONE],
}


@pytest.mark.parametrize("name", HELLOS)
async def test_each_quirk_of_a_stream_gives_the_same_text(provider, server, name):
    server.tapes = [Tape(HELLOS[name])]
    events = await ask(provider)
    assert text(events) == "Hello"
    assert isinstance(events[0], Started)
    assert sum(isinstance(got, Started) for got in events) == 1
    assert events[-1] == Finished(FinishReason.STOP, "stop")
    if "usage" in name:
        assert [got for got in events if isinstance(got, Usage)] == [Usage(input_tokens=11, output_tokens=5)]


@pytest.mark.parametrize("how", ["bytewise", "gzip", "one chunk"])
async def test_characters_cut_anywhere_and_compressed_arrive_whole(provider, server, how):
    word = "¿naïve 🦊 日本?"
    escaped = b"".join([delta(word), delta(word), STOP, DONE])
    raw = escaped.replace(json.dumps(word)[1:-1].encode(), word.encode())
    pieces = [raw] if how == "one chunk" else [raw[at : at + 1] for at in range(len(raw))]
    server.tapes = [Tape(pieces, gzip=how == "gzip")]
    assert text(await ask(provider)) == word * 2


async def test_one_event_of_700_kb_arrives(provider, server):
    server.tapes = [Tape([delta(BIG), STOP, DONE])]
    assert text(await ask(provider)) == BIG


@pytest.mark.parametrize("kind", ["text/event-stream", "application/json", "text/plain", "text/html"])
@pytest.mark.parametrize("padding", [b"", b"\n\n \n"])
async def test_json_where_a_stream_was_asked_for_is_read(provider, server, kind, padding):
    server.tapes = [Tape([padding, body("Hello")], content_type=kind)]
    events = await ask(provider)
    assert text(events) == "Hello"
    assert Usage(7, 3) in events
    assert events[-1] == Finished(FinishReason.STOP, "stop")


async def test_a_stream_labelled_json_is_read(provider, server):
    server.tapes = [Tape(HELLOS["plain"], content_type="application/json")]
    assert text(await ask(provider)) == "Hello"


async def test_regular_mode_asks_for_one_body(provider, server, loop_time):
    late = asyncio.Event()
    server.tapes = [Tape([late, body("Hello")], content_type="application/json")]
    asking = asyncio.ensure_future(ask(provider, request(MODEL, parameters={"stream": False})))
    await eventually(lambda: server.calls)
    await loop_time.skip(2000)  # longer than the first-payload budget, which is a stream's
    late.set()
    events = await asking
    assert text(events) == "Hello"
    assert sum(isinstance(got, TextDelta) for got in events) == 1
    asked = server.calls[-1].body
    assert asked["stream"] is False
    assert "stream_options" not in asked


# -------------------------------------------------------------------------------------------------- ends


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("stop", FinishReason.STOP),
        ("eos", FinishReason.STOP),
        ("eos_token", FinishReason.STOP),
        ("end_turn", FinishReason.STOP),
        ("tool_calls", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("max_tokens", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("abort", FinishReason.UNKNOWN),
        ("never heard of", FinishReason.UNKNOWN),
    ],
)
async def test_reasons_are_unified_and_the_raw_word_is_kept(provider, server, raw, reason):
    server.tapes = [Tape([*HELLO, delta(finish=raw), DONE])]
    assert (await ask(provider))[-1] == Finished(reason, raw)


async def test_an_end_that_only_done_proves_is_complete(provider, server):
    server.tapes = [Tape([*HELLO, DONE])]
    assert (await ask(provider))[-1] == Finished(FinishReason.UNKNOWN, None, complete=True)


@pytest.mark.parametrize("finish", [None, ""])
async def test_an_end_that_nothing_proves_is_kept_and_marked_incomplete(provider, server, finish):
    server.tapes = [Tape([*HELLO, delta(finish=finish)])]
    events = await ask(provider)
    assert text(events) == "Hello"
    assert events[-1] == Finished(FinishReason.UNKNOWN, None, complete=False)


async def test_a_cut_stream_is_incomplete_after_text_and_a_server_error_before(provider, server):
    server.tapes = [
        Tape(HELLO, drop=True),
        Tape([delta("", role="assistant")], drop=True),
        Tape([], drop=True),
        Tape([*HELLO, STOP], drop=True),
    ]
    error, events = await fails(provider)
    assert (error.kind, error.in_stream, error.billed) == (ErrorKind.INCOMPLETE, True, Billed.MAYBE)
    assert text(events) == "Hello"
    for _ in range(2):
        error, _ = await fails(provider)
        assert (error.kind, error.in_stream, error.billed) == (ErrorKind.SERVER, False, Billed.MAYBE)
    assert (await ask(provider))[-1].complete  # the reason had come


@pytest.mark.parametrize(
    ("pieces", "kind"),
    [
        ([STOP, DONE], ErrorKind.EMPTY),
        ([delta(" \n"), STOP, DONE], ErrorKind.EMPTY),
        ([DONE], ErrorKind.EMPTY),
        ([delta(reasoning_content="hm"), STOP, DONE], ErrorKind.EMPTY),
        ([delta("<think>hm</think>\n"), STOP, DONE], ErrorKind.EMPTY),
        ([delta(reasoning="hm"), delta(finish="length"), DONE], ErrorKind.EMPTY),
        ([delta(finish="content_filter"), DONE], ErrorKind.CONTENT_FILTER),
        ([], ErrorKind.PROTOCOL),
        ([b": only comments\n\n"], ErrorKind.PROTOCOL),
        ([delta(reasoning="hm")], ErrorKind.PROTOCOL),
        ([*HELLO, delta(finish="error"), DONE], ErrorKind.SERVER),
    ],
)
async def test_no_text_is_never_a_good_end(provider, server, pieces, kind):
    server.tapes = [Tape(pieces)]
    error, _ = await fails(provider)
    assert error.kind is kind


@pytest.mark.parametrize(("finish", "at_cap"), [("length", True), ("max_tokens", True), ("stop", False)])
async def test_a_cap_that_was_used_up_before_the_first_word_is_told_apart(provider, server, finish, at_cap):
    server.tapes = [Tape([delta(reasoning="hm"), delta(finish=finish), DONE])]
    error, _ = await fails(provider)
    assert (error.kind, error.at_cap, error.possibly_billed().at_cap) == (ErrorKind.EMPTY, at_cap, at_cap)


CALL = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}


@pytest.mark.parametrize(
    "pieces",
    [
        [delta(tool_calls=[{"index": 0, **CALL}]), delta(finish="tool_calls"), DONE],
        [delta(tool_calls=[{"index": 0, **CALL}]), STOP, DONE],  # Ollama ends with this word
        [delta(function_call=CALL["function"]), delta(finish="function_call"), DONE],
    ],
)
async def test_a_tool_call_is_no_empty_answer_and_behind_text_is_told_with_the_end(provider, server, pieces):
    server.tapes = [Tape(pieces), Tape([*HELLO[:1], *pieces]), Tape([*HELLO[:1], STOP, DONE])]
    error, _ = await fails(provider)
    assert (error.kind, error.wanted_tool, error.possibly_billed().wanted_tool) == (ErrorKind.EMPTY, True, True)
    assert (await ask(provider))[-1].wanted_tool
    assert not (await ask(provider))[-1].wanted_tool


async def test_a_refusal_is_shown_and_ends_as_filtered(provider, server):
    server.tapes = [Tape([delta(refusal="I can't"), STOP, DONE])]
    events = await ask(provider)
    assert text(events) == "I can't"
    assert events[-1].reason is FinishReason.CONTENT_FILTER


# --------------------------------------------------------------------------------------------- reasoning


@pytest.mark.parametrize(
    "pieces",
    [
        [delta(reasoning_content="hm "), delta(reasoning_content="so"), *HELLO],
        [delta(reasoning="hm so"), *HELLO],
        [delta(reasoning="hm so", reasoning_content="hm so"), *HELLO],
        [delta("<think>hm so</think>\n\nHello")],
        [delta(piece) for piece in "<think>hm so</think>\n\nHello"],
        [delta("\n <th"), delta("ink>hm"), delta(" so</"), delta("think"), delta("> "), delta("\nHello")],
    ],
)
async def test_reasoning_is_kept_apart_in_every_dialect(provider, server, pieces):
    server.tapes = [Tape([*pieces, STOP, DONE])]
    events = await ask(provider)
    assert text(events) == "Hello"
    assert reasoning(events) == "hm so"


# ------------------------------------------------------------------------------------------------- errors

ERRORS = {
    "openai": ({"error": {"message": "slow down", "code": "rate_limit_exceeded"}}, ErrorKind.RATE_LIMIT),
    "string": ({"error": "Insufficient credits"}, ErrorKind.QUOTA),
    "vllm": ({"object": "error", "message": "the model is overloaded", "type": "x", "code": 503}, ErrorKind.OVERLOADED),
    "status": ({"status": "error", "message": "Invalid API key"}, ErrorKind.AUTH),
    "openrouter": (
        {"error": {"code": 502, "message": "upstream"}, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]},
        ErrorKind.SERVER,
    ),
    "context": ({"error": {"message": f"maximum context length is 8. You asked: {PROMPT} with {KEY}"}}, ErrorKind.CONTEXT_OVERFLOW),
    "unknown": ({"error": {"message": "beats me"}}, ErrorKind.SERVER),
    "loading": ({"error": {"message": "model is loading"}}, ErrorKind.OVERLOADED),
    "no error": ({"object": "error"}, ErrorKind.PROTOCOL),
    "no json object": ([1, 2], ErrorKind.PROTOCOL),
}


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("before", [[], HELLO])
async def test_an_error_event_is_an_error_first_and_in_the_middle(provider, server, name, before):
    said, kind = ERRORS[name]
    server.tapes = [Tape([*before, event(said), delta("not this"), STOP, DONE])]
    error, events = await fails(provider)
    assert (error.kind, error.in_stream) == (kind, bool(before))
    assert text(events) == ("Hello" if before else "")
    if before:
        assert error.billed is not Billed.NO


@pytest.mark.parametrize("said", [b'{"message": "the model is overloaded"}', b'"the model is overloaded"', b"the model is overloaded"])
async def test_an_event_named_error_is_an_error_whatever_it_holds(provider, server, said):
    server.tapes = [Tape([b"event: error\ndata: " + said + b"\n\n"])]
    error, _ = await fails(provider)
    assert error.kind is ErrorKind.OVERLOADED


@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_body_with_status_200_is_an_error(provider, server, name):
    said, kind = ERRORS[name]
    server.tapes = [Tape([json.dumps(said).encode()], content_type="application/json")]
    error, _ = await fails(provider)
    assert error.kind is kind


@pytest.mark.parametrize("said", [b"<html><h1>Welcome</h1></html>", b'{"id": "1", "choices": null}', b"{}", b'{"choices": '])
async def test_a_page_or_a_body_without_choices_is_a_protocol_error(provider, server, said):
    server.tapes = [Tape([said], content_type="text/html")]
    error, _ = await fails(provider)
    assert error.kind is ErrorKind.PROTOCOL


async def test_broken_json_in_a_stream_is_not_passed_over(provider, server):
    server.tapes = [Tape([*HELLO, b'data: {"choices": [{"delta": {"content": "lo\n\n', STOP, DONE])]
    error, _ = await fails(provider)
    assert (error.kind, error.in_stream) == (ErrorKind.PROTOCOL, True)


async def test_an_event_over_the_cap_is_a_protocol_error(provider, server):
    server.tapes = [Tape([delta("x" * 1_100_000), STOP, DONE])]
    error, _ = await fails(provider)
    assert error.kind is ErrorKind.PROTOCOL


async def test_an_http_error_carries_kind_hint_and_scope(provider, server):
    said = json.dumps({"error": {"message": f"limit for {KEY}: {PROMPT}"}}).encode()
    server.tapes = [Tape([said], status=429, content_type="application/json", headers={"retry-after": "7"})]
    error, events = await fails(provider)
    assert (error.kind, error.retry_after, error.billed, error.scope) == (ErrorKind.RATE_LIMIT, 7.0, Billed.NO, Scope.ACCOUNT)
    assert events == []


async def test_stream_options_are_dropped_where_they_are_refused_and_not_sent_again(provider, server):
    refusal = json.dumps({"error": {"message": "Unrecognized request argument supplied: stream_options"}}).encode()
    server.tapes = [Tape([refusal], status=400, content_type="application/json"), Tape(HELLOS["plain"])]
    assert text(await ask(provider)) == "Hello"
    assert text(await ask(provider)) == "Hello"
    assert ["stream_options" in call.body for call in server.calls] == [True, False, False]


# ------------------------------------------------------------------------------------------------ budgets


NOISE = {
    "comment": b": keep-alive\n\n",
    "nothing": delta(),
    "empty text": choices({"index": 0, "delta": {"content": ""}}),
    "blank line": b"\n",
    "ping": b'event: ping\ndata: {"type": "ping"}\n\n',
    "role": delta("", role="assistant"),
    "usage": choices(usage=USAGE),
}


@pytest.mark.parametrize("noise", NOISE.values(), ids=NOISE)
@pytest.mark.parametrize(("before", "kind"), [([], ErrorKind.TIMEOUT_FIRST), (HELLO, ErrorKind.TIMEOUT_IDLE)])
async def test_keepalives_do_not_count_as_life(provider, server, loop_time, *, noise, before, kind):
    server.tapes = [Tape([*before, *[noise, 400.0] * 40, STOP, DONE])]
    asking = asyncio.ensure_future(fails(provider))
    for said in range(3):
        await eventually(lambda: server.played > len(before) + said)  # noqa: B023 - it is waited for here
        assert not asking.done()
        await loop_time.skip(400)
    error, _ = await asyncio.wait_for(asking, PATIENCE_SECONDS)
    assert (error.kind, error.in_stream, error.billed) == (kind, bool(before), Billed.MAYBE)
    await loop_time.at_once(server.left.is_set)


async def test_a_reason_that_is_told_again_and_again_ends_the_answer_all_the_same(provider, server, loop_time, monkeypatch):
    monkeypatch.setattr("adapters.openai_compatible.GRACE_S", 1.0)
    again: list[bytes | float] = [STOP, 0.02] * 10_000
    server.tapes = [Tape([*HELLO, *again, DONE])]
    assert (await ask(provider))[-1] == Finished(FinishReason.STOP, "stop")
    await loop_time.at_once(server.left.is_set)  # it was left before its end


@pytest.mark.parametrize("field", ["content", "reasoning"])
async def test_an_answer_without_end_is_cut_where_it_would_fill_the_memory(provider, server, loop_time, field):
    endless: list[bytes | float] = [delta(**{field: "All work and no play. " * 20_000}), 0.001] * 400
    server.tapes = [Tape([*HELLO, *endless, STOP, DONE])]
    events = await ask(provider)
    said = len(text(events)) + len(reasoning(events))
    assert ANSWER_CHARS < said < 2 * ANSWER_CHARS
    assert events[-1] == Finished(FinishReason.LENGTH, "length")
    await loop_time.at_once(server.left.is_set)


async def test_reasoning_without_end_and_without_text_is_no_answer(provider, server):
    endless: list[bytes | float] = [delta(reasoning="All work and no play. " * 20_000), 0.001] * 400
    server.tapes = [Tape(endless)]
    error, _ = await fails(provider)
    assert error.kind is ErrorKind.EMPTY


async def test_steady_text_ends_at_the_total_budget(provider, server, loop_time):
    server.tapes = [Tape([delta("x"), 400.0] * 20)]
    asking = asyncio.ensure_future(fails(provider))
    for said in range(8):
        await eventually(lambda: server.played > said)  # noqa: B023 - it is waited for here
        assert not asking.done()
        await loop_time.skip(400)
    error, events = await asyncio.wait_for(asking, PATIENCE_SECONDS)
    assert error.kind is ErrorKind.TIMEOUT_TOTAL
    assert text(events) == "x" * 8


@pytest.mark.parametrize("pause", [900.0, 1300.0], ids=["it came meanwhile", "it comes later"])
async def test_a_slow_reader_is_not_taken_for_a_silent_provider(server, session, loop_time, pause):
    budgets = replace(PATIENT, total=9000)
    provider = OpenAICompatible(session, GENERIC, key=KEY, base_url=f"{server.url}/v1", budgets=budgets)
    server.tapes = [Tape([HELLO[0], pause, HELLO[1], pause, STOP, DONE])]
    got: list[Event] = []
    stream = provider.stream(request(MODEL))
    while not got or not isinstance(got[-1], Finished):
        coming = asyncio.ensure_future(anext(stream))
        if got and isinstance(got[-1], TextDelta):
            await loop_time.skip(400)  # a longer pause ends
        got.append(await coming)
        if isinstance(got[-1], TextDelta):
            await loop_time.skip(1200)  # while nobody reads
    assert text(got) == "Hello"


async def test_a_finished_answer_does_not_wait_long_for_an_end_that_does_not_come(provider, server, monkeypatch):
    monkeypatch.setattr("adapters.openai_compatible.GRACE_S", 0.1)
    server.tapes = [Tape([*HELLO, STOP, 3600.0])]
    events = await asyncio.wait_for(ask(provider), PATIENCE_SECONDS)  # the idle budget is longer
    assert events[-1] == Finished(FinishReason.STOP, "stop")


# ------------------------------------------------------------------------------------------------ leaving


@pytest.mark.parametrize("leave", ["close", "cancel"])
async def test_leaving_in_the_middle_closes_the_socket_at_once(provider, server, loop_time, leave):
    server.tapes = [Tape([*HELLO, 3600.0])]
    stream = provider.stream(request(MODEL))
    while not isinstance(await anext(stream), TextDelta):
        pass
    if leave == "cancel":
        task = asyncio.ensure_future(_drain(stream))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        await stream.aclose()
    await loop_time.at_once(server.left.is_set)


async def _drain(stream):
    return [got async for got in stream]


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").is_dir() else 0


async def test_a_thousand_cancelled_streams_leave_no_task_socket_or_file(server, session):
    provider = OpenAICompatible(session, GENERIC, key=KEY, base_url=f"{server.url}/v1", budgets=PATIENT)
    server.tapes = [Tape([*HELLO, 3600.0])]
    before = len(asyncio.all_tasks()), _open_files()
    for _ in range(10):
        tasks = [asyncio.ensure_future(ask(provider)) for _ in range(100)]
        await asyncio.sleep(0.05)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(result) for result in results} == {asyncio.CancelledError}
    assert not session.connector._acquired
    after = before
    for _ in range(int(PATIENCE_SECONDS / 0.01)):
        after = len(asyncio.all_tasks()), _open_files()
        if after[0] <= before[0] and after[1] <= before[1]:
            break
        await asyncio.sleep(0.01)
    assert after[0] <= before[0]
    assert after[1] <= before[1]
