"""The whole bridge on the sandbox: what questions use, as Netmind reports it, Segmind prices it and ModelsLab says nothing of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.report import usage_table
from sandbox.faults import Fault
from sandbox.outside import Outside
from sandbox.providers import ScriptedVoice
from tests.support.bridge import CHATS, Chat, DiscordChat, TelegramChat, eventually, running_bridge, until_said

PRICES = """
currency = "USD"
[netmind."*"]
input = 1000
output = 1000
"""


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside(voice=ScriptedVoice()) as outside:
        yield outside


def written(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


async def usage(chat: Chat) -> str:
    """What /usage answers once the answer before is whole; on Discord to who asked alone."""
    await eventually(lambda: any("Retry" in label for label in [label for row in chat.buttons() for label in row][-2:]))
    await chat.command("usage")
    return str(await eventually(lambda: next((text for text in [*chat.texts(), *chat.notes()] if "Days and months" in text), None)))


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_what_netmind_reports_is_counted_and_told(outside: Outside, tmp_path: Path, platform: str) -> None:
    settings: dict[str, Any] = {"default_provider": "netmind", "prices_file": written(tmp_path, "prices.toml", PRICES)}
    async with running_bridge(outside, tmp_path / "d.db", **settings):
        chat = CHATS[platform](outside)
        await chat.say("What is the capital of France?")
        await until_said(chat, "heard: What is the capital of France?")
        said = await usage(chat)
    found = re.search(r"Today: (\d+) tokens in 1 question, (0\.\d+) USD", said)
    assert found, said
    assert float(found[2]) == pytest.approx(int(found[1]) / 1000, rel=0.1)
    assert "Netmind" in said
    assert "≈" not in said.replace("≈: some", "")
    (line,) = usage_table(tmp_path / "d.db")
    assert f"user:{platform}:" in line
    assert f"netmind  {found[1]} tokens in 1 question" in line


async def test_what_modelslab_does_not_report_is_estimated_and_its_cost_unknown(outside: Outside, tmp_path: Path) -> None:
    async with running_bridge(outside, tmp_path / "d.db", default_provider="modelslab"):
        chat = TelegramChat(outside)
        await chat.say("What is the capital of France?")
        await until_said(chat, "heard: What is the capital of France?")
        said = await usage(chat)
    assert re.search(r"Today: ≈\d+ tokens in 1 question, cost unknown", said), said


async def test_what_segmind_says_is_left_is_told(outside: Outside, tmp_path: Path) -> None:
    async with running_bridge(outside, tmp_path / "d.db", default_provider="segmind"):
        chat = TelegramChat(outside)
        await chat.say("What is the capital of France?")
        await until_said(chat, "heard: What is the capital of France?")
        said = await usage(chat)
    assert re.search(r"Segmind: .*\d credits; [0-9.]+ credits left", said), said


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_over_a_budget_nobody_is_asked_and_it_is_said(outside: Outside, tmp_path: Path, platform: str) -> None:
    budgets = '[[budgets]]\nname = "small"\nper = "user"\ntokens = 1_050\n'
    settings: dict[str, Any] = {"default_provider": "netmind", "budgets_file": written(tmp_path, "budgets.toml", budgets)}
    async with running_bridge(outside, tmp_path / "d.db", **settings):
        chat = CHATS[platform](outside)
        await chat.say("What is the capital of France?")
        said = await until_said(chat, "heard: What is the capital of France?")
        assert re.search(r"Budget “small”: \d\d of 1,050 tokens used \(\d %\)\. .* ≈1,0\d\d tokens were reserved for it", said), said
        await chat.say("word " * 200)
        said = await until_said(chat, "The budget “small” does not reach for this question")
        assert "00:00 UTC" in said
    assert len(outside.netmind.calls_to("POST", "/chat/completions")) == 1


async def test_what_netmind_refuses_as_too_long_is_asked_once_more_shorter_and_that_is_said(outside: Outside, tmp_path: Path) -> None:
    async with running_bridge(outside, tmp_path / "d.db", default_provider="netmind"):
        chat = TelegramChat(outside)
        for number in range(3):
            await chat.say(f"question {number}")
            await until_said(chat, f"heard: question {number}")
            await eventually(lambda: all("Retry" in row for row in chat.buttons()))
        message = "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens."
        error = {"error": {"message": message, "type": "invalid_request_error", "code": "context_length_exceeded"}}
        outside.netmind.faults.add(Fault("POST", "*/chat/completions", status=400, body=error))
        await chat.say("the last question")
        await until_said(chat, "older messages were left out of this question")
        said = await usage(chat)
    whole, cut = [call.body["messages"] for call in outside.netmind.calls_to("POST", "/chat/completions")][-2:]
    assert len(whole) == 7
    assert cut == whole[-len(cut) :]
    assert len(cut) <= 4
    assert "in 4 questions" in said


async def test_a_role_shares_its_budget_and_who_has_it_not_has_none(outside: Outside, tmp_path: Path) -> None:
    discord = outside.discord
    role = discord.add_role(discord.guild_id, "students")
    ada, bob = (discord.add_user(name, guilds=[discord.guild_id], roles=[role]) for name in ("ada", "bob"))
    budgets = f'[[budgets]]\nname = "students"\nper = "role"\nroles = ["{role}"]\ntokens = 1_060\n'
    settings: dict[str, Any] = {"default_provider": "netmind", "budgets_file": written(tmp_path, "budgets.toml", budgets)}
    async with running_bridge(outside, tmp_path / "d.db", **settings):
        first, second, third = (DiscordChat(outside, person=person) for person in (ada, bob, None))
        await first.say("What is the capital of France?")
        await until_said(first, "heard: What is the capital of France?")
        await second.say("And of Spain, please, dear machine?")
        await until_said(second, "The budget “students” does not reach for this question")
        await third.say("And of Italy, please, dear machine?")
        await until_said(third, "And of Italy, please, dear machine?")
    assert len(outside.netmind.calls_to("POST", "/chat/completions")) == 2
