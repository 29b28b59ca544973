"""A store on a disk of its own: `unshare --user --map-root-user --mount python -m tests.support.small_disk WHAT FOLDER`.

Mounts a small file system in memory, which only this process sees, lets it run full or turn read-only, and prints as JSON what came about.
"""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from sandbox.outside import Outside
from sandbox.providers import ScriptedVoice
from storage.base import Store, StoreError, StoreUnavailableError
from storage.sqlite import SqliteStore
from tests.support.bridge import CHATS, answers, eventually, running_bridge, until_said
from tests.support.stores import HERE, message, opened

SIZE = "16m"
BALLAST_BYTES = 6_000_000
TEXT = "words " * 2000


def mount(folder: Path, *options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([f"size={SIZE}", *options]), "tmpfs", str(folder)], check=True)


def remount(folder: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(folder)], check=True)


async def refusal(work: Awaitable[Any]) -> str:
    try:
        await work
    except StoreUnavailableError as error:
        return str(error)
    return "it was not refused"


async def fill(store: Store, accepted: list[str]) -> str:
    """Accept questions until one is refused; return the refusal."""
    for number in range(10_000):
        key = f"q{len(accepted)}-{number}"
        try:
            await store.accept(message(key, text=TEXT))
        except StoreUnavailableError as error:
            return str(error)
        accepted.append(key)
    return "it was never full"


async def known(store: Store, keys: list[str]) -> bool:
    """Tell whether all of these were accepted: each is a duplicate now."""
    return [await store.accept(message(key)) for key in keys] == [None] * len(keys)


def stuff(ballast: Path) -> None:
    """Write a file that takes what room there is."""
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"x" * 4096)


async def full(folder: Path) -> dict[str, Any]:
    mount(folder)
    (folder / "ballast").write_bytes(b"x" * BALLAST_BYTES)
    accepted: list[str] = []
    async with opened(SqliteStore(folder / "d.db")) as store:
        told = await fill(store, accepted)
        late = f"late-{len(accepted)}"
        again = await refusal(store.accept(message(late, text=TEXT)))
        readable = await store.next_chat(1) == HERE
        (folder / "ballast").unlink()
        mended = await store.accept(message(late, text=TEXT)) is not None
        accepted.append(late)
    async with opened(SqliteStore(folder / "d.db")) as store:
        entries, turns = await store.counts(1)
        whole = await known(store, accepted)
    counts = {"accepted": len(accepted), "entries": entries, "turns": turns}
    return {"told": told, "again": again, "readable": readable, "mended": mended, "known": whole, **counts}


async def full_at_start(folder: Path) -> dict[str, Any]:
    mount(folder)
    stuff(folder / "ballast")
    told = await refusal(SqliteStore(folder / "d.db").open())
    (folder / "ballast").unlink()
    async with opened(SqliteStore(folder / "d.db")) as store:
        mended = await store.accept(message("q")) is not None
    return {"told": told, "mended": mended}


async def full_bridge(folder: Path) -> dict[str, Any]:
    """Let the disk of the whole bridge run full under its questions, and give it room again."""
    mount(folder)
    told = Told()
    logging.getLogger().addHandler(told)
    questions = [f"question {number} {'word ' * 300}".strip() for number in range(4)]
    async with Outside(voice=ScriptedVoice()) as outside, running_bridge(outside, folder / "d.db"):
        chats = [make(outside) for make in CHATS.values()]
        for chat in chats:
            await chat.say("before")
            await until_said(chat, "heard: before")
        stuff(folder / "ballast")
        for question in questions:
            for chat in chats:
                await chat.say(question)
        await eventually(lambda: told.sentences, "a clear sentence in the log")
        unconfirmed = len(outside.telegram._updates.pending)
        answered = [answers(chat) for chat in chats]
        (folder / "ballast").unlink()
        await eventually(lambda: all(answers(chat) == [0, 1, 2, 3] for chat in chats), "every question answered once, in order")
    return {"told": told.sentences[0], "unconfirmed": unconfirmed, "answered while full": answered}


class Told(logging.Handler):
    """Keeps what is logged of a full disk."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.sentences: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if "The disk is full" in record.getMessage():
            self.sentences.append(record.getMessage())


async def read_only(folder: Path) -> dict[str, Any]:
    mount(folder)
    async with opened(SqliteStore(folder / "d.db")) as store:
        await store.accept(message("q"))
    remount(folder, "ro")
    told = await refusal(SqliteStore(folder / "d.db").open())
    remount(folder, "rw")
    async with opened(SqliteStore(folder / "d.db")) as store:
        whole = await known(store, ["q"])
    return {"told": told, "known": whole}


SCENES: dict[str, Callable[[Path], Awaitable[dict[str, Any]]]] = {
    "full": full,
    "full_at_start": full_at_start,
    "full_bridge": full_bridge,
    "read_only": read_only,
}


async def main() -> int:
    what, folder = sys.argv[1:]
    try:
        seen = await SCENES[what](Path(folder))
    except StoreError as error:
        seen = {"failed": str(error)}
    sys.stdout.write(json.dumps(seen))
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
