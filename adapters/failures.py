"""What a provider's error says: its text, its code, how long to wait. Providers spell errors in a dozen ways; one extractor serves all."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

EXCERPT_CHARS = 300
"""Longest error text that is kept, in characters."""

RETRY_AFTER_CEILING_S = 120.0
"""Longest hint that is obeyed: a longer one is told to people, but nobody waits so long. Same ceiling as the openai SDK."""

RETRY_TOLD_CEILING_S = 30 * 86400.0
"""Longest hint that is told: a month, for which an allowance may be used up."""

REDACTED = "[redacted]"

SECRET_CHARS = 4
"""A shorter text would eat ordinary words and is no secret."""

_ECHO_CHARS = 16  # that many characters in a row of a private text are taken for an echo of it
_ECHO_SCAN_CHARS = 1000  # so much of an error text is searched for echoes
_SCAN_CHARS = 20_000  # so much of one string is read: a page of HTML has its message near its top
_ITEMS = 5  # of a list of errors
_DEPTH = 4  # error objects nest at most so deep: error.message.0.msg

# ---------------------------------------------------------------------------------------------------- text

_BLOCKS = re.compile(r"<(script|style|head)\b.*?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAGS = re.compile(r"<[!/a-zA-Z][^>]*>")
_BLANKS = re.compile(r"\s+")
_DATA = re.compile(r"data:[\w/+.-]{0,60};base64,[A-Za-z0-9+/=\\…]*")
_KEYS = re.compile(r"(?i)\b(bearer\s+)[^\s\"',;]{8,}|\b(?:sk|SG|pk|gsk)[-_][A-Za-z0-9_-]{12,}")


def error_text(data: Any) -> str:
    """Find the human sentence in an error body.

    Takes ``error.message``, ``error`` as a string, ``error_description``, ``message``, ModelsLab's ``messege``, ``detail`` as string or
    list, ``errors``, HTML and plain text. The result is one line and not yet redacted: pass it through `excerpt` before showing it.

    Args:
        data: Parsed JSON, or the body's text.
    """
    return _BLANKS.sub(" ", _find(data, _DEPTH)).strip()


def _find(data: Any, depth: int) -> str:
    if isinstance(data, str):
        return _plain(data[:_SCAN_CHARS])
    if depth == 0 or isinstance(data, bool):
        return ""
    if isinstance(data, int | float):
        return str(data)
    if isinstance(data, list):
        return "; ".join(filter(None, (_find(item, depth - 1) for item in data[:_ITEMS])))
    return _find_in(data, depth - 1) if isinstance(data, Mapping) else ""


def _find_in(data: Mapping[str, Any], depth: int) -> str:
    for name in ("error_description", "error", "message", "messege", "msg", "detail", "details", "errors", "title", "reason"):
        found = _find(data.get(name), depth)
        if found:
            return found
    # Validation errors by field, {"prompt": ["The prompt field is required."]}, but only below one of the names above: elsewhere a list of
    # strings may be an answer.
    lists = [value for value in data.values() if isinstance(value, list)] if depth < _DEPTH - 1 else []
    return "; ".join(filter(None, (_find(value, depth) for value in lists)))


def _plain(text: str) -> str:
    if "<" not in text:
        return text
    return html.unescape(_TAGS.sub(" ", _BLOCKS.sub(" ", text)))


def error_code(data: Any) -> str:
    """Find the machine-readable code of an error body: ``error.code``, ``error.type``, ``code``, ``type``; lower case, "" if none."""
    places = [data.get("error"), data] if isinstance(data, Mapping) else []
    for place in places:
        if not isinstance(place, Mapping):
            continue
        for name in ("code", "type"):
            value = place.get(name)
            if isinstance(value, int) and not isinstance(value, bool):
                return str(value)
            if isinstance(value, str) and value.strip() and value not in {"error", "invalid_request_error"}:
                return value.strip().lower()
    return ""


def error_fields(data: Any) -> str:
    """Return all that stands in an error body's fields for codes and types, with blanks between, lower case, numbers left out."""
    places = [data.get("error"), data] if isinstance(data, Mapping) else []
    values = [place.get(name) for place in places if isinstance(place, Mapping) for name in ("code", "type")]
    return " ".join(value.strip().lower() for value in values if isinstance(value, str) and not value.strip().isdigit())


def redact(text: str, secrets: Sequence[str], private: Sequence[str] = ()) -> str:
    """Take keys and echoed prompts out of a text.

    Args:
        text: What to clean.
        secrets: Keys and ids: every occurrence goes.
        private: Prompts: any run of 16 characters that stands in one of them goes, and a shorter prompt as a whole.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= SECRET_CHARS:
            text = text.replace(secret, REDACTED)
    text = _DATA.sub(REDACTED, text)  # a picture, which some echo
    text = _KEYS.sub(lambda found: f"{found[1] or ''}{REDACTED}", text)
    for prompt in private:
        text = _without_echo(text, _BLANKS.sub(" ", prompt).strip())
    return text


def _without_echo(text: str, prompt: str) -> str:
    if len(prompt) < _ECHO_CHARS:
        return text.replace(prompt, REDACTED) if len(prompt) >= _ECHO_CHARS // 2 else text
    kept: list[str] = []
    at = 0
    while at < len(text):
        window = text[at : at + _ECHO_CHARS]
        if len(window) < _ECHO_CHARS or window not in prompt:
            kept.append(text[at])
            at += 1
            continue
        end = at + _ECHO_CHARS
        while end < len(text) and text[end - _ECHO_CHARS + 1 : end + 1] in prompt:
            end += 1
        kept.append(REDACTED)
        at = end
    return "".join(kept)


def excerpt(data: Any, secrets: Sequence[str] = (), private: Sequence[str] = ()) -> str:
    """Return the redacted error text of a body, at most 300 characters."""
    text = redact(error_text(data), secrets)[:_ECHO_SCAN_CHARS]
    text = redact(text, (), private)
    return text if len(text) <= EXCERPT_CHARS else f"{text[: EXCERPT_CHARS - 1]}…"


# --------------------------------------------------------------------------------------------- retry hints

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def retry_after(headers: Mapping[str, str], body: Any, now: float) -> float | None:
    """Return the seconds to wait for a provider, in [0, 120], or None if it does not say. Takes the same as `retry_told`."""
    told = retry_told(headers, body, now)
    return None if told is None else min(told, RETRY_AFTER_CEILING_S)


def retry_told(headers: Mapping[str, str], body: Any, now: float) -> float | None:
    """Return the seconds a provider asks to wait, at most a month, or None if it does not say.

    Looks at ``retry-after-ms``, ``retry-after`` (seconds or HTTP date), ``x-ratelimit-reset*`` (epoch seconds or milliseconds, seconds, or
    "1m30s"), ``x-rate-limit-reset-at-utc`` (ISO 8601 or epoch) and the body's ``retry_after``, in this order.

    Args:
        headers: Of the answer; names in any case.
        body: Parsed JSON.
        now: Epoch seconds.
    """
    named = {name.lower(): value.strip() for name, value in headers.items()}
    millis = _number(named.get("retry-after-ms"))
    resets = [
        named[name]
        for name in sorted(named)
        if name.startswith("x-ratelimit-reset") and named.get(name.replace("reset", "remaining"), "0") == "0"
    ]
    hints = (
        None if millis is None else millis / 1000,
        _hint(named.get("retry-after"), now),
        max((value for value in (_hint(reset, now) for reset in resets) if value is not None), default=None),
        _hint(named.get("x-rate-limit-reset-at-utc"), now),
        _body_hint(body, now),
    )
    found = next((hint for hint in hints if hint is not None), None)
    return None if found is None else min(max(found, 0.0), RETRY_TOLD_CEILING_S)


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Return what ``x-should-retry`` says, None if it says nothing. Not a standard; OpenAI's own client obeys exactly these two words."""
    said = next((value.strip() for name, value in headers.items() if name.lower() == "x-should-retry"), "")
    return {"true": True, "false": False}.get(said)


def _body_hint(body: Any, now: float) -> float | None:
    places = (body, body.get("error")) if isinstance(body, Mapping) else ()
    for place in places:
        if isinstance(place, Mapping) and isinstance(value := place.get("retry_after"), int | float | str):
            return _hint(str(value), now)
    return None


def _number(text: str | None) -> float | None:
    try:
        value = float(text) if text else None
    except ValueError:
        return None
    return value if value is not None and abs(value) < float("inf") else None  # also keeps NaN out


def _hint(text: str | None, now: float) -> float | None:
    if not text:
        return None
    value = _number(text)
    if value is not None:
        if value > 1e11:  # noqa: PLR2004 - epoch milliseconds
            return value / 1000 - now
        return value - now if value > 1e9 else value  # noqa: PLR2004 - epoch seconds
    if _DURATION.sub("", text) == "":
        return sum(float(count) * _UNITS[unit] for count, unit in _DURATION.findall(text))
    when = _date(text)
    return None if when is None else when.timestamp() - now


def _date(text: str) -> datetime | None:
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        try:
            when = parsedate_to_datetime(text)
        except (ValueError, OverflowError):  # a zone of more hours than there are
            return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)  # asctime and naive ISO dates are UTC
