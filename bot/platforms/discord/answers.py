"""What Discord's HTTP answers mean: rates read from headers, refusals mapped to the errors of the seam.

Sources: rate limits, opcodes and status codes, receiving and responding (Discord's documentation); `CREATE` and `EDIT` buckets as observed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from bot.platforms.base import FloodError, PlatformError, Refusal, RefusedError, UnavailableError, UnknownOutcomeError

FLOOD_SECONDS = 5.0
"""Waited after a 429 that names no time: the longest window observed on a message route."""
DETAIL_CHARS = 200
"""So much of Discord's own words is kept in an error."""


class Code(IntEnum):
    """Discord's error codes that make a difference here. Documented: opcodes and status codes."""

    UNKNOWN_CHANNEL = 10003
    UNKNOWN_MESSAGE = 10008
    UNKNOWN_EMOJI = 10014
    UNKNOWN_WEBHOOK = 10015
    UNKNOWN_INTERACTION = 10062
    ALREADY_ACKNOWLEDGED = 40060
    INVALID_WEBHOOK_TOKEN = 50027
    INVALID_FORM = 50035
    ARCHIVED_THREAD = 50083
    NO_HISTORY_TO_REPLY = 160002
    LOCKED_THREAD = 160005


ROUTE_IS_DEAD = frozenset({Code.UNKNOWN_WEBHOOK, Code.UNKNOWN_INTERACTION, Code.INVALID_WEBHOOK_TOKEN})
"""An interaction that was never acknowledged, or whose token expired. The last one comes with status 401."""


class CodedRefusedError(RefusedError):
    """A refusal with Discord's own code and the names of the fields it complains about."""

    def __init__(self, reason: Refusal, detail: str, *, status: int, code: int, fields: frozenset[str] = frozenset()) -> None:
        super().__init__(reason, detail)
        self.status = status
        self.code = code
        self.fields = fields


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer.

    Attributes:
        body: Its JSON; None for an empty one.
        remaining: Calls left in the bucket.
        reset_after: Seconds until the bucket is full again.
    """

    body: Any = field(repr=False)
    remaining: int | None = None
    reset_after: float | None = None


def read(status: int, headers: Mapping[str, str], text: str, *, repeatable: bool) -> Answer:
    """Return a successful answer.

    Args:
        status: HTTP status.
        headers: HTTP headers, case-insensitive.
        text: The body.
        repeatable: Doing the call twice makes nothing twice, so that a lost outcome may simply be tried again.

    Raises:
        PlatformError: What the status stands for, in the terms of the seam.
    """
    body = _json(text)
    if not 200 <= status < 300:  # noqa: PLR2004 - success, as HTTP has it
        raise _error(status, headers, body, repeatable=repeatable)
    if body is None and text.strip():
        raise outcome_lost("Discord's answer can't be read", repeatable=repeatable)
    remaining = _number(headers.get("X-RateLimit-Remaining"))
    return Answer(body, None if remaining is None else int(remaining), _number(headers.get("X-RateLimit-Reset-After")))


def outcome_lost(detail: str, *, repeatable: bool) -> PlatformError:
    """Return the error for a call that was sent and whose answer never came."""
    return UnavailableError(detail) if repeatable else UnknownOutcomeError(detail)


def _error(status: int, headers: Mapping[str, str], body: Any, *, repeatable: bool) -> PlatformError:
    told: dict[str, Any] = body if isinstance(body, dict) else {}
    if status == 429:  # noqa: PLR2004 - too many requests
        return _flood(headers, told)
    number = told.get("code")
    code = number if isinstance(number, int) else 0
    detail = f"HTTP {status}, code {code}: {str(told.get('message', 'no reason given'))[:DETAIL_CHARS]}"
    if status == 408 or status >= 500:  # noqa: PLR2004 - 408: a proxy before Discord gave up waiting
        return outcome_lost(detail, repeatable=repeatable)
    if not isinstance(body, dict) and status != 413:  # noqa: PLR2004 - too large, which a proxy may say for Discord
        return outcome_lost(f"HTTP {status} without Discord's JSON, as from a proxy on the way", repeatable=repeatable)
    errors = told.get("errors")
    fields = frozenset(errors) if isinstance(errors, dict) else frozenset[str]()
    return CodedRefusedError(_reason(status, code, errors), detail, status=status, code=code, fields=fields)


def _reason(status: int, code: int, errors: Any) -> Refusal:
    if code in ROUTE_IS_DEAD or code in {Code.UNKNOWN_CHANNEL, Code.UNKNOWN_MESSAGE}:
        return Refusal.GONE
    if status == 401:  # noqa: PLR2004 - unauthorised
        return Refusal.TOKEN
    if status == 403 or code in {Code.ARCHIVED_THREAD, Code.LOCKED_THREAD}:  # noqa: PLR2004 - forbidden
        return Refusal.FORBIDDEN
    if code == Code.INVALID_FORM and isinstance(errors, dict) and _is_too_long(errors.get("content")):
        return Refusal.TOO_LONG
    return Refusal.BAD_REQUEST


def _is_too_long(field_errors: Any) -> bool:
    listed = field_errors.get("_errors") if isinstance(field_errors, dict) else None
    codes = {item.get("code") for item in listed if isinstance(item, dict)} if isinstance(listed, list) else set()
    return bool(codes & {"BASE_TYPE_MAX_LENGTH", "BASE_TYPE_BAD_LENGTH"})


def _flood(headers: Mapping[str, str], told: Mapping[str, Any]) -> FloodError:
    waits = (_number(told.get("retry_after")), _number(headers.get("Retry-After")), _number(headers.get("X-RateLimit-Reset-After")))
    seconds = next((wait for wait in waits if wait is not None), FLOOD_SECONDS)
    # A 429 without JSON comes from the front door (Cloudflare), which bans the whole address.
    everywhere = not told or told.get("global") is True or "X-RateLimit-Global" in headers or headers.get("X-RateLimit-Scope") == "global"
    return FloodError(seconds, everywhere=everywhere)


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if 0 <= number < float("inf") else None
