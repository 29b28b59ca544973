"""What a test of a provider or of a stand-in is given: ways to call it, and what it says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest

from adapters.http import open_session
from sandbox.providers import ScriptedVoice
from tests.support.clock import LoopTime


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    """The session the providers share in the bridge."""
    async with open_session() as opened:
        yield opened


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that has nothing of the bridge."""
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def loop_time(monkeypatch: pytest.MonkeyPatch) -> LoopTime:
    """The time by which the test's event loop keeps all its time-outs."""
    return LoopTime(monkeypatch)


@pytest.fixture
def voice() -> ScriptedVoice:
    """What a provider's stand-in answers: by itself ``MODEL heard: QUESTION``."""
    return ScriptedVoice()


@pytest.fixture
def slept() -> list[float]:
    """How long somebody would have slept each time, in seconds."""
    return []


@pytest.fixture
def sleep(slept: list[float]) -> Callable[[float], Awaitable[None]]:
    """Notes how long it should sleep, and does not."""

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    return sleep
