"""The stand-in for Discord with a time that stands still, and a plain client of it."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from sandbox.discord import DiscordSandbox
from tests.support.clock import Epoch
from tests.support.discord_sandbox import Client


@pytest.fixture
def clock() -> Epoch:
    return Epoch()


@pytest.fixture
async def sandbox(clock: Epoch) -> AsyncIterator[DiscordSandbox]:
    async with DiscordSandbox(now=clock) as server:
        yield server


@pytest.fixture
async def client(sandbox: DiscordSandbox) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(sandbox, session)
