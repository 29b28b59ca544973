"""One bench per provider adapter: its stand-in, and how to make it speak. `tests/contract/test_provider_contract.py` runs over all of them.

A further adapter adds a `Bench` subclass in a module of its own below tests/support and one line to `BENCHES`, as "module:class".
"""

from __future__ import annotations

import asyncio
import importlib
from abc import ABC, abstractmethod
from collections.abc import Awaitable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, Literal

import aiohttp
import pytest
from aiohttp import web

from adapters.base import ChatRequest, Message, Provider, ProviderError, Submitted, TextPart
from adapters.http import Budgets
from sandbox.faults import Fault
from sandbox.server import Server

KEY = "canary-key-5f2c9a71e0"
"""The key the stand-ins take. It must never be seen in an event or an error."""

PROMPT = "canary prompt about forty silver spoons"
"""What is asked. It must never be seen in an error."""

BENCHES: dict[str, str] = {
    "openai": "tests.support.openai_tapes:OpenAIBench",
    "netmind": "tests.support.provider_benches:NetmindBench",
    "segmind": "tests.support.provider_benches:SegmindBench",
    "segmind v2": "tests.support.provider_benches:SegmindJobsBench",
    "modelslab": "tests.support.provider_benches:ModelsLabBench",
}


class Bench(ABC):
    """A stand-in and the provider that talks to it.

    Attributes:
        server: Started and stopped by the suite.
        model: A model the stand-in knows.
        streaming: The provider yields text in pieces.
        heard: Where it streams: what follows the first piece of text is held back until this is set.
    """

    server: Server
    model: str
    streaming: bool = True
    heard: asyncio.Event | None = None

    @abstractmethod
    def provider(
        self, session: aiohttp.ClientSession, *, url: str | None = None, key: str = KEY, budgets: Budgets | None = None
    ) -> Provider:
        """Make the provider. `url` replaces the stand-in's address: scheme, host and port without a path; `budgets`, its own of time."""

    @abstractmethod
    def say(self, text: str) -> None:
        """Let the stand-in answer everything with this text from now on; "" for an empty answer."""


def bench(name: str) -> Bench:
    """Make the bench of that name, its server not yet started."""
    module, _, attribute = BENCHES[name].partition(":")
    made = getattr(importlib.import_module(module), attribute)()
    assert isinstance(made, Bench)
    return made


def request(model: str, text: str = PROMPT, **more: object) -> ChatRequest:
    """Make a request with one user message."""
    return ChatRequest(model=model, messages=(said("user", text),), **more)  # type: ignore[arg-type]  # a test's own keywords


def said(role: Literal["user", "assistant"], text: str) -> Message:
    """A message of one text."""
    return Message(role, (TextPart(text),))


def talk(*texts: str) -> tuple[Message, ...]:
    """A conversation that the user begins and in which the two take turns."""
    return tuple(said("assistant" if number % 2 else "user", text) for number, text in enumerate(texts))


async def events(provider: Provider, request: ChatRequest) -> list[Any]:
    """All that a provider says to a request."""
    return [event async for event in provider.stream(request)]


async def refusal(call: Awaitable[object], *secrets: str) -> ProviderError:
    """The error that a call ends with; it tells neither the key nor what was asked, nor any of the `secrets`."""
    with pytest.raises(ProviderError) as caught:
        await call
    error = caught.value
    shown = f"{error!r} {error} {error.detail} {error.__cause__!r} {error.args}"
    for secret in (KEY, PROMPT, *secrets):
        assert secret not in shown
    return error


async def failure(provider: Provider, request: ChatRequest, *secrets: str) -> ProviderError:
    """The `refusal` that a request ends with."""
    return await refusal(events(provider, request), *secrets)


async def submitted(provider: Provider, request: ChatRequest) -> str:
    """Ask, and crash as soon as the handle is there."""
    async with aclosing(provider.stream(request)) as stream:
        async for event in stream:
            if isinstance(event, Submitted):
                return event.handle
    raise AssertionError("nothing was queued")


@dataclass(slots=True)
class Hang(Fault):
    """A call that is never answered, and tells when the client has hung up."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    left: asyncio.Event = field(default_factory=asyncio.Event)

    async def before(self, request: web.Request) -> web.StreamResponse | None:
        self.reached.set()
        try:
            await asyncio.sleep(3600)
        finally:
            self.left.set()
        return None
