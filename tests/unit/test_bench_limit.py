"""The limits are below everything brute force finds, and close to it."""

from __future__ import annotations

import itertools
import math
import random
from bisect import bisect_right
from functools import cache

import pytest

from bench.answers import shaken_times, token_times
from bench.blind import Length, blind_schedule
from bench.limit import CELL_SECONDS, chat_limit, staleness
from bench.shared import Crowd, share, shared_limit
from bot.platforms.budgets import DISCORD_EDIT, DISCORD_GLOBAL, TELEGRAM_PRIVATE, Budget, BudgetKind

WINDOW = Budget(BudgetKind.FIXED_WINDOW, 2, 2.0)
BUCKET = Budget(BudgetKind.TOKEN_BUCKET, 1, 1.0, burst=2)


def fits(updates, budget, *, create_apart):
    """Whether a budget allows updates at these moments."""
    counted = updates[1:] if create_apart else updates
    if budget.kind is BudgetKind.FIXED_WINDOW:
        opened, used = -1e9, 0
        for moment in counted:
            if moment >= opened + budget.seconds - 1e-9:
                opened, used = moment, 0
            used += 1
            if used > budget.calls:
                return False
        return True
    tokens, last = float(budget.burst), counted[0]
    for moment in counted:
        tokens = min(budget.burst, tokens + (moment - last) * budget.calls / budget.seconds) - 1
        last = moment
        if tokens < -1e-9:
            return False
    return True


def brute(times, budget, *, create_apart, step=0.25):
    """The least staleness over every set of moments on a grid that reaches behind the last token."""
    span = [times[0] + step * place for place in range(int((times[-1] - times[0]) / step) + int(2.0 / step) + 1)]
    return min(
        staleness(times, updates)
        for size in range(1, 6)
        for updates in itertools.combinations(span, size)
        if updates[-1] >= times[-1] and fits(list(updates), budget, create_apart=create_apart)
    )


def cases():
    rng = random.Random(3)
    return [sorted(rng.choice(range(13)) * 0.25 for _ in range(rng.randint(4, 9))) for _ in range(6)]


@pytest.mark.parametrize("times", cases())
@pytest.mark.parametrize(("budget", "create_apart"), [(WINDOW, True), (WINDOW, False), (BUCKET, False)])
def test_limit_is_that_of_brute_force(times, budget, create_apart):
    least = brute(times, budget, create_apart=create_apart)
    found = chat_limit(times, budget, create_apart=create_apart)
    assert found <= least + 1e-9
    assert found >= least - (CELL_SECONDS if budget is WINDOW else 1e-9)


def least_of_all(times, budget):
    """The least staleness a bucket allows: every choice of what each call shows, each call as early as it can be made."""
    interval, total = budget.seconds / budget.calls, len(times)

    @cache
    def rest(shown, full):
        if shown == total:
            return 0.0
        free = full - (budget.burst - 1) * interval
        ripe = bisect_right(times, free)
        calls = [(free, ripe)] if ripe > shown else []
        calls += [(times[upto - 1], upto) for upto in range(max(shown, ripe) + 1, total + 1)]
        return min(
            sum(moment - token for token in times[shown:upto]) + rest(upto, round(max(moment, full) + interval, 9))
            for moment, upto in calls
        )

    return rest(0, -1e9) / total


@pytest.mark.parametrize("burst", [1, 2, 3])
def test_limit_of_a_bucket_is_exact_at_whatever_moments_tokens_come(burst):
    rng = random.Random(burst)
    for _ in range(25):
        times = sorted(rng.choice([rng.uniform(0, 6), rng.randrange(9) * 0.5]) for _ in range(rng.randint(2, 12)))
        budget = Budget(BudgetKind.TOKEN_BUCKET, 1, rng.choice([0.5, 1.0, 1.3]), burst=burst)
        assert chat_limit(times, budget, create_apart=False) == pytest.approx(least_of_all(times, budget), abs=1e-7)


def test_tokens_a_little_early_or_late_hardly_change_the_limit():
    for budget, apart in ((DISCORD_EDIT, True), (TELEGRAM_PRIVATE, False)):
        even = chat_limit(token_times(8.4), budget, create_apart=apart)
        for seed in range(3):
            assert 0.97 * even < chat_limit(shaken_times(8.4, random.Random(seed)), budget, create_apart=apart) < even


def test_limit_of_the_real_budgets_is_below_even_edits_and_not_far():
    for seconds in (8.4, 23.7):
        times = token_times(seconds)
        even = staleness(times, [float(second) for second in range(int(seconds) + 1)] + [times[-1]])
        for budget, apart in ((DISCORD_EDIT, True), (TELEGRAM_PRIVATE, False)):
            assert 0.75 * even < chat_limit(times, budget, create_apart=apart) < even


def test_tokens_that_come_at_once_can_be_shown_at_once():
    assert chat_limit([1.0] * 50, DISCORD_EDIT, create_apart=True) == 0.0


def test_shared_limit_without_contention_is_that_of_a_chat_alone():
    times = token_times(8.4)
    alone = chat_limit(times, DISCORD_EDIT, create_apart=True)
    assert shared_limit([Crowd(times, 10, alone)], DISCORD_GLOBAL) == pytest.approx(alone)


def test_shared_limit_is_below_every_schedule_of_a_small_crowd_and_close_to_the_best():
    overall = Budget(BudgetKind.SLIDING, 1, 1.0)
    chats = [[0.0, 1.0, 2.0, 3.0], [0.0, 1.0, 2.0, 3.0]]
    slots = [float(second) for second in range(9)]
    best = min(
        sum(
            staleness(times, [slot for slot, owner in zip(slots, owners, strict=True) if owner == chat]) for chat, times in enumerate(chats)
        )
        for owners in itertools.product((0, 1), repeat=len(slots))
    )
    bound = shared_limit([Crowd(times, 1, 0.0) for times in chats], overall)
    assert 0.6 * best / 2 <= bound <= best / 2 + 1e-9  # whole calls of so few chats leave a gap that no prices close


@pytest.mark.parametrize("seed", range(6))
def test_shared_limit_is_below_every_schedule_of_three_answers_at_whatever_moments(seed):
    """Tokens and calls on a grid of which the budget's second is no multiple apart from its own."""
    overall, rng = Budget(BudgetKind.SLIDING, 2, 1.0), random.Random(seed)
    chats = [sorted(rng.sample([0.25 * place for place in range(10)], 3)) for _ in range(3)]

    @cache
    def rest(now, recent, shown):
        """Cost of the tokens not yet shown; `recent`: the calls of the second before."""
        if all(count == 3 for count in shown):
            return 0.0
        recent = tuple(moment for moment in recent if moment > now - 1.0)
        best = rest(now + 0.25, recent, shown) if now < 4.5 else math.inf
        if len(recent) < 2:
            for chat, times in enumerate(chats):
                ripe = bisect_right(times, now)
                if ripe > shown[chat]:
                    after = (*shown[:chat], ripe, *shown[chat + 1 :])
                    best = min(best, sum(now - token for token in times[shown[chat] : ripe]) + rest(now, (*recent, now), after))
        return best

    least = rest(0.0, (), (0, 0, 0)) / 9
    bound = shared_limit([Crowd(times, 1, 0.0) for times in chats], overall)
    assert 0.5 * least <= bound <= least + 1e-9


def test_no_two_periods_worth_of_calls_fit_around_the_end_of_one():
    times = [[0.0]] + [[0.9 + 0.001 * place] for place in range(50)] + [[1.05 + 0.001 * place] for place in range(50)]
    bound = shared_limit([Crowd(moments, 1, 0.0) for moments in times], DISCORD_GLOBAL)
    assert 0.4 < bound < 0.5  # half of them wait for nearly a second


def test_where_everybody_has_turns_two_seconds_apart_the_best_schedule_has_first_texts_wait_for_about_half_of_that():
    """And alone, for nothing: the first token is shown at once."""
    times = token_times(58.3)
    assert 0.7 < share([Crowd(times, 100, 0.4)], DISCORD_GLOBAL).first < 1.3
    assert share([Crowd(times, 1, 0.0)], DISCORD_GLOBAL).first == 0.0


def test_shared_limit_of_a_large_crowd_is_half_the_time_between_turns():
    times = token_times(58.3)
    bound = shared_limit([Crowd(times, 100, 0.4)], DISCORD_GLOBAL)
    assert 0.9 < bound < 1.0  # every chat has its turn every two seconds


@pytest.mark.parametrize(("budget", "create_apart"), [(DISCORD_EDIT, True), (TELEGRAM_PRIVATE, False)])
def test_blind_schedule_keeps_to_the_budget_and_grows_apart_when_most_answers_are_short(budget, create_apart):
    lengths = [Length(seconds / 4, 0.05, 0.2 + 0.01 * seconds) for seconds in range(2, 42, 2)]
    moments = blind_schedule(lengths, 20.0, budget, create_apart=create_apart).moments
    assert fits(moments, budget, create_apart=create_apart)
    gaps = [later - earlier for earlier, later in itertools.pairwise(moments)]
    assert gaps[0] < gaps[2]
