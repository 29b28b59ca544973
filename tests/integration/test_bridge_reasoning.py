"""Reasoning above an answer, the whole bot over sockets: folded on both platforms, in drafts too."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.outside import Outside
from sandbox.providers import ScriptedVoice
from tests.support.bridge import CHATS, DiscordChat, TelegramChat, running_bridge, until_said

ANSWER = " ".join(f"word{number}" for number in range(30))
SAID = f"<think>Let me see.\n\n@everyone, *hm* 😀.</think>{ANSWER}"


def outside() -> Outside:
    return Outside(voice=ScriptedVoice([SAID], delay=0.03))


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_it_is_off_until_the_conversation_wants_it(tmp_path: Path, platform: str) -> None:
    async with Outside(voice=ScriptedVoice([SAID, SAID])) as world, running_bridge(world, tmp_path / "d.db"):
        chat = CHATS[platform](world)
        await chat.say("one")
        assert await until_said(chat, "word29") == ANSWER
        await chat.command("reasoning", choice="show")
        await until_said(chat, "is shown")
        await chat.say("two")
        assert "Let me see." in await until_said(chat, "word29", since=2)


async def test_on_telegram_it_is_a_quotation_that_the_server_takes(tmp_path: Path) -> None:
    async with outside() as world, running_bridge(world, tmp_path / "d.db", discord_token=None, show_reasoning="folded"):
        chat = TelegramChat(world)
        await chat.say("go")
        await until_said(chat, "word29")
        (message,) = [one for one in world.telegram.messages(chat.chat) if one["from"]["id"] == world.telegram.bot_id]
        assert message["text"] == f"💭 Let me see.\n@\u2060everyone, *hm* 😀.\n\n{ANSWER}"
        quote = "💭 Let me see.\n@\u2060everyone, *hm* 😀."
        assert message["entities"] == [{"type": "expandable_blockquote", "offset": 0, "length": len(quote.encode("utf-16-le")) // 2}]
        assert not [call for call in world.telegram.calls if call.status >= 400]
        assert world.telegram.unknown_parameters == []


async def test_on_discord_it_is_subtext_that_pings_nobody(tmp_path: Path) -> None:
    async with outside() as world, running_bridge(world, tmp_path / "d.db", telegram_token=None, show_reasoning="folded"):
        chat = DiscordChat(world)
        await chat.say("go")
        said = await until_said(chat, "word29")
        assert said == f"-# 💭 Let me see.\n-# @\u200beveryone, \\*hm\\* 😀.\n\n{ANSWER}"
        assert world.discord.pings == []


@pytest.mark.parametrize("mode", ["plain", "rich"])
async def test_drafts_show_it_too(tmp_path: Path, mode: str) -> None:
    async with outside() as world:
        drafts: list[str] = []
        world.telegram.on_change.append(lambda change: drafts.append(change["text"]) if change["type"] == "draft" else None)
        async with running_bridge(world, tmp_path / "d.db", discord_token=None, show_reasoning="folded", telegram_drafts=mode):
            chat = TelegramChat(world)
            await chat.say("go")
            assert (await until_said(chat, "word29")).startswith("💭 Let me see.")
        assert drafts[0].startswith("💭 Let")
        assert "word0" not in drafts[0]
        assert any("word0" in draft and "💭" in draft for draft in drafts)
        assert not [call for call in world.telegram.calls if call.status >= 400]
