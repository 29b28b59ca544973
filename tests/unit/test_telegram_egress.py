from __future__ import annotations

import logging
import warnings
from typing import Any

import httpx
import pytest

from bot.model import Button, ButtonStyle, Entity, Page, Receipt
from bot.platforms.base import FloodError, PlatformError, Refusal, RefusedError, UnavailableError, UnknownOutcomeError
from bot.platforms.telegram import egress
from bot.platforms.telegram.api import make_api
from tests.support.telegram import GROUP, TOKEN, USER, Server, api, ok, refused, target

SENT = {"message_id": 99, "date": 1, "chat": {"id": USER, "type": "private"}}


async def attempt(answer: httpx.Response | Exception, call: str) -> PlatformError | None:
    """Make one call and return its error."""
    client = api(Server(answer))
    try:
        if call == "send":
            await egress.send(client, target(), Page("hi"), first=True)
        elif call == "edit":
            await egress.edit(client, target(), "99", Page("hi"))
        else:
            await egress.delete(client, target(), "99")
    except PlatformError as error:
        return error
    finally:
        await client.aclose()
    return None


# -------------------------------------------------------------------------------------------------- what is sent


async def test_a_page_goes_out_with_its_entities_buttons_topic_and_reply():
    server = Server(ok(SENT))
    client = api(server)
    page = Page(
        "😀 bold x",
        (Entity("bold", 3, 4), Entity("text_link", 8, 1, url="https://example.org"), Entity("pre", 0, 2, language="python")),
        ((Button("Stop", "stop:1", ButtonStyle.DANGER), Button("Go", "go", ButtonStyle.PRIMARY)), (Button("Plain", "p"),)),
    )
    assert await egress.send(client, target(group=True, thread="30", reply_to="7"), page, first=True) == Receipt("99")
    await client.aclose()
    assert server.calls == [
        (
            "sendMessage",
            {
                "chat_id": GROUP,
                "message_thread_id": 30,
                "text": "😀 bold x",
                "entities": [
                    {"type": "bold", "offset": 3, "length": 4},
                    {"type": "text_link", "offset": 8, "length": 1, "url": "https://example.org"},
                    {"type": "pre", "offset": 0, "length": 2, "language": "python"},
                ],
                "link_preview_options": {"is_disabled": True},
                "reply_parameters": {"message_id": 7, "allow_sending_without_reply": True},
                "reply_markup": {
                    "inline_keyboard": [
                        [
                            {"text": "Stop", "callback_data": "stop:1", "style": "danger"},
                            {"text": "Go", "callback_data": "go", "style": "primary"},
                        ],
                        [{"text": "Plain", "callback_data": "p"}],
                    ]
                },
            },
        )
    ]


async def test_only_the_first_page_is_a_reply():
    server = Server(ok(SENT))
    client = api(server)
    await egress.send(client, target(reply_to="7"), Page("hi"), first=False)
    await client.aclose()
    assert server.calls == [("sendMessage", {"chat_id": USER, "text": "hi", "link_preview_options": {"is_disabled": True}})]


async def test_an_edit_without_buttons_takes_the_keyboard_away():
    server = Server(ok(SENT))
    client = api(server)
    assert await egress.edit(client, target(thread="30"), "99", Page("done")) == Receipt("99")
    await client.aclose()
    wanted = {"chat_id": USER, "message_id": 99, "text": "done", "link_preview_options": {"is_disabled": True}}
    assert server.calls == [("editMessageText", wanted)]


async def test_an_answer_the_library_cant_parse_loses_no_message_id():
    server = Server(ok({"message_id": 5, "chat": "a novelty"}))
    client = api(server)
    assert await egress.send(client, target(), Page("hi"), first=True) == Receipt("5")
    await client.aclose()


# ------------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("code", "description", "reason"),
    [
        (400, "Bad Request: message is too long", Refusal.TOO_LONG),
        (400, "Bad Request: MESSAGE_TOO_LONG", Refusal.TOO_LONG),
        (400, "Bad Request: reply markup is too long", Refusal.BAD_REQUEST),
        (400, "Bad Request: message to edit not found", Refusal.GONE),
        (400, "Bad Request: message can't be edited", Refusal.GONE),
        (400, "Bad Request: chat not found", Refusal.GONE),
        (400, "Bad Request: message thread not found", Refusal.GONE),
        (400, "Bad Request: group chat was upgraded to a supergroup chat", Refusal.GONE),
        (400, "Bad Request: not enough rights to send text messages to the chat", Refusal.FORBIDDEN),
        (400, "Bad Request: can't parse entities", Refusal.BAD_REQUEST),
        (400, "Bad Request: message text is empty", Refusal.BAD_REQUEST),
        (403, "Forbidden: bot was blocked by the user", Refusal.FORBIDDEN),
        (401, "Unauthorized", Refusal.TOKEN),
        (404, "Not Found", Refusal.TOKEN),
    ],
)
@pytest.mark.parametrize("call", ["send", "edit"])
async def test_a_refusal_says_why(call, code, description, reason):
    parameters = {"migrate_to_chat_id": -1005} if "upgraded" in description else {}
    error = await attempt(refused(code, description, **parameters), call)
    assert isinstance(error, RefusedError)
    assert error.reason is reason
    assert TOKEN not in str(error)


async def test_that_a_message_already_looks_so_is_success():
    said = "Bad Request: message is not modified: specified new message content and reply markup are exactly the same"
    assert await attempt(refused(400, said), "edit") is None


@pytest.mark.parametrize("said", ["message to delete not found", "MESSAGE_ID_INVALID"])
async def test_that_a_message_is_gone_already_is_success_of_a_delete(said):
    assert await attempt(refused(400, f"Bad Request: {said}"), "delete") is None


async def test_a_message_too_old_to_delete_is_a_refusal():
    error = await attempt(refused(400, "Bad Request: message can't be deleted for everyone"), "delete")
    assert isinstance(error, RefusedError)
    assert error.reason is Refusal.FORBIDDEN


# ------------------------------------------------------------------------------------------------- floods, outages


@pytest.mark.parametrize(
    ("answer", "seconds"), [(refused(429, "Too Many Requests: retry after 17", retry_after=17), 17.0), (httpx.Response(429), 3.0)]
)
@pytest.mark.parametrize("call", ["send", "edit", "delete"])
async def test_a_flood_says_how_long_without_a_warning_of_the_library(call, answer, seconds):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        error = await attempt(answer, call)
    assert isinstance(error, FloodError)
    assert (error.retry_after, error.everywhere) == (seconds, False)


@pytest.mark.parametrize("error", [httpx.ConnectError("no route"), httpx.ConnectTimeout("slow"), httpx.PoolTimeout("full")])
@pytest.mark.parametrize("call", ["send", "edit", "delete"])
async def test_what_never_left_certainly_did_nothing(call, error):
    assert isinstance(await attempt(error, call), UnavailableError)


LOST: list[Any] = [
    httpx.ReadTimeout("slow"),
    httpx.WriteTimeout("slow"),
    httpx.ReadError("reset"),
    httpx.RemoteProtocolError("closed"),
    httpx.Response(500, json={"ok": False, "error_code": 500, "description": "Internal Server Error"}),
    httpx.Response(502, text="<html>Bad Gateway</html>"),
    httpx.Response(504),
    httpx.Response(404, text="<html>a proxy's own page</html>"),
    httpx.Response(200, text="<html>a captive portal</html>"),
    httpx.Response(200, json={"ok": True}),
    httpx.Response(200, json=[]),
]


@pytest.mark.parametrize("answer", LOST, ids=repr)
async def test_a_lost_answer_to_a_send_leaves_the_outcome_unknown(answer):
    assert isinstance(await attempt(answer, "send"), UnknownOutcomeError)


@pytest.mark.parametrize("answer", LOST, ids=repr)
@pytest.mark.parametrize("call", ["edit", "delete"])
async def test_a_lost_answer_to_what_can_be_repeated_is_an_outage(call, answer):
    assert isinstance(await attempt(answer, call), UnavailableError)


# -------------------------------------------------------------------------------------------------------- secrets


async def test_neither_token_nor_text_reaches_a_log_or_a_repr(caplog):
    caplog.set_level(logging.DEBUG)
    client = make_api(TOKEN, "http://127.0.0.1:9")
    try:
        with pytest.raises(UnavailableError) as caught:
            await egress.send(client, target(), Page("a secret wish"), first=True)
    finally:
        await client.aclose()
    for shown in (caplog.text, repr(client), str(caught.value), str(client)):
        assert TOKEN not in shown
        assert "secret wish" not in shown
