"""How coarsely work is done when very many replies are on their way.

To read a piece of an answer costs about the same whether a token is in it or ten. Few answers are read piece by piece. With hundreds,
whatever budgets their chats have, each is left unread for a moment (adapters/unread.py), so that one read brings several tokens: the
moment grows with their number, and so the reads of all of them together stay about as many. The store gathers what it is asked then, too
(storage/rush.py).
"""

from __future__ import annotations

FEWEST_REPLIES = 125
"""With fewer than these on their way every piece is read as soon as it comes."""
SECONDS_EACH, LONGEST_SECONDS = 0.0008, 0.5
"""Each reply on its way makes the moment so much longer, up to the longest: at most 1,250 reads a second in all, more from 625 replies on.
A moment ends at a look (`adapters.unread.LOOK_SECONDS`): up to 0.15 s later."""


class Gulps:
    """Counts the replies that are on their way, of one process: how many have to share its processor."""

    def __init__(self) -> None:
        self.replies = 0

    def begin(self) -> None:
        """One more is on its way."""
        self.replies += 1

    def end(self) -> None:
        """One is not on its way any more."""
        self.replies -= 1

    def many(self) -> bool:
        """Tell whether there are so many that work is better done in batches."""
        return self.replies >= FEWEST_REPLIES

    @property
    def seconds(self) -> float:
        """The seconds for which an answer may be left unread at a time."""
        return min(SECONDS_EACH * self.replies, LONGEST_SECONDS) if self.many() else 0.0
