"""The allocator: who goes next when the account's budget does not suffice for all."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from bot.allocator import FEWEST_WAITING, LONGEST_GULP_SECONDS, NEAR_SECONDS, Allocator, Bid, Place, Rank
from bot.pacing import Meter
from bot.platforms.budgets import Budget, BudgetKind
from tests.support.clock import FakeClock

BUDGET = Budget(BudgetKind.SLIDING, 10, 1.0)


@dataclass(eq=False)
class Chat:
    """A lane that wants one call, and makes it as soon as it is admitted. `tokens` come to it in a second."""

    world: World
    name: str
    rank: Rank
    tokens: float = 1.0
    since: float = 0.0
    wants: bool = True
    place: Place | None = None

    def bid(self, now: float) -> Bid | None:
        return Bid(self.rank, self.tokens * (now - self.since) ** 2 / 2, self.since) if self.wants else None

    def ask(self) -> None:
        bid = self.bid(self.world.clock.now())
        assert bid is not None
        self.place = self.world.allocator.admit(self, bid)
        if self.place is not None:
            self.world.admitted.append(self.name)
            self.place.arrived(self.world.clock.now())

    def wake(self) -> None:
        self.ask()

    def approach(self) -> None:
        self.world.told.append(self.name)


@dataclass
class World:
    clock: FakeClock = field(default_factory=FakeClock)
    admitted: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.meter = Meter(BUDGET)
        self.allocator = Allocator(lambda: self.meter, self.clock, self.spawn, first_text_seconds=2.0)

    def spawn(self, work) -> asyncio.Task[None]:
        self.tasks.append(asyncio.ensure_future(work))
        return self.tasks[-1]

    def chat(self, name: str, rank: Rank = Rank.GROWTH, *, tokens: float = 1.0, age: float = 0.0) -> Chat:
        return Chat(self, name, rank, tokens, self.clock.now() - age)

    def use_up(self) -> None:
        """Spend all of the budget."""
        while self.meter.wait(self.clock.now()) <= 0:
            self.chat("spent", Rank.FINAL).ask()
        self.admitted.clear()


@pytest.fixture
async def world():
    world = World()
    yield world
    world.allocator.close()
    await world.clock.run(10)
    await asyncio.gather(*world.tasks)


async def test_while_there_is_room_everybody_is_admitted_at_once(world: World) -> None:
    for name in "ab":
        world.chat(name).ask()
    world.chat("c", Rank.FIRST_TEXT).ask()
    world.chat("d", Rank.FINAL).ask()
    assert world.admitted == ["a", "b", "c", "d"]
    assert not world.allocator.crowded


async def test_finals_go_before_everything_else_in_order_of_arrival(world: World) -> None:
    world.use_up()
    world.chat("growth", tokens=1000, age=5).ask()
    world.chat("first", Rank.FIRST_TEXT, tokens=1000, age=5).ask()
    world.chat("final 1", Rank.FINAL, tokens=0).ask()
    world.chat("final 2", Rank.FINAL, tokens=5).ask()
    await world.clock.run(2)
    assert world.admitted[:2] == ["final 1", "final 2"]


async def test_growth_and_first_texts_go_by_the_staleness_that_a_call_saves(world: World) -> None:
    world.use_up()
    for name, rank, tokens in [("few", Rank.GROWTH, 1), ("many", Rank.GROWTH, 9), ("some", Rank.FIRST_TEXT, 5)]:
        world.chat(name, rank, tokens=tokens, age=0.3).ask()
    await world.clock.run(1.5)
    assert world.admitted == ["many", "some", "few"]


async def test_a_first_text_that_waited_as_long_as_it_may_goes_before_growth_however_much_waits_there(world: World) -> None:
    world.use_up()
    world.chat("growth", tokens=1000, age=1.5).ask()
    world.chat("first", Rank.FIRST_TEXT, tokens=1, age=1.5).ask()
    await world.clock.run(1.5)
    assert world.admitted == ["first", "growth"]


async def test_nobody_is_passed_over_for_ever_by_chats_with_more_to_show(world: World) -> None:
    busy = [world.chat(f"busy {number}", tokens=5) for number in range(40)]
    small = world.chat("small", tokens=1)
    small.ask()
    world.admitted.clear()
    world.use_up()
    for chat in [small, *busy]:
        chat.ask()
    for _ in range(100):
        await world.clock.run(0.25)
        for chat in busy:
            if chat.place is not None:
                chat.place, chat.since = None, world.clock.now()
                chat.ask()
    assert "small" in world.admitted


async def test_growth_leaves_room_for_the_final_that_comes_next(world: World) -> None:
    """Forty chats want growth all the time: the next final still waits for at most one place."""
    chats = [world.chat(f"{number}") for number in range(40)]
    for chat in chats:
        chat.ask()
    for _ in range(40):
        await world.clock.run(0.1)
        for chat in chats:
            if chat.place is not None:
                chat.place = None
                chat.ask()
    world.admitted.clear()
    world.chat("final", Rank.FINAL).ask()
    await world.clock.run(0.11)
    assert world.admitted[0] == "final"


async def test_over_a_crowded_time_nearly_the_whole_budget_is_used(world: World) -> None:
    chats = [world.chat(f"{number}") for number in range(40)]
    for chat in chats:
        chat.ask()
    for _ in range(200):
        await world.clock.run(0.05)
        for chat in chats:
            if chat.place is not None:
                chat.place = None
                chat.ask()
    assert len(world.admitted) >= 0.95 * 10 * BUDGET.calls


async def test_a_chat_that_wants_nothing_any_more_does_not_hold_up_the_others(world: World) -> None:
    world.use_up()
    gone, next_one = world.chat("gone", tokens=100, age=1), world.chat("next", age=1)
    gone.ask()
    next_one.ask()
    gone.wants = False
    world.allocator.withdraw(gone)
    await world.clock.run(1.2)
    assert world.admitted == ["next"]


async def test_a_place_that_is_not_used_goes_to_the_next(world: World) -> None:
    world.use_up()
    await world.clock.run(1.1)
    for _ in range(BUDGET.calls - 1):
        world.chat("spent", Rank.FINAL).ask()
    held = world.allocator.admit(world.chat("unused", Rank.FINAL), Bid(Rank.FINAL, 1.0, world.clock.now()))
    assert held is not None
    world.admitted.clear()
    world.chat("waiting", Rank.FINAL).ask()
    assert world.admitted == []
    world.allocator.take_back(held)
    await world.clock.settle()
    assert world.admitted == ["waiting"]
    world.allocator.take_back(held)  # twice is once
    assert world.meter.room(world.clock.now()) == 0


async def test_a_halt_of_the_whole_account_holds_finals_too(world: World) -> None:
    world.meter.block(world.clock.now() + 7)
    world.chat("final", Rank.FINAL).ask()
    await world.clock.run(6.9)
    assert world.admitted == []
    await world.clock.run(0.2)
    assert world.admitted == ["final"]


async def test_only_who_stands_in_a_long_row_may_let_text_come_unread_and_never_for_long(world: World) -> None:
    world.use_up()
    row = [world.chat(f"{number}") for number in range(300)]
    for number, chat in enumerate(row, start=1):
        chat.ask()
        lull = world.allocator.lull(chat)
        if number < FEWEST_WAITING:
            assert lull == 0
        else:
            assert 0 < lull <= LONGEST_GULP_SECONDS
    assert world.allocator.lull(world.chat("does not wait")) == 0
    for chat in row:
        world.allocator.withdraw(chat)
    assert world.allocator.lull(row[0]) == 0


async def test_who_is_next_is_told_and_in_time_and_nobody_else(world: World) -> None:
    world.use_up()
    near = int(NEAR_SECONDS * BUDGET.calls / BUDGET.seconds)
    row = [world.chat(f"{number:03}", tokens=1000.0 - number, age=1.0) for number in range(40)]
    for chat in row:
        chat.ask()
    await world.clock.run(0.01)
    assert set(world.told) == {chat.name for chat in row[:near]}, "the next by what their calls are worth"
    await world.clock.run(3.0)
    after = world.admitted[BUDGET.calls :]  # the first come all at once, when the window has passed
    assert len(after) >= BUDGET.calls
    assert len(set(after) - set(world.told)) <= len(after) / 5, "one or another slips by where two places come free at once"
    assert len(set(world.told)) <= len(world.admitted) + near


async def test_a_first_text_that_is_soon_overdue_is_told_before_growth_of_more_worth(world: World) -> None:
    world.use_up()
    for number in range(10):
        world.chat(f"grows {number}", tokens=1e6, age=1.0).ask()
    world.chat("young", Rank.FIRST_TEXT, tokens=0.0).ask()
    world.chat("overdue", Rank.FIRST_TEXT, tokens=0.0, age=1.9).ask()
    await world.clock.run(0.01)
    assert "overdue" in world.told
    assert "young" not in world.told


async def test_after_a_long_halt_who_is_next_is_told_shortly_before(world: World) -> None:
    world.use_up()
    world.meter.block(world.clock.now() + 5.0)
    for number in range(20):
        world.chat(f"{number:02}", tokens=100.0 - number, age=1.0).ask()
    await world.clock.run(4.5)
    assert not world.admitted
    world.told.clear()  # what was read then is old
    await world.clock.run(0.45)
    assert not world.admitted
    assert set(world.told) >= {"00", "01"}


async def test_one_that_cannot_be_told_and_one_that_leaves_when_told_hold_up_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world.use_up()
    broken, leaves, other = (
        world.chat(name, Rank.FIRST_TEXT, tokens=9.0 - n, age=1.9) for n, name in enumerate(("broken", "leaves", "other"))
    )

    def fail() -> None:
        raise RuntimeError("its socket is gone")

    monkeypatch.setattr(broken, "approach", fail)
    monkeypatch.setattr(leaves, "approach", lambda: world.allocator.withdraw(leaves))
    for chat in (broken, leaves, other):
        chat.ask()
    await world.clock.run(2.0)
    assert world.admitted == ["broken", "other"]
    assert "other" in world.told
    assert "its socket is gone" in caplog.text
