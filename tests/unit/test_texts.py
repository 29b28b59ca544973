"""What the bot says: every failure has a sentence that says what to do next, and foreign words mean themselves."""

from __future__ import annotations

import re

import pytest

from adapters.base import ErrorKind, FinishReason, ProviderError, Scope
from bot import texts, texts_failed
from bot.model import ChatAddress, ChatKind, EventKind, Incoming, Sender
from bot.platforms.budgets import TELEGRAM_CALLBACK_TEXT_CHARS
from bot.render.discord import STYLE as DISCORD
from bot.render.telegram import STYLE as TELEGRAM

NASTY = "a_b*c*`d`[e](http://f)<@1>\n# g ||h|| @everyone"


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_of_failure_has_one_sentence_with_advice(kind: ErrorKind) -> None:
    said = texts_failed.provider_error(ProviderError(kind, "canary detail"), "Alpha", "small")
    assert said.startswith("⚠️ ")
    assert "\n" not in said
    assert "{" not in said
    assert any(word in said for word in ("/retry", "/provider", "/model", "/reset", "Try again", "other words"))
    assert ("canary" in said) == (kind is ErrorKind.BAD_REQUEST)


@pytest.mark.parametrize("kind", ErrorKind)
def test_what_broke_off_speaks_of_the_controls_that_stand_below_it(kind: ErrorKind) -> None:
    said = texts_failed.provider_error(ProviderError(kind, "canary detail"), "Alpha", "small", broke_off=True)
    assert said.startswith("⚠️ ")
    assert "{" not in said
    assert said.count("/retry") == (kind not in {ErrorKind.CONTENT_FILTER, ErrorKind.NO_PICTURES}) + 2 * (kind is ErrorKind.NO_PICTURES)
    assert ("Press Continue or use /continue" in said) == (kind is not ErrorKind.CONTENT_FILTER)


@pytest.mark.parametrize(
    ("detail", "put"),
    [
        ("max_tokens is too large", "the request: max_tokens is too large. Check"),
        ("max_tokens is too large.", "the request: max_tokens is too large. Check"),
        ("What is this?", "the request: What is this? Check"),
        ("Stop that! ", "the request: Stop that! Check"),
        ('unknown field "n."', 'the request: unknown field "n." Check'),
        (" ", "the request. Check"),
        ("", "the request. Check"),
    ],
)
def test_a_sentence_of_a_provider_keeps_its_own_full_stop_and_gets_no_second_one(detail: str, put: str) -> None:
    said = texts_failed.provider_error(ProviderError(ErrorKind.BAD_REQUEST, detail), "Alpha", "small")
    assert put in DISCORD.render(said).text.replace("\\", "")


@pytest.mark.parametrize("kind", ErrorKind)
def test_a_list_that_can_not_be_had_is_nothing_to_ask_again(kind: ErrorKind) -> None:
    said = texts_failed.no_list(ProviderError(kind, "canary detail"), "Alpha")
    assert said.startswith(("⚠️ Alpha ", "⚠️ The account at Alpha "))
    assert not [word for word in ("/retry", "/model", "/settings", "/reset", "other words", "canary") if word in said]
    assert "/provider" in said or "Try again" in said


def test_no_sentence_says_another_slash() -> None:
    """Neither "another /provider" nor "another /model": what is chosen is no command."""
    said = [texts_failed.provider_error(ProviderError(kind), "Alpha", "small") for kind in ErrorKind]
    assert not [words for words in said if "another /" in words]


def test_a_cap_that_was_used_up_and_a_wrong_address_have_their_own_advice() -> None:
    used_up = texts_failed.provider_error(ProviderError(ErrorKind.EMPTY, at_cap=True), "Alpha", "small")
    assert "max_tokens" in used_up
    assert used_up != texts_failed.provider_error(ProviderError(ErrorKind.EMPTY), "Alpha", "small")
    misplaced = ProviderError(ErrorKind.BAD_REQUEST, "https://secret-host redirects", scope=Scope.PROVIDER)
    said = texts_failed.provider_error(misplaced, "Alpha", "small")
    assert "operator" in said
    assert "/provider" in said
    assert "secret-host" not in said


def test_who_wanted_a_tool_is_told_that_there_is_none() -> None:
    said = texts_failed.provider_error(ProviderError(ErrorKind.EMPTY, wanted_tool=True), "Alpha", "small")
    assert said.startswith("⚠️ small wanted to use a tool and gave no answer; this bot has no tools.")
    assert "empty" not in said


def test_a_refused_key_says_where_the_operator_finds_which_setting_it_is() -> None:
    said = texts_failed.provider_error(ProviderError(ErrorKind.AUTH, scope=Scope.ACCOUNT), "Alpha", "small")
    assert "The operator has to check it (`dragoman doctor` says where it stands)" in said


def test_a_model_that_is_not_open_to_the_key_is_not_told_as_a_refused_key() -> None:
    closed = ProviderError(ErrorKind.AUTH, "canary", scope=Scope.MODEL)
    said = texts_failed.provider_error(closed, "Alpha", "small")
    assert said.startswith("⚠️ Alpha does not let this bot's key or account use small. Choose another with /model.")
    assert texts_failed.provider_error(closed, "Alpha", "small", broke_off=True) == said
    for other in (
        texts_failed.provider_error(ProviderError(ErrorKind.AUTH, scope=Scope.ACCOUNT), "Alpha", "small"),
        texts_failed.no_list(closed, "Alpha"),
    ):
        assert "refused this bot's key" in other


def test_an_account_or_a_place_that_is_not_served_is_not_told_as_a_refused_key() -> None:
    error = ProviderError(ErrorKind.NOT_SERVED, "canary", scope=Scope.ACCOUNT)
    told = (
        texts_failed.provider_error(error, "Alpha", "small"),
        texts_failed.provider_error(error, "Alpha", "small", broke_off=True),
        texts_failed.no_list(error, "Alpha"),
        texts_failed.instead("Beta", "small", "Alpha", error.told_as),
        texts_failed.cooling("Alpha", 900, error.told_as, alone=False),
        texts_failed.cooling("Alpha", 900, error.told_as, alone=True),
    )
    for said in told:
        assert "does not serve this bot's account, or the place it runs at" in said
        assert "key" not in said
    assert "The operator has to ask Alpha" in told[0]
    assert told[-1].endswith("The operator has to ask the provider.")


def test_a_refusal_that_nobody_understands_names_what_it_may_be() -> None:
    of_one = texts_failed.provider_error(ProviderError(ErrorKind.FORBIDDEN, scope=Scope.MODEL), "Alpha", "small")
    assert "small may not be open to this bot's key or account, or nothing may. Choose another with /model or /provider." in of_one
    of_all = ProviderError(ErrorKind.FORBIDDEN, scope=Scope.ACCOUNT)
    for said in (texts_failed.provider_error(of_all, "Alpha", "small"), texts_failed.no_list(of_all, "Alpha")):
        assert "it is not clear why: it may be the key, the account or the place it runs at" in said
        assert "/model" not in said


def test_what_a_filter_ended_says_what_to_do() -> None:
    said, _ = texts.finish_note(FinishReason.CONTENT_FILTER, complete=True, likely_truncated=False)
    assert all(word in said for word in ("Ask in other words", "/model", "/provider", "/retry"))


def test_how_long_to_wait_is_told_where_it_is_known() -> None:
    assert "in 12 s" in texts_failed.provider_error(ProviderError(ErrorKind.RATE_LIMIT, retry_after=12), "Alpha", "small")
    assert "in 1 s" in texts_failed.provider_error(ProviderError(ErrorKind.RATE_LIMIT, retry_after=0.2), "Alpha", "small")
    assert "in a while" in texts_failed.provider_error(ProviderError(ErrorKind.RATE_LIMIT), "Alpha", "small")
    assert "in 60 minutes" in texts_failed.provider_error(ProviderError(ErrorKind.RATE_LIMIT, retry_after=3600), "Alpha", "small")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (90, "90 s"),
        (90.1, "2 minutes"),
        (120, "2 minutes"),
        (121, "3 minutes"),
        (5400, "90 minutes"),
        (5401, "2 hours"),
        (48 * 3600, "48 hours"),
        (48 * 3600 + 1, "3 days"),
    ],
)
def test_a_wait_is_told_in_the_unit_that_reads_best_and_never_too_short(seconds: float, words: str) -> None:
    assert texts.duration(seconds) == words


@pytest.mark.parametrize("style", [DISCORD, TELEGRAM], ids=["discord", "telegram"])
def test_foreign_words_in_a_sentence_are_shown_as_they_are(style: object) -> None:
    assert style in (DISCORD, TELEGRAM)
    render = DISCORD.render if style is DISCORD else TELEGRAM.render
    for markdown in (
        texts_failed.provider_error(ProviderError(ErrorKind.BAD_REQUEST, NASTY), "Alpha", "small"),
        texts_failed.provider_error(ProviderError(ErrorKind.MODEL_NOT_FOUND), "Alpha", NASTY),
        texts.provider_off(NASTY),
    ):
        rendered = render(markdown)
        assert not [entity for entity in rendered.entities if entity.type != "text_link"]
        assert "@everyone" in re.sub("[\u200b\u2060\\\\]", "", rendered.text)


@pytest.mark.parametrize("name", [NASTY, "`", "``", "a`", "x" * 5000, "\n", "\\"])
def test_foreign_names_stay_inside_their_code(name: str) -> None:
    for markdown in (texts.code(name), texts.unknown("model", name, [name, "b"])):
        rendered = TELEGRAM.render(markdown)
        assert {entity.type for entity in rendered.entities} <= {"code"}
        assert len(rendered.text) < 500


def test_a_finished_answer_needs_no_note_and_every_other_has_one() -> None:
    assert texts.finish_note(FinishReason.STOP, complete=True, likely_truncated=False) == ("", False)
    notes = [
        texts.finish_note(FinishReason.LENGTH, complete=True, likely_truncated=False)[0],
        texts.finish_note(FinishReason.STOP, complete=True, likely_truncated=True)[0],
        texts.finish_note(FinishReason.CONTENT_FILTER, complete=True, likely_truncated=False)[0],
        texts.finish_note(FinishReason.STOP, complete=False, likely_truncated=False)[0],
    ]
    assert len(set(notes)) == 4
    assert all(note.startswith("*") and note.endswith("*") for note in (*notes, texts.FILES_IGNORED))
    assert all("/continue" in note for note in (*notes[:2], notes[3]))


@pytest.mark.parametrize("reason", FinishReason)
@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("cut", [True, False])
def test_the_words_below_an_answer_speak_of_continue_exactly_where_its_button_is(
    reason: FinishReason, *, complete: bool, cut: bool
) -> None:
    note, more = texts.finish_note(reason, complete=complete, likely_truncated=cut)
    assert ("Press Continue or use /continue" in note) == more
    assert not (more and reason is FinishReason.CONTENT_FILTER)


@pytest.mark.parametrize("kind", ErrorKind)
def test_the_words_of_what_broke_off_speak_of_continue_exactly_where_its_button_is(kind: ErrorKind) -> None:
    error = ProviderError(kind)
    said = texts_failed.provider_error(error, "Alpha", "small", broke_off=True)
    assert ("Press Continue or use /continue" in said) == texts_failed.goes_on(error)


@pytest.mark.parametrize("sentence", [texts.NOT_RUNNING, texts.NOT_KEPT, texts.NOT_CONTINUED, texts.DEAD_BUTTON, texts.INTERNAL])
def test_a_word_to_who_pressed_a_button_fits_into_the_answer_to_a_press(sentence: str) -> None:
    assert len(sentence) <= TELEGRAM_CALLBACK_TEXT_CHARS


@pytest.mark.parametrize("kind", ChatKind)
def test_a_refusal_fits_into_the_answer_to_a_press(kind: ChatKind) -> None:
    event = Incoming("k", EventKind.BUTTON, ChatAddress("telegram", "b", "-1002345678901"), kind, Sender("7234567890", "Eve"))
    assert len(TELEGRAM.render(texts.refusal(event)).text) <= TELEGRAM_CALLBACK_TEXT_CHARS


@pytest.mark.parametrize("platform", ["discord", "telegram"])
@pytest.mark.parametrize("kind", ChatKind)
def test_somebody_refused_is_told_the_id_and_the_variable(platform: str, kind: ChatKind) -> None:
    event = Incoming("k", EventKind.MESSAGE, ChatAddress(platform, "b", "-100"), kind, Sender("7", NASTY))
    said = TELEGRAM.render(texts.refusal(event))
    units = said.text.encode("utf-16-le")
    codes = [units[2 * one.offset : 2 * (one.offset + one.length)].decode("utf-16-le") for one in said.entities if one.type == "code"]
    chat = ["-100", f"{platform.upper()}_ALLOWED_CHATS"] if kind is ChatKind.GROUP else []
    assert codes == ["7", f"{platform.upper()}_ALLOWED_USERS", *chat]
    assert "add 7 to" in said.text
    assert "restart" in said.text
    assert "=" not in said.text
    assert "\\" not in said.text + DISCORD.render(texts.refusal(event)).text


def test_somebody_whose_membership_could_not_be_found_out_is_asked_to_try_again() -> None:
    sender = Sender("7", "Ada", member=None)
    event = Incoming("k", EventKind.MESSAGE, ChatAddress("discord", "b", "1"), ChatKind.PRIVATE, sender)
    assert texts.refusal(event) == texts.member_unknown()
    assert "Try again in a moment" in texts.refusal(event)


def test_how_many_were_stopped_is_told() -> None:
    assert texts.stopped(1) == "Stopping."
    assert "1 waiting question " in texts.stopped(2)
    assert "2 waiting questions " in texts.stopped(3)


def test_a_long_list_says_what_was_left_out() -> None:
    assert texts.listed(["a", "b"], 2) == "- a\n- b"
    assert texts.listed(["a", "b", "c"], 1).endswith("… and 2 more")


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (9 * 10**12, "9000.0 GB")]
)
def test_sizes_are_told_in_the_unit_that_reads_best(count: int, words: str) -> None:
    assert texts.size(count) == words
