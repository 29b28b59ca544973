"""Reading on in the middle of a long block, without all of it that stands before.

Reading starts anew at blocks and list items. One that goes on over many pages would be read from its beginning for each of them, so what
opens the place where the next page begins is put before it instead: the signs of the lists, quotes and marks that are open there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bot.render.markdown import DEEPEST, parsed
from bot.render.mask import Places, flattened, mask

_MARKER = re.compile(r"[-*+]|\d{1,9}[.)]|>")
_HASHES = re.compile("#{1,6}")
_BACKTICKS = re.compile("`+")
_SHOWN = "x"  # stands before the place, as text that is not shown; so that no line there begins a block by mistake
_HEADING = f"# {_SHOWN}\n"  # the same, where the next line is to begin a block: nothing goes on with a heading, and no list gets loose
_LONGEST = 1000  # characters of what is put there; what needs more is read from its beginning

_MOST_SIGNS = 32  # of marks; nobody means more of them in each other


def before(source: str, offset: int, targets: Mapping[str, str], *, inside: bool) -> tuple[str, int] | None:
    """Return what opens a place, and from where on the source follows it; None if that can't be told.

    Args:
        source: Read so far, with what is half-written closed.
        offset: The place: no white space, and not behind the end.
        targets: Of references.
        inside: The place is inside of a block, not its beginning.
    """
    opened = _opened(source, offset, targets)
    line = source.rfind("\n", 0, offset) + 1
    names = [name for name, _ in opened]
    if "Table" in names or "CodeBlock" in names:
        found = _in_lines(source, opened, line)
    elif inside:
        found = _in_text(source, opened, offset)
    else:
        found = _containers(source, [(name, start) for name, start in opened if start < line]), line
    return found if found and len(found[0]) <= _LONGEST else None


def _opened(source: str, offset: int, targets: Mapping[str, str]) -> list[tuple[str, int]]:
    """Return what is open at a place, the outermost first, and where each begins."""
    masked = flattened(mask(source, targets), DEEPEST)
    char = Places(masked).char
    opened: list[tuple[str, int]] = []
    for event, where in parsed(source, masked):
        if type(event) is not dict:
            continue
        ((kind, tag),) = event.items()
        if kind == "End":
            if char(where["end"]) > offset:
                break
            opened.pop()
            continue
        start = char(where["start"])
        if start >= offset:
            break
        if kind == "Start":
            opened.append((_name(tag), start))
        elif kind == "Code" and char(where["end"]) > offset:
            opened.append((kind, start))
            break
    return opened


def _name(tag: Any) -> str:
    return tag if type(tag) is str else next(iter(tag))


def _lines(source: str, opened: list[tuple[str, int]]) -> dict[int, int]:
    """Return the lines that open lists and quotes: where each begins, and where the last sign in it ends."""
    lines: dict[int, int] = {}
    for name, start in opened:
        if name in {"Item", "BlockQuote"} and (marker := _MARKER.match(source, start)):
            lines[source.rfind("\n", 0, start) + 1] = marker.end()
    return lines


def _containers(source: str, opened: list[tuple[str, int]]) -> str:
    return "".join([f"{source[start:end]} {_HEADING}" for start, end in _lines(source, opened).items()])


def _in_text(source: str, opened: list[tuple[str, int]], offset: int) -> tuple[str, int]:
    """Open the text of a paragraph, item or heading."""
    lines = [f"{source[start:end]} " for start, end in _lines(source, opened).items()]
    *outer, last = lines or [""]
    signs: list[str] = []
    for name, start in opened:
        if name == "Heading" and (hashes := _HASHES.match(source, start)):
            last += f"{hashes[0]} "
        signs.append(_sign(source, name, start))
    return "".join([*[f"{one}{_HEADING}" for one in outer], last, f"{_SHOWN} ", *signs[-_MOST_SIGNS:]]), offset


def _sign(source: str, name: str, start: int) -> str:
    """Return what opens a mark, as it was written: it has to go with what closes it."""
    if name == "Emphasis":
        return source[start]
    if name == "Strong" or (name == "Strikethrough" and source.startswith("~~", start)):
        return source[start] * 2
    if name == "Strikethrough":
        return source[start]
    if name == "Code" and (ticks := _BACKTICKS.match(source, start)):
        return ticks[0]
    if name == "Link" and source[start] == "[":
        return "["
    return "![" if name == "Image" else ""


def _in_lines(source: str, opened: list[tuple[str, int]], line: int) -> tuple[str, int] | None:
    """Open a table by its first two lines, and code by the line of its fence."""
    start = next(start for name, start in opened if name in {"Table", "CodeBlock"})
    first = source.rfind("\n", 0, start) + 1
    end = source.find("\n", start) + 1
    if ("Table", start) in opened:
        end = source.find("\n", end) + 1
    elif not source.startswith(("```", "~~~"), start):
        end = first = line  # indented
    outer = [(name, place) for name, place in opened if place < first]
    return (_containers(source, outer) + source[first:end], line) if 0 < end <= line or first == line else None
