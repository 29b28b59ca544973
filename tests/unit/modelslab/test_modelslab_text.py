"""How a transcript becomes one prompt, when an answer looks cut off, and what may be set."""

from typing import Any

import pytest
from pydantic import ValidationError

from adapters.modelslab_parameters import DEFAULTS, ModelsLabParameters
from adapters.modelslab_text import PROMPT_CHARS, looks_cut, opening_prompt
from tests.support.providers import talk


def test_one_message_is_its_own_prompt():
    assert opening_prompt(talk("hello")) == "hello"


def test_the_newest_messages_that_fit_are_told_in_order():
    prompt = opening_prompt(talk("a" * 100, "b" * 100, "c" * 100, "d" * 100, "last"), budget=320)
    assert "a" * 100 not in prompt
    assert "b" * 100 not in prompt
    assert prompt.index("User: " + "c" * 100) < prompt.index("Assistant: " + "d" * 100) < prompt.index("last")


@pytest.mark.parametrize("budget", [0, 50, 300, 1000, PROMPT_CHARS])
def test_the_budget_holds_and_the_last_message_is_always_whole(budget):
    last = "the question " * 10
    prompt = opening_prompt(talk(*(f"message {number} " * 20 for number in range(100)), last), budget=budget)
    assert prompt.endswith(last)
    assert len(prompt) <= max(budget, len(last))


CUT = "This guide is an overview of the steps involved and no substitute for professional guidance.\n\nStep 1: Research the"


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        (CUT * 3, True),
        (f"{CUT * 3} area.", False),
        (f"{CUT * 3} area (or ask).*", False),
        (f'{CUT * 3} "area!"', False),
        (f"{CUT * 3}\n```python\nprint(1)\n```\n", False),
        (f"{CUT * 3}\n```python\nprint(1)", True),
        ("Yes", False),
        ("これは長い文章" * 12, True),
        ("これは長い文章" * 12 + "です\u3002", False),
    ],
)
def test_an_answer_as_long_as_its_cap_and_without_an_end_looks_cut(text, cut):
    assert looks_cut(text, 64) is cut


def test_the_cap_decides_too():
    assert not looks_cut(CUT, 1024)


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_new_tokens": 0},
        {"max_new_tokens": 1025},
        {"temperature": 0},
        {"temperature": 2.1},
        {"top_k": 0},
        {"top_k": 129},
        {"top_p": 0},
        {"top_p": "much"},
        {"top_p": float("nan")},
        {"no_repeat_ngram_size": -1},
        {"seed": -1},
        {"seed": 1.5},
        {"do_sample": "perhaps"},
        {"generator_type": "xml"},
        {"chat_id": "x"},
        {"key": "x"},
        {"reset": "perhaps"},
    ],
    ids=str,
)
def test_values_out_of_the_documents_ranges_are_refused(wrong):
    with pytest.raises(ValidationError):
        ModelsLabParameters.model_validate(wrong)


@pytest.mark.parametrize(("typed", "kept"), [(10, 1.0), ("10", 1.0), ("0.5", 0.5), (1, 1.0), (None, None)])
def test_top_p_is_clamped_as_the_server_does(typed: Any, kept: float | None):
    assert ModelsLabParameters(top_p=typed).top_p == kept


def test_every_parameter_is_described_and_shows_its_range():
    schema = ModelsLabParameters.model_json_schema()["properties"]
    assert set(schema) == {
        "max_new_tokens", "do_sample", "temperature", "top_k", "top_p", "no_repeat_ngram_size", "seed", "temp", "reset", "generator_type",
        "generator_choices",
    }  # fmt: skip
    assert all(about["description"] for about in schema.values())
    assert {"exclusiveMinimum": 0, "maximum": 1, "type": "number"} in schema["top_p"]["anyOf"]


def test_our_own_defaults_are_always_sent():
    assert DEFAULTS == {"max_new_tokens": 1024, "do_sample": True, "no_repeat_ngram_size": 0, "temp": False}
