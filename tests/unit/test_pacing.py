"""Meters against the sandbox's own, independently written, counting: whatever the delays, what a meter lets out is never refused."""

from __future__ import annotations

import random

import pytest

from bot.lengths import Ahead
from bot.pacing import (
    EXPECTED_GAP_SECONDS,
    IDLE_SECONDS,
    OPENING_GAP_SECONDS,
    ROUND_TRIP_SAMPLES,
    ROUND_TRIP_SHARE,
    Meter,
    Meters,
    RoundTrip,
    opening_gap,
)
from bot.platforms import budgets
from bot.platforms.base import Allowance
from bot.platforms.budgets import Budget
from sandbox.limits import Gates

TABLE = {
    "discord edit": budgets.DISCORD_EDIT,
    "discord old edit": budgets.DISCORD_OLD_EDIT,
    "discord global": budgets.DISCORD_GLOBAL,
    "telegram private": budgets.TELEGRAM_PRIVATE,
    "telegram group": budgets.TELEGRAM_GROUP,
    "telegram global": budgets.TELEGRAM_GLOBAL,
}


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("slowest", [0.0, 0.05, 0.4, 3.0])
@pytest.mark.parametrize("heard", [False, True])
def test_a_call_that_a_meter_lets_out_is_never_refused(name: str, slowest: float, heard: bool) -> None:
    rng = random.Random(f"{name}{slowest}{heard}")
    budget = TABLE[name]
    now = 0.0
    gates = Gates(lambda: now)
    meter = Meter(budget)
    for _ in range(400):
        now += meter.wait(now) + rng.choice([0.0, 0.0, rng.uniform(0, budget.seconds)])
        left = now
        meter.leave(now)
        now += rng.uniform(0, slowest)
        verdict = gates.take("bucket", budget)
        assert verdict.allowed
        now += rng.uniform(0, slowest)
        if heard:
            meter.arrive(now, left, remaining=verdict.remaining, reset_after=verdict.reset_after)
        else:
            meter.arrive(now, left)


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("jitter", [0.0, 0.01, 0.2])
@pytest.mark.parametrize("heard", [False, True])
def test_what_the_least_round_trip_allows_is_never_refused(name: str, jitter: float, heard: bool) -> None:
    rng = random.Random(f"{name}{jitter}{heard}")
    budget = TABLE[name]
    now = 0.0
    gates = Gates(lambda: now)
    meter, round_trip = Meter(budget), RoundTrip()
    for number in range(600):
        now += meter.wait(now) + rng.choice([0.0, 0.0, rng.uniform(0, budget.seconds)])
        left = now
        meter.leave(now)
        now += 0.06 + rng.uniform(0, jitter) + (0.3 if number == 0 else 0.0)  # the first has a connection to open
        verdict = gates.take("bucket", budget)
        assert verdict.allowed
        now += 0.06 + rng.uniform(0, jitter)
        round_trip.heard(now, now - left)
        counted = max(left, now - round_trip.credit)
        if heard:
            meter.arrive(counted, left, remaining=verdict.remaining, reset_after=verdict.reset_after)
        else:
            meter.arrive(counted, left)
    assert round_trip.credit > 0.0 or jitter >= 0.2, "it is of use wherever round trips do not vary wildly"


def test_a_few_answers_say_nothing_of_the_least_round_trip() -> None:
    round_trip = RoundTrip()
    for number in range(ROUND_TRIP_SAMPLES - 1):
        round_trip.heard(float(number), 0.2)
        assert round_trip.credit == 0.0
    round_trip.heard(10.0, 0.2)
    assert round_trip.credit == pytest.approx(ROUND_TRIP_SHARE * 0.2)


def test_a_way_that_became_longer_is_believed_after_a_while_() -> None:
    round_trip = RoundTrip()
    for second in range(200):
        round_trip.heard(float(second), 0.1 if second < 20 else 0.3)
    assert round_trip.credit == pytest.approx(ROUND_TRIP_SHARE * 0.3, abs=0.001)


def test_where_round_trips_vary_less_is_counted_on() -> None:
    steady, varying = RoundTrip(), RoundTrip()
    for second in range(60):
        steady.heard(float(second), 0.1)
        varying.heard(float(second), 0.1 if second % 2 else 0.2)
    assert varying.credit < steady.credit


def test_a_way_that_became_shorter_is_believed_at_once() -> None:
    round_trip = RoundTrip()
    for second in range(60):
        round_trip.heard(float(second), 0.3)
    round_trip.heard(61.0, 0.05)
    assert round_trip.credit <= ROUND_TRIP_SHARE * 0.05


@pytest.mark.parametrize("name", TABLE)
def test_over_a_long_time_a_meter_uses_nearly_the_whole_budget(name: str) -> None:
    budget = TABLE[name]
    now, calls = 0.0, 0
    meter = Meter(budget)
    while now < budget.seconds * 50:
        now += meter.wait(now)
        meter.leave(now)
        meter.arrive(now, now)
        calls += 1
    assert calls >= 0.95 * budget.calls * 50


def test_a_block_holds_until_the_time_told() -> None:
    meter = Meter(budgets.TELEGRAM_PRIVATE)
    meter.block(37.0)
    assert meter.wait(7.0) == pytest.approx(30.0)
    assert meter.wait(37.0) == 0.0


def test_idle_meters_are_forgotten() -> None:
    now = 0.0
    meters = Meters(lambda: now)
    old = meters.of(Allowance("a", budgets.DISCORD_EDIT))
    old.leave(now)
    old.arrive(now, now)
    now = 2 * IDLE_SECONDS
    meters.of(Allowance("b", budgets.DISCORD_EDIT))
    assert meters.of(Allowance("a", budgets.DISCORD_EDIT)) is not old


def test_a_block_longer_than_meters_are_kept_is_not_forgotten() -> None:
    now = 0.0
    meters = Meters(lambda: now)
    banned = Allowance("all", budgets.DISCORD_GLOBAL)
    meters.of(banned).block(10 * IDLE_SECONDS)
    now = 2 * IDLE_SECONDS
    meters.of(Allowance("b", budgets.DISCORD_EDIT))
    assert meters.of(banned).blocked(now) == pytest.approx(8 * IDLE_SECONDS)


def test_growth_comes_close_together_early_and_further_apart_later() -> None:
    young, old = Meter(budgets.DISCORD_EDIT), Meter(budgets.DISCORD_EDIT)
    for meter in (young, old):
        meter.leave(0.0)
        meter.arrive(0.0, 0.0)
    assert young.growth_gap(0.0, 0.2) < old.growth_gap(0.0, 30.0) <= 1.0


def test_the_gaps_of_a_window_grow_and_all_of_its_calls_go_out() -> None:
    meter, now, gaps = Meter(budgets.DISCORD_EDIT), 0.0, []
    for _ in range(budgets.DISCORD_EDIT.calls):
        meter.leave(now)
        meter.arrive(now, now)
        gaps.append(meter.growth_gap(now, 30.0 + now))
        now += gaps[-1]
    assert gaps == sorted(gaps)
    assert now == pytest.approx(budgets.DISCORD_EDIT.seconds), "the next window is opened as soon as it may be"


def test_a_windows_calls_reach_to_an_end_that_is_expected_in_it_and_the_last_one_is_kept() -> None:
    meter, now, ends, gaps = Meter(budgets.DISCORD_EDIT), 0.0, 2.4, []
    while meter.room(now) > 1:
        meter.leave(now)
        meter.arrive(now, now)
        gaps.append(meter.growth_gap(now, now, Ahead(0.0, ends - now)))
        now += gaps[-1]
        assert meter.wait(now) == 0
    assert gaps[:-1] == pytest.approx([0.6] * 3)
    assert gaps[-1] > 0.6, "the last call is left for the end"
    assert now > ends


def test_a_windows_calls_are_spread_evenly_where_no_end_is_expected_in_it() -> None:
    meter = Meter(budgets.DISCORD_EDIT)
    meter.leave(0.0)
    meter.arrive(0.0, 0.0)
    assert meter.growth_gap(0.0, 0.0, Ahead(20.0, 25.0)) == pytest.approx(1.0)
    assert meter.growth_gap(0.0, 0.0, Ahead(3.0, 6.0)) == meter.growth_gap(0.0, 0.0), "it may end in it, or not"


def test_the_first_edit_is_spread_with_the_others_if_all_go_into_one_window() -> None:
    edits = budgets.DISCORD_EDIT
    assert opening_gap(edits, Ahead(2.0, 3.0)) == pytest.approx(3.0 / edits.calls)
    assert opening_gap(edits, Ahead(2.0, edits.seconds + 0.1)) == opening_gap(edits, None)


def test_an_end_that_is_expected_soon_uses_up_no_window_in_an_instant() -> None:
    meter, soon = Meter(budgets.DISCORD_EDIT), Ahead(0.0, 0.3)
    assert opening_gap(budgets.DISCORD_EDIT, soon) == OPENING_GAP_SECONDS
    meter.leave(0.0)
    meter.arrive(0.0, 0.0)
    assert meter.growth_gap(0.0, 0.0, soon) == EXPECTED_GAP_SECONDS


def test_a_full_window_is_waited_out() -> None:
    meter = Meter(budgets.DISCORD_EDIT)
    for _ in range(5):
        meter.leave(0.0)
        meter.arrive(0.0, 0.0)
    assert meter.growth_gap(1.0, 1.0) == pytest.approx(4.0)


@pytest.mark.parametrize("budget", [budgets.TELEGRAM_PRIVATE, budgets.TELEGRAM_GROUP])
def test_an_end_right_after_a_growth_waits_less_than_a_fifth_of_a_refill(budget: Budget) -> None:
    meter, now = Meter(budget), 0.0
    refill = budget.seconds / budget.calls
    for _ in range(50):
        meter.leave(now)
        meter.arrive(now, now)
        assert meter.wait(now) <= 0.2 * refill
        now += meter.growth_gap(now, now)
        assert meter.wait(now) == 0, "growth is not due before it may go out"


def test_a_bucket_is_refilled_while_calls_are_under_way_too() -> None:
    meter, now, calls, way = Meter(budgets.TELEGRAM_PRIVATE), 0.0, 0, 0.4
    while now < 60.0:
        now += meter.wait(now)
        meter.leave(now)
        calls += 1
        now += way
        meter.arrive(now, now - way)
    assert calls >= 60 + budgets.TELEGRAM_PRIVATE.burst - 1


def test_what_a_bucket_may_lose_while_a_call_is_under_way_is_not_counted() -> None:
    meter, burst = Meter(budgets.TELEGRAM_PRIVATE), budgets.TELEGRAM_PRIVATE.burst
    meter.leave(0.0)
    meter.arrive(5.0, 0.0)  # it may have been counted at the end, when the bucket had long been full
    assert meter.room(5.0) == burst - 1
    assert meter.room(6.0) == burst
