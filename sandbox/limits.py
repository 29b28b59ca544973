"""Rate limits as the far side keeps them: strict, per key, on an injected clock.

A refused call is not counted: that is how Discord does it, and a stand-in that punishes insistence adds the punishment itself.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from bot.platforms.budgets import Budget, BudgetKind

SLACK_SECONDS = 1e-6
"""Waiting exactly as long as told must suffice; epoch seconds as floats are good to about a quarter of this."""
SWEEP_KEYS = 4096
"""So many keys before those at rest are forgotten."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says to one call.

    Attributes:
        allowed: Whether the call may be made; it has been counted then.
        remaining: Calls that may still be made at once.
        reset_after: Seconds. Of a fixed window: until it ends; of a sliding one: until its oldest call leaves; of a bucket: until its next
            token. A refused call is allowed after that time if no other call comes between.
    """

    allowed: bool
    remaining: int
    reset_after: float


class Gate:
    """One budget for one key.

    Args:
        budget: What is allowed.
        now: Returns the present second; any epoch, never going back.
    """

    def __init__(self, budget: Budget, now: Callable[[], float]) -> None:
        if budget.calls < 1 or budget.seconds <= 0:
            raise ValueError(f"A budget needs at least one call and a period above 0: {budget}")
        self.budget = budget
        self._now = now
        self._opened = 0.0
        self._used = 0
        self._times: deque[float] = deque()
        self._capacity = float(budget.burst or budget.calls)
        self._tokens = self._capacity
        self._refilled = now()

    def take(self) -> Verdict:
        """Ask for one call and count it if it is allowed."""
        return self._ask(1)

    def peek(self) -> Verdict:
        """Say what `take` would say, without counting."""
        return self._ask(0)

    @property
    def at_rest(self) -> bool:
        """Whether the gate is as good as new."""
        self._advance(self._now())
        return not self._used and not self._times and self._tokens >= self._capacity

    def _ask(self, count: int) -> Verdict:
        now = self._now()
        self._advance(now)
        match self.budget.kind:
            case BudgetKind.FIXED_WINDOW:
                return self._ask_window(now, count)
            case BudgetKind.SLIDING:
                return self._ask_sliding(now, count)
            case BudgetKind.TOKEN_BUCKET:
                return self._ask_bucket(count)

    def _advance(self, now: float) -> None:
        """Let go what time has let go."""
        period = self.budget.seconds
        if self._used and self._opened + period - now <= SLACK_SECONDS:
            self._used = 0
        while self._times and self._times[0] + period - now <= SLACK_SECONDS:
            self._times.popleft()
        if self._tokens < self._capacity:
            self._tokens = min(self._capacity, self._tokens + max(0.0, now - self._refilled) * self.budget.calls / period)
        self._refilled = now

    def _ask_window(self, now: float, count: int) -> Verdict:
        allowed = self._used < self.budget.calls
        if allowed and count:
            if not self._used:
                self._opened = now
            self._used += count
        reset = self._opened + self.budget.seconds - now if self._used else 0.0
        return Verdict(allowed, self.budget.calls - self._used, reset)

    def _ask_sliding(self, now: float, count: int) -> Verdict:
        allowed = len(self._times) < self.budget.calls
        if allowed and count:
            self._times.append(now)
        reset = self._times[0] + self.budget.seconds - now if self._times else 0.0
        return Verdict(allowed, self.budget.calls - len(self._times), reset)

    def _ask_bucket(self, count: int) -> Verdict:
        per_token = self.budget.seconds / self.budget.calls
        slack = SLACK_SECONDS / per_token
        allowed = self._tokens >= 1 - slack
        if allowed:
            self._tokens = max(0.0, self._tokens - count)
        whole = int(self._tokens + slack)
        reset = 0.0 if self._tokens >= self._capacity else max(0.0, (whole + 1 - self._tokens) * per_token)
        return Verdict(allowed, whole, reset)


class Gates:
    """Gates by key, each made with the budget of its first call."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._gates: dict[str, Gate] = {}

    def take(self, key: str, budget: Budget) -> Verdict:
        """Ask for one call under this key."""
        return self._gate(key, budget).take()

    def peek(self, key: str, budget: Budget) -> Verdict:
        """Say what `take` would say, without counting."""
        return self._gate(key, budget).peek()

    def reset(self) -> None:
        """Forget all that was counted."""
        self._gates.clear()

    def _gate(self, key: str, budget: Budget) -> Gate:
        gate = self._gates.get(key)
        if gate is None or gate.budget != budget:
            if len(self._gates) >= SWEEP_KEYS:
                self._gates = {name: kept for name, kept in self._gates.items() if not kept.at_rest}
            gate = self._gates[key] = Gate(budget, self._now)
        return gate
