"""Group commit: many units, one transaction, none the victim of another."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import pytest

from storage import reader as reader_module
from storage import writer as writer_module
from storage.base import Owner, OwnerKind, StoreError, Turn
from storage.connection import Connection
from storage.reader import Reader
from storage.sqlite import SqliteStore
from storage.tx import Tx
from storage.usage import Amounts, Reservation
from storage.writer import LARGEST_GROUP
from tests.support.clock import PATIENCE_SECONDS
from tests.support.stores import SqlitePlace, accept, claim, drainer, eventually, message, opened, running


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqlitePlace(tmp_path).store()
    async with opened(store):
        yield store


async def commits(store: SqliteStore) -> list[str]:
    """Collect the statements that begin and end transactions from here on."""
    seen: list[str] = []
    connection = store._file._connection
    assert connection is not None
    await connection.set_trace_callback(lambda sql: seen.append(sql) if sql in {"BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"} else None)
    return seen


async def put(tx: Tx, key: str) -> str:
    await tx.fetch("setting_put", "s", key, "v")
    return key


async def put_and_fail(tx: Tx, key: str) -> str:
    await put(tx, key)
    raise LookupError(key)


async def put_and_break_a_rule(tx: Tx, key: str) -> str:
    await put(tx, key)
    await tx.fetch("usage_insert", 404, "p", "m", "{}", 0.0)
    return key


async def test_what_lies_behind_the_row_that_was_enough_is_not_read(tmp_path: Path) -> None:
    """Of rows without end, which nothing else could read."""
    connection = await Connection(lambda: sqlite3.connect(tmp_path / "x.db"), iter_chunk_size=1).open()
    try:
        connection.row_factory = sqlite3.Row
        endless = "WITH RECURSIVE number (n) AS (SELECT ? UNION ALL SELECT n + 1 FROM number) SELECT n FROM number"
        rows = await Reader(connection).fetch(endless, (5,), lambda row: bool(row["n"] >= 8))
        assert [row["n"] for row in rows] == [5, 6, 7, 8]
    finally:
        await connection.close()


async def test_units_that_queue_up_are_committed_together(store: SqliteStore) -> None:
    seen = await commits(store)
    await asyncio.gather(*(store.put_setting("s", str(i), "v") for i in range(100)))
    assert seen == ["BEGIN IMMEDIATE", "COMMIT"]


async def test_a_group_is_bounded(store: SqliteStore) -> None:
    seen = await commits(store)
    await asyncio.gather(*(store.put_setting("s", str(i), "v") for i in range(LARGEST_GROUP * 2 + 1)))
    assert seen.count("COMMIT") == 3


@pytest.mark.parametrize(("bad", "error"), [(put_and_fail, LookupError), (put_and_break_a_rule, StoreError)])
async def test_a_failing_unit_is_undone_alone_and_told_alone(
    store: SqliteStore, bad: Callable[[Tx, str], Awaitable[str]], error: type[Exception]
) -> None:
    seen = await commits(store)
    fns = {"a": put, "b": bad, "c": put, "d": bad, "e": put}
    results = await asyncio.gather(
        *(store._file.unit(lambda tx, fn=fn, key=key: fn(tx, key)) for key, fn in fns.items()),  # type: ignore[misc]  # mypy can't infer a lambda with a default
        return_exceptions=True,
    )
    assert [results[i] for i in (0, 2, 4)] == ["a", "c", "e"]
    assert all(isinstance(results[i], error) for i in (1, 3))
    assert await store.settings(["s"]) == {"s": {"a": "v", "c": "v", "e": "v"}}
    assert seen == ["BEGIN IMMEDIATE", "COMMIT"]


async def test_what_a_failing_unit_wanted_to_set_in_motion_stays_still(store: SqliteStore) -> None:
    woken: list[int] = []

    async def drain(conversation: int) -> None:
        woken.append(conversation)

    async def wake_and_fail(tx: Tx) -> None:
        await tx.wake(1)
        await tx.interrupt(1)
        raise LookupError

    async def wake(tx: Tx) -> None:
        await tx.wake(2)

    async with running(store, drain):
        await asyncio.sleep(0.01)
        with pytest.raises(LookupError):
            await store._file.unit(wake_and_fail)
        await store._file.unit(wake)
        await eventually(lambda: woken == [2])
    assert not store.stop_signal(1).is_set()


async def test_results_arrive_in_the_order_of_the_units_and_after_the_commit(store: SqliteStore) -> None:
    connection = store._file._connection
    assert connection is not None
    told: list[int] = []
    inside: list[bool] = []

    async def one(i: int) -> None:
        await store.put_setting("s", str(i), "v")
        told.append(i)
        inside.append(connection.in_transaction)

    await asyncio.gather(*(one(i) for i in range(50)))
    assert told == list(range(50))
    assert not any(inside)


async def test_a_transaction_that_is_lost_fails_every_unit_of_it_and_the_next_one_works(store: SqliteStore) -> None:
    async def lose(tx: Tx) -> None:
        await put(tx, "lost")
        tx._raw.execute("ROLLBACK")  # type: ignore[attr-defined]  # as SQLite does by itself on some I/O errors
        raise sqlite3.OperationalError("disk I/O error")

    results = await asyncio.gather(
        store.put_setting("s", "before", "v"),
        store._file.unit(lose),
        store.put_setting("s", "after", "v"),
        return_exceptions=True,
    )
    assert all(isinstance(result, StoreError) for result in results)
    assert await store.settings(["s"]) == {"s": {}}
    await store.put_setting("s", "next", "v")
    assert await store.settings(["s"]) == {"s": {"next": "v"}}


async def test_a_unit_that_waits_for_something_else_is_told_so_and_leaves_nothing_behind(store: SqliteStore) -> None:
    async def dally(tx: Tx) -> None:
        await put(tx, "dallied")
        await asyncio.sleep(0)

    results = await asyncio.gather(store.put_setting("s", "before", "v"), store._file.unit(dally), return_exceptions=True)
    assert isinstance(results[1], TypeError)
    assert await store.settings(["s"]) == {"s": {"before": "v"}}


async def test_a_group_goes_to_the_thread_of_the_connection_in_one_piece(store: SqliteStore, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs: list[object] = []
    real = Connection.work

    async def work(self: Connection, job: Callable[[sqlite3.Connection], object]) -> object:
        jobs.append(job)
        return await real(self, job)

    monkeypatch.setattr(Connection, "work", work)
    await asyncio.gather(*(store.put_setting("s", str(i), "v") for i in range(20)))
    assert len(jobs) == 1


async def test_a_cancelled_caller_does_not_take_its_unit_back_or_disturb_others(store: SqliteStore) -> None:
    tasks = [asyncio.create_task(store.put_setting("s", str(i), "v")) for i in range(3)]
    await asyncio.sleep(0)
    tasks[1].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[1], asyncio.CancelledError)
    assert results[::2] == [None, None]
    assert await store.settings(["s"]) == {"s": {"0": "v", "1": "v", "2": "v"}}


async def test_an_effect_that_fails_does_not_end_the_writer(store: SqliteStore, caplog: pytest.LogCaptureFixture) -> None:
    def broken(conversation: int) -> None:
        raise RuntimeError("a bug")

    store._lanes.wake = broken  # type: ignore[method-assign]  # there is no other way for it to fail
    await accept(store, message("q"))
    assert "set in motion" in caplog.text
    assert (await claim(store, 1)).seq == 1


async def test_accepts_and_drains_under_load_lose_and_repeat_nothing(store: SqliteStore) -> None:
    done: list[tuple[int, int]] = []

    async def work(turn: Turn) -> None:
        done.append((turn.id, turn.attempt))

    async with running(store, drainer(store, work)):
        accepted = await asyncio.gather(*(accept(store, message(str(i))) for i in range(300)))
        await eventually(lambda: len(done) == 300)
    assert done == [(one.turn, 1) for one in accepted]


# ------------------------------------------------------------------------------------------------ the disk


async def waits(store: SqliteStore) -> list[str]:
    """Collect from here on at every commit how it treats the disk: 2 waits for it, 1 does not."""
    seen: list[str] = []
    connection = store._file._connection
    assert connection is not None

    def look(raw: sqlite3.Connection) -> None:
        def trace(sql: str) -> None:
            if sql.startswith("PRAGMA synchronous = "):
                seen.append(sql.removeprefix("PRAGMA synchronous = "))
            elif sql == "COMMIT":
                seen.append("commit")

        raw.set_trace_callback(trace)

    await connection.work(look)
    return seen


async def test_a_claim_does_not_wait_for_the_disk_and_everything_else_does(store: SqliteStore) -> None:
    seen = await waits(store)
    turn = await claim(store, (await accept(store, message("q"))).conversation)
    await store.begin_delivery(Owner(OwnerKind.TURN, turn.id), turn.chat, 0, "n")
    await store.put_setting("s", "k", "v")
    assert seen == ["commit", "NORMAL", "commit", "FULL", "commit", "commit"]


async def test_a_reservation_does_not_wait_either_and_what_settles_it_does(store: SqliteStore) -> None:
    turn = await claim(store, (await accept(store, message("q"))).conversation)
    await store.put_setting("s", "k", "v")
    seen = await waits(store)
    await store.spend(turn, Reservation("alpha", "small", 20_000, ("all",), Amounts(1, 1)))
    await store.settle(turn, Amounts(1, 1), provider="alpha", model="small")
    assert seen == ["NORMAL", "commit", "FULL", "commit"]


async def test_a_group_waits_for_the_disk_if_one_of_its_units_has_to(store: SqliteStore) -> None:
    accepted = await accept(store, message("q"))
    seen = await waits(store)
    await asyncio.gather(store.claim(accepted.conversation), store.put_setting("s", "k", "v"))
    assert seen == ["commit"]


async def test_a_database_that_is_kept_less_strictly_stays_so(tmp_path: Path) -> None:
    async with opened(SqliteStore(tmp_path / "d.db", synchronous="OFF")) as store:
        assert isinstance(store, SqliteStore)
        seen = await waits(store)
        await claim(store, (await accept(store, message("q"))).conversation)
        await store.put_setting("s", "k", "v")
    assert seen[:3] == ["commit"] * 3


# ------------------------------------------------------------------------------------------------ between transactions


async def test_an_errand_runs_between_transactions_in_its_place(store: SqliteStore) -> None:
    seen = await commits(store)
    writer = store._file._writer
    assert writer is not None

    async def look(connection: aiosqlite.Connection) -> bool:
        seen.append("errand")
        return connection.in_transaction

    results = await asyncio.gather(
        *(store.put_setting("s", str(i), "v") for i in range(3)),
        writer.between(look),
        *(store.put_setting("s", str(i), "v") for i in range(3)),
    )
    assert seen == ["BEGIN IMMEDIATE", "COMMIT", "errand", "BEGIN IMMEDIATE", "COMMIT"]
    assert results[3] is False


@pytest.mark.parametrize(("error", "told"), [(LookupError(), LookupError), (sqlite3.OperationalError(), StoreError)])
async def test_an_errand_that_fails_is_told_and_ends_nothing(store: SqliteStore, error: Exception, told: type[Exception]) -> None:
    writer = store._file._writer
    assert writer is not None

    async def fail(_: aiosqlite.Connection) -> None:
        raise error

    with pytest.raises(told):
        await writer.between(fail)
    await store.put_setting("s", "k", "v")


async def test_an_errand_is_done_before_the_writer_ends(store: SqliteStore) -> None:
    writer = store._file._writer
    assert writer is not None
    scrubbed = asyncio.create_task(store.scrub())
    await asyncio.sleep(0)
    await store.aclose()
    assert await scrubbed


# ------------------------------------------------------------------------------------------------ in a rush


@asynccontextmanager
async def rushed(path: Path) -> AsyncIterator[tuple[SqliteStore, list[bool]]]:
    """A store and whether many wait, which can be set."""
    many = [True]
    async with opened(SqliteStore(path, synchronous="OFF", rush=lambda: many[0])) as store:
        assert isinstance(store, SqliteStore)
        yield store, many


async def setting(store: SqliteStore, key: str) -> str | None:
    return (await store.settings(["s"])).get("s", {}).get(key)


async def trickle(store: SqliteStore, count: int) -> None:
    """Write so much, each in a turn of the loop of its own."""
    tasks = []
    for number in range(count):
        tasks.append(asyncio.create_task(store.put_setting("s", str(number), "v")))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)


async def test_units_that_come_one_after_the_other_in_a_rush_are_committed_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rushed(tmp_path / "d.db") as (store, _):
        seen = await commits(store)
        monkeypatch.setattr(writer_module, "GATHER_SECONDS", 3600.0)
        trickling = asyncio.create_task(trickle(store, 10))
        for _ in range(100):
            await asyncio.sleep(0)
        await asyncio.wait_for(store.accept(message("what ends the wait"), alone=True), PATIENCE_SECONDS)
        await asyncio.wait_for(trickling, PATIENCE_SECONDS)
        assert seen.count("COMMIT") == 1
        assert [await setting(store, str(number)) for number in range(10)] == ["v"] * 10


async def test_who_is_alone_waits_for_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rushed(tmp_path / "d.db") as (store, many):
        many[0] = False
        for module in (writer_module, reader_module):
            monkeypatch.setattr(module, "GATHER_SECONDS", 3600.0)
        await asyncio.wait_for(store.put_setting("s", "k", "v"), PATIENCE_SECONDS)
        assert await asyncio.wait_for(setting(store, "k"), PATIENCE_SECONDS) == "v"


async def test_what_people_say_is_taken_in_at_once_in_a_rush_though_one_comes_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rushed(tmp_path / "d.db") as (store, _):
        monkeypatch.setattr(writer_module, "GATHER_SECONDS", 3600.0)
        waits = asyncio.create_task(store.put_setting("s", "k", "v"))
        await asyncio.sleep(0)
        for number in range(3):
            assert await asyncio.wait_for(store.accept(message(f"{number}"), alone=True), PATIENCE_SECONDS)
        await asyncio.wait_for(waits, 5)  # it was taken along
        gathers = asyncio.create_task(store.put_setting("s", "l", "v"))
        for _ in range(10):
            await asyncio.sleep(0.01)
        assert not gathers.done(), "others still wait for each other"
        await asyncio.wait_for(store.accept(message("last"), alone=True), PATIENCE_SECONDS)
        await asyncio.wait_for(gathers, PATIENCE_SECONDS)


async def test_to_close_the_store_waits_for_nobody_in_a_rush(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rushed(tmp_path / "d.db") as (store, _):
        monkeypatch.setattr(writer_module, "GATHER_SECONDS", 3600.0)
        written = asyncio.create_task(store.put_setting("s", "k", "v"))
        await asyncio.sleep(0)
        await asyncio.wait_for(store.aclose(), PATIENCE_SECONDS)
        await written


async def test_reads_in_a_rush_go_to_the_thread_together_and_each_gets_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with rushed(tmp_path / "d.db") as (store, many):
        for number in range(10):
            await store.put_setting("s", str(number), f"v{number}")
        hops: list[int] = []
        work = Connection.work

        async def counted(self: Connection, job: Any) -> Any:
            hops.append(1)
            return await work(self, job)

        monkeypatch.setattr(Connection, "work", counted)
        assert await asyncio.gather(*(setting(store, str(number)) for number in range(10))) == [f"v{n}" for n in range(10)]
        assert len(hops) == 1
        many[0] = False
        await asyncio.gather(*(setting(store, str(number)) for number in range(10)))
        assert len(hops) == 11


async def test_a_read_that_fails_or_is_given_up_in_a_rush_is_its_callers_alone(tmp_path: Path) -> None:
    async with rushed(tmp_path / "d.db") as (store, _):
        await store.put_setting("s", "k", "v")
        reads = store._file._reads
        assert reads is not None
        given_up = asyncio.create_task(setting(store, "k"))
        failing = asyncio.create_task(reads.fetch("SELECT nonsense FROM nowhere", ()))
        good = asyncio.create_task(setting(store, "k"))
        await asyncio.sleep(0)
        given_up.cancel()
        assert await good == "v"
        with pytest.raises(sqlite3.OperationalError, match="nowhere"):
            await failing
        with pytest.raises(asyncio.CancelledError):
            await given_up


async def test_what_is_asked_in_a_rush_is_finished_before_the_file_is_let_go(tmp_path: Path) -> None:
    async with rushed(tmp_path / "d.db") as (store, _):
        written = asyncio.create_task(store.put_setting("s", "k", "v"))
        await asyncio.sleep(0)
        read = asyncio.create_task(setting(store, "other"))
        await asyncio.sleep(0)
        await store.aclose()
        await written
        assert await read is None
        await store.open()
        assert await setting(store, "k") == "v"
