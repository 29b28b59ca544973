"""The limit of an account: questions wait for their place under it, however it became known, and nobody is refused on a guess."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import aiohttp
import pytest

from adapters.base import ChatRequest, ErrorKind, Event, Finished, Message, Progress, ProviderError, Started, TextDelta, TextPart
from adapters.rate_gate import FORGET_S, WINDOW_S, RateGate
from adapters.router import PATIENCE_S, Asked
from adapters.segmind import BUDGETS, Segmind
from sandbox.faults import Fault
from sandbox.providers import ScriptedVoice, SegmindSandbox
from tests.support.chain import Chain, refused

KEY, LLAMA, LIMIT = "SG_canary0123456789", "llama-v3p1-8b-instruct", 5
LONG_S = 1e6


class Clock:
    """Whoever sleeps lets the time pass at once."""

    def __init__(self) -> None:
        self.seconds = time.time()
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


# ------------------------------------------------------------------------------------------------ the gate alone


def test_where_nothing_is_known_nobody_waits(clock: Clock) -> None:
    gate = RateGate(clock)
    assert [gate.place(60.0).wait() for _ in range(1000)] == [0.0] * 1000


@pytest.mark.parametrize("seed", range(20))
def test_no_minute_has_more_than_the_limit_and_nobody_overtakes(clock: Clock, seed: int) -> None:
    chance = random.Random(seed)
    limit = chance.randint(1, 9)
    gate = RateGate(clock, limit)
    went = []
    for _ in range(200):
        clock.seconds += chance.choice((0.0, 0.0, chance.uniform(0, 30)))
        went.append(clock.seconds + gate.place(LONG_S).wait())
    assert went == sorted(went)
    assert all(later - earlier >= WINDOW_S - 1e-6 for earlier, later in zip(went, went[limit:], strict=False))


def test_nobody_waits_longer_than_may_be_waited(clock: Clock) -> None:
    gate = RateGate(clock, 1)
    assert [gate.place(60.0).wait() for _ in range(4)] == pytest.approx([0.0, 60.0, 60.0, 60.0])
    gate.close(LONG_S)
    assert gate.place(7.0).wait() == pytest.approx(7.0)


def test_who_leaves_gives_the_place_to_the_next(clock: Clock) -> None:
    gate = RateGate(clock, 1)
    gate.place(LONG_S)
    gate.place(LONG_S).leave()
    assert gate.place(LONG_S).wait() == pytest.approx(WINDOW_S)


def test_a_refusal_teaches_the_limit_until_it_is_forgotten(clock: Clock) -> None:
    gate = RateGate(clock)
    for _ in range(3):
        gate.place(60.0)
    gate.refused(gate.place(60.0), 12.0)
    assert gate.limit == 3
    assert gate.place(60.0).wait() == pytest.approx(60.0)
    clock.seconds += FORGET_S
    assert gate.limit is None
    assert gate.place(60.0).wait() == 0.0


def test_of_many_that_go_out_at_once_the_refused_ones_teach_how_many_were_taken(clock: Clock) -> None:
    gate = RateGate(clock)
    for refused_one in [gate.place(60.0) for _ in range(20)][5:]:
        gate.refused(refused_one, 60.0)
    assert gate.limit == 5


def test_who_comes_after_a_limit_is_forgotten_overtakes_nobody_who_waits_by_it(clock: Clock) -> None:
    gate = RateGate(clock)
    gate.place(LONG_S)
    gate.refused(gate.place(LONG_S), 1.0)
    waiting = [gate.place(LONG_S) for _ in range(20)]
    clock.seconds += FORGET_S
    assert gate.limit is None
    assert gate.place(LONG_S).wait() == pytest.approx(waiting[-1].wait())
    assert waiting[-1].wait() > WINDOW_S


def test_a_refusal_of_the_first_says_nothing_of_the_limit_but_when_to_come_again(clock: Clock) -> None:
    gate = RateGate(clock)
    gate.refused(gate.place(60.0), 12.0)
    assert gate.limit is None
    assert gate.place(60.0).wait() == pytest.approx(12.0)


def test_a_limit_below_every_plan_is_not_learned(clock: Clock) -> None:
    """Somebody else with the same key must not slow every question of ours down to one a minute."""
    gate = RateGate(clock, least=5)
    gate.place(60.0)
    gate.refused(gate.place(60.0), 1.0)
    assert gate.limit == 5
    clock.seconds += 1.0
    assert [gate.place(60.0).wait() for _ in range(5)] == pytest.approx([0.0, 0.0, 0.0, 0.0, 59.0])


def test_who_waits_already_waits_on_when_it_closes(clock: Clock) -> None:
    gate = RateGate(clock, 1)
    gate.place(LONG_S)
    waiting = gate.place(LONG_S)
    gate.close(100.0)
    assert waiting.wait() == pytest.approx(100.0)


# ------------------------------------------------------------------------------------------------ Segmind behind it


@pytest.fixture
async def server(clock: Clock) -> AsyncIterator[SegmindSandbox]:
    async with SegmindSandbox(key=KEY, voice=ScriptedVoice(), slugs=[LLAMA], requests_per_minute=LIMIT, now=clock) as sandbox:
        yield sandbox


def provider(server: SegmindSandbox, session: aiohttp.ClientSession, clock: Clock, limit: int | None = None) -> Segmind:
    return Segmind(session, key=KEY, base_url=server.base_url, sleep=clock.sleep, requests_per_minute=limit, now=clock)


def question() -> ChatRequest:
    return ChatRequest(LLAMA, (Message("user", (TextPart("hello"),)),))


async def asked(segmind: Segmind) -> list[Any]:
    return [event async for event in segmind.stream(question())]


def statuses(server: SegmindSandbox) -> int:
    return len(server.calls_to("POST", f"/v1/{LLAMA}"))


async def test_questions_beyond_the_operators_limit_wait_and_none_is_refused(
    server: SegmindSandbox, session: aiohttp.ClientSession, clock: Clock
) -> None:
    segmind = provider(server, session, clock, LIMIT)
    began = clock.seconds
    for number in range(12):
        events = await asked(segmind)
        assert isinstance(events[-1], Finished)
        waits = [event for event in events if isinstance(event, Progress)]
        assert [event.kind for event in waits] == (["queued"] if number in {5, 10} else [])
    assert clock.seconds - began >= 2 * WINDOW_S
    assert statuses(server) == 12


async def test_an_unknown_limit_is_learned_from_one_refusal(server: SegmindSandbox, session: aiohttp.ClientSession, clock: Clock) -> None:
    segmind = provider(server, session, clock)
    for _ in range(LIMIT):
        await asked(segmind)
    assert not clock.slept  # nothing was known, nobody waited
    with pytest.raises(ProviderError) as caught:
        await asked(segmind)
    assert caught.value.kind is ErrorKind.RATE_LIMIT
    for _ in range(2 * LIMIT):
        assert isinstance((await asked(segmind))[-1], Finished)
    assert statuses(server) == 3 * LIMIT + 1


async def test_an_answer_that_says_that_nothing_remains_closes_the_gate(
    server: SegmindSandbox, session: aiohttp.ClientSession, clock: Clock
) -> None:
    body = {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}
    server.faults.add(Fault(status=200, body=body, headers={"x-rate-limit-remaining": "0", "retry-after": "20"}))
    segmind = provider(server, session, clock)
    await asked(segmind)
    events = await asked(segmind)
    assert isinstance(events[0], Progress)
    assert clock.slept == pytest.approx([20.0])


async def test_a_question_that_is_asked_once_more_with_the_persona_elsewhere_counts_twice(
    server: SegmindSandbox, session: aiohttp.ClientSession, clock: Clock
) -> None:
    server.system_role = False
    segmind = provider(server, session, clock, LIMIT)
    persona = ChatRequest(LLAMA, question().messages, system="Be brief.")
    assert isinstance([event async for event in segmind.stream(persona)][-1], Finished)
    for _ in range(LIMIT - 2):
        await asked(segmind)
    assert statuses(server) == LIMIT
    assert isinstance((await asked(segmind))[0], Progress)  # it waits, and is not refused


async def test_after_as_long_as_an_answer_may_take_it_is_asked_all_the_same(
    server: SegmindSandbox, session: aiohttp.ClientSession, clock: Clock
) -> None:
    segmind = provider(server, session, clock, 1)
    for _ in range(4):
        await asked(segmind)
    assert all(wait <= BUDGETS.total + 1e-6 for wait in clock.slept)
    assert statuses(server) == 4


async def test_a_stop_ends_the_waiting_at_once_and_frees_the_place(server: SegmindSandbox, session: aiohttp.ClientSession) -> None:
    now = Clock()
    segmind = Segmind(session, key=KEY, base_url=server.base_url, requests_per_minute=1, now=now)  # it would really sleep for a minute
    await asked(segmind)
    waiting: AsyncGenerator[Event, None] = segmind.stream(question())
    assert isinstance(await anext(waiting), Progress)
    await waiting.aclose()
    assert statuses(server) == 1
    now.seconds += WINDOW_S
    assert isinstance((await asked(segmind))[0], Started)  # nobody stands in the row any more


# ------------------------------------------------------------------------------------------------ who else may answer


async def test_others_answer_where_the_wait_is_longer_than_patience() -> None:
    chain = Chain()
    chain.will("alpha", Progress("queued", PATIENCE_S + 1), chain.stalling(), TextDelta("late"), Finished())
    events = await chain.run()
    assert [event.text[:6] for event in events if isinstance(event, TextDelta)] == ["heard:"]
    assert [event for event in events if isinstance(event, Asked)][-1] == Asked(1, {0: ErrorKind.RATE_LIMIT})
    assert chain.began["beta"] == chain.began["alpha"]
    assert chain.providers["alpha"].closed == 1
    assert await chain.asks() == ["alpha"]  # a queue is no fault: it is asked first again


async def test_where_no_other_answers_it_waits_and_is_asked_after_all() -> None:
    chain = Chain()
    chain.will("alpha", Progress("queued", 45.0))
    chain.will("alpha", Progress("queued", 45.0), chain.stalling(), TextDelta("late"), Finished())
    chain.will("beta", refused(ErrorKind.AUTH))
    events = await chain.run()
    assert [event for event in events if isinstance(event, TextDelta)] == [TextDelta("late")]
    assert chain.asked == ["alpha", "beta", "alpha"]


async def test_a_short_wait_and_a_job_that_is_under_way_are_waited_for() -> None:
    chain = Chain()
    chain.will("alpha", Progress("queued", PATIENCE_S), TextDelta("soon"), Finished())
    await chain.run()
    chain.will("alpha", Started(), Progress("queued", 300.0), TextDelta("a job"), Finished())
    await chain.run()
    assert chain.asked == ["alpha", "alpha"]


async def test_alone_it_waits_as_long_as_it_takes() -> None:
    chain = Chain("alpha")
    chain.will("alpha", Progress("queued", 300.0), TextDelta("late"), Finished())
    assert Finished() in await chain.run()
