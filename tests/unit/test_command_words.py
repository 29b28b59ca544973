"""What commands say: the one reason that holds, values as they would be typed, and names and numbers that this provider takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from adapters.base import Health
from adapters.modelslab_parameters import ModelsLabParameters
from adapters.openai_parameters import OpenAIParameters, Vendor, parameters_of
from adapters.segmind import SegmindParameters
from bot import texts_usage
from tests.support.core import World, eventually
from tests.support.scripted import ScriptedProvider

TWO = parameters_of(Vendor("beta", "Beta", "https://beta.example/v1", "b", choices=2))


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(
        tmp_path,
        {
            "alpha": ScriptedProvider(parameters=OpenAIParameters),
            "beta": ScriptedProvider("beta", "Beta", parameters=TWO),
            "gamma": ScriptedProvider("gamma", "Gamma", parameters=SegmindParameters),
            "delta": ScriptedProvider("delta", "Delta", parameters=ModelsLabParameters),
        },
    )
    async with world.running():
        yield world


async def test_stop_texts_with_and_without_quotation_marks_mix_and_status_shows_them_like_settings(world: World) -> None:
    said = await world.run("settings", name="stop", value='"yes, sir", END, \\n')
    assert said == '**stop** is `["yes, sir", "END", "\\n"]` from the next question on.'
    await world.run("settings", name="logit_bias", value='{"5": -100}')
    for command in ("settings", "status"):
        said = await world.run(command)
        assert '`["yes, sir", "END", "\\n"]`' in said
        assert '`{"5": -100.0}`' in said


@pytest.mark.parametrize("value", ['"yes, sir', 'END, "yes, sir', '"yes" sir, END'])
async def test_a_quotation_mark_that_is_not_closed_is_refused_with_how_it_is_written(world: World, value: str) -> None:
    await world.run("settings", name="stop", value="END")
    said = await world.run("settings", name="stop", value=value)
    assert "an opening quotation mark without its closing one" in said
    assert 'write "yes, sir", END.' in said
    assert (await (await world.context()).choice()).parameters == {"stop": ("END",)}


@pytest.mark.parametrize("value", [str(2**63), "9" * 1_000, "9" * 5_000])
async def test_a_seed_that_is_too_long_is_refused_with_the_range(world: World, value: str) -> None:
    await world.run("provider", name="delta")
    said = await world.run("settings", name="seed", value=value)
    assert "does not fit **seed**" in said
    assert "(at least 0, at most 9223372036854775807)" in said
    assert len(said) < 500
    assert "is `9223372036854775807` from the next question on" in await world.run("settings", name="seed", value=str(2**63 - 1))


async def test_a_setting_that_is_not_near_any_gets_the_list(world: World) -> None:
    await world.run("provider", name="gamma")
    said = await world.run("settings", name="stop", value="END")
    assert "Did you mean" not in said
    assert f"There are: {', '.join(f'`{name}`' for name in SegmindParameters.model_fields)}." in said
    assert "Did you mean `top_p`?" in await world.run("settings", name="topp", value="1")


@pytest.mark.parametrize(
    ("provider", "words"),
    [
        ("alpha", "`/settings n 3` asks for three"),
        ("beta", "`/settings n 2` asks for two"),
        ("gamma", "Gamma gives one to a question."),
    ],
)
async def test_other_names_a_number_of_answers_that_the_provider_takes(world: World, provider: str, words: str) -> None:
    await world.run("provider", name=provider)
    await world.ask("one")
    said = await world.run("other")
    assert words in said
    assert "/reset" not in said
    if provider == "beta":
        assert "does not fit" not in await world.run("settings", name="n", value="2")


NOTHING = {"retry": "nothing was asked here", "continue": "nothing was answered here", "other": "nothing was answered here"}


@pytest.mark.parametrize("name", list(NOTHING))
async def test_the_reason_that_holds_is_said_and_no_other(world: World, name: str) -> None:
    async def nothing() -> None:
        said = await world.run(name)
        assert f"{NOTHING[name]} since the start or the last /reset or /forget." in said
        assert "runs" not in said

    await nothing()
    world.alpha.will(asyncio.Event())
    await world.say("one")
    await eventually(lambda: world.alpha.requests)
    said = await world.run(name)
    assert said.endswith("A question still runs: /stop ends it.")
    assert "since the start" not in said
    await world.run("stop")
    await world.idle()
    await world.run("reset")
    await nothing()


async def test_what_is_left_is_told_in_its_unit(world: World) -> None:
    world.alpha.health = Health(43.6, unit="USD")
    assert ", reachable, 43.6 USD left" in await world.run("status")
    world.alpha.health = Health(43.6, unit="")
    assert ", reachable, 43.6 left" in await world.run("status")


@pytest.mark.parametrize(
    ("amount", "words"),
    [
        (43.6, "43.6"),
        (12.3456, "12.34"),
        (4.99975, "4.99"),  # never more than is left
        (0.9999, "0.99"),
        (0.01, "0.01"),
        (5e-324, "0"),
        (1e30, f"{10**30:,}"),
        (100.0, "100"),
        (1234567.891, "1,234,567.89"),
        (0.0, "0"),
        (0.00025678, "0.00025"),
        (1e-7, "0.0000001"),
        (-1.239, "-1.24"),
    ],
)
def test_an_amount_has_two_decimals_at_most_and_a_small_one_the_digits_that_count(amount: float, words: str) -> None:
    assert texts_usage.left(amount) == f"{words} credits left"


async def test_settings_default_alone_changes_nothing_and_says_how_each_is_taken_back(world: World) -> None:
    assert await world.run("settings", name="default") == "Nothing is set here: every setting is the provider's default."
    await world.run("settings", name="temperature", value="1.5")
    await world.run("settings", name="n", value="2")
    for word in ("default", "“reset”"):
        said = await world.run("settings", name=word)
        assert said.startswith("Nothing was changed")
        assert "`/settings temperature default`" in said
        assert "`/settings n default`" in said
    assert "temperature = `1.5`" in await world.run("status")


async def test_help_says_which_words_reasoning_and_forget_take(world: World) -> None:
    said = await world.run("help")
    assert "/forget [yes] — " in said
    assert "/reasoning [show/hide/default] — " in said
    assert "CONFIRM" not in said
    assert "CHOICE" not in said


async def test_settings_alone_is_a_short_list_with_what_is_set_here_first(world: World) -> None:
    await world.run("settings", name="n", value="2")
    head, _, *lines, _, foot = (await world.run("settings")).splitlines()
    assert "Alpha AI" in head
    assert lines[0] == "- **n** = `2` · How many answers one question gets, all paid for (1 to 8)"
    assert lines[2] == "- **temperature** = default · Randomness (0 to 2)"
    (bias,) = [line for line in lines if "logit_bias" in line]
    assert bias.endswith('such as {"50256": -100}')
    assert len(lines) == len(OpenAIParameters.model_fields)
    assert "`/settings NAME` explains one" in foot
    explained = await world.run("settings", name="temperature")
    assert "0 is the most predictable, 2 the wildest (at least 0, at most 2)." in explained


async def test_the_local_model_is_no_model_model_and_one_that_is_the_only_one_offers_no_other(world: World) -> None:
    world.providers["local"] = ScriptedProvider("local", "Local model", names=("small",))
    await world.run("provider", name="local")
    assert await world.run("model", name="zzzz") == "There is no Local model `zzzz`. /models lists all."
    assert (await world.run("models", word="zzzz")).startswith("There is no Local model with `zzzz`.")
    assert await world.run("model") == "The model is `small`, the only one there is here. /provider chooses who answers."


@pytest.mark.parametrize(
    ("value", "advised"), [("1", False), ("0.31", False), ("0.05", False), ("0.3", True), ("0.1", True), ("default", True)]
)
async def test_a_value_that_the_provider_advises_against_is_taken_and_that_is_said(world: World, value: str, advised: bool) -> None:
    await world.run("provider", name="delta")
    said = await world.run("settings", name="temperature", value=value)
    assert said.startswith("**temperature** is")
    assert ("The provider advises 0.1 to 0.3" in said) is not advised
    assert "advises" not in await world.run("settings", name="top_k", value="7")


@pytest.mark.parametrize("value", ["nan", "NaN", "inf", "-inf", "Infinity", "1e999"])
@pytest.mark.parametrize(
    ("provider", "name"),
    [("alpha", "temperature"), ("alpha", "presence_penalty"), ("gamma", "top_p"), ("delta", "temperature"), ("delta", "top_p")],
)
async def test_what_is_no_finite_number_is_refused_as_that(world: World, provider: str, name: str, value: str) -> None:
    await world.run("provider", name=provider)
    said = await world.run("settings", name=name, value=value)
    assert said.startswith(f"`{value}` does not fit **{name}**: it is no finite number. ")
    assert (await (await world.context()).choice()).parameters == {}


async def test_a_number_that_is_clamped_says_what_is_sent(world: World) -> None:
    await world.run("provider", name="delta")
    said = await world.run("settings", name="top_p", value="2")
    assert said == "**top_p** is `1.0` from the next question on: `2` is more than the provider takes, so `1` is sent."
    assert await world.run("settings", name="top_p", value="1") == "**top_p** is `1.0` from the next question on."
    assert await world.run("settings", name="top_p", value="0.50") == "**top_p** is `0.5` from the next question on."
    assert "more than" not in await world.run("settings", name="seed", value="9" * 400)


async def test_a_setting_of_choices_names_them_where_it_is_explained_and_where_it_is_refused(world: World) -> None:
    await world.run("provider", name="delta")
    explained = "Kind of answer (one of json, choices, format, text). All but text need generator\\_choices."
    assert (await world.run("settings", name="generator_type")).endswith(explained)
    assert await world.run("settings", name="generator_type", value="foo") == (
        f"`foo` does not fit **generator_type**: it is none of the choices. {explained}"
    )
    assert "Kind of answer (one of json, choices, format, text)\n" in f"{await world.run('settings')}\n"


async def test_a_setting_that_does_nothing_without_another_says_so_until_that_is_set(world: World) -> None:
    await world.run("provider", name="delta")
    lacks = "It does nothing without **generator_choices**, which is not set: `/settings generator_choices VALUE`."
    assert (await world.run("settings", name="generator_type", value="choices")).endswith(lacks)
    assert "does nothing" not in await world.run("settings", name="generator_type", value="text")
    assert "does nothing" not in await world.run("settings", name="generator_choices", value="yes, no")
    assert "does nothing" not in await world.run("settings", name="generator_type", value="choices")
    await world.run("settings", name="generator_type", value="default")
    said = await world.run("settings", name="generator_choices", value="yes")
    assert said.endswith(
        "It does nothing without **generator_type**, which is not set: `/settings generator_type json/choices/format/text`."
    )
    assert "does nothing" not in await world.run("settings", name="generator_choices", value="default")
