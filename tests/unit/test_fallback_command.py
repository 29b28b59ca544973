"""/fallback: each conversation says for itself who is asked where the chosen provider does not answer; /status tells who and who rests."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.base import Billed, ErrorKind, ProviderError, Scope
from bot.model import ChatAddress
from bot.preferences import Defaults
from tests.support.core import World
from tests.support.scripted import ScriptedProvider

REFUSED = ProviderError(ErrorKind.AUTH, billed=Billed.NO, scope=Scope.ACCOUNT)


@pytest.fixture
def world(tmp_path: Path) -> World:
    providers = {name: ScriptedProvider(name, name.title(), account=name) for name in ("alpha", "beta", "gamma")}
    return World(tmp_path, providers=providers)


def asked(world: World) -> list[str]:
    return [name for name, provider in world.providers.items() if provider.requests]


async def test_those_named_are_asked_in_their_order(world: World) -> None:
    async with world.running():
        said = await world.order("fallback", names="gamma, beta")
        assert "Gamma, then Beta are asked, from the next question on" in said
        world.alpha.will(REFUSED)
        world.providers["gamma"].will(REFUSED)
        assert (await world.ask("hello")).startswith("heard: hello")
        assert asked(world) == ["alpha", "beta", "gamma"]
        assert "Beta answered, with small: Alpha refused this bot's key." in world.texts()[-1]


async def test_it_holds_for_its_conversation_after_a_restart_too_and_the_operators_for_the_others(world: World) -> None:
    world.defaults = Defaults("alpha", fallback=("beta",))
    async with world.running():
        await world.order("fallback", names="gamma")
    async with world.running() as core:
        here = await core.store.conversation_of(ChatAddress("memory", "bot", "1"))
        there = await core.store.conversation_of(ChatAddress("memory", "bot", "2"))
        chains = [
            [choice.provider for choice in await core.preferences.chain(one, ChatAddress("memory", "bot", "1"))] for one in (here, there)
        ]
    assert chains == [["alpha", "gamma"], ["alpha", "beta"]]


async def test_off_leaves_nobody_and_default_is_the_operators(world: World) -> None:
    world.defaults = Defaults("alpha", fallback=("beta",))
    async with world.running():
        assert "Beta is asked." in await world.order("fallback")
        assert "Nobody else is asked" in await world.order("fallback", names="off")
        world.alpha.will(REFUSED)
        assert "refused this bot's key" in await world.ask("hello")
        assert asked(world) == ["alpha"]
        assert "Beta is asked, from the next question on" in await world.order("fallback", names="Default")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("beta gama", "There is no provider gama. Did you mean gamma?"),
        ("zzz", "There are: alpha, beta, gamma."),
        ("off beta", "There is no provider off."),
    ],
)
async def test_a_name_that_there_is_not_is_told_with_the_nearest_and_changes_nothing(world: World, names: str, words: str) -> None:
    async with world.running():
        await world.order("fallback", names="gamma")
        assert words in await world.order("fallback", names=names)
        assert "Gamma is asked." in await world.order("fallback")


async def test_the_chosen_one_and_a_name_said_twice_stand_in_the_chain_once(world: World) -> None:
    async with world.running():
        assert "Beta is asked," in await world.order("fallback", names="BETA beta alpha")
        await world.order("provider", name="beta")
        assert "Alpha is asked." in await world.order("fallback")


async def test_that_the_chosen_provider_was_named_is_said(world: World) -> None:
    async with world.running():
        said = await world.order("fallback", names="alpha")
        assert said.startswith("Alpha is the chosen provider already: it is asked first here (/provider). Nobody else is asked")
        said = await world.order("fallback", names="alpha gamma")
        assert "Alpha is the chosen provider already" in said
        assert "Gamma is asked, from the next question on" in said
        assert "already" not in await world.order("fallback", names="gamma")
        assert "Nobody else is asked where the chosen provider" in await world.order("fallback", names="reset")
        assert "already" not in await world.order("fallback", names="off")


async def test_to_name_the_chosen_provider_alone_leaves_the_chain_as_it_was(world: World) -> None:
    async with world.running():
        await world.order("fallback", names="gamma beta")
        said = await world.order("fallback", names="alpha")
        assert said.startswith("Alpha is the chosen provider already: it is asked first here (/provider).")
        assert "Gamma, then Beta are asked, as before: nothing was changed." in said
        said = await world.order("fallback", names="alpha, beta")
        assert "Beta is asked, from the next question on" in said


async def test_status_tells_the_chain_and_who_is_left_alone_for_how_long_and_why(world: World) -> None:
    async with world.running():
        assert "nobody else is asked" in await world.order("status")
        await world.order("fallback", names="gamma beta")
        said = await world.order("status")
        assert "If it does not answer: Gamma, then Beta" in said
        assert "asked last" not in said
        world.alpha.will(REFUSED)
        await world.ask("hello")
        assert "Alpha refused this bot's key: it is asked last for 15 minutes" in await world.order("status")


CLOSED = ProviderError(ErrorKind.AUTH, "must be verified", billed=Billed.NO, scope=Scope.MODEL)
MISPLACED = ProviderError(ErrorKind.BAD_REQUEST, "redirects", billed=Billed.NO, scope=Scope.PROVIDER)


async def test_a_model_that_is_not_open_to_the_key_is_told_so_wherever_it_is_told(world: World) -> None:
    async with world.running():
        world.alpha.will(CLOSED)
        assert "does not let this bot's key or account use small" in await world.ask("hello")
        assert "A question failed lately: Alpha has no such model for this bot. Choose another with /model." in await world.order("status")
        await world.order("fallback", names="beta")
        assert "Beta answered, with small: Alpha has no such model for this bot." in await world.ask("hello")
        assert "Alpha has no such model for this bot: it is asked last for 60 minutes" in await world.order("status")


async def test_where_nobody_else_is_asked_status_says_what_went_wrong_and_what_helps(world: World) -> None:
    async with world.running():
        world.alpha.will(MISPLACED)
        await world.ask("hello")
        said = await world.order("status")
        assert "takes no questions: it seems to be a wrong one. The operator has to check it." in said
        assert "did not answer:" not in said
        assert "asked last" not in said
        await world.order("fallback", names="beta")
        said = await world.order("status")
        assert "it seems to be a wrong one. The operator has to check it; it is asked last for 15 minutes" in said


@pytest.mark.parametrize(
    ("why", "words"),
    [
        (ErrorKind.AUTH, "Alpha refused this bot's key. The operator has to check it."),
        (ErrorKind.QUOTA, "Alpha has no credits left. The operator must add some."),
    ],
)
async def test_what_somebody_has_to_mend_is_told_with_who(world: World, why: ErrorKind, words: str) -> None:
    async with world.running():
        world.alpha.will(ProviderError(why, billed=Billed.NO, scope=Scope.ACCOUNT))
        await world.ask("hello")
        assert f"A question failed lately: {words}" in await world.order("status")


async def test_completions_go_on_behind_what_is_typed(world: World) -> None:
    async with world.running() as core:
        chat = ChatAddress("memory", "bot", "1")
        assert await core.dispatcher.complete(chat, None, "fallback", "names", "") == ["alpha", "beta", "gamma", "default", "off"]
        assert await core.dispatcher.complete(chat, None, "fallback", "names", "beta ga") == ["beta gamma"]
