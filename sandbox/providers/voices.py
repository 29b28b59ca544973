"""What the provider stand-ins say: queued text in tests, the local model's text in the try-out."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Protocol

import aiohttp

log = logging.getLogger(__name__)

LOCAL_SECONDS = 120.0
"""Longest silence of the local model that a stand-in waits for; it runs on two cores beside everything else."""


class Voice(Protocol):
    """Gives the text of an answer."""

    def speak(self, model: str, messages: Sequence[Mapping[str, Any]]) -> AsyncIterator[str]:
        """Answer `messages`, OpenAI-shaped and oldest first, in pieces of text of any length."""
        ...


def message_text(message: Mapping[str, Any]) -> str:
    """Return the text of an OpenAI-shaped message whose content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n\n".join(part["text"] for part in content if part.get("type") == "text")
    return content if isinstance(content, str) else ""


def last_user_text(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return what the user said last."""
    return next((message_text(message) for message in reversed(messages) if message.get("role") == "user"), "")


def by_words(text: str) -> list[str]:
    """Cut `text` behind each run of blanks; the pieces joined give it back."""
    return re.findall(r"\s*\S+\s*", text) or ([text] if text else [])


class ScriptedVoice:
    """Says the queued answers in order, then one that names the model and quotes the last user message.

    Args:
        answers: The queue; `queue` adds to it. An empty string is an answer too.
        delay: Seconds before each piece.
        pieces: Cuts an answer into pieces.

    Attributes:
        heard: The messages of each request, oldest request first.
    """

    def __init__(self, answers: Iterable[str] = (), *, delay: float = 0.0, pieces: Callable[[str], Iterable[str]] = by_words) -> None:
        self.heard: list[tuple[Mapping[str, Any], ...]] = []
        self._answers = deque(answers)
        self._delay = delay
        self._pieces = pieces

    def queue(self, *answers: str) -> None:
        """Add answers to the end of the queue."""
        self._answers.extend(answers)

    def speak(self, model: str, messages: Sequence[Mapping[str, Any]]) -> AsyncIterator[str]:
        """Take the next answer now, so that requests get theirs in order of arrival, and say it piece by piece."""
        self.heard.append(tuple(messages))
        answer = self._answers.popleft() if self._answers else f"{model} heard: {last_user_text(messages)}"
        return self._say(answer)

    async def _say(self, answer: str) -> AsyncGenerator[str, None]:
        for piece in self._pieces(answer):
            await asyncio.sleep(self._delay)
            yield piece


class LocalVoice:
    """Says what a llama.cpp server says, or the scripted default where it is not to be had.

    Args:
        base_url: Returns the server's address below which ``/chat/completions`` lies, or None if there is no server.
        fallback: Speaks where the server does not; its `heard` records only those requests.
    """

    def __init__(self, base_url: Callable[[], Awaitable[str | None]], fallback: Voice | None = None) -> None:
        self._base_url = base_url
        self._fallback: Voice = fallback or ScriptedVoice(delay=0.03)

    async def speak(self, model: str, messages: Sequence[Mapping[str, Any]]) -> AsyncGenerator[str, None]:
        """Stream the local model's answer. It falls back only before the first piece; later failures are raised."""
        spoken = False
        try:
            base_url = await self._base_url()
            if base_url is not None:
                async with aclosing(_local_pieces(base_url.rstrip("/"), messages)) as pieces:
                    async for piece in pieces:
                        spoken = True
                        yield piece
        except (aiohttp.ClientError, TimeoutError, OSError, RuntimeError) as error:
            if spoken:
                raise
            log.warning("the local model is not to be had, scripted text instead: %s", error)
        if not spoken:
            async for piece in self._fallback.speak(model, messages):
                yield piece


async def _local_pieces(base_url: str, messages: Sequence[Mapping[str, Any]]) -> AsyncGenerator[str, None]:
    body = {
        "messages": [{"role": message.get("role", "user"), "content": message_text(message)} for message in messages],
        "stream": True,
        "max_tokens": 512,
    }
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=LOCAL_SECONDS)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        session.post(f"{base_url}/chat/completions", json=body, raise_for_status=True) as response,
    ):
        async for raw in response.content:
            line = raw.decode().strip()
            if not line.startswith("data:") or line.endswith("[DONE]"):
                continue
            for choice in json.loads(line[5:]).get("choices", []):
                if text := choice.get("delta", {}).get("content"):
                    yield text
