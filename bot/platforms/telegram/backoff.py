"""How long to wait before asking again."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 15.0


class Backoff:
    """Doubling waits with jitter: each between half of its step and all of it.

    At least half a second: asked with the same offset again within 0.5 s, Telegram hands out one update only (its server's source).
    """

    def __init__(self, uniform: Callable[[float, float], float] = random.uniform) -> None:
        self._uniform = uniform
        self._step = FIRST_SECONDS

    def next(self) -> float:
        """Return the seconds to wait now."""
        step, self._step = self._step, min(self._step * 2, LONGEST_SECONDS)
        return self._uniform(step / 2, step)

    def reset(self) -> None:
        """Begin anew: it worked."""
        self._step = FIRST_SECONDS
