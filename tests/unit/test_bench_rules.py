"""The simulation in virtual time measures what it says."""

from __future__ import annotations

import asyncio
import math

import pytest

from bench import virtual
from bench.answers import Outcome, Seen, outcome, percentile, token_texts, token_times
from bench.farside import PLACES
from bench.limit import chat_limit, staleness
from bench.report import table
from bench.rules import Bridge, Listed, others, simulate


def test_outcome_counts_each_token_until_it_is_visible():
    seen = [Seen(0.5, 1), Seen(0.6, 1), Seen(2.0, 3)]
    assert outcome([0.0, 1.0, 2.0], seen) == Outcome(complete=True, staleness=0.5, first=0.5, lag=0.0)


def test_outcome_of_a_text_that_stays_half_is_not_complete():
    assert outcome([0.0, 1.0], [Seen(0.0, 1)]) == Outcome(complete=False, staleness=math.inf, first=0.0, lag=math.inf)


def test_token_texts_join_to_one_page_without_markup():
    text = "".join(token_texts(1167, 4))
    assert len(text) <= 2000
    assert text == text.strip()
    assert text.replace(" ", "").isalpha()


def test_percentile_is_a_nearest_rank():
    assert [percentile([3, 1, 2, 4], share) for share in (0.0, 0.5, 0.95)] == [1, 2, 4]


def test_virtual_time_passes_without_real_time():
    async def sleeper() -> float:
        await asyncio.gather(asyncio.sleep(5000), asyncio.sleep(3000))
        return asyncio.get_running_loop().time()

    assert virtual.run(sleeper()) == pytest.approx(5000)  # longer than any test may take


def test_virtual_time_says_when_nothing_can_ever_happen():
    async def stuck() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="nothing will ever happen"):
        virtual.run(stuck())


@pytest.mark.parametrize("name", PLACES)
@pytest.mark.parametrize("round_trip", [0.0, 0.12])
def test_the_outbox_shows_every_answer_whole_and_within_the_budgets(name, round_trip):
    place = PLACES[name]
    answers = [token_times(8.4, start=0.05 * chat) for chat in range(10)]
    run = simulate(Bridge, place, answers, round_trip=round_trip)
    assert all(one.complete for one in run.outcomes)
    assert run.floods == 0
    limit = chat_limit(answers[0], place.edit, create_apart=place.create is not None)
    assert all(one.staleness >= limit for one in run.outcomes)


def test_half_a_second_between_edits_is_flooded_as_the_platforms_do():
    run = simulate(others()["500 ms"], PLACES["discord"], [token_times(13.7)])
    assert run.floods > 0
    assert run.outcomes[0].complete


def test_a_listed_schedule_is_followed():
    times = token_times(3.0)
    ages = [0.0, 0.5, 1.5]
    run = simulate(lambda far: Listed(far, ages), PLACES["discord"], [times])
    assert run.outcomes[0].staleness == pytest.approx(staleness(times, [*ages, 3.0]))
    assert run.calls == 4


def test_a_listed_update_goes_out_with_its_token_even_if_that_is_late():
    times = [0.0, 0.05, 0.112, 0.15, 0.2]
    run = simulate(lambda far: Listed(far, [0.0, 0.1]), PLACES["discord"], [times])
    assert run.outcomes[0].staleness == pytest.approx(staleness(times, [0.0, 0.112, 0.2]))


def test_a_listed_update_at_the_end_is_the_last():
    run = simulate(lambda far: Listed(far, [0.0, 0.5, 1.0]), PLACES["discord"], [token_times(1.0)])
    assert run.outcomes[0].complete
    assert run.calls == 3


def test_table_aligns_and_says_never():
    lines = table([{"rule": "a", "lag": math.inf}, {"rule": "long name", "lag": 0.25}]).splitlines()
    assert lines[2].endswith("never")
    assert lines[3].endswith("0.250")
    assert len({len(line) for line in lines}) == 1
