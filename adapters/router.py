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
from adapters.cooldowns import MOST_PLACES, Cooldowns

log = logging.getLogger(__name__)

RETRIES = 2
"""A request is repeated at most so often, and only where nobody else is left to ask."""

BACKOFF_S = 0.5
"""Mean wait before the first repeat; doubles with each. Spread over 0.5 to 1.5 times that, so that many chats don't come back at once."""

PATIENCE_S = 20.0
"""A provider that asks for a longer wait is not asked again: a person is waiting."""

REPEAT_WITHIN_S = 30.0
"""No repeat begins later than this after the first asking: as long as a first text may take (`adapters.http.Budgets.first`)."""

NAME_CHARS = 100
"""So much of a model's name is logged."""

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
    ErrorKind.NOT_SERVED,
    ErrorKind.FORBIDDEN,
    ErrorKind.QUOTA,
    ErrorKind.MODEL_NOT_FOUND,
    ErrorKind.STATE_LOST,
    ErrorKind.PROTOCOL,
}
"""Another provider may answer what failed so. Not what the question itself is to blame for."""


Shorter: TypeAlias = Callable[[ChatRequest], ChatRequest | None]


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody who may answer.

    Attributes:
        provider: Name.
        model: The provider's own model id.
        request: Makes the request, when this one's turn has come.
        afresh: If the job that the request is to collect is gone, the question may be asked anew, although that one may have been billed.
        shorter: Makes a request that is too long for the model shorter, once; None: it can't be made shorter.
        lost: Makes the request anew where its job is gone: hours may lie between; None: the same is asked afresh.
    """

    provider: str
    model: str
    request: Callable[[], Awaitable[ChatRequest]]
    afresh: bool = True
    shorter: Shorter | None = None
    lost: Callable[[], Awaitable[ChatRequest]] | None = None


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
        self._others: set[tuple[str, str, str]] = set()

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
        Who says that the question waits longer than `PATIENCE_S` before it is asked comes after the others, too.
        State or a job that the provider has lost is left away, once; what is too long for the model is made shorter, once. Of each one the
        seam's promises hold: at most one `Started`, exactly one end, no end without text.

        Raises:
            ProviderError: The answer could not be had, or not whole. Where all failed, the error is the first candidate's, and may have
                been billed if any of theirs may.
        """
        waiting = list(range(len(candidates)))
        errors: dict[int, ProviderError] = {}
        passed: dict[int, ErrorKind] = {}
        patient: set[int] = set()
        while waiting:
            place, cooling = self._next(candidates, waiting)
            waiting.remove(place)
            alone = all(other in cooling for other in waiting)
            passed.update({other: kind for other, kind in cooling.items() if other not in passed})
            passed.pop(place, None)
            billed = any(error.billed is not Billed.NO for error in errors.values())
            yield Asked(place, dict(passed), billed)
            candidate, text = candidates[place], False
            hurried = not alone and place not in patient
            try:
                async with aclosing(self._visit(candidate, alone=alone)) as events:
                    async for event in events:
                        if hurried:
                            hurried = _waits(event)
                        text = text or isinstance(event, TextDelta)
                        yield Asked(place, dict(passed), billed or event.billed) if isinstance(event, _Anew) else event
                return
            except ProviderError as error:
                error.provider = candidate.provider
                gone = error.kind is ErrorKind.STATE_LOST and not candidate.afresh
                if text or gone or not (error.kind in _ELSEWHERE or error.scope is Scope.PROVIDER or _may_be_repeated(error)):
                    raise
                errors[place], passed[place] = error, error.told_as
                if isinstance(error, _QueuedError):  # it was not asked yet: where nobody else answers, it is, however long that takes
                    patient.add(place)
                    waiting.append(place)
                if waiting:
                    log.warning("provider.passed provider=%s model=%s: %s", candidate.provider, candidate.model, error)
        first = errors[min(errors)]
        if first.billed is Billed.NO and any(error.billed is not Billed.NO for error in errors.values()):
            raise first.possibly_billed() from first
        raise first

    def cooling(self, provider: str, model: str) -> tuple[float, ErrorKind] | None:
        """Return for how many seconds more a model is asked last, and what for; None: it is not.

        0.0: Its pause is over, and one question is trying it out.
        """
        known = self._providers.get(provider)
        end, kind = (0.0, None) if known is None else self._cooldowns.state(known, model)
        return None if kind is None else (max(0.0, end - self._now()), kind)

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
        """Ask one candidate, again where that costs nothing and shows nothing twice, and learn from it for the next question."""
        asked = self._asked(candidate)
        # Before anything is awaited: others choose meanwhile, and only one question tries out what has failed.
        visit = self._cooldowns.visit(asked, candidate.model)
        try:
            asking = _Asking(asked, await candidate.request(), lambda: self._cooldowns.good(visit))
            latest = self._now() + REPEAT_WITHIN_S
            while True:
                async with asking:
                    async for event in asking.events:
                        if (given := asking.given(event)) is not None:
                            yield given
                        elif asking.finished is not None:
                            break
                self._heard_from(asking)
                if asking.error is None:
                    break
                if asking.without_state(afresh=candidate.afresh) or asking.shortened(candidate.shorter):
                    yield _Anew(asking.error.billed is not Billed.NO)  # first: what was asked may cost something, also if the next is not
                    await asking.job_replaced(candidate.lost)
                elif asking.pictures_refused():  # it has learned that by now, and the request is made anew without them
                    asking.request = await candidate.request()
                else:
                    await self._pause(asking, asking.error, repeats=RETRIES if alone else 0, latest=latest)
            if asking.finished is not None:
                yield asking.finished
        except ProviderError as error:
            self._cooldowns.failed(visit, error)
            raise
        finally:
            self._cooldowns.left(visit)

    def _heard_from(self, asking: _Asking) -> None:
        """Log, once, that a model answered under another name: it may be another one, in the place of one that was withdrawn."""
        asked, answered = asking.request.model, (asking.model or "")[:NAME_CHARS]
        who = asking.name, asked, answered
        if answered not in {"", asked} and who not in self._others and len(self._others) < MOST_PLACES:
            self._others.add(who)
            log.info("provider.other_model provider=%s asked=%r answered=%r", *who)

    def _asked(self, candidate: Candidate) -> Provider:
        asked = self._providers.get(candidate.provider)
        if asked is None:
            raise ProviderError(ErrorKind.BAD_REQUEST, f"no provider {candidate.provider!r} is set up", billed=Billed.NO)
        return asked

    async def _pause(self, asking: _Asking, error: ProviderError, *, repeats: int, latest: float) -> None:
        """Wait before a provider is asked once more.

        Raises:
            ProviderError: It is not.
        """
        asking.failures += 1
        wait = None if asking.shown or asking.failures > repeats else self._wait(error, asking.failures)
        if wait is None or self._now() + wait > latest:
            raise error
        log.info("provider.retry provider=%s kind=%s attempt=%d wait=%.2f", asking.name, error.kind, asking.failures + 1, wait)
        await self._sleep(wait)

    def _wait(self, error: ProviderError, failures: int) -> float | None:
        """Return the seconds until the next attempt, None if there is none."""
        if not _may_be_repeated(error):
            return None
        backoff = BACKOFF_S * (1 << (failures - 1)) * (0.5 + self._chance())
        if error.retry_after is None:
            return backoff
        return None if error.retry_after > PATIENCE_S else max(backoff, error.retry_after + BACKOFF_S * self._chance())


def _may_be_repeated(error: ProviderError) -> bool:
    """Whether a failure cost nothing and is one that passes, by its kind, or as the provider itself says, which knows better."""
    passing = error.kind in _TRANSIENT if error.should_retry is None else error.should_retry
    return error.billed is Billed.NO and passing


class _QueuedError(ProviderError):
    """A question was not asked yet, because that would take longer than a person's patience."""


def _waits(event: Event | _Anew) -> bool:
    """Tell whether a question is still to be asked.

    Raises:
        _QueuedError: That takes too long.
    """
    if not isinstance(event, Progress) or event.kind != "queued":
        return False
    if event.eta is not None and event.eta > PATIENCE_S:
        raise _QueuedError(ErrorKind.RATE_LIMIT, "the account has no room for so long", retry_after=event.eta, billed=Billed.NO)
    return True


class _Asking:
    """Asks one provider, several times if need be, and holds each answer to the seam's promises, event by event.

    One object for all of that, and no generator for each part: every token passes here. Used as `async with`, once for each asking.

    Args:
        provider: Is asked.
        request: What it is asked.
        good: Called with the first sign that it answers.

    Attributes:
        events: What it says.
        finished: The good end, to be given out when its stream is closed.
        error: Why the last answer was none.
        shown: Something was given out that can't be taken back.
        failures: How often it failed so that it could be asked just so again.
        model: Who answers, as the provider names it; None: it does not.
    """

    def __init__(self, provider: Provider, request: ChatRequest, good: Callable[[], None]) -> None:
        self.events: AsyncGenerator[Event, None]
        self.finished: Finished | None = None
        self.model: str | None = None
        self.error: ProviderError | None = None
        self.shown = False
        self.failures = 0
        self.name = provider.name
        self.request = request
        self._provider = provider
        self._no_pictures = self._cut = self._job_lost = False
        self._good = good
        self._known = self._started = self._visible = False
        self._blank: list[str] = []

    async def __aenter__(self) -> None:
        self.finished = self.error = None
        self._visible, self._blank = False, []
        self.events = self._provider.stream(self.request)

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> bool:
        try:
            await self.events.aclose()
        except Exception as closing:  # noqa: BLE001 - an adapter's bug, see below
            if error is None or isinstance(error, Exception):  # who stops is not asked to wait for another attempt
                error = closing
            else:
                _report(self.name, closing)
        if error is not None and not isinstance(error, Exception):
            return False
        if error is None:
            self.error = self._broken_promise()
        elif isinstance(error, ProviderError):
            self.error = error
        else:  # an adapter's bug ends this turn with a sentence, and no other turn
            _report(self.name, error)
            self.error = ProviderError(ErrorKind.PROTOCOL, f"the adapter failed: {type(error).__name__}", in_stream=self._visible)
        return True

    def given(self, event: Event) -> Event | None:
        """Take note of an event, and return what is given out of it; None: nothing.

        Blanks that an answer begins with wait for its first word: until then nothing of it can be seen, and somebody else may be asked.
        """
        if isinstance(event, TextDelta):
            if not self._visible:
                if not event.text or event.text.isspace():
                    self._blank.append(event.text)
                    return None
                self._visible = True
                event = TextDelta("".join([*self._blank, event.text]))
            elif not event.text:
                return None
        elif isinstance(event, Finished):
            self.finished = event
            return None
        elif isinstance(event, Started):
            self.model = event.model
            first, self._started = not self._started, True
            return event if first else None
        elif isinstance(event, Progress):
            return event
        self.shown = True
        if not self._known and isinstance(event, TextDelta | ReasoningDelta):
            self._known = True
            self._good()
        return event

    def without_state(self, *, afresh: bool) -> bool:
        """Leave away what the provider has lost, if that was it and nothing was shown: it is asked once more then."""
        request, error = self.request, self.error
        kept = (request.state is not None and request.resume is None) or (request.resume is not None and afresh)
        if error is None or error.kind is not ErrorKind.STATE_LOST or not kept or self.shown:
            return False
        log.info("provider.state_lost provider=%s job=%s", self.name, request.resume is not None)
        self.request, self._job_lost = replace(request, state=None, resume=None), request.resume is not None
        return True

    async def job_replaced(self, lost: Callable[[], Awaitable[ChatRequest]] | None) -> None:
        """Make the request anew where its job is gone (see `Candidate.lost`)."""
        if self._job_lost and lost is not None:
            self._job_lost = False
            self.request = replace(await lost(), state=None, resume=None)

    def shortened(self, shorter: Shorter | None) -> bool:
        """Make the request shorter, once, if it was too long for the model and nothing was shown."""
        error = self.error
        if self._cut or shorter is None or error is None or error.kind is not ErrorKind.CONTEXT_OVERFLOW or self.shown:
            return False
        cut = shorter(self.request)
        if cut is None:
            return False
        log.info("provider.too_long provider=%s messages=%d kept=%d", self.name, len(self.request.messages), len(cut.messages))
        self._cut, self.request = True, cut
        return True

    def pictures_refused(self) -> bool:
        """Tell, once, whether it was asked with pictures and takes none."""
        error = self.error
        if self._no_pictures or error is None or error.kind is not ErrorKind.NO_PICTURES or error.billed is not Billed.NO or self.shown:
            return False
        self._no_pictures = True
        log.info("provider.no_pictures provider=%s model=%s", self.name, self.request.model)
        return True

    def _broken_promise(self) -> ProviderError | None:
        if self.finished is None:
            return ProviderError(ErrorKind.PROTOCOL, "the answer ended without an end", in_stream=self._visible)
        return None if self._visible else ProviderError(ErrorKind.EMPTY, "no text")


def _report(name: str, error: Exception) -> None:
    """Log a bug by its type and place only: its message may quote the prompt, as pydantic's do."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    log.error("provider.bug provider=%s error=%s at %s:%s", name, type(error).__name__, place.filename, place.lineno)
