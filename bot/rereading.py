"""Another try at what could not be read, or not be stored: a newer version may be able to. It becomes the event that it always was.

That event has the key of its own that the platform's message has: read twice, or come once more meanwhile, it is recognised.
"""

from __future__ import annotations

from collections.abc import Mapping

from bot.model import Incoming
from bot.payload import load
from bot.platforms.base import Platform, SupportsReadingAgain
from bot.platforms.set_aside import NOT_STORED, reason_of

AGAIN = "tried again in vain"


class UnreadableStillError(Exception):
    """It can't be read this time either. The message says why, and quotes nothing that was written."""


async def read_again(kept: Incoming, platforms: Mapping[str, Platform]) -> Incoming | None:
    """Return the event that was kept as it came; None if it can be read and is not meant for the bot.

    Raises:
        UnreadableStillError: It can't be read.
    """
    if kept.raw is None:
        raise UnreadableStillError(f"nothing is kept of it ({AGAIN})")
    if kept.key.endswith(NOT_STORED):
        try:
            return load(kept.raw)
        except ValueError:  # it quotes what was written
            raise UnreadableStillError(f"what is kept of it is no event ({AGAIN})") from None
    platform = platforms.get(kept.chat.platform)
    if not isinstance(platform, SupportsReadingAgain):
        raise UnreadableStillError(f"{kept.text}; what {kept.chat.platform} sent can't be read again")
    try:
        return await platform.read_again(kept)
    except Exception as error:  # whatever it provokes in a parser
        raise UnreadableStillError(f"{reason_of(error)} ({AGAIN})") from error
