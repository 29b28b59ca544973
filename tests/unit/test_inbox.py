"""Intake: accept → commit → acknowledge; nothing twice, nothing lost."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from bot import texts
from bot.bridge import Bridge
from bot.clock import SystemClock
from bot.commands.base import Answer, Command, Context, Option
from bot.commands.registry import COMMANDS
from bot.model import CommandCall, EventKind, ReplyRoute
from bot.platforms.discord.platform import DiscordPlatform
from bot.platforms.telegram.platform import TelegramPlatform
from storage.base import Accepted, NewEvent, StoredEvent, StoreError
from tests.support.core import World, eventually, picture


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_an_event_is_committed_when_accept_returns(world: World) -> None:
    async with world.running() as core:
        await core.drain_no_more()
        said = await world.say("one")
        assert world.rows("SELECT key, kind FROM event") == [(said.key, "message")]
        assert world.turns() == [("accepted", 0)]
        ((content, author, message_id),) = world.rows("SELECT content, author_name, message_id FROM entry")
        assert json.loads(content) == [{"type": "text", "text": "one"}]
        assert (author, message_id) == ("Ada", said.message_id)


async def test_the_same_event_delivered_twice_is_taken_once(world: World) -> None:
    message = world.event(text="one")
    order = world.event(EventKind.COMMAND, command=CommandCall("help"))
    async with world.running() as core:
        assert [await core.inbox.accept(event) for event in (message, order, message, order)] == [True, True, False, False]
        await world.idle()
        assert len(world.texts()) == 2
    async with world.running() as core:
        assert not await core.inbox.accept(message)
        assert not await core.inbox.accept(order)
        await asyncio.sleep(0.05)
    assert world.turns() == [("done", 1)]
    assert len(world.texts()) == 2


async def test_the_same_event_delivered_twice_at_once_is_taken_once(world: World) -> None:
    message = world.event(text="one")
    async with world.running() as core:
        taken = await asyncio.gather(*(core.inbox.accept(message) for _ in range(5)))
        await world.idle()
    assert sorted(taken) == [False] * 4 + [True]
    assert world.alpha.asked == ["one"]


async def test_what_can_not_be_committed_is_not_acknowledged(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_: NewEvent, **__: object) -> None:
        raise StoreError("the disk is full")

    async with world.running() as core:
        message = world.event(text="one")
        with monkeypatch.context() as patch:
            patch.setattr(core.store, "accept", full)
            with pytest.raises(StoreError, match="the disk is full"):
                await core.inbox.accept(message)
        assert await core.inbox.accept(message)
        await world.until_said("heard: one")


@pytest.mark.parametrize("text", ["half a pair \ud83d", "nul \0 inside", "\u202e right to left", "x" * 100_000])
async def test_an_odd_text_is_asked_like_any_other(world: World, text: str) -> None:
    async with world.running():
        await world.say(text)
        await world.idle()
        assert world.turns() == [("done", 1)]
        await world.ask("next")
    assert len(world.alpha.requests[0].messages[0].text) == len(text)


async def test_a_message_without_text_is_told_that_only_text_is_read(world: World) -> None:
    async with world.running():
        await world.say("", attachments=(picture(),))
        await world.until_said("only read text")
        told = await world.ask("with a picture", attachments=(picture(),))
        assert told.split() == f"heard: with a picture {texts.FILES_IGNORED.strip('*')}".split()
    assert world.alpha.asked == ["with a picture"]


async def test_what_could_not_be_read_is_kept_with_its_reason_and_answered_by_nobody(world: World) -> None:
    async with world.running():
        await world.come(EventKind.UNREADABLE, text="no such field")
        assert await world.ask("next") == "heard: next"
        assert world.rows("SELECT error FROM event WHERE kind = 'unreadable'") == [("no such field",)]
    assert len(world.texts()) == 1


async def test_a_reply_route_is_stored_apart_from_the_event(world: World) -> None:
    async with world.running():
        await world.command("help", route=ReplyRoute("canary-token", time.time() + 900))
        await world.idle()
        assert world.rows("SELECT COUNT(*) FROM interaction WHERE value = 'canary-token'") == [(1,)]
        assert world.rows("SELECT COUNT(*) FROM event WHERE payload LIKE '%canary%'") == [(0,)]


# ------------------------------------------------------------------------------------------------ recovery


async def test_a_command_that_a_crash_cut_off_is_carried_out_at_the_next_start(tmp_path: Path) -> None:
    started = asyncio.Event()
    lives = 0

    async def slow(_: Context) -> Answer:
        nonlocal lives
        lives += 1
        started.set()
        if lives == 1:
            await asyncio.Event().wait()
        return Answer("carried out")

    world = World(tmp_path, commands=[*COMMANDS, Command("slow", "Slow", slow)])
    async with world.running():
        await world.command("slow")
        await started.wait()
    assert world.texts() == []
    for _ in range(2):
        async with world.running():
            await world.until_said("carried out")
            await world.idle()
    assert (lives, world.texts()) == (2, ["carried out"])


async def test_a_retry_that_a_crash_cut_off_makes_no_second_turn(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_: int) -> None:
        await asyncio.Event().wait()

    async with world.running() as core:
        await world.ask("one")
        monkeypatch.setattr(core.store, "finish_event", never)
        await world.command("retry")
        await eventually(lambda: world.turns() == [("done", 1), ("done", 1)])
    async with world.running():
        await world.idle()
        await asyncio.sleep(0.05)
    assert world.turns() == [("done", 1), ("done", 1)]
    assert world.alpha.asked == ["one", "one"]


async def test_a_command_that_can_not_be_read_back_does_not_keep_the_bot_from_starting(world: World) -> None:
    async with world.running() as core:
        core.inbox._hand_on = lambda *_: None  # type: ignore[method-assign] # the crash comes before anything is carried out
        await world.command("help")
        await world.command("status")
    with closing(sqlite3.connect(world.database)) as connection, connection:
        connection.execute("UPDATE event SET payload = '{}' WHERE id = 1")
    async with world.running():
        await world.until_said("Provider: Alpha AI")
        await world.idle()


async def test_the_bridge_takes_up_what_was_open_and_carries_out_once_what_comes_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    async def count(context: Context) -> Answer:
        calls.append(context.arguments["n"])
        return Answer("counted")

    world = World(tmp_path, commands=[Command("count", "Count", count, (Option("n", "A number"),))])
    stop = asyncio.Event()
    async with world.running() as core:
        await core.drain_no_more()
        with monkeypatch.context() as patch:
            patch.setattr(core.inbox, "_hand_on", lambda *_: None)  # a crash comes before it is carried out
            await world.command("count", n="0")
        real = core.store.open_events

        async def slowly() -> Sequence[StoredEvent]:
            await asyncio.sleep(0.05)
            return await real()

        async def intake(*_: object) -> None:
            await world.command("count", n="1")
            await asyncio.Event().wait()

        monkeypatch.setattr(core.store, "open_events", slowly)
        monkeypatch.setattr(world.chat, "run", intake)
        bridge = Bridge(
            core.store,
            {},
            {"memory": world.chat},
            {"memory": "bot"},
            core.outbox,
            core.dispatcher,
            core.inbox,
            SystemClock(),
            core.housekeeper,
        )
        serving = asyncio.create_task(bridge.run(stop))
        await eventually(lambda: len(calls) >= 2)
        await asyncio.sleep(0.1)
        stop.set()
        await serving
    assert calls == ["0", "1"]


async def test_what_is_running_at_the_end_is_taken_up_again_and_not_half_forgotten(world: World) -> None:
    world.alpha.will(asyncio.Event())
    async with world.running():
        for text in ("one", "two"):
            await world.say(text)
        await world.say("elsewhere", chat="2")
        await eventually(lambda: len(world.alpha.requests) == 2)
    async with world.running():
        await world.idle()
    assert world.texts() == ["heard: one", "heard: two"]
    assert world.texts("2") == ["heard: elsewhere"]


# ------------------------------------------------------------------------------------------------ edits


async def test_an_edit_older_than_the_text_that_came_first_changes_nothing(world: World) -> None:
    async with world.running() as core:
        await core.drain_no_more()
        said = await world.say("edited twice", version=2)  # as it is read back from a history
        await world.come(EventKind.EDIT, text="edited once", message_id=said.message_id, version=1)
        await eventually(lambda: not world.rows("SELECT id FROM event WHERE finished_at IS NULL"))
    async with world.running():
        assert await world.until_said("heard") == "heard: edited twice"


async def test_an_edit_of_what_is_not_known_is_taken_and_harms_nobody(world: World) -> None:
    async with world.running():
        await world.come(EventKind.EDIT, text="new text", message_id="never seen")
        await world.come(EventKind.EDIT, text="", message_id="never seen")
        await world.come(EventKind.EDIT, text="new text")
        assert await world.ask("next") == "heard: next"
    assert world.alpha.asked == ["next"]


@pytest.mark.parametrize("one_by_one", [False, True])
async def test_only_a_platform_that_offers_events_one_by_one_has_each_taken_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch, one_by_one: bool
) -> None:
    monkeypatch.setattr(world.chat, "limits", replace(world.chat.limits, one_by_one=one_by_one))
    taken: list[bool] = []
    async with world.running() as core:
        original = core.store.accept

        async def accept(event: NewEvent, *, alone: bool = False) -> Accepted | None:
            taken.append(alone)
            return await original(event, alone=alone)

        monkeypatch.setattr(core.store, "accept", accept)
        await world.say("one")
    assert taken == [one_by_one]
    assert (DiscordPlatform.limits.one_by_one, TelegramPlatform.limits.one_by_one) == (False, True)
