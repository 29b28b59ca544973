"""A minute of the crash test, for every run of the tests; `make crash` runs all of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.crash.launcher import POINTS
from tests.crash.processes import Bot, world
from tests.crash.rounds import Round, Runner, Tally, plan

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]


async def killed(folder: Path, rounds: list[Round], *, mutation: str | None = None) -> Tally:
    async with world() as outside:
        bot = Bot(outside, folder, mutation=mutation)
        try:
            return await Runner(outside, bot, seed=5).play(rounds)
        finally:
            await bot.end()


async def test_after_kill_9_every_accepted_question_is_answered_whole_once_and_in_order(tmp_path: Path) -> None:
    rounds = [
        Round(pause=0.9),
        Round("after_commit", "telegram", downtime=True),
        Round("before_record", "telegram"),
        Round("mid_stream", "discord", passings=9, again=True),
        Round("before_final_edit", "discord"),
        Round("shutdown_settling", orderly=True, pause=0.6),
    ]
    tally = await killed(tmp_path, rounds)
    assert not tally.problems
    assert not tally.missed
    assert tally.rounds == len(rounds)
    assert tally.unrecorded, "a kill between a Telegram create and its record leaves one whose outcome nobody knows"


async def test_the_crash_test_finds_a_bridge_that_ignores_the_stored_message_ids(tmp_path: Path) -> None:
    tally = await killed(tmp_path, [Round("before_close", "telegram")], mutation="ignore-message-ids")
    assert tally.verdict.twice or tally.verdict.incomplete
    assert tally.problems


def test_the_plan_passes_every_point_on_both_platforms_and_kills_at_random() -> None:
    rounds = plan(208, 1)
    assert len(rounds) == 208
    assert {(one.point, one.platform) for one in rounds if one.point} == {
        (point, name) for point in POINTS for name in ("discord", "telegram")
    }
    assert sum(not one.point for one in rounds) > 50
