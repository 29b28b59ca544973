"""The bridge as a process of its own, pointed at a sandbox in this one."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sandbox.outside import Outside
from tests.support.clock import PATIENCE_SECONDS

ROOT = Path(__file__).parents[2]
START_SECONDS = 2 * PATIENCE_SECONDS
"""A start takes two seconds of processor time, of which a busy machine has little."""
KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
"""Of this process's environment nothing else reaches it."""


class BridgeProcess:
    """A running `dragoman run`. Its log is read as it comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.log = ""
        self._heard = asyncio.Event()
        self._reading = asyncio.create_task(self._read())

    async def says(self, words: str) -> None:
        """Return once its log holds `words`; fail if it ends before or takes too long."""
        async with asyncio.timeout(START_SECONDS):
            while words not in self.log:
                assert not self._reading.done(), self.log
                self._heard.clear()
                await self._heard.wait()

    def signal(self, how: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(how)

    async def ended(self) -> int:
        """Return its exit code."""
        async with asyncio.timeout(START_SECONDS):
            await self._reading
            return await self.process.wait()

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log += line.decode()
            self._heard.set()
        self._heard.set()


@asynccontextmanager
async def bridge_process(outside: Outside, database: Path, **values: Any) -> AsyncIterator[BridgeProcess]:
    """Start a bridge; both intakes accept when the block begins. It is killed at the end of the block if it still runs."""
    settings = {**outside.platform_settings(), **outside.provider_settings(), "access": "open", "local_model": "off"}
    settings |= {"database_url": f"sqlite:///{database}", **values}
    environment = {name: os.environ[name] for name in KEPT if name in os.environ} | {"PYTHONPATH": str(ROOT)}
    environment |= {name.upper(): str(value) for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bot.cli", "run", env=environment, cwd=database.parent, stderr=asyncio.subprocess.PIPE
    )
    running = BridgeProcess(process)
    try:
        for name in ("discord", "telegram"):
            await running.says(f"{name} is accepting messages")
        yield running
    finally:
        if process.returncode is None:
            process.kill()
        await running.ended()
