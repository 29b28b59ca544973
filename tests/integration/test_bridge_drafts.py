"""Answers that grow by native drafts, the whole bridge over sockets: the real library against the stand-in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bot.app import open_bridge
from bot.settings import load
from sandbox.faults import Fault
from sandbox.outside import Outside
from sandbox.providers import ScriptedVoice
from tests.support.bridge import TelegramChat, eventually, running_bridge, until_said

WORDS = " ".join(f"word{number}" for number in range(60))
LONG = " ".join(f"word{number}" for number in range(140))
NEXT = " ".join(f"next{number}" for number in range(60))
DELAY = 0.05


class Watch:
    """Every draft that has been shown, in order."""

    def __init__(self, outside: Outside) -> None:
        self.drafts: list[dict[str, Any]] = []
        outside.telegram.on_change.append(self._change)

    def _change(self, change: dict[str, Any]) -> None:
        if change["type"] == "draft":
            self.drafts.append(change)

    @property
    def texts(self) -> list[str]:
        return [draft["text"] for draft in self.drafts]


def methods(outside: Outside) -> list[str]:
    names = [call.path.rpartition("/")[2] for call in outside.telegram.calls]
    return [name for name in names if name in {"sendMessage", "editMessageText", "sendMessageDraft", "sendRichMessageDraft"}]


def nothing_was_refused(outside: Outside) -> bool:
    return not [call for call in outside.telegram.calls if call.status >= 400] and not outside.telegram.unknown_parameters


METHODS = {"plain": "sendMessageDraft", "rich": "sendRichMessageDraft"}


@pytest.mark.parametrize("mode", sorted(METHODS))
async def test_an_answer_grows_by_drafts_and_the_message_comes_once(tmp_path: Path, mode: str) -> None:
    async with Outside(voice=ScriptedVoice([WORDS], delay=DELAY)) as outside:
        watch = Watch(outside)
        async with running_bridge(outside, tmp_path / "d.db", telegram_drafts=mode):
            chat = TelegramChat(outside)
            await chat.say("go")
            await eventually(lambda: chat.texts() == [WORDS], "the whole answer, once")
        assert len(watch.texts) >= 3
        assert watch.texts == sorted(watch.texts, key=len)
        assert all(WORDS.startswith(text) for text in watch.texts)
        assert all(draft["can_stop"] for draft in watch.drafts)
        assert methods(outside) == [METHODS[mode]] * len(watch.texts) + ["sendMessage"]
        assert outside.telegram.drafts(chat.chat) == []
        assert nothing_was_refused(outside)


async def test_a_long_answer_is_sent_page_by_page_while_the_draft_goes_on(tmp_path: Path) -> None:
    text = "\n\n".join(f"**Paragraph {number}**: " + " ".join(f"w{number}x{word}" for word in range(60)) for number in range(30))
    async with Outside(voice=ScriptedVoice([text], delay=0.002)) as outside:
        watch = Watch(outside)
        async with running_bridge(outside, tmp_path / "d.db", telegram_drafts="plain"):
            chat = TelegramChat(outside)
            await chat.say("tell me much")
            await until_said(chat, "w29x59")
        assert " ".join(" ".join(chat.texts()).split()) == " ".join(text.replace("**", "").split())
        assert len(chat.texts()) >= 3
        assert len({draft["draft_id"] for draft in watch.drafts}) >= 2
        assert "editMessageText" not in methods(outside)
        assert nothing_was_refused(outside)


async def test_in_groups_answers_grow_by_edits(tmp_path: Path) -> None:
    async with Outside(voice=ScriptedVoice([WORDS], delay=DELAY)) as outside:
        async with running_bridge(outside, tmp_path / "d.db", telegram_drafts="plain"):
            chat = TelegramChat(outside, outside.telegram.group_id)
            await chat.say("go")
            await eventually(lambda: chat.texts() == [WORDS], "the whole answer, once")
        assert set(methods(outside)) == {"sendMessage", "editMessageText"}


FLOOD = {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 1", "parameters": {"retry_after": 1}}
REFUSALS: dict[str, dict[str, Any]] = {
    "bad request": {"status": 400, "body": {"ok": False, "error_code": 400, "description": "Bad Request: TEXTDRAFT_PEER_INVALID"}},
    "unknown method": {"status": 404, "body": {"ok": False, "error_code": 404, "description": "Not Found"}},
    "flood": {"status": 429, "body": FLOOD},
    "out of order": {"status": 502, "body": "<html>bad gateway</html>"},
    "cut before": {"drop": "before"},
    "cut after": {"drop": "after"},
}


@pytest.mark.parametrize("refusal", sorted(REFUSALS))
async def test_after_any_refusal_of_a_draft_the_answer_goes_on_by_edits_whole_and_once(tmp_path: Path, refusal: str) -> None:
    async with Outside(voice=ScriptedVoice([LONG, NEXT], delay=DELAY)) as outside:
        outside.telegram.faults.add(Fault(path="*/sendMessageDraft", after_calls=1, **REFUSALS[refusal]))
        async with running_bridge(outside, tmp_path / "d.db", telegram_drafts="plain"):
            chat = TelegramChat(outside)
            await chat.say("go")
            await eventually(lambda: chat.texts() == [LONG], "the whole answer, once")
            made = methods(outside)
            assert made[:3] == ["sendMessageDraft", "sendMessageDraft", "sendMessage"]
            assert set(made[3:]) == {"editMessageText"}
            await chat.say("and then?")
            await eventually(lambda: chat.texts() == [LONG, NEXT])
        later = methods(outside)[len(made) :]
        assert ("sendMessageDraft" in later) is (refusal != "unknown method"), "only a server without the method is not asked again"


NOT_FOUND = REFUSALS["unknown method"]


async def test_where_the_server_knows_no_rich_drafts_plain_ones_are_shown(tmp_path: Path) -> None:
    async with Outside(voice=ScriptedVoice([WORDS], delay=DELAY)) as outside:
        outside.telegram.faults.add(Fault(path="*/sendRichMessageDraft", times=-1, **NOT_FOUND))
        async with running_bridge(outside, tmp_path / "d.db", telegram_drafts="rich"):
            chat = TelegramChat(outside)
            await chat.say("go")
            await eventually(lambda: chat.texts() == [WORDS], "the whole answer, once")
        made = methods(outside)
        assert made[0] == "sendRichMessageDraft"
        assert set(made[1:-1]) == {"sendMessageDraft"}
        assert made[-1] == "sendMessage"


async def test_a_rich_draft_that_is_refused_is_left_out_and_after_several_the_answer_goes_on_by_edits(tmp_path: Path) -> None:
    refused = REFUSALS["bad request"]
    async with Outside(voice=ScriptedVoice([WORDS, LONG], delay=DELAY)) as outside:
        outside.telegram.faults.add(Fault(path="*/sendRichMessageDraft", after_calls=1, **refused))
        async with running_bridge(outside, tmp_path / "d.db", telegram_drafts="rich"):
            chat = TelegramChat(outside)
            await chat.say("go")
            await eventually(lambda: chat.texts() == [WORDS], "the whole answer, once")
            made = methods(outside)
            assert set(made[:-1]) == {"sendRichMessageDraft"}
            assert made[-1] == "sendMessage"
            outside.telegram.faults.add(Fault(path="*/sendRichMessageDraft", times=-1, **refused))
            await chat.say("again")
            await eventually(lambda: chat.texts() == [WORDS, LONG], "the whole answer, once")
        later = methods(outside)[len(made) :]
        assert later[:4] == ["sendRichMessageDraft"] * 3 + ["sendMessage"]
        assert set(later[4:]) == {"editMessageText"}


@pytest.mark.parametrize("topic", [False, True])
async def test_the_native_stop_closes_the_providers_connection_and_keeps_what_was_said(tmp_path: Path, topic: bool) -> None:
    text = " ".join(f"word{number}" for number in range(2000))
    async with Outside(voice=ScriptedVoice([text], delay=DELAY)) as outside:
        telegram = outside.telegram
        chat, thread = telegram.user_id, telegram.add_topic(telegram.user_id, "aside") if topic else None

        def said() -> list[str]:
            return [one["text"] for one in telegram.messages(chat, thread=thread) if one["from"]["id"] == telegram.bot_id]

        async with running_bridge(outside, tmp_path / "d.db", telegram_drafts="plain"):
            await telegram.say(chat, chat, "go on for ever", thread=thread)
            await eventually(lambda: any("word3" in draft.text for draft in telegram.drafts(chat)), "a draft")
            await telegram.stop_draft(chat, thread=thread)
            await eventually(lambda: outside.netmind.abandoned == 1, "the provider's socket is closed")
            whole = await eventually(lambda: next((one for one in said() if "Stopped" in one), None), "the partial text, marked")
            assert whole.startswith("word0 word1 word2 word3")
            await telegram.say(chat, chat, "and now?", thread=thread)
            await eventually(lambda: any("heard: and now?" in one for one in said()))
        assert len([one for one in said() if "word0" in one]) == 1
        assert telegram.drafts(chat) == []


async def test_a_restart_in_the_middle_of_a_draft_ends_with_one_whole_message(tmp_path: Path) -> None:
    async with Outside(voice=ScriptedVoice([WORDS, WORDS], delay=DELAY)) as outside:
        settings = {**outside.platform_settings(), **outside.provider_settings(), "access": "open", "local_model": "off"}
        settings |= {"database_url": f"sqlite:///{tmp_path / 'd.db'}", "telegram_drafts": "plain"}
        chat = TelegramChat(outside)
        async with open_bridge(load(None, **settings)) as bridge:
            stop = asyncio.Event()
            task = asyncio.create_task(bridge.run(stop, grace=0.0))
            await chat.say("go")
            await eventually(lambda: outside.telegram.drafts(chat.chat), "a draft")
            stop.set()
            await task
        assert chat.texts() == []
        async with running_bridge(outside, tmp_path / "d.db", telegram_drafts="plain"):
            await eventually(chat.texts, "the answer")
        assert chat.texts() == [WORDS]
        assert nothing_was_refused(outside)
