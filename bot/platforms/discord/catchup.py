"""What was said while no connection stood is read back from the channels' histories, each before what is said there now.

Discord confirms nothing, and a session that was resumed brings again only what it missed itself. So after every new session each channel
that the bot has talked in is read from its cursor on. A cursor moves only without a gap: it stands before the first message that is not
committed, and stands still until the channel has been read back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

import discord

from bot.clock import Clock
from bot.platforms.base import Allowance, Cursors, FloodError, PlatformError, Refusal, RefusedError, Spend
from bot.platforms.discord.history import History, SetAside, first_id_at
from bot.platforms.discord.rest import Rest
from storage.base import StoreError

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 10.0
"""So long what is said now waits for its channel to be read back; then it goes ahead, and what was missed comes after it."""
GUILDS_SECONDS, GUILDS_LOOK_SECONDS = 5.0, 0.1
"""So long the first read waits for the servers, which tell whether there is anything new in their channels; and how often it looks."""
WALK_SECONDS: Final = 20.0
"""After so long the next channel has its turn; one that can't be read yet is tried on beside it."""
RETRY_SECONDS, RETRY_MOST_SECONDS = 1.0, 60.0
"""First and longest wait before a channel is tried again, doubled in between."""
NOTE_SECONDS: Final = 5.0
"""So long moved cursors are collected before they are stored. What is read twice after a crash is recognised by its key."""

Take: TypeAlias = Callable[[discord.Message], Awaitable[bool]]
"""Commit a message if it is meant for the bot; False if it could not be committed."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far back a channel is read: messages of the last `hours`, the newest `messages` of them. With either 0 nothing is."""

    hours: float
    messages: int

    @property
    def nothing(self) -> bool:
        """Nothing is read back."""
        return self.hours <= 0 or self.messages <= 0


class Track:
    """One channel in one session: which messages came, which of them are not committed yet.

    Attributes:
        whole: Nothing is missing before what came; only then the cursor moves.
        over: It will not be read back any more in this session.
        patient_until: On the clock; until then what is said now waits.
    """

    def __init__(self, moved: Callable[[int], None]) -> None:
        self.whole = False
        self.over = False
        self.patient_until: float | None = None
        self._moved = moved
        self._highest = 0
        self._open: set[int] = set()

    def arrived(self, message: int) -> None:
        """Note a message that is to be committed."""
        self._open.add(message)
        self._highest = max(self._highest, message)

    def committed(self, message: int) -> None:
        """Note that it is."""
        self._open.discard(message)
        self._tell()

    def passed(self, message: int) -> None:
        """Note a message that is not meant for the bot."""
        self._highest = max(self._highest, message)
        self._tell()

    def read_up_to(self, message: int) -> None:
        """Note that nothing is missing up to a message, nor between it and what came in this session."""
        self.whole = True
        self.passed(message)

    def _tell(self) -> None:
        if self.whole:
            self._moved(min(self._open) - 1 if self._open else self._highest)


class CatchUp:
    """Reads back, and keeps the cursors.

    Args:
        account: The bot's id.
        rest: Makes the calls.
        cursors: Stores how far each channel has been read.
        spend: Counts the calls.
        overall: The budget of all calls.
        reach: How far back it goes.
        clock: For waits.
        now: Epoch seconds; ages are told by it.
    """

    def __init__(
        self,
        account: int,
        rest: Rest,
        cursors: Cursors,
        spend: Spend,
        overall: Allowance,
        *,
        reach: Reach,
        clock: Clock,
        now: Callable[[], float],
    ) -> None:
        self._account = str(account)
        self._rest = rest
        self._cursors = cursors
        self._spend = spend
        self._overall = overall
        self._reach = reach
        self._clock = clock
        self._now = now
        self._session: _Session | None = None
        self._positions: dict[str, str | None] = {}
        self._noting: asyncio.Task[None] | None = None
        self._stored: dict[int, int] = {}

    def begin(self, client: discord.Client, take: Take, set_aside: SetAside) -> None:
        """Read back: a new session began. Returns at once; from now on `before` waits for channels that are not read back yet."""
        self._end_session()
        history = History(client, self._rest, self._spend, self._overall, set_aside)
        self._session = _Session(history, client, take, self._load, self._moved, reach=self._reach, clock=self._clock, now=self._now)

    def track(self, channel: int) -> Track | None:
        """Return the track of a channel, for a message that is to be committed; None while no session stands."""
        return None if self._session is None else self._session.track(channel)

    def passed(self, channel: int, message: int) -> None:
        """Note a message that is not meant for the bot. It counts only where the bot is known to talk."""
        track = None if self._session is None else self._session.tracks.get(channel)
        if track is not None:
            track.passed(message)

    async def before(self, channel: int, seconds: float = PATIENCE_SECONDS) -> None:
        """Return when a channel has been read back, at the latest after `seconds`; where nothing is missing, without a turn of the loop."""
        session = self._session
        while session is not None:
            await session.read_back(channel, seconds)
            if session is self._session:
                return
            session = self._session

    def stop(self) -> None:
        """Read back no more. Nobody waits from now on."""
        self._end_session()

    async def aclose(self) -> None:
        """Store where the cursors stand."""
        self.stop()
        if self._noting is not None:
            self._noting.cancel()
            await asyncio.gather(self._noting, return_exceptions=True)
        await self._note()

    def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.end()

    async def _load(self) -> Mapping[int, int | None]:
        """Return how far each known channel has been read; waits for a store that is away."""
        wait = RETRY_SECONDS
        while True:
            await self._note()
            try:
                read = await self._cursors.read(self._account)
            except StoreError as error:
                log.warning("what was missed can't be looked for yet: %s", error)
                await self._clock.sleep(wait)
                wait = min(wait * 2, RETRY_MOST_SECONDS)
            else:
                known = {int(chat): _number(position) for chat, position in read.items() if chat.isdecimal()}
                self._stored = {channel: position for channel, position in known.items() if position is not None}
                return known

    def _moved(self, channel: int, position: int | None) -> None:
        """A cursor has moved, to None where the channel is gone: store it soon, with others."""
        if position is not None:
            if position <= self._stored.get(channel, 0):
                return
            self._stored[channel] = position
        self._positions[str(channel)] = None if position is None else str(position)
        if self._noting is None or self._noting.done():
            self._noting = asyncio.get_running_loop().create_task(self._note_soon())

    async def _note_soon(self) -> None:
        while self._positions:
            await self._clock.sleep(NOTE_SECONDS)
            await self._note()

    async def _note(self) -> None:
        moved, self._positions = self._positions, {}
        if not moved:
            return
        try:
            await self._cursors.write(self._account, moved)
        except BaseException as error:
            self._positions = {**moved, **self._positions}
            if not isinstance(error, StoreError):
                raise
            log.warning("how far channels were read is not stored yet: %s", error)


class _Session:
    """One session of the gateway: every known channel is read back once."""

    def __init__(
        self,
        history: History,
        client: discord.Client,
        take: Take,
        load: Callable[[], Awaitable[Mapping[int, int | None]]],
        moved: Callable[[int, int | None], None],
        *,
        reach: Reach,
        clock: Clock,
        now: Callable[[], float],
    ) -> None:
        self.tracks: dict[int, Track] = {}
        self._history = history
        self._client = client
        self._take = take
        self._moved = moved
        self._reach = reach
        self._clock = clock
        self._now = now
        self._reading: dict[int, asyncio.Task[None]] = {}
        self._known = asyncio.ensure_future(load())
        self._walking = asyncio.get_running_loop().create_task(self._walk())
        self._walking.add_done_callback(_report)

    def end(self) -> None:
        """Read no more; who waits goes on."""
        for task in (self._known, self._walking, *self._reading.values()):
            task.cancel()

    def track(self, channel: int) -> Track:
        """Return the track of a channel, making it if this is the first that is heard of it."""
        track = self.tracks.get(channel)
        if track is None:
            track = self.tracks[channel] = Track(lambda position: self._moved(channel, position))
        return track

    async def read_back(self, channel: int, seconds: float) -> None:
        """Return when a channel is read back, at the latest after `seconds`, or once it has kept others waiting for so long."""
        track = self.track(channel)
        if not track.whole and self._is_new(channel) and channel not in self._reading:
            track.read_up_to(0)
        if track.whole or track.over:
            return
        task = self._start(channel)
        if track.patient_until is None:
            track.patient_until = self._clock.now() + PATIENCE_SECONDS
        seconds = min(seconds, track.patient_until - self._clock.now())
        if seconds > 0:
            await self._within(seconds, task)

    def _is_new(self, channel: int) -> bool:
        """Tell whether the bot was never spoken to in a channel, as far as that is known by now."""
        known = self._known
        return known.done() and not known.cancelled() and known.exception() is None and channel not in known.result()

    def _start(self, channel: int) -> asyncio.Task[None]:
        task = self._reading.get(channel)
        if task is None:
            task = self._reading[channel] = asyncio.get_running_loop().create_task(self._persist(channel))
            task.add_done_callback(lambda _: self._reading.pop(channel, None))
        return task

    async def _within(self, seconds: float, task: asyncio.Task[None]) -> None:
        timer = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()

    async def _walk(self) -> None:
        """Read back every known channel, those that were used last first."""
        known = await self._known
        await self._servers()
        for channel, _ in sorted(known.items(), key=lambda item: (item[1] is None, item[1] or 0), reverse=True):
            track = self.track(channel)
            if not track.whole and not track.over:
                await self._within(WALK_SECONDS, self._start(channel))

    async def _servers(self) -> None:
        """Wait until the servers are there, for a bounded time: some may be down."""
        end = self._clock.now() + GUILDS_SECONDS
        while self._clock.now() < end and any(guild.unavailable for guild in self._client.guilds):
            await self._clock.sleep(GUILDS_LOOK_SECONDS)

    async def _persist(self, channel: int) -> None:
        """Read a channel back, again and again until it is done or of no use."""
        track = self.track(channel)
        wait = RETRY_SECONDS
        while not track.whole and not track.over:
            try:
                await self._read(channel, track)
            except RefusedError as refused:
                track.over = True
                self._refused(channel, refused)
            except (PlatformError, StoreError) as error:
                log.info("channel %d is not read back yet: %s", channel, error)
                await self._clock.sleep(error.retry_after if isinstance(error, FloodError) else wait)
                wait = min(wait * 2, RETRY_MOST_SECONDS)
            except Exception:  # a fault of ours with one channel must not keep its people waiting, nor the other channels
                track.over = True
                log.exception("channel %d can't be read back", channel)

    async def _read(self, channel: int, track: Track) -> None:
        known = await asyncio.shield(self._known)
        if channel not in known:  # the bot was never spoken to there
            track.read_up_to(0)
            return
        position = known[channel]
        since = max(position or 0, first_id_at(self._now() - self._reach.hours * 3600))
        if self._reach.nothing:
            track.read_up_to(position or 0)
            return
        place = await self._history.place(channel)
        if place.newest is not None and place.newest <= since:
            track.read_up_to(position or place.newest)
            return
        stretch = await self._history.newest(place, after=since, most=self._reach.messages)
        if stretch.cut:
            log.warning("in channel %d more was said than DISCORD_CATCH_UP_MESSAGES: what is older is left out", channel)
        if not stretch.end and place.newest is not None:
            log.info(
                "nothing newer is there to read in channel %d: its newest message was deleted or one person's alone, or the bot lacks the "
                "permission Read Message History",
                channel,
            )
        for message in stretch.messages:
            track.arrived(message.id)
            if await self._take(message):
                track.committed(message.id)
        track.read_up_to(max(stretch.end, position or 0))

    def _refused(self, channel: int, refused: RefusedError) -> None:
        gone = refused.reason is Refusal.GONE
        log.info("channel %d is %s: %s", channel, "gone and is not read back any more" if gone else "left out", refused)
        if gone:
            self._moved(channel, None)


def _report(walk: asyncio.Task[None]) -> None:
    if not walk.cancelled() and (error := walk.exception()) is not None:
        log.error("what was missed is read back only where somebody writes: %s", type(error).__name__, exc_info=error)


def _number(position: str | None) -> int | None:
    return int(position) if position is not None and position.isdecimal() else None
