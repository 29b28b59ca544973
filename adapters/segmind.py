"""Segmind: one slug per model, the vendor's own answer passed through. v1 is one blocking call, v2 a job that is collected.

Traps, all from Segmind's documents and clients: there is no streaming; the key goes in ``x-api-key`` (a bearer token is refused); one
status, 406, means lack of credits, a wrong content type or a refused parameter; credits are floats; only status 200 is billed.

Where its documents disagree, both are taken: the role ``system`` is on one page and not on another, so a model that refuses it is told the
persona in front of the first user message from then on, and the log says so.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Literal

import aiohttp
from pydantic import Field

from adapters import told
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
    Progress,
    ProviderError,
    ReasoningDelta,
    Scope,
    Started,
    Submitted,
    TextDelta,
    Usage,
)
from adapters.bodies import written_messages
from adapters.http import Budgets, Http, Reply, retry_after
from adapters.rate_gate import Place, RateGate
from adapters.segmind_jobs import COLLECT_TOTAL_S, POLL_WAITS_S, Job, State, read_handle, read_job, read_output, state_of
from adapters.segmind_shapes import Content, read_content

log = logging.getLogger(__name__)

BASE_URL = "https://api.segmind.com"
DEFAULT_MODEL = "llama-v3p1-8b-instruct"

BUDGETS = Budgets(first=60.0, total=60.0)
"""v1 is meant for calls of less than about 60 s, in seconds."""

JOB_BUDGETS = Budgets(first=30.0, total=30.0)
"""Of submitting a job and of each look at it, in seconds: as Segmind's own client."""

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
"""Models that take about 30 s and more on average by Segmind's directory, up to 67 s: 60 s would cut many of their answers off. They are
asked through v2 where nothing else is set."""

RATE_WAIT_S = 60.0
"""Wait after a 429 that names no time, in seconds."""

LEAST_REQUESTS_PER_MINUTE = 5
"""Of the smallest plan in any of its documents."""

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
_PARAMETER = re.compile(r"mandatory|required|must be|invalid|unsupported|not supported|parameter|prompt|messages", re.IGNORECASE)
_ROLE = re.compile(r"\brole\b", re.IGNORECASE)


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
    mode: Literal["sync", "async"] | None = Field(
        None,
        description=(
            "How it is asked: sync waits on one call; async submits a job and collects it, also after a restart of the bot. "
            "Default: sync; async for the slowest models."
        ),
    )


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer, and what its call said about itself."""

    content: Content
    request_id: str | None
    cost: float | None
    remaining_credits: float | None


class Segmind:
    """Segmind's chat models (`adapters.base.Provider`).

    Args:
        session: From `adapters.http.open_session`; not closed here.
        key: The API key.
        base_url: Instead of Segmind's own; ``/v1/{slug}`` and ``/v2/{slug}`` are appended.
        budgets: Of v1's call: `first` should equal `total`, because the headers come with the answer.
        default_model: Instead of the document's.
        sleep: Waits between looks at a job, and for a place under the account's limit.
        requests_per_minute: Of the account's plan; None: learned from refusals. The documents disagree, from 5 to 1,000.
        now: Gives monotonic seconds.
    """

    name = "segmind"
    title = "Segmind"
    parameters: type[Parameters] = SegmindParameters
    lists_all_models = False
    fetches_models = False
    tells_credits = True

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        key: str,
        base_url: str | None = None,
        budgets: Budgets | None = None,
        default_model: str | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        requests_per_minute: int | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        key = key.strip()
        self.default_model = default_model or DEFAULT_MODEL
        self._base_url = (base_url or BASE_URL).rstrip("/")
        self.account = hashlib.sha256(f"{self._base_url}\n{key}".encode()).hexdigest()[:16]
        self._headers = {"x-api-key": key, "Accept": "application/json"}
        self._budgets = budgets or BUDGETS
        self._sleep = sleep
        self._http = Http(session, secrets=(key,), budgets=self._budgets)
        self._gate = RateGate(now, requests_per_minute, least=LEAST_REQUESTS_PER_MINUTE)
        self._no_system_role: set[str] = set()

    # ------------------------------------------------------------------------------------------------ chat

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask, and yield the whole answer as one `TextDelta`. The `Usage` has cost and remaining credits where they are told.

        Through v2 a `Submitted` comes first, and `Progress` while the job is under way. A `Progress` before everything else tells how long
        the question waits for its place under the account's limit; after as long as an answer may take it is asked all the same.

        Raises:
            ProviderError: STATE_LOST where the job of `request.resume` is not there any more (it is kept for an hour).
        """
        if not _SLUG.fullmatch(request.model):  # it becomes part of a path, and people type it
            raise ProviderError(ErrorKind.MODEL_NOT_FOUND, "not a slug", billed=Billed.NO, scope=Scope.MODEL)
        async with aclosing(self._steps(request)) as steps:
            async for step in steps:
                if not isinstance(step, _Answer):
                    yield step
                    continue
                if step.content.reasoning:
                    yield ReasoningDelta(step.content.reasoning)
                yield TextDelta(step.content.text)
                yield Usage(step.content.input_tokens, step.content.output_tokens, step.cost, step.remaining_credits)
                yield Finished(step.content.reason, step.content.raw_reason)

    async def _steps(self, request: ChatRequest) -> AsyncGenerator[Event | _Answer, None]:
        job = read_handle(request.resume, self.account)
        if job is not None:
            yield Started(job.id)
        else:
            async with aclosing(self._asked(request)) as steps:
                async for step in steps:
                    if isinstance(step, Job):
                        job = step
                    else:
                        yield step
        if job is not None:
            async with aclosing(self._collect(job, request)) as steps:
                async for step in steps:
                    yield step

    async def _asked(self, request: ChatRequest) -> AsyncGenerator[Event | _Answer | Job, None]:
        """Ask, when the account's limit has room; end with the answer, or with the job that is to be collected."""
        place = self._gate.place(self._budgets.total)
        sent = False
        try:
            waited = 0.0
            while waited < self._budgets.total and (wait := place.wait()) > 0:
                yield Progress("queued", wait)
                await self._sleep(wait)
                waited += wait
            sent = True
        finally:
            if not sent:
                place.leave()
        job: Job | None = None
        if (request.parameters.get("mode") or ("async" if request.model in SLOW else "sync")) == "sync":
            reply = await self._post("v1", request, self._budgets, place)
        else:
            reply = await self._post("v2", request, JOB_BUDGETS, place)
            job = read_job(reply.data, self._base_url, self.account) if reply.ok else None
        if job is not None:
            yield Started(job.id)
            yield Submitted(job.handle)
            yield job
            return
        answer = self._answer_of(reply, read_content(reply.data) if reply.ok else None, request)
        yield Started(answer.request_id, answer.content.model)
        yield answer

    def _heard(self, reply: Reply, place: Place) -> None:
        """Learn of the account's limit from what an answer says about it."""
        seconds = retry_after(reply.headers, reply.data, time.time())
        if reply.status == 429 and self._failure(reply).kind is ErrorKind.RATE_LIMIT:  # noqa: PLR2004 - HTTP's number
            self._gate.refused(place, seconds or RATE_WAIT_S)
        elif reply.headers.get("x-rate-limit-remaining") == "0" and seconds is not None:
            self._gate.close(seconds)

    async def _post(self, version: str, request: ChatRequest, budgets: Budgets, place: Place) -> Reply:
        """Ask; once more with the persona elsewhere if this model refuses the role ``system``, which costs nothing."""
        url = f"{self._base_url}/{version}/{request.model}"
        if version == "v1" and request.model in SLOW:
            budgets = replace(budgets, first=max(budgets.first, SLOW_TOTAL_S), total=max(budgets.total, SLOW_TOTAL_S))
        mode = request.parameters.get("system_mode") or self._system_mode(request.model)
        reply = await self._http.post_json(url, _body(request, mode), self._headers, budgets=budgets)
        self._heard(reply, place)
        refused = reply.status in {400, 406, 422} and _ROLE.search(self._http.excerpt(reply.data, _private(request)))
        if not refused or not request.system or mode != "role" or request.parameters.get("system_mode"):
            return reply
        log.info("segmind.no_system_role model=%s: the persona goes in front of the first user message", request.model)
        self._no_system_role.add(request.model)
        place = self._gate.place(0.0)  # counted like any request, and not waited for
        reply = await self._http.post_json(url, _body(request, "first_user"), self._headers, budgets=budgets)
        self._heard(reply, place)
        return reply

    def _system_mode(self, model: str) -> str:
        if model.startswith("claude"):
            return "instruction"
        return "first_user" if model in self._no_system_role else "role"

    async def _collect(self, job: Job, request: ChatRequest) -> AsyncGenerator[Progress | _Answer, None]:
        """Look at the job until it has ended. A look costs nothing, so one that fails is made again."""
        clock = asyncio.get_running_loop().time
        waits, spent, hint = [*POLL_WAITS_S], 0.0, 0.0
        looked = request.resume is not None  # then it may long be done
        while True:
            begun = clock()
            if looked:
                try:
                    found = await self._look(job, request)
                except ProviderError as error:
                    if not _passing(error):
                        raise
                    log.info("segmind.look_failed: %s", error.kind)
                    hint = error.wait
                else:
                    if isinstance(found, _Answer):
                        yield found
                        return
                    yield Progress("queued" if found is State.QUEUED else "processing")
                    hint = 0.0
            looked = True
            spent += clock() - begun
            if spent >= COLLECT_TOTAL_S:
                break
            wait = min(max(waits.pop(0) if len(waits) > 1 else waits[0], hint), COLLECT_TOTAL_S - spent)
            await self._sleep(wait)
            spent += wait
        raise ProviderError(ErrorKind.TIMEOUT_TOTAL, f"the job is not done after {COLLECT_TOTAL_S:g} s", scope=Scope.MODEL)

    async def _look(self, job: Job, request: ChatRequest) -> State | _Answer:
        reply = await self._http.get_json(f"{self._base_url}{job.status}", self._headers, budgets=JOB_BUDGETS)
        state = state_of(reply)
        if state is State.COMPLETED:
            reply = await self._http.get_json(f"{self._base_url}{job.result}", self._headers, budgets=JOB_BUDGETS)
            state = state_of(reply)
        if state in {State.QUEUED, State.PROCESSING}:
            return state
        if state is State.COMPLETED:
            return self._answer_of(reply, read_output(reply.data.get("output")), request, job)
        if state is None and reply.status == 404:  # noqa: PLR2004 - HTTP's number
            raise ProviderError(ErrorKind.STATE_LOST, "the job is not there any more", status=404)
        error = self._failure(reply, _private(request), failed=state is State.FAILED)
        if state is not State.FAILED:
            error.billed = Billed.MAYBE  # the look was refused, the job was not
        raise error

    # ----------------------------------------------------------------------------------------------- account

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
        paid, free = paid or 0.0, free or 0.0
        return Health(paid + free, f"{told.rounded_down(paid)} paid and {told.rounded_down(free)} free credits")

    def capabilities(self, model: str) -> Capabilities:
        """No streaming, no memory, no pictures; the window by the vendor's figure for the model's family, else a cautious one."""
        context = _context(model)
        return Capabilities(streaming=False) if context is None else Capabilities(streaming=False, context_tokens=context)

    async def aclose(self) -> None:
        """Nothing to let go of: the session belongs to who opened it."""

    def _answer_of(self, reply: Reply, content: Content | None, request: ChatRequest, job: Job | None = None) -> _Answer:
        """Make the answer of a reply.

        Raises:
            ProviderError: It is an error, has no known shape, or says nothing.
        """
        if content is None:
            raise self._failure(reply, _private(request), failed=job is not None)
        if not content.text.strip():
            kind = ErrorKind.CONTENT_FILTER if content.reason is FinishReason.CONTENT_FILTER else ErrorKind.EMPTY
            detail = f"no text, finish reason {content.raw_reason}"
            at_cap = content.reason is FinishReason.LENGTH
            raise ProviderError(kind, detail, status=reply.status, billed=Billed.YES, at_cap=at_cap)
        if job is None:
            cost, left = reply.headers.get("x-cost"), reply.headers.get("x-remaining-credits")
            return _Answer(content, reply.headers.get("x-request-id"), _float(cost), _float(left))
        metrics = reply.data.get("metrics")
        metrics = metrics if isinstance(metrics, Mapping) else {}
        return _Answer(content, job.id, _float(metrics.get("cost")), _float(metrics.get("remaining_credits")))

    def _failure(self, reply: Reply, private: Sequence[str] = (), *, failed: bool = False) -> ProviderError:
        """Give an answer that is no answer its meaning, by Segmind's table where that differs from the common one.

        Args:
            reply: The answer.
            private: Texts that it may echo.
            failed: It tells of a job that failed. Such a one is not billed.
        """
        common = self._http.failure(reply, private=private)
        kind, scope, billed, wait = common.kind, common.scope, common.billed, common.retry_after
        match reply.status:
            case 403 if kind is ErrorKind.FORBIDDEN:  # the document's own meaning: this account may not call this model
                kind, scope = ErrorKind.AUTH, Scope.MODEL
            case 406 if _MONEY.search(common.detail) or not common.detail:  # bare: the document's own meaning
                kind, scope = ErrorKind.QUOTA, Scope.ACCOUNT
            case 406:
                kind, scope = ErrorKind.BAD_REQUEST, Scope.REQUEST
            case 404 | 410:
                kind, scope = ErrorKind.MODEL_NOT_FOUND, Scope.MODEL
            case 200 | 422 if failed and kind in {ErrorKind.BAD_REQUEST, ErrorKind.PROTOCOL}:
                if not _PARAMETER.search(common.detail):  # the model failed, and nothing says that the request did
                    kind, scope = ErrorKind.SERVER, Scope.MODEL
            case 429 if kind is ErrorKind.RATE_LIMIT:
                wait = common.wait or RATE_WAIT_S  # its limits are per minute: a longer one is a mistake
        if failed or 400 <= reply.status < 500 or (reply.status >= 500 and isinstance(reply.data, Mapping)):  # noqa: PLR2004 - HTTP's numbers
            billed = Billed.NO  # an HTML 5xx is a proxy's, and what happened behind it is unknown
        return ProviderError(kind, common.detail, status=reply.status, retry_after=wait, billed=billed, scope=scope)


def _passing(error: ProviderError) -> bool:
    """Whether a look at a job may be made again."""
    return error.kind in {ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED, ErrorKind.CONNECT} or error.status is None or error.status >= 500  # noqa: PLR2004 - HTTP's number


def _private(request: ChatRequest) -> list[str]:
    return [request.system or "", *(message.text for message in request.messages)]


def _body(request: ChatRequest, mode: str) -> dict[str, Any]:
    values = {name: value for name, value in request.parameters.items() if value is not None and name not in {"system_mode", "mode"}}
    system_role = {"instruction": None, "role": "system"}.get(mode, "first_user")
    body: dict[str, Any] = {"messages": written_messages(request, system_role), **values}
    if request.system and mode == "instruction":
        body["instruction"] = request.system
    return body


def _context(slug: str) -> int | None:
    return next((tokens for family, tokens in CONTEXT_TOKENS.items() if slug.startswith(family)), None)


def _float(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < float("inf") else None
