"""What could not be read is kept as it came: a newer version reads it, when the operator asks for that, as the event that it always was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot import cli, texts
from bot.model import ButtonPress, CommandCall, EventKind, Incoming
from bot.payload import dump
from bot.platforms.discord.odd import odd
from bot.platforms.set_aside import WHY_GIVEN_UP, not_stored
from storage.base import NewEvent, StoreUnavailableError
from storage.beside import survey
from storage.sqlite import SqliteStore
from storage.wishes import want_again
from tests.support.core import Chat, World, eventually
from tests.support.stores import HERE, accept, opened

SECRET = "canary-words-of-a-person"


class ReadingChat(Chat):
    """A chat whose later version reads what an earlier one could not. What is kept is the number of an event in `known`."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, Incoming | None] = {}
        self.read: list[str] = []

    async def read_again(self, kept: Incoming) -> Incoming | None:
        raw = kept.raw or ""
        self.read.append(raw)
        if raw not in self.known:
            raise ValueError(f"a parser quotes {raw}")
        return self.known[raw]


@pytest.fixture
def chat() -> ReadingChat:
    return ReadingChat()


@pytest.fixture
def world(tmp_path: Path, chat: ReadingChat) -> World:
    return World(tmp_path, chat=chat)


@asynccontextmanager
async def watched(world: World) -> AsyncIterator[None]:
    async with world.running() as core:
        watch = asyncio.create_task(core.inbox.watch())
        yield
        watch.cancel()


async def set_aside(world: World, raw: str = SECRET, **more: Any) -> None:
    await world.come(EventKind.UNREADABLE, text="TypeError: date", raw=raw, **more)


async def test_what_can_be_read_by_now_is_answered_and_set_aside_no_more(world: World, chat: ReadingChat) -> None:
    async with world.running():
        await set_aside(world)
    chat.known[SECRET] = world.event(text="one")
    wishes = want_again(world.database, [1])
    assert (wishes.taken, wishes.refused) == ((1,), ())
    async with watched(world):
        assert await world.until_said("heard: one")
        await world.idle()
        await eventually(lambda: not survey(world.database).set_aside)
    assert survey(world.database).parked == 0
    assert world.rows("SELECT payload, error FROM event WHERE id = 1") == [("", None)]
    assert want_again(world.database, [1]).refused[0].why.startswith("its content has been removed")


async def test_what_came_once_more_meanwhile_is_answered_once(world: World, chat: ReadingChat) -> None:
    async with world.running() as core:
        await set_aside(world)
        chat.known[SECRET] = said = world.event(text="one")
        await core.inbox.accept(said)
        await world.until_said("heard: one")
        await world.idle()
    want_again(world.database, [1])
    async with watched(world):
        await eventually(lambda: not survey(world.database).set_aside)
        await world.idle()
    assert world.alpha.asked == ["one"]


async def test_what_can_not_be_read_this_time_either_is_set_aside_again_with_the_reason_and_the_next_is_tried(
    world: World, chat: ReadingChat, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.running():
        await set_aside(world)
        await set_aside(world, raw="two")
    chat.known["two"] = world.event(text="two")
    want_again(world.database, [1, 2])
    async with watched(world):
        await world.until_said("heard: two")
        await world.idle()
    seen = survey(world.database)
    assert (seen.set_aside, seen.parked) == (1, 0)
    assert seen.newest_set_aside[0].reason == "ValueError (tried again in vain)"
    assert SECRET not in caplog.text
    assert want_again(world.database, [1]).taken == (1,)


async def test_a_crash_before_it_is_read_again_loses_nothing(world: World, chat: ReadingChat, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running():
        await set_aside(world)
    chat.known[SECRET] = world.event(text="one")
    want_again(world.database, [1])
    async with world.running() as core:

        async def never(*_: object) -> bool:
            return await asyncio.Event().wait()

        monkeypatch.setattr(core.inbox, "accept", never)
        watch = asyncio.create_task(core.inbox.watch())
        await eventually(lambda: chat.read)
        watch.cancel()
    async with world.running():
        await world.until_said("heard: one")
        await world.idle()
        await eventually(lambda: not survey(world.database).set_aside)
    assert world.alpha.asked == ["one"]


async def test_a_store_that_is_away_while_it_is_read_again_costs_no_restart(
    world: World, chat: ReadingChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running():
        await set_aside(world)
    chat.known[SECRET] = world.event(text="one")
    want_again(world.database, [1])
    async with watched(world):
        accept, failures = world.now.inbox.accept, [StoreUnavailableError("locked")]

        async def sometimes(incoming: Incoming) -> bool:
            if failures:
                raise failures.pop()
            return await accept(incoming)

        monkeypatch.setattr(world.now.inbox, "accept", sometimes)
        monkeypatch.setattr("bot.inbox.FIRST_RETRY_SECONDS", 0.001)
        await world.until_said("heard: one")
        await world.idle()
        assert not failures


async def test_what_is_nothing_for_the_bot_is_let_go(world: World, chat: ReadingChat) -> None:
    async with world.running():
        await set_aside(world)
    chat.known[SECRET] = None
    want_again(world.database, [1])
    async with watched(world):
        await eventually(lambda: not survey(world.database).set_aside)
        await world.idle()
    assert world.texts() == []


async def test_what_the_store_would_not_take_is_taken_whatever_the_platform(tmp_path: Path) -> None:
    world = World(tmp_path)
    async with world.running() as core:
        await core.inbox.accept(not_stored(world.event(text="one"), ValueError("no")))
        await set_aside(world, raw=json.dumps({"key": "forged"}))
    want_again(world.database, [1, 2])
    async with watched(world):
        await world.until_said("heard: one")
        await eventually(lambda: survey(world.database).set_aside == 1)
        await world.idle()
    assert survey(world.database).newest_set_aside[0].reason == "TypeError: date; what memory sent can't be read again"


@pytest.mark.parametrize(
    "late", [CommandCall("stop"), CommandCall("reset"), CommandCall("forget", {"confirm": "yes"}), CommandCall("other", {"number": "2"})]
)
async def test_a_command_that_would_concern_what_came_since_is_not_carried_out(world: World, chat: ReadingChat, late: CommandCall) -> None:
    async with world.running():
        await set_aside(world)
        await world.ask("one")
    chat.known[SECRET] = world.event(EventKind.COMMAND, command=late)
    want_again(world.database, [1])
    async with watched(world):
        await world.until_said(texts.TOO_LATE)
        await world.idle()
        await world.ask("two")
    assert [message.text for message in world.alpha.requests[-1].messages] == ["one", "heard: one", "two"]


async def test_an_edit_that_could_not_be_read_undoes_no_newer_one(world: World, chat: ReadingChat) -> None:
    async with world.running() as core:
        await core.drain_no_more()
        said = await world.say("one")
        await set_aside(world)
        await world.come(EventKind.EDIT, text="three", message_id=said.message_id, version=3)
        await eventually(lambda: not world.rows("SELECT id FROM event WHERE finished_at IS NULL"))
    chat.known[SECRET] = world.event(EventKind.EDIT, text="two", message_id=said.message_id, version=2)
    want_again(world.database, [2])
    async with world.running() as core:
        await core.drain_no_more()
        watch = asyncio.create_task(core.inbox.watch())
        await eventually(lambda: len(world.rows("SELECT id FROM event WHERE kind = 'edit' AND finished_at IS NOT NULL")) == 2)
        watch.cancel()
    async with world.running():
        await world.until_said("heard: three")


async def test_a_choice_that_could_not_be_read_undoes_no_newer_one(world: World, chat: ReadingChat) -> None:
    async with world.running():
        await set_aside(world)
        await set_aside(world, raw="settings")
        await world.order("provider", name="beta")
    chat.known[SECRET] = world.event(EventKind.COMMAND, command=CommandCall("provider", {"name": "alpha"}))
    chat.known["settings"] = world.event(EventKind.COMMAND, command=CommandCall("settings", {"name": "temperature", "value": "1"}))
    want_again(world.database, [1, 2])
    async with watched(world):
        await world.until_said(texts.TOO_LATE)
        await world.until_said("temperature is 1.0")
        assert "Beta answers here" in await world.order("provider")


async def test_a_press_that_could_not_be_read_asks_nothing(world: World, chat: ReadingChat) -> None:
    async with world.running():
        await set_aside(world)
        await world.ask("one")
    chat.known[SECRET] = world.event(EventKind.BUTTON, button=ButtonPress("retry:1"))
    want_again(world.database, [1])
    async with watched(world):
        await eventually(lambda: not survey(world.database).set_aside)
        await world.idle()
    assert world.alpha.asked == ["one"]


async def test_a_choice_that_was_carried_out_before_a_crash_is_not_said_to_be_too_late(
    world: World, chat: ReadingChat, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running():
        await set_aside(world)
    chat.known[SECRET] = world.event(EventKind.COMMAND, command=CommandCall("provider", {"name": "beta"}))
    want_again(world.database, [1])
    async with watched(world):

        async def never(*_: object) -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(world.now.store, "read_at_last", never)
        await eventually(lambda: world.rows("SELECT kind FROM event WHERE id > 1 AND finished_at IS NOT NULL") == [("command",)])
    told = world.texts()
    async with world.running():
        await eventually(lambda: not survey(world.database).set_aside)
        await world.idle()
    assert len(chat.read) == 2
    assert world.texts() == told
    assert texts.TOO_LATE not in told


def test_retry_of_what_discord_has_given_up_is_refused_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    database = tmp_path / "d.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{database}")
    monkeypatch.chdir(tmp_path)

    async def fill() -> None:
        async with opened(SqliteStore(database)) as store:
            for kind in ("INTERACTION_CREATE", "MESSAGE_CREATE"):
                kept = odd(kind, {"id": "555", "channel_id": "77"}, 1, "KeyError: 'data'")
                assert kept is not None
                await accept(store, NewEvent(kept.key, kept.kind, HERE, dump(kept), error=kept.text))

    asyncio.run(fill())
    assert cli.main(["retry", "1", "2"]) == cli.FAILED
    told = capsys.readouterr()
    assert told.out.splitlines() == ["event 2: no bot runs: the next start tries it again"]
    assert told.err.splitlines() == [f"event 1: {WHY_GIVEN_UP}"]
