"""A relay between a client and a server, which tells what passes by."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Self

from yarl import URL


class Relay:
    """Passes connections on.

    Args:
        url: Of the server.

    Attributes:
        said_all: The server closed a connection, after all that it had to say was given to the client's system.
        left: A client closed its connection.
    """

    def __init__(self, url: str) -> None:
        self._there = URL(url)
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.said_all, self.left = asyncio.Event(), asyncio.Event()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._met, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)

    @property
    def url(self) -> str:
        """Where to connect to instead."""
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _met(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection(self._there.host, self._there.port)
        self._writers += [to_client, to_server]
        names = self.url.removeprefix("http://").encode(), self._there.authority.encode()
        for work in (self._pass(client, to_server, self.left, names), self._pass(server, to_client, self.said_all)):
            task = asyncio.ensure_future(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _pass(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter, over: asyncio.Event, host: tuple[bytes, bytes] = (b"", b"")
    ) -> None:
        """Pass on what is read, and its end; the first of `host`, in whose place the second stands, is how a client names the relay."""
        with suppress(ConnectionError):
            try:
                while data := await reader.read(65536):
                    writer.write(data.replace(*host) if host[0] else data)
                    await writer.drain()
                writer.write_eof()
            finally:
                over.set()
