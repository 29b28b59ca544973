"""How much of a core the way from a provider's bytes to the router's events takes: `python -m bench.providers`.

The decoder alone, then 500 streams of 40 chunks a second over loopback sockets from another process, through session, engine and router,
five times:

as a crowd            as the bridge reads 500 chats of one Discord bot. Its budget of 50 edits a second shows each of them every 10 s, so
                      that the bridge leaves unread for up to half a second what could not be shown anyway. How long is asked of the
                      bridge's own allocator (`Allocator.lull`), at which 500 chats stand that are shown as soon as their turn comes; its
                      cost is in the figure
as slash commands     as the bridge reads 500 answers that stand in no row, such as those to slash commands, which do not count in
                      Discord's overall budget: by the moments that their number alone gives (`Gulps`), 0.4 s
over TLS              each of the two again, as with every provider that is not on one's own machine. The certificate is one that nobody
                      vouches for and that this program was told to trust
at once               every chunk as soon as it is there, as the bridge reads fewer than 200 answers. 500 it never reads so: the row
                      stands there for comparison and is not judged

The others are judged by the half of a core that was asked for; the two without TLS decide the exit code. In one thing the crowd has it
easier than the bridge's: its chats wait in the row whenever they have something to show, as showing takes no time here; in the bridge a
chat whose edit is on its way does not wait, and is read as in the second row until the edit has arrived.

Measured is this process's CPU time, the system's part included; the far side is a process of its own. Connections and TLS handshakes are
made before. What showing costs is not in it (`bench.load`). On a busy machine chunks pile up and are read together although nobody wanted
that, which is cheaper: in how many pieces they were read is told, and too few of them make the last row no good one. Beside it stands what
merely receiving the same streams one by one costs a program that throws them away: nothing built on asyncio that reads at once can be
cheaper.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any

import aiohttp

from adapters.base import ChatRequest, Message, Pace, TextDelta, TextPart
from adapters.http import Budgets, open_session
from adapters.openai_compatible import OpenAICompatible
from adapters.openai_vendors import GENERIC
from adapters.router import Candidate, Router
from adapters.sse import Decoder
from bot.allocator import Allocator, Bid, Rank
from bot.clock import SystemClock
from bot.delivery import Pending
from bot.gulps import Gulps
from bot.pacing import Meter
from bot.platforms.budgets import DISCORD_GLOBAL
from sandbox.certificates import CERTIFICATE, OPENSSL, certificate

STREAMS, CHUNKS_PER_SECOND, SECONDS = 500, 40.0, 10.0
DECODER_MOST_US, CORE_MOST = 8.0, 0.5
"""What issue B and D ask for: microseconds a chunk of the decoder, share of one core for all streams."""

PIECES_LEAST = 0.9
"""For the figures to count, so many pieces must have been read for each chunk: nearly every one by itself."""

CROWD, SLASH, AT_ONCE = "as a crowd on Discord", "as slash commands", "at once"
OVER_TLS = ", over TLS"
JUDGED = (CROWD, CROWD + OVER_TLS, SLASH, SLASH + OVER_TLS)
"""The rows: those of the bridge, and one for comparison."""
DECIDING = (CROWD, SLASH)
"""Those that decide the exit code. TLS is the same work with OpenSSL's beside it, which nobody here can make cheaper."""

WORD = " word"
"""How the text of each chunk begins."""


def chunk(number: int) -> bytes:
    """Return a chunk as vendors send it, about 260 bytes."""
    data = {
        "id": "chatcmpl-5f1c0c6e2c9d4b3ea7a1f9a3c5d2e8b7",
        "object": "chat.completion.chunk",
        "created": 1_800_000_000,
        "model": "meta-llama/Meta-Llama-3.1-8B-Instruct",
        "choices": [{"index": 0, "delta": {"content": f"{WORD}{number}"}, "finish_reason": None}],
        "usage": None,
    }
    return b"data: " + json.dumps(data, separators=(",", ":")).encode() + b"\n\n"


END = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def decoder_us(chunks: int = 50_000) -> float:
    """Return the decoder's CPU time per chunk in microseconds, the best of five rounds."""
    pieces = [chunk(number) for number in range(chunks)]
    best = float("inf")
    for _ in range(5):
        decoder = Decoder()
        begun = time.process_time()
        for piece in pieces:
            decoder.feed(piece)
        best = min(best, time.process_time() - begun)
    return best / chunks * 1e6


async def serve(secure: ssl.SSLContext | None = None) -> asyncio.Server:
    """Serve streams on a free port. A GET is answered with nothing, and the connection kept."""
    pieces = [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in map(chunk, range(int(SECONDS * CHUNKS_PER_SECOND)))]
    last = b"%x\r\n%s\r\n0\r\n\r\n" % (len(END), END)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET"):
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
        writer.write(head)
        clock = asyncio.get_running_loop().time
        begun = clock()
        for number, piece in enumerate(pieces):
            await asyncio.sleep(begun + number / CHUNKS_PER_SECOND - clock())
            writer.write(piece)
        writer.write(last)
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0, backlog=STREAMS, ssl=secure)


async def _serve(folder: Path) -> None:
    """Serve on two ports, told on standard output, the second with TLS, until standard input ends. 0: there is no openssl."""
    servers = [await serve()]
    if OPENSSL is not None:
        servers.append(await serve(certificate(folder)[0]))
    ports = [server.sockets[0].getsockname()[1] for server in servers]
    print(*ports, *[0] * (2 - len(ports)), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


class _Chat:
    """A chat that shows what has come as soon as the allocator lets it, by a call that takes no time. One of many at the same allocator."""

    def __init__(self, allocator: Allocator, gulps: Gulps, clock: SystemClock) -> None:
        self._allocator, self._gulps, self._clock = allocator, gulps, clock
        self._unseen = Pending()
        self.pace = Pace(self.lull)
        self._waits = self._shown = False

    def heard(self, text: str) -> None:
        """More came."""
        self._unseen.add(self._clock.now(), len(text))
        if not self._waits:
            self.wake()

    def lull(self) -> float:
        """Return for how many seconds what is new may come unread, as `bot.sending.Lane.lull` does."""
        return max(self._gulps.seconds, self._allocator.lull(self))

    def bid(self, now: float) -> Bid | None:
        """Return what a place is worth; see `bot.allocator.Bidder`."""
        unseen = self._unseen
        return Bid(Rank.GROWTH if self._shown else Rank.FIRST_TEXT, unseen.worth(now), unseen.since) if unseen.count else None

    def wake(self) -> None:
        """Take a place if there is one."""
        now = self._clock.now()
        bid = self.bid(now)
        place = self._allocator.admit(self, bid) if bid else None
        self._waits = bid is not None and place is None
        if place is not None:
            self._shown = True
            self._unseen.take()
            place.arrived(now)

    def approach(self) -> None:
        """Have what is new read; see `bot.allocator.Bidder`."""
        self.pace.hurry()

    def leave(self) -> None:
        """Want nothing more."""
        self._allocator.withdraw(self)


async def _listen(router: Router, chat: _Chat | None, pace: Pace | None) -> tuple[int, int]:
    """Ask as a turn does; return how many chunks came, and in how many pieces."""
    request = ChatRequest("model", (Message("user", (TextPart("hi"),)),), pace=pace)

    async def made() -> ChatRequest:
        return request

    got = pieces = 0
    async with aclosing(router.chain([Candidate("it", "model", made)])) as events:
        async for event in events:
            if isinstance(event, TextDelta):  # what was read together is one piece
                got += event.text.count(WORD)
                pieces += 1
                if chat is not None:
                    chat.heard(event.text)
    if chat is not None:
        chat.leave()
    return got, pieces


def _session(trusted: Path | None) -> aiohttp.ClientSession:
    """Open the bridge's session, or one with the same limits that trusts one certificate."""
    if trusted is None:
        return open_session()
    connector = aiohttp.TCPConnector(limit=0, ssl=ssl.create_default_context(cafile=trusted))
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=None))


async def _connect(session: aiohttp.ClientSession, url: str, count: int) -> None:
    """Leave so many connections in the session's pool: all are asked for before the first is free again."""

    async def connected() -> None:
        async with session.get(url):
            pass

    await asyncio.gather(*(connected() for _ in range(count)))


async def streams(port: int, count: int, way: str, *, trusted: Path | None = None) -> dict[str, Any]:
    """Read `count` streams side by side and return the figures.

    Args:
        port: Of `serve`.
        count: Of streams.
        way: CROWD: they stand at the allocator; SLASH: only their number counts; AT_ONCE.
        trusted: The certificate of a far side with TLS.
    """
    clock, meter = SystemClock(), Meter(DISCORD_GLOBAL)
    allocator = Allocator(lambda: meter, clock, asyncio.ensure_future)
    gulps = Gulps()
    for _ in range(count):
        gulps.begin()

    def listening(router: Router) -> Coroutine[Any, Any, tuple[int, int]]:
        if way == CROWD:
            chat = _Chat(allocator, gulps, clock)
            return _listen(router, chat, chat.pace)
        return _listen(router, None, Pace(lambda: gulps.seconds) if way == SLASH else None)

    url = f"{'http' if trusted is None else 'https'}://127.0.0.1:{port}/v1"
    async with _session(trusted) as session:
        budgets = Budgets(connect=60, first=60, idle=60, total=300)
        provider = OpenAICompatible(session, GENERIC, key="k", base_url=url, budgets=budgets)
        router = Router({"it": provider})
        await _connect(session, url, count)
        cpu, wall = time.process_time(), time.monotonic()
        heard = await asyncio.gather(*(listening(router) for _ in range(count)))
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
    got = [chunks for chunks, _ in heard]
    expected = int(SECONDS * CHUNKS_PER_SECOND)
    return {
        "streams": count,
        "complete": sum(one == expected for one in got),
        "chunks": sum(got),
        "pieces a chunk": sum(pieces for _, pieces in heard) / sum(got),
        "us a chunk": cpu / sum(got) * 1e6,
        "share of a core": cpu / sum(got) * count * CHUNKS_PER_SECOND,
        "wall s": wall,
    }


class _Ear(asyncio.Protocol):
    """Asks, and counts what comes without looking at it."""

    def __init__(self, heard: asyncio.Future[int]) -> None:
        self._heard, self._reads = heard, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(b"POST / HTTP/1.1\r\n\r\n")

    def data_received(self, data: bytes) -> None:  # noqa: ARG002 - named by the protocol
        self._reads += 1

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - named by the protocol
        self._heard.set_result(self._reads)


async def received(port: int, count: int) -> float:
    """Return the CPU time per chunk, in microseconds, of a program that receives as many streams and does nothing with them."""
    loop = asyncio.get_running_loop()
    heard = [loop.create_future() for _ in range(count)]
    cpu = time.process_time()
    for one in heard:
        await loop.create_connection(lambda one=one: _Ear(one), "127.0.0.1", port)  # type: ignore[misc]
    await asyncio.gather(*heard)
    return (time.process_time() - cpu) / (count * SECONDS * CHUNKS_PER_SECOND) * 1e6


def main() -> int:
    """Print the figures; return 1 if the decoder or a deciding row is worse than asked, or a stream was not heard whole."""
    parser = argparse.ArgumentParser(prog="python -m bench.providers", description=__doc__)
    parser.add_argument("--streams", type=int, default=STREAMS)
    parser.add_argument("--serve", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        asyncio.run(_serve(arguments.serve))
        return 0
    us = decoder_us()
    print(f"event-stream decoder      {us:6.2f} µs a chunk, {verdict(us, DECODER_MOST_US)} (asked: {DECODER_MOST_US:g})")
    floor, rows = _measure(arguments.streams)
    for words, figures in rows.items():
        _print(figures, words)
    print(f"  receiving the same one by one and doing nothing with it takes {floor:.2f} µs a chunk on this machine")
    if CROWD + OVER_TLS not in rows:
        print("  not measured over TLS: openssl, which makes the certificate, is missing")
    if rows[AT_ONCE]["pieces a chunk"] < PIECES_LEAST:
        print(f"  below {PIECES_LEAST:g} pieces a chunk the machine is too busy for the last row to count")
    whole = all(figures["complete"] == figures["streams"] for figures in rows.values())
    light = all(rows[words]["share of a core"] <= CORE_MOST for words in DECIDING)
    return 0 if us <= DECODER_MOST_US and light and whole else 1


def _measure(count: int) -> tuple[float, dict[str, dict[str, Any]]]:
    """Return what `received` tells, and the figures of each row."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "bench.providers", "--serve", folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:  # noqa: S603 - this program itself
            assert server.stdout is not None
            port, secure = map(int, server.stdout.readline().split())
            floor = asyncio.run(received(port, count))
            for way in (CROWD, SLASH):
                rows[way] = asyncio.run(streams(port, count, way))
                if secure:
                    rows[way + OVER_TLS] = asyncio.run(streams(secure, count, way, trusted=Path(folder) / CERTIFICATE))
            rows[AT_ONCE] = asyncio.run(streams(port, count, AT_ONCE))
            server.communicate(b"")
    return floor, rows


def verdict(figure: float, most: float) -> str:
    """Say whether a figure keeps to what was asked."""
    return "ok" if figure <= most else "OVER"


def _print(figures: dict[str, Any], words: str) -> None:
    share = figures["share of a core"]
    judged = f"{verdict(share, CORE_MOST)} (asked: {CORE_MOST:.0%})" if words in JUDGED else "for comparison"
    print(f"{figures['streams']} streams at {CHUNKS_PER_SECOND:g}/s      {share:6.1%} of one core, {judged}, read {words}")
    print(f"  socket to router's event {figures['us a chunk']:6.2f} µs a chunk; complete {figures['complete']}/{figures['streams']}")
    print(f"  {figures['chunks']} chunks in {figures['wall s']:.1f} s, {figures['pieces a chunk']:.2f} pieces a chunk")


if __name__ == "__main__":
    sys.exit(main())
