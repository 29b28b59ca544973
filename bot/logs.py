"""Logging: one line an event, on standard error. Nothing secret is ever handed to it; what might slip through is blanked all the same."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable

import structlog

NOISY = ("discord", "httpx", "httpcore", "telegram", "aiohttp", "asyncio")
"""Libraries whose own chatter is of use only when they warn."""
SHORT_CHARS = 8
"""A shorter secret goes only where it stands by itself: within a word, as `bad` in `bad_request`, it tells nothing of itself, and the log
would be unreadable without it. Real keys are longer."""
_BEFORE = r"((?<!\w)|%(?:25)*[0-9A-F]{2}|\\(?:[abfnrtv]|x[0-9A-F]{2}|u[0-9A-F]{4})|/bot|\x1b\[[0-9;]*m)"
"""By itself, too: behind a character written as `%3D`, `%253D`, `\\n`, `\\x3d` or `\\u003c` (as Go's JSON writes `<`), behind the `/bot` of
Telegram's addresses, and behind a terminal's colour. Only ASCII makes a word: in Chinese a key has no blanks around it."""


class Cleaner(logging.Formatter):
    """Formats with another formatter and blanks secrets in what comes out, tracebacks included. The last net, not the first."""

    def __init__(self, inner: logging.Formatter, secrets: Iterable[str]) -> None:
        super().__init__()
        self._inner = inner
        self._secrets = tuple(_pattern(secret) for secret in sorted({secret for secret in secrets if secret}, key=len, reverse=True))

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without any secret."""
        text = self._inner.format(record)
        for secret in self._secrets:
            text = secret.sub(_blanked, text)
        return text


def _blanked(found: re.Match[str]) -> str:
    return f"{found[1]}***"


def _pattern(secret: str) -> re.Pattern[str]:
    """Return what finds a secret, the whole of it in any case of an escape's digits; group 1 is what stays before it."""
    literal = f"(?-i:{re.escape(secret)})"
    if len(secret) >= SHORT_CHARS:
        return re.compile(f"(){literal}")
    before = _BEFORE if re.match(r"\w", secret, re.ASCII) else "()"
    return re.compile(before + literal + (r"(?!\w)" if re.search(r"\w\Z", secret, re.ASCII) else ""), re.ASCII | re.IGNORECASE)


def configure(level: str, secrets: Iterable[str]) -> None:
    """Send everything to standard error as one line an event."""
    # The default is rich's traceback where rich is installed: it shows local variables, and those hold prompts and keys.
    renderer = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0, exception_formatter=structlog.dev.plain_traceback)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Cleaner(formatter, secrets))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
