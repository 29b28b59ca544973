"""Webhook. An update is answered with 200 only after it is committed; Telegram repeats what got another answer."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import urlsplit

from aiohttp import web

from bot.clock import Clock
from bot.platforms.base import Refusal, RefusedError
from bot.platforms.telegram.api import Api
from bot.platforms.telegram.backoff import Backoff
from bot.platforms.telegram.intake import ALLOWED_UPDATES, Intake
from bot.platforms.telegram.polling import insist
from storage.base import StoreUnavailableError

SECRET_HEADER = "X-Telegram-Bot-Api-Secret-Token"  # noqa: S105 - a header's name
UPDATE_BYTES = 4 * 1024 * 1024
"""Largest update read. The server's answers to getUpdates, 100 updates each, end at about this size."""
RETRY_SECONDS = 1
"""When Telegram should bring an update again that could not be committed. Its server honours the header Retry-After."""
STOP_SECONDS = 5.0
"""So long updates that are being committed may take when the bot stops."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where Telegram brings updates to, and where the bot listens for them.

    Attributes:
        url: Public address, https, on port 443, 80, 88 or 8443.
        secret: 1-256 characters of A-Z, a-z, 0-9, ``_`` and ``-``, which Telegram sends along.
        host: Address to listen on.
        port: Port to listen on.
        path: Path to listen on; that of `url` if empty.
    """

    url: str
    secret: str = field(repr=False)
    host: str = "127.0.0.1"
    port: int = 8443
    path: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,256}", self.secret):
            raise ValueError("the webhook's secret must have 1-256 characters of A-Z, a-z, 0-9, _ and -")

    @property
    def route(self) -> str:
        """The path to listen on."""
        return self.path or urlsplit(self.url).path or "/"


async def listen(api: Api, intake: Intake, clock: Clock, settings: WebhookSettings, ready: Callable[[], None]) -> NoReturn:
    """Take updates in until cancelled. The webhook stays set: what comes while the bot is down waits at Telegram.

    Raises:
        RefusedError: The address can't be listened on, or Telegram will not have it.
    """
    app = web.Application(client_max_size=UPDATE_BYTES)
    app.router.add_post(settings.route, Handler(intake, settings.secret).handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    try:
        await _bind(runner, settings)
        wish = {"url": settings.url, "secret_token": settings.secret, "allowed_updates": ALLOWED_UPDATES}
        await insist(lambda: api.call("setWebhook", wish), clock, Backoff())
        ready()
        while True:
            await asyncio.Event().wait()
    finally:
        await runner.cleanup()


class Handler:
    """Answers Telegram's calls."""

    def __init__(self, intake: Intake, secret: str) -> None:
        self._intake = intake
        self._secret = secret.encode()

    async def handle(self, request: web.Request) -> web.Response:
        """Commit the update of a request. 403: not from Telegram; 503: not committed, to be brought again; else 200."""
        given = request.headers.get(SECRET_HEADER, "")
        if not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._secret):
            return web.Response(status=403)
        try:
            raw = json.loads(await request.read())
        except (ValueError, RecursionError):  # the latter: it is nested too deeply
            # Any other answer would make Telegram bring it again and hold back the chat's next updates for a day.
            log.error("a webhook call was no JSON and was skipped")  # noqa: TRY400 - the trace would quote the body
            return web.Response()
        try:
            await self._intake.take(raw)
        except StoreUnavailableError as error:  # it says what to mend; Telegram brings the update again
            log.error("an update could not be committed; Telegram will bring it again: %s", error)  # noqa: TRY400 - a traceback would hide it
            return web.Response(status=503, headers={"Retry-After": str(RETRY_SECONDS)})
        except Exception:  # the store's trouble of any other kind
            log.exception("an update could not be committed; Telegram will bring it again")
            return web.Response(status=503, headers={"Retry-After": str(RETRY_SECONDS)})
        return web.Response()


async def _bind(runner: web.AppRunner, settings: WebhookSettings) -> None:
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
    except OSError as error:
        where = f"{settings.host}:{settings.port}"
        raise RefusedError(Refusal.BAD_REQUEST, f"the webhook can't listen on {where}: {error.strerror or error}") from error
