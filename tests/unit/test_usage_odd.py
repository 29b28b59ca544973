"""Usage where the world is odd: nonsense is reported, a cap has no bound, the store is slow, a provider tells nothing."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Billed, ErrorKind, Finished, Health, Parameters, ProviderError, Scope, Submitted, TextDelta, Usage
from adapters.told import MOST_COST, MOST_TOKENS
from bot.budgets import Budget, Budgets
from bot.commands import accounting
from bot.preferences import Defaults
from bot.prices import DEARLY, Price, Prices
from bot.usage import ANSWER_TOKENS
from storage.base import StoreError
from storage.usage import NANOS
from tests.support.core import World, eventually
from tests.support.scripted import ScriptedProvider

NAN, INFINITE = float("nan"), float("inf")
PRICES = Prices("USD", {"alpha": [("*", Price(input=Decimal(2), output=Decimal(10)))]}, {"beta": Decimal(1)})


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path, prices=PRICES)


def sums(world: World) -> tuple[int, int, int, int]:
    """(questions, prompt, answer, estimated) of all, in all."""
    ((questions, prompt, answer, estimated),) = world.rows(
        "SELECT SUM(questions), SUM(input_tokens), SUM(output_tokens), SUM(estimated) FROM tally WHERE subject = 'all'"
    )
    return questions, prompt, answer, estimated


ODD: dict[str, tuple[Any, Any]] = {
    "negative": (-5_000, -7),
    "more than there can be": (10**30, MOST_TOKENS + 1),
    "not finite": (NAN, INFINITE),
    "words": ("many", "some"),
    "truth": (True, True),
}


@pytest.mark.parametrize("odd", ODD)
async def test_tokens_that_can_not_be_are_estimated_and_nothing_is_learned_from_them(world: World, odd: str) -> None:
    async with world.running():
        world.alpha.will(TextDelta("word " * 10), Usage(*ODD[odd]), Finished())
        assert await world.ask("one") == ("word " * 10).strip()
        questions, prompt, answer, estimated = sums(world)
        assert (questions, estimated) == (1, 1)
        assert 0 < prompt < 100
        assert 0 < answer < 100
        assert world.rows("SELECT * FROM setting") == []
        assert world.turns() == [("done", 1)]


@pytest.mark.parametrize("cost", [NAN, INFINITE, -1.0, 1e300, MOST_COST * 2, "dear"])
@pytest.mark.parametrize("provider", ["alpha", "beta"])
async def test_a_cost_that_can_not_be_loses_no_answer_and_gives_nothing_back(world: World, provider: str, cost: Any) -> None:
    async with world.running():
        await world.order("provider", name=provider)
        world.providers[provider].will(TextDelta("yes"), Usage(10, 2, cost), Finished())
        assert await world.ask("one") == "yes"
        assert world.rows("SELECT cost, currency FROM usage") == [(40_000, "USD") if provider == "alpha" else (None, "")]


async def test_sums_hold_what_the_dearest_price_makes_of_the_longest_answer(world: World) -> None:
    world.prices = Prices("USD", {"alpha": [("*", Price(input=Decimal(DEARLY), output=Decimal(DEARLY)))]})
    async with world.running():
        for number in range(3):
            world.alpha.will(TextDelta("yes"), Usage(MOST_TOKENS, MOST_TOKENS), Finished())
            assert await world.ask(f"question {number}") == "yes"
        assert world.rows("SELECT SUM(cost) FROM tally WHERE subject = 'all'") == [(3 * DEARLY * NANOS,)]
        assert "3,000,000.00 USD" in await world.order("usage")


class Boundless(Parameters):
    max_tokens: int | None = None


async def test_a_chosen_cap_without_a_bound_is_refused_by_a_budget_and_else_asked(world: World) -> None:
    world.providers = {"alpha": ScriptedProvider(parameters=Boundless)}
    async with world.running():
        await world.order("settings", name="max_tokens", value=str(10**30))
        world.alpha.will(TextDelta("yes"), Usage(5, 2), Finished())
        assert await world.ask("one") == "yes"
    world.budgets = Budgets([Budget.model_validate({"name": "house", "tokens": 1_000_000})])
    async with world.running():
        assert "does not reach for this question" in await world.ask("two")
        assert len(world.alpha.requests) == 1


class Several(Parameters):
    n: int | None = None


async def test_several_answers_are_expected_to_use_as_much_as_several(world: World) -> None:
    world.providers = {"alpha": ScriptedProvider(parameters=Several)}
    world.budgets = Budgets([Budget.model_validate({"name": "house", "tokens": 2 * ANSWER_TOKENS + 500})])
    async with world.running():
        await world.order("settings", name="n", value="3")
        assert "does not reach for this question" in await world.ask("one")
        await world.order("settings", name="n", value="2")
        assert (await world.ask("two")).startswith("heard: two")


async def test_a_budget_of_nothing_lets_what_is_free_through_without_a_word_and_nothing_else(world: World) -> None:
    world.prices = Prices("USD", {"alpha": [("*", Price(request=Decimal(0)))], "beta": [("*", Price(request=Decimal("0.01")))]})
    world.budgets = Budgets([Budget.model_validate({"name": "house", "cost": 0})])
    async with world.running():
        assert await world.ask("one") == "heard: one"
        await world.order("provider", name="beta")
        assert "is used up: 0 of 0 USD" in await world.ask("two")


async def test_nothing_is_learned_from_a_prompt_of_which_the_provider_holds_a_part(world: World) -> None:
    """What it counts then is not what was sent."""
    world.providers = {"alpha": ScriptedProvider(memory="chat")}
    async with world.running():
        await world.ask("one")
        world.alpha.will(TextDelta("yes"), Usage(9_000, 2), Finished())
        await world.ask("two")
        assert world.alpha.requests[-1].state == "chat1"
        assert world.rows("SELECT * FROM setting") == []


async def test_nothing_is_learned_from_a_job_that_is_collected(world: World) -> None:
    world.alpha.will(Submitted("job-1"), asyncio.Event())
    async with world.running():
        await world.say("one")
        await eventually(lambda: world.rows("SELECT handle FROM turn") == [("job-1",)])
    world.alpha.will(TextDelta("collected"), Usage(9_000, 2), Finished())
    async with world.running():
        await world.until_said("collected")
        await world.idle()
        assert sums(world)[1:3] == (9_000, 2)
        assert world.rows("SELECT * FROM setting") == []


async def test_what_is_learned_of_an_answer_never_holds_up_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as core:
        learning = asyncio.Event()
        put = core.store.put_setting

        async def slow(*args: Any) -> None:
            await learning.wait()
            await put(*args)

        monkeypatch.setattr(core.store, "put_setting", slow)
        world.alpha.will(TextDelta("yes"), Usage(9_000, 2, remaining_credits=1.5), Finished())
        asked = asyncio.create_task(world.ask("one"))
        await eventually(lambda: world.turns() == [("done", 1)])
        learning.set()
        assert await asked == "yes"
        await eventually(lambda: len(world.rows("SELECT * FROM setting")) == 2)


async def test_asked_again_in_the_same_life_it_may_have_been_billed_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with world.running() as core:
        submitted = core.store.submitted

        async def fail(*_: object, **__: object) -> bool:
            monkeypatch.setattr(core.store, "submitted", submitted)
            raise StoreError("the disk is full")

        monkeypatch.setattr(core.store, "submitted", fail)
        world.alpha.will(Submitted("job-1"), asyncio.Event())
        world.alpha.will(TextDelta("yes"), Usage(10, 2), Finished())
        assert await world.ask("one") == "yes"
        assert len(world.alpha.requests) == 2
        assert world.rows("SELECT input_tokens, possibly_double FROM usage") == [(10, 1)]


async def test_what_is_reported_counts_although_the_answer_failed_at_no_cost(world: World) -> None:
    async with world.running():
        world.alpha.will(Usage(10, 2), ProviderError(ErrorKind.AUTH, "told so", billed=Billed.NO))
        await world.ask("one")
        assert sums(world) == (1, 10, 2, 0)


async def test_what_a_crash_cut_off_stays_counted_where_asking_again_fails_at_no_cost(world: World) -> None:
    world.alpha.will(TextDelta("begun"), asyncio.Event())
    async with world.running():
        await world.say("one")
        await eventually(lambda: len(world.alpha.requests) == 1)
    world.alpha.will(ProviderError(ErrorKind.AUTH, "told so", billed=Billed.NO))
    async with world.running():
        await world.idle()
        assert world.turns() == [("failed", 2)]
        assert sums(world)[0] == 1
        assert world.rows("SELECT possibly_double FROM usage") == [(1,)]


# ------------------------------------------------------------------------------------------------ fallbacks


def answers(world: World) -> dict[str, int]:
    """How often each provider was asked."""
    return {name: len(provider.requests) for name, provider in world.providers.items()}


DEAR = {
    "beta": [("*", Price(request=Decimal(50)))],
    "alpha": [("*", Price(request=Decimal(1)))],
    "gamma": [("*", Price(request=Decimal(1)))],
}
POOR = Budgets([Budget.model_validate({"name": "house", "cost": "10"})])


@pytest.fixture
def chain(tmp_path: Path) -> World:
    """Alpha, then Beta, for which the budget does not reach, then Gamma."""
    names = ("alpha", "beta", "gamma")
    providers = {name: ScriptedProvider(name, name.title()) for name in names}
    return World(tmp_path, providers, defaults=Defaults("alpha", fallback=names[1:]), prices=Prices("USD", DEAR), budgets=POOR)


def overloaded(seconds: float | None = None) -> ProviderError:
    return ProviderError(ErrorKind.OVERLOADED, "told so", billed=Billed.NO, retry_after=seconds, scope=Scope.PROVIDER)


async def test_a_fallback_that_the_budget_does_not_reach_for_leaves_the_next_one_to_be_asked(chain: World) -> None:
    async with chain.running():
        chain.alpha.will(overloaded())
        chain.providers["gamma"].will(TextDelta("here"), Usage(5, 2), Finished())
        assert (await chain.ask("one")).startswith("here")
        assert answers(chain) == {"alpha": 1, "beta": 0, "gamma": 1}
        assert chain.rows("SELECT provider, questions FROM tally WHERE subject = 'all' AND questions <> 0") == [("gamma", 1)]


async def test_who_was_chosen_is_asked_in_its_pause_where_the_budget_reaches_for_no_other(chain: World) -> None:
    chain.defaults = Defaults("alpha", fallback=("beta",))
    async with chain.running():
        chain.alpha.will(ProviderError(ErrorKind.AUTH, "told so", billed=Billed.NO, scope=Scope.ACCOUNT))
        said = await chain.ask("one")
        assert "does not reach for this question" in said
        assert "Alpha" in said
        chain.alpha.will(TextDelta("here again"), Usage(5, 2), Finished())
        assert await chain.ask("two") == "here again"
        assert answers(chain) == {"alpha": 2, "beta": 0, "gamma": 0}


async def test_what_the_first_may_have_billed_stays_counted_where_the_budget_does_not_reach_for_the_others(chain: World) -> None:
    chain.defaults = Defaults("alpha", fallback=("beta",))
    async with chain.running():
        chain.alpha.will(ProviderError(ErrorKind.TIMEOUT_FIRST, "told so", billed=Billed.MAYBE))
        assert "does not reach" in await chain.ask("one")
        assert chain.rows("SELECT provider, questions FROM tally WHERE subject = 'all' AND questions <> 0") == [("alpha", 1)]


# ------------------------------------------------------------------------------------------------ /usage


class Mute(ScriptedProvider):
    """Counts how often it is asked what is left, and never answers."""

    checks = 0

    async def check(self) -> Health:
        self.checks += 1
        await asyncio.Event().wait()
        raise AssertionError


async def test_who_does_not_tell_what_is_left_is_not_asked_for_it(world: World) -> None:
    """The model on this machine would be started by it."""
    mute = Mute(tells_credits=False)
    world.providers = {"alpha": mute}
    async with world.running():
        assert "This conversation" in await world.order("usage")
    assert mute.checks == 0


async def test_who_does_not_answer_what_is_left_holds_up_the_other_numbers_for_seconds_at_most(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounting, "LEFT_SECONDS", 0.01)
    mute = Mute()
    world.providers = {"alpha": mute}
    async with world.running():
        mute.will(TextDelta("yes"), Usage(9, 2, remaining_credits=1.5), Finished())
        await world.ask("one")
        assert "1.5 credits left (on " in await world.order("usage")
    assert mute.checks == 1
