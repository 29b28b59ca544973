"""Bytes that are left unread for a while, so that many come together.

Each piece of a stream that is read by itself costs a turn of the event loop, a read, and a run of the HTTP parser, however little there is
in it. While a socket is not read, the kernel collects what comes, and one read takes it all. A full buffer holds the sender up, as TCP does
for every slow reader. What the kernel holds is still there to be read when the far side has closed the connection, or reset it.

How much the kernel holds can be asked for a hundredth of what a read costs. A socket that gets no more for a moment is read before its
time: the answer may be over. One that holds nothing and could be read all the same has been closed or reset: that is heard as soon.

Over TLS, `pause_reading` would stop the wrong end: asyncio's TLS layer goes on reading into its own memory, and throws that away when the
connection is reset. What it may hold is limited to nothing instead (`set_read_buffer_limits`), so that it leaves the socket unread.
"""

from __future__ import annotations

import asyncio
import select
import struct
from collections.abc import Callable
from typing import Any

import aiohttp

try:
    from fcntl import ioctl
    from termios import FIONREAD
except ImportError:  # Windows
    ioctl, FIONREAD = None, 0  # type: ignore[assignment,misc]

LOOK_SECONDS = 0.1
"""How often it is looked at what has come."""
STILL_LOOKS = 2
"""What got nothing more for so many looks is read: tokens come at 20 to 100 a second. A stream that ends or pauses is heard a quarter of a
second later."""
BLIND_SECONDS = 0.5
"""Where the system does not tell how much has come nothing is left unread for longer."""
MOST_BYTES = 32 * 1024
"""What has this much is read: below what kernels hold for a socket, so that no sender is held up."""

_INT = struct.Struct("i")
_NOTHING = _INT.pack(0)


class Lookout:
    """Looks after all sockets that are left unread, with one timer.

    Args:
        every: Seconds between two looks.
    """

    def __init__(self, every: float = LOOK_SECONDS) -> None:
        self._every = every
        self._watched: set[Unread] = set()
        self._timer: asyncio.TimerHandle | None = None

    def add(self, unread: Unread) -> None:
        """Look after a socket."""
        self._watched.add(unread)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._every, self._go)

    def discard(self, unread: Unread) -> None:
        """Look after it no more."""
        self._watched.discard(unread)

    def look(self) -> None:
        """Have those read whose time is over, that hold much, or that get nothing more."""
        now = asyncio.get_running_loop().time()
        for unread in [unread for unread in self._watched if now >= unread.until or _ripe(unread)]:
            unread.end()

    def _go(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every, self._go) if self._watched else None
        self.look()


def _ripe(unread: Unread) -> bool:
    """Tell whether much has come, or nothing more comes."""
    if unread.socket < 0:
        return False
    try:
        (held,) = _INT.unpack(ioctl(unread.socket, FIONREAD, _NOTHING))
    except OSError:
        return False
    if held != unread.held:
        unread.held, unread.still = held, 0
        return bool(held >= MOST_BYTES)
    unread.still += 1
    return unread.still >= STILL_LOOKS and (held > 0 or _over(unread.socket))


def _over(descriptor: int) -> bool:
    """Tell whether a read of a socket that holds nothing would come back: its connection was closed or reset."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


class Unread:
    """Keeps an answer's socket from being read, for one while after another.

    Args:
        response: Open, in the running loop.
        lookout: Looks after it meanwhile.

    Attributes:
        until: Its time is over then, in the loop's time.
        socket: The descriptor of the socket below, -1 if it can't be asked how much it holds.
        held: So many bytes came, as far as was looked.
        still: How often that was the same.
    """

    __slots__ = ("_lookout", "_loop", "_response", "_transport", "held", "socket", "still", "until")

    def __init__(self, response: aiohttp.ClientResponse, lookout: Lookout) -> None:
        self._response = response
        self._lookout = lookout
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.socket = -1
        self.until = 0.0
        self.held = self.still = 0

    def begin(self, seconds: float, deadline: float) -> None:
        """Leave unread what comes in so many seconds, or until `end`; it is looked at within half the time to the deadline.

        What came before the deadline, in the loop's time, is to be heard before it. Nothing is left where the end of the body was read
        already, or the connection is gone: both are to be seen at once. Nor where aiohttp has stopped the transport itself, because nobody
        took what it holds: it starts it again by its own rules.
        """
        now = self._loop.time()
        seconds = min(seconds, (deadline - now) / 2 - LOOK_SECONDS)
        if seconds < LOOK_SECONDS:
            return
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
            self.socket = _number(transport)
            self.until = now + (seconds if self.socket >= 0 else min(seconds, BLIND_SECONDS))
            self.held = self.still = 0
            self._lookout.add(self)

    def end(self) -> None:
        """Read again."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        self._lookout.discard(self)
        limits = _limits(transport)
        if limits is None:
            transport.resume_reading()
        elif not transport.is_closing():  # its TLS layer may have let go of the socket
            limits()


def _number(transport: asyncio.Transport) -> int:
    """See `Unread.socket`."""
    below = transport.get_extra_info("socket")
    return -1 if ioctl is None or below is None else below.fileno()


def _limits(transport: asyncio.Transport) -> Callable[..., Any] | None:
    """Return what limits how much a TLS layer reads ahead, None where there is none.

    asyncio's has it since Python 3.11, described in its source only: what is held is compared at once and after each read, so that 0 stops
    the socket now, and without arguments it is as it was made.
    """
    limits: Callable[..., Any] | None = getattr(transport, "set_read_buffer_limits", None)
    return limits
