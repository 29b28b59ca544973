"""Segmind v1: one slug per model, one blocking call, the vendor's own answer passed through.

Traps, all from Segmind's documents and clients: there is no streaming; the key goes in ``x-api-key`` (a bearer token is refused); one
status, 406, means lack of credits, a wrong content type or a refused parameter; credits are floats; only status 200 is billed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import aiohttp
from pydantic import Field

from adapters.base import (
    Billed,
    Capabilities,
    ChatRequest,
    ErrorKind,
    Event,
    Finished,
    FinishReason,
    Health,
    ModelInfo,
    Parameters,
    ProviderError,
    ReasoningDelta,
    Scope,
    Started,
    TextDelta,
    Usage,
)
from adapters.http import Budgets, Http, Reply
from adapters.segmind_shapes import Content, read_content

BASE_URL = "https://api.segmind.com"
DEFAULT_MODEL = "llama-v3p1-8b-instruct"

BUDGETS = Budgets(first=60.0, total=60.0)
"""v1 is meant for calls of less than about 60 s, in seconds."""

SLOW_TOTAL_S = 180.0
"""Least total for the `SLOW` models, in seconds."""

SLOW = frozenset(
    {
        "deepseek-chat",
        "deepseek-reasoner",
        "gemini-3-pro",
        "gemini-3.1-pro",
        "gpt-5",
        "gpt-5-mini",
        "gpt-5-nano",
        "qvq-max",
        "qwen3.5-flash",
        "qwq-plus",
    }
)
"""Models that take about 30 s and more on average by Segmind's directory, up to 67 s: 60 s would cut many of their answers off."""

RATE_WAIT_S = 60.0
"""Wait after a 429 that names no time, in seconds."""

CONTEXT_TOKENS = {"llama-v3p1": 131_072, "deepseek": 65_536, "claude": 200_000, "gemini": 1_000_000, "gpt-5": 400_000, "gpt-4o": 128_000}
"""Windows by the beginning of the slug, in tokens: the vendors' figures, as Segmind states none."""

CATALOGUE = tuple(
    """
    llama-v3p1-8b-instruct llama-v3p1-70b-instruct llama-v3-8b-instruct llama4-maverick-instruct-basic llama4-scout-instruct-basic
    mixtral-8x22b-instruct deepseek-chat deepseek-reasoner kimi-k2-instruct-0905 minimax-m3 glm-5.2 nemotron-3-ultra
    claude-4-sonnet claude-4.5-sonnet claude-opus-4.7
    gemini-2.5-flash gemini-2.5-flash-lite gemini-2.5-pro gemini-3-flash gemini-3-pro gemini-3.1-flash-lite gemini-3.1-pro
    gpt-4 gpt-4-turbo gpt-4o gpt-5 gpt-5-mini gpt-5-nano gpt-5.1 gpt-5.2 gpt-5.4 gpt-5.4-mini gpt-5.4-nano gpt-5.5 o3 o3-mini o4-mini
    qwen-flash qwen-plus qwen3-max qwen-3.8-max qwen3-coder-flash qwen3-coder-plus qwen3.5-flash qwen3.5-plus qwen3-vl-flash qwen3-vl-plus
    qwen2-vl-72b-instruct qvq-max qwq-plus
    """.split()  # noqa: SIM905 - fifty quoted slugs read worse
)
"""Slugs of the chat models in Segmind's public directory (llms.txt) of August 2026."""

_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_MONEY = re.compile(r"credit|spend|balance|fund|billing", re.IGNORECASE)


class SegmindParameters(Parameters):
    """What can be set. Segmind forwards these to the model's vendor as they are."""

    max_tokens: int | None = Field(None, ge=1, description="Most tokens the answer may have. A small value cuts long answers off.")
    temperature: float | None = Field(None, ge=0, le=2, description="Randomness: low values answer alike each time, high ones vary more.")
    top_p: float | None = Field(None, gt=0, le=1, description="Only the likeliest tokens that add up to this probability are considered.")
    system_mode: Literal["role", "first_user", "instruction"] | None = Field(
        None,
        description=(
            "How the persona is sent: as a message of the role system, in front of the first user message, or as a field of its own. "
            "Models differ in what they accept. Default: role; instruction for Claude models."
        ),
    )


class Segmind:
    """Segmind's v1 chat models (`adapters.base.Provider`).

    Args:
        session: From `adapters.http.open_session`; not closed here.
        key: The API key.
        base_url: Instead of Segmind's own; ``/v1/{slug}`` is appended.
        budgets: `first` should equal `total`, because the headers come with the answer.
        default_model: Instead of the document's.
    """

    name = "segmind"
    title = "Segmind"
    parameters: type[Parameters] = SegmindParameters
    lists_all_models = False

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        key: str,
        base_url: str | None = None,
        budgets: Budgets | None = None,
        default_model: str | None = None,
    ) -> None:
        self.default_model = default_model or DEFAULT_MODEL
        self._base_url = (base_url or BASE_URL).rstrip("/")
        self.account = hashlib.sha256(f"{self._base_url}\n{key}".encode()).hexdigest()[:16]
        self._headers = {"x-api-key": key, "Accept": "application/json"}
        self._budgets = budgets or BUDGETS
        self._http = Http(session, secrets=(key,), budgets=self._budgets)

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask, and yield the whole answer as one `TextDelta`. The `Usage` has cost and remaining credits where the headers tell them."""
        if not _SLUG.fullmatch(request.model):  # it becomes part of a path, and people type it
            raise ProviderError(ErrorKind.MODEL_NOT_FOUND, "not a slug", billed=Billed.NO, scope=Scope.MODEL)
        url = f"{self._base_url}/v1/{request.model}"
        reply = await self._http.post_json(url, _body(request), self._headers, budgets=self._budgets_of(request.model))
        content = self._content(reply, request)
        yield Started(reply.headers.get("x-request-id"), content.model)
        if content.reasoning:
            yield ReasoningDelta(content.reasoning)
        yield TextDelta(content.text)
        yield _usage(reply, content)
        yield Finished(content.reason, content.raw_reason)

    async def models(self) -> tuple[ModelInfo, ...]:
        """Return the built-in `CATALOGUE`.

        Segmind's own list lies on another host and its shape is undocumented, so it is not asked. The catalogue is no gate: any slug may be
        used, and Segmind itself says whether it exists.
        """
        return tuple(ModelInfo(slug, _context(slug)) for slug in CATALOGUE)

    async def check(self) -> Health:
        """Query the credits, which is free and needs the key. Paid and free credits are added up; the note tells them apart."""
        reply = await self._http.get_json(f"{self._base_url}/v1/get-user-credits", self._headers)
        if reply.status == 404 and _MONEY.search(self._http.excerpt(reply.data)):  # noqa: PLR2004 - HTTP's number
            return Health(0.0, "no credits on the account")
        if not reply.ok or not isinstance(reply.data, Mapping):
            raise self._failure(reply)
        paid, free = _float(reply.data.get("credits")), _float(reply.data.get("free-credits"))
        if paid is None and free is None:
            raise self._failure(reply)
        return Health((paid or 0.0) + (free or 0.0), f"{paid or 0.0:g} paid and {free or 0.0:g} free credits")

    def capabilities(self, model: str) -> Capabilities:
        """No streaming, no memory, no pictures; the window by the vendor's figure for the model's family, else a cautious one."""
        context = _context(model)
        return Capabilities(streaming=False) if context is None else Capabilities(streaming=False, context_tokens=context)

    async def aclose(self) -> None:
        """Nothing to let go of: the session belongs to who opened it."""

    def _budgets_of(self, model: str) -> Budgets:
        if model not in SLOW:
            return self._budgets
        return replace(self._budgets, first=max(self._budgets.first, SLOW_TOTAL_S), total=max(self._budgets.total, SLOW_TOTAL_S))

    def _content(self, reply: Reply, request: ChatRequest) -> Content:
        """Read the answer.

        Raises:
            ProviderError: It is an error, has no known shape, or says nothing.
        """
        private = [request.system or "", *(message.text for message in request.messages)]
        content = read_content(reply.data) if reply.ok else None
        if content is None:
            raise self._failure(reply, private)
        if content.text.strip():
            return content
        if content.reason is FinishReason.CONTENT_FILTER:
            raise ProviderError(ErrorKind.CONTENT_FILTER, content.raw_reason or "", status=reply.status, billed=Billed.YES)
        raise ProviderError(ErrorKind.EMPTY, f"no text, finish reason {content.raw_reason}", status=reply.status, billed=Billed.YES)

    def _failure(self, reply: Reply, private: Sequence[str] = ()) -> ProviderError:
        """Give an answer that is no answer its meaning, by Segmind's table where that differs from the common one."""
        common = self._http.failure(reply, private=private)
        kind, scope, billed, wait = common.kind, common.scope, common.billed, common.retry_after
        match reply.status:
            case 406 if _MONEY.search(common.detail) or not common.detail:  # bare: the document's own meaning
                kind, scope = ErrorKind.QUOTA, Scope.ACCOUNT
            case 406:
                kind, scope = ErrorKind.BAD_REQUEST, Scope.REQUEST
            case 404 | 410:
                kind, scope = ErrorKind.MODEL_NOT_FOUND, Scope.MODEL
            case 429 if kind is ErrorKind.RATE_LIMIT:
                wait = wait or RATE_WAIT_S
        if 400 <= reply.status < 500 or (reply.status >= 500 and isinstance(reply.data, Mapping)):  # noqa: PLR2004 - HTTP's numbers
            billed = Billed.NO  # an HTML 5xx is a proxy's, and what happened behind it is unknown
        return ProviderError(kind, common.detail, status=reply.status, retry_after=wait, billed=billed, scope=scope)


def _body(request: ChatRequest) -> dict[str, Any]:
    values = {name: value for name, value in request.parameters.items() if value is not None}
    mode = values.pop("system_mode", None) or ("instruction" if request.model.startswith("claude") else "role")
    messages = [{"role": message.role, "content": message.text} for message in request.messages]
    body: dict[str, Any] = {"messages": messages, **values}
    if request.system:
        if mode == "instruction":
            body["instruction"] = request.system
        elif mode == "role":
            messages.insert(0, {"role": "system", "content": request.system})
        else:
            first = next(message for message in messages if message["role"] == "user")
            first["content"] = f"{request.system}\n\n{first['content']}"
    return body


def _usage(reply: Reply, content: Content) -> Usage:
    return Usage(
        content.input_tokens,
        content.output_tokens,
        _float(reply.headers.get("x-cost")),
        _float(reply.headers.get("x-remaining-credits")),
    )


def _context(slug: str) -> int | None:
    return next((tokens for family, tokens in CONTEXT_TOKENS.items() if slug.startswith(family)), None)


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if abs(number) < float("inf") else None
