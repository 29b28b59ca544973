"""Discord's messages out: which route each takes, what its body says, and what happens when a route ends."""

import asyncio
import json
from dataclasses import replace

import pytest

from bot.model import Button, ButtonStyle, ChatAddress, ChatKind, File, Page, ReplyRoute, Target
from bot.platforms.base import Allowance, Call, FloodError, Refusal, RefusedError, Repeat, UnavailableError, UnknownOutcomeError
from bot.platforms.budgets import DISCORD_CREATE, DISCORD_DELETE, DISCORD_EDIT, DISCORD_GLOBAL, DISCORD_INTERACTION_EDIT
from bot.platforms.discord.egress import BARRED_SECONDS, Egress
from bot.platforms.discord.rest import Rest
from bot.platforms.discord.routes import Acknowledgements, InteractionRoute, unpack
from sandbox.faults import Fault
from tests.support.clock import Epoch
from tests.support.discord_server import AnyServer

OVERALL = Allowance("all", DISCORD_GLOBAL)
CHAT = ChatAddress("discord", "1", "77")
ROUTE = InteractionRoute("9", "tok", "555")
PRESS = replace(ROUTE, press=True)
PAGE = Page("text")
CHANNEL, HOOK = "/channels/77/messages", "/webhooks/9/tok"


@pytest.fixture
def now():
    return Epoch(1000.0)


@pytest.fixture
async def server():
    async with AnyServer() as server:
        yield server


@pytest.fixture
def acknowledgements():
    return Acknowledgements()


@pytest.fixture
async def egress(server, acknowledgements, now):
    rest = Rest(server.url, "t")
    yield Egress(rest, acknowledgements, OVERALL, now)
    await rest.aclose()


def target(*, route: bool = False, private: bool = False, reply_to: str | None = None) -> Target:
    return Target(CHAT, ChatKind.GROUP, reply_to=reply_to, route=ROUTE.pack(1000.0) if route else None, private=private)


def trail(server: AnyServer) -> list[tuple[str, str]]:
    return [(call.method, call.path) for call in server.calls]


async def test_every_body_pings_nobody_opens_no_links_and_carries_its_buttons(server, egress):
    page = Page("@everyone https://example.org", buttons=((Button("Stop", "stop", ButtonStyle.DANGER), Button("Again", "again")), ()))
    await egress.send(target(), page, nonce="n", first=True)
    await egress.send(target(route=True), page, nonce="n", first=True)
    await egress.edit(target(), "5", page, first=True)
    await egress.edit(target(route=True), "5", page, first=True)
    buttons = [
        {"type": 2, "style": 4, "label": "Stop", "custom_id": "stop"},
        {"type": 2, "style": 2, "label": "Again", "custom_id": "again"},
    ]
    for call in server.calls:
        assert call.body["allowed_mentions"] == {"parse": []}
        assert call.body["flags"] == 4
        assert call.body["components"] == [{"type": 1, "components": buttons}]


async def test_an_edit_takes_former_buttons_away(server, egress):
    await egress.edit(target(), "5", PAGE, first=True)
    assert server.calls[0].body["components"] == []


async def test_taking_buttons_away_names_nothing_else_and_takes_the_way_of_an_edit(server, egress):
    await egress.unbutton(target(), "5", first=True)
    await egress.unbutton(target(route=True), "5", first=True)
    assert trail(server) == [("PATCH", f"{CHANNEL}/5"), ("PATCH", f"{HOOK}/messages/5")]
    assert [call.body for call in server.calls] == [{"components": []}] * 2


async def test_what_stands_below_an_answer_does_not_take_its_place(server, egress):
    below = replace(target(route=True), below=True, event="discord:1:interaction:555")
    assert egress.repeat(below, first=True) is Repeat.NONCE
    assert egress.allowances(Call.SEND, below, first=True)[0].budget is DISCORD_CREATE
    await egress.send(below, PAGE, nonce="n", first=True)
    await egress.edit(below, "5", PAGE, first=True)
    assert trail(server) == [("POST", CHANNEL), ("PATCH", f"{CHANNEL}/5")]
    server.faults.add(Fault(path=f"*{CHANNEL}", status=403, body={"code": 50013, "message": "Missing Permissions"}))
    await egress.send(below, PAGE, nonce="n", first=True)
    assert trail(server)[2:] == [("POST", CHANNEL), ("POST", f"{HOOK}")], "a follow-up, and not @original"


async def test_a_create_is_idempotent_and_points_at_what_it_answers(server, egress):
    receipt = await egress.send(target(reply_to="42"), PAGE, nonce="abc", first=True)
    assert (receipt.message_id, receipt.remaining, receipt.reset_after) == ("1000", 3, 4.25)
    body = server.calls[0].body
    assert (body["nonce"], body["enforce_nonce"]) == ("abc", True)
    assert body["message_reference"] == {"message_id": "42", "fail_if_not_exists": False}


async def test_further_pages_point_at_nothing(server, egress):
    await egress.send(target(reply_to="42"), PAGE, nonce="abc", first=False)
    assert "message_reference" not in server.calls[0].body


@pytest.mark.parametrize(
    ("code", "errors"), [(160002, None), (50035, {"message_reference": {"_errors": [{"code": "REPLIES_CANNOT_REPLY_TO_SYSTEM_MESSAGE"}]}})]
)
async def test_where_a_message_cant_be_answered_the_text_still_comes(server, egress, code, errors):
    server.refuse(400, code, errors=errors)
    await egress.send(target(reply_to="42"), PAGE, nonce="abc", first=True)
    first, second = (call.body for call in server.calls)
    assert "message_reference" in first
    assert "message_reference" not in second
    assert first["nonce"] == second["nonce"]


async def test_the_first_page_of_an_interaction_takes_its_original_and_is_edited_by_id(server, egress):
    receipt = await egress.send(target(route=True), PAGE, nonce="n", first=True)
    await egress.edit(target(route=True), receipt.message_id, PAGE, first=True)
    assert trail(server) == [("PATCH", f"{HOOK}/messages/@original"), ("PATCH", f"{HOOK}/messages/1000")]
    assert not any("Authorization" in call.headers for call in server.calls)


async def test_further_public_pages_go_by_the_channel(server, egress):
    await egress.send(target(route=True), PAGE, nonce="n", first=False)
    await egress.edit(target(route=True), "8", PAGE, first=False)
    assert trail(server) == [("POST", CHANNEL), ("PATCH", f"{CHANNEL}/8")]


async def test_where_the_bot_may_not_write_further_pages_go_by_the_interaction(server, egress):
    server.refuse(403, 50001, path="/channels/*", times=2)
    await egress.send(target(route=True), PAGE, nonce="n", first=False)
    await egress.edit(target(route=True), "8", PAGE, first=False)
    assert trail(server) == [("POST", CHANNEL), ("POST", HOOK), ("PATCH", f"{CHANNEL}/8"), ("PATCH", f"{HOOK}/messages/8")]
    assert server.calls[1].body["flags"] == 4


@pytest.mark.parametrize("route", [ROUTE, PRESS])
async def test_a_channel_that_refused_is_not_asked_again_for_a_while(server, egress, now, route):
    where = replace(target(), route=replace(ROUTE.pack(1000.0), value=route.pack(1000.0).value, expires_at=9000.0))
    server.refuse(403, 50001, path="/channels/*", times=2)
    for nonce in ("a", "b", "c"):
        await egress.send(where, PAGE, nonce=nonce, first=False)
        for _ in range(3):
            await egress.edit(where, "8", PAGE, first=False)
    assert len([path for _, path in trail(server) if path.startswith("/channels/")]) == 2
    assert not any(call.body["flags"] & 64 for call in server.calls)  # what was public stays public
    interaction = [Allowance(route.bucket, DISCORD_INTERACTION_EDIT)]
    assert list(egress.allowances(Call.SEND, where, first=False)) == list(egress.allowances(Call.EDIT, where, first=False)) == interaction
    now.seconds += BARRED_SECONDS
    await egress.send(where, PAGE, nonce="d", first=False)
    await egress.edit(where, "8", PAGE, first=False)
    assert trail(server)[-2:] == [("POST", CHANNEL), ("PATCH", f"{CHANNEL}/8")]


async def test_where_the_bot_may_not_write_it_is_not_typing_and_every_answer_asks_once(server, egress):
    server.refuse(403, 50001, path="/channels/*", times=-1)
    for _ in range(3):
        with pytest.raises(RefusedError):
            await egress.send(target(), PAGE, nonce="n", first=True)
        await egress.typing(target())
    assert trail(server) == [("POST", CHANNEL)] * 3


async def test_a_channel_that_takes_no_files_is_still_asked_for_text(server, egress):
    server.refuse(403, 50013, path="/channels/*")
    await egress.send(target(route=True), replace(PAGE, file=File("a.md", "text/markdown", b"x")), nonce="n", first=False)
    await egress.send(target(route=True), PAGE, nonce="m", first=False)
    assert trail(server) == [("POST", CHANNEL), ("POST", HOOK), ("POST", CHANNEL)]


async def test_the_answer_to_a_press_never_takes_the_place_of_the_message_with_the_button(server, egress):
    where = replace(target(reply_to="42"), route=PRESS.pack(1000.0))
    receipt = await egress.send(where, PAGE, nonce="n", first=True)
    await egress.edit(where, receipt.message_id, PAGE, first=True)
    assert trail(server) == [("POST", CHANNEL), ("PATCH", f"{CHANNEL}/1000")]
    assert server.calls[0].body["message_reference"]["message_id"] == "42"
    assert list(egress.allowances(Call.SEND, where, first=True)) == [Allowance("discord:create:77", DISCORD_CREATE), OVERALL]


async def test_where_the_bot_may_not_write_the_answer_to_a_press_goes_by_the_interaction(server, egress):
    where = replace(target(), route=PRESS.pack(1000.0))
    server.refuse(403, 50001, path="/channels/*", times=2)
    receipt = await egress.send(where, PAGE, nonce="n", first=True)
    await egress.edit(where, receipt.message_id, PAGE, first=True)
    assert trail(server) == [("POST", CHANNEL), ("POST", HOOK), ("PATCH", f"{CHANNEL}/1000"), ("PATCH", f"{HOOK}/messages/1000")]
    assert server.calls[1].body["flags"] == 4


async def test_a_word_to_who_pressed_is_for_that_person_alone_and_dies_with_the_interaction(server, egress, acknowledgements, now):
    with acknowledgements.under_way("555"):
        telling = asyncio.create_task(egress.note(PRESS.pack(1000.0), PAGE))
        await asyncio.sleep(0.05)
        assert not server.calls
    await telling
    assert trail(server) == [("POST", HOOK)]
    assert server.calls[0].body["flags"] == 64 | 4
    now.seconds += 14 * 60
    await egress.note(PRESS.pack(1000.0), PAGE)
    await egress.note(None, PAGE)
    assert len(server.calls) == 1


async def test_private_pages_never_leave_the_interaction(server, egress):
    private = target(route=True, private=True)
    await egress.send(private, PAGE, nonce="n", first=True)
    await egress.send(private, PAGE, nonce="n", first=False)
    await egress.edit(private, "8", PAGE, first=False)
    await egress.delete(private, "8")
    assert trail(server) == [
        ("PATCH", f"{HOOK}/messages/@original"),
        ("POST", HOOK),
        ("PATCH", f"{HOOK}/messages/8"),
        ("DELETE", f"{HOOK}/messages/8"),
    ]
    assert server.calls[1].body["flags"] == 4 | 64
    assert server.calls[1].query == {"wait": "true"}


async def test_a_follow_up_whose_answer_is_lost_is_of_unknown_outcome(server, egress):
    server.faults.add(Fault(drop="after"))
    with pytest.raises(UnknownOutcomeError):
        await egress.send(target(route=True, private=True), PAGE, nonce="n", first=False)


async def test_a_create_whose_answer_is_lost_may_be_repeated(server, egress):
    server.faults.add(Fault(drop="after"))
    with pytest.raises(UnavailableError):
        await egress.send(target(), PAGE, nonce="n", first=True)


@pytest.mark.parametrize(("status", "code"), [(404, 10015), (404, 10062), (401, 50027), (404, 10008)])
async def test_an_interaction_that_fails_hands_over_to_the_channel(server, egress, status, code):
    server.refuse(status, code, path="/webhooks/*", times=-1)
    await egress.send(target(route=True), PAGE, nonce="n", first=True)
    await egress.edit(target(route=True), "8", PAGE, first=True)
    assert ("POST", CHANNEL) in trail(server)
    assert trail(server)[-1] == ("PATCH", f"{CHANNEL}/8")


async def test_a_dead_interaction_is_not_tried_again_and_not_counted(server, egress):
    server.refuse(404, 10015)
    await egress.send(target(route=True), PAGE, nonce="n", first=True)
    await egress.edit(target(route=True), "8", PAGE, first=True)
    assert trail(server)[1:] == [("POST", CHANNEL), ("PATCH", f"{CHANNEL}/8")]
    assert egress.allowances(Call.EDIT, target(route=True), first=True)[0].bucket == "discord:edit:77"


async def test_other_refusals_of_an_interaction_are_told(server, egress):
    server.refuse(400, 50006)
    with pytest.raises(RefusedError) as caught:
        await egress.send(target(route=True), PAGE, nonce="n", first=True)
    assert caught.value.reason is Refusal.BAD_REQUEST
    assert len(server.calls) == 1


async def test_a_flooded_interaction_is_not_evaded_by_the_channel(server, egress):
    server.say(429, {"retry_after": 1.5}, headers={"Via": "x"})
    with pytest.raises(FloodError):
        await egress.edit(target(route=True), "8", PAGE, first=True)
    assert len(server.calls) == 1


async def test_a_minute_before_its_end_the_route_is_left(server, egress, now):
    now.seconds = 1000.0 + 14 * 60 - 1
    await egress.edit(target(route=True), "8", PAGE, first=True)
    now.seconds = 1000.0 + 14 * 60
    await egress.edit(target(route=True), "8", PAGE, first=True)
    assert trail(server) == [("PATCH", f"{HOOK}/messages/8"), ("PATCH", f"{CHANNEL}/8")]


async def test_an_answer_waits_for_the_acknowledgement_of_its_interaction(server, egress, acknowledgements):
    with acknowledgements.under_way("555"):
        sending = asyncio.create_task(egress.send(target(route=True), PAGE, nonce="n", first=True))
        await asyncio.sleep(0.05)
        assert not server.calls
    await sending
    assert len(server.calls) == 1


async def test_deleting_what_is_gone_is_success(server, egress):
    server.refuse(404, 10008)
    await egress.delete(target(), "8")
    assert trail(server) == [("DELETE", f"{CHANNEL}/8")]


async def test_editing_what_is_gone_is_refused(server, egress):
    server.refuse(404, 10008)
    with pytest.raises(RefusedError) as caught:
        await egress.edit(target(), "8", PAGE, first=True)
    assert caught.value.reason is Refusal.GONE


async def test_typing_is_left_to_the_interaction_where_there_is_one(server, egress):
    await egress.typing(target(route=True))
    await egress.typing(target())
    await egress.typing(replace(target(), route=PRESS.pack(1000.0)))
    assert trail(server) == [("POST", "/channels/77/typing")] * 2


def test_each_call_names_the_buckets_it_is_counted_in(egress):
    create, edit = Allowance("discord:create:77", DISCORD_CREATE), Allowance("discord:edit:77", DISCORD_EDIT)
    delete = Allowance("discord:delete:77", DISCORD_DELETE)
    interaction = Allowance(ROUTE.bucket, DISCORD_INTERACTION_EDIT)
    expected = [
        (Call.SEND, target(), True, [create, OVERALL]),
        (Call.EDIT, target(), True, [edit, OVERALL]),
        (Call.DELETE, target(), True, [delete, OVERALL]),
        (Call.SEND, target(route=True), True, [interaction]),
        (Call.EDIT, target(route=True), True, [interaction]),
        (Call.SEND, target(route=True), False, [create, OVERALL]),
        (Call.EDIT, target(route=True), False, [edit, OVERALL]),
        (Call.DELETE, target(route=True), True, [delete, OVERALL]),
        (Call.SEND, target(route=True, private=True), False, [interaction]),
        (Call.DELETE, target(route=True, private=True), False, [interaction]),
    ]
    for call, where, first, allowances in expected:
        assert list(egress.allowances(call, where, first=first)) == allowances, (call, where, first)


def test_no_bucket_and_no_repr_tells_the_token():
    route = InteractionRoute("9", "very-secret", "555")
    packed = route.pack(0.0)
    assert "secret" not in route.bucket + repr(route) + repr(packed)


def test_a_route_survives_packing():
    assert unpack(ROUTE.pack(1000.0), 1000.0) == ROUTE
    assert unpack(PRESS.pack(1000.0), 1000.0) == PRESS
    older = json.dumps({"application": "9", "token": "tok", "interaction": "555"})  # written before there were presses
    assert unpack(ReplyRoute(older, 2000.0), 1000.0) == ROUTE
    assert json.loads(ROUTE.pack(1000.0).value)["token"] == "tok"
    assert unpack(ReplyRoute("{}", 10.0), 10.0) is None
    assert unpack(None, 0.0) is None


def about(key: str, *, route: InteractionRoute | None = None, private: bool = False) -> Target:
    return Target(CHAT, ChatKind.GROUP, route=route.pack(1000.0) if route else None, private=private, event=f"discord:1:{key}")


@pytest.mark.parametrize(
    ("where", "first", "expected"),
    [
        (about("message:42"), True, Repeat.NONCE),
        (about("message:42"), False, Repeat.NONCE),
        (about("interaction:42", route=ROUTE), True, Repeat.SAME),
        (about("interaction:42", route=ROUTE), False, Repeat.NONCE),
        (about("interaction:42", route=PRESS), True, Repeat.SEARCH),
        (about("interaction:42"), True, Repeat.SEARCH),
        (about("interaction:42"), False, Repeat.NONCE),
        (about("interaction:42", route=ROUTE, private=True), True, Repeat.SAME),
        (about("interaction:42", route=ROUTE, private=True), False, Repeat.NEW),
        (about("interaction:42", route=PRESS, private=True), True, Repeat.NEW),
        (about("interaction:42", private=True), True, Repeat.NEW),
    ],
)
async def test_what_a_repeated_create_does_depends_on_its_way(egress, where, first, expected):
    assert egress.repeat(where, first=first) is expected


async def test_a_repeated_create_takes_no_other_way_without_being_told(server, egress):
    target = about("interaction:42", route=ROUTE)
    server.refuse(404, 10015)
    with pytest.raises(UnavailableError):
        await egress.resend(target, PAGE, nonce="n", first=True)
    assert [method for method, _ in trail(server)] == ["PATCH"]
    assert egress.repeat(target, first=True) is Repeat.SEARCH
    server.refuse(403, 50013)
    with pytest.raises(UnavailableError):
        await egress.resend(about("interaction:43", route=replace(ROUTE, interaction="43")), PAGE, nonce="n", first=False)
    assert [method for method, _ in trail(server)] == ["PATCH", "POST"]
    assert egress.repeat(about("interaction:43", route=replace(ROUTE, interaction="43")), first=False) is Repeat.SEARCH


@pytest.mark.parametrize(("kind", "found"), [(0, ("102",)), (19, ("102",)), (None, ("102",)), (6, ()), (18, ())])
async def test_what_discord_says_in_the_bots_name_is_not_taken_for_a_page(server, egress, kind, found):
    about_it = {} if kind is None else {"type": kind}
    server.say(200, [{"id": "100", "author": {"id": "5"}}, {"id": "102", "author": {"id": "1"}, **about_it}])
    sighting = await egress.search(about("message:100"), first=False, position=None)
    assert sighting.messages == found


QUESTION = {"id": "100", "author": {"id": "5"}}
TO_IT, TO_ANOTHER = {"message_reference": {"message_id": "100"}}, {"message_reference": {"message_id": "99"}}
OF_IT = {"interaction_metadata": {"id": "100"}}
AFTER_IT = {"interaction_metadata": {"id": "100", "original_response_message_id": "101"}}


@pytest.mark.parametrize(
    ("more", "first", "further"),
    [
        ({}, False, True),
        (TO_IT, True, False),
        (TO_ANOTHER, False, False),
        ({"webhook_id": "9"}, False, False),
        ({"author": {"id": "2"}}, False, False),
        (OF_IT, False, False),
    ],
    ids=["no pointer", "to the question", "to another", "of a webhook", "of another bot", "of an interaction"],
)
async def test_an_answer_to_a_message_is_known_by_its_place(server, egress, more, first, further):
    server.say(200, [QUESTION, {"id": "102", "author": {"id": "1"}, **more}], times=2)
    where = replace(about("message:100"), reply_to="100")
    assert [bool((await egress.search(where, first=page, position=None)).messages) for page in (True, False)] == [first, further]


@pytest.mark.parametrize(
    ("more", "first", "further"),
    [
        (OF_IT, True, False),
        (AFTER_IT, True, True),
        ({"interaction_metadata": {"id": "99"}}, False, False),
        ({**OF_IT, "flags": 1 << 7}, False, False),
    ],
    ids=["the answer", "a follow-up", "of another", "still waited for"],
)
async def test_an_answer_to_a_command_is_known_by_its_interaction(server, egress, more, first, further):
    server.say(200, [QUESTION, {"id": "102", "author": {"id": "1"}, **more}], times=2)
    where = about("interaction:100")
    assert [bool((await egress.search(where, first=page, position=None)).messages) for page in (True, False)] == [first, further]


async def test_where_it_is_not_known_what_is_answered_nothing_is_searched(server, egress):
    with pytest.raises(RefusedError):
        await egress.search(target(), first=True, position=None)
    assert trail(server) == []
