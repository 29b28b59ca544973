"""Stored entries ↔ messages of a request; trimming to the window."""

from __future__ import annotations

import pytest

from adapters.base import Message, TextPart
from adapters.tokens import estimate
from bot.transcript import content, estimated, fit, messages, shorter, text_of
from storage.base import Entry


def entry(role: str, text: str, author: str | None = None, name: str | None = None) -> Entry:
    return Entry(1, 1, role, author, name, content(text))


def said(role: str, text: str) -> Message:
    return Message("user" if role == "user" else "assistant", (TextPart(text),))


def conversation(*texts: str) -> list[Message]:
    return [said("assistant" if place % 2 else "user", text) for place, text in enumerate(texts)]


@pytest.mark.parametrize("text", ["", "plain", 'quotes " \\ \n\t', "\U0001f98a é 日本"])
def test_text_comes_back_from_stored_content(text: str) -> None:
    assert text_of(content(text)) == text


def test_parts_of_other_kinds_are_left_out_of_the_text() -> None:
    assert text_of('[{"type": "text", "text": "a"}, {"type": "image", "source": "x"}, {"type": "text", "text": "b"}]') == "a\n\nb"


def test_one_person_is_not_named_and_several_are() -> None:
    alone = [entry("user", "hi", "7", "Ada"), entry("assistant", "hello"), entry("user", "bye", "7", "Ada")]
    assert [message.text for message in messages(alone)] == ["hi", "hello", "bye"]
    several = [*alone, entry("user", "me too", "8", "Bob")]
    assert [message.text for message in messages(several)] == ["Ada: hi", "hello", "Ada: bye", "Bob: me too"]
    assert [message.role for message in messages(several)] == ["user", "assistant", "user", "user"]


def test_all_of_it_stays_where_the_window_has_room() -> None:
    whole = conversation("one", "two", "three")
    assert fit(whole, "persona", 8192, None) == tuple(whole)


@pytest.mark.parametrize("answer", [None, 100, 10_000])
@pytest.mark.parametrize("window", [200, 500, 1000, 4000])
def test_what_is_kept_fits_is_the_newest_and_begins_with_a_person(window: int, answer: int | None) -> None:
    whole = conversation(*(f"message {number} " + "word " * 30 for number in range(41)))
    kept = fit(whole, "persona", window, answer)
    assert kept == tuple(whole[-len(kept) :])
    assert kept[0].role == "user"
    used = sum(estimate(message.text) for message in kept) + estimate("persona")
    assert used <= window
    if answer:
        assert used + min(answer, window // 2) <= window


def test_the_last_message_stays_however_long_it_is() -> None:
    kept = fit(conversation("old", "older answer", "word " * 5000), "persona " * 2000, 100, None)
    assert [message.text for message in kept] == ["word " * 5000]


def test_a_longer_persona_leaves_less_room_for_messages() -> None:
    whole = conversation(*("word " * 50 for _ in range(21)))
    assert len(fit(whole, "word " * 300, 1000, None)) < len(fit(whole, None, 1000, None))


def test_a_model_that_counts_more_than_is_estimated_gets_less() -> None:
    whole = conversation(*("word " * 50 for _ in range(21)))
    sizes = [len(fit(whole, None, 2000, None, ratio=ratio)) for ratio in (0.5, 1.0, 2.0)]
    assert sizes[0] > sizes[1] > sizes[2] >= 1
    assert estimated(fit(whole, None, 2000, None, ratio=2.0), None) * 2 <= 1500


@pytest.mark.parametrize("count", [2, 3, 8, 21])
def test_the_shorter_half_ends_with_the_question_and_begins_with_a_person(count: int) -> None:
    whole = conversation(*(f"{number} " + "word " * 20 for number in range(2 * count - 1)))
    cut = shorter(whole)
    assert cut is not None
    assert list(cut) == whole[-len(cut) :]
    assert cut[0].role == "user"
    assert estimated(cut, None) <= max(estimated(whole, None) // 2, estimated(whole[-1:], None))


def test_a_question_alone_can_not_be_made_shorter() -> None:
    assert shorter(conversation("word " * 50)) is None


def test_beside_a_long_question_nothing_else_stays() -> None:
    assert shorter(conversation("a", "b", "word " * 50)) == (said("user", "word " * 50),)
