"""A provider that says what a test wrote down."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from pydantic import Field

from adapters.base import (
    Alternatives,
    Capabilities,
    ChatRequest,
    Event,
    Finished,
    Health,
    ModelInfo,
    Parameters,
    Progress,
    ProviderError,
    ReasoningDelta,
    Started,
    Submitted,
    TextDelta,
    Usage,
)


class Knobs(Parameters):
    """One parameter of each kind of value."""

    temperature: float | None = Field(None, ge=0, le=2, description="Randomness.")
    max_tokens: int | None = Field(None, ge=1, le=4096, description="Most tokens.")
    stream: bool | None = Field(None, description="In pieces or at once.")
    stop: list[str] | None = Field(None, max_length=2, description="Where the answer stops.")
    bias: dict[str, float] | None = Field(None, description="Likelier and less likely tokens.")
    endpoint: Literal["chat", "completion"] | None = Field(None, description="Which way to ask.")
    penalty: float = Field(1.5, gt=0, lt=3, description="Has a default of ours.")


Step: TypeAlias = Event | Exception | asyncio.Event | Callable[[], object]
"""What a stream does next: yield, raise, wait for the test, or call back."""
EVENTS = (Started, Submitted, Progress, TextDelta, ReasoningDelta, Alternatives, Usage, Finished)


@dataclass
class ScriptedProvider:
    """Answers each request by the next script; without one it repeats the question.

    Attributes:
        memory: The state that the n-th answer carries is ``{memory}n``; None for a provider without memory.
        capable_of: What single models can do where it is not `capable`.
        requests: What it was asked.
        closed: How many streams were ended before their end.
    """

    name: str = "alpha"
    title: str = "Alpha AI"
    account: str = "account"
    parameters: type[Parameters] = Knobs
    default_model: str = "small"
    lists_all_models: bool = True
    fetches_models: bool = True
    tells_credits: bool = True
    memory: str | None = None
    names: tuple[str, ...] = ("small", "large")
    capable: Capabilities = field(default_factory=Capabilities)
    capable_of: dict[str, Capabilities] = field(default_factory=dict)
    health: Health | ProviderError = field(default_factory=Health)
    list_error: ProviderError | None = None
    listings: int = 0
    requests: list[ChatRequest] = field(default_factory=list)
    scripts: deque[tuple[Step, ...]] = field(default_factory=deque)
    closed: int = 0

    def will(self, *steps: Step) -> None:
        """Answer the next request that has no script yet by `steps`."""
        self.scripts.append(steps)

    def will_say(self, text: str) -> None:
        self.will(TextDelta(text), self.end())

    def end(self) -> Finished:
        return Finished(state=None)

    @property
    def asked(self) -> list[str]:
        """The last message of every request."""
        return [request.messages[-1].text for request in self.requests]

    async def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        self.requests.append(request)
        state = f"{self.memory}{len(self.requests)}" if self.memory else None
        steps = self.scripts.popleft() if self.scripts else (TextDelta(f"heard: {request.messages[-1].text}"), Finished(state=state))
        whole = False
        try:
            for step in steps:
                if isinstance(step, asyncio.Event):
                    await step.wait()
                elif isinstance(step, Exception):
                    whole = True
                    raise step
                elif isinstance(step, EVENTS):
                    whole = isinstance(step, Finished)
                    yield step
                else:
                    assert callable(step)
                    result = step()
                    if isinstance(result, Awaitable):
                        await result
            whole = True
        finally:
            self.closed += not whole

    async def models(self) -> tuple[ModelInfo, ...]:
        self.listings += 1
        if self.list_error is not None:
            raise self.list_error
        return tuple(ModelInfo(name) for name in self.names)

    async def check(self) -> Health:
        if isinstance(self.health, ProviderError):
            raise self.health
        return self.health

    def capabilities(self, model: str) -> Capabilities:
        capable = self.capable_of.get(model, self.capable)
        return replace(capable, server_memory=True) if self.memory else capable

    async def aclose(self) -> None:
        pass
