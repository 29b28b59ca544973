"""What the bridge used, for the operator: a table by day, subject and provider, also while the bridge runs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bot import budgets, texts_usage
from bot.budgets import Budget, Budgets
from storage.beside import usage_by_day
from storage.usage import Tally

KINDS = ("user", "role", "channel", "conversation", "budget", "all")
"""Whose sums there are; a subject's name begins so. Those that measure a budget are a person's, a channel's or of another of these kinds
as well, if it is not narrowed."""

Sums = Mapping[tuple[int, str], Sequence[Tally]]
Row = tuple[str, str, str, str]


def usage_table(path: Path, month: tuple[int, int] | None = None, kind: str = "user", limits: Budgets | None = None) -> list[str]:
    """Return the lines of the table, newest day first.

    Args:
        path: The database.
        month: Year and month, UTC; None: the present one.
        kind: Whose sums, one of `KINDS`; "budget": how far each budget was in each of its periods, as /usage counts it.
        limits: The operator's budgets.

    Raises:
        StoreError: The database can't be read.
    """
    now = datetime.now(UTC)
    year, number = month or (now.year, now.month)
    first, end = budgets.month_of(budgets.day_of(datetime(year, number, 1, tzinfo=UTC).timestamp()))
    if not usage_by_day(path, first, end, of=budgets.ALL):  # every question counts there
        return [texts_usage.no_usage(year, number)]
    sums = usage_by_day(path, first, end, of=kind)
    if kind != "budget":
        return _lined(_by_day(sums)) or [texts_usage.no_role(year, number)]
    kept = limits or Budgets()
    of = {per: usage_by_day(path, first, end, of=per) for per in {budget.per for budget in kept}}
    known, former = [], dict(sums)
    for budget in kept:
        own = {key: tallies for key, tallies in {**of[budget.per], **sums}.items() if budget.measured(key[1]) is not None}
        known += _of_budget(kept, budget, own, first)
        former = {key: tallies for key, tallies in former.items() if key not in own}
    notes = [texts_usage.by_roles(budget.name) for budget in kept if budget.by_roles]
    return [*_lined(known), *_lined(_by_day(former)), *notes] or [texts_usage.no_budget(year, number)]


def _by_day(sums: Sums) -> list[Row]:
    return [
        (str(budgets.date_of(day)), subject, tally.provider, texts_usage.usage_line([tally]))
        for (day, subject), found in sums.items()
        for tally in found
    ]


def _of_budget(kept: Budgets, budget: Budget, sums: Sums, first: int) -> list[Row]:
    """Return how far a budget was, newest period first; `first` is the month's first day."""
    periods: dict[tuple[int, str], list[Tally]] = {}
    for (day, subject), found in sums.items():
        periods.setdefault((budgets.span(budget.period, day)[0], subject), []).extend(found)
    rows = []
    for day, subject in sorted(periods, key=lambda period: (-period[0], period[1])) or [(first, "")]:
        tallies = periods.get((day, subject), [])
        said = texts_usage.budget_row(kept.limit(budget, subject, day).standing(tallies), sum(tally.questions for tally in tallies))
        date = budgets.date_of(day)
        whole = budget.period == "month" or not subject
        rows.append((f"{date:%Y-%m}" if whole else str(date), budget.name, budget.measured(subject) or texts_usage.NOBODY, said))
    return rows


def _lined(rows: Iterable[Row]) -> list[str]:
    """Return rows as lines whose columns stand below each other."""
    listed = list(rows)
    widths = [max(len(row[place]) for row in listed) for place in range(3)] if listed else []
    return ["  ".join([*(part.ljust(width) for part, width in zip(row, widths, strict=False)), row[3]]) for row in listed]
