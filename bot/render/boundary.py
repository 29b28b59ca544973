"""Places in a growing text that divide what is settled from what may still change.

Markdown is read line by line, and a line at the left edge after an empty one begins a block that nothing below can join to those above:
unless it stands in a fence or goes on with a list; an item is such a line if no other one stands above it. What stands before such a place
reads the same whatever follows, and apart from what follows. Definitions of references are the exception; `bot.render.mask` collects them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bot.render.mask import holds_stand_in

# An empty line, then one at the left edge that is no list item, and will not become one with the next characters; or, as group 1, one that
# is an item for certain, and not held back as half-written.
_CERTAIN = r"(?:[-*+]|[0-9]{1,9}[.)]) {1,4}[*_~`]{0,3}[^\x00-/:-@\[-^`{-\x7f\s]"
_BREAK = re.compile(rf"\n\n(?:(?![-*+](?:[ \t\n]|\Z)|[0-9]{{1,9}}(?:[.)](?:[ \t\n]|\Z)|\Z))(?=\S)|(?={_CERTAIN})())")
_SEEN = 20  # characters behind a place that the pattern looks at, and one more: a number of nine digits, its sign, white space, marks
_FENCE = re.compile(r"( {0,3})(`{3,}(?=[^`\n]*$)|~{3,})[^\n]*", re.MULTILINE)
_TRIPLE = re.compile("```|~~~")
_FURTHEST = 3  # spaces before a fence; with more it is none
_ITEM = re.compile(r"^ {0,3}(?:[-*+]|[0-9]{1,9}[.)])[ \t\n]", re.MULTILINE)


def boundaries(text: str, start: int = 0) -> Iterator[int]:  # noqa: C901 - each place is one of three kinds
    """Find the places after `start`, itself such a place, that divide `text`, in rising order.

    A place once found remains one however the text goes on. Some places are not seen; that costs time and nothing else. The text may not
    hold a stand-in of `bot.render.mask`: then HTML in it would stay HTML, which can go on over empty lines.
    """
    if text.find("\n\n", start) < 0:
        return
    found = at = looked = start
    listed = False  # an item stands between `found` and `looked`
    fenced = text.find("```", start) >= 0 or text.find("~~~", start) >= 0
    while at >= 0:
        fence = _next_fence(text, at) if fenced else None
        end = fence.start() if fence else len(text)
        for place in _BREAK.finditer(text, at, min(len(text), end + _SEEN)):
            if place.end() > end:
                break
            if place[1] is not None:
                if found > looked:
                    listed, looked = False, found
                if not listed:
                    listed, looked = _ITEM.search(text, looked, place.end()) is not None, place.end()
                if listed:
                    continue
            found = place.end()
            yield found
        if not fence:
            return
        if found > looked:
            listed, looked = False, found
        if fence[1] and not listed:
            listed, looked = _ITEM.search(text, looked, end) is not None, text.rfind("\n", looked, end) + 1 or looked
        at = _fence_end(text, fence, listed=listed and bool(fence[1]))


def last_boundary(text: str) -> int:
    """Return the last place that divides any `text`, 0 if there is none."""
    return 0 if holds_stand_in(text) else [0, *boundaries(text)][-1]


def _next_fence(text: str, start: int) -> re.Match[str] | None:
    """Return the next line that opens a fence, if none is open."""
    while triple := _TRIPLE.search(text, start):
        if fence := _FENCE.match(text, text.rfind("\n", 0, triple.start()) + 1):
            return fence
        start = text.find("\n", triple.end())  # nor does another one in this line open any
        if start < 0:
            return None
    return None


def _fence_end(text: str, fence: re.Match[str], *, listed: bool) -> int:
    """Return where a fence ends, -1 if that can't be told.

    Args:
        text: All of the text.
        fence: Its first line.
        listed: It may belong to a list item: then it ends with the item, too.
    """
    indentation, signs = fence[1], fence[2]
    end = fence_close(text, fence.end(), signs, len(indentation) if listed else 0)
    if end >= 0 and listed and re.search(rf"^ {{0,{len(indentation) - 1}}}\S", text[fence.end() : text.rfind("\n", 0, end)], re.MULTILINE):
        return -1
    return end


def fence_close(text: str, start: int, signs: str, least: int = 0) -> int:
    """Return the end of the line that closes a fence, -1 if there is none.

    Args:
        text: All of the text.
        start: Where to look from, not before the fence's first line.
        signs: What the fence was opened with.
        least: Spaces that the line begins with, at least.
    """
    while (at := text.find(signs, start)) >= 0:
        line = text.rfind("\n", 0, at) + 1
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        lead = text[line:at]
        if least <= len(lead) <= _FURTHEST and not lead.strip(" ") and not text[at:end].rstrip(" \t").strip(signs[0]):
            return end
        start = end
    return -1
