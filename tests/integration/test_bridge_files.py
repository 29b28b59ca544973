"""Long answers as files, the whole bot over sockets, on both platforms: no word lost where files may not be sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sandbox.faults import Fault
from sandbox.outside import Outside
from sandbox.providers import ScriptedVoice
from tests.support.bridge import CHATS, Chat, DiscordChat, TelegramChat, eventually, running_bridge, until_said

PARAGRAPHS = 40
LONG = "\n\n".join(f"Paragraph {number}: " + " ".join(f"w{number}x{word}" for word in range(60)) for number in range(PARAGRAPHS))
END = f"w{PARAGRAPHS - 1}x59"


def messages(outside: Outside, chat: Chat) -> list[dict[str, Any]]:
    assert isinstance(chat, DiscordChat | TelegramChat)
    return chat._own()


def files(outside: Outside, chat: Chat) -> list[bytes]:
    if isinstance(chat, DiscordChat):
        return [data for message in messages(outside, chat) for data in outside.discord.attached(message)]
    return [outside.telegram.attached(message) for message in messages(outside, chat) if "document" in message]


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_a_long_answer_shows_two_messages_and_comes_whole_as_a_file_with_the_buttons(tmp_path: Path, platform: str) -> None:
    async with Outside(voice=ScriptedVoice([LONG], delay=0.0005)) as outside:
        gone: list[Any] = []
        for stand_in in (outside.discord, outside.telegram):
            stand_in.on_change.append(lambda change: gone.append(change) if change["type"] in {"deleted", "message_delete"} else None)
        async with running_bridge(outside, tmp_path / "d.db", long_answer_pages=2):
            chat = CHATS[platform](outside)
            await chat.say("tell me much")
            await until_said(chat, "in the file")
            await eventually(lambda: "Retry" in str(messages(outside, chat)[-1:]), "the buttons")
        assert len(chat.texts()) == 3
        assert LONG.startswith(chat.texts()[0])
        assert files(outside, chat) == [LONG.encode()]
        assert not ["Stop" for message in messages(outside, chat)[:-1] if message.get("components") or message.get("reply_markup")]
        assert gone == []
        calls = [*outside.discord.calls, *outside.telegram.calls]
        assert not [call for call in calls if call.status >= 400]
        assert outside.telegram.unknown_parameters == []


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_where_files_may_not_be_sent_every_word_comes_in_messages(tmp_path: Path, platform: str) -> None:
    async with Outside(voice=ScriptedVoice([LONG])) as outside, running_bridge(outside, tmp_path / "d.db", long_answer_pages=1):
        outside.discord.without_files.add(outside.discord.channel_id)
        outside.telegram.world.without_documents.add(outside.telegram.user_id)
        chat = CHATS[platform](outside)
        await chat.say("tell me much")
        await until_said(chat, END)
        assert " ".join(" ".join(chat.texts()).split()) == " ".join(LONG.split())
        assert files(outside, chat) == []


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_a_file_that_a_flood_meets_comes_later_and_once(tmp_path: Path, platform: str) -> None:
    async with Outside(voice=ScriptedVoice([LONG])) as outside, running_bridge(outside, tmp_path / "d.db", long_answer_pages=1):
        flood = {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 1", "parameters": {"retry_after": 1}}
        outside.telegram.faults.add(Fault("POST", "*/sendDocument", status=429, body=flood))
        told = {"retry_after": 1.0, "global": False}
        outside.discord.faults.add(Fault("POST", "*/messages", status=429, body=told, headers={"Via": "1.1 x"}, after_calls=1))
        chat = CHATS[platform](outside)
        await chat.say("tell me much")
        await until_said(chat, "in the file")
        assert files(outside, chat) == [LONG.encode()]
        assert len(chat.texts()) == 2


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_a_file_whose_answer_was_lost_is_there_once_or_says_that_it_may_not_be(tmp_path: Path, platform: str) -> None:
    async with Outside(voice=ScriptedVoice([LONG])) as outside, running_bridge(outside, tmp_path / "d.db", long_answer_pages=1):
        outside.telegram.faults.add(Fault("POST", "*/sendDocument", drop="after"))
        outside.discord.faults.add(Fault("POST", "*/messages", drop="after", after_calls=1))
        chat = CHATS[platform](outside)
        await chat.say("tell me much")
        if platform == "discord":
            await eventually(lambda: "Retry" in str(messages(outside, chat)[-1:]), "the end")
            assert files(outside, chat) == [LONG.encode()]
        else:
            await until_said(chat, "may stand here twice")
            assert files(outside, chat) == [LONG.encode()] * 2
