"""Bytes that are left unread for a while, so that many come together.

Each piece of a stream that is read by itself costs a turn of the event loop, a read, and a run of the HTTP parser, however little there is
in it. While a socket is not read, the kernel collects what comes, and one read takes it all. A full buffer holds the sender up, as TCP does
for every slow reader. What the kernel holds is still there to be read when the far side has closed the connection, or reset it.

What got nothing more for a moment is read before its time: the answer may be over. So is what the far side has closed, or reset. The system
tells both of all sockets together, in one call, however many they are (`epoll`, edge-triggered: it names those that got something since it
was asked last). To ask each how much it holds costs 2 µs, a read with what follows a hundred.

Over TLS, `pause_reading` would stop the wrong end: asyncio's TLS layer goes on reading into its own memory, and throws that away when the
connection is reset. What it may hold is limited to nothing instead (`set_read_buffer_limits`), so that it leaves the socket unread.
"""

from __future__ import annotations

import asyncio
import select
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import aiohttp

try:
    from fcntl import ioctl
    from select import EPOLLET, EPOLLIN, EPOLLRDHUP, epoll
    from termios import FIONREAD
except ImportError:  # not Linux
    epoll = None  # type: ignore[assignment,misc]

LOOK_SECONDS = 0.15
"""How often it is looked at what has come: what got something before and nothing since the last look is read. Tokens come at 20 to 100 a
second. A stream that ends or pauses is heard between one look and two later."""
BLIND_SECONDS = 0.5
"""Where the system does not tell what has come nothing is left unread for longer."""
LEAST_SECONDS = 0.1
"""What may be left for less is read at once: it would save too little."""
MOST_BYTES, LOOKS_FOR_MUCH = 32 * 1024, 3
"""What has this much is read: below what kernels hold for a socket, so that no sender is held up. Asked at every third look: 200 KB a
second are filled in within two of those."""

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
        self._sockets: dict[int, Unread] = {}
        self._grown: set[int] = set()  # got something since they are left unread
        self._arrivals: select.epoll | None = None
        self._looks = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, unread: Unread, socket: int) -> bool:
        """Look after a socket, -1 if its number is not known. False: nobody tells what comes there, it is read when its time is over."""
        self._watched.add(unread)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._every, self._go)
        if socket < 0 or epoll is None:
            return False
        try:
            if self._arrivals is None:
                self._arrivals = epoll()
            self._arrivals.register(socket, EPOLLIN | EPOLLRDHUP | EPOLLET)
        except OSError:  # it is closed, or the system looks after no more, or there are no descriptors left
            return False
        self._grown.discard(socket)
        self._sockets[socket] = unread
        return True

    def discard(self, unread: Unread, socket: int) -> None:
        """Look after it no more."""
        self._watched.discard(unread)
        if self._arrivals is None or self._sockets.get(socket) is not unread:
            return
        del self._sockets[socket]
        self._grown.discard(socket)
        with suppress(OSError):  # closed meanwhile, with which the system lets go of it
            self._arrivals.unregister(socket)

    def look(self) -> None:
        """Have those read whose time is over, that hold much, that get nothing more, or whose far side is gone."""
        now = asyncio.get_running_loop().time()
        self._looks += 1
        ripe = self._ripe() if self._arrivals is not None and self._sockets else set()
        ripe.update([unread for unread in self._watched if now >= unread.until])
        for unread in ripe:
            unread.end()

    def _go(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._every, self._go) if self._watched else None
        self.look()

    def _ripe(self) -> set[Unread]:
        """Return what is not to be left any longer, by what has come."""
        assert self._arrivals is not None
        sockets, before = self._sockets, self._grown
        # A socket that is closed is told of as long as another descriptor leads to it, such as a child process's.
        told = {socket: what for socket, what in self._arrivals.poll(0, len(sockets)) if socket in sockets}
        still = before - told.keys()
        gone = [socket for socket, what in told.items() if what != EPOLLIN]
        much = [socket for socket in sockets if _held(socket) >= MOST_BYTES] if self._looks % LOOKS_FOR_MUCH == 0 else []
        self._grown = before | told.keys()
        return {sockets[socket] for socket in (*still, *gone, *much)}


def _held(socket: int) -> int:
    """Return how many bytes have come that were not read; 0 if it is closed."""
    try:
        (held,) = _INT.unpack(ioctl(socket, FIONREAD, _NOTHING))
    except OSError:
        return 0
    return int(held)


class Unread:
    """Keeps an answer's socket from being read, for one while after another.

    Args:
        response: Open, in the running loop.
        lookout: Looks after it meanwhile.

    Attributes:
        until: Its time is over then, in the loop's time.
    """

    __slots__ = ("_lookout", "_loop", "_response", "_socket", "_transport", "until")

    def __init__(self, response: aiohttp.ClientResponse, lookout: Lookout) -> None:
        self._response = response
        self._lookout = lookout
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._socket = -1
        self.until = 0.0

    def begin(self, seconds: float, deadline: float) -> None:
        """Leave unread what comes in so many seconds, or until `end`; it is looked at within half the time to the deadline.

        What came before the deadline, in the loop's time, is to be heard before it. Nothing is left where the end of the body was read
        already, or the connection is gone: both are to be seen at once. Nor where aiohttp has stopped the transport itself, because nobody
        took what it holds: it starts it again by its own rules.
        """
        now = self._loop.time()
        seconds = min(seconds, (deadline - now) / 2 - LOOK_SECONDS)
        if seconds < LEAST_SECONDS:
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
            self._socket = _number(transport)
            heard = self._lookout.add(self, self._socket)
            self.until = now + (seconds if heard else min(seconds, BLIND_SECONDS))

    def end(self) -> None:
        """Read again."""
        transport, self._transport = self._transport, None
        if transport is None:
            return
        self._lookout.discard(self, self._socket)
        limits = _limits(transport)
        if limits is None:
            transport.resume_reading()
        elif not transport.is_closing():  # its TLS layer may have let go of the socket
            limits()


def _number(transport: asyncio.Transport) -> int:
    """Return the number of the socket below, -1 if there is none."""
    below = transport.get_extra_info("socket")
    return -1 if below is None else int(below.fileno())


def _limits(transport: asyncio.Transport) -> Callable[..., Any] | None:
    """Return what limits how much a TLS layer reads ahead, None where there is none.

    asyncio's has it since Python 3.11, described in its source only: what is held is compared at once and after each read, so that 0 stops
    the socket now, and without arguments it is as it was made.
    """
    limits: Callable[..., Any] | None = getattr(transport, "set_read_buffer_limits", None)
    return limits
