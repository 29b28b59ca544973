"""An optional receiver of ModelsLab's webhook.

The post is unsigned, comes more than once or never, and the list of endpoints that send one leaves chat out: so it is taken for nothing but
a hint to look into the queue now. What it says is not read, except for which question it is about.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from aiohttp import web

log = logging.getLogger(__name__)

POST_BYTES = 256 * 1024
"""Largest post that is read: it repeats the answer and the prompt."""

LEAST_S = 1.0
"""However many hints come, the queue is not asked more often, in seconds."""

_TRACK_IDS = 2**53
"""The document wants an integer, and JSON in JavaScript keeps integers up to here. A random one can't be guessed by a stranger."""


@dataclass(slots=True)
class Hint:
    """What one question waits for."""

    track_id: int
    came: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self, seconds: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        """Wait so long, or until a hint comes."""
        await sleep(min(LEAST_S, seconds))
        rest = asyncio.ensure_future(sleep(max(seconds - LEAST_S, 0)))
        hint = asyncio.ensure_future(self.came.wait())
        try:
            await asyncio.wait({rest, hint}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (rest, hint):
                task.cancel()
            await asyncio.gather(rest, hint, return_exceptions=True)
        self.came.clear()


class Hints:
    """Listens for posts. It starts with the first question; if it can't, questions go on without it.

    Args:
        url: The public address that ModelsLab posts to; its path is the one listened on.
        host: To listen on; a proxy passes the public address on to it.
        port: The same; 0 takes a free one.
    """

    def __init__(self, url: str, *, host: str = "127.0.0.1", port: int = 8444) -> None:
        self.url = url
        self.port = port
        self._path = urlsplit(url).path or "/"
        self._host = host
        self._waiting: dict[int, Hint] = {}
        self._runner: web.AppRunner | None = None
        self._broken = False
        self._lock = asyncio.Lock()

    async def begin(self) -> Hint | None:
        """Return the hint of a new question, None if nothing can be listened for. Give it back with `end`."""
        async with self._lock:
            if self._runner is None and not self._broken:
                await self._start()
        if self._broken:
            return None
        hint = Hint(secrets.randbelow(_TRACK_IDS))
        self._waiting[hint.track_id] = hint
        return hint

    def end(self, hint: Hint | None) -> None:
        """Forget a question."""
        if hint is not None:
            self._waiting.pop(hint.track_id, None)

    async def aclose(self) -> None:
        """Stop listening. Idempotent."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def _start(self) -> None:
        app = web.Application(client_max_size=POST_BYTES)
        app.router.add_post(self._path, self._post)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self.port).start()
        except OSError as error:
            self._broken = True
            log.warning("modelslab.no_webhook host=%s port=%d: %s", self._host, self.port, error.strerror)
            await runner.cleanup()
            return
        self._runner = runner
        self.port = runner.addresses[0][1]

    async def _post(self, request: web.Request) -> web.Response:
        """Answer 200 to anything: a stranger learns nothing, and ModelsLab repeats nothing."""
        with suppress(ValueError, RecursionError, web.HTTPRequestEntityTooLarge):
            # Not by the encoding that its head names, which may be none.
            hint = self._waiting.get(_track_id(json.loads(await request.read())))
            if hint is not None:
                hint.came.set()
        return web.Response()


def _track_id(data: Any) -> int:
    """Return the id, which comes back as an integer or as a string; -1 if there is none."""
    value = data.get("track_id") if isinstance(data, Mapping) else None
    if isinstance(value, str) and value.isdecimal() and len(value) < 20:  # noqa: PLR2004 - more digits than any id of ours
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else -1
