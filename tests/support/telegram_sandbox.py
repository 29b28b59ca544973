"""The stand-in for Telegram, met by bare HTTP or by the real python-telegram-bot."""

from __future__ import annotations

from typing import Any

import aiohttp
from telegram.ext import Application, ApplicationBuilder

from sandbox.telegram import TelegramSandbox


async def raw(http: aiohttp.ClientSession, sandbox: TelegramSandbox, method: str, **values: Any) -> tuple[int, dict[str, Any]]:
    """Call a method by bare HTTP; its status and what it says."""
    async with http.post(f"{sandbox.api_url}/bot{sandbox.token}/{method}", json=values) as response:
        return response.status, await response.json()


def app_of(sandbox: TelegramSandbox) -> Application[Any, Any, Any, Any, Any, Any]:
    """An application of the real library, not yet running."""
    return ApplicationBuilder().token(sandbox.token).base_url(sandbox.api_url + "/bot").build()
