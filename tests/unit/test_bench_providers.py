"""`bench.providers` hears every chunk of each of its rows, over connections that were made before, and judges each by the same figure."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench import providers
from bot.gulps import Gulps
from sandbox.certificates import CERTIFICATE, OPENSSL, certificate


@pytest.mark.parametrize("way", [providers.CROWD, providers.SLASH, providers.AT_ONCE])
@pytest.mark.parametrize(
    "over_tls",
    [False, pytest.param(True, marks=pytest.mark.skipif(OPENSSL is None, reason="openssl, which makes the certificate, is missing"))],
)
async def test_every_chunk_of_every_stream_is_heard(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str, *, over_tls: bool) -> None:
    monkeypatch.setattr(providers, "SECONDS", 0.25)
    server = await providers.serve(certificate(tmp_path)[0] if over_tls else None)
    port = server.sockets[0].getsockname()[1]
    figures = await providers.streams(port, 3, way, trusted=tmp_path / CERTIFICATE if over_tls else None)
    assert (figures["complete"], figures["chunks"]) == (3, 30)
    assert figures["share of a core"] > 0
    server.close()
    await server.wait_closed()


@pytest.mark.skipif(OPENSSL is None, reason="openssl, which makes the certificate, is missing")
async def test_no_handshake_is_in_the_figures(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(providers, "SECONDS", 0.05)
    met: list[asyncio.BaseTransport] = []
    made = asyncio.StreamReaderProtocol.connection_made

    def meet(self: asyncio.StreamReaderProtocol, transport: asyncio.BaseTransport) -> None:
        met.append(transport)
        made(self, transport)

    monkeypatch.setattr(asyncio.StreamReaderProtocol, "connection_made", meet)
    server = await providers.serve(certificate(tmp_path)[0])
    port = server.sockets[0].getsockname()[1]
    await providers.streams(port, 7, providers.CROWD, trusted=tmp_path / CERTIFICATE)
    assert len(met) == 7, "each asks once more on the connection it has"
    server.close()
    await server.wait_closed()


def test_each_row_says_whether_it_keeps_to_what_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"streams": 500, "complete": 500, "chunks": 200_000, "pieces a chunk": 0.1, "us a chunk": 25.0, "wall s": 10.0}
    for share, words in ((providers.CORE_MOST, "50.0% of one core, ok (asked: 50%)"), (0.501, "50.1% of one core, OVER (asked: 50%)")):
        for row in (providers.CROWD, providers.SLASH + providers.OVER_TLS):
            providers._print({**figures, "share of a core": share}, row)
            assert words in capsys.readouterr().out


@pytest.mark.parametrize("over", [*providers.JUDGED, None])
@pytest.mark.parametrize("complete", [500, 499])
def test_the_rows_of_the_bridge_without_tls_decide(monkeypatch: pytest.MonkeyPatch, over: str | None, complete: int) -> None:
    def row(words: str) -> dict[str, float]:
        share = 0.9 if words in {over, providers.AT_ONCE} else 0.4
        return {
            "streams": 500,
            "complete": complete,
            "chunks": 1,
            "pieces a chunk": 1,
            "us a chunk": 1,
            "wall s": 1,
            "share of a core": share,
        }

    rows = {words: row(words) for words in (*providers.JUDGED, providers.AT_ONCE)}
    monkeypatch.setattr(providers, "_measure", lambda _count: (1.0, rows))
    monkeypatch.setattr(providers, "decoder_us", lambda: 1.0)
    monkeypatch.setattr("sys.argv", ["bench.providers"])
    assert providers.main() == (1 if over in providers.DECIDING or complete < 500 else 0)


async def test_five_hundred_slash_answers_are_read_in_gulps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five streams that are told to be 500: the number alone makes far fewer pieces than chunks of them."""
    monkeypatch.setattr(providers, "SECONDS", 1.0)
    monkeypatch.setattr(Gulps, "begin", lambda gulps: setattr(gulps, "replies", gulps.replies + 100))
    server = await providers.serve()
    figures = await providers.streams(server.sockets[0].getsockname()[1], 5, providers.SLASH)
    assert figures["complete"] == 5
    assert figures["pieces a chunk"] <= 0.5
    server.close()
    await server.wait_closed()
