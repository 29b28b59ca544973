"""Usage over the tiny database protocol: rows of turns, and the sums by day that each row is part of."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import partial

from storage.base import Turn
from storage.tx import OverDb, Row, Tx
from storage.usage import Amounts, Limit, Money, Reservation, Spending, Tally, TurnUsage

FIGURES = ("questions", "input_tokens", "output_tokens", "estimated", "possibly_double", "unpriced", "cost")
"""What is summed, as `storage.usage.Tally` has it."""


class UsageRecords(OverDb):
    """`storage.usage.UsageStore`; see there."""

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
    former = rows[0]
    if amounts is None:
        await _correct(tx, former, None)
        await tx.fetch("usage_drop", turn)
        return True
    await tx.fetch("usage_settle", turn, provider, model, report or "{}", *_columns(amounts))
    if former["day"] is not None:
        await _correct(tx, former, Reservation(provider, model, former["day"], tuple(json.loads(former["subjects"])), amounts))
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
        sums, own = summed(days), next((_amounts(row) for row in former if _counted(limit, row)), None)
        after = limit.standing(sums, own, reservation.amounts)
        if after.used > limit.most:
            return Spending(limit.standing(sums, own))
        standings.append(after)
    asked = (turn.id, reservation.provider, reservation.model, "{}", now, reservation.day, json.dumps(reservation.subjects))
    await tx.fetch("usage_reserve", *asked, *_columns(reservation.amounts))
    await _correct(tx, former[0] if former else None, reservation)
    return Spending(None, tuple(standings))


def _counted(limit: Limit, row: Row) -> bool:
    """Tell whether a row of usage is part of what a limit is measured by."""
    return row["day"] is not None and limit.first_day <= row["day"] < limit.end_day and limit.subject in json.loads(row["subjects"])


def _columns(amounts: Amounts) -> tuple[object, ...]:
    """Return what a row of usage says of amounts."""
    cost, currency = (None, "") if amounts.cost is None else (amounts.cost.nanos, amounts.cost.currency)
    return amounts.input_tokens, amounts.output_tokens, cost, currency, amounts.estimated, amounts.possibly_double


async def _correct(tx: Tx, former: Row | None, row: Reservation | None) -> None:
    """Take a row of usage out of the sums of its subjects, and put another in; a sum that both are part of is written once."""
    changes: dict[tuple[str, int, str, str], list[int]] = {}
    if former is not None and former["day"] is not None:
        _add(changes, Reservation(former["provider"], former["model"], former["day"], json.loads(former["subjects"]), _amounts(former)), -1)
    if row is not None:
        _add(changes, row, 1)
    for key, change in sorted(changes.items()):  # sorted: nobody waits in a circle
        if any(change):
            await tx.fetch("tally_add", *key, *change)


def _add(changes: dict[tuple[str, int, str, str], list[int]], row: Reservation, sign: int) -> None:
    amounts = row.amounts
    cost, currency = (0, "") if amounts.cost is None else (amounts.cost.nanos, amounts.cost.currency)
    unpriced = int(amounts.cost is None)
    figures = (1, amounts.input_tokens, amounts.output_tokens, int(amounts.estimated), int(amounts.possibly_double), unpriced, cost)
    for subject in row.subjects:
        sums = changes.setdefault((subject, row.day, row.provider, currency), [0] * len(FIGURES))
        for place, figure in enumerate(figures):
            sums[place] += sign * figure


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
