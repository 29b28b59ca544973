"""The outbox: what is wanted becomes visible, within the budget."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from functools import partial

import pytest

from bot import texts
from bot.allocator import FEWEST_WAITING, LONGEST_GULP_SECONDS
from bot.gulps import FEWEST_REPLIES, SECONDS_EACH
from bot.lengths import FEWEST
from bot.model import Page, Target
from bot.outbox import Delivery, DeliveryError
from bot.platforms.base import Allowance, Call, FloodError, UnavailableError
from storage.base import DeliveryRow, Owner
from tests.support.chat import LIMITS, MemoryDeliveries, MemoryPlatform, target
from tests.support.clock import PATIENCE_SECONDS
from tests.support.outbox import Text, World, lived, turn


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with lived() as world:
        yield world


async def test_growing_text_is_sent_once_then_edited_and_ends_whole(world: World) -> None:
    text = Text("")
    delivery = await world.outbox.open(turn(), target(), text)
    for token in range(200):
        text.now[0] += f"w{token} "
        delivery.touch()
        await world.clock.run(0.05)
    finished = asyncio.ensure_future(delivery.finish())
    await world.clock.run(6)
    await finished
    calls = [taken.call for taken in world.platform.taken]
    assert calls[0] is Call.SEND
    assert set(calls[1:]) == {Call.EDIT}
    assert 8 <= len(calls) <= 14, "ten seconds of growth at about an edit a second"
    assert world.platform.shown["1"].text == text.now[0]
    assert world.platform.floods == 0


async def test_a_length_counts_from_the_first_text_of_who_answered_in_the_end(world: World) -> None:
    """What somebody before said, which came to nothing, is no part of it."""
    text = Text("thoughts")
    for number in range(FEWEST):
        delivery = await world.outbox.open(turn(number), target(), text)
        for kind, seconds in (("first", 20.0), ("fallback", 3.0)):
            delivery.expect([kind])
            delivery.touch()
            await world.clock.run(seconds)
        delivery.touch()
        delivery.learn()
        delivery.abandon()
    assert world.outbox.lengths.like(["fallback"]) == pytest.approx((3.0, 3.0))
    assert world.outbox.lengths.like(["first"]) is None


async def test_the_end_goes_out_at_once_when_the_budget_has_room(world: World) -> None:
    text = Text("begin")
    delivery = await world.outbox.open(turn(), target(), text)
    delivery.touch()
    await world.clock.run(0.1)
    text.now[0] = "begin and end"
    finished = asyncio.ensure_future(delivery.finish())
    await world.clock.settle()
    assert finished.done()
    assert world.platform.shown["1"].text == "begin and end"


@pytest.mark.parametrize("round_trip", [0.0, 0.12])
async def test_many_answers_in_one_channel_share_its_budget_without_a_flood(world: World, round_trip: float) -> None:
    world.platform.round_trip = round_trip
    texts = [Text("") for _ in range(6)]
    deliveries = [await world.outbox.open(turn(number), target(), text) for number, text in enumerate(texts)]
    for step in range(100):
        for text, delivery in zip(texts, deliveries, strict=True):
            text.now[0] += f"{step} "
            delivery.touch()
        await world.clock.run(0.1)
    ends = [asyncio.ensure_future(delivery.finish()) for delivery in deliveries]
    await world.clock.run(30)
    await asyncio.gather(*ends)
    assert world.platform.floods == 0
    assert sorted(page.text for page in world.platform.shown.values()) == [texts[0].now[0]] * 6


async def test_a_flood_holds_up_its_own_chat_only_and_exactly_as_long_as_told(world: World) -> None:
    world.platform.failures.append(FloodError(30.0))
    flooded = await world.outbox.open(turn(1), target("1"), Text("flooded"))
    other = await world.outbox.open(turn(2), target("2"), Text("other"))
    began = world.clock.now()
    ends = [asyncio.ensure_future(flooded.finish())]
    await world.clock.settle()
    ends.append(asyncio.ensure_future(other.finish()))
    await world.clock.settle()
    assert ends[1].done()
    await world.clock.run(29.9)
    assert not ends[0].done()
    await world.clock.run(0.2)
    await ends[0]
    (taken,) = [taken for taken in world.platform.taken if taken.text.startswith("flooded")]
    assert taken.at - began == pytest.approx(30.0)
    assert taken.text == f"flooded\n\n{texts.ordered_wait(30.0)}", "who waits so long is told why"


async def test_a_short_flood_is_not_worth_a_word(world: World) -> None:
    world.platform.failures.append(FloodError(3.0))
    delivery = await world.outbox.open(turn(), target(), Text("whole"))
    finished = asyncio.ensure_future(delivery.finish())
    await world.clock.run(4)
    await finished
    assert [taken.text for taken in world.platform.taken] == ["whole"]


async def test_an_update_that_is_due_waits_for_the_token_that_is_about_to_come(world: World) -> None:
    text = Text("")
    delivery = await world.outbox.open(turn(), target(), text)
    came: dict[str, float] = {}
    for token in range(60):
        text.now[0] += f"w{token} "
        came[text.now[0]] = world.clock.now()
        delivery.touch()
        await world.clock.run(0.05)
    delivery.abandon()
    edits = [taken for taken in world.platform.taken if taken.call is Call.EDIT]
    assert len(edits) >= 2
    assert all(taken.at == pytest.approx(came[taken.text]) for taken in edits), "each goes out with its newest token"


async def test_a_token_that_does_not_come_is_not_waited_for(world: World) -> None:
    text = Text("")
    delivery = await world.outbox.open(turn(), target(), text)
    for token in range(10):  # then the model falls silent
        text.now[0] += f"w{token} "
        delivery.touch()
        await world.clock.run(0.05)
    await world.clock.run(1.2)
    assert world.platform.shown["1"].text == text.now[0]


async def test_when_the_account_is_crowded_every_answer_ends_whole_and_finals_do_not_wait_for_growth(world: World) -> None:
    chats = 80
    sources = [Text("") for _ in range(chats)]
    growing = [await world.outbox.open(turn(number), target(str(number)), sources[number]) for number in range(chats)]
    for token in range(80):
        for delivery, text in zip(growing, sources, strict=True):
            text.now[0] += f"w{token} "
            delivery.touch()
        await world.clock.run(0.05)
    ends = [asyncio.ensure_future(delivery.finish()) for delivery in growing]
    began = world.clock.now()
    await asyncio.gather(world.clock.run(10), *ends)
    whole = [taken.at for taken in world.platform.taken if taken.text == sources[0].now[0]]
    assert len(whole) == chats
    assert max(whole) - began <= chats / LIMITS.overall.budget.calls + 1.0
    assert world.platform.floods == 0


async def test_a_final_does_not_sleep_behind_the_growth_of_its_neighbour(world: World) -> None:
    chats = 4 * LIMITS.overall.budget.calls
    crowd = [await world.outbox.open(turn(number), target(str(number)), Text("text")) for number in range(100, 100 + chats)]
    world.platform.failures_of[Call.SEND] = UnavailableError("503")
    final = await world.outbox.open(turn(2), target("1"), Text("final"))
    finished = asyncio.ensure_future(final.finish())
    await world.clock.settle()
    assert not finished.done(), "it is tried again in a moment"
    neighbour = await world.outbox.open(turn(1), target("1"), Text("growing"))
    for delivery in crowd:
        delivery.touch()
    neighbour.touch()
    await world.clock.settle()
    await world.clock.run(2.05)  # the crowd has used up the first second; the repeated create is followed by an edit, to be sure
    assert finished.done(), "though its neighbour still waits in the crowd"
    assert not neighbour.shown


async def test_a_wait_of_nothing_is_not_taken_literally(world: World) -> None:
    world.platform.failures += [FloodError(0.0)] * 5
    delivery = await world.outbox.open(turn(), target(), Text("whole"))
    finished = asyncio.ensure_future(delivery.finish())
    await world.clock.settle()
    assert len(world.platform.failures) == 4
    await world.clock.run(6)
    assert finished.done()


async def test_tokens_that_come_while_a_chat_waits_for_its_turn_cost_next_to_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    chats = LIMITS.overall.budget.calls
    sources = [Text("begin") for _ in range(chats)]
    growing = [await world.outbox.open(turn(number), target(str(number)), sources[number]) for number in range(chats)]
    for delivery in growing:
        delivery.touch()
    await world.clock.run(2.0)
    for delivery, text in zip(growing, sources, strict=True):
        text.now[0] += " more"
        delivery.touch()
    await world.clock.settle()
    waiting = [delivery for delivery in growing if delivery.dirty]
    assert len(waiting) > chats / 2
    looks: list[Call] = []
    real = MemoryPlatform.allowances

    def looked(self: MemoryPlatform, call: Call, where: Target, *, first: bool) -> Sequence[Allowance]:
        looks.append(call)
        return real(self, call, where, first=first)

    monkeypatch.setattr(MemoryPlatform, "allowances", looked)
    for _ in range(20):
        for delivery in waiting:
            delivery.touch()
        await world.clock.settle()
    assert not looks, "no lane looked at its budgets anew"


async def test_a_reply_that_is_whole_costs_no_place_in_a_crowded_budget(world: World) -> None:
    for number in range(LIMITS.overall.budget.calls):
        await world.outbox.post(turn(number), target(str(number)), [Page("short")])
    assert len(world.platform.taken) == LIMITS.overall.budget.calls, "each took one call and none of them waited"


async def test_a_reply_whose_budgets_can_not_be_told_holds_up_no_other_of_its_chat(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    real = world.platform.allowances

    def stumbling(call: Call, to: Target, *, first: bool) -> Sequence[Allowance]:
        if to.private:
            raise AttributeError("no such thing")
        return real(call, to, first=first)

    monkeypatch.setattr(world.platform, "allowances", stumbling)
    odd = asyncio.ensure_future(world.outbox.post(turn(1), replace(target(), private=True), [Page("odd")]))
    await world.clock.settle()
    other = asyncio.ensure_future(world.outbox.post(turn(2), target(), [Page("other")]))
    await world.clock.run(5)
    assert other.done()
    with pytest.raises(DeliveryError):
        await asyncio.wait_for(odd, PATIENCE_SECONDS)


async def test_a_flood_everywhere_holds_every_chat(world: World) -> None:
    world.platform.failures.append(FloodError(20.0, everywhere=True))
    ends = [asyncio.ensure_future(world.outbox.post(turn(1), target("1"), [Page("one")]))]
    await world.clock.settle()
    ends.append(asyncio.ensure_future(world.outbox.post(turn(2), target("2"), [Page("two")])))
    await world.clock.run(19.5)
    assert not world.platform.shown
    await world.clock.run(1)
    await asyncio.gather(*ends)


async def test_a_flooded_delete_holds_up_its_own_chat_only(world: World) -> None:
    for page, nonce in enumerate("ab"):
        row = await world.rows.begin_delivery(turn(3), target("3").chat, page, nonce)
        receipt = await world.platform.send(target("3"), Page("old"), nonce=nonce, first=True)
        await world.rows.delivered(row.id, receipt.message_id)
    world.platform.failures_of[Call.DELETE] = FloodError(30.0)
    third = asyncio.ensure_future(world.outbox.post(turn(3), target("3"), [Page("new")]))
    await world.clock.run(5)
    other = asyncio.ensure_future(world.outbox.post(turn(4), target("4"), [Page("four")]))
    await world.clock.settle()
    assert other.done()
    assert not third.done()
    await world.clock.run(40)
    await asyncio.gather(third, other)


async def test_a_page_that_is_full_is_followed_by_the_next_without_another_token(world: World) -> None:
    text = Text("begin")
    delivery = await world.outbox.open(turn(), target(), text)
    delivery.touch()
    await world.clock.run(2)
    text.now = ["beginning", "and the rest"]
    delivery.touch()
    await world.clock.run(8)
    assert [page.text for page in world.platform.shown.values()] == ["beginning", "and the rest"]


async def test_the_account_wide_budget_holds_however_long_the_store_takes(world: World) -> None:
    class SlowRows(MemoryDeliveries):
        async def begin_delivery(self, owner, chat, page, nonce):
            await world.clock.sleep(0.005)
            return await super().begin_delivery(owner, chat, page, nonce)

    world.rows = SlowRows()
    world.outbox = world.restarted()
    ends = [asyncio.ensure_future(world.outbox.post(turn(number), target(str(number)), [Page("hi")])) for number in range(200)]
    await world.clock.run(6)
    await asyncio.gather(*ends)
    times = sorted(taken.at for taken in world.platform.taken)
    assert all(later - earlier >= 1.0 - 1e-9 for earlier, later in zip(times, times[50:], strict=False))


async def test_nobody_looks_for_pages_that_a_first_attempt_can_not_have(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Owner] = []
    look = world.rows.deliveries

    async def deliveries(owner: Owner) -> Sequence[DeliveryRow]:
        asked.append(owner)
        return await look(owner)

    monkeypatch.setattr(world.rows, "deliveries", deliveries)
    for attempt, fresh in enumerate((True, False), start=1):
        delivery = await world.outbox.open(turn(), target(), Text("all of it"), again=attempt > 1, fresh=fresh)
        finished = asyncio.ensure_future(delivery.finish())
        await world.clock.run(6)
        await finished
        assert asked == [turn()] * (attempt - 1)
    assert [page.text for page in world.platform.shown.values()] == ["all of it"]


async def test_in_a_crowd_text_may_come_unread_for_a_moment_and_no_longer_once_the_crowd_or_the_text_has_ended(world: World) -> None:
    chats = 2 * FEWEST_WAITING + LIMITS.overall.budget.calls
    crowd = [await world.outbox.open(turn(number), target(str(number)), Text("begin")) for number in range(chats)]
    for delivery in crowd:
        delivery.touch()
    await world.clock.run(0.1)
    waiting = [delivery for delivery in crowd if not delivery.shown]
    assert all(0 < delivery.lull() <= LONGEST_GULP_SECONDS for delivery in waiting)
    waits = waiting[0]
    elsewhere = await world.outbox.open(turn(chats), target("elsewhere"), Text())
    assert elsewhere.lull() == 0, "its first text is to be seen at once"
    finished = asyncio.ensure_future(waits.finish())
    await world.clock.settle()
    assert waits.lull() == 0, "its end is there: nothing more is read"
    await world.clock.run(2.5 * chats * LIMITS.overall.budget.seconds / LIMITS.overall.budget.calls)
    assert all(delivery.shown for delivery in crowd)
    await finished
    growing = [delivery for delivery in crowd if delivery is not waits]
    assert {delivery.lull() for delivery in growing} == {world.outbox.gulps.seconds}, "none waits for its turn: only their number counts"


async def test_text_that_came_unread_is_asked_for_when_its_turn_to_be_shown_is_near(world: World) -> None:
    chats = 2 * FEWEST_WAITING
    crowd = [await world.outbox.open(turn(number), target(str(number)), Text("begin")) for number in range(chats)]
    asked: list[Delivery] = []
    for delivery in crowd:
        delivery.near = partial(asked.append, delivery)
        delivery.touch()
    await world.clock.run(0.5)
    shown = [delivery for delivery in crowd if delivery.shown]
    assert shown
    at_once = int(LIMITS.overall.budget.calls)
    late = [delivery for delivery in shown if delivery not in asked]
    assert len(late) <= at_once, "only who did not have to wait"
    assert len(asked) < 4 * len(shown) + chats / 2, "few are asked, and not again and again"
    for delivery in crowd:
        delivery.abandon()


async def test_however_many_grow_none_comes_unread_before_its_first_text_and_few_never_do(world: World) -> None:
    many = [await world.outbox.open(turn(number), target(str(number)), Text("begin")) for number in range(FEWEST_REPLIES)]
    one, *others = many
    assert one.lull() == 0
    one.touch()
    assert one.lull() == pytest.approx(SECONDS_EACH * FEWEST_REPLIES)
    others[0].abandon()
    assert one.lull() == 0, "one fewer, and all are read at once again"
    for delivery in many:
        delivery.abandon()
        delivery.abandon()
    assert world.outbox.gulps.replies == 0
    again = await world.outbox.open(turn(0), target("0"), Text("all"))
    finished = asyncio.ensure_future(again.finish())
    await world.clock.run(6)
    await finished
    assert world.outbox.gulps.replies == 0


async def test_the_calls_of_a_login_keep_their_places_until_it_is_over(world: World) -> None:
    limits = world.platform.limits
    world.platform.limits = replace(limits, login_calls=2)
    meter = world.outbox.meters.of(limits.overall)
    room = meter.room(world.clock.now())
    over = world.outbox.logging_in(world.platform.name)
    await world.clock.run(2 * limits.overall.budget.seconds)
    assert meter.room(world.clock.now()) == room - 2
    over()
    over()
    assert meter.room(world.clock.now()) == room - 2
    await world.clock.run(limits.overall.budget.seconds)
    assert meter.room(world.clock.now()) == room
