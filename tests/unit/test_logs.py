"""The log: one stream, no secret in it, tracebacks included."""

from __future__ import annotations

import logging

import pytest

from bot import logs

SECRET = "123456:canary-token-AAbbCC"
OTHER = "canary"
log = logging.getLogger("bot.test")


def raise_with(secret: str) -> None:
    local_of_a_frame = f"prompt of somebody, {secret}"
    raise ValueError(f"https://api.telegram.org/bot{secret}/getMe refused {len(local_of_a_frame)}")


def test_secrets_are_blanked_in_messages_and_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", [SECRET, "", OTHER])
    log.info("asked %s with %s", f"https://host/bot{SECRET}/x", {"key": OTHER})
    said = capsys.readouterr().err
    assert "https://host/bot***/x" in said
    assert "canary" not in said
    assert "bot.test" in said


def test_secrets_are_blanked_in_tracebacks_and_their_causes(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", [SECRET])
    try:
        try:
            raise_with(SECRET)
        except ValueError as error:
            raise RuntimeError(f"again {SECRET}") from error
    except RuntimeError:
        log.exception("it went wrong")
    said = capsys.readouterr().err
    assert "it went wrong" in said
    assert "ValueError" in said
    assert "raise_with" in said
    assert "canary-token" not in said


def test_a_traceback_shows_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", [])
    try:
        raise_with("x" * 30)
    except ValueError:
        log.exception("it went wrong")
    said = capsys.readouterr().err
    assert "prompt of somebody, x" not in said
    assert "╭" not in said


def test_the_longer_secret_is_blanked_whole(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", ["abc", "abcdef"])
    log.info("key abcdef, key abc")
    assert "key ***, key ***" in capsys.readouterr().err


def test_the_level_is_kept_and_libraries_speak_only_in_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", [])
    log.debug("not wanted")
    logging.getLogger("discord.gateway").info("chatter")
    logging.getLogger("discord.gateway").warning("of use")
    said = capsys.readouterr().err
    assert "not wanted" not in said
    assert "chatter" not in said
    assert "of use" in said
    assert len(said.splitlines()) == 1


def test_configuring_twice_says_everything_once(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", [])
    logs.configure("debug", [SECRET])
    log.debug("once")
    assert capsys.readouterr().err.count("once") == 1


def test_a_short_secret_goes_where_it_stands_by_itself_and_leaves_the_words_it_is_a_part_of(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", ["bad", "-k-"])
    log.warning("kind=bad_request: badly done; not a badge, but forbad")
    assert "kind=bad_request: badly done; not a badge, but forbad" in capsys.readouterr().err
    log.warning("%s", {"key": "bad", "url": "https://host/?key=bad&x=%3Dbad", "text": "one\nbad", "more": ["Bearer bad", "x-k-y"]})
    said = capsys.readouterr().err
    assert "bad" not in said
    assert "-k-" not in said
    assert said.count("***") == 6


def test_what_is_long_enough_for_a_key_goes_within_words_too(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", ["s" * logs.SHORT_CHARS])
    log.warning("bot%s_x", "s" * logs.SHORT_CHARS)
    assert "bot***_x" in capsys.readouterr().err


@pytest.mark.parametrize(
    "text",
    [
        r'{"error": "invalid \u003cKEY\u003e"}',
        r"b'\x01KEY'",
        "https://host/?next=k%253DKEY",
        "无效的密钥KEY请检查",
        "\x1b[1;31mKEY\x1b[0m",
        "k%3DKEY%20KEY",
    ],
)
def test_a_short_secret_goes_behind_what_only_looks_like_a_letter(capsys: pytest.CaptureFixture[str], text: str) -> None:
    """As Go's JSON writes `<`, and as Chinese words stand: without a blank."""
    logs.configure("info", ["abc1234"])
    log.warning("%s", text.replace("KEY", "abc1234"))
    assert text.replace("KEY", "***") in capsys.readouterr().err
