"""Events in: what discord.py hands over becomes `Incoming`, is committed in order, and is then acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import discord

from bot.clock import Clock
from bot.commands.base import Menu
from bot.lanes import Lanes
from bot.model import ChatAddress, EventKind, Incoming
from bot.payload import sound
from bot.platforms.base import Accept, FloodError, PlatformError, UnavailableError
from bot.platforms.budgets import DISCORD_INTERACTION_ACK_SECONDS
from bot.platforms.discord.answers import Code, CodedRefusedError
from bot.platforms.discord.catchup import CatchUp, Track
from bot.platforms.discord.commands import SUGGEST_SECONDS, choices
from bot.platforms.discord.commits import Commits, Fate
from bot.platforms.discord.egress import EPHEMERAL
from bot.platforms.discord.membership import Membership
from bot.platforms.discord.odd import CREATED, EDITED, SAYING, as_seen, odd
from bot.platforms.discord.reading import NAME, arguments, from_interaction, from_message, is_addressed, is_from_person, options
from bot.platforms.discord.rest import Rest
from bot.platforms.discord.routes import Acknowledgements, InteractionRoute
from bot.platforms.errands import Errands
from bot.platforms.set_aside import reason_of

log = logging.getLogger(__name__)

DEFERRED_MESSAGE, DEFERRED_UPDATE, SUGGESTIONS = 5, 6, 8
"""Types of an interaction's callback. Documented: receiving and responding."""
RETRY_SECONDS: Final = 0.2
"""Between two tries to acknowledge an interaction."""
CATCH_UP_SECONDS: Final = 0.8
"""So long an interaction waits for its channel to be read back: it has to be acknowledged within 3 s of its arrival."""
TAKEN_KEPT: Final = 200
"""Of so many messages, the ones taken last, it is noticed that they are deleted."""
DRAIN_SECONDS: Final = 5.0
"""So long a shutdown waits for events that are being committed."""


class Intake:
    """Takes the events of one gateway connection after the other.

    discord.py runs every event as a task of its own. The tasks start in order of arrival, so a lane asked for before a task's first wait
    keeps that order.

    Attributes:
        guilds: Returns the ids of the bot's servers.
    """

    def __init__(
        self,
        account: int,
        accept: Accept,
        menu: Menu,
        rest: Rest,
        acknowledgements: Acknowledgements,
        *,
        message_content: bool,
        members: bool,
        clock: Clock,
        now: Callable[[], float],
        catch_up: CatchUp | None = None,
    ) -> None:
        self.guilds: Callable[[], Sequence[int]] = tuple
        self._account = account
        self._menu = menu
        self._rest = rest
        self._acknowledgements = acknowledgements
        self._message_content = message_content
        self._members = members
        self._clock = clock
        self._now = now
        self._membership = Membership(rest, clock)
        self._commits = Commits(accept, clock)
        self._lanes: Lanes[int] = Lanes()
        self._arrivals: Lanes[int] = Lanes()
        self._catch_up = catch_up
        self._errands = Errands("event from Discord")
        self._open = True
        self._taken: dict[int, Incoming] = {}
        self._client: discord.Client | None = None
        self._connected = asyncio.Event()

    def connected(self, client: discord.Client) -> None:
        """A new session began: what came before it may have been missed."""
        self.guilds = lambda: [guild.id for guild in client.guilds]
        self._client = client
        self._connected.set()
        if self._catch_up is not None and self._open:
            self._catch_up.begin(client, self._take_missed, self.set_aside)

    async def message(self, message: discord.Message, *, edited: bool = False) -> None:
        """Take a message, or its new text."""
        if not self._open:
            return
        if self._concerns(message):
            track = None
            if self._catch_up is not None and not edited:
                track = self._catch_up.track(message.channel.id)
            if track is not None:
                track.arrived(message.id)
            await self._errands.run(self._take_message(message, track, edited=edited))
        elif not edited:
            self.passed(message.channel.id, message.id)

    def passed(self, channel: int, message: int) -> None:
        """Take note of a message that is not meant for the bot."""
        if self._catch_up is not None and self._open:
            self._catch_up.passed(channel, message)

    async def deleted(self, message: int) -> None:
        """Take note that a message was deleted: what it asks is withdrawn if it still waits. Only of the messages that were taken last."""
        said = self._taken.pop(message, None)
        if said is not None and self._open:
            key = f"{NAME}:{self._account}:delete:{message}"
            gone = replace(said, key=key, kind=EventKind.EDIT, text="", attachments=())
            await self._errands.run(self._take_deleted(message, gone))

    async def interaction(self, interaction: discord.Interaction) -> None:
        """Take a slash command, a button, or a wish for suggestions."""
        if not self._open or interaction.user.bot:
            return
        started = self._clock.now()
        if interaction.type is discord.InteractionType.autocomplete:
            await self._suggest(interaction)
            return
        await self._errands.run(self._take_interaction(interaction, deadline=started + DISCORD_INTERACTION_ACK_SECONDS))

    def set_aside(self, kind: str, raw: Any, error: Exception) -> None:
        """Keep what can't be read, with the reason. Returns at once."""
        reason = reason_of(error)
        log.error("an event of kind %s can't be read: %s", kind, reason)
        incoming = odd(kind, raw, self._account, reason) if kind in SAYING else None
        if incoming is not None and self._open:
            self._errands.start(self._keep(incoming))

    async def read_again(self, kind: str, raw: dict[str, Any]) -> Incoming | None:
        """Read a message, or its new text, that was set aside; None if it is not meant for the bot. Waits until there is a session.

        Raises:
            Exception: It can't be read.
        """
        await self._connected.wait()
        assert self._client is not None, "it comes with the session"
        state = self._client._connection  # noqa: SLF001 - as discord.py's own parser of the same event does it
        channel, _ = state._get_guild_channel(raw)  # type: ignore[arg-type]  # noqa: SLF001
        message = discord.Message(state=state, channel=channel, data=raw)  # type: ignore[arg-type]  # a payload is a dict
        return await self._incoming(message, edited=kind == EDITED) if self._concerns(message) else None

    async def drain(self) -> None:
        """Take nothing more in; return when what was taken is committed. What can't be committed any more is logged."""
        self._open = False
        self._commits.close()
        if self._catch_up is not None:
            self._catch_up.stop()
        await self._errands.finish(DRAIN_SECONDS)
        if self._catch_up is not None:
            await self._catch_up.aclose()

    async def _keep(self, incoming: Incoming) -> None:
        await self._commits.offer(incoming)

    def _concerns(self, message: discord.Message) -> bool:
        return is_from_person(message) and is_addressed(message, self._account, message_content=self._message_content)

    async def _take_message(self, message: discord.Message, track: Track | None, *, edited: bool) -> None:
        async with self._arrivals.of(message.channel.id):
            if self._catch_up is not None:
                await self._catch_up.before(message.channel.id)
            if await self._commit_message(message, edited=edited) and track is not None:
                track.committed(message.id)

    async def _take_missed(self, message: discord.Message) -> bool:
        try:
            return not self._concerns(message) or await self._errands.run(self._commit_message(message, edited=False))
        except Exception as error:  # noqa: BLE001 - one odd message must not keep the channel from being read back
            self.set_aside(CREATED, as_seen(message), error)
            return True

    async def _commit_message(self, message: discord.Message, *, edited: bool) -> bool:
        async with self._lanes.of(message.channel.id):
            incoming = await self._incoming(message, edited=edited)
            fate = await self._commits.offer(incoming)
            if fate is Fate.NEW and not edited:
                self._taken[message.id] = incoming
                if len(self._taken) > TAKEN_KEPT:
                    del self._taken[next(iter(self._taken))]
            return fate is not Fate.LOST

    async def _incoming(self, message: discord.Message, *, edited: bool) -> Incoming:
        if isinstance(message.channel, discord.DMChannel):
            member = await self._is_somewhere(message.author.id)
        else:
            member = self._membership.seen(message.author.id)
        return sound(from_message(message, self._account, member=member, edited=edited))

    async def _take_deleted(self, message: int, gone: Incoming) -> None:
        async with self._lanes.of(int(gone.chat.chat)):
            if await self._commits.offer(gone) is Fate.LOST:
                log.warning("that message %d was deleted was not committed: it stays as it was", message)

    async def _take_interaction(self, interaction: discord.Interaction, *, deadline: float) -> None:
        press = interaction.type is discord.InteractionType.component
        route = InteractionRoute(str(interaction.application_id), interaction.token, str(interaction.id), press=press)
        with self._acknowledgements.under_way(route.interaction):
            if await self._commit(interaction, route, deadline=deadline):
                await self._acknowledge(route, self._acknowledgement(interaction), deadline=deadline)

    async def _commit(self, interaction: discord.Interaction, route: InteractionRoute, *, deadline: float) -> bool:
        if self._catch_up is not None:
            await self._catch_up.before(interaction.channel_id or 0, CATCH_UP_SECONDS)
        async with self._lanes.of(interaction.channel_id or 0):
            member = await self._is_member(interaction)
            incoming = from_interaction(interaction, self._account, route.pack(self._now()), member=member)
            if incoming is None:
                log.debug("an interaction of type %s is nothing the bot offers", interaction.type)
                return False
            # After the deadline the person reads that the bot did not respond, and asks again: both would be carried out.
            return await self._commits.offer(sound(incoming), deadline=deadline) is Fate.NEW

    async def _is_somewhere(self, person: int) -> bool | None:
        return await self._membership.holds(person, self.guilds()) if self._members else False

    async def _is_member(self, interaction: discord.Interaction) -> bool | None:
        if interaction.guild_id is None:
            return await self._is_somewhere(interaction.user.id)
        # Somebody may have installed the app for themselves and use it in a server the bot was never invited to.
        return interaction.guild_id in self.guilds() and self._membership.seen(interaction.user.id)

    def _acknowledgement(self, interaction: discord.Interaction) -> dict[str, Any]:
        """Return what to tell Discord at once: a command shows that the bot is thinking until the first page takes that place.

        A press shows nothing: most need no words, and what one needs, and whether all may read it, is not known yet.
        """
        if interaction.type is discord.InteractionType.component:
            return {"type": DEFERRED_UPDATE}
        name = interaction.data.get("name") if interaction.data is not None else None
        private = any(command.private for command in self._menu.commands if command.name == name)
        return {"type": DEFERRED_MESSAGE, "data": {"flags": EPHEMERAL}} if private else {"type": DEFERRED_MESSAGE}

    async def _acknowledge(self, route: InteractionRoute, body: dict[str, Any], *, deadline: float) -> None:
        while (left := deadline - self._clock.now()) > 0:
            try:
                await self._callback(route, body, seconds=left)
            except (UnavailableError, FloodError) as error:
                log.info("interaction %s is not acknowledged yet: %s", route.interaction, error)
                await self._clock.sleep(min(error.retry_after if isinstance(error, FloodError) else RETRY_SECONDS, left))
            except PlatformError as error:
                if not isinstance(error, CodedRefusedError) or error.code != Code.ALREADY_ACKNOWLEDGED:
                    log.warning("interaction %s was not acknowledged, its answer goes to the channel: %s", route.interaction, error)
                return
            else:
                return
        log.warning("interaction %s was not acknowledged in time, its answer goes to the channel", route.interaction)

    async def _suggest(self, interaction: discord.Interaction) -> None:
        """Answer with suggestions, with none if they take too long."""
        option = next((str(sent["name"]) for sent in options(interaction) if sent.get("focused")), None)
        if option is None or interaction.data is None:
            return
        command = str(interaction.data.get("name", ""))
        chat = ChatAddress(NAME, str(self._account), str(interaction.channel_id))
        server = None if interaction.guild_id is None else str(interaction.guild_id)
        values: Sequence[str] = ()
        try:
            async with asyncio.timeout(SUGGEST_SECONDS):
                values = await self._menu.complete(chat, server, command, option, arguments(interaction).get(option, ""))
        except TimeoutError:
            log.info("suggestions for /%s took too long", command)
        route = InteractionRoute(str(interaction.application_id), interaction.token, str(interaction.id))
        try:
            await self._callback(
                route, {"type": SUGGESTIONS, "data": {"choices": choices(values)}}, seconds=DISCORD_INTERACTION_ACK_SECONDS
            )
        except PlatformError as error:
            log.info("suggestions for /%s came to nothing: %s", command, error)

    async def _callback(self, route: InteractionRoute, body: dict[str, Any], *, seconds: float) -> None:
        await self._rest.call("POST", f"/interactions/{route.interaction}/{route.token}/callback", body, authorised=False, seconds=seconds)
