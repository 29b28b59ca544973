"""Text that stands folded above an answer, such as what a model said to itself: bounded, plain, and no part of the answer."""

from __future__ import annotations

import re

from bot.render.base import Style
from bot.render.document import Block, Kind, Span
from bot.render.text import clean, cluster_boundary

SHOWN_CHARS = 800
"""So much of it is shown, the newest part; ours."""
SHARE = 2
"""It takes at most one part in so many of a message, so that the answer has room beside it."""
ELLIPSIS = "…"
_KEPT_CHARS = 8 * SHOWN_CHARS  # of what was said, empty lines included, which are not shown
_LONGEST_WORD = 40
_WHITE_SPACE = re.compile(r"\s+")


class Folded:
    """A growing text of which the newest part is shown.

    Appending is cheap. However much is said, little of it is kept.

    Args:
        style: How it is shown.
        sign: Stands before it.
    """

    def __init__(self, style: Style, sign: str = "") -> None:
        self._style = style
        self._sign = f"{sign} " if sign else ""
        self._parts: list[str] = []
        self._text = ""
        self._is_cut = False

    def append(self, text: str) -> None:
        """Add what was said next."""
        self._parts.append(text)

    def blocks(self) -> tuple[Block, ...]:
        """Return what is to be shown now; nothing while there is nothing to see."""
        text = _without_half(self._text + "".join(self._parts))
        self._text += "".join(self._parts)
        self._parts.clear()
        if len(self._text) > _KEPT_CHARS:
            self._is_cut, self._text = True, self._text[-_KEPT_CHARS:]
        lines = [line for line in map(str.strip, clean(text[-_KEPT_CHARS:]).split("\n")) if line]
        return self._fitting("\n".join(lines)) if lines else ()

    def _fitting(self, text: str) -> tuple[Block, ...]:
        """Return as much of the end as is shown. Escaping makes a text longer, so it is measured as it will stand there."""
        most = SHOWN_CHARS
        while True:
            newest = _newest(text, most)
            cut = ELLIPSIS if self._is_cut or len(newest) < len(text) else ""
            blocks = (Block(Kind.FOLDED, (Span(f"{self._sign}{cut}{newest}"),)),)
            if most <= 1 or self._style.measure(self._style.write(blocks)) <= self._style.limit // SHARE:
                return blocks
            most = most * 3 // 4


def _without_half(text: str) -> str:
    """Leave out a half of a surrogate pair at the end: its other half may follow."""
    return text[:-1] if text and "\ud800" <= text[-1] <= "\udbff" else text


def _newest(text: str, most: int) -> str:
    """Return the end of a text, at most so many characters of it, from the beginning of a word where one is near."""
    if len(text) <= most:
        return text
    start = len(text) - most
    if space := _WHITE_SPACE.search(text, start, min(start + _LONGEST_WORD, len(text) - 1)):
        return text[space.end() :]
    inside = cluster_boundary(text, start)
    return text[inside if inside == start else start :]
