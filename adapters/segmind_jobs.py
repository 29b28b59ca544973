"""Segmind v2: a job is submitted, its status is polled for, its result is fetched. What goes over the wire, without the going.

From the ``segmind`` SDK 1.3.0 (v2.py) and Segmind's page on asynchronous inference: the result's ``output`` is the vendor's body as JSON
inside a string; a failed job is served as a 422 whose body says ``FAILED``; a job is kept for about an hour, then its address is a 404.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import Enum, auto
from typing import Any
from urllib.parse import urlsplit

from adapters.http import Reply
from adapters.segmind_shapes import Content, read_content

POLL_WAITS_S = (1.0, 2.0, 3.0, 5.0)
"""Before the first look, the second, …; the last one for all that follow. Segmind's own client asks each second, which on its smallest plan
(5 requests a minute) would be refused, if looks count: nobody says."""

COLLECT_TOTAL_S = 300.0
"""So long is a job waited for. The slowest models take 67 s on average by Segmind's directory, and jobs queue."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}")
_PATH = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]{0,200}){1,12}")
"""No empty piece and none that begins with a dot: such a path can lead nowhere but below the base address."""


class State(Enum):
    """How far a job is."""

    QUEUED = auto()
    PROCESSING = auto()
    COMPLETED = auto()
    FAILED = auto()


_STATES = {
    **dict.fromkeys(("QUEUED", "PENDING", "IN_QUEUE"), State.QUEUED),
    **dict.fromkeys(("PROCESSING", "IN_PROGRESS", "RUNNING", "STARTED"), State.PROCESSING),
    **dict.fromkeys(("COMPLETED", "SUCCESS", "SUCCEEDED"), State.COMPLETED),
    **dict.fromkeys(("FAILED", "ERROR", "CANCELLED"), State.FAILED),
}
"""The first of each is documented; the others are what clients also look for."""


@dataclass(frozen=True, slots=True)
class Job:
    """A job that was taken.

    Attributes:
        account: `Provider.account` of who submitted it: another account can't collect it.
        id: Segmind's ``request_id``.
        status: Path of its status below the base address.
        result: Path of its result.
    """

    account: str
    id: str
    status: str = field(repr=False)
    result: str = field(repr=False)

    @property
    def handle(self) -> str:
        """What is stored to collect it later."""
        return json.dumps(asdict(self))


def read_job(data: Any, base_url: str, account: str) -> Job | None:
    """Read the answer to a submission, or return None if no job was taken.

    Of the addresses in it only the paths are used: the key is never sent to a host that an answer names.
    """
    ident = data.get("request_id") if isinstance(data, Mapping) else None
    if not isinstance(ident, str) or not _ID.fullmatch(ident):
        return None
    own = urlsplit(base_url).path
    default = f"/v2/requests/{ident}"
    return Job(account, ident, _path(data.get("status_url"), own, f"{default}/status"), _path(data.get("response_url"), own, default))


def _path(url: Any, own: str, default: str) -> str:
    try:
        path = urlsplit(url).path.removeprefix(own) if isinstance(url, str) else ""
    except ValueError:
        path = ""
    return path if _PATH.fullmatch(path) else default


def read_handle(handle: str | None, account: str) -> Job | None:
    """Return the job of a handle, None if it is not one of this account's."""
    try:
        job = Job(**json.loads(handle)) if handle else None
    except (ValueError, TypeError):
        return None
    if job is None or job.account != account or not isinstance(job.id, str):
        return None
    return job if all(isinstance(path, str) and _PATH.fullmatch(path) for path in (job.status, job.result)) else None


def state_of(reply: Reply) -> State | None:
    """Return how far the job is, None where the answer does not say; a failed one comes with the status 422."""
    if not isinstance(reply.data, Mapping) or not (reply.ok or reply.status == 422):  # noqa: PLR2004 - HTTP's number
        return None
    state = _STATES.get(str(reply.data.get("status", "")).upper())
    return state if reply.ok or state is State.FAILED else None


def read_output(output: Any) -> Content | None:
    """Read a result's ``output``: the vendor's body, as an object or as JSON in a string, or the plain text.

    None if it is an error, or nothing.
    """
    if not isinstance(output, str):
        return read_content(output)
    try:
        inner = json.loads(output)
    except (ValueError, RecursionError):
        return Content(output)
    if isinstance(inner, str):
        return Content(inner)
    if isinstance(inner, Mapping) and set(inner) <= {"error", "error_description", "status_code", "detail"}:
        return None
    return read_content(inner) or Content(output)  # a model may have been asked for JSON
