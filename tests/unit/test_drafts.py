"""Growth shown by drafts: the answer becomes messages as ever, whatever becomes of the drafts."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace

import pytest

from bot.drafts import number_of
from bot.model import Button, Page, Receipt, Target
from bot.outbox import Delivery, Outbox
from bot.platforms.base import Allowance, Call, FloodError, PlatformError, Refusal, RefusedError, UnavailableError, UnknownOutcomeError
from bot.platforms.budgets import TELEGRAM_PRIVATE
from sandbox.limits import Gates
from storage.base import Owner, OwnerKind
from tests.support.chat import LIMITS, OVERALL, MemoryDeliveries, MemoryPlatform, Taken, target
from tests.support.clock import FakeClock
from tests.support.outbox import Text, turn

FADES_AFTER = 30.0
BAD = RefusedError(Refusal.BAD_REQUEST, "no")


@dataclass
class Drafting(MemoryPlatform):
    """A platform with drafts, counted with all other calls of a chat; a message there takes them away.

    Attributes:
        refusing: Errors that the next drafts meet.
        frames: What was shown, with its number.
        gaps: Seconds for which no draft showed although the one before had faded by itself.
    """

    draft_seconds: float = FADES_AFTER
    draft_refusals: int = 1
    on: bool = True
    refusing: list[PlatformError | None] = field(default_factory=list)
    frames: list[tuple[int, Page]] = field(default_factory=list)
    drafted: dict[str, tuple[float, Page]] = field(default_factory=dict)
    gaps: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._gates = Gates(self.clock.now)

    def allowances(self, call: Call, target: Target, *, first: bool) -> Sequence[Allowance]:
        return [Allowance(f"memory:{target.chat.chat}", TELEGRAM_PRIVATE), OVERALL]

    def drafts(self, target: Target) -> bool:
        return self.on

    async def draft(self, target: Target, page: Page, *, number: int) -> None:
        await self._take(Call.DRAFT, target)
        now, place = self.clock.now(), str(target.chat)
        if place in self.drafted and now > self.drafted[place][0]:
            self.gaps.append(now - self.drafted[place][0])
        self.frames.append((number, page))
        self.drafted[place] = (now + self.draft_seconds, page)
        self.taken.append(Taken(now, Call.DRAFT, "", page.text))

    async def send(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        receipt = await super().send(target, page, nonce=nonce, first=first)
        self.drafted.pop(str(target.chat), None)
        return receipt

    async def _take(self, call: Call, target: Target) -> None:
        verdict = self._gates.take(target.chat.chat, TELEGRAM_PRIVATE)
        if not verdict.allowed:
            self.floods += 1
            raise FloodError(verdict.reset_after)
        if call is Call.DRAFT and self.refusing and (error := self.refusing.pop(0)):
            raise error

    @property
    def texts(self) -> list[str]:
        return [page.text for page in self.shown.values()]


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.platform = Drafting(self.clock, limits=replace(LIMITS, idempotent_send=False))
        self.rows = MemoryDeliveries()
        self.outbox = self.restarted()

    def restarted(self) -> Outbox:
        return Outbox({"memory": self.platform}, self.rows, self.clock, rng=random.Random(1))

    async def say(self, delivery: Delivery, text: Text, words: int, *, seconds: float = 0.1) -> None:
        for number in range(words):
            text.now[-1] += f"w{number} "
            delivery.touch()
            await self.clock.run(seconds)

    async def finish(self, *deliveries: Delivery, within: float = 60.0) -> None:
        ends = [asyncio.ensure_future(delivery.finish()) for delivery in deliveries]
        await self.clock.run(within)
        assert all(end.done() for end in ends)
        await asyncio.gather(*ends)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.outbox.aclose()
    assert world.platform.floods == 0


def calls(world: World) -> list[Call]:
    return [taken.call for taken in world.platform.taken]


async def test_an_answer_grows_by_drafts_and_ends_as_one_message(world: World) -> None:
    text = Text("")
    delivery = await world.outbox.open(turn(), target(), text)
    await world.say(delivery, text, 100)
    assert world.platform.shown == {}
    assert delivery.shown
    await world.finish(delivery)
    assert calls(world)[-1] is Call.SEND
    assert set(calls(world)[:-1]) == {Call.DRAFT}
    assert 8 <= len(calls(world)) <= 14, "ten seconds of growth at about a call a second"
    assert world.platform.texts == text.now
    assert world.platform.drafted == {}


async def test_a_draft_has_one_number_per_page_and_no_buttons(world: World) -> None:
    text = Text("")
    text.buttons = ((Button("Stop", "stop:7"),),)
    delivery = await world.outbox.open(turn(7), target(), text)
    await world.say(delivery, text, 30)
    text.now.append("")
    await world.say(delivery, text, 30)
    await world.finish(delivery)
    assert {number for number, _ in world.platform.frames} == {number_of(7, 0), number_of(7, 1)}
    assert all(page.buttons == () for _, page in world.platform.frames)
    assert [page.buttons for page in world.platform.shown.values()] == [text.buttons, text.buttons]


async def test_a_full_page_becomes_a_message_and_the_draft_goes_on_with_the_next(world: World) -> None:
    text = Text("")
    delivery = await world.outbox.open(turn(), target(), text)
    for page in range(3):
        if page:
            text.now.append(f"page {page}: ")
        await world.say(delivery, text, 40)
        assert world.platform.texts == text.now[:page]
    assert world.platform.frames[-1][1].text.startswith("page 2: ")
    await world.finish(delivery)
    assert world.platform.texts == text.now
    assert set(calls(world)) == {Call.DRAFT, Call.SEND}
    assert calls(world).count(Call.SEND) == 3


async def test_what_already_shows_is_not_shown_again(world: World) -> None:
    text = Text("the same")
    delivery = await world.outbox.open(turn(), target(), text)
    for _ in range(50):
        delivery.touch()
        await world.clock.run(0.2)
    assert calls(world) == [Call.DRAFT]


async def test_a_draft_never_fades_while_the_model_is_silent(world: World) -> None:
    text = Text("let me think")
    delivery = await world.outbox.open(turn(), target(), text)
    assert delivery.draft is not None
    keeper = asyncio.ensure_future(delivery.draft.keep(world.clock, delivery.touch))
    delivery.touch()
    await world.clock.run(7)
    await world.say(delivery, text, 10)
    await world.clock.run(200)
    assert world.platform.drafted[str(target().chat)][0] > world.clock.now()
    assert world.platform.gaps == []
    assert len(calls(world)) < 25
    keeper.cancel()
    await world.finish(delivery)
    assert world.platform.texts == text.now


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize(
    "error", [BAD, RefusedError(Refusal.FORBIDDEN), FloodError(7.0), UnavailableError("slow"), UnknownOutcomeError("cut")]
)
async def test_after_a_refused_draft_the_answer_goes_on_by_edits_whole_and_once(world: World, error: PlatformError, after: int) -> None:
    world.platform.refusing = [None] * after + [error]
    text = Text("")
    delivery = await world.outbox.open(turn(), target(), text)
    await world.say(delivery, text, 200)
    assert calls(world).count(Call.DRAFT) == after
    assert Call.EDIT in calls(world)
    await world.finish(delivery)
    assert world.platform.texts == text.now
    assert calls(world).count(Call.SEND) == 1
    another = await world.outbox.open(turn(2), target(), Text("next"))
    assert another.draft is not None, "the next answer tries again"


async def test_a_flooded_draft_holds_up_its_chat_exactly_as_long_as_told(world: World) -> None:
    world.platform.refusing = [None, FloodError(40.0)]
    text, other = Text("begin"), Text("other")
    delivery = await world.outbox.open(turn(), target(), text)
    delivery.touch()
    await world.clock.run(3)
    text.now[0] += " and end"
    delivery.touch()
    await world.clock.settle()
    told = world.clock.now()
    end = asyncio.ensure_future(delivery.finish())
    await world.finish(await world.outbox.open(turn(2), target("2"), other), within=0.1)
    await world.clock.run(60)
    await end
    assert [taken.at - told for taken in world.platform.taken if taken.text == "begin and end"] == [pytest.approx(40.0)]


async def test_where_some_drafts_are_refused_by_what_they_hold_the_next_is_tried(world: World) -> None:
    world.platform.draft_refusals = 3
    world.platform.refusing = [None, BAD, BAD, None, BAD, BAD, None]
    text = Text("")
    delivery = await world.outbox.open(turn(), target(), text)
    await world.say(delivery, text, 100)
    assert delivery.draft is not None
    assert set(calls(world)) == {Call.DRAFT}
    world.platform.refusing = [BAD] * 3
    await world.say(delivery, text, 100)
    assert delivery.draft is None
    await world.finish(delivery)
    assert world.platform.texts == text.now
    assert calls(world).count(Call.SEND) == 1


async def test_a_refused_draft_is_not_tried_again_as_it_was(world: World) -> None:
    world.platform.draft_refusals = 3
    world.platform.refusing = [BAD]
    delivery = await world.outbox.open(turn(), target(), Text("the same"))
    for _ in range(20):
        delivery.touch()
        await world.clock.run(0.5)
    assert calls(world) == []
    await world.finish(delivery)
    assert world.platform.texts == ["the same"]


async def test_a_draft_that_another_message_took_away_is_shown_anew(world: World) -> None:
    delivery = await world.outbox.open(turn(), target(), Text("so far"))
    delivery.touch()
    await world.clock.run(5)
    answer = await world.outbox.open(Owner(OwnerKind.EVENT, 1), target(), Text("the command's answer"))
    await world.finish(answer, within=5)
    assert [page.text for _, page in world.platform.frames] == ["so far", "so far"]
    assert str(target().chat) in world.platform.drafted
    await world.finish(delivery)
    assert world.platform.texts == ["the command's answer", "so far"]


async def test_there_is_one_draft_at_a_time_in_a_chat_and_in_a_topic(world: World) -> None:
    topic = replace(target(), chat=replace(target().chat, thread="9"))
    first, second, third = [
        await world.outbox.open(turn(number), where, Text(f"answer {number}"))
        for number, where in enumerate((target(), target(), topic), start=1)
    ]
    assert first.draft is not None
    assert second.draft is None
    assert third.draft is not None
    await world.finish(first, second, third)
    assert (await world.outbox.open(turn(4), target(), Text("later"))).draft is not None


async def test_the_answer_of_a_command_and_where_drafts_can_t_be_shown_nothing_is_drafted(world: World) -> None:
    assert (await world.outbox.open(Owner(OwnerKind.EVENT, 1), target(), Text("answer"))).draft is None
    world.platform.on = False
    assert (await world.outbox.open(turn(), target(), Text("answer"))).draft is None


async def test_a_restart_in_the_middle_of_a_draft_ends_with_one_whole_message(world: World) -> None:
    text = Text("")
    delivery = await world.outbox.open(turn(), target(), text)
    await world.say(delivery, text, 8)
    await world.outbox.aclose()
    world.outbox = world.restarted()
    afresh = Text("")
    delivery = await world.outbox.open(turn(), target(), afresh, again=True)
    await world.say(delivery, afresh, 50)
    await world.finish(delivery)
    assert world.platform.texts == afresh.now


async def test_a_restart_after_a_page_goes_on_in_it_by_edits_and_drafts_the_next(world: World) -> None:
    text = Text("first page", "second")
    delivery = await world.outbox.open(turn(), target(), text)
    delivery.touch()
    await world.clock.run(5)
    await world.outbox.aclose()
    world.outbox = world.restarted()
    afresh = Text("")
    delivery = await world.outbox.open(turn(), target(), afresh, again=True)
    await world.say(delivery, afresh, 60)
    assert world.platform.texts[0].startswith("w0 w1"), "the message that was visible already grows"
    afresh.now.append("")
    await world.say(delivery, afresh, 60)
    await world.finish(delivery)
    assert world.platform.texts == afresh.now
    assert number_of(1, 1) in {number for number, _ in world.platform.frames}
