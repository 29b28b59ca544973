"""What questions use: counted once whatever happens, estimated where it is not reported, held against budgets before anybody is asked."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Billed, ErrorKind, Finished, Message, ProviderError, ReasoningDelta, Submitted, TextDelta, TextPart, Usage
from bot.budgets import Budget, Budgets
from bot.model import ChatKind, Sender
from bot.preferences import Defaults
from bot.prices import Price, Prices
from bot.transcript import estimated
from bot.usage import ANSWER_TOKENS, Accounting, Expected
from storage.base import StoreError
from storage.usage import Amounts
from tests.support.clock import Epoch
from tests.support.core import World, eventually

NOON = 1_795_262_400.0
"""21 November 2026, 12:00 UTC."""
DAY = 86_400.0
PRICES = Prices("USD", {"alpha": [("*", Price(input=Decimal(2), output=Decimal(10)))], "beta": [("*", Price(request=Decimal("0.5")))]})


@pytest.fixture
def calendar() -> Epoch:
    return Epoch(NOON)


@pytest.fixture
def world(tmp_path: Path, calendar: Epoch) -> World:
    return World(tmp_path, epoch=calendar, prices=PRICES)


def failed(kind: ErrorKind, billed: Billed = Billed.NO) -> ProviderError:
    return ProviderError(kind, "told so", billed=billed)


def used(world: World, subject: str = "user:memory:7") -> list[tuple[Any, ...]]:
    """(provider, questions, prompt, answer, estimated, possibly double, billionths) of a subject, in all."""
    return world.rows(
        "SELECT provider, SUM(questions), SUM(input_tokens), SUM(output_tokens), SUM(estimated), SUM(possibly_double), SUM(cost)"
        " FROM tally WHERE subject = ? AND questions <> 0 GROUP BY provider ORDER BY provider",
        subject,
    )


def budget(**values: Any) -> Budgets:
    return Budgets([Budget.model_validate({"name": "house", **values})])


# ------------------------------------------------------------------------------------------------ counted once


async def test_what_is_reported_is_what_counts(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta("yes"), Usage(1_000, 7), Usage(1_000, 300), Finished())
        await world.ask("one")
        for subject in ("all", "user:memory:7", "channel:memory:1", "conversation:1"):
            assert used(world, subject) == [("alpha", 1, 1_000, 300, 0, 0, 5_000_000)]


async def test_what_is_not_reported_is_estimated_and_marked(world: World) -> None:
    async with world.running():
        world.alpha.will(ReasoningDelta("hm " * 100), TextDelta("word " * 100), Finished())
        await world.ask("tell me " * 100)
        ((provider, questions, prompt, answer, estimated, double, cost),) = used(world)
    assert (provider, questions, estimated, double) == ("alpha", 1, 1, 0)
    assert 200 < prompt < 400
    assert 200 < answer < 400
    assert cost == prompt * 2_000 + answer * 10_000


async def test_zeros_are_no_report(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta("word " * 100), Usage(0, 0), Finished())
        await world.ask("one")
        ((_, _, prompt, answer, estimated, _, _),) = used(world)
    assert prompt > 0
    assert answer > 100
    assert estimated == 1


async def test_a_model_without_a_price_has_an_unknown_cost_and_not_none(world: World) -> None:
    world.prices = Prices()
    async with world.running():
        world.alpha.will(TextDelta("yes"), Usage(5, 7), Finished())
        await world.ask("one")
        assert world.rows("SELECT cost, currency FROM usage") == [(None, "")]
        assert "cost unknown" in await world.order("usage")


async def test_a_question_that_was_refused_at_no_cost_counts_nothing(world: World) -> None:
    async with world.running():
        world.alpha.will(failed(ErrorKind.AUTH))
        await world.ask("one")
        assert used(world) == []


async def test_a_question_that_may_have_been_billed_counts_its_prompt_as_estimated(world: World) -> None:
    async with world.running():
        world.alpha.will(failed(ErrorKind.TIMEOUT_FIRST, Billed.MAYBE))
        await world.ask("word " * 100)
        ((_, questions, prompt, answer, estimated, _, _),) = used(world)
    assert (questions, answer, estimated) == (1, 0, 1)
    assert prompt > 100


async def test_repeats_of_what_cost_nothing_count_once(world: World) -> None:
    async with world.running():
        world.alpha.will(failed(ErrorKind.OVERLOADED))
        world.alpha.will(failed(ErrorKind.OVERLOADED))
        world.alpha.will(TextDelta("yes"), Usage(10, 2), Finished())
        await world.ask("one")
        assert len(world.alpha.requests) == 3
        assert used(world) == [("alpha", 1, 10, 2, 0, 0, 40_000)]


@pytest.mark.parametrize(("billed", "double"), [(Billed.NO, 0), (Billed.MAYBE, 1)])
async def test_where_another_answers_its_numbers_stand_in_the_place_of_the_first_ones(world: World, billed: Billed, double: int) -> None:
    world.defaults = Defaults("alpha", fallback=("beta",))
    async with world.running():
        world.alpha.will(failed(ErrorKind.SERVER, billed))
        world.providers["beta"].will(TextDelta("yes"), Usage(10, 2), Finished())
        await world.ask("one")
        assert used(world) == [("beta", 1, 10, 2, 0, double, 500_000_000)]


@pytest.mark.parametrize("billed", [Billed.NO, Billed.MAYBE])
async def test_where_nobody_answers_it_counts_only_if_somebody_may_have_billed_it(world: World, billed: Billed) -> None:
    world.defaults = Defaults("alpha", fallback=("beta",))
    async with world.running():
        world.alpha.will(failed(ErrorKind.SERVER))
        world.providers["beta"].will(failed(ErrorKind.MODEL_NOT_FOUND, billed))
        await world.ask("one")
        assert [questions for _, questions, *_ in used(world)] == ([] if billed is Billed.NO else [1])


async def crash_while_answering(world: World) -> None:
    world.alpha.will(TextDelta("half of "), asyncio.Event())
    async with world.running():
        await world.say("one")
        await world.until_said("half of")


async def test_a_crash_leaves_what_was_reserved_and_the_answer_takes_its_place(world: World) -> None:
    await crash_while_answering(world)
    ((_, questions, _, answer, estimated, _, _),) = used(world)
    assert (questions, answer, estimated) == (1, ANSWER_TOKENS, 1)
    world.alpha.will(TextDelta("yes"), Usage(10, 2), Finished())
    async with world.running():
        await world.until_said("yes")
        await world.idle()
        assert used(world) == [("alpha", 1, 10, 2, 0, 1, 40_000)]


async def test_what_is_not_asked_again_after_a_crash_stays_counted_as_estimated(world: World) -> None:
    world.reask = False
    await crash_while_answering(world)
    async with world.running():
        await world.idle()
        assert [(questions, estimated) for _, questions, _, _, estimated, _, _ in used(world)] == [(1, 1)]


async def test_a_job_that_is_collected_after_a_crash_counts_once_and_asks_no_budget(world: World) -> None:
    world.alpha.will(Submitted("job-1"), asyncio.Event())
    async with world.running():
        await world.say("one")
        await eventually(lambda: world.rows("SELECT handle FROM turn") == [("job-1",)])
    world.alpha.will(TextDelta("collected"), Usage(10, 2), Finished())
    world.budgets = budget(tokens=1)
    async with world.running():
        await world.until_said("collected")
        await world.idle()
        assert used(world) == [("alpha", 1, 10, 2, 0, 0, 40_000)]


async def test_a_stop_counts_what_was_said_until_then(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta("word " * 100), asyncio.Event())
        await world.say("one")
        await world.until_said("word")
        await world.command("stop")
        await world.idle()
        ((_, questions, prompt, answer, estimated, _, _),) = used(world)
    assert (questions, estimated) == (1, 1)
    assert 0 < prompt < 50
    assert 100 < answer < 250


async def test_a_stop_before_anybody_is_asked_gives_back_what_was_reserved(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as core:
        real, reserved = core.store.spend, asyncio.Event()

        async def spend(*args: Any) -> Any:
            made = await real(*args)
            reserved.set()
            await asyncio.Event().wait()
            return made

        monkeypatch.setattr(core.store, "spend", spend)
        await world.say("one")
        await reserved.wait()
        assert used(world) != []
        await world.command("stop")
        await world.idle()
        assert used(world) == []
    assert not world.alpha.requests


async def test_what_can_not_be_learned_costs_no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as core:

        async def fail(*_: object) -> None:
            raise StoreError("the disk is full")

        monkeypatch.setattr(core.store, "put_setting", fail)
        world.alpha.will(TextDelta("yes"), Usage(9_000, 2, remaining_credits=1.5), Finished())
        assert await world.ask("one") == "yes"
        assert world.turns() == [("done", 1)]


async def test_asked_again_by_a_person_it_is_another_question(world: World) -> None:
    async with world.running():
        for _ in range(2):
            world.alpha.will(TextDelta("yes"), Usage(10, 2), Finished())
        await world.ask("one")
        await world.order("retry")
        assert used(world) == [("alpha", 2, 20, 4, 0, 0, 80_000)]


async def test_a_reported_cost_counts_in_credits_or_in_what_the_operator_says_one_costs(world: World) -> None:
    usage = Usage(10, 2, cost=0.00025, remaining_credits=4.99975)
    world.prices = Prices()
    async with world.running():
        world.alpha.will(TextDelta("yes"), usage, Finished())
        await world.ask("one")
    world.prices = Prices("EUR", credits={"alpha": Decimal(2)})
    async with world.running():
        world.alpha.will(TextDelta("yes"), usage, Finished())
        await world.ask("two")
        assert world.rows("SELECT cost, currency FROM usage ORDER BY turn") == [(250_000, "credits"), (500_000, "EUR")]
        said = await world.order("usage")
    assert "0.00025 credits" in said
    assert "0.00050 EUR" in said
    assert "; 4.99 credits left (on 2026-11-21, 12:00 UTC)" in said


# ------------------------------------------------------------------------------------------------ budgets


async def test_a_budget_that_is_used_up_says_which_and_until_when_and_nobody_is_asked(world: World, calendar: Epoch) -> None:
    world.budgets = budget(tokens=2_000)
    async with world.running():
        world.alpha.will(TextDelta("yes"), Usage(1_500, 500), Finished())
        await world.ask("one")
        said = await world.ask("two")
        assert said == "⚠️ The budget “house” is used up: 2,000 of 2,000 tokens. It renews on 1 December 2026, 00:00 UTC."
        assert len(world.alpha.requests) == 1
        assert world.turns()[-1][0] == "failed"
        calendar.seconds = NOON + 10 * DAY
        assert await world.ask("three") == "heard: three"


async def test_a_budget_that_does_not_reach_for_the_question_says_what_it_would_take(world: World) -> None:
    world.budgets = budget(period="day", cost="0.005")
    async with world.running():
        said = await world.ask("one")
    assert "does not reach for this question: it is expected to take about 0.010 USD, and 0.0050 of 0.0050 USD are left." in said
    assert "renews on 22 November 2026, 00:00 UTC" in said
    assert not world.alpha.requests
    assert used(world) == []


async def test_questions_at_once_can_not_use_the_same_rest(world: World) -> None:
    world.budgets = budget(per="all", tokens=3 * (ANSWER_TOKENS + 20))
    gate = asyncio.Event()
    async with world.running():
        for number in range(6):
            world.alpha.will(gate, TextDelta("yes"), Usage(10, 2), Finished())
            await world.say("one", chat=str(number))
        await eventually(lambda: sum("does not reach" in text for number in range(6) for text in world.texts(str(number))) == 3)
        gate.set()
        await world.idle()
        assert len(world.alpha.requests) == 3
        assert used(world, "all")[0][1:4] == (3, 30, 6)


async def test_near_its_end_the_answer_says_so_with_the_estimate_also_after_a_crash(world: World) -> None:
    world.budgets = budget(tokens=1_200)
    async with world.running():
        closing = world.never_closes()
        await world.say("one")
        await closing.wait()
        assert world.turns() == [("answered", 1)]
    async with world.running():
        await world.idle()
    (said,) = world.texts()
    assert re.search(r"^heard: one\n📊 Budget “house”: ≈\d+ of 1,200 tokens used \(\d %\)\. This question took ≈\d+ tokens; before", said)
    assert re.search(
        r"asked, ≈1,0\d\d tokens were reserved for it, as an answer of full length would have taken: with that it was 8\d %, "
        r"and a smaller /settings max_tokens reserves less\. The budget renews on 1 December 2026, 00:00 UTC\.$",
        said,
    )
    assert len(world.alpha.requests) == 1


async def test_a_collected_job_tells_of_a_budget_near_its_end_as_any_other_answer(world: World) -> None:
    world.alpha.will(Submitted("job-1"), asyncio.Event())
    world.budgets = budget(tokens=1_200)
    async with world.running():
        await world.say("one")
        await eventually(lambda: world.rows("SELECT handle FROM turn") == [("job-1",)])
    world.alpha.will(TextDelta("yes"), Usage(1_000, 137), Finished())
    async with world.running():
        await world.idle()
        (said,) = world.texts()
        assert said.startswith("yes\n📊 Budget “house”: 1,137 of 1,200 tokens used (94 %). This question took 1,137 tokens")
        assert "1,137 of 1,200 tokens used" in await world.order("usage")
    assert [request.resume for request in world.alpha.requests] == [None, "job-1"]


async def test_a_collected_job_is_not_held_against_a_budget_that_has_no_price_for_it(world: World) -> None:
    world.alpha.will(Submitted("job-1"), asyncio.Event())
    async with world.running():
        await world.say("one")
        await eventually(lambda: world.rows("SELECT handle FROM turn") == [("job-1",)])
    world.prices, world.budgets = Prices(), budget(cost=5)  # the operator has written them meanwhile
    async with world.running():
        await world.idle()
    assert world.texts() == ["heard: one"]


@pytest.mark.parametrize(
    ("limit", "used", "asked"),
    [
        ({"tokens": 1_200}, "137 of 1,200 tokens used (11 %). This question took 137 tokens", r"≈1,0\d\d tokens were"),
        ({"cost": "0.012"}, "0.00057 of 0.012 USD used (4 %). This question took 0.00057 USD", r"≈0\.010 USD were"),
    ],
)
async def test_near_its_end_is_said_what_was_used_and_never_that_what_was_reserved_is_used(
    world: World, limit: dict[str, Any], used: str, asked: str
) -> None:
    world.budgets = budget(**limit)
    async with world.running():
        world.alpha.will(TextDelta("yes"), Usage(100, 37), Finished())
        said = await world.ask("one")
        assert used in said
        assert re.search(asked, said)
        usage = await world.order("usage")
        assert f"“house”: {used.partition(' (')[0]}, renews on" in usage.replace("*", "")
        assert "“house”: ≈" not in usage


async def test_what_others_gave_back_meanwhile_brings_no_budget_near_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    original = Accounting.near

    async def near(self: Accounting, expected: Expected, used: Amounts) -> list[Any]:
        others = [replace(standing, used=1_300) for standing in expected.standings]  # when it was checked, others were under way
        return await original(self, replace(expected, standings=tuple(others)), used)

    monkeypatch.setattr(Accounting, "near", near)
    world.budgets = budget(tokens=2_000)
    async with world.running():
        world.alpha.will(TextDelta("yes"), Usage(1_400, 37), Finished())
        assert await world.ask("one") == "yes"


async def test_a_budget_whose_sum_holds_estimates_is_marked_so_wherever_it_is_told(world: World) -> None:
    world.budgets = budget(tokens=1_700)
    async with world.running():
        await world.ask("one")  # nothing is reported
        world.alpha.will(TextDelta("yes"), Usage(1_400, 37), Finished())
        said = await world.ask("two")
        (told,) = re.findall(r"“house”: (≈[\d,]+ of 1,700 tokens) used", said)
        assert "This question took 1,437 tokens" in said
        assert f"“house”: {told} used" in await world.order("usage")
        assert re.search(r"≈2\d\d of 1,700 tokens are left", await world.ask("three"))


async def test_a_question_that_took_more_than_was_reserved_tells_of_the_budget_then(world: World) -> None:
    world.budgets = budget(tokens=10_000)
    async with world.running():
        world.alpha.will(TextDelta("yes"), Usage(100, 8_900), Finished())
        assert "“house”: 9,000 of 10,000 tokens used (90 %)" in await world.ask("one")


async def test_what_others_use_meanwhile_is_part_of_what_is_said(world: World) -> None:
    world.budgets = budget(per="all", tokens=2_500)
    gate = asyncio.Event()
    async with world.running():
        world.alpha.will(gate, TextDelta("yes"), Usage(100, 37), Finished())
        await world.say("one", chat="1")
        await eventually(lambda: len(world.alpha.requests) == 1)
        world.alpha.will(TextDelta("no"), Usage(60, 3), Finished())
        await world.say("two", chat="2")
        said = await eventually(lambda: next((text for text in world.texts("2") if "📊" in text), ""))
        assert re.search(r"“house”: ≈1,\d+ of 2,500 tokens used .* This question took 63 tokens", said)  # the other's reservation
        gate.set()
        await world.idle()
        assert "“house”: 200 of 2,500 tokens used (8 %)" not in world.texts("1")[0]  # far from its end by now, also as it was checked
        assert "“house”: 200 of 2,500 tokens used, renews" in await world.order("usage")


async def test_a_note_that_an_older_version_stored_is_left_away(world: World) -> None:
    world.budgets = budget(tokens=1_200)
    async with world.running():
        closing = world.never_closes()
        await world.say("one")
        await closing.wait()
    older = '[{"name": "house", "currency": null, "used": 1012, "most": 1200, "asked": 1012, "until": 20788}]'
    with sqlite3.connect(world.database) as database:
        database.execute("UPDATE turn SET finish = json_set(finish, '$.near', json(?))", (older,))
    database.close()
    async with world.running():
        await world.idle()
    assert world.texts() == ["heard: one"]


async def test_far_from_its_end_nothing_is_said(world: World) -> None:
    world.budgets = budget(tokens=100_000)
    async with world.running():
        assert await world.ask("one") == "heard: one"


async def test_the_cap_that_was_chosen_is_what_is_expected(world: World) -> None:
    world.budgets = budget(tokens=2_000)
    async with world.running():
        await world.order("settings", name="max_tokens", value="3000")
        assert "it is expected to take about 3,0" in await world.ask("one")
        await world.order("settings", name="max_tokens", value="100")
        assert await world.ask("two") == "heard: two"


async def test_a_budget_of_money_can_not_be_kept_without_a_price_and_that_is_said(world: World) -> None:
    world.prices, world.budgets = Prices(), budget(cost=5)
    async with world.running():
        said = await world.ask("one")
    assert "The budget “house” is in USD, and there is no price of small in that currency" in said
    assert not world.alpha.requests


async def test_what_costs_nothing_costs_nothing_in_every_currency(world: World) -> None:
    world.prices = Prices("USD", {"alpha": [("*", Price(request=Decimal(0)))]})
    world.budgets = budget(cost=5, currency="EUR")
    async with world.running():
        assert await world.ask("one") == "heard: one"


async def test_after_a_crash_its_own_reservation_stands_in_nobodys_way(world: World) -> None:
    world.budgets = budget(tokens=1_100)
    await crash_while_answering(world)
    world.alpha.will(TextDelta("yes"), Usage(10, 2), Finished())
    async with world.running():
        await world.until_said("yes")
        await world.idle()


async def test_each_person_channel_and_role_has_its_own(world: World) -> None:
    def listed(**values: Any) -> Budgets:
        return Budgets([Budget.model_validate({"tokens": 2_000, **values})])

    ada, bob, cyd = Sender("7", "Ada", ("5",)), Sender("8", "Bob", ("5",)), Sender("9", "Cyd")
    cases = {
        "user": (listed(name="each", per="user"), [(ada, "1"), (ada, "2"), (bob, "1")], [True, False, True]),
        "channel": (listed(name="each", per="channel"), [(ada, "1"), (bob, "1"), (ada, "2")], [True, False, True]),
        "role": (listed(name="each", per="role", roles=["5"]), [(ada, "1"), (bob, "2"), (cyd, "3")], [True, False, True]),
        "all": (listed(name="each", per="all"), [(ada, "1"), (bob, "2")], [True, False]),
        "not all": (listed(name="each", per="all", channels=["2"]), [(ada, "1"), (bob, "2"), (cyd, "2")], [True, True, False]),
        "except": (
            listed(name="each", per="user", except_users=["7"]),
            [(ada, "1"), (ada, "1"), (bob, "1"), (bob, "1")],
            [True, True, True, False],
        ),
        "elsewhere": (listed(name="each", per="user", platform="discord"), [(ada, "1"), (ada, "1")], [True, True]),
    }
    for name, (budgets, questions, expected) in cases.items():
        folder = world.folder / name
        folder.mkdir()
        one = World(folder, epoch=world.epoch, budgets=budgets)
        answered = []
        async with one.running():
            for sender, chat in questions:
                one.alpha.will(TextDelta("yes"), Usage(1_900, 50), Finished())
                said = await one.ask("?", sender=sender, chat=chat, chat_kind=ChatKind.GROUP)
                answered.append(said.startswith("yes"))
        assert answered == expected, name


async def test_the_fallback_may_be_asked_where_the_first_can_not_be_paid(world: World) -> None:
    """What is refused by a budget is told, and the one asked before counts only if it may have billed."""
    world.defaults, world.budgets = Defaults("alpha", fallback=("beta",)), budget(cost="0.2")
    async with world.running():
        world.alpha.will(failed(ErrorKind.SERVER))
        said = await world.ask("one")
        assert "does not reach for this question" in said
        assert not world.providers["beta"].requests
        assert used(world) == []


# ------------------------------------------------------------------------------------------------ /usage


async def test_usage_says_what_was_used_here_and_by_me_today_and_this_month(world: World, calendar: Epoch) -> None:
    world.budgets = budget(tokens=1_000_000)
    async with world.running():
        calendar.seconds = NOON - DAY
        world.alpha.will(TextDelta("yes"), Usage(1_000, 200), Finished())
        await world.ask("one")
        calendar.seconds = NOON
        world.alpha.will(TextDelta("yes"), Usage(10, 2), Finished())
        await world.ask("two", chat="2")
        await world.ask("three", chat="3", sender=Sender("8", "Bob"))
        said = await world.order("usage")
    lines = said.splitlines()
    here, mine = lines.index("This conversation"), lines.index("You, everywhere")
    assert [line.lstrip("-• ") for line in lines[here + 2 : here + 4]] == [
        "Today: nothing",
        "This month: 1,200 tokens in 1 question, 0.0040 USD",
    ]
    assert [line.lstrip("-• ") for line in lines[mine + 1 : mine + 3]] == [
        "Today: 12 tokens in 1 question, 0.000040 USD",
        "This month: 1,212 tokens in 2 questions, 0.0040 USD",
    ]
    assert "Newest question: 1,200 tokens (1,000 and 200), 0.0040 USD, Alpha AI with small" in said
    assert "Alpha AI: 1,200 tokens in 1 question, 0.0040 USD" in said
    assert "“house”: 1,212 of 1,000,000 tokens used, renews on 1 December 2026, 00:00 UTC" in said


# ------------------------------------------------------------------------------------------------ too long, and learning


def too_long() -> ProviderError:
    return failed(ErrorKind.CONTEXT_OVERFLOW)


async def test_what_is_too_long_is_asked_once_more_with_the_older_half_left_out_and_that_is_said(world: World) -> None:
    async with world.running():
        for number in range(6):
            await world.ask(f"question {number}")
        world.alpha.will(too_long())
        world.alpha.will(TextDelta("yes"), Usage(10, 2), Finished())
        said = await world.ask("the last")
        assert said.startswith("yes\n✂️ This conversation is longer than the model takes: older messages were left out")
        whole, cut = world.alpha.requests[-2:]
        assert len(whole.messages) == 13
        assert 3 <= len(cut.messages) <= 7
        assert whole.messages[-len(cut.messages) :] == cut.messages
        assert cut.messages[0].role == "user"
        assert used(world)[0][1] == 7
        assert await world.ask("after it") == "heard: after it"


async def test_it_is_asked_once_more_and_no_oftener(world: World) -> None:
    async with world.running():
        for number in range(6):
            await world.ask(f"question {number}")
        before = len(world.alpha.requests)
        for _ in range(3):
            world.alpha.will(too_long())
        assert "too long" in await world.ask("the last")
        assert len(world.alpha.requests) == before + 2
        assert used(world)[0][1] == 6


async def test_a_question_that_is_too_long_by_itself_is_not_asked_twice(world: World) -> None:
    async with world.running():
        world.alpha.will(too_long())
        assert "too long" in await world.ask("one")
        assert len(world.alpha.requests) == 1


async def test_what_a_model_counts_is_learned_and_used_for_the_transcript_after_a_restart(tmp_path: Path) -> None:
    world = World(tmp_path)
    words = "word " * 300
    async with world.running():
        for _ in range(12):
            world.alpha.will(TextDelta("ok"), Usage(sum_of(words), 2), Finished())
            await world.ask(words)
            await world.order("reset")
    stored = json.loads(world.rows("SELECT value FROM setting WHERE scope = 'calibration' AND key = 'alpha/small'")[0][0])
    assert stored[1] / stored[0] == pytest.approx(2.0, abs=0.1)
    async with world.running():
        assert await world.now.accounting.ratio(await choice(world)) == pytest.approx(1.9, abs=0.1)
        for _ in range(30):
            await world.ask(words)
    kept = len(world.alpha.requests[-1].messages)
    other = World(tmp_path / "other")
    other.folder.mkdir()
    async with other.running():
        for _ in range(30):
            await other.ask(words)
    assert kept < len(other.alpha.requests[-1].messages) * 0.7


def sum_of(words: str) -> int:
    """Twice what is estimated for a question of these words alone."""
    return 2 * estimated([Message("user", (TextPart(words.strip()),))], None)


async def choice(world: World) -> Any:
    return await (await world.context()).choice()
