"""The sandbox and the bridge as processes of their own, and what the system tells of them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
END_SECONDS = 20.0
LINE_SECONDS = 120.0
LOG_CHARS = 2000
"""So much of a bridge's log is shown when something went wrong."""


class BenchError(Exception):
    """Something could not be measured."""


class World:
    """The sandbox's process. It takes orders and answers them, one line of JSON each."""

    def __init__(self, process: Process, environment: dict[str, str]) -> None:
        self.process = process
        self.environment = environment

    async def do(self, do: str, order: Mapping[str, Any] | None = None, *, patience: float = LINE_SECONDS) -> dict[str, Any]:
        """Send an order and return what came of it.

        Args:
            do: Its name.
            order: What belongs to it.
            patience: Seconds that the answer may take. Not the order's own, if it has something of this name.

        Raises:
            BenchError: It was refused, or took too long.
        """
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({**(order or {}), "do": do}).encode() + b"\n")
        answer = await _line(self.process, patience)
        if "error" in answer:
            raise BenchError(answer["error"])
        return answer


async def _line(process: Process, patience: float) -> dict[str, Any]:
    assert process.stdout is not None
    try:
        line = await asyncio.wait_for(process.stdout.readline(), patience)
    except TimeoutError:
        raise BenchError(f"the sandbox's process said nothing for {patience:g} s") from None
    if not line:
        raise BenchError("the sandbox's process ended")
    parsed: dict[str, Any] = json.loads(line)
    return parsed


@asynccontextmanager
async def world(module: str = "bench.world") -> AsyncIterator[World]:
    """Run the sandbox, in the form of this module."""
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", module, stdin=PIPE, stdout=PIPE, cwd=ROOT)
    try:
        yield World(process, await _line(process, LINE_SECONDS))
    finally:
        if process.stdin is not None:
            process.stdin.close()
        await end(process)


def environment(outside: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Return the environment of a bridge: nothing of this one but what a process needs to start at all."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT") if name in os.environ}
    own = {
        "LOCAL_MODEL": "off",
        "ACCESS": "open",
        "MERGE_WINDOW_SECONDS": "0",
        "DATABASE_URL": f"sqlite:///{folder / 'bench.db'}",
        "SHUTDOWN_GRACE_SECONDS": "10",
    }
    return {**kept, "PYTHONPATH": str(ROOT), **outside, **own}


@dataclass(frozen=True, slots=True)
class Running:
    """A bridge that was started at `started`, epoch seconds, and writes its log to `log`."""

    process: Process
    started: float
    log: Path


@asynccontextmanager
async def bridge(outside: Mapping[str, str], *arguments: str) -> AsyncIterator[Running]:
    """Run a bridge with a clean environment and an empty database until the block ends; `outside` points it at the sandbox.

    Raises:
        BenchError: With the end of the bridge's log, if something in the block did.
    """
    with tempfile.TemporaryDirectory(prefix="dragoman-bench-") as name:
        folder = Path(name)
        values, log = environment(outside, folder), folder / "log"
        with log.open("wb") as stderr:
            started = time.time()
            process = await asyncio.create_subprocess_exec(sys.executable, *arguments, env=values, cwd=folder, stdout=PIPE, stderr=stderr)
        try:
            yield Running(process, started, log)
        except BenchError as error:
            raise BenchError(f"{error}\nThe bridge said:\n{log.read_text()[-LOG_CHARS:]}") from None
        finally:
            await end(process)


async def end(process: Process) -> None:
    """Ask a process to end, and make it end if it does not."""
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), END_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


def processor_seconds(pid: int) -> float | None:
    """Return the processor time used so far, user and system, None where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except OSError:
        return None
    user, system = text.rpartition(")")[2].split()[11:13]  # after the name, which may hold blanks; proc(5)
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def peak_megabytes(pid: int) -> float | None:
    """Return the most memory that was ever resident, in MB (10^6 bytes), None where the system does not tell."""
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB$", text, re.MULTILINE)
    return int(found[1]) * 1024 / 1e6 if found else None
