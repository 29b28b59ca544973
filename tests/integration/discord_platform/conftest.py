"""The Discord stand-in and the platform that talks to it."""

import pytest

from sandbox.discord import DiscordSandbox
from tests.support.discord_platform import make, patient_discord
from tests.support.seam import Menu, running


@pytest.fixture
async def sandbox():
    with patient_discord():
        async with DiscordSandbox() as sandbox:
            yield sandbox


@pytest.fixture
def menu():
    return Menu()


@pytest.fixture
async def platform(sandbox, menu):
    platform = make(sandbox, menu)
    await platform.open()
    yield platform
    await platform.aclose()


@pytest.fixture
async def live(platform, inbox):
    async with running(platform, inbox):
        yield platform
