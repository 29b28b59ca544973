"""A minute of the crash test, for every run of the tests; `make crash` runs all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.crash.deliveries import duplicates, poisoned
from tests.crash.launcher import POINTS
from tests.crash.processes import Bot, World, world
from tests.crash.rounds import Round, Runner, Tally, plan
from tests.crash.trials import PLATFORMS, PROVIDER, trials
from tests.crash.windows import FORGOTTEN, NONCE_SECONDS, windows
from tests.support.clock import PATIENCE_SECONDS

pytestmark = [pytest.mark.crash, pytest.mark.timeout(300)]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these points is passed, however busy the machine is; among the many of `make crash` some are not."""
    monkeypatch.setattr("tests.crash.rounds.POINT_SECONDS", PATIENCE_SECONDS)


@pytest.fixture
async def outside() -> AsyncIterator[World]:
    async with world() as running:
        yield running


@pytest.fixture
async def bot(outside: World, tmp_path: Path) -> AsyncIterator[Bot]:
    bot = Bot(outside, tmp_path, MERGE_WINDOW_SECONDS="0.3")
    yield bot
    await bot.end()


async def killed(outside: World, bot: Bot, *rounds: Round) -> Tally:
    return await Runner(outside, bot, seed=5).play(rounds)


async def test_after_kill_9_every_accepted_question_is_answered_whole_once_and_in_order(outside: World, bot: Bot) -> None:
    tally = await killed(
        outside,
        bot,
        Round("after_commit", "telegram", downtime=True),
        Round("before_record", "telegram"),
        Round("mid_stream", "discord", passings=9, again=True),
        Round("before_final_edit", "discord"),
        Round("shutdown_settling", orderly=True, pause=0.6),
    )
    assert not tally.problems
    assert not tally.missed
    assert tally.rounds == 5
    await bot.end()
    assert bot.read().miscounted == []
    assert tally.unrecorded, "a kill between a Telegram create and its record leaves one whose outcome nobody knows"


async def test_the_crash_test_finds_a_bridge_that_ignores_the_stored_message_ids(outside: World, tmp_path: Path) -> None:
    bot = Bot(outside, tmp_path, mutation="ignore-message-ids", MERGE_WINDOW_SECONDS="0.3")
    tally = await killed(outside, bot, Round("before_close", "telegram"))
    assert tally.verdict.twice or tally.verdict.incomplete
    assert tally.problems


async def test_a_downtime_longer_than_nonces_live_and_kills_in_rare_windows_lose_and_double_nothing(outside: World, bot: Bot) -> None:
    tally = await windows(outside, bot, 7, times=1)
    assert not tally.problems
    assert not tally.missed
    assert tally.rounds == 5
    assert tally.unrecorded, "where the history can't be read a kill after a follow-up leaves one of which nothing tells"
    assert len(tally.verdict.labelled) == 1


async def test_the_crash_test_finds_a_bridge_that_trusts_a_nonce_for_ever(outside: World, bot: Bot) -> None:
    await outside.do("nonces", seconds=NONCE_SECONDS)
    tally = await killed(outside, bot, FORGOTTEN)
    assert tally.verdict.twice or tally.verdict.incomplete
    assert tally.problems


async def test_nothing_is_lost_or_doubled_while_provider_and_platforms_fail(outside: World, bot: Bot) -> None:
    named = {one.name: one for one in (*PROVIDER, *PLATFORMS)}
    chosen = ["provider: stream cut in the middle", "Telegram: sends reset after they are made", "gateway: close 4000"]
    tally = await Runner(outside, bot, seed=6).try_all([replace(named[name], kill=name.startswith("provider")) for name in chosen])
    assert not tally.problems


async def test_duplicate_deliveries_make_no_second_turn(outside: World, bot: Bot) -> None:
    found = await duplicates(outside, bot, 1000)
    assert not found.problems
    assert sum(found.counts.values()) >= 1000
    assert found.turns <= len(found.tally.asked)  # questions that come close together make one turn
    assert set(found.tally.requests.values()) == {1}


async def test_poisonous_events_stall_nobody(outside: World, bot: Bot) -> None:
    found = await poisoned(outside, bot, 3, 80)
    assert not found.problems
    assert found.set_aside


def test_the_plan_passes_every_point_on_both_platforms_and_kills_at_random() -> None:
    rounds = plan(208, 1)
    assert len(rounds) == 208
    assert {(one.point, one.platform) for one in rounds if one.point} == {
        (point, name) for point in POINTS for name in ("discord", "telegram")
    }
    assert sum(not one.point for one in rounds) > 50
    assert len(trials(1)) == 2 * len((*PROVIDER, *PLATFORMS)) + 2
