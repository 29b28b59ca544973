"""Raw Telegram updates as the Bot API sends them, and a client whose network is a function."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import httpx

from bot.commands.base import Answer, Command, Context, Option
from bot.model import ChatAddress, ChatKind, Target
from bot.platforms.telegram.api import Api, Wire
from bot.platforms.telegram.reading import Me

TOKEN = "700000:AAtest-token_of_nobody"
ME = Me(700_000, "dragoman_bot")
USER = 501
GROUP = -1_001_234


async def _say(_: Context) -> Answer:
    return Answer("done")


COMMANDS = (
    Command("help", "What can be said", _say),
    Command("model", "Choose a model", _say, (Option("name", "Its name"),)),
    Command("settings", "Set a value", _say, (Option("name", "Which"), Option("value", "To what"))),
    Command("ask", "Ask", None, (Option("question", "What to ask", required=True),), asks=True),
)


def person(user_id: int = USER, **more: Any) -> dict[str, Any]:
    return {"id": user_id, "is_bot": False, "first_name": "Ada", "last_name": "L.", **more}


def bot() -> dict[str, Any]:
    return {"id": ME.id, "is_bot": True, "first_name": "Dragoman", "username": ME.username}


def private_chat() -> dict[str, Any]:
    return {"id": USER, "type": "private", "first_name": "Ada"}


def group_chat(kind: str = "supergroup") -> dict[str, Any]:
    return {"id": GROUP, "type": kind, "title": "Friends"}


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def entity(kind: str, text: str, part: str, **more: Any) -> dict[str, Any]:
    """The entity that covers the first `part` of `text`."""
    return {"type": kind, "offset": units(text[: text.index(part)]), "length": units(part), **more}


def message(text: str | None = "hello", *, chat: dict[str, Any] | None = None, message_id: int = 7, **more: Any) -> dict[str, Any]:
    raw = {"message_id": message_id, "date": 1_790_000_000, "chat": chat or private_chat(), "from": person(), **more}
    if text is not None:
        raw["text"] = text
        if text.startswith("/") and "entities" not in more:
            raw["entities"] = [entity("bot_command", text, text.split(maxsplit=1)[0])]
    return raw


def update(update_id: int = 1, **part: Any) -> dict[str, Any]:
    return {"update_id": update_id, **part}


def mentioning(text: str, **more: Any) -> dict[str, Any]:
    return message(text, chat=group_chat(), entities=[entity("mention", text, f"@{ME.username}")], **more)


def callback(data: str | None = "stop:1", **more: Any) -> dict[str, Any]:
    raw = {"id": "9001", "from": person(), "chat_instance": "1", "message": {**message("…", message_id=44), "from": bot()}, **more}
    return raw if data is None else {**raw, "data": data}


def target(*, group: bool = False, thread: str = "", reply_to: str | None = None) -> Target:
    kind = ChatKind.GROUP if group else ChatKind.PRIVATE
    return Target(ChatAddress("telegram", ME.account, str(GROUP if group else USER), thread), kind, reply_to=reply_to)


# --------------------------------------------------------------------------------------------------------- network

Answerer = Callable[[str, dict[str, Any]], Awaitable[httpx.Response]]


def ok(result: Any) -> httpx.Response:
    return httpx.Response(200, json={"ok": True, "result": result})


def refused(code: int, description: str, **parameters: Any) -> httpx.Response:
    body: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    if parameters:
        body["parameters"] = parameters
    return httpx.Response(code, json=body)


class Server:
    """A network for `api`: remembers calls and gives one answer to all, or raises it."""

    def __init__(self, answer: httpx.Response | Exception | None = None) -> None:
        self.answer = answer or ok(True)
        self.calls: list[tuple[str, dict[str, Any]]] = []

    async def __call__(self, method: str, parameters: dict[str, Any]) -> httpx.Response:
        self.calls.append((method, parameters))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def api(answer: Answerer) -> Api:
    """A real client of the library over a network that is `answer(method, parameters)`; it may raise httpx's errors."""

    async def handle(request: httpx.Request) -> httpx.Response:
        form = dict(parse_qsl((await request.aread()).decode(), keep_blank_values=True))
        return await answer(request.url.path.rsplit("/", 1)[-1], {name: _decoded(value) for name, value in form.items()})

    wire = Wire(httpx_kwargs={"transport": httpx.MockTransport(handle)})
    return Api(TOKEN, base_url="http://telegram.invalid/bot", request=wire, get_updates_request=wire)


def _decoded(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value
