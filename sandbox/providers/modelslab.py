"""ModelsLab v6 chat on loopback: the server keeps the conversation under a chat_id, and may queue an answer to be polled for.

Errors come as ``{"status": "error", "message": …}``, some with an HTTP status, some inside a 200, as at the real one. Stricter than that:
attributes out of the document's ranges are refused (but for ``top_p``, clamped to 1 as in the document's sample), a chat takes one request
at a time, and a ``system_prompt`` counts only at the start of a chat or with ``reset``.
"""

from __future__ import annotations

import asyncio
import secrets
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from sandbox.providers.checks import Check, flag, number, text, whole
from sandbox.providers.tokens import first_words
from sandbox.providers.voices import Voice
from sandbox.server import Server

MODELS = ("zephyr-7b-beta",)
"""The only model id of v6 chat that a document names."""

DEFAULT_SYSTEM = "You are a helpful assistant."
DEFAULT_NEW_TOKENS = 128
QUEUED_REQUESTS = 5
"""Requests an account may have under way at once on the pay-as-you-go plan."""

BALANCE = 43.6


def _or_none(check: Check) -> Check:
    return lambda value: value is None or check(value)


_ATTRIBUTES: dict[str, Check] = {
    "key": text,
    "model_id": text,
    "chat_id": text,
    "system_prompt": lambda value: isinstance(value, str),
    "prompt": text,
    "max_new_tokens": whole(1, 1024),
    "do_sample": flag,
    "temperature": number(0, 2, above=True),
    "top_k": whole(1, 128),
    "top_p": number(0, float("inf"), above=True),
    "no_repeat_ngram_size": whole(0),
    "seed": _or_none(whole(0)),
    "temp": flag,
    "generator_type": lambda value: value in {"json", "choices", "format", "text"},
    "generator_choices": text,
    "reset": flag,
    "uncensored_system_prompt": flag,
    "webhook": _or_none(lambda value: isinstance(value, str) and value.startswith("https://")),
    "track_id": _or_none(whole(0)),
}


@dataclass(slots=True)
class Chat:
    """What the server remembers of one conversation.

    Attributes:
        messages: The transcript, oldest first, without the system prompt.
        polls: How often a queued answer is still to be asked for in vain.
        queued: Body of the request whose answer is queued.
        last: The last answer given.
    """

    id: str
    system: str
    created_at: float
    messages: list[dict[str, str]] = field(default_factory=list)
    busy: bool = False
    polls: int = 0
    queued: dict[str, Any] | None = None
    last: dict[str, Any] | None = None


class _Refused(Exception):  # noqa: N818 - the stand-in's answer, not a failure of its own
    def __init__(self, text: str, status: int = 200, **extra: Any) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.extra = extra


class ModelsLabSandbox(Server):
    """ModelsLab's v6 chat.

    Args:
        key: The one API key that is taken, in the body.
        voice: Gives the answers' text.
        models: Ids on offer.
        now: Epoch seconds.

    Attributes:
        chats: The server's memory, by chat_id.
        queue_for: Answers are queued, and so many polls are in vain; 0 answers at once.
        eta: Seconds promised for a queued answer; int or float.
        eta_in_meta: The promise stands in ``meta`` and not at the top.
        vain_success: A vain poll says ``success`` with an empty message, as in the documented sample, and not ``processing``.
        misspell: Errors stand in ``messege``.
        hold: Each answer waits for this event, so that a test can look at a request under way.
    """

    def __init__(self, *, key: str, voice: Voice, models: Sequence[str] = MODELS, now: Callable[[], float] = time.time) -> None:
        super().__init__(now=now)
        self.chats: dict[str, Chat] = {}
        self.queue_for = 0
        self.eta: float = 1
        self.eta_in_meta = False
        self.vain_success = False
        self.misspell = False
        self.hold: asyncio.Event | None = None
        self._key = key
        self._voice = voice
        self._models = tuple(models)
        self._answers: set[asyncio.Task[dict[str, Any]]] = set()

    @property
    def base_url(self) -> str:
        """What ``MODELSLAB_BASE_URL`` is set to."""
        return f"{self.url}/api/v6"

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes: chat, its queue, and the balance, which lies outside v6."""
        return [
            web.post("/api/v6/llm/chat", self._answered(self._chat)),
            web.post("/api/v6/llm/get_queued_response", self._answered(self._queued)),
            web.post("/api/wallet_balance", self._answered(self._balance)),
        ]

    async def stop(self) -> None:
        """Close every connection and end answers that nobody waits for any more."""
        for task in self._answers:
            task.cancel()
        await asyncio.gather(*self._answers, return_exceptions=True)
        await super().stop()

    def _answered(self, handler: Callable[[dict[str, Any]], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            try:
                return web.json_response(await handler(await self._body(request)))
            except _Refused as refused:
                name = "messege" if self.misspell else "message"
                return web.json_response({"status": "error", name: refused.text, **refused.extra}, status=refused.status)

        return handle

    async def _body(self, request: web.Request) -> dict[str, Any]:
        if request.content_type != "application/json":
            raise _Refused("The request must be JSON.", 400)
        try:
            body = await request.json()
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise _Refused("The request must be a JSON object.", 400)
        if body.get("key") != self._key:
            raise _Refused("Invalid API key", 401)
        return body

    async def _balance(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"status": "success", "data": {"balance": BALANCE, "currency": "USD"}}

    # ------------------------------------------------------------------------------------------------ chat

    async def _chat(self, body: dict[str, Any]) -> dict[str, Any]:
        self._check(body)
        chat = self._find(body["chat_id"]) if "chat_id" in body else None
        if chat is not None and (chat.busy or chat.queued is not None):
            raise _Refused("This chat has a request in progress. Please wait for it to finish.")
        if sum(one.busy or one.queued is not None for one in self.chats.values()) >= QUEUED_REQUESTS:
            text = f"Rate limit exceeded. Maximum {QUEUED_REQUESTS} queued requests allowed."
            raise _Refused(text, 429, retry_after=30)
        if chat is None:
            chat = Chat(str(uuid.uuid4()), body.get("system_prompt") or DEFAULT_SYSTEM, self.now())
            self.chats[chat.id] = chat
        elif body.get("reset"):
            chat.system, chat.messages = body.get("system_prompt") or DEFAULT_SYSTEM, []
        if self.queue_for > 0:
            chat.queued, chat.polls = body, self.queue_for
            return self._processing(chat)
        return await self._shielded(chat, body)

    async def _queued(self, body: dict[str, Any]) -> dict[str, Any]:
        if not isinstance(body.get("chat_id"), str):
            raise _Refused("The chat id field is required.", 400)
        chat = self._find(body["chat_id"])
        if chat.queued is None:
            return chat.last if chat.last is not None and not chat.busy else self._processing(chat)
        if chat.polls > 0:
            chat.polls -= 1
            return {**self._processing(chat), "status": "success" if self.vain_success else "processing"}
        asked, chat.queued = chat.queued, None
        return await self._shielded(chat, asked)

    def _find(self, chat_id: str) -> Chat:
        if chat_id not in self.chats:
            raise _Refused("Chat not found")
        return self.chats[chat_id]

    def _check(self, body: dict[str, Any]) -> None:
        for name, value in body.items():
            if name not in _ATTRIBUTES:
                raise _Refused(f"The {name} field is not known.", 400)
            if name != "prompt" and not _ATTRIBUTES[name](value):
                raise _Refused(f"The {name} field is invalid.", 400)
        if not text(body.get("prompt")):
            raise _Refused("prompt is required", 400)
        if body.get("model_id") not in self._models:
            raise _Refused(f"Model not found: {body.get('model_id')}", 400)
        if body.get("generator_type") in {"choices", "json", "format"} and "generator_choices" not in body:
            raise _Refused("The generator_choices field is required.", 400)

    def _processing(self, chat: Chat) -> dict[str, Any]:
        reply = {"status": "processing", "message": "", "output": [], "chat_id": chat.id, "meta": {"chat_id": chat.id}}
        if self.eta_in_meta:
            return {**reply, "meta": {"chat_id": chat.id, "eta": self.eta}}
        return {**reply, "eta": self.eta}

    async def _shielded(self, chat: Chat, body: dict[str, Any]) -> dict[str, Any]:
        """Answer, and remember it even if the asker goes away: the real memory changes too."""
        chat.busy = True
        task = asyncio.create_task(self._answer(chat, body))
        self._answers.add(task)
        task.add_done_callback(self._answers.discard)
        return await asyncio.shield(task)

    async def _answer(self, chat: Chat, body: dict[str, Any]) -> dict[str, Any]:
        asked = {"role": "user", "content": body["prompt"]}
        try:
            if self.hold is not None:
                await self.hold.wait()
            pieces = self._voice.speak(body["model_id"], [{"role": "system", "content": chat.system}, *chat.messages, asked])
            said = first_words("".join([piece async for piece in pieces]), body.get("max_new_tokens", DEFAULT_NEW_TOKENS))
        finally:
            chat.busy = False
        chat.messages += [asked, {"role": "assistant", "content": said}]
        chat.last = {
            "status": "success",
            "output": [f"https://pub-sandbox.r2.dev/chats/{chat.id}.json"],
            "message": said,
            "chat_id": chat.id,
            "meta": self._meta(chat, body),
        }
        return chat.last

    def _meta(self, chat: Chat, body: dict[str, Any]) -> dict[str, Any]:
        """Return the echo of the document's samples."""
        seed = body.get("seed")
        return {
            "chat_id": chat.id,
            "created_at": _iso(chat.created_at),
            "do_sample": _yes(body.get("do_sample", True)),
            "max_new_tokens": body.get("max_new_tokens", DEFAULT_NEW_TOKENS),
            "model_id": body["model_id"],
            "no_repeat_ngram_size": body.get("no_repeat_ngram_size", 5),
            "num_return_sequences": 1,
            "pipeline_tag": "text-generation",
            "prompt": body["prompt"],
            "seed": secrets.randbelow(2**32) if seed is None else seed,
            "temp": _yes(body.get("temp", False)),
            "temperature": body.get("temperature", 0.3),
            "top_k": body.get("top_k", 50),
            "top_p": min(1, body.get("top_p", 0.95)),
            "updated_at": _iso(self.now()),
        }


def _yes(value: bool) -> str:  # noqa: FBT001 - it spells booleans
    return "yes" if value else "no"


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat()
