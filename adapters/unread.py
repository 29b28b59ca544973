"""Bytes that are left unread for a while, so that many come together.

Each piece of a stream that is read by itself costs a turn of the event loop, a read, and a run of the HTTP parser, however little there is
in it. While a socket is not read, the kernel collects what comes, and one read takes it all. A full buffer holds the sender up, as TCP does
for every slow reader. What the kernel holds is still there to be read when the far side has closed the connection, or reset it.

Over TLS, `pause_reading` would stop the wrong end: asyncio's TLS layer goes on reading into its own memory, and throws that away when the
connection is reset. What it may hold is limited to nothing instead (`set_read_buffer_limits`), so that it leaves the socket unread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import aiohttp


class Unread:
    """Keeps an answer's socket from being read, for one while after another.

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
            limits = _limits(transport)
            if limits is not None:
                limits(high=0)
            elif transport.get_extra_info("ssl_object") is None:
                transport.pause_reading()
            else:
                return  # a TLS layer of another kind: nobody knows what it does with what it holds
            self._transport = transport
            self._timer = self._loop.call_later(min(seconds, (deadline - self._loop.time()) / 2), self.end)

    def end(self) -> None:
        """Read again."""
        transport, self._transport = self._transport, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if transport is None:
            return
        limits = _limits(transport)
        if limits is None:
            transport.resume_reading()
        elif not transport.is_closing():  # its TLS layer may have let go of the socket
            limits()


def _limits(transport: asyncio.Transport) -> Callable[..., Any] | None:
    """Return what limits how much a TLS layer reads ahead, None where there is none.

    asyncio's has it since Python 3.11, described in its source only: what is held is compared at once and after each read, so that 0 stops
    the socket now, and without arguments it is as it was made.
    """
    limits: Callable[..., Any] | None = getattr(transport, "set_read_buffer_limits", None)
    return limits
