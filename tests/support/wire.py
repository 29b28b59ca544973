"""A raw loopback server that plays wire tapes: exactly these bytes in exactly these pieces, whatever HTTP thinks of them."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

Piece: TypeAlias = bytes | float
"""Bytes to send, or a pause in seconds."""


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass(frozen=True)
class Reply:
    """What is sent for one request. Without `keep` the connection is closed behind it; `drop` resets it instead."""

    pieces: Sequence[Piece]
    keep: bool = False
    drop: bool = False


Script: TypeAlias = Reply | Callable[[Asked], Reply]

_WORDS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 406: "Not Acceptable", 429: "Too Many Requests"}


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} {_WORDS.get(status, 'X')}\r\n{lines}\r\n".encode()


def whole(body: Any, status: int = 200, *, kind: str = "application/json", **headers: str) -> Reply:
    """A body in one piece; anything but bytes is sent as JSON. Underscores in header names stand for hyphens."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply([_head(status, {"Content-Type": kind, "Content-Length": str(len(raw)), **named}) + raw], keep=True)


def late(seconds: float) -> Reply:
    """Nothing for so long."""
    return Reply([seconds])


def stream(*pieces: Piece, chunked: bool = True, drop: bool = False, zipped: bool = False, kind: str = "text/event-stream") -> Reply:
    """An event stream: chunked, or ended by the connection's end. `drop` ends it before its end."""
    headers = {"Content-Type": kind, **({"Transfer-Encoding": "chunked"} if chunked else {"Connection": "close"})}
    if zipped:
        headers["Content-Encoding"] = "gzip"
        packed = gzip.compress(b"".join(piece for piece in pieces if isinstance(piece, bytes)))
        pieces = tuple(packed[at : at + 7] for at in range(0, len(packed), 7))
    framed: list[Piece] = [b"%x\r\n%s\r\n" % (len(piece), piece) if chunked and isinstance(piece, bytes) else piece for piece in pieces]
    end = [b"0\r\n\r\n"] if chunked and not drop else []
    return Reply([_head(200, headers), *framed, *end], keep=chunked and not drop)


@dataclass
class RawServer:
    """Plays `scripts` one per request, the last one for ever.

    Attributes:
        asked: The requests, oldest first.
        most: Most requests that were under way at once.
    """

    scripts: list[Script]
    asked: list[Asked] = field(default_factory=list)
    most: int = 0
    _now: int = 0

    async def __aenter__(self) -> Self:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            while await self._answer(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        raw = await reader.readexactly(int(headers.get("content-length", "0")))
        method, path, _ = first.split(" ")
        self.asked.append(Asked(method, path, headers, json.loads(raw) if raw else None))
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        reply = script(self.asked[-1]) if callable(script) else script
        self._now += 1
        self.most = max(self.most, self._now)
        try:
            for piece in reply.pieces:
                if isinstance(piece, bytes):
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)  # pieces leave one by one
                else:
                    await asyncio.sleep(piece)
        finally:
            self._now -= 1
        if reply.drop:
            await asyncio.sleep(0.02)
            writer.transport.abort()
        return reply.keep
