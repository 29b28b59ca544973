"""What rendering costs: `python -m bench.render [--json FILE] [--strict]`.

whole                a document from Markdown to platform text, as for a text that comes in one piece: parse, write, measure
growing              an answer of several pages that grows by 20 tokens at a time and is rendered after each, as while it streams. A
                     kilobyte counts each time that it is asked for: an update asks for all of the last page
ms per 1,000 tokens  the same as processor time for 1,000 tokens of the answer

Times are in microseconds per kilobyte, of one run, the best of several goes. A kilobyte is 1,024 bytes of UTF-8; "in letters" counts 1,024
characters instead, which for Chinese makes two and a half times as much.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench import report
from bench.documents import DOCUMENTS
from bot.render import discord, telegram
from bot.render.base import Style
from bot.render.pager import Pager

STYLES = {"discord": discord.STYLE, "telegram": telegram.STYLE}
KILOBYTE = 1024
LIMIT = 150.0
"""Microseconds per kilobyte rendered."""
CHARS_PER_TOKEN = 4.5
STEP = 90
"""Characters that an answer grows by between two updates: 20 tokens, which a model writes in about half a second."""
LONG = 9000
"""Characters of the answer that grows: two pages of Telegram, four of Discord."""
GOES = 15
LEAST_SECONDS = 0.01


def cost(work: Callable[[], object]) -> float:
    """Return the seconds that one call takes: the best mean of several goes."""
    best = float("inf")
    for _ in range(GOES):
        calls, began = 0, time.process_time()
        while (took := time.process_time() - began) < LEAST_SECONDS or not calls:
            work()
            calls += 1
        best = min(best, took / calls)
    return best


def grow(style: Style, text: str, step: int = STEP) -> int:
    """Render an answer as it grows; return the characters asked for, the pages before the last one not counted."""
    pager, asked, frozen, begun = Pager(style), 0, 0, 0
    for end in range(step, len(text) + step, step):
        pages = pager.pages(text[:end], final=end >= len(text))
        if len(pages) - 1 != frozen:
            frozen, begun = len(pages) - 1, max(begun, end - step)
        asked += min(end, len(text)) - begun
    return asked


def row(platform: str, kind: str, text: str) -> dict[str, Any]:
    """Measure one kind of text on one platform."""
    style = STYLES[platform]
    long = (f"{text}\n" * (LONG // len(text) + 1))[:LONG]
    whole = cost(lambda: style.measure(style.render(text)))
    letters = grow(style, long)
    weight = len(text.encode()) / len(text)
    growing = cost(lambda: grow(style, long))
    return {
        "platform": platform,
        "text": kind,
        "whole": whole * 1e6 / (len(text) * weight / KILOBYTE),
        "growing": growing * 1e6 / (letters * weight / KILOBYTE),
        "in letters": growing * 1e6 / (letters / KILOBYTE),
        "ms per 1,000 tokens": growing * 1e3 / (LONG / CHARS_PER_TOKEN) * 1000,
    }


def over(rows: Sequence[report.Row]) -> list[str]:
    """Return what is beyond the limit, in words."""
    return [
        f"{one['platform']}, {one['text']}, {column}: {one[column]:.0f} µs/KB is over {LIMIT:.0f}"
        for one in rows
        for column in ("whole", "growing")
        if one[column] > LIMIT
    ]


def main() -> int:
    """Measure, print, and return the exit code: 1 with --strict if anything is beyond the limit."""
    parser = argparse.ArgumentParser(prog="python -m bench.render", description="Measure what rendering costs.")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    parser.add_argument("--strict", action="store_true", help="fail over the limit")
    arguments = parser.parse_args()
    rows = [row(platform, kind, text) for platform in STYLES for kind, text in DOCUMENTS.items()]
    print(report.table(rows), *over(rows), sep="\n")
    if arguments.json:
        report.write(arguments.json, {"rows": rows})
    return int(arguments.strict and bool(over(rows)))


if __name__ == "__main__":
    sys.exit(main())
