"""What every platform promises the core, checked on every platform against its stand-in over real sockets."""

import asyncio
import re
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import replace

import pytest

from bot.model import Button, ButtonStyle, ChatAddress, EventKind, Page, Target
from bot.platforms.base import (
    Call,
    FloodError,
    Platform,
    PlatformError,
    Refusal,
    RefusedError,
    SupportsTyping,
    UnavailableError,
    UnknownOutcomeError,
)
from tests.support.platforms import NOBODY_LISTENS
from tests.support.seam import eventually, running

PAGE = Page("hello")
BUTTONS = Page("choose", buttons=((Button("Stop", "stop:1", ButtonStyle.DANGER), Button("Again", "retry:1")), (Button("Help", "help"),)))


async def refusal(call: Awaitable[object]) -> Refusal:
    with pytest.raises(RefusedError) as caught:
        await call
    return caught.value.reason


# -------------------------------------------------------------------------------------------------------- account


async def test_opening_tells_the_account(world, platform):
    assert await platform.open() == world.account
    assert platform.name == world.name


async def test_a_wrong_token_is_refused_and_not_told(world):
    token = "123456:" + "wrong" * 7
    platform = world.make(token=token)
    with pytest.raises(RefusedError, match=f"{world.name.upper()}_TOKEN") as caught:
        await platform.open()
    assert caught.value.reason is Refusal.TOKEN
    assert token not in str(caught.value)
    await platform.aclose()


async def test_a_platform_that_cant_be_reached_is_unavailable(world):
    platform = world.make(address=NOBODY_LISTENS)
    with pytest.raises(UnavailableError) as caught:
        await platform.open()
    assert world.token not in str(caught.value)
    await platform.aclose()


async def test_closing_twice_is_closing(platform):
    await platform.aclose()
    await platform.aclose()


# ----------------------------------------------------------------------------------------------------------- egress


async def test_a_message_is_made_changed_and_taken_away(world, platform, where):
    sent = await platform.send(where, BUTTONS, nonce="1", first=True)
    [shown] = world.shown(where)
    assert (shown.id, shown.text, shown.buttons) == (sent.message_id, "choose", ("Stop", "Again", "Help"))
    edited = await platform.edit(where, sent.message_id, Page("chosen"), first=True)
    assert edited.message_id == sent.message_id
    assert [(one.text, one.buttons) for one in world.shown(where)] == [("chosen", ())]
    await platform.delete(where, sent.message_id)
    assert world.shown(where) == []


async def test_buttons_go_alone_and_the_text_stays(world, platform, where):
    sent = await platform.send(where, BUTTONS, nonce="1", first=True)
    for _ in range(2):  # that there are none is success
        await platform.unbutton(where, sent.message_id, first=True)
        assert [(one.text, one.buttons) for one in world.shown(where)] == [("choose", ())]
    await world.remove(where, sent.message_id)
    assert await refusal(platform.unbutton(where, sent.message_id, first=True)) is Refusal.GONE


async def test_messages_appear_in_the_order_they_are_sent(world, platform, where):
    for number in range(3):
        await platform.send(where, Page(str(number)), nonce=str(number), first=number == 0)
    assert [one.text for one in world.shown(where)] == ["0", "1", "2"]


async def test_a_message_that_already_looks_so_is_success(world, platform, where):
    sent = await platform.send(where, BUTTONS, nonce="1", first=True)
    again = await platform.edit(where, sent.message_id, BUTTONS, first=True)
    assert again.message_id == sent.message_id


async def test_a_reply_to_a_message_that_is_gone_still_comes(world, platform, where):
    said = await world.say(where, "never mind")
    await world.remove(where, said)
    await platform.send(replace(where, reply_to=said), PAGE, nonce="1", first=True)
    assert [one.text for one in world.shown(where)] == ["hello"]


async def test_what_is_gone_is_refused_to_edits_and_fine_for_deletes(world, platform, where):
    sent = await platform.send(where, PAGE, nonce="1", first=True)
    await world.remove(where, sent.message_id)
    assert await refusal(platform.edit(where, sent.message_id, Page("new"), first=True)) is Refusal.GONE
    await platform.delete(where, sent.message_id)


async def test_the_longest_page_is_taken_and_a_longer_one_is_refused_as_too_long(world, platform, where):
    longest = Page("x" * platform.style.limit)
    sent = await platform.send(where, longest, nonce="1", first=True)
    longer = Page(longest.text + "x")
    assert await refusal(platform.send(where, longer, nonce="2", first=True)) is Refusal.TOO_LONG
    assert await refusal(platform.edit(where, sent.message_id, longer, first=True)) is Refusal.TOO_LONG
    assert [one.text for one in world.shown(where)] == [longest.text]


async def test_where_the_bot_may_not_write_it_is_told_so(world, platform, where):
    world.bar(where)
    assert await refusal(platform.send(where, PAGE, nonce="1", first=True)) is Refusal.FORBIDDEN


async def test_a_flood_says_exactly_how_long(world, platform, where):
    sent = await platform.send(where, PAGE, nonce="1", first=True)
    for call in (Call.SEND, Call.EDIT):
        world.harm(call, flood=7)
        with pytest.raises(FloodError) as caught:
            await _do(platform, call, where, sent.message_id)
        assert caught.value.retry_after == 7
        assert not caught.value.everywhere
    assert [one.text for one in world.shown(where)] == ["hello"]


@pytest.mark.parametrize("harm", [{"drop": "before"}, {"drop": "after"}, {"down": True}])
async def test_an_edit_whose_outcome_is_lost_may_be_repeated(world, platform, where, harm):
    sent = await platform.send(where, PAGE, nonce="1", first=True)
    world.harm(Call.EDIT, **harm)
    with pytest.raises(UnavailableError):
        await _do(platform, Call.EDIT, where, sent.message_id)
    await _do(platform, Call.EDIT, where, sent.message_id)
    assert [one.text for one in world.shown(where)] == ["changed"]


@pytest.mark.parametrize("harm", [{"drop": "before"}, {"drop": "after"}, {"down": True}])
async def test_a_delete_whose_outcome_is_lost_may_be_repeated(world, platform, where, harm):
    sent = await platform.send(where, PAGE, nonce="1", first=True)
    world.harm(Call.DELETE, **harm)
    with suppress(UnavailableError):  # some HTTP clients repeat a DELETE by themselves
        await _do(platform, Call.DELETE, where, sent.message_id)
    await _do(platform, Call.DELETE, where, sent.message_id)
    assert world.shown(where) == []


async def test_a_message_whose_outcome_is_lost_is_not_made_twice_by_repeating_what_may_be_repeated(world, platform, where):
    world.harm(Call.SEND, drop="after")
    with pytest.raises(PlatformError) as caught:
        await platform.send(where, PAGE, nonce="1", first=True)
    assert [one.text for one in world.shown(where)] == ["hello"]
    if not platform.limits.idempotent_send:
        assert isinstance(caught.value, UnknownOutcomeError)
        return
    assert isinstance(caught.value, UnavailableError)
    repeated = await platform.send(where, PAGE, nonce="1", first=True)
    assert [one.id for one in world.shown(where)] == [repeated.message_id]


async def test_a_call_ends_though_its_caller_is_cancelled(world, platform, where):
    sent = await platform.send(where, PAGE, nonce="1", first=True)
    world.harm(Call.EDIT, delay=0.1)
    before = world.calls(Call.EDIT)
    caller = asyncio.create_task(platform.edit(where, sent.message_id, Page("whole"), first=True))
    await eventually(lambda: world.calls(Call.EDIT) > before)
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)
    await eventually(lambda: [one.text for one in world.shown(where)] == ["whole"])


async def test_typing_fails_in_silence(world, platform, where):
    assert isinstance(platform, SupportsTyping)
    assert platform.typing_seconds > 0
    await platform.typing(where)
    world.bar(where)
    await platform.typing(where)


async def _do(platform: Platform, call: Call, where: Target, message_id: str) -> None:
    match call:
        case Call.SEND:
            await platform.send(where, Page("never"), nonce="x", first=True)
        case Call.EDIT:
            await platform.edit(where, message_id, Page("changed"), first=True)
        case Call.DELETE:
            await platform.delete(where, message_id)


# ---------------------------------------------------------------------------------------------------------- budgets


def names(platform: Platform, call: Call, where: Target) -> list[str]:
    return [allowance.bucket for allowance in platform.allowances(call, where, first=True)]


@pytest.mark.parametrize("kind", ["private", "group"])
async def test_each_chat_has_budgets_of_its_own_beside_the_one_of_all(world, platform, kind):
    where = getattr(world, kind)
    elsewhere = replace(where, chat=ChatAddress(world.name, world.account, "424242"))
    overall = platform.limits.overall
    for call in Call:
        mine, others = names(platform, call, where), names(platform, call, elsewhere)
        assert set(mine) & set(others) == {overall.bucket}
        assert mine == names(platform, call, where)
        assert mine[0] != overall.bucket  # a flood halts what is counted in the first: this chat, and not every one
        assert all(one.budget.calls > 0 and one.budget.seconds > 0 for one in platform.allowances(call, where, first=True))
    assert not any(world.token in name for name in names(platform, Call.SEND, where))


# ----------------------------------------------------------------------------------------------------------- intake


async def test_what_is_said_arrives_once_with_its_place_and_can_be_answered(world, platform, inbox, where):
    async with running(platform, inbox):
        said = await world.say(where, "what is new?")
        incoming = await inbox.one()
        assert (incoming.kind, incoming.text, incoming.message_id) == (EventKind.MESSAGE, "what is new?", said)
        assert (incoming.chat, incoming.chat_kind) == (where.chat, where.chat_kind)
        assert incoming.sender.id.isdecimal()
        assert incoming.sender.name
        assert incoming.key.startswith(f"{world.name}:{world.account}:")
        answer = replace(where, chat=incoming.chat, reply_to=incoming.message_id, route=incoming.route)
        await platform.send(answer, Page("nothing"), nonce="1", first=True)
    assert [one.text for one in world.shown(where)] == ["nothing"]
    assert len(inbox.taken) == 1


async def test_what_is_said_at_once_arrives_in_order_and_waits_for_the_commit(world, platform, inbox, where):
    inbox.delays = [0.2]
    async with running(platform, inbox):
        for number in range(4):
            await world.say(where, str(number))
        assert [one.text for one in await inbox.wait(4)] == ["0", "1", "2", "3"]
    assert len({one.key for one in inbox.taken}) == 4


async def test_an_edit_arrives_as_one(world, platform, inbox, where):
    async with running(platform, inbox):
        said = await world.say(where, "frist")
        await world.rewrite(where, said, "first")
        _, edited = await inbox.wait(2)
    assert (edited.kind, edited.text, edited.message_id) == (EventKind.EDIT, "first", said)


async def test_a_command_arrives_with_its_arguments_and_can_be_answered(world, platform, inbox, where):
    async with running(platform, inbox):
        await world.commands_known()
        await world.command(where, "ask", question="why not?")
        incoming = await inbox.one()
        assert incoming.kind is EventKind.COMMAND
        assert incoming.command is not None
        assert (incoming.command.name, incoming.command.arguments) == ("ask", {"question": "why not?"})
        target = replace(where, reply_to=incoming.message_id, route=incoming.route)
        sent = await platform.send(target, Page("becau"), nonce="1", first=True)
        await platform.edit(target, sent.message_id, Page("because"), first=True)
    assert [one.text for one in world.shown(where)] == ["because"]


async def test_a_pressed_button_arrives_with_its_data(world, platform, inbox, where):
    async with running(platform, inbox):
        sent = await platform.send(where, BUTTONS, nonce="1", first=True)
        await world.press(where, sent.message_id, "retry:1")
        incoming = await inbox.one()
    assert incoming.kind is EventKind.BUTTON
    assert incoming.button is not None
    assert (incoming.button.data, incoming.button.message_id) == ("retry:1", sent.message_id)
    assert (incoming.chat, incoming.chat_kind) == (where.chat, where.chat_kind)


@pytest.mark.parametrize("word", ["It has ended already.", ""])
async def test_who_pressed_a_button_is_told_alone_and_the_chat_stays_as_it_is(world, platform, inbox, where, word):
    async with running(platform, inbox):
        sent = await platform.send(where, BUTTONS, nonce="1", first=True)
        before = world.shown(where)
        await world.press(where, sent.message_id, "retry:1")
        incoming = await inbox.one()
        await platform.pressed(incoming.route, Page(word) if word else None)
        await eventually(lambda: world.words(where))
        assert world.words(where) == [word]
        assert world.shown(where) == before


async def test_an_answer_to_a_press_is_a_message_of_its_own_and_grows_where_it_is(world, platform, inbox, where):
    async with running(platform, inbox):
        sent = await platform.send(where, BUTTONS, nonce="1", first=True)
        await world.press(where, sent.message_id, "retry:1")
        incoming = await inbox.one()
        await platform.pressed(incoming.route)
        target = Target.answering(incoming, incoming.route)
        again = await platform.send(target, Page("agai"), nonce="2", first=True)
        await platform.edit(target, again.message_id, Page("again"), first=True)
    assert [(one.text, bool(one.buttons)) for one in world.shown(where)] == [("choose", True), ("again", False)]


async def test_a_word_to_who_pressed_a_button_that_comes_to_nothing_is_no_failure(world, platform, inbox, where):
    async with running(platform, inbox):
        sent = await platform.send(where, BUTTONS, nonce="1", first=True)
        await world.press(where, sent.message_id, "retry:1")
        incoming = await inbox.one()
        await platform.pressed(None, Page("nobody hears it"))
        unknown = re.sub(r"\d", lambda digit: str((int(digit[0]) + 1) % 10), incoming.route.value)
        await platform.pressed(replace(incoming.route, value=unknown), Page("nobody hears it"))
        await platform.pressed(incoming.route)
        await eventually(lambda: world.words(where) == [""])


async def test_the_bot_does_not_answer_itself(world, platform, inbox, where):
    async with running(platform, inbox):
        sent = await platform.send(where, Page("I wonder"), nonce="1", first=True)
        await platform.edit(where, sent.message_id, Page("I still wonder"), first=True)
        await world.say(where, "hello")
        assert (await inbox.one()).text == "hello"


async def test_intake_ends_when_cancelled_and_can_begin_again(world, platform, inbox, where, *, loop_time):
    ready = []
    task = asyncio.create_task(platform.run(inbox.accept, lambda: ready.append(1)))
    await eventually(lambda: ready)
    task.cancel()
    await loop_time.at_once(task.done)
    with pytest.raises(asyncio.CancelledError):
        await task
    async with running(platform, inbox):
        await world.say(where, "hello")
        assert (await inbox.one()).text == "hello"
    assert ready == [1]
