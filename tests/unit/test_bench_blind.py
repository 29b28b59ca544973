"""The best schedule that does not know the end: no schedule found by brute force is expected to do better, and it is one of them."""

from __future__ import annotations

import itertools
import random

import pytest

from bench.blind import Length, blind_schedule
from bot.platforms.budgets import Budget, BudgetKind

RATE = 4.0
"""Tokens per second: a token each 0.25 s."""
WINDOW = Budget(BudgetKind.FIXED_WINDOW, 2, 1.0)
BUCKET = Budget(BudgetKind.TOKEN_BUCKET, 1, 1.0, burst=2)
BUDGETS = [(WINDOW, True), (WINDOW, False), (BUCKET, False)]


class Kept:
    """What a budget still allows, counted in its own way: by the calls made."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.made: list[float] = []

    def free(self, moment: float) -> float:
        """Return the earliest moment from `moment` on at which a call may go out."""
        budget = self.budget
        if budget.kind is BudgetKind.FIXED_WINDOW:
            opened, used = -1e9, 0
            for call in self.made:
                opened, used = (call, 1) if call >= opened + budget.seconds - 1e-9 else (opened, used + 1)
            return max(moment, opened + budget.seconds) if used >= budget.calls else moment
        refill, full = budget.seconds / budget.calls, -1e9
        for call in self.made:
            full = max(full, call) + refill
        return max(moment, full - (budget.burst - 1) * refill)


def expected(lengths: list[Length], updates: list[float], budget: Budget, *, create_apart: bool) -> float | None:
    """Return what a list of updates after the first costs, each answer walked through alone; None if the budget does not allow it."""
    total = 0.0
    for length in lengths:
        kept = Kept(budget)
        if not create_apart:
            kept.made.append(0.0)
        shown, waited = 0.0, 0.0  # the last token that is shown; how long they waited

        def show(moment: float, upto: float, shown: float) -> float:
            return sum(moment - token / RATE for token in range(round(shown * RATE) + 1, int(upto * RATE + 1e-9) + 1))

        for update in updates:
            if update > length.seconds + 1e-9:
                break
            if kept.free(update) > update + 1e-9:
                return None
            kept.made.append(update)
            waited += show(update, update, shown)
            shown = int(update * RATE + 1e-9) / RATE
        if shown < length.seconds - 1e-9:
            waited += show(kept.free(length.seconds), length.seconds, shown)
        total += length.share * waited / (round(length.seconds * RATE) + 1) / length.limit
    return total


def distributions() -> list[list[Length]]:
    rng = random.Random(5)
    found = []
    for _ in range(4):
        shares = [rng.random() ** 3 for _ in range(5)]
        places = sorted(rng.sample(range(2, 12), 5))
        found.append([Length(p / RATE, s / sum(shares), rng.uniform(0.1, 0.5)) for p, s in zip(places, shares, strict=True)])
    return found


def lists(until: float, step: float, most: int):
    moments = [step * place for place in range(1, round(until / step) + 1)]
    return (list(chosen) for size in range(most + 1) for chosen in itertools.combinations(moments, size))


@pytest.mark.parametrize("lengths", distributions())
@pytest.mark.parametrize(("budget", "create_apart"), BUDGETS)
def test_the_best_list_is_that_of_brute_force(lengths, budget, create_apart):
    found = blind_schedule(lengths, RATE, budget, create_apart=create_apart)
    costs = (expected(lengths, updates, budget, create_apart=create_apart) for updates in lists(lengths[-1].seconds, 1 / RATE, 7))
    assert found.expected == pytest.approx(min(cost for cost in costs if cost is not None))


@pytest.mark.parametrize("lengths", distributions())
@pytest.mark.parametrize(("budget", "create_apart"), BUDGETS)
def test_the_list_reaches_what_it_is_expected_to(lengths, budget, create_apart):
    found = blind_schedule(lengths, RATE, budget, create_apart=create_apart)
    assert found.moments[0] == 0
    assert expected(lengths, found.moments[1:], budget, create_apart=create_apart) == pytest.approx(found.expected)


@pytest.mark.parametrize("lengths", distributions()[:2])
@pytest.mark.parametrize(("budget", "create_apart"), BUDGETS)
def test_updates_between_two_tokens_are_worth_nothing(lengths, budget, create_apart):
    """A window opened between two tokens may be worth a trifle: less than a hundredth here, where it holds four tokens."""
    lengths = [length for length in lengths if length.seconds <= 2.0]
    found = blind_schedule(lengths, RATE, budget, create_apart=create_apart)
    costs = (expected(lengths, updates, budget, create_apart=create_apart) for updates in lists(2.0, 0.5 / RATE, 6))
    assert found.expected <= 1e-9 + min(cost for cost in costs if cost is not None)
