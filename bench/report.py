"""Tables of the benchmarks, for people and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from bench.answers import percentile
from bench.rules import Run

Row: TypeAlias = Mapping[str, Any]


def figures(run: Run, limits: Sequence[float], shared: float, forced: float = 0.0) -> dict[str, Any]:
    """Return the columns that a run fills.

    Args:
        run: What was measured.
        limits: Least staleness of each answer in a chat of its own.
        shared: Least mean staleness of them all, where they share a budget.
        forced: How long first texts wait there under the schedule that knows all ends, seconds, the median.
    """
    outcomes = run.outcomes
    mean = sum(one.staleness for one in outcomes) / len(outcomes)
    crowded = shared > sum(limits) / len(limits) + 1e-9  # then the limit of each is not known, only that of them all
    ratios = [] if crowded else [one.staleness / limit for one, limit in zip(outcomes, limits, strict=True) if limit > 0]
    return {
        "complete": f"{sum(one.complete for one in outcomes)}/{len(outcomes)}",
        "first p50": percentile([one.first for one in outcomes], 0.5),
        "first p95": percentile([one.first for one in outcomes], 0.95),
        "forced": forced if crowded else 0.0,
        "staleness": mean,
        "limit": shared,
        "ratio": mean / shared if shared else math.nan,
        "mean ratio": sum(ratios) / len(ratios) if ratios else None,
        "lag p50": percentile([one.lag for one in outcomes], 0.5),
        "lag p95": percentile([one.lag for one in outcomes], 0.95),
        "calls": run.calls / len(outcomes),
        "429s": run.floods,
    }


def table(rows: Sequence[Row]) -> str:
    """Return rows as aligned text, numbers with the digits that carry meaning."""
    if not rows:
        return ""
    heads = list(rows[0])
    cells = [[_cell(row.get(head)) for head in heads] for row in rows]
    widths = [max(len(line[place]) for line in [heads, *cells]) for place in range(len(heads))]
    numeric = [all(isinstance(row.get(head), int | float | None) for row in rows) for head in heads]
    lines = [heads, ["-" * width for width in widths], *cells]
    aligned = (
        "  ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, numeric, strict=True))
        for line in lines
    )
    return "\n".join(line.rstrip() for line in aligned)


def markdown(rows: Sequence[Row]) -> str:
    """Return rows as a Markdown table whose columns also align as plain text."""
    if not rows:
        return ""
    heads = list(rows[0])
    cells = [[_cell(row.get(head)) for head in heads] for row in rows]
    widths = [max(2, *(len(line[place]) for line in [heads, *cells])) for place in range(len(heads))]
    numeric = [all(isinstance(row.get(head), int | float | None) for row in rows) for head in heads]
    rule = ["-" * (width - 1) + (":" if right else "-") for width, right in zip(widths, numeric, strict=True)]
    lines = [heads, rule, *cells]
    return "\n".join(
        "| "
        + " | ".join(cell.rjust(width) if right else cell.ljust(width) for cell, width, right in zip(line, widths, numeric, strict=True))
        + " |"
        for line in lines
    )


def write(path: Path, content: Mapping[str, Any]) -> None:
    """Write a run's figures as JSON; what is not a number becomes null."""
    path.write_text(json.dumps(_plain(content), indent=1) + "\n", encoding="utf-8")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        if not math.isfinite(value):
            return "never" if value > 0 else "-"
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 100 else f"{value:.3f}".replace("-0.000", "0.000")
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
