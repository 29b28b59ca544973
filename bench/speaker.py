"""A provider that says given words at given moments, and knows to the moment when it said each.

Thousands of streams share one timer: at 20,000 tokens a second a task, a timer and a rendered JSON body for each would be all that a
processor does. Every token is an event of the stream and a write of its own, as from a real model server.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from sandbox.providers import NetmindSandbox
from sandbox.providers.netmind import Form, send, usage
from sandbox.providers.voices import ScriptedVoice, last_user_text

QUESTION = re.compile(r"question (\d+)")
MOST_AT_ONCE = 200
"""After so many tokens in a row the event loop gets its turn."""


@dataclass(slots=True)
class Speech:
    """What is said in answer to one question.

    Attributes:
        offsets: Seconds from the first token's moment to each token, ascending; the first is 0.
        words: Texts of the tokens.
        thinking: Seconds between the request and the first token.
        asked: When the request came, by `time.monotonic`; None until it does. Likewise `closed`, if the reader went before the end.
        due: When each token was to be emitted.
        emitted: When each was.
    """

    offsets: Sequence[float]
    words: Sequence[str]
    thinking: float
    asked: float | None = None
    closed: float | None = None
    requests: int = 0
    due: list[float] = field(default_factory=list)
    emitted: list[float] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.words)

    @property
    def over(self) -> bool:
        """Every token was emitted, or nobody listens any more."""
        return self.closed is not None or len(self.emitted) == len(self.words)


@dataclass(slots=True)
class _Stream:
    speech: Speech
    pieces: Sequence[bytes]
    transport: asyncio.WriteTransport
    over: asyncio.Future[None]


class Speaker:
    """Emits the tokens of every stream when they are due."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, _Stream]] = []
        self._order = itertools.count()
        self._timer: asyncio.Handle | None = None

    async def say(self, speech: Speech, pieces: Sequence[bytes], transport: asyncio.WriteTransport) -> None:
        """Write the pieces, one for each token, and return after the last; cancelling ends it."""
        stream = _Stream(speech, pieces, transport, asyncio.get_running_loop().create_future())
        begin = time.monotonic() + speech.thinking
        speech.due, speech.emitted = [begin + offset for offset in speech.offsets], []
        heapq.heappush(self._heap, (speech.due[0], next(self._order), stream))
        self._set()
        await stream.over

    def _set(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(self._heap[0][0], self._tick) if self._heap else None

    def _tick(self) -> None:
        heap, clock = self._heap, time.monotonic
        for _ in range(MOST_AT_ONCE):
            if not heap or heap[0][0] > clock():
                break
            _, order, stream = heap[0]
            if stream.over.done():  # nobody reads any more
                heapq.heappop(heap)
                continue
            speech = stream.speech
            place = len(speech.emitted)
            speech.emitted.append(clock())
            stream.transport.write(stream.pieces[place])
            if place + 1 < len(stream.pieces):
                heapq.heapreplace(heap, (speech.due[place + 1], order, stream))
            else:
                heapq.heappop(heap)
                stream.over.set_result(None)
        self._set()


class SpeakingNetmind(NetmindSandbox):
    """The stand-in of Netmind, strict as ever, whose streamed answers come from `speeches` by the number in the question."""

    def __init__(self, *, key: str) -> None:
        super().__init__(key=key, voice=ScriptedVoice())
        self.speeches: dict[int, Speech] = {}
        self._speaker = Speaker()

    async def stream(
        self, request: web.Request, body: dict[str, Any], messages: list[dict[str, Any]], form: Form, head: dict[str, Any]
    ) -> web.StreamResponse:
        """Say the speech that belongs to the last question."""
        number = QUESTION.search(last_user_text(messages))
        speech = self.speeches.get(int(number[1])) if number else None
        if speech is None or body.get("max_tokens", len(speech.words)) < len(speech.words):
            return await super().stream(request, body, messages, form, head)
        speech.asked, speech.closed = time.monotonic(), None
        speech.requests += 1
        none_yet: dict[str, Any] = {"usage": None} if (body.get("stream_options") or {}).get("include_usage") else {}
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        await send(request, response, {**head, "choices": [form.delta("", first=True)], **none_yet})
        transport = request.transport
        assert isinstance(transport, asyncio.WriteTransport)  # the connection is there: something was just sent over it
        try:
            await self._speaker.say(speech, _pieces(speech.words, {**head, "choices": [form.delta("\0")], **none_yet}), transport)
        except asyncio.CancelledError:
            speech.closed = time.monotonic()
            raise
        await send(request, response, {**head, "choices": [form.delta("", "stop")], **none_yet})
        if none_yet:
            await send(request, response, {**head, "choices": [], "usage": usage(messages, len(speech.words))})
        await response.write(b"data: [DONE]\n\n")
        await response.write_eof()
        return response


def _pieces(words: Sequence[str], chunk: dict[str, Any]) -> list[bytes]:
    r"""Return each word as an event in HTTP's chunked encoding. `chunk` holds "\0" where the word belongs."""
    before, after = (part.encode() for part in json.dumps(chunk, ensure_ascii=False, separators=(",", ":")).split(json.dumps("\0")))
    pieces = []
    for word in words:
        event = b"data: " + before + json.dumps(word, ensure_ascii=False).encode() + after + b"\n\n"
        pieces.append(b"%x\r\n%b\r\n" % (len(event), event))
    return pieces
