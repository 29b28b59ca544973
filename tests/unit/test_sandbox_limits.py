"""The strict limits of the stand-ins."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.platforms.budgets import Budget, BudgetKind
from sandbox.limits import SWEEP_KEYS, Gate, Gates, Verdict
from tests.support.clock import Epoch

WINDOW = Budget(BudgetKind.FIXED_WINDOW, 5, 5.0)
SLIDING = Budget(BudgetKind.SLIDING, 3, 1.0)
BUCKET = Budget(BudgetKind.TOKEN_BUCKET, 20, 60.0, burst=3)


def taken(gate: Gate, times: int) -> list[bool]:
    return [gate.take().allowed for _ in range(times)]


def test_fixed_window_is_opened_by_its_first_call_and_ends_whole():
    clock = Epoch()
    gate = Gate(WINDOW, clock)
    clock.seconds += 100
    assert gate.take() == Verdict(True, 4, 5.0)
    clock.seconds += 4
    assert taken(gate, 5) == [True] * 4 + [False]
    assert gate.take() == Verdict(False, 0, 1.0)
    clock.seconds += 0.99
    assert not gate.take().allowed
    clock.seconds += 0.01
    assert gate.take() == Verdict(True, 4, 5.0)


def test_sliding_window_lets_one_call_in_for_each_that_leaves():
    clock = Epoch()
    gate = Gate(SLIDING, clock)
    assert gate.take().allowed
    clock.seconds += 0.5
    assert taken(gate, 3) == [True, True, False]
    assert gate.peek().reset_after == pytest.approx(0.5)
    clock.seconds += 0.5
    assert taken(gate, 2) == [True, False]


def test_bucket_gives_its_burst_then_one_token_per_interval():
    clock = Epoch()
    gate = Gate(BUCKET, clock)
    assert taken(gate, 4) == [True, True, True, False]
    assert gate.take().reset_after == pytest.approx(3.0)
    clock.seconds += 3
    assert taken(gate, 2) == [True, False]
    clock.seconds += 1000
    assert taken(gate, 4) == [True, True, True, False]


def test_peek_counts_nothing():
    gate = Gate(WINDOW, Epoch())
    assert [gate.peek().allowed for _ in range(20)] == [True] * 20
    assert gate.take().remaining == 4


def test_refused_calls_are_not_counted():
    clock = Epoch()
    gate = Gate(SLIDING, clock)
    assert taken(gate, 50).count(True) == 3
    clock.seconds += 1
    assert gate.take().allowed


def test_keys_do_not_share_a_budget():
    gates = Gates(Epoch())
    assert [gates.take("a", WINDOW).allowed for _ in range(6)].count(True) == 5
    assert gates.take("b", WINDOW).allowed


def test_gates_at_rest_are_forgotten_and_busy_ones_kept():
    clock = Epoch()
    gates = Gates(clock)
    for number in range(SWEEP_KEYS - 1):
        gates.take(f"old {number}", WINDOW)
    clock.seconds += 10
    for _ in range(5):
        gates.take("busy", WINDOW)
    gates.take("new", WINDOW)
    assert len(gates._gates) == 2
    assert not gates.take("busy", WINDOW).allowed


def test_budget_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one call"):
        Gate(Budget(BudgetKind.SLIDING, 0, 1.0), Epoch())


@given(
    budget=st.builds(
        Budget, st.sampled_from(BudgetKind), st.integers(1, 30), st.floats(0.5, 60.0, allow_nan=False), burst=st.integers(0, 5)
    ),
    waits=st.lists(st.floats(0, 20, allow_nan=False), min_size=1, max_size=80),
)
def test_waiting_as_told_always_suffices_and_no_window_holds_too_many(budget: Budget, waits: list[float]):
    clock = Epoch()
    gate = Gate(budget, clock)
    allowed: list[float] = []
    for wait in waits:
        clock.seconds += wait / 10
        verdict = gate.take()
        if not verdict.allowed:
            clock.seconds += verdict.reset_after
            assert gate.take().allowed
        allowed.append(clock.seconds)
    most = {BudgetKind.FIXED_WINDOW: 2 * budget.calls, BudgetKind.SLIDING: budget.calls}
    limit = most.get(budget.kind, (budget.burst or budget.calls) + budget.calls)
    for start in allowed:
        assert sum(start <= moment < start + budget.seconds - 1e-3 for moment in allowed) <= limit
