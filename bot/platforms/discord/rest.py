"""Calls to Discord's HTTP API. Needs no gateway, keeps no rate limits, sleeps never: pacing is the outbox's business."""

from __future__ import annotations

import json
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import aiohttp

from bot.model import File
from bot.platforms.base import UnavailableError
from bot.platforms.discord.answers import Answer, outcome_lost, read
from bot.platforms.errands import Errands
from bot.platforms.unreachable import why

API_BASE_URL: Final = "https://discord.com/api/v10"
"""Documented: API reference, API versioning."""
FILE_ID: Final = "0"
"""By which a body names the file that is sent with it. Documented: API reference, uploading files."""
CALL_SECONDS: Final = 30.0
"""After so long an answer is taken for lost."""
JSON: Final = "application/json"
CONNECT_SECONDS: Final = 10.0
CLOSE_SECONDS: Final = 5.0
"""So long `aclose` waits for calls under way."""


def user_agent() -> str:
    """Return the User-Agent in the form Discord asks for. Documented: API reference, user agent."""
    try:
        number = version("dragoman")
    except PackageNotFoundError:
        number = "0"
    return f"DiscordBot (https://dragoman.invalid, {number})"


class Rest:
    """One bot account's HTTP calls.

    A call runs to its end even if its caller is cancelled: half-way it is unknown whether it was done, and the answer's headers are lost.
    """

    def __init__(self, base_url: str, token: str) -> None:
        self._base_url = base_url.rstrip("/")
        self._token = token
        self._session: aiohttp.ClientSession | None = None
        self._errands = Errands("call to Discord")
        self._closed = False

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        file: File | None = None,
        repeatable: bool = True,
        authorised: bool = True,
        seconds: float = CALL_SECONDS,
    ) -> Answer:
        """Make one call.

        Args:
            method: HTTP method.
            path: Below the base address, with a leading slash. May hold an interaction's token: it reaches no error.
            body: JSON value, None for none.
            file: Sent with the body, which names it as attachment `FILE_ID`.
            repeatable: Doing it twice makes nothing twice.
            authorised: Sign with the bot's token; interaction routes carry their own.
            seconds: Longest wait for the answer.

        Raises:
            PlatformError: One of the seam's tree; refusals as `CodedRefusedError`.
        """
        if self._closed:
            raise UnavailableError("the connection to Discord was closed")
        return await self._errands.run(self._call(method, path, body, file, repeatable=repeatable, authorised=authorised, seconds=seconds))

    async def aclose(self) -> None:
        """Let calls under way end, then let go of connections. Idempotent."""
        self._closed = True
        await self._errands.finish(CLOSE_SECONDS)
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    async def _call(
        self, method: str, path: str, body: Any, file: File | None, *, repeatable: bool, authorised: bool, seconds: float
    ) -> Answer:
        headers = {"Authorization": f"Bot {self._token}"} if authorised else {}
        data = None if body is None else json.dumps(body, ensure_ascii=False).encode()
        form = None if data is None or file is None else _form(data, file)
        if form is None and data is not None:
            headers["Content-Type"] = JSON
        timeout = aiohttp.ClientTimeout(total=seconds, sock_connect=CONNECT_SECONDS)
        try:
            async with self._open().request(
                method, self._base_url + path, data=data if form is None else form, headers=headers, timeout=timeout, allow_redirects=False
            ) as response:
                status, told, text = response.status, response.headers.copy(), await response.text(errors="replace")
        # Without their cause: aiohttp's errors may name the address, which may hold an interaction's token.
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise UnavailableError(f"Discord can't be reached: {why(error)}") from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise outcome_lost(f"Discord's answer was lost: {why(error)}", repeatable=repeatable) from None
        return read(status, told, text, repeatable=repeatable)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"User-Agent": user_agent()}, cookie_jar=aiohttp.DummyCookieJar())
        return self._session


def _form(body: bytes, file: File) -> aiohttp.FormData:
    form = aiohttp.FormData(quote_fields=False)  # Discord looks for the brackets as they are
    form.add_field("payload_json", body.decode(), content_type=JSON)
    form.add_field(f"files[{FILE_ID}]", file.content, filename=file.name, content_type=file.media_type)
    return form
