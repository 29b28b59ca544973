"""A decoder of server-sent events that takes bytes as they come off the socket.

Own code: aiohttp's line iterator fails on lines over 512 KiB, and event-source clients reconnect by themselves, which would ask and pay
a second time. Follows the WHATWG grammar, with one addition: an event that no blank line ends is kept at the end if it is whole.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

EVENT_BYTES = 1024 * 1024
"""Largest single event. Whole reasoning traces of several 100 KB in one event have been met."""

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event. `name` is "" where the stream gave none."""

    data: str
    name: str = ""


class EventTooLarge(ValueError):  # noqa: N818 - it tells what happened
    """An event is larger than `EVENT_BYTES`."""


class Decoder:
    """Turns bytes into events. Cuts between chunks may fall anywhere, also inside a character or between CR and LF."""

    def __init__(self) -> None:
        self._line: list[bytes] = []  # pieces of the line that has not ended yet
        self._data: list[bytes] = []
        self._name = b""
        self._size = 0  # bytes held in _line and _data
        self._after_cr = False
        self._first = True

    def feed(self, chunk: bytes) -> list[ServerEvent]:
        """Return the events that `chunk` completes.

        Raises:
            EventTooLarge: One event exceeds `EVENT_BYTES`; the decoder is of no further use.
        """
        if self.clean and _one_event(chunk):  # nearly every chunk
            return [ServerEvent(chunk[6:-2].decode("utf-8", "replace"))]
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk.removeprefix(b"\n")
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            chunk = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        *lines, rest = chunk.split(b"\n")
        events: list[ServerEvent] = []
        if lines and self._line:
            self._line.append(lines[0])
            self._size -= sum(map(len, self._line)) - len(lines[0])
            lines[0] = b"".join(self._line)
            self._line.clear()
        for line in lines:
            self._take(line, events)
        if rest:
            self._line.append(rest)
            self._size += len(rest)
            if self._size > EVENT_BYTES:
                raise EventTooLarge(f"an event of more than {EVENT_BYTES} bytes")
        return events

    @property
    def clean(self) -> bool:
        """Nothing is held: the next byte begins an event. False before the first chunk, which may begin with a BOM."""
        return not (self._size or self._name or self._first or self._after_cr)

    def end(self) -> list[ServerEvent]:
        """Return what the end of the stream completes: an event without its blank line, if its data is JSON or ``[DONE]``."""
        events: list[ServerEvent] = []
        line = b"".join(self._line)
        self._line.clear()
        self._take(line, events)
        self._take(b"", events)
        return [event for event in events if _whole(event.data)]

    def _take(self, line: bytes, events: list[ServerEvent]) -> None:
        if self._first:
            self._first = False
            line = line.removeprefix(_BOM)
        if not line:
            if self._data:
                events.append(ServerEvent(b"\n".join(self._data).decode("utf-8", "replace"), self._name.decode("utf-8", "replace")))
                self._data.clear()
            self._name = b""
            self._size = 0
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._size += len(value) + 1
            if self._size > EVENT_BYTES:
                raise EventTooLarge(f"an event of more than {EVENT_BYTES} bytes")
        elif name == b"event":
            self._name = value.removeprefix(b" ")


def _one_event(chunk: bytes) -> bool:
    """Whether a chunk is one event of one line of data and nothing else."""
    if len(chunk) > EVENT_BYTES or not chunk.startswith(b"data: ") or not chunk.endswith(b"\n\n"):
        return False
    return chunk.count(b"\n") == 2 and b"\r" not in chunk  # noqa: PLR2004 - the line's end and the blank line


def _whole(data: str) -> bool:
    if data.strip().startswith("[DONE]"):
        return True
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True
