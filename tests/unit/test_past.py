"""What is at hand of a conversation changes nothing of what is sent: it is the same as if all had been read from the store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.base import Alternatives, Capabilities, Finished, Message, TextDelta, Usage
from bot import past as past_module
from bot import transcript
from bot.course import Course
from bot.history import History
from bot.model import Attachment, CommandCall, EventKind, Sender
from bot.past import KEPT_SECONDS, Excerpt, Past, Pasts
from storage.base import Entry, Revision
from tests.support.clock import PATIENCE_SECONDS, FakeClock
from tests.support.core import Chat, World

REVISION = Revision(0, 0)
TEXTS = ["ok", "word " * 12, "слово " * 40, "a" + " " * 700, "\n" * 30, "word " * 300, '"quoted" \\ \ud83d\ude00']


class Talk:
    """Entries as a conversation makes them: turns of one or more messages of a person and an answer."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.authors = ["7"] if seed % 3 else ["7", "8"]
        self.turn = self.entry = 0

    def asked(self) -> list[Entry]:
        self.turn += 1
        pieces = self.random.choice([1, 1, 1, 2, 5])
        author = self.random.choice(self.authors) if self.random.randrange(8) == 0 else self.authors[0]
        return [self._entry("user", author) for _ in range(pieces)]

    def exchange(self) -> list[Entry]:
        return [*self.asked(), self._entry("assistant", None)]

    def _entry(self, role: str, author: str | None) -> Entry:
        self.entry += 1
        text = f"{self.entry} {self.random.choice(TEXTS)}".encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return Entry(self.entry, self.turn, role, author, author and f"Person {author}", transcript.content(text))


def stored(entries: list[Entry], chars: int, limit: int) -> list[Entry]:
    """What the store gives of entries before a question: see `Store.transcript`."""
    found: list[Entry] = []
    for entry in reversed(entries):
        if len(found) == limit:
            break
        found.append(entry)
        chars -= len(entry.content)
        if chars <= 0:
            break
    return found[::-1]


@pytest.mark.parametrize("seed", range(12))
def test_however_a_past_grew_it_gives_what_the_store_would_and_the_same_is_kept_of_it(seed: int) -> None:
    talk = Talk(seed)
    everything = [entry for _ in range(talk.random.choice([0, 3, 300])) for entry in talk.exchange()]
    first = everything[-talk.random.choice([1, 5, 450]) :]
    past = Past.of(first, 0, REVISION, whole=len(first) == len(everything))
    enough = 0
    for step in range(60):
        if talk.random.randrange(3):
            newer = [entry for _ in range(talk.random.randint(0, 3)) for entry in talk.exchange()]
            everything += newer
            past = past.then(newer, step)
        question = talk.asked()
        chars, tokens = talk.random.choice([1, 40, 900, 9_000, 10**7]), talk.random.choice([-5, 30, 700, 5_000, 10**6])
        limit = transcript.ENTRIES_READ - len(question)
        wanted = stored(everything, chars, limit)
        excerpt = past.read(chars, limit)
        if excerpt is None:
            assert len(past.entries) < len(wanted) + 1, "all that is wanted is at hand"
            continue
        enough += 1
        assert excerpt.entries() == wanted
        assert (excerpt.count, excerpt.chars) == (len(wanted), sum(len(entry.content) for entry in wanted))
        conversation = transcript.messages([*wanted, *question])
        assert excerpt.newest(question, {}, tokens) == transcript.newest(conversation, tokens)
    assert enough > 10
    assert len(past.entries) <= transcript.ENTRIES_READ + past_module.SLACK
    assert past.bytes == sum(map(past_module._bytes, past.entries)) + past_module.PAST_BYTES


def test_what_its_oldest_messages_took_is_dropped_with_them() -> None:
    talk = Talk(1)
    past = Past.of(talk.exchange(), 0, REVISION, whole=True)
    for step in range(400):
        past = past.then(talk.exchange(), step)
        Excerpt(past, 0).newest(talk.asked(), {}, 10**6)
    assert past.made is not None
    assert past.made.before[-1] - past.made.before[0] == sum(map(transcript.size, past.made.messages))
    assert len(past.entries) <= transcript.ENTRIES_READ + past_module.SLACK


def pasts(clock: FakeClock, count: int, most: int) -> tuple[Pasts, list[Past]]:
    kept, made = Pasts(clock, most), []
    for number in range(count):
        made.append(Past.of([Entry(1, 1, "user", "7", "Ada", "x" * 1000)], 1, REVISION, whole=True))
        kept.put(number, made[-1])
    return kept, made


def test_what_was_not_used_for_longest_goes_when_there_is_no_room() -> None:
    size = 1000 * past_module.TEXT_BYTES + past_module.ENTRY_BYTES + past_module.PAST_BYTES
    kept, made = pasts(FakeClock(), 3, 3 * size)
    kept.put(0, made[0])
    kept.put(3, made[1])
    assert [kept.get(number) is not None for number in range(4)] == [True, False, True, True]
    assert kept.bytes == 3 * size
    kept.put(4, Past.of([Entry(1, 1, "user", "7", "Ada", "x" * 10_000)], 1, REVISION, whole=True))
    assert kept.get(4) is None, "it is larger than all the room"
    assert kept.bytes == 0


async def test_what_was_not_used_for_an_hour_goes() -> None:
    clock = FakeClock()
    kept, made = pasts(clock, 2, 10**9)
    await clock.run(KEPT_SECONDS - 1)
    kept.put(1, made[1])
    await clock.run(2)
    assert (kept.get(0), kept.get(1)) == (None, made[1])


# ------------------------------------------------------------------------------------- whatever happens, through the core


@dataclass
class Compared:
    """Every request's messages, compared with those of a history that has nothing at hand.

    Attributes:
        wrong: The questions where they were others.
        reads: Of each question, whether all was read.
    """

    wrong: list[str] = field(default_factory=list)
    reads: list[bool] = field(default_factory=list)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = History.messages

        async def messages(history: History, course: Course, *asked: Any, **more: Any) -> tuple[Message, ...] | None:
            bare = History(history._store, history._attachments, Pasts(history._pasts._clock))
            afresh = replace(course, brought=None, past=None, reach=0, whole=False)
            whole, read = history._store.transcript, []

            async def counted(*args: Any, **kwargs: Any) -> Any:
                read.append(args)
                return await whole(*args, **kwargs)

            with monkeypatch.context() as watched:
                watched.setattr(history._store, "transcript", counted)
                kept = await real(history, course, *asked, **more)
            if kept != await real(bare, afresh, *asked, **more):
                self.wrong.append(f"the question of turn {course.turn.id}")
            self.reads.append(bool(read))
            return kept

        monkeypatch.setattr(History, "messages", messages)


class FilesChat(Chat):
    """A chat whose people send a picture and a text."""

    async def fetch(self, attachment: Attachment, chat: Any, message_id: str | None, *, most_bytes: int) -> bytes:
        return b"\x89PNG\r\n\x1a\n" + bytes(30) if attachment.name.endswith(".png") else b"what stands in the file"


class Life:
    """A person's doings, one after the other, whatever comes of them."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)
        self.said: list[Any] = []

    async def go_on(self) -> bool:
        """Do one thing. False: the bot is to crash now."""
        doings: list[Callable[[], Any]] = [self.ask] * 10
        doings += [self.ask_with_a_file, self.edit, self.retry, self.switch, self.resize, self.several, self.fail, self.persona]
        doings += [self.choose, self.calibrate, self.withdraw]
        doings += [self.reset, self.forget, self.age] if self.random.randrange(5) == 0 else []
        if self.random.randrange(12) == 0:
            return False
        await self.random.choice(doings)()
        return True

    async def order(self, name: str, **arguments: str) -> None:
        await self.world.come(EventKind.COMMAND, command=CommandCall(name, arguments))
        await self.world.idle()

    async def ask(self, **more: Any) -> None:
        sender = Sender("8", "Bob") if self.random.randrange(10) == 0 else Sender("7", "Ada")
        self.said.append(await self.world.say(self.random.choice(TEXTS[:6]), sender=sender, **more))
        await self.world.idle()

    async def ask_with_a_file(self) -> None:
        name = self.random.choice(["a.txt", "cat.png"])
        await self.ask(attachments=(Attachment(name, "application/octet-stream", 38, name),))

    async def edit(self) -> None:
        if self.said:
            await self.world.edit(self.random.choice(self.said), "something else")
            await self.world.idle()

    async def retry(self) -> None:
        await self.order("retry")

    async def switch(self) -> None:
        await self.world.now.preferences.set_provider(1, self.random.choice(["alpha", "beta"]))

    async def resize(self) -> None:
        for provider in self.world.providers.values():
            provider.capable = Capabilities(images=self.random.choice([True, False]), context_tokens=self.random.choice([100, 700, 8_192]))

    async def several(self) -> None:
        for provider in self.world.providers.values():
            provider.scripts.clear()
            provider.will(TextDelta("one"), Alternatives(("two", "three")), Finished())

    async def fail(self) -> None:
        """The next answer is cut off by Stop when it has begun."""
        begun, never = asyncio.Event(), asyncio.Event()
        for provider in self.world.providers.values():
            provider.scripts.clear()
            provider.will(TextDelta("in part"), begun.set, never)
        await self.world.say("and now?")
        await asyncio.wait_for(begun.wait(), PATIENCE_SECONDS)
        await self.order("stop")
        for provider in self.world.providers.values():
            provider.scripts.clear()

    async def persona(self) -> None:
        await self.order("persona", text=self.random.choice(["Be brief.", "Be " + "very " * 40 + "brief."]))

    async def choose(self) -> None:
        turns = self.world.rows("SELECT turn FROM alternative WHERE number = 1")
        if turns:
            await self.world.now.store.choose(1, self.random.choice(turns)[0], self.random.randint(1, 3))

    async def calibrate(self) -> None:
        for provider in self.world.providers.values():
            provider.scripts.clear()
            provider.will(TextDelta("much"), Usage(self.random.choice([5, 5_000]), 3), Finished())

    async def withdraw(self) -> None:
        if self.said:
            await self.world.now.store.withdraw(self.said[-1].chat, self.said[-1].message_id)

    async def reset(self) -> None:
        await self.order("reset")

    async def forget(self) -> None:
        newest = self.world.rows("SELECT MAX(id) FROM event")[0][0] or 0
        await self.world.now.store.forget(1, before=self.random.randint(0, newest) + 1)
        await self.world.now.housekeeper.tidy()

    async def age(self) -> None:
        await self.world.now.store.sweep(1, older_than=-1.0, limit=self.random.randint(1, 4))


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_the_same_is_sent_as_if_nothing_had_been_at_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    compared = Compared()
    compared.install(monkeypatch)
    world = World(tmp_path, chat=FilesChat())
    life, doings = Life(world, seed), 0
    while doings < 45:
        async with world.running():
            doings += 1
            await life.ask()
            while doings < 45 and await life.go_on():
                doings += 1
            if life.random.randrange(2):  # what is asked now is cut off, and answered in the next life
                reached = world.never_closes()
                await world.say("before the crash")
                await asyncio.wait_for(reached.wait(), PATIENCE_SECONDS)
        for provider in world.providers.values():
            provider.scripts.clear()
    assert not compared.wrong
    assert len(compared.reads) >= 15
    assert compared.reads.count(False) >= 8, "else nothing was at hand"


async def test_a_past_that_was_not_told_of_a_change_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = Compared()
    compared.install(monkeypatch)
    world = World(tmp_path)
    world.alpha.will(TextDelta("one"), Alternatives(("two",)), Finished())
    async with world.running() as core:
        for text in ("first", "second"):
            await world.ask(text)
        monkeypatch.setattr("storage.revisions.entry_writers", frozenset)
        await core.store.choose(1, 1, 2)
        await world.ask("third")
    assert compared.wrong == ["the question of turn 3"]
