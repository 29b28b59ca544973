"""Repeats only what cost nothing and showed nothing, and holds every provider to the seam."""

import asyncio
import logging
from dataclasses import replace

import pytest

from adapters.base import (
    Billed,
    Capabilities,
    ErrorKind,
    Event,
    Finished,
    Health,
    Parameters,
    Progress,
    ProviderError,
    Started,
    Submitted,
    TextDelta,
)
from adapters.router import RETRIES, Asked, Candidate, Router
from tests.support.providers import PROMPT, request

END = Finished()
OTHER = Started("1", "small-2026\nForged line")
ANSWER = [Started("1"), TextDelta("Hel"), TextDelta("lo"), END]


class Scripted:
    """A provider that plays one script per request: events are yielded, exceptions raised."""

    name = "it"
    title = "It"
    account = "a"
    parameters = Parameters
    default_model = "m"
    lists_all_models = True
    fetches_models = True
    tells_credits = False

    def __init__(self, *scripts):
        self.scripts = list(scripts)
        self.requests = []
        self.closed = 0

    async def stream(self, request):
        self.requests.append(request)
        try:
            for step in self.scripts.pop(0):
                if isinstance(step, BaseException):
                    raise step
                yield step
                await asyncio.sleep(0)
        finally:
            self.closed += 1

    async def models(self):
        return ()

    async def check(self):
        return Health()

    def capabilities(self, model):
        return Capabilities()

    async def aclose(self):
        pass


def free(kind=ErrorKind.OVERLOADED, **more):
    return ProviderError(kind, billed=Billed.NO, **more)


class Waits(list[float]):
    async def __call__(self, seconds):
        self.append(seconds)


@pytest.fixture
def waits():
    return Waits()


def routed(provider, waits, asked=None, chance=0.5):
    return Router({"it": provider}, sleep=waits, chance=lambda: chance).stream("it", asked or request("m"))


async def collect(stream):
    return [event async for event in stream]


async def fails(stream):
    events: list[Event] = []
    with pytest.raises(ProviderError) as caught:
        await _into(events, stream)
    return caught.value, events


async def _into(events, stream):
    async for event in stream:
        events.append(event)


async def test_a_good_answer_passes_unchanged_and_its_generator_is_closed(waits):
    provider = Scripted(ANSWER)
    assert await collect(routed(provider, waits)) == ANSWER
    assert (waits, provider.closed) == ([], 1)


@pytest.mark.parametrize(
    "kind",
    [
        ErrorKind.RATE_LIMIT,
        ErrorKind.OVERLOADED,
        ErrorKind.SERVER,
        ErrorKind.CONNECT,
        ErrorKind.TIMEOUT_FIRST,
        ErrorKind.TIMEOUT_IDLE,
        ErrorKind.TIMEOUT_TOTAL,
    ],
)
async def test_a_passing_failure_that_cost_nothing_is_repeated_twice_with_growing_waits(waits, kind):
    provider = Scripted([free(kind)], [Started("0"), Progress("queued"), free(kind)], ANSWER)
    events = await collect(routed(provider, waits))
    assert [event for event in events if isinstance(event, Started)] == [Started("0")]
    assert events[-3:] == ANSWER[1:]
    assert waits == [0.5, 1.0]
    assert provider.closed == 3


async def test_after_the_last_repeat_the_last_error_is_raised(waits):
    errors = [free() for _ in range(RETRIES + 1)]
    provider = Scripted(*([error] for error in errors), ANSWER)
    error, _ = await fails(routed(provider, waits))
    assert error is errors[-1]
    assert len(waits) == RETRIES


@pytest.mark.parametrize("billed", [Billed.MAYBE, Billed.YES])
async def test_what_may_have_been_billed_is_never_repeated(waits, billed):
    provider = Scripted([ProviderError(ErrorKind.SERVER, billed=billed)], ANSWER)
    error, _ = await fails(routed(provider, waits))
    assert error.kind is ErrorKind.SERVER
    assert (len(provider.requests), waits) == (1, [])


@pytest.mark.parametrize(
    "kind",
    [
        ErrorKind.AUTH,
        ErrorKind.QUOTA,
        ErrorKind.MODEL_NOT_FOUND,
        ErrorKind.BAD_REQUEST,
        ErrorKind.CONTEXT_OVERFLOW,
        ErrorKind.CONTENT_FILTER,
        ErrorKind.EMPTY,
        ErrorKind.PROTOCOL,
    ],
)
async def test_what_would_fail_again_is_not_repeated(waits, kind):
    provider = Scripted([free(kind)], ANSWER)
    assert (await fails(routed(provider, waits)))[0].kind is kind
    assert len(provider.requests) == 1


@pytest.mark.parametrize(
    ("kind", "billed", "says", "asked"),
    [
        (ErrorKind.OVERLOADED, Billed.NO, None, 2),
        (ErrorKind.OVERLOADED, Billed.NO, False, 1),
        (ErrorKind.BAD_REQUEST, Billed.NO, None, 1),
        (ErrorKind.BAD_REQUEST, Billed.NO, True, 2),
        (ErrorKind.SERVER, Billed.MAYBE, True, 1),
    ],
)
async def test_whether_a_request_is_repeated_is_the_providers_word_where_that_costs_nothing(waits, kind, billed, says, asked):
    provider = Scripted([ProviderError(kind, billed=billed, should_retry=says)], ANSWER)
    if asked > 1:
        assert await collect(routed(provider, waits)) == ANSWER
    else:
        assert (await fails(routed(provider, waits)))[0].kind is kind
    assert len(provider.requests) == asked


async def test_a_failure_behind_blanks_is_repeated_and_they_are_not_shown_twice(waits):
    provider = Scripted([Started("1"), TextDelta("\n"), free()], [Started("1"), TextDelta("\n"), TextDelta("Hello"), END])
    assert await collect(routed(provider, waits)) == [Started("1"), TextDelta("\nHello"), END]


@pytest.mark.parametrize("shown", [TextDelta("x"), Submitted("job")])
async def test_nothing_is_repeated_once_something_was_given_out(waits, shown):
    provider = Scripted([Started(), shown, free()], ANSWER)
    error, events = await fails(routed(provider, waits))
    assert error.kind is ErrorKind.OVERLOADED
    assert events == [Started(), shown]
    assert len(provider.requests) == 1


@pytest.mark.parametrize(("asked", "waited"), [(0.0, 0.5), (3.0, 3.25), (20.0, 20.25)])
async def test_a_wait_that_was_asked_for_is_kept_and_never_shortened(waits, asked, waited):
    await collect(routed(Scripted([free(retry_after=asked)], ANSWER), waits))
    assert waits == [waited]


async def test_a_wait_longer_than_a_person_waits_ends_at_once(waits):
    error, _ = await fails(routed(Scripted([free(ErrorKind.RATE_LIMIT, retry_after=20.5)], ANSWER), waits))
    assert error.retry_after == 20.5
    assert waits == []


async def test_waits_are_spread(waits):
    await collect(routed(Scripted([free()], [free()], ANSWER), waits, chance=0.0))
    await collect(routed(Scripted([free()], [free()], ANSWER), waits, chance=0.999))
    assert waits == pytest.approx([0.25, 0.5, 0.75, 1.5], abs=0.01)


async def test_lost_state_is_left_away_once_and_at_once(waits):
    lost = ProviderError(ErrorKind.STATE_LOST, billed=Billed.MAYBE)
    provider = Scripted([lost], ANSWER)
    assert await collect(routed(provider, waits, request("m", state="chat-1"))) == ANSWER
    assert [asked.state for asked in provider.requests] == ["chat-1", None]
    assert waits == []

    again = Scripted([lost], [lost], ANSWER)
    assert (await fails(routed(again, waits, request("m", state="chat-1"))))[0] is lost
    assert len(again.requests) == 2


async def test_lost_state_without_state_or_after_text_is_the_error_it_is(waits):
    lost = ProviderError(ErrorKind.STATE_LOST)
    assert (await fails(routed(Scripted([lost], ANSWER), waits)))[0] is lost
    assert (await fails(routed(Scripted([TextDelta("x"), lost], ANSWER), waits, request("m", state="s"))))[0] is lost


@pytest.mark.parametrize("script", [[END], [Started(), TextDelta(""), TextDelta(" \n"), END]])
async def test_an_end_without_visible_text_is_empty(waits, script):
    error, events = await fails(routed(Scripted(script), waits))
    assert error.kind is ErrorKind.EMPTY
    assert not any(isinstance(event, Finished) or event == TextDelta("") for event in events)


async def test_a_stream_without_an_end_is_a_protocol_error(waits):
    error, _ = await fails(routed(Scripted([TextDelta("x")]), waits))
    assert (error.kind, error.in_stream) == (ErrorKind.PROTOCOL, True)


async def test_nothing_comes_after_the_end_and_started_comes_once(waits):
    provider = Scripted([Started("1"), Started("2"), TextDelta("x"), END, TextDelta("y"), END])
    assert await collect(routed(provider, waits)) == [Started("1"), TextDelta("x"), END]
    assert provider.closed == 1


async def test_an_adapters_bug_ends_in_one_error_without_its_words(waits, caplog):
    with caplog.at_level(logging.ERROR):
        error, _ = await fails(routed(Scripted([TextDelta("x"), KeyError(PROMPT)]), waits))
    assert (error.kind, error.in_stream) == (ErrorKind.PROTOCOL, True)
    assert "KeyError" in caplog.text
    assert PROMPT not in f"{error!r}{caplog.text}"


class BadlyClosed(Scripted):
    """A provider whose generator fails while it is being closed."""

    async def stream(self, request):
        self.requests.append(request)
        try:
            yield TextDelta("x")
        finally:
            raise RuntimeError("closing")


async def test_a_stop_stays_a_stop_where_an_adapter_fails_to_close(waits, caplog):
    provider = BadlyClosed()
    stream = routed(provider, waits)
    assert await anext(stream) == TextDelta("x")
    await stream.aclose()
    assert (len(provider.requests), waits) == (1, [])
    assert "RuntimeError" in caplog.text


async def test_cancelling_is_never_converted_and_closes_the_provider(waits):
    provider = Scripted([TextDelta("x"), asyncio.CancelledError()])
    with pytest.raises(asyncio.CancelledError):
        await collect(routed(provider, waits))
    assert provider.closed == 1


async def test_closing_in_the_middle_closes_the_provider(waits):
    provider = Scripted(ANSWER)
    stream = routed(provider, waits)
    await anext(stream)
    await stream.aclose()
    assert provider.closed == 1


async def test_a_provider_that_is_not_set_up_is_said_to_be_so(waits):
    with pytest.raises(ProviderError) as caught:
        await collect(Router({}).stream("it", request("m")))
    assert (caught.value.kind, caught.value.billed) == (ErrorKind.BAD_REQUEST, Billed.NO)


def overflow(**more):
    return ProviderError(ErrorKind.CONTEXT_OVERFLOW, "too long", billed=Billed.NO, **more)


async def asked_with_shorter(provider, shorter):
    """Ask one candidate that can be made shorter; what came, or how it ended."""

    async def made():
        return request("m")

    router = Router({"it": provider}, sleep=no_time)
    events: list[object] = []
    try:
        async for event in router.chain([Candidate("it", "m", made, shorter=shorter)]):
            events.append(event)  # noqa: PERF401 - what came before an error counts, too
    except ProviderError as error:
        events.append(error.kind)
    return events


async def no_time(_):
    pass


def cut(whole):
    return replace(whole, messages=whole.messages[:0])


async def test_what_is_too_long_is_made_shorter_once():
    provider = Scripted([overflow()], ANSWER)
    events = await asked_with_shorter(provider, cut)
    assert [len(asked.messages) for asked in provider.requests] == [1, 0]
    assert events == [Asked(0, {}), Asked(0, {}), *ANSWER]
    provider = Scripted([overflow()], [overflow()], ANSWER)
    assert (await asked_with_shorter(provider, cut))[-1] is ErrorKind.CONTEXT_OVERFLOW
    assert len(provider.requests) == 2


async def test_what_is_asked_in_the_place_of_a_lost_job_stays_as_short_as_it_was_made():
    lost = ProviderError(ErrorKind.STATE_LOST, billed=Billed.MAYBE)
    provider = Scripted([lost], [overflow()], ANSWER)

    async def made():
        return replace(request("m"), resume="job-1")

    router = Router({"it": provider}, sleep=no_time)
    assert [event async for event in router.chain([Candidate("it", "m", made, shorter=cut, lost=made)])][-1] == ANSWER[-1]
    assert [(asked.resume, len(asked.messages)) for asked in provider.requests] == [("job-1", 1), (None, 1), (None, 0)]


async def test_what_can_not_be_made_shorter_or_was_begun_is_not_asked_again():
    provider = Scripted([overflow()], ANSWER)
    assert (await asked_with_shorter(provider, lambda _: None))[-1] is ErrorKind.CONTEXT_OVERFLOW
    assert len(provider.requests) == 1
    provider = Scripted([TextDelta("Hel"), overflow()], ANSWER)
    assert (await asked_with_shorter(provider, cut))[-1] is ErrorKind.CONTEXT_OVERFLOW
    assert len(provider.requests) == 1


async def test_the_error_of_all_may_have_been_billed_if_one_of_them_may_and_the_first_stays_as_it_was():
    first = ProviderError(ErrorKind.AUTH, "no", billed=Billed.NO, status=401)
    second = ProviderError(ErrorKind.MODEL_NOT_FOUND, "no", billed=Billed.MAYBE)

    async def made():
        return request("m")

    other = Scripted([second])
    other.name = "other"
    router = Router({"it": Scripted([first]), "other": other}, sleep=no_time)
    with pytest.raises(ProviderError) as caught:
        async for _ in router.chain([Candidate("it", "m", made), Candidate("other", "m", made)]):
            pass
    assert (caught.value.kind, caught.value.status, caught.value.provider) == (ErrorKind.AUTH, 401, "it")
    assert caught.value.billed is Billed.MAYBE
    assert first.billed is Billed.NO


async def test_a_model_that_answers_under_another_name_is_logged_once_on_one_line(caplog):
    caplog.set_level(logging.INFO)
    same = Started("1", "small")
    router = Router({"it": Scripted(*([begun, *ANSWER[1:]] for begun in (OTHER, OTHER, same)))})
    for _ in range(3):
        assert END in [event async for event in router.stream("it", request("small"))]
    (line,) = [record.getMessage() for record in caplog.records if "other_model" in record.getMessage()]
    assert line == "provider.other_model provider=it asked='small' answered='small-2026\\nForged line'"
