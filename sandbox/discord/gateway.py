"""The gateway: sessions that outlive their connections, strict about the order of things.

Documented in the gateway pages: opcodes, close codes, intents, resuming, 120 events a minute, 1000 identifies a day. Text frames only.
Not enforced: `max_concurrency` identifies per five seconds, since tests restart bots at will.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from bot.platforms.budgets import Budget, BudgetKind
from sandbox.discord.places import GUILDS, MESSAGE_CONTENT, Event
from sandbox.discord.world import World
from sandbox.limits import Gate

ACK_SECONDS = 0.02
"""A heartbeat is acknowledged after this time."""
HEARTBEAT_SECONDS = 41.25
PATIENCE_BEATS = 1.5
RESUME_SECONDS = 180.0
"""How long a session lives without a connection. Documented as "a few minutes"; assumed by us."""
KEPT_EVENTS = 5000
CLOSE_SECONDS = 2.0
"""How long a client may take to agree to a close."""
EVENTS_FROM_CLIENT = Budget(BudgetKind.SLIDING, 120, 60.0)
IDENTIFIES = Budget(BudgetKind.SLIDING, 1000, 86_400.0)
INTENTS = (1 << 26) - 1
MEMBERS, PRESENCES = 1 << 1, 1 << 8
FATAL = frozenset({4004, 4007, 4009, 4010, 4011, 4012, 4013, 4014})
"""Close codes after which the session can't be resumed."""
LEAVING = frozenset({1000, 1001})
"""Close codes by which a client gives its session up."""

_log = logging.getLogger(__name__)


class Connection:
    """One socket. What it sends goes through a queue, so that events keep their order."""

    def __init__(self, socket: web.WebSocketResponse, now: Callable[[], float]) -> None:
        self.session: Session | None = None
        self.closing: int | None = None
        self.silent = False
        self.gate = Gate(EVENTS_FROM_CLIENT, now)
        self.ended = asyncio.Event()
        self.socket = socket
        self._queue: asyncio.Queue[str | int] = asyncio.Queue()

    def send(self, op: int, data: Any) -> None:
        """Queue a message that is not an event."""
        self.send_text(json.dumps({"op": op, "d": data, "s": None, "t": None}))

    def send_text(self, text: str) -> None:
        """Queue an event."""
        self._queue.put_nowait(text)

    def close(self, code: int) -> None:
        """Close after what is queued; nothing comes after it."""
        if self.closing is None:
            self.closing = code
            self._queue.put_nowait(code)

    async def write(self) -> None:
        """Send what is queued until the connection is closed."""
        while True:
            item = await self._queue.get()
            if isinstance(item, int):
                await self.socket.close(code=item)
                return
            if self.silent:
                continue
            try:
                await self.socket.send_str(item)
            except ConnectionError:
                return


@dataclass(slots=True)
class Session:
    """What RESUME takes up again."""

    id: str
    intents: int
    connection: Connection | None
    seq: int = 0
    left_at: float = 0.0
    events: deque[tuple[int, str]] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS), repr=False)

    def send(self, name: str, data: dict[str, Any]) -> None:
        """Number an event, keep it and send it if somebody is there."""
        self.seq += 1
        text = json.dumps({"op": 0, "s": self.seq, "t": name, "d": data})
        self.events.append((self.seq, text))
        if self.connection is not None:
            self.connection.send_text(text)

    def since(self, seq: int) -> list[str] | None:
        """Return the events after `seq`; None if some are not kept any more."""
        if seq < self.seq and (not self.events or self.events[0][0] > seq + 1):
            return None
        return [text for number, text in self.events if number > seq]


class Gateway:
    """All sessions of the bot.

    Attributes:
        heartbeat_seconds: What Hello asks for.
        patience_beats: A client silent for so many of them is closed with 4009.
        identifies: How many IDENTIFYs there were.
        token_reset: The day's identifies were used up; Discord resets the token then.
    """

    def __init__(self, world: World, *, token: str, application_id: str, url: Callable[[], str]) -> None:
        self.heartbeat_seconds = HEARTBEAT_SECONDS
        self.patience_beats = PATIENCE_BEATS
        self.identifies = 0
        self.token_reset = False
        self._world = world
        self._token = token
        self._application_id = application_id
        self._url = url
        self._daily = Gate(IDENTIFIES, world.now)
        self._sessions: dict[str, Session] = {}
        self._connections: set[Connection] = set()
        self._live, self._gone = asyncio.Event(), asyncio.Event()
        self._gone.set()

    # ------------------------------------------------------------------------------------------------ from inside

    def publish(self, event: Event) -> None:
        """Give an event to every session that asked for its kind."""
        self._forget_old()
        for session in self._sessions.values():
            if event.intent and not session.intents & event.intent:
                continue
            plain = event.plain is not None and not session.intents & MESSAGE_CONTENT
            session.send(event.name, event.plain if plain and event.plain is not None else event.data)

    async def connected(self, timeout: float) -> None:  # noqa: ASYNC109 - part of the sandbox's agreed interface
        """Wait for a session with a connection.

        Raises:
            TimeoutError: None came in time, in seconds.
        """
        async with asyncio.timeout(timeout):
            await self._live.wait()

    async def disconnected(self, timeout: float) -> None:  # noqa: ASYNC109 - as above
        """Wait until no session has a connection.

        Raises:
            TimeoutError: One still had after so many seconds.
        """
        async with asyncio.timeout(timeout):
            await self._gone.wait()

    @property
    def identifies_left(self) -> tuple[int, float]:
        """Identifies left today, and seconds until the first used one counts no more."""
        verdict = self._daily.peek()
        return verdict.remaining, verdict.reset_after

    async def close(self, code: int) -> None:
        """Close every connection; sessions stay unless the code ends them."""
        connections = list(self._connections)
        for connection in connections:
            self._leave(connection, drop=code in FATAL)
            connection.close(code)
        with contextlib.suppress(TimeoutError):  # a client that reads no more can't be waited for; its socket goes when the server stops
            async with asyncio.timeout(CLOSE_SECONDS):
                await asyncio.gather(*(connection.ended.wait() for connection in connections))

    def invalidate(self, *, resumable: bool) -> None:
        """Tell all clients that their session is invalid (op 9)."""
        for connection in self._connections:
            if connection.session is not None:
                connection.send(9, resumable)
                self._leave(connection, drop=not resumable)
        if not resumable:
            self._sessions.clear()

    def expire(self) -> None:
        """Forget all sessions, as if their connections had been gone for too long: a RESUME is answered with an invalid session."""
        for connection in self._connections:
            self._leave(connection, drop=True)
        self._sessions.clear()

    def reconnect(self) -> None:
        """Ask all clients to come back over a new connection (op 7)."""
        for connection in self._connections:
            connection.send(7, None)

    def silence(self) -> None:
        """Send nothing more over the connections there are, not even a heartbeat's answer: they look alive and are not."""
        for connection in self._connections:
            connection.silent = True

    def send_frame(self, text: str) -> None:
        """Send a frame as it is, outside every session's numbering."""
        for connection in self._connections:
            connection.send_text(text)

    def kept(self) -> list[tuple[str, dict[str, Any]]]:
        """Return name and data of the events that sessions could be given again, oldest first."""
        events = [json.loads(text) for session in self._sessions.values() for _, text in session.events]
        return [(event["t"], event["d"]) for event in events]

    def repeat(self, name: str) -> int:
        """Send the kept events of a kind once more, with their old numbers, as after a RESUME; return how many."""
        count = 0
        for session in self._sessions.values():
            for _, text in session.events if session.connection is not None else ():
                if json.loads(text)["t"] == name and session.connection is not None:
                    session.connection.send_text(text)
                    count += 1
        return count

    def quota(self) -> dict[str, Any]:
        """Return `session_start_limit` of /gateway/bot."""
        left, reset = self.identifies_left
        return {"total": IDENTIFIES.calls, "remaining": left, "reset_after": int(reset * 1000), "max_concurrency": 1}

    # ------------------------------------------------------------------------------------------------ one connection

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve one websocket."""
        socket = web.WebSocketResponse(timeout=1.0, max_msg_size=1 << 20)
        await socket.prepare(request)
        connection = Connection(socket, self._world.now)
        self._connections.add(connection)
        connection.send(10, {"heartbeat_interval": int(self.heartbeat_seconds * 1000), "_trace": []})
        if request.query.get("v") != "10":
            connection.close(4012)
        try:
            async with asyncio.TaskGroup() as group:
                writer = group.create_task(connection.write())
                await self._read(connection)
                if connection.closing is None:
                    writer.cancel()
        finally:
            self._connections.discard(connection)
            self._leave(connection, drop=connection.closing is None and socket.close_code in LEAVING)
            connection.ended.set()
        return socket

    async def _read(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        patience = self.heartbeat_seconds * self.patience_beats
        last_beat = loop.time()
        while True:
            try:
                async with asyncio.timeout_at(last_beat + patience):
                    message = await connection.socket.receive()
            except TimeoutError:
                self._reject(connection, 4009)
                return
            if message.type is not WSMsgType.TEXT:
                return
            code = self._take(connection, message.data)
            if code is None:
                last_beat = loop.time()
            elif code:
                self._reject(connection, code)

    def _take(self, connection: Connection, text: str) -> int | None:
        """Act on one message: None for a heartbeat, 0 for anything else in order, or the code to close with."""
        if not connection.gate.take().allowed:
            return 4008
        try:
            message = json.loads(text)
            op, data = message["op"], message.get("d")
        except (ValueError, TypeError, KeyError, AttributeError):
            return 4002
        if op != 1:
            return self._act(connection, op, data if isinstance(data, dict) else {})
        # On loopback the answer would be there before discord.py has noted when it asked, and it would warn of a slow connection.
        asyncio.get_running_loop().call_later(ACK_SECONDS, connection.send, 11, None)
        return None

    def _act(self, connection: Connection, op: Any, data: dict[str, Any]) -> int:
        if op in {2, 6}:
            return self._identify(connection, data) if op == 2 else self._resume(connection, data)
        if connection.session is None:
            return 4003
        if op == 8:
            self._tell_members(connection.session, data)
        return 0 if op in {3, 4, 8} else 4001

    def _identify(self, connection: Connection, data: dict[str, Any]) -> int:
        if connection.session is not None:
            return 4005
        if self.token_reset or data.get("token") != self._token:
            return 4004
        intents = data.get("intents")
        if not isinstance(intents, int) or intents & ~INTENTS:
            return 4013
        granted = MESSAGE_CONTENT if self._world.message_content else 0
        if intents & (MEMBERS | PRESENCES | MESSAGE_CONTENT) & ~granted:
            return 4014
        if not self._daily.take().allowed:
            self.token_reset = True
            return 4004
        self.identifies += 1
        session = Session(secrets.token_hex(16), intents, connection)
        self._sessions[session.id] = session
        connection.session = session
        self._greet(session, data.get("shard") or [0, 1])
        self._mark()
        return 0

    def _greet(self, session: Session, shard: list[int]) -> None:
        world = self._world
        application = {"id": self._application_id, "flags": 1 << 18 if world.message_content else 0}
        guilds = [{"id": guild_id, "unavailable": True} for guild_id in world.guilds]
        ready = {
            "v": 10,
            "user": world.users[world.bot_id],
            "guilds": guilds,
            "session_id": session.id,
            "shard": shard,
            "application": application,
        }
        session.send("READY", {**ready, "resume_gateway_url": self._url(), "private_channels": [], "session_type": "normal"})
        if session.intents & GUILDS:
            for guild_id in world.guilds:
                session.send("GUILD_CREATE", world.guild_create(guild_id))

    def _resume(self, connection: Connection, data: dict[str, Any]) -> int:
        if connection.session is not None:
            return 4005
        if self.token_reset or data.get("token") != self._token:
            return 4004
        self._forget_old()
        session, seq = self._sessions.get(str(data.get("session_id"))), data.get("seq")
        missed = session.since(seq) if session is not None and isinstance(seq, int) else None
        if session is None or missed is None:
            connection.send(9, False)
            return 0
        if isinstance(seq, int) and seq > session.seq:
            return 4007
        if session.connection is not None:
            self._reject(session.connection, 4000)
        session.connection = connection
        connection.session = session
        for text in missed:
            connection.send_text(text)
        session.send("RESUMED", {"_trace": []})
        self._mark()
        return 0

    def _tell_members(self, session: Session, data: dict[str, Any]) -> None:
        """Answer op 8 for named people; the whole list would need the members intent, which is never granted."""
        wanted, guild_id = data.get("user_ids"), str(data.get("guild_id"))
        if wanted is None or guild_id not in self._world.members:
            return
        ids = [str(user) for user in (wanted if isinstance(wanted, list) else [wanted])]
        known = self._world.members[guild_id]
        found = [self._world.member(guild_id, user) for user in ids if user in known]
        chunk = {"guild_id": guild_id, "members": found, "chunk_index": 0, "chunk_count": 1, "nonce": data.get("nonce")}
        session.send("GUILD_MEMBERS_CHUNK", {**chunk, "not_found": [user for user in ids if user not in known]})

    def _reject(self, connection: Connection, code: int) -> None:
        _log.debug("closing a gateway connection with %s", code)
        self._leave(connection, drop=code in FATAL)
        connection.close(code)

    def _leave(self, connection: Connection, *, drop: bool) -> None:
        """Part a session from its connection; `drop` ends it."""
        session, connection.session = connection.session, None
        if session is not None and session.connection is connection:
            session.connection = None
            session.left_at = self._world.now()
            if drop:
                self._sessions.pop(session.id, None)
        self._mark()

    def _mark(self) -> None:
        """Let those who wait know whether somebody is connected."""
        live = any(session.connection is not None for session in self._sessions.values())
        for event, state in ((self._live, live), (self._gone, not live)):
            if state:
                event.set()
            else:
                event.clear()

    def _forget_old(self) -> None:
        now = self._world.now()
        old = [session.id for session in self._sessions.values() if session.connection is None and now - session.left_at > RESUME_SECONDS]
        for session_id in old:
            del self._sessions[session_id]
