"""The outbox: whatever fails or crashes, an answer ends whole, once, and in its place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from bot import texts
from bot.model import Button, Page, Receipt, Target
from bot.outbox import DeliveryError
from bot.platforms.base import Call, Refusal, RefusedError, UnavailableError
from bot.reply import Reply
from bot.sending import Lane
from storage.base import StoreUnavailableError
from tests.support.chat import LIMITS, PLAIN, MemoryDeliveries, target
from tests.support.outbox import Text, World, lived, turn


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with lived() as world:
        yield world


async def test_a_fault_of_the_lane_itself_leaves_no_reply_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    soonest, faults = Lane._soonest, [ValueError(), ValueError()]

    def sometimes(lane: Lane) -> object:
        if faults:
            raise faults.pop()
        return soonest(lane)

    monkeypatch.setattr(Lane, "_soonest", sometimes)
    posting = asyncio.ensure_future(world.outbox.post(turn(), target(), [Page("said")]))
    await world.clock.run(2)
    assert posting.done()
    assert world.platform.shown["1"].text == "said"


async def test_an_outage_is_outlasted_and_a_repeated_create_makes_one_message(world: World) -> None:
    world.platform.failures += [UnavailableError("503")] * 5
    delivery = await world.outbox.open(turn(), target(), Text("whole"))
    finished = asyncio.ensure_future(delivery.finish())
    await world.clock.run(60)
    await finished
    assert [page.text for page in world.platform.shown.values()] == ["whole"]


async def test_connects_that_hang_keep_their_places_for_a_while_and_starve_nobody(world: World) -> None:
    """The account gives out fewer places while some are held. All that wait have theirs as soon as the budget can serve so many."""
    chats, hangs, every = 300, 10.0, 3
    send, tried, budget = world.platform.send, set[str](), LIMITS.overall.budget

    async def hanging(target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        if int(target.chat.chat) % every == 0 and nonce not in tried:
            tried.add(nonce)
            await world.clock.sleep(hangs)
            raise UnavailableError("can't be reached")
        return await send(target, page, nonce=nonce, first=first)

    world.platform.send = hanging  # type: ignore[method-assign]
    ends = [asyncio.ensure_future(world.outbox.post(turn(number), target(str(number)), [Page("whole")])) for number in range(chats)]
    held = chats * budget.seconds + chats / every * (hangs + budget.seconds)
    await world.clock.run(1.1 * held / budget.calls + hangs)
    assert all(end.done() for end in ends)
    await asyncio.gather(*ends)
    assert len(tried) == chats / every
    assert len(world.platform.shown) == chats


async def test_a_reply_that_fails_for_hours_while_others_arrive_is_given_up_and_in_an_outage_none_is(world: World) -> None:
    send, refused = world.platform.send, {"odd", "away"}

    async def odd(target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        if page.text in refused:
            raise UnavailableError("500")
        return await send(target, page, nonce=nonce, first=first)

    world.platform.send = odd  # type: ignore[method-assign]
    away = asyncio.ensure_future((await world.outbox.open(turn(1), target("1"), Text("away"))).finish())
    await world.clock.run(4 * 3600)
    assert not away.done(), "nothing arrives: it is waited for"
    failing = asyncio.ensure_future((await world.outbox.open(turn(2), target("2"), Text("odd"))).finish())
    refused.discard("away")
    await world.clock.run(60)
    await away
    for number in range(24):
        posted = asyncio.ensure_future(world.outbox.post(turn(number + 3), target("3"), [Page("ordinary")]))
        await world.clock.run(500)
        await posted
        assert failing.done() is (number * 500 >= 3 * 3600 - 500)
    with pytest.raises(DeliveryError, match="while others arrived") as given_up:
        await failing
    assert given_up.value.hopeless


async def test_a_create_whose_answer_was_lost_while_the_text_grew_ends_whole_in_one_message(world: World) -> None:
    world.platform.lost_answers = 1
    text = Text("first half")
    delivery = await world.outbox.open(turn(), target(), text)
    delivery.touch()
    await world.clock.run(0.1)
    text.now[0] = "first half and second half"
    finished = asyncio.ensure_future(delivery.finish())
    await world.clock.run(10)
    await finished
    assert [page.text for page in world.platform.shown.values()] == ["first half and second half"]


async def test_a_crash_between_a_create_and_its_record_ends_whole_in_one_message(world: World) -> None:
    await world.rows.begin_delivery(turn(), target().chat, 0, "n")
    await world.platform.send(target(), Page("partial"), nonce="n", first=True)
    delivery = await world.outbox.open(turn(), target(), Text("whole"))
    finished = asyncio.ensure_future(delivery.finish())
    await world.clock.run(10)
    await finished
    assert [page.text for page in world.platform.shown.values()] == ["whole"]


async def test_where_nothing_tells_a_lost_create_is_made_again_labelled(world: World) -> None:
    world.platform.limits = replace(LIMITS, idempotent_send=False)
    world.platform.lost_answers = 1
    finished = asyncio.ensure_future(world.outbox.post(turn(), target(), [Page("whole")]))
    await world.clock.run(10)
    await finished
    assert [page.text for page in world.platform.shown.values()] == ["whole", f"whole\n\n{texts.POSSIBLY_REPEATED}"]
    assert world.outbox.unknown_outcomes == 1


async def test_where_nothing_tells_a_create_that_a_crash_interrupted_is_made_again_labelled(world: World) -> None:
    world.platform.limits = replace(LIMITS, idempotent_send=False)
    await world.rows.begin_delivery(turn(), target().chat, 0, "n")
    finished = asyncio.ensure_future(world.outbox.post(turn(), target(), [Page("whole")]))
    await world.clock.run(10)
    await finished
    assert [page.text for page in world.platform.shown.values()] == [f"whole\n\n{texts.POSSIBLY_REPEATED}"]


async def test_a_page_that_may_stand_in_the_chat_twice_still_says_so_after_a_further_crash(world: World) -> None:
    world.platform.limits = replace(LIMITS, idempotent_send=False)
    await world.rows.begin_delivery(turn(), target().chat, 0, "n")
    delivery = await world.outbox.open(turn(), target(), Text("half"))
    delivery.touch()
    await world.clock.run(1)
    await world.outbox.aclose()
    world.outbox = world.restarted()
    finished = asyncio.ensure_future(world.outbox.post(turn(), target(), [Page("whole")]))
    await world.clock.run(10)
    await finished
    assert [page.text for page in world.platform.shown.values()] == [f"whole\n\n{texts.POSSIBLY_REPEATED}"]


async def test_every_page_of_a_long_answer_has_room_to_say_that_it_may_stand_there_twice(world: World) -> None:
    world.platform.limits = replace(LIMITS, idempotent_send=False)
    reply = Reply(PLAIN)
    reply.append("word " * 1000)
    reply.end()
    assert len(reply.pages()) > 2
    for number in range(len(reply.pages())):
        await world.rows.begin_delivery(turn(), target().chat, number, f"n{number}")
    finished = asyncio.ensure_future(world.outbox.post(turn(), target(), reply.pages()))
    await world.clock.run(30)
    await finished
    assert all(texts.POSSIBLY_REPEATED in page.text for page in world.platform.shown.values())


async def test_a_first_text_that_is_refused_while_it_grows_does_not_lose_the_rest(world: World) -> None:
    world.platform.failures.append(RefusedError(Refusal.BAD_REQUEST))
    text = Text("\u200b")
    delivery = await world.outbox.open(turn(), target(), text)
    delivery.touch()
    await world.clock.run(1)
    text.now[0] = "\u200bHello"
    delivery.touch()
    await world.clock.run(2)
    assert [page.text for page in world.platform.shown.values()] == ["\u200bHello"]


async def test_an_orderly_end_records_the_message_of_a_call_in_flight(world: World) -> None:
    world.platform.round_trip = 2.0
    delivery = await world.outbox.open(turn(), target(), Text("partial"))
    delivery.touch()
    await world.clock.run(0.1)
    closing = asyncio.ensure_future(world.outbox.aclose())
    await world.clock.run(3)
    await closing
    assert [row.message_id for row in await world.rows.deliveries(turn())] == ["1"]


async def test_an_abandoned_delivery_leaves_no_task_and_its_call_is_recorded_before_the_next(world: World) -> None:
    world.platform.round_trip = 2.0
    delivery = await world.outbox.open(turn(), target(), Text("partial"))
    delivery.touch()
    await world.clock.run(0.1)
    leaving = asyncio.ensure_future(delivery.abandoned())
    await world.clock.settle()
    assert not leaving.done()
    await world.clock.run(3)
    await leaving
    again = asyncio.ensure_future(world.outbox.post(turn(), target(), [Page("sorry")]))
    await world.clock.run(10)
    await again
    assert [page.text for page in world.platform.shown.values()] == ["sorry"]
    assert not world.outbox._tasks


@pytest.mark.parametrize("method", ["begin_delivery", "delivered"])
async def test_a_delivery_abandoned_while_its_page_is_prepared_or_recorded_goes_on_in_that_message(
    world: World, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    real, gate, asked = getattr(world.rows, method), asyncio.Event(), asyncio.Event()

    async def slowly(*args: object, **named: object) -> object:
        asked.set()
        await gate.wait()
        return await real(*args, **named)

    monkeypatch.setattr(world.rows, method, slowly)
    first = await world.outbox.open(turn(), target(), Text("cut off"))
    first.touch()
    await asked.wait()
    abandoning = asyncio.ensure_future(first.abandoned())
    await world.clock.settle()
    assert not abandoning.done()
    gate.set()
    await abandoning
    second = await world.outbox.open(turn(), target(), Text("why it was"))
    finished = asyncio.ensure_future(second.finish())
    await world.clock.run(3)
    await finished
    assert [page.text for page in world.platform.shown.values()] == ["why it was"]


async def test_a_store_that_fails_for_a_moment_costs_no_text(world: World) -> None:
    class FailingRows(MemoryDeliveries):
        failures = 2

        async def delivered(self, delivery, message_id, *, repeated=False):
            if self.failures:
                self.failures -= 1
                raise StoreUnavailableError("locked")
            await super().delivered(delivery, message_id, repeated=repeated)

    world.rows = FailingRows()
    world.outbox = world.restarted()
    text = Text("first")
    delivery = await world.outbox.open(turn(), target(), text)
    delivery.touch()
    await world.clock.run(0.1)
    text.now[0] = "first and last"
    finished = asyncio.ensure_future(delivery.finish())
    await world.clock.run(10)
    await finished
    assert [page.text for page in world.platform.shown.values()] == ["first and last"]
    assert [row.message_id for row in await world.rows.deliveries(turn())] == ["1"]


async def test_a_store_that_is_away_for_hours_has_no_reply_given_up_while_others_arrive(world: World) -> None:
    class AwayRows(MemoryDeliveries):
        away = True

        async def delivered(self, delivery, message_id, *, repeated=False):
            if self.away and self.rows[delivery - 1].owner == turn(1):
                raise StoreUnavailableError("disk full")
            await super().delivered(delivery, message_id, repeated=repeated)

    world.rows = rows = AwayRows()
    world.outbox = world.restarted()
    held = asyncio.ensure_future((await world.outbox.open(turn(1), target("1"), Text("held"))).finish())
    for number in range(30):
        posted = asyncio.ensure_future(world.outbox.post(turn(number + 2), target("2"), [Page("ordinary")]))
        await world.clock.run(500)
        await posted
    assert not held.done()
    rows.away = False
    await world.clock.run(60)
    await held
    assert [page.text for page in world.platform.shown.values()].count("held") == 1


async def test_after_a_restart_the_reply_goes_on_in_the_message_already_visible(world: World) -> None:
    first = await world.outbox.open(turn(), target(), Text("half an ans"))
    first.touch()
    await world.clock.run(0.1)
    await world.outbox.aclose()
    world.outbox = world.restarted()
    second = await world.outbox.open(turn(), target(), Text("the whole answer"))
    finished = asyncio.ensure_future(second.finish())
    await world.clock.run(2)
    await finished
    assert [(key, page.text) for key, page in world.platform.shown.items()] == [("1", "the whole answer")]


async def test_surplus_pages_of_an_older_attempt_are_deleted(world: World) -> None:
    first = await world.outbox.open(turn(), target(), Text("one", "two", "three"))
    first.touch()
    await world.clock.run(10)
    assert len(world.platform.shown) == 3
    await world.outbox.aclose()
    world.outbox = world.restarted()
    second = await world.outbox.open(turn(), target(), Text("only"))
    finished = asyncio.ensure_future(second.finish())
    await world.clock.run(10)
    await finished
    assert [page.text for page in world.platform.shown.values()] == ["only"]


async def test_a_refused_chat_fails_its_own_delivery_only(world: World) -> None:
    world.platform.failures.append(RefusedError(Refusal.FORBIDDEN))
    barred = await world.outbox.open(turn(1), target(), Text("never"))
    fine = await world.outbox.open(turn(2), target(), Text("fine"))
    ends = [asyncio.ensure_future(barred.finish()), asyncio.ensure_future(fine.finish())]
    await world.clock.run(5)
    with pytest.raises(DeliveryError) as caught:
        await ends[0]
    assert caught.value.refusal is Refusal.FORBIDDEN
    await ends[1]
    assert [page.text for page in world.platform.shown.values()] == ["fine"]


async def test_a_message_deleted_by_somebody_is_not_made_again(world: World) -> None:
    text = Text("begin")
    delivery = await world.outbox.open(turn(), target(), text)
    delivery.touch()
    await world.clock.run(0.1)
    world.platform.failures.append(RefusedError(Refusal.GONE))
    text.now[0] = "begin and end"
    finished = asyncio.ensure_future(delivery.finish())
    await world.clock.run(5)
    await finished
    assert [taken.call for taken in world.platform.taken] == [Call.SEND]


async def test_what_is_refused_with_its_formatting_is_shown_without(world: World) -> None:
    world.platform.failures.append(RefusedError(Refusal.BAD_REQUEST))
    page = Page("text", buttons=((Button("Stop", "stop"),),))
    posted = asyncio.ensure_future(world.outbox.post(turn(), target(), [page]))
    await world.clock.run(5)
    await posted
    assert list(world.platform.shown.values()) == [Page("text")]


async def test_a_source_that_fails_ends_its_own_delivery_only(world: World) -> None:
    def broken() -> list[Page]:
        raise ValueError("no text")

    bad = await world.outbox.open(turn(1), target(), broken)
    good = await world.outbox.open(turn(2), target(), Text("good"))
    ends = [asyncio.ensure_future(bad.finish()), asyncio.ensure_future(good.finish())]
    await world.clock.run(5)
    with pytest.raises(DeliveryError):
        await ends[0]
    await ends[1]
