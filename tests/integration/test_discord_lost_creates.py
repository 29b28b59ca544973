"""Creates on Discord whose outcome nobody knows any more: real HTTP against a stand-in as strict as Discord about nonces and histories."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bot import texts
from bot.clock import SystemClock
from bot.model import ChatAddress, ChatKind, Page, Target
from bot.outbox import Outbox
from bot.platforms.base import Call
from bot.platforms.discord import DiscordPlatform
from sandbox.discord import DiscordSandbox
from sandbox.faults import Fault
from storage.base import Owner, OwnerKind
from tests.support.chat import MemoryDeliveries
from tests.support.clock import Epoch
from tests.support.seam import Inbox, Memo, Menu, plain, running

OWNER = Owner(OwnerKind.TURN, 1)
LABEL = f"\n\n{texts.POSSIBLY_REPEATED}"
LATER = 3600.0


class World:
    """A bridge's outbox on a stand-in; both go by one time."""

    def __init__(self, sandbox: DiscordSandbox, now: Epoch) -> None:
        self.sandbox, self.now = sandbox, now
        self.rows = MemoryDeliveries(now)
        self.inbox = Inbox()
        self.platform = self.make()

    def make(self) -> DiscordPlatform:
        return DiscordPlatform(
            self.sandbox.token,
            Menu(),
            Memo(),
            style=plain(2000),
            api_base_url=self.sandbox.api_url,
            gateway_url=self.sandbox.gateway_url,
            clock=SystemClock(),
            now=self.now,
        )

    async def asked(self, channel: str | None = None, *, direct: bool = False) -> Target:
        """Somebody asks by a message; where the answer goes."""
        place = self.sandbox.open_dm(self.sandbox.user_id) if direct else channel or self.sandbox.channel_id
        said = (await self.sandbox.say(place, self.sandbox.user_id, "why?", mention=not direct))["id"]
        account = self.sandbox.bot_id
        kind = ChatKind.PRIVATE if direct else ChatKind.GROUP
        key = f"discord:{account}:message:{said}"
        return Target(ChatAddress("discord", account, place), kind, reply_to=None if direct else said, event=key)

    async def commanded(self, name: str = "ask", **options: str) -> Target:
        """Somebody uses a command; where the answer goes while the interaction lives."""
        async with running(self.platform, self.inbox):
            await self.sandbox.connected()
            await self.sandbox.slash(self.sandbox.channel_id, self.sandbox.user_id, name, options)
            incoming = (await self.inbox.wait(1))[-1]
            return Target.answering(incoming, incoming.route)

    async def lost(self, target: Target, text: str = "half", *, page: int = 0) -> None:
        """A page is made, and the process killed before it notes so."""
        row = await self.rows.begin_delivery(OWNER, target.chat, page, f"n{page}")
        await self.platform.send(target, Page(text), nonce=row.nonce, first=page == 0)

    async def recover(self, target: Target, *pages: str) -> int:
        """Another process shows the whole answer; how many creates it could not know the outcome of."""
        platform = self.make()
        outbox = Outbox({"discord": platform}, self.rows, SystemClock(), rng=random.Random(1), now=self.now)
        try:
            await outbox.post(OWNER, target, [Page(text) for text in pages or ("whole",)])
        finally:
            await outbox.aclose()
            await platform.aclose()
        return outbox.unknown_outcomes

    def mine(self, target: Target) -> list[str]:
        seen = self.sandbox.messages(target.chat.chat, viewer=self.sandbox.user_id)
        return [one["content"] for one in seen if one["author"]["id"] == self.sandbox.bot_id]


@asynccontextmanager
async def made() -> AsyncIterator[World]:
    now = Epoch()
    async with DiscordSandbox(now=now) as sandbox:
        world = World(sandbox, now)
        await world.platform.open()
        try:
            yield world
        finally:
            await world.platform.aclose()


@pytest.fixture
async def world():
    async with made() as world:
        yield world


@pytest.mark.parametrize("direct", [False, True])
@pytest.mark.parametrize("seconds", [5.0, LATER])
async def test_a_lost_create_is_found_again_however_long_the_bot_was_down(world: World, seconds: float, direct: bool) -> None:
    target = await world.asked(direct=direct)
    await world.lost(target)
    world.now.seconds += seconds
    assert await world.recover(target) == 0
    assert world.mine(target) == ["whole"]


@pytest.mark.parametrize("direct", [False, True])
async def test_a_create_that_never_arrived_is_made_once_and_without_a_label(world: World, direct: bool) -> None:
    target = await world.asked(direct=direct)
    await world.rows.begin_delivery(OWNER, target.chat, 0, "n")
    world.now.seconds += LATER
    assert await world.recover(target) == 0
    assert world.mine(target) == ["whole"]


async def test_where_the_history_cant_be_read_it_is_made_again_and_says_so(world: World) -> None:
    target = await world.asked()
    await world.lost(target)
    world.now.seconds += LATER
    world.sandbox.without_history.add(target.chat.chat)
    assert await world.recover(target) == 1
    assert world.mine(target) == ["half", f"whole{LABEL}"]


async def test_where_the_history_is_refused_it_is_made_again_and_says_so(world: World) -> None:
    target = await world.asked()
    await world.lost(target)
    world.now.seconds += LATER
    world.sandbox.faults.add(Fault("GET", "*/messages", status=403, body={"message": "Missing Access", "code": 50001}))
    assert await world.recover(target) == 1
    assert world.mine(target) == ["half", f"whole{LABEL}"]


async def test_neither_other_peoples_messages_nor_other_answers_are_taken_for_it(world: World) -> None:
    other = await world.asked()
    target = await world.asked()
    await world.platform.send(other, Page("to another question"), nonce="x", first=True)
    await world.lost(target)
    await world.sandbox.say(target.chat.chat, world.sandbox.user_id, "half")
    world.now.seconds += LATER
    assert await world.recover(target) == 0
    assert world.mine(target) == ["to another question", "whole"]


async def test_a_further_page_is_found_too_and_is_no_answer_to_a_question(world: World) -> None:
    target = await world.asked()
    await world.lost(target, "one")
    await world.lost(target, "two", page=1)
    await world.rows.delivered(1, world.sandbox.messages(target.chat.chat)[-2]["id"])
    await world.platform.send(await world.asked(), Page("to another question"), nonce="x", first=True)
    world.now.seconds += LATER
    assert await world.recover(target, "one", "two, whole") == 0
    assert world.mine(target) == ["one", "two, whole", "to another question"]


async def test_it_is_found_behind_much_that_was_said_meanwhile(world: World) -> None:
    target = await world.asked()
    for number in range(230):
        await world.sandbox.say(target.chat.chat, world.sandbox.user_id, f"chatter {number}")
    await world.lost(target)
    world.now.seconds += LATER
    assert await world.recover(target) == 0
    assert world.mine(target) == ["whole"]
    assert len(world.sandbox.calls_to("GET", "/messages")) == 3


async def test_an_answer_to_a_command_is_found_when_its_interaction_has_ended(world: World) -> None:
    target = await world.commanded(question="why?")
    await world.lost(target)
    world.now.seconds += LATER
    assert await world.recover(replace(target, route=None)) == 0
    assert world.mine(target) == ["whole"]


async def test_an_answer_to_a_command_that_never_arrived_is_no_message_that_waits(world: World) -> None:
    target = await world.commanded(question="why?")
    await world.rows.begin_delivery(OWNER, target.chat, 0, "n")
    world.now.seconds += LATER
    assert await world.recover(replace(target, route=None)) == 0
    assert world.mine(target)[-1] == "whole"


async def test_an_answer_to_a_command_whose_interaction_lives_is_filled_in_again(world: World) -> None:
    target = await world.commanded(question="why?")
    await world.lost(target)
    world.now.seconds += 300
    assert await world.recover(target) == 0
    assert world.mine(target) == ["whole"]


async def test_a_lost_follow_up_is_made_again_and_says_so(world: World) -> None:
    target = replace(await world.commanded("status"), private=True)
    await world.lost(target, "one")
    await world.rows.delivered(1, world.sandbox.messages(target.chat.chat, viewer=world.sandbox.user_id)[-1]["id"])
    await world.lost(target, "two", page=1)
    assert await world.recover(target, "one, whole", "two, whole") == 1
    assert world.mine(target) == ["one, whole", "two", f"two, whole{LABEL}"]
    assert [row.repeated for row in await world.rows.deliveries(OWNER)] == [False, True]


async def test_what_one_person_alone_saw_says_so_too_when_its_interaction_has_ended(world: World) -> None:
    target = replace(await world.commanded("status"), private=True)
    await world.lost(target, "one")
    await world.rows.delivered(1, world.sandbox.messages(target.chat.chat, viewer=world.sandbox.user_id)[-1]["id"])
    await world.lost(target, "two", page=1)
    world.now.seconds += LATER
    assert await world.recover(replace(target, route=None), "one, whole", "two, whole") == 2
    assert world.mine(target) == ["one", "two", f"one, whole{LABEL}", f"two, whole{LABEL}"]


@pytest.mark.parametrize("seconds", [0.0, 300.0])
async def test_where_the_bot_may_not_write_in_the_channel_a_lost_follow_up_is_found_again(world: World, seconds: float) -> None:
    target = await world.commanded(question="why?")
    world.sandbox.barred[target.chat.chat] = 50013
    await world.lost(target, "one")
    await world.rows.delivered(1, world.sandbox.messages(target.chat.chat)[-1]["id"])
    await world.lost(target, "two", page=1)
    world.now.seconds += seconds
    assert await world.recover(target, "one, whole", "two, whole") == 0
    assert world.mine(target) == ["one, whole", "two, whole"]


async def test_where_it_may_read_nothing_either_the_follow_up_is_made_again_and_says_so(world: World) -> None:
    target = await world.commanded(question="why?")
    world.sandbox.barred[target.chat.chat] = 50013
    world.sandbox.without_history.add(target.chat.chat)
    await world.lost(target, "one")
    await world.rows.delivered(1, world.sandbox.messages(target.chat.chat)[-1]["id"])
    await world.lost(target, "two", page=1)
    assert await world.recover(target, "one, whole", "two, whole") == 1
    assert world.mine(target) == ["one, whole", "two", f"two, whole{LABEL}"]


async def test_a_lost_create_whose_message_was_deleted_is_made_again(world: World) -> None:
    target = await world.asked()
    await world.lost(target)
    await world.sandbox.delete(target.chat.chat, world.sandbox.messages(target.chat.chat)[-1]["id"])
    world.now.seconds += 5
    assert await world.recover(target) == 0
    assert world.mine(target) == ["whole"]


async def test_a_search_is_counted_in_the_budget_of_the_history(world: World) -> None:
    target = await world.asked()
    buckets = [allowance.bucket for allowance in world.platform.allowances(Call.SEARCH, target, first=True)]
    assert buckets == [f"discord:history:{target.chat.chat}", "discord:overall"]
