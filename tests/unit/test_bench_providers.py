"""`bench.providers` hears every chunk of each of its rows, over connections that were made before, and judges each by the same figure."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from bench import providers
from tests.support.certificates import CERTIFICATE, OPENSSL, certificate


@pytest.mark.parametrize("crowd", [True, False], ids=["crowd", "at once"])
@pytest.mark.parametrize(
    "over_tls",
    [False, pytest.param(True, marks=pytest.mark.skipif(OPENSSL is None, reason="openssl, which makes the certificate, is missing"))],
)
async def test_every_chunk_of_every_stream_is_heard(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, crowd: bool, over_tls: bool
) -> None:
    monkeypatch.setattr(providers, "SECONDS", 0.25)
    server = await providers.serve(certificate(tmp_path)[0] if over_tls else None)
    port = server.sockets[0].getsockname()[1]
    figures = await providers.streams(port, 3, crowd=crowd, trusted=tmp_path / CERTIFICATE if over_tls else None)
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
    await providers.streams(port, 7, crowd=True, trusted=tmp_path / CERTIFICATE)
    assert len(met) == 7, "each asks once more on the connection it has"
    server.close()
    await server.wait_closed()


def test_each_row_says_whether_it_keeps_to_what_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"streams": 500, "complete": 500, "chunks": 200_000, "pieces a chunk": 0.1, "us a chunk": 25.0, "wall s": 10.0}
    for share, words in ((providers.CORE_MOST, "50.0% of one core, ok (asked: 50%)"), (0.501, "50.1% of one core, OVER (asked: 50%)")):
        providers._print({**figures, "share of a core": share}, providers.AT_ONCE)
        assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("crowd", "others", "complete", "code"),
    [(0.4, 0.9, 500, 0), (0.6, 0.1, 500, 1), (0.4, 0.1, 499, 1)],
    ids=["others over", "over", "cut"],
)
def test_the_crowd_without_tls_decides(monkeypatch: pytest.MonkeyPatch, crowd: float, others: float, complete: int, code: int) -> None:
    def row(share: float) -> dict[str, float]:
        return {
            "streams": 500,
            "complete": complete,
            "chunks": 1,
            "pieces a chunk": 1,
            "us a chunk": 1,
            "wall s": 1,
            "share of a core": share,
        }

    rows = {providers.CROWD: row(crowd), providers.OVER_TLS: row(others), providers.AT_ONCE: row(others)}
    monkeypatch.setattr(providers, "_measure", lambda _count: (1.0, rows))
    monkeypatch.setattr(providers, "decoder_us", lambda: 1.0)
    monkeypatch.setattr("sys.argv", ["bench.providers"])
    assert providers.main() == code
