"""A question that its model refuses as too long is asked once more, shorter: what is left away with the older half, and what not."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.base import Billed, ErrorKind, Finished, ProviderError, TextDelta
from bot import texts
from bot.preferences import Defaults
from bot.transcript import estimated
from tests.support.core import World
from tests.support.scripted import ScriptedProvider


def too_long() -> ProviderError:
    return ProviderError(ErrorKind.CONTEXT_OVERFLOW, "told so", billed=Billed.NO)


@pytest.fixture
def world(tmp_path: Path) -> World:
    providers = {"alpha": ScriptedProvider(memory="chat"), "beta": ScriptedProvider("beta", "Beta")}
    return World(tmp_path, providers, defaults=Defaults("alpha", fallback=("beta",)))


async def test_the_providers_own_memory_is_left_away_too(world: World) -> None:
    async with world.running():
        await world.ask("one " * 200)
        world.alpha.will(too_long())
        assert texts.TRIMMED.strip("*") in await world.ask("two")
        assert [request.state for request in world.alpha.requests] == [None, "chat1", None]


async def test_what_is_not_reported_is_estimated_by_what_was_sent_in_the_end(world: World) -> None:
    async with world.running():
        await world.ask("one " * 200)
        world.alpha.will(too_long())
        world.alpha.will(TextDelta("yes"), Finished())
        await world.ask("two")
        sent = estimated(world.alpha.requests[-1].messages, None)
        assert sent < estimated(world.alpha.requests[-2].messages, None)
        assert world.rows("SELECT input_tokens FROM usage ORDER BY turn DESC LIMIT 1") == [(sent,)]


async def test_who_answers_in_its_place_hears_all_of_it_and_is_not_said_to_have_heard_less(world: World) -> None:
    async with world.running():
        await world.ask("one " * 200)
        world.alpha.will(too_long())
        world.alpha.will(ProviderError(ErrorKind.SERVER, "told so", billed=Billed.NO))
        world.providers["beta"].will(TextDelta("yes"), Finished())
        said = await world.ask("two")
        assert said.startswith("yes")
        assert texts.TRIMMED.strip("*") not in said
        assert len(world.providers["beta"].requests[-1].messages) == 3
