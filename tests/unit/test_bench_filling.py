"""The past that the benchmark of durability writes as rows is one that a store could have written."""

from __future__ import annotations

import asyncio
from pathlib import Path

from bench.durability import Case, address
from bench.filling import TEXT, Past, fill
from bot import transcript
from storage.sqlite import SqliteStore
from tests.support.stores import claim, message, opened


async def test_a_filled_database_is_talked_on_in(tmp_path: Path) -> None:
    file = tmp_path / "d.db"
    async with opened(SqliteStore(file)):
        pass
    await asyncio.to_thread(fill, file, [Past(address("a"), 10), Past(address("b"), 45_000)])
    async with opened(SqliteStore(file)) as store:
        assert [await store.counts(number) for number in (1, 2)] == [(10, 0), (45_000, 0)]
        accepted = await store.accept(message("new", address("b")))
        assert accepted is not None
        turn = await claim(store, accepted.conversation)
        assert turn.seq == 22_501
        entries = await store.transcript(turn, 5)
        assert [entry.content for entry in entries] == [transcript.content(TEXT)] * 4 + ["new"]
        assert [entry.role for entry in entries] == ["user", "assistant", "user", "assistant", "user"]
        assert await store.sweep(1, older_than=0) is not None


async def test_a_case_starts_a_turn_and_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "d.db"
    async with opened(SqliteStore(file)):
        pass
    await asyncio.to_thread(fill, file, [Past(address("a"), 10)])
    async with opened(SqliteStore(file)) as store:
        assert isinstance(store, SqliteStore)
        await Case(store, "a", 10).start()
        assert await store.counts(1) == (12, 0)
