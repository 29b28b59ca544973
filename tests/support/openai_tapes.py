"""A server that plays recorded wire tapes: exactly these bytes, cut exactly here."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from adapters.base import Provider
from adapters.http import Budgets
from adapters.openai_compatible import openai_endpoint
from sandbox.server import Server
from tests.support.providers import KEY, Bench

MODEL = "vendor/some-model"


@dataclass(frozen=True)
class Tape:
    """Pieces of an answer; a number is a pause in seconds, an event is waited for; `drop` cuts the connection behind the last one."""

    pieces: Sequence[bytes | float | asyncio.Event] = ()
    status: int = 200
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    gzip: bool = False


def event(data: Any) -> bytes:
    return b"data: " + (data if isinstance(data, bytes) else json.dumps(data).encode()) + b"\n\n"


def delta(content: Any = None, *, finish: Any = None, **more: Any) -> bytes:
    body = ({} if content is None else {"content": content}) | more
    return event(
        {"id": "c1", "object": "chat.completion.chunk", "model": MODEL, "choices": [{"index": 0, "delta": body, "finish_reason": finish}]}
    )


DONE = b"data: [DONE]\n\n"


def body(content: Any, finish: Any = "stop", **more: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": finish}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return json.dumps({"id": "c1", "model": MODEL, "choices": [choice], "usage": usage} | more).encode()


class TapeServer(Server):
    """Plays `tapes` one after the other, the last one for ever; a wrong key or model is refused as OpenAI does."""

    def __init__(self, *tapes: Tape) -> None:
        super().__init__()
        self.tapes = list(tapes)
        self.left = asyncio.Event()
        self.played = 0  # pieces that were sent, over all tapes
        self.models: Any = {"object": "list", "data": [{"id": MODEL, "context_length": 5000}, {"id": "vendor/other"}]}

    def routes(self) -> list[web.AbstractRouteDef]:
        return [
            web.post("/v1/chat/completions", self._play),
            web.post("/v1/completions", self._play),
            web.get("/v1/models", self._list),
        ]

    def _refusal(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") == f"Bearer {KEY}":
            return None
        error = {"message": f"Incorrect API key provided: {request.headers.get('Authorization')}", "type": "invalid_request_error"}
        return web.json_response({"error": error | {"code": "invalid_api_key"}}, status=401)

    async def _list(self, request: web.Request) -> web.Response:
        return self._refusal(request) or web.json_response(self.models)

    async def _play(self, request: web.Request) -> web.StreamResponse:
        if refusal := self._refusal(request):
            return refusal
        asked = await request.json()
        if asked["model"] != MODEL:
            text = f"The model `{asked['model']}` does not exist. You asked: {asked.get('messages')}"
            return web.json_response({"error": {"message": text, "code": "model_not_found"}}, status=404)
        tape = self.tapes.pop(0) if len(self.tapes) > 1 else self.tapes[0]
        return await self._run(request, tape)

    async def _run(self, request: web.Request, tape: Tape) -> web.StreamResponse:
        response = web.StreamResponse(status=tape.status, headers={"Content-Type": tape.content_type, **tape.headers})
        if tape.gzip:
            response.enable_compression(web.ContentCoding.gzip)
        else:
            response.enable_chunked_encoding()
        await response.prepare(request)
        try:
            for piece in tape.pieces:
                if isinstance(piece, bytes):
                    await response.write(piece)
                    self.played += 1
                elif isinstance(piece, asyncio.Event):
                    await piece.wait()
                else:
                    await asyncio.sleep(piece)
            if tape.drop and request.transport is not None:
                await asyncio.sleep(0.02)
                request.transport.close()
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise
        return response


class OpenAIBench(Bench):
    """Any OpenAI-compatible endpoint, by tapes."""

    model = MODEL

    def __init__(self) -> None:
        self.tapes = TapeServer(Tape([delta("hello"), delta(finish="stop"), DONE]))
        self.server = self.tapes

    def provider(
        self, session: aiohttp.ClientSession, *, url: str | None = None, key: str = KEY, budgets: Budgets | None = None
    ) -> Provider:
        return openai_endpoint(session, key=key, base_url=f"{url or self.server.url}/v1", budgets=budgets)

    def say(self, text: str) -> None:
        half = len(text) // 2
        first, *rest = [delta(part) for part in (text[:half], text[half:]) if part] or [b""]
        held = [self.heard] if self.heard else []
        self.tapes.tapes = [Tape([delta("", role="assistant"), first, *held, *rest, delta(finish="stop"), DONE])]
