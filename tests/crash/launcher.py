"""Starts the bridge like `python -m bot.cli`, but lets it be killed at named points: `python -m tests.crash.launcher [--at POINT:N] run`.

A point is a place before or after a function of the bridge, which is wrapped here: the bridge itself knows nothing of it. Points are armed
by `--at` from the start on, or by a line ``POINT N`` on standard input, which is answered with ``armed``; the N-th passing from then on
kills the process with SIGKILL, as `kill -9` does. `--nonce-seconds` shortens the time for which Discord's nonces are trusted.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

from adapters.base import TextDelta
from adapters.router import Candidate, ChainEvent, Router
from bot import cli
from bot.bridge import Bridge
from bot.dispatcher import Dispatcher
from bot.inbox import Inbox
from bot.outbox import Outbox
from bot.platforms.discord import DiscordPlatform
from bot.platforms.discord.egress import Egress
from bot.platforms.discord.intake import Intake
from bot.platforms.telegram import polling
from bot.platforms.telegram.api import Api
from storage import connection, writer
from storage.base import ChatAddress, DeliveryRow, Owner, TurnState
from storage.records import Records
from storage.sqlite import SqliteStore
from storage.tx import Row

ACK_SECONDS = 0.05
"""A request to getUpdates has arrived after this time; its answer may take half a minute."""


class Trigger:
    """Kills the process when the armed point is passed for the N-th time."""

    def __init__(self) -> None:
        self._point, self._left = "", 0

    def arm(self, point: str, passings: int) -> None:
        if point not in {**POINTS, **WINDOWS}:
            raise SystemExit(f"there is no point {point!r}; there are: {', '.join([*POINTS, *WINDOWS])}")
        self._point, self._left = point, passings

    def is_armed(self, point: str) -> bool:
        return point == self._point

    def pass_by(self, point: str) -> None:
        if point != self._point:
            return
        self._left -= 1
        if self._left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)


TRIGGER = Trigger()
Function = Callable[..., Awaitable[Any]]


def _before(owner: Any, name: str, point: str, *, when: Callable[..., bool] = lambda *_, **__: True) -> None:
    _wrap(owner, name, before=point, when=when)


def _after(owner: Any, name: str, point: str) -> None:
    _wrap(owner, name, after=point)


def _wrap(owner: Any, name: str, *, before: str = "", after: str = "", when: Callable[..., bool] = lambda *_, **__: True) -> None:
    original: Function = getattr(owner, name)

    @functools.wraps(original)
    async def wrapped(*args: Any, **named: Any) -> Any:
        if before and when(*args, **named):
            TRIGGER.pass_by(before)
        result = await original(*args, **named)
        if after:
            TRIGGER.pass_by(after)
        return result

    setattr(owner, name, wrapped)


def _acknowledged() -> None:
    """Telegram is told by the next request for updates, Discord by the callback of an interaction; its messages are never acknowledged."""
    fetch = polling._fetch
    told: list[int | None] = [None]

    async def wrapped(api: Api, offset: int | None, limit: int) -> list[Any]:
        if offset is None or offset == told[0] or not TRIGGER.is_armed("after_ack"):
            told[0] = offset
            return await fetch(api, offset, limit)
        told[0] = offset
        asking = asyncio.ensure_future(fetch(api, offset, limit))
        await asyncio.wait({asking}, timeout=ACK_SECONDS)
        TRIGGER.pass_by("after_ack")
        return await asking

    polling._fetch = wrapped
    _after(Intake, "_acknowledge", "after_ack")


def _streamed() -> None:
    original = Router.chain

    async def chain(self: Router, candidates: Sequence[Candidate]) -> AsyncGenerator[ChainEvent, None]:
        async with aclosing(original(self, candidates)) as events:
            spoken = False
            async for event in events:
                if isinstance(event, TextDelta):
                    if not spoken:
                        TRIGGER.pass_by("before_first_token")
                    spoken = True
                    TRIGGER.pass_by("mid_stream")
                yield event

    Router.chain = chain  # type: ignore[method-assign]


def _committed() -> None:
    original = connection.rows

    def rows(raw: sqlite3.Connection, sql: str, args: Sequence[object] = ()) -> Sequence[Row]:
        if sql == "COMMIT":
            TRIGGER.pass_by("before_commit")
        return original(raw, sql, args)

    writer.rows = rows  # type: ignore[attr-defined]


POINTS: dict[str, Callable[[], None]] = {
    "after_receive": lambda: _before(Inbox, "accept", "after_receive"),
    "before_commit": _committed,
    "after_commit": lambda: _after(Records, "accept", "after_commit"),
    "after_ack": _acknowledged,
    "before_first_token": _streamed,
    "mid_stream": lambda: None,  # wrapped by the point above
    "before_create": lambda: _after(Records, "begin_delivery", "before_create"),
    "before_record": lambda: _before(Records, "delivered", "before_record"),
    "after_record": lambda: _after(Records, "delivered", "after_record"),
    "before_final_edit": lambda: _after(Records, "answered", "before_final_edit"),
    "before_close": lambda: _before(Records, "close", "before_close", when=lambda _, __, state, **___: state is TurnState.DONE),
    "shutdown_begun": lambda: _before(Bridge, "_end_in_order", "shutdown_begun"),
    "shutdown_settling": lambda: _before(Dispatcher, "settle", "shutdown_settling"),
    "shutdown_settled": lambda: _after(Dispatcher, "settle", "shutdown_settled"),
    "shutdown_outbox": lambda: _before(Outbox, "aclose", "shutdown_outbox"),
    "shutdown_store": lambda: _before(SqliteStore, "aclose", "shutdown_store"),
}
"""Every point that any answer passes, with what puts it into the bridge."""
WINDOWS: dict[str, Callable[[], None]] = {
    "after_follow_up": lambda: _after(Egress, "_follow_up", "after_follow_up"),
    "before_drop": lambda: _before(Records, "drop_delivery", "before_drop"),
}
"""Those that are passed only where something has gone wrong before."""


def _ignore_message_ids() -> None:
    """Read the pages of a reply back as if no message id had ever been stored, and take them for new ones."""
    begin = Records.begin_delivery

    async def none(self: Records, owner: Owner) -> Sequence[DeliveryRow]:
        return ()

    async def unknown(self: Records, owner: Owner, chat: ChatAddress, page: int, nonce: str) -> DeliveryRow:
        return replace(await begin(self, owner, chat, page, nonce), message_id=None)

    Records.deliveries = none  # type: ignore[method-assign]
    Records.begin_delivery = unknown  # type: ignore[method-assign]


MUTATIONS: dict[str, Callable[[], None]] = {"ignore-message-ids": _ignore_message_ids}
"""Faults of the bridge that the crash test has to find."""


def _obey() -> None:
    for line in sys.stdin:
        point, passings = line.split()
        TRIGGER.arm(point, int(passings))
        print("armed", flush=True)


def main() -> int:
    """Put the points in, then run the bridge's own command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.launcher")
    parser.add_argument("--at", help="point and passing that kill, such as mid_stream:3")
    parser.add_argument("--mutation", choices=sorted(MUTATIONS))
    parser.add_argument("--nonce-seconds", type=float, help="how long Discord's nonces are trusted")
    arguments, rest = parser.parse_known_args()
    for put_in in [*POINTS.values(), *WINDOWS.values()]:
        put_in()
    if arguments.nonce_seconds is not None:
        DiscordPlatform.limits = replace(DiscordPlatform.limits, nonce_seconds=arguments.nonce_seconds)
    if arguments.mutation:
        MUTATIONS[arguments.mutation]()
    if arguments.at:
        point, _, passings = arguments.at.partition(":")
        TRIGGER.arm(point, int(passings or 1))
    threading.Thread(target=_obey, daemon=True).start()
    return cli.main(rest)


if __name__ == "__main__":
    sys.exit(main())
