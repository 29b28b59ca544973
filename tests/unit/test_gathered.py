"""A body that is handed out in one piece says what aiohttp's own says, holds its sender up like that, and ends like that."""

from __future__ import annotations

import asyncio
import gzip
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from adapters import gathered
from adapters.gathered import TRIED, Gathered, gather
from tests.support.clock import PATIENCE_SECONDS
from tests.support.seam import eventually

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"
LARGE = 4 * 1024 * 1024


def framed(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def pieces_of(body: bytes, rng: random.Random, most: int) -> list[bytes]:
    pieces = []
    while body:
        size = rng.randint(1, most)
        pieces.append(body[:size])
        body = body[size:]
    return pieces


@asynccontextmanager
async def saying(*pieces: bytes | asyncio.Event) -> AsyncIterator[aiohttp.ClientResponse]:
    """An open answer: its raw bytes come in these pieces, an event is waited for, then the connection ends."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for piece in pieces:
            if isinstance(piece, asyncio.Event):
                await piece.wait()
                continue
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with aiohttp.ClientSession() as session:
        response = await session.get(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        yield response
        response.close()
    server.close()
    await server.wait_closed()


async def read(content: aiohttp.StreamReader, rng: random.Random) -> bytes:
    """Read to the end, with pauses of any length between, and some of it piece by piece."""
    body = b""
    while not content.at_eof():
        for _ in range(rng.randint(0, 5)):
            await asyncio.sleep(0)
        reading = content.read(rng.randint(1, 400)) if rng.random() < 0.2 else content.readany()
        body += await asyncio.wait_for(reading, PATIENCE_SECONDS)
    return body


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("coding", ["", "gzip"])
async def test_it_says_what_was_sent_however_that_is_cut(seed: int, coding: str) -> None:
    rng = random.Random(seed)
    body = bytes(rng.randrange(256) for _ in range(20_000))
    sent = gzip.compress(body) if coding else body
    head = CHUNKED[:-2] + (b"Content-Encoding: gzip\r\n" if coding else b"") + b"\r\n"
    raw = head + b"".join(map(framed, pieces_of(sent, rng, 300))) + END
    async with saying(*pieces_of(raw, rng, 2000)) as response:
        gather(response.content)
        assert type(response.content) is Gathered
        assert await read(response.content, rng) == body
        assert response.content.total_bytes == len(body)


async def test_a_body_without_chunks_is_read_too() -> None:
    async with saying(HEAD + b"Content-Length: 11\r\n\r\nhel", b"lo ", b"world") as response:
        gather(response.content)
        assert await asyncio.wait_for(response.content.read(), PATIENCE_SECONDS) == b"hello world"


async def test_what_came_with_the_headers_is_kept_and_what_has_come_is_one_piece() -> None:
    words = [b"word%d " % number for number in range(2000)]
    async with saying(CHUNKED + b"".join(map(framed, words[:500])), *map(framed, words[500:]), END) as response:
        gather(response.content)
        await eventually(response.content.is_eof)
        resumed: list[bool] = []
        response.content._protocol.resume_reading = lambda resume_parser=True: resumed.append(resume_parser)  # type: ignore[method-assign]
        assert await response.content.readany() == b"".join(words)
        assert resumed == [], "nothing was stopped"
        assert response.content.at_eof()


@pytest.mark.parametrize("known", [True, False], ids=["gathered", "aiohttp's own"])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
async def test_who_does_not_read_holds_the_sender_up_and_loses_nothing(
    *, known: bool, packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathered, "TRIED", gathered.TRIED if known else "another")
    body = random.Random(1).randbytes(LARGE // 64) * 64
    sent = gzip.compress(body) if packed else body
    head = CHUNKED[:-2] + (b"Content-Encoding: gzip\r\n" if packed else b"") + b"\r\n"
    chunks = [framed(sent[start : start + 65536]) for start in range(0, len(sent), 65536)]
    async with saying(head, *chunks, END) as response:
        gather(response.content)
        assert (type(response.content) is Gathered) is known
        transport = response.connection and response.connection.transport
        assert transport is not None
        await eventually(lambda: not transport.is_reading())
        held = response.content.total_bytes
        assert held < LARGE / 2, "the sender is held up long before all has come"
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert response.content.total_bytes == held
        assert await read(response.content, random.Random(1)) == body


async def rest(content: aiohttp.StreamReader, body: bytearray) -> None:
    while True:
        body += await asyncio.wait_for(content.readany(), PATIENCE_SECONDS)


@pytest.mark.parametrize("end", [b"", b"5\r\nhel"], ids=["between chunks", "in a chunk"])
async def test_a_cut_is_an_error_and_adds_nothing(end: bytes) -> None:
    async with saying(CHUNKED, framed(b"first "), framed(b"second "), end) as response:
        gather(response.content)
        body = bytearray()
        with pytest.raises(aiohttp.ClientError):
            await rest(response.content, body)
        assert b"first second hel".startswith(body)


async def test_a_body_that_there_is_not_is_left_as_it_is() -> None:
    async with saying(b"HTTP/1.1 204 No Content\r\n\r\n") as response:
        gather(response.content)
        assert await response.content.readany() == b""


async def test_the_aiohttp_that_is_installed_is_known() -> None:
    assert aiohttp.__version__.startswith(TRIED), "see whether what is said of aiohttp is true of this one; crowds cost more until then"


@pytest.mark.parametrize("count", [16384, 16385, 16386])
async def test_a_body_that_is_held_up_for_its_many_chunks_before_it_is_read_goes_on(count: int) -> None:
    read = asyncio.Event()
    async with saying(CHUNKED + framed(b"x") * count, read, framed(b"tail") + framed(b"more") + END) as response:
        await eventually(lambda: response.content.total_bytes >= count)
        gather(response.content)
        body = bytearray(await response.content.readany())
        read.set()
        body += await asyncio.wait_for(response.content.read(), PATIENCE_SECONDS)
        assert bytes(body) == b"x" * count + b"tailmore"


async def test_the_ends_of_chunks_that_came_with_the_headers_are_forgotten() -> None:
    async with saying(CHUNKED + framed(b"x") * 100, END) as response:
        gather(response.content)
        assert response.content._http_chunk_splits is None
        assert await asyncio.wait_for(response.content.read(3), PATIENCE_SECONDS) == b"xxx"
        assert await asyncio.wait_for(response.content.read(), PATIENCE_SECONDS) == b"x" * 97


async def test_a_body_that_is_over_does_not_let_the_next_one_of_its_connection_go_on() -> None:
    async with saying(CHUNKED + framed(b"all"), END) as response:
        gather(response.content)
        protocol = response.content._protocol
        assert await asyncio.wait_for(response.content.read(), PATIENCE_SECONDS) == b"all"
        protocol._reading_paused = True
        assert await response.content.readany() == b""
        assert protocol._reading_paused


async def test_time_that_is_up_is_told_as_by_aiohttp() -> None:
    class Up(aiohttp.helpers.TimerNoop):
        def assert_timeout(self) -> None:
            raise TimeoutError

    async with saying(CHUNKED + framed(b"all"), END) as response:
        gather(response.content)
        await eventually(response.content.is_eof)
        response.content._timer = Up()
        with pytest.raises(TimeoutError):
            await response.content.readany()
