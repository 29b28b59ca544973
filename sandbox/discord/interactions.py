"""Interactions: made when a person uses a command or presses a button, answered within three seconds, editable for fifteen minutes.

Documented under receiving and responding. As seen in the field: an interaction that was not answered yet has no webhook (10015), and after
the fifteen minutes the token is refused with 401 and 50027.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Any

from bot.platforms.budgets import DISCORD_FILE_BYTES, DISCORD_INTERACTION_ACK_SECONDS, DISCORD_INTERACTION_TOKEN_SECONDS
from sandbox.discord.commands import check_choices
from sandbox.discord.errors import ApiError, invalid_form
from sandbox.discord.forms import EPHEMERAL, LOADING, NEW_KIND, SETTABLE_FLAGS, USERS_PARSED, File, MessageForm, find_pings, read_form
from sandbox.discord.places import DM, Event
from sandbox.discord.world import DEFAULT, REPLY, SLASH_ANSWER, Stored, World

COMMAND, COMPONENT, AUTOCOMPLETE = 2, 3, 4
MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
POSSIBLE = {
    COMMAND: (MESSAGE, DEFERRED_MESSAGE, MODAL),
    COMPONENT: (MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE, MODAL),
    AUTOCOMPLETE: (CHOICES,),
}
"""Answers by kind of interaction."""


@dataclass(slots=True)
class Interaction:
    """What a person did and what the bot made of it.

    Attributes:
        kind: 2 command, 3 component, 4 autocomplete.
        name: The command's path, or the component's `custom_id`.
        created_at: Epoch seconds.
        responded: Set once the bot has answered, in whatever way.
        response: ``type`` and ``data`` of the answer.
        original: Id of the message the answer made, or of the one the pressed component sits on.
        ephemeral: Only the person sees the answer; fixed by the first one.
        source: Id of the message the component sits on.
    """

    id: str
    kind: int
    name: str
    channel_id: str
    user_id: str
    created_at: float
    token: str = field(repr=False)
    responded: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    response: dict[str, Any] | None = field(default=None, repr=False)
    original: str | None = None
    ephemeral: bool = False
    source: str | None = None


class Interactions:
    """All interactions of one application."""

    def __init__(self, world: World, application_id: str) -> None:
        self._world = world
        self._application_id = application_id
        self._by_id: dict[str, Interaction] = {}
        self._by_token: dict[str, Interaction] = {}

    def create(
        self, kind: int, channel_id: str, user_id: str, name: str, data: dict[str, Any], *, source: Stored | None = None
    ) -> Interaction:
        """Make one and send it over the gateway."""
        world = self._world
        interaction = Interaction(world.new_id(), kind, name, channel_id, user_id, world.now(), secrets.token_urlsafe(96))
        self._by_id[interaction.id] = interaction
        self._by_token[interaction.token] = interaction
        payload = self._payload(interaction, data)
        if source is not None:
            interaction.source = source.id
            payload["message"] = dict(source.wire)
        self._tell(interaction, "created")
        world.publish(Event("INTERACTION_CREATE", payload))
        return interaction

    def respond(self, interaction_id: str, token: str, body: Any, files: tuple[File, ...] = ()) -> tuple[Interaction, Stored | None]:
        """Take the first answer; return the interaction and the message it made or changed.

        Raises:
            ApiError: 10062 too late or unknown, 40060 answered before, 50035.
        """
        interaction = self._by_id.get(interaction_id)
        if interaction is None or not secrets.compare_digest(interaction.token.encode(), token.encode()):
            raise ApiError(10062)
        if interaction.response is not None:
            raise ApiError(40060)
        if self._world.now() - interaction.created_at > DISCORD_INTERACTION_ACK_SECONDS:
            raise ApiError(10062)
        kind = body.get("type") if isinstance(body, dict) else None
        if kind not in POSSIBLE[interaction.kind]:
            raise invalid_form(("type",), "BASE_TYPE_CHOICES", f"Value must be one of {POSSIBLE[interaction.kind]}.")
        data = body.get("data") or {}
        stored = self._first_answer(interaction, kind, data, files)
        interaction.response = {"type": kind, "data": data}
        interaction.responded.set()
        self._tell(interaction, "deferred" if kind in {DEFERRED_MESSAGE, DEFERRED_UPDATE} else "answered")
        return interaction, stored

    def find(self, application_id: str, token: str) -> Interaction:
        """Return the answered interaction of a webhook address.

        Raises:
            ApiError: 10015 unknown or not answered yet, 50027 after fifteen minutes.
        """
        interaction = self._by_token.get(token) if application_id == self._application_id else None
        if interaction is None:
            raise ApiError(10015)
        if self._world.now() - interaction.created_at > DISCORD_INTERACTION_TOKEN_SECONDS:
            raise ApiError(50027)
        if interaction.response is None:
            raise ApiError(10015)
        return interaction

    def message(self, interaction: Interaction, message_id: str) -> Stored:
        """Return one of its messages, ``@original`` for the first answer.

        Raises:
            ApiError: 10008.
        """
        if message_id == "@original":
            if interaction.original is None:
                raise ApiError(10008)
            return self._world.message(interaction.channel_id, interaction.original, hidden=True)
        stored = self._world.message(interaction.channel_id, message_id, hidden=True)
        if stored.answers != interaction.id and stored.id != interaction.original:
            raise ApiError(10008)
        return stored

    def edit(self, interaction: Interaction, stored: Stored, form: MessageForm) -> Stored:
        """Change one of its messages; a deferred answer is filled in by it."""
        waiting = bool(stored.wire["flags"] & LOADING)
        fields = edited_fields(stored, form)
        if waiting:
            form.require_substance()
            fields["flags"] = fields.get("flags", stored.wire["flags"]) & ~LOADING
        pings = find_pings(form.content, form.allowed) if "content" in form.given else None
        self._world.amend(stored, pings, files=form.files, silent=waiting, **fields)
        if waiting:
            self._tell(interaction, "answered")
        return stored

    def follow_up(self, interaction: Interaction, form: MessageForm) -> Stored:
        """Send another message. The first one after a deferred answer takes its place, with the visibility chosen there."""
        original = self._world.message(interaction.channel_id, interaction.original, hidden=True) if interaction.original else None
        if original is not None and original.wire["flags"] & LOADING:
            return self.edit(interaction, original, form)
        form.require_substance()
        return self._post(interaction, form, original=interaction.original)

    def delete(self, interaction: Interaction, stored: Stored) -> None:
        """Delete one of its messages."""
        self._world.remove(stored)
        if stored.id == interaction.original:
            interaction.original = None

    def _first_answer(self, interaction: Interaction, kind: int, data: Any, files: tuple[File, ...]) -> Stored | None:
        world = self._world
        if kind == CHOICES:
            check_choices(data.get("choices") if isinstance(data, dict) else None)
            return None
        if kind == MODAL:
            return None
        if kind in {DEFERRED_UPDATE, UPDATE}:
            interaction.original = interaction.source
            source = world.message(interaction.channel_id, interaction.source or "", hidden=True)
            return source if kind == DEFERRED_UPDATE else self.edit(interaction, source, read_form(data, files, parsed=USERS_PARSED))
        form = read_form(data, files, parsed=USERS_PARSED)
        if kind == MESSAGE:
            form.require_substance()
        interaction.ephemeral = bool(form.flags & EPHEMERAL)
        stored = self._post(interaction, form, loading=kind == DEFERRED_MESSAGE)
        interaction.original = stored.id
        return stored

    def _post(self, interaction: Interaction, form: MessageForm, *, loading: bool = False, original: str | None = None) -> Stored:
        world = self._world
        hidden = bool(form.flags & EPHEMERAL)
        follow_up = original is not None
        user = world.users[interaction.user_id]
        about = {"id": interaction.id, "type": interaction.kind, "user": user, "authorizing_integration_owners": self._owners(interaction)}
        if follow_up:
            about["original_response_message_id"] = original
        if interaction.source is not None:
            about["interacted_message_id"] = interaction.source
        fields: dict[str, Any] = {"interaction_metadata": about, "application_id": self._application_id, "webhook_id": self._application_id}
        if interaction.kind == COMMAND and not follow_up:
            fields["interaction"] = {"id": interaction.id, "type": interaction.kind, "name": interaction.name, "user": user}
        if follow_up:
            channel = world.channels[interaction.channel_id]
            fields["message_reference"] = world.reference(channel, {"message_id": original, "fail_if_not_exists": False})
        kind = REPLY if fields.get("message_reference") else (SLASH_ANSWER if interaction.kind == COMMAND else DEFAULT)
        flags = form.flags & (SETTABLE_FLAGS | EPHEMERAL) | (LOADING if loading else 0)
        return world.post(
            interaction.channel_id,
            world.bot_id,
            find_pings(form.content, form.allowed),
            files=form.files,
            viewer=interaction.user_id if hidden else None,
            answers=interaction.id,
            type=kind,
            content="" if loading else form.content,
            embeds=form.embeds,
            components=form.components,
            flags=flags,
            **{name: value for name, value in fields.items() if value is not None},
        )

    def _payload(self, interaction: Interaction, data: dict[str, Any]) -> dict[str, Any]:
        world = self._world
        channel = world.channels[interaction.channel_id]
        payload: dict[str, Any] = {
            "id": interaction.id,
            "application_id": self._application_id,
            "type": interaction.kind,
            "token": interaction.token,
            "version": 1,
            "data": data,
            "channel_id": channel["id"],
            "channel": channel,
            "locale": "en-US",
            "entitlements": [],
            "attachment_size_limit": DISCORD_FILE_BYTES,
            "authorizing_integration_owners": self._owners(interaction),
        }
        if channel["type"] == DM:
            return {**payload, "user": world.users[interaction.user_id], "context": 1, "app_permissions": "0"}
        guild_id = channel["guild_id"]
        member = {**world.member(guild_id, interaction.user_id), "permissions": world.permissions(guild_id, interaction.user_id)}
        guild = {"id": guild_id, "locale": "en-US", "features": []}
        rights = world.permissions(guild_id, world.bot_id)
        return {
            **payload,
            "guild_id": guild_id,
            "guild": guild,
            "guild_locale": "en-US",
            "member": member,
            "context": 0,
            "app_permissions": rights,
        }

    def _owners(self, interaction: Interaction) -> dict[str, str]:
        return {"0": str(self._world.channels[interaction.channel_id].get("guild_id", "0"))}

    def _tell(self, interaction: Interaction, state: str) -> None:
        facts = {"id": interaction.id, "kind": interaction.kind, "name": interaction.name, "state": state}
        self._world.changed("interaction", **facts, channel_id=interaction.channel_id, user_id=interaction.user_id)


def edited_fields(stored: Stored, form: MessageForm) -> dict[str, Any]:
    """Return what an edit changes in the wire form.

    Raises:
        ApiError: 50006 if nothing would be left to see.
    """
    given: dict[str, Any] = {"content": form.content, "embeds": form.embeds, "components": form.components}
    fields = {name: value for name, value in given.items() if name in form.given}
    if "flags" in form.given:
        one_way = stored.wire["flags"] & (~SETTABLE_FLAGS | NEW_KIND)
        fields["flags"] = one_way | form.flags & SETTABLE_FLAGS
    if "attachments" in form.given:
        fields["attachments"] = [attachment for attachment in stored.wire["attachments"] if attachment["id"] in form.kept]
    after = {**stored.wire, **fields}
    if not (after["content"] or after["embeds"] or after["attachments"] or after["components"] or form.files or after["flags"] & LOADING):
        raise ApiError(50006)
    return fields
