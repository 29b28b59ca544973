"""Pictures and files that people send, the whole bot over sockets: what the model is shown and what is said of the rest."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from bot import texts
from sandbox.discord.forms import File
from sandbox.faults import Fault
from sandbox.outside import Outside
from sandbox.providers import ScriptedVoice
from sandbox.telegram.people import PIXEL, Sent
from tests.support import pdfs
from tests.support.bridge import CHATS, Chat, DiscordChat, TelegramChat, eventually, running_bridge, until_said

SEES, BLIND = "openai/gpt-5.4", "meta-llama/Meta-Llama-3.1-8B-Instruct"
PICTURE_URL = f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}"


async def send(chat: Chat, text: str, *files: tuple[str, str, bytes]) -> None:
    """Let a person write and attach files, each with name, media type and content."""
    if isinstance(chat, DiscordChat):
        await chat.discord.say(chat.channel, chat.person, text, mention=True, attachments=[File(*file) for file in files])
        return
    assert isinstance(chat, TelegramChat)
    await chat.telegram.say(chat.chat, chat.person, text, files=[Sent(content, name, kind) for name, kind, content in files])


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def content(outside: Outside, message: int = -1, request: int = -1) -> Any:
    """What the model was shown in a message of a request that it took."""
    assert isinstance(outside.voice, ScriptedVoice)
    return outside.voice.heard[request][message]["content"]


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_a_picture_is_shown_to_a_model_that_sees_and_again_after_a_restart(tmp_path: Path, platform: str) -> None:
    async with Outside(voice=ScriptedVoice(["A pixel.", "It is red."])) as outside:
        chat = CHATS[platform](outside)
        async with running_bridge(outside, tmp_path / "d.db", default_model=SEES):
            await send(chat, "what is it?", ("cat.png", "image/png", PIXEL))
            await until_said(chat, "A pixel.")
            shown = content(outside)
            assert shown[1] == {"type": "image_url", "image_url": {"url": PICTURE_URL}}
            assert shown[0]["text"].endswith("[picture: cat.png]")
        async with running_bridge(outside, tmp_path / "d.db", default_model=SEES):
            await chat.say("which colour?")
            await until_said(chat, "It is red.")
        assert content(outside, message=-3) == shown
        assert PIXEL not in everything_in(tmp_path)


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_a_model_that_does_not_see_answers_the_text_and_the_answer_says_so(tmp_path: Path, platform: str) -> None:
    async with Outside(voice=ScriptedVoice(["I can't tell.", "Still not."])) as outside:
        chat = CHATS[platform](outside)
        async with running_bridge(outside, tmp_path / "d.db", default_model=BLIND):
            await send(chat, "what is it?", ("cat.png", "image/png", PIXEL))
            await until_said(chat, "I can't tell.")
            assert "can't see pictures" in await until_said(chat, "I can't tell.")
            assert isinstance(content(outside), str)
            refused = [call.status for call in outside.netmind.calls_to("POST", "/chat/completions")]
            await send(chat, "and now?", ("cat.png", "image/png", PIXEL))
            await until_said(chat, "Still not.")
        assert refused == [400, 200]  # nobody had said that it does not see; then it was known
        assert [call.status for call in outside.netmind.calls_to("POST", "/chat/completions")] == [400, 200, 200]


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_text_and_pdf_are_read_and_what_is_none_of_it_is_said(tmp_path: Path, platform: str) -> None:
    files = [
        ("notes.py", "text/x-python", b"print('hello')"),
        ("paper.pdf", "application/pdf", pdfs.pdf("an old result")),
        ("page.png", "image/png", b"<html><script>alert(1)</script>"),
        ("a.zip", "application/zip", b"PK\x03\x04\x00"),
    ]
    async with Outside(voice=ScriptedVoice(["Read."] * 4)) as outside, running_bridge(outside, tmp_path / "d.db", default_model=BLIND):
        chat = CHATS[platform](outside)
        await send(chat, "what do they say?", *files)
        told = [await until_said(chat, "page.png is no picture"), await until_said(chat, "a.zip is of a kind")]
        assert told
        heard = str(outside.voice.heard) if isinstance(outside.voice, ScriptedVoice) else ""
        assert "print('hello')" in heard.replace('\\"', '"').replace("\\'", "'")
        assert "an old result" in heard
        assert "<script>" not in heard


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_a_file_that_can_not_be_fetched_now_is_fetched_by_retry(tmp_path: Path, platform: str) -> None:
    async with Outside(voice=ScriptedVoice(["Read."])) as outside, running_bridge(outside, tmp_path / "d.db"):
        chat = CHATS[platform](outside)
        down = [
            outside.discord.faults.add(Fault("GET", "/attachments/*", status=503, times=-1)),
            outside.telegram.faults.add(Fault("GET", "/file/*", status=503, times=-1)),
        ]
        await send(chat, "", ("notes.txt", "text/plain", b"the notes"))
        await until_said(chat, texts.nothing_to_ask([["unavailable", "notes.txt"]]).removeprefix("⚠️ "))
        assert not outside.netmind.calls_to("POST", "/chat/completions")
        for fault in down:
            fault.times = 0
        await eventually(lambda: any("Retry" in label for row in chat.buttons() for label in row), "the button")
        await chat.press("Retry")
        await until_said(chat, "Read.")
        assert "the notes" in content(outside)


@pytest.mark.parametrize("platform", sorted(CHATS))
async def test_a_file_said_to_be_small_is_not_read_beyond_its_limit(tmp_path: Path, platform: str) -> None:
    async with Outside() as outside, running_bridge(outside, tmp_path / "d.db", file_megabytes=0.1):
        chat = CHATS[platform](outside)
        outside.discord.faults.add(Fault("GET", "/attachments/*", status=200, body="x" * 200_000))
        outside.telegram.faults.add(Fault("GET", "/file/*", status=200, body="x" * 200_000))
        await send(chat, "", ("notes.txt", "text/plain", b"the notes"))
        await until_said(chat, "notes.txt is too large: I take up to 100.0 kB")


async def test_an_album_is_one_question_with_one_answer(tmp_path: Path) -> None:
    pictures = [PIXEL + bytes([number]) for number in range(3)]
    async with Outside(voice=ScriptedVoice(["Three pixels."])) as outside, running_bridge(outside, tmp_path / "d.db", default_model=SEES):
        chat = TelegramChat(outside)
        await outside.telegram.say(chat.chat, chat.person, "what are these?", files=[Sent(picture) for picture in pictures])
        await until_said(chat, "Three pixels.")
        assert len(outside.netmind.calls_to("POST", "/chat/completions")) == 1
        shown = content(outside)
        assert "what are these?" in shown[0]["text"]
        assert [part["image_url"]["url"] for part in shown[1:]] == [
            f"data:image/png;base64,{base64.b64encode(picture).decode()}" for picture in pictures
        ]
        assert len(chat.texts()) == 1
