"""Discord brings nothing twice: what can't be committed is offered again, in order, as long as that is of use."""

import asyncio
import json
import logging
from dataclasses import replace

import discord
import pytest

from bot.model import EventKind, Incoming
from bot.platforms.budgets import DISCORD_INTERACTION_ACK_SECONDS
from bot.platforms.discord.commits import RETRY_MOST_SECONDS, TRIES
from bot.platforms.discord.gateway import Gateway
from bot.platforms.discord.identifies import Identifies
from bot.platforms.discord.intake import Intake
from bot.platforms.discord.odd import odd, read_kept
from bot.platforms.discord.rest import Rest
from bot.platforms.discord.routes import Acknowledgements, unpack
from storage.base import StoreError, StoreUnavailableError
from tests.support.clock import FakeClock
from tests.support.discord_events import message, press, raw_message, raw_slash, slash, user
from tests.support.discord_server import AnyServer
from tests.support.mutants import mutants, storable
from tests.support.seam import Memo, Menu, eventually

FULL = StoreUnavailableError("the disk is full")
BOT = 500


@pytest.fixture
async def server():
    async with AnyServer() as server:
        yield server


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
async def rest(server):
    rest = Rest(server.url, "t")
    yield rest
    await rest.aclose()


@pytest.fixture
async def intake(rest, clock, inbox):
    intake = Intake(
        BOT, inbox.accept, Menu(), rest, Acknowledgements(), message_content=False, members=False, clock=clock, now=lambda: 1000.0
    )
    yield intake
    await intake.drain()


@pytest.fixture
def state():
    return discord.Client(intents=discord.Intents.none())._connection


async def test_a_message_is_offered_with_growing_waits_until_it_is_committed(state, intake, clock, inbox):
    inbox.errors = [FULL] * 8
    taking = asyncio.create_task(intake.message(message(state, "hello")))
    for wait in (0.5, 1.0, 2.0, 4.0, 8.0, RETRY_MOST_SECONDS, RETRY_MOST_SECONDS, RETRY_MOST_SECONDS):
        await clock.run(wait - 0.01)
        left = len(inbox.errors)
        await clock.run(0.01)
        assert len(inbox.errors) == max(0, left - 1)
    await taking
    assert [one.text for one in inbox.taken] == ["hello"]


async def test_an_edit_is_offered_again_too(state, intake, clock, inbox):
    inbox.errors = [FULL]
    taking = asyncio.create_task(intake.message(message(state, "hello", edited_timestamp="2026-11-21T09:00:01+00:00"), edited=True))
    await clock.run(0.5)
    await taking
    assert (await inbox.one()).kind == "edit"


async def test_a_store_that_is_away_is_waited_for_and_the_channel_keeps_its_order_while_others_go_on(state, intake, clock, inbox):
    here = [message(state, str(number), id=str(900 + number)) for number in range(3)]
    inbox.errors = [FULL] * 50
    first = asyncio.create_task(intake.message(here[0]))
    await clock.run(300.0)
    rest = [asyncio.create_task(intake.message(one)) for one in here[1:]]
    inbox.errors.clear()
    other = asyncio.create_task(intake.message(message(state, "elsewhere", id="990", channel_id="78")))
    await clock.settle()
    assert other.done()
    await clock.run(RETRY_MOST_SECONDS)
    await asyncio.gather(first, *rest)
    assert [one.text for one in inbox.taken] == ["elsewhere", "0", "1", "2"]


@pytest.mark.parametrize("error", [StoreError("refused a statement"), ValueError("hello")])
async def test_an_event_that_a_working_store_will_not_take_holds_up_its_channel_for_a_bounded_time(
    *, state, intake, clock, inbox, caplog, error
):
    caplog.set_level(logging.WARNING)
    inbox.errors = [error] * TRIES
    poison = asyncio.create_task(intake.message(message(state, "poison")))
    await clock.settle()
    after = asyncio.create_task(intake.message(message(state, "after", id="901")))
    await clock.run(60.0)
    await asyncio.gather(poison, after)
    aside, taken = inbox.taken
    assert taken.text == "after"
    assert (aside.kind, aside.text) == (EventKind.UNREADABLE, f"not stored: {type(error).__name__}")
    assert "poison" in (aside.raw or "")
    assert "after 8 tries and is set aside" in caplog.text


async def test_what_can_not_even_be_set_aside_is_lost_and_said_so(state, intake, clock, inbox, caplog):
    inbox.errors = [ValueError("no")] * (TRIES + 1)
    poison = asyncio.create_task(intake.message(message(state, "poison")))
    await clock.run(60.0)
    await poison
    assert inbox.taken == []
    assert "could not even be set aside and is lost" in caplog.text


PAYLOADS = {
    "MESSAGE_CREATE": raw_message("hello"),
    "MESSAGE_UPDATE": raw_message("hello", edited_timestamp="2026-11-21T09:00:01+00:00"),
    "INTERACTION_CREATE": raw_slash("ask", options=[{"name": "question", "type": 3, "value": "why?"}]),
}


@pytest.fixture
async def parsers(intake):
    """What discord.py does with a payload of the gateway."""
    gateway = Gateway(intake, Identifies(Memo(), str(BOT), lambda: 1000.0), lambda: None, message_content=False)
    await gateway._async_setup_hook()
    yield gateway._connection.parsers
    await gateway.close()


@pytest.mark.parametrize("kind", PAYLOADS)
async def test_of_hundreds_of_mutated_payloads_none_is_in_the_way_of_the_next(kind, parsers, inbox, clock, caplog):
    for number, mutant in enumerate(mutants(PAYLOADS[kind], 200)):
        parsers[kind](mutant if "id" not in mutant or not str(mutant["id"]).isdecimal() else {**mutant, "id": str(10_000 + number)})
    for _ in range(20):
        await clock.run(1.0)
    parsers["MESSAGE_CREATE"](raw_message("next", id="99999"))
    await eventually(lambda: [one for one in inbox.taken if one.text == "next"])
    aside = [one for one in inbox.taken if one.kind is EventKind.UNREADABLE]
    assert len(aside) > 10
    assert "Ignoring exception" not in caplog.text  # what discord.py says of a handler that failed: its event would be lost
    assert not [one for one in aside if '"tok"' in (one.raw or "")]
    assert all(storable(incoming) for incoming in inbox.taken)


@pytest.mark.parametrize("part", ["from_message", "is_addressed", "from_interaction"])
async def test_an_event_that_we_can_not_read_is_set_aside_and_the_next_is_taken(part, parsers, inbox, monkeypatch):
    def stumble(*_: object, **__: object) -> None:
        raise KeyError("mentions")

    kind, payload = ("INTERACTION_CREATE", raw_slash("status")) if part == "from_interaction" else ("MESSAGE_CREATE", raw_message("odd"))
    with monkeypatch.context() as patch:
        patch.setattr(f"bot.platforms.discord.intake.{part}", stumble)
        parsers[kind](payload)
        aside = await inbox.one()
    assert (aside.kind, aside.chat.chat, aside.text) == (EventKind.UNREADABLE, "77", "KeyError: 'mentions'")
    assert json.loads(aside.raw or "") == {key: value for key, value in payload.items() if key != "token"}
    parsers["MESSAGE_CREATE"](raw_message("next", id="902"))
    assert (await inbox.wait(2))[1].text == "next"


@pytest.mark.parametrize("token", [None, 7, {"a": 1}, ["tok"], ""])
async def test_an_interaction_whose_token_is_none_is_set_aside(token, parsers, inbox):
    parsers["INTERACTION_CREATE"]({**raw_slash("status"), "token": token})
    aside = await inbox.one()
    assert (aside.kind, aside.route) == (EventKind.UNREADABLE, None)


async def test_a_command_is_offered_again_and_acknowledged_once_it_is_committed(state, server, intake, clock, inbox):
    inbox.errors = [FULL] * 2
    taking = asyncio.create_task(intake.interaction(slash(state, "status")))
    await clock.settle()
    assert not server.calls
    await clock.run(1.0)
    await taking
    assert [call.path for call in server.calls] == ["/interactions/555/tok/callback"]
    assert len(inbox.taken) == 1


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (press, {"type": 6}),
        (slash, {"type": 5, "data": {"flags": 64}}),
    ],
)
async def test_a_press_is_acknowledged_without_a_word_and_a_command_shows_that_it_is_thought_about(
    *, state, server, intake, inbox, what, told
):
    await intake.interaction(what(state, "status"))
    assert [call.body for call in server.calls] == [told]
    route = unpack((await inbox.one()).route, 0.0)
    assert route is not None
    assert route.press == (what is press)


async def test_a_command_whose_commit_was_done_but_not_confirmed_is_acknowledged(state, server, intake, clock, monkeypatch):
    incoming_keys: list[str] = []

    async def accept(incoming):
        if incoming.key in incoming_keys:
            return False
        incoming_keys.append(incoming.key)
        raise FULL

    monkeypatch.setattr(intake._commits, "_accept", accept)
    taking = asyncio.create_task(intake.interaction(slash(state, "status")))
    await clock.run(0.5)
    await taking
    assert len(server.calls) == 1


async def test_a_command_that_can_not_be_committed_in_time_is_given_up_and_never_carried_out(
    *, state, server, intake, clock, inbox, caplog
):
    inbox.errors = [FULL] * 6
    taking = asyncio.create_task(intake.interaction(slash(state, "status")))
    await clock.run(DISCORD_INTERACTION_ACK_SECONDS)
    await taking
    assert inbox.errors == []
    assert inbox.taken == []
    assert server.calls == []
    assert "not committed in time" in caplog.text
    assert "tok" not in caplog.text


async def test_a_command_that_stood_behind_a_message_for_too_long_is_not_carried_out(state, server, intake, clock, inbox):
    inbox.errors = [FULL] * 4
    first = asyncio.create_task(intake.message(message(state, "hello")))
    await clock.settle()
    second = asyncio.create_task(intake.interaction(slash(state, "status")))
    await clock.run(10.0)
    await asyncio.gather(first, second)
    assert [one.text for one in inbox.taken] == ["hello"]
    assert server.calls == []


async def test_closing_offers_what_waits_once_more_and_does_not_wait_for_the_clock(state, intake, clock, inbox):
    inbox.errors = [FULL]
    taking = asyncio.create_task(intake.message(message(state, "hello")))
    await clock.settle()
    await intake.drain()
    await taking
    assert [one.text for one in inbox.taken] == ["hello"]


async def test_closing_gives_up_what_can_not_be_committed_and_takes_nothing_more(state, intake, clock, inbox, caplog):
    inbox.errors = [FULL] * 100
    taking = [asyncio.create_task(intake.message(message(state, str(number), id=str(900 + number)))) for number in range(3)]
    await clock.settle()
    await intake.drain()
    await asyncio.gather(*taking)
    assert len(inbox.errors) == 96
    assert caplog.text.count("is lost after") == 3
    await intake.message(message(state, "late", id="990"))
    assert len(inbox.errors) == 96


async def test_an_event_whose_task_is_cancelled_is_committed_all_the_same(state, intake, clock, inbox):
    inbox.errors = [FULL]
    taking = asyncio.create_task(intake.message(message(state, "hello")))
    await clock.settle()
    taking.cancel()
    await clock.run(0.5)
    await eventually(lambda: inbox.taken)


async def test_what_a_bot_says_is_not_parsed_but_counts_as_seen_behind_what_was_asked_before(parsers, intake, inbox, monkeypatch):
    order = []
    monkeypatch.setattr(intake, "passed", lambda channel, number: order.append((channel, number)))
    taken = intake.message

    async def take(message, **options):
        order.append(message.content)
        await taken(message, **options)

    monkeypatch.setattr(intake, "message", take)
    said = raw_message("an answer", id="902")
    parsers["MESSAGE_CREATE"](raw_message("a question", id="901"))
    parsers["MESSAGE_CREATE"]({**said, "author": {**said["author"], "bot": True}, "mentions": None})  # discord.py could not read it
    for odd_id in (None, 7, "", "x", "9" * 5000):  # nobody knows what it is
        parsers["MESSAGE_CREATE"]({**said, "id": odd_id, "author": {**said["author"], "bot": True}})
    await inbox.one()
    assert order == ["a question", (77, 902)]


async def test_nobody_is_looked_for_where_nobody_needs_it(state, server, intake, inbox):
    await intake.message(message(state, "hello"))
    await intake.interaction(slash(state, "status"))
    assert [one.sender.member for one in inbox.taken] == [False, False]
    assert not [call for call in server.calls if call.method == "GET"]


async def test_of_edits_only_those_of_people_are_read(parsers, inbox, clock, caplog):
    grown = raw_message("an answer that grew", edited_timestamp="2026-11-21T09:00:01+00:00")
    parsers["MESSAGE_UPDATE"]({**grown, "author": {**grown["author"], "bot": True}, "channel_id": None})  # discord.py could not read it
    assert not caplog.text
    parsers["MESSAGE_UPDATE"]({**grown, "channel_id": None})
    assert "MESSAGE_UPDATE can't be read" in caplog.text
    parsers["MESSAGE_UPDATE"](PAYLOADS["MESSAGE_UPDATE"])
    await eventually(lambda: any(one.text == "hello" for one in inbox.taken))


def aside(kind, raw) -> Incoming:
    kept = odd(kind, raw, BOT, "KeyError: 'x'")
    assert kept is not None
    return kept


@pytest.mark.parametrize(
    ("kind", "edited"), [("MESSAGE_CREATE", {}), ("MESSAGE_UPDATE", {"edited_timestamp": "2026-11-21T09:00:01+00:00"})]
)
async def test_a_message_that_was_set_aside_is_read_as_the_event_it_is_once_it_can_be(*, kind, edited, intake, inbox):
    raw = raw_message("hello", **edited)
    client = discord.Client(intents=discord.Intents.none())
    await intake.message(message(client._connection, **edited), edited=bool(edited))
    reading = asyncio.create_task(intake.read_again(*read_kept(aside(kind, raw))))
    await asyncio.sleep(0)
    assert not reading.done()  # there is no session yet
    intake.connected(client)
    assert await reading == await inbox.one()
    broken = {key: value for key, value in raw.items() if key != "author"}
    with pytest.raises(AttributeError):
        await intake.read_again(kind, broken)
    assert await intake.read_again(kind, {**raw, "author": user(7, "a bot", bot=True)}) is None


async def test_what_was_no_message_or_is_not_kept_whole_is_not_read_again():
    for kept in (aside("INTERACTION_CREATE", raw_slash("status")), replace(aside("MESSAGE_CREATE", raw_message()), raw='{"i')):
        with pytest.raises((TypeError, ValueError)):
            read_kept(kept)
