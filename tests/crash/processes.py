"""The two processes that are tested with: the sandbox, and the bridge that is killed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sqlite3
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LINE_SECONDS = 300.0
START_SECONDS = 60.0
END_SECONDS = 30.0


class CrashTestError(Exception):
    """The test itself could not go on: a process ended, or did not begin."""


class World:
    """The sandbox's process.

    Attributes:
        environment: Points a bridge at it.
        chats: Names of the ten chats.
    """

    def __init__(self, process: Process, said: dict[str, Any]) -> None:
        self._process = process
        self.environment: dict[str, str] = said["environment"]
        self.chats: list[str] = said["chats"]

    async def do(self, order: str, **parameters: Any) -> dict[str, Any]:
        """Send an order and return what came of it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": order, **parameters}).encode() + b"\n")
        answer = await _line(self._process)
        if "error" in answer:
            raise CrashTestError(f"{order}: {answer['error']}")
        return answer


async def _line(process: Process) -> dict[str, Any]:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), LINE_SECONDS)
    if not line:
        raise CrashTestError("the sandbox's process ended")
    parsed: dict[str, Any] = json.loads(line)
    return parsed


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    """Run the sandbox."""
    # A report is one line, and long.
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.crash.world", stdin=PIPE, stdout=PIPE, cwd=ROOT, limit=1 << 28
    )
    try:
        yield World(process, await _line(process))
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), END_SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()


class Bot:
    """The bridge's process, started again and again on one database.

    Args:
        outside: The sandbox it talks to.
        folder: Holds its database and its log.
        mutation: A fault to put into it.
        settings: Environment variables beside those that it needs.

    Attributes:
        nonce_seconds: So long it trusts Discord's nonces; None: as long as users' bridges do.
    """

    def __init__(self, outside: World, folder: Path, *, mutation: str | None = None, **settings: str) -> None:
        self._outside = outside
        self._folder = folder
        self._mutation = mutation
        self.nonce_seconds: float | None = None
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT") if name in os.environ}
        own = {"LOCAL_MODEL": "off", "ACCESS": "open", "MERGE_WINDOW_SECONDS": "0", "DATABASE_URL": f"sqlite:///{self.database}"}
        self._environment = {**kept, "PYTHONPATH": str(ROOT), **outside.environment, **own, **settings}
        self._process: Process | None = None

    @property
    def database(self) -> Path:
        return self._folder / "crash.db"

    @property
    def log(self) -> str:
        """The end of what it said."""
        return (self._folder / "log").read_text(errors="replace")[-6000:]

    async def start(self, *, points: bool, at: str | None = None) -> None:
        """Start it as a user would or, to be killed at named points, through the launcher; return at once."""
        command = ["-m", "bot.cli", "run"]
        if points or at or self._mutation or self.nonce_seconds is not None:
            chosen = {"--at": at, "--mutation": self._mutation, "--nonce-seconds": self.nonce_seconds}
            options = [part for name, value in chosen.items() if value is not None for part in (name, str(value))]
            command = ["-m", "tests.crash.launcher", *options, "run"]
        stdin = PIPE if points else DEVNULL
        with (self._folder / "log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, *command, env=self._environment, cwd=self._folder, stdin=stdin, stdout=PIPE, stderr=log
            )

    async def ready(self) -> None:
        """Return once it takes events on both platforms.

        Raises:
            CrashTestError: It ended, or did not come so far.
        """
        accepting, ended = (
            asyncio.ensure_future(self._outside.do("accepting", seconds=START_SECONDS)),
            asyncio.ensure_future(self._running.wait()),
        )
        try:
            await asyncio.wait({accepting, ended}, return_when=asyncio.FIRST_COMPLETED)
            if not accepting.done():
                raise CrashTestError(f"the bridge ended with {self._running.returncode}:\n{self.log}")
            await accepting
        finally:
            accepting.cancel()
            ended.cancel()
            await asyncio.gather(accepting, ended, return_exceptions=True)

    async def arm(self, point: str, passings: int) -> None:
        """Have it killed at a point."""
        process = self._running
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{point} {passings}\n".encode())
        if await asyncio.wait_for(process.stdout.readline(), START_SECONDS) != b"armed\n":
            raise CrashTestError(f"the bridge could not be armed:\n{self.log}")

    async def died(self, seconds: float) -> bool:
        """Tell whether it was killed within some time."""
        try:
            await asyncio.wait_for(self._running.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def terminate(self) -> None:
        """Ask it to end in order."""
        if self._running.returncode is None:
            self._running.send_signal(signal.SIGTERM)

    async def kill(self) -> bool:
        """`kill -9`; return once the stand-ins have noticed. False: it had ended by itself before."""
        process = self._running
        if process.returncode is None:
            process.kill()
        await process.wait()
        await self._outside.do("gone", seconds=START_SECONDS)
        return process.returncode == -signal.SIGKILL

    async def end(self) -> None:
        """End in order."""
        if self._process is None or self._process.returncode is not None:
            return
        self.terminate()
        if not await self.died(END_SECONDS):
            await self.kill()

    async def rest(self) -> None:
        """End in order, as if a day passed until the next start: the sessions opened with Discord count no more."""
        await self.end()
        with closing(sqlite3.connect(self.database)) as connection, connection:
            connection.execute("DELETE FROM setting WHERE key LIKE 'identifies:%'")

    def read(self) -> Remains:
        """Read what a dead process left in its database, without touching that."""
        with tempfile.TemporaryDirectory(prefix="dragoman-crash-") as name:
            for part in ("", "-wal"):
                if (source := self.database.with_name(self.database.name + part)).exists():
                    shutil.copy(source, Path(name) / f"copy.db{part}")
            with closing(sqlite3.connect(Path(name) / "copy.db")) as connection:
                return Remains(connection)

    @property
    def _running(self) -> Process:
        assert self._process is not None
        return self._process


class Remains:
    """What a dead process left.

    Attributes:
        accepted: Keys of the events that were committed.
        turns: How many there are.
        set_aside: How many events could not be read.
        miscounted: What is wrong with the sums of usage: an answered turn that is not counted, sums that are not those of the turns.
        unrecorded: Rows of pages that may have been made without their message's id being stored, on platforms where nothing tells.
        unnoted: The same on Discord, where something tells, but for follow-ups.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.accepted = {str(key) for (key,) in _rows(connection, "SELECT key FROM event")}
        nameless = _rows(connection, "SELECT d.id, c.platform FROM delivery d JOIN chat c ON c.id = d.chat WHERE d.message_id IS NULL")
        self.unrecorded = {int(row) for row, platform in nameless if platform == "telegram"}
        self.unnoted = {int(row) for row, platform in nameless if platform == "discord"}
        self.turns = len(_rows(connection, "SELECT id FROM turn"))
        self.set_aside = len(_rows(connection, "SELECT id FROM event WHERE kind = 'unreadable'"))
        self.miscounted = _miscounted(connection)

    def accepts(self, message: str) -> bool:
        """Tell whether the event with a Discord message's or interaction's id was committed."""
        return any(key.startswith("discord:") and key.endswith(f":{message}") for key in self.accepted)


def _miscounted(connection: sqlite3.Connection) -> list[str]:
    uncounted = _rows(
        connection, "SELECT id FROM turn WHERE state = 'done' AND id NOT IN (SELECT turn FROM usage WHERE NOT reserved AND day IS NOT NULL)"
    )
    (turns,) = _rows(connection, "SELECT COUNT(*), SUM(input_tokens), SUM(output_tokens), SUM(estimated), SUM(possibly_double) FROM usage")
    (sums,) = _rows(
        connection,
        "SELECT SUM(questions), SUM(input_tokens), SUM(output_tokens), SUM(estimated), SUM(possibly_double)"
        " FROM tally WHERE subject = 'all'",
    )
    wrong = [f"turn {turn} is not counted" for (turn,) in uncounted]
    return wrong if turns == sums else [*wrong, f"the turns used {turns}, the sums are {sums}"]


def _rows(connection: sqlite3.Connection, sql: str) -> Sequence[Any]:
    return connection.execute(sql).fetchall()
