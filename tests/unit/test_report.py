"""`dragoman usage`: read beside the bridge that writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adapters.base import Finished, TextDelta, Usage
from bot.budgets import Budget, Budgets
from bot.cli import main
from bot.model import Sender
from bot.report import usage_table
from storage.base import StoreError
from tests.support.core import World

NOON = 1_795_262_400.0
"""21 November 2026, 12:00 UTC."""


async def test_it_lists_days_and_people_while_the_bridge_runs(tmp_path: Path) -> None:
    now = [NOON]
    world = World(tmp_path, epoch=lambda: now[0])
    async with world.running():
        for sender, day in ((Sender("7", "Ada"), 0), (Sender("8", "Bob"), 0), (Sender("7", "Ada"), 1)):
            now[0] = NOON + day * 86_400.0
            world.alpha.will(TextDelta("yes"), Usage(10, 2), Finished())
            await world.ask("one", sender=sender)
        lines = usage_table(world.database, (2026, 11))
        assert lines == [
            "2026-11-22  user:memory:7  alpha  12 tokens in 1 question, cost unknown",
            "2026-11-21  user:memory:7  alpha  12 tokens in 1 question, cost unknown",
            "2026-11-21  user:memory:8  alpha  12 tokens in 1 question, cost unknown",
        ]
        assert usage_table(world.database, (2026, 11), "all")[1] == "2026-11-21  all  alpha  24 tokens in 2 questions, cost unknown"
        assert usage_table(world.database, (2026, 10)) == ["Nothing was used in 2026-10."]


def budgets_of(*tables: dict[str, Any]) -> Budgets:
    return Budgets([Budget.model_validate({"tokens": 1_000_000, **table}) for table in tables])


async def test_by_budget_each_is_listed_with_its_limit_and_what_usage_counts(tmp_path: Path) -> None:
    now = [NOON]
    budgets = budgets_of(
        {"name": "each"},
        {"name": "here", "per": "channel", "period": "day"},
        {"name": "some", "per": "all", "users": ["7"]},
        {"name": "one of them", "users": ["8"], "except_users": ["7"]},
        {"name": "elsewhere", "platform": "discord"},
        {"name": "staff", "per": "user", "roles": ["5"]},
    )
    world = World(tmp_path, epoch=lambda: now[0], budgets=budgets)
    async with world.running():
        for sender, day in ((Sender("7", "Ada"), 0), (Sender("8", "Bob"), 0), (Sender("7", "Ada"), 1)):
            now[0] = NOON + day * 86_400.0
            world.alpha.will(TextDelta("yes"), Usage(10, 2), Finished())
            await world.ask("one", sender=sender)
        lines = usage_table(world.database, (2026, 11), "budget", budgets)
        assert lines == [
            "2026-11     each         user:memory:7     24 of 1,000,000 tokens used (0 %) in 2 questions",
            "2026-11     each         user:memory:8     12 of 1,000,000 tokens used (0 %) in 1 question",
            "2026-11-22  here         channel:memory:1  12 of 1,000,000 tokens used (0 %) in 1 question",
            "2026-11-21  here         channel:memory:1  24 of 1,000,000 tokens used (0 %) in 2 questions",
            "2026-11     some         all               24 of 1,000,000 tokens used (0 %) in 2 questions",
            "2026-11     one of them  user:memory:8     12 of 1,000,000 tokens used (0 %) in 1 question",
            "2026-11     elsewhere    nobody            0 of 1,000,000 tokens used (0 %) in 0 questions",
            "2026-11     staff        user:memory:7     24 of 1,000,000 tokens used (0 %) in 2 questions",
            "2026-11     staff        user:memory:8     12 of 1,000,000 tokens used (0 %) in 1 question",
            "Whom “staff” concerns depends on roles, which are not kept: everybody it may concern is listed.",
        ]
        shown = await world.order("usage")
        assert "“each”: 24 of 1,000,000 tokens used" in shown
        assert "“some”: 24 of 1,000,000 tokens used" in shown
        # Of a budget that the file does not name any more, only the sums are known that were its own.
        assert usage_table(world.database, (2026, 11), "budget", budgets_of({"name": "each", "users": ["9"]})) == [
            "2026-11  each  nobody  0 of 1,000,000 tokens used (0 %) in 0 questions",
            "2026-11-22  budget:some:all  alpha  12 tokens in 1 question, cost unknown",
            "2026-11-21  budget:some:all  alpha  12 tokens in 1 question, cost unknown",
        ]


@pytest.mark.parametrize(("kind", "words"), [("budget", "BUDGETS_FILE names none"), ("role", 'names it (per = "role")')])
async def test_where_there_are_no_such_sums_that_is_said_and_not_that_nothing_was_used(tmp_path: Path, kind: str, words: str) -> None:
    world = World(tmp_path, epoch=lambda: NOON)
    async with world.running():
        await world.ask("one")
        (line,) = usage_table(world.database, (2026, 11), kind, Budgets())
        assert words in line
        assert line.startswith(f"No {kind} was counted")
        assert usage_table(world.database, (2026, 10), kind, Budgets()) == ["Nothing was used in 2026-10."]


def test_a_role_that_a_budget_names_is_measured_on_its_platform_alone() -> None:
    (shared, narrowed) = budgets_of(
        {"name": "a", "per": "role", "roles": ["5"], "platform": "discord"}, {"name": "b", "per": "role", "roles": ["5"], "users": ["7"]}
    )
    assert shared.measured("role:discord:5") == "role:discord:5"
    assert [shared.measured(subject) for subject in ("role:discord:6", "role:telegram:5", "user:discord:5", "budget:a:role:discord:5")] == [
        None
    ] * 4
    assert narrowed.measured("budget:b:role:discord:5") == "role:discord:5"
    assert [narrowed.measured(subject) for subject in ("role:discord:5", "budget:a:role:discord:5")] == [None] * 2


def test_the_command_reads_the_database_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'none.db'}")
    assert main(["usage", "--month", "2026-11", "--by", "channel"]) == 1
    assert "There is no database" in capsys.readouterr().err
    for month in ("11-2026", "2026-13", "9999-12"):
        with pytest.raises(SystemExit):
            main(["usage", "--month", month])
        assert "takes a month such as 2026-11" in capsys.readouterr().err


async def test_the_command_shows_the_budgets_of_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = World(tmp_path, epoch=lambda: NOON)
    async with world.running():
        world.alpha.will(TextDelta("yes"), Usage(10, 2), Finished())
        await world.ask("one")
    (tmp_path / "budgets.toml").write_text('[[budgets]]\nname = "house"\nper = "channel"\ntokens = 1_000\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{world.database}")
    monkeypatch.setenv("BUDGETS_FILE", str(tmp_path / "budgets.toml"))
    assert main(["usage", "--month", "2026-11", "--by", "budget"]) == 0
    assert capsys.readouterr().out == "2026-11  house  channel:memory:1  12 of 1,000 tokens used (1 %) in 1 question\n"


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no database"):
        usage_table(tmp_path / "none.db")
