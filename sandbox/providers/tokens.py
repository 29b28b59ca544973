"""What a model server does to a model's text: count it, cut it at a token limit, end it at a stop sequence."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from sandbox.providers.voices import message_text

_TOKEN = re.compile(r"\w+|[^\w\s]")


def count_tokens(text: str) -> int:
    """Count words and signs. Honest, and like no real tokenizer."""
    return len(_TOKEN.findall(text))


def count_messages(messages: Iterable[Mapping[str, Any]]) -> int:
    """Count the tokens of the messages' texts."""
    return sum(count_tokens(message_text(message)) for message in messages)


def first_words(text: str, most: int) -> str:
    """Return at most the first `most` words of `text`, blanks between them kept."""
    words = list(re.finditer(r"\S+", text))
    return text if len(words) <= most else text[: words[most - 1].end()]


class Limited:
    """An answer under a token limit and stop sequences; to be read once, by `pieces` or `text`.

    Attributes:
        tokens: Tokens given out so far.
        finish_reason: ``stop`` or ``length``, once it is over.
    """

    def __init__(self, pieces: AsyncIterator[str], *, max_tokens: int | None = None, stop: Sequence[str] = ()) -> None:
        self.tokens = 0
        self.finish_reason = "stop"
        self._source = pieces
        self._most = max_tokens
        self._stop = tuple(stop)

    async def text(self) -> str:
        """Return the whole answer."""
        return "".join([piece async for piece in self.pieces()])

    async def pieces(self) -> AsyncGenerator[str, None]:
        """Yield the pieces. What could be the beginning of a stop sequence is held back until it is known not to be."""
        try:
            async for piece in self._cut():
                if text := self._take(piece):
                    yield text
                if self.finish_reason == "length":
                    return
        finally:
            if isinstance(self._source, AsyncGenerator):
                await self._source.aclose()

    async def _cut(self) -> AsyncGenerator[str, None]:
        held = ""
        async for piece in self._source:
            held += piece
            ends = [at for stop in self._stop if (at := held.find(stop)) >= 0]
            ready = held[: min(ends)] if ends else held[: len(held) - self._unsure(held)]
            yield ready
            if ends:
                return
            held = held[len(ready) :]
        yield held

    def _unsure(self, text: str) -> int:
        """Return how many characters at the end of `text` may begin a stop sequence."""
        longest = max((len(stop) - 1 for stop in self._stop), default=0)
        return next((n for n in range(min(longest, len(text)), 0, -1) if any(stop.startswith(text[-n:]) for stop in self._stop)), 0)

    def _take(self, text: str) -> str:
        tokens = list(_TOKEN.finditer(text))
        if self._most is not None and self.tokens + len(tokens) > self._most:
            tokens = tokens[: self._most - self.tokens]
            text = text[: tokens[-1].end()] if tokens else ""
            self.finish_reason = "length"
        self.tokens += len(tokens)
        return text
