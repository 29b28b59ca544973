"""Who administers a place is told by both platforms, with their real libraries."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot import texts
from sandbox.outside import Outside
from tests.support.bridge import Chat, DiscordChat, TelegramChat, running_bridge, until_said

MANAGE_GUILD = 1 << 5


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside() as outside:
        yield outside


def places(outside: Outside) -> tuple[list[Chat], list[Chat]]:
    """A group's administrator and another member of it, on each platform."""
    discord, telegram = outside.discord, outside.telegram
    role = discord.add_role(discord.guild_id, "keepers", MANAGE_GUILD)
    keeper = discord.add_user("keeper", guilds=[discord.guild_id], roles=[role])
    group = telegram.add_group("together", [telegram.user_id, telegram.add_user("bob")])
    owner, member = TelegramChat(outside, group), TelegramChat(outside, group)
    member.person = telegram.user_id + 1
    return [DiscordChat(outside, person=keeper), owner], [DiscordChat(outside), member]


@pytest.mark.parametrize("platform", [0, 1], ids=["discord", "telegram"])
async def test_only_who_administers_the_group_removes_what_was_said_in_it(outside: Outside, tmp_path: Path, platform: int) -> None:
    admins, members = places(outside)
    admin, member = admins[platform], members[platform]
    async with running_bridge(outside, tmp_path / "d.db", default_provider="netmind"):
        await member.say("hello")
        await until_said(member, "hello")
        await member.command("forget", confirm="yes")
        await until_said(member, texts.ADMINS_ONLY[:40])
        await admin.command("forget", confirm="yes")
        await until_said(admin, "Forgotten")
