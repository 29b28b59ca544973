"""Discord's HTTP calls: every kind of answer has its place in the seam's tree of errors, and no secret gets out."""

import asyncio
import logging

import pytest

from bot.platforms.base import FloodError, PlatformError, Refusal, RefusedError, UnavailableError, UnknownOutcomeError
from bot.platforms.discord.answers import FLOOD_SECONDS, CodedRefusedError
from bot.platforms.discord.rest import Rest
from sandbox.faults import Fault
from tests.support.discord_server import AnyServer
from tests.support.seam import eventually

TOKEN = "bot-token-that-stays-secret"
HOOK = "/webhooks/1/interaction-token-that-stays-secret/messages/@original"


@pytest.fixture
async def server():
    async with AnyServer() as server:
        yield server


@pytest.fixture
async def rest(server):
    rest = Rest(server.url + "/", TOKEN)
    yield rest
    await rest.aclose()


async def test_a_call_carries_token_user_agent_and_json_and_reads_the_rates(server, rest):
    answer = await rest.call("POST", "/channels/1/messages", {"content": "grüß dich"})
    assert (answer.body, answer.remaining, answer.reset_after) == ({"id": "1000"}, 3, 4.25)
    [call] = server.calls
    assert (call.method, call.path, call.body) == ("POST", "/channels/1/messages", {"content": "grüß dich"})
    assert call.headers["Authorization"] == f"Bot {TOKEN}"
    assert call.headers["Content-Type"] == "application/json"
    assert call.headers["User-Agent"].startswith("DiscordBot (")


async def test_interaction_routes_are_called_without_the_bots_token(server, rest):
    await rest.call("PATCH", HOOK, {}, authorised=False)
    assert "Authorization" not in server.calls[0].headers


async def test_an_empty_answer_is_fine(server, rest):
    server.say(204, "")
    assert (await rest.call("DELETE", "/channels/1/messages/2")).body is None


@pytest.mark.parametrize(
    ("headers", "body", "told"),
    [
        ({"Via": "1.1 google", "Retry-After": "2"}, {"retry_after": 1.337, "global": False}, (1.337, False)),
        ({"Retry-After": "2"}, {"message": "said by a proxy"}, (2.0, False)),
        ({"Via": "1.1 google", "X-RateLimit-Reset-After": "0.75"}, {"message": "no time"}, (0.75, False)),
        ({"Via": "1.1 google"}, {"retry_after": 0.5, "global": True}, (0.5, True)),
        ({"Via": "1.1 google", "X-RateLimit-Scope": "global"}, {"retry_after": 0.5}, (0.5, True)),
        ({"Retry-After": "600"}, "error code: 1015", (600.0, True)),
        ({"Via": "1.1 google"}, {"message": "nothing", "retry_after": None}, (FLOOD_SECONDS, False)),
        ({"Via": "1.1 google", "Retry-After": "inf"}, {"message": "nothing"}, (FLOOD_SECONDS, False)),
    ],
)
async def test_429_tells_how_long_and_how_far(server, rest, headers, body, told):
    server.say(429, body, headers=headers)
    with pytest.raises(FloodError) as caught:
        await rest.call("PATCH", "/channels/1/messages/2", {})
    assert (caught.value.retry_after, caught.value.everywhere) == told


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (404, 10003, Refusal.GONE),
        (404, 10008, Refusal.GONE),
        (404, 10015, Refusal.GONE),
        (404, 10062, Refusal.GONE),
        (401, 50027, Refusal.GONE),
        (401, 0, Refusal.TOKEN),
        (403, 50001, Refusal.FORBIDDEN),
        (403, 50007, Refusal.FORBIDDEN),
        (400, 50083, Refusal.FORBIDDEN),
        (400, 50006, Refusal.BAD_REQUEST),
        (404, 0, Refusal.BAD_REQUEST),
        (301, 0, Refusal.BAD_REQUEST),
    ],
)
async def test_a_refusal_has_its_reason(server, rest, status, code, reason):
    server.refuse(status, code)
    with pytest.raises(CodedRefusedError) as caught:
        await rest.call("PATCH", "/channels/1/messages/2", {})
    assert (caught.value.reason, caught.value.status, caught.value.code) == (reason, status, code)


@pytest.mark.parametrize(
    ("errors", "reason"),
    [
        ({"content": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."}]}}, Refusal.TOO_LONG),
        ({"content": {"_errors": [{"code": "STRING_TYPE_CONVERT", "message": "Could not interpret."}]}}, Refusal.BAD_REQUEST),
        ({"components": {"0": {"_errors": [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 5."}]}}}, Refusal.BAD_REQUEST),
        ({"content": ["not", "a", "tree"]}, Refusal.BAD_REQUEST),
        ("not a tree", Refusal.BAD_REQUEST),
    ],
)
async def test_only_a_too_long_content_is_too_long(server, rest, errors, reason):
    server.refuse(400, 50035, errors=errors)
    with pytest.raises(RefusedError) as caught:
        await rest.call("PATCH", "/channels/1/messages/2", {})
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=500),
        Fault(status=503, body="<html>"),
        *(Fault(status=status, body="<html>a proxy's own</html>") for status in (401, 403, 404)),
        Fault(drop="after"),
        Fault(drop="before"),
        Fault(body="{", status=200),
    ],
)
@pytest.mark.parametrize(("repeatable", "error"), [(True, UnavailableError), (False, UnknownOutcomeError)])
async def test_a_lost_outcome_is_unavailable_where_repeating_is_safe_and_unknown_elsewhere(server, rest, fault, repeatable, error):
    server.faults.add(Fault(drop=fault.drop, status=fault.status, body=fault.body))
    with pytest.raises(error):
        await rest.call("POST", "/webhooks/1/x?wait=true", {}, repeatable=repeatable)


async def test_an_answer_that_takes_too_long_is_lost(server, rest):
    server.faults.add(Fault(delay=5.0))
    with pytest.raises(UnknownOutcomeError):
        await rest.call("POST", "/x", {}, repeatable=False, seconds=0.05)


async def test_a_refused_connection_did_nothing_even_for_calls_that_must_not_be_repeated():
    rest = Rest("http://127.0.0.1:1", TOKEN)
    with pytest.raises(UnavailableError):
        await rest.call("POST", "/x", {}, repeatable=False)
    await rest.aclose()


async def test_a_redirect_is_not_followed_with_the_token(server, rest):
    server.say(302, {}, headers={"Location": server.url + "/elsewhere"})
    with pytest.raises(PlatformError):
        await rest.call("GET", "/users/@me")
    assert len(server.calls) == 1


async def test_a_call_ends_though_its_caller_is_cancelled(server, rest):
    server.faults.add(Fault(delay=0.1))
    caller = asyncio.create_task(rest.call("PATCH", "/channels/1/messages/2", {"content": "whole"}))
    await eventually(lambda: server.calls)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    await rest.aclose()
    assert server.calls[0].status == 200


async def test_the_failure_of_a_call_nobody_waits_for_is_logged(server, rest, caplog):
    caplog.set_level(logging.INFO)
    server.faults.add(Fault(delay=0.05, status=403, body={"code": 50001, "message": "Missing Access"}))
    caller = asyncio.create_task(rest.call("PATCH", HOOK, {}))
    await eventually(lambda: server.calls)
    caller.cancel()
    await rest.aclose()
    assert "Missing Access" in caplog.text
    assert "secret" not in caplog.text


async def test_after_closing_nothing_is_sent(server, rest):
    await rest.call("GET", "/x")
    await rest.aclose()
    await rest.aclose()
    with pytest.raises(UnavailableError):
        await rest.call("GET", "/x")
    assert len(server.calls) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(drop="before"),
        Fault(status=401, body={"code": 0}),
        Fault(status=404, body={"code": 10015}),
        Fault(status=502),
        Fault(delay=5.0),
    ],
)
async def test_no_error_names_a_token(server, rest, fault):
    server.faults.add(Fault(drop=fault.drop, status=fault.status, body=fault.body, delay=fault.delay))
    with pytest.raises(PlatformError) as caught:
        await rest.call("PATCH", HOOK, {"content": "x"}, seconds=0.2)
    error: BaseException | None = caught.value
    while error is not None:
        assert "secret" not in f"{error} {error!r}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
