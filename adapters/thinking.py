"""Takes ``<think>…</think>`` out of an answer while it streams."""

from __future__ import annotations

from enum import Enum, auto
from typing import NamedTuple

TAGS = ("<think>", "</think>")


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
        tags: What opens and closes it; None for no block at all.
    """

    def __init__(self, *, inside: bool = False, tags: tuple[str, str] | None = TAGS) -> None:
        self._open, self._close = tags or TAGS
        self._at = _At.THINKING if inside else _At.START
        self._held = ""
        if tags is None:
            self._at = _At.ANSWER
        self._closed = tags is None
        self._last = ""  # last character of the answer that was given out

    def feed(self, piece: str) -> Split:
        """Split what `piece` makes certain; less than a tag's length is held back for the next call."""
        if self.passes(piece):  # nearly every piece
            return Split(piece)
        return self._run(self._held + piece, last=False)

    def passes(self, piece: str) -> bool:
        """Take a piece that is all text of the answer; False if it has to be fed."""
        if self._at is not _At.ANSWER or self._held or not (self._closed or self._close[0] not in piece):
            return False
        self._last = piece[-1:] or self._last
        return True

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
        if bare.startswith(self._open):
            self._at = _At.THINKING
            return bare[len(self._open) :]
        if not last and self._open.startswith(bare):
            self._held = text
            return ""
        self._at = _At.ANSWER
        return text

    def _think(self, text: str, *, last: bool) -> tuple[str, str]:
        inside, tag, behind = text.partition(self._close)
        if tag:
            self._at = _At.BEHIND
            self._closed = True
            return inside, behind
        keep = 0 if last else _cut(text, self._close)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep], ""

    def _answer(self, text: str, *, last: bool) -> str:
        before, tag, behind = text.partition(self._close)
        if tag:
            quoted = (before or self._last).endswith("`")
            self._closed = True
            return f"{before}{tag if quoted else ''}{behind}"
        keep = 0 if last else _cut(text, self._close)
        self._held = text[len(text) - keep :]
        return text[: len(text) - keep]


def _cut(text: str, tag: str) -> int:
    """Return how many characters at the end may be the start of a closing tag."""
    if tag[0] not in text[1 - len(tag) :]:
        return 0
    return next((size for size in range(min(len(tag) - 1, len(text)), 0, -1) if text.endswith(tag[:size])), 0)


def split_whole(text: str, *, inside: bool = False, tags: tuple[str, str] | None = TAGS) -> Split:
    """Split a whole answer. Here a closing tag without an opening one ends the reasoning before it, unless quoted."""
    if tags is None:
        return Split(text)
    before, tag, _ = text.partition(tags[1])
    lone = bool(tag) and tags[0] not in before and not before.endswith("`")
    splitter = ThinkSplitter(inside=inside or lone, tags=tags)
    first, rest = splitter.feed(text), splitter.end()
    return Split(first.text + rest.text, first.reasoning + rest.reasoning)
