"""How the bridge ends: the real process, both platforms. `SHUTDOWN_ANSWERS` sets how many answers run when the signal comes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot import cli
from sandbox.faults import Fault
from sandbox.outside import Outside
from tests.support.bridge import CHATS, Chat, DiscordChat, TelegramChat, until_said
from tests.support.process import BridgeProcess, bridge_process

ANSWERS = int(os.environ.get("SHUTDOWN_ANSWERS", "16"))
PATIENCE_SECONDS = 120.0
GRACE_SECONDS = 8.0
WORDS = 60
SLOW, QUICK = 0.4, 0.01
"""Seconds per word: of an answer that can't be finished in time, and of one that can."""


def answer(question: str) -> str:
    return " ".join(f"{question}-word{number}" for number in range(WORDS))


class Speaker:
    """Answers each question with words of its own; those that begin with "slow" slowly while `slow` holds.

    Attributes:
        go: Unset, every answer stops after a few words until it is set.
    """

    def __init__(self) -> None:
        self.slow = True
        self.go = asyncio.Event()
        self.go.set()

    async def speak(self, model: str, messages: Sequence[Mapping[str, Any]]) -> AsyncIterator[str]:
        del model
        question = str(messages[-1]["content"])
        for word in answer(question).split(" "):
            await asyncio.sleep(SLOW if self.slow and question.startswith("slow") else QUICK)
            yield word if word.endswith("word0") else f" {word}"
            if word.endswith("word3"):
                await self.go.wait()


@pytest.fixture
def speaker() -> Speaker:
    return Speaker()


@pytest.fixture
async def outside(speaker: Speaker) -> AsyncIterator[Outside]:
    async with Outside(voice=speaker) as outside:
        yield outside


def chats(outside: Outside, count: int) -> dict[str, Chat]:
    """Make chats on both platforms in turn: the question that will be asked there → the chat."""
    found: dict[str, Chat] = {}
    for number in range(count):
        question = f"{'slow' if number % 4 < 2 else 'quick'}{number}"
        if number % 2:
            found[question] = DiscordChat(outside, outside.discord.add_channel(outside.discord.guild_id, f"room {number}"))
        else:
            found[question] = TelegramChat(outside, outside.telegram.add_user(f"person {number}"))
    return found


async def come_about(holds: Any) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for may be anything
            await asyncio.sleep(0.05)


async def say(chat: Chat, text: str) -> None:
    if isinstance(chat, TelegramChat):
        await chat.telegram.say(chat.chat, chat.chat, text)
    else:
        await chat.say(text)


async def test_answers_that_run_at_a_sigterm_are_finished_or_resumed_at_the_next_start(
    outside: Outside, speaker: Speaker, tmp_path: Path
) -> None:
    rooms = chats(outside, ANSWERS)
    speaker.go.clear()
    async with bridge_process(outside, tmp_path / "d.db", shutdown_grace_seconds=GRACE_SECONDS) as bridge:
        for question, chat in rooms.items():
            await say(chat, question)
        await come_about(lambda: all(chat.texts() for chat in rooms.values()))  # so all of them run
        bridge.signal(signal.SIGTERM)
        await bridge.says("finishing what runs")
        speaker.go.set()
        for chat in list(rooms.values())[:2]:
            await say(chat, "late")  # intake has stopped: these wait outside
        assert await bridge.ended() == cli.OK
        assert "Traceback" not in bridge.log
        assert "taken up again at the next start" in bridge.log
    shown = {question: chat.texts() for question, chat in rooms.items()}
    assert all(len(texts) == 1 for texts in shown.values())
    assert all(answer(question).startswith(texts[0]) for question, texts in shown.items()), "something was left half-sent"
    finished = [question for question, texts in shown.items() if texts[0] == answer(question)]
    assert finished, "nothing was finished in the time given"
    assert len(finished) < len(rooms), "nothing was left to be resumed"
    speaker.slow = False
    asked = len(outside.netmind.calls_to("POST", "/chat/completions"))
    wanted = {question: [answer(question), answer("late")] if place < 2 else [answer(question)] for place, question in enumerate(rooms)}
    async with bridge_process(outside, tmp_path / "d.db") as bridge:
        await come_about(lambda: {question: chat.texts() for question, chat in rooms.items()} == wanted)
        bridge.signal(signal.SIGTERM)
        assert await bridge.ended() == cli.OK
    again = len(outside.netmind.calls_to("POST", "/chat/completions")) - asked
    assert again <= len(rooms) - len(finished) + 2, "what was finished was asked again"  # fewer: what was stored whole is only shown


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_a_second_signal_leaves_at_once_and_nothing_is_lost(
    outside: Outside, speaker: Speaker, tmp_path: Path, platform: str
) -> None:
    chat = CHATS[platform](outside)
    async with bridge_process(outside, tmp_path / "d.db", shutdown_grace_seconds=3600) as bridge:
        await chat.say("slow0")
        await until_said(chat, "slow0-word1")
        server = outside.discord if platform == "discord" else outside.telegram
        server.faults.add(Fault(path="*essage*", delay=3600.0, times=-1))  # a call in flight that never ends
        bridge.signal(signal.SIGTERM)
        await bridge.says("a second signal leaves at once")
        bridge.signal(signal.SIGTERM)
        await bridge.ended()
        assert "left at once" in bridge.log
    speaker.slow = False
    server.faults.clear()
    async with bridge_process(outside, tmp_path / "d.db"):
        await until_said(chat, answer("slow0"))
        assert len(chat.texts()) == 1


async def revoke(outside: Outside, platform: str) -> None:
    if platform == "discord":
        outside.discord.gateway.token_reset = True
        await outside.discord.close_gateway(4004)
    else:
        body = {"ok": False, "error_code": 401, "description": "Unauthorized"}
        outside.telegram.faults.add(Fault(status=401, body=body, times=-1))
        person = outside.telegram.add_user("passer-by")  # ends the poll that waits; the next one meets the refusal
        await outside.telegram.say(person, person, "quick9")


def restore(outside: Outside) -> None:
    outside.discord.gateway.token_reset = False
    outside.telegram.faults.clear()


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_a_token_revoked_while_an_answer_runs_is_said_and_the_answer_comes_when_it_is_good_again(
    outside: Outside, speaker: Speaker, tmp_path: Path, platform: str
) -> None:
    speaker.slow = False
    chat = CHATS[platform](outside)
    other = CHATS[next(name for name in CHATS if name != platform)](outside)
    async with bridge_process(outside, tmp_path / "d.db") as bridge:
        await chat.say("quick0")
        await until_said(chat, "quick0-word3")
        await revoke(outside, platform)
        await bridge.says(f"{platform} has ended: token: ")
        await other.say("quick1")
        await until_said(other, answer("quick1"))  # the other platform goes on
        assert f"{platform.upper()}_TOKEN" in bridge.log
    restore(outside)
    async with bridge_process(outside, tmp_path / "d.db"):
        await until_said(chat, answer("quick0"))
        assert len(chat.texts()) == 1


async def test_where_no_platform_is_left_the_process_ends_and_says_so(outside: Outside, tmp_path: Path) -> None:
    async with bridge_process(outside, tmp_path / "d.db") as bridge:
        for platform in CHATS:
            await revoke(outside, platform)
        assert await bridge.ended() == cli.FAILED
        assert "No platform is left to serve" in bridge.log
        assert await _has_no_secret(bridge, outside)


async def _has_no_secret(bridge: BridgeProcess, outside: Outside) -> bool:
    return outside.discord.token not in bridge.log and outside.telegram.token not in bridge.log
