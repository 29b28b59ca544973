"""A router over scripted providers, and what they can fail with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest

from adapters.base import Billed, ChatRequest, ErrorKind, ProviderError, Scope
from adapters.router import Candidate, ChainEvent, Router
from tests.support.clock import FakeClock
from tests.support.providers import request
from tests.support.scripted import ScriptedProvider, Step

FIRST_S = 30.0
"""How long a provider that stalls says nothing, in seconds."""

FREE, BILLED = Billed.NO, Billed.MAYBE


def refused(kind: ErrorKind, scope: Scope = Scope.ACCOUNT, **more: float) -> ProviderError:
    """An error that certainly cost nothing."""
    return ProviderError(kind, billed=FREE, scope=scope, **more)  # type: ignore[arg-type]


def broken(kind: ErrorKind, scope: Scope = Scope.PROVIDER) -> ProviderError:
    """An error that may have been billed."""
    return ProviderError(kind, billed=BILLED, scope=scope)


class Chain:
    """A router over scripted providers, on a clock of its own."""

    def __init__(self, *names: str) -> None:
        self.clock = FakeClock()
        self.providers = {name: ScriptedProvider(name, name.title()) for name in names or ("alpha", "beta")}
        self.router = Router(self.providers, sleep=self.clock.sleep, chance=lambda: 0.5, now=self.clock.now)
        self.began: dict[str, float] = {}
        self.asked: list[str] = []
        self.made: asyncio.Event | None = None  # no request is made before it is set

    def will(self, name: str, *steps: Step) -> None:
        self.providers[name].will(*steps)

    def stalling(self) -> Callable[[], object]:
        return lambda: self.clock.sleep(FIRST_S)

    def stream(self, *names: str) -> AsyncGenerator[ChainEvent, None]:
        async def made(name: str) -> ChatRequest:
            self.began.setdefault(name, self.clock.now())
            self.asked.append(name)
            if self.made is not None:
                await self.made.wait()
            return request("small")

        def candidate(name: str) -> Candidate:
            return Candidate(name, "small", lambda: made(name))

        return self.router.chain([candidate(name) for name in names or self.providers])

    async def run(self, *names: str, seconds: float = 200.0) -> list[ChainEvent]:
        """Ask, let time pass, and return the events; or raise the error."""

        async def collected() -> list[ChainEvent]:
            return [event async for event in self.stream(*names)]

        task = asyncio.create_task(collected())
        await self.clock.run(seconds)
        assert task.done()
        return task.result()

    async def fails(self, *names: str, seconds: float = 200.0) -> ProviderError:
        with pytest.raises(ProviderError) as caught:
            await self.run(*names, seconds=seconds)
        return caught.value

    async def asks(self, *names: str, seconds: float = 0.0) -> list[str]:
        """Ask, and return who was asked."""
        before = len(self.asked)
        await self.run(*names, seconds=seconds)
        return self.asked[before:]
