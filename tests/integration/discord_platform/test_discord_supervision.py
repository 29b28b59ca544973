"""What can happen to a gateway connection: real discord.py, real sockets."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from discord.gateway import KeepAliveHandler

from bot.platforms.base import Refusal, RefusedError
from bot.platforms.discord import DiscordPlatform, gateway
from sandbox.discord import DiscordSandbox
from sandbox.faults import Fault
from tests.support.discord_platform import make, opened
from tests.support.seam import Cursors, Inbox, Memo

PATIENCE_SECONDS = 60.0
"""discord.py waits 5 s before it asks for a further session."""


def connected(sandbox: DiscordSandbox, inbox: Inbox, memo: Memo | None = None) -> AbstractAsyncContextManager[DiscordPlatform]:
    return opened(sandbox, inbox, memo=memo, cursors=Cursors(sandbox.channel_id))


async def heard(inbox: Inbox, count: int) -> list[str]:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(inbox.taken) < count:  # noqa: ASYNC110 - what is waited for is a list
            await asyncio.sleep(0.01)
    return [incoming.text for incoming in inbox.taken]


async def say(sandbox: DiscordSandbox, text: str) -> None:
    await sandbox.say(sandbox.channel_id, sandbox.user_id, text, mention=True)


async def invalid_but_resumable(sandbox: DiscordSandbox) -> None:
    await sandbox.invalidate(True)


async def invalid(sandbox: DiscordSandbox) -> None:
    await sandbox.invalidate(False)


async def expired(sandbox: DiscordSandbox) -> None:
    sandbox.gateway.expire()
    await sandbox.close_gateway(4000)


def closed(code: int) -> Callable[[DiscordSandbox], Awaitable[None]]:
    return lambda sandbox: sandbox.close_gateway(code)


@pytest.mark.parametrize(
    ("disturb", "sessions"),
    [
        (closed(4000), 1),
        (invalid_but_resumable, 1),
        (lambda sandbox: sandbox.reconnect(), 1),
        (closed(4009), 2),
        (invalid, 2),
        (expired, 2),
        (closed(1000), 1),
    ],
    ids=["4000", "op 9 true", "op 7", "4009", "op 9 false", "expired", "1000"],
)
async def test_a_lost_session_is_resumed_or_replaced_and_nothing_is_missed_or_doubled(sandbox, inbox, disturb, sessions):
    async with connected(sandbox, inbox):
        await say(sandbox, "before")
        await heard(inbox, 1)
        if sessions == 2:
            await disturb(sandbox)
            await say(sandbox, "in the gap")  # no session is there to bring it again
        else:
            await say(sandbox, "in the gap")
            await disturb(sandbox)
        await heard(inbox, 2)
        await sandbox.connected(PATIENCE_SECONDS)
        await say(sandbox, "after")
        assert await heard(inbox, 3) == ["before", "in the gap", "after"]
    assert sandbox.gateway.identifies == sessions


async def test_a_connection_on_which_nothing_comes_any_more_is_left_and_its_session_resumed(sandbox, inbox, monkeypatch):
    monkeypatch.setattr(gateway, "SILENCE_SECONDS", 2.0)
    sandbox.gateway.heartbeat_seconds = 1.0
    sandbox.gateway.patience_beats = PATIENCE_SECONDS  # a client that a slow machine keeps from its beats is not taken for a lost one
    async with connected(sandbox, inbox):
        await say(sandbox, "before")
        await heard(inbox, 1)
        await sandbox.silence()
        await say(sandbox, "unheard")
        assert await heard(inbox, 2) == ["before", "unheard"]
    assert sandbox.gateway.identifies == 1


async def test_a_gateway_that_is_away_is_dialled_again_and_again(sandbox, inbox):
    refusal = sandbox.faults.add(Fault(method="GET", path="/gateway*", status=503, body="down", times=2))
    async with asyncio.timeout(PATIENCE_SECONDS):
        task = asyncio.create_task(_hear_one(sandbox, inbox))
        await task
    assert refusal.times == 0


async def _hear_one(sandbox: DiscordSandbox, inbox: Inbox) -> None:
    made = make(sandbox, cursors=Cursors(sandbox.channel_id))
    ready = asyncio.Event()
    await made.open()
    task = asyncio.create_task(made.run(inbox.accept, ready.set))
    try:
        await ready.wait()
        await say(sandbox, "hello")
        await heard(inbox, 1)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.aclose()


async def test_a_bot_that_logged_in_too_often_waits_before_the_next_session(sandbox, inbox, caplog):
    memo = Memo()
    memo.values[f"identifies:{sandbox.bot_id}"] = json.dumps({"left": 0.995, "at": time.time()})
    async with connected(sandbox, inbox, memo):
        await say(sandbox, "hello")
        await heard(inbox, 1)
    assert "very often of late" in caplog.text
    assert sandbox.gateway.identifies == 1


async def test_sessions_that_are_refused_again_and_again_use_up_what_is_granted_and_no_more(sandbox, inbox, monkeypatch, caplog):
    """An invalid session each time: discord.py alone would ask for a new one every 5 s, for ever."""

    async def no_wait(*_: object, **__: object) -> None:
        return

    monkeypatch.setattr("discord.Client.before_identify_hook", no_wait)
    memo = Memo()
    memo.values[f"identifies:{sandbox.bot_id}"] = json.dumps({"left": 4.0, "at": time.time()})
    made = make(sandbox, memo=memo, cursors=Cursors(sandbox.channel_id))
    await made.open()
    task = asyncio.create_task(made.run(inbox.accept, lambda: None))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "very often of late" not in caplog.text:
                await sandbox.invalidate(False)
                await asyncio.sleep(0.01)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await made.aclose()
    assert sandbox.gateway.identifies == 4
    assert "broke" not in caplog.text
    beating = [thread for thread in threading.enumerate() if isinstance(thread, KeepAliveHandler) and not thread._stop_ev.is_set()]
    assert not beating, "a connection was left behind"


@pytest.mark.parametrize("code", [4004, 4013, 4014])
async def test_a_close_that_no_new_session_can_mend_ends_the_run_and_says_what_to_do(sandbox, inbox, code):
    made, ready = make(sandbox, cursors=Cursors(sandbox.channel_id)), asyncio.Event()
    await made.open()
    task = asyncio.create_task(made.run(inbox.accept, ready.set))
    await ready.wait()
    await sandbox.close_gateway(code)
    try:
        with pytest.raises(RefusedError) as caught:
            await asyncio.wait_for(task, PATIENCE_SECONDS)
    finally:
        await made.aclose()
    assert (caught.value.reason is Refusal.TOKEN) == (code == 4004)
    assert sandbox.gateway.identifies == 1
