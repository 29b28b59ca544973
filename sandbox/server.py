"""One HTTP stand-in: an aiohttp application on a loopback port, with a log of its calls and injected faults."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web

from sandbox.faults import CutError, Faults, cut

BODY_BYTES = 32 * 1024 * 1024
"""Largest request body a stand-in reads."""
_TOKEN = re.compile(r"[^/]{32,}")
"""A piece of a path that may be a token: both platforms write them there."""


@dataclass(slots=True, repr=False)
class Call:
    """A request that a stand-in has answered. Its repr shows nothing that may be secret.

    Attributes:
        at: `Server.now()` when it arrived, in seconds.
        body: Parsed JSON or form, None if there was none.
        status: HTTP status of the answer; 0 while it is being answered or if the connection was cut.
        answer: Body of the answer; None while it is being answered, for one that was streamed and for an empty one.
    """

    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: Any = None
    query: dict[str, str] = field(default_factory=dict)
    status: int = 0
    answer: bytes | None = None

    def __repr__(self) -> str:
        return f"Call({self.method} {_TOKEN.sub('…', self.path)}, status={self.status}, at={self.at})"


class Server:
    """Base of the stand-ins. Subclasses fill `routes` and answer.

    It serves programs on this machine; what a web page sends is refused with 403, and neither logged nor met by a fault.

    Attributes:
        faults: What goes wrong, and when.
        calls: Every request, oldest first.
        keep_calls: How many of them are kept; None for all. Set it where a stand-in runs for long.
        now: Epoch seconds; injected, so that a test can let a token expire.
        round_trip: Seconds that a call spends on the way: half of them pass before it is looked at, half before it is answered.
    """

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.faults = Faults()
        self.calls: list[Call] = []
        self.keep_calls: int | None = None
        self.round_trip = 0.0
        self._runner: web.AppRunner | None = None
        self._port = 0

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the stand-in's routes."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Base address, without a trailing slash, once started."""
        return f"http://127.0.0.1:{self._port}"

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one."""
        app = web.Application(middlewares=[self._record], client_max_size=BODY_BYTES)
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Close every connection. Idempotent."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def calls_to(self, method: str, part: str = "") -> list[Call]:
        """Return the calls with this HTTP method whose path contains `part`."""
        return [call for call in self.calls if call.method == method and part in call.path]

    @web.middleware
    async def _record(self, request: web.Request, handler: Callable[[web.Request], Any]) -> web.StreamResponse:
        if self._from_page(request):
            raise web.HTTPForbidden(text="stand-ins answer programs on this machine, no web pages")
        call = Call(self.now(), request.method, request.path, dict(request.headers), await _body(request), dict(request.query))
        self._log(call)
        if self.round_trip:
            await asyncio.sleep(self.round_trip / 2)
        fault = self.faults.take(request.method, request.path)
        response: web.StreamResponse | None = None
        if fault is not None:
            response = await fault.before(request)
        if response is None:
            try:
                response = await handler(request)
            except CutError:
                return cut(request)
        if fault is not None:
            response = await fault.after(request, response)
        if self.round_trip:
            await asyncio.sleep(self.round_trip / 2)
        call.status = response.status
        if isinstance(response, web.Response) and isinstance(response.body, bytes):
            call.answer = response.body
        return response

    def _from_page(self, request: web.Request) -> bool:
        """Tell whether a browser sent this for a page: such a page could guess the port and the token, and read along by a webhook."""
        # A foreign name for this address is the page's own (DNS rebinding). A picture's address comes without Origin, hence Sec-Fetch-Site.
        own = {f"127.0.0.1:{self._port}", f"localhost:{self._port}"}
        return request.host not in own or "Origin" in request.headers or request.headers.get("Sec-Fetch-Site", "none") != "none"

    def _log(self, call: Call) -> None:
        self.calls.append(call)
        if self.keep_calls is not None:
            del self.calls[: max(0, len(self.calls) - self.keep_calls)]


async def _body(request: web.Request) -> Any:
    if not request.can_read_body:
        return None
    kind = request.content_type
    if kind == "application/json":
        raw = await request.read()
        try:
            return await request.json() if raw else None
        except ValueError:
            return raw
    if kind in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        return dict(await request.post())
    return await request.read()
