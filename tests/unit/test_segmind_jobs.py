"""Segmind v2: a job is stored before it is waited for, and collected once, also by another process."""

import asyncio
import json
from typing import Any

import pytest

from adapters.base import Billed, ChatRequest, ErrorKind, Finished, Message, Progress, Scope, Started, Submitted, TextDelta, TextPart, Usage
from adapters.segmind import SLOW, Segmind
from adapters.segmind_jobs import COLLECT_TOTAL_S, Job, read_handle, read_job, read_output
from sandbox.faults import Fault
from sandbox.providers import SegmindSandbox
from tests.support.clock import Epoch
from tests.support.providers import KEY, PROMPT, events, failure, said, submitted

LLAMA = "llama-v3p1-8b-instruct"
BODY = {"choices": [{"message": {"content": "a"}, "finish_reason": "stop"}]}


@pytest.fixture
def now():
    return Epoch()


@pytest.fixture
async def server(voice, now):
    slugs = [LLAMA, "claude-4.5-sonnet", "gemini-2.5-flash", "gpt-5"]
    async with SegmindSandbox(key=KEY, voice=voice, slugs=slugs, requests_per_minute=10_000, now=now) as sandbox:
        yield sandbox


@pytest.fixture
def segmind(server, session, sleep):
    return Segmind(session, key=KEY, base_url=server.base_url, sleep=sleep)


def ask(model: str = LLAMA, text: str = PROMPT, *, parameters: dict[str, Any] | None = None, **more: Any) -> ChatRequest:
    return ChatRequest(model, (said("user", text),), parameters={"mode": "async", **(parameters or {})}, **more)


@pytest.mark.parametrize("slug", [LLAMA, "claude-4.5-sonnet", "gemini-2.5-flash"])
@pytest.mark.parametrize("encoded", [True, False])
async def test_a_job_is_told_of_then_awaited_then_collected(segmind, server, slept, slug, encoded):
    server.encode_output = encoded
    got = await events(segmind, ask(slug))
    assert [type(event) for event in got] == [Started, Submitted, Progress, Progress, TextDelta, Usage, Finished]
    (ident,) = server.jobs
    assert got[0] == Started(ident)
    assert [event.kind for event in got if isinstance(event, Progress)] == ["queued", "processing"]
    assert got[4] == TextDelta(f"{slug} heard: {PROMPT}")
    assert (got[5].cost, got[5].remaining_credits) == (0.00025, 4.99975)
    assert slept == [1.0, 2.0, 3.0]
    assert [call.headers["x-api-key"] for call in server.calls] == [KEY] * 5
    assert "x-remaining-credits" not in server.calls[0].headers


async def test_the_slow_models_are_asked_by_job_and_the_others_in_one_call(segmind, server):
    assert "gpt-5" in SLOW
    for slug in ("gpt-5", LLAMA):
        await events(segmind, ChatRequest(slug, (Message("user", (TextPart("hi"),)),)))
    assert [call.path for call in server.calls_to("POST")] == ["/v2/gpt-5", f"/v1/{LLAMA}"]
    assert all("mode" not in call.body for call in server.calls_to("POST"))


async def test_after_a_crash_the_job_is_collected_and_not_asked_again(segmind, server, voice):
    handle = await submitted(segmind, ask())
    assert KEY not in handle
    assert PROMPT not in handle
    got = await events(segmind, ask(resume=handle))
    assert [event for event in got if isinstance(event, TextDelta)] == [TextDelta(f"{LLAMA} heard: {PROMPT}")]
    assert not [event for event in got if isinstance(event, Submitted)]
    assert len(server.calls_to("POST")) == len(voice.heard) == 1


async def test_a_job_that_is_done_by_then_is_collected_without_a_wait(segmind, server, slept):
    server.queued_looks = server.processing_looks = 0
    handle = await submitted(segmind, ask())
    await asyncio.sleep(0.02)
    await events(segmind, ask(resume=handle))
    assert slept == []


async def test_a_job_is_collected_also_when_the_conversation_went_over_to_one_call(segmind, server):
    handle = await submitted(segmind, ask())
    assert isinstance((await events(segmind, ask(resume=handle, parameters={"mode": "sync"})))[-1], Finished)
    assert len(server.calls_to("POST")) == 1


async def test_a_job_that_is_gone_is_lost_and_may_have_been_billed(segmind, server, now):
    handle = await submitted(segmind, ask())
    now.seconds += 3601
    error = await failure(segmind, ask(resume=handle))
    assert (error.kind, error.billed, error.scope) == (ErrorKind.STATE_LOST, Billed.MAYBE, Scope.REQUEST)


@pytest.mark.parametrize(
    "handle", ["", "{", "[]", "null", '{"chat_id": "x"}', '{"account": "other", "id": "a", "status": "/a", "result": "/a"}']
)
async def test_a_handle_of_somebody_else_is_not_collected(segmind, server, handle):
    assert isinstance((await events(segmind, ask(resume=handle)))[-1], Finished)
    assert len(server.calls_to("POST")) == 1


async def test_a_handle_of_another_account_is_not_collected(server, session, segmind):
    handle = await submitted(segmind, ask())
    other = Segmind(session, key="SG_other", base_url=server.base_url)
    assert read_handle(handle, other.account) is None
    assert read_handle(handle, segmind.account) is not None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Prompt is Mandatory and must be string", ErrorKind.BAD_REQUEST),
        ("CUDA error on worker 7", ErrorKind.SERVER),
        ("Insufficient credits", ErrorKind.QUOTA),
        ("this prompt was flagged by the safety system", ErrorKind.CONTENT_FILTER),
    ],
)
async def test_a_failed_job_says_why_and_costs_nothing(segmind, server, text, kind):
    server.fail_jobs = text
    error = await failure(segmind, ask())
    assert (error.kind, error.billed, error.status, error.detail) == (kind, Billed.NO, 422, text)


async def test_looks_that_fail_are_made_again_and_the_question_is_not(segmind, server, slept):
    for fault in (
        Fault(method="GET", status=429, body={"error": "Rate limit exceeded"}, headers={"retry-after": "7"}),
        Fault(method="GET", status=502, body="<html>Bad Gateway</html>"),
        Fault(method="GET", drop="before"),
        Fault(method="GET", status=200, body="no JSON"),
    ):
        server.faults.clear()
        server.faults.add(fault)
        if fault.status == 200:
            assert (await failure(segmind, ask())).kind is ErrorKind.PROTOCOL
        else:
            assert isinstance((await events(segmind, ask()))[-1], Finished)
    assert slept[:2] == [1.0, 7.0]
    assert len(server.calls_to("POST")) == 4


async def test_a_look_that_is_refused_may_leave_a_bill(segmind, server):
    server.faults.add(Fault(method="GET", status=401, body={"error": "Unauthorized. API key is invalid or may have expired"}))
    error = await failure(segmind, ask())
    assert (error.kind, error.billed) == (ErrorKind.AUTH, Billed.MAYBE)


async def test_a_job_without_end_is_given_up_in_time(segmind, server, slept):
    server.queued_looks = 10_000
    error = await failure(segmind, ask())
    assert (error.kind, error.billed, error.scope) == (ErrorKind.TIMEOUT_TOTAL, Billed.MAYBE, Scope.MODEL)
    assert sum(slept) <= COLLECT_TOTAL_S
    assert max(slept) == 5.0


@pytest.mark.parametrize(
    ("fault", "kind", "billed"),
    [
        (Fault(status=406, body={"error": "Insufficient credits. Please add more."}), ErrorKind.QUOTA, Billed.NO),
        (Fault(status=500, body={"error": "worker gone"}), ErrorKind.SERVER, Billed.NO),
        (Fault(status=200, body={"request_id": "../../v1/x"}), ErrorKind.PROTOCOL, Billed.MAYBE),
        (Fault(drop="after"), ErrorKind.SERVER, Billed.MAYBE),
    ],
)
async def test_a_submission_that_is_not_taken_is_an_error(segmind, server, fault, kind, billed):
    server.faults.add(Fault(status=fault.status, body=fault.body, drop=fault.drop))
    error = await failure(segmind, ask())
    assert (error.kind, error.billed) == (kind, billed)


async def test_a_gateway_that_answers_a_submission_at_once_is_understood(segmind, server):
    server.faults.add(Fault(status=200, body=BODY))
    got = await events(segmind, ask())
    assert TextDelta("a") in got
    assert not [event for event in got if isinstance(event, Submitted)]


@pytest.mark.parametrize(
    "address", ["https://evil.example/v2/requests/r1/status", "//evil.example/x", "/v2/requests/r1/status", "", None, 7]
)
def test_the_key_goes_to_no_host_that_an_answer_names(address):
    job = read_job({"request_id": "r1", "status_url": address, "response_url": address}, "https://gateway.example/segmind", "account")
    assert job is not None
    assert job.status.startswith("/")
    assert "evil" not in f"{job.status}{job.result}"


def test_a_gateways_own_path_is_kept_once():
    data = {
        "request_id": "r1",
        "status_url": "https://gw.example/segmind/v2/requests/r1/status",
        "response_url": "https://api.segmind.com/v2/requests/r1",
    }
    assert read_job(data, "https://gw.example/segmind", "a") == Job("a", "r1", "/v2/requests/r1/status", "/v2/requests/r1")


@pytest.mark.parametrize("path", ["/../../etc", "/v2/../v1/x", "/v2/x?key=1", "//evil.example/x", "http://evil.example", ""])
def test_a_handle_with_a_path_that_leads_elsewhere_is_none_of_ours(path):
    handle = json.dumps({"account": "a", "id": "r1", "status": path, "result": "/v2/requests/r1"})
    assert read_handle(handle, "a") is None


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (json.dumps(BODY), "a"),
        (BODY, "a"),
        ("plain text", "plain text"),
        (json.dumps("quoted"), "quoted"),
        ('{"capital": "Paris"}', '{"capital": "Paris"}'),
        ("42", "42"),
        ("", ""),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_an_output_is_read_in_every_form(output, text):
    content = read_output(output)
    assert content is not None
    assert content.text == text


@pytest.mark.parametrize("output", [None, {}, 7, [], json.dumps({"error": "no"}), {"error": "no"}])
def test_an_output_that_is_no_answer_is_none(output):
    assert read_output(output) is None


async def test_stopping_ends_the_looks(server, session):
    segmind = Segmind(session, key=KEY, base_url=server.base_url)
    task = asyncio.create_task(events(segmind, ask()))
    while not server.jobs:  # noqa: ASYNC110 - the stand-in has no event for it
        await asyncio.sleep(0.005)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not server.calls_to("GET")
