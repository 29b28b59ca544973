"""Events in: what discord.py hands over becomes `Incoming`, is committed in order, and is then acknowledged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Final

import discord

from bot.clock import Clock
from bot.commands.base import Menu
from bot.model import ChatAddress
from bot.platforms.base import Accept, FloodError, PlatformError, UnavailableError
from bot.platforms.budgets import DISCORD_INTERACTION_ACK_SECONDS
from bot.platforms.discord.answers import Code, CodedRefusedError
from bot.platforms.discord.commands import SUGGEST_SECONDS, choices
from bot.platforms.discord.egress import EPHEMERAL
from bot.platforms.discord.lanes import Lanes
from bot.platforms.discord.membership import Membership
from bot.platforms.discord.reading import NAME, arguments, from_interaction, from_message, is_addressed, is_from_person, options
from bot.platforms.discord.rest import Rest
from bot.platforms.discord.routes import Acknowledgements, InteractionRoute

log = logging.getLogger(__name__)

DEFERRED_MESSAGE, SUGGESTIONS = 5, 8
"""Types of an interaction's callback. Documented: receiving and responding."""
RETRY_SECONDS: Final = 0.2
"""Between two tries to acknowledge an interaction."""
DRAIN_SECONDS: Final = 5.0
"""So long a shutdown waits for events that are being committed."""


class Intake:
    """Takes a gateway's events.

    Attributes:
        guilds: Ids of the bot's servers; set by the gateway.
    """

    def __init__(
        self,
        account: int,
        accept: Accept,
        menu: Menu,
        rest: Rest,
        acknowledgements: Acknowledgements,
        *,
        threads: bool,
        clock: Clock,
        now: Callable[[], float],
    ) -> None:
        self.guilds: Callable[[], Sequence[int]] = tuple
        self._account = account
        self._accept = accept
        self._menu = menu
        self._rest = rest
        self._acknowledgements = acknowledgements
        self._threads = threads
        self._clock = clock
        self._now = now
        self._membership = Membership(rest, clock)
        self._lanes = Lanes()
        self._open = True

    async def message(self, message: discord.Message, *, edited: bool = False) -> None:
        """Take a message, or its new text."""
        if not self._open or not is_from_person(message) or not is_addressed(message, self._account, threads=self._threads):
            return
        async with self._lanes.counted(), self._lanes.turn(str(message.channel.id)):
            if isinstance(message.channel, discord.DMChannel):
                member = await self._membership.holds(message.author.id, self.guilds())
            else:
                member = self._membership.seen(message.author.id)
            await self._accept(from_message(message, self._account, member=member, edited=edited))

    async def interaction(self, interaction: discord.Interaction) -> None:
        """Take a slash command, a button, or a wish for suggestions."""
        if not self._open or interaction.user.bot:
            return
        started = self._clock.now()
        if interaction.type is discord.InteractionType.autocomplete:
            await self._suggest(interaction)
            return
        route = InteractionRoute(str(interaction.application_id), interaction.token, str(interaction.id))
        async with self._lanes.counted():
            with self._acknowledgements.under_way(route.interaction):
                if await self._commit(interaction, route):
                    await self._defer(route, private=self._is_private(interaction), started=started)

    async def drain(self) -> None:
        """Take nothing more in; return when what was taken is committed."""
        self._open = False
        await self._lanes.drain(DRAIN_SECONDS)

    async def _commit(self, interaction: discord.Interaction, route: InteractionRoute) -> bool:
        async with self._lanes.turn(str(interaction.channel_id)):
            member = await self._is_member(interaction)
            incoming = from_interaction(interaction, self._account, route.pack(self._now()), member=member)
            if incoming is None:
                log.debug("an interaction of type %s is nothing the bot offers", interaction.type)
                return False
            return await self._accept(incoming)

    async def _is_member(self, interaction: discord.Interaction) -> bool:
        if interaction.guild_id is None:
            return await self._membership.holds(interaction.user.id, self.guilds())
        # Somebody may have installed the app for themselves and use it in a server the bot was never invited to.
        return interaction.guild_id in self.guilds() and self._membership.seen(interaction.user.id)

    def _is_private(self, interaction: discord.Interaction) -> bool:
        name = interaction.data.get("name") if interaction.data is not None else None
        return any(command.private for command in self._menu.commands if command.name == name)

    async def _defer(self, route: InteractionRoute, *, private: bool, started: float) -> None:
        """Acknowledge: the platform shows that the bot is thinking until the first page takes that place."""
        body: dict[str, Any] = {"type": DEFERRED_MESSAGE}
        if private:
            body["data"] = {"flags": EPHEMERAL}
        while (left := started + DISCORD_INTERACTION_ACK_SECONDS - self._clock.now()) > 0:
            try:
                await self._callback(route, body, seconds=left)
            except (UnavailableError, FloodError) as error:
                log.info("interaction %s is not acknowledged yet: %s", route.interaction, error)
                await self._clock.sleep(error.retry_after if isinstance(error, FloodError) else RETRY_SECONDS)
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
