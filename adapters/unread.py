"""Bytes that are left unread for a while, so that many come together.

Each piece of a stream that is read by itself costs a turn of the event loop, a read, and a run of the HTTP parser, however little there is
in it. While a transport does not read, the kernel collects what comes, and one read takes it all. With TLS it is asyncio's TLS layer that
collects: it goes on reading, but neither decrypts nor hands on. A full buffer holds the sender up, as TCP does for every slow reader.
"""

from __future__ import annotations

import asyncio

import aiohttp


class Unread:
    """Keeps an answer's transport from reading, for one while after another.

    Args:
        response: Open, in the running loop.
    """

    __slots__ = ("_loop", "_response", "_timer", "_transport")

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, seconds: float, deadline: float) -> None:
        """Leave unread what comes in so many seconds, or until `end`; in half the time to the deadline at most.

        What came before the deadline, in the loop's time, is to be heard before it. Nothing is left where the end of the body was read
        already, or the connection is gone: both are to be seen at once. Nor where aiohttp has stopped the transport itself, because nobody
        took what it holds: it starts it again by its own rules.
        """
        connection = self._response.connection
        transport = None if connection is None else connection.transport
        if transport is not None and transport.is_reading():
            transport.pause_reading()
            self._transport = transport
            self._timer = self._loop.call_later(min(seconds, (deadline - self._loop.time()) / 2), self.end)

    def end(self) -> None:
        """Read again."""
        transport, self._transport = self._transport, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if transport is not None:
            transport.resume_reading()
