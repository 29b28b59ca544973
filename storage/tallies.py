"""Usage over the tiny database protocol: rows of turns, and the sums by day that each row is part of."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from storage.base import Turn
from storage.tx import Db, Row, Tx
from storage.usage import Amounts, Limit, Money, Reservation, Spending, Standing, Tally, TurnUsage

FIGURES = ("questions", "input_tokens", "output_tokens", "estimated", "possibly_double", "unpriced", "cost")
"""What is summed, as `storage.usage.Tally` has it."""


class UsageRecords:
    """`storage.usage.UsageStore`; see there.

    Args:
        db: The driver.
        now: Epoch seconds.
    """

    def __init__(self, db: Db, now: Callable[[], float]) -> None:
        self._db = db
        self._now = now

    async def spend(self, turn: Turn, reservation: Reservation) -> Spending | None:
        """Reserve what a claimed turn is about to use, unless a limit is exceeded. None: fenced."""
        # A power cut that takes it back leaves the turn open: it is asked again, and reserves again.
        return await self._db.unit(partial(_spend, turn=turn, reservation=reservation, now=self._now()), hurried=True)

    async def settle(self, turn: Turn, amounts: Amounts | None, *, provider: str, model: str) -> bool:
        """Put what was really used in the place of a reservation; None gives it back. False: fenced, or none is there."""

        async def unit(tx: Tx) -> bool:
            if not await tx.fetch("turn_mine", turn.id, turn.attempt):
                return False
            return await settle(tx, turn.id, amounts, provider=provider, model=model, report=None)

        return await self._db.unit(unit)

    async def newest_usage(self, conversation: int) -> TurnUsage | None:
        """Return what the newest counted question of a conversation has used."""
        for row in await self._db.fetch("usage_newest", conversation):
            return TurnUsage(row["provider"], row["model"], _amounts(row), bool(row["reserved"]))
        return None

    async def tallies(self, subject: str, first_day: int, end_day: int) -> Sequence[Tally]:
        """Sum up a subject's usage by provider and currency."""
        return summed(await self._db.fetch("tallies", subject, first_day, end_day))


async def settle(tx: Tx, turn: int, amounts: Amounts | None, *, provider: str, model: str, report: str | None) -> bool:
    """Write a turn's row of usage anew, if there is one, and correct the sums. `report` is the provider's own word, as JSON."""
    rows = await tx.fetch("usage_get", turn)
    if not rows:
        return False
    row = rows[0]
    await _count(tx, row, -1)
    if amounts is None:
        await tx.fetch("usage_drop", turn)
        return True
    await _put(tx, turn, Reservation(provider, model, row["day"], tuple(json.loads(row["subjects"])), amounts), report or "{}", now=None)
    return True


async def _spend(tx: Tx, turn: Turn, reservation: Reservation, now: float) -> Spending | None:
    if not await tx.fetch("turn_mine", turn.id, turn.attempt):
        return None
    for subject in sorted({limit.subject for limit in reservation.limits}):  # sorted: nobody waits in a circle
        await tx.fetch("spender_hold", subject)
    former = await tx.fetch("usage_get", turn.id)
    standings = []
    for limit in reservation.limits:
        days = await tx.fetch("tallies", limit.subject, limit.first_day, limit.end_day)
        used = limit.used(summed(days)) - sum(_share(limit, row) for row in former)
        after = used + limit.measure(reservation.amounts)
        if after > limit.most:
            return Spending(Standing(limit, used))
        standings.append(Standing(limit, after))
    for row in former:
        await _count(tx, row, -1)
    await _put(tx, turn.id, reservation, "{}", now=now)
    return Spending(None, tuple(standings))


def _share(limit: Limit, row: Row) -> int:
    """Return how much of a limit a row of usage has taken."""
    counted = row["day"] is not None and limit.first_day <= row["day"] < limit.end_day and limit.subject in json.loads(row["subjects"])
    return limit.measure(_amounts(row)) if counted else 0


async def _put(tx: Tx, turn: int, row: Reservation, report: str, *, now: float | None) -> None:
    """Write a turn's row and add it to its sums. `now` is when it is reserved; None: it is settled."""
    amounts = row.amounts
    cost, currency = (None, "") if amounts.cost is None else (amounts.cost.nanos, amounts.cost.currency)
    figures = (amounts.input_tokens, amounts.output_tokens, cost, currency, amounts.estimated, amounts.possibly_double)
    if now is None:
        await tx.fetch("usage_settle", turn, row.provider, row.model, report, *figures)
    else:
        await tx.fetch("usage_reserve", turn, row.provider, row.model, report, now, row.day, json.dumps(row.subjects), *figures)
    for written in await tx.fetch("usage_get", turn):
        await _count(tx, written, 1)


async def _count(tx: Tx, row: Row, sign: int) -> None:
    """Add a row to the sums of its subjects, or take it out of them."""
    if row["day"] is None:
        return
    unpriced = int(row["cost"] is None)
    figures = (1, row["input_tokens"], row["output_tokens"], int(row["estimated"]), int(row["possibly_double"]), unpriced, row["cost"] or 0)
    for subject in sorted(json.loads(row["subjects"])):
        key = (subject, row["day"], row["provider"], row["currency"])
        await tx.fetch("tally_add", *key, *(sign * figure for figure in figures))


def _amounts(row: Row) -> Amounts:
    cost = None if row["cost"] is None else Money(row["cost"], row["currency"])
    return Amounts(row["input_tokens"], row["output_tokens"], cost, bool(row["estimated"]), bool(row["possibly_double"]))


def summed(rows: Iterable[Row]) -> list[Tally]:
    """Sum up days by provider and currency. What came to nothing is left out."""
    sums: dict[tuple[str, str], list[int]] = {}
    for row in rows:
        total = sums.setdefault((row["provider"], row["currency"]), [0] * len(FIGURES))
        for place, name in enumerate(FIGURES):
            total[place] += int(row[name])
    return [Tally(*key, *total) for key, total in sorted(sums.items()) if total[0]]
