"""What fails for ever, with the real process, both platforms and a database that refuses one turn."""

from __future__ import annotations

import asyncio
import signal
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from bot import cli
from bot.doctor import examine
from bot.settings import load
from sandbox.outside import Outside
from storage.beside import survey
from tests.support.bridge import CHATS, eventually, running_bridge, until_said
from tests.support.process import bridge_process

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


READERS = {"discord": "bot.platforms.discord.intake.from_message", "telegram": "bot.platforms.telegram.intake.read"}


@pytest.mark.parametrize("platform", CHATS)
async def test_what_an_older_version_could_not_read_is_answered_by_dragoman_retry(
    outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, platform: str
) -> None:
    def older(*_: object, **__: object) -> None:
        raise KeyError("what came later")

    database, chat = tmp_path / "d.db", CHATS[platform](outside)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{database}")
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as version:
        version.setattr(READERS[platform], older)
        async with running_bridge(outside, database):
            await chat.say(CANARY)
            await eventually(lambda: survey(database).set_aside == 1)
            (kept,) = survey(database).newest_set_aside
            assert await asyncio.to_thread(cli.main, ["retry", str(kept.id)]) == cli.OK
            await eventually(lambda: "tried again in vain" in survey(database).newest_set_aside[0].reason)
    assert await asyncio.to_thread(cli.main, ["retry", str(kept.id)]) == cli.OK
    async with running_bridge(outside, database):
        await until_said(chat, f"heard: {CANARY}")
        await eventually(lambda: survey(database).set_aside == survey(database).parked == 0)
    assert len(chat.texts()) == 1
    assert CANARY not in caplog.text


def _states(database: Path) -> list[str]:
    with closing(sqlite3.connect(database, timeout=5)) as connection:
        return [state for (state,) in connection.execute("SELECT state FROM turn ORDER BY id")]
