"""The part of the store seam that reads what was said in a conversation, also only what is newer than what was read before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from storage.values import Entry, Revision, Turn


class PastStore(Protocol):
    """What a store tells of a conversation's past."""

    async def transcript(self, turn: Turn, limit: int, *, chars: int | None = None) -> Sequence[Entry]:
        """Return the last `limit` entries up to the turn's own question, oldest first; nothing from before the last reset.

        `chars`: The oldest is the one with which the content of what was said before the question reaches so many characters, if it
        does. The question itself is whole and does not count. What is older is not looked at.
        """
        ...

    async def transcript_since(self, turn: Turn, place: int, revision: Revision, limit: int) -> Sequence[Entry] | None:
        """Return the part of a turn's transcript that is of turns above a place, oldest first, its own question included.

        What the transcript has of the turns up to there is what it had for any turn that was claimed with `revision`.

        Args:
            turn: A claimed turn.
            place: `Turn.seq` of the newest turn whose entries are known already.
            revision: `Turn.revision` of the turn for which they were read; they were read after it had been claimed.
            limit: Most entries.

        Returns:
            None if what was read may have changed since, or there is more than the limit: the whole is to be read.
        """
        ...
