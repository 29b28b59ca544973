"""The promises of `storage.usage.UsageStore`, for every implementation in `tests.support.stores.PLACES`."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from storage.base import ChatAddress, Store, Turn, TurnAnswer, TurnState
from storage.usage import Amounts, Limit, Money, Reservation, Spending, Tally, TurnUsage
from tests.support.stores import Place, accept, ask, claim, command, opened, reply

TODAY = 20_000
ADA, ALL = "user:memory:7", "all"


def usd(nanos: int) -> Money:
    return Money(nanos, "USD")


def tokens(most: int, subject: str = ADA, *, first: int = TODAY, end: int = TODAY + 1) -> Limit:
    return Limit("a", subject, first, end, tokens=most)


def reservation(
    amounts: Amounts, *limits: Limit, provider: str = "netmind", day: int = TODAY, subjects: tuple[str, ...] = (ADA, ALL)
) -> Reservation:
    return Reservation(provider, "small", day, subjects, amounts, limits)


def chat(number: int) -> ChatAddress:
    return ChatAddress("memory", "bot", str(number))


async def reserve(store: Store, turn: Turn, prompt: int, answer: int, **more: Any) -> Spending:
    made = await store.spend(turn, reservation(Amounts(prompt, answer, estimated=True), **more))
    assert made is not None
    return made


async def settle(store: Store, turn: Turn, amounts: Amounts | None, provider: str = "netmind") -> bool:
    return await store.settle(turn, amounts, provider=provider, model="small")


async def sums(store: Store, subject: str = ADA, first: int = TODAY, end: int = TODAY + 1) -> list[Tally]:
    return list(await store.tallies(subject, first, end))


def tally(questions: int, prompt: int, answer: int, **more: Any) -> Tally:
    values: dict[str, Any] = {"provider": "netmind", "currency": "", "estimated": 0, "possibly_double": 0, "unpriced": 0, "cost": 0}
    return Tally(questions=questions, input_tokens=prompt, output_tokens=answer, **{**values, **more})


class TestSums:
    async def test_what_was_used_stands_in_the_place_of_what_was_reserved(self, store: Store) -> None:
        turn = await ask(store, "q")
        await reserve(store, turn, 100, 1000)
        assert await sums(store) == [tally(1, 100, 1000, estimated=1, unpriced=1)]
        assert await settle(store, turn, Amounts(90, 20, usd(300)))
        assert await sums(store) == await sums(store, ALL) == [tally(1, 90, 20, currency="USD", cost=300)]

    async def test_what_is_given_back_was_never_used(self, store: Store) -> None:
        turn = await ask(store, "q")
        await reserve(store, turn, 100, 1000)
        assert await settle(store, turn, None)
        assert await sums(store) == []
        assert not await settle(store, turn, None)

    async def test_a_turn_is_counted_once_however_often_and_wherever_it_is_asked(self, store: Store) -> None:
        turn = await ask(store, "q")
        await reserve(store, turn, 100, 1000)
        await reserve(store, turn, 100, 1000)
        await reserve(store, turn, 120, 500, provider="segmind", day=TODAY + 1, subjects=(ADA,))
        assert await sums(store) == await sums(store, ALL, end=TODAY + 2) == []
        assert await sums(store, end=TODAY + 2) == [tally(1, 120, 500, provider="segmind", estimated=1, unpriced=1)]
        assert await settle(store, turn, Amounts(7, 3, possibly_double=True), "modelslab")
        assert await sums(store, end=TODAY + 2) == [tally(1, 7, 3, provider="modelslab", possibly_double=1, unpriced=1)]

    async def test_the_answer_settles_in_its_own_transaction(self, store: Store) -> None:
        turn = await ask(store, "q")
        await reserve(store, turn, 100, 1000)
        answer = TurnAnswer("a", "[a]", "{}", "segmind", "other", None, '{"input_tokens": 7}', Amounts(7, 3, usd(5)))
        assert await store.answered(turn, answer)
        assert await sums(store) == [tally(1, 7, 3, provider="segmind", currency="USD", cost=5)]
        assert await store.close(turn, TurnState.DONE)
        assert not await settle(store, turn, None)
        assert await sums(store) == [tally(1, 7, 3, provider="segmind", currency="USD", cost=5)]

    async def test_an_answer_for_which_nothing_was_reserved_is_part_of_no_sum(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert await store.answered(turn, reply("a", usage="{}"))
        assert await sums(store) == []

    async def test_days_and_currencies_are_kept_apart_and_summed_up(self, store: Store) -> None:
        spent = [
            (TODAY - 1, usd(1)),
            (TODAY, usd(2)),
            (TODAY, Money(4, "credits")),
            (TODAY, None),
            (TODAY + 1, usd(8)),
            (TODAY + 2, usd(16)),
        ]
        for number, (day, cost) in enumerate(spent):
            turn = await ask(store, f"q{number}", chat(number))
            await store.spend(turn, reservation(Amounts(1, 1, cost), day=day))
        assert await sums(store, end=TODAY + 2) == [
            tally(1, 1, 1, unpriced=1),
            tally(2, 2, 2, currency="USD", cost=10),
            tally(1, 1, 1, currency="credits", cost=4),
        ]

    async def test_the_newest_question_of_a_conversation_is_told(self, store: Store) -> None:
        turn = await ask(store, "q")
        assert await store.newest_usage(turn.conversation) is None
        await reserve(store, turn, 100, 1000)
        reserved = TurnUsage("netmind", "small", Amounts(100, 1000, estimated=True), reserved=True)
        assert await store.newest_usage(turn.conversation) == reserved
        await settle(store, turn, Amounts(7, 3, usd(5)))
        assert await store.newest_usage(turn.conversation) == TurnUsage("netmind", "small", Amounts(7, 3, usd(5)), reserved=False)
        await reserve(store, await ask(store, "q2", chat(2)), 1, 1)
        assert await store.newest_usage(turn.conversation) == TurnUsage("netmind", "small", Amounts(7, 3, usd(5)), reserved=False)

    async def test_it_is_all_there_after_a_restart(self, place: Place) -> None:
        async with opened(place.store()) as store:
            turn = await ask(store, "q")
            await reserve(store, turn, 100, 1000)
        async with opened(place.store()) as store:
            assert await sums(store) == [tally(1, 100, 1000, estimated=1, unpriced=1)]
            again = await claim(store, turn.conversation)
            await reserve(store, again, 100, 1000)
            assert await settle(store, again, Amounts(90, 20, possibly_double=True))
            assert await sums(store) == [tally(1, 90, 20, possibly_double=1, unpriced=1)]

    async def test_who_lost_the_turn_writes_nothing(self, store: Store) -> None:
        old = await ask(store, "q")
        await reserve(store, old, 1, 1)
        await claim(store, old.conversation)
        assert await store.spend(old, reservation(Amounts(5, 5))) is None
        assert not await settle(store, old, None)
        assert await sums(store) == [tally(1, 1, 1, estimated=1, unpriced=1)]

    async def test_what_was_said_goes_and_the_numbers_stay(self, store: Store) -> None:
        turn = await ask(store, "q")
        await reserve(store, turn, 9, 1)
        assert await store.answered(turn, TurnAnswer("a", "[a]", "{}", "netmind", "small", None, None, Amounts(7, 3)))
        assert await store.close(turn, TurnState.DONE)
        await store.forget(turn.conversation, before=(await accept(store, command("forget"))).event)
        assert (await store.sweep(turn.conversation, older_than=None)).removed == 1
        assert await sums(store) == [tally(1, 7, 3, unpriced=1)]

    async def test_after_any_course_of_things_the_sums_are_those_of_the_turns(self, store: Store) -> None:
        chance = random.Random(5)
        turns = [await ask(store, f"q{number}", chat(number)) for number in range(6)]
        counted: dict[int, tuple[int, str, tuple[str, ...], Amounts]] = {}
        for _ in range(120):
            turn, provider = chance.choice(turns), chance.choice(("one", "two"))
            cost = chance.choice((None, usd(chance.randrange(9)), Money(chance.randrange(9), "credits")))
            amounts = Amounts(chance.randrange(9), chance.randrange(9), cost, chance.random() < 0.5, chance.random() < 0.5)
            if chance.random() < 0.5:
                day, subjects = TODAY + chance.randrange(3), tuple(chance.sample(("a", "b", "c"), chance.randrange(4)))
                assert await store.spend(turn, reservation(amounts, provider=provider, day=day, subjects=subjects))
                counted[turn.id] = (day, provider, subjects, amounts)
            elif chance.random() < 0.3:
                assert await settle(store, turn, None) is (counted.pop(turn.id, None) is not None)
            elif await settle(store, turn, amounts, provider):
                day, _, subjects, _ = counted[turn.id]
                counted[turn.id] = (day, provider, subjects, amounts)
        assert counted
        for subject in ("a", "b", "c"):
            for end in range(TODAY, TODAY + 4):
                mine = [amounts for day, _, subjects, amounts in counted.values() if subject in subjects and day < end]
                found = await sums(store, subject, end=end)
                assert sum(one.questions for one in found) == len(mine)
                assert sum(one.input_tokens + one.output_tokens for one in found) == sum(one.tokens for one in mine)
                assert sum(one.cost for one in found) == sum(one.cost.nanos for one in mine if one.cost)
                assert sum(one.unpriced for one in found) == sum(one.cost is None for one in mine)
                assert sum(one.estimated for one in found) == sum(one.estimated for one in mine)


class TestLimits:
    async def test_what_would_exceed_a_limit_is_not_reserved_and_the_limit_is_told(self, store: Store) -> None:
        first, second = await ask(store, "q1", chat(1)), await ask(store, "q2", chat(2))
        made = await reserve(store, first, 60, 20)
        assert made == Spending(None)
        wide, narrow = tokens(1000, ALL), tokens(100)
        refused = await store.spend(second, reservation(Amounts(10, 11), wide, narrow))
        assert refused is not None
        assert refused.over is not None
        assert (refused.over.limit, refused.over.used) == (narrow, 80)
        assert [one.questions for one in await sums(store)] == [1]
        fits = await store.spend(second, reservation(Amounts(10, 10), wide, narrow))
        assert fits is not None
        assert [(one.limit, one.used) for one in fits.standings] == [(wide, 100), (narrow, 100)]

    async def test_its_own_reservation_stands_in_nobodys_way(self, store: Store) -> None:
        turn = await ask(store, "q")
        for _ in range(3):
            made = await store.spend(turn, reservation(Amounts(60, 20), tokens(100)))
            assert made is not None
            assert made.over is None
        refused = await store.spend(turn, reservation(Amounts(100, 20), tokens(100)))
        assert refused is not None
        assert refused.over is not None
        assert refused.over.used == 0
        assert await sums(store) == [tally(1, 60, 20, unpriced=1)]

    async def test_money_is_counted_in_its_own_currency(self, store: Store) -> None:
        for number, cost in enumerate((usd(30), Money(1000, "EUR"), None)):
            await store.spend(await ask(store, f"q{number}", chat(number)), reservation(Amounts(10_000, 10_000, cost)))
        limit = Limit("a", ADA, TODAY, TODAY + 1, cost=usd(50))
        turn = await ask(store, "q", chat(9))
        refused = await store.spend(turn, reservation(Amounts(1, 1, usd(21)), limit))
        assert refused is not None
        assert refused.over is not None
        assert refused.over.used == 30
        made = await store.spend(turn, reservation(Amounts(1, 1, usd(20)), limit))
        assert made is not None
        assert made.over is None

    async def test_what_lies_outside_of_its_days_is_not_counted(self, store: Store) -> None:
        for number, day in enumerate((TODAY - 1, TODAY + 2)):
            await store.spend(await ask(store, f"q{number}", chat(number)), reservation(Amounts(50, 50), day=day))
        made = await store.spend(await ask(store, "q"), reservation(Amounts(50, 50), tokens(100, end=TODAY + 2)))
        assert made is not None
        assert made.over is None

    async def test_questions_at_once_share_what_is_left(self, store: Store) -> None:
        turns = [await ask(store, f"q{number}", chat(number)) for number in range(20)]
        made = await asyncio.gather(*(store.spend(turn, reservation(Amounts(5, 5), tokens(70))) for turn in turns))
        assert sum(one is not None and one.over is None for one in made) == 7
        (found,) = await sums(store)
        assert found.input_tokens + found.output_tokens == 70

    async def test_what_is_given_back_can_be_used_by_the_next(self, store: Store) -> None:
        first, second = await ask(store, "q1", chat(1)), await ask(store, "q2", chat(2))
        await reserve(store, first, 50, 50)
        limit = tokens(100)
        refused = await store.spend(second, reservation(Amounts(1, 0), limit))
        assert refused is not None
        assert refused.over is not None
        await settle(store, first, Amounts(50, 10))
        made = await store.spend(second, reservation(Amounts(40, 0), limit))
        assert made is not None
        assert made.over is None
