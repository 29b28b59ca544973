"""Every command, over a provider with a complete list (Alpha AI) and one with an open catalogue (Beta)."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from adapters.base import Billed, Capabilities, ErrorKind, Health, ProviderError, Scope
from bot import app
from bot.commands.base import Command, Option
from bot.commands.choosing import BUTTON_LABEL_CHARS, BUTTON_MODELS, LISTED_MODELS, MODEL_CHARS
from bot.commands.registry import COMMANDS
from bot.model import Button
from bot.preferences import PERSONA_CHARS, Defaults
from bot.settings import load
from tests.support.core import World, command_named, eventually
from tests.support.scripted import ScriptedProvider

LONG_MODEL = "organisation/" + "a-name-that-no-button-holds-" * 3 + "v2"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(
        tmp_path,
        {
            "alpha": ScriptedProvider(names=("small", "large", LONG_MODEL)),
            "beta": ScriptedProvider("beta", "Beta", default_model="b-one", names=("b-one", "b-two"), lists_all_models=False),
        },
    )
    async with world.running():
        yield world


async def buttons(world: World, name: str) -> list[Button]:
    run = command_named(name).run
    assert run is not None
    answer = await run(await world.context())
    assert answer is not None
    return [button for row in answer.buttons for button in row]


# ------------------------------------------------------------------------------------------------ declarations


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_names_and_descriptions_keep_within_both_platforms(command: Command) -> None:
    everything: list[Command | Option] = [command, *command.options]
    for named in everything:
        assert re.fullmatch(r"[a-z0-9_]{1,32}", named.name)
        assert 1 <= len(named.description) <= 100
    assert len(command.options) <= 25
    required = [option.required for option in command.options]
    assert required == sorted(required, reverse=True)  # Discord wants the required ones first
    assert (command.run is None) == command.asks


def test_every_command_is_there_once() -> None:
    names = [command.name for command in COMMANDS]
    assert len(set(names)) == len(names) <= 100
    assert set(names) == {
        "ask",
        "provider",
        "model",
        "models",
        "system",
        "settings",
        "reasoning",
        "other",
        "fallback",
        "reset",
        "stop",
        "retry",
        "continue",
        "keep",
        "forget",
        "help",
        "status",
        "usage",
    }


@pytest.mark.parametrize(
    ("name", "text", "bound"),
    [
        ("settings", "temperature 0.5", {"name": "temperature", "value": "0.5"}),
        ("settings", '  stop   ["a b", "c"] ', {"name": "stop", "value": '["a b", "c"]'}),
        ("settings", "temperature", {"name": "temperature"}),
        ("settings", "", {}),
        ("system", "You are\na pirate.", {"text": "You are\na pirate."}),
        ("help", "me", {}),
    ],
)
def test_words_behind_a_command_bind_to_its_options(name: str, text: str, bound: dict[str, str]) -> None:
    assert command_named(name).bind(text) == bound


async def test_help_names_every_command(world: World) -> None:
    said = await world.run("help")
    assert all(f"/{command.name}" in said and command.description in said for command in COMMANDS)


# ------------------------------------------------------------------------------------------------ /provider


@pytest.mark.parametrize("typed", ["beta", "BETA", "Beta"])
async def test_a_provider_is_chosen_by_its_name_or_title(world: World, typed: str) -> None:
    assert "**Beta** answers from now on, with the model `b-one`" in await world.run("provider", name=typed)
    assert (await (await world.context()).choice()).provider == "beta"


async def test_a_wrong_provider_gets_the_nearest_and_nothing_changes(world: World) -> None:
    assert "Did you mean `beta`?" in await world.run("provider", name="betta")
    assert "There are: `alpha`, `beta`." in await world.run("provider", name="zzz`\n**zzz**" + "z" * 500)
    assert len(await world.run("provider", name="z" * 5000)) < 250
    assert (await (await world.context()).choice()).provider == "alpha"


async def test_providers_are_offered_as_buttons_that_work(world: World) -> None:
    offered = await buttons(world, "provider")
    assert [(button.label, button.data) for button in offered] == [("✓ Alpha AI", "provider:alpha"), ("Beta", "provider:beta")]


# ------------------------------------------------------------------------------------------------ /model, /models


async def test_a_model_of_a_complete_list_is_chosen_and_a_wrong_one_gets_the_nearest(world: World) -> None:
    assert "**Alpha AI** answers with `large`" in await world.run("model", name="LARGE")
    said = await world.run("model", name="larg")
    assert said == "There is no Alpha AI model `larg`. Did you mean `large`?"
    assert (await (await world.context()).choice()).model == "large"


async def test_a_model_that_an_open_catalogue_does_not_list_is_taken_with_a_word_of_warning(world: World) -> None:
    await world.run("provider", name="beta")
    said = await world.run("model", name="b-three")
    assert "**Beta** answers with `b-three`" in said
    assert "not complete" in said
    assert "`b-one`" in said or "`b-two`" in said
    assert (await (await world.context()).choice()).model == "b-three"
    assert "not complete" not in await world.run("model", name="B-TWO")


@pytest.mark.parametrize("word", ["default", "Default", "“default”", "reset"])
async def test_model_default_goes_back_to_the_operators_model_and_says_which(tmp_path: Path, word: str) -> None:
    world = World(tmp_path)
    world.defaults = Defaults("alpha", "large")
    async with world.running():
        await world.order("model", name="small")
        said = await world.order("model", name=word)
        assert said == "Alpha AI answers with large from now on: the default, which holds where nobody chooses a model."
        await world.ask("one")
        assert world.alpha.requests[-1].model == "large"
        assert "goes back to the default" in await world.order("model")


@pytest.mark.parametrize("name", ["default", "small"])
async def test_a_model_that_was_not_there_lately_is_chosen_with_a_word_on_that(world: World, name: str) -> None:
    said = await world.order("model", name=name)
    assert "/fallback" not in said
    world.alpha.will(ProviderError(ErrorKind.MODEL_NOT_FOUND, billed=Billed.NO, scope=Scope.MODEL))
    assert await world.ask("hello") == "⚠️ Alpha AI has no model small. Choose another with /model."
    told = await world.order("model", name=name)
    assert told.startswith(said)
    assert "But Alpha AI had no such model for this bot when it was asked lately: for 60 minutes" in told
    assert "/fallback" not in await world.order("model", name="large")


async def test_model_default_works_with_an_open_catalogue_and_where_the_list_can_not_be_had(world: World) -> None:
    await world.order("provider", name="beta")
    await world.order("model", name="b-two")
    assert "answers with b-one from now on" in await world.order("model", name="default")
    await world.order("provider", name="alpha")
    world.alpha.list_error = ProviderError(ErrorKind.CONNECT)
    assert "answers with small from now on" in await world.order("model", name="default")


async def test_a_model_that_is_called_default_is_chosen_by_its_name(tmp_path: Path) -> None:
    world = World(tmp_path, {"alpha": ScriptedProvider(names=("small", "Default"))})
    async with world.running():
        await world.order("model", name="default")
        await world.ask("one")
        assert world.alpha.requests[-1].model == "Default"


async def test_one_model_that_is_like_a_wrong_name_is_told_as_one_and_several_as_several(world: World) -> None:
    await world.order("provider", name="beta")
    assert "; near it is b-two." in await world.order("model", name="b-tw")
    assert "; near it are b-one, b-two." in await world.order("model", name="b-")


@pytest.mark.parametrize("provider", ["alpha", "beta"])
@pytest.mark.parametrize("name", ["x" * (MODEL_CHARS + 1), "#0123456789abcdef"])
async def test_a_model_that_can_not_be_one_is_refused_by_both(world: World, provider: str, name: str) -> None:
    await world.run("provider", name=provider)
    before = (await (await world.context()).choice()).model
    said = await world.run("model", name=name)
    assert said.startswith("There is no")
    assert "/models lists all" in said
    assert len(said) < 300
    assert (await (await world.context()).choice()).model == before


async def test_the_button_of_a_long_model_id_chooses_that_model(world: World) -> None:
    offered = await buttons(world, "model")
    assert offered[0].label == "✓ small"
    assert all(len(button.data.encode()) <= 64 and len(button.label) <= BUTTON_LABEL_CHARS for button in offered)
    long = offered[-1]
    assert LONG_MODEL not in long.data
    await world.press(long.data)
    await world.until_said("from now on")
    assert (await (await world.context()).choice()).model == LONG_MODEL


async def test_of_many_models_some_are_offered_and_the_rest_is_listed(world: World) -> None:
    world.alpha.names = tuple(f"model-{number}" for number in range(100))
    assert len(await buttons(world, "model")) == BUTTON_MODELS
    assert f"{100 - BUTTON_MODELS} more" in await world.run("model")
    listed = await world.run("models")
    assert "100 models" in listed
    assert listed.count("`model-") == LISTED_MODELS
    assert f"and {100 - LISTED_MODELS} more" in listed


async def test_models_are_listed_by_a_word(world: World) -> None:
    said = await world.run("models", word="LAR")
    assert "For `lar`, **Alpha AI** has 1 model:" in said
    assert "`large`" in said
    assert "`small`" not in said
    assert "← chosen" in await world.run("models", word="small")
    assert "There is no Alpha AI model with `zzzz`. /models lists all" in await world.run("models", word="zzzz")


@pytest.mark.parametrize("name", ["model", "models"])
async def test_a_provider_that_lists_no_models_is_told_as_such(world: World, name: str) -> None:
    world.alpha.names = ()
    said = await world.run(name)
    assert "Alpha AI lists no models" in said
    assert "``" not in said
    assert "below" not in said
    assert "Alpha AI lists no models" in await world.run("models", word="llama")


@pytest.mark.parametrize("name", ["model", "models"])
async def test_a_list_that_can_not_be_had_is_told(world: World, name: str) -> None:
    world.alpha.list_error = ProviderError(ErrorKind.AUTH)
    assert "refused this bot's key" in await world.run(name)
    for kind in (ErrorKind.MODEL_NOT_FOUND, ErrorKind.BAD_REQUEST):  # nobody chose a model, or set anything, that the list could lack
        world.alpha.list_error = ProviderError(kind, "gone")
        assert "so its models can't be listed" in await world.run(name)


async def test_where_a_list_that_may_have_gaps_can_not_be_had_a_model_is_taken_by_its_name(world: World) -> None:
    await world.order("provider", name="beta")
    world.providers["beta"].list_error = ProviderError(ErrorKind.BAD_REQUEST, scope=Scope.PROVIDER)  # a server without a list
    said = await world.order("model", name="b-seven")
    assert said == "Beta answers with b-seven from now on. Beta's models can't be listed at the moment, so I could not look the name up."
    await world.ask("one")
    assert world.providers["beta"].requests[-1].model == "b-seven"
    for name in ("#0123456789abcdef", "b" * (MODEL_CHARS + 1)):
        assert "wrong address" in await world.order("model", name=name)
    missing = ProviderError(ErrorKind.BAD_REQUEST, status=404, scope=Scope.PROVIDER)  # as the adapter tells it: nothing is there
    world.providers["beta"].list_error = missing
    said = await world.order("models")
    assert "Some servers have none: then choose one by its name, with /model NAME." in said
    assert "its address is wrong" in said
    for status in (404, 405, 501):  # in these ways a server says that it has no list at all
        world.providers["beta"].list_error = ProviderError(ErrorKind.BAD_REQUEST, status=status, scope=Scope.PROVIDER)
        said = await world.order("model", name="b-eight")
        assert said.startswith("Beta answers with b-eight from now on. Beta has no list of models, so I could not look the name up")
        assert "at the moment" not in said
        assert "Some servers have none" in await world.order("model")
    await world.order("provider", name="alpha")
    world.alpha.list_error = ProviderError(ErrorKind.CONNECT)
    assert "can't be listed" in await world.order("model", name="a-seven")  # a complete list would have it, or not
    await world.ask("two")
    assert world.alpha.requests[-1].model == "small"


# ------------------------------------------------------------------------------------------------ /system, /settings


async def test_a_persona_is_shown_set_cleared_and_refused_if_too_long(world: World) -> None:
    assert "No persona is set" in await world.run("system")
    assert "persona is set" in await world.run("system", text="You are *a* pirate.")
    assert "You are \\*a\\* pirate." in await world.run("system")
    assert f"at most {PERSONA_CHARS}" in await world.run("system", text="x" * (PERSONA_CHARS + 1))
    assert "pirate" in await world.run("system")
    for word in ("default", "None", "off", "-"):
        await world.run("system", text="You are a pirate.")
        assert "back to the default" in await world.run("system", text=word)
        assert "No persona is set" in await world.run("system")


async def test_settings_are_shown_explained_set_refused_and_cleared(world: World) -> None:
    everything = await world.run("settings")
    assert all(f"**{name}**" in everything for name in world.alpha.parameters.model_fields)
    assert "at least 0, at most 2" in await world.run("settings", name="temperature")
    assert "`1.5` (default)" in await world.run("settings", name="penalty")
    assert "above 0, below 3" in await world.run("settings", name="penalty")
    assert "chat or completion" in await world.run("settings", name="endpoint")
    assert "true or false" in await world.run("settings", name="stream")
    assert "**temperature** is `0.5`" in await world.run("settings", name="Temperature", value="0.5")
    assert "**temperature** = `0.5`" in await world.run("settings")
    refused = await world.run("settings", name="temperature", value="7")
    assert "does not fit" in refused
    assert "at most 2" in refused
    assert "it must be less than or equal to 2." in refused
    assert "it is no number" in await world.run("settings", name="temperature", value="hot")
    for typed, written in (("0,5", "0.5"), (",7", ".7"), ("-1,25", "-1.25")):
        assert f"it is no number. Write it with a point: {written}." in await world.run("settings", name="temperature", value=typed)
    assert "point" not in await world.run("settings", name="temperature", value="1,2,3")
    assert "point" not in await world.run("settings", name="max_tokens", value="0,5")
    assert "it is neither true nor false" in await world.run("settings", name="stream", value="perhaps")
    assert "it is none of the choices" in await world.run("settings", name="endpoint", value="chatt")
    assert "Did you mean `temperature`?" in await world.run("settings", name="temperatur", value="1")
    assert "There are: `temperature`" in await world.run("settings", name="z" * 3000, value="1")
    assert (await (await world.context()).choice()).parameters == {"temperature": 0.5}
    assert "back to its default" in await world.run("settings", name="temperature", value="Default")
    assert (await (await world.context()).choice()).parameters == {}


async def test_what_a_model_does_not_take_is_said_wherever_it_is_set_shown_or_the_model_chosen(world: World) -> None:
    left_away = "`small` does not take **temperature**: it is not sent to it, only to a model that does (/model)."
    await world.run("settings", name="temperature", value="0.3")
    assert "does not take" not in await world.run("settings") + await world.run("status")
    world.alpha.capable = Capabilities(unsupported=frozenset({"temperature", "stop"}))
    assert left_away in await world.run("settings", name="temperature", value="0.5")
    assert left_away in await world.run("settings", name="temperature")
    assert f"temperature = `0.5`. {left_away}" in await world.run("status")
    assert "`small` does not take **temperature**, **stop**: they are not sent to it" in await world.run("settings")
    assert "does not take" not in await world.run("settings", name="stream", value="true")
    assert left_away.replace("small", "large") in await world.run("model", name="large")
    await world.run("provider", name="beta")
    assert "`large` does not take **temperature**" in await world.run("provider", name="alpha")
    assert "does not take" not in await world.run("settings", name="temperature", value="default")
    assert "does not take" not in await world.run("model", name="small")


@pytest.mark.parametrize("word", ["default", "Reset", "“default”", "'reset'", '"DEFAULT"'])
async def test_default_and_reset_take_back_whatever_was_set(world: World, word: str) -> None:
    for name, value in (("temperature", "0.5"), ("stop", "END")):
        await world.run("settings", name=name, value=value)
        assert f"**{name}** is back to its default" in await world.run("settings", name=name, value=word)
    assert (await (await world.context()).choice()).parameters == {}
    await world.run("system", text="You are a pirate.")
    assert "back to the default" in await world.run("system", text=word)
    await world.run("reasoning", choice="show")
    assert "is not shown" in await world.run("reasoning", choice=word)
    await world.run("keep", days="7")
    assert "kept until" in await world.run("keep", days=word)


async def test_a_switch_can_be_switched_off(world: World) -> None:
    assert "**stream** is `false`" in await world.run("settings", name="stream", value="off")
    assert (await (await world.context()).choice()).parameters == {"stream": False}


@pytest.mark.parametrize("value", ["none", "-"])
async def test_a_text_may_be_a_word_that_clears_elsewhere(world: World, value: str) -> None:
    await world.run("settings", name="stop", value=value)
    assert (await (await world.context()).choice()).parameters == {"stop": [value]}


async def test_every_parameter_of_every_real_provider_is_shown_with_its_range(world: World, session: aiohttp.ClientSession) -> None:
    keys = {"netmind_api_key": "k", "segmind_api_key": "k", "modelslab_api_key": "k", "openai_api_key": "k"}
    real = app.build_providers(load(None, local_model="off", **keys), session)
    assert list(real) == ["netmind", "segmind", "modelslab", "openai"]
    for name, provider in real.items():
        scripted = ScriptedProvider(name, provider.title, parameters=provider.parameters)
        world.providers[name] = scripted
        await world.run("provider", name=name)
        said = (await world.run("settings")).splitlines()
        for field, schema in provider.parameters.model_json_schema()["properties"].items():
            (line,) = [one for one in said if one.startswith(f"- **{field}** = ")]
            for branch in schema.get("anyOf", [schema]):
                for bound in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
                    assert str(branch.get(bound, "")) in line, (name, field, bound)
                assert all(choice in line for choice in branch.get("enum", []))
            assert len(line) > len(f"- **{field}** =  · .") + 10


# ------------------------------------------------------------------------------------------------ where the provider is off


@pytest.mark.parametrize("name", ["model", "models", "settings"])
async def test_where_the_chosen_provider_is_off_it_is_said_and_another_can_be_chosen(world: World, name: str) -> None:
    await world.run("provider", name="beta")
    del world.providers["beta"]
    assert "not set up on this bot" in await world.run(name)
    assert "not set up on this bot" in await world.run("status")
    assert "beta" in await world.run("provider")
    assert "answers from now on" in await world.run("provider", name="alpha")


# ------------------------------------------------------------------------------------------------ /status, /reset, /stop, /retry


async def test_status_tells_what_holds_and_whether_the_provider_can_be_reached(world: World) -> None:
    await world.run("system", text="You are " + "x" * 500)
    await world.run("settings", name="temperature", value="0.5")
    await world.ask("one")
    world.alpha.health = Health(credits=12.5)
    said = await world.run("status")
    for words in ("Alpha AI", "12.5 credits", "`small`", "You are x", "…", "temperature = `0.5`", "2 messages", "0 questions"):
        assert words in said
    assert len(said) < 500
    world.alpha.health = ProviderError(ErrorKind.CONNECT)
    assert "can't be reached" in await world.run("status")
    world.alpha.health = Health()
    assert ", reachable" in await world.run("status")


async def test_reset_forgets_what_was_said_and_keeps_what_was_chosen(world: World) -> None:
    await world.run("model", name="large")
    await world.ask("one")
    assert "Started afresh" in await world.run("reset")
    assert "There is nothing to ask again" in await world.run("retry")
    await world.ask("two")
    assert [message.text for message in world.alpha.requests[1].messages] == ["two"]
    assert world.alpha.requests[1].model == "large"


async def test_stop_and_retry_with_nothing_to_do_say_so(world: World) -> None:
    assert await world.run("stop") == "Nothing is running."
    assert "There is nothing to ask again" in await world.run("retry")
    world.alpha.will(asyncio.Event())
    await world.say("one")
    await eventually(lambda: world.alpha.requests)
    assert "There is nothing to ask again" in await world.run("retry")
    assert await world.run("stop") == "Stopping."


async def test_retry_asks_again_in_place_of_the_former_answer(world: World) -> None:
    await world.ask("one")
    world.alpha.will_say("another answer")
    assert await world.order("retry") == "another answer"
    await world.ask("two")
    assert [message.text for message in world.alpha.requests[-1].messages] == ["one", "another answer", "two"]
