"""The crash test finds every place of the bridge at which it kills: whoever moves one hears of it at once."""

from __future__ import annotations

import asyncio
import sys


async def test_every_named_point_can_be_put_into_the_bridge() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.crash.launcher", "--version", stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert out.startswith(b"dragoman ")
