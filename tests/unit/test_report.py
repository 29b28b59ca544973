"""`dragoman usage`: read beside the bridge that writes."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.base import Finished, TextDelta, Usage
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


def test_what_is_no_database_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="There is no database"):
        usage_table(tmp_path / "none.db")
