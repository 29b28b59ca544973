"""What only the embedded store promises: its file, its lock, its errors."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from stat import S_IMODE

import pytest

from storage.base import ReplyRoute, SchemaTooNewError, Store, StoreError, StoreUnavailableError, Turn, TurnState
from storage.files import explain
from storage.sqlite import SqliteStore
from storage.statements import migrations
from tests.support.stores import (
    HERE,
    SqlitePlace,
    accept,
    ask,
    claim,
    command,
    drainer,
    eventually,
    exchange,
    memory,
    message,
    opened,
    read,
    reply,
    running,
)

ROOT = Path(__file__).parents[2]


@pytest.fixture
def place(tmp_path: Path) -> SqlitePlace:
    return SqlitePlace(tmp_path)


@pytest.fixture
async def store(place: SqlitePlace) -> AsyncIterator[SqliteStore]:
    store = place.store()
    async with opened(store):
        yield store


def rows(place: SqlitePlace, sql: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(place.path)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def change(place: SqlitePlace, sql: str) -> None:
    connection = sqlite3.connect(place.path)
    try:
        with connection:
            connection.execute(sql)
    finally:
        connection.close()


def _files(place: SqlitePlace) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(place.path.parent.iterdir()))


async def try_open(store: SqliteStore) -> None:
    """Open and, if that is not refused as it should be, close: a connection left open would keep the test run from ending."""
    async with opened(store):
        pass


def test_it_is_a_store(place: SqlitePlace) -> None:
    store: Store = place.store()  # mypy holds this to the seam
    assert isinstance(store, SqliteStore)


class TestFile:
    async def test_folder_and_files_are_the_owners_alone_whatever_the_umask(self, tmp_path: Path) -> None:
        old = os.umask(0)
        try:
            path = tmp_path / "a" / "b" / "dragoman.db"
            async with opened(SqliteStore(path)) as store:
                await accept(store, message("q"))
                modes = {file.name: S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
            assert S_IMODE((tmp_path / "a").stat().st_mode) == S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700
            assert set(modes) >= {"dragoman.db", "dragoman.db-wal", "dragoman.db-lock"}
            assert set(modes.values()) == {0o600}
        finally:
            os.umask(old)

    async def test_commits_are_durable_and_reads_cannot_write(self, store: SqliteStore) -> None:
        writer, reader = store._file._connection, store._file._reader
        assert writer is not None
        assert reader is not None

        async def pragma(connection: object, name: str) -> object:
            ((value,),) = await connection.execute_fetchall(f"PRAGMA {name}")  # type: ignore[attr-defined]  # an aiosqlite connection
            return value

        assert [await pragma(writer, name) for name in ("journal_mode", "synchronous", "foreign_keys")] == ["wal", 2, 1]
        assert await pragma(reader, "query_only") == 1

    async def test_closing_leaves_one_file_and_the_lock(self, place: SqlitePlace) -> None:
        async with opened(place.store()) as store:
            await accept(store, message("q"))
        assert {file.name for file in place.path.parent.iterdir()} == {"dragoman.db", "dragoman.db-lock"}

    async def test_a_closed_store_can_be_opened_again_but_an_open_one_not(self, place: SqlitePlace) -> None:
        store = place.store()
        for key in "ab":
            async with opened(store):
                await accept(store, message(key))
                with pytest.raises(StoreError, match="open already"):
                    await store.open()
                assert await store.accept(message(key)) is None

    async def test_an_expired_reply_route_is_removed_from_the_file(self, place: SqlitePlace) -> None:
        async with opened(place.store()) as store:
            await accept(store, command("c1", route=ReplyRoute("old", place.now() + 900)))
            place.now.seconds += 900
            await accept(store, command("c2", route=ReplyRoute("newer", place.now() + 900)))
            assert rows(place, "SELECT value FROM interaction") == [("newer",)]
            place.now.seconds += 900
        async with opened(place.store()):
            assert rows(place, "SELECT value FROM interaction") == []

    async def test_a_late_edit_is_recorded_beside_the_text(self, store: SqliteStore, place: SqlitePlace) -> None:
        await ask(store, "q")
        await store.edit_entry(HERE, "m-q", "better")
        assert rows(place, "SELECT content, edited FROM entry") == [("q", "better")]

    async def test_of_late_edits_the_newest_by_its_version_is_recorded(self, store: SqliteStore, place: SqlitePlace) -> None:
        await ask(store, "q")
        for text, version in (("second", 20), ("first", 10), ("of unknown age", 0)):
            assert not await store.edit_entry(HERE, "m-q", text, version)
        assert rows(place, "SELECT content, edited FROM entry") == [("q", "second")]

    async def test_usage_is_recorded_with_the_answer(self, store: SqliteStore, place: SqlitePlace) -> None:
        turn = await ask(store, "q")
        await store.answered(turn, reply("a", usage='{"tokens": 3}'))
        assert rows(place, "SELECT turn, provider, model, amounts FROM usage") == [(turn.id, "modelslab", "model", '{"tokens": 3}')]

    async def test_stop_signals_of_closed_turns_are_let_go(self, store: SqliteStore) -> None:
        for key in ("a", "b"):
            turn = await ask(store, key)
            store.stop_signal(turn.id)
            await store.stop(turn.conversation)
            await store.close(turn, TurnState.STOPPED)
        assert store._lanes._signals == {}


class TestRemoval:
    async def test_what_was_forgotten_is_in_no_file_any_more(self, store: SqliteStore, place: SqlitePlace) -> None:
        canary = b"canary-4f1d"
        for number in range(30):
            await accept(store, message(f"q{number}", text="canary-4f1d " + "x" * 200 * number))
            turn = await claim(store, 1)
            await store.answered(turn, reply("canary-4f1d " * 20 * number, state=memory("canary-4f1d"), usage='{"tokens": 3}'))
            await store.close(turn, TurnState.DONE, error="canary-4f1d")
        assert canary in _files(place)
        event = (await accept(store, command("f"))).event
        await store.forget(1, before=event)
        after: int | None = 0
        while after is not None:
            after = (await store.sweep(1, older_than=None, after=after, limit=7)).resume
        assert await store.scrub()
        assert canary not in _files(place)
        assert rows(place, "SELECT COUNT(*) FROM usage") == [(30,)]

    async def test_a_backup_that_reads_is_not_waited_for(self, place: SqlitePlace, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("storage.sqlite.BUSY_TIMEOUT_MS", 3_600_000)  # who waited for the reader would wait for ever
        async with opened(place.store()) as store:
            await exchange(store, "q")
            reader = sqlite3.connect(place.path, isolation_level=None)
            try:
                reader.execute("BEGIN")
                reader.execute("SELECT COUNT(*) FROM event").fetchall()
                await exchange(store, "q2")
                assert not await store.scrub()
                reader.execute("COMMIT")
            finally:
                reader.close()
            assert await store.scrub()
            assert (place.path.parent / "dragoman.db-wal").stat().st_size == 0


class TestLock:
    async def test_a_second_store_is_refused_and_the_error_names_the_file(self, store: SqliteStore, place: SqlitePlace) -> None:
        with pytest.raises(StoreUnavailableError, match="Another Dragoman") as refusal:
            await try_open(place.store())
        assert str(place.path) in str(refusal.value)
        assert str(os.getpid()) in str(refusal.value)
        await accept(store, message("the first one goes on"))

    async def test_another_name_of_the_file_is_the_same_file(self, store: SqliteStore, place: SqlitePlace, tmp_path: Path) -> None:
        (tmp_path / "alias").symlink_to(place.path.parent)
        with pytest.raises(StoreUnavailableError, match="Another Dragoman"):
            await try_open(SqliteStore(tmp_path / "alias" / place.path.name))

    async def test_after_closing_it_is_free(self, place: SqlitePlace) -> None:
        for key in "ab":
            async with opened(place.store()) as store:
                await accept(store, message(key))

    async def test_a_refused_open_holds_nothing(self, place: SqlitePlace) -> None:
        async with opened(place.store()):
            pass
        change(place, "INSERT INTO schema_version VALUES (99, 0)")
        with pytest.raises(SchemaTooNewError):
            await try_open(place.store())
        change(place, "DELETE FROM schema_version WHERE version = 99")
        async with opened(place.store()):
            pass

    async def test_another_process_keeps_it_until_killed_and_what_it_accepted_is_there(self, place: SqlitePlace) -> None:
        script = (
            "import asyncio, sys\n"
            "from storage.sqlite import SqliteStore\n"
            "from tests.support.stores import accept, message\n"
            "async def main():\n"
            "    store = SqliteStore(sys.argv[1])\n"
            "    await store.open()\n"
            "    for i in range(20):\n"
            "        await accept(store, message(str(i)))\n"
            "    print('accepted', flush=True)\n"
            "    await asyncio.sleep(60)\n"
            "asyncio.run(main())\n"
        )
        other = await asyncio.create_subprocess_exec(sys.executable, "-c", script, place.path, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        try:
            assert other.stdout is not None
            assert await other.stdout.readline() == b"accepted\n"
            with pytest.raises(StoreUnavailableError, match=f"Another Dragoman \\(process {other.pid}\\)"):
                await try_open(place.store())
        finally:
            other.kill()
            await other.wait()
        async with opened(place.store()) as store:
            assert await store.counts(1) == (20, 20)
            assert await store.accept(message("19")) is None


class TestSchema:
    async def test_a_newer_schema_is_refused_with_what_to_do(self, place: SqlitePlace) -> None:
        async with opened(place.store()):
            pass
        newest = len(migrations())
        change(place, "INSERT INTO schema_version SELECT MAX(version) + 1, 0 FROM schema_version")
        with pytest.raises(SchemaTooNewError, match=f"has schema {newest + 1}.*newer version") as refusal:
            await try_open(place.store())
        assert str(place.path) in str(refusal.value)

    async def test_each_migration_is_noted_once(self, place: SqlitePlace) -> None:
        for _ in range(2):
            async with opened(place.store()):
                assert rows(place, "SELECT version, applied_at FROM schema_version") == [
                    (migration.version, place.now()) for migration in migrations()
                ]

    async def test_a_migration_that_fails_half_way_leaves_nothing(self, place: SqlitePlace) -> None:
        place.path.parent.mkdir()
        change(place, "CREATE TABLE delivery (somebody_elses TEXT)")
        with pytest.raises(StoreError, match="delivery already exists"):
            await try_open(place.store())
        assert rows(place, "SELECT name FROM sqlite_master WHERE type = 'table'") == [("delivery",)]
        change(place, "DROP TABLE delivery")
        async with opened(place.store()) as store:
            await accept(store, message("q"))


class TestTrouble:
    async def test_a_file_that_is_no_database_is_refused(self, place: SqlitePlace) -> None:
        place.path.parent.mkdir()
        place.path.write_bytes(b"Dear diary, " * 1000)
        with pytest.raises(StoreUnavailableError, match="is no database"):
            await try_open(place.store())
        assert place.path.read_bytes().startswith(b"Dear diary")

    async def test_a_path_that_cannot_be_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreUnavailableError, match=r"can't be opened: Not a directory\. Check the path"):
            await try_open(SqliteStore(tmp_path / "file" / "dragoman.db"))
        with pytest.raises(StoreUnavailableError, match="Is a directory"):
            await try_open(SqliteStore(tmp_path))

    async def test_a_full_disk_is_told_and_once_there_is_room_it_goes_on(self, store: SqliteStore) -> None:
        turn = await ask(store, "q")
        writer = store._file._connection
        assert writer is not None
        ((pages,),) = await writer.execute_fetchall("PRAGMA page_count")
        await writer.execute_fetchall(f"PRAGMA max_page_count = {pages}")  # SQLite's own answer is the one of a full disk
        with pytest.raises(StoreUnavailableError, match="The disk is full"):
            await store.answered(turn, reply("long " * 20_000))
        assert await read(store, turn) == ["q"]
        await writer.execute_fetchall("PRAGMA max_page_count = 1000000")
        assert await store.answered(turn, reply("long " * 20_000))

    async def test_on_a_full_disk_a_unit_that_fits_is_still_committed(self, store: SqliteStore) -> None:
        turn = await ask(store, "q")
        writer = store._file._connection
        assert writer is not None
        ((pages,),) = await writer.execute_fetchall("PRAGMA page_count")
        await writer.execute_fetchall(f"PRAGMA max_page_count = {pages}")
        small, large = await asyncio.gather(
            store.put_setting("s", "k", "v"),
            store.answered(turn, reply("long " * 20_000)),
            return_exceptions=True,
        )
        assert small is None
        assert isinstance(large, StoreUnavailableError)
        assert await store.settings(["s"]) == {"s": {"k": "v"}}

    async def test_a_read_only_database_is_told(self, store: SqliteStore) -> None:
        writer = store._file._connection
        assert writer is not None
        await writer.execute_fetchall("PRAGMA query_only = ON")
        with pytest.raises(StoreUnavailableError, match="is read-only"):
            await store.accept(message("q"))
        await writer.execute_fetchall("PRAGMA query_only = OFF")
        await accept(store, message("q"))

    async def test_a_database_locked_by_another_program_is_told(self, store: SqliteStore, place: SqlitePlace) -> None:
        writer = store._file._connection
        assert writer is not None
        await writer.execute_fetchall("PRAGMA busy_timeout = 10")
        shell = sqlite3.connect(place.path, isolation_level=None)
        try:
            shell.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailableError, match=r"keeps the database .* locked"):
                await store.accept(message("q"))
            assert await store.open_events() == []
            shell.execute("ROLLBACK")
        finally:
            shell.close()
        await accept(store, message("q"))

    async def test_a_damaged_database_is_told(self, place: SqlitePlace) -> None:
        async with opened(place.store()) as store:
            for i in range(50):
                await exchange(store, str(i))
        size = place.path.stat().st_size
        with place.path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xff" * (size - 4096))
        with pytest.raises(StoreUnavailableError, match="damaged"):
            async with opened(place.store()) as store:
                await store.accept(message("q"))

    def test_an_error_without_a_code_is_told_as_it_is(self) -> None:
        told = explain(sqlite3.ProgrammingError("Cannot operate on a closed database."), Path("x.db"))
        assert str(told) == "The database x.db refused a statement: Cannot operate on a closed database."

    async def test_an_outage_in_a_drain_ends_nothing(self, store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
        writer = store._file._connection
        assert writer is not None
        done: list[int] = []
        await accept(store, message("q"))
        await writer.execute_fetchall("PRAGMA query_only = ON")

        async def work(turn: Turn) -> None:
            done.append(turn.id)

        with caplog.at_level(logging.ERROR):
            async with running(store, drainer(store, work)):
                await eventually(lambda: "draining conversation" in caplog.text)
                await writer.execute_fetchall("PRAGMA query_only = OFF")
                await eventually(lambda: len(done) == 1)
        assert "is read-only" in caplog.text


async def test_a_claim_and_its_transcript_cost_the_same_however_much_is_stored(store: SqliteStore, place: SqlitePlace) -> None:
    """Counted in SQLite's own steps, so that no clock is needed. A conversation with 20,000 entries, half of them before a reset."""
    await exchange(store, "first")
    small = await _steps(store, "small")
    fill = sqlite3.connect(place.path)
    try:
        with fill:
            for start, reset in ((10, True), (10_010, False)):
                _fill(fill, start, 5_000)
                if reset:
                    fill.execute("UPDATE conversation SET reset_seq = next_seq - 1 WHERE id = 1")
    finally:
        fill.close()
    assert await _steps(store, "large") <= small * 2.0
    await store.reset(1)
    assert await _steps(store, "after the reset") <= small * 1.2


def _fill(connection: sqlite3.Connection, start: int, turns: int) -> None:
    """Add answered turns to conversation 1, as rows."""
    ids = range(start, start + turns)
    ((seq,),) = connection.execute("SELECT next_seq FROM conversation WHERE id = 1")
    connection.executemany(
        "INSERT INTO event (id, key, kind, chat, conversation, payload, received_at, finished_at) VALUES (?, ?, 'message', 1, 1, '', 0, 0)",
        [(i, f"fill-{i}") for i in ids],
    )
    connection.executemany(
        "INSERT INTO turn (id, conversation, seq, event, chat, state, attempt, stop_requested, accepted_at) "
        "VALUES (?, 1, ?, ?, 1, 'done', 1, 0, 0)",
        [(i, seq + offset, i) for offset, i in enumerate(ids)],
    )
    connection.executemany(
        "INSERT INTO entry (turn, role, content, chat, superseded, created_at) VALUES (?, ?, '', 1, 0, 0)",
        [(i, role) for i in ids for role in ("user", "assistant")],
    )
    connection.execute("UPDATE conversation SET next_seq = ? WHERE id = 1", (seq + turns,))


async def _steps(store: SqliteStore, key: str) -> int:
    """Count the steps of accepting a question, claiming it and reading up to two entries for it."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    connections = [connection for connection in (store._file._connection, store._file._reader) if connection is not None]
    for connection in connections:
        await connection.set_progress_handler(count, 1)
    turn = await ask(store, key)
    await store.transcript(turn, 2)
    await store.last_entry(turn.conversation, turn.id)
    for connection in connections:
        await connection.set_progress_handler(count, 0)
    await store.answered(turn, reply(key))
    await store.close(turn, TurnState.DONE)
    return steps
