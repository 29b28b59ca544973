"""Creates whose outcome nobody knows, and messages that are not where they were: every page ends whole, once or labelled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot import texts
from bot.clock import Clock
from bot.doubts import MOST_FAILURES
from bot.model import ChatAddress, Page, Receipt, Target
from bot.outbox import DeliveryError, Outbox
from bot.platforms.base import PlatformError, Refusal, RefusedError, Repeat, Sighting, UnavailableError
from storage.base import DeliveryRow
from tests.support.chat import LIMITS, MemoryDeliveries, MemoryPlatform, target
from tests.support.clock import FakeClock
from tests.support.outbox import turn

MINUTE = 60.0
CHAT = target().chat
LABEL = f"\n\n{texts.POSSIBLY_REPEATED}"


class Searchable(MemoryPlatform):
    """A platform that honours a nonce for a minute, and has a history.

    Attributes:
        how: What a repeated create does.
        history: Parts of it, each what a search returns or raises; without any, all that is shown.
        searches: Positions that were asked for.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock, limits=replace(LIMITS, nonce_seconds=MINUTE))
        self.how = Repeat.NONCE
        self.history: list[Sighting | PlatformError] = []
        self.searches: list[str | None] = []
        self.resent = 0
        self._made: dict[str, float] = {}

    async def send(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        if self.how is Repeat.NEW or self.clock.now() - self._made.setdefault(nonce, self.clock.now()) > MINUTE:
            self._nonces.pop(nonce, None)
        known = self._nonces.get(nonce)
        if known is not None and known not in self.shown:
            raise RefusedError(Refusal.GONE, "the message with this nonce was deleted")
        return await super().send(target, page, nonce=nonce, first=first)

    def repeat(self, target: Target, *, first: bool) -> Repeat:
        return self.how

    async def search(self, target: Target, *, first: bool, position: str | None) -> Sighting:
        self.searches.append(position)
        found = self.history.pop(0) if self.history else Sighting(tuple(self.shown), None)
        if isinstance(found, PlatformError):
            raise found
        return found

    async def resend(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        self.resent += 1
        return await self.send(target, page, nonce=nonce, first=first)


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.platform = Searchable(self.clock)
        self.rows = MemoryDeliveries(self.clock.now)
        self.outbox = self.restarted()

    def restarted(self) -> Outbox:
        return Outbox({"memory": self.platform}, self.rows, self.clock, rng=random.Random(1), now=self.clock.now)

    async def crashed(self, *pages: str, lost: int = 1, number: int = 1) -> None:
        """An attempt showed pages, and of the last ones nobody noted that they arrived."""
        for page, text in enumerate(pages):
            row = await self.rows.begin_delivery(turn(number), CHAT, page, f"n{number}.{page}")
            receipt = await self.platform.send(target(), Page(text), nonce=row.nonce, first=page == 0)
            if page < len(pages) - lost:
                await self.rows.delivered(row.id, receipt.message_id)
        self.platform.taken.clear()

    async def post(self, *pages: str, number: int = 1, seconds: float = 20.0) -> None:
        finished = asyncio.ensure_future(self.outbox.post(turn(number), target(), [Page(text) for text in pages]))
        await self.clock.run(seconds)
        await finished

    @property
    def texts(self) -> list[str]:
        return [page.text for page in self.platform.shown.values()]

    async def noted(self, number: int = 1) -> list[tuple[int, str | None, bool]]:
        return [(row.page, row.message_id, row.repeated) for row in await self.rows.deliveries(turn(number))]


@pytest.fixture
async def world():
    world = World()
    yield world
    await world.outbox.aclose()


# ---------------------------------------------------------------------------------------- a create whose answer was lost


async def test_while_its_nonce_is_honoured_a_lost_create_is_repeated(world: World) -> None:
    await world.crashed("half")
    await world.post("whole")
    assert world.texts == ["whole"]
    assert (world.platform.searches, world.platform.resent) == ([], 1)


async def test_after_that_the_history_is_searched_and_the_message_taken_over(world: World) -> None:
    await world.crashed("half")
    await world.clock.run(2 * MINUTE)
    await world.post("whole")
    assert world.texts == ["whole"]
    assert await world.noted() == [(0, "1", False)]
    assert world.platform.searches == [None]
    assert world.outbox.unknown_outcomes == 0


async def test_after_a_clock_that_was_set_back_no_nonce_is_trusted(world: World) -> None:
    await world.crashed("half")
    world.rows.rows[0] = replace(world.rows.rows[0], created_at=world.clock.now() + 60 * MINUTE)
    await world.clock.run(2 * MINUTE)
    await world.post("whole")
    assert (world.texts, world.platform.searches) == (["whole"], [None])


async def test_a_growing_text_goes_on_right_after_the_search(world: World) -> None:
    await world.crashed("half")
    await world.clock.run(2 * MINUTE)
    delivery = await world.outbox.open(turn(), target(), lambda: [Page("half and more")], again=True)
    delivery.touch()
    await world.clock.run(10)
    assert world.texts == ["half and more"]
    delivery.abandon()


async def test_a_create_that_is_not_in_the_history_never_arrived_and_is_made_without_a_label(world: World) -> None:
    await world.rows.begin_delivery(turn(), CHAT, 0, "n")
    await world.clock.run(2 * MINUTE)
    await world.post("whole")
    assert world.texts == ["whole"]
    assert world.outbox.unknown_outcomes == 0


async def test_where_the_history_cant_be_read_it_is_made_again_labelled_and_counted(world: World) -> None:
    await world.crashed("half")
    await world.clock.run(2 * MINUTE)
    world.platform.history = [RefusedError(Refusal.FORBIDDEN, "no history")]
    await world.post("whole")
    assert world.texts == ["half", f"whole{LABEL}"]
    assert await world.noted() == [(0, "2", True)]
    assert world.outbox.unknown_outcomes == 1


async def test_a_history_that_does_not_come_is_asked_for_again(world: World) -> None:
    await world.crashed("half")
    await world.clock.run(2 * MINUTE)
    world.platform.history = [UnavailableError("down")] * (MOST_FAILURES - 1)
    await world.post("whole")
    assert world.texts == ["whole"]


async def test_a_history_that_never_comes_holds_nothing_up(world: World) -> None:
    await world.crashed("half")
    await world.clock.run(2 * MINUTE)
    world.platform.history = [UnavailableError("down")] * 100
    await world.post("whole", seconds=60)
    assert world.texts == ["half", f"whole{LABEL}"]
    assert world.outbox.unknown_outcomes == 1


async def test_a_long_history_is_read_on_to_its_end(world: World) -> None:
    await world.crashed("half")
    await world.clock.run(2 * MINUTE)
    world.platform.history = [Sighting((), "a"), Sighting((), "b"), Sighting(("1",), "c")]
    await world.post("whole")
    assert world.texts == ["whole"]
    assert world.platform.searches == [None, "a", "b"]


async def test_an_endless_history_is_not_read_for_ever(world: World) -> None:
    await world.crashed("half")
    await world.clock.run(2 * MINUTE)
    world.platform.history = [Sighting((), str(number)) for number in range(1000)]
    await world.post("whole", seconds=60)
    assert world.texts == ["half", f"whole{LABEL}"]
    assert len(world.platform.searches) < 20


async def test_where_nothing_tells_at_all_nothing_is_searched(world: World) -> None:
    world.platform.how = Repeat.NEW
    await world.crashed("half")
    await world.post("whole")
    assert world.texts == ["half", f"whole{LABEL}"]
    assert (world.platform.searches, world.outbox.unknown_outcomes) == ([], 1)


async def test_where_the_first_one_is_always_given_back_its_age_is_of_no_account(world: World) -> None:
    world.platform.how = Repeat.SAME
    await world.crashed("half")
    await world.clock.run(0.5 * MINUTE)
    await world.post("whole")
    assert (world.texts, world.platform.searches) == (["whole"], [])


async def test_a_message_of_another_reply_is_not_taken_for_it(world: World) -> None:
    await world.crashed("another's", lost=0, number=2)
    await world.rows.begin_delivery(turn(), CHAT, 0, "n")
    await world.clock.run(2 * MINUTE)
    await world.post("whole")
    assert world.texts == ["another's", "whole"]


async def test_a_message_of_another_reply_whose_id_can_not_be_stored_yet_is_not_taken_for_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.rows.begin_delivery(turn(), CHAT, 0, "n")
    await world.clock.run(2 * MINUTE)
    first = await world.outbox.open(turn(2), target(), lambda: [Page("another's")])
    first.touch()
    await world.clock.run(1)
    stored = world.rows.is_delivered

    async def not_yet(chat: ChatAddress, message_id: str) -> bool:
        return False

    monkeypatch.setattr(world.rows, "is_delivered", not_yet)
    await world.post("whole")
    assert world.texts == ["another's", "whole"]
    assert await stored(CHAT, "1")


async def test_two_lost_pages_are_found_each(world: World) -> None:
    await world.crashed("on", "tw", "thr", lost=2)
    await world.clock.run(2 * MINUTE)
    await world.post("one", "two", "three")
    assert world.texts == ["one", "two", "three"]
    assert [page for page, _, _ in await world.noted()] == [0, 1, 2]


async def test_an_outage_longer_than_the_nonce_lives_ends_with_one_message(world: World) -> None:
    world.platform.lost_answers = 1
    finished = asyncio.ensure_future(world.outbox.post(turn(), target(), [Page("whole")]))
    await world.clock.run(0.1)
    assert world.texts == ["whole"]
    end = world.clock.now() + 2 * MINUTE
    while world.clock.now() < end:
        world.platform.failures = [UnavailableError("down")]
        await world.clock.run(1)
    world.platform.failures.clear()
    await world.clock.run(60)
    await finished
    assert world.texts == ["whole"]
    assert world.platform.searches == [None]


async def test_a_page_too_many_that_nobody_knew_of_is_found_and_deleted(world: World) -> None:
    await world.crashed("one", "two")
    await world.post("only")
    assert world.texts == ["only"]
    assert await world.noted() == [(0, "1", False)]


async def test_a_lost_create_whose_message_somebody_deleted_is_made_again(world: World) -> None:
    await world.crashed("half")
    world.platform.shown.clear()
    await world.post("whole")
    assert world.texts == ["whole"]
    assert world.outbox.unknown_outcomes == 0


async def test_a_chat_that_is_gone_is_not_tried_for_ever(world: World) -> None:
    await world.crashed("half", lost=0)
    world.platform.failures = [RefusedError(Refusal.GONE, "no such chat")] * 100
    finished = asyncio.ensure_future(world.outbox.post(turn(), target(), [Page("whole")]))
    await world.clock.run(20)
    with pytest.raises(DeliveryError) as caught:
        await finished
    assert caught.value.refusal is Refusal.GONE
    assert len(world.platform.failures) > 95


# ---------------------------------------------------------------------------------------- rows and messages that disagree


async def test_a_page_deleted_right_before_a_crash_is_there_again_when_it_is_wanted_again(world: World) -> None:
    await world.crashed("one", "two", "three", lost=0)
    del world.platform.shown["3"]  # deleted, and its row not dropped any more
    await world.post("one, new", "two, new", "three, new")
    assert world.texts == ["one, new", "two, new", "three, new"]
    assert [(page, repeated) for page, _, repeated in await world.noted()] == [(0, False), (1, False), (2, False)]


async def test_a_page_that_stood_in_the_chat_twice_and_is_gone_still_says_so_when_it_is_made_again(world: World) -> None:
    await world.crashed("half", lost=0)
    await world.rows.delivered(1, "1", repeated=True)
    world.platform.shown.clear()
    await world.post("whole")
    assert world.texts == [f"whole{LABEL}"]


async def test_pages_are_matched_by_their_number_where_a_row_between_them_is_missing(world: World) -> None:
    await world.crashed("one", "two", "three", lost=0)
    await world.rows.drop_delivery(2)  # its message was deleted to give its place to another, which was not begun any more
    del world.platform.shown["2"]
    await world.post("one, new", "two, new", "three, new")
    assert sorted(world.texts) == ["one, new", "three, new", "two, new"]
    assert [world.platform.shown[message or ""].text for _, message, _ in await world.noted()] == ["one, new", "two, new", "three, new"]


async def test_pages_too_many_go_also_where_a_row_between_them_is_missing(world: World) -> None:
    await world.crashed("one", "two", "three", lost=0)
    await world.rows.drop_delivery(2)
    del world.platform.shown["2"]
    await world.post("only")
    assert world.texts == ["only"]
    assert await world.noted() == [(0, "1", False)]


@pytest.mark.parametrize("passed", [0, 1])
async def test_a_kill_between_a_delete_and_its_record_loses_no_page(world: World, monkeypatch: pytest.MonkeyPatch, passed: int) -> None:
    await world.crashed("one", "two", "three", lost=0)
    drop, calls = world.rows.drop_delivery, 0

    async def killed(delivery: int) -> None:
        nonlocal calls
        calls += 1
        if calls > passed:
            await asyncio.Event().wait()
        await drop(delivery)

    monkeypatch.setattr(world.rows, "drop_delivery", killed)
    lost = asyncio.ensure_future(world.outbox.post(turn(), target(), [Page("only")]))
    await world.clock.run(20)
    lost.cancel()
    monkeypatch.undo()
    assert len(world.platform.shown) == 2 - passed
    world.outbox = world.restarted()
    await world.post("one, new", "two, new", "three, new")
    assert sorted(world.texts) == ["one, new", "three, new", "two, new"]
    rows: Sequence[DeliveryRow] = await world.rows.deliveries(turn())
    assert [world.platform.shown[row.message_id or ""].text for row in rows] == ["one, new", "two, new", "three, new"]
