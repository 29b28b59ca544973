"""Is somebody who writes a direct message in a server of the bot?"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final

from bot.clock import Clock
from bot.platforms.base import FloodError, PlatformError
from bot.platforms.discord.answers import CodedRefusedError
from bot.platforms.discord.rest import Rest

log = logging.getLogger(__name__)

MEMBER_SECONDS: Final = 600.0
"""So long a found membership is believed."""
STRANGER_SECONDS: Final = 60.0
"""So long a person found nowhere is not looked for again."""
GUILDS_ASKED: Final = 10
"""At most so many servers are asked for one person."""
NOT_THERE: Final = frozenset({403, 404})
"""Answers that say no: the person is not in the server, or the bot itself is not any more. Documented: guild resource, get guild member."""
PEOPLE_KEPT: Final = 10_000
LOOKUP_SECONDS: Final = 1.5
"""Longest wait for all of them: a command has to be acknowledged within 3 s of its arrival, and this comes before."""


class Membership:
    """Remembers who was seen in a server, and asks Discord about the others."""

    def __init__(self, rest: Rest, clock: Clock) -> None:
        self._rest = rest
        self._clock = clock
        self._known: OrderedDict[int, tuple[bool, float]] = OrderedDict()
        self._quiet_until = -math.inf

    def seen(self, person: int) -> bool:
        """Note that somebody acted in a server of the bot, which makes them a member: True."""
        self._note(person, member=True)
        return True

    async def holds(self, person: int, guilds: Iterable[int]) -> bool | None:
        """Tell whether somebody is in a server of the bot; None if that can't be found out now. Then the next time asks again.

        At most `GUILDS_ASKED` servers are asked, in their order, so that a bot in very many servers may take a person for a stranger who
        has never written to it there. While Discord wants no calls nobody is looked for.
        """
        known = self._known.get(person)
        if known is not None and self._clock.now() < known[1]:
            return known[0]
        if self._clock.now() < self._quiet_until:
            return None
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                member = await self._find(person, list(guilds)[:GUILDS_ASKED])
        except (PlatformError, TimeoutError) as error:
            log.warning("could not find out whether %d is in a server of the bot: %s", person, str(error) or "Discord took too long")
            if isinstance(error, FloodError):
                self._quiet_until = self._clock.now() + error.retry_after
            return None
        self._note(person, member=member)
        return member

    async def _find(self, person: int, guilds: Iterable[int]) -> bool:
        for guild in guilds:
            try:
                await self._rest.call("GET", f"/guilds/{guild}/members/{person}", seconds=LOOKUP_SECONDS)
            except CodedRefusedError as refused:
                if refused.status not in NOT_THERE:
                    raise
                log.debug("%d is not in server %d: %s", person, guild, refused.reason)
            else:
                return True
        return False

    def _note(self, person: int, *, member: bool) -> None:
        self._known[person] = (member, self._clock.now() + (MEMBER_SECONDS if member else STRANGER_SECONDS))
        self._known.move_to_end(person)
        if len(self._known) > PEOPLE_KEPT:
            self._known.popitem(last=False)
