"""Files that people sent on Discord, from its own CDN and from nowhere else.

Their addresses are signed and expire after a day; a message that is read again names them anew. Documented: reference, signed attachment
CDN URLs.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import aiohttp
from yarl import URL

from adapters.addresses import GuardedResolver
from bot.model import Attachment, ChatAddress
from bot.platforms.base import Allowance, FileError, FileTrouble, PlatformError, Refusal, RefusedError, Spend
from bot.platforms.budgets import ATTACHMENT_SECONDS, DISCORD_MESSAGE_READ
from bot.platforms.discord.rest import CONNECT_SECONDS, Rest, user_agent
from bot.platforms.unreachable import why

log = logging.getLogger(__name__)

CDN: Final = frozenset({"https://cdn.discordapp.com", "https://media.discordapp.net"})
"""Where Discord keeps files. Documented: reference, CDN endpoints; the second is that of `proxy_url`."""
_PATH: Final = re.compile(r"/(?:ephemeral-)?attachments/\d{1,20}/(?P<id>\d{1,20})/[^/]+")
MARGIN_SECONDS: Final = 60.0
"""An address that expires so soon is not used any more."""


class Files:
    """Fetches attachments of messages.

    Args:
        rest: Reads messages again.
        overall: The budget of all calls.
        cdn_base_url: The one place that files come from, instead of Discord's own.
        now: Epoch seconds.
    """

    def __init__(self, rest: Rest, overall: Allowance, cdn_base_url: str | None, now: Callable[[], float]) -> None:
        self.spend: Spend | None = None
        self._rest = rest
        self._overall = overall
        self._origins = CDN if cdn_base_url is None else frozenset({str(URL(cdn_base_url).origin())})
        self._now = now
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, attachment: Attachment, chat: ChatAddress, message_id: str | None, *, most_bytes: int) -> bytes:
        """Return a file's content; see `bot.platforms.base.SupportsAttachments`."""
        address = self._checked(attachment.source)
        try:
            async with asyncio.timeout(ATTACHMENT_SECONDS):
                if not self._expired(address):
                    with suppress(_GoneError):
                        return await self._get(address, most_bytes)
                return await self._get(await self._named_anew(address, chat, message_id), most_bytes)
        except TimeoutError:
            raise FileError(FileTrouble.UNAVAILABLE, f"it did not come within {ATTACHMENT_SECONDS:g} s") from None

    async def aclose(self) -> None:
        """Let go of connections. Idempotent."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()

    def _checked(self, source: str) -> URL:
        try:
            address = URL(source, encoded=True)
            known = str(address.origin()) in self._origins and address.user is None and _PATH.fullmatch(address.raw_path) is not None
        except ValueError:
            known = False
        if not known:
            raise FileError(FileTrouble.REFUSED, "its address is not one of Discord's CDN")
        return address

    def _expired(self, address: URL) -> bool:
        try:
            return int(address.query.get("ex", ""), 16) < self._now() + MARGIN_SECONDS
        except ValueError:
            return False  # unsigned: the CDN decides

    async def _named_anew(self, address: URL, chat: ChatAddress, message_id: str | None) -> URL:
        """Read the message again for the file's new address."""
        if message_id is None:
            raise _GoneError
        path = f"/channels/{chat.chat}/messages/{message_id}"
        try:
            if self.spend is None:
                answer = await self._rest.call("GET", path)
            else:
                async with self.spend((Allowance(f"discord:message:{chat.chat}", DISCORD_MESSAGE_READ), self._overall)) as heard:
                    answer = await self._rest.call("GET", path)
                    heard.remaining, heard.reset_after = answer.remaining, answer.reset_after
        except RefusedError as refused:
            trouble = FileTrouble.UNAVAILABLE if refused.reason is Refusal.TOKEN else FileTrouble.GONE
            raise FileError(trouble, f"its message can't be read again: {refused}") from None
        except PlatformError as error:
            raise FileError(FileTrouble.UNAVAILABLE, f"its message can't be read again: {error}") from None
        wanted = _id(address)
        named = answer.body.get("attachments") if isinstance(answer.body, dict) else None
        for one in named if isinstance(named, list) else []:
            if isinstance(one, dict) and str(one.get("id")) == wanted and isinstance(one.get("url"), str):
                return self._checked(one["url"])
        raise _GoneError

    async def _get(self, address: URL, most_bytes: int) -> bytes:
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        try:
            async with self._open().get(address, allow_redirects=False, timeout=timeout) as response:
                _check(response, most_bytes)
                content = bytearray()
                async for chunk in response.content.iter_any():
                    content += chunk
                    if len(content) > most_bytes:
                        raise FileError(FileTrouble.TOO_LARGE, f"it has more than {most_bytes} bytes")
                return bytes(content)
        # Without their cause: aiohttp's errors name the address, which opens the file for whoever reads it.
        except (aiohttp.ClientError, OSError) as error:
            raise FileError(FileTrouble.UNAVAILABLE, f"Discord's CDN can't be reached: {why(error)}") from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=GuardedResolver()),
                cookie_jar=aiohttp.DummyCookieJar(),
                # What is compressed on the way could be a thousand times larger than it looks.
                headers={"User-Agent": user_agent(), "Accept-Encoding": "identity"},
                auto_decompress=False,
            )
        return self._session


class _GoneError(FileError):
    def __init__(self) -> None:
        super().__init__(FileTrouble.GONE, "Discord does not have it any more")


def _id(address: URL) -> str:
    found = _PATH.fullmatch(address.raw_path)
    return found["id"] if found else ""


def _check(response: aiohttp.ClientResponse, most_bytes: int) -> None:
    """Look at the head of an answer.

    Raises:
        FileError: It does not bring the file.
    """
    if response.status in {403, 404, 410}:
        raise _GoneError
    if 300 <= response.status < 400:  # noqa: PLR2004 - redirects, as HTTP has it
        raise FileError(FileTrouble.REFUSED, "it is said to be elsewhere")
    if response.status != 200:  # noqa: PLR2004 - success
        raise FileError(FileTrouble.UNAVAILABLE, f"Discord's CDN answers HTTP {response.status}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise FileError(FileTrouble.REFUSED, "it came compressed, which was not asked for")
    if response.content_length is not None and response.content_length > most_bytes:
        raise FileError(FileTrouble.TOO_LARGE, f"it has {response.content_length} bytes, more than {most_bytes}")
