"""The platform against the Discord stand-in: real discord.py, real sockets."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

from bot.clock import SystemClock
from bot.model import ChatAddress, ChatKind, Incoming, Target
from bot.pacing import Meters
from bot.platforms.discord import DiscordPlatform, Reach, intake, routes
from bot.spending import spending
from sandbox.discord import DiscordSandbox, interactions, server
from tests.support.clock import PATIENCE_SECONDS
from tests.support.seam import Cursors, Inbox, Memo, Menu, plain, running

DAY = Reach(hours=24.0, messages=500)


def make(
    sandbox: DiscordSandbox,
    menu: Menu | None = None,
    memo: Memo | None = None,
    *,
    token: str | None = None,
    message_content: bool = False,
    members: bool = True,
    cursors: Cursors | None = None,
    reach: Reach = DAY,
    now: Callable[[], float] = time.time,
) -> DiscordPlatform:
    """A platform that talks to the stand-in. With cursors it catches up with what was said while it was away, as far as `reach` goes."""
    clock = SystemClock()
    platform = DiscordPlatform(
        token or sandbox.token,
        menu or Menu(),
        memo or Memo(),
        style=plain(2000),
        api_base_url=sandbox.api_url,
        gateway_url=sandbox.gateway_url,
        message_content=message_content,
        members=members,
        reach=reach,
        clock=clock,
        now=now,
    )
    if cursors is not None:
        platform.catch_up_with(cursors, spending(Meters(clock.now), clock))
    return platform


@contextmanager
def patient_discord() -> Iterator[None]:
    """Both sides give an acknowledgement more than its three seconds: a busy machine needs them for other things."""
    with ExitStack() as stack:
        for module in (intake, routes, interactions, server):
            stack.enter_context(patch.object(module, "DISCORD_INTERACTION_ACK_SECONDS", PATIENCE_SECONDS))
        yield


@asynccontextmanager
async def opened(sandbox: DiscordSandbox, inbox: Inbox, **options: Any) -> AsyncIterator[DiscordPlatform]:
    """A platform whose intake runs until the block ends; the options are those of `make`."""
    platform = make(sandbox, **options)
    try:
        await platform.open()
        async with running(platform, inbox):
            yield platform
    finally:
        await platform.aclose()


def answer_to(incoming: Incoming, *, private: bool = False) -> Target:
    """Where the answer to an event goes."""
    return Target(incoming.chat, incoming.chat_kind, reply_to=incoming.message_id, route=incoming.route, private=private)


def channel(sandbox: DiscordSandbox, channel_id: str | None = None) -> Target:
    """A channel of the stand-in's server, by itself the first one."""
    return Target(ChatAddress("discord", sandbox.bot_id, channel_id or sandbox.channel_id), ChatKind.GROUP)
