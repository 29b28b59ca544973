"""The yardstick for a mix of lengths: played over tokens as they come it reaches what it is expected to, and the bridge no less."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from bench.answers import shaken_times
from bench.farside import PLACES
from bench.limit import chat_limit
from bench.measuring import several
from bench.mix import READINGS, Yardstick, mixed_lengths, verdicts, yardstick
from bench.report import figures
from bench.rules import Bridge, simulate
from bot.lengths import FEWEST


@pytest.mark.parametrize("name", ["discord", "telegram"])
@pytest.mark.parametrize("reading", READINGS)
def test_the_best_blind_schedule_reaches_what_it_is_expected_to_and_the_bridge_comes_near(name, reading):
    place, rng = PLACES[name], random.Random(2)
    answers = [shaken_times(min(seconds, 12.0), rng, start=100.0 * number) for number, seconds in enumerate(mixed_lengths(30))]
    alone = [chat_limit(times, place.edit, create_apart=place.create is not None) for times in answers]
    best = yardstick(place, answers, alone, reading)
    played = best.columns[READINGS[reading]]
    assert best.columns["429s"] == 0
    assert played == pytest.approx(best.expected, rel=0.02), "tokens a little early or late change little"
    bridge = figures(simulate(Bridge, place, answers), alone, sum(alone) / len(alone))
    verdict = next(line for line in verdicts({}, bridge, [best]) if line["reading"] == reading)
    assert 1 <= verdict["bridge / possible"] <= verdict["asked / possible"]


def test_where_the_ratio_of_one_answer_is_not_known_nothing_is_said_of_it():
    columns = {"ratio": 1.5, "mean ratio": None}
    one, other = (Yardstick(reading, 1.2, {"ratio": 1.21, "mean ratio": 1.21}) for reading in READINGS)
    lines = verdicts({"platform": "discord"}, columns, [one, other])
    assert [line["bridge / possible"] for line in lines] == [None, pytest.approx(1.25)]


def test_lengths_of_the_mix_are_log_normal_and_the_same_every_time():
    lengths = sorted(mixed_lengths(101))
    assert lengths == sorted(mixed_lengths(101))
    assert lengths[50] == pytest.approx(6.0)
    assert lengths[84] / lengths[50] == pytest.approx(2.718**0.9, rel=0.05), "one sigma"
    assert max(lengths) <= 60.0


def test_one_answer_alone_is_measured_some_times_and_before_the_bridge_knows_its_length():
    for seconds in (2.5, 13.7, 58.3):
        load = several("discord", 1, seconds)
        assert 2 <= len(load.starts) <= FEWEST
        assert all(later - earlier > seconds for earlier, later in pairwise(load.starts))
    assert len(several("discord", 10, 8.4).starts) == 10
