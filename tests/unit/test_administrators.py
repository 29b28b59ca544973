"""Who may remove what everybody said: in a group those who administer it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot import texts
from bot.access import Access, AllowList
from bot.model import ChatKind, CommandCall, EventKind, Sender
from bot.platforms.base import PlatformError, UnavailableError
from storage.base import ChatAddress
from tests.support.core import Chat, World

ADMIN, MEMBER = Sender("1", "Ada"), Sender("2", "Bob")


class AskedChat(Chat):
    """A chat that can be asked who administers a group."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[str, str]] = []
        self.trouble: PlatformError | None = None

    async def administers(self, chat: ChatAddress, person: str) -> bool:
        self.asked.append((chat.chat, person))
        if self.trouble is not None:
            raise self.trouble
        return person == ADMIN.id


@pytest.fixture
def chat() -> AskedChat:
    return AskedChat()


@pytest.fixture
async def world(tmp_path: Path, chat: AskedChat) -> AsyncIterator[World]:
    world = World(tmp_path, chat=chat, access=Access(open=True, lists={"memory": AllowList(admins=frozenset({"9"}))}))
    async with world.running():
        await world.ask("canary", chat_kind=ChatKind.GROUP)
        yield world


async def tell(world: World, name: str, sender: Sender, arguments: dict[str, str], kind: ChatKind = ChatKind.GROUP) -> str:
    await world.come(EventKind.COMMAND, command=CommandCall(name, arguments), sender=sender, chat_kind=kind)
    await world.idle()
    return world.texts()[-1]


def kept(world: World) -> bool:
    return bool(world.rows("SELECT 1 FROM entry WHERE content LIKE '%canary%'"))


DESTROYING: list[tuple[str, dict[str, str]]] = [("forget", {}), ("forget", {"confirm": "yes"}), ("keep", {"days": "1"})]


@pytest.mark.parametrize(("name", "arguments"), DESTROYING)
async def test_in_a_group_a_member_may_not_remove_what_others_said(world: World, name: str, arguments: dict[str, str]) -> None:
    assert await tell(world, name, MEMBER, arguments) == texts.ADMINS_ONLY
    assert kept(world)
    assert world.rows("SELECT 1 FROM setting") == []


@pytest.mark.parametrize(
    "sender",
    [ADMIN, Sender("9", "the operator's own"), Sender("2", "Bob", admin=True)],
    ids=["the platform says so", "the operator says so", "the event says so"],
)
async def test_who_administers_it_may(world: World, sender: Sender) -> None:
    assert "after 1 day" in await tell(world, "keep", sender, {"days": "1"})
    assert await tell(world, "forget", sender, {"confirm": "yes"}) == texts.FORGOTTEN
    assert not kept(world)


async def test_an_event_that_says_no_is_believed_and_nobody_asked(world: World, chat: AskedChat) -> None:
    assert await tell(world, "forget", Sender("1", "Ada", admin=False), {"confirm": "yes"}) == texts.ADMINS_ONLY
    assert chat.asked == []


async def test_a_press_of_another_ones_button_is_checked_like_the_command(world: World) -> None:
    assert await tell(world, "forget", ADMIN, {}) == texts.FORGET_SURE
    button = world.buttons()[-1][texts.FORGET_BUTTON]
    await world.press(button, sender=MEMBER, chat_kind=ChatKind.GROUP)
    await world.until_said(texts.ADMINS_ONLY)
    assert kept(world)
    await world.press(button, sender=ADMIN, chat_kind=ChatKind.GROUP)
    await world.until_said(texts.FORGOTTEN)


async def test_where_it_can_not_be_found_out_nothing_is_removed_and_that_is_said(world: World, chat: AskedChat) -> None:
    chat.trouble = UnavailableError("away")
    assert await tell(world, "forget", ADMIN, {"confirm": "yes"}) == texts.ADMIN_UNKNOWN
    assert kept(world)


@pytest.mark.parametrize(("name", "arguments"), [*DESTROYING, ("reset", {})])
async def test_a_private_chat_is_its_persons_own(world: World, chat: AskedChat, name: str, arguments: dict[str, str]) -> None:
    assert await tell(world, name, MEMBER, arguments, ChatKind.PRIVATE) not in {texts.ADMINS_ONLY, texts.ADMIN_UNKNOWN}
    assert chat.asked == []


async def test_what_removes_nothing_is_everybodys(world: World, chat: AskedChat) -> None:
    assert "kept until" in await tell(world, "keep", MEMBER, {})
    assert await tell(world, "reset", MEMBER, {}) == texts.RESET
    assert chat.asked == []
