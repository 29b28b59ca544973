"""The stand-in for Discord: REST, gateway, and the hands of the people who use it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from bot.platforms.budgets import DISCORD_INTERACTION_ACK_SECONDS
from sandbox.discord import commands as slash_commands
from sandbox.discord.callbacks import Callbacks
from sandbox.discord.components import walk
from sandbox.discord.errors import ApiError
from sandbox.discord.forms import Allowed, File, find_pings
from sandbox.discord.gateway import Gateway
from sandbox.discord.guard import Guard, answer
from sandbox.discord.interactions import AUTOCOMPLETE, COMMAND, COMPONENT, Interaction, Interactions
from sandbox.discord.places import DM, THREAD, Event
from sandbox.discord.reactions import Reactions
from sandbox.discord.rest import Rest
from sandbox.discord.world import REPLY, Stored, World
from sandbox.server import Server

API = "/api/v10"
TOKEN = "sandbox-discord-token"  # noqa: S105 - no secret: a stand-in's
PEOPLE_MAY = frozenset({"users", "roles"})
"""What a person's message pings; @everyone needs a permission nobody has here."""


class DiscordSandbox(Server):
    """Discord on loopback, with one bot in it, a server "Sandbox", its channel "general" and its member "ada".

    Args:
        token: The bot's token.
        now: Epoch seconds; ids, ages, budgets and the life of interaction tokens follow it.
        message_content: The privileged intent is granted.

    Attributes:
        guild_id: The server that exists at the start; likewise `channel_id` and `user_id`.
        pings: Each message of the bot that pinged somebody: ``channel_id``, ``message_id``, ``users``, ``roles``, ``everyone``.
        barred: Channel id → code the bot is refused with there: 50001 can't see it, 50013 can't write, 50007 person refuses messages.
        without_history: Channels where the bot may not read the history: it is told that there is none.
        without_files: Channels where the bot may not attach files.
        without_reactions: Channels where the bot may not add reactions.
        on_change: Called with every change that can be seen, a dict with ``type``.
        gateway: Its `heartbeat_seconds`, `identifies` and `token_reset` may be looked at and set.
        guard: Counts of refused calls: `limited_calls`, `invalid_calls`.
    """

    bot_name = "dragoman"

    def __init__(
        self,
        *,
        token: str = TOKEN,
        now: Callable[[], float] = time.time,
        message_content: bool = False,
    ) -> None:
        super().__init__(now=now)
        self.token = token
        self.world = World(now, lambda: self.url, bot_name=self.bot_name, message_content=message_content)
        self.bot_id = self.world.bot_id
        self.application_id = self.world.new_id()
        self.gateway = Gateway(self.world, token=token, application_id=self.application_id, url=lambda: self.gateway_url)
        self.world.publish = self.gateway.publish
        self.guard = Guard(now, lambda: None if self.gateway.token_reset else self.token)
        self.interactions = Interactions(self.world, self.application_id)
        self._rest = Rest(self.world, self.guard, self.application_id)
        self._reactions = Reactions(self.world, self.guard)
        self._callbacks = Callbacks(self.interactions, self.guard)
        self.guild_id = self.add_guild("Sandbox")
        self.channel_id = self.add_channel(self.guild_id, "general")
        self.user_id = self.add_user("ada", guilds=[self.guild_id])

    # ------------------------------------------------------------------------------------------------ server

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return all routes."""
        table = [*self._rest.table(), *self._reactions.table()]
        rest = [web.route(method, API + path, self.guard.route(handler)) for method, path, handler in table]
        callbacks = [
            web.route(method, API + path, self.guard.route(handler, bot=False)) for method, path, handler in self._callbacks.table()
        ]
        return [
            *rest,
            *callbacks,
            web.get(f"{API}/gateway", self.guard.route(self._find_gateway, bot=False)),
            web.get(f"{API}/gateway/bot", self.guard.route(self._find_gateway_bot)),
            web.get("/gateway", self.gateway.handle),
            web.get("/gateway/", self.gateway.handle),
            web.get("/attachments/{channel}/{file}/{name}", self._attachment),
            web.route("*", API + "/{rest:.*}", self.guard.route(self._nowhere, bot=False)),
        ]

    async def stop(self) -> None:
        """Close every connection. Idempotent."""
        await self.gateway.close(1001)
        await super().stop()

    @property
    def api_url(self) -> str:
        """Base address of REST, for `discord.http.Route.BASE`."""
        return f"{self.url}{API}"

    @property
    def gateway_url(self) -> str:
        """Address of the gateway, for `DiscordWebSocket.DEFAULT_GATEWAY`."""
        return f"{self.url}/gateway".replace("http://", "ws://")

    @property
    def cdn_url(self) -> str:
        """Where attachments are."""
        return self.url

    async def _find_gateway(self, _request: web.Request) -> web.Response:
        return answer({"url": self.gateway_url})

    async def _find_gateway_bot(self, _request: web.Request) -> web.Response:
        return answer({"url": self.gateway_url, "shards": 1, "session_start_limit": self.gateway.quota()})

    async def _attachment(self, request: web.Request) -> web.Response:
        file = self.world.files.get(request.match_info["file"])
        if file is None or not self.world.links.hold(request.path_qs):
            return web.Response(status=404, text="This content is no longer available.")
        return web.Response(body=file.data, content_type=file.media_type)

    async def _nowhere(self, _request: web.Request) -> web.Response:
        raise ApiError(0)

    # ------------------------------------------------------------------------------------------------ what there is

    @property
    def guilds(self) -> dict[str, dict[str, Any]]:
        """Servers by id."""
        return self.world.guilds

    @property
    def channels(self) -> dict[str, dict[str, Any]]:
        """Channels, threads and private channels by id."""
        return self.world.channels

    @property
    def users(self) -> dict[str, dict[str, Any]]:
        """People and the bot by id."""
        return self.world.users

    @property
    def commands(self) -> list[dict[str, Any]]:
        """Global application commands as registered."""
        return self._rest.commands

    @property
    def guild_commands(self) -> dict[str, list[dict[str, Any]]]:
        """Application commands of single servers, by server."""
        return self._rest.guild_commands

    @property
    def pings(self) -> list[dict[str, Any]]:
        """What the bot's messages pinged."""
        return self.world.pings

    @property
    def barred(self) -> dict[str, int]:
        """Channels the bot is refused in."""
        return self.world.barred

    @property
    def without_history(self) -> set[str]:
        """Channels where the bot may not read the history."""
        return self.world.without_history

    @property
    def without_files(self) -> set[str]:
        """Channels where the bot may not attach files."""
        return self.world.without_files

    @property
    def without_reactions(self) -> set[str]:
        """Channels where the bot may not add reactions."""
        return self.world.without_reactions

    def reactions(self, channel_id: str) -> dict[str, list[str]]:
        """Return message → emojis that the bot has put on it, of those that have any."""
        marked = {stored.id: [one["emoji"]["name"] for one in stored.wire.get("reactions", [])] for stored in self.world.log(channel_id)}
        return {message: emojis for message, emojis in marked.items() if emojis}

    def attached(self, message: dict[str, Any]) -> list[bytes]:
        """Return the content of a message's files."""
        return [self.world.files[one["id"]].data for one in message["attachments"]]

    @property
    def on_change(self) -> list[Callable[[dict[str, Any]], None]]:
        """Listeners."""
        return self.world.on_change

    def add_guild(self, name: str) -> str:
        """Make a server with the bot in it; return its id."""
        return self.world.add_guild(name)

    def add_channel(self, guild_id: str, name: str) -> str:
        """Make a text channel; return its id."""
        return self.world.add_channel(guild_id, name)

    def add_role(self, guild_id: str, name: str, permissions: int = 0) -> str:
        """Make a role with permissions beyond everyone's; return its id."""
        return self.world.add_role(guild_id, name, permissions)

    def add_user(self, name: str, *, guilds: Sequence[str] = (), roles: Sequence[str] = ()) -> str:
        """Make a person, member of these servers with those of the roles each has; return the id."""
        user_id = self.world.add_user(name)
        for guild_id in guilds:
            self.world.join(guild_id, user_id, roles)
        return user_id

    def open_dm(self, user_id: str) -> str:
        """Return the private channel of the bot and a person."""
        return self.world.open_dm(user_id)

    def messages(self, channel_id: str, *, viewer: str | None = None) -> list[dict[str, Any]]:
        """Return the messages of a channel, oldest first; those shown to one person only if that is the viewer."""
        return [dict(stored.wire) for stored in self.world.log(channel_id) if stored.viewer in {None, viewer}]

    # ------------------------------------------------------------------------------------------------ what people do

    async def start_thread(self, channel_id: str, name: str, *, message_id: str | None = None, user_id: str | None = None) -> str:
        """Open a thread; return its id, which is the message's if it starts from one."""
        return str(self.world.start_thread(channel_id, name, user_id or self.user_id, message_id=message_id)["id"])

    async def say(
        self,
        channel_id: str,
        user_id: str,
        content: str,
        *,
        reply_to: str | None = None,
        mention: bool = False,
        ping_reply: bool = True,
        attachments: Sequence[File] = (),
    ) -> dict[str, Any]:
        """Write as a person; `mention` puts the bot's mention in front, a reply pings whom it answers unless told not to.

        Raises:
            ValueError: The person can't write there.
        """
        channel = self._check_presence(channel_id, user_id)
        text = f"<@{self.bot_id}> {content}" if mention else content
        fields: dict[str, Any] = {"content": text}
        replied_to = None
        if reply_to is not None:
            fields |= {"type": REPLY, "message_reference": self.world.reference(channel, {"message_id": reply_to})}
            replied_to = self.world.message(channel_id, reply_to).author_id
        pings = find_pings(text, Allowed(PEOPLE_MAY, replied_user=ping_reply), replied_to=replied_to)
        return dict(self.world.post(channel_id, user_id, pings, files=attachments, **fields).wire)

    async def edit(self, channel_id: str, message_id: str, content: str) -> dict[str, Any]:
        """Edit a person's message as that person; whom a reply pinged stays pinged."""
        stored = self.world.message(channel_id, message_id)
        replied_to = self.world.replied_to(stored)
        kept = replied_to if any(user["id"] == replied_to for user in stored.wire["mentions"]) else None
        pings = find_pings(content, Allowed(PEOPLE_MAY, replied_user=True), replied_to=kept)
        self.world.amend(stored, pings, content=content)
        return dict(stored.wire)

    async def delete(self, channel_id: str, message_id: str) -> None:
        """Delete any message, as somebody who may."""
        self.world.remove(self.world.message(channel_id, message_id, hidden=True))

    async def slash(self, channel_id: str, user_id: str, command: str, options: dict[str, str] | None = None) -> Interaction:
        """Use a command; subcommands follow its name after a space.

        Raises:
            LookupError: It is not registered, or not for this kind of channel.
            ValueError: A client would refuse the options.
        """
        registered, declared = self._command(channel_id, user_id, command)
        filled = slash_commands.fill(declared, options or {})
        return self.interactions.create(COMMAND, channel_id, user_id, command, _call_data(registered, command, filled))

    async def complete(  # noqa: PLR0917 - the sandbox's agreed interface
        self, channel_id: str, user_id: str, command: str, option: str, value: str, options: dict[str, str] | None = None
    ) -> list[dict[str, Any]]:
        """Type into an option and return the choices offered.

        Raises:
            TimeoutError: None came within three seconds.
            LookupError: The command is not registered.
            ValueError: The option has no autocomplete.
        """
        registered, declared = self._command(channel_id, user_id, command)
        if not any(known["name"] == option and known.get("autocomplete") for known in declared):
            raise ValueError(f"option {option!r} of /{command} has no autocomplete")
        filled = slash_commands.fill(declared, {**(options or {}), option: value}, focused=option)
        interaction = self.interactions.create(AUTOCOMPLETE, channel_id, user_id, command, _call_data(registered, command, filled))
        async with asyncio.timeout(DISCORD_INTERACTION_ACK_SECONDS):
            await interaction.responded.wait()
        choices: list[dict[str, Any]] = (interaction.response or {})["data"]["choices"]
        return choices

    async def press(self, channel_id: str, message_id: str, custom_id: str, user_id: str) -> Interaction:
        """Press a button.

        Raises:
            ValueError: There is no such button for this person, or it is disabled.
        """
        self._check_presence(channel_id, user_id)
        stored = self.world.message(channel_id, message_id, hidden=True)
        if stored.viewer not in {None, user_id}:
            raise ValueError("that message is shown to somebody else")
        component = _component(stored, custom_id)
        data = {"custom_id": custom_id, "component_type": component["type"], "id": component["id"]}
        return self.interactions.create(COMPONENT, channel_id, user_id, custom_id, data, source=stored)

    # ------------------------------------------------------------------------------------------------ the gateway

    async def connected(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - a bound on a wait, not a way to cancel
        """Wait until a bot is logged in; `timeout` in seconds.

        Raises:
            TimeoutError: None came.
        """
        await self.gateway.connected(timeout)

    async def disconnected(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - as above
        """Wait until no bot is connected; `timeout` in seconds.

        Raises:
            TimeoutError: One still is.
        """
        await self.gateway.disconnected(timeout)

    async def close_gateway(self, code: int = 4000) -> None:
        """Close the bot's connections; what happens then waits for RESUME."""
        await self.gateway.close(code)

    async def invalidate(self, resumable: bool) -> None:  # noqa: FBT001 - the flag is the whole message (op 9)
        """Tell the bot that its session is invalid."""
        self.gateway.invalidate(resumable=resumable)

    async def silence(self) -> None:
        """Let the bot's connections stay open and carry nothing any more."""
        self.gateway.silence()

    async def push(self, name: str, data: dict[str, Any], *, intent: int = 0) -> None:
        """Send a gateway event as it is, malformed or not, to sessions with the intent."""
        self.gateway.publish(Event(name, data, intent))

    async def reconnect(self) -> None:
        """Ask the bot to come back over a new connection (op 7)."""
        self.gateway.reconnect()

    # ------------------------------------------------------------------------------------------------ inner

    def _check_presence(self, channel_id: str, user_id: str) -> dict[str, Any]:
        channel = self.world.channels[channel_id]
        present = channel["recipients"][0]["id"] == user_id if channel["type"] == DM else user_id in self.world.members[channel["guild_id"]]
        if not present:
            raise ValueError(f"{self.users[user_id]['username']} is not in this channel")
        if channel["type"] == THREAD and channel["thread_metadata"]["locked"]:
            raise ValueError("this thread is locked")
        return channel

    def _command(self, channel_id: str, user_id: str, command: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        channel = self._check_presence(channel_id, user_id)
        known = [*self.guild_commands.get(channel.get("guild_id", ""), []), *self.commands]
        registered, declared = slash_commands.find(known, command)
        contexts = registered.get("contexts")
        context = slash_commands.BOT_DM if channel["type"] == DM else slash_commands.GUILD
        if contexts is not None and context not in contexts:
            raise LookupError(f"/{command} is not offered in this kind of channel")
        return registered, declared


def _call_data(registered: dict[str, Any], path: str, filled: list[dict[str, Any]]) -> dict[str, Any]:
    options = slash_commands.nest(path, filled)
    data = {"id": registered["id"], "name": registered["name"], "type": registered["type"], "options": options}
    return {**data, "guild_id": registered["guild_id"]} if "guild_id" in registered else data


def _component(stored: Stored, custom_id: str) -> dict[str, Any]:
    for component in walk(stored.wire["components"]):
        if component.get("custom_id") == custom_id:
            if component.get("disabled"):
                raise ValueError(f"the button {custom_id!r} is disabled")
            return component
    raise ValueError(f"the message has no button {custom_id!r}")
