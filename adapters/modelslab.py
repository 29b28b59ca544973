"""ModelsLab v6 chat: the server remembers the conversation under a chat_id, and may queue an answer that is then polled for.

Rules, with their reasons:

- The transcript is the truth, the chat_id a cache of it. Without one a new chat is started from the transcript.
- The chat_id opens the whole conversation in a public bucket: it is as secret as the key, and so is the ``output`` address.
- A POST changes the server's memory and is billed. One whose outcome is unknown is not repeated; the queue is asked once whether the
  answer is there, and its chat_id is not used again.
- A queued answer can be collected by a later process: its handle is given out before it is waited for.
- Errors come inside HTTP 200 too, in ``message`` or ``messege``.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

import aiohttp

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
    Scope,
    Started,
    Submitted,
    TextDelta,
)
from adapters.http import Budgets, Http
from adapters.modelslab_hints import Hint, Hints
from adapters.modelslab_parameters import DEFAULTS, MAX_NEW_TOKENS, ModelsLabParameters
from adapters.modelslab_replies import Answer, Replies
from adapters.modelslab_state import Handle, chat_id_of, state_of
from adapters.modelslab_text import looks_cut, opening_prompt
from adapters.places import Places

__all__ = ["BASE_URL", "BUDGETS", "CATALOGUE", "DEFAULT_MODEL", "Hints", "ModelsLab"]

log = logging.getLogger(__name__)

BASE_URL = "https://modelslab.com/api/v6"
DEFAULT_MODEL = "zephyr-7b-beta"

BUDGETS = Budgets(first=120.0, total=120.0)
"""A chat call blocks until its answer is there or queued, in seconds."""

POLL_BUDGETS = Budgets(first=20.0, total=20.0)
"""Of one look into the queue, in seconds."""

POLL_LEAST_S = 2.0
POLL_MOST_S = 10.0
POLL_GROWTH = 1.5
POLL_TOTAL_S = 120.0
"""The queue is asked after the promised time, at least 2 s, then at growing intervals up to 10 s, for 120 s in all."""

EMPTY_TOTAL_S = 10.0
"""As long as that is a direct answer without text taken for one that is still to come, in seconds."""

ACCOUNT_REQUESTS = 4
"""Requests under way at once on the account: one less than the smallest plan admits over all its endpoints."""

PLACE_TOTAL_S = 120.0
"""So long a question waits for a place among them, in seconds; then it is asked all the same, as the plan may be a larger one."""

CONTEXT_TOKENS = 8192
"""Window of zephyr-7b-beta, in tokens."""

CURRENCY = re.compile(r"[A-Z]{3}")
"""A balance's unit, by its ISO 4217 code; anything else is not shown as one."""
CATALOGUE = ("zephyr-7b-beta",)
"""The model ids that v6's documents name: one."""

_LOST_CHATS = 1024  # so many doubtful chat_ids are kept in mind

_Step: TypeAlias = Started | Submitted | Progress | Answer


class ModelsLab:
    """ModelsLab's v6 chat (`adapters.base.Provider`).

    Args:
        session: From `adapters.http.open_session`; not closed here.
        key: The API key; it goes in the body.
        base_url: Instead of ModelsLab's own; ends in ``/api/v6``, ``/llm/chat`` is appended.
        budgets: Of the chat call.
        default_model: Instead of the document's.
        uncensored: Start chats with the provider's uncensored system prompt. For the operator to decide, not for who is asking.
        hints: Receives posts that an answer may be there.
        sleep: Waits between looks into the queue.
    """

    name = "modelslab"
    title = "ModelsLab"
    parameters: type[Parameters] = ModelsLabParameters
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
        uncensored: bool = False,
        hints: Hints | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        key = key.strip()
        self.default_model = default_model or DEFAULT_MODEL
        self._base_url = (base_url or BASE_URL).rstrip("/")
        self.account = hashlib.sha256(f"{self._base_url}\n{key}".encode()).hexdigest()[:16]
        self._key = key
        self._uncensored = uncensored
        self._hints = hints
        self._sleep = sleep
        self._http = Http(session, secrets=(key,), budgets=budgets or BUDGETS)
        self._replies = Replies(self._http, key)
        self._gate = Places(ACCOUNT_REQUESTS)
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._lost: dict[str, None] = {}

    # ------------------------------------------------------------------------------------------------ chat

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Continue the chat of `request.state`, or start one from the transcript. A queued answer is `Submitted`, then polled for.

        `Progress` before everything else tells that the question waits for a place on the account. How long it will is not known: as long
        again as it has waited.

        Raises:
            ProviderError: STATE_LOST where the server no longer knows the chat (ask again without state), or the queued answer of
                `request.resume` is not there any more (it may have been billed).
        """
        answer: Answer | None = None
        handle = Handle.read(request.resume, self.account)
        question = self._question(request, handle)
        async with AsyncExitStack() as held:
            async with aclosing(self._entered(held, question.chat_id)) as waits:
                async for waited in waits:
                    yield Progress("queued", waited or None)
            question = self._question(request, handle)  # what ended while this waited may have made the chat doubtful
            if self._hints is not None and (hint := await self._hints.begin()) is not None:
                held.callback(self._hints.end, hint)
                question = question.with_hint(hint, self._hints.url)
            async with aclosing(self._settled(question, handle)) as steps:
                async for step in steps:
                    if isinstance(step, Answer):
                        answer = step
                    else:
                        yield step
        assert answer is not None  # _settled ends with an answer or raises
        yield TextDelta(answer.text)
        cut = looks_cut(answer.text, question.body["max_new_tokens"])
        yield Finished(FinishReason.UNKNOWN, likely_truncated=cut, state=_state(question, answer))

    def _question(self, request: ChatRequest, handle: Handle | None) -> Question:
        chat_id = handle.chat if handle is not None else chat_id_of(request.state)
        if handle is None and chat_id in self._lost:
            chat_id = None
        set_values = {name: value for name, value in request.parameters.items() if value is not None}
        body: dict[str, Any] = {"key": self._key, "model_id": request.model, **DEFAULTS, **set_values}
        anew = body.pop("reset", False)
        if chat_id is not None:
            body["chat_id"] = chat_id
        if chat_id is not None and not anew:
            # Without system_prompt: what it does to a running chat is undocumented, and a changed persona drops the state anyway.
            body["prompt"] = request.messages[-1].text
            return Question(body, chat_id, request)
        if chat_id is not None:
            body["reset"] = True
        body["prompt"] = opening_prompt(request.messages)
        if request.system:
            body["system_prompt"] = request.system
        if self._uncensored:
            body["uncensored_system_prompt"] = True
        return Question(body, chat_id, request)

    async def _entered(self, held: AsyncExitStack, chat_id: str | None) -> AsyncGenerator[float, None]:
        """Take this chat's lock, then a place on the account; in this order, so that a waiting chat holds no place."""
        if chat_id is not None:
            lock = self._locks.get(chat_id)
            if lock is None:
                lock = self._locks[chat_id] = asyncio.Lock()
            await held.enter_async_context(lock)
        async with aclosing(self._gate.take(held, PLACE_TOTAL_S)) as waits:
            async for waited in waits:
                yield waited

    async def _settled(self, question: Question, handle: Handle | None) -> AsyncGenerator[_Step, None]:
        """Ask, or collect; where the end is unknown (an error that may have been billed, a stop), forget the chat: its memory diverged."""
        known = False
        try:
            async with aclosing(self._ask(question) if handle is None else self._resumed(question, handle)) as steps:
                async for step in steps:
                    known = isinstance(step, Answer)
                    yield step
        except ProviderError as error:
            known = error.billed is Billed.NO
            raise
        finally:
            if not known and question.chat_id is not None:
                self._lost[question.chat_id] = None
                if len(self._lost) > _LOST_CHATS:
                    del self._lost[next(iter(self._lost))]

    async def _ask(self, question: Question) -> AsyncGenerator[_Step, None]:
        unknown: ProviderError | None = None
        try:
            reply = await self._http.post_json(f"{self._base_url}/llm/chat", question.body)
            found = self._replies.read(reply, question.private, question.chat_id)
        except ProviderError as error:
            if question.chat_id is None or error.billed is Billed.NO or not _outcome_unknown(error):
                raise
            unknown = error
            found = await self._looked_up(question, error)
        if unknown is not None and not found.queued and not question.answered_by(found):
            raise unknown
        yield Started(model=found.model)
        if found.text:
            yield found
            return
        if found.chat_id is not None:
            yield Submitted(Handle.of(self.account, found.chat_id, question.body["prompt"]).text)
        async with aclosing(self._collect(found, question)) as steps:
            async for step in steps:
                if unknown is not None and isinstance(step, Answer) and not question.answered_by(step):
                    raise unknown
                yield step

    async def _resumed(self, question: Question, handle: Handle) -> AsyncGenerator[_Step, None]:
        """Collect an answer that was queued before."""
        yield Started()
        queued = Answer(text="", chat_id=handle.chat, queued=True, eta=None, prompt=None, model=None)
        try:
            async with aclosing(self._collect(queued, question, at_once=True)) as steps:
                async for step in steps:
                    if isinstance(step, Answer) and not handle.answered_by(step, question.request):
                        raise ProviderError(ErrorKind.STATE_LOST, "the queue has another answer by now")
                    yield step
        except _GoneError as gone:
            raise ProviderError(ErrorKind.STATE_LOST, "the queued answer is not there any more", status=gone.status) from None

    async def _looked_up(self, question: Question, unknown: ProviderError) -> Answer:
        """Look into the queue once, after a call whose outcome is unknown."""
        assert question.chat_id is not None
        try:
            return await self._poll(question.chat_id, question.private)
        except ProviderError as error:
            log.info("no answer was found after a call without outcome: %s", error.kind)
            raise unknown from None

    async def _collect(self, queued: Answer, question: Question, *, at_once: bool = False) -> AsyncGenerator[Progress | Answer, None]:
        """Poll until there is text. A success without text is not yet an answer, as the document's own sample has it.

        Args:
            queued: What said that it is queued.
            question: What was asked.
            at_once: Look before the first wait.
        """
        if queued.chat_id is None:
            raise ProviderError(ErrorKind.EMPTY if not queued.queued else ErrorKind.PROTOCOL, "no text and no chat to ask for it")
        clock = asyncio.get_running_loop().time
        total = POLL_TOTAL_S if queued.queued else EMPTY_TOTAL_S
        wait, spent, answer = 0.0 if at_once else max(queued.eta or 0.0, POLL_LEAST_S), 0.0, queued
        while spent < total:
            if wait > 0:
                yield Progress("processing", answer.eta)
                wait = min(wait, total - spent)
                await (self._sleep(wait) if question.hint is None else question.hint.wait(wait, self._sleep))
            begun = clock()
            try:
                answer = await self._poll(queued.chat_id, question.private)
            except ProviderError as error:
                if not _passing(error):
                    raise _of_the_request(error) from None
                hint = error.wait
            else:
                if answer.text:
                    yield answer
                    return
                hint = 0.0
            spent += wait + clock() - begun
            wait = max(min(wait * POLL_GROWTH, POLL_MOST_S), POLL_LEAST_S, hint)
        if answer.queued:
            raise ProviderError(ErrorKind.TIMEOUT_TOTAL, f"still queued after {total:g} s", scope=Scope.MODEL)
        raise ProviderError(ErrorKind.EMPTY, "success without text")

    async def _poll(self, chat_id: str, private: Sequence[str]) -> Answer:
        body = {"key": self._key, "chat_id": chat_id}
        reply = await self._http.post_json(f"{self._base_url}/llm/get_queued_response", body, budgets=POLL_BUDGETS, billable=False)
        return self._replies.read(reply, private, chat_id)

    # ----------------------------------------------------------------------------------------------- account

    async def models(self) -> tuple[ModelInfo, ...]:
        """Return the built-in `CATALOGUE`: v6 has no documented list. It is no gate, any id may be used."""
        return tuple(ModelInfo(model, CONTEXT_TOKENS) for model in CATALOGUE)

    async def check(self) -> Health:
        """Query the balance, which lies beside v6 and not below it."""
        url = f"{self._base_url.removesuffix('/v6')}/wallet_balance"
        reply = await self._http.post_json(url, {"key": self._key}, billable=False, budgets=POLL_BUDGETS)
        data = reply.data.get("data") if reply.ok and isinstance(reply.data, Mapping) else None
        balance = told.amount(data.get("balance")) if isinstance(data, Mapping) else None
        if not isinstance(data, Mapping) or balance is None:
            raise self._replies.failure(reply, ())
        currency = data.get("currency")
        if isinstance(currency, str) and CURRENCY.fullmatch(currency):
            return Health(balance, unit=currency)
        return Health(balance, "in which unit is not told", unit="")

    def capabilities(self, model: str) -> Capabilities:  # noqa: ARG002 - the documents tell the models apart in nothing
        """No streaming; the server remembers; answers of at most 1,024 tokens."""
        return Capabilities(streaming=False, server_memory=True, context_tokens=CONTEXT_TOKENS, max_output_tokens=MAX_NEW_TOKENS)

    async def aclose(self) -> None:
        """Stop listening for hints. The session belongs to who opened it."""
        if self._hints is not None:
            await self._hints.aclose()


@dataclass(frozen=True, slots=True)
class Question:
    """One request as it goes out."""

    body: dict[str, Any] = field(repr=False)
    chat_id: str | None = field(repr=False)
    request: ChatRequest
    hint: Hint | None = None

    def with_hint(self, hint: Hint, url: str) -> Question:
        """Return the question with the address that is to be posted to when its answer is there."""
        return replace(self, body={**self.body, "webhook": url, "track_id": hint.track_id}, hint=hint)

    @property
    def private(self) -> tuple[str, ...]:
        """Texts that no error may echo."""
        return (self.body["prompt"], self.request.system or "", *(message.text for message in self.request.messages))

    def answered_by(self, answer: Answer) -> bool:
        """Whether `answer`, found in the queue, is to this question and not what the chat said before."""
        before = [message.text.strip() for message in self.request.messages if message.role == "assistant"]
        return bool(answer.text) and answer.prompt == self.body["prompt"] and answer.text not in before


def _outcome_unknown(error: ProviderError) -> bool:
    """Whether the server may still have answered: no status came at all, or one of a server that broke down."""
    return error.status is None or error.status >= 500  # noqa: PLR2004 - HTTP's number


def _passing(error: ProviderError) -> bool:
    """Whether a look into the queue, which costs nothing, may be repeated; the job's own failure comes inside a 200."""
    return error.kind in {ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED} or _outcome_unknown(error)


class _GoneError(ProviderError):
    """A chat was lost while its answer was queued."""


def _of_the_request(error: ProviderError) -> ProviderError:
    """Return the error of a look into the queue as that of the request, which was taken: a chat lost by now is no reason to ask again."""
    if error.kind is ErrorKind.STATE_LOST:
        return _GoneError(ErrorKind.SERVER, error.detail, status=error.status, scope=error.scope)
    return ProviderError(error.kind, error.detail, status=error.status, retry_after=error.retry_after, scope=error.scope)


def _state(question: Question, answer: Answer) -> str | None:
    if question.chat_id is not None and answer.chat_id not in {None, question.chat_id}:
        log.warning("ModelsLab continued a chat under another id: its memory is not trusted any more")
        return None
    chat_id = answer.chat_id or question.chat_id
    return None if chat_id is None else state_of(chat_id)
