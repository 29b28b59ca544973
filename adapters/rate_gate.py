"""Keeps one account's requests under its limit a minute, as far as that is known: set by the operator, or learned from refusals.

A gate delays and never refuses: who has waited as long as may be is let through, and the provider itself says what it thinks of that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

WINDOW_S = 60.0
"""Limits are told in requests a minute."""
FORGET_S = 600.0
"""What was learned from a refusal holds so long: another user of the key may have been behind it, or the plan is a new one by now."""


class RateGate:
    """The requests of one account.

    Args:
        now: Gives monotonic seconds.
        limit: Requests a minute that the operator names; None: not known before a refusal.
        least: No smaller limit is learned: others with the same key may have caused the refusal, or too many requests at once.
    """

    def __init__(self, now: Callable[[], float], limit: int | None = None, *, least: int = 1) -> None:
        self.now = now
        self.closed_until = 0.0
        self._own = limit
        self._least = least
        self._learned: int | None = None
        self._learned_at = 0.0
        self._sent: deque[float] = deque()

    def place(self, most: float) -> Place:
        """Take a place in the row, which is at most `most` seconds long for who comes now."""
        now = self.now()
        self._sweep(now)
        limit = self.limit
        free = self._sent[-limit] + WINDOW_S if limit is not None and len(self._sent) >= limit else now
        at = min(max(now, free), now + most)
        if self._sent:
            at = max(at, min(self._sent[-1], now + most))  # nobody overtakes
        self._sent.append(at)
        return Place(self, at, now + most)

    def leave(self, at: float) -> None:
        """Give a place back that was not used."""
        if at in self._sent:
            self._sent.remove(at)

    @property
    def limit(self) -> int | None:
        """Requests a minute, None if nothing is known."""
        if self._own is not None:
            return self._own
        return self._learned if self.now() < self._learned_at + FORGET_S else None

    def refused(self, place: Place, seconds: float) -> None:
        """A request was refused: nothing goes out for so long; what was taken within the last minute is what the account may send."""
        now = self.now()
        self.leave(place.at)
        self._sweep(now)
        self.close(seconds)
        taken = sum(1 for at in self._sent if at <= now)
        if taken:
            self._learned, self._learned_at = max(taken, self._least), now

    def close(self, seconds: float) -> None:
        """Let nothing out for so long."""
        self.closed_until = max(self.closed_until, self.now() + seconds)

    def _sweep(self, now: float) -> None:
        while self._sent and self._sent[0] <= now - WINDOW_S:
            self._sent.popleft()


class Place:
    """A place in the row.

    Attributes:
        at: When it is this one's turn, by what was known when it was taken.
    """

    def __init__(self, gate: RateGate, at: float, latest: float) -> None:
        self.at = at
        self._gate = gate
        self._latest = latest

    def wait(self) -> float:
        """Return the seconds still to wait; 0.0: the request may go out."""
        return max(0.0, min(max(self.at, self._gate.closed_until), self._latest) - self._gate.now())

    def leave(self) -> None:
        """Give it back, if the request did not go out."""
        self._gate.leave(self.at)
