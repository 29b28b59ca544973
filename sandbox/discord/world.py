"""The messages: made, changed, deleted and shown, with what the bot may not read held back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bot.platforms.budgets import DISCORD_NONCE_SECONDS
from sandbox.discord.errors import ApiError, invalid_form
from sandbox.discord.forms import File, Pings
from sandbox.discord.links import Links
from sandbox.discord.places import (
    DIRECT_MESSAGES,
    DIRECT_TYPING,
    DM,
    GUILD_MESSAGES,
    GUILD_TYPING,
    TEXT,
    THREAD,
    Event,
    Places,
)

DEFAULT, REPLY, SLASH_ANSWER = 0, 19, 20
HAS_THREAD = 1 << 5


@dataclass(slots=True)
class Stored:
    """A message. `wire` is replaced at each change, never changed in place.

    Attributes:
        created: Epoch seconds.
        viewer: Id of the person who alone can see it; None for everybody.
        answers: Id of the interaction it answers, None for others.
    """

    wire: dict[str, Any]
    created: float
    viewer: str | None = None
    answers: str | None = None

    @property
    def id(self) -> str:
        """Message id."""
        return str(self.wire["id"])

    @property
    def channel_id(self) -> str:
        """Channel id."""
        return str(self.wire["channel_id"])

    @property
    def author_id(self) -> str:
        """Author's id."""
        return str(self.wire["author"]["id"])


class World(Places):
    """Places, people and what they write.

    Args:
        now: Epoch seconds.
        base_url: Returns the address attachments are served at.
        bot_name: User name of the bot.
        message_content: The application was granted the privileged intent; without it REST hides what people wrote, too.

    Attributes:
        files: Content of the attachments, by id.
        links: Signs the attachments' addresses; they expire.
        pings: What the bot's messages pinged.
        nonce_seconds: So long a repeated nonce returns the first message.
    """

    def __init__(self, now: Callable[[], float], base_url: Callable[[], str], *, bot_name: str, message_content: bool) -> None:
        super().__init__(now, bot_name=bot_name)
        self.message_content = message_content
        self.files: dict[str, File] = {}
        self.links = Links(now)
        self.pings: list[dict[str, Any]] = []
        self.nonce_seconds = DISCORD_NONCE_SECONDS
        self._base_url = base_url
        self._messages: dict[str, dict[str, Stored]] = {}
        self._nonces: dict[tuple[str, str], tuple[float, str]] = {}

    def log(self, channel_id: str) -> list[Stored]:
        """Return the messages of a channel, oldest first, those for one person too."""
        return list(self._messages.get(channel_id, {}).values())

    def message(self, channel_id: str, message_id: str, *, hidden: bool = False) -> Stored:
        """Return a message; `hidden` ones, which only one person sees, on request.

        Raises:
            ApiError: 10003, 10008.
        """
        if channel_id not in self.channels:
            raise ApiError(10003)
        stored = self._messages.get(channel_id, {}).get(message_id)
        if stored is None or (stored.viewer is not None and not hidden):
            raise ApiError(10008)
        return stored

    def age(self, channel_id: str, message_id: str) -> float:
        """Return how old a message is, in seconds; 0 if there is none."""
        stored = self._messages.get(channel_id, {}).get(message_id)
        return 0.0 if stored is None else self.now() - stored.created

    def start_thread(self, channel_id: str, name: str, owner_id: str, *, message_id: str | None = None) -> dict[str, Any]:
        """Open a thread, from a message or on its own.

        Raises:
            ApiError: 50024 outside a text channel; 10008, 160004 for the message.
        """
        parent = self.channel(channel_id)
        if parent["type"] != TEXT:
            raise ApiError(50024)
        if message_id is not None:
            source = self.message(channel_id, message_id)
            if message_id in self.channels:
                raise ApiError(160004)
            source.wire = {**source.wire, "flags": source.wire["flags"] | HAS_THREAD}
        return self.add_thread(parent, name, owner_id, message_id or self.new_id())

    def post(
        self,
        channel_id: str,
        author_id: str,
        pings: Pings,
        *,
        files: Sequence[File] = (),
        viewer: str | None = None,
        answers: str | None = None,
        **fields: Any,
    ) -> Stored:
        """Make a message; `fields` go into its wire form as they are."""
        channel = self.channels[channel_id]
        message_id = self.new_id()
        base: dict[str, Any] = {"id": message_id, "channel_id": channel_id, "author": self.users[author_id], "type": DEFAULT, "content": ""}
        base |= {"timestamp": self.stamp(), "edited_timestamp": None, "tts": False, "pinned": False, "flags": 0}
        base |= {"embeds": [], "components": [], "attachments": self._keep(channel_id, files), **self._named(pings)}
        stored = Stored({**base, **fields}, self.now(), viewer, answers)
        self._messages.setdefault(channel_id, {})[message_id] = stored
        channel["last_message_id"] = message_id
        if channel["type"] == THREAD:
            channel["message_count"] += 1
            channel["thread_metadata"]["archived"] = False
        self._note_pings(stored, pings)
        self._tell("MESSAGE_CREATE", stored)
        return stored

    def amend(self, stored: Stored, pings: Pings | None = None, *, files: Sequence[File] = (), silent: bool = False, **fields: Any) -> None:
        """Change a message; `silent` leaves it unmarked as edited, as when a deferred answer is filled in."""
        if pings is not None:
            fields |= self._named(pings)
            self._note_pings(stored, pings)
        if files:
            fields["attachments"] = [*fields.get("attachments", stored.wire["attachments"]), *self._keep(stored.channel_id, files)]
        if not silent:
            fields["edited_timestamp"] = self.stamp()
        stored.wire = {**stored.wire, **fields}
        self._tell("MESSAGE_UPDATE", stored)

    def remove(self, stored: Stored) -> None:
        """Delete a message."""
        del self._messages[stored.channel_id][stored.id]
        channel = self.channels[stored.channel_id]
        if stored.viewer is None and self.barred.get(stored.channel_id) != 50001:
            data = {"id": stored.id, "channel_id": stored.channel_id}
            if "guild_id" in channel:
                data["guild_id"] = channel["guild_id"]
            self.publish(Event("MESSAGE_DELETE", data, self._intent(channel, GUILD_MESSAGES, DIRECT_MESSAGES)))
        self.changed("message_delete", channel_id=stored.channel_id, message_id=stored.id, viewer=stored.viewer)

    def type(self, channel_id: str, user_id: str) -> None:
        """Show that somebody writes."""
        channel = self.channels[channel_id]
        data: dict[str, Any] = {"channel_id": channel_id, "user_id": user_id, "timestamp": int(self.now())}
        if "guild_id" in channel:
            data |= {"guild_id": channel["guild_id"], "member": self.member(channel["guild_id"], user_id)}
        self.publish(Event("TYPING_START", data, self._intent(channel, GUILD_TYPING, DIRECT_TYPING)))
        self.changed("typing", channel_id=channel_id, user_id=user_id)

    def once(self, channel_id: str, nonce: str) -> Stored | None:
        """Return the bot's message made with this nonce in the past few minutes.

        Raises:
            ApiError: 10008, it was deleted; told by Discord's staff to be meant so.
        """
        since, message_id = self._nonces.get((channel_id, nonce), (-math.inf, ""))
        if self.now() - since > self.nonce_seconds:
            return None
        return self.message(channel_id, message_id, hidden=True)

    def remember(self, nonce: str, stored: Stored) -> None:
        """Keep the nonce a message was made with."""
        self._nonces[stored.channel_id, nonce] = (stored.created, stored.id)

    def rest_view(self, stored: Stored, *, fresh: bool = False) -> dict[str, Any]:
        """Return a message as REST tells it; the nonce is only in the answer to the create (`fresh`)."""
        view = self._view(stored, full=self.message_content)
        view["attachments"] = [self._signed_anew(one) for one in view["attachments"]]
        if not fresh:
            view.pop("nonce", None)
        return view

    def reference(self, channel: dict[str, Any], raw: dict[str, Any] | None) -> dict[str, Any] | None:
        """Check the `message_reference` of a reply.

        Raises:
            ApiError: 50035 if the message is gone and the form insists on it.
        """
        if raw is None:
            return None
        target = str(raw["message_id"])
        found = self._messages.get(channel["id"], {}).get(target)
        if found is None or found.viewer is not None:
            if raw.get("fail_if_not_exists", True):
                raise invalid_form(("message_reference",), "REPLIES_UNKNOWN_MESSAGE", "Unknown message")
            return None
        place = {"guild_id": channel["guild_id"]} if "guild_id" in channel else {}
        return {"type": 0, "message_id": target, "channel_id": channel["id"], **place}

    def replied_to(self, stored: Stored) -> str | None:
        """Return the author of the message that this one replies to, None if there is none any more."""
        reference = stored.wire.get("message_reference")
        found = self._messages.get(reference["channel_id"], {}).get(reference["message_id"]) if reference else None
        return None if found is None else found.author_id

    def _view(self, stored: Stored, *, full: bool) -> dict[str, Any]:
        wire = self._shield(stored.wire, full=full)
        reference = stored.wire.get("message_reference")
        if reference is not None:
            found = self._messages.get(reference["channel_id"], {}).get(reference["message_id"])
            # documented: a message within another one is told without its reactions (BasicMessageResponse)
            wire["referenced_message"] = found and {
                key: of for key, of in self._shield(found.wire, full=full).items() if key != "reactions"
            }
        return wire

    def _shield(self, wire: dict[str, Any], *, full: bool) -> dict[str, Any]:
        """Hide what the bot may not read: all but its own messages, those in private and those that mention it (documented)."""
        mine = wire["author"]["id"] == self.bot_id or any(user["id"] == self.bot_id for user in wire["mentions"])
        if full or mine or self.channels[wire["channel_id"]]["type"] == DM:
            return dict(wire)
        return {**wire, "content": "", "embeds": [], "attachments": [], "components": []}

    def _tell(self, name: str, stored: Stored) -> None:
        channel = self.channels[stored.channel_id]
        self.changed(name.lower(), channel_id=stored.channel_id, message=dict(stored.wire), viewer=stored.viewer)
        if stored.viewer is not None or self.barred.get(stored.channel_id) == 50001:
            return
        intent = self._intent(channel, GUILD_MESSAGES, DIRECT_MESSAGES)
        self.publish(Event(name, self._broadcast(channel, stored, full=True), intent, self._broadcast(channel, stored, full=False)))

    def _broadcast(self, channel: dict[str, Any], stored: Stored, *, full: bool) -> dict[str, Any]:
        view = self._view(stored, full=full)
        guild_id = channel.get("guild_id")
        if guild_id is None:
            return view
        known = self.members[guild_id]
        view["guild_id"] = guild_id
        if stored.author_id in known and "webhook_id" not in view:
            view["member"] = dict(known[stored.author_id])
        view["mentions"] = [{**user, "member": known[user["id"]]} if user["id"] in known else user for user in view["mentions"]]
        return view

    def _named(self, pings: Pings) -> dict[str, Any]:
        users = [self.users[user] for user in pings.users if user in self.users]
        return {"mentions": users, "mention_roles": list(pings.roles), "mention_everyone": pings.everyone}

    def _note_pings(self, stored: Stored, pings: Pings) -> None:
        if pings and stored.author_id == self.bot_id:
            whom = {"users": list(pings.users), "roles": list(pings.roles), "everyone": pings.everyone}
            self.pings.append({"channel_id": stored.channel_id, "message_id": stored.id, **whom})

    def _keep(self, channel_id: str, files: Sequence[File]) -> list[dict[str, Any]]:
        kept = []
        for file in files:
            file_id = self.new_id()
            self.files[file_id] = file
            url = self.links.signed(f"{self._base_url()}/attachments/{channel_id}/{file_id}/{quote(file.name, safe='')}")
            about = {"id": file_id, "filename": file.name, "content_type": file.media_type, "size": len(file.data)}
            kept.append({**about, "url": url, "proxy_url": url})
        return kept

    def _signed_anew(self, attachment: dict[str, Any]) -> dict[str, Any]:
        url = self.links.signed(attachment["url"].partition("?")[0])
        return {**attachment, "url": url, "proxy_url": url}

    @staticmethod
    def _intent(channel: dict[str, Any], guild: int, direct: int) -> int:
        return direct if channel["type"] == DM else guild
