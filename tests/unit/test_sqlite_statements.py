"""queries.sql and schema/: well-formed, described, used, and answered from an index."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

import storage
from storage.statements import Statement, for_sqlite, migrations, parse, statements

SOURCES = Path(storage.__file__).parent
MAY_SCAN = {"schema_version", "conversations_open", "events_open", "unreadable_count", "unreadable_newest", "interrupted_count"}
MAY_SCAN |= {"troubles_wanted", "parked_count", "parked_newest", "parked_want_all", "marks"}
"""The first has a handful of rows; the others walk an index of what is open, not readable, interrupted, parked or marked."""


@pytest.fixture(scope="module")
def schema() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    try:
        for migration in migrations():
            connection.executescript(for_sqlite(migration.sql))
        yield connection
    finally:
        connection.close()


@pytest.mark.parametrize("statement", statements().values(), ids=lambda statement: statement.name)
class TestEveryStatement:
    def test_it_fits_the_schema_and_walks_no_whole_table(self, statement: Statement, schema: sqlite3.Connection) -> None:
        plan = schema.execute(f"EXPLAIN QUERY PLAN {for_sqlite(statement.sql)}", [None] * statement.parameters).fetchall()
        scans = [step[3] for step in plan if step[3].startswith("SCAN") and "CONSTANT ROW" not in step[3]]
        if statement.name in MAY_SCAN:
            assert all("USING" in scan or scan == "SCAN schema_version" for scan in scans)
        else:
            assert scans == []

    def test_it_sorts_nothing_that_grows(self, statement: Statement, schema: sqlite3.Connection) -> None:
        plan = schema.execute(f"EXPLAIN QUERY PLAN {for_sqlite(statement.sql)}", [None] * statement.parameters).fetchall()
        if statement.name not in {"conversations_open", "entry_find"}:  # what is open; the entries of one message
            assert not [step[3] for step in plan if "TEMP B-TREE" in step[3]]

    def test_its_parameters_are_numbered_without_a_gap(self, statement: Statement) -> None:
        used = {int(number) for number in re.findall(r"\$(\d+)", statement.sql)}
        assert used == set(range(1, statement.parameters + 1))

    def test_it_is_one_statement_with_a_sentence_about_it(self, statement: Statement) -> None:
        assert statement.description.endswith(".")
        assert ";" not in statement.sql

    def test_open_is_always_spelt_the_way_the_partial_index_has_it(self, statement: Statement) -> None:
        for listed in re.findall(r"state IN \([^)]*\)", statement.sql):
            assert listed == "state IN ('accepted', 'generating', 'answered')"

    def test_something_uses_it(self, statement: Statement) -> None:
        code = "".join(path.read_text(encoding="utf-8") for path in SOURCES.glob("*.py"))
        assert f'"{statement.name}"' in code


def test_no_sql_hides_in_the_code() -> None:
    for path in SOURCES.glob("*.py"):
        assert not re.search(r"\b(SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM|CREATE TABLE)\b", path.read_text(encoding="utf-8")), (
            path.name
        )


def test_the_partial_index_finds_what_is_open(schema: sqlite3.Connection) -> None:
    for name in ("turn_claim", "turn_first_open", "turns_stop_running", "turns_stop_open", "turns_count_open", "conversations_open"):
        sql = for_sqlite(statements()[name].sql)
        plan = schema.execute(f"EXPLAIN QUERY PLAN {sql}", [None] * statements()[name].parameters).fetchall()
        assert any("turn_open" in step[3] for step in plan), name


def test_migrations_are_numbered_from_one() -> None:
    assert [migration.version for migration in migrations()] == list(range(1, len(migrations()) + 1))


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="one is there twice"):
        parse("-- name: one\n-- It.\nSELECT 1;\n-- name: one\n-- It.\nSELECT 2;\n")


@pytest.mark.parametrize("text", ["-- name: bare\nSELECT 1;\n", "-- name: bare\n-- Only words.\n"])
def test_a_statement_without_words_or_sql_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="bare needs"):
        parse(text)


def test_parameters_and_identity_are_rewritten_for_sqlite() -> None:
    assert for_sqlite("id IDENTITY_KEY, a = $1 AND b = $12") == "id INTEGER PRIMARY KEY AUTOINCREMENT, a = ?1 AND b = ?12"
