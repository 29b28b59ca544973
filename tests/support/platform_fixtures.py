"""What a test of a platform is given: the stand-in with its people, the platform that talks to it, and who takes what comes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from bot.model import Target
from bot.platforms.base import Platform
from tests.support.platforms import WORLDS, World
from tests.support.seam import Inbox, running


@pytest.fixture(params=sorted(WORLDS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    """A platform's stand-in with its people; once for every platform."""
    async with WORLDS[request.param]() as world:
        yield world


@pytest.fixture
async def platform(world: World) -> AsyncIterator[Platform]:
    """The platform of that world, open until the test ends."""
    platform = world.make()
    await platform.open()
    yield platform
    await platform.aclose()


@pytest.fixture
def inbox() -> Inbox:
    """Takes every event at once."""
    return Inbox()


@pytest.fixture(params=["private", "group"])
async def where(request: pytest.FixtureRequest, world: World, platform: Platform, inbox: Inbox) -> Target:
    """Both kinds of chat, in which somebody has spoken before: a bot can't begin a private chat everywhere."""
    where = world.private if request.param == "private" else world.group
    async with running(platform, inbox):
        await world.say(where, "good morning")
        await inbox.one()
    inbox.taken.clear()  # its key is remembered: a platform may deliver again what it was not told of in time
    return where
