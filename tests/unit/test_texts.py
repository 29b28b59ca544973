"""What the bot says: every failure has a sentence that says what to do next, and foreign words mean themselves."""

from __future__ import annotations

import pytest

from adapters.base import ErrorKind, FinishReason, ProviderError
from bot import texts
from bot.model import ChatAddress, ChatKind, EventKind, Incoming, Sender
from bot.render.discord import STYLE as DISCORD
from bot.render.telegram import STYLE as TELEGRAM

NASTY = "a_b*c*`d`[e](http://f)<@1>\n# g ||h|| @everyone"


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_of_failure_has_one_sentence_with_advice(kind: ErrorKind) -> None:
    said = texts.provider_error(ProviderError(kind, "canary detail"), "Alpha", "small")
    assert said.startswith("⚠️ ")
    assert "\n" not in said
    assert "{" not in said
    assert any(word in said for word in ("/retry", "/provider", "/model", "/reset", "Try again", "other words"))
    assert ("canary" in said) == (kind is ErrorKind.BAD_REQUEST)


def test_how_long_to_wait_is_told_where_it_is_known() -> None:
    assert "in 12 s" in texts.provider_error(ProviderError(ErrorKind.RATE_LIMIT, retry_after=12), "Alpha", "small")
    assert "in 1 s" in texts.provider_error(ProviderError(ErrorKind.RATE_LIMIT, retry_after=0.2), "Alpha", "small")
    assert "in a while" in texts.provider_error(ProviderError(ErrorKind.RATE_LIMIT), "Alpha", "small")


@pytest.mark.parametrize("style", [DISCORD, TELEGRAM], ids=["discord", "telegram"])
def test_foreign_words_in_a_sentence_are_shown_as_they_are(style: object) -> None:
    assert style in (DISCORD, TELEGRAM)
    render = DISCORD.render if style is DISCORD else TELEGRAM.render
    for markdown in (
        texts.provider_error(ProviderError(ErrorKind.BAD_REQUEST, NASTY), "Alpha", "small"),
        texts.provider_error(ProviderError(ErrorKind.MODEL_NOT_FOUND), "Alpha", NASTY),
        texts.provider_off(NASTY),
    ):
        rendered = render(markdown)
        assert not [entity for entity in rendered.entities if entity.type != "text_link"]
        assert "@everyone" in rendered.text.replace("\u200b", "").replace("\\", "")


@pytest.mark.parametrize("name", [NASTY, "`", "``", "a`", "x" * 5000, "\n", "\\"])
def test_foreign_names_stay_inside_their_code(name: str) -> None:
    for markdown in (texts.code(name), texts.unknown("model", name, [name, "b"])):
        rendered = TELEGRAM.render(markdown)
        assert {entity.type for entity in rendered.entities} <= {"code"}
        assert len(rendered.text) < 500


def test_a_finished_answer_needs_no_note_and_every_other_has_one() -> None:
    assert texts.finish_note(FinishReason.STOP, complete=True, likely_truncated=False) == ""
    notes = [
        texts.finish_note(FinishReason.LENGTH, complete=True, likely_truncated=False),
        texts.finish_note(FinishReason.STOP, complete=True, likely_truncated=True),
        texts.finish_note(FinishReason.CONTENT_FILTER, complete=True, likely_truncated=False),
        texts.finish_note(FinishReason.STOP, complete=False, likely_truncated=False),
    ]
    assert len(set(notes)) == 4
    assert all(note.startswith("*") and note.endswith("*") for note in notes)


@pytest.mark.parametrize("platform", ["discord", "telegram"])
@pytest.mark.parametrize("kind", ChatKind)
def test_somebody_refused_is_told_the_id_and_the_variable(platform: str, kind: ChatKind) -> None:
    event = Incoming("k", EventKind.MESSAGE, ChatAddress(platform, "b", "-100"), kind, Sender("7", NASTY))
    said = TELEGRAM.render(texts.refused(event)).text
    assert f"{platform.upper()}_ALLOWED_USERS=7" in said
    assert (f"{platform.upper()}_ALLOWED_CHATS=-100" in said) == (kind is ChatKind.GROUP)


def test_how_many_were_stopped_is_told() -> None:
    assert texts.stopped(1) == "Stopping."
    assert "1 waiting question " in texts.stopped(2)
    assert "2 waiting questions " in texts.stopped(3)


def test_a_long_list_says_what_was_left_out() -> None:
    assert texts.listed(["a", "b"], 2) == "- a\n- b"
    assert texts.listed(["a", "b", "c"], 1).endswith("… and 2 more")
