"""Delivery of updates to a webhook: one at a time and in order per chat, repeated until it is taken."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping

import aiohttp
from yarl import URL

from sandbox.telegram.errors import WEBHOOK_SET, Json, bad
from sandbox.telegram.parameters import Parameters
from sandbox.telegram.updates import Pending, Updates

FIRST_DELAY_SECONDS, LONGEST_DELAY_SECONDS = 0.25, 60.0
"""Pause after a refused delivery; it doubles. Shorter than Telegram's, so that tests need not wait."""
LONGEST_RETRY_AFTER = 3600
"""A `Retry-After` is honoured up to here, in seconds. From the Bot API server's source."""
ANSWER_SECONDS = 10.0
"""How long a webhook may take to answer. Shorter than Telegram's."""
MAX_CONNECTIONS = 100
"""Most deliveries at once. Documented: setWebhook."""
SECRET = re.compile(r"[A-Za-z0-9_-]{0,256}")
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})

log = logging.getLogger(__name__)


class Webhook:
    """One bot's webhook.

    Args:
        updates: Where updates come from; taken ones are removed.
        now: Epoch seconds.
        execute: Runs a method call that came as the answer to a delivery; its result goes nowhere.
    """

    def __init__(
        self, updates: Updates, now: Callable[[], float], execute: Callable[[str, Mapping[str, object]], Awaitable[object]]
    ) -> None:
        self._updates, self._now, self._execute = updates, now, execute
        self._lanes: dict[int, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._slots = asyncio.Semaphore(1)
        self._secret = ""
        self._connections = 40
        self._last_error: tuple[int, str] | None = None
        self.url = ""
        self.is_set = asyncio.Event()
        updates.on_add = self._feed

    async def set(self, parameters: Parameters) -> bool:
        """Handle setWebhook; an empty address removes it.

        Raises:
            ApiError: Telegram would not take it, or it is not on this machine.
        """
        url = parameters.text("url")
        if not url:
            return await self.delete(parameters)
        _check_address(url)
        secret = parameters.text("secret_token")
        if not SECRET.fullmatch(secret):
            raise bad("secret token contains unallowed characters")
        self.url = ""  # so that nothing is delivered while the old deliveries end
        await self.close()
        self.url, self._secret = url, secret
        self._connections = min(max(parameters.integer("max_connections", 40), 1), MAX_CONNECTIONS)
        self._slots = asyncio.Semaphore(self._connections)
        self._updates.terminate(WEBHOOK_SET)
        self._drop(parameters)
        self.is_set.set()
        self.resume()
        return True

    async def delete(self, parameters: Parameters) -> bool:
        """Handle deleteWebhook."""
        self.url = ""
        await self.close()
        self.is_set.clear()
        self._drop(parameters)
        return True

    async def info(self, _: Parameters) -> Json:
        """Handle getWebhookInfo."""
        self._updates.expire()
        info: Json = {"url": self.url, "has_custom_certificate": False, "pending_update_count": len(self._updates.pending)}
        if self.url:
            info["max_connections"] = self._connections
        if self._updates.allowed:
            info["allowed_updates"] = list(self._updates.allowed)
        if self._last_error is not None:
            info["last_error_date"], info["last_error_message"] = self._last_error
        return info

    def resume(self) -> None:
        """Deliver what is pending, if a webhook is set."""
        for pending in list(self._updates.pending):
            self._feed(pending)

    async def close(self) -> None:
        """Stop delivering until `resume` or the next update. Idempotent."""
        # A webhook may answer a delivery with setWebhook: that delivery's own lane is not to wait for itself.
        lanes = [lane for lane in self._lanes.values() if lane is not asyncio.current_task()]
        self._lanes.clear()
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _drop(self, parameters: Parameters) -> None:
        if parameters.boolean("drop_pending_updates"):
            self._updates.clear()

    def _feed(self, pending: Pending) -> None:
        """See to it that somebody delivers the updates of this one's chat."""
        if not self.url or pending.lane in self._lanes:
            return
        task = asyncio.create_task(self._run_lane(pending.lane))
        self._lanes[pending.lane] = task
        task.add_done_callback(_report)

    async def _run_lane(self, lane: int) -> None:
        try:
            await self._empty_lane(lane)
        finally:
            # Here and not in a callback of the task: an update that comes between the two would find nobody.
            if self._lanes.get(lane) is asyncio.current_task():
                del self._lanes[lane]

    async def _empty_lane(self, lane: int) -> None:
        delay = FIRST_DELAY_SECONDS
        while self.url and (pending := next((item for item in self._updates.pending if item.lane == lane), None)) is not None:
            async with self._slots:
                refused, wait = await self._deliver(pending)
            if not refused:
                self._updates.remove(pending)
                delay = FIRST_DELAY_SECONDS
                continue
            self._last_error = (int(self._now()), refused)
            await asyncio.sleep(delay if wait is None else wait)
            delay = min(delay * 2, LONGEST_DELAY_SECONDS)
            self._updates.expire()

    async def _deliver(self, pending: Pending) -> tuple[str, float | None]:
        """Post one update; return why it was refused, empty if it was not, and the wait that was asked for."""
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS))
        headers = {"X-Telegram-Bot-Api-Secret-Token": self._secret} if self._secret else {}
        try:
            async with self._session.post(self.url, json=pending.update, headers=headers, allow_redirects=False) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            return f"Connection failed: {type(error).__name__}", None
        if not 200 <= response.status < 300:
            return f"Wrong response from the webhook: {response.status} {response.reason}", _retry_after(response.headers)
        await self._obey(body)
        return "", None

    async def _obey(self, body: bytes) -> None:
        """Run the method that an answer may hold."""
        try:
            call = json.loads(body)
        except ValueError:
            return
        if isinstance(call, dict) and isinstance(call.get("method"), str):
            await self._execute(call.pop("method"), call)


def _check_address(url: str) -> None:
    """Check with the parser that delivers, so that both see the same host."""
    try:
        address = URL(url)
    except ValueError:
        raise bad("bad webhook: Failed to parse URL") from None
    if address.scheme != "https" and not (address.scheme == "http" and address.host in LOOPBACK):
        raise bad("bad webhook: An HTTPS URL must be provided for webhook")
    if address.host not in LOOPBACK:
        # What people write here must not leave the machine, whoever asks for it. Not Telegram's words: it takes any public host.
        raise bad("bad webhook: the sandbox delivers to this machine only")


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("webhook delivery ended", exc_info=error)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    value = headers.get("Retry-After", "")
    return float(min(int(value), LONGEST_RETRY_AFTER)) if value.isdigit() else None
