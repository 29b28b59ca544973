"""The named statements of queries.sql and the numbered migrations of schema/, and their rewriting for a driver.

A statement is a line ``-- name: NAME``, one or more comment lines that say what it is for, and the SQL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from types import MappingProxyType

IDENTITY = "IDENTITY_KEY"
"""Stands in the schema where a driver puts its spelling of a primary key that counts by itself and never repeats a number."""

_NAME = re.compile(r"^-- name:[ ]*(\w+)[ ]*$", re.MULTILINE)
_PARAMETER = re.compile(r"\$(\d+)")
_MIGRATION = re.compile(r"^(\d{3})_\w+\.sql$")


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of queries.sql, its parameters written ``$1``, ``$2``, …."""

    name: str
    description: str
    sql: str

    @property
    def parameters(self) -> int:
        """Count the arguments it takes."""
        return max((int(number) for number in _PARAMETER.findall(self.sql)), default=0)


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the schema, from `version` - 1 to `version`."""

    version: int
    name: str
    sql: str


def statements() -> Mapping[str, Statement]:
    """Read queries.sql.

    Raises:
        ValueError: A name stands twice, or a statement lacks its description.
    """
    return parse(files("storage").joinpath("queries.sql").read_text(encoding="utf-8"))


def parse(text: str) -> Mapping[str, Statement]:
    """Take named statements apart; what stands before the first name is a preface. Errors as for `statements`."""
    _, *pieces = _NAME.split(text)
    found: dict[str, Statement] = {}
    for name, body in zip(pieces[::2], pieces[1::2], strict=True):
        lines = body.strip().splitlines()
        comments = [line.removeprefix("--").strip() for line in lines if line.startswith("--")]
        sql = "\n".join(line for line in lines if not line.startswith("--")).rstrip().rstrip(";")
        if name in found:
            raise ValueError(f"The statement {name} is there twice")
        if not comments or not sql:
            raise ValueError(f"The statement {name} needs a comment that says what it is for, and SQL")
        found[name] = Statement(name, " ".join(comments), sql)
    return MappingProxyType(found)


def migrations() -> Sequence[Migration]:
    """Read the migrations in order.

    Raises:
        ValueError: The numbers have a gap or don't start at 1.
    """
    paths = files("storage.schema").iterdir()
    named = [(match, path) for path in paths if (match := _MIGRATION.match(path.name))]
    found = [Migration(int(match[1]), path.name, path.read_text(encoding="utf-8")) for match, path in named]
    found.sort(key=lambda migration: migration.version)
    if [migration.version for migration in found] != list(range(1, len(found) + 1)):
        raise ValueError("The migrations are not numbered 001, 002, … without a gap")
    return found


def for_sqlite(sql: str) -> str:
    """Rewrite ``$1`` to ``?1`` and the identity key to SQLite's, which without AUTOINCREMENT repeats the number of a deleted last row."""
    return _PARAMETER.sub(r"?\1", sql).replace(IDENTITY, "INTEGER PRIMARY KEY AUTOINCREMENT")
