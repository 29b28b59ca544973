"""The promises of `adapters.base.Provider`, kept by every adapter against its stand-in."""

import asyncio
import socket
from contextlib import aclosing
from functools import partial

import pytest

from adapters.base import Billed, ErrorKind, Finished, Pace, Started, TextDelta
from adapters.http import Budgets
from adapters.router import Router
from adapters.unread import Lookout
from sandbox.faults import Fault
from tests.support.clock import PATIENCE_SECONDS
from tests.support.providers import BENCHES, KEY, PROMPT, Hang, bench, events, failure, refusal, request
from tests.support.relay import Relay

TEXT = "Of silver and of gold: ¿qué más? 🦊 done"


@pytest.fixture(params=sorted(BENCHES))
async def tested(request):
    made = bench(request.param)
    async with made.server:
        yield made


@pytest.fixture(params=sorted(name for name in BENCHES if bench(name).streaming))
async def streaming(request):
    """Who says a piece of text, and the rest once that was heard."""
    made = bench(request.param)
    made.heard = asyncio.Event()
    made.say(TEXT)
    async with made.server:
        yield made


async def test_the_text_arrives_whole_and_ends_exactly_once(tested, session):
    tested.heard = asyncio.Event() if tested.streaming else None
    tested.say(TEXT)
    provider = tested.provider(session)

    events = []
    async for event in provider.stream(request(tested.model)):
        events.append(event)
        if tested.heard and isinstance(event, TextDelta):
            tested.heard.set()  # only now the rest is said

    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == TEXT
    assert [index for index, event in enumerate(events) if isinstance(event, Finished)] == [len(events) - 1]
    assert events[-1].complete
    assert [index for index, event in enumerate(events) if isinstance(event, Started)] in ([], [0])
    assert all(event.text for event in events if isinstance(event, TextDelta))
    if tested.streaming:
        assert sum(isinstance(event, TextDelta) for event in events) > 1
    else:
        assert sum(isinstance(event, TextDelta) for event in events) == 1
    assert KEY not in repr(events)
    await provider.aclose()
    await provider.aclose()


async def test_what_was_asked_reaches_the_model(tested, session):
    tested.say(TEXT)
    await events(tested.provider(session), request(tested.model, system="be brief"))
    sent = str([call.body for call in tested.server.calls if call.method == "POST"])
    assert PROMPT in sent
    assert "be brief" in sent


async def test_a_wrong_key_is_auth_and_costs_nothing(tested, session):
    error = await failure(tested.provider(session, key="canary-wrong-8812903"), request(tested.model))
    assert (error.kind, error.billed) == (ErrorKind.AUTH, Billed.NO)
    assert "canary-wrong-8812903" not in f"{error!r} {error.detail}"


async def test_an_unknown_model_is_named_so_and_costs_nothing(tested, session):
    error = await failure(tested.provider(session), request("no-such-model-at-all"))
    assert (error.kind, error.billed) == (ErrorKind.MODEL_NOT_FOUND, Billed.NO)


async def test_a_provider_that_is_down_is_connect_and_costs_nothing(tested, session):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    error = await failure(tested.provider(session, url=f"http://127.0.0.1:{port}"), request(tested.model))
    assert (error.kind, error.billed) == (ErrorKind.CONNECT, Billed.NO)


@pytest.mark.parametrize("nothing", ["", " \n "])
async def test_an_answer_without_text_is_empty(tested, session, nothing):
    tested.say(nothing)
    error = await failure(tested.provider(session), request(tested.model))
    assert error.kind is ErrorKind.EMPTY


async def test_a_redirect_is_not_followed(tested, session):
    tested.server.faults.add(Fault(method="POST", times=-1, status=307, headers={"Location": f"{tested.server.url}/elsewhere"}))
    error = await failure(tested.provider(session), request(tested.model))
    assert error.kind is ErrorKind.BAD_REQUEST
    assert not tested.server.calls_to("POST", "/elsewhere")


async def test_a_cut_connection_may_have_been_billed(tested, session):
    tested.server.faults.add(Fault(method="POST", times=-1, drop="before"))
    error = await failure(tested.provider(session), request(tested.model))
    assert error.billed is not Billed.NO


async def test_cancelling_closes_the_socket_and_stays_a_cancellation(tested, session, loop_time):
    hang = Hang(method="POST", times=-1)
    tested.server.faults.add(hang)
    task = asyncio.ensure_future(events(tested.provider(session), request(tested.model)))
    await asyncio.wait_for(hang.reached.wait(), PATIENCE_SECONDS)

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    await loop_time.at_once(hang.left.is_set)


async def test_closing_after_the_first_event_leaves_nothing_open(tested, session):
    tested.say(TEXT)
    async with aclosing(tested.provider(session).stream(request(tested.model))) as events:
        await anext(events)
    assert not session.connector._acquired


async def test_what_is_left_unread_for_whiles_is_the_same_answer(tested, session):
    text = " ".join(f"word{number} ¿qué?" for number in range(200))
    tested.say(text)
    asked = []

    def pace():
        asked.append(pace)
        return 3600.0  # its end is heard all the same: nothing more comes

    heard = await events(tested.provider(session), request(tested.model, pace=Pace(pace)))

    assert "".join(event.text for event in heard if isinstance(event, TextDelta)) == text
    assert isinstance(heard[-1], Finished)
    assert heard[-1].complete
    assert bool(asked) is tested.streaming


@pytest.mark.parametrize("hurried", [False, True], ids=["stopped", "hurried"])
async def test_what_is_left_unread_stays_with_the_system_until_a_stop_or_until_it_is_wanted(
    streaming, session, loop_time, monkeypatch, *, hurried
):
    """The rest of the answer comes meanwhile, and the end of its connection."""
    monkeypatch.setattr("adapters.http.Lookout", partial(Lookout, 3600.0))  # nobody looks
    heard: list[str] = []
    pace = Pace(lambda: 3600.0 if heard else 0.0)

    async def ask(url):
        provider = streaming.provider(session, url=url)
        async for event in provider.stream(request(streaming.model, pace=pace)):
            if isinstance(event, TextDelta):
                heard.append(event.text)
                streaming.heard.set()

    async with Relay(streaming.server.url) as relay:
        asking = asyncio.ensure_future(ask(relay.url))
        await asyncio.wait_for(relay.said_all.wait(), PATIENCE_SECONDS)
        for _ in range(20):
            await asyncio.sleep(0.005)
        assert len(heard) == 1
        assert not relay.left.is_set()

        if hurried:
            pace.hurry()
            await asyncio.wait_for(asking, PATIENCE_SECONDS)
            assert len(heard) > 1
        else:
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
        await loop_time.at_once(relay.left.is_set)
    assert not session.connector._acquired


async def test_nothing_of_an_answer_is_kept_by_whoever_could_hurry_it(streaming, session):
    for stopped in (False, True):
        heard: list[object] = []
        pace = Pace(lambda: 0.0)
        async with aclosing(streaming.provider(session).stream(request(streaming.model, pace=pace))) as answer:
            async for event in answer:
                heard.append(pace._read)
                if isinstance(event, TextDelta):
                    streaming.heard.set()
                    if stopped:
                        break
        assert any(heard)
        assert pace._read is None


async def test_silence_is_told_though_what_comes_may_be_left_unread(streaming, session):
    provider = streaming.provider(session, budgets=Budgets(idle=0.3))  # the rest is never said
    async with asyncio.timeout(PATIENCE_SECONDS):
        error = await failure(provider, request(streaming.model, pace=Pace(lambda: 3600.0)))
    assert (error.kind, error.in_stream) == (ErrorKind.TIMEOUT_IDLE, True)


async def test_the_router_passes_every_adapters_answer_on(tested, session):
    tested.say(TEXT)
    router = Router({"it": tested.provider(session)})
    events = [event async for event in router.stream("it", request(tested.model))]
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == TEXT
    assert isinstance(events[-1], Finished)


async def test_models_and_check_take_the_key_and_refuse_a_wrong_one(tested, session):
    provider = tested.provider(session)
    models = await provider.models()
    assert tested.model in {model.id for model in models}
    assert len({model.id for model in models}) == len(models)
    assert KEY not in repr(await provider.check())

    error = await refusal(tested.provider(session, key="canary-wrong-8812903").check())
    assert error.kind is ErrorKind.AUTH


async def test_it_declares_itself(tested, session):
    provider = tested.provider(session)
    assert provider.name == provider.name.lower()
    assert provider.name.isidentifier()
    assert provider.title
    assert provider.default_model
    assert KEY not in provider.account
    assert provider.account != tested.provider(session, key="another-key").account
    assert provider.capabilities(tested.model).streaming is tested.streaming
    for name, field in provider.parameters.model_fields.items():
        assert not field.is_required(), name
        assert field.description, name
