"""Reactions of the bot to messages."""

from __future__ import annotations

import unicodedata
from typing import Any

from aiohttp import web

from bot.platforms.budgets import DISCORD_REACTION
from sandbox.discord.errors import ApiError
from sandbox.discord.guard import Guard, Handler, answer
from sandbox.discord.places import DM, THREAD
from sandbox.discord.world import Stored, World

PATH = "/channels/{channel}/messages/{message}/reactions/{emoji}/@me"
MOST = 20
"""Most different reactions of a message. Documented: opcodes and status codes, 30010."""
EMOJI_CATEGORIES = frozenset({"So", "Sk", "Sm", "Mn", "Me", "Cf"})
"""Unicode's categories of the characters that emojis are made of. Custom emojis do not exist here."""


class Reactions:
    """The two routes. Setting and taking away share one bucket, that of the whole account: the strictest that was reported."""

    def __init__(self, world: World, guard: Guard) -> None:
        self._world = world
        self._guard = guard

    def table(self) -> list[tuple[str, str, Handler]]:
        """Return method, path below the API's base, and handler of each route."""
        return [("PUT", PATH, self._add), ("DELETE", PATH, self._remove)]

    async def _add(self, request: web.Request) -> web.Response:
        stored, emoji = self._target(request)
        channel = self._world.channels[stored.channel_id]
        if channel["type"] != DM and stored.channel_id in self._world.without_history | self._world.without_reactions:
            raise ApiError(50013)
        if channel["type"] == THREAD and channel["thread_metadata"]["archived"]:
            raise ApiError(50083)
        others = [one for one in _of(stored) if one["emoji"]["name"] != emoji]
        if len(others) >= MOST:
            raise ApiError(30010)
        counts = {"burst": 0, "normal": 1}
        mine = {
            "emoji": {"id": None, "name": emoji},
            "count": 1,
            "count_details": counts,
            "me": True,
            "me_burst": False,
            "burst_colors": [],
        }
        self._set(stored, [*others, mine])
        return answer(status=204)

    async def _remove(self, request: web.Request) -> web.Response:
        stored, emoji = self._target(request)
        left = [one for one in _of(stored) if one["emoji"]["name"] != emoji]
        if len(left) == len(_of(stored)):
            raise ApiError(10014)
        self._set(stored, left)
        return answer(status=204)

    def _target(self, request: web.Request) -> tuple[Stored, str]:
        self._guard.spend("reaction", "all", DISCORD_REACTION)
        channel = self._world.channel(request.match_info["channel"])
        if channel["id"] in self._world.barred:
            raise ApiError(self._world.barred[channel["id"]])
        stored = self._world.message(channel["id"], request.match_info["message"])
        emoji = request.match_info["emoji"]
        if any(unicodedata.category(character) not in EMOJI_CATEGORIES for character in emoji):
            raise ApiError(10014)
        return stored, emoji

    def _set(self, stored: Stored, reactions: list[dict[str, Any]]) -> None:
        stored.wire = {**stored.wire, "reactions": reactions}
        emojis = [one["emoji"]["name"] for one in reactions]
        self._world.changed("reactions", channel_id=stored.channel_id, message_id=stored.id, emojis=emojis)


def _of(stored: Stored) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = stored.wire.get("reactions", [])
    return found
