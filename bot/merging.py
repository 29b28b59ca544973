"""Which messages may become one question: what people write in quick succession, and the pieces that a client cuts a long text into."""

from __future__ import annotations

from collections.abc import Mapping

from bot.model import EventKind, Incoming
from bot.platforms.base import Platform
from bot.render.base import Rendered
from storage.base import Merge

NEAR_LIMIT = 0.95
"""From this share of the longest message on, a message looks like a piece of a longer text: clients cut between words or lines."""

ALBUM_SECONDS = 1.0
"""The messages of an album come together; so long after the newest one its question waits for another."""


class Merging:
    """Judges messages as they come in.

    Args:
        platforms: By name; they know how long a message can be.
        window: Seconds between two messages that belong together; 0: every message is a question of its own.
    """

    def __init__(self, platforms: Mapping[str, Platform], window: float) -> None:
        self._platforms = platforms
        self._window = window

    def of(self, incoming: Incoming) -> Merge | None:
        """Return how a message may be merged; None: it is a question of its own.

        What has a way of its own to be answered, such as a command, or comes with files, stays by itself. An album is one question.
        """
        if incoming.album is not None and incoming.kind is EventKind.MESSAGE:
            return Merge(ALBUM_SECONDS, more=True)  # which is its last one, nothing tells
        if self._window <= 0 or incoming.kind is not EventKind.MESSAGE or incoming.route is not None or incoming.attachments:
            return None
        style = self._platforms[incoming.chat.platform].style
        length = style.measure(Rendered(incoming.text))
        return Merge(self._window, more=NEAR_LIMIT * style.limit <= length <= style.limit)
