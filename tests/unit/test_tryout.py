"""The try-out is a bridge on loopback, whatever is set outside."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from bot import app
from bot.bridge import Bridge
from bot.settings import Settings, load
from sandbox.outside import Outside
from sandbox.tryout import announcement, settings_for

OF_THE_REAL_BOT = {
    "DISCORD_TOKEN": "real",
    "DISCORD_MESSAGE_CONTENT": "true",
    "DISCORD_GATEWAY_URL": "wss://gateway.example.com",
    "DISCORD_ALLOWED_USERS": "1",
    "TELEGRAM_TOKEN": "1:real",
    "TELEGRAM_WEBHOOK_URL": "https://bot.example.com/hook",
    "TELEGRAM_WEBHOOK_SECRET": "secret",
    "TELEGRAM_WEBHOOK_PORT": "1",
    "TELEGRAM_ALLOWED_CHATS": "1",
    "ACCESS": "allowlist",
    "DATABASE_URL": "sqlite:////nowhere/real.db",
}


@pytest.fixture
async def outside() -> Any:
    async with Outside() as outside:
        yield outside


def tried(outside: Outside, folder: Path, **values: Any) -> Settings:
    return load(None, **settings_for(load(None, **values), outside, folder / "sandbox.db"))


async def test_nothing_that_is_set_for_the_real_bot_moves_the_one_in_the_sandbox(
    outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = tried(outside, tmp_path)
    for name, value in OF_THE_REAL_BOT.items():
        monkeypatch.setenv(name, value)
    assert tried(outside, tmp_path) == plain
    assert plain.telegram_webhook_url is None
    assert plain.access == "open"
    assert plain.database_path == tmp_path / "sandbox.db"
    assert plain.discord_gateway_url == outside.discord.gateway_url


async def test_what_appears_in_the_environment_later_is_not_read(outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    values = settings_for(load(None), outside, tmp_path / "sandbox.db")
    plain = load(None, **values)
    for name, value in {**OF_THE_REAL_BOT, "OPENAI_API_KEY": "later", "DEFAULT_MODEL": "later"}.items():
        monkeypatch.setenv(name, value)
    assert load(None, **values) == plain


async def test_a_model_chosen_for_the_real_provider_is_not_asked_of_the_local_one(
    outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.local.local_available", lambda: True)
    there = tried(outside, tmp_path, default_model="some/big-model")
    assert (there.default_provider, there.default_model) == ("local", "")
    chosen = tried(outside, tmp_path, default_provider="netmind", default_model="some/big-model")
    assert (chosen.default_provider, chosen.default_model) == ("netmind", "some/big-model")


@pytest.mark.parametrize(("name", "title"), [("netmind", "Netmind Power"), ("segmind", "Segmind"), ("modelslab", " modelslab")])
async def test_a_table_that_is_called_as_a_stand_in_is_tried_in_its_place(outside: Outside, tmp_path: Path, name: str, title: str) -> None:
    """The start takes it where the provider of that title is not set up, and the try-out does not make a clash of its own."""
    path = tmp_path / "providers.toml"
    path.write_text(f'[mine]\nbase_url = "http://localhost:1/v1"\ndefault_model = "m"\ntitle = "{title}"\n', encoding="utf-8")
    mixed = tried(outside, tmp_path, providers_file=path)
    keys = {each: getattr(mixed, f"{each}_api_key") for each in ("netmind", "segmind", "modelslab")}
    assert {each for each, key in keys.items() if key is None} == {name}
    assert [endpoint.vendor.name for endpoint in mixed.endpoints] == ["mine"]


async def test_a_provider_with_a_real_key_stays_the_real_one(outside: Outside, tmp_path: Path) -> None:
    mixed = tried(outside, tmp_path, netmind_api_key="real", netmind_base_url="https://netmind.example.com")
    assert mixed.netmind_base_url == "https://netmind.example.com"
    assert mixed.segmind_base_url == outside.segmind.base_url
    assert "real" in app.secrets_of(mixed)


@pytest.mark.parametrize(
    ("local_model", "providers", "answers"),
    [
        ("auto", {"local": None}, "the small model on this machine"),
        ("auto", {}, "a script: the local model is not installed"),
        ("off", {}, "a script: the local model is switched off (LOCAL_MODEL=off)"),
    ],
)
def test_who_answers_is_told_and_why_the_local_model_does_not(local_model: str, providers: dict[str, None], answers: str) -> None:
    bridge = cast("Bridge", SimpleNamespace(providers=providers))
    assert f"Answers come from {answers}. " in announcement("http://x", load(None, local_model=local_model), bridge)


def told(providers: list[str], **values: Any) -> str:
    """Return what the terminal says, as one line."""
    bridge = cast("Bridge", SimpleNamespace(providers=dict.fromkeys(providers)))
    return " ".join(announcement("http://x", load(None, **values), bridge).split())


STAND_INS = ["netmind", "segmind", "modelslab"]


def test_a_real_provider_is_named_as_the_one_that_answers() -> None:
    said = told(STAND_INS, netmind_api_key="k", local_model="off")
    assert (
        "nothing leaves it, but what you ask netmind goes to the real one: it is set up. Answers come from netmind, the real one." in said
    )
    assert "script" not in said
    chosen = told([*STAND_INS, "local"], segmind_api_key="k", default_provider="segmind")
    assert "Answers come from segmind, the real one." in chosen


def test_several_real_providers_are_told_in_the_plural() -> None:
    two = told(STAND_INS, netmind_api_key="k", segmind_api_key="k", local_model="off")
    assert "but what you ask netmind and segmind goes to the real ones: they are set up. Answers come from netmind, the real one." in two
    three = told([*STAND_INS, "openai", "local"], netmind_api_key="k", segmind_api_key="k", openai_base_url="http://localhost:11434/v1")
    assert "what you ask netmind, segmind and openai goes to the real ones: they are set up." in three
    assert "Answers come from the small model on this machine." in three


def test_where_a_stand_in_comes_first_it_is_said_how_the_real_one_is_asked() -> None:
    said = told(STAND_INS, segmind_api_key="k", local_model="off")
    assert "Answers come from a script: the local model is switched off (LOCAL_MODEL=off); /provider segmind asks the real one." in said


async def test_a_key_of_blanks_is_no_real_provider(outside: Outside, tmp_path: Path) -> None:
    assert tried(outside, tmp_path, netmind_api_key=" ").netmind_base_url == outside.netmind.base_url


async def test_modelslabs_posts_are_the_real_bots_unless_the_real_provider_is_asked(outside: Outside, tmp_path: Path) -> None:
    address = "https://bot.example.com/modelslab"
    assert tried(outside, tmp_path, modelslab_webhook_url=address).modelslab_webhook_url is None
    assert tried(outside, tmp_path, modelslab_webhook_url=address, modelslab_api_key="k").modelslab_webhook_url == address
