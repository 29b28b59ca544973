"""Netmind Power on loopback: chat completions and completions, streaming and regular, and the model list.

Parameters and their ranges are those of Netmind's document; error bodies are OpenAI's, which its clients read. Stricter than the real one:
unknown parameters, a last message that is not the user's (some of its models refuse that), and ``n`` above 1 while streaming are refused.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from sandbox.faults import write
from sandbox.providers.netmind_schema import Refused, check_chat, check_completion, check_pictures
from sandbox.providers.tokens import Limited, count_messages
from sandbox.providers.voices import Voice
from sandbox.server import Server

BASE_PATH = "/inference-api/openai/v1"

MODELS = (
    "meta-llama/Meta-Llama-3.1-8B-Instruct",
    "meta-llama/Meta-Llama-3.1-70B-Instruct",
    "deepseek-ai/DeepSeek-V3",
    "openai/gpt-5.4",
)
"""The two that the document names, and two ids of the shapes seen since: always with a vendor's name and a slash."""

VISION = frozenset({"openai/gpt-5.4"})
"""Those that take pictures; the others refuse them as text models do."""

CONTEXT_TOKENS = 131_072
"""Window of the stand-in's models (that of Llama 3.1), counted as the stand-in counts."""

Answer = web.StreamResponse


@dataclass(frozen=True, slots=True)
class Form:
    """The one difference between chat completions and completions: how an answer and its pieces are wrapped."""

    prefix: str
    whole: str
    piece: str
    chat: bool

    def choice(self, index: int, text: str, finish_reason: str) -> dict[str, Any]:
        """Return a whole answer."""
        body = {"message": {"role": "assistant", "content": text}} if self.chat else {"text": text, "logprobs": None}
        return {"index": index, **body, "finish_reason": finish_reason}

    def delta(self, text: str, finish_reason: str | None = None, *, first: bool = False) -> dict[str, Any]:
        """Return a piece of one."""
        if not self.chat:
            return {"index": 0, "text": text, "logprobs": None, "finish_reason": finish_reason}
        delta = {"role": "assistant", "content": ""} if first else {"content": text} if text else {}
        return {"index": 0, "delta": delta, "finish_reason": finish_reason}


_CHAT = Form("chatcmpl", "chat.completion", "chat.completion.chunk", chat=True)
_COMPLETION = Form("cmpl", "text_completion", "text_completion", chat=False)


class NetmindSandbox(Server):
    """Netmind's OpenAI-compatible API.

    Args:
        key: The one API key that is taken.
        voice: Gives the answers' text.
        models: Ids on offer.
        tokens_per_second: Pace of the pieces, as a real model's; None sends them as they come.
        now: Epoch seconds.

    Attributes:
        stream_options: Whether ``stream_options`` is known; undocumented, so it may also be refused by name.
        abandoned: Answers whose reader went away before their end.
    """

    def __init__(
        self,
        *,
        key: str,
        voice: Voice,
        models: Sequence[str] = MODELS,
        tokens_per_second: float | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(now=now)
        self.stream_options = True
        self.abandoned = 0
        self._key = key
        self._voice = voice
        self._models = tuple(models)
        self._tokens_per_second = tokens_per_second

    @property
    def base_url(self) -> str:
        """What ``NETMIND_BASE_URL`` is set to."""
        return self.url + BASE_PATH

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the three routes."""
        return [
            web.post(f"{BASE_PATH}/chat/completions", self._chat),
            web.post(f"{BASE_PATH}/completions", self._completion),
            web.get(f"{BASE_PATH}/models", self._list),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        try:
            self._authorize(request)
        except Refused as refused:
            return _refusal(refused)
        data = [{"id": model, "object": "model", "created": 1_700_000_000, "owned_by": model.split("/")[0]} for model in self._models]
        return web.json_response({"object": "list", "data": data})

    async def _chat(self, request: web.Request) -> Answer:
        try:
            body = await self._read(request)
            check_chat(body, stream_options=self.stream_options)
            messages = body["messages"]
            check_pictures(messages, taken=body["model"] in VISION)
            self._fits(messages)
        except Refused as refused:
            return _refusal(refused)
        return await self._answer(request, body, messages, _CHAT)

    async def _completion(self, request: web.Request) -> Answer:
        try:
            body = await self._read(request)
            check_completion(body, stream_options=self.stream_options)
            messages = dialogue(body["prompt"])
            self._fits(messages)
        except Refused as refused:
            return _refusal(refused)
        return await self._answer(request, body, messages, _COMPLETION)

    async def _read(self, request: web.Request) -> dict[str, Any]:
        """Return the body of an authorized request for a known model."""
        self._authorize(request)
        if request.content_type != "application/json":
            raise Refused("Content-Type must be application/json", status=415)
        try:
            body = await request.json()
        except ValueError:
            raise Refused("We could not parse the JSON body of your request.") from None
        if not isinstance(body, dict):
            raise Refused("The body must be a JSON object.")
        model = body.get("model")
        if not isinstance(model, str) or not model:
            raise Refused("you must provide a model parameter", param="model")
        if model not in self._models:
            raise Refused(f"unknown model: {model}", status=404, code="model_not_found", param="model")
        return body

    def _authorize(self, request: web.Request) -> None:
        given = request.headers.get("Authorization")
        if given is None:
            raise Refused("You didn't provide an API key.", status=401, code="invalid_api_key")
        if given != f"Bearer {self._key}":
            raise Refused("Incorrect API key provided.", status=401, code="invalid_api_key")

    @staticmethod
    def _fits(messages: Sequence[dict[str, Any]]) -> None:
        tokens = count_messages(messages)
        if tokens > CONTEXT_TOKENS:
            text = f"This model's maximum context length is {CONTEXT_TOKENS} tokens. However, your messages resulted in {tokens} tokens."
            raise Refused(text, code="context_length_exceeded", param="messages")

    # ------------------------------------------------------------------------------------------- answers

    async def _answer(self, request: web.Request, body: dict[str, Any], messages: list[dict[str, Any]], form: Form) -> Answer:
        head = {
            "id": f"{form.prefix}-{uuid.uuid4().hex}",
            "object": form.piece if body.get("stream") else form.whole,
            "created": int(self.now()),
            "model": body["model"],
        }
        try:
            if body.get("stream"):
                return await self.stream(request, body, messages, form, head)
            return await self._whole(body, messages, form, head)
        except (asyncio.CancelledError, ConnectionError):
            self.abandoned += 1
            raise

    async def _whole(self, body: dict[str, Any], messages: list[dict[str, Any]], form: Form, head: dict[str, Any]) -> web.Response:
        choices, used = [], 0
        for index in range(body.get("n") or 1):
            answer = self._begin(body, messages)
            text = await answer.text()
            choices.append(form.choice(index, text, answer.finish_reason))
            used += answer.tokens
        return web.json_response({**head, "choices": choices, "usage": usage(messages, used)})

    async def stream(
        self, request: web.Request, body: dict[str, Any], messages: list[dict[str, Any]], form: Form, head: dict[str, Any]
    ) -> web.StreamResponse:
        """Answer piece by piece. `head` goes into each chunk, `form` tells how a piece is wrapped."""
        with_usage = bool((body.get("stream_options") or {}).get("include_usage"))
        none_yet: dict[str, Any] = {"usage": None} if with_usage else {}
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"})
        await response.prepare(request)
        if form.chat:
            await send(request, response, {**head, "choices": [form.delta("", first=True)], **none_yet})
        answer = self._begin(body, messages)
        async with aclosing(self._paced(answer)) as pieces:
            async for piece in pieces:
                await send(request, response, {**head, "choices": [form.delta(piece)], **none_yet})
        await send(request, response, {**head, "choices": [form.delta("", answer.finish_reason)], **none_yet})
        if with_usage:
            await send(request, response, {**head, "choices": [], "usage": usage(messages, answer.tokens)})
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response

    def _begin(self, body: dict[str, Any], messages: list[dict[str, Any]]) -> Limited:
        stop = body.get("stop") or ()
        pieces = self._voice.speak(body["model"], messages)
        return Limited(pieces, max_tokens=body.get("max_tokens"), stop=[stop] if isinstance(stop, str) else stop)

    async def _paced(self, answer: Limited) -> AsyncGenerator[str, None]:
        """Yield the pieces at the pace set, measured from the first so that the waits' own errors don't add up."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with aclosing(answer.pieces()) as pieces:
            async for piece in pieces:
                if self._tokens_per_second is not None:
                    await asyncio.sleep(begun + answer.tokens / self._tokens_per_second - loop.time())
                yield piece


def dialogue(prompt: str) -> list[dict[str, Any]]:
    """Read a flattened transcript (``USER:`` and ``ASSISTANT:`` lines, as in Netmind's document) as the messages a model takes it for."""
    head, *turns = re.split(r"^(USER|ASSISTANT):", prompt, flags=re.MULTILINE)
    if "USER" not in turns[::2]:
        return [{"role": "user", "content": prompt}]
    messages = [{"role": "system", "content": head.strip()}] if head.strip() else []
    for speaker, text in zip(turns[::2], turns[1::2], strict=True):
        if text.strip():
            messages.append({"role": speaker.lower(), "content": text.strip()})
    return messages


def usage(messages: Sequence[dict[str, Any]], completion: int) -> dict[str, int]:
    """Return the usage of an answer of so many tokens."""
    prompt = count_messages(messages)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def _refusal(refused: Refused) -> web.Response:
    error = {"message": refused.text, "type": "invalid_request_error", "param": refused.param, "code": refused.code}
    return web.json_response({"error": error}, status=refused.status)


async def send(request: web.Request, response: web.StreamResponse, chunk: dict[str, Any]) -> None:
    """Send one event of a stream, or what a fault makes of it."""
    await write(request, response, b"data: " + json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).encode() + b"\n\n")
