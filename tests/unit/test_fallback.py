"""Where the chosen provider does not answer, the next one does: before the first word only, in the first one's time, and never silently."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from adapters.base import (
    Billed,
    ChatRequest,
    ErrorKind,
    Finished,
    ProviderError,
    ReasoningDelta,
    Scope,
    Started,
    Submitted,
    TextDelta,
    Usage,
)
from adapters.router import REPEAT_WITHIN_S, Asked, Candidate, ChainEvent, Router
from bot.preferences import Defaults
from tests.support.chain import BILLED, FIRST_S, Chain, broken, refused
from tests.support.core import World, eventually
from tests.support.providers import request
from tests.support.scripted import ScriptedProvider

FAILURES = {
    "429 with retry_after": refused(ErrorKind.RATE_LIMIT, retry_after=3.0),
    "429 for an hour": refused(ErrorKind.RATE_LIMIT, retry_after=3600.0),
    "not served": refused(ErrorKind.NOT_SERVED),
    "no reason": refused(ErrorKind.FORBIDDEN),
    "429": refused(ErrorKind.RATE_LIMIT),
    "500": broken(ErrorKind.SERVER),
    "503": refused(ErrorKind.OVERLOADED, Scope.PROVIDER),
    "wrong key": refused(ErrorKind.AUTH),
    "no credits": refused(ErrorKind.QUOTA),
    "no connection": refused(ErrorKind.CONNECT, Scope.PROVIDER),
    "no such model": refused(ErrorKind.MODEL_NOT_FOUND, Scope.MODEL),
    "wrong address": refused(ErrorKind.BAD_REQUEST, Scope.PROVIDER),
    "gibberish": broken(ErrorKind.PROTOCOL, Scope.REQUEST),
}
OF_THE_QUESTION = [ErrorKind.BAD_REQUEST, ErrorKind.CONTEXT_OVERFLOW, ErrorKind.CONTENT_FILTER, ErrorKind.EMPTY]


@pytest.fixture
def chain() -> Chain:
    return Chain()


def texts_of(events: list[ChainEvent]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


# ------------------------------------------------------------------------------------------------------ the chain


@pytest.mark.parametrize("failure", FAILURES)
async def test_the_second_answers_at_once_where_the_first_fails(chain: Chain, failure: str) -> None:
    chain.will("alpha", Started("1"), FAILURES[failure])
    events = await chain.run(seconds=0)
    assert texts_of(events).startswith("heard")
    asked = [event for event in events if isinstance(event, Asked)]
    assert asked == [Asked(0, {}), Asked(1, {0: FAILURES[failure].kind}, FAILURES[failure].billed is BILLED)]
    assert len(chain.providers["alpha"].requests) == 1


async def test_a_silent_first_one_is_left_when_its_own_time_is_over_and_no_later(chain: Chain) -> None:
    chain.will("alpha", chain.stalling(), broken(ErrorKind.TIMEOUT_FIRST))
    events = await chain.run()
    assert texts_of(events).startswith("heard")
    assert chain.began["beta"] - chain.began["alpha"] == FIRST_S


@pytest.mark.parametrize("kind", OF_THE_QUESTION)
async def test_what_the_question_is_to_blame_for_is_asked_nowhere_else(chain: Chain, kind: ErrorKind) -> None:
    chain.will("alpha", refused(kind, Scope.REQUEST))
    error = await chain.fails()
    assert (error.kind, error.provider) == (kind, "alpha")
    assert chain.asked == ["alpha"]


@pytest.mark.parametrize("failure", FAILURES)
async def test_after_the_first_word_nobody_else_is_asked(chain: Chain, failure: str) -> None:
    chain.will("alpha", TextDelta("It"), FAILURES[failure])
    assert await chain.fails() is FAILURES[failure]
    assert chain.asked == ["alpha"]


@pytest.mark.parametrize("failure", FAILURES)
async def test_blanks_are_no_word_yet_and_nothing_of_them_stays(chain: Chain, failure: str) -> None:
    chain.will("alpha", Started("1"), TextDelta(" "), TextDelta("\n\n"), FAILURES[failure])
    chain.will("beta", TextDelta("yes"), Finished())
    assert texts_of(await chain.run()) == "yes"
    assert chain.asked == ["alpha", "beta"]


async def test_the_blanks_that_an_answer_begins_with_come_with_its_first_word(chain: Chain) -> None:
    chain.will(
        "alpha", TextDelta(" "), ReasoningDelta("hm"), TextDelta("\n "), TextDelta("    code"), TextDelta(" "), TextDelta("x"), Finished()
    )
    events = await chain.run()
    assert [event.text for event in events if isinstance(event, TextDelta)] == [" \n     code", " ", "x"]
    assert chain.asked == ["alpha"]


async def test_a_refusal_that_the_provider_says_will_pass_goes_to_the_next_one(chain: Chain) -> None:
    chain.will("alpha", ProviderError(ErrorKind.BAD_REQUEST, billed=Billed.NO, should_retry=True))
    assert texts_of(await chain.run()).startswith("heard")
    chain.will("alpha", ProviderError(ErrorKind.RATE_LIMIT, billed=Billed.NO, should_retry=False))
    assert texts_of(await chain.run()).startswith("heard")
    assert chain.asked == ["alpha", "beta", "alpha", "beta"]


async def test_thoughts_and_a_job_are_no_words_yet(chain: Chain) -> None:
    chain.will("alpha", Submitted("job"), ReasoningDelta("hm"), broken(ErrorKind.TIMEOUT_TOTAL))
    assert texts_of(await chain.run()).startswith("heard")


async def test_only_the_last_is_asked_again_and_after_the_wait_it_asked_for(chain: Chain) -> None:
    times: list[float] = []
    chain.will("alpha", refused(ErrorKind.RATE_LIMIT, retry_after=3.0))
    chain.will("beta", lambda: times.append(chain.clock.now()), refused(ErrorKind.RATE_LIMIT, retry_after=7.0))
    chain.will("beta", lambda: times.append(chain.clock.now()), TextDelta("yes"), Finished())
    assert texts_of(await chain.run()) == "yes"
    assert times[1] - times[0] == 7.25
    assert len(chain.providers["alpha"].requests) == 1


async def test_no_repeat_begins_after_the_time_a_first_word_may_take() -> None:
    chain = Chain("alpha")
    for _ in range(3):
        chain.will("alpha", refused(ErrorKind.RATE_LIMIT, retry_after=REPEAT_WITHIN_S / 2 + 1))
    await chain.fails()
    assert len(chain.providers["alpha"].requests) == 2


async def test_where_all_fail_the_error_is_that_of_the_chosen_one(chain: Chain) -> None:
    chain.will("alpha", FAILURES["wrong key"])
    chain.will("beta", FAILURES["500"])
    error = await chain.fails()
    assert (error.kind, error.provider) == (ErrorKind.AUTH, "alpha")
    assert chain.asked == ["alpha", "beta"]


async def test_a_lost_chat_or_job_is_asked_afresh_at_the_same_one_first(chain: Chain) -> None:
    lost = ProviderError(ErrorKind.STATE_LOST)
    for given in ({"state": "chat-1"}, {"resume": "job-1"}, {"state": "chat-1", "resume": "job-1"}):
        alpha = ScriptedProvider()
        alpha.will(Started(), lost)
        alpha.will(lost)
        router = Router({"alpha": alpha}, sleep=chain.clock.sleep, now=chain.clock.now)
        with pytest.raises(ProviderError) as caught:
            [event async for event in router.stream("alpha", request("small", **given))]
        assert caught.value is lost
        assert [(asked.state, asked.resume) for asked in alpha.requests] == [(given.get("state"), given.get("resume")), (None, None)]


# -------------------------------------------------------------------------------------------------- cooldowns


@pytest.mark.parametrize(
    ("failure", "seconds"),
    [
        ("429 with retry_after", 3),
        ("429 for an hour", 120),
        ("not served", 900),
        ("no reason", 900),
        ("429", 5),
        ("wrong key", 900),
        ("no credits", 900),
        ("wrong address", 900),
        ("no such model", 3600),
    ],
)
async def test_who_refused_is_asked_last_until_its_pause_is_over(chain: Chain, failure: str, seconds: float) -> None:
    chain.will("alpha", FAILURES[failure])
    assert await chain.asks(seconds=seconds - 1) == ["alpha", "beta"]
    assert await chain.asks(seconds=1) == ["beta"]
    assert await chain.asks() == ["alpha"]
    assert await chain.asks() == ["alpha"]


@pytest.mark.parametrize("failure", ["500", "503", "no connection", "gibberish of the provider"])
async def test_a_fault_pauses_a_provider_only_when_it_is_no_accident(chain: Chain, failure: str) -> None:
    error = FAILURES.get(failure, broken(ErrorKind.PROTOCOL))
    chain.will("alpha", error)
    chain.will("alpha", error)
    assert await chain.asks(seconds=70) == ["alpha", "beta"]
    assert await chain.asks() == ["alpha", "beta"]
    assert await chain.asks() == ["alpha"]
    for _ in range(3):
        chain.will("alpha", error)
        assert await chain.asks(seconds=1) == ["alpha", "beta"]
    assert await chain.asks() == ["beta"]


async def test_a_pause_that_proves_too_short_is_doubled_and_an_answer_ends_it(chain: Chain) -> None:
    for pause in (5, 10, 20, 40, 60, 60):
        chain.will("alpha", FAILURES["429"])
        assert await chain.asks(seconds=pause - 0.5) == ["alpha", "beta"]
        assert await chain.asks(seconds=0.5) == ["beta"]
    assert await chain.asks() == ["alpha"]
    chain.will("alpha", FAILURES["429"])
    assert await chain.asks(seconds=5) == ["alpha", "beta"]
    assert await chain.asks() == ["alpha"]


async def test_an_error_reaches_as_far_as_it_says(chain: Chain) -> None:
    def candidate(name: str, model: str) -> Candidate:
        async def made() -> ChatRequest:
            chain.asked.append(f"{name} {model}")
            return request(model)

        return Candidate(name, model, made)

    async def asked(model: str) -> str:
        chain.asked.clear()
        async for _ in chain.router.chain([candidate("alpha", model), candidate("beta", model)]):
            pass
        return chain.asked[0]

    chain.will("alpha", FAILURES["no such model"])
    await asked("small")
    assert [await asked("small"), await asked("large")] == ["beta small", "alpha large"]
    chain.will("alpha", refused(ErrorKind.CONTENT_FILTER, Scope.REQUEST))
    with pytest.raises(ProviderError):
        await asked("large")
    assert await asked("large") == "alpha large"
    chain.will("alpha", FAILURES["wrong key"])
    await asked("large")
    assert await asked("other") == "beta other"


async def test_after_its_pause_one_question_tries_it_out_and_the_others_do_not_wait_for_it(chain: Chain) -> None:
    chain.will("alpha", FAILURES["429 with retry_after"])
    await chain.run(seconds=3)
    gate = asyncio.Event()
    chain.will("alpha", gate, TextDelta("back"), asyncio.Event())
    probe = asyncio.create_task(anext(aiter(Texts(chain.stream()))))
    await chain.clock.settle()
    assert await chain.asks() == ["beta"]
    gate.set()
    assert await probe == "back"
    assert await chain.asks() == ["alpha"]


async def test_of_questions_that_are_made_at_the_same_time_one_tries_it_out(chain: Chain) -> None:
    """To make a request takes reads and writes of the store: meanwhile others choose whom to ask."""
    chain.will("alpha", FAILURES["429 with retry_after"])
    await chain.run(seconds=3)
    chain.made = asyncio.Event()
    chain.will("alpha", asyncio.Event())
    tasks = [asyncio.create_task(_drained(chain.stream())) for _ in range(5)]
    await chain.clock.settle()
    chain.made.set()
    await chain.clock.settle()
    assert len(chain.providers["alpha"].requests) == 2  # the refused one, and who tries it out
    assert [task.done() for task in tasks].count(True) == 4
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _drained(stream: AsyncGenerator[ChainEvent, None]) -> None:
    async for _ in stream:
        pass


async def test_who_was_to_try_it_out_and_may_not_ask_leaves_that_to_the_next(chain: Chain) -> None:
    """As where a budget does not allow it."""
    chain.will("alpha", FAILURES["429 with retry_after"])
    await chain.run(seconds=3)

    async def not_allowed() -> ChatRequest:
        raise LookupError

    with pytest.raises(LookupError):
        await _drained(chain.router.chain([Candidate("alpha", "small", not_allowed)]))
    assert await chain.asks() == ["alpha"]


async def test_who_tried_it_out_and_was_stopped_leaves_that_to_the_next(chain: Chain) -> None:
    chain.will("alpha", FAILURES["429 with retry_after"])
    await chain.run(seconds=3)
    chain.will("alpha", asyncio.Event())
    probe = asyncio.create_task(anext(aiter(Texts(chain.stream()))))
    await chain.clock.settle()
    probe.cancel()
    await asyncio.gather(probe, return_exceptions=True)
    assert await chain.asks() == ["alpha"]


async def test_nobody_is_refused_on_a_guess(chain: Chain) -> None:
    chain.will("alpha", FAILURES["wrong key"])
    chain.will("beta", FAILURES["429"])
    chain.will("beta", FAILURES["wrong key"])
    await chain.fails()
    assert await chain.asks("alpha") == ["alpha"]  # alone, it is asked although its pause runs

    for name in ("alpha", "beta"):
        chain.will(name, FAILURES["no credits"])
    await chain.fails()
    chain.will("alpha", FAILURES["no credits"])
    assert await chain.asks() == ["alpha", "beta"]


async def test_of_those_that_pause_the_one_that_is_ready_first_is_asked_first(chain: Chain) -> None:
    chain.will("alpha", FAILURES["wrong key"])
    chain.will("beta", refused(ErrorKind.RATE_LIMIT, retry_after=60.0))
    assert (await chain.fails(seconds=0)).kind is ErrorKind.AUTH
    assert await chain.asks() == ["beta"]


async def test_what_was_asked_before_a_pause_and_fails_in_it_does_not_lengthen_it(chain: Chain) -> None:
    gate = asyncio.Event()
    for _ in range(8):
        chain.will("alpha", gate, FAILURES["500"])

    async def one() -> None:
        async for _ in chain.stream():
            pass

    tasks = [asyncio.create_task(one()) for _ in range(8)]
    await chain.clock.settle()
    gate.set()
    await asyncio.gather(*tasks)
    assert await chain.asks(seconds=15) == ["beta"]
    assert await chain.asks() == ["alpha"]


class Texts:
    """The text of a stream, piece by piece."""

    def __init__(self, stream: AsyncGenerator[ChainEvent, None]) -> None:
        self.stream = stream

    async def __aiter__(self) -> AsyncGenerator[str, None]:
        try:
            async for event in self.stream:
                if isinstance(event, TextDelta):
                    yield event.text
        finally:
            await self.stream.aclose()


# ------------------------------------------------------------------------------------------------------ the chat


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.defaults = Defaults("alpha", persona="Be brief.", fallback=("alpha", "beta", "not-set-up"))
    return made


def beta(world: World) -> ScriptedProvider:
    return world.providers["beta"]


@pytest.mark.parametrize("failure", FAILURES)
async def test_the_message_says_who_answered_in_whose_place(world: World, failure: str) -> None:
    async with world.running():
        world.alpha.will(FAILURES[failure])
        beta(world).will(TextDelta("The answer."), Usage(5, 7), Finished())
        said = await world.ask("one")
        assert world.texts() == [said]
    assert said.startswith("The answer.\n↪ Beta answered, with b-one: Alpha AI ")
    assert world.rows("SELECT provider, model FROM usage") == [("beta", "b-one")]
    assert world.rows("SELECT COUNT(*) FROM entry WHERE content LIKE '%Beta%'") == [(0,)]


async def test_the_second_hears_the_whole_conversation_and_its_own_settings(world: World) -> None:
    async with world.running():
        await world.order("provider", name="beta")
        await world.order("settings", name="temperature", value="0.5")
        await world.order("provider", name="alpha")
        await world.ask("one")
        world.alpha.will(FAILURES["500"])
        await world.ask("two")
        assert "↪" not in await world.ask("three")
    (request,) = beta(world).requests
    assert [message.text for message in request.messages] == ["one", "heard: one", "two"]
    assert (request.model, request.system, request.parameters) == ("b-one", "Be brief.", {"temperature": 0.5})
    assert [message.text for message in world.alpha.requests[-1].messages][2:] == ["two", "heard: two", "three"]


async def test_after_the_first_word_it_is_kept_and_can_be_continued(world: World) -> None:
    async with world.running():
        world.alpha.will(TextDelta("as far as this"), broken(ErrorKind.TIMEOUT_IDLE))
        said = await world.ask("one")
        assert said.startswith("as far as this")
        assert "stopped in the middle" in said
        assert not beta(world).requests
        assert "Continue" in world.buttons()[-1]


async def test_a_second_one_that_breaks_off_is_kept_and_named(world: World) -> None:
    async with world.running():
        world.alpha.will(FAILURES["wrong key"])
        beta(world).will(TextDelta("as far as this"), broken(ErrorKind.TIMEOUT_IDLE))
        said = await world.ask("one")
    assert said.startswith("as far as this")
    assert "Beta stopped in the middle" in said
    assert "↪ Beta answered, with b-one: Alpha AI refused this bot's key." in said


async def test_where_nobody_answers_all_of_them_are_named(world: World) -> None:
    async with world.running():
        world.alpha.will(FAILURES["no credits"])
        beta(world).will(FAILURES["wrong key"])
        said = await world.ask("one")
        assert "Alpha AI has no credits left" in said
        assert "Beta did not answer, either." in said
        assert "Retry" in world.buttons()[-1]


async def test_thoughts_of_the_first_do_not_stand_above_the_seconds_answer(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.defaults = Defaults("alpha", reasoning=True, fallback=("beta",))
    gate = asyncio.Event()
    async with world.running():
        world.alpha.will(ReasoningDelta("first thoughts"), gate, broken(ErrorKind.TIMEOUT_IDLE))
        await world.say("one")
        await world.until_said("first thoughts")
        gate.set()
        await world.until_said("heard: one")
        await world.idle()
    assert "first thoughts" not in "".join(world.texts())


async def test_an_answer_of_another_says_so_after_a_crash_too(world: World) -> None:
    async with world.running():
        world.alpha.will(FAILURES["500"])
        closing = world.never_closes()
        await world.say("one")
        await closing.wait()
        assert world.turns() == [("answered", 1)]
    async with world.running():
        await world.idle()
    assert "↪ Beta answered, with b-one: Alpha AI had a fault of its own." in world.texts()[-1]
    assert len(beta(world).requests) == 1


async def test_a_job_of_the_second_is_collected_from_it_after_a_crash(world: World) -> None:
    world.alpha.will(FAILURES["500"])
    beta(world).will(Submitted("job-1"), asyncio.Event())
    async with world.running():
        await world.say("one")
        await eventually(lambda: world.rows("SELECT handle FROM turn") == [("job-1",)])
    async with world.running():
        said = await world.until_said("heard: one")
        await world.idle()
    assert [asked.resume for asked in beta(world).requests] == [None, "job-1"]
    assert len(world.alpha.requests) == 1
    assert "↪ Beta answered" in (said + world.texts()[-1])


async def test_a_job_that_is_gone_after_a_crash_is_asked_afresh_without_a_word(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.alpha.will(Submitted("job-1"), asyncio.Event())
    world.alpha.will(Started(), ProviderError(ErrorKind.STATE_LOST, billed=BILLED))
    world.alpha.will(TextDelta("The answer."), Usage(5, 7), Finished())
    async with world.running():
        await world.say("one")
        await eventually(lambda: world.rows("SELECT handle FROM turn") == [("job-1",)])
    async with world.running():
        await world.idle()
    assert world.texts() == ["The answer."]
    assert [asked.resume for asked in world.alpha.requests] == [None, "job-1", None]
    assert world.rows("SELECT json_extract(amounts, '$.possibly_double') FROM usage") == [(1,)]


@pytest.mark.parametrize("error", [ProviderError(ErrorKind.STATE_LOST, billed=BILLED), broken(ErrorKind.SERVER)])
async def test_where_nothing_is_to_be_asked_twice_a_job_that_is_gone_is_told(tmp_path: Path, error: ProviderError) -> None:
    world = World(tmp_path, reask=False, defaults=Defaults("alpha", fallback=("beta",)))
    world.alpha.will(Submitted("job-1"), asyncio.Event())
    world.alpha.will(Started(), error)
    async with world.running():
        await world.say("one")
        await eventually(lambda: world.rows("SELECT handle FROM turn") == [("job-1",)])
    async with world.running():
        await world.idle()
        assert "Retry" in world.buttons()[-1]
    assert world.texts()[-1].startswith("⚠️")
    assert [asked.resume for asked in world.alpha.requests] == [None, "job-1"]
    assert not beta(world).requests


@pytest.mark.parametrize(("failure", "double"), [("500", 1), ("wrong key", None)])
async def test_where_the_first_may_have_billed_it_the_usage_says_so(world: World, failure: str, double: int | None) -> None:
    async with world.running():
        world.alpha.will(FAILURES[failure])
        beta(world).will(TextDelta("The answer."), Usage(5, 7), Finished())
        await world.ask("one")
    assert world.rows("SELECT json_extract(amounts, '$.possibly_double') FROM usage") == [(double,)]


@pytest.mark.parametrize("again", [False, True])
async def test_what_the_first_remembers_is_not_used_any_more(tmp_path: Path, again: bool) -> None:
    """It may have heard the question that the second answered."""
    providers = {"alpha": ScriptedProvider(memory="state-"), "beta": ScriptedProvider("beta", "Beta")}
    world = World(tmp_path, providers, defaults=Defaults("alpha", fallback=("beta",)))
    async with world.running():
        await world.ask("one")
        world.alpha.will(broken(ErrorKind.TIMEOUT_FIRST))
        assert "↪" in await world.ask("two")
        if again:
            await world.order("retry")
        else:
            await world.ask("three")
        await world.ask("four")
    assert [asked.state for asked in world.alpha.requests] == [None, "state-1", None, "state-3"]
