"""What a conversation has chosen, and what it inherits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.base import Parameters
from adapters.modelslab_parameters import ModelsLabParameters
from adapters.openai_parameters import OpenAIParameters
from adapters.segmind import SegmindParameters
from bot.model import ChatAddress
from bot.preferences import GLOBAL, PERSONA_CHARS, Defaults, InvalidPreferenceError, conversation_scope, parse, server_scope
from tests.support.core import World
from tests.support.scripted import Knobs

HERE = ChatAddress("memory", "bot", "1")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# ------------------------------------------------------------------------------------------------ inheritance


async def test_nearer_choices_go_before_farther_ones(world: World) -> None:
    world.defaults = Defaults("alpha", "of the operator", "operator's persona")
    async with world.running() as core:
        of, put = core.preferences.of, core.store.put_setting
        choice = await of(1, HERE, "s")
        assert (choice.provider, choice.model, choice.persona) == ("alpha", "of the operator", "operator's persona")
        for scope, name in ((GLOBAL, "everywhere"), (server_scope(HERE, "s"), "in the server"), (conversation_scope(1), "here")):
            await put(scope, "model.alpha", name)
            assert (await of(1, HERE, "s")).model == name
        assert (await of(1, HERE)).model == "here"
        assert (await of(2, HERE, "s")).model == "in the server"
        assert (await of(2, HERE, "another")).model == "everywhere"
        assert (await of(2, ChatAddress("other", "bot", "1"), "s")).model == "everywhere"


async def test_a_provider_brings_back_its_own_model_and_parameters(world: World) -> None:
    async with world.running() as core:
        preferences = core.preferences
        await preferences.set_model(1, "alpha", "large")
        await preferences.set_parameter(1, await preferences.of(1, HERE), "temperature", "0.5")
        await preferences.set_provider(1, "beta")
        there = await preferences.of(1, HERE)
        assert (there.provider, there.model, there.parameters) == ("beta", "b-one", {})
        await preferences.set_provider(1, "alpha")
        back = await preferences.of(1, HERE)
        assert (back.model, back.parameters) == ("large", {"temperature": 0.5})


async def test_the_operators_model_belongs_to_the_operators_provider_alone(world: World) -> None:
    world.defaults = Defaults("alpha", "of the operator")
    async with world.running() as core:
        await core.preferences.set_provider(1, "beta")
        assert (await core.preferences.of(1, HERE)).model == "b-one"


async def test_a_provider_that_is_off_by_now_is_still_named(world: World) -> None:
    async with world.running() as core:
        await core.preferences.set_provider(1, "gone")
        choice = await core.preferences.of(1, HERE)
        assert (choice.provider, choice.model, choice.parameters) == ("gone", "", {})


async def test_all_that_was_chosen_survives_a_restart(world: World) -> None:
    async with world.running() as core:
        preferences = core.preferences
        await preferences.set_persona(1, "You are a pirate.\nAhoy \U0001f98a")
        await preferences.set_model(1, "alpha", "large")
        for name, text in (("temperature", "0.5"), ("stop", "a,b"), ("bias", '{"1": 2}'), ("stream", "false")):
            await preferences.set_parameter(1, await preferences.of(1, HERE), name, text)
        before = await preferences.of(1, HERE)
    async with world.running() as core:
        assert await core.preferences.of(1, HERE) == before
    assert before.parameters == {"temperature": 0.5, "stop": ["a", "b"], "bias": {"1": 2.0}, "stream": False}


async def test_what_is_no_longer_valid_is_left_out_and_the_rest_holds(world: World) -> None:
    async with world.running() as core:
        scope = conversation_scope(1)
        for name, value in (("temperature", "9"), ("gone", "1"), ("max_tokens", "7"), ("stop", "null")):
            await core.store.put_setting(scope, f"parameter.alpha.{name}", value)
        assert (await core.preferences.of(1, HERE)).parameters == {"max_tokens": 7}


# ------------------------------------------------------------------------------------------------ persona


async def test_a_persona_is_set_cleared_and_limited(world: World) -> None:
    world.defaults = Defaults("alpha", persona="the operator's")
    async with world.running() as core:
        preferences = core.preferences
        plain = await preferences.of(1, HERE)
        await preferences.set_persona(1, "x" * PERSONA_CHARS)
        long = await preferences.of(1, HERE)
        assert long.persona == "x" * PERSONA_CHARS
        assert long.persona_hash != plain.persona_hash
        with pytest.raises(InvalidPreferenceError, match=str(PERSONA_CHARS)):
            await preferences.set_persona(1, "x" * (PERSONA_CHARS + 1))
        assert await preferences.of(1, HERE) == long
        await preferences.set_persona(1, None)
        assert await preferences.of(1, HERE) == plain
        assert "operator" not in repr(plain)


# ------------------------------------------------------------------------------------------------ parameters from text

GOOD: list[tuple[type[Parameters], str, str, Any]] = [
    (Knobs, "temperature", "0.5", 0.5),
    (Knobs, "temperature", "1", 1.0),
    (Knobs, "max_tokens", "100", 100),
    (Knobs, "stream", "true", True),
    (Knobs, "stream", "off", False),
    (Knobs, "stop", "END", ["END"]),
    (Knobs, "stop", "a, b", ["a", "b"]),
    (Knobs, "stop", '["a, b", "c"]', ["a, b", "c"]),
    (Knobs, "bias", '{"50256": -100}', {"50256": -100.0}),
    (Knobs, "endpoint", "completion", "completion"),
    (OpenAIParameters, "stop", "END", ["END"]),
    (OpenAIParameters, "stop", '["END", "###"]', ["END", "###"]),
    (OpenAIParameters, "stop", "\\n\\n", ["\n\n"]),
    (OpenAIParameters, "stop", "END,###", ["END", "###"]),
    (OpenAIParameters, "logit_bias", '{"50256": -100}', {"50256": -100.0}),
    (OpenAIParameters, "stream", "off", False),
    (OpenAIParameters, "stream", "on", True),
    (OpenAIParameters, "endpoint", "completion", "completion"),
    (OpenAIParameters, "max_tokens", "512", 512),
    (OpenAIParameters, "presence_penalty", "-1.5", -1.5),
    (ModelsLabParameters, "do_sample", "false", False),
    (ModelsLabParameters, "top_p", "10", 1.0),
    (ModelsLabParameters, "generator_type", "json", "json"),
    (ModelsLabParameters, "generator_choices", '["yes", "no"]', '["yes", "no"]'),
    (ModelsLabParameters, "seed", "42", 42),
    (ModelsLabParameters, "seed", str(2**63 - 1), 2**63 - 1),
    (SegmindParameters, "system_mode", "first_user", "first_user"),
    (SegmindParameters, "top_p", "0.9", 0.9),
]
BAD: list[tuple[type[Parameters], str, str]] = [
    (Knobs, "temperature", "2.1"),
    (Knobs, "temperature", "hot"),
    (Knobs, "temperature", "nan"),
    (Knobs, "temperature", "inf"),
    (Knobs, "max_tokens", "0"),
    (Knobs, "max_tokens", "1.5"),
    (Knobs, "stream", "perhaps"),
    (Knobs, "stop", "a,b,c"),
    (Knobs, "bias", "a"),
    (Knobs, "endpoint", "chatt"),
    (Knobs, "temperature", "null"),
    (OpenAIParameters, "logit_bias", '{"x": 1}'),
    (OpenAIParameters, "logit_bias", "{"),
    (OpenAIParameters, "stop", "[1, 2"),
    (ModelsLabParameters, "seed", "-1"),
    (ModelsLabParameters, "seed", str(2**63)),
    (ModelsLabParameters, "seed", "9" * 5_000),
    (ModelsLabParameters, "no_repeat_ngram_size", "1025"),
    (SegmindParameters, "max_tokens", "many"),
    (SegmindParameters, "max_tokens", "null"),
    (Knobs, "stop", '["a"'),
]


@pytest.mark.parametrize(("model", "name", "text", "value"), GOOD)
def test_each_kind_of_value_is_read_from_what_a_person_types(model: type[Parameters], name: str, text: str, value: Any) -> None:
    read = parse(model, name, text, {})
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize(("model", "name", "text"), BAD)
def test_what_does_not_fit_is_refused_in_words(model: type[Parameters], name: str, text: str) -> None:
    with pytest.raises(InvalidPreferenceError) as caught:
        parse(model, name, text, {})
    words = str(caught.value)
    assert words
    assert "\n" not in words
    assert "pydantic" not in words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a,b,c,d,e", "it must have at most 4 items, not 5"),
        ('["a", "b", "c", "d", "e"]', "it must have at most 4 items, not 5"),
        ('["a", ""]', "it must, each text of it, have at least 1 character"),
        ("x" * 201, "it must, each text of it, have at most 200 characters"),
        ('["a"', "it is not valid JSON"),
    ],
)
def test_what_is_wrong_with_a_list_of_texts_is_said(text: str, words: str) -> None:
    with pytest.raises(InvalidPreferenceError) as caught:
        parse(OpenAIParameters, "stop", text, {})
    assert str(caught.value) == words


async def test_a_parameter_the_provider_does_not_have_is_refused(world: World) -> None:
    async with world.running() as core:
        with pytest.raises(InvalidPreferenceError, match="no parameter"):
            await core.preferences.set_parameter(1, await core.preferences.of(1, HERE), "colour", "red")
