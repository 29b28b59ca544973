"""`storage.backup`: a whole copy beside a running bridge, or none."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from stat import S_IMODE

import pytest

from storage import backup
from storage.backup import back_up
from storage.base import StoreError, StoreUnavailableError
from storage.sqlite import SqliteStore
from storage.statements import migrations
from tests.support.stores import SqlitePlace, accept, ask, exchange, message, opened, reply


@pytest.fixture
def place(tmp_path: Path) -> SqlitePlace:
    return SqlitePlace(tmp_path)


@pytest.fixture
def copies(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "copies"
    folder.mkdir()
    yield folder
    assert not [file for file in folder.iterdir() if file.name.endswith(".part")], "an unfinished copy was left behind"


async def test_a_copy_of_a_running_store_is_a_store_with_all_that_was_accepted(place: SqlitePlace, copies: Path) -> None:
    target = copies / "b.db"
    async with opened(place.store()) as store:
        await exchange(store, "q1")
        open_turn = await ask(store, "q2")
        copy = await asyncio.to_thread(back_up, place.path, target)
        await store.answered(open_turn, reply("the original goes on"))
    assert (copy.path, copy.schema, copy.size) == (target, len(migrations()), target.stat().st_size)
    async with opened(SqliteStore(target)) as restored:
        assert await restored.accept(message("q1")) is None
        assert await restored.counts(1) == (3, 1)


async def test_the_copy_is_consistent_while_a_bridge_writes(place: SqlitePlace, copies: Path) -> None:
    """Event, turn and entry of a question go in together: whatever moment the copy shows, it shows all three or none."""
    async with opened(place.store()) as store:
        accepted = 0

        async def write() -> None:
            nonlocal accepted
            while True:
                await accept(store, message(str(accepted), text="words " * 200))
                accepted += 1

        writing = asyncio.create_task(write())
        try:
            for number in range(5):
                before = accepted
                await asyncio.to_thread(back_up, place.path, copies / f"{number}.db")
                with closing(sqlite3.connect(copies / f"{number}.db")) as copy:
                    sql = "SELECT (SELECT COUNT(*) FROM event), (SELECT COUNT(*) FROM turn), (SELECT COUNT(*) FROM entry)"
                    events, turns, entries = copy.execute(sql).fetchone()
                assert events == turns == entries >= before
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)
        assert accepted, "nothing was written meanwhile"


async def test_what_only_the_log_of_a_killed_bridge_holds_is_copied(place: SqlitePlace, copies: Path, tmp_path: Path) -> None:
    async with opened(place.store()) as store:
        await accept(store, message("q"))
        left = tmp_path / "left"
        shutil.copytree(place.path.parent, left)  # as after kill -9: the log is not folded into the file
    back_up(left / place.path.name, copies / "b.db")
    with closing(sqlite3.connect(copies / "b.db")) as copy:
        assert copy.execute("SELECT key FROM event").fetchall() == [("q",)]


async def test_the_copy_is_the_owners_alone(place: SqlitePlace, copies: Path) -> None:
    async with opened(place.store()):
        pass
    old = os.umask(0)
    try:
        back_up(place.path, copies / "b.db")
    finally:
        os.umask(old)
    assert S_IMODE((copies / "b.db").stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["file", "folder", "dangling link", "the database itself"])
async def test_what_exists_is_not_overwritten(place: SqlitePlace, copies: Path, kind: str) -> None:
    async with opened(place.store()):
        pass
    target = copies / "b.db"
    if kind == "file":
        target.write_text("precious")
    elif kind == "folder":
        target.mkdir()
    elif kind == "dangling link":
        target.symlink_to(copies / "nowhere")
    else:
        target = place.path
    with pytest.raises(StoreError, match="exists already"):
        back_up(place.path, target)
    assert kind != "file" or target.read_text() == "precious"


async def test_a_file_that_appears_meanwhile_is_not_overwritten(place: SqlitePlace, copies: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(place.store()):
        pass
    target = copies / "b.db"
    check = backup._check

    def slow(part: Path, source: Path) -> None:
        check(part, source)
        target.write_text("precious")

    monkeypatch.setattr(backup, "_check", slow)
    with pytest.raises(StoreError, match="exists already"):
        back_up(place.path, target)
    assert target.read_text() == "precious"


async def test_where_it_cannot_be_written_it_says_so(place: SqlitePlace, tmp_path: Path) -> None:
    async with opened(place.store()):
        pass
    with pytest.raises(StoreUnavailableError, match="No such file or directory"):
        back_up(place.path, tmp_path / "nowhere" / "b.db")


@pytest.mark.parametrize(
    ("content", "words"), [(None, "There is no database"), (b"Dear diary, " * 1000, "is no database"), (b"", "no database of")]
)
def test_what_is_no_database_of_ours_is_refused(content: bytes | None, words: str, copies: Path, tmp_path: Path) -> None:
    source = tmp_path / "d.db"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(StoreError, match=words):
        back_up(source, copies / "b.db")
    assert not list(copies.iterdir())
    assert source.exists() == (content is not None)


async def test_a_damaged_database_makes_no_backup(place: SqlitePlace, copies: Path) -> None:
    async with opened(place.store()) as store:
        for i in range(100):
            await exchange(store, str(i))
    size = place.path.stat().st_size
    with place.path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size - size // 2))
    with pytest.raises(StoreUnavailableError, match="damaged"):
        back_up(place.path, copies / "b.db")
    assert not os.listdir(copies)  # noqa: PTH208 - as quick as it gets, in a coroutine
