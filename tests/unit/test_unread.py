"""What is left unread for a while is kept by the system, with TLS and without, and lost by nobody."""

from __future__ import annotations

import asyncio
import errno
import os
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

from adapters import unread as unread_module
from adapters.unread import BLIND_SECONDS, LOOK_SECONDS, LOOKS_FOR_MUCH, MOST_BYTES, Lookout, Unread
from bot.gulps import FEWEST_REPLIES, Gulps
from sandbox.certificates import OPENSSL, certificate
from tests.support.clock import PATIENCE_SECONDS, LoopTime
from tests.support.seam import eventually

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
LONG = 3600.0
Secure: TypeAlias = tuple[ssl.SSLContext, ssl.SSLContext] | None
WORDS = [b"word%d " % number for number in range(50)]


def unwatched() -> Lookout:
    """Return a lookout that never looks by itself."""
    return Lookout(LONG)


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
    await asyncio.wait_for(far.left.wait(), PATIENCE_SECONDS)
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
        unread = Unread(response, unwatched())
        unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        await far.say(*map(framed, WORDS))
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert response.content.total_bytes == 0
        unread.end()
        assert await response.content.readany() == b"".join(WORDS)
        await far.say(framed(b"more"), END)
        assert await response.content.read() == b"more"


async def test_it_is_read_when_the_time_is_over_and_half_the_time_to_the_deadline_at_the_latest(
    secure: Secure, loop_time: LoopTime
) -> None:
    async with asked(secure) as (response, far):
        lookout = Lookout()
        for seconds, deadline in ((LOOK_SECONDS, LONG), (LONG, 5 * LOOK_SECONDS)):
            with loop_time.still():
                unread, now = Unread(response, lookout), asyncio.get_running_loop().time()
                unread.begin(seconds, now + deadline)
            assert now < unread.until <= now + deadline / 2 - LOOK_SECONDS + 0.001, "it may be a whole look late"
            await far.say(framed(b"word"))
            assert await asyncio.wait_for(response.content.readany(), PATIENCE_SECONDS) == b"word"


async def test_the_end_and_a_connection_that_ends_meanwhile_lose_nothing(secure: Secure) -> None:
    async with asked(secure) as (response, far):
        unread = Unread(response, unwatched())
        unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        await far.say(*map(framed, WORDS), END)
        far.writer.close()
        for _ in range(20):
            await asyncio.sleep(0.005)
        unread.end()
        assert await asyncio.wait_for(response.content.read(), PATIENCE_SECONDS) == b"".join(WORDS)
        unread.begin(LONG, LONG)  # there is nothing left to leave
        assert await asyncio.wait_for(response.content.read(), PATIENCE_SECONDS) == b""


@pytest.mark.parametrize("end", [END, b""], ids=["whole", "cut"])
async def test_what_had_come_before_a_reset_is_heard(secure: Secure, end: bytes) -> None:
    async with asked(secure) as (response, far):
        await far.say(framed(b"first"))
        assert await asyncio.wait_for(response.content.readany(), PATIENCE_SECONDS) == b"first"
        unread = Unread(response, unwatched())
        unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        await far.say(b"".join(map(framed, WORDS)) + end)
        far.reset()
        await asyncio.wait_for(far.left.wait(), PATIENCE_SECONDS)
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert response.content.total_bytes == len(b"first")
        unread.end()
        assert await asyncio.wait_for(response.content.readany(), PATIENCE_SECONDS) == b"".join(WORDS)
        if end:
            assert await asyncio.wait_for(response.content.readany(), PATIENCE_SECONDS) == b""
        else:
            with pytest.raises(aiohttp.ClientError):
                await asyncio.wait_for(response.content.readany(), PATIENCE_SECONDS)


async def test_a_connection_that_is_used_again_is_read_as_before(secure: Secure) -> None:
    async with asked(secure) as (response, _):
        transport = response.connection and response.connection.transport
        assert transport is not None
        made = transport.get_read_buffer_limits() if secure else None  # type: ignore[attr-defined]
        unread = Unread(response, unwatched())
        for _ in range(2):
            unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
            unread.end()
        assert transport.is_reading()
        assert not secure or transport.get_read_buffer_limits() == made  # type: ignore[attr-defined]


async def test_a_connection_that_is_lost_meanwhile_is_let_go(secure: Secure) -> None:
    async with asked(secure) as (response, _):
        transport = response.connection and response.connection.transport
        assert transport is not None
        unread = Unread(response, unwatched())
        unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        transport.abort()
        for _ in range(5):
            await asyncio.sleep(0)
        unread.end()
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(response.content.readany(), PATIENCE_SECONDS)


async def test_a_tls_layer_that_cannot_be_limited_is_left_alone() -> None:
    class Layer(asyncio.Transport):
        def is_reading(self) -> bool:
            return True

        def pause_reading(self) -> None:
            raise AssertionError

    response = SimpleNamespace(connection=SimpleNamespace(transport=Layer({"ssl_object": object()})))
    unread = Unread(cast("aiohttp.ClientResponse", response), unwatched())
    unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
    unread.end()


async def test_closing_meanwhile_closes_the_socket(secure: Secure, loop_time: LoopTime) -> None:
    async with asked(secure) as (response, far):
        Unread(response, unwatched()).begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        await far.say(*map(framed, WORDS))
        response.close()
        await loop_time.at_once(far.left.is_set)


async def test_what_aiohttp_has_stopped_itself_is_left_to_it(secure: Secure) -> None:
    async with asked(secure) as (response, far):
        transport = response.connection and response.connection.transport
        assert transport is not None
        saying = asyncio.ensure_future(far.say(*[framed(b"x" * 65536)] * 64, END))
        await eventually(lambda: not transport.is_reading())
        Unread(response, unwatched()).begin(LOOK_SECONDS, asyncio.get_running_loop().time() + LONG)  # would start it again
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert not transport.is_reading()
        assert len(await asyncio.wait_for(response.content.read(), PATIENCE_SECONDS)) == 64 * 65536
        await saying


async def arrived(far: Far, *pieces: bytes) -> None:
    """Send pieces and return once the system on this side holds them."""
    await far.say(*pieces)
    for _ in range(20):
        await asyncio.sleep(0.001)


async def test_what_gets_no_more_is_read_before_its_time_and_what_grows_is_not(secure: Secure) -> None:
    async with asked(secure) as (response, far):
        transport = response.connection and response.connection.transport
        assert transport is not None
        lookout = unwatched()
        Unread(response, lookout).begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        if secure:  # what its layer says by itself, such as session tickets, may have come
            await arrived(far, framed(b"hello "))
        for _ in range(2):
            lookout.look()
        for _ in range(5):
            lookout.look()
            if not secure:
                assert not transport.is_reading(), "nothing came: there is nothing to read"
        if secure:
            assert await asyncio.wait_for(response.content.readany(), PATIENCE_SECONDS) == b"hello "
            Unread(response, lookout).begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        for number in range(6):
            await arrived(far, framed(WORDS[number]))
            lookout.look()
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert response.content.total_bytes == len(b"hello " if secure else b""), "it grew from look to look"
        lookout.look()
        assert await asyncio.wait_for(response.content.readany(), PATIENCE_SECONDS) == b"".join(WORDS[:6])


async def test_what_holds_much_is_read_however_it_grows(secure: Secure) -> None:
    async with asked(secure) as (response, far):
        lookout = unwatched()
        Unread(response, lookout).begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        await arrived(far, framed(b"x" * MOST_BYTES))
        for number in range(LOOKS_FOR_MUCH):
            await arrived(far, framed(WORDS[number]))
            lookout.look()
        assert await asyncio.wait_for(response.content.readany(), PATIENCE_SECONDS)


async def test_a_number_that_is_used_again_is_not_taken_for_the_socket_that_had_it() -> None:
    lookout = unwatched()
    left, right = socket.socketpair()
    async with asked(None) as (first, _):
        old = Unread(first, lookout)
        old.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        transport = first.connection and first.connection.transport
        assert transport is not None
        number = transport.get_extra_info("socket").fileno()
        transport.abort()
        await eventually(lambda: transport.get_extra_info("socket").fileno() < 0)
        with left, right:
            os.dup2(left.fileno(), number)
            with socket.socket(fileno=number) as new:
                response = SimpleNamespace(connection=SimpleNamespace(transport=Still({"socket": new})))
                unread = Unread(cast("aiohttp.ClientResponse", response), lookout)
                unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
                old.end()
                right.send(b"word")
                lookout.look()
                assert not response.connection.transport.is_reading()
                lookout.look()
                assert response.connection.transport.is_reading(), "the end of the old one ended the looks after the new one"


async def test_a_closed_socket_that_lives_on_elsewhere_ends_no_look() -> None:
    lookout, loop = unwatched(), asyncio.get_running_loop()
    pairs = [socket.socketpair() for _ in range(2)]
    transports = [Still({"socket": near}) for near, _ in pairs]
    unreads = [Unread(over(transport), lookout) for transport in transports]
    for unread in unreads:
        unread.begin(LONG, loop.time() + 3 * LONG)
    (gone, gone_far), (open_, open_far) = pairs
    with gone.dup(), gone_far, open_, open_far:
        gone.close()
        unreads[0].end()
        gone_far.send(b"word")
        open_far.send(b"word")
        for _ in range(3):  # the one that is gone may be told of in the other's place once
            lookout.look()
        assert transports[1].is_reading()


async def test_one_that_is_read_leaves_the_looks_to_the_others() -> None:
    lookout, loop = unwatched(), asyncio.get_running_loop()
    (one, one_far), (other, other_far) = socket.socketpair(), socket.socketpair()
    with one, one_far, other, other_far:
        transports = [Still({"socket": near}) for near in (one, other)]
        first, second = (Unread(over(transport), lookout) for transport in transports)
        for unread in (first, second):
            unread.begin(LONG, loop.time() + 3 * LONG)
        one_far.send(b"word")
        other_far.send(b"word")
        lookout.look()
        first.end()
        lookout.look()
        assert transports[1].is_reading()
        second.begin(LONG, loop.time() + 3 * LONG)
        lookout.look()  # it tells of what nobody has read here
        other_far.close()
        lookout.look()
        assert transports[1].is_reading(), "what is closed gets no more: it is read at once"


async def test_where_no_descriptor_is_left_it_is_read_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def full() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(unread_module, "epoll", full)
    near, far = socket.socketpair()
    with near, far:
        transport = Still({"socket": near})
        unread = Unread(over(transport), Lookout())
        unread.begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        assert unread.until <= asyncio.get_running_loop().time() + BLIND_SECONDS
        await eventually(transport.is_reading)


async def test_as_many_replies_as_share_the_processor_are_worth_it() -> None:
    gulps = Gulps()
    for _ in range(FEWEST_REPLIES):
        gulps.begin()
    transport = Still()
    unread = Unread(over(transport), unwatched())
    unread.begin(gulps.seconds, asyncio.get_running_loop().time() + LONG)
    assert not transport.is_reading()
    unread.end()


def over(transport: asyncio.Transport) -> aiohttp.ClientResponse:
    """Return an answer that comes over a transport, as far as it is looked at."""
    return cast("aiohttp.ClientResponse", SimpleNamespace(connection=SimpleNamespace(transport=transport)))


class Still(asyncio.Transport):
    """A transport that can be stopped, and nothing else."""

    reading = True

    def is_reading(self) -> bool:
        return self.reading

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


async def test_an_end_is_heard_by_the_looks_alone(secure: Secure) -> None:
    async with asked(secure) as (response, far):
        Unread(response, Lookout()).begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        await far.say(framed(b"the last word"), END)
        assert await asyncio.wait_for(response.content.read(), PATIENCE_SECONDS) == b"the last word"


@pytest.mark.parametrize("how", ["closed", "reset"])
async def test_that_nothing_comes_any_more_is_heard_though_nothing_is_held(how: str) -> None:
    async with asked(None) as (response, far):
        lookout = unwatched()
        Unread(response, lookout).begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        if how == "closed":
            far.writer.close()
        else:
            far.reset()
        await asyncio.wait_for(far.left.wait(), PATIENCE_SECONDS)

        async def look() -> None:
            while True:
                lookout.look()
                await asyncio.sleep(0.005)

        looking = asyncio.create_task(look())
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(response.content.readany(), PATIENCE_SECONDS)
        looking.cancel()


async def test_where_nobody_can_look_it_is_not_left_for_long(secure: Secure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unread_module, "epoll", None)
    monkeypatch.setattr(unread_module, "BLIND_SECONDS", LOOK_SECONDS)
    async with asked(secure) as (response, far):
        Unread(response, Lookout()).begin(LONG, asyncio.get_running_loop().time() + 3 * LONG)
        await far.say(framed(b"word"))
        assert await asyncio.wait_for(response.content.readany(), PATIENCE_SECONDS) == b"word"


async def test_what_is_shorter_than_a_look_is_not_worth_it(secure: Secure) -> None:
    async with asked(secure) as (response, _):
        transport = response.connection and response.connection.transport
        assert transport is not None
        Unread(response, unwatched()).begin(LOOK_SECONDS / 2, asyncio.get_running_loop().time() + LONG)
        assert transport.is_reading()


async def test_a_socket_that_fails_does_not_keep_the_others_unread() -> None:
    class Broken(asyncio.Transport):
        def is_reading(self) -> bool:
            return True

        def pause_reading(self) -> None:
            pass

        def resume_reading(self) -> None:
            raise RuntimeError("broken")

    lookout, loop = Lookout(), asyncio.get_running_loop()
    met: list[dict[str, object]] = []
    loop.set_exception_handler(lambda _, context: met.append(context))
    async with asked(None) as (response, far):
        broken = SimpleNamespace(connection=SimpleNamespace(transport=Broken()))
        for one in (cast("aiohttp.ClientResponse", broken), response):
            Unread(one, lookout).begin(LOOK_SECONDS, loop.time() + LONG)
        await far.say(framed(b"word"))
        assert await asyncio.wait_for(response.content.readany(), PATIENCE_SECONDS) == b"word"
        await eventually(lambda: met)
