"""What the three providers are known to send, byte by byte: each tape ends in the right text or in the right kind of error, within its
budget, and shows no key, no chat_id and no prompt in an error, an event or a log.

The names are those of the list at the end of the research on the providers; a raw server plays them.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest

from adapters.base import (
    ChatRequest,
    ErrorKind,
    Event,
    Finished,
    FinishReason,
    Message,
    ModelInfo,
    Progress,
    Provider,
    ProviderError,
    ReasoningDelta,
    Submitted,
    TextDelta,
    TextPart,
    Usage,
)
from adapters.http import Budgets, open_session
from adapters.modelslab import ModelsLab
from adapters.netmind import Netmind
from adapters.openai_compatible import OpenAICompatible
from adapters.openai_vendors import PRESETS
from adapters.segmind import Segmind
from tests.support.clock import PATIENCE_SECONDS
from tests.support.wire import Asked, RawServer, Reply, Script, late, stream, whole

KEY = "canary-0a1b2c3d4e5f"  # of no form that is known for keys: what stands in an error is found by its value alone
PROMPT = "canary prompt: the quick brown fox hides 4711 silver coins"
CHAT = "49afc793-canary-chat-id-bac9"
LLAMA, NET, ZEPHYR = "llama-v3p1-8b-instruct", "meta-llama/Meta-Llama-3.1-8B-Instruct", "zephyr-7b-beta"
STATE = json.dumps({"chat_id": CHAT})
SHORT = Budgets(first=1.5, total=PATIENCE_SECONDS)
"""Of a tape that has to run out of time."""
PATIENT = Budgets(first=2 * PATIENCE_SECONDS, idle=2 * PATIENCE_SECONDS)
"""Of all others: one that is not over by half of that hangs."""


@dataclass
class Run:
    """What came of a tape."""

    asked: list[Asked]
    events: list[Event] = field(default_factory=list)
    error: ProviderError | None = None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, ReasoningDelta))

    @property
    def usage(self) -> Usage:
        return next(event for event in self.events if isinstance(event, Usage))

    @property
    def finished(self) -> Finished:
        event = self.events[-1]
        assert isinstance(event, Finished)
        return event

    @property
    def hint(self) -> float:
        assert self.error is not None
        assert self.error.retry_after is not None
        return self.error.retry_after


def _anything(_: Run) -> bool:
    return True


@dataclass(frozen=True)
class Tape:
    """What is played, and what it has to end in: `text`, or `error` with `text` before it."""

    scripts: Sequence[Script]
    text: str = ""
    error: ErrorKind | None = None
    check: Callable[[Run], bool] = _anything
    parameters: Mapping[str, Any] = field(default_factory=dict)
    state: str | None = None
    job: bool = False  # a job submitted before is collected
    v7: bool = False
    budgets: Budgets = PATIENT


# ------------------------------------------------------------------------------------------------- Segmind

OPENAI_BODY = {
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
}
ANTHROPIC_BODY = {
    "type": "message",
    "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 7, "output_tokens": 3},
}
GEMINI_BODY = {
    "candidates": [{"content": {"parts": [{"text": "Hel"}, {"text": "lo"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3},
}
PARTS_BODY = {"choices": [{"message": {"content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]}}]}
ECHO = f" (key {KEY}, you said: {PROMPT})"
HTML_405 = b"<!doctype html><title>405 Method Not Allowed</title><h1>Method Not Allowed</h1>"
JOB = whole(
    {
        "request_id": "r-1",
        "status": "QUEUED",
        "poll_url": "https://api.segmind.com/v2/requests/r-1",
        "status_url": "https://api.segmind.com/v2/requests/r-1/status",
        "response_url": "https://api.segmind.com/v2/requests/r-1",
    }
)
METRICS = {"inference_time": 1.5, "cost": 0.00025, "remaining_credits": 3.14159, "retry_count": 0}


def _said(error: str, status: int, **headers: str) -> Reply:
    return whole({"error": error + ECHO}, status, **headers)


def _state(status: str, http: int = 200, **more: Any) -> Reply:
    return whole({"status": status, **more}, http)


ASYNC = {"mode": "async"}
SEGMIND: dict[str, Tape] = {
    "ok_openai": Tape([whole(OPENAI_BODY)], "Hello", check=lambda run: run.usage.output_tokens == 3),
    "ok_anthropic": Tape([whole(ANTHROPIC_BODY)], "Hello", check=lambda run: run.usage.input_tokens == 7),
    "ok_gemini": Tape([whole(GEMINI_BODY)], "Hello", check=lambda run: run.finished.reason is FinishReason.STOP),
    "content_parts": Tape([whole(PARTS_BODY)], "Hello"),
    "empty_content": Tape([whole({"choices": [{"message": {"content": ""}, "finish_reason": "stop"}]})], error=ErrorKind.EMPTY),
    "401_missing": Tape([_said("Missing Authorization or x-api-key in header", 401)], error=ErrorKind.AUTH),
    "401_invalid": Tape([_said("Unauthorized. API key is invalid or may have expired.", 401)], error=ErrorKind.AUTH),
    "404_slug": Tape([_said("Not Found", 404)], error=ErrorKind.MODEL_NOT_FOUND),
    "405_html": Tape([whole(HTML_405, 405, kind="text/html")], error=ErrorKind.BAD_REQUEST),
    "406_content_type": Tape([_said("Invalid content type", 406)], error=ErrorKind.BAD_REQUEST),
    "406_credits": Tape([_said("Insufficient credits. Please add credits to your account.", 406)], error=ErrorKind.QUOTA),
    "410": Tape([_said("Model has been retired", 410)], error=ErrorKind.MODEL_NOT_FOUND),
    "429_reset_utc": Tape(
        [_said("Rate limit exceeded", 429, x_rate_limit_reset_at_utc="2999-01-01T00:00:00Z")],
        error=ErrorKind.RATE_LIMIT,
        check=lambda run: run.hint == 120,
    ),
    "500": Tape([_said("Something went wrong", 500)], error=ErrorKind.SERVER),
    "slow_30s": Tape([late(3600)], error=ErrorKind.TIMEOUT_TOTAL, budgets=SHORT),
    "v2_queue_processing_done": Tape(
        [JOB, _state("QUEUED"), _state("PROCESSING"), _state("COMPLETED"), _state("COMPLETED", output=OPENAI_BODY, metrics=METRICS)],
        "Hello",
        parameters=ASYNC,
        check=lambda run: (
            [event.kind for event in run.events if isinstance(event, Progress)] == ["queued", "processing"]
            and isinstance(run.events[1], Submitted)
            and run.usage.remaining_credits == 3.14159
        ),
    ),
    "v2_output_double_encoded": Tape(
        [JOB, _state("COMPLETED"), _state("COMPLETED", output=json.dumps(ANTHROPIC_BODY), metrics=METRICS)], "Hello", parameters=ASYNC
    ),
    "v2_failed_422": Tape(
        [JOB, _state("FAILED", 422, error="Prompt is Mandatory and must be string" + ECHO)], error=ErrorKind.BAD_REQUEST, parameters=ASYNC
    ),
    "v2_expired_404": Tape([_said("Request r-1 not found", 404)], error=ErrorKind.STATE_LOST, job=True),
    "credits_header_float": Tape(
        [whole(OPENAI_BODY, x_remaining_credits="4.99975", x_cost="2.5e-4")],
        "Hello",
        check=lambda run: (run.usage.remaining_credits, run.usage.cost) == (4.99975, 0.00025),
    ),
}

# ------------------------------------------------------------------------------------------------- Netmind


def _event(data: Any) -> bytes:
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data, ensure_ascii=False).encode()) + b"\n\n"


def _delta(content: Any = None, finish: Any = None, **more: Any) -> bytes:
    delta = ({} if content is None else {"content": content}) | more
    return _event(
        {"id": "c", "object": "chat.completion.chunk", "model": NET, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}
    )


HEL, LO, STOP, DONE = _delta("Hel"), _delta("lo"), _delta(finish="stop"), b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16}
WORD = "¿naïve 🦊 日本?"
BIG = "x" * 700_000
PINGS: list[bytes | float] = [b": OPENROUTER PROCESSING\n\n", 0.1] * 100


def _used(run: Run) -> bool:
    return (run.usage.input_tokens, run.usage.output_tokens) == (11, 5)


def _failed(message: str, status: int, code: str | None = None, **headers: str) -> Reply:
    return whole({"error": {"message": message + ECHO, "type": "invalid_request_error", "code": code}}, status, **headers)


def _later(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


NETMIND: dict[str, Tape] = {
    "role_only_and_null": Tape(
        [stream(_delta("", role="assistant"), _delta(role=""), _event({"choices": [{"index": 0, "delta": None}]}), HEL, LO, STOP, DONE)],
        "Hello",
    ),
    "usage_empty_choices": Tape([stream(HEL, LO, STOP, _event({"choices": [], "usage": USAGE}), DONE)], "Hello", check=_used),
    "usage_null_choices": Tape([stream(HEL, LO, STOP, _event({"choices": None, "usage": USAGE}), DONE)], "Hello", check=_used),
    "crlf": Tape([stream(*(piece.replace(b"\n", b"\r\n") for piece in (HEL, LO, STOP, DONE)))], "Hello"),
    "multiline_data": Tape(
        [stream(b'data: {"choices": [{"delta":\ndata:  {"content": "Hello"}, "finish_reason": "stop"}]}\n\n', DONE)], "Hello"
    ),
    "bytewise_utf8": Tape([stream(*(bytes([byte]) for byte in _delta(WORD) + STOP + DONE))], WORD),
    "gzip": Tape([stream(_delta(WORD), _delta(WORD), STOP, DONE, zipped=True)], WORD * 2),
    "comments_forever": Tape([stream(*PINGS)], error=ErrorKind.TIMEOUT_FIRST, budgets=SHORT),
    "big_event_700k": Tape([stream(_delta(BIG), STOP, DONE)], BIG),
    "no_done": Tape([stream(HEL, LO, STOP)], "Hello", check=lambda run: run.finished.complete),
    "no_finish": Tape([stream(HEL, LO, DONE)], "Hello", check=lambda run: run.finished.reason is FinishReason.UNKNOWN),
    "drop_chunked": Tape(
        [stream(HEL, drop=True)], "Hel", error=ErrorKind.INCOMPLETE, check=lambda run: bool(run.error and run.error.in_stream)
    ),
    "drop_close": Tape([stream(HEL, chunked=False)], "Hel", check=lambda run: not run.finished.complete),
    "error_first": Tape([stream(_event({"error": {"message": "boom" + ECHO, "type": "server_error"}}))], error=ErrorKind.SERVER),
    "error_mid": Tape(
        [stream(HEL + _event({"error": {"message": "slow down" + ECHO, "code": "rate_limit_exceeded"}}))], "Hel", ErrorKind.RATE_LIMIT
    ),
    "vllm_error_mid": Tape(
        [stream(HEL, _event({"object": "error", "message": "engine died" + ECHO, "type": "InternalServerError", "code": 500}))],
        "Hel",
        ErrorKind.SERVER,
    ),
    "json_instead_of_sse": Tape([whole(OPENAI_BODY)], "Hello"),
    "reasoning_content": Tape(
        [stream(_delta(reasoning_content="hm"), HEL, LO, STOP, DONE)], "Hello", check=lambda run: run.reasoning == "hm"
    ),
    "reasoning_field": Tape([stream(_delta(reasoning="hm"), HEL, LO, STOP, DONE)], "Hello", check=lambda run: run.reasoning == "hm"),
    "think_tags_split": Tape(
        [stream(*(_delta(piece) for piece in ("<th", "ink>h", "m</thi", "nk>", "\n\nHel", "lo")), STOP, DONE)],
        "Hello",
        check=lambda run: run.reasoning == "hm",
    ),
    "reasoning_only": Tape([stream(_delta(reasoning_content="hm"), STOP, DONE)], error=ErrorKind.EMPTY),
    "length": Tape([stream(HEL, LO, _delta(finish="length"), DONE)], "Hello", check=lambda run: run.finished.reason is FinishReason.LENGTH),
    "content_filter": Tape([stream(_delta(finish="content_filter"), DONE)], error=ErrorKind.CONTENT_FILTER),
    "404_unknown_model": Tape([_failed("unknown model: claude-sonnet-5", 404)], error=ErrorKind.MODEL_NOT_FOUND),
    "400_stream_options": Tape(
        [_failed("Unrecognized request argument supplied: stream_options", 400), stream(HEL, LO, STOP, DONE)],
        "Hello",
        check=lambda run: ["stream_options" in asked.body for asked in run.asked] == [True, False],
    ),
    "429_retry_after_s": Tape(
        [_failed("Too many requests", 429, Retry_After="7.5")], error=ErrorKind.RATE_LIMIT, check=lambda run: run.hint == 7.5
    ),
    "429_retry_after_ms": Tape(
        [_failed("Too many requests", 429, retry_after_ms="1500")], error=ErrorKind.RATE_LIMIT, check=lambda run: run.hint == 1.5
    ),
    "429_retry_after_date": Tape(
        [lambda _: _failed("Too many requests", 429, Retry_After=_later(60))],
        error=ErrorKind.RATE_LIMIT,
        check=lambda run: 30 < run.hint <= 60,
    ),
    "429_quota": Tape([_failed("You exceeded your current quota", 429, "insufficient_quota")], error=ErrorKind.QUOTA),
    "200_error_body": Tape([whole({"error": {"message": "Insufficient balance" + ECHO, "code": None}})], error=ErrorKind.QUOTA),
}

# ----------------------------------------------------------------------------------------------- ModelsLab

TRANSCRIPT = f"https://pub-3626123a.r2.dev/chats/{CHAT}.json"


def _chat(
    status: str = "success", message: str = "Hello.", *, http: int = 200, meta: Mapping[str, Any] | None = None, **more: Any
) -> Reply:
    body = {
        "status": status,
        "output": [TRANSCRIPT],
        "message": message,
        "chat_id": CHAT,
        "meta": {"chat_id": CHAT, **(meta or {})},
        **more,
    }
    return whole(body, http)


def _refused(text: str, status: int = 200, name: str = "message", **more: Any) -> Reply:
    return whole({"status": "error", name: f"{text} chat {CHAT} {TRANSCRIPT}{ECHO}", **more}, status)


def _strict(asked: Asked) -> Reply:
    return _refused("top_p must be at most 1", 400) if asked.body["top_p"] > 1 else _chat()


WORDS = "Step 1: Research the law of the land and of the river. " * 5 + "Step 2: Research the"
QUEUED = _chat("processing", "", eta=1)
MODELSLAB: dict[str, Tape] = {
    "start": Tape([_chat()], "Hello.", check=lambda run: run.finished.state == STATE and "chat_id" not in run.asked[0].body),
    "continue": Tape(
        [_chat()], "Hello.", state=STATE, check=lambda run: run.finished.state == STATE and run.asked[0].body["chat_id"] == CHAT
    ),
    "processing_then_success": Tape([QUEUED, QUEUED, _chat()], "Hello.", check=lambda run: isinstance(run.events[1], Submitted)),
    "processing_meta_eta_float": Tape(
        [_chat("processing", "", meta={"eta": 2.5}), _chat()],
        "Hello.",
        check=lambda run: [event.eta for event in run.events if isinstance(event, Progress)] == [2.5],
    ),
    "success_empty_then_text": Tape([_chat(message=""), _chat(message=""), _chat()], "Hello."),
    "processing_forever": Tape([QUEUED], error=ErrorKind.TIMEOUT_TOTAL),
    "error_200_credits": Tape([_refused("You are out of credits.")], error=ErrorKind.QUOTA),
    "error_200_messege": Tape([_refused("Invalid API key", name="messege")], error=ErrorKind.AUTH),
    "failed": Tape([_chat("failed", f"It broke{ECHO}")], error=ErrorKind.SERVER),
    "429_body_retry_after": Tape(
        [_refused("Rate limit exceeded. Maximum 5 queued requests allowed.", 429, retry_after=30)],
        error=ErrorKind.RATE_LIMIT,
        check=lambda run: run.hint == 30,
    ),
    "401": Tape([_refused("Invalid API key", 401)], error=ErrorKind.AUTH),
    "html_502": Tape([whole(b"<html><h1>502 Bad Gateway</h1></html>", 502, kind="text/html")], error=ErrorKind.SERVER),
    "truncated_reply": Tape(
        [_chat(message=WORDS)], WORDS, parameters={"max_new_tokens": 64}, check=lambda run: run.finished.likely_truncated
    ),
    "unknown_chat_id": Tape([_refused("Chat not found")], error=ErrorKind.STATE_LOST, state=STATE),
    "reset": Tape([_chat()], "Hello.", state=STATE, parameters={"reset": True}, check=lambda run: run.asked[0].body["reset"] is True),
    "top_p_10_rejected_by_strict_mode": Tape(
        [_strict], "Hello.", parameters=ModelsLab.parameters.model_validate({"top_p": 10}).model_dump(exclude_none=True)
    ),
    "v7_json_for_stream": Tape([whole(OPENAI_BODY)], "Hello", v7=True, check=lambda run: run.asked[0].body["stream"] is True),
}

TAPES = {
    f"{name}-{tape}": (name, kept)
    for name, tapes in (("segmind", SEGMIND), ("netmind", NETMIND), ("modelslab", MODELSLAB))
    for tape, kept in tapes.items()
}


# ------------------------------------------------------------------------------------------------- playing


async def _no_wait(_: float) -> None:
    await asyncio.sleep(0)


def _provider(name: str, session: aiohttp.ClientSession, url: str, *, v7: bool = False, budgets: Budgets = PATIENT) -> tuple[Provider, str]:
    blocking = replace(budgets, total=budgets.first)
    if v7:
        return OpenAICompatible(session, PRESETS["modelslab_v7"], key=KEY, base_url=f"{url}/v7", budgets=budgets), "any"
    if name == "segmind":
        return Segmind(session, key=KEY, base_url=url, budgets=blocking, sleep=_no_wait), LLAMA
    if name == "modelslab":
        return ModelsLab(session, key=KEY, base_url=f"{url}/api/v6", budgets=blocking, sleep=_no_wait), ZEPHYR
    return Netmind(session, key=KEY, base_url=f"{url}/v1", budgets=budgets), NET


async def _play(name: str, tape: Tape, server: RawServer, session: aiohttp.ClientSession) -> Run:
    provider, model = _provider(name, session, server.url, v7=tape.v7, budgets=tape.budgets)
    run = Run(server.asked)
    resume = None
    if tape.job:
        resume = json.dumps({"account": provider.account, "id": "r-1", "status": "/v2/requests/r-1/status", "result": "/v2/requests/r-1"})
    messages = (Message("user", (TextPart(PROMPT),)),)
    request = ChatRequest(model, messages, parameters=tape.parameters, state=tape.state, resume=resume)
    try:
        async for event in provider.stream(request):
            run.events.append(event)
    except ProviderError as error:
        run.error = error
    return run


def _no_secret_in(run: Run, logged: str) -> None:
    shown = f"{run.events!r}{logged}"
    if run.error is not None:
        shown += f"{run.error!r}{run.error}{run.error.detail}{run.error.__cause__!r}"
    for secret in (KEY, PROMPT, CHAT, "r2.dev"):
        assert secret not in shown


@pytest.mark.parametrize("name", TAPES)
async def test_each_tape_ends_in_the_right_text_or_the_right_error(name: str, caplog: pytest.LogCaptureFixture) -> None:
    provider, tape = TAPES[name]
    caplog.set_level(logging.DEBUG)
    async with RawServer(list(tape.scripts)) as server, open_session() as session, asyncio.timeout(PATIENCE_SECONDS):
        run = await _play(provider, tape, server, session)
    assert (run.error.kind if run.error else None) == tape.error, run.error
    assert run.text == tape.text
    if tape.error is None:
        assert isinstance(run.events[-1], Finished)
    assert tape.check(run)
    _no_secret_in(run, caplog.text)


async def test_models_list() -> None:
    listed = {"object": "list", "data": [{"id": NET, "object": "model"}, {"id": "openai/gpt-5.4", "context_length": 400_000}]}
    async with RawServer([whole(listed)]) as server, open_session() as session:
        provider, _ = _provider("netmind", session, server.url)
        assert await provider.models() == (ModelInfo(NET), ModelInfo("openai/gpt-5.4", 400_000))
    assert (server.asked[0].method, server.asked[0].path) == ("GET", "/v1/models")
    assert server.asked[0].headers["authorization"] == f"Bearer {KEY}"


async def test_parallel_same_chat_is_asked_one_after_the_other() -> None:
    slow = Reply([0.05, *_chat().pieces], keep=True)
    async with RawServer([slow]) as server, open_session() as session, asyncio.timeout(PATIENCE_SECONDS):
        provider, model = _provider("modelslab", session, server.url)
        request = ChatRequest(model, (Message("user", (TextPart(PROMPT),)),), state=STATE)

        async def ask() -> list[Event]:
            return [event async for event in provider.stream(request)]

        runs = await asyncio.gather(*(ask() for _ in range(4)))
    assert all(isinstance(events[-1], Finished) for events in runs)
    assert server.most == 1
    assert len(server.asked) == 4


async def test_the_key_stands_only_where_the_document_puts_it() -> None:
    for name, reply, where in (
        ("segmind", whole(OPENAI_BODY), "x-api-key"),
        ("netmind", whole(OPENAI_BODY), "authorization"),
        ("modelslab", _chat(), ""),
    ):
        async with RawServer([reply]) as server, open_session() as session:
            await _play(name, Tape([]), server, session)
        (asked,) = server.asked
        assert [header for header, value in asked.headers.items() if KEY in value] == ([where] if where else [])
        assert (KEY in json.dumps(asked.body)) == (not where)
        assert KEY not in asked.path


def test_every_tape_of_the_list_is_there() -> None:
    assert (len(SEGMIND), len(NETMIND), len(MODELSLAB)) == (
        20,
        30,
        17,
    )  # and three tests of their own: models_list, parallel_same_chat, the key's place
