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


def table_spans(rows: Sequence[Sequence[Cell]], alignments: Sequence[str], rule_at: int) -> list[Span]:
    """Lay a table out, one span per cell. `rule_at` is the source place of the line under the header row."""
    count = len(alignments)
    sizes = [[display_width(cell.text) for cell in row] for row in rows]
    widths = [min(_WIDEST, max([row[column] for row in sizes if column < len(row)], default=0)) for column in range(count)]
    spans: list[Span] = []
    for index, row in enumerate(rows):
        last = len(row) - 1
        for column, cell in enumerate(row):
            text = cell.text
            missing = widths[column] - sizes[index][column] if column < count else 0
            if missing > 0:
                text = _align(text, missing, alignments[column], is_last=column == last)
            _append(spans, f"{text}\n" if column == last else f"{text} | ", cell.start, cell.end)
        if index == 0:
            _append(spans, "-+-".join(["-" * width for width in widths]) + "\n", rule_at, rule_at)
    return spans


def _append(spans: list[Span], text: str, start: int, end: int) -> None:
    """Add a span; cells that a row lacks all stand in one place, and a place must belong to one span."""
    if spans and end and start <= spans[-1].start:
        text, end = spans[-1].text + text, spans[-1].start
        spans.pop()
        start = end
    spans.append(tuple.__new__(Span, (text, 0, None, start, end)))


def _align(text: str, missing: int, alignment: str, *, is_last: bool) -> str:
    left = missing if alignment == "Right" else missing // 2 if alignment == "Center" else 0
    return " " * left + text + ("" if is_last else " " * (missing - left))
