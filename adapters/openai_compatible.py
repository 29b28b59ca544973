"""The engine for every provider that speaks OpenAI's chat or completion API. What differs between vendors is a `Vendor`, not code.

Time budgets are kept on payload: comments and empty keepalive chunks, which some gateways send for minutes, do not count as life.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import aiohttp
from pydantic import ValidationError

from adapters.base import (
    Billed,
    Capabilities,
    ChatRequest,
    ErrorKind,
    Event,
    Health,
    ModelInfo,
    Pace,
    Parameters,
    ProviderError,
    Scope,
    Started,
    Usage,
)
from adapters.http import Budgets, Http, Reply, Stream
from adapters.openai_answer import Answer, joined
from adapters.openai_chunks import Shortcut
from adapters.openai_parameters import OpenAIParameters, Vendor, fits, parameters_of
from adapters.openai_vendors import GENERIC, OPENAI
from adapters.openai_wire import (
    Piece,
    has_pictures,
    is_error,
    own_fault,
    private_texts,
    read_body,
    read_models,
    read_others,
    read_piece,
    refuses_pictures,
    request_body,
)
from adapters.sse import Decoder, EventTooLarge, ServerEvent

GRACE_S = 2.0
"""After a finish reason, usage and ``[DONE]`` are waited for so long."""

DRAIN_S = 0.02
"""After ``[DONE]``, the body's end is waited for so long: then the connection can serve the next question, which saves a TLS handshake."""


class OpenAICompatible:
    """A provider that speaks OpenAI's API. Implements `adapters.base.Provider`.

    Args:
        session: From `adapters.http.open_session`; not closed here.
        vendor: Whose dialect.
        key: Sent as a bearer token; None for a server that wants none.
        base_url: Instead of the vendor's.
        budgets: Of time. What the vendor declares of its models goes before `first`; what it only guesses does so where `first` is the
            usual one. In regular mode `first` does not apply: the first byte comes with the last.
        default_model: Instead of the vendor's.
    """

    parameters: type[Parameters]
    fetches_models = True
    tells_credits = False

    def __init__(
        self,
        session: aiohttp.ClientSession,
        vendor: Vendor,
        *,
        key: str | None,
        base_url: str | None = None,
        budgets: Budgets | None = None,
        default_model: str | None = None,
    ) -> None:
        key = (key or "").strip()
        self.name = vendor.name
        self.title = vendor.title
        self.default_model = default_model or vendor.default_model
        self.lists_all_models = vendor.lists_all_models
        self.parameters = parameters_of(vendor)
        self._vendor = vendor
        self._url = (base_url or vendor.base_url).rstrip("/")
        self.account = hashlib.sha256(f"{self._url}\n{key}".encode()).hexdigest()[:16]
        self._http = Http(session, secrets=[key, *vendor.secrets], budgets=budgets)
        self._headers = {**vendor.headers, **({"Authorization": f"Bearer {key}"} if key else {})}
        if self._url.startswith("http://"):
            # llama.cpp's server promises keep-alive and closes after a stream all the same, which cuts a question sent at that moment
            # (measured); it may have been billed, so nobody repeats it. Without TLS a new connection costs half a millisecond.
            self._headers["Connection"] = "close"
        self._ask_usage = True
        self._contexts = dict(vendor.contexts)
        self._listed_images: dict[str, bool] = {}
        self._blind: set[str] = set()
        self._answers_all = False  # even a question without a model and words, which may cost something: it is not asked one again

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask, and yield events as they arrive; see `adapters.base.Provider.stream`."""
        parameters = self._validated(request)
        vendor = self._vendor.of(request.model)
        completion = (parameters.endpoint or ("completion" if fits(request.model, vendor.completion_models) else "chat")) == "completion"
        if completion and has_pictures(request):
            raise ProviderError(ErrorKind.NO_PICTURES, "the completion endpoint takes text alone", billed=Billed.NO)
        url = f"{self._url}/completions" if completion else f"{self._url}/chat/completions"
        budgets = self._http.budgets
        guessed = vendor.first_seconds_guessed and budgets.first != Budgets().first
        if vendor.first_seconds is not None and not guessed:
            budgets = replace(budgets, first=vendor.first_seconds)
        if parameters.stream is False:
            budgets = replace(budgets, first=budgets.total)
        private = private_texts(request)
        began = asyncio.get_running_loop().time()
        while True:
            usage = self._ask_usage and vendor.usage_in_stream
            body = request_body(vendor, request, parameters, completion=completion, usage=usage, written=True)
            async with self._http.stream_json(url, body, self._headers, budgets=budgets) as stream:
                if not 200 <= stream.status < 300:  # noqa: PLR2004 - HTTP's numbers
                    reply = await stream.reply(began + budgets.total)
                    if _refuses_usage(body, reply):
                        self._ask_usage = False
                        continue
                    raise self._refusal(request, reply, private)
                answer = Answer(inside=fits(request.model, vendor.starts_thinking), tags=vendor.think_tags, trim=completion)
                reading = _Reading(self._http, stream, answer, vendor, budgets=budgets, began=began, private=private, pace=request.pace)
                with _hurried(request.pace, stream):
                    while not reading.over:
                        for event in await reading.more():
                            yield event
            return

    async def models(self) -> tuple[ModelInfo, ...]:
        """Fetch the vendor's live list; see `adapters.base.Provider.models`."""
        reply = await self._http.get_json(f"{self._url}/models", self._headers)
        absent = ProviderError(
            ErrorKind.BAD_REQUEST, "there is no model list at this address", status=reply.status, billed=Billed.NO, scope=Scope.PROVIDER
        )
        if absent.no_such_route:
            raise absent
        if not reply.ok or (isinstance(reply.data, dict) and is_error(reply.data)):
            raise self._http.failure(reply)
        found = read_models(reply.data)
        if found is None:
            raise ProviderError(
                ErrorKind.PROTOCOL, "the model list can't be read", status=reply.status, billed=Billed.NO, scope=Scope.PROVIDER
            )
        self._contexts.update({model.id: model.context_tokens for model in found if model.context_tokens})
        self._listed_images.update({model.id: model.images for model in found if model.images is not None})
        return found

    async def check(self) -> Health:
        """Prove address and key by the model list, which costs nothing; where there is none, by a question that nobody can answer."""
        try:
            count = len(await self.models())
            return Health(note=f"{count} models on offer" if count else "its list of models is empty")
        except ProviderError as error:
            if not error.no_such_route:
                raise
            if not await self._takes_questions():
                error.detail = "there is neither a model list at this address nor anything that takes questions"
                raise
        return Health(note="it has no list of models")

    async def _takes_questions(self) -> bool:
        """Ask without a model and words: who takes questions refuses that, which costs nothing, and who does not knows no such address.

        Raises:
            ProviderError: It is refused for another reason, such as the key.
        """
        if self._answers_all:
            return True
        completion = fits(self.default_model, self._vendor.completion_models)
        url = f"{self._url}/completions" if completion else f"{self._url}/chat/completions"
        reply = await self._http.post_json(url, {}, self._headers, billable=False)
        if reply.ok and isinstance(reply.data, dict) and "choices" in reply.data:
            self._answers_all = True
            return True
        said = self._http.failure(reply)
        if said.kind is ErrorKind.NOT_SERVED:
            raise said
        if reply.status in {400, 422, 500} or (reply.status == 404 and "model" in reply.text and not said.misplaced):  # noqa: PLR2004 - HTTP's number
            return reply.data is not None
        if reply.ok or reply.status in {404, 405, 501}:
            return False
        raise said

    def capabilities(self, model: str) -> Capabilities:
        """Tell the window from the vendor's table, or the last model list, or guess low; also what it takes of pictures and settings."""
        vendor = self._vendor.of(model)
        return Capabilities(
            images=self._images(model),
            context_tokens=self._contexts.get(model, vendor.context),
            unsupported=vendor.unsupported & self.parameters.model_fields.keys(),
        )

    def _images(self, model: str) -> bool | None:
        vendor = self._vendor.of(model)
        if model in self._blind or fits(model, vendor.completion_models):
            return False
        if vendor.vision:
            return fits(model, vendor.vision)
        return self._listed_images.get(model, vendor.images)

    def _refusal(self, request: ChatRequest, reply: Reply, private: Sequence[str]) -> ProviderError:
        """Return the error of a refusal; that a model takes no pictures is remembered, so that it is not sent any more."""
        if not refuses_pictures(request, reply.status, reply.text):
            return self._http.failure(reply, private=private)
        self._blind.add(request.model)
        return ProviderError(
            ErrorKind.NO_PICTURES, self._http.excerpt(reply.data or reply.text, private), status=reply.status, billed=Billed.NO
        )

    async def aclose(self) -> None:
        """Nothing is held between calls: the session is its opener's."""

    def _validated(self, request: ChatRequest) -> OpenAIParameters:
        try:
            parameters = OpenAIParameters.model_validate(dict(request.parameters))
        except ValidationError as error:
            names = ", ".join(sorted({str(item["loc"][0]) for item in error.errors() if item["loc"]}))
            raise ProviderError(ErrorKind.BAD_REQUEST, f"not usable here: {names}", billed=Billed.NO) from None
        several = (parameters.n or 1) > 1 and "n" not in self._vendor.unsupported
        return parameters.model_copy(update={"stream": False}) if several else parameters  # in a stream choices would come interleaved


def openai_endpoint(
    session: aiohttp.ClientSession,
    *,
    key: str | None,
    base_url: str | None = None,
    default_model: str | None = None,
    budgets: Budgets | None = None,
) -> OpenAICompatible:
    """Make the provider ``openai``: any OpenAI-compatible endpoint, OpenAI's own by default.

    Args:
        session: From `adapters.http.open_session`.
        key: None for a server that wants none, as local ones do.
        base_url: With the version, such as ``http://localhost:11434/v1``.
        default_model: Used where nobody chose one.
        budgets: Of time.
    """
    vendor = openai_vendor(base_url)
    return OpenAICompatible(session, vendor, key=key, base_url=base_url, default_model=default_model, budgets=budgets)


def openai_vendor(base_url: str | None) -> Vendor:
    """Return whose dialect is spoken at an address: OpenAI's at its own (None), else that of which nothing is known."""
    return OPENAI if base_url is None or base_url.startswith("https://api.openai.com/") else GENERIC


def _refuses_usage(body: dict[str, Any], reply: Reply) -> bool:
    """Whether a vendor that does not know ``stream_options`` says so: it is dropped, and not sent again."""
    return "stream_options" in body and reply.status in {400, 422} and ("stream_options" in reply.text or "include_usage" in reply.text)


@contextmanager
def _hurried(pace: Pace | None, stream: Stream) -> Iterator[None]:
    """Have a stream read when it is wanted, and let go of it in the end: whoever asks may keep the pace for long."""
    if pace is not None:
        pace.on_hurry(stream.hurry)
    try:
        yield
    finally:
        if pace is not None:
            pace.on_hurry(None)


class _Reading:
    """Reads one good answer, whatever form it comes in.

    Attributes:
        over: `more` has given the last events.
    """

    def __init__(
        self,
        http: Http,
        stream: Stream,
        answer: Answer,
        vendor: Vendor,
        *,
        budgets: Budgets,
        began: float,
        private: Sequence[str],
        pace: Pace | None = None,
    ) -> None:
        self.over = False
        self._http = http
        self._stream = stream
        self._answer = answer
        self._reasoning_fields = vendor.reasoning_fields
        self._shortcut = Shortcut(vendor.reasoning_fields)
        self._budgets = budgets
        self._private = private
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._total = began + budgets.total
        self._payload = began + budgets.first  # when the next payload is due
        self._decoder: Decoder | None = None
        self._failed: ProviderError | None = None
        self._done = self._said_done = self._flushed = False
        self._alive = False  # the last chunk brought payload
        self._clean = False  # the next byte begins an event
        self._started = self._role = False
        self._usage: Usage | None = None
        self._rest = b""  # what came with text of the known form and is still to be read

    async def more(self) -> list[Event]:
        """Wait for the next bytes and return what they bring.

        JSON or an event stream is told by the first byte: both are sent where the other was asked for.
        """
        if self._failed is not None:
            raise self._failed
        decoder = self._decoder
        if decoder is None:
            try:
                head = await self._stream.peek(min(self._payload, self._total))
            except TimeoutError:
                raise self._late() from None
            if head[:1] in {b"{", b"[", b"<"}:
                return await self._whole()
            decoder = self._decoder = Decoder()
        if self._done or self._answer.full:
            return await self._end()
        if self._alive:  # the next payload is due from now on, when the reader of the events has had its time
            self._alive = False
            self._payload = self._loop.time() + (GRACE_S if self._answer.finish else self._budgets.idle)
        try:
            chunk, self._rest = self._rest or await self._stream.next_chunk(min(self._payload, self._total), self._lull()), b""
        except TimeoutError:
            if not self._answer.finish:
                raise self._late() from None
            chunk = b""  # a finished answer has nothing more to say
        if self._clean and (text := self._shortcut.text(chunk) or self._leading(chunk)):  # nearly every chunk
            self._alive = True
            return self._answer.take_text(text)
        events = self._read(decoder, chunk)
        self._clean = decoder.clean
        return events if events or not self._done else await self._end()

    def _lull(self) -> float:
        """Return for how many seconds what comes may be left unread; what comes behind a finish reason is the end."""
        return 0.0 if self._pace is None or self._answer.finish else self._pace.lull()

    def _leading(self, chunk: bytes) -> str:
        """Return the text of the events of the known form that `chunk` begins with; what follows, such as the end, is read next."""
        size = self._shortcut.leading(chunk)
        text = self._shortcut.text(chunk[:size]) if size else ""
        if text:
            self._rest = chunk[size:]
        return text

    def _read(self, decoder: Decoder, chunk: bytes) -> list[Event]:
        """Return what the bytes bring, however they are cut; text that came together as one piece."""
        events: list[Event] = []
        more = True
        try:
            size = self._shortcut.lesson(chunk)
            while more:
                self._read_long(decoder, chunk[:size], events)
                chunk = chunk[size:]
                size = len(chunk)  # one lesson a read: a flood of events that teach nothing is not cut up one by one
                more = bool(chunk) and not self._done
                if more and decoder.clean and (text := self._shortcut.text(chunk) or self._leading(chunk)):
                    events += self._answer.take_text(text)
                    self._alive, more = True, False
        except ProviderError as error:
            if not events:
                raise
            self._failed = error  # what came before it is given out first
        return events if len(events) <= 1 else joined(events)

    def _read_long(self, decoder: Decoder, chunk: bytes, events: list[Event]) -> None:
        """Add what the bytes bring to `events`, and learn from them."""
        began, before = decoder.clean, len(events)
        for event in self._decoded(decoder, chunk):
            if event.data.lstrip().startswith("[DONE]"):
                self._done = self._said_done = True
                break
            self._take(event, events)
        self._done = self._done or not chunk
        if began and len(events) > before and decoder.clean and not self._done:
            self._shortcut.learn(chunk)

    async def _end(self) -> list[Event]:
        if not self._flushed:
            self._flushed = True
            if self._said_done:
                with suppress(TimeoutError):
                    await self._stream.next_chunk(self._loop.time() + DRAIN_S)
            if events := self._answer.flush():
                return events
        self.over = True
        return self._answer.end(said_done=self._said_done, cut=self._stream.cut)

    async def _whole(self) -> list[Event]:
        reply = await self._stream.reply(self._total)
        piece = read_body(reply.data, self._reasoning_fields)
        if piece is None:
            raise own_fault(self._http.failure(reply, private=self._private), reply.data)
        self.over = True
        events = [*self._start(reply.data), *self._answer.take_whole(piece, read_others(reply.data, self._reasoning_fields))]
        return [*events, *self._answer.end(said_done=True, cut=False)]

    def _decoded(self, decoder: Decoder, chunk: bytes) -> list[ServerEvent]:
        try:
            return decoder.feed(chunk) if chunk else decoder.end()
        except EventTooLarge as error:
            raise ProviderError(ErrorKind.PROTOCOL, str(error), status=self._stream.status, in_stream=self._answer.visible) from None

    def _take(self, event: ServerEvent, events: list[Event]) -> None:
        data = self._parsed(event)
        if data is None:
            return
        if event.name == "error" or is_error(data):
            error = self._http.error(200, data, self._stream.headers, private=self._private, in_stream=self._answer.visible)
            raise own_fault(error, data)
        piece = read_piece(data, self._reasoning_fields)
        if not self._started:
            events += self._start(data)
        self._alive = self._is_news(piece) or self._alive
        events += self._answer.take(piece)

    def _is_news(self, piece: Piece) -> bool:
        """Whether the model is at work: not by a role, a reason or usage that was told before, which some send as a keepalive."""
        news = piece.says() or (piece.role and not self._role) or (bool(piece.finish) and not self._answer.finish)
        news = news or (piece.usage is not None and piece.usage != self._usage)
        self._role, self._usage = self._role or piece.role, piece.usage or self._usage
        return news

    def _parsed(self, event: ServerEvent) -> Any:
        """Return the event's JSON, None for a ping or a word that is no JSON."""
        if event.name == "ping":
            return None
        try:
            return json.loads(event.data)
        except (ValueError, RecursionError):
            if event.name != "error" and not event.data.lstrip().startswith("{"):
                return None
        if event.name == "error":
            return {"error": event.data}
        raise ProviderError(ErrorKind.PROTOCOL, "an event of the stream is not valid JSON", status=200, in_stream=self._answer.visible)

    def _start(self, data: dict[str, Any]) -> list[Event]:
        if self._started:
            return []
        self._started = True
        ident, model = self._stream.headers.get("x-request-id") or data.get("id"), data.get("model")
        return [Started(ident if isinstance(ident, str) else None, model if isinstance(model, str) else None)]

    def _late(self) -> ProviderError:
        if self._loop.time() >= self._total:
            kind, detail = ErrorKind.TIMEOUT_TOTAL, f"not done in {self._budgets.total:g} s"
        elif self._answer.begun:
            kind, detail = ErrorKind.TIMEOUT_IDLE, f"no more text in {self._budgets.idle:g} s"
        else:
            kind, detail = ErrorKind.TIMEOUT_FIRST, f"no text in {self._budgets.first:g} s"
        return ProviderError(kind, detail, status=self._stream.status, scope=Scope.PROVIDER, in_stream=self._answer.visible)
