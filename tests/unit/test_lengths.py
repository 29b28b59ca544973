"""What is known of how long answers are."""

from __future__ import annotations

import pytest

from bot.lengths import FEWEST, KINDS, RECENT, SPREAD, Ahead, Lengths, ahead

KIND, OTHER = ("provider", "model"), ("provider", "other")


def learnt(*seconds: float) -> Lengths:
    lengths = Lengths()
    for each in seconds:
        lengths.learn([KIND], each)
    return lengths


def test_a_few_answers_say_nothing() -> None:
    assert learnt(*[8.0] * (FEWEST - 1)).like([KIND]) is None
    assert learnt(*[8.0] * FEWEST).like([KIND]) == (8.0, 8.0)


def test_lengths_that_differ_say_nothing() -> None:
    assert learnt(*[8.0] * FEWEST, 8.0 * SPREAD).like([KIND]) == (8.0, 8.0 * SPREAD)
    assert learnt(*[8.0] * FEWEST, 8.1 * SPREAD).like([KIND]) is None


def test_the_newest_count_alone() -> None:
    assert learnt(1.0, *[8.0] * RECENT).like([KIND]) == (8.0, 8.0)
    assert learnt(*[8.0] * RECENT, 1.0).like([KIND]) is None, "what came unlike the others makes them say nothing"


def test_the_first_kind_of_which_enough_are_known_decides() -> None:
    lengths = Lengths()
    for _ in range(FEWEST):
        lengths.learn([OTHER], 20.0)
    lengths.learn([KIND], 8.0)
    assert lengths.like([KIND, OTHER]) == (20.0, 20.0)
    for _ in range(FEWEST):
        lengths.learn([KIND, OTHER], 8.0)
    assert lengths.like([KIND, OTHER]) == (8.0, 8.0)
    assert lengths.like([OTHER]) is None, "they were learnt for both"


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("-inf")])
def test_an_answer_without_a_length_says_nothing(seconds: float) -> None:
    assert learnt(*[8.0] * FEWEST, seconds).like([KIND]) == (8.0, 8.0)


def test_no_more_kinds_are_remembered_than_are_useful() -> None:
    lengths = learnt(*[8.0] * FEWEST)
    for number in range(KINDS - 1):
        lengths.learn([number], 3.0)
    assert lengths.like([KIND]) is not None
    for number in range(KINDS - 1):
        lengths.learn([KINDS + number], 3.0)
    assert lengths.like([KIND]) is not None, "it was asked for lately"
    for number in range(KINDS):
        lengths.learn([2 * KINDS + number], 3.0)
    assert lengths.like([KIND]) is None


def test_what_is_ahead_shrinks_with_age_and_ends_with_the_longest_that_is_known() -> None:
    assert ahead((8.0, 10.0), 1.0) == Ahead(7.0, 9.0)
    assert ahead((8.0, 10.0), 9.0) == Ahead(0.0, 1.0)
    assert ahead((8.0, 10.0), 10.0) is None
    assert ahead(None, 1.0) is None
