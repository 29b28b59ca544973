"""What waits shows it, on both platforms, with their real libraries and the stand-ins that count every call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot import texts
from sandbox.outside import Outside
from tests.support.bridge import CHATS, Chat, DiscordChat, TelegramChat, eventually, running_bridge, until_said
from tests.support.process import bridge_process

SIGN = texts.WAITING_SIGN


class Speaker:
    """Begins each answer at once; `go` lets the first one end."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.asked: list[str] = []

    async def speak(self, model: str, messages: Sequence[Mapping[str, Any]]) -> AsyncIterator[str]:
        del model
        self.asked.append(str(messages[-1]["content"]))
        yield f"begun: {self.asked[-1]}"
        if "first" in self.asked[-1]:
            await self.go.wait()
        yield " and ended"


@pytest.fixture
def speaker() -> Speaker:
    return Speaker()


@pytest.fixture
async def outside(speaker: Speaker) -> AsyncIterator[Outside]:
    async with Outside(voice=speaker) as outside:
        yield outside


def signs(chat: Chat) -> list[str]:
    """The texts of the messages that show a mark."""
    if isinstance(chat, DiscordChat):
        marked = chat.discord.reactions(chat.channel)
        assert set(map(tuple, marked.values())) <= {(SIGN,)}
        return [message["content"] for message in chat.discord.messages(chat.channel) if message["id"] in marked]
    assert isinstance(chat, TelegramChat)
    reactions = chat.telegram.reactions(chat.chat)
    assert set(map(tuple, reactions.values())) <= {(SIGN,)}
    return [message["text"] for message in chat.telegram.messages(chat.chat) if message["message_id"] in reactions]


def floods(outside: Outside) -> list[Any]:
    return [call for stand_in in (outside.discord, outside.telegram) for call in stand_in.calls if call.status == 429]


async def both_begun(chat: Chat) -> None:
    await chat.say("the first question")
    await until_said(chat, "begun")
    await chat.say("the second question")
    await chat.say("the third question")


@pytest.mark.parametrize("platform", CHATS)
async def test_what_waits_shows_it_until_its_turn_has_come(outside: Outside, tmp_path: Path, speaker: Speaker, platform: str) -> None:
    chat = CHATS[platform](outside)
    async with running_bridge(outside, tmp_path / "d.db", default_provider="netmind"):
        await both_begun(chat)
        await eventually(lambda: len(signs(chat)) == 2)
        assert not [text for text in signs(chat) if "first" in text]
        speaker.go.set()
        await eventually(lambda: len([text for text in chat.texts() if "and ended" in text]) == 3)
        await eventually(lambda: not signs(chat))
    assert not floods(outside)
    assert not outside.telegram.unknown_parameters


async def test_in_a_private_telegram_chat_each_answer_to_what_waited_quotes_its_question(
    outside: Outside, tmp_path: Path, speaker: Speaker
) -> None:
    chat = TelegramChat(outside)
    async with running_bridge(outside, tmp_path / "d.db", default_provider="netmind", merge_window_seconds=0):
        await both_begun(chat)
        await eventually(lambda: len(signs(chat)) == 2)
        speaker.go.set()
        await eventually(lambda: len([text for text in chat.texts() if "and ended" in text]) == 3)
    quoted = [message.get("reply_to_message", {}).get("text") for message in chat._own()]
    assert quoted == [None, "the second question", "the third question"]


@pytest.mark.parametrize("platform", CHATS)
async def test_where_the_chat_takes_no_mark_it_is_said_and_taken_away(
    outside: Outside, tmp_path: Path, speaker: Speaker, platform: str
) -> None:
    chat = CHATS[platform](outside)
    outside.discord.without_reactions.add(outside.discord.channel_id)
    outside.telegram.world.without_reactions.add(outside.telegram.user_id)
    async with running_bridge(outside, tmp_path / "d.db", default_provider="netmind"):
        await both_begun(chat)
        await until_said(chat, "This waits")
        speaker.go.set()
        await eventually(lambda: len([text for text in chat.texts() if "and ended" in text]) == 3)
        await eventually(lambda: not [text for text in chat.texts() if "This waits" in text])
    assert not signs(chat)


@pytest.mark.parametrize("platform", CHATS)
async def test_what_waits_can_be_taken_back(outside: Outside, tmp_path: Path, speaker: Speaker, platform: str) -> None:
    chat = CHATS[platform](outside)
    async with running_bridge(outside, tmp_path / "d.db", default_provider="netmind"):
        await both_begun(chat)
        await eventually(lambda: len(signs(chat)) == 2)
        if isinstance(chat, DiscordChat):
            (second,) = [one["id"] for one in chat.discord.messages(chat.channel) if "second" in one["content"]]
            await chat.discord.delete(chat.channel, second)
        else:
            assert isinstance(chat, TelegramChat)
            (number,) = [one["message_id"] for one in chat.telegram.messages(chat.chat) if "second" in one["text"]]
            await chat.telegram.say(chat.chat, chat.person, "/stop", reply_to=number)
            await until_said(chat, "Withdrawn")
        await eventually(lambda: ["third" in text for text in signs(chat)] == [True])
        speaker.go.set()
        await until_said(chat, "begun: the third question and ended")
        await eventually(lambda: not signs(chat))
    assert speaker.asked == ["the first question", "the third question"]


@pytest.mark.parametrize("platform", CHATS)
async def test_a_mark_that_kill_9_leaves_goes_when_the_bridge_is_back(
    outside: Outside, tmp_path: Path, speaker: Speaker, platform: str
) -> None:
    chat = CHATS[platform](outside)
    settings = {"default_provider": "netmind", "merge_window_seconds": 0}
    async with bridge_process(outside, tmp_path / "d.db", **settings):
        await both_begun(chat)
        await eventually(lambda: len(signs(chat)) == 2)
    assert len(signs(chat)) == 2
    speaker.go.set()
    async with bridge_process(outside, tmp_path / "d.db", **settings):
        await until_said(chat, "begun: the third question and ended")
        await eventually(lambda: not signs(chat))
