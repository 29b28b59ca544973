"""Dead Stop buttons of many chats at once are taken away within the budgets, which the sandbox enforces. `LEFTOVER_CHATS` sets how many."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bot import texts
from bot.outbox import Outbox
from bot.platforms.discord.platform import LOGIN_CALLS
from sandbox.outside import Outside
from tests.support.bridge import Chat, DiscordChat, TelegramChat, running_bridge
from tests.support.process import bridge_process

CHATS = int(os.environ.get("LEFTOVER_CHATS", "12"))
PATIENCE_SECONDS = 120.0
TOKEN_SECONDS = 0.1
"""Quick enough that the edits of a Discord channel use up their window before the kill."""
SAID = "word4"


class Speaker:
    """Answers without an end."""

    async def speak(self, model: str, messages: Sequence[Mapping[str, Any]]) -> AsyncIterator[str]:
        del model, messages
        for number in itertools.count():
            yield f"word{number} "
            await asyncio.sleep(TOKEN_SECONDS)


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside(voice=Speaker()) as outside:
        yield outside


def rooms(outside: Outside) -> list[Chat]:
    """Make channels, private chats and groups in turn."""
    found: list[Chat] = []
    for number in range(CHATS):
        if number % 3:
            found.append(DiscordChat(outside, outside.discord.add_channel(outside.discord.guild_id, f"room {number}")))
        else:
            person = outside.telegram.add_user(f"person {number}")
            group = number % 2 and outside.telegram.add_group(f"group {number}", [outside.telegram.user_id])
            found.append(TelegramChat(outside, group or person))
    return found


async def come_about(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not holds():  # noqa: ASYNC110 - what is waited for may be anything
            await asyncio.sleep(0.05)


async def test_the_dead_buttons_of_many_chats_go_within_the_budgets(outside: Outside, tmp_path: Path) -> None:
    """Also where the answer took the place of a slash command's: the words about its end stand below it, with buttons of their own."""
    chats = rooms(outside)
    settings = {"default_provider": "netmind", "merge_window_seconds": 0}
    async with bridge_process(outside, tmp_path / "d.db", **settings):
        for number, chat in enumerate(chats):
            slash = isinstance(chat, DiscordChat) and number % 3 == 1
            await (chat.command("ask", question="go") if slash else chat.say("go"))
        await come_about(lambda: all(SAID in "".join(chat.texts()) for chat in chats))
    shown = [chat.texts() for chat in chats]
    assert [chat.buttons() for chat in chats] == [[[texts.LABEL_STOP]]] * CHATS
    async with bridge_process(outside, tmp_path / "d.db", **settings, reask_after_crash="never"):
        await come_about(lambda: all(len(chat.texts()) == 2 and not chat.buttons()[0] for chat in chats))
    assert [[chat.texts()[0]] for chat in chats] == shown
    assert {tuple(chat.buttons()[1]) for chat in chats} == {(texts.LABEL_RETRY, texts.LABEL_OTHER_MODEL)}
    assert [call for server in (outside.discord, outside.telegram) for call in server.calls if call.status == 429] == []


async def test_the_calls_of_the_login_are_counted_before_the_first_answer_goes_out(
    outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logging_in, begun, over = Outbox.logging_in, set[str](), set[str]()

    def watched(outbox: Outbox, name: str) -> Callable[[], None]:
        done = logging_in(outbox, name)
        begun.add(name)

        def ended() -> None:
            done()
            over.add(name)

        return ended

    monkeypatch.setattr(Outbox, "logging_in", watched)
    async with running_bridge(outside, tmp_path / "d.db"):
        assert begun == over == {"discord", "telegram"}
        calls = [call for call in outside.discord.calls if call.path.startswith("/api/")]
    assert 0 < len(calls) <= LOGIN_CALLS
