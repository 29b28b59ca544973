"""The short way through a stream whose chunks differ in nothing but their text.

Nearly every chunk is the one before with another text in it. Once such a chunk was read in full, what stands before and behind its text is
known; a chunk with the same two is read by cutting them off, at a tenth of the cost of parsing it. It is no guess: JSON in which one string
stands for another is the same JSON but for that string, and whatever is not exactly of this form goes the long way.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from adapters.openai_wire import Piece, is_error, read_piece
from adapters.sse import EVENT_BYTES

MOST_LESSONS = 8
"""A stream whose chunks differ in more than their text is not learned from for ever."""
USES_A_LESSON = 20
"""So many chunks that were read the short way earn another lesson: some streams carry a clock."""
MANY_EVENTS = 4
"""Of so many events that came together the first is read the long way alone: it may teach the form of the others."""
CHEAP_BYTES = 2400
"""CPython 3.10 and later search in 2,500 bytes and more by a rule that first works out the wanted bytes anew for each place where they are
found: twice as dear where they stand once in 200 bytes."""

_FIELD, _END = b"data: ", b"\n\n"
_TEXT = re.compile(rb'"(?:content|text)"\s*:\s*"((?:[^"\\]|\\.)*)"')
_PROBE = "probe"


class Shortcut:
    """Knows the form of one stream's chunks. Bytes are looked at only where an event begins.

    Args:
        reasoning_fields: The vendor's, see `adapters.openai_wire.read_piece`.
    """

    def __init__(self, reasoning_fields: Sequence[str]) -> None:
        self._reasoning_fields = reasoning_fields
        self._head = self._tail = self._between = b""
        self._head_size = self._tail_size = 0
        self._lessons = MOST_LESSONS
        self._uses = 0

    def text(self, chunk: bytes) -> str:
        """Return the text of all events in `chunk` if they are of the known form and nothing else; "" sends it the long way."""
        head = self._head
        if not head or not (chunk.startswith(head) and chunk.endswith(self._tail)):
            return ""
        begin, end = self._head_size, len(chunk) - self._tail_size
        if not begin < end or len(chunk) > EVENT_BYTES:
            return ""
        inner = chunk[begin:end]
        try:
            if b'"' not in inner and b"\\" not in inner and (text := inner.decode()).isprintable():  # one event, nothing escaped
                self._uses += 1
                return text
            text = _joined(_split(inner, self._between))
        except (ValueError, RecursionError):
            return ""
        self._uses += 1
        return text

    def lesson(self, chunk: bytes) -> int:
        """Return how many bytes at the beginning of `chunk` are to be read the long way before the short one is tried on the others."""
        if not self._lessons or chunk.count(_END) < MANY_EVENTS:
            return len(chunk)
        return chunk.find(_END) + len(_END)

    def leading(self, chunk: bytes) -> int:
        """Return how many bytes at the beginning of `chunk` may be events of the known form, before others; 0: none, or no others."""
        if not self._head or not chunk.startswith(self._head):
            return 0
        size = chunk.rfind(self._tail) + len(self._tail)
        return size if len(self._tail) <= size < len(chunk) else 0

    def learn(self, chunk: bytes) -> None:
        """Learn from the last event of a chunk that was read the long way and ends where an event ends."""
        if self._uses >= USES_A_LESSON:
            self._uses -= USES_A_LESSON
            self._lessons = min(self._lessons + 1, MOST_LESSONS)
        if not self._lessons:
            return
        event = chunk[chunk.rfind(b"\n" + _FIELD, 0, -len(_END)) + 1 :]
        if not (event.startswith(_FIELD) and event.endswith(_END)) or event.count(b"\n") != len(_END) or b"\r" in event:
            return
        self._lessons -= 1
        for found in reversed(list(_TEXT.finditer(event))):
            head, tail = event[: found.start(1)], event[found.end(1) :]
            if self._proven(head, tail):
                self._head, self._tail, self._between = head, tail, tail + head
                self._head_size, self._tail_size = len(head), len(tail)
                return

    def _proven(self, head: bytes, tail: bytes) -> bool:
        """Whether an event of this form brings the text between, and nothing else."""
        try:
            data = json.loads(head[len(_FIELD) :] + _PROBE.encode() + tail)
        except (ValueError, RecursionError):
            return False
        return not is_error(data) and read_piece(data, self._reasoning_fields)._replace(role=False, spoke=False) == Piece(_PROBE)


def _split(raw: bytes, between: bytes) -> list[bytes]:
    """Return `raw.split(between)`. Of more than `CHEAP_BYTES` it is made stretch by stretch."""
    parts: list[bytes] = []
    begin, size = 0, len(raw)
    while size - begin > CHEAP_BYTES:
        end = raw.rfind(between, begin, begin + CHEAP_BYTES)
        if end < 0:
            break
        parts += raw[begin:end].split(between)
        begin = end + len(between)
    return [*parts, *raw[begin:].split(between)]


def _joined(parts: Sequence[bytes]) -> str:
    """Return the text of many JSON strings, given without their quotes, at the price of few.

    Raises:
        ValueError: One is none.
    """
    together = b"".join(parts)
    quoted = b'"' in together
    if not quoted and b"\\" not in together and together.isascii() and (text := together.decode()).isprintable():
        return text
    if not quoted:
        texts: list[str] = json.loads((b'["' + b'","'.join(parts) + b'"]').decode())
        if len(texts) == len(parts):  # else a lone backslash took the quote behind it along
            return "".join(texts)
    return "".join([_string(part) for part in parts])


def _string(raw: bytes) -> str:
    """Return the text of a JSON string without its quotes.

    Raises:
        ValueError: It is none.
    """
    text = raw.decode()
    if '"' in text or "\\" in text or not text.isprintable():
        text = json.loads(f'"{text}"')
    return text
