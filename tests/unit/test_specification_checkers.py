"""The checkers of the platforms' specifications find what is wrong: a check that could not fail would prove nothing."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.specifications import DiscordSpecification, TelegramSpecification

MESSAGES = "/channels/1/messages"
BUTTON = {"type": 2, "style": 1, "label": "a", "custom_id": "b"}
COMMAND = {"name": "ask", "type": 1, "description": "Ask", "options": [{"type": 3, "name": "question", "description": "What"}]}
DISCORD_MISTAKES: dict[str, tuple[str, str, dict[str, str], Any]] = {
    "unknown route": ("POST", "/channels/1/massages", {}, {"content": "x"}),
    "unknown method": ("PUT", MESSAGES, {}, {"content": "x"}),
    "not a snowflake": ("POST", "/channels/general/messages", {}, {"content": "x"}),
    "unknown query": ("GET", MESSAGES, {"limits": "5"}, None),
    "wrong query": ("GET", MESSAGES, {"limit": "many"}, None),
    "missing body": ("POST", MESSAGES, {}, None),
    "unknown field": ("POST", MESSAGES, {}, {"content": "x", "nonse": "1"}),
    "wrong type": ("POST", MESSAGES, {}, {"content": 5}),
    "nonce too long": ("POST", MESSAGES, {}, {"content": "x", "nonce": "1" * 26}),
    "nested unknown field": ("POST", MESSAGES, {}, {"content": "x", "message_reference": {"message_id": "1", "fail": False}}),
    "nested missing": ("POST", MESSAGES, {}, {"content": "x", "message_reference": {"fail_if_not_exists": False}}),
    "button without style": ("POST", MESSAGES, {}, {"components": [{"type": 1, "components": [{"type": 2, "label": "a"}]}]}),
    "button outside a row": ("POST", MESSAGES, {}, {"components": [BUTTON]}),
    "unknown mention": ("PATCH", f"{MESSAGES}/2", {}, {"allowed_mentions": {"parse": ["all"]}}),
    "unknown callback": ("POST", "/interactions/1/t/callback", {}, {"type": 99}),
    "option without description": ("PUT", "/applications/1/commands", {}, [{**COMMAND, "options": [{"type": 3, "name": "question"}]}]),
    "unknown option field": ("PUT", "/applications/1/commands", {}, [{**COMMAND, "option": []}]),
    "body of a plain call": ("POST", "/channels/1/typing", {}, {"a": 1}),
}


@pytest.mark.parametrize("mistake", DISCORD_MISTAKES)
def test_a_wrong_request_to_discord_is_found(discord_says: DiscordSpecification, mistake: str) -> None:
    assert discord_says.request(*DISCORD_MISTAKES[mistake])


def test_a_right_request_to_discord_is_let_through(discord_says: DiscordSpecification) -> None:
    rows = [{"type": 1, "components": [BUTTON]}]
    assert discord_says.request("POST", MESSAGES, {}, {"content": "x", "components": rows, "nonce": "1"}) == []
    assert discord_says.request("PUT", "/applications/1/commands", {}, [COMMAND]) == []
    assert discord_says.request("GET", MESSAGES, {"limit": "5", "after": "1"}, None) == []


def test_a_wrong_answer_of_discord_is_found(discord_says: DiscordSpecification) -> None:
    assert discord_says.response("GET", "/users/@me", 200, {"id": "1"})
    assert discord_says.response("GET", "/users/@me", 302, None)
    assert discord_says.response("GET", "/users/@me", 404, {"message": "no code"})
    assert discord_says.response("POST", "/channels/1/typing", 204, {})


TELEGRAM_MISTAKES: dict[str, tuple[str, dict[str, Any]]] = {
    "unknown method": ("sendMassage", {}),
    "unknown parameter": ("sendMessage", {"chat_id": "1", "text": "x", "reply_to": "1"}),
    "missing parameter": ("sendMessage", {"chat_id": "1"}),
    "wrong type": ("deleteMessage", {"chat_id": "1", "message_id": "abc"}),
    "flag that is none": ("deleteWebhook", {"drop_pending_updates": "maybe"}),
    "no list": ("sendMessage", {"chat_id": "1", "text": "x", "entities": '{"type": "bold"}'}),
    "entity without length": ("sendMessage", {"chat_id": "1", "text": "x", "entities": '[{"type": "bold", "offset": 0}]'}),
    "entity of an unknown kind": ("sendMessage", {"chat_id": "1", "text": "x", "entities": '[{"type": "bald", "offset": 0, "length": 1}]'}),
    "number as text": ("sendMessage", {"chat_id": "1", "text": "x", "entities": '[{"type": "bold", "offset": "0", "length": 1}]'}),
    "unknown nested field": ("sendMessage", {"chat_id": "1", "text": "x", "link_preview_options": '{"disabled": true}'}),
    "button without text": (
        "sendMessage",
        {"chat_id": "1", "text": "x", "reply_markup": '{"inline_keyboard": [[{"callback_data": "a"}]]}'},
    ),
    "rows missing": ("sendMessage", {"chat_id": "1", "text": "x", "reply_markup": '{"inline_keyboard": [{"text": "a"}]}'}),
    "unknown style": (
        "sendMessage",
        {"chat_id": "1", "text": "x", "reply_markup": '{"inline_keyboard": [[{"text": "a", "callback_data": "a", "style": "pink"}]]}'},
    ),
    "unknown scope": ("setMyCommands", {"commands": "[]", "scope": '{"type": "everywhere"}'}),
    "command without description": ("setMyCommands", {"commands": '[{"command": "help"}]'}),
}


@pytest.mark.parametrize("mistake", TELEGRAM_MISTAKES)
def test_a_wrong_call_of_telegram_is_found(telegram_says: TelegramSpecification, mistake: str) -> None:
    assert telegram_says.request(*TELEGRAM_MISTAKES[mistake])


def test_a_right_call_of_telegram_is_let_through(telegram_says: TelegramSpecification) -> None:
    entities = '[{"type": "bold", "offset": 0, "length": 1}]'
    keyboard = '{"inline_keyboard": [[{"text": "a", "callback_data": "a", "style": "danger"}]]}'
    call = {"chat_id": "1", "text": "1", "entities": entities, "reply_markup": keyboard, "reply_parameters": '{"message_id": 1}'}
    assert telegram_says.request("sendMessage", call) == []
    assert telegram_says.request("setMyCommands", {"commands": "[]", "scope": '{"type": "chat", "chat_id": 1}'}) == []


def test_a_wrong_answer_of_telegram_is_found(telegram_says: TelegramSpecification) -> None:
    message = {"message_id": 1, "date": 1, "chat": {"id": 1, "type": "private"}, "text": "x"}
    assert telegram_says.answer("sendMessage", 200, {"ok": True, "result": message}) == []
    assert telegram_says.answer("sendMessage", 200, {"ok": True, "result": {**message, "date": "today"}})
    assert telegram_says.answer("sendMessage", 200, {"ok": True, "result": {**message, "chat": {"id": 1}}})
    assert telegram_says.answer("sendMessage", 200, {"ok": True, "result": {**message, "thread": 1}})
    assert telegram_says.answer("getMe", 400, {"ok": False, "error_code": 400})
