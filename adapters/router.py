"""From a provider's name to its answer: repeats what may be repeated, and holds every provider to the seam's promises."""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from dataclasses import replace

from adapters.base import (
    Billed,
    ChatRequest,
    ErrorKind,
    Event,
    Finished,
    Progress,
    Provider,
    ProviderError,
    Started,
    TextDelta,
)

log = logging.getLogger(__name__)

RETRIES = 2
"""A request is repeated at most so often."""

BACKOFF_S = 0.5
"""Mean wait before the first repeat; doubles with each. Spread over 0.5 to 1.5 times that, so that many chats don't come back at once."""

PATIENCE_S = 20.0
"""A provider that asks for a longer wait is not asked again: a person is waiting."""

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


class Router:
    """Asks providers by name.

    Args:
        providers: By name.
        sleep: Waits seconds.
        chance: Gives a number in [0, 1).
    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._providers = providers
        self._sleep = sleep
        self._chance = chance

    async def stream(self, provider: str, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask `provider`, and yield events as they arrive.

        A failed request is repeated, at most twice, where it cost nothing and nothing of it was given out. State that the provider has lost
        is left away, once. For any provider the seam's promises hold here: at most one `Started`, exactly one end, no end without text.

        Raises:
            ProviderError: The answer could not be had, or not whole.
        """
        asked = self._providers.get(provider)
        if asked is None:
            raise ProviderError(ErrorKind.BAD_REQUEST, f"no provider {provider!r} is set up", billed=Billed.NO)
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
                if error.kind is ErrorKind.STATE_LOST and request.state is not None and not shown:
                    request = replace(request, state=None)
                    continue
                failures += 1
                wait = None if shown else self._wait(error, failures)
                if wait is None:
                    raise
                log.info("provider.retry provider=%s kind=%s attempt=%d wait=%.2f", provider, error.kind, failures + 1, wait)
            await self._sleep(wait)

    def _wait(self, error: ProviderError, failures: int) -> float | None:
        """Return the seconds until the next attempt, None if there is none."""
        if error.billed is not Billed.NO or error.kind not in _TRANSIENT or failures > RETRIES:
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
