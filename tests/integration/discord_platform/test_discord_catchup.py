"""What was said while no connection stood: real discord.py, real sockets, the real meters."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web

from bot.model import ChatAddress, ChatKind, EventKind, Page, Target
from bot.platforms.budgets import DISCORD_INTERACTION_ACK_SECONDS
from bot.platforms.discord import Reach, catchup
from sandbox.discord import DiscordSandbox
from sandbox.faults import Fault
from storage.base import StoreError, StoreUnavailableError
from tests.support.clock import PATIENCE_SECONDS, Epoch
from tests.support.discord_platform import opened
from tests.support.seam import Cursors, Inbox, eventually


@dataclass(slots=True)
class Held(Fault):
    """Calls that wait until a test says that it is over."""

    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def before(self, request: web.Request) -> None:
        await self.over.wait()


@pytest.fixture
def cursors(sandbox):
    return Cursors(sandbox.channel_id)


async def said(sandbox: DiscordSandbox, text: str, *, channel: str | None = None, **more: Any) -> str:
    """Let ada speak to the bot; return the message's id."""
    more = {"mention": True, **more}
    return str((await sandbox.say(channel or sandbox.channel_id, sandbox.user_id, text, **more))["id"])


def texts(inbox: Inbox) -> list[str]:
    return [incoming.text for incoming in inbox.taken]


def kinds(inbox: Inbox) -> list[EventKind]:
    return [incoming.kind for incoming in inbox.taken]


def reads(sandbox: DiscordSandbox, channel: str | None = None) -> int:
    return len(sandbox.calls_to("GET", f"/channels/{channel or sandbox.channel_id}/messages"))


async def test_what_was_missed_is_taken_in_order_and_before_what_is_said_now(sandbox, inbox, cursors):
    for number in range(7):
        await said(sandbox, f"missed {number}")
    sandbox.faults.add(Fault(method="GET", path="*/messages", delay=0.3))
    async with opened(sandbox, inbox, cursors=cursors):
        for number in range(3):
            await said(sandbox, f"now {number}")
        await inbox.wait(10)
    assert texts(inbox) == [f"missed {number}" for number in range(7)] + [f"now {number}" for number in range(3)]
    assert cursors.positions[sandbox.channel_id] == inbox.taken[-1].message_id


async def test_it_comes_as_it_would_have_come_at_once(sandbox, inbox, cursors):
    """The same key, or it would be answered twice; and the same address, kind of chat, server, sender and text."""
    dm = sandbox.open_dm(sandbox.user_id)
    cursors.positions[dm] = None
    async with opened(sandbox, inbox, cursors=cursors):
        await said(sandbox, f"ask <@{sandbox.user_id}>")
        await said(sandbox, "psst", channel=dm, mention=False)
        live = await inbox.wait(2)
    again = Inbox()
    async with opened(sandbox, again, cursors=Cursors(sandbox.channel_id, dm)):
        missed = await again.wait(2)
    assert sorted(live, key=str) == sorted(missed, key=str)


async def test_only_what_is_meant_for_the_bot_is_taken(sandbox, inbox, cursors):
    robot = sandbox.world.add_user("robot", bot=True)
    sandbox.world.join(sandbox.guild_id, robot)
    async with opened(sandbox, inbox, cursors=cursors) as platform:
        target = Target(ChatAddress("discord", sandbox.bot_id, sandbox.channel_id), ChatKind.GROUP)
        mine = await platform.send(target, Page("I said"), nonce="1", first=True)
    await said(sandbox, "talk among people", mention=False)
    await sandbox.say(sandbox.channel_id, robot, "beep", mention=True)
    await said(sandbox, "a reply", mention=False, reply_to=mine.message_id)
    await said(sandbox, "a reply whose text is withheld", mention=False, reply_to=mine.message_id, ping_reply=False)
    await said(sandbox, "a mention")
    async with opened(sandbox, inbox, cursors=cursors):
        await inbox.wait(2)
        await said(sandbox, "now")
        await inbox.wait(3)
    assert texts(inbox) == ["a reply", "a mention", "now"]


async def test_with_the_intent_replies_without_a_ping_are_read_back_too(inbox):
    async with DiscordSandbox(message_content=True) as sandbox:
        cursors = Cursors(sandbox.channel_id)
        async with opened(sandbox, inbox, cursors=cursors, message_content=True) as platform:
            target = Target(ChatAddress("discord", sandbox.bot_id, sandbox.channel_id), ChatKind.GROUP)
            mine = await platform.send(target, Page("I said"), nonce="1", first=True)
        await said(sandbox, "go on", mention=False, reply_to=mine.message_id, ping_reply=False)
        async with opened(sandbox, inbox, cursors=cursors, message_content=True):
            assert (await inbox.one()).text == "go on"


async def test_direct_messages_and_threads_are_read_back(sandbox, inbox):
    dm, thread = sandbox.open_dm(sandbox.user_id), await sandbox.start_thread(sandbox.channel_id, "aside")
    sandbox.channels[thread]["thread_metadata"]["archived"] = True
    await said(sandbox, "in private", channel=dm, mention=False)
    await said(sandbox, "in the thread", channel=thread)
    async with opened(sandbox, inbox, cursors=Cursors(dm, thread)):
        taken = {one.text: one for one in await inbox.wait(2)}
    assert (taken["in private"].chat_kind, taken["in private"].server, taken["in private"].sender.member) == (ChatKind.PRIVATE, None, True)
    assert (taken["in the thread"].chat_kind, taken["in the thread"].chat.chat) == (ChatKind.GROUP, thread)
    assert taken["in the thread"].server == sandbox.guild_id


async def test_a_new_session_reads_back_and_a_resumed_one_does_not(sandbox, inbox, cursors):
    async with opened(sandbox, inbox, cursors=cursors):
        await said(sandbox, "one")
        await inbox.wait(1)
        before = reads(sandbox)
        await sandbox.close_gateway(4000)
        await said(sandbox, "two")
        await inbox.wait(2)
        assert reads(sandbox) == before
        await sandbox.close_gateway(4009)  # ends the session, too: nothing brings again what is said now
        await said(sandbox, "three")
        async with asyncio.timeout(PATIENCE_SECONDS):  # discord.py waits 5 s before it identifies anew
            while len(inbox.taken) < 3:  # noqa: ASYNC110 - what is waited for is a list
                await asyncio.sleep(0.05)
        await said(sandbox, "four")
        await inbox.wait(4)
    assert texts(inbox) == ["one", "two", "three", "four"]
    assert sandbox.gateway.identifies == 2
    assert reads(sandbox) > before


@pytest.mark.parametrize("code", [50001, 10003])
async def test_a_channel_that_is_closed_or_gone_costs_one_line_and_holds_up_no_other(sandbox, inbox, caplog, code):
    caplog.set_level(logging.INFO)
    shut, dm = sandbox.add_channel(sandbox.guild_id, "shut"), sandbox.open_dm(sandbox.user_id)
    await said(sandbox, "unheard", channel=shut)
    await said(sandbox, "hello", channel=dm, mention=False)
    cursors = Cursors(shut, dm)
    status = 403 if code == 50001 else 404
    sandbox.faults.add(Fault(method="GET", path=f"*/channels/{shut}*", status=status, body={"code": code, "message": "no"}, times=-1))
    lines: list[int] = []
    for _ in range(2):
        caplog.clear()
        async with opened(sandbox, inbox, cursors=cursors):
            await said(sandbox, "hello again", channel=dm, mention=False)
            await inbox.wait(len(lines) + 2)
            await asyncio.sleep(0.3)
        lines.append(sum(f"channel {shut} is " in record.getMessage() for record in caplog.records))
    assert texts(inbox) == ["hello", "hello again", "hello again"]
    assert lines == ([1, 1] if code == 50001 else [1, 0])  # what is gone is not asked for again; what is closed may be opened


async def test_only_the_newest_messages_and_the_last_hours_are_read_back(sandbox, inbox, cursors, caplog):
    pause = Epoch(time.time())
    sandbox.world.now = pause
    await said(sandbox, "too old")
    pause.seconds += 3700
    for number in range(120):
        await said(sandbox, f"missed {number}")
    async with opened(sandbox, inbox, cursors=cursors, reach=Reach(hours=1.0, messages=110), now=pause):
        await inbox.wait(110)
    assert texts(inbox) == [f"missed {number}" for number in range(10, 120)]
    assert "DISCORD_CATCH_UP_MESSAGES" in caplog.text
    late = Inbox()
    async with opened(sandbox, late, cursors=Cursors(sandbox.channel_id), reach=Reach(hours=1.0, messages=500), now=pause):
        await late.wait(120)
        assert texts(late)[0] == "missed 0"


@pytest.mark.parametrize("reach", [Reach(0.0, 500), Reach(24.0, 0)])
async def test_it_can_be_switched_off(sandbox, inbox, cursors, reach):
    await said(sandbox, "missed")
    async with opened(sandbox, inbox, cursors=cursors, reach=reach):
        await said(sandbox, "now")
        assert (await inbox.one()).text == "now"
    assert not reads(sandbox)


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "body": {"message": "slow down", "retry_after": 0.4, "global": False}, "headers": {"Via": "1.1 sandbox"}},
        {"status": 503, "body": {"message": "down"}},
        {"drop": "after"},
        {"status": 200, "body": {"not": "a list"}},
    ],
)
async def test_a_read_that_fails_is_repeated_and_the_order_is_kept(sandbox, inbox, cursors, fault):
    await said(sandbox, "missed")
    sandbox.faults.add(Fault(method="GET", path="*/messages", **fault))
    async with opened(sandbox, inbox, cursors=cursors):
        await said(sandbox, "now")
        await inbox.wait(2)
    assert texts(inbox) == ["missed", "now"]


async def test_what_is_said_now_waits_for_a_bounded_time_and_the_cursor_does_not_jump_the_gap(sandbox, inbox, cursors, monkeypatch):
    monkeypatch.setattr(catchup, "PATIENCE_SECONDS", 0.3)
    await said(sandbox, "missed")
    down = sandbox.faults.add(Fault(method="GET", path="*/messages", status=503, body={}, times=-1))
    async with opened(sandbox, inbox, cursors=cursors):
        await said(sandbox, "now")
        assert (await inbox.one()).text == "now"
    assert cursors.positions[sandbox.channel_id] is None
    down.times = 0
    async with opened(sandbox, inbox, cursors=cursors):
        await inbox.wait(2)
    assert texts(inbox) == ["now", "missed"]


async def test_the_cursor_stands_before_what_could_not_be_committed(sandbox, inbox, cursors):
    first = await said(sandbox, "one")
    async with opened(sandbox, inbox, cursors=cursors):
        await inbox.wait(1)
        inbox.errors = [StoreUnavailableError("the disk is full")] * 50
        second = await said(sandbox, "two")
        await eventually(lambda: len(inbox.errors) < 50)
        await said(sandbox, "talk goes on", mention=False)
        await asyncio.sleep(0.1)
    assert int(first) <= int(cursors.positions[sandbox.channel_id] or 0) < int(second)
    inbox.errors.clear()
    async with opened(sandbox, inbox, cursors=cursors):
        await inbox.wait(2)
    assert texts(inbox) == ["one", "two"]


async def test_talk_among_people_moves_the_cursor_too_and_a_quiet_channel_costs_no_call(sandbox, inbox, cursors):
    async with opened(sandbox, inbox, cursors=cursors):
        await said(sandbox, "one")
        await inbox.wait(1)
        last = await said(sandbox, "talk", mention=False)
        await said(sandbox, "two")
        await inbox.wait(2)
        last = await said(sandbox, "talk on", mention=False)
        await asyncio.sleep(0.1)
    assert cursors.positions[sandbox.channel_id] == last
    before = reads(sandbox)
    async with opened(sandbox, inbox, cursors=cursors):
        await said(sandbox, "three")
        await inbox.wait(3)
    async with opened(sandbox, inbox, cursors=cursors):
        await asyncio.sleep(0.2)
    assert reads(sandbox) - before <= 1


async def test_what_the_bot_says_moves_the_cursor_too(sandbox, inbox, cursors, monkeypatch):
    monkeypatch.setattr(catchup, "NOTE_SECONDS", 0.01)
    target = Target(ChatAddress("discord", sandbox.bot_id, sandbox.channel_id), ChatKind.GROUP)
    async with opened(sandbox, inbox, cursors=cursors) as platform:
        await said(sandbox, "one")
        await inbox.wait(1)
        answer = await platform.send(target, Page("an answer"), nonce="0" * 24, first=True)
        await eventually(lambda: cursors.positions[sandbox.channel_id] == answer.message_id)


async def test_a_store_that_is_away_at_first_only_delays_it(sandbox, inbox, cursors):
    await said(sandbox, "missed")
    cursors.errors = [StoreError("locked")]
    async with opened(sandbox, inbox, cursors=cursors):
        assert (await inbox.one()).text == "missed"


async def test_a_history_that_may_not_be_read_is_said(sandbox, inbox, cursors, caplog):
    caplog.set_level(logging.INFO)
    await said(sandbox, "missed")
    sandbox.without_history.add(sandbox.channel_id)
    async with opened(sandbox, inbox, cursors=cursors):
        await eventually(lambda: "Read Message History" in caplog.text)


async def test_many_channels_are_read_back_without_a_flood(sandbox, inbox):
    channels = [sandbox.add_channel(sandbox.guild_id, f"room {number}") for number in range(80)]
    for channel in channels:
        await said(sandbox, f"missed in {channel}", channel=channel)
    async with opened(sandbox, inbox, cursors=Cursors(*channels)):
        await inbox.wait(80)
    assert sandbox.guard.limited_calls == 0


async def test_a_message_that_cant_be_read_costs_only_itself(sandbox, inbox, cursors, caplog):
    await said(sandbox, "one")
    poison = await said(sandbox, "poison")
    await said(sandbox, "two")
    stored = sandbox.world.message(sandbox.channel_id, poison)
    stored.wire = {**stored.wire, "timestamp": "never", "edited_timestamp": "never"}
    async with opened(sandbox, inbox, cursors=cursors):
        await inbox.wait(3)
    assert [text for text, kind in zip(texts(inbox), kinds(inbox), strict=True) if kind is not EventKind.UNREADABLE] == ["one", "two"]
    (aside,) = [one for one in inbox.taken if one.kind is EventKind.UNREADABLE]
    assert (aside.key.rsplit(":", 1)[-1], aside.text) == (poison, "ValueError")
    assert "MESSAGE_CREATE" in caplog.text
    assert "poison" not in caplog.text


async def test_a_command_does_not_wait_long_for_what_was_missed(sandbox, inbox, cursors, loop_time, monkeypatch):
    waits, before = asyncio.Event(), catchup.CatchUp.before

    def noted(*arguments):
        waits.set()
        return before(*arguments)

    monkeypatch.setattr(catchup.CatchUp, "before", noted)
    async with opened(sandbox, inbox, cursors=cursors):
        await eventually(lambda: sandbox.commands)
    await said(sandbox, "missed")
    held = sandbox.faults.add(Held(method="GET", path="*/messages", times=-1))
    async with opened(sandbox, inbox, cursors=cursors):
        interaction = await sandbox.slash(sandbox.channel_id, sandbox.user_id, "status")
        await asyncio.wait_for(waits.wait(), PATIENCE_SECONDS)
        await loop_time.skip(DISCORD_INTERACTION_ACK_SECONDS / 2)
        await loop_time.at_once(interaction.responded.is_set)
        held.over.set()
        await inbox.wait(2)
