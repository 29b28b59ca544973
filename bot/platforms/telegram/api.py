"""The Bot API client: python-telegram-bot's `Bot`, made to hand out raw answers and to say what went wrong exactly.

    TelegramError (python-telegram-bot)
    ├── FloodedError       429, with the seconds to wait
    └── NetworkError
        └── ServerError    5xx: the request arrived, what became of it is not known
            └── UnparsedError    an answer that is no JSON, or nested too deeply

`Bot`'s own methods parse every answer and raise if they meet something new in it, after the message was sent. `Api.call` gives the plain
JSON instead: an answer that can't be parsed loses no message id, and one update that can't be parsed stalls no other.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
from telegram import Bot
from telegram.error import BadRequest, NetworkError, TelegramError
from telegram.request import HTTPXRequest

from bot.platforms.budgets import TELEGRAM_FLOOD_SECONDS

API_BASE_URL = "https://api.telegram.org"
CONNECTIONS = 64
"""Most calls in flight. At 30 a second for the whole bot, there would be more only if an answer took over 2 s.

The rest wait in line before httpx's pool, not in it: for every call it goes through all that is in flight or waiting.
"""
FILE_CONNECTIONS = 16
"""Most files on their way, beside the calls: people who send many, from a place that hangs, hold up no message."""
CONNECT_SECONDS = 10.0
READ_SECONDS = 30.0
WRITE_SECONDS = 15.0
POOL_SECONDS = 10.0
FIRST_UPDATE = re.compile(rb'\s*\{\s*"ok"\s*:\s*true\s*,\s*"result"\s*:\s*\[\s*\{\s*"update_id"\s*:\s*([0-9]{1,18})\s*[,}]')
"""How an answer to getUpdates begins. Telegram writes an update's id first."""
TOO_MANY_REQUESTS = 429
TOO_LARGE = 413
CLIENT_ERRORS, SERVER_ERRORS = 400, 500


class FloodedError(TelegramError):
    """Too many calls. `seconds` to wait, as told.

    Stands in for `telegram.error.RetryAfter`, whose constructor warns of its own deprecation unless an environment variable is set.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__(f"flooded: wait {seconds:g} s")
        self.seconds = seconds


class ServerError(NetworkError):
    """An answer with a 5xx status, or one that is not what the Bot API answers."""


class UnparsedError(ServerError):
    """An answer that can't be parsed. `update_id` is that of the first update in it, if it begins like an answer to getUpdates."""

    def __init__(self, payload: bytes) -> None:
        super().__init__("the answer is not one of the Bot API")
        found = FIRST_UPDATE.match(payload)
        self.update_id = int(found[1]) if found else None


class Wire(HTTPXRequest):
    """The library's HTTP client, telling floods and server errors by their status and keeping answers out of the log."""

    __slots__ = ("_file_gate", "_gate")

    def __init__(self, **settings: Any) -> None:
        super().__init__(connection_pool_size=CONNECTIONS + FILE_CONNECTIONS, **settings)
        self._gate = asyncio.Semaphore(CONNECTIONS)
        self._file_gate = asyncio.Semaphore(FILE_CONNECTIONS)

    async def do_request(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        """Make a request; see `telegram.request.BaseRequest.do_request`."""
        async with self._gate:
            status, payload = await super().do_request(*args, **kwargs)
        if status == TOO_MANY_REQUESTS:
            raise FloodedError(_retry_after(payload))
        if status == TOO_LARGE:  # the library would take it for a lost connection
            raise BadRequest("the request is too long")
        if status >= SERVER_ERRORS:
            raise ServerError(f"HTTP {status}")
        if status >= CLIENT_ERRORS:
            self.parse_json_payload(payload)  # a proxy's own 403 or 404 says nothing about the chat or the token
        return status, payload

    @asynccontextmanager
    async def opened(self, url: str) -> AsyncIterator[httpx.Response]:
        """Open a file's address, through the same proxy and with the same certificates as every call. No redirect is followed.

        Raises:
            httpx.HTTPError: It can't be had. It holds the address, and that the token.
        """
        how: dict[str, Any] = {"headers": {"Accept-Encoding": "identity"}, "follow_redirects": False}
        async with self._file_gate, self._client.stream("GET", url, **how) as response:
            yield response

    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        """Parse an answer. The original logs what it can't parse; that may be somebody's message."""
        try:
            answer = json.loads(payload.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            raise UnparsedError(payload) from None
        if not isinstance(answer, dict):
            raise ServerError("the answer is not one of the Bot API")
        return answer


class Api(Bot):
    """The client. Use `call`; the methods inherited from `Bot` work, too."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Stand in for the original, which shows the token."""
        return f"{type(self).__name__}()"

    async def aclose(self) -> None:
        """Close the connections. Idempotent."""
        await self.request.shutdown()

    async def call(self, method: str, parameters: dict[str, Any], *, read_timeout: float = READ_SECONDS) -> Any:
        """Call a method and return its plain JSON result.

        Args:
            method: As the Bot API spells it.
            parameters: JSON values and objects of the library; those that are None are left out.
            read_timeout: Seconds to wait for the answer.

        Raises:
            TelegramError: The library's tree and the two classes above. `__cause__` is httpx's error where there was no answer.
        """
        try:
            return await self._post(method, dict(parameters), read_timeout=read_timeout)
        except KeyError:
            raise ServerError("the answer has no result") from None


def make_api(token: str, base_url: str | None) -> Api:
    """Make a client; nothing is sent yet. `base_url` has no trailing ``/bot``; None is Telegram's own."""
    _keep_secrets_out_of_logs()
    base = (base_url or API_BASE_URL).rstrip("/")
    # One client for polling, too: a second one would load the certificates once more, and the long poll is just one more connection.
    wire = Wire(
        read_timeout=READ_SECONDS,
        write_timeout=WRITE_SECONDS,
        connect_timeout=CONNECT_SECONDS,
        pool_timeout=POOL_SECONDS,
        httpx_kwargs=_loopback_settings() if _is_loopback(base) else None,
    )
    return Api(token, base_url=f"{base}/bot", base_file_url=f"{base}/file/bot", request=wire, get_updates_request=wire)


def _keep_secrets_out_of_logs() -> None:
    # httpx logs every address at INFO, and the token is part of it; the library logs every parameter and answer at DEBUG.
    for name in ("httpx", "httpcore", "telegram"):
        logger = logging.getLogger(name)
        if logger.level < logging.WARNING:
            logger.setLevel(logging.WARNING)


def _retry_after(payload: bytes) -> float:
    try:
        return float(json.loads(payload)["parameters"]["retry_after"])
    except (ValueError, KeyError, TypeError):
        return float(TELEGRAM_FLOOD_SECONDS)


def _loopback_settings() -> dict[str, Any]:
    # A proxy of the environment can't reach this machine's own loopback. Without TLS no certificates are needed; loading them takes time.
    return {"trust_env": False, "verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}


def _is_loopback(base: str) -> bool:
    """Tell whether an address is plain http on this machine."""
    if urlsplit(base).scheme != "http":
        return False
    host = urlsplit(base).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
