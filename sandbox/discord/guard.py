"""What stands before every call: the token, the budgets, and answers in Discord's form.

Content-Type is exactly `application/json`: discord.py hands anything else back as a string. A 429 without `Via` means a ban to it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from typing import Any

from aiohttp import web

from bot.platforms.budgets import DISCORD_FILE_BYTES, DISCORD_GLOBAL, DISCORD_INVALID, Budget
from sandbox.discord.errors import ApiError, UnauthorizedError, invalid_form
from sandbox.discord.forms import File
from sandbox.limits import Gates, Verdict

_bucket_headers: ContextVar[dict[str, str]] = ContextVar("bucket_headers")
"""What the present answer tells about its bucket. Not in the request: aiohttp 3.14 warns of plain keys there, 3.13 has no others."""
_FILE = re.compile(r"files\[(\d)\]")
SNOWFLAKE_DIGITS = 15
"""Ids of attachments have at least so many; shorter numbers are those of uploads."""
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class LimitedError(Exception):
    """A budget is used up.

    Attributes:
        retry_after: Seconds, rounded up to milliseconds, so that waiting as told suffices.
        scope: ``user`` or ``global``.
        code: Discord's JSON code, 0 for the ordinary case.
    """

    def __init__(self, verdict: Verdict, *, scope: str = "user", code: int = 0) -> None:
        super().__init__(f"limited ({scope})")
        self.retry_after = _milliseconds_up(verdict.reset_after)
        self.scope = scope
        self.code = code


class Guard:
    """Checks of one bot's calls.

    Attributes:
        invalid_calls: How many calls ended in 401, 403 or 429; ten thousand in ten minutes ban the address.
        limited_calls: How many calls a budget refused.
    """

    def __init__(self, now: Callable[[], float], token: Callable[[], str | None]) -> None:
        self.invalid_calls = 0
        self.limited_calls = 0
        self._now = now
        self._token = token
        self._gates = Gates(now)

    def route(self, handler: Handler, *, bot: bool = True) -> Handler:
        """Wrap a handler. Routes of interactions (`bot` False) need no token and count in no global budget."""

        async def guarded(request: web.Request) -> web.StreamResponse:
            if not self._gates.peek("invalid", DISCORD_INVALID).allowed:
                return web.Response(status=429, text="error code: 1015", headers={"Retry-After": str(int(DISCORD_INVALID.seconds))})
            headers: dict[str, str] = {}
            _bucket_headers.set(headers)
            response = await self._answer(handler, request, bot=bot)
            response.headers.update(headers)
            if response.status in {401, 403, 429}:
                self.invalid_calls += 1
                self._gates.take("invalid", DISCORD_INVALID)
            return response

        return guarded

    async def _answer(self, handler: Handler, request: web.Request, *, bot: bool) -> web.StreamResponse:
        try:
            if bot:
                self._check_token(request)
                self._count()
            return await handler(request)
        except ApiError as error:
            return answer(error.body, status=error.status)
        except LimitedError as error:
            self.limited_calls += 1
            return _limited(error)

    def _check_token(self, request: web.Request) -> None:
        token = self._token()
        if token is None or request.headers.get("Authorization") != f"Bot {token}":
            raise UnauthorizedError

    def _count(self) -> None:
        verdict = self._gates.take("global", DISCORD_GLOBAL)
        if not verdict.allowed:
            raise LimitedError(verdict, scope="global")

    def spend(self, bucket: str, key: str, budget: Budget) -> None:
        """Count a call in a bucket and tell about it in the answer's headers.

        Args:
            bucket: Name of the kind of bucket; its hash is told.
            key: Which one of that kind: a channel, an interaction token.
            budget: What it allows.

        Raises:
            LimitedError: It is used up.
        """
        verdict = self._gates.take(f"{bucket}:{key}", budget)
        self._describe(bucket, budget, verdict)
        if not verdict.allowed:
            raise LimitedError(verdict)

    def spend_both(self, key: str, first: tuple[str, Budget], second: tuple[str, Budget], *, code: int) -> None:
        """Count a call in two buckets or in none; the second is the tighter one and is told.

        Raises:
            LimitedError: One is used up; with `code` if it is the second.
        """
        inner = self._gates.peek(f"{second[0]}:{key}", second[1])
        if not inner.allowed:
            self._describe(second[0], second[1], inner)
            raise LimitedError(inner, code=code)
        self.spend(first[0], key, first[1])
        self._describe(second[0], second[1], self._gates.take(f"{second[0]}:{key}", second[1]))

    def _describe(self, bucket: str, budget: Budget, verdict: Verdict) -> None:
        after = _milliseconds_up(verdict.reset_after)
        headers = {
            "X-RateLimit-Limit": str(budget.calls),
            "X-RateLimit-Remaining": str(verdict.remaining),
            "X-RateLimit-Reset": f"{self._now() + after:.3f}",
            "X-RateLimit-Reset-After": f"{after:.3f}",
            "X-RateLimit-Bucket": hashlib.sha256(bucket.encode()).hexdigest()[:32],
        }
        _bucket_headers.get().update(headers)


def answer(data: Any = None, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return JSON with the exact Content-Type; nothing at all for 204."""
    if status == 204:
        return web.Response(status=204, headers=headers)
    return web.Response(status=status, body=json.dumps(data).encode(), headers={"Content-Type": "application/json", **(headers or {})})


async def read_body(request: web.Request) -> tuple[Any, tuple[File, ...]]:
    """Return the JSON of a request and the files that came with it.

    Raises:
        ApiError: 50109 for JSON that can't be read, 40005 for a file that is too large, 50035 for one that the body does not name.
    """
    try:
        if request.content_type != "multipart/form-data":
            raw = await request.read()
            return (json.loads(raw) if raw else None), ()
        form = await request.post()
        payload = form.get("payload_json", "{}")
        body = json.loads(payload.decode() if isinstance(payload, bytes | bytearray) else str(payload))
        strangers = [name for name, value in form.items() if name != "payload_json" and not isinstance(value, web.FileField)]
    except ValueError:
        raise ApiError(50109) from None
    uploads = {name: value for name, value in form.items() if isinstance(value, web.FileField)}
    for upload in uploads.values():
        upload.file.seek(0)
    files = tuple(File(upload.filename, upload.content_type, upload.file.read()) for upload in uploads.values())
    if any(len(file.data) > DISCORD_FILE_BYTES for file in files):
        raise ApiError(40005)
    _check_names(body, {name: upload.filename for name, upload in uploads.items()} | dict.fromkeys(strangers, ""))
    return body, files


def _check_names(body: Any, uploads: Mapping[str, str]) -> None:
    """Check that the body names every upload by its number, and none that is not there. Discord takes some without; stricter here."""
    about = body.get("attachments") or [] if isinstance(body, dict) else []
    named = {str(one.get("id")): one.get("filename") for one in about if isinstance(one, dict)}
    for field, filename in uploads.items():
        number = _FILE.fullmatch(field)
        if number is None or named.get(number[1]) != filename:
            raise invalid_form(("attachments",), "ATTACHMENT_NOT_NAMED", f"{field} is not named in attachments")
    missing = [number for number in named if len(number) < SNOWFLAKE_DIGITS and f"files[{number}]" not in uploads]
    if missing:
        raise invalid_form(("attachments",), "ATTACHMENT_NOT_FOUND", f"no file comes with the number {missing[0]}")


def _limited(error: LimitedError) -> web.Response:
    everywhere = error.scope == "global"
    headers = {"Via": "1.1 sandbox", "Retry-After": str(math.ceil(error.retry_after)), "X-RateLimit-Scope": error.scope}
    if everywhere:
        headers["X-RateLimit-Global"] = "true"
    text = "You are being rate limited."
    if error.code == 30046:
        text = "Maximum number of edits to messages older than 1 hour reached. Try again later."
    body = {"message": text, "retry_after": error.retry_after, "global": everywhere}
    return answer({**body, "code": error.code} if error.code else body, status=429, headers=headers)


def _milliseconds_up(seconds: float) -> float:
    return math.ceil(round(seconds * 1000, 3)) / 1000
