"""What does not look like a bot token is told with its variable before anything is sent; no real token is ever refused for its form."""

from __future__ import annotations

import base64
from typing import cast

import pytest

from bot.app import LateMenu
from bot.platforms.base import Memo, Refusal, RefusedError
from bot.platforms.discord import DiscordPlatform
from bot.platforms.telegram import TelegramPlatform
from bot.platforms.tokens import discord_fault, telegram_fault
from bot.render.discord import STYLE as DISCORD_STYLE
from bot.render.telegram import STYLE as TELEGRAM_STYLE
from sandbox.outside import Outside
from tests.support.clock import FakeClock

SECRET = "AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw5"
TELEGRAM = f"110201543:{SECRET}"
DISCORD = f"{base64.urlsafe_b64encode(b'198622483471925248').decode()}.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"


@pytest.mark.parametrize("token", [TELEGRAM, f"7{TELEGRAM}", "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11", "5:_-a"])
def test_a_telegram_token_of_any_length_passes(token: str) -> None:
    assert telegram_fault(token) is None


@pytest.mark.parametrize(
    "token", [DISCORD, f"{DISCORD}-with_38-characters", "MTk4NjIyNDgzNDcxOTI1MjQ4MA==.G-_abc.x_-y", "MTAx.Gabc12.a" + "b" * 60]
)
def test_a_discord_token_of_any_length_passes(token: str) -> None:
    assert discord_fault(token) is None


@pytest.mark.parametrize(
    ("token", "slip"),
    [
        ("foobar", ""),
        (SECRET, ""),
        ("110201543:", ""),
        (TELEGRAM.replace(":", "."), ""),
        (f"{TELEGRAM}é", ""),
        (f"{TELEGRAM} ", "space"),
        (f"{TELEGRAM}\n", "line break"),
        (f"'{TELEGRAM}'", "quotation mark"),
        (f"\u201c{TELEGRAM}\u201d", "quotation mark"),
        (f"bot{TELEGRAM}", "leave out the “Bot”"),
        (DISCORD, ""),
    ],
)
def test_what_is_no_telegram_token_is_told_with_the_form_and_never_shown(token: str, slip: str) -> None:
    said = telegram_fault(token) or ""
    assert said.startswith("TELEGRAM_TOKEN does not look like a bot token")
    assert "digits, a colon and about 35 characters" in said
    assert slip in said
    assert ("(" in said) == bool(slip)
    assert SECRET not in said
    assert token not in said


@pytest.mark.parametrize(
    ("token", "slip"),
    [
        ("foo", ""),
        ("foo.bar", ""),
        ("a.b.c.d", ""),
        ("a..c", ""),
        ("foo bar", "space"),
        (f"Bot {DISCORD}", "leave out the “Bot”"),
        (f'"{DISCORD}"', "quotation mark"),
        (TELEGRAM, ""),
    ],
)
def test_what_is_no_discord_token_is_told_with_the_form_and_never_shown(token: str, slip: str) -> None:
    said = discord_fault(token) or ""
    assert said.startswith("DISCORD_TOKEN does not look like a bot token")
    assert "three parts" in said
    assert slip in said
    assert ("(" in said) == bool(slip)
    assert token not in said


def test_another_servers_tokens_may_have_another_form_but_a_slip_is_told() -> None:
    assert discord_fault("any-form", official=False) is None
    assert discord_fault("any form", official=False)


@pytest.mark.parametrize("random", [False, True])
async def test_the_tokens_of_the_stand_ins_pass(random: bool) -> None:
    async with Outside(random_tokens=random) as outside:
        settings = outside.platform_settings()
        assert telegram_fault(settings["telegram_token"]) is None
        assert discord_fault(settings["discord_token"], official=False) is None


async def test_nothing_is_sent_with_what_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    def sent(*_: object, **__: object) -> None:
        raise AssertionError("it was sent")

    monkeypatch.setattr("bot.platforms.discord.rest.Rest.call", sent)
    monkeypatch.setattr("bot.platforms.telegram.platform.make_api", sent)
    clock, menu, memo = FakeClock(), LateMenu(), cast("Memo", None)
    for platform in (
        DiscordPlatform("foo bar", menu, memo, style=DISCORD_STYLE, clock=clock),
        TelegramPlatform("foobar", menu, memo, style=TELEGRAM_STYLE, clock=clock),
    ):
        with pytest.raises(RefusedError, match="does not look like a bot token") as caught:
            await platform.open()
        assert caught.value.reason is Refusal.TOKEN
        await platform.aclose()
