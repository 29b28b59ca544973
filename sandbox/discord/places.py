"""Where and who: servers, channels, threads, people and their roles; every change is told to the gateway and to onlookers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.discord.errors import ApiError

TEXT, DM, THREAD = 0, 1, 11
EPOCH_MS = 1_420_070_400_000
EVERYONE_MAY = sum(1 << bit for bit in (6, 10, 11, 14, 15, 16, 31, 35, 38))
"""React, see, write, embed, attach, read history, use commands, open threads and write in them."""

GUILDS, GUILD_MESSAGES, GUILD_TYPING, DIRECT_MESSAGES, DIRECT_TYPING, MESSAGE_CONTENT = (1 << bit for bit in (0, 9, 11, 12, 14, 15))
"""Gateway intents that matter here. Documented: gateway intents."""

UNSET_OF_GUILD = dict.fromkeys(
    (
        "icon",
        "description",
        "home_header",
        "splash",
        "discovery_splash",
        "banner",
        "application_id",
        "afk_channel_id",
        "system_channel_id",
        "widget_channel_id",
        "rules_channel_id",
        "safety_alerts_channel_id",
        "public_updates_channel_id",
        "vanity_url_code",
        "max_presences",
        "incidents_data",
    )
)
FIXED_OF_GUILD: dict[str, Any] = {
    "verification_level": 0,
    "default_message_notifications": 0,
    "explicit_content_filter": 0,
    "mfa_level": 0,
    "nsfw": False,
    "nsfw_level": 0,
    "region": "deprecated",
    "afk_timeout": 300,
    "widget_enabled": False,
    "max_members": 25_000_000,
    "max_video_channel_users": 25,
    "max_stage_video_channel_users": 50,
    "premium_tier": 0,
    "premium_subscription_count": 0,
    "premium_progress_bar_enabled": False,
    "preferred_locale": "en-US",
    "system_channel_flags": 0,
}
"""What every server has, and is of no account here. Names: Discord's OpenAPI document, GuildResponse."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something for the gateway.

    Attributes:
        intent: Who gets it; 0 for every session.
        plain: What sessions without the message content intent get instead of `data`; None if there is no difference.
    """

    name: str
    data: dict[str, Any] = field(repr=False)
    intent: int = 0
    plain: dict[str, Any] | None = field(default=None, repr=False)


class Places:
    """Servers, channels and people. All ids are snowflakes made from `now`, rising even if the clock stands still.

    Args:
        now: Epoch seconds.
        bot_name: User name of the bot.

    Attributes:
        members: Server → person → member.
        barred: Channel → code that the bot is refused with there.
        without_history: Channels where the bot may not read the history.
        without_files: Channels where the bot may not attach files.
        without_reactions: Channels where the bot may not add reactions.
        publish: Takes what the gateway is to tell.
        on_change: Take what an onlooker sees.
    """

    def __init__(self, now: Callable[[], float], *, bot_name: str) -> None:
        self.now = now
        self.guilds: dict[str, dict[str, Any]] = {}
        self.channels: dict[str, dict[str, Any]] = {}
        self.users: dict[str, dict[str, Any]] = {}
        self.members: dict[str, dict[str, dict[str, Any]]] = {}
        self.barred: dict[str, int] = {}
        self.without_history: set[str] = set()
        self.without_files: set[str] = set()
        self.without_reactions: set[str] = set()
        self.on_change: list[Callable[[dict[str, Any]], None]] = []
        self.publish: Callable[[Event], None] = lambda _event: None
        self._last_id = 0
        self.bot_id = self.add_user(bot_name, bot=True)

    def new_id(self) -> str:
        """Return a fresh snowflake."""
        self._last_id = max((int(self.now() * 1000) - EPOCH_MS) << 22, self._last_id + 1)
        return str(self._last_id)

    def stamp(self, moment: float | None = None) -> str:
        """Return a moment, by default the present one, as Discord writes it."""
        return datetime.fromtimestamp(self.now() if moment is None else moment, UTC).isoformat()

    def changed(self, kind: str, /, **what: Any) -> None:
        """Tell the onlookers."""
        for listener in list(self.on_change):
            listener({"type": kind, **what})

    def add_user(self, name: str, *, bot: bool = False) -> str:
        """Make a person or a bot."""
        user_id = self.new_id()
        empty = dict.fromkeys(("avatar", "banner", "accent_color", "avatar_decoration_data", "primary_guild"))
        user = {"id": user_id, "username": name, "global_name": None if bot else name, "discriminator": "0", "public_flags": 0, "flags": 0}
        self.users[user_id] = {**empty, **user, "bot": bot}
        self.changed("user_create", user=self.users[user_id])
        return user_id

    def add_guild(self, name: str) -> str:
        """Make a server with the bot in it and no channel yet."""
        guild_id = self.new_id()
        everyone = self._role(guild_id, "@everyone", EVERYONE_MAY)
        guild = {"id": guild_id, "name": name, "owner_id": self.new_id(), "roles": [everyone], "emojis": [], "stickers": [], "features": []}
        self.guilds[guild_id] = {**UNSET_OF_GUILD, **FIXED_OF_GUILD, **guild}
        self.members[guild_id] = {}
        self.join(guild_id, self.bot_id)
        self.publish(Event("GUILD_CREATE", self.guild_create(guild_id), GUILDS))
        self.changed("guild_create", guild=self.guilds[guild_id])
        return guild_id

    def add_role(self, guild_id: str, name: str, permissions: int = 0) -> str:
        """Make a role; its permissions add to those of everyone."""
        role = self._role(self.new_id(), name, permissions)
        guild = self.guilds[guild_id]
        self.guilds[guild_id] = {**guild, "roles": [*guild["roles"], role]}
        self.publish(Event("GUILD_ROLE_CREATE", {"guild_id": guild_id, "role": role}, GUILDS))
        return str(role["id"])

    def join(self, guild_id: str, user_id: str, roles: Sequence[str] = ()) -> None:
        """Make somebody a member, with those of the roles that the server has."""
        known = {role["id"] for role in self.guilds[guild_id]["roles"]}
        empty = dict.fromkeys(("nick", "avatar", "banner", "communication_disabled_until", "premium_since"))
        member = {"roles": [role for role in roles if role in known], "joined_at": self.stamp(), "flags": 0}
        self.members[guild_id][user_id] = {**empty, **member, "deaf": False, "mute": False, "pending": False}

    def add_channel(self, guild_id: str, name: str) -> str:
        """Make a text channel."""
        channel_id = self.new_id()
        position = sum(channel.get("guild_id") == guild_id for channel in self.channels.values())
        channel = {"id": channel_id, "type": TEXT, "guild_id": guild_id, "name": name, "position": position, "topic": None, "nsfw": False}
        rest: dict[str, Any] = {
            "parent_id": None,
            "last_message_id": None,
            "flags": 0,
            "rate_limit_per_user": 0,
            "permission_overwrites": [],
        }
        self.channels[channel_id] = {**channel, **rest}
        self.publish(Event("CHANNEL_CREATE", self.channels[channel_id], GUILDS))
        self.changed("channel_create", channel=self.channels[channel_id])
        return channel_id

    def open_dm(self, user_id: str) -> str:
        """Return the private channel of the bot and a person. Bots get no CHANNEL_CREATE for it (documented since v8)."""
        for channel in self.channels.values():
            if channel["type"] == DM and channel["recipients"][0]["id"] == user_id:
                return str(channel["id"])
        channel_id = self.new_id()
        channel = {"id": channel_id, "type": DM, "recipients": [self.users[user_id]], "last_message_id": None, "flags": 0}
        self.channels[channel_id] = channel
        self.changed("channel_create", channel=channel)
        return channel_id

    def add_thread(self, parent: dict[str, Any], name: str, owner_id: str, thread_id: str) -> dict[str, Any]:
        """Make a thread below a text channel."""
        now = self.stamp()
        state = {"archived": False, "locked": False, "auto_archive_duration": 1440, "archive_timestamp": now, "create_timestamp": now}
        thread = {"id": thread_id, "type": THREAD, "guild_id": parent["guild_id"], "parent_id": parent["id"], "name": name}
        counts = {"message_count": 0, "member_count": 1, "total_message_sent": 0, "rate_limit_per_user": 0, "flags": 0}
        thread |= {"owner_id": owner_id, "thread_metadata": state, "last_message_id": None, **counts}
        self.channels[thread_id] = thread
        self.publish(Event("THREAD_CREATE", {**thread, "newly_created": True}, GUILDS))
        self.changed("channel_create", channel=thread)
        return thread

    def channel(self, channel_id: str) -> dict[str, Any]:
        """Return a channel the bot can see.

        Raises:
            ApiError: 10003, 50001.
        """
        if channel_id not in self.channels:
            raise ApiError(10003)
        if self.barred.get(channel_id) == 50001:
            raise ApiError(50001)
        return self.channels[channel_id]

    def member(self, guild_id: str, user_id: str, *, with_user: bool = True) -> dict[str, Any]:
        """Return a member.

        Raises:
            ApiError: 10004, 10007.
        """
        if guild_id not in self.members:
            raise ApiError(10004)
        member = self.members[guild_id].get(user_id)
        if member is None:
            raise ApiError(10007)
        return {**member, "user": self.users[user_id]} if with_user else dict(member)

    def permissions(self, guild_id: str, user_id: str) -> str:
        """Return what a member may do, as Discord writes it."""
        held = {guild_id, *self.members[guild_id][user_id]["roles"]}
        bits = 0
        for role in self.guilds[guild_id]["roles"]:
            bits |= int(role["permissions"]) if role["id"] in held else 0
        return str(bits)

    def guild_create(self, guild_id: str) -> dict[str, Any]:
        """Return the data of GUILD_CREATE: without the members intent the bot is the only member told."""
        mine = [channel for channel in self.channels.values() if channel.get("guild_id") == guild_id]
        lists: dict[str, list[Any]] = {
            "channels": [channel for channel in mine if channel["type"] == TEXT],
            "threads": [channel for channel in mine if channel["type"] == THREAD and not channel["thread_metadata"]["archived"]],
            "members": [self.member(guild_id, self.bot_id)],
            **{name: [] for name in ("voice_states", "presences", "stage_instances", "guild_scheduled_events", "soundboard_sounds")},
        }
        facts = {"joined_at": self.stamp(), "large": False, "unavailable": False, "member_count": len(self.members[guild_id])}
        return {**self.guilds[guild_id], **lists, **facts}

    @staticmethod
    def _role(role_id: str, name: str, permissions: int) -> dict[str, Any]:
        colors = {"primary_color": 0, "secondary_color": None, "tertiary_color": None}
        looks = {"color": 0, "colors": colors, "hoist": False, "managed": False, "mentionable": False, "icon": None, "unicode_emoji": None}
        return {"id": role_id, "name": name, "permissions": str(permissions), "position": 0, "flags": 0, **looks}
