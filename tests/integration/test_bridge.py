"""The whole bridge over sockets: real discord.py and python-telegram-bot, every provider, on the sandbox."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapters.local import local_available
from sandbox.faults import Fault
from sandbox.outside import Outside
from sandbox.providers import ScriptedVoice
from tests.support.bridge import CHATS, DiscordChat, TelegramChat, eventually, running_bridge, until_said

PLATFORMS = sorted(CHATS)
NO_LOCAL = pytest.mark.skipif(not local_available(), reason="the dependency group `local` is not installed")
LOCAL = pytest.param("local", marks=[pytest.mark.local_model, NO_LOCAL])
MODELS = {"segmind": "llama-v3p1-8b-instruct", "modelslab": "zephyr-7b-beta", "netmind": "meta-llama/Meta-Llama-3.1-8B-Instruct"}


@pytest.fixture
async def outside():
    async with Outside(voice=ScriptedVoice()) as outside:
        yield outside


def script(outside: Outside) -> ScriptedVoice:
    assert isinstance(outside.voice, ScriptedVoice)
    return outside.voice


@pytest.mark.parametrize("provider", ["netmind", "segmind", "modelslab", LOCAL])
@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_message_is_answered_by_every_pair_of_platform_and_provider(
    outside: Outside, tmp_path: Path, platform: str, provider: str
) -> None:
    values: dict[str, Any] = {"local_model": "on"} if provider == "local" else {}
    async with running_bridge(outside, tmp_path / "d.db", default_provider=provider, **values):
        chat = CHATS[platform](outside)
        await chat.say("What is the capital of France?")
        if provider == "local":
            assert await eventually(lambda: [text for text in chat.texts() if len(text) > 10], "an answer of the local model")
        else:
            await until_said(chat, "heard: What is the capital of France?")
            assert len(chat.texts()) == 1
    assert not outside.discord.pings
    assert not outside.telegram.unknown_parameters


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_the_provider_is_switched_by_command_and_each_one_answers(outside: Outside, tmp_path: Path, platform: str) -> None:
    async with running_bridge(outside, tmp_path / "d.db"):
        chat = CHATS[platform](outside)
        for name, model in MODELS.items():
            await chat.command("provider", name=name)
            await until_said(chat, f"answers from now on, with the model {model}" if platform == "telegram" else f"the model `{model}`")
            await chat.say(f"hello {name}")
            assert f"hello {name}" in await until_said(chat, f"{model} heard")


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_buttons_choose_a_provider(outside: Outside, tmp_path: Path, platform: str) -> None:
    async with running_bridge(outside, tmp_path / "d.db"):
        chat = CHATS[platform](outside)
        await chat.command("provider")
        await until_said(chat, "Choose another")
        await chat.press("Segmind")
        await until_said(chat, "Segmind answers from now on" if platform == "telegram" else "**Segmind** answers from now on")


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_wrong_choice_gets_the_nearest_valid_names(outside: Outside, tmp_path: Path, platform: str) -> None:
    async with running_bridge(outside, tmp_path / "d.db"):
        chat = CHATS[platform](outside)
        await chat.command("provider", name="netmin")
        await until_said(chat, "Did you mean")
        await chat.command("settings", name="temperatur", value="0.5")
        await until_said(chat, "temperature")
        await chat.command("settings", name="temperature", value="7")
        await until_said(chat, "less than or equal to 2")


async def test_after_a_restart_all_is_as_before_and_the_next_request_carries_it(outside: Outside, tmp_path: Path) -> None:
    chat = TelegramChat(outside)
    async with running_bridge(outside, tmp_path / "d.db"):
        await chat.command("provider", name="modelslab")
        await until_said(chat, "answers from now on")
        await chat.command("system", text="You are a pirate.")
        await until_said(chat, "persona is set")
        await chat.command("settings", name="temperature", value="0.2")
        await until_said(chat, "0.2")
        await chat.say("first question")
        await until_said(chat, "heard: first question")
    async with running_bridge(outside, tmp_path / "d.db"):
        await chat.say("second question")
        await until_said(chat, "heard: second question")
        body = outside.modelslab.calls_to("POST", "/llm/chat")[-1].body
        assert body["temperature"] == 0.2
        assert body["chat_id"] in outside.modelslab.chats
        assert body["prompt"] == "second question"
        await chat.command("provider", name="netmind")
        await until_said(chat, "Netmind")
        await chat.say("third question")
        await until_said(chat, "heard: third question")
        messages = outside.netmind.calls_to("POST", "/chat/completions")[-1].body["messages"]
        said = [message["content"] for message in messages]
        assert said[0] == "You are a pirate."
        asked = [message["content"] for message in messages if message["role"] == "user"]
        assert asked == ["first question", "second question", "third question"]
    assert len(outside.modelslab.chats) == 1


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_what_is_written_while_the_bot_is_down_is_answered_at_its_next_start_in_order(
    outside: Outside, tmp_path: Path, platform: str
) -> None:
    chat = CHATS[platform](outside)
    async with running_bridge(outside, tmp_path / "d.db"):
        await chat.say("before")
        await until_said(chat, "heard: before")
    for number in range(3):
        await chat.say(f"missed {number}")
    async with running_bridge(outside, tmp_path / "d.db"):
        await chat.say("now")
        await until_said(chat, "heard: now")
    async with running_bridge(outside, tmp_path / "d.db"):  # nothing is answered again
        await chat.say("and on")
        await until_said(chat, "heard: and on")
    heard = [text.partition("heard: ")[2] for text in chat.texts()]
    assert heard == ["before", "missed 0", "missed 1", "missed 2", "now", "and on"]
    dropped = [call for call in outside.telegram.calls if str((call.body or {}).get("drop_pending_updates", "false")).lower() != "false"]
    assert not dropped  # it would throw away what Telegram keeps of that time


async def test_switching_away_from_modelslab_and_back_keeps_the_thread_in_a_new_chat(outside: Outside, tmp_path: Path) -> None:
    async with running_bridge(outside, tmp_path / "d.db"):
        chat = TelegramChat(outside)
        for number, provider in enumerate(("modelslab", "netmind", "modelslab")):
            await chat.command("provider", name=provider)
            await until_said(chat, "answers from now on", since=len(chat.texts()))
            await chat.say(f"question {number}")
            await until_said(chat, f"heard: question {number}" if number < 2 else "zephyr-7b-beta heard", since=len(chat.texts()))
        bodies = [call.body for call in outside.modelslab.calls_to("POST", "/llm/chat")]
        assert len(bodies) == 2
        assert "chat_id" not in bodies[1]
        assert all(f"question {number}" in bodies[1]["prompt"] for number in range(3))
        messages = outside.netmind.calls_to("POST", "/chat/completions")[-1].body["messages"]
        assert [message["content"] for message in messages if message["role"] == "user"] == ["question 0", "question 1"]
        assert len(outside.modelslab.chats) == 2


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"status": 401, "body": {"error": {"message": "invalid key"}}}, "refused this bot's key"),
        ({"status": 404, "body": {"error": {"message": "unknown model: x"}}}, "has no model"),
        ({"status": 500, "body": {"error": {"message": "boom"}}}, "had a fault of its own"),
        ({"drop": "before"}, "/retry"),
    ],
)
async def test_a_failing_provider_is_told_in_one_sentence_and_the_conversation_goes_on(
    outside: Outside, tmp_path: Path, platform: str, fault: dict[str, Any], sentence: str
) -> None:
    outside.netmind.faults.add(Fault(path="*/chat/completions", **fault))
    async with running_bridge(outside, tmp_path / "d.db"):
        chat = CHATS[platform](outside)
        await chat.say("one")
        told = await until_said(chat, sentence)
        assert told.startswith("⚠️")
        assert "\n" not in told
        await chat.say("two")
        await until_said(chat, "heard: two")


async def test_an_empty_answer_is_told(outside: Outside, tmp_path: Path) -> None:
    script(outside).queue("")
    async with running_bridge(outside, tmp_path / "d.db"):
        chat = DiscordChat(outside)
        await chat.say("one")
        await until_said(chat, "empty answer")
        await chat.command("retry")
        await until_said(chat, "heard: one")


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_long_answer_arrives_whole_over_several_messages(outside: Outside, tmp_path: Path, platform: str) -> None:
    text = "\n\n".join(f"Paragraph {number}: " + " ".join(f"w{number}x{word}" for word in range(60)) for number in range(30))
    script(outside).queue(text)
    async with running_bridge(outside, tmp_path / "d.db"):
        chat = CHATS[platform](outside)
        await chat.say("tell me much")
        await until_said(chat, "w29x59")
        assert " ".join(" ".join(chat.texts()).split()) == " ".join(text.split())
        assert len(chat.texts()) >= 3


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_stop_ends_the_stream_and_keeps_what_was_said(tmp_path: Path, platform: str) -> None:
    voice = ScriptedVoice([" ".join(f"word{number}" for number in range(2000))], delay=0.05)
    async with Outside(voice=voice) as outside, running_bridge(outside, tmp_path / "d.db"):
        chat = CHATS[platform](outside)
        await chat.say("go on for ever")
        await until_said(chat, "word3")
        await chat.command("stop")
        await until_said(chat, "Stopped")
        await eventually(lambda: outside.netmind.abandoned == 1, "the provider's socket is closed")
        await chat.say("and now?")
        await until_said(chat, "heard: and now?")


async def test_a_thread_and_its_channel_are_two_conversations(outside: Outside, tmp_path: Path) -> None:
    async with running_bridge(outside, tmp_path / "d.db"):
        thread = await outside.discord.start_thread(outside.discord.channel_id, "aside")
        channel, aside = DiscordChat(outside), DiscordChat(outside, thread)
        await channel.say("in the channel")
        await until_said(channel, "heard: in the channel")
        await aside.say("in the thread")
        await until_said(aside, "heard: in the thread")
        users = [m["content"] for m in outside.netmind.calls_to("POST", "/chat/completions")[-1].body["messages"] if m["role"] == "user"]
        assert users == ["in the thread"]


async def test_a_topic_and_its_forum_are_two_conversations(outside: Outside, tmp_path: Path) -> None:
    telegram = outside.telegram
    forum = telegram.add_group("Forum", [telegram.user_id], forum=True)
    topic = telegram.add_topic(forum, "aside")
    async with running_bridge(outside, tmp_path / "d.db"):
        await telegram.say(forum, telegram.user_id, "in general", mention=True)
        await eventually(lambda: any("heard: in general" in m.get("text", "") for m in telegram.messages(forum)))
        await telegram.say(forum, telegram.user_id, "in the topic", thread=topic, mention=True)
        await eventually(lambda: any("heard: in the topic" in m.get("text", "") for m in telegram.messages(forum, thread=topic)))
        users = [m["content"] for m in outside.netmind.calls_to("POST", "/chat/completions")[-1].body["messages"] if m["role"] == "user"]
        assert users == ["in the topic"]


async def test_somebody_unknown_is_told_the_id_and_what_to_add(outside: Outside, tmp_path: Path) -> None:
    telegram = outside.telegram
    async with running_bridge(outside, tmp_path / "d.db", access="allowlist"):
        chat = TelegramChat(outside)
        await chat.say("let me in")
        told = await until_said(chat, "TELEGRAM_ALLOWED_USERS")
        assert str(telegram.user_id) in told
        assert not outside.netmind.calls_to("POST", "/chat/completions")
        channel = DiscordChat(outside)
        await channel.say("a member may")
        await until_said(channel, "heard: a member may")
    async with running_bridge(outside, tmp_path / "d.db", access="allowlist", telegram_allowed_users=str(telegram.user_id)):
        await chat.say("now?")
        await until_said(chat, "heard: now?")


async def test_ask_is_answered_through_the_interaction(outside: Outside, tmp_path: Path) -> None:
    async with running_bridge(outside, tmp_path / "d.db"):
        chat = DiscordChat(outside)
        await chat.command("ask", question="by slash")
        await until_said(chat, "heard: by slash")
        assert outside.discord.calls_to("PATCH", "/messages/@original")


async def test_the_command_tree_is_synced_only_when_it_changed(outside: Outside, tmp_path: Path) -> None:
    for _ in range(2):
        async with running_bridge(outside, tmp_path / "d.db"):
            await eventually(lambda: outside.discord.commands)
    assert len(outside.discord.calls_to("PUT", "/commands")) == 1
    names = {command["name"] for command in outside.discord.commands}
    assert {"ask", "provider", "model", "models", "system", "settings", "reset", "stop", "retry", "help", "status"} <= names


async def test_autocomplete_offers_the_live_models(outside: Outside, tmp_path: Path) -> None:
    discord = outside.discord
    async with running_bridge(outside, tmp_path / "d.db"):
        await eventually(lambda: discord.commands)
        choices = await discord.complete(discord.channel_id, discord.user_id, "model", "name", "llama")
        assert choices
        assert all("llama" in choice["value"].lower() for choice in choices)


async def test_a_private_answer_is_seen_by_its_asker_alone(outside: Outside, tmp_path: Path) -> None:
    discord = outside.discord
    other = discord.add_user("bob", guilds=[discord.guild_id])
    async with running_bridge(outside, tmp_path / "d.db"):
        chat = DiscordChat(outside)
        await chat.command("help")
        await until_said(chat, "/provider")
        assert not [m for m in discord.messages(discord.channel_id, viewer=other) if m["author"]["id"] == discord.bot_id]


async def test_no_secret_reaches_the_chat_or_the_log(outside: Outside, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    outside.netmind.faults.add(Fault(path="*/chat/completions", status=401, body={"error": {"message": "bad key sandbox-netmind-key"}}))
    async with running_bridge(outside, tmp_path / "d.db"):
        chat = TelegramChat(outside)
        await chat.say("the prompt canary-7431")
        await until_said(chat, "refused this bot's key")
        await chat.command("provider", name="modelslab")
        await until_said(chat, "ModelsLab")
        await chat.say("again canary-7431")
        await until_said(chat, "heard")
    secrets = [*json.loads(json.dumps({**outside.platform_settings(), **outside.provider_settings()})).items()]
    hidden = [value for name, value in secrets if name.endswith(("_token", "_key"))] + list(outside.modelslab.chats)
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith(("bot", "adapters", "storage")))
    assert not [secret for secret in [*hidden, "canary-7431"] if secret in ours]
    assert not [secret for secret in hidden if any(secret in text for text in chat.texts())]


FLOOD = {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 1", "parameters": {"retry_after": 1}}
PLATFORM_FAULTS: dict[str, list[dict[str, Any]]] = {
    "discord": [
        {"method": "POST", "path": "*/messages", "status": 429, "body": {"message": "slow down", "retry_after": 0.5, "global": False}},
        {"method": "POST", "path": "*/messages", "drop": "after", "after_calls": 1},
        {"method": "PATCH", "path": "*/messages/*", "status": 503, "times": 2},
    ],
    "telegram": [
        {"path": "*/sendMessage", "status": 429, "body": FLOOD},
        {"path": "*/editMessageText", "status": 502, "body": "<html>bad gateway</html>", "times": 2},
        {"path": "*/editMessageText", "drop": "after", "after_calls": 2},
    ],
}


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_an_answer_arrives_whole_and_once_through_a_flood_an_outage_and_a_cut_connection(tmp_path: Path, platform: str) -> None:
    text = " ".join(f"word{number}" for number in range(60))
    async with Outside(voice=ScriptedVoice([text], delay=0.05)) as outside, running_bridge(outside, tmp_path / "d.db"):
        server = outside.discord if platform == "discord" else outside.telegram
        for fault in PLATFORM_FAULTS[platform]:
            server.faults.add(Fault(**fault))
        chat = CHATS[platform](outside)
        await chat.say("go")
        await eventually(lambda: chat.texts() == [text], "the whole answer, once")
        await chat.say("and on")
        await until_said(chat, "heard: and on")
        assert len(chat.texts()) == 2


@pytest.mark.parametrize("platform", PLATFORMS)
async def test_a_long_paste_is_one_question_with_one_answer(outside: Outside, tmp_path: Path, platform: str) -> None:
    length = 4096 if platform == "telegram" else 1960  # the mention takes its place on Discord
    pieces = [("word " * length)[: length - 3] + "end" for _ in range(3)]
    script(outside).queue("It says word.")
    async with running_bridge(outside, tmp_path / "d.db", merge_window_seconds=30):
        chat = CHATS[platform](outside)
        for piece in (*pieces, "What does this say?"):
            await chat.say(piece)
        await until_said(chat, "It says word.")
        (request,) = outside.netmind.calls_to("POST", "/chat/completions")
        assert request.body["messages"][-1]["content"] == "\n".join([*pieces, "What does this say?"])
        assert len(chat.texts()) == 1
