"""A channel's history over HTTP, as discord.py would have read the same messages from the gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import discord

from bot.platforms.base import Allowance, Spend, UnavailableError
from bot.platforms.budgets import DISCORD_HISTORY, DISCORD_HISTORY_MESSAGES
from bot.platforms.discord.odd import CREATED
from bot.platforms.discord.rest import Rest

SetAside: TypeAlias = Callable[[str, Any, Exception], None]
"""Keeps an event that can't be read: its kind by the gateway's name, the payload, and what went wrong with it."""

EPOCH_MS: Final = 1_420_070_400_000
"""Where the time of ids begins. Documented: API reference, snowflakes."""
THREADS: Final = frozenset(
    {discord.ChannelType.news_thread.value, discord.ChannelType.public_thread.value, discord.ChannelType.private_thread.value}
)


def first_id_at(moment: float) -> int:
    """Return the lowest id that a message of this moment (epoch seconds) can have."""
    return max(0, int(moment * 1000) - EPOCH_MS) << 22


@dataclass(frozen=True, slots=True)
class Place:
    """A channel as messages need it.

    Attributes:
        channel: discord.py's channel, for `discord.Message`.
        newest: Id of the newest message, as Discord tells it; it may have been deleted since. None if it tells none.
    """

    channel: Any
    newest: int | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """Part of a history.

    Attributes:
        messages: Oldest first.
        end: Id of the newest message read, 0 if there was none. Those that can't be made out count, too.
        cut: There were more messages than wanted; the oldest are missing.
    """

    messages: tuple[discord.Message, ...]
    end: int
    cut: bool


class History:
    """Reads channels of one gateway session.

    Args:
        client: Knows servers, channels and joined threads.
        rest: Makes the calls.
        spend: Counts them.
        overall: The budget of all calls.
        set_aside: Keeps a message that can't be read.
    """

    def __init__(self, client: discord.Client, rest: Rest, spend: Spend, overall: Allowance, set_aside: SetAside) -> None:
        self._client = client
        self._rest = rest
        self._spend = spend
        self._overall = overall
        self._set_aside = set_aside

    async def place(self, channel: int) -> Place:
        """Find a channel. Direct messages and archived threads are not known beforehand: Discord is asked about them.

        Raises:
            PlatformError: Discord would not or could not tell.
        """
        known = self._client.get_channel(channel)
        if known is not None:
            return Place(known, getattr(known, "last_message_id", None))
        async with self._spend((Allowance(f"discord:channel:{channel}", DISCORD_HISTORY), self._overall)) as heard:
            answer = await self._rest.call("GET", f"/channels/{channel}")
            heard.remaining, heard.reset_after = answer.remaining, answer.reset_after
        return self._unknown(channel, answer.body if isinstance(answer.body, dict) else {})

    async def newest(self, place: Place, *, after: int, most: int) -> Stretch:
        """Read what was written after a message, at most the newest `most` messages.

        Raises:
            PlatformError: Discord would not or could not tell.
        """
        found: list[dict[str, Any]] = []
        cut = False
        while True:
            wanted = min(DISCORD_HISTORY_MESSAGES, most - len(found))
            page = await self._page(place, wanted, before=found[-1]["id"] if found else None)
            fresh = [raw for raw in page if int(raw["id"]) > after]
            found += fresh
            if len(fresh) < wanted:
                break
            if len(found) >= most:
                cut = True
                break
        messages = [message for raw in reversed(found) if (message := self._message(place, raw)) is not None]
        return Stretch(tuple(messages), int(found[0]["id"]) if found else 0, cut)

    async def _page(self, place: Place, wanted: int, *, before: str | None) -> list[dict[str, Any]]:
        path = f"/channels/{place.channel.id}/messages?limit={wanted}" + (f"&before={before}" if before else "")
        async with self._spend((Allowance(f"discord:history:{place.channel.id}", DISCORD_HISTORY), self._overall)) as heard:
            answer = await self._rest.call("GET", path)
            heard.remaining, heard.reset_after = answer.remaining, answer.reset_after
        if not isinstance(answer.body, list) or not all(isinstance(raw, dict) and str(raw.get("id")).isdecimal() for raw in answer.body):
            raise UnavailableError("Discord's answer is no list of messages")
        return sorted(answer.body, key=lambda raw: int(raw["id"]), reverse=True)

    def _unknown(self, channel: int, told: dict[str, Any]) -> Place:
        state = self._client._connection  # noqa: SLF001 - what discord.py's own parsers work with; nothing public makes a message
        newest = told.get("last_message_id")
        guild = self._client.get_guild(int(told.get("guild_id") or 0))
        found: Any
        if told.get("type") == discord.ChannelType.private.value:
            found = discord.DMChannel._from_message(state, channel)  # noqa: SLF001 - as above, for the gateway's direct messages
        elif guild is not None and told.get("type") in THREADS:
            found = discord.Thread(guild=guild, state=state, data=told)  # type: ignore[arg-type]  # a payload is a dict
        else:
            found = discord.PartialMessageable(state=state, id=channel, guild_id=guild.id if guild else None)
        return Place(found, int(newest) if newest is not None else None)

    def _message(self, place: Place, raw: dict[str, Any]) -> discord.Message | None:
        """Return a message; None for what can't be made out, which must not hold up the others."""
        guild = getattr(place.channel, "guild", None)
        data = raw if guild is None else {**raw, "guild_id": str(guild.id)}
        try:
            message = discord.Message(state=self._client._connection, channel=place.channel, data=data)  # type: ignore[arg-type]  # noqa: SLF001
            _ = message.author.id, message.mentions  # without an author, for one, it makes a message that breaks who touches it
            return message
        except Exception as error:  # noqa: BLE001 - whatever a malformed payload makes discord.py stumble over
            self._set_aside(CREATED, data, error)
            return None
