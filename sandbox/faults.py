"""Faults to inject into a stand-in: which calls, how often, and what happens to them."""

from __future__ import annotations

import asyncio
import fnmatch
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

GARBLED = b'data: {"choices": [{"delta": {"content": "half a cha\n\n'
"""A piece of an event stream that is no JSON."""
_PIECES = web.RequestKey("pieces of its stream", int)


class CutError(ConnectionResetError):
    """A fault cut the connection of an answer that was being streamed."""


@dataclass(slots=True)
class Fault:
    """What goes wrong with matching calls.

    Attributes:
        method: HTTP method, or ``*``.
        path: Shell pattern of the path.
        times: How many calls it meets; -1 for all.
        after_calls: So many matching calls pass unharmed first.
        delay: Seconds before anything else happens.
        status: Answer this instead of doing anything.
        body: Body of that answer: JSON value, or text.
        headers: Headers of that answer.
        drop: ``before``: cut the connection, nothing was done; ``after``: do it, then cut the connection.
        stream: What befalls an answer that is streamed: ``cut``, ``stall`` or ``garble`` (a piece that is not what it should be).
        after_pieces: So many pieces of it pass unharmed first.
        stall: Seconds that it stalls; for ever if not set.
    """

    method: str = "*"
    path: str = "*"
    times: int = 1
    after_calls: int = 0
    delay: float = 0.0
    status: int | None = None
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: str | None = None
    stream: str | None = None
    after_pieces: int = 0
    stall: float | None = None

    async def before(self, request: web.Request) -> web.StreamResponse | None:
        """Do what comes before the stand-in's own work; a response replaces that work."""
        if self.stream is not None:
            request[_SPOILER] = self
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.drop == "before":
            return cut(request)
        if self.status is None:
            return None
        if isinstance(self.body, str):
            return web.Response(status=self.status, text=self.body, headers=self.headers)
        body = json.dumps(self.body if self.body is not None else {}).encode()
        return web.Response(status=self.status, body=body, headers={"Content-Type": "application/json", **self.headers})

    async def after(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """Do what comes after it."""
        return cut(request) if self.drop == "after" else response

    async def spoil(self, request: web.Request, piece: bytes) -> bytes:
        """Return what becomes of a piece of a streamed answer.

        Raises:
            CutError: The connection was cut instead.
        """
        number = request[_PIECES] = request.get(_PIECES, -1) + 1
        if number != self.after_pieces:
            return piece
        if self.stream == "cut":
            cut(request)
            raise CutError("cut by a fault")
        if self.stream == "stall":
            await (asyncio.Event().wait() if self.stall is None else asyncio.sleep(self.stall))
            return piece
        return GARBLED


_SPOILER = web.RequestKey("fault of its stream", Fault)


class Faults:
    """The faults of one stand-in, tried in the order they were added."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        """Add one and return it."""
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Take all back."""
        self._faults.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault that meets this call, counting it."""
        for fault in self._faults:
            if fault.method not in {"*", method} or not fnmatch.fnmatchcase(path, fault.path):
                continue
            if fault.after_calls > 0:
                fault.after_calls -= 1
                continue
            if fault.times == 0:
                continue
            if fault.times > 0:
                fault.times -= 1
            return fault
        return None


async def write(request: web.Request, response: web.StreamResponse, piece: bytes) -> None:
    """Write a piece of a streamed answer, spoiled if a fault met the request.

    Raises:
        CutError: The fault cut the connection.
    """
    fault: Fault | None = request.get(_SPOILER)
    await response.write(piece if fault is None else await fault.spoil(request, piece))


def cut(request: web.Request) -> web.StreamResponse:
    """Cut the connection of a request; what is returned goes nowhere."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=499)
