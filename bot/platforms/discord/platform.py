"""Discord as a `Platform`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from typing import Final

import aiohttp
import discord

from bot.clock import Clock
from bot.commands.base import Menu
from bot.model import Attachment, ChatAddress, Incoming, Page, Receipt, ReplyRoute, Target
from bot.platforms.base import (
    Accept,
    Allowance,
    Call,
    Cursors,
    Limits,
    Memo,
    PlatformError,
    Refusal,
    RefusedError,
    Repeat,
    Sighting,
    Spend,
)
from bot.platforms.budgets import (
    DISCORD_BUTTON_ROWS,
    DISCORD_BUTTONS_PER_ROW,
    DISCORD_FILE_BYTES,
    DISCORD_GLOBAL,
    DISCORD_NONCE_SECONDS,
    DISCORD_REACTION,
    DISCORD_TYPING_SECONDS,
)
from bot.platforms.discord.catchup import CatchUp, Reach
from bot.platforms.discord.commands import sync
from bot.platforms.discord.egress import Egress
from bot.platforms.discord.files import Files
from bot.platforms.discord.gateway import Gateway, point_at
from bot.platforms.discord.identifies import Identifies, TooManyIdentifiesError
from bot.platforms.discord.intake import Intake
from bot.platforms.discord.odd import read_kept
from bot.platforms.discord.reading import NAME
from bot.platforms.discord.rest import API_BASE_URL, CALL_SECONDS, Rest
from bot.platforms.discord.routes import Acknowledgements
from bot.platforms.tokens import discord_fault
from bot.platforms.unreachable import why
from bot.render.base import Style

log = logging.getLogger(__name__)

RECONNECT_SECONDS: Final = (1.0, 2.0, 5.0, 15.0, 60.0)
"""Waits between tries to connect; the last one stays. Discord allows 1,000 sessions a day and then resets the token."""
STEADY_SECONDS: Final = 300.0
"""A connection that held so long starts the waits anew."""
CLOSE_SECONDS: Final = 3.0
"""Longest wait for the gateway's goodbye."""
SESSION_SECONDS: Final = 60.0
"""So long what was set aside waits for a session to be read again with."""
DAY: Final = Reach(hours=24.0, messages=500)
"""How far back channels are read where nobody set it."""
LOGIN_CALLS: Final = 5
"""Of a login: who the bot is, asked here and by discord.py, its application, the gateway's address, and the command tree."""
OVERALL: Final = Allowance("discord:overall", DISCORD_GLOBAL)
REACTIONS: Final = Allowance("discord:reactions", DISCORD_REACTION)

_BAD_TOKEN: Final = (
    "Discord refused the token: set DISCORD_TOKEN to the one shown in the Developer Portal under your application, Bot, Reset Token"  # noqa: S105 - advice
)
_CLOSE_CODES: Final = {
    4004: (Refusal.TOKEN, _BAD_TOKEN),
    4011: (Refusal.BAD_REQUEST, "the bot is in more servers than one connection may serve (close code 4011)"),
    4013: (Refusal.BAD_REQUEST, "Discord does not know the events the bot asks for (close code 4013)"),
}
"""What ends a connection for good. Documented: opcodes and status codes, gateway close event codes."""


class DiscordPlatform:
    """Discord behind the seam of `bot.platforms.base`; with all optional protocols but that of drafts.

    Args:
        token: The bot's token.
        menu: The commands; the command tree derives from it.
        memo: Keeps the fingerprint of the command tree.
        style: How text is rendered and measured.
        api_base_url: Base of the HTTP API with its version, as in ``https://discord.com/api/v10``.
        gateway_url: Where the gateway is dialled.
        cdn_base_url: Where people's files come from, instead of Discord's own CDN.
        message_content: The application has the message content intent; then replies need no ping, and joined threads no mention.
        members: Find out whether people who write directly are in a server of the bot. Without it nobody who writes directly is a member,
            and Discord is asked nothing: for a bot that is open to everybody.
        reach: How far back channels are read after a time without connection.
        clock: For waits.
        now: Epoch seconds; interaction tokens expire by it.

    The two addresses are class attributes of discord.py: one process can talk to one Discord at a time.
    """

    name = NAME
    typing_seconds = DISCORD_TYPING_SECONDS
    limits = Limits(
        overall=OVERALL,
        idempotent_send=True,
        private_answers=True,
        max_button_rows=DISCORD_BUTTON_ROWS,
        max_buttons_per_row=DISCORD_BUTTONS_PER_ROW,
        file_bytes=DISCORD_FILE_BYTES,
        nonce_seconds=DISCORD_NONCE_SECONDS - CALL_SECONDS,  # a repeated create may be on its way for so long
        login_calls=LOGIN_CALLS,
    )

    def __init__(
        self,
        token: str,
        menu: Menu,
        memo: Memo,
        *,
        style: Style,
        api_base_url: str | None = None,
        gateway_url: str | None = None,
        cdn_base_url: str | None = None,
        message_content: bool = False,
        members: bool = True,
        reach: Reach = DAY,
        clock: Clock,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.style = style
        self._token = token
        self._menu = menu
        self._memo = memo
        self._message_content = message_content
        self._members = members
        self._reach = reach
        self._catching: tuple[Cursors, Spend] | None = None
        self._clock = clock
        self._now = now
        self._official = api_base_url is None
        self._base_url = api_base_url or API_BASE_URL
        self._rest = Rest(self._base_url, token)
        self._acknowledgements = Acknowledgements()
        self._egress = Egress(self._rest, self._acknowledgements, OVERALL, now)
        self._files = Files(self._rest, OVERALL, cdn_base_url, now)
        self._account: str | None = None
        self._intake: Intake | None = None
        self._begun = asyncio.Event()
        point_at(api_base_url, gateway_url)

    async def open(self) -> str:
        """Check the token and return the bot account's id."""
        if fault := discord_fault(self._token, official=self._official):
            raise RefusedError(Refusal.TOKEN, fault)
        try:
            answer = await self._rest.call("GET", "/users/@me")
        except RefusedError as refused:
            if refused.reason is Refusal.TOKEN:
                raise RefusedError(Refusal.TOKEN, _BAD_TOKEN) from None
            raise
        self._account = str(answer.body["id"])
        return self._account

    def catch_up_with(self, cursors: Cursors, spend: Spend) -> None:
        """Take what is needed to read back what was missed."""
        self._catching = (cursors, spend)
        self._files.spend = spend

    async def run(self, accept: Accept, ready: Callable[[], None]) -> None:
        """Take events in until cancelled."""
        account = int(self._account or await self.open())
        # One for all connections: an event that is not committed yet outlives the connection that brought it.
        intake = Intake(
            account,
            accept,
            self._menu,
            self._rest,
            self._acknowledgements,
            message_content=self._message_content,
            members=self._members,
            clock=self._clock,
            now=self._now,
            catch_up=self._catch_up(account),
        )
        self._intake = intake
        self._begun.set()
        try:
            await self._stay_connected(intake, Identifies(self._memo, str(account), self._now), _Once(ready))
        finally:
            await intake.drain()

    async def read_again(self, kept: Incoming) -> Incoming | None:
        """Read a message that was set aside; see `bot.platforms.base.SupportsReadingAgain`. It waits a while for a session."""
        kind, raw = read_kept(kept)
        async with asyncio.timeout(SESSION_SECONDS):
            await self._begun.wait()
            assert self._intake is not None, "it was begun"
            return await self._intake.read_again(kind, raw)

    def allowances(self, call: Call, target: Target, *, first: bool) -> Sequence[Allowance]:
        """Name the budgets that a call would be counted in."""
        return self._egress.allowances(call, target, first=first)

    async def send(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        """Make a message."""
        return await self._egress.send(target, page, nonce=nonce, first=first)

    def repeat(self, target: Target, *, first: bool) -> Repeat:
        """Tell what a repeated create would do."""
        return self._egress.repeat(target, first=first)

    async def search(self, target: Target, *, first: bool, position: str | None) -> Sighting:
        """Read a part of a channel's history, to find a message of the bot again."""
        return await self._egress.search(target, first=first, position=position)

    async def resend(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        """Make a message whose first create may have arrived."""
        return await self._egress.resend(target, page, nonce=nonce, first=first)

    async def edit(self, target: Target, message_id: str, page: Page, *, first: bool) -> Receipt:
        """Make a message look like `page`."""
        return await self._egress.edit(target, message_id, page, first=first)

    async def unbutton(self, target: Target, message_id: str, *, first: bool) -> None:
        """Take a message's buttons away; see `bot.platforms.base.SupportsUnbuttoning`."""
        await self._egress.unbutton(target, message_id, first=first)

    async def delete(self, target: Target, message_id: str) -> None:
        """Delete a message of the bot."""
        await self._egress.delete(target, message_id)

    async def fetch(self, attachment: Attachment, chat: ChatAddress, message_id: str | None, *, most_bytes: int) -> bytes:
        """Return a file's content."""
        return await self._files.fetch(attachment, chat, message_id, most_bytes=most_bytes)

    def mark_allowances(self, target: Target) -> Sequence[Allowance]:  # noqa: ARG002 - of the seam
        """Name the budgets of a mark: reactions have a bucket of their own."""
        return (REACTIONS, OVERALL)

    async def mark(self, target: Target, message_id: str, *, on: bool) -> None:
        """Set or take away a mark on a person's message."""
        await self._egress.mark(target, message_id, on=on)

    async def pressed(self, route: ReplyRoute | None, note: Page | None = None) -> None:
        """Say a word to who pressed a button; Discord itself was told of the press as soon as it was committed."""
        if note is None:
            return
        try:
            await self._egress.note(route, note)
        except PlatformError as error:
            log.info("a word to who pressed a button was not shown: %s", error)

    async def typing(self, target: Target) -> None:
        """Show that the bot is writing."""
        try:
            await self._egress.typing(target)
        except PlatformError as error:
            log.debug("typing was not shown: %s", error)

    async def aclose(self) -> None:
        """Let go of connections."""
        await self._files.aclose()
        await self._rest.aclose()

    def _catch_up(self, account: int) -> CatchUp | None:
        if self._catching is None:
            return None
        cursors, spend = self._catching
        return CatchUp(account, self._rest, cursors, spend, OVERALL, reach=self._reach, clock=self._clock, now=self._now)

    async def _stay_connected(self, intake: Intake, identifies: Identifies, ready: Callable[[], None]) -> None:
        failures = 0
        while True:
            if (wait := await identifies.wait()) > 0:
                log.warning(
                    "the bot logged in to Discord very often of late; the next time is in %.0f s, or Discord resets the token", wait
                )
                await self._clock.sleep(wait)
            started = self._clock.now()
            try:
                await self._connect(Gateway(intake, identifies, ready, message_content=self._message_content))
            except RefusedError:
                raise
            except TooManyIdentifiesError:
                continue
            except (discord.DiscordException, aiohttp.ClientError, OSError, TimeoutError) as error:
                said = error if isinstance(error, discord.DiscordException) else why(error)
                log.warning("lost Discord, trying again: %s", said)
            except Exception:  # an error of discord.py's own must not end the intake for good
                log.exception("the connection to Discord broke")
            failures = 1 if self._clock.now() - started > STEADY_SECONDS else failures + 1
            await self._clock.sleep(RECONNECT_SECONDS[min(failures, len(RECONNECT_SECONDS)) - 1])

    async def _connect(self, gateway: Gateway) -> None:
        """Hold one connection; discord.py takes it up again by itself after most losses."""
        syncing: asyncio.Task[bool] | None = None
        try:
            await gateway.login(self._token)
            application = str(gateway.application_id)
            syncing = asyncio.create_task(sync(self._rest, self._memo, application, self._base_url, self._menu.commands))
            await gateway.connect()
        except discord.LoginFailure:
            raise RefusedError(Refusal.TOKEN, _BAD_TOKEN) from None
        except discord.PrivilegedIntentsRequired:
            raise RefusedError(
                Refusal.FORBIDDEN,
                "Discord does not let the bot read message contents: switch on Message Content Intent in the Developer Portal "
                "under your application, Bot, or set DISCORD_MESSAGE_CONTENT to false",
            ) from None
        except discord.ConnectionClosed as closed:
            if closed.code in _CLOSE_CODES:
                raise RefusedError(*_CLOSE_CODES[closed.code]) from None
            raise
        finally:
            if syncing is not None:
                syncing.cancel()
                await asyncio.gather(syncing, return_exceptions=True)  # `sync` reports by itself
            await _close(gateway)


async def _close(gateway: Gateway) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await gateway.close()
    except TimeoutError:
        await gateway.http.close()


class _Once:
    """Calls a function the first time only."""

    def __init__(self, function: Callable[[], None]) -> None:
        self._function: Callable[[], None] | None = function

    def __call__(self) -> None:
        function, self._function = self._function, None
        if function is not None:
            function()
