"""Takes ``<think>…</think>`` out of an answer while it streams."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

OPEN = "<think>"
CLOSE = "</think>"


class Split(NamedTuple):
    """Text of the answer, and reasoning."""

    text: str = ""
    reasoning: str = ""


class _At(Enum):
    START = auto()  # only blanks so far: a tag may follow
    THINKING = auto()
    BEHIND = auto()  # blanks after the closing tag belong to neither
    ANSWER = auto()


class ThinkSplitter:
    """Splits a stream of text. Tags may be cut anywhere between two pieces.

    An opening tag counts only at the start of the answer: further on it is the answer's own matter, as in code. A closing tag without an
    opening one (some templates put that one into the prompt) is dropped, unless quoted; what came before it was shown already.

    Args:
        inside: The answer starts inside the block.
    """

    def __init__(self, *, inside: bool = False) -> None:
        self._at = _At.THINKING if inside else _At.START
        self._held = ""
        self._closed = False
        self._last = ""  # last character of the answer that was given out

    def feed(self, piece: str) -> Split:
        """Split what `piece` makes certain; up to 7 characters are held back for the next call."""
        return self._run(self._held + piece, last=False)

    def end(self) -> Split:
        """Give what is held back."""
        return self._run(self._held, last=True)

    def _run(self, text: str, *, last: bool) -> Split:
        self._held = ""
        reasoning = ""
        if self._at is _At.START:
            text = self._start(text, last=last)
        if self._at is _At.THINKING:
            reasoning, text = self._think(text, last=last)
        if self._at is _At.BEHIND:
            text = text.lstrip()
            self._at = _At.ANSWER if text else _At.BEHIND
        if self._at is not _At.ANSWER:
            return Split("", reasoning)
        answer = text if self._closed else self._answer(text, last=last)
        self._last = answer[-1:] or self._last
        return Split(answer, reasoning)

    def _start(self, text: str, *, last: bool) -> str:
        bare = text.lstrip()
        if bare.startswith(OPEN):
            self._at = _At.THINKING
            return bare[len(OPEN) :]
        if not last and OPEN.startswith(bare):
            self._held = text
            return ""
        self._at = _At.ANSWER
        return text

    def _think(self, text: str, *, last: bool) -> tuple[str, str]:
        inside, tag, behind = text.partition(CLOSE)
        if tag:
            self._at = _At.BEHIND
            self._closed = True
            return inside, behind
        keep = 0 if last else _cut(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], ""

    def _answer(self, text: str, *, last: bool) -> str:
        before, tag, behind = text.partition(CLOSE)
        if tag:
            quoted = (before or self._last).endswith("`")
            self._closed = True
            return f"{before}{tag if quoted else ''}{behind}"
        keep = 0 if last else _cut(text)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _cut(text: str) -> int:
    """Return how many characters at the end may be the start of a closing tag."""
    at = text.rfind("<", max(0, len(text) - len(CLOSE) + 1))
    return len(text) - at if at >= 0 and CLOSE.startswith(text[at:]) else 0


def split_whole(text: str, *, inside: bool = False) -> Split:
    """Split a whole answer. Here a closing tag without an opening one ends the reasoning before it, unless quoted."""
    before, tag, _ = text.partition(CLOSE)
    lone = bool(tag) and OPEN not in before and not before.endswith("`")
    splitter = ThinkSplitter(inside=inside or lone)
    first, rest = splitter.feed(text), splitter.end()
    return Split(first.text + rest.text, first.reasoning + rest.reasoning)
