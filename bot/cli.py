"""The command line: `dragoman run | sandbox | doctor | backup | retry | usage`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from datetime import MAXYEAR, UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bot import collector, live, logs, texts
from bot.app import missing_tokens, open_bridge, secrets_of
from bot.bridge import BridgeError
from bot.doctor import examine
from bot.platforms.base import PlatformError, RefusedError
from bot.platforms.set_aside import why_never
from bot.report import KINDS, usage_table
from bot.settings import Settings, SettingsError, load, misspelt
from storage.backup import back_up
from storage.base import StoreError
from storage.wishes import want_again

OK, FAILED, USAGE = 0, 1, 2
"""Exit codes: done; something outside went wrong; something has to be set or mended first."""

LEAVE_SECONDS = 2.0
"""After a second signal the process is gone at the latest after so long."""
LEFT = "dragoman: left at once; what is open is taken up at the next start"
MOST_PORT = 65535
EVENT_DIGITS = 18
"""Longest number that is read as an event's: more would not fit the database."""
NOTHING_TO_RUN = """No platform is set up: {names} are both missing.
Put at least one of them into the environment or into .env (see .env.example):
  DISCORD_TOKEN   from the Discord developer portal: your application, page "Bot"
  TELEGRAM_TOKEN  from @BotFather in Telegram, command /newbot
Without any token `dragoman sandbox` lets you try the bot on this machine."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    try:
        for line in misspelt():  # before what is wrong: it may be the reason
            print(f"warning: {line}", file=sys.stderr)
        settings = load()
        if arguments.command is None:
            arguments = parser.parse_args([_default(settings)])
        if arguments.command != "doctor":  # which tells it among the other findings
            for line in settings.unused_prices:
                print(f"warning: {line}", file=sys.stderr)
        return _commands()[arguments.command](settings, arguments)
    except (SettingsError, StoreError, BridgeError, PlatformError, OSError) as error:
        print(f"dragoman: {error.words if isinstance(error, RefusedError) else error}", file=sys.stderr)
        return USAGE if isinstance(error, SettingsError) else FAILED
    except KeyboardInterrupt:
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dragoman",
        description="A chat bridge: Discord and Telegram on one side, language-model providers on the other.",
        epilog="Without a command: `run` if a platform token is set, else `sandbox`. Settings are environment variables, or lines of .env.",
    )
    parser.add_argument("--version", action="version", version=f"dragoman {version('dragoman')}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _command(commands, "run", "run the bot on the platforms that have a token")
    sandbox = _command(commands, "sandbox", "try the bot on this machine: a web page with a Discord channel and a Telegram chat")
    sandbox.add_argument("--port", type=_port, help="port of the page on 127.0.0.1 (default: 8023, or a free one if that is taken)")
    doctor = _command(commands, "doctor", "check settings, database, providers and platforms, and say what to mend")
    doctor.add_argument("--live", action="store_true", help="also ask each provider one small question, which it bills as usual")
    backup = _command(commands, "backup", "copy the database to FILE, also while the bot runs")
    backup.add_argument("file", metavar="FILE", type=Path, help="where the copy goes; it must not exist yet")
    retry = _command(
        commands,
        "retry",
        "try again what failed too often and was parked, also while the bot runs",
        "`dragoman doctor` lists it. A running bot does so within seconds. If none runs, the next one that starts does it first. "
        "What an older version could not read is read again if its number is given.",
    )
    used = _command(commands, "usage", "show what was used in a month, by day, person and provider, also while the bot runs")
    used.add_argument("--month", metavar="YYYY-MM", type=_month, help="the month, in UTC (default: this one)")
    used.add_argument("--by", choices=KINDS, default=KINDS[0], help=f"by what the sums of a day are split (default: {KINDS[0]})")
    which = retry.add_mutually_exclusive_group(required=True)
    which.add_argument("events", metavar="ID", type=_event, nargs="*", default=[], help="number of an event, as `dragoman doctor` shows it")
    which.add_argument("--all", action="store_true", help="everything that failed too often")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, what: str, more: str = ""
) -> argparse.ArgumentParser:
    """Add a command; its own help says the same of it as the list of commands does, and `more`."""
    return commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}. {more}")


def _month(text: str) -> tuple[int, int]:
    try:
        begins: datetime | None = datetime.strptime(text, "%Y-%m").replace(tzinfo=UTC)
    except ValueError:
        begins = None
    if begins is None or begins.year == MAXYEAR:  # whose last month has no day after it
        raise argparse.ArgumentTypeError(f"takes a month such as 2026-11, and {text!r} is none")
    return begins.year, begins.month


def _event(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > EVENT_DIGITS:
        raise argparse.ArgumentTypeError(f"takes the number of an event, and {text!r} is none; `dragoman doctor` shows them")
    return int(text)


def _port(text: str) -> int:
    if not text.isdigit() or int(text) > MOST_PORT:
        raise argparse.ArgumentTypeError(f"takes a number from 0 to {MOST_PORT}, and {text!r} is none")
    return int(text)


def _default(settings: Settings) -> str:
    return "sandbox" if missing_tokens(settings) else "run"


def _commands() -> dict[str, Callable[[Settings, argparse.Namespace], int]]:
    return {"run": _run, "sandbox": _sandbox, "doctor": _doctor, "backup": _backup, "retry": _retry, "usage": _usage}


def _run(settings: Settings, _: argparse.Namespace) -> int:
    missing = missing_tokens(settings)
    if missing:
        print(NOTHING_TO_RUN.format(names=" and ".join(missing)), file=sys.stderr)
        return USAGE
    logs.configure(settings.log_level, secrets_of(settings))
    collector.run_seldom()
    _until_signalled(lambda stop: _serve(settings, stop))
    return OK


async def _serve(settings: Settings, stop: asyncio.Event) -> None:
    log = logging.getLogger(__name__)
    async with open_bridge(settings) as bridge:
        log.info("providers: %s", ", ".join(provider.title for provider in bridge.providers.values()))
        for name, variable in (("discord", "DISCORD_TOKEN"), ("telegram", "TELEGRAM_TOKEN")):
            if name not in bridge.platforms:
                log.info("%s is off: %s is not set", name, variable)
        ready = partial(log.info, "%s is accepting messages")
        collector.leave_alone_what_is_there()
        await bridge.run(stop, ready, grace=settings.shutdown_grace_seconds)


def _sandbox(settings: Settings, arguments: argparse.Namespace) -> int:
    from sandbox.tryout import run  # noqa: PLC0415 - the one place of the bridge that knows the sandbox; nothing else should load it

    logs.configure(settings.log_level if settings.log_level != "info" else "warning", secrets_of(settings))
    _until_signalled(lambda stop: run(settings, stop, port=arguments.port, say=lambda line: print(line, flush=True)))
    return OK


def _doctor(settings: Settings, arguments: argparse.Namespace) -> int:
    logs.configure("error", secrets_of(settings))
    findings = asyncio.run(examine(settings, models=not arguments.live))
    for finding in findings:
        print(finding)
    fine = all(finding.fine for finding in findings)
    if arguments.live:
        print(f"\n{live.NOTICE}\n", flush=True)
        rows = asyncio.run(live.ask_live(settings))
        for row in rows:
            print(row)
        fine = fine and all(row.fine for row in rows)
    return OK if fine else FAILED


def _backup(settings: Settings, arguments: argparse.Namespace) -> int:
    copy = back_up(settings.database_path, arguments.file)
    print(f"{copy.path}: {texts.size(copy.size)}, schema {copy.schema}")
    return OK


def _retry(settings: Settings, arguments: argparse.Namespace) -> int:
    wishes = want_again(settings.database_path, None if arguments.all else arguments.events, why_never=why_never)
    soon = "the running bot tries it again within seconds" if wishes.in_use else "no bot runs: the next start tries it again"
    for event in wishes.taken:
        print(f"event {event}: {soon}")
    for refused in wishes.refused:
        print(f"event {refused.event}: {refused.why}", file=sys.stderr)
    if arguments.all and not wishes.taken:
        print("nothing is parked")
    return FAILED if wishes.refused else OK


def _usage(settings: Settings, arguments: argparse.Namespace) -> int:
    for line in usage_table(settings.database_path, arguments.month, arguments.by, settings.budgets):
        print(line)
    return OK


def _until_signalled(work: Callable[[asyncio.Event], Coroutine[Any, Any, None]]) -> None:
    """Run until SIGINT or SIGTERM asks for an orderly end; a second one leaves at once.

    Leaving gives calls in flight a moment to have their outcome recorded. Nothing is lost without it: what is open is taken up at the next
    start, as after a power cut.
    """

    async def supervised() -> None:
        stop = asyncio.Event()
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()

        def on_signal() -> None:
            if stop.is_set() and task is not None:
                task.cancel()
                loop.call_later(LEAVE_SECONDS, _leave)
            stop.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, on_signal)
        await work(stop)

    try:
        asyncio.run(supervised())
    except asyncio.CancelledError:
        print(LEFT, file=sys.stderr)


def _leave() -> None:
    print(LEFT, file=sys.stderr, flush=True)
    os._exit(OK)


if __name__ == "__main__":
    sys.exit(main())
