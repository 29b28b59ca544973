"""A database that an older version filled is brought up to date, and goes on being used."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from adapters.base import Alternatives, Finished, TextDelta, Usage
from bot.budgets import Budget, Budgets
from bot.model import EventKind
from storage import sqlite
from storage.sqlite import SqliteStore
from storage.statements import migrations
from tests.support.core import World, eventually

NEWEST = len(migrations())
BEFORE_USAGE = 8
"""The schema of the version before questions were counted."""


async def make_older(path: Path, schema: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a database an older schema, with all that it has a place for."""
    old = path.with_name("old.db")
    with monkeypatch.context() as patched:
        patched.setattr(sqlite, "migrations", lambda: migrations()[:schema])
        store = SqliteStore(old)
        await store.open()
        await store.aclose()
    copy(path, old)
    old.rename(path)


def copy(new: Path, old: Path) -> None:
    """Copy the columns of the old database from the new one, which goes."""
    with closing(sqlite3.connect(old, isolation_level=None)) as database:
        database.execute("ATTACH ? AS filled", (str(new),))
        names = database.execute("SELECT name FROM main.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'").fetchall()
        for table in sorted({name for (name,) in names} - {"schema_version"}):
            columns = ", ".join(row[1] for row in database.execute(f"PRAGMA main.table_info({table})"))
            database.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM filled.{table}")  # noqa: S608 - the schema's own names
        database.execute("DETACH filled")
    for file in new.parent.glob(f"{new.name}*"):
        file.unlink()


@pytest.fixture
async def filled(tmp_path: Path) -> World:
    """What was said in a life that a crash ended in the middle of an answer."""
    world = World(tmp_path)
    async with world.running():
        world.alpha.will(TextDelta("first answer"), Usage(10, 2), Finished())
        await world.ask("first question")
        await world.ask("second question", chat="2")
        world.alpha.will(TextDelta("begun"), asyncio.Event(), Finished())
        await world.come(EventKind.MESSAGE, text="third question")
        await eventually(lambda: world.turns()[-1] == ("generating", 1) and len(world.alpha.requests) == 3)
    return world


@pytest.mark.parametrize("schema", range(BEFORE_USAGE, NEWEST + 1))
async def test_what_an_older_version_left_is_taken_up_counted_from_now_on_and_forgotten_whole(
    filled: World, monkeypatch: pytest.MonkeyPatch, schema: int
) -> None:
    await make_older(filled.database, schema, monkeypatch)
    world = filled
    world.budgets = Budgets([Budget.model_validate({"name": "house", "tokens": 100_000})])
    world.alpha.will(TextDelta("third answer"), Usage(7, 3), Finished())
    async with world.running():
        await world.idle()
        assert [message.text for message in world.alpha.requests[-1].messages] == ["first question", "first answer", "third question"]
        assert world.turns()[-1] == ("done", 2)
        world.alpha.will(TextDelta("one"), Alternatives(("other",)), Usage(20, 4), Finished())
        await world.ask("fourth question")
        assert "24 tokens (20 and 4)" in await world.order("usage")
        assert "Answer 2 of 2" in await world.order("other")
        if schema == BEFORE_USAGE:  # what is from before counts for nothing, but stays
            assert world.rows("SELECT questions, input_tokens FROM tally WHERE subject = 'conversation:1'") == [(2, 27)]
            assert world.rows("SELECT COUNT(*) FROM usage WHERE day IS NULL") == [(2,)]
        await world.order("forget", confirm="yes")
        assert world.rows("SELECT COUNT(*) FROM alternative") == [(0,)]
        assert world.rows("SELECT COUNT(*) FROM entry e JOIN turn t ON t.id = e.turn WHERE t.conversation = 1") == [(0,)]
        assert world.rows("SELECT MAX(version) FROM schema_version") == [(NEWEST,)]
        assert world.rows("PRAGMA integrity_check") == [("ok",)]
        assert world.rows("PRAGMA foreign_key_check") == []
