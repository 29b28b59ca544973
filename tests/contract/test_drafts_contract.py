"""What every platform that shows drafts promises the core, checked against its stand-in over real sockets."""

import pytest

from bot.drafts import number_of, stop_of
from bot.model import Button, ButtonPress, EventKind, Page
from bot.platforms.base import Call, FloodError, Refusal, RefusedError, SupportsDrafts, UnavailableError
from tests.support.platforms import DRAFTING_WORLDS
from tests.support.seam import Inbox, eventually, running

PAGE = Page("hello")


@pytest.fixture(params=sorted(DRAFTING_WORLDS))
async def world(request):
    async with DRAFTING_WORLDS[request.param]() as world:
        yield world


@pytest.fixture
async def platform(world):
    platform = world.drafting()
    await platform.open()
    yield platform
    await platform.aclose()


@pytest.fixture
async def where(world, platform):
    """A private chat, in which somebody has spoken before."""
    inbox = Inbox()
    async with running(platform, inbox):
        await world.say(world.private, "good morning")
        await inbox.one()
    return world.private


async def test_it_says_where_drafts_can_be_shown_and_how_long_they_last(world, platform, where):
    assert isinstance(platform, SupportsDrafts)
    assert platform.drafts(where)
    assert not platform.drafts(world.group)
    assert platform.draft_seconds > 0
    assert platform.draft_refusals > 0
    usual = world.make()
    assert not isinstance(usual, SupportsDrafts) or not usual.drafts(where), "drafts are for those who ask for them"


async def test_a_draft_is_no_message_and_gone_with_the_next(world, platform, where):
    await platform.draft(where, Page("so f"), number=64)
    await platform.draft(where, Page("so far", buttons=((Button("Stop", "stop:1"),),)), number=64)
    assert (world.shown(where), world.drafted(where)) == ([], ["so far"])
    await platform.send(where, Page("whole"), nonce="1", first=True)
    assert ([one.text for one in world.shown(where)], world.drafted(where)) == (["whole"], [])


async def test_the_longest_page_fits_into_a_draft(world, platform, where):
    longest = "x" * platform.style.limit
    await platform.draft(where, Page(longest), number=64)
    assert world.drafted(where) == [longest]


async def test_where_drafts_cant_be_shown_they_are_refused(world, platform, where):
    with pytest.raises(RefusedError) as caught:
        await platform.draft(world.group, PAGE, number=64)
    assert caught.value.reason is Refusal.BAD_REQUEST
    world.bar(where)
    with pytest.raises(RefusedError) as caught:
        await platform.draft(where, PAGE, number=64)
    assert caught.value.reason is Refusal.FORBIDDEN


@pytest.mark.parametrize("harm", [{"drop": "before"}, {"drop": "after"}, {"down": True}])
async def test_a_draft_whose_outcome_is_lost_may_be_repeated(world, platform, where, harm):
    world.harm(Call.DRAFT, **harm)
    with pytest.raises(UnavailableError):
        await platform.draft(where, PAGE, number=64)
    await platform.draft(where, PAGE, number=64)
    assert world.drafted(where) == ["hello"]


async def test_a_flood_of_drafts_says_exactly_how_long(world, platform, where):
    world.harm(Call.DRAFT, flood=7)
    with pytest.raises(FloodError) as caught:
        await platform.draft(where, PAGE, number=64)
    assert caught.value.retry_after == 7
    assert not caught.value.everywhere


async def test_drafts_are_counted_with_the_messages_of_their_chat(platform, where):
    buckets = [[one.bucket for one in platform.allowances(call, where, first=True)] for call in (Call.SEND, Call.EDIT, Call.DRAFT)]
    assert buckets[2] == buckets[0] == buckets[1]


async def test_a_stopped_draft_arrives_as_a_press_of_the_button_that_stops_it(world, platform, where):
    inbox = Inbox()
    async with running(platform, inbox):
        await platform.draft(where, PAGE, number=number_of(7, 2))
        await world.stop_draft(where)
        await eventually(lambda: any(one.kind is EventKind.BUTTON for one in inbox.taken))  # the greeting may be delivered again before it
    [incoming] = [one for one in inbox.taken if one.kind is EventKind.BUTTON]
    assert incoming.button == ButtonPress(stop_of(number_of(7, 2)))
    assert (incoming.chat, incoming.chat_kind) == (where.chat, where.chat_kind)
    assert incoming.sender.id.isdecimal()
