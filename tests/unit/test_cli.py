"""The command line: one sentence on standard error for what goes wrong, and an exit code that says whose turn it is."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from bot import cli
from bot.settings import VARIABLES, Settings
from sandbox.outside import Outside
from storage.base import TurnState
from storage.sqlite import SqliteStore
from storage.statements import migrations
from tests.support.stores import ask

CANARY = "canary-4f1d"
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path / 'data' / 'd.db'}")
    monkeypatch.setenv("LOCAL_MODEL", "off")
    monkeypatch.chdir(tmp_path)


def environment(values: Mapping[str, Any]) -> dict[str, str]:
    return {name.upper(): str(value) for name, value in values.items()}


def wrong(capsys: pytest.CaptureFixture[str], *argv: str, code: int) -> str:
    assert cli.main(argv) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert "Traceback" not in err
    assert CANARY not in err
    return err


# ------------------------------------------------------------------------------------------------ words


def test_version_and_help_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    for argument, words in (
        ("--version", version("dragoman")),
        ("--help", "run"),
        ("--help", "sandbox"),
        ("--help", "doctor"),
        ("--help", "backup"),
    ):
        with pytest.raises(SystemExit) as left:
            cli.main([argument])
        assert left.value.code == 0
        assert words in capsys.readouterr().out


@pytest.mark.parametrize("argv", [["rum"], ["--wrong"], ["sandbox", "--port", "x"], ["run", "now"], ["backup"]])
def test_a_wrong_command_line_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(argv)
    assert left.value.code == cli.USAGE
    assert "usage: dragoman" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ which command


@pytest.mark.parametrize(("token", "chosen"), [(None, "sandbox"), ("DISCORD_TOKEN", "run"), ("TELEGRAM_TOKEN", "run")])
def test_without_a_command_it_runs_where_a_token_is_set_and_is_tried_elsewhere(
    monkeypatch: pytest.MonkeyPatch, token: str | None, chosen: str
) -> None:
    called: list[tuple[str, list[str]]] = []

    def command(name: str) -> Callable[[Settings, Any], int]:
        def run(_: Settings, arguments: Any) -> int:
            called.append((name, sorted(vars(arguments))))
            return cli.OK

        return run

    monkeypatch.setattr(cli, "_commands", lambda: {name: command(name) for name in ("run", "sandbox", "doctor")})
    if token:
        monkeypatch.setenv(token, "1:x")
    assert cli.main([]) == cli.OK
    assert cli.main([chosen]) == cli.OK
    assert called[0] == called[1]  # with the command's own defaults
    assert called[0][0] == chosen


# ------------------------------------------------------------------------------------------------ what goes wrong


def test_run_without_a_token_names_both_variables_and_where_they_come_from(capsys: pytest.CaptureFixture[str]) -> None:
    said = wrong(capsys, "run", code=cli.USAGE)
    for words in ("DISCORD_TOKEN", "TELEGRAM_TOKEN", "@BotFather", "developer portal", "dragoman sandbox"):
        assert words in said


@pytest.mark.parametrize("command", ["run", "sandbox", "doctor", ""])
def test_wrong_settings_are_told_whatever_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setenv("ACCESS", "everybody")
    monkeypatch.setenv("DISCORD_TOKEN", CANARY)
    said = wrong(capsys, *([command] if command else []), code=cli.USAGE)
    assert said.startswith("dragoman: ")
    assert "ACCESS: " in said


def test_a_misspelt_variable_is_pointed_out_and_is_no_obstacle(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("DISCORD_TOKN", CANARY)
    said = wrong(capsys, "run", code=cli.USAGE)
    assert said.startswith("warning: DISCORD_TOKN is not a variable of Dragoman; did you mean DISCORD_TOKEN?")


def test_a_misspelt_variable_is_pointed_out_even_where_another_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEFUALT_PROVIDER", "netmind")
    monkeypatch.setenv("ACCESS", "everybody")
    said = wrong(capsys, "run", code=cli.USAGE)
    assert "did you mean DEFAULT_PROVIDER?" in said
    assert "ACCESS: " in said


async def test_a_line_of_the_file_that_can_not_be_read_is_told_once_and_by_us_alone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"DISCORD_TOKN=1\nTELEGRAM_TOKEN {CANARY}\n")
    # A process of its own: what a library logs before anything is set up goes to the real standard error.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli", "run", cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=asyncio.subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == cli.USAGE
    assert err.decode().splitlines() == ["dragoman: .env, line 2: takes NAME=value, and a quotation mark that opens must close."]


def test_a_provider_that_there_is_not_in_the_table_of_prices_is_pointed_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "prices.toml").write_text('[netmnd."*"]\nrequest = 1\n[segmind]\ncredit = 1\n')
    monkeypatch.setenv("PRICES_FILE", str(tmp_path / "prices.toml"))
    said = wrong(capsys, "run", code=cli.USAGE)
    assert said.startswith(f"warning: PRICES_FILE ({tmp_path / 'prices.toml'}): there is no provider netmnd, and its prices are not used; ")
    assert "did you mean netmind" in said
    assert said.count("warning") == 1


def test_a_file_in_another_encoding_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_bytes(f"DISCORD_TOKEN={CANARY}\nDEFAULT_MODEL=caf\xe9\n".encode("latin-1"))
    assert "UTF-8" in wrong(capsys, "run", code=cli.USAGE)


@pytest.mark.parametrize(
    ("values", "words", "code"),
    [
        ({}, "No provider is set up", cli.USAGE),
        ({"DEFAULT_PROVIDER": "segmind", "NETMIND_API_KEY": CANARY}, "SEGMIND_API_KEY", cli.USAGE),
        ({"NETMIND_API_KEY": CANARY, "TELEGRAM_TOKEN": f"no token {CANARY}"}, "TELEGRAM_TOKEN", cli.FAILED),
        ({"NETMIND_API_KEY": CANARY, "DATABASE_URL": "sqlite:////dev/null/d.db"}, "/dev/null", cli.FAILED),
    ],
)
def test_what_keeps_it_from_running_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], values: dict[str, str], words: str, code: int
) -> None:
    for name, value in {"TELEGRAM_TOKEN": f"1:{CANARY}", **values}.items():
        monkeypatch.setenv(name, value)
    said = wrong(capsys, "run", code=code)
    assert said.startswith("dragoman: ")
    assert words in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(("variable", "token"), [("TELEGRAM_TOKEN", CANARY), ("DISCORD_TOKEN", f"{CANARY} bar"), ("DISCORD_TOKEN", CANARY)])
@pytest.mark.parametrize("command", ["run", "doctor"])
def test_a_token_that_can_not_be_one_is_told_with_its_variable_and_form(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, variable: str, token: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv(variable, token)
    assert cli.main([command]) == cli.FAILED
    said = "".join(capsys.readouterr())
    assert f"{variable} does not look like a bot token" in said
    assert ": token: " not in said
    assert "a Telegram token is digits, a colon" in said or "a Discord bot token is three parts" in said
    assert CANARY not in said


async def test_a_second_bot_on_the_same_database_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("TELEGRAM_TOKEN", "1:x")
    store = SqliteStore(tmp_path / "data" / "d.db")
    await store.open()
    try:
        process = await start("run", {"TELEGRAM_TOKEN": "1:x", "NETMIND_API_KEY": "k"})
        _, err = await asyncio.wait_for(process.communicate(), 60)
    finally:
        await store.aclose()
    assert process.returncode == cli.FAILED
    assert err.decode().startswith("dragoman: ")
    assert len(err.decode().splitlines()) == 1


# ------------------------------------------------------------------------------------------------ doctor


async def test_doctor_tells_by_its_exit_code_whether_all_is_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with Outside() as outside:
        for name, value in environment({**outside.platform_settings(), **outside.provider_settings()}).items():
            monkeypatch.setenv(name, value)
        assert await asyncio.to_thread(cli.main, ["doctor"]) == cli.OK
        out, err = capsys.readouterr()
        assert "MEND" not in out
        assert err == ""
        monkeypatch.setenv("NETMIND_API_KEY", CANARY)
        assert await asyncio.to_thread(cli.main, ["doctor"]) == cli.FAILED
        out, err = capsys.readouterr()
    assert [line for line in out.splitlines() if line.startswith("MEND") and "netmind" in line]
    assert CANARY not in out + err


# ------------------------------------------------------------------------------------------------ backup


async def test_backup_works_beside_a_running_bot_and_says_size_and_schema(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "data" / "d.db")
    await store.open()
    try:
        assert await asyncio.to_thread(cli.main, ["backup", "b.db"]) == cli.OK
    finally:
        await store.aclose()
    out, err = capsys.readouterr()
    size = (tmp_path / "b.db").stat().st_size
    assert out == f"{tmp_path / 'b.db'}: {size / 1000:.1f} kB, schema {len(migrations())}\n"
    assert err == ""


def test_backup_overwrites_nothing_and_needs_a_database(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "b.db").write_text("precious")
    assert "exists already" in wrong(capsys, "backup", "b.db", code=cli.FAILED)
    assert (tmp_path / "b.db").read_text() == "precious"
    assert "There is no database" in wrong(capsys, "backup", "c.db", code=cli.FAILED)
    assert not (tmp_path / "c.db").exists()


# ------------------------------------------------------------------------------------------------ a real run


# ------------------------------------------------------------------------------------------------ retry


@pytest.mark.parametrize("running", [True, False])
async def test_retry_says_for_each_event_what_becomes_of_it(capsys: pytest.CaptureFixture[str], tmp_path: Path, *, running: bool) -> None:
    assert "DATABASE_URL" in wrong(capsys, "retry", "1", code=cli.FAILED)
    store = SqliteStore(tmp_path / "data" / "d.db")
    await store.open()
    for number in (1, 2):
        turn = await ask(store, str(number))
        await store.close(turn, TurnState.PARKED)
    if not running:
        await store.aclose()
    try:
        soon = "the running bot tries it again within seconds" if running else "no bot runs: the next start tries it again"
        for _ in range(2):
            assert cli.main(["retry", "2", "7"]) == cli.FAILED
            told = capsys.readouterr()
            assert told.out.splitlines() == [f"event 2: {soon}"]
            assert told.err.splitlines() == ["event 7: there is no event 7; parked are 2, 1 (`dragoman doctor` tells more)"]
        assert cli.main(["retry", "--all"]) == cli.OK
        assert capsys.readouterr().out.splitlines() == [f"event 1: {soon}", f"event 2: {soon}"]
    finally:
        await store.aclose()


def test_retry_of_nothing_is_told(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    asyncio.run(_made(tmp_path / "data" / "d.db"))
    assert cli.main(["retry", "--all"]) == cli.OK
    assert capsys.readouterr().out == "nothing is parked\n"
    assert cli.main(["retry", "9"]) == cli.FAILED
    assert capsys.readouterr().err == "event 9: there is no event 9; nothing is parked\n"


def test_what_retry_tries_again_has_one_name(capsys: pytest.CaptureFixture[str]) -> None:
    """`doctor` calls what could not be read "set aside", which `--all` does not try again."""
    with pytest.raises(SystemExit):
        cli.main(["retry", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "Try again what failed too often and was parked" in said
    assert "set aside" not in said
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "`PARK_AFTER_HOURS`) it is parked" in readme.replace("\n", " ")


@pytest.mark.parametrize("argv", [["retry"], ["retry", "one"], ["retry", "-1"], ["retry", "1", "--all"], ["retry", "9" * 30]])
def test_retry_needs_numbers_or_all(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(argv)
    assert ended.value.code == cli.USAGE
    assert "retry" in capsys.readouterr().err


async def _made(database: Path) -> None:
    store = SqliteStore(database)
    await store.open()
    await store.aclose()


async def start(command: str, values: Mapping[str, str]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bot.cli",
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT), **values},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> None:
    """Leave no process behind, however the test went."""
    if process.returncode is None:
        process.kill()
    await process.communicate()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_a_run_in_order(how: signal.Signals) -> None:
    async with Outside() as outside:
        values = environment({**outside.platform_settings(), **outside.provider_settings()})
        del values["DISCORD_TOKEN"]
        process = await start("run", values)
        assert process.stderr is not None
        said = ""
        try:
            async with asyncio.timeout(60):
                while "telegram is accepting messages" not in said:
                    line = (await process.stderr.readline()).decode()
                    assert line, said
                    said += line
                process.send_signal(how)
                said += (await process.communicate())[1].decode()
        finally:
            await ended(process)
    assert process.returncode == cli.OK
    assert "discord is off: DISCORD_TOKEN is not set" in said
    assert "Traceback" not in said
    assert not [value for name, value in values.items() if name.endswith(("TOKEN", "KEY")) and value in said]
