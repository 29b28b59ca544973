"""A provider whose certificate nobody vouches for gets no key and no question."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from aiohttp import web

from adapters.base import Billed, ErrorKind, ProviderError
from adapters.http import Http, open_session
from sandbox.certificates import OPENSSL, certificate


@pytest.fixture
def context(tmp_path: Path) -> ssl.SSLContext:
    """A server's side with a certificate that it made itself."""
    return certificate(tmp_path)[0]


@pytest.mark.skipif(OPENSSL is None, reason="openssl, which makes the certificate, is not installed")
async def test_a_certificate_that_nobody_vouches_for_is_refused_before_anything_is_sent(context: ssl.SSLContext) -> None:
    seen: list[web.Request] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        return web.json_response({})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        async with open_session() as session:
            with pytest.raises(ProviderError) as caught:
                await Http(session).post_json(f"https://127.0.0.1:{runner.addresses[0][1]}/v1", {"key": "canary"})
    finally:
        await runner.cleanup()
    error = caught.value
    assert (error.kind, error.billed) == (ErrorKind.CONNECT, Billed.NO)
    assert "certificate is not trusted" in error.detail
    assert not seen
