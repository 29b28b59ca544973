"""Tables as aligned lines: neither chat has tables, both have monospaced blocks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from bot.render.document import Span
from bot.render.text import display_width

_WIDEST = 40  # columns; a longer cell runs out of line instead of padding every other row to its own length


class Cell(NamedTuple):
    """A cell's text and the place of its source."""

    text: str
    start: int
    end: int


def table_spans(rows: Sequence[Sequence[Cell]], alignments: Sequence[str], rule_at: int) -> tuple[Span, ...]:
    """Lay a table out, one span per cell. `rule_at` is the source place of the line under the header row."""
    widths = [0] * len(alignments)
    for row in rows:
        for column, cell in enumerate(row[: len(widths)]):
            widths[column] = max(widths[column], min(display_width(cell.text), _WIDEST))
    spans: list[Span] = []
    for index, row in enumerate(rows):
        last = len(row) - 1
        for column, cell in enumerate(row):
            text = cell.text
            if column < len(widths):
                text = _align(text, widths[column], alignments[column], is_last=column == last)
            _append(spans, Span(text + ("\n" if column == last else " | "), 0, None, cell.start, cell.end))
        if index == 0:
            _append(spans, Span("-+-".join("-" * width for width in widths) + "\n", 0, None, rule_at, rule_at))
    return tuple(spans)


def _append(spans: list[Span], span: Span) -> None:
    """Add a span; cells that a row lacks all stand in one place, and a place must belong to one span."""
    if spans and span.start <= spans[-1].start and span.end:
        spans[-1] = spans[-1]._replace(text=spans[-1].text + span.text, end=spans[-1].start)
    else:
        spans.append(span)


def _align(text: str, width: int, alignment: str, *, is_last: bool) -> str:
    missing = max(0, width - display_width(text))
    left = missing if alignment == "Right" else missing // 2 if alignment == "Center" else 0
    return " " * left + text + ("" if is_last else " " * (missing - left))
