"""Who may speak to the bot."""

from __future__ import annotations

import pytest

from bot.access import Access, AllowList
from bot.model import ChatAddress, ChatKind, EventKind, Incoming, Sender


def said(
    sender: str = "7", *, roles: tuple[str, ...] = (), member: bool | None = False, chat: str = "1", platform: str = "discord"
) -> Incoming:
    address = ChatAddress(platform, "bot", chat)
    return Incoming("k", EventKind.MESSAGE, address, ChatKind.GROUP, Sender(sender, "Ada", roles, member), text="hello")


LISTED = Access(lists={"discord": AllowList(frozenset({"7"}), frozenset({"70"}), frozenset({"700"})), "telegram": AllowList()})


def test_open_admits_everybody() -> None:
    assert Access(open=True).admits(said("1"))


def test_without_a_list_nobody_but_members_is_admitted() -> None:
    assert not Access().admits(said())
    assert Access().admits(said(member=True))


def test_a_membership_that_could_not_be_found_out_admits_nobody_but_the_listed() -> None:
    assert not Access().admits(said(member=None))
    assert LISTED.admits(said("7", member=None))
    assert Access(open=True).admits(said(member=None))


@pytest.mark.parametrize("event", [said("7"), said("1", roles=("69", "70")), said("1", chat="700"), said("1", member=True)])
def test_users_roles_chats_and_members_are_admitted(event: Incoming) -> None:
    assert LISTED.admits(event)


@pytest.mark.parametrize(
    "event",
    [
        said("8"),
        said("70"),
        said("700"),
        said("1", roles=("7", "700")),
        said("1", chat="7"),
        said("7", platform="telegram"),
        said("7", platform="unknown"),
        said("", chat=""),
    ],
)
def test_an_id_counts_for_its_own_kind_and_platform_alone(event: Incoming) -> None:
    assert not LISTED.admits(event)
