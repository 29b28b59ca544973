"""The whole bridge on the sandbox, with a chosen provider that does not answer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.faults import Fault
from sandbox.outside import Outside
from sandbox.providers import ScriptedVoice
from tests.support.bridge import CHATS, TelegramChat, eventually, running_bridge, until_said


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside(voice=ScriptedVoice()) as outside:
        yield outside


CHAIN: dict[str, Any] = {"default_provider": "netmind", "fallback_providers": "segmind,modelslab"}
QUESTION = "*/chat/completions"


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"status": 429, "headers": {"Retry-After": "15"}, "body": {"error": {"message": "slow down"}}}, "too many questions"),
        ({"status": 500, "body": {"error": {"message": "oops"}}}, "had a fault of its own"),
        ({"status": 401, "body": {"error": {"message": "Invalid API key"}}}, "refused this bot's key"),
        ({"drop": "before"}, "had a fault of its own"),
    ],
    ids=["429", "500", "401", "cut"],
)
@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_the_next_provider_answers_and_the_message_says_so(
    outside: Outside, tmp_path: Path, platform: str, fault: dict[str, Any], why: str
) -> None:
    outside.netmind.faults.add(Fault("POST", QUESTION, **fault))
    async with running_bridge(outside, tmp_path / "d.db", **CHAIN):
        chat = CHATS[platform](outside)
        await chat.say("What is the capital of France?")
        await until_said(chat, "heard: What is the capital of France?")
        said = await until_said(chat, "Segmind answered, with llama-v3p1-8b-instruct: Netmind")
        assert why in said
        assert len(chat.texts()) == 1
    assert len(outside.netmind.calls_to("POST", "/chat/completions")) == 1


async def test_the_third_hears_the_whole_conversation_and_its_chat_is_not_taken_up_again(outside: Outside, tmp_path: Path) -> None:
    async with running_bridge(outside, tmp_path / "d.db", **CHAIN):
        chat = TelegramChat(outside)
        await chat.say("first question")
        await until_said(chat, "heard: first question")
        down: dict[str, Any] = {"status": 503, "body": {"error": "down"}}
        outside.netmind.faults.add(Fault("POST", QUESTION, **down))
        outside.segmind.faults.add(Fault("POST", "*", **down))
        await chat.say("second question")
        await until_said(chat, "ModelsLab answered")
        (asked,) = outside.modelslab.calls_to("POST", "/llm/chat")
        assert "first question" in asked.body["prompt"]
        assert "second question" in asked.body["prompt"]
        await chat.say("third question")
        await eventually(lambda: [text for text in chat.texts() if "third question" in text and "answered, with" not in text])
    assert len(outside.modelslab.chats) == 1
