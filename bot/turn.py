"""One turn: transcript → request → stream → reply.

Reading the model and writing to the chat are decoupled: the stream only appends to the reply, the outbox takes what is newest when a
call may go out. The full text is stored before the final edit, so that a crash after it delivers again without asking again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from adapters.base import (
    ChatRequest,
    Event,
    Finished,
    FinishReason,
    Provider,
    ProviderError,
    ReasoningDelta,
    Submitted,
    TextDelta,
    Usage,
)
from adapters.router import Router
from bot import texts, transcript
from bot.clock import Clock
from bot.model import Incoming, Target
from bot.outbox import Delivery, DeliveryError, Outbox
from bot.platforms.base import Platform, SupportsTyping
from bot.preferences import Choice, Preferences
from bot.reply import Reply
from storage.base import Owner, OwnerKind, ProviderStateRow, StopSignal, Store, Turn, TurnAnswer, TurnState

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
"""A question is asked once and, after crashes, at most twice again."""
TYPING_SHARE = 0.8
"""The typing indicator is renewed after this share of the time it shows."""

T = TypeVar("T")


class _Stopped(Exception):  # noqa: N818 - it is a signal between two functions of this module, not a failure
    """Somebody asked the turn to stop."""


class _Fenced(Exception):  # noqa: N818 - as above
    """Another worker has taken the turn: say and write nothing more."""


@dataclass(slots=True)
class _Heard:
    """What a stream says: its text goes to the reply, the rest stays here."""

    reply: Reply
    delivery: Delivery
    finished: Finished | None = None
    usage: Usage | None = None


class Turns:
    """Runs claimed turns to their end."""

    def __init__(
        self,
        *,
        store: Store,
        router: Router,
        providers: Mapping[str, Provider],
        platforms: Mapping[str, Platform],
        preferences: Preferences,
        outbox: Outbox,
        clock: Clock,
    ) -> None:
        self._store = store
        self._router = router
        self._providers = providers
        self._platforms = platforms
        self._preferences = preferences
        self._outbox = outbox
        self._clock = clock

    async def run(self, turn: Turn, incoming: Incoming) -> None:
        """Bring a claimed turn to its end: its answer whole in the chat, or a sentence that says why not."""
        platform = self._platforms[turn.chat.platform]
        reply = Reply(platform.style)
        target = Target.answering(incoming, await self._store.reply_route(turn.event))
        delivery = await self._outbox.open(Owner(OwnerKind.TURN, turn.id), target, reply.pages)
        try:
            await self._run(turn, incoming, reply, delivery)
        except _Fenced:
            log.warning("turn.fenced turn=%d attempt=%d", turn.id, turn.attempt)
            delivery.abandon()
        except DeliveryError as error:
            log.warning("turn.undeliverable turn=%d: %s", turn.id, error)
            await self._store.close(turn, TurnState.FAILED, error=f"delivery: {error}")
        except BaseException:  # cancelled, or a fault of ours: what is still to be shown must not come after the sentence that tells it
            delivery.abandon()
            raise

    async def fail(self, turn: Turn, incoming: Incoming, text: str, error: str) -> None:
        """End a turn that is not to be asked with a sentence in the chat."""
        platform = self._platforms[turn.chat.platform]
        reply = Reply(platform.style)
        reply.end(text)
        target = Target.answering(incoming, await self._store.reply_route(turn.event))
        try:
            await self._outbox.post(Owner(OwnerKind.TURN, turn.id), target, reply.pages())
        except DeliveryError as problem:
            log.warning("turn.undeliverable turn=%d: %s", turn.id, problem)
        await self._store.close(turn, TurnState.FAILED, error=error)

    async def _run(self, turn: Turn, incoming: Incoming, reply: Reply, delivery: Delivery) -> None:
        if turn.state is TurnState.ANSWERED:
            reply.append(turn.answer or "")
            reply.end(_note(turn.finish))
            await self._show(turn, delivery)
            return
        if turn.stop_requested:
            await self._stopped(turn, reply, delivery)
            return
        if turn.attempt > MOST_ATTEMPTS:
            await self._failed(turn, reply, delivery, texts.TOO_MANY_ATTEMPTS, "too many attempts")
            return
        choice = await self._preferences.of(turn.conversation, turn.chat, incoming.server)
        provider = self._providers.get(choice.provider)
        if provider is None:
            await self._failed(turn, reply, delivery, texts.provider_off(choice.provider), f"provider {choice.provider} is off")
            return
        try:
            await self._answer(turn, choice, provider, reply, delivery)
        except ProviderError as error:
            log.warning("turn.provider_failed turn=%d provider=%s model=%s: %s", turn.id, choice.provider, choice.model, error)
            await self._failed(turn, reply, delivery, texts.provider_error(error, provider.title, choice.model), str(error))
        except _Stopped:
            await self._stopped(turn, reply, delivery)

    async def _answer(self, turn: Turn, choice: Choice, provider: Provider, reply: Reply, delivery: Delivery) -> None:
        request = await self._request(turn, choice, provider)
        heard = _Heard(reply, delivery)
        signal = self._store.stop_signal(turn.id)
        async with _background(self._typing(delivery)):
            await _unless(signal, self._read(turn, choice, request, heard))
        finished = heard.finished or Finished(FinishReason.UNKNOWN, complete=False)
        finish = json.dumps(
            {"reason": finished.reason, "raw": finished.raw_reason, "complete": finished.complete, "cut": finished.likely_truncated}
        )
        answer = TurnAnswer(
            text=reply.text,
            content=transcript.content(reply.text),
            finish=finish,
            provider=choice.provider,
            model=choice.model,
            state=_state(choice, provider, finished),
            usage=json.dumps(asdict(heard.usage)) if heard.usage else None,
        )
        if not await self._store.answered(turn, answer):
            raise _Fenced
        reply.end(_note(finish))
        await self._show(turn, delivery)

    async def _request(self, turn: Turn, choice: Choice, provider: Provider) -> ChatRequest:
        entries = await self._store.transcript(turn, transcript.ENTRIES_READ)
        capabilities = provider.capabilities(choice.model)
        cap = choice.parameters.get("max_tokens") or choice.parameters.get("max_new_tokens") or capabilities.max_output_tokens
        messages = transcript.fit(transcript.messages(entries), choice.persona, capabilities.context_tokens, cap)
        return ChatRequest(
            model=choice.model,
            messages=messages,
            system=choice.persona,
            parameters=choice.parameters,
            turn=str(turn.id),
            state=await self._provider_state(turn, choice, provider),
            resume=turn.handle,
        )

    async def _provider_state(self, turn: Turn, choice: Choice, provider: Provider) -> str | None:
        """Return the provider's own memory of the chat if it has seen exactly what the transcript holds."""
        row = await self._store.provider_state(turn.conversation, choice.provider)
        if row is None:
            return None
        last = await self._store.last_entry(turn.conversation, turn.id)
        wanted = (provider.account, choice.model, choice.persona_hash, last)
        return row.value if (row.account, row.model, row.persona, row.last_entry) == wanted else None

    async def _read(self, turn: Turn, choice: Choice, request: ChatRequest, heard: _Heard) -> None:
        stream: AsyncGenerator[Event, None] = self._router.stream(choice.provider, request)
        async with aclosing(stream) as events:
            async for event in events:
                match event:
                    case TextDelta(text):
                        heard.reply.append(text)
                        heard.delivery.touch()
                    case Finished():
                        heard.finished = event
                    case Usage():
                        heard.usage = event
                    case Submitted(handle):
                        if not await self._store.submitted(turn, handle, provider=choice.provider, model=choice.model):
                            raise _Fenced
                    case ReasoningDelta():
                        pass  # folded reasoning comes with the rendering work; it is no part of the answer
                    case _:
                        log.debug("turn.event turn=%d %s", turn.id, type(event).__name__)

    async def _show(self, turn: Turn, delivery: Delivery) -> None:
        await delivery.finish()
        await self._store.close(turn, TurnState.DONE)

    async def _stopped(self, turn: Turn, reply: Reply, delivery: Delivery) -> None:
        said = bool(reply.text.strip())
        if said or not delivery.shown:  # after a crash the partial text is known to the chat alone: it stays as it is
            reply.end(texts.STOPPED)
            await delivery.finish()
        else:
            delivery.abandon()
        await self._store.close(turn, TurnState.STOPPED, partial=transcript.content(reply.text) if said else None)

    async def _failed(self, turn: Turn, reply: Reply, delivery: Delivery, text: str, error: str) -> None:
        said = bool(reply.text.strip())
        reply.end(text)
        await delivery.finish()
        await self._store.close(turn, TurnState.FAILED, error=error, partial=transcript.content(reply.text) if said else None)

    async def _typing(self, delivery: Delivery) -> None:
        """Show that the bot is writing until its first text is there."""
        platform = self._platforms[delivery.target.chat.platform]
        if not isinstance(platform, SupportsTyping) or delivery.target.route is not None:
            return
        while not delivery.shown:
            await platform.typing(delivery.target)
            await self._clock.sleep(platform.typing_seconds * TYPING_SHARE)


def _state(choice: Choice, provider: Provider, finished: Finished) -> ProviderStateRow | None:
    if finished.state is None:
        return None
    return ProviderStateRow(choice.provider, provider.account, choice.model, choice.persona_hash, 0, finished.state)


def _note(finish: str | None) -> str:
    said: dict[str, Any] = json.loads(finish) if finish else {}
    reason = FinishReason(said.get("reason", FinishReason.STOP))
    return texts.finish_note(reason, complete=said.get("complete", True), likely_truncated=said.get("cut", False))


class _background:  # noqa: N801 - used like a function: `async with _background(work):`
    """Run something beside a block and end it with the block. Its own failure is logged and harms nobody."""

    def __init__(self, work: Awaitable[None]) -> None:
        self._task = asyncio.ensure_future(work)

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        (outcome,) = await asyncio.gather(self._task, return_exceptions=True)
        if isinstance(outcome, Exception):
            log.warning("turn.background_failed: %s", type(outcome).__name__)


async def _unless(signal: StopSignal, work: Awaitable[T]) -> T:
    """Await `work`, but end it at once when the signal comes.

    Raises:
        _Stopped: The signal came first.
    """
    if signal.is_set():
        raise _Stopped
    job, stopper = asyncio.ensure_future(work), asyncio.ensure_future(signal.wait())
    try:
        await asyncio.wait({job, stopper}, return_when=asyncio.FIRST_COMPLETED)
        if not job.done():
            raise _Stopped
        return job.result()
    finally:
        stopper.cancel()
        if not job.done():
            job.cancel()
        await asyncio.gather(job, stopper, return_exceptions=True)
