"""Files that people sent on Telegram: asked for by their id, then read from the Bot API's own address."""

from __future__ import annotations

import asyncio
import re

import httpx
from telegram.error import BadRequest, TelegramError

from bot.model import Attachment
from bot.platforms.base import FileError, FileTrouble
from bot.platforms.budgets import ATTACHMENT_SECONDS, TELEGRAM_DOWNLOAD_BYTES
from bot.platforms.telegram.api import Api, Wire
from bot.platforms.telegram.errors import platform_error
from bot.platforms.unreachable import why

_PATH = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*")
"""What getFile names: relative, without anything that leads elsewhere. A Bot API server in local mode names a file on its own disk."""


async def fetch(api: Api, attachment: Attachment, *, most_bytes: int) -> bytes:
    """Return a file's content; see `bot.platforms.base.SupportsAttachments`."""
    most = min(most_bytes, TELEGRAM_DOWNLOAD_BYTES)
    try:
        async with asyncio.timeout(ATTACHMENT_SECONDS):
            return await _download(api, await _path(api, attachment.source, most), most)
    except TimeoutError:
        raise FileError(FileTrouble.UNAVAILABLE, f"it did not come within {ATTACHMENT_SECONDS:g} s") from None


async def _path(api: Api, file_id: str, most: int) -> str:
    try:
        about = await api.call("getFile", {"file_id": file_id})
    except BadRequest as error:
        trouble = FileTrouble.TOO_LARGE if "too big" in error.message.lower() else FileTrouble.GONE
        raise FileError(trouble, f"Telegram does not give it: {error.message}") from None
    except TelegramError as error:
        raise FileError(FileTrouble.UNAVAILABLE, str(platform_error(error, repeatable=True))) from None
    path = about.get("file_path") if isinstance(about, dict) else None
    if not isinstance(path, str) or not _PATH.fullmatch(path):
        raise FileError(FileTrouble.UNAVAILABLE, "Telegram names no address for it")
    size = about.get("file_size")
    if isinstance(size, int) and size > most:
        raise FileError(FileTrouble.TOO_LARGE, f"it has {size} bytes, more than {most}")
    return path


async def _download(api: Api, path: str, most: int) -> bytes:
    wire = api.request
    assert isinstance(wire, Wire)
    content = bytearray()
    try:
        async with wire.opened(f"{api.base_file_url}/{path}") as response:
            _check(response, most)
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > most:
                    raise FileError(FileTrouble.TOO_LARGE, f"it has more than {most} bytes")
    # Without their cause: httpx's errors hold the request, and its address the token.
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise FileError(FileTrouble.UNAVAILABLE, f"Telegram can't be reached: {why(error)}") from None
    return bytes(content)


def _check(response: httpx.Response, most: int) -> None:
    """Look at the head of an answer.

    Raises:
        FileError: It does not bring the file.
    """
    if response.status_code in {403, 404, 410}:
        raise FileError(FileTrouble.GONE, "Telegram does not have it any more")
    if response.is_redirect:
        raise FileError(FileTrouble.REFUSED, "it is said to be elsewhere")
    if response.status_code != httpx.codes.OK:
        raise FileError(FileTrouble.UNAVAILABLE, f"Telegram answers HTTP {response.status_code}")
    if response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise FileError(FileTrouble.REFUSED, "it came compressed, which was not asked for")
    length = response.headers.get("Content-Length", "")
    if length.isdecimal() and int(length) > most:
        raise FileError(FileTrouble.TOO_LARGE, f"it has {length} bytes, more than {most}")
