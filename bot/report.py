"""What the bridge used, for the operator: a table by day, subject and provider, also while the bridge runs."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from bot import budgets, texts_usage
from storage.beside import usage_by_day

KINDS = ("user", "role", "channel", "conversation", "budget", "all")
"""Whose sums there are; a subject's name begins so."""


def usage_table(path: Path, month: tuple[int, int] | None = None, kind: str = "user") -> list[str]:
    """Return the lines of the table, newest day first.

    Args:
        path: The database.
        month: Year and month, UTC; None: the present one.
        kind: Whose sums, one of `KINDS`.

    Raises:
        StoreError: The database can't be read.
    """
    now = datetime.now(UTC)
    year, number = month or (now.year, now.month)
    first, end = budgets.month_of(budgets.day_of(datetime(year, number, 1, tzinfo=UTC).timestamp()))
    sums = usage_by_day(path, first, end, of=kind)
    listed = [(budgets.date_of(day), subject, tally) for (day, subject), found in sums.items() for tally in found]
    rows = [(str(date), subject, tally.provider, texts_usage.usage_line([tally])) for date, subject, tally in listed]
    if not rows:
        return [texts_usage.no_usage(year, number)]
    widths = [max(len(row[place]) for row in rows) for place in range(3)]
    return ["  ".join([*(part.ljust(width) for part, width in zip(row, widths, strict=False)), row[3]]) for row in rows]
