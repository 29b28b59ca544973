"""What questions cost: reserved before a provider is asked, settled afterwards, summed by day.

A turn has one row of usage, whatever becomes of it: asked again after a crash, at another provider or after a wait, the row is written
anew, so that nothing is counted twice. Each row is part of the sums of some subjects, such as a person or a conversation; what a subject
is called is the caller's business. Days are UTC's, numbered from 1970-01-01.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from storage.base import Turn

NANOS = 1_000_000_000
"""Money is counted in whole billionths of its currency: a token costs that little, and nothing is lost in sums."""


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of money. `nanos` is in billionths of the currency."""

    nanos: int
    currency: str


@dataclass(frozen=True, slots=True)
class Amounts:
    """What one question used.

    Attributes:
        cost: None: unknown.
        estimated: Some of the tokens are estimates.
        possibly_double: It may have been billed more than once.
    """

    input_tokens: int
    output_tokens: int
    cost: Money | None = None
    estimated: bool = False
    possibly_double: bool = False

    @property
    def tokens(self) -> int:
        """Prompt and answer together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True)
class Tally:
    """Sums over questions of one subject at one provider in one currency.

    Attributes:
        estimated: How many of the questions have estimated tokens.
        possibly_double: How many may have been billed more than once.
        unpriced: How many have an unknown cost; their currency is empty.
        cost: Billionths of the currency.
    """

    provider: str
    currency: str
    questions: int
    input_tokens: int
    output_tokens: int
    estimated: int
    possibly_double: int
    unpriced: int
    cost: int


@dataclass(frozen=True, slots=True)
class Limit:
    """What a subject may use from one day on until, but not including, another: tokens, or money in one currency.

    Attributes:
        name: The caller's own, by which it knows the limit again.
        tokens: None: there is a limit of money.
        cost: None: there is a limit of tokens.
    """

    name: str
    subject: str
    first_day: int
    end_day: int
    tokens: int | None = None
    cost: Money | None = None

    @property
    def most(self) -> int:
        """The limit: tokens, or billionths of its currency."""
        return self.cost.nanos if self.cost is not None else self.tokens or 0

    def covers(self, cost: Money | None) -> bool:
        """Tell whether a cost can be held against it: it is known, and in its currency; nothing is nothing in every currency."""
        return self.cost is None or (cost is not None and (cost.nanos == 0 or cost.currency == self.cost.currency))

    def measure(self, amounts: Amounts) -> int:
        """Return how much of it some amounts take. What is of unknown cost or in another currency takes nothing of a limit of money."""
        if self.cost is None:
            return amounts.tokens
        return amounts.cost.nanos if amounts.cost is not None and self._counts(amounts) else 0

    def used(self, tallies: Iterable[Tally]) -> int:
        """Return how much of it is used by some sums."""
        if self.cost is None:
            return sum(tally.input_tokens + tally.output_tokens for tally in tallies)
        return sum(tally.cost for tally in tallies if tally.currency == self.cost.currency)

    def estimates(self, tallies: Iterable[Tally]) -> int:
        """Return of how many questions what is used of it is estimated, by some sums."""
        return sum(tally.estimated for tally in tallies if self.cost is None or tally.currency == self.cost.currency)

    def standing(self, tallies: Sequence[Tally], instead: Amounts | None = None, put: Amounts | None = None) -> Standing:
        """Return how much of it is used by some sums, with other amounts of one question in the place of those that they hold of it."""
        used, estimates = self.used(tallies), self.estimates(tallies)
        for amounts, sign in ((instead, -1), (put, 1)):
            if amounts is not None:
                used += sign * self.measure(amounts)
                estimates += sign * (amounts.estimated and self._counts(amounts))
        return Standing(self, used, estimated=used > 0 and estimates > 0)

    def _counts(self, amounts: Amounts) -> bool:
        return self.cost is None or (amounts.cost is not None and amounts.cost.currency == self.cost.currency)


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a question is expected to use. `day` and `subjects` say in which sums it is counted; it is refused if it exceeds a limit."""

    provider: str
    model: str
    day: int
    subjects: tuple[str, ...]
    amounts: Amounts
    limits: tuple[Limit, ...] = ()


@dataclass(frozen=True, slots=True)
class Standing:
    """How much of a limit is used, in tokens or in billionths of its currency; what is reserved counts.

    Attributes:
        estimated: Some of it is an estimate, or reserved.
    """

    limit: Limit
    used: int
    estimated: bool = False


@dataclass(frozen=True, slots=True)
class Spending:
    """What became of a reservation.

    Attributes:
        over: The first limit that it would exceed, and what is used of that without it; None: it was made.
        standings: Of every limit, with the reservation, if it was made.
    """

    over: Standing | None
    standings: tuple[Standing, ...] = ()


@dataclass(frozen=True, slots=True)
class TurnUsage:
    """What one question used. `reserved`: it is what was expected; the question runs, or nobody knows what became of it."""

    provider: str
    model: str
    amounts: Amounts
    reserved: bool


class UsageStore(Protocol):
    """What a store knows of costs."""

    async def spend(self, turn: Turn, reservation: Reservation) -> Spending | None:
        """Reserve what a claimed turn is about to use, in the place of what it reserved before; one transaction with the check of limits.

        A reservation that exceeds a limit is not made, and what the turn had reserved stays. What is never settled stays counted as it
        was reserved. None: fenced.
        """
        ...

    async def settle(self, turn: Turn, amounts: Amounts | None, *, provider: str, model: str) -> bool:
        """Put what an open turn really used in the place of its reservation; None gives it back: nothing was used.

        False: fenced, or there is no reservation.
        """
        ...

    async def newest_usage(self, conversation: int) -> TurnUsage | None:
        """Return what the newest question of a conversation that was counted has used."""
        ...

    async def tallies(self, subject: str, first_day: int, end_day: int) -> Sequence[Tally]:
        """Sum up a subject's usage from one day until, but not including, another, by provider and currency."""
        ...
