"""What fails for ever, with the real process, both platforms and a database that refuses one turn."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from bot import cli
from bot.doctor import examine
from bot.model import ChatAddress, ChatKind, EventKind, Incoming, Sender
from bot.payload import dump
from bot.settings import load
from sandbox.outside import Outside
from storage.base import NewEvent
from storage.beside import survey
from storage.sqlite import SqliteStore
from tests.support.bridge import CHATS, TelegramChat, eventually, until_said
from tests.support.process import bridge_process
from tests.support.telegram import message, person, update

CANARY = "canary-poison"


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside() as outside:
        yield outside


def change(database: Path, sql: str) -> None:
    with closing(sqlite3.connect(database, timeout=5)) as connection:
        connection.executescript(sql)


@pytest.mark.parametrize("platform", CHATS)
async def test_what_fails_for_ever_is_parked_by_the_real_bridge_and_answered_once_by_dragoman_retry(
    outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], platform: str
) -> None:
    database = tmp_path / "d.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{database}")
    monkeypatch.chdir(tmp_path)
    chat = CHATS[platform](outside)
    settings = {"park_after_attempts": 2, "park_after_hours": 0, "merge_window_seconds": 0}
    async with bridge_process(outside, database, **settings) as bridge:
        await chat.say("hello")
        await eventually(lambda: len(chat.texts()) == 1)
        # The database takes every write but the one that ends the second turn.
        change(
            database,
            "CREATE TRIGGER poison BEFORE UPDATE OF state ON turn WHEN OLD.id = 2 AND NEW.state = 'done' "
            "BEGIN SELECT RAISE(ABORT, 'poisoned'); END;",
        )
        await chat.say(CANARY)
        await bridge.says("it is tried again")
        await chat.say("after it")
        bridge.signal(signal.SIGKILL)
        await bridge.ended()
    async with bridge_process(outside, database, **settings) as bridge:
        await until_said(chat, "failed again and again")
        await eventually(lambda: survey(database).parked == 1)
        await eventually(lambda: [text for text in chat.texts() if "after it" in text], "the next one is answered")
        assert CANARY not in bridge.log
        change(database, "DROP TRIGGER poison;")
        (one,) = survey(database).newest_parked
        found = [finding for finding in await examine(load(None, local_model="off")) if finding.what == "parked"]
        assert f"event {one.id}" in found[1].words
        assert "poisoned" in found[1].words
        assert CANARY not in " ".join(map(str, found))
        assert await asyncio.to_thread(cli.main, ["retry", str(one.id)]) == cli.OK
        assert "the running bot tries it again within seconds" in capsys.readouterr().out
        await eventually(lambda: survey(database).parked == 0)
        await eventually(lambda: _states(database) == ["done", "done", "done"])
    answers = [text for text in chat.texts() if CANARY in text]
    assert len(answers) == 1, chat.texts()


async def test_what_an_older_version_could_not_read_is_answered_by_dragoman_retry(
    outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    database, chat = tmp_path / "d.db", TelegramChat(outside)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{database}")
    monkeypatch.chdir(tmp_path)
    there = ChatAddress("telegram", str(outside.telegram.bot_id), str(chat.chat))
    where = {"id": chat.chat, "type": "private", "first_name": "Ada"}
    raw = json.dumps(update(7, message={**message("from before the upgrade", chat=where), "from": person(chat.person)}))
    kept = Incoming(
        "telegram:odd:7", EventKind.UNREADABLE, there, ChatKind.PRIVATE, Sender(str(chat.person), "Ada"), text="TypeError: x", raw=raw
    )
    store = SqliteStore(database)
    await store.open()
    await store.accept(NewEvent(kept.key, kept.kind, there, dump(kept), error=kept.text))
    await store.aclose()
    async with bridge_process(outside, database) as bridge:
        await chat.say("hello")
        await until_said(chat, "heard: hello")
        assert survey(database).set_aside == 1
        assert await asyncio.to_thread(cli.main, ["retry", "1"]) == cli.OK
        assert "the running bot tries it again within seconds" in capsys.readouterr().out
        await until_said(chat, "heard: from before the upgrade")
        await eventually(lambda: survey(database).set_aside == survey(database).parked == 0)
        assert "before the upgrade" not in bridge.log


def _states(database: Path) -> list[str]:
    with closing(sqlite3.connect(database, timeout=5)) as connection:
        return [state for (state,) in connection.execute("SELECT state FROM turn ORDER BY id")]
