"""Why a platform gave no answer, in words for the operator. The HTTP libraries' own words may name an address, and that a secret."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator

NO_ANSWER = "no answer in time"
_CAUSES = 10
"""So deep the causes of an error are looked at; no library nests deeper."""


def why(error: BaseException) -> str:
    """Return the reason behind an error of a connection; without names of classes, addresses or anything that was sent."""
    causes = list(_behind(error, _CAUSES))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "the host name is unknown"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "TLS failed or its certificate is not trusted"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "the connection was refused"
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return NO_ANSWER
    numbers = [cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno]
    return os.strerror(numbers[0]).lower() if numbers else "the connection broke"


def _behind(error: BaseException, depth: int) -> Iterator[BaseException]:
    yield error
    if not depth:
        return
    # aiohttp keeps the system's error beside its own, and raises without a cause.
    behind = [error.__cause__ or error.__context__, getattr(error, "os_error", None)]
    if isinstance(error, BaseExceptionGroup):
        behind += error.exceptions
    for cause in behind:
        if isinstance(cause, BaseException):
            yield from _behind(cause, depth - 1)
