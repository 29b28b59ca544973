"""From providers' names to an answer: repeats what may be repeated, goes on to the next provider of a chain, and holds each to the seam.

Until the first text the next provider may take over; from then on an answer is one provider's, whole or not. What failed lately comes last
in the row (`adapters.cooldowns`), and is asked all the same where nothing else answered: nobody is refused on a guess.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TypeAlias

from adapters.base import (
    Billed,
    ChatRequest,
    ErrorKind,
    Event,
    Finished,
    Progress,
    Provider,
    ProviderError,
    ReasoningDelta,
    Scope,
    Started,
    TextDelta,
)
from adapters.cooldowns import Cooldowns

log = logging.getLogger(__name__)

RETRIES = 2
"""A request is repeated at most so often, and only where nobody else is left to ask."""

BACKOFF_S = 0.5
"""Mean wait before the first repeat; doubles with each. Spread over 0.5 to 1.5 times that, so that many chats don't come back at once."""

PATIENCE_S = 20.0
"""A provider that asks for a longer wait is not asked again: a person is waiting."""

REPEAT_WITHIN_S = 30.0
"""No repeat begins later than this after the first asking: as long as a first text may take (`adapters.http.Budgets.first`)."""

_TRANSIENT = frozenset(
    {
        ErrorKind.RATE_LIMIT,
        ErrorKind.OVERLOADED,
        ErrorKind.SERVER,
        ErrorKind.CONNECT,
        ErrorKind.TIMEOUT_FIRST,
        ErrorKind.TIMEOUT_IDLE,
        ErrorKind.TIMEOUT_TOTAL,
    }
)

_ELSEWHERE = _TRANSIENT | {
    ErrorKind.AUTH,
    ErrorKind.QUOTA,
    ErrorKind.MODEL_NOT_FOUND,
    ErrorKind.STATE_LOST,
    ErrorKind.PROTOCOL,
}
"""Another provider may answer what failed so. Not what the question itself is to blame for."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who may answer.

    Attributes:
        provider: Name.
        model: The provider's own model id.
        request: Makes the request, when this one's turn has come.
        afresh: If the job that the request is to collect is gone, the question may be asked anew, although that one may have been billed.
    """

    provider: str
    model: str
    request: Callable[[], Awaitable[ChatRequest]]
    afresh: bool = True


@dataclass(frozen=True, slots=True)
class Asked:
    """A candidate is asked next, or once more from the beginning; what follows is from it.

    Attributes:
        place: Which of the candidates.
        passed: Why others were not asked, or did not answer: place → kind of the error.
        billed: One of those, or a job of this one that is gone, may have billed the question.
    """

    place: int
    passed: Mapping[int, ErrorKind]
    billed: bool = False


@dataclass(frozen=True, slots=True)
class _Anew:
    """What a provider had of the question is gone: it is asked once more."""

    billed: bool


ChainEvent: TypeAlias = Event | Asked


class Router:
    """Asks providers by name.

    Args:
        providers: By name.
        sleep: Waits seconds.
        chance: Gives a number in [0, 1).
        now: Gives monotonic seconds, on the scale of `sleep`.
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._providers = providers
        self._sleep = sleep
        self._chance = chance
        self._now = now
        self._cooldowns = Cooldowns(now)

    async def stream(self, provider: str, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask `provider` alone, and yield events as they arrive: a chain of one.

        Raises:
            ProviderError: The answer could not be had, or not whole.
        """

        async def made() -> ChatRequest:
            return request

        async with aclosing(self.chain([Candidate(provider, request.model, made)])) as events:
            async for event in events:
                if not isinstance(event, Asked):
                    yield event

    async def chain(self, candidates: Sequence[Candidate]) -> AsyncGenerator[ChainEvent, None]:
        """Ask the candidates in their order until one answers, and yield events as they arrive; an `Asked` comes before each one's.

        Those whose cooldown runs come last. A candidate is given up for the next one at its first failure, so that the next one begins
        within the budgets of the first; the last is repeated, at most twice, where the failure cost nothing and nothing was given out.
        State or a job that the provider has lost is left away, once. Of each one the seam's promises hold: at most one `Started`, exactly
        one end, no end without text.

        Raises:
            ProviderError: The answer could not be had, or not whole. Where all failed, the error is the first candidate's.
        """
        waiting = list(range(len(candidates)))
        errors: dict[int, ProviderError] = {}
        passed: dict[int, ErrorKind] = {}
        while waiting:
            place, cooling = self._next(candidates, waiting)
            waiting.remove(place)
            alone = all(other in cooling for other in waiting)
            passed.update({other: kind for other, kind in cooling.items() if other not in passed})
            passed.pop(place, None)
            billed = any(error.billed is not Billed.NO for error in errors.values())
            yield Asked(place, dict(passed), billed)
            candidate, text = candidates[place], False
            try:
                async with aclosing(self._visit(candidate, alone=alone)) as events:
                    async for event in events:
                        text = text or isinstance(event, TextDelta)
                        yield Asked(place, dict(passed), billed or event.billed) if isinstance(event, _Anew) else event
                return
            except ProviderError as error:
                error.provider = candidate.provider
                gone = error.kind is ErrorKind.STATE_LOST and not candidate.afresh
                if text or gone or (error.kind not in _ELSEWHERE and error.scope is not Scope.PROVIDER):
                    raise
                errors[place], passed[place] = error, error.kind
                if waiting:
                    log.warning("provider.passed provider=%s model=%s: %s", candidate.provider, candidate.model, error)
        raise errors[min(errors)]

    def _next(self, candidates: Sequence[Candidate], waiting: Sequence[int]) -> tuple[int, dict[int, ErrorKind]]:
        """Return who is asked next, and which of the waiting are left alone for now."""
        ends: dict[int, float] = {}
        cooling: dict[int, ErrorKind] = {}
        for place in waiting:
            provider = self._providers.get(candidates[place].provider)
            ends[place], kind = (0.0, None) if provider is None else self._cooldowns.state(provider, candidates[place].model)
            if kind is not None:
                cooling[place] = kind
        ready = next((place for place in waiting if place not in cooling), None)
        return (min(waiting, key=lambda place: ends[place]) if ready is None else ready), cooling

    async def _visit(self, candidate: Candidate, *, alone: bool) -> AsyncGenerator[Event | _Anew, None]:
        """Ask one candidate, and learn from it for the next question."""
        asked = self._providers.get(candidate.provider)
        if asked is None:
            raise ProviderError(ErrorKind.BAD_REQUEST, f"no provider {candidate.provider!r} is set up", billed=Billed.NO)
        for again in (False, True):
            try:
                async with aclosing(self._asked(asked, candidate, alone=alone)) as events:
                    async for event in events:
                        yield event
                return
            except ProviderError as error:
                if again or error.kind is not ErrorKind.NO_PICTURES or error.billed is not Billed.NO:
                    raise
            log.info("provider.no_pictures provider=%s model=%s", candidate.provider, candidate.model)
            # It has learned that by now, and the request is made anew without them.

    async def _asked(self, asked: Provider, candidate: Candidate, *, alone: bool) -> AsyncGenerator[Event | _Anew, None]:
        request = await candidate.request()
        visit = self._cooldowns.visit(asked, candidate.model)
        known = False
        try:
            async with aclosing(self._repeated(asked, request, repeats=RETRIES if alone else 0, afresh=candidate.afresh)) as events:
                async for event in events:
                    if not known and isinstance(event, TextDelta | ReasoningDelta):
                        known = True
                        self._cooldowns.good(visit)
                    yield event
        except ProviderError as error:
            self._cooldowns.failed(visit, error)
            raise
        finally:
            self._cooldowns.left(visit)

    async def _repeated(self, asked: Provider, request: ChatRequest, *, repeats: int, afresh: bool) -> AsyncGenerator[Event | _Anew, None]:
        """Ask, and ask again where that costs nothing and shows nothing twice."""
        latest = self._now() + REPEAT_WITHIN_S
        failures = 0
        started = shown = False
        while True:
            try:
                async with aclosing(_once(asked, request)) as events:
                    async for event in events:
                        if isinstance(event, Started):
                            if started:
                                continue
                            started = True
                        elif not isinstance(event, Progress):
                            shown = True
                        yield event
                return
            except ProviderError as error:
                kept = (request.state is not None and request.resume is None) or (request.resume is not None and afresh)
                if error.kind is ErrorKind.STATE_LOST and kept and not shown:
                    log.info("provider.state_lost provider=%s job=%s", asked.name, request.resume is not None)
                    request = replace(request, state=None, resume=None)
                    yield _Anew(error.billed is not Billed.NO)
                    continue
                failures += 1
                wait = None if shown or failures > repeats else self._wait(error, failures)
                if wait is None or self._now() + wait > latest:
                    raise
                log.info("provider.retry provider=%s kind=%s attempt=%d wait=%.2f", asked.name, error.kind, failures + 1, wait)
            await self._sleep(wait)

    def _wait(self, error: ProviderError, failures: int) -> float | None:
        """Return the seconds until the next attempt, None if there is none."""
        if error.billed is not Billed.NO or error.kind not in _TRANSIENT:
            return None
        backoff = BACKOFF_S * (1 << (failures - 1)) * (0.5 + self._chance())
        if error.retry_after is None:
            return backoff
        return None if error.retry_after > PATIENCE_S else max(backoff, error.retry_after + BACKOFF_S * self._chance())


async def _once(provider: Provider, request: ChatRequest) -> AsyncGenerator[Event, None]:
    """Ask once, and see to it that the answer keeps the seam's promises."""
    visible = False
    end: Finished | None = None
    try:
        async with aclosing(provider.stream(request)) as events:
            async for event in events:
                if isinstance(event, Finished):
                    end = event
                    break
                if isinstance(event, TextDelta):
                    if not event.text:
                        continue
                    visible = visible or not event.text.isspace()
                yield event
    except ProviderError:
        raise
    except Exception as error:  # noqa: BLE001 - an adapter's bug ends this turn with a sentence, and no other turn
        _report(provider.name, error)
        raise ProviderError(ErrorKind.PROTOCOL, f"the adapter failed: {type(error).__name__}", in_stream=visible) from None
    if end is None:
        raise ProviderError(ErrorKind.PROTOCOL, "the answer ended without an end", in_stream=visible)
    if not visible:
        raise ProviderError(ErrorKind.EMPTY, "no text")
    yield end


def _report(name: str, error: Exception) -> None:
    """Log a bug by its type and place only: its message may quote the prompt, as pydantic's do."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    log.error("provider.bug provider=%s error=%s at %s:%s", name, type(error).__name__, place.filename, place.lineno)
