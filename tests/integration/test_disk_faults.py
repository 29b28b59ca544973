"""A disk that is full, read-only, locked or damaged: a clear sentence, nothing confirmed that is not committed, recovery once mended."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from bot.bridge import Bridge
from sandbox.outside import Outside
from sandbox.providers import ScriptedVoice
from storage.backup import back_up
from storage.base import StoreUnavailableError
from storage.sqlite import SqliteStore
from tests.support.bridge import CHATS, answers, eventually, running_bridge, until_said
from tests.support.clock import PATIENCE_SECONDS
from tests.support.stores import SqlitePlace, accept, exchange, message, opened

ROOT = Path(__file__).parents[2]
APART = ("unshare", "--user", "--map-root-user", "--mount")


# ------------------------------------------------------------------------------------------------ real file systems


async def scene(what: str, folder: Path) -> dict[str, Any]:
    """Let something happen on a disk of its own; see `tests.support.small_disk`."""
    if shutil.which("unshare") is None:
        pytest.skip("no `unshare` here, so no disk of its own can be had")
    trial = await asyncio.create_subprocess_exec(*APART, "true", stderr=asyncio.subprocess.DEVNULL)
    if await trial.wait():
        pytest.skip("this machine gives no mounts of its own to this user")
    process = await asyncio.create_subprocess_exec(
        *APART, sys.executable, "-m", "tests.support.small_disk", what, folder, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 1.5 * PATIENCE_SECONDS)
    assert process.returncode == 0
    seen: dict[str, Any] = json.loads(out)
    return seen


async def test_a_disk_that_runs_full_refuses_what_does_not_fit_and_keeps_what_was_accepted(tmp_path: Path) -> None:
    seen = await scene("full", tmp_path)
    assert "The disk is full" in seen["told"]
    assert "Free some space" in seen["told"]
    assert seen["again"] == seen["told"]
    assert seen["readable"]
    assert seen["mended"]
    assert seen["known"]
    assert seen["accepted"] == seen["entries"] == seen["turns"] > 100


async def test_a_disk_full_at_start_is_told_and_with_room_it_starts(tmp_path: Path) -> None:
    seen = await scene("full_at_start", tmp_path)
    assert "The disk is full" in seen["told"]
    assert seen["mended"]


async def test_a_disk_that_runs_full_under_the_running_bridge_loses_nothing_and_with_room_every_question_is_answered_once(
    tmp_path: Path,
) -> None:
    seen = await scene("full_bridge", tmp_path)
    assert "Free some space" in seen["told"]
    assert seen["unconfirmed"], "Telegram was told that the bridge has them"
    assert all(len(answered) < 4 for answered in seen["answered while full"])


async def test_a_file_system_that_is_read_only_at_start_is_told_and_mended_it_has_everything(tmp_path: Path) -> None:
    seen = await scene("read_only", tmp_path)
    assert "is read-only. Give the user that runs Dragoman the right to write it" in seen["told"]
    assert seen["known"]


# ------------------------------------------------------------------------------------------------ another program


@asynccontextmanager
async def locked(database: Path) -> AsyncIterator[None]:
    """Another process holds the database exclusively."""
    script = (
        "import sqlite3, sys\n"
        "connection = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "connection.execute('BEGIN EXCLUSIVE')\n"
        "print('locked', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", script, database, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"locked\n"
        yield
    finally:
        await process.communicate(b"")


async def test_a_database_locked_by_another_program_at_start_is_told_and_let_go_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.sqlite.BUSY_TIMEOUT_MS", 50)
    place = SqlitePlace(tmp_path)
    async with opened(place.store()) as store:
        await accept(store, message("q"))
    async with locked(place.path):
        with pytest.raises(StoreUnavailableError, match=r"Another program keeps the database .* locked\. Close it"):
            await place.store().open()
    async with opened(place.store()) as store:
        assert await store.accept(message("q")) is None


# ------------------------------------------------------------------------------------------------ a damaged file


@pytest.mark.parametrize("where", ["its first page", "the rest"])
async def test_a_damaged_database_is_told_and_a_backup_in_its_place_goes_on(tmp_path: Path, where: str) -> None:
    place = SqlitePlace(tmp_path)
    async with opened(place.store()) as store:
        for number in range(100):
            await exchange(store, f"q{number}")
        back_up(place.path, tmp_path / "b.db")
    with place.path.open("r+b") as file:
        file.seek(100 if where == "its first page" else 4096)
        file.write(b"\xa5" * (3000 if where == "its first page" else place.path.stat().st_size - 4096))
    with pytest.raises(StoreUnavailableError, match=r"is damaged\. Restore a backup"):
        async with opened(place.store()) as store:
            await store.accept(message("next"))
    shutil.copy(tmp_path / "b.db", place.path)
    async with opened(place.store()) as store:
        assert await store.accept(message("q99")) is None
        assert await store.accept(message("next")) is not None


async def test_bytes_that_go_bad_while_it_runs_are_told_and_nothing_is_taken_for_committed(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    async with opened(place.store()) as store:
        for number in range(100):
            await exchange(store, f"q{number}")
        assert await store.scrub()  # all of it is in the file, nothing in the log
        with place.path.open("r+b") as file:
            file.seek(4096)
            file.write(b"\xa5" * (place.path.stat().st_size - 4096))
        for connection in (store._file._connection, store._file._reader):  # type: ignore[attr-defined]  # the embedded store's
            await connection.execute_fetchall("PRAGMA shrink_memory")  # what a long life does by itself: pages are read anew
        with pytest.raises(StoreUnavailableError, match="is damaged"):
            await store.accept(message("next"))


# ------------------------------------------------------------------------------------------------ the whole bridge

Fault = Callable[[Bridge, Path], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def lock(_: Bridge, database: Path) -> AsyncIterator[None]:
    async with locked(database):
        yield


@asynccontextmanager
async def no_room(bridge: Bridge, _: Path) -> AsyncIterator[None]:
    """SQLite may take no page more: its answer is the one of a full disk."""
    connection = writer(bridge)
    ((pages,),) = await connection.execute_fetchall("PRAGMA page_count")
    await connection.execute_fetchall(f"PRAGMA max_page_count = {pages}")
    yield
    await connection.execute_fetchall("PRAGMA max_page_count = 1000000")


@asynccontextmanager
async def no_right(bridge: Bridge, _: Path) -> AsyncIterator[None]:
    connection = writer(bridge)
    await connection.execute_fetchall("PRAGMA query_only = ON")
    yield
    await connection.execute_fetchall("PRAGMA query_only = OFF")


def writer(bridge: Bridge) -> Any:
    assert isinstance(bridge.store, SqliteStore)
    return bridge.store._file._connection


FAULTS: dict[str, tuple[Fault, str]] = {
    "locked": (lock, "Another program keeps the database"),
    "full": (no_room, "The disk is full"),
    "read-only": (no_right, "is read-only"),
}


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside(voice=ScriptedVoice()) as outside:
        yield outside


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_what_is_written_during_a_fault_of_the_disk_is_not_acknowledged_and_answered_once_when_it_is_mended(
    *, outside: Outside, tmp_path: Path, platform: str, fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("storage.sqlite.BUSY_TIMEOUT_MS", 50)
    broken, sentence = FAULTS[fault]
    caplog.set_level(logging.WARNING)
    chat = CHATS[platform](outside)
    questions = [f"question {number} {'word ' * 300}".strip() for number in range(4)]
    async with running_bridge(outside, tmp_path / "d.db") as bridge:
        await chat.say("before")
        await until_said(chat, "heard: before")
        async with broken(bridge, tmp_path / "d.db"):
            for question in questions:
                await chat.say(question)
            await eventually(lambda: sentence in caplog.text, "a clear sentence in the log")
            await asyncio.sleep(0.3)
            assert stored(tmp_path / "d.db") < 1 + len(questions)
            if platform == "telegram":
                assert outside.telegram._updates.pending, "confirmed and not committed"
        await until_said(chat, f"heard: {questions[-1]}"[:40])
        await eventually(lambda: answers(chat) == [0, 1, 2, 3], "every question answered once, in order")
    assert "word word" not in caplog.text
    assert stored(tmp_path / "d.db") == 1 + len(questions)


def stored(database: Path) -> int:
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT COUNT(*) FROM event WHERE kind = 'message'").fetchone()[0])
    finally:
        connection.close()


# ------------------------------------------------------------------------------------------------ rights


@pytest.mark.skipif(os.getuid() == 0, reason="rights of files do not bind root; the read-only file system above binds it, too")
async def test_a_file_without_the_right_to_write_is_told(tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    async with opened(place.store()):
        pass
    place.path.chmod(0o400)
    with pytest.raises(StoreUnavailableError, match=r"Permission denied\. Check the path and who may write there"):
        await place.store().open()
