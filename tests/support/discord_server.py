"""A stand-in that takes every call and answers as it is told: for what no faithful Discord would ever say."""

from __future__ import annotations

import itertools
import json
from typing import Any

from aiohttp import web

from sandbox.faults import Fault
from sandbox.server import Server


class AnyServer(Server):
    """Answers 200 with a new message id to everything."""

    def __init__(self) -> None:
        super().__init__()
        self._ids = itertools.count(1000)

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.route("*", "/{path:.*}", self._answer)]

    def say(
        self, status: int, body: Any = None, *, method: str = "*", path: str = "*", times: int = 1, headers: dict[str, str] | None = None
    ) -> Fault:
        """Answer the next matching calls with this."""
        return self.faults.add(Fault(method=method, path=path, times=times, status=status, body=body, headers=headers or {}))

    def refuse(self, status: int, code: int, *, method: str = "*", path: str = "*", times: int = 1, errors: Any = None) -> Fault:
        """Refuse the next matching calls in Discord's form."""
        body = {"message": f"refused with {code}", "code": code}
        return self.say(status, body if errors is None else {**body, "errors": errors}, method=method, path=path, times=times)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        headers = {"Content-Type": "application/json", "X-RateLimit-Remaining": "3", "X-RateLimit-Reset-After": "4.250"}
        return web.Response(body=json.dumps({"id": str(next(self._ids))}).encode(), headers=headers)
