"""Questions and answers that can be recognised: every word of an answer carries its question's number and its own place."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.providers.voices import last_user_text, message_text

_QUESTION = re.compile(r"\bq(\d+) (\d+)\b")
_WORD = re.compile(r"\bq(\d+)w(\d+)\b")
PIECES = 60
"""A long answer comes in so many pieces at most."""


@dataclass(frozen=True, slots=True)
class Question:
    """A question: its number, which rises, and how many words its answer has."""

    number: int
    words: int

    @property
    def text(self) -> str:
        return f"q{self.number} {self.words}"

    @property
    def answer(self) -> list[str]:
        return [f"q{self.number}w{place}" for place in range(self.words)]


def questions_in(text: str) -> list[Question]:
    return [Question(int(number), int(words)) for number, words in _QUESTION.findall(text)]


def words_in(text: str) -> dict[int, list[int]]:
    """Return the places of the words of each question's answer, in the order in which they stand in a text."""
    found: dict[int, list[int]] = {}
    for number, place in _WORD.findall(text):
        found.setdefault(int(number), []).append(int(place))
    return found


class Talker:
    """A `sandbox.providers.Voice` that answers questions and keeps an eye on what it is asked.

    Attributes:
        asked: How often each question was asked, in the order of first asking.
        muddled: Requests whose questions did not rise: one was doubled, or out of order.
    """

    def __init__(self, seconds: float = 1.2) -> None:
        self.asked: Counter[int] = Counter()
        self.muddled: list[list[int]] = []
        self._seconds = seconds

    def speak(self, model: str, messages: Sequence[Mapping[str, Any]]) -> AsyncIterator[str]:
        del model
        numbers = [found.number for message in messages if message["role"] == "user" for found in questions_in(message_text(message))]
        if numbers != sorted(set(numbers)):
            self.muddled.append(numbers)
        asked = questions_in(last_user_text(messages))
        self.asked.update(question.number for question in asked)
        return self._say([word for question in asked for word in question.answer])

    async def _say(self, words: Sequence[str]) -> AsyncGenerator[str, None]:
        if not words:
            yield "Nothing was asked."
        pieces = list(_cut(words, max(1, -(-len(words) // PIECES))))
        for piece in pieces:
            await asyncio.sleep(self._seconds / len(pieces))
            yield " ".join(piece) + " "


def _cut(words: Sequence[str], size: int) -> Iterable[Sequence[str]]:
    return (words[place : place + size] for place in range(0, len(words), size))
