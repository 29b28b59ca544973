"""What the outbox makes of knowing how long answers are, in virtual time."""

from __future__ import annotations

import pytest

from bench import warm
from bench.farside import PLACES
from bench.warm import Case
from bot.lengths import RECENT


@pytest.mark.parametrize(("place", "seconds", "most"), [("discord", 2.5, 0.85), ("discord", 8.4, 0.98), ("telegram", 8.4, 1.0)])
def test_answers_of_a_length_that_is_known_are_less_late_where_a_window_counts(place: str, seconds: float, most: float) -> None:
    row = warm.row_of(PLACES[place], Case("steady", [seconds] * RECENT, [seconds] * 3))
    assert row["warm/cold"] <= most
    assert row["429s"] == 0
    assert row["warm lag p95"] <= row["cold lag p95"] + 0.01


def test_lengths_that_differ_change_nothing() -> None:
    row = warm.row_of(PLACES["discord"], Case("mix", [1.0, 30.0] * RECENT, [4.0, 9.0, 2.5, 12.0]))
    assert row["warm/cold"] == 1.0


@pytest.mark.parametrize(("first", "then"), [(2.5, 13.7), (13.7, 2.5)])
def test_a_change_of_lengths_costs_next_to_nothing_on_the_whole(first: float, then: float) -> None:
    row = warm.row_of(PLACES["discord"], Case("change", [], [first] * 6 + [then] * 6, 6))
    assert row["warm/cold"] <= 1.03
    assert row["429s"] == 0


@pytest.mark.parametrize("known", [0.2, 1.0])
@pytest.mark.parametrize("seconds", [2.5, 8.4])
def test_an_answer_that_is_far_longer_than_those_before_is_hardly_later_than_if_nothing_were_known(known: float, seconds: float) -> None:
    row = warm.row_of(PLACES["discord"], Case("longer", [known] * RECENT, [seconds]))
    assert row["warm/cold"] <= 1.15
    assert row["warm lag p95"] <= row["cold lag p95"] + 0.01
