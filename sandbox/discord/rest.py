"""REST routes that need the bot token: who, where, messages, commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from bot.platforms.budgets import (
    DISCORD_CREATE,
    DISCORD_DELETE,
    DISCORD_EDIT,
    DISCORD_HISTORY,
    DISCORD_HISTORY_MESSAGES,
    DISCORD_MESSAGE_READ,
    DISCORD_OLD_EDIT,
    DISCORD_OLD_EDIT_SECONDS,
    DISCORD_TYPING,
)
from sandbox.discord.commands import register
from sandbox.discord.errors import ApiError, invalid_form
from sandbox.discord.forms import SETTABLE_FLAGS, MessageForm, find_pings, read_form
from sandbox.discord.guard import Guard, Handler, answer, read_body
from sandbox.discord.interactions import edited_fields
from sandbox.discord.places import DM, THREAD
from sandbox.discord.world import REPLY, Stored, World

CHANNEL = "/channels/{channel}"
MESSAGES = f"{CHANNEL}/messages"
MESSAGE = f"{MESSAGES}/{{message}}"
APPLICATION = "/applications/{application}"
HISTORY_DEFAULT = 50


class Rest:
    """The routes. A call is counted before anything else is looked at: what is refused costs as much as what is done.

    Attributes:
        commands: Global application commands as registered.
        guild_commands: Those of single servers, by server.
    """

    def __init__(self, world: World, guard: Guard, application_id: str) -> None:
        self.commands: list[dict[str, Any]] = []
        self.guild_commands: dict[str, list[dict[str, Any]]] = {}
        self._world = world
        self._guard = guard
        self._application_id = application_id

    def table(self) -> list[tuple[str, str, Handler]]:
        """Return method, path below the API's base, and handler of each route."""
        commands, guild_commands = f"{APPLICATION}/commands", f"{APPLICATION}/guilds/{{guild}}/commands"
        return [
            ("GET", "/users/@me", self._me),
            ("GET", "/users/{user}", self._user),
            ("POST", "/users/@me/channels", self._open_dm),
            ("GET", "/oauth2/applications/@me", self._application),
            ("GET", "/applications/@me", self._application),
            ("GET", commands, self._list_commands),
            ("PUT", commands, self._put_commands),
            ("GET", guild_commands, self._list_commands),
            ("PUT", guild_commands, self._put_commands),
            ("GET", "/guilds/{guild}", self._guild),
            ("GET", "/guilds/{guild}/members/{user}", self._member),
            ("GET", CHANNEL, self._channel),
            ("POST", f"{CHANNEL}/typing", self._typing),
            ("POST", f"{CHANNEL}/threads", self._thread),
            ("POST", f"{MESSAGE}/threads", self._thread),
            ("GET", MESSAGES, self._history),
            ("POST", MESSAGES, self._create),
            ("GET", MESSAGE, self._read),
            ("PATCH", MESSAGE, self._edit),
            ("DELETE", MESSAGE, self._delete),
        ]

    # ------------------------------------------------------------------------------------------------ who and where

    async def _me(self, _request: web.Request) -> web.Response:
        return answer({**self._world.users[self._world.bot_id], "mfa_enabled": True, "verified": True, "locale": "en-US", "email": None})

    async def _user(self, request: web.Request) -> web.Response:
        user = self._world.users.get(request.match_info["user"])
        if user is None:
            raise ApiError(10013)
        return answer(user)

    async def _open_dm(self, request: web.Request) -> web.Response:
        body, _files = await read_body(request)
        user_id = str(body.get("recipient_id")) if isinstance(body, dict) else ""
        if user_id not in self._world.users:
            raise invalid_form(("recipient_id",), "INVALID_RECIPIENT", "Unknown recipient")
        if user_id == self._world.bot_id:
            raise ApiError(50007)
        return answer(self._world.channels[self._world.open_dm(user_id)])

    async def _application(self, _request: web.Request) -> web.Response:
        bot = self._world.users[self._world.bot_id]
        facts = {"id": self._application_id, "name": bot["username"], "icon": None, "description": "", "verify_key": "0" * 64, "bot": bot}
        flags = 1 << 18 if self._world.message_content else 0
        rights = {"bot_public": True, "bot_require_code_grant": False, "flags": flags, "flags_new": str(flags), "type": None}
        team: dict[str, Any] = {"owner": bot, "team": None, "redirect_uris": [], "eligible_oauth2_scopes": [], "explicit_content_filter": 0}
        unset = dict.fromkeys(("interactions_endpoint_url", "role_connections_verification_url"))
        counts = {
            "approximate_guild_count": len(self._world.guilds),
            "approximate_user_install_count": 0,
            "approximate_user_authorization_count": 0,
        }
        return answer({**facts, **rights, **team, **unset, **counts})

    async def _guild(self, request: web.Request) -> web.Response:
        guild = self._world.guilds.get(request.match_info["guild"])
        if guild is None:
            raise ApiError(10004)
        return answer(guild)

    async def _member(self, request: web.Request) -> web.Response:
        return answer(self._world.member(request.match_info["guild"], request.match_info["user"]))

    async def _channel(self, request: web.Request) -> web.Response:
        self._guard.spend("channel", request.match_info["channel"], DISCORD_HISTORY)
        return answer(self._world.channel(request.match_info["channel"]))

    async def _typing(self, request: web.Request) -> web.Response:
        self._guard.spend("typing", request.match_info["channel"], DISCORD_TYPING)
        channel = self._writable(request)
        self._world.type(channel["id"], self._world.bot_id)
        return answer(status=204)

    async def _thread(self, request: web.Request) -> web.Response:
        channel = self._writable(request)
        body, _files = await read_body(request)
        name = body.get("name") if isinstance(body, dict) else None
        if not isinstance(name, str) or not 1 <= len(name) <= 100:
            raise invalid_form(("name",), "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
        thread = self._world.start_thread(channel["id"], name, self._world.bot_id, message_id=request.match_info.get("message"))
        return answer(thread, status=201)

    # ------------------------------------------------------------------------------------------------ commands

    async def _list_commands(self, request: web.Request) -> web.Response:
        self._own_application(request)
        guild_id = request.match_info.get("guild")
        return answer(self.commands if guild_id is None else self.guild_commands.get(guild_id, []))

    async def _put_commands(self, request: web.Request) -> web.Response:
        self._own_application(request)
        guild_id = request.match_info.get("guild")
        if guild_id is not None and guild_id not in self._world.guilds:
            raise ApiError(50001)
        former = self.commands if guild_id is None else self.guild_commands.get(guild_id, [])
        body, _files = await read_body(request)
        registered = register(body, former, self._world.new_id, self._application_id, guild_id)
        if guild_id is None:
            self.commands[:] = registered
        else:
            self.guild_commands[guild_id] = registered
        self._world.changed("commands", commands=registered, guild_id=guild_id)
        return answer(registered)

    def _own_application(self, request: web.Request) -> None:
        if request.match_info["application"] != self._application_id:
            raise ApiError(10002)

    # ------------------------------------------------------------------------------------------------ messages

    async def _history(self, request: web.Request) -> web.Response:
        self._guard.spend("history", request.match_info["channel"], DISCORD_HISTORY)
        channel = self._world.channel(request.match_info["channel"])
        limit = request.query.get("limit", str(HISTORY_DEFAULT))
        if not limit.isdecimal() or not 1 <= int(limit) <= DISCORD_HISTORY_MESSAGES:
            raise invalid_form(("limit",), "NUMBER_TYPE_MAX", f"int value should be between 1 and {DISCORD_HISTORY_MESSAGES}.")
        windows = [name for name in ("around", "before", "after") if name in request.query]
        if len(windows) > 1:  # documented: mutually exclusive
            raise invalid_form((windows[1],), "BASE_TYPE_EXCLUSIVE", f"{windows[0]} and {windows[1]} exclude each other.")
        hidden = channel["id"] in self._world.without_history  # documented: then no messages are returned, and no error
        log = [] if hidden else [stored for stored in self._world.log(channel["id"]) if stored.viewer is None]
        picked = _window(log, int(limit), request.query)
        return answer([self._world.rest_view(stored) for stored in reversed(picked)])

    async def _read(self, request: web.Request) -> web.Response:
        self._guard.spend("message", request.match_info["channel"], DISCORD_MESSAGE_READ)
        if request.match_info["channel"] in self._world.without_history:
            raise ApiError(50001)
        return answer(self._world.rest_view(self._message(request)))

    async def _create(self, request: web.Request) -> web.Response:
        self._guard.spend("create", request.match_info["channel"], DISCORD_CREATE)
        channel = self._writable(request)
        body, files = await read_body(request)
        form = read_form(body, files)
        self._check_files(channel["id"], form)
        form.require_substance()
        nonce = None if form.nonce is None else str(form.nonce)
        if nonce is not None and form.enforce_nonce:
            existing = self._world.once(channel["id"], nonce)
            if existing is not None:
                return answer(self._world.rest_view(existing, fresh=True))
        stored = self._post(channel, form)
        if nonce is not None:
            self._world.remember(nonce, stored)
        return answer(self._world.rest_view(stored, fresh=True))

    def _check_files(self, channel_id: str, form: MessageForm) -> None:
        if form.files and channel_id in self._world.without_files:
            raise ApiError(50013)

    def _post(self, channel: dict[str, Any], form: MessageForm) -> Stored:
        world = self._world
        reference = world.reference(channel, form.reference)
        fields: dict[str, Any] = {"content": form.content, "embeds": form.embeds, "components": form.components}
        fields |= {"flags": form.flags & SETTABLE_FLAGS, "application_id": self._application_id}
        replied_to = None
        if reference is not None:
            fields |= {"type": REPLY, "message_reference": reference}
            replied_to = world.message(channel["id"], reference["message_id"]).author_id
        if form.nonce is not None:
            fields["nonce"] = form.nonce
        pings = find_pings(form.content, form.allowed, replied_to=replied_to)
        return world.post(channel["id"], world.bot_id, pings, files=form.files, **fields)

    async def _edit(self, request: web.Request) -> web.Response:
        self._spend_edit(request.match_info["channel"], request.match_info["message"])
        stored = self._message(request)
        channel = self._world.channels[stored.channel_id]
        if stored.author_id != self._world.bot_id:
            raise ApiError(50005)
        if channel["type"] == THREAD and channel["thread_metadata"]["archived"]:
            raise ApiError(50083)
        body, files = await read_body(request)
        form = read_form(body, files)
        self._check_files(channel["id"], form)
        fields = edited_fields(stored, form)
        pings = find_pings(form.content, form.allowed) if "content" in form.given else None
        self._world.amend(stored, pings, files=form.files, **fields)
        return answer(self._world.rest_view(stored))

    def _spend_edit(self, channel_id: str, message_id: str) -> None:
        if self._world.age(channel_id, message_id) > DISCORD_OLD_EDIT_SECONDS:
            both = ("edit", DISCORD_EDIT), ("old edit", DISCORD_OLD_EDIT)
            self._guard.spend_both(channel_id, *both, code=30046)
        else:
            self._guard.spend("edit", channel_id, DISCORD_EDIT)

    async def _delete(self, request: web.Request) -> web.Response:
        self._guard.spend("delete", request.match_info["channel"], DISCORD_DELETE)
        stored = self._message(request)
        if stored.author_id != self._world.bot_id:
            raise ApiError(50003 if self._world.channels[stored.channel_id]["type"] == DM else 50013)
        self._world.remove(stored)
        return answer(status=204)

    def _message(self, request: web.Request) -> Stored:
        channel = self._world.channel(request.match_info["channel"])
        return self._world.message(channel["id"], request.match_info["message"])

    def _writable(self, request: web.Request) -> dict[str, Any]:
        channel = self._world.channel(request.match_info["channel"])
        if channel["id"] in self._world.barred:
            raise ApiError(self._world.barred[channel["id"]])
        if channel["type"] == THREAD and channel["thread_metadata"]["locked"]:
            raise ApiError(160005)
        return channel


def _window(log: list[Stored], limit: int, query: Mapping[str, str]) -> list[Stored]:
    """Return the part of a log (oldest first) that `before`, `after` or `around` asks for."""
    if "before" in query:
        end = _snowflake(query, "before")
        return [stored for stored in log if int(stored.id) < end][-limit:]
    if "after" in query:
        start = _snowflake(query, "after")
        return [stored for stored in log if int(stored.id) > start][:limit]
    if "around" in query:
        middle = _snowflake(query, "around")
        older = [stored for stored in log if int(stored.id) < middle][-(limit // 2) :]
        newer = [stored for stored in log if int(stored.id) >= middle][: limit - len(older)]
        return [*older, *newer]
    return log[-limit:]


def _snowflake(query: Mapping[str, str], name: str) -> int:
    if not query[name].isdecimal():
        raise invalid_form((name,), "NUMBER_TYPE_COERCE", f'Value "{query[name]}" is not snowflake.')
    return int(query[name])
