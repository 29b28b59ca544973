"""What durability costs, and whether a long past does: `python -m bench.durability [--only PART] [--quick] [--json] [--strict]`.

First text: from a person's message to the first text of the answer that is visible in the chat, through the whole bridge on the
sandbox's Telegram, with a provider that answers at once. The same questions are asked of three bridges that take turns: SQLite's
synchronous=OFF, FULL as it runs, and FULL on a disk whose every sync takes some milliseconds more (each COMMIT that waits for the disk is
held up so long; the real syncs are made, too). How long one sync of this disk takes by itself is measured beside it.

Start of a turn: what it takes to accept a question, claim its turn and read the newest entries, in the store alone. A conversation of 10
messages against one of 100,000, and one of 10 in a small database against one of 10 in a database of 1,000,000, always reading as many
entries of both; then all that a request takes (400 entries) of a conversation of 500 and of the long one.

Question to request: through the whole bridge, from a person's message to the provider's having the request, in the large database, and how
long the processor worked meanwhile. Each question to a conversation of 10 messages goes to another one, so that it has no more. With the
default model all that is considered of a conversation (400 entries) fits the window and is sent: how much of what a long one takes longer
that accounts for is told by one of 400 messages, of which as many are sent.

What was said is kept at hand between the questions of a conversation. The long ones are asked some times before they are measured, and then
it is at hand (warm). The conversations of 10 messages are asked for the first time, and then it is not; each is asked once more, to compare
warm with warm. Then the same with nothing kept: each question is as the first one after a start (cold). A figure ends when the request
arrives at the stand-in for the provider: what sending it takes of that is told by a bare client that sends the same bodies.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias
from unittest.mock import patch

import aiohttp

from bench.chats import Chats, TelegramChats
from bench.filling import Past, fill
from bot.app import open_bridge
from bot.settings import load
from bot.transcript import ENTRIES_READ
from sandbox.outside import Outside
from storage.base import ChatAddress, EventKind, NewEvent, NewTurn, TurnAnswer, TurnState
from storage.sqlite import SqliteStore

PATIENCE_SECONDS = 30.0
REST_SECONDS = 1.2
"""Between two questions in one chat: its budget is full again."""
PAUSE_SECONDS = 0.03
"""What follows the first text is not to be in the way of the next question."""
WARM_UP = 3
SHARED_ENTRIES = 10
"""So many entries are read in both conversations that are compared: the smaller has no more."""
MOST_ADDED_MS, MOST_RATIO = 5.0, 1.2


class SlowDisk(sqlite3.Connection):
    """Holds up every COMMIT that waits for the disk, in SQLite's own thread, as a disk does whose sync takes `seconds` longer."""

    seconds = 0.0
    waits = True

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql.startswith("PRAGMA synchronous = "):
            self.waits = sql.endswith("FULL")
        if sql == "COMMIT" and self.waits:
            time.sleep(self.seconds)
        return super().execute(sql, parameters)


def sync_ms(folder: Path, times: int = 100) -> float:
    """Return the median of milliseconds that this disk takes to make some written bytes last."""
    taken = []
    with (folder / "sync").open("wb", buffering=0) as file:
        for _ in range(times):
            file.write(b"x" * 4096)
            began = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1000


@dataclass(frozen=True, slots=True)
class Mode:
    """How the database is kept."""

    name: str
    synchronous: str
    sync_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One figure. `limit` is what it may be at most, None if it is only reported."""

    what: str
    value: float
    unit: str
    limit: float | None = None

    @property
    def over(self) -> bool:
        return self.limit is not None and self.value > self.limit

    def __str__(self) -> str:
        word = "" if self.limit is None else f"  {'OVER' if self.over else 'ok'} (limit {self.limit:g} {self.unit})"
        return f"{self.what:<76}{self.value:>9.2f} {self.unit}{word}"


@asynccontextmanager
async def bridge(outside: Outside, database: Path, mode: Mode, *, at_hand: bool = True) -> AsyncIterator[None]:
    """Run the bridge on the sandbox; both intakes accept when the block begins. `at_hand`: It keeps what was said between questions."""
    values = {
        **outside.platform_settings(),
        **outside.provider_settings(),
        "access": "open",
        "local_model": "off",
        "discord_token": None,
        "merge_window_seconds": 0,
    }
    settings = load(None, **values, database_url=f"sqlite:///{database}", default_provider="netmind", log_level="error")
    with ExitStack() as patches:
        patches.enter_context(patch("bot.app.SqliteStore", partial(SqliteStore, synchronous=mode.synchronous)))
        if not at_hand:
            patches.enter_context(patch("bot.past.KEPT_BYTES", 0))
        if mode.sync_seconds:
            patches.enter_context(patch.object(SlowDisk, "seconds", mode.sync_seconds))
            patches.enter_context(patch("sqlite3.connect", partial(sqlite3.connect, factory=SlowDisk)))
        async with open_bridge(settings) as running:
            stop, ready = asyncio.Event(), set[str]()
            task = asyncio.create_task(running.run(stop, ready.add))
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while ready != set(running.platforms):  # noqa: ASYNC110 - told by a set
                        await asyncio.sleep(0.02)
                    await outside.telegram.connected()
                yield
            finally:
                stop.set()
                await task


async def first_text(chats: Chats, chat: str, text: str) -> float:
    """Ask; return the seconds until something of the bot is visible in the chat."""
    seen: asyncio.Future[float] = asyncio.get_running_loop().create_future()

    def heard(where: str, shown: str) -> None:
        if where == chat and shown and not seen.done():
            seen.set_result(time.perf_counter())

    chats.watch(heard)
    asked = time.perf_counter()
    await chats.say(chat, text)
    try:
        return await asyncio.wait_for(seen, PATIENCE_SECONDS) - asked
    finally:
        chats.watch(None)


async def modes(folder: Path, questions: int, slow: float) -> list[Finding]:
    """Compare the ways to keep the database. Every question is the first in a chat of its own; three bridges take turns with each."""
    kept = (
        Mode("synchronous=OFF", "OFF"),
        Mode("synchronous=FULL", "FULL"),
        Mode(f"FULL, a sync takes {slow * 1000:g} ms more", "FULL", slow),
    )
    times: dict[Mode, list[float]] = {mode: [] for mode in kept}
    async with AsyncExitStack() as stack:
        places: dict[Mode, Chats] = {}
        for number, mode in enumerate(kept):
            outside = await stack.enter_async_context(Outside())
            await stack.enter_async_context(bridge(outside, folder / f"{number}.db", mode))
            places[mode] = TelegramChats(outside, groups=False)
        for number in range(WARM_UP + questions):
            for mode in (*kept[number % 3 :], *kept[: number % 3]):
                took = await first_text(places[mode], places[mode].new(), f"question {number}")
                if number >= WARM_UP:
                    times[mode].append(took * 1000)
                await asyncio.sleep(PAUSE_SECONDS)
    off, full, slowed = (statistics.median(taken) for taken in times.values())
    added = [one - other for one, other in zip(times[kept[1]], times[kept[0]], strict=True)]
    return [
        Finding("one sync of this disk, p50", sync_ms(folder), "ms"),
        *(Finding(f"first text, {mode.name}, p50", statistics.median(taken), "ms") for mode, taken in times.items()),
        Finding("  FULL takes longer than OFF by, p50 against p50", full - off, "ms", MOST_ADDED_MS),
        Finding("  the same, p50 of the differences between neighbours", statistics.median(added), "ms", MOST_ADDED_MS),
        Finding("  the slower disk takes longer than OFF by, p50 against p50", slowed - off, "ms"),
    ]


def address(name: str) -> ChatAddress:
    return ChatAddress("past", "bot", name)


@dataclass(frozen=True, slots=True)
class Case:
    """A conversation in a database, of which so many entries are read."""

    store: SqliteStore
    chat: str
    entries: int

    async def start(self) -> tuple[float, float]:
        """Start a turn; return how many seconds passed and how many the processor worked."""
        asked = NewTurn('[{"type": "text", "text": "and now?"}]', None, "7", "Ada")
        event = NewEvent(f"{time.time_ns()}", EventKind.MESSAGE, address(self.chat), "{}", asked)
        began, worked = time.perf_counter(), time.process_time()
        accepted = await self.store.accept(event)
        assert accepted is not None
        turn = await self.store.claim(accepted.conversation)
        assert turn is not None
        await self.store.transcript(turn, self.entries)
        await self.store.last_entry(turn.conversation, turn.id)
        took = time.perf_counter() - began, time.process_time() - worked
        await self.store.answered(turn, TurnAnswer("yes", '[{"type": "text", "text": "yes"}]', "{}", "netmind", "model", None))
        await self.store.close(turn, TurnState.DONE)
        return took


async def compared(what: str, one: Case, other: Case, rounds: int) -> list[Finding]:
    """Start turns in two conversations in turn; return the medians in milliseconds and how they compare."""
    times: tuple[list[tuple[float, float]], list[tuple[float, float]]] = ([], [])
    for number in range(WARM_UP + rounds):
        for case, taken in zip((one, other), times, strict=True):
            took = await case.start()
            if number >= WARM_UP:
                taken.append(took)
    (passed, worked), (others_passed, others_worked) = (
        [statistics.median(values) * 1000 for values in zip(*taken, strict=True)] for taken in times
    )
    return [
        Finding(f"start of a turn, {what}, the smaller, p50", passed, "ms"),
        Finding(f"start of a turn, {what}, the larger, p50", others_passed, "ms"),
        Finding("  ratio", others_passed / passed, "x", MOST_RATIO),
        Finding("  ratio of the processor's time", others_worked / worked, "x", MOST_RATIO),
    ]


async def pasts(folder: Path, long: int, large: int, rounds: int) -> list[Finding]:
    """Compare conversations and databases of different size, in the store alone."""
    small_file, large_file = folder / "small.db", folder / "large.db"
    others = [Past(address(f"other{number}"), 1000) for number in range(max(0, large - long) // 1000)]
    for file, more in ((small_file, []), (large_file, [Past(address("long"), long), *others])):
        await _make(file, [Past(address("ten"), SHARED_ENTRIES), Past(address("500"), 500), *more])
    with closing(sqlite3.connect(large_file)) as connection:
        (count,) = connection.execute("SELECT COUNT(*) FROM entry").fetchone()
    few, all_ = SHARED_ENTRIES, ENTRIES_READ
    async with AsyncExitStack() as stack:
        small, big = SqliteStore(small_file), SqliteStore(large_file)
        for store in (small, big):
            await store.open()
            stack.push_async_callback(store.aclose)
        return [
            Finding("messages in the large database", count, ""),
            Finding("size of the large database", large_file.stat().st_size / 1e6, "MB"),
            *await compared(f"{few} messages against {long}", Case(big, "ten", few), Case(big, "long", few), rounds),
            *await compared(f"database of 510 against {count}", Case(small, "ten", few), Case(big, "ten", few), rounds),
            *await compared(f"with {all_} entries, 500 against {long}", Case(big, "500", all_), Case(big, "long", all_), rounds),
        ]


class Arrivals:
    """Stands in for a stand-in's clock, which tells when a request's head is there, and notes how long the processor had worked by then."""

    def __init__(self) -> None:
        self._worked: dict[float, float] = {}

    def __call__(self) -> float:
        now = time.time()
        self._worked[now] = time.process_time()
        return now

    def worked(self, at: float) -> float:
        """Return the processor's seconds at a moment that was told."""
        return self._worked[at]


Times: TypeAlias = dict[str, list[tuple[float, float]]]
"""What was asked → of each question, how many seconds passed and how many the processor worked until the provider had the request."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Asks conversations of one large database through the whole bridge."""

    outside: Outside
    chats: TelegramChats
    arrivals: Arrivals
    bodies: dict[str, Any]

    async def ask(self, what: str, chat: str) -> tuple[float, float]:
        """Ask; return the seconds until the provider has the request, and those that the processor worked. The body is noted."""
        began, worked = time.time(), time.process_time()
        await first_text(self.chats, chat, "and now?")
        call = self.outside.netmind.calls_to("POST", "/chat/completions")[-1]
        self.bodies[what] = call.body
        return call.at - began, self.arrivals.worked(call.at) - worked

    async def in_turn(self, talks: Sequence[Mapping[str, str]]) -> Times:
        """Ask rounds of conversations, by what they are; they take turns in who comes first. The first rounds don't count."""
        times: Times = {what: [] for what in talks[0]}
        for number, talk in enumerate(talks):
            asked = list(talk.items())
            first = number % len(asked)
            for what, chat in (*asked[first:], *asked[:first]):
                took = await self.ask(what, chat)
                if number >= WARM_UP:
                    times[what].append(took)
                await asyncio.sleep(REST_SECONDS / len(asked))
        return times

    async def bare(self, whats: Sequence[str], times: int) -> Times:
        """Send the same bodies by nothing but a client that has them as bytes already."""
        url = f"{self.outside.netmind.base_url}/chat/completions"
        headers = {"Authorization": f"Bearer {self.outside.provider_settings()['netmind_api_key']}", "Content-Type": "application/json"}
        written = {what: json.dumps(self.bodies[what]).encode() for what in whats}
        taken: Times = {what: [] for what in whats}
        async with aiohttp.ClientSession() as session:
            for number in range(WARM_UP + times):
                for what, body in written.items():
                    began, worked = time.time(), time.process_time()
                    async with session.post(url, data=io.BytesIO(body), headers=headers) as response:
                        await response.read()
                    call = self.outside.netmind.calls_to("POST", "/chat/completions")[-1]
                    if number >= WARM_UP:
                        taken[what].append((call.at - began, self.arrivals.worked(call.at) - worked))
        return taken


async def turns_with_a_past(folder: Path, long: int, large: int, questions: int) -> list[Finding]:
    """Compare conversations of one large database through the whole bridge."""
    file, arrivals = folder / "bridge.db", Arrivals()
    few, many, most, again = str(SHARED_ENTRIES), str(ENTRIES_READ), str(long), "again"
    async with Outside() as outside:
        outside.netmind.now = arrivals
        chats = TelegramChats(outside, groups=False)
        account = str(outside.telegram.bot_id)
        rounds = WARM_UP + questions
        fresh, later = ([chats.new() for _ in range(rounds + more)] for more in (2, 0))
        kept = {many: chats.new(), most: chats.new()}
        sizes = {**dict.fromkeys([*fresh, *later], SHARED_ENTRIES), kept[many]: ENTRIES_READ, kept[most]: long}
        others = [Past(address(f"other{number}"), 1000) for number in range(max(0, large - long) // 1000)]
        await _make(file, [*(Past(ChatAddress("telegram", account, chat), size) for chat, size in sizes.items()), *others])
        asking = Asking(outside, chats, arrivals, {})
        async with bridge(outside, file, Mode("FULL", "FULL")):
            warm = await asking.in_turn([{few: new, again: former, **kept} for former, new in zip(fresh, fresh[2:], strict=False)])
        async with bridge(outside, file, Mode("FULL", "FULL"), at_hand=False):
            cold = await asking.in_turn([{few: chat, most: kept[most]} for chat in later])
        bare = await asking.bare([few, most], questions)
    sent = {what: len(body["messages"]) for what, body in asking.bodies.items()}
    return [
        *bridge_findings(
            {int(what): warm[what] for what in (few, many, most)}, {int(what): sent[what] for what in (few, many, most)}, long
        ),
        *again_findings(warm[most], warm[again], long, sent[again]),
        *cold_findings(cold[few], cold[most], long),
        *bare_findings(bare[few], bare[most], (sent[few], sent[most])),
    ]


def _medians(taken: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Return the medians of milliseconds that passed and that the processor worked."""
    passed, worked = (statistics.median(one) * 1000 for one in zip(*taken, strict=True))
    return passed, worked


def again_findings(most: Sequence[tuple[float, float]], again: Sequence[tuple[float, float]], long: int, sent: int) -> list[Finding]:
    (passed, worked), (others, others_worked) = _medians(most), _medians(again)
    return [
        Finding(f"warm, too: 12 messages stored, {sent} sent, asked for the second time, p50", others, "ms"),
        Finding("  the processor works", others_worked, "ms"),
        Finding(f"  ratio, warm to warm, of {long} to these", passed / others, "x"),
        Finding("  the same of the processor's time", worked / others_worked, "x"),
    ]


def cold_findings(few: Sequence[tuple[float, float]], most: Sequence[tuple[float, float]], long: int) -> list[Finding]:
    (passed, worked), (others, others_worked) = _medians(most), _medians(few)
    return [
        Finding(f"cold, as the first question after a start: {SHARED_ENTRIES} messages stored, p50", others, "ms"),
        Finding("  the processor works", others_worked, "ms"),
        Finding(f"cold, as the first question after a start: {long} messages stored, p50", passed, "ms"),
        Finding("  the processor works", worked, "ms"),
        Finding(f"  ratio, cold, of {long} to {SHARED_ENTRIES}", passed / others, "x"),
        Finding("  the same of the processor's time", worked / others_worked, "x"),
    ]


def bare_findings(few: Sequence[tuple[float, float]], most: Sequence[tuple[float, float]], sent: tuple[int, int]) -> list[Finding]:
    (passed, worked), (others, others_worked) = _medians(most), _medians(few)
    return [
        Finding(f"outside the bridge: a bare client's request of {sent[1]} messages, p50", passed, "ms"),
        Finding(f"  that is more than with {sent[0]} by", passed - others, "ms"),
        Finding("  of the processor's time", worked - others_worked, "ms"),
    ]


def bridge_findings(times: dict[int, list[tuple[float, float]]], sent: dict[int, int], long: int) -> list[Finding]:
    """Say how conversations of different length compare.

    Args:
        times: Messages stored → (seconds that passed, seconds that the processor worked) of each question.
        sent: Messages stored → messages of a request.
        long: Messages stored of the longest.
    """
    passed, worked = ({size: statistics.median(one) * 1000 for size, one in _columns(times, place)} for place in (0, 1))
    few, as_many = SHARED_ENTRIES, ENTRIES_READ
    found = []
    for size in times:
        found.append(Finding(f"question to request, {size} messages stored, {sent[size]} sent, p50", passed[size], "ms"))
        found.append(Finding("  the processor works", worked[size], "ms"))
    for what, figures, limit in (("", passed, MOST_RATIO), ("  the same of the processor's time", worked, None)):
        found.append(Finding(what or f"  ratio of {long} stored to {few}", figures[long] / figures[few], "x", limit))
    for what, figures in (("", passed), ("  the same of the processor's time", worked)):
        ratio = figures[long] / figures[as_many]
        found.append(Finding(what or f"  ratio of {long} stored to {as_many}, of which as many are sent", ratio, "x", MOST_RATIO))
    more, sending = worked[long] - worked[few], worked[as_many] - worked[few]
    share = 100 * sending / more if more > 0 else 0.0
    found.append(Finding(f"  of what the processor works more for {long} than for {few}, sending more takes", share, "%"))
    return found


def _columns(times: dict[int, list[tuple[float, float]]], place: int) -> Iterator[tuple[int, list[float]]]:
    return ((size, [one[place] for one in taken]) for size, taken in times.items())


async def _make(file: Path, past: list[Past]) -> None:
    store = SqliteStore(file)
    await store.open()
    await store.aclose()
    await asyncio.to_thread(fill, file, past)


SECTIONS = ("first-text", "store", "bridge")


async def measure(arguments: argparse.Namespace) -> dict[str, list[Finding]]:
    """Return the findings by what heads them."""
    quick = arguments.quick
    large = arguments.messages or (100_000 if quick else 1_000_000)
    long = min(arguments.conversation or (20_000 if quick else 100_000), large)
    with tempfile.TemporaryDirectory(prefix="dragoman-bench-", dir=arguments.folder) as name:
        folder = Path(name)
        sections: dict[str, tuple[str, Callable[[], Awaitable[list[Finding]]]]] = {
            "first-text": ("What durability costs", lambda: modes(folder, 15 if quick else 150, arguments.sync_ms / 1000)),
            "store": ("A long past, in the store alone", lambda: pasts(folder, long, large, 50 if quick else 300)),
            "bridge": ("A long past, through the whole bridge", lambda: turns_with_a_past(folder, long, large, 8 if quick else 50)),
        }
        return {title: await section() for name, (title, section) in sections.items() if arguments.only in (None, name)}


def main() -> int:
    """Measure, print, and return the exit code: with --strict 1 if anything is beyond its limit."""
    parser = argparse.ArgumentParser(prog="python -m bench.durability", description="What durability and a long past cost.")
    parser.add_argument("--quick", action="store_true", help="fewer questions, a database of 100,000 messages, a conversation of 20,000")
    parser.add_argument("--messages", type=int, help="messages of the large database (default 1,000,000)")
    parser.add_argument("--conversation", type=int, help="messages of the long conversation (default 100,000)")
    parser.add_argument("--sync-ms", type=float, default=5.0, help="what a sync of the slower disk takes longer (default %(default)s)")
    parser.add_argument("--folder", type=Path, help="where the databases are made; some GB for 1,000,000 messages (default: the system's)")
    parser.add_argument("--only", choices=SECTIONS, help="measure only this")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    parser.add_argument("--strict", action="store_true", help="fail over a limit")
    arguments = parser.parse_args()
    sections = asyncio.run(measure(arguments))
    found = [one for findings in sections.values() for one in findings]
    if arguments.json:
        print(json.dumps([asdict(one) for one in found]))
    else:
        print("\n\n".join("\n".join([title, *map(str, findings)]) for title, findings in sections.items()))
    return int(arguments.strict and any(one.over for one in found))


if __name__ == "__main__":
    sys.exit(main())
