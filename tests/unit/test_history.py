"""No more of a conversation's past is read than fits, and what is sent is what would be sent if all of it had been read."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import pytest

from adapters.base import Capabilities, ErrorKind, Finished, Message, ProviderError, Scope, TextDelta
from bench.filling import TEXT, Past, fill
from bot.model import Attachment
from bot.preferences import Defaults
from bot.transcript import ENTRIES_READ, content, fit, messages
from storage.base import ChatAddress, Entry, Turn
from tests.support.core import Chat, Core, World
from tests.support.stores import prepare

STORED = 2_000
TEXTS = {
    "prose": [TEXT],
    "a word": ["ok"],
    "pages": ["word " * 400],
    "blanks": ["a" + " " * 3_000],
    "lines": ["\n" * 200],
    "Cyrillic": ["слово и ещё слово " * 8],
    "of all kinds": ["ok", "word " * 900, TEXT, "слово " * 30, " " * 2_000 + "x"],
}
WINDOWS = [300, 2_000, 8_192, 131_072]


@dataclass
class Reads:
    """What the store was asked for and gave: one list of entries for each time."""

    core: Core
    given: list[list[Entry]] = field(default_factory=list)
    turn: Turn | None = None

    def __post_init__(self) -> None:
        self._real = self.core.store.transcript
        self.core.store.transcript = self._read  # type: ignore[method-assign]

    async def _read(self, turn: Turn, limit: int, *, chars: int | None = None) -> list[Entry]:
        self.turn = turn
        self.given.append(list(await self._real(turn, limit, chars=chars)))
        return self.given[-1]

    async def all_fitted(self, window: int) -> tuple[Message, ...]:
        """What is sent if all that may be is read."""
        assert self.turn is not None
        return fit(messages(await self._real(self.turn, ENTRIES_READ)), None, window, None)


class FilesChat(Chat):
    """A chat whose people's files can be fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []

    async def fetch(self, attachment: Attachment, chat: ChatAddress, message_id: str | None, *, most_bytes: int) -> bytes:
        del chat, message_id, most_bytes
        self.fetched.append(attachment.name)
        return b"what stands in it" if attachment.name.endswith(".txt") else b"PK\x00\x01"


@pytest.fixture
def past(tmp_path: Path) -> Callable[[Iterator[str]], World]:
    """Make a world with a long conversation in it."""

    def make(texts: Iterator[str]) -> World:
        world = World(tmp_path, chat=FilesChat())
        fill(world.database, [Past(ChatAddress("memory", "bot", "1"), STORED)])
        with closing(sqlite3.connect(world.database)) as connection, connection:
            ids = [number for (number,) in connection.execute("SELECT id FROM entry")]
            connection.executemany("UPDATE entry SET content = ? WHERE id = ?", ((content(next(texts)), number) for number in ids))
        return world

    return make


@pytest.fixture(autouse=True)
async def database(tmp_path: Path) -> None:
    await prepare(World(tmp_path).database)


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("kind", TEXTS)
async def test_what_is_sent_is_the_same_as_if_all_had_been_read(past: Callable[..., World], kind: str, window: int) -> None:
    world = past(cycle(TEXTS[kind]))
    world.alpha.capable = Capabilities(context_tokens=window)
    async with world.running() as core:
        reads = Reads(core)
        await world.ask("and now?")
        assert world.alpha.requests[-1].messages == await reads.all_fitted(window)


@pytest.mark.parametrize(("window", "most"), [(300, 15), (2_000, 60), (8_192, 200), (131_072, ENTRIES_READ)])
async def test_how_much_is_read_depends_on_what_fits_and_not_on_what_is_stored(past: Callable[..., World], window: int, most: int) -> None:
    world = past(cycle(TEXTS["prose"]))
    world.alpha.capable = Capabilities(context_tokens=window)
    async with world.running() as core:
        reads = Reads(core)
        await world.ask("and now?")
        (entries,) = reads.given
        sent = len(world.alpha.requests[-1].messages)
        assert sent <= len(entries) <= min(most, 2 * sent + 2)


async def test_text_that_weighs_little_is_read_on_until_the_window_is_full(past: Callable[..., World]) -> None:
    world = past(cycle(TEXTS["blanks"]))
    world.alpha.capable = Capabilities(context_tokens=2_000)
    async with world.running() as core:
        reads = Reads(core)
        await world.ask("and now?")
        assert len(reads.given) > 1
        assert len(world.alpha.requests[-1].messages) > 2 * len(reads.given[0])


async def test_who_answers_in_the_place_of_a_smaller_model_is_shown_as_much_as_fits_its_own_window(past: Callable[..., World]) -> None:
    world = past(cycle(TEXTS["prose"]))
    world.defaults = Defaults("alpha", fallback=("beta",))
    beta = world.providers["beta"]
    world.alpha.capable, beta.capable = Capabilities(context_tokens=2_000), Capabilities(context_tokens=16_000)
    world.alpha.will(ProviderError(ErrorKind.AUTH, scope=Scope.ACCOUNT))
    beta.will(TextDelta("yes"), Finished())
    async with world.running() as core:
        reads = Reads(core)
        await world.ask("and now?")
        assert world.alpha.requests[-1].messages == await reads.all_fitted(2_000)
        assert beta.requests[-1].messages == await reads.all_fitted(16_000)
        assert len(reads.given[0]) < len(reads.given[1]) < ENTRIES_READ


async def test_a_smaller_model_that_answers_in_the_place_of_a_larger_one_reads_nothing_anew(past: Callable[..., World]) -> None:
    world = past(cycle(TEXTS["prose"]))
    world.defaults = Defaults("alpha", fallback=("beta",))
    beta = world.providers["beta"]
    world.alpha.capable, beta.capable = Capabilities(context_tokens=16_000), Capabilities(context_tokens=2_000)
    world.alpha.will(ProviderError(ErrorKind.AUTH, scope=Scope.ACCOUNT))
    beta.will(TextDelta("yes"), Finished())
    async with world.running() as core:
        reads = Reads(core)
        await world.ask("and now?")
        assert beta.requests[-1].messages == await reads.all_fitted(2_000)
        assert len(reads.given) == 1


async def test_the_questions_files_are_read_once_however_often_its_past_is(past: Callable[..., World]) -> None:
    world = past(cycle(TEXTS["prose"]))
    world.defaults = Defaults("alpha", fallback=("beta",))
    beta = world.providers["beta"]
    world.alpha.capable, beta.capable = Capabilities(context_tokens=2_000), Capabilities(context_tokens=16_000)
    world.alpha.will(ProviderError(ErrorKind.AUTH, scope=Scope.ACCOUNT))
    beta.will(TextDelta("yes"), Finished())
    files = tuple(Attachment(name, "application/octet-stream", 17, name) for name in ("a.txt", "b.zip"))
    async with world.running() as core:
        reads = Reads(core)
        told = await world.ask("and now?", attachments=files)
    assert len(reads.given) == 2
    assert isinstance(world.chat, FilesChat)
    assert sorted(set(world.chat.fetched)) == ["a.txt", "b.zip"]
    assert len(world.chat.fetched) == 2
    assert "what stands in it" in beta.requests[-1].messages[-1].text
    assert told.count("b.zip") == 1
