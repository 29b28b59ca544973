"""Tables as aligned lines: neither chat has tables, both have monospaced blocks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import NamedTuple

from bot.render.document import Span
from bot.render.text import display_width

_WIDEST = 40  # columns; a longer cell runs out of line instead of padding every other row to its own length


class Cell(NamedTuple):
    """A cell's text and the place of its source."""

    text: str
    start: int
    end: int


def table_spans(rows: Sequence[Sequence[Cell]], alignments: Sequence[str], rule_at: int, *, located: bool) -> list[Span]:
    """Lay a table out, as one span; one for each cell if `located`. `rule_at` is the source place of the line under the header row."""
    count = len(alignments)
    sizes = [[display_width(cell.text) for cell in row] for row in rows]
    widths = [min(_WIDEST, max([row[column] for row in sizes if column < len(row)], default=0)) for column in range(count)]
    lines = [_line(row, sizes[index], widths, alignments) for index, row in enumerate(rows)]
    rule = "-+-".join(["-" * width for width in widths]) + "\n"
    if not located:
        return [Span("".join([*lines[0], rule, *chain.from_iterable(lines[1:])]))] if lines else []
    spans: list[Span] = []
    for index, (row, line) in enumerate(zip(rows, lines, strict=True)):
        for cell, text in zip(row, line, strict=True):
            _append(spans, text, cell.start, cell.end)
        if index == 0:
            _append(spans, rule, rule_at, rule_at)
    return spans


def _line(row: Sequence[Cell], sizes: Sequence[int], widths: Sequence[int], alignments: Sequence[str]) -> list[str]:
    """Return the text of each cell, with what divides it from the next one."""
    line: list[str] = []
    last = len(row) - 1
    for column, cell in enumerate(row):
        missing = widths[column] - sizes[column] if column < len(widths) else 0
        text = _align(cell.text, missing, alignments[column], is_last=column == last) if missing > 0 else cell.text
        line.append(f"{text}\n" if column == last else f"{text} | ")
    return line


def _append(spans: list[Span], text: str, start: int, end: int) -> None:
    """Add a span; cells that a row lacks all stand in one place, and a place must belong to one span."""
    if spans and end and start <= spans[-1].start:
        text, end = spans[-1].text + text, spans[-1].start
        spans.pop()
        start = end
    spans.append(Span(text, 0, None, start, end))


def _align(text: str, missing: int, alignment: str, *, is_last: bool) -> str:
    left = missing if alignment == "Right" else missing // 2 if alignment == "Center" else 0
    return " " * left + text + ("" if is_last else " " * (missing - left))
