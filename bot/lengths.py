"""How long answers of the same kind took lately: a guess at when the one that grows will end. Pure; nothing is stored.

Edits are dealt out without knowing when an answer ends. Where the last ones of a conversation, or of a model, took about as long as each
other, the next one likely will, too, and its edits can be spread over just that time (bot/pacing.py). Where they differ nothing is
guessed. A guess that was wrong is among the known lengths afterwards, and makes them differ.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

RECENT = 8
"""Of each kind so many lengths are known: the newest."""
FEWEST = 5
"""Nothing is said of a kind of which fewer are known."""
SPREAD = 2.0
"""Nothing is said of lengths of which the longest is more than so many times the shortest."""
KINDS = 1000
"""So many kinds are remembered: those that were asked for or heard of last."""


@dataclass(frozen=True, slots=True)
class Ahead:
    """When an answer is expected to end: not before `near` seconds from now, and not after `far`."""

    near: float
    far: float


class Lengths:
    """The newest lengths of each kind of answer, in seconds from the first token to the last."""

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def learn(self, kinds: Sequence[Hashable], seconds: float) -> None:
        """Take the length of an answer into each of its kinds; one without a length says nothing."""
        if seconds <= 0:
            return
        for kind in kinds:
            self._known.setdefault(kind, deque(maxlen=RECENT)).append(seconds)
            self._known.move_to_end(kind)
        while len(self._known) > KINDS:
            self._known.popitem(last=False)

    def like(self, kinds: Sequence[Hashable]) -> tuple[float, float] | None:
        """Return the shortest and the longest recent length of the first kind of which enough are known; None if they say nothing."""
        for kind in kinds:
            known = self._known.get(kind)
            if known is not None and len(known) >= FEWEST:
                self._known.move_to_end(kind)
                shortest, longest = min(known), max(known)
                return (shortest, longest) if longest <= SPREAD * shortest else None
        return None


def ahead(like: tuple[float, float] | None, age: float) -> Ahead | None:
    """Return what is ahead of an answer of this age (seconds since its first token); None: nobody knows, or it is longer than any."""
    if like is None or age >= like[1]:
        return None
    return Ahead(max(0.0, like[0] - age), like[1] - age)
