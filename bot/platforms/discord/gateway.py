"""The gateway connection: discord.py's client, cut down to what the bot needs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any, Final

import discord
import yarl
from discord.gateway import DiscordWebSocket
from discord.http import Route

from bot.platforms.discord.identifies import Identifies, TooManyIdentifiesError
from bot.platforms.discord.intake import Intake
from bot.platforms.discord.odd import CALLED, CREATED, DELETED, EDITED

log = logging.getLogger(__name__)

SILENCE_SECONDS: Final = 60.0
"""A connection on which nothing came for so long is dead: a heartbeat is answered at least every 41.25 s. Then the session is resumed."""
_UNGUARDED: Final = frozenset({"READY", "RESUMED"})
"""Without these nothing works; their failure has to end the connection."""
ID_DIGITS: Final = 20
"""An id is a number of 64 bits. Documented: reference, snowflakes."""
_ECHOED: Final = frozenset({CREATED, EDITED})
"""What a bot says comes as these, too. It is not made into discord.py's objects: the message that it answers would be one more."""

_RAW: ContextVar[Any] = ContextVar("payload", default=None)
"""The event that is being handled, as it came: discord.py's tasks inherit it, its objects don't keep it."""

for _name in ("discord.gateway", "discord.http", "discord.webhook.async_"):
    # At DEBUG these write whole payloads: what people said, and interaction tokens. Who wants them quieter still is left alone.
    logging.getLogger(_name).setLevel(max(logging.INFO, logging.getLogger(_name).getEffectiveLevel()))


def point_at(api_base_url: str | None, gateway_url: str | None) -> None:
    """Set where discord.py dials. These are class attributes of its own, so one process has one Discord."""
    if api_base_url is not None:
        Route.BASE = api_base_url.rstrip("/")
    if gateway_url is not None:
        DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(gateway_url)


class Gateway(discord.Client):
    """A client that hands every event to an `Intake` and keeps next to nothing itself."""

    def __init__(self, intake: Intake, identifies: Identifies, ready: Callable[[], None], *, message_content: bool) -> None:
        intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=message_content)
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # nobody calls this bot
        super().__init__(
            intents=intents,
            allowed_mentions=discord.AllowedMentions.none(),
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_messages=None,
            # It holds back `on_ready` only until guilds are cached; events arrive before, and `on_connect` is what says so.
            guild_ready_timeout=0.0,
            heartbeat_timeout=SILENCE_SECONDS,
        )
        self._identifies = identifies
        self._intake = intake
        self._tell_ready = ready
        self._guard()

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:
        """discord.py is about to ask for a new session."""
        await super().before_identify_hook(shard_id, initial=initial)
        await self._identifies.take()

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        """Hand out an event; end the whole connection where discord.py would go on and ask for more sessions than are granted.

        After an invalid session it asks for a new one every 5 s, for ever. This is the one moment in between when no socket is open, which
        it would leave behind together with a thread.

        Raises:
            TooManyIdentifiesError: A new session has to wait.
        """
        super().dispatch(event, *args, **kwargs)
        sessionless = self.ws is None or self.ws.session_id is None
        if event == "disconnect" and sessionless and not self._identifies.granted:
            raise TooManyIdentifiesError("too many new sessions")

    async def on_connect(self) -> None:
        """The session is there: discord.py calls this at READY, which lists the servers."""
        self._intake.connected(self)  # before anything is awaited: what comes next is to wait for what was missed
        self._tell_ready()

    async def on_message(self, message: discord.Message) -> None:
        """A message was written."""
        await self._safely(CREATED, self._intake.message(message))

    async def on_raw_message_edit(self, payload: discord.RawMessageUpdateEvent) -> None:
        """A message was edited, or changed in another way: unfolded links carry no time of edit, or the former one."""
        if payload.message.edited_at is not None:
            await self._safely(EDITED, self._intake.message(payload.message, edited=True))

    async def on_raw_message_delete(self, payload: discord.RawMessageDeleteEvent) -> None:
        """A message was deleted."""
        await self._safely(DELETED, self._intake.deleted(payload.message_id))

    async def on_interaction(self, interaction: discord.Interaction) -> None:
        """A command was called, a button pressed, or an option is being typed."""
        await self._safely(CALLED, self._intake.interaction(interaction))

    async def _safely(self, kind: str, taking: Coroutine[Any, Any, None]) -> None:
        """Take an event; one that we can't read is set aside. discord.py can build objects that break who touches them."""
        try:
            await taking
        except Exception as error:  # noqa: BLE001 - as for `_guarded`
            self._intake.set_aside(kind, _RAW.get(), error)

    def _guard(self) -> None:
        """Let one event that discord.py can't read cost that event only: by itself it would end the whole connection."""
        parsers = self._connection.parsers
        for name, parse in list(parsers.items()):
            if name not in _UNGUARDED:
                parsers[name] = _guarded(name, parse, self._intake)


def _guarded(name: str, parse: Callable[[Any], None], intake: Intake) -> Callable[[Any], None]:
    def guarded(data: Any) -> None:
        if name in _ECHOED and _is_of_a_bot(data):
            if name == CREATED:
                _pass(data, intake)
            return
        _RAW.set(data)
        try:
            parse(data)
        except Exception as error:  # noqa: BLE001 - whatever a malformed payload makes discord.py stumble over
            intake.set_aside(name, data, error)

    return guarded


def _pass(message: Any, intake: Intake) -> None:
    """Tell of a message that is nobody's question, behind those that came before it, which discord.py hands out in tasks."""
    channel, number = message.get("channel_id"), message.get("id")
    if _is_id(channel) and _is_id(number):
        asyncio.get_running_loop().call_soon(intake.passed, int(channel), int(number))


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) <= ID_DIGITS


def _is_of_a_bot(message: Any) -> bool:
    """Whether a message is a bot's. This one's answers and their edits all come back, and nobody's messages but people's matter."""
    author = message.get("author") if isinstance(message, dict) else None
    return isinstance(author, dict) and author.get("bot") is True
