"""What is left unread for a while is kept by the system, with TLS and without, and lost by nobody."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TypeAlias, cast

import aiohttp
import pytest

from adapters.unread import Unread
from sandbox.certificates import OPENSSL, certificate
from tests.support.seam import eventually

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
LONG = 3600.0
Secure: TypeAlias = tuple[ssl.SSLContext, ssl.SSLContext] | None
WORDS = [b"word%d " % number for number in range(50)]


def framed(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


@dataclass
class Far:
    """The far side of one connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def say(self, *pieces: bytes) -> None:
        """Send pieces one by one."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    def reset(self) -> None:
        """Break the connection off. What the client's system has by then is what fits into one segment: the rest is thrown away here."""
        bare = self.writer.get_extra_info("socket")
        bare.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


@asynccontextmanager
async def asked(secure: Secure) -> AsyncIterator[tuple[aiohttp.ClientResponse, Far]]:
    """An open answer of which nothing was said yet."""
    met: asyncio.Future[Far] = asyncio.get_running_loop().create_future()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD)
        far = Far(reader, writer)
        met.set_result(far)
        with suppress(ConnectionError):
            await reader.read()
        far.left.set()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=secure[0] if secure else None)
    url = f"{'https' if secure else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=secure[1] if secure else True)) as session:
        response = await session.get(url)
        far = await met
        yield response, far
        response.close()
    await asyncio.wait_for(far.left.wait(), 5)
    server.close()
    await server.wait_closed()


@pytest.fixture(
    params=[
        "plain",
        pytest.param("TLS", marks=pytest.mark.skipif(OPENSSL is None, reason="openssl, which makes the certificate, is missing")),
    ]
)
def secure(request: pytest.FixtureRequest, tmp_path: Path) -> Secure:
    if request.param == "plain":
        return None
    server, vouched = certificate(tmp_path)
    return server, ssl.create_default_context(cafile=vouched)


async def test_what_comes_meanwhile_is_read_together(secure: Secure) -> None:
    async with asked(secure) as (response, far):
        unread = Unread(response)
        unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        await far.say(*map(framed, WORDS))
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert response.content.total_bytes == 0
        unread.end()
        assert await response.content.readany() == b"".join(WORDS)
        await far.say(framed(b"more"), END)
        assert await response.content.read() == b"more"


async def test_it_is_read_when_the_time_is_over_and_half_the_time_to_the_deadline_at_the_latest(secure: Secure) -> None:
    async with asked(secure) as (response, far):
        for seconds, deadline in ((0.05, LONG), (LONG, 0.1)):
            Unread(response).begin(seconds, asyncio.get_running_loop().time() + deadline)
            await far.say(framed(b"word"))
            assert await asyncio.wait_for(response.content.readany(), 5) == b"word"


async def test_the_end_and_a_connection_that_ends_meanwhile_lose_nothing(secure: Secure) -> None:
    async with asked(secure) as (response, far):
        unread = Unread(response)
        unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        await far.say(*map(framed, WORDS), END)
        far.writer.close()
        for _ in range(20):
            await asyncio.sleep(0.005)
        unread.end()
        assert await asyncio.wait_for(response.content.read(), 5) == b"".join(WORDS)
        unread.begin(LONG, LONG)  # there is nothing left to leave
        assert await asyncio.wait_for(response.content.read(), 5) == b""


@pytest.mark.parametrize("end", [END, b""], ids=["whole", "cut"])
async def test_what_had_come_before_a_reset_is_heard(secure: Secure, end: bytes) -> None:
    async with asked(secure) as (response, far):
        await far.say(framed(b"first"))
        assert await asyncio.wait_for(response.content.readany(), 5) == b"first"
        unread = Unread(response)
        unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        await far.say(b"".join(map(framed, WORDS)) + end)
        far.reset()
        await asyncio.wait_for(far.left.wait(), 5)
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert response.content.total_bytes == len(b"first")
        unread.end()
        assert await asyncio.wait_for(response.content.readany(), 5) == b"".join(WORDS)
        if end:
            assert await asyncio.wait_for(response.content.readany(), 5) == b""
        else:
            with pytest.raises(aiohttp.ClientError):
                await asyncio.wait_for(response.content.readany(), 5)


async def test_a_connection_that_is_used_again_is_read_as_before(secure: Secure) -> None:
    async with asked(secure) as (response, _):
        transport = response.connection and response.connection.transport
        assert transport is not None
        made = transport.get_read_buffer_limits() if secure else None  # type: ignore[attr-defined]
        unread = Unread(response)
        for _ in range(2):
            unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
            unread.end()
        assert transport.is_reading()
        assert not secure or transport.get_read_buffer_limits() == made  # type: ignore[attr-defined]


async def test_a_connection_that_is_lost_meanwhile_is_let_go(secure: Secure) -> None:
    async with asked(secure) as (response, _):
        transport = response.connection and response.connection.transport
        assert transport is not None
        unread = Unread(response)
        unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        transport.abort()
        for _ in range(5):
            await asyncio.sleep(0)
        unread.end()
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(response.content.readany(), 5)


async def test_a_tls_layer_that_cannot_be_limited_is_left_alone() -> None:
    class Layer(asyncio.Transport):
        def is_reading(self) -> bool:
            return True

        def pause_reading(self) -> None:
            raise AssertionError

    response = SimpleNamespace(connection=SimpleNamespace(transport=Layer({"ssl_object": object()})))
    unread = Unread(cast("aiohttp.ClientResponse", response))
    unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
    unread.end()


async def test_closing_meanwhile_closes_the_socket(secure: Secure) -> None:
    async with asked(secure) as (response, far):
        Unread(response).begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        await far.say(*map(framed, WORDS))
        response.close()
        await asyncio.wait_for(far.left.wait(), 0.2)


async def test_what_aiohttp_has_stopped_itself_is_left_to_it(secure: Secure) -> None:
    async with asked(secure) as (response, far):
        transport = response.connection and response.connection.transport
        assert transport is not None
        saying = asyncio.ensure_future(far.say(*[framed(b"x" * 65536)] * 64, END))
        await eventually(lambda: not transport.is_reading())
        Unread(response).begin(0.0, asyncio.get_running_loop().time() + LONG)  # would start it again at once
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert not transport.is_reading()
        assert len(await asyncio.wait_for(response.content.read(), 5)) == 64 * 65536
        await saying
