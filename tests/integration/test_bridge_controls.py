"""The buttons under an answer over sockets: real discord.py and python-telegram-bot on the sandbox, presses of people on both platforms."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from bot import texts, transcript
from sandbox.faults import Fault
from sandbox.outside import Outside
from sandbox.providers import ScriptedVoice
from tests.crash.processes import Bot
from tests.support.bridge import CHATS, Chat, DiscordChat, TelegramChat, eventually, running_bridge, until_said
from tests.support.clock import PATIENCE_SECONDS

PLATFORMS = sorted(CHATS)
STOP, RETRY, CONTINUE, MODEL = texts.LABEL_STOP, texts.LABEL_RETRY, texts.LABEL_CONTINUE, texts.LABEL_OTHER_MODEL
DONE = [RETRY, MODEL]
BEYOND_PATIENCE_SECONDS = 10 * PATIENCE_SECONDS
LONG = " ".join(f"word{number}" for number in range(2000))


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "d.db"


@pytest.fixture
async def outside():
    async with Outside(voice=ScriptedVoice()) as outside:
        yield outside


@pytest.fixture
async def talkative():
    """The model says a long text, word by word."""
    async with Outside(voice=ScriptedVoice([LONG], delay=0.05)) as outside:
        yield outside


def last_request(outside: Outside) -> list[str]:
    """What the model was told last."""
    return [message["content"] for message in outside.netmind.calls_to("POST", "/chat/completions")[-1].body["messages"]]


async def cut_off(chat: Chat) -> None:
    """Have an answer that is cut at the length limit."""
    await chat.command("settings", name="max_tokens", value="3")
    await until_said(chat, "is 3 from the next question on" if chat.name == "telegram" else "from the next question on")
    await chat.say("count")
    await until_said(chat, "Cut at the length limit")


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_stop_under_a_growing_answer_closes_the_providers_connection_and_says_nothing_else(
    talkative: Outside, database: Path, platform: str
) -> None:
    async with running_bridge(talkative, database):
        chat = CHATS[platform](talkative)
        await chat.say("go on for ever")
        await until_said(chat, "word3")
        assert chat.buttons() == [[STOP]]
        await chat.press(STOP)
        assert (await until_said(chat, "Stopped")).startswith("word0 word1")
        await eventually(lambda: talkative.netmind.abandoned == 1, "the provider's socket is closed")
        assert chat.buttons() == [[CONTINUE, *DONE]]
        await chat.say("and now?")
        await until_said(chat, "heard: and now?")
        assert len(chat.texts()) == 2
        assert chat.notes() == []


@pytest.mark.parametrize("provider", ["segmind", "modelslab"])
@pytest.mark.parametrize("platform", PLATFORMS)
async def test_an_answer_that_comes_in_one_piece_is_ended_by_the_command_while_nothing_stands_there_to_press(
    outside: Outside, database: Path, platform: str, provider: str
) -> None:
    server = getattr(outside, provider)
    server.faults.add(Fault("POST", delay=BEYOND_PATIENCE_SECONDS))
    async with running_bridge(outside, database, default_provider=provider):
        chat = CHATS[platform](outside)
        await chat.say("why?")
        await eventually(lambda: server.calls, "the question is asked")
        assert chat.texts() == []
        await chat.command("stop")
        await until_said(chat, "Stopped.")
        await eventually(lambda: DONE in chat.buttons(), "controls")
        await eventually(lambda: states(database) == ["stopped"], "the turn is over")


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_retry_answers_in_a_new_message_and_pressed_twice_asks_once(outside: Outside, database: Path, platform: str) -> None:
    async with running_bridge(outside, database):
        chat = CHATS[platform](outside)
        await chat.say("why?")
        await until_said(chat, "heard: why?")
        await eventually(lambda: chat.buttons() == [DONE], "controls")
        outside.netmind.faults.add(Fault(path="*/chat/completions", delay=0.5))
        script(outside).queue("because")
        await chat.press(RETRY)
        await chat.press(RETRY)
        await until_said(chat, "because")
        await eventually(lambda: chat.buttons() == [DONE, DONE], "controls")
        assert last_request(outside) == ["why?"]
        assert len(outside.netmind.calls_to("POST", "/chat/completions")) == 2
        assert len(chat.texts()) == 2
        assert chat.notes() == []


def script(outside: Outside) -> ScriptedVoice:
    assert isinstance(outside.voice, ScriptedVoice)
    return outside.voice


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_another_of_several_answers_takes_the_place_of_the_first_also_after_a_restart(
    outside: Outside, database: Path, platform: str
) -> None:
    script(outside).queue("red", "green", "blue", "indeed", "so it is")
    chat = CHATS[platform](outside)
    async with running_bridge(outside, database):
        await chat.command("settings", name="n", value="3")
        await until_said(chat, "from the next question on")
        await chat.say("which?")
        await until_said(chat, "Answer 1 of 3")
        two, three = texts.answer_label(2), texts.answer_label(3)
        await eventually(lambda: chat.buttons()[-1:] == [[*DONE, two, three]], "controls")
        await eventually(lambda: states(database) == ["done"], "the answer is done")
        await chat.press(two)
        assert (await until_said(chat, "Answer 2 of 3")).startswith("green")
        count = len(chat.texts())
    async with running_bridge(outside, database):
        await chat.press(three)
        assert (await until_said(chat, "Answer 3 of 3")).startswith("blue")
        await chat.say("really?")
        await until_said(chat, "indeed")
        assert [text.strip() for text in last_request(outside)] == ["which?", "blue", "really?"]
        assert len(chat.texts()) == count + 1
        assert chat.notes() == []


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_continue_after_a_cut_goes_on_in_a_new_message_and_once(outside: Outside, database: Path, platform: str) -> None:
    script(outside).queue("one two three four five six", "four five six", "seven")
    async with running_bridge(outside, database):
        chat = CHATS[platform](outside)
        await cut_off(chat)
        part = "one two three"
        assert chat.buttons()[-1] == [CONTINUE, *DONE]
        await chat.press(CONTINUE)
        await until_said(chat, "four")
        await eventually(lambda: states(database) == ["done", "done"], "the continuation is done")
        assert [text.strip() for text in last_request(outside)] == ["count", part, transcript.go_on(part)]
        messages = len(chat.buttons())
        await chat.press(CONTINUE, place=0)
        await eventually(chat.notes, "a word to who pressed")
        assert chat.notes() == [texts.NOT_CONTINUED]
        assert len(chat.buttons()) == messages
        await chat.say("thanks")
        await until_said(chat, "seven")
        assert [text.strip() for text in last_request(outside)[:3]] == ["count", part, transcript.go_on(part)]
        assert last_request(outside)[-1] == "thanks"


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_after_a_restart_continue_and_retry_still_work(outside: Outside, database: Path, platform: str) -> None:
    script(outside).queue("one two three four five six", "four five six")
    async with running_bridge(outside, database):
        await cut_off(CHATS[platform](outside))
    async with running_bridge(outside, database):
        chat = CHATS[platform](outside)
        await chat.press(CONTINUE)
        await until_said(chat, "four")
        await eventually(lambda: chat.buttons()[-1][-2:] == DONE, "controls")
        script(outside).queue("again")
        await chat.press(RETRY, place=0)
        await until_said(chat, "again")
        assert last_request(outside)[-1] == "count"


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_after_a_restart_stop_ends_the_answer_that_is_taken_up_again(talkative: Outside, database: Path, platform: str) -> None:
    script(talkative).queue(LONG)
    chat = CHATS[platform](talkative)
    async with running_bridge(talkative, database, grace=0.1):
        await chat.say("go on for ever")
        await until_said(chat, "word3")
    async with running_bridge(talkative, database):
        await eventually(lambda: len(talkative.netmind.calls_to("POST", "/chat/completions")) == 2, "the question is asked again")
        assert chat.buttons() == [[STOP]]
        await chat.press(STOP)
        await until_said(chat, "Stopped")
        await eventually(lambda: talkative.netmind.abandoned == 2, "the provider's socket is closed")


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_late_press_of_stop_is_told_and_ends_nothing(outside: Outside, database: Path, platform: str) -> None:
    async with running_bridge(outside, database):
        chat = CHATS[platform](outside)
        script(outside).queue(" ".join(f"word{number}" for number in range(12)))
        server = outside.discord if platform == "discord" else outside.telegram
        # The text stands whole with Stop under it; the edit that takes Stop away is kept from arriving for a while.
        server.faults.add(Fault(path="*/messages/*" if platform == "discord" else "*/editMessageText", status=502, times=10**6))
        await chat.say("one")
        await until_said(chat, "word")
        assert chat.buttons() == [[STOP]]
        await eventually(lambda: states(database) == ["answered"], "answered")
        await chat.press(STOP)  # in time: it is still being shown, there is nothing to say
        server.faults.clear()
        await eventually(lambda: states(database) == ["done"], "done")
        await eventually(lambda: chat.buttons() == [DONE], "controls")
        assert chat.notes() == []
        if isinstance(chat, TelegramChat):  # any client can send what an old message had; Discord's own checks what stands there
            answer = await outside.telegram.press(chat.chat, 2, "stop:1", chat.chat)
            assert (answer["text"], answer["show_alert"]) == (texts.NOT_RUNNING, False)
        assert len(chat.texts()) == 1


def states(database: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        return [state for (state,) in connection.execute("SELECT state FROM turn ORDER BY id")]


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_stranger_who_presses_is_told_alone_and_nothing_happens(outside: Outside, database: Path, platform: str) -> None:
    eve = outside.discord.add_user("eve", guilds=[])
    chat: Chat = DiscordChat(outside, outside.discord.open_dm(eve), eve)
    if platform == "telegram":
        chat = TelegramChat(outside, outside.telegram.add_user("eve"))
    async with running_bridge(outside, database):
        await chat.say("let me in")
        await until_said(chat, "heard: let me in")
        await eventually(lambda: chat.buttons() == [DONE], "controls")
    async with running_bridge(outside, database, access="allowlist"):
        for label in (RETRY, MODEL):
            await chat.press(label)
        await eventually(lambda: len(chat.notes()) == 2, "a word to the stranger for each press")
        assert all("does not know you" in note for note in chat.notes())
        assert len(chat.buttons()) == 1
    assert len(outside.netmind.calls_to("POST", "/chat/completions")) == 1


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_other_model_shows_the_choice_and_choosing_there_works(outside: Outside, database: Path, platform: str) -> None:
    async with running_bridge(outside, database):
        chat = CHATS[platform](outside)
        await chat.say("one")
        await until_said(chat, "heard: one")
        await eventually(lambda: chat.buttons() == [DONE], "controls")
        await chat.press(MODEL)
        await until_said(chat, "Choose another below")
        other = next(label for label in (label for row in chat.buttons()[1:] for label in row) if "✓" not in label)
        await chat.press(other)
        await until_said(chat, "from now on")
        await chat.press(RETRY)
        await until_said(chat, other.removeprefix("…"), since=3)


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_words_about_a_failure_have_retry_under_them(outside: Outside, database: Path, platform: str) -> None:
    outside.netmind.faults.add(Fault(path="*/chat/completions", status=401, body={"error": {"message": "invalid key"}}))
    async with running_bridge(outside, database):
        chat = CHATS[platform](outside)
        await chat.say("one")
        await until_said(chat, "refused this bot's key")
        assert chat.buttons() == [DONE]
        await chat.press(RETRY)
        await until_said(chat, "heard: one")


async def test_in_a_group_the_new_answer_is_a_reply_to_the_message_with_the_button(outside: Outside, database: Path) -> None:
    async with running_bridge(outside, database):
        discord, telegram = DiscordChat(outside), TelegramChat(outside, outside.telegram.group_id)

        async def again(chat: Chat) -> None:
            await chat.say("one")
            await until_said(chat, "heard: one")
            await eventually(lambda: chat.buttons() == [DONE], "controls")
            await chat.press(RETRY)
            await eventually(lambda: len(chat.texts()) == 2, "another answer")

        await asyncio.gather(again(discord), again(telegram))
        old, new = discord._own()
        assert new["message_reference"]["message_id"] == old["id"]
        before, after = telegram._own()
        assert after["reply_to_message"]["message_id"] == before["message_id"]
    assert not outside.discord.pings


class Here:
    """The sandbox of this process, as the starter of the bridge's process knows it."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside
        values = {**outside.platform_settings(), **outside.provider_settings()}
        self.environment = {name.upper(): str(value) for name, value in values.items()}

    async def do(self, order: str, **_: Any) -> dict[str, Any]:
        discord, telegram = self._outside.discord, self._outside.telegram
        if order == "accepting":
            await asyncio.gather(discord.connected(60), telegram.connected(60))
        else:
            await discord.disconnected(60)
            await eventually(lambda: not telegram.polled, "the dead bridge's poll has ended")
        return {}


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_press_accepted_right_before_kill_9_is_carried_out_after_the_restart_and_once(
    outside: Outside, tmp_path: Path, platform: str
) -> None:
    here: Any = Here(outside)
    bot = Bot(here, tmp_path)
    chat = CHATS[platform](outside)
    try:
        await bot.start(points=True)
        await bot.ready()
        await chat.say("one")
        await until_said(chat, "heard: one")
        await eventually(lambda: chat.buttons() == [DONE], "controls")
        await bot.arm("after_commit", 1)
        pressing = asyncio.create_task(chat.press(RETRY))
        assert await bot.died(20)
        await bot.kill()
        assert states(bot.database) == ["done"]
        await bot.start(points=False)
        await bot.ready()
        await eventually(lambda: len(chat.texts()) == 2, "the question is asked again")
        await eventually(lambda: states(bot.database) == ["done", "done"], "done")
        await asyncio.gather(pressing, return_exceptions=True)
        assert len(outside.netmind.calls_to("POST", "/chat/completions")) == 2
    finally:
        await bot.end()
