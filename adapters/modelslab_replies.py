"""Reads ModelsLab's v6 envelope: ``{status, message, output, chat_id, meta}``, with errors under any HTTP status."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from adapters.base import Billed, ErrorKind, ProviderError, Scope
from adapters.http import Http, Reply, error_text, excerpt

_QUEUED = frozenset({"processing", "queued"})
_DONE = "success"

_UNKNOWN_CHAT = re.compile(
    r"\bchat(?:[_ ]?id)?\b.{0,60}?(not found|not exist|invalid|expired|unknown|no longer|deleted)|(invalid|unknown|expired|no such) chat",
    re.IGNORECASE,
)
"""The text for an unknown chat_id is undocumented: anything that says so counts."""

_BUSY = re.compile(r"in progress|already (running|processing)|still processing", re.IGNORECASE)
_TRANSCRIPT_URL = re.compile(r"https?://\S+/chats/([^\s/?\"']+?)(?:\.json)?(?=[\s?\"']|$)\S*")
"""Its last piece is the chat_id."""

_UUID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", re.IGNORECASE)
"""What every chat_id that was seen looks like."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply that is no error.

    Attributes:
        text: The answer; empty while there is none.
        chat_id: A secret.
        queued: The server said that it is still at work.
        eta: Seconds it promised.
        prompt: The prompt it answers, as echoed.
        model: The model, as echoed.
    """

    text: str = field(repr=False)
    chat_id: str | None = field(repr=False)
    queued: bool
    eta: float | None
    prompt: str | None = field(repr=False)
    model: str | None


class Replies:
    """Reads the replies to one account's requests."""

    def __init__(self, http: Http, key: str) -> None:
        self._http = http
        self._key = key

    def read(self, reply: Reply, private: Sequence[str], chat_id: str | None) -> Answer:
        """Read a reply to a chat call or to a look into the queue.

        Args:
            reply: Of any status.
            private: Texts that no error may echo.
            chat_id: The chat that was asked for.

        Raises:
            ProviderError: It is an error, or no reply of this API.
        """
        data = reply.data
        status = str(data.get("status", "")).lower() if isinstance(data, Mapping) else ""
        if not reply.ok or not isinstance(data, Mapping) or (status != _DONE and status not in _QUEUED):
            raise self.failure(reply, private, chat_id)
        meta = _mapping(data.get("meta"))
        queued = status in _QUEUED
        found = data.get("chat_id") or meta.get("chat_id")
        eta = data.get("eta") if data.get("eta") is not None else meta.get("eta")
        return Answer(
            text="" if queued else _text(data.get("message")),
            chat_id=found if isinstance(found, str) else chat_id,
            queued=queued,
            eta=_seconds(eta),
            prompt=_word(meta.get("prompt")),
            model=_word(meta.get("model_id")),
        )

    def failure(self, reply: Reply, private: Sequence[str], chat_id: str | None = None) -> ProviderError:
        """Make the error a reply stands for. Neither key nor chat_id nor transcript address is in it."""
        common = self._http.failure(reply, private=private)
        kind, scope, billed = common.kind, common.scope, common.billed
        body = reply.text if reply.data is None else reply.data
        words = error_text(body)
        refused = reply.status < 500  # noqa: PLR2004 - HTTP's number
        if chat_id is not None and refused and _UNKNOWN_CHAT.search(words):
            kind, scope, billed = ErrorKind.STATE_LOST, Scope.REQUEST, Billed.NO
        elif chat_id is not None and refused and _BUSY.search(words):
            kind, scope, billed = ErrorKind.OVERLOADED, Scope.REQUEST, Billed.NO
        elif reply.status == 404 and "model" not in words.lower():  # noqa: PLR2004 - HTTP's number
            kind, scope = ErrorKind.BAD_REQUEST, Scope.PROVIDER  # v6 is legacy, a route of its family is gone already; models get a 400
        elif kind is ErrorKind.PROTOCOL and isinstance(body, Mapping) and "status" in body:
            kind = ErrorKind.SERVER  # it spoke this API and said that it failed
        given = (chat_id, _mapping(body).get("chat_id"), _mapping(_mapping(body).get("meta")).get("chat_id"))
        ids = [value for value in (*given, *_TRANSCRIPT_URL.findall(words), *_UUID.findall(words)) if isinstance(value, str)]
        # Addresses first: with the id in them redacted they would no longer look like one.
        detail = excerpt(_TRANSCRIPT_URL.sub("[redacted]", words), (self._key, *ids), private)
        return ProviderError(kind, detail, status=reply.status, retry_after=common.retry_after, billed=billed, scope=scope)


def _text(message: Any) -> str:
    """Return the answer's text; with a generator_type it may be JSON and not a string."""
    if isinstance(message, str):
        return message.strip()
    return json.dumps(message, ensure_ascii=False) if isinstance(message, list | dict) and message else ""


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _seconds(value: Any) -> float | None:
    """Read an eta: int, float, or one of them as a string."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if 0 <= seconds < float("inf") else None
