"""The stand-in for Telegram, met by bare HTTP or by the real python-telegram-bot."""

from __future__ import annotations

import ssl
from functools import cache
from typing import Any

import aiohttp
import httpx
from telegram.ext import Application, ApplicationBuilder
from telegram.request import HTTPXRequest

from sandbox.telegram import TelegramSandbox
from tests.support.clock import PATIENCE_SECONDS


async def raw(http: aiohttp.ClientSession, sandbox: TelegramSandbox, method: str, **values: Any) -> tuple[int, dict[str, Any]]:
    """Call a method by bare HTTP; its status and what it says."""
    async with http.post(f"{sandbox.api_url}/bot{sandbox.token}/{method}", json=values) as response:
        return response.status, await response.json()


def app_of(sandbox: TelegramSandbox) -> Application[Any, Any, Any, Any, Any, Any]:
    """An application of the real library, not yet running."""
    builder = ApplicationBuilder().token(sandbox.token).base_url(sandbox.api_url + "/bot")
    return builder.request(wire()).get_updates_request(wire(1)).build()


def wire(connections: int = 256) -> HTTPXRequest:
    """The real library's HTTP client. The certificates, which plain HTTP has no use for, are read once and not for each of them."""
    return HTTPXRequest(
        connections,
        read_timeout=PATIENCE_SECONDS,
        write_timeout=PATIENCE_SECONDS,
        connect_timeout=PATIENCE_SECONDS,
        pool_timeout=PATIENCE_SECONDS,
        httpx_kwargs={"verify": _certificates()},
    )


@cache
def _certificates() -> ssl.SSLContext:
    return httpx.create_ssl_context()
