"""Segmind on loopback: one slug per model, the vendor's own answer passed through in one of three shapes; v1 blocks, v2 takes jobs.

Statuses and their words are those of its documents: 401 twice, 404, a 405 in HTML, a 406 with three meanings, and the 422 of a failed job.
Stricter than the real one: the content type must be exactly ``application/json``, parameters that no client was seen to send are refused,
and looks at a job count as requests.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from sandbox.providers.checks import Check, number, text, whole
from sandbox.providers.segmind_shapes import shaped
from sandbox.providers.tokens import Limited, count_messages
from sandbox.providers.voices import Voice
from sandbox.server import Server

log = logging.getLogger(__name__)

SLUGS = tuple(
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
"""The chat models of Segmind's public directory of August 2026."""

RETIRED = ("claude-3-haiku", "llama-v3p1-405b-instruct")
"""Slugs that were on offer once; Segmind promises a 410 for them."""

REQUESTS_PER_MINUTE = 50
"""The documents say 5 or 50 by plan, the price page 60 and more."""

FREE_CREDITS = 0.018

JOB_SECONDS = 3600.0
"""A job is kept for so long after it was submitted; then its addresses are unknown."""

_HTML_405 = (
    "<!doctype html>\n<html lang=en>\n<title>405 Method Not Allowed</title>\n<h1>Method Not Allowed</h1>\n"
    "<p>The method is not allowed for the requested URL.</p>\n"
)

_PARAMETERS: dict[str, Check] = {
    "max_tokens": whole(1),
    "temperature": number(0, 2),
    "top_p": number(0, 1),
    "response_format": lambda value: isinstance(value, dict),
    "instruction": text,
}


class _Refused(Exception):  # noqa: N818 - the stand-in's answer, not a failure of its own
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


@dataclass(slots=True)
class Job:
    """A job of v2.

    Attributes:
        looks: How often its status was asked for.
        output: The answer's body, once it is there.
        error: Why it failed.
    """

    id: str
    at: float
    task: asyncio.Task[None]
    looks: int = 0
    output: dict[str, Any] | None = None
    error: str | None = None


class SegmindSandbox(Server):
    """Segmind's API, v1 and v2.

    Args:
        key: The one API key that is taken, in ``x-api-key`` and nowhere else.
        voice: Gives the answers' text.
        credits: Left on the account; a float, as at Segmind.
        slugs: Models on offer. ``claude*`` answers in Anthropic's shape, ``gemini*`` in Gemini's, all others in OpenAI's.
        cost: Credits that one call takes; with less on the account it is refused.
        requests_per_minute: More than so many calls in any 60 s are answered with 429.
        now: Epoch seconds.

    Attributes:
        credits: What is left.
        system_role: Whether the role ``system`` is taken (the seed says so, the current page does not); never by ``claude*``.
        jobs: Of v2, by ``request_id``, oldest first.
        queued_looks: A job is ``QUEUED`` to so many looks.
        processing_looks: And then ``PROCESSING`` to so many, or until its answer is there.
        fail_jobs: Jobs fail with this text.
        encode_output: ``output`` is the body as JSON in a string, as today; else the body itself.
    """

    def __init__(
        self,
        *,
        key: str,
        voice: Voice,
        credits: float = 5.0,  # noqa: A002 - Segmind's own word
        slugs: Sequence[str] = SLUGS,
        cost: float = 0.00025,
        requests_per_minute: int = REQUESTS_PER_MINUTE,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(now=now)
        self.credits = credits
        self.system_role = True
        self.jobs: dict[str, Job] = {}
        self.queued_looks = 1
        self.processing_looks = 1
        self.fail_jobs: str | None = None
        self.encode_output = True
        self._key = key
        self._voice = voice
        self._slugs = tuple(slugs)
        self._cost = cost
        self._requests_per_minute = requests_per_minute
        self._recent: deque[float] = deque()

    @property
    def base_url(self) -> str:
        """What ``SEGMIND_BASE_URL`` is set to; ``/v1/{slug}`` comes behind it."""
        return self.url

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the routes; every method is routed, because a wrong one is answered in Segmind's own way."""
        return [
            web.route("*", "/v1/get-user-credits", self._answered(self._credits)),
            web.route("*", "/v1/{slug}", self._answered(self._infer)),
            web.route("*", "/v2/requests/{id}/status", self._answered(self._status)),
            web.route("*", "/v2/requests/{id}", self._answered(self._result)),
            web.route("*", "/v2/{slug}", self._answered(self._submit)),
        ]

    async def stop(self) -> None:
        """Close every connection and end the jobs."""
        tasks = [job.task for job in self.jobs.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().stop()

    def _answered(self, handler: Callable[[web.Request], Any]) -> Callable[[web.Request], Any]:
        async def handle(request: web.Request) -> web.Response:
            try:
                response: web.Response = await handler(request)
            except _Refused as refused:
                response = web.json_response({"error": refused.text}, status=refused.status)
            reset = datetime.fromtimestamp(self._reset_at(), UTC)
            response.headers["x-rate-limit-reset-at-utc"] = reset.isoformat()
            response.headers["x-request-id"] = uuid.uuid4().hex
            return response

        return handle

    async def _credits(self, request: web.Request) -> web.Response:
        if request.method != "GET":
            return web.Response(status=405, text=_HTML_405, content_type="text/html")
        self._authorize(request)
        return web.json_response({"credits": self.credits, "free-credits": FREE_CREDITS})

    async def _infer(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405, text=_HTML_405, content_type="text/html")
        slug, body, messages = await self._taken(request)
        begun = time.monotonic()
        answer = await self._answer(slug, body, messages)
        headers = {
            "x-remaining-credits": str(self.credits),
            "x-cost": str(self._cost),
            "x-generation-time": f"{time.monotonic() - begun:.3f}",
        }
        return web.json_response(answer, headers=headers)

    async def _taken(self, request: web.Request) -> tuple[str, dict[str, Any], list[dict[str, Any]]]:
        """Return slug, body and conversation of a request that is to be answered."""
        slug = request.match_info["slug"]
        self._authorize(request)
        if request.headers.get("Content-Type") != "application/json":
            raise _Refused(406, "Invalid content type")
        if slug in RETIRED and slug not in self._slugs:
            raise _Refused(410, f"Model {slug} has been retired")
        if slug not in self._slugs:
            raise _Refused(404, f"Model {slug} not found")
        body = await _body(request)
        messages = self._check(slug, body)
        self._spend_request()
        if self.credits < self._cost:
            raise _Refused(406, "Insufficient credits. Please add credits to your account to continue.")
        return slug, body, messages

    # ------------------------------------------------------------------------------------------------- v2

    async def _submit(self, request: web.Request) -> web.Response:
        if request.method != "POST":
            return web.Response(status=405, text=_HTML_405, content_type="text/html")
        slug, body, messages = await self._taken(request)
        ident = str(uuid.uuid4())
        self.jobs[ident] = Job(ident, self.now(), asyncio.create_task(self._work(ident, slug, body, messages)))
        address = f"{self.url}/v2/requests/{ident}"
        urls = {"poll_url": address, "status_url": f"{address}/status", "response_url": address}
        return web.json_response({"request_id": ident, "status": "QUEUED", **urls})

    async def _work(self, ident: str, slug: str, body: dict[str, Any], messages: list[dict[str, Any]]) -> None:
        job = self.jobs[ident]
        job.error = self.fail_jobs
        if job.error is not None:
            return
        try:
            job.output = await self._answer(slug, body, messages)
        except Exception as error:  # noqa: BLE001 - a model that breaks is a job that failed, whatever broke it
            log.warning("segmind.job_failed: %s", type(error).__name__)
            job.error = "Model execution failed"

    async def _status(self, request: web.Request) -> web.Response:
        job = self._job(request)
        job.looks += 1
        return self._told(job, {"request_id": job.id})

    async def _result(self, request: web.Request) -> web.Response:
        job = self._job(request)
        metrics = {
            "inference_time": 1.5,
            "queue_time": 0.5,
            "total_time": 2.0,
            "cost": self._cost if job.output is not None else 0.0,
            "remaining_credits": self.credits,
            "retry_count": 0,
        }
        done = self._state(job) == "COMPLETED"
        output = json.dumps(job.output) if self.encode_output else job.output
        return self._told(job, {"metrics": metrics, "output": output if done else None})

    def _job(self, request: web.Request) -> Job:
        if request.method != "GET":
            raise _Refused(405, "Method not allowed")
        self._authorize(request)
        self._spend_request()
        ident = request.match_info["id"]
        job = self.jobs.get(ident)
        if job is None or self.now() > job.at + JOB_SECONDS:
            raise _Refused(404, f"Request {ident} not found")
        return job

    def _state(self, job: Job) -> str:
        if job.looks <= self.queued_looks:
            return "QUEUED"
        if job.looks <= self.queued_looks + self.processing_looks or (job.output is None and job.error is None):
            return "PROCESSING"
        return "COMPLETED" if job.error is None else "FAILED"

    def _told(self, job: Job, body: dict[str, Any]) -> web.Response:
        state = self._state(job)
        failed = state == "FAILED"
        return web.json_response({"status": state, "error": job.error if failed else None, **body}, status=422 if failed else 200)

    def _authorize(self, request: web.Request) -> None:
        given = request.headers.get("x-api-key")
        if given is None and "Authorization" not in request.headers:
            raise _Refused(401, "Missing Authorization or x-api-key in header")
        if given != self._key:
            raise _Refused(401, "Unauthorized. API key is invalid or may have expired. Please check your API key.")

    def _check(self, slug: str, body: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the conversation, the instruction as its first message."""
        messages = body.get("messages")
        if not isinstance(messages, list) or not messages:
            raise _Refused(400, "messages is required and must be a non-empty array")
        roles = ["user", "assistant"] + ["system"] * (self.system_role and not slug.startswith("claude"))
        for message in messages:
            if not isinstance(message, dict) or set(message) != {"role", "content"} or not isinstance(message["content"], str | list):
                raise _Refused(400, "each message must have a role and content")
            if message["role"] not in roles:
                raise _Refused(400, f"role must be one of {', '.join(roles)}")
        for name, value in body.items():
            if name != "messages" and (name not in _PARAMETERS or not _PARAMETERS[name](value)):
                raise _Refused(406, f"Parameter {name} is not supported or out of range")
        instruction = body.get("instruction")
        return [{"role": "system", "content": instruction}, *messages] if instruction else messages

    def _spend_request(self) -> None:
        now = self.now()
        while self._recent and self._recent[0] <= now - 60:
            self._recent.popleft()
        if len(self._recent) >= self._requests_per_minute:
            raise _Refused(429, "Rate limit exceeded. Please try again later.")
        self._recent.append(now)

    def _reset_at(self) -> float:
        """Return when the next request is free again, if none is."""
        full = len(self._recent) >= self._requests_per_minute
        return self._recent[0] + 60 if full and self._recent else self.now()

    async def _answer(self, slug: str, body: dict[str, Any], messages: list[dict[str, Any]]) -> dict[str, Any]:
        limited = Limited(self._voice.speak(slug, messages), max_tokens=body.get("max_tokens"))
        answer = await limited.text()
        self.credits -= self._cost
        return shaped(slug, answer, limited, count_messages(messages))


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except ValueError:
        raise _Refused(400, "Malformed JSON in request body") from None
    if not isinstance(body, dict):
        raise _Refused(400, "The request body must be a JSON object")
    return body
