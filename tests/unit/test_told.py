"""What providers tell of a question's usage: a number that can be one, or nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapters.base import Usage
from adapters.openai_wire import read_piece
from adapters.segmind import _float
from adapters.segmind_shapes import read_content
from adapters.told import MOST_COST, MOST_TOKENS, cost, tokens

NO_NUMBERS: list[Any] = [None, "7", "", True, [], {}, float("nan"), float("inf"), -float("inf"), -1, -0.5, 10**400, -(10**400)]


@pytest.mark.parametrize("value", [*NO_NUMBERS, MOST_TOKENS + 1, 1e300], ids=lambda value: repr(value)[:12])
def test_what_is_no_number_of_tokens_is_not_told(value: Any) -> None:
    assert tokens(value) is None


@pytest.mark.parametrize("value", [*NO_NUMBERS, MOST_COST * 2, 1e300], ids=lambda value: repr(value)[:12])
def test_what_is_no_cost_is_not_told(value: Any) -> None:
    assert cost(value) is None


def test_what_is_one_is_taken_as_it_is() -> None:
    assert [tokens(value) for value in (0, 7, 7.0, 7.9, MOST_TOKENS)] == [0, 7, 7, 7, MOST_TOKENS]
    assert [cost(value) for value in (0, 3, 0.00025)] == [0.0, 3.0, 0.00025]


@pytest.mark.parametrize("written", ["NaN", "Infinity", "1e999", "-3", "9" * 400, '"12"', "true"])
def test_an_answer_is_not_lost_over_what_it_tells_of_its_usage(written: str) -> None:
    usage = f'{{"prompt_tokens": {written}, "completion_tokens": 5, "cost": {written}}}'
    body = f'{{"choices": [{{"message": {{"content": "yes"}}}}], "usage": {usage}}}'
    piece = read_piece(json.loads(body))
    assert (piece.text, piece.usage) == ("yes", Usage(None, 5))
    shaped = read_content(json.loads(body))
    assert shaped is not None
    assert (shaped.text, shaped.input_tokens, shaped.output_tokens) == ("yes", None, 5)
    assert _float(json.loads(written)) is None or abs(_float(json.loads(written)) or 0) < 100
