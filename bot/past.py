"""What was said in conversations, kept at hand between their questions: docs/decisions/0016 says why, and when it is used.

What a question is shown does not depend on it: it is the same as if all had been read from the store.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from adapters.base import ImagePart, Message
from adapters.tokens import HUNDREDTHS
from bot import transcript
from bot.clock import Clock
from bot.parts import PICTURE
from storage.base import Entry, Revision

KEPT_BYTES = 32_000_000
"""Of memory, about, for the pasts of all conversations; those not used for longest go first."""
KEPT_SECONDS = 3600.0
"""A past that was not used for so long goes. What is removed from the disk goes at once."""
PAST_BYTES = 700
"""What a past takes beside its entries (measured)."""
ENTRY_BYTES = 1000
"""What an entry and its message take beside their text (measured)."""
TEXT_BYTES, WIDE_TEXT_BYTES = 3, 10
"""What a character takes: as it is stored, as it is read, and as it is sent, where all but ASCII has six bytes."""
SLACK = 64
"""So many entries more than are ever sent are kept, so that the oldest are not dropped one by one."""
_MARK = f'"{PICTURE}"'


@dataclass(slots=True)
class _Built:
    """The messages that entries make.

    Attributes:
        messages: Oldest first.
        starts: Which entry each begins with.
        named: A person's message says whose it is.
        before: What those before each take of a window, from the first that was ever counted, and all of them; hundredths of a token. Empty
            until somebody asks for it.
    """

    messages: list[Message]
    starts: list[int]
    named: bool
    before: list[int] = field(default_factory=list)

    def then(self, entries: Sequence[Entry], *, behind: int) -> _Built:
        """Return it with the messages of entries behind the last one."""
        made, starts = transcript.grouped(entries, named=self.named)
        before = self.before + _sums(map(transcript.size, made), self.before[-1])[1:] if self.before else []
        return _Built(self.messages + made, self.starts + [behind + start for start in starts], self.named, before)

    def without(self, first: int) -> _Built:
        """Return it without the first messages."""
        dropped = self.starts[first]
        return _Built(self.messages[first:], [start - dropped for start in self.starts[first:]], self.named, self.before[first:])

    def sizes(self) -> list[int]:
        """Return `before`."""
        if not self.before:
            self.before = _sums(map(transcript.size, self.messages))
        return self.before


@dataclass(slots=True)
class Past:
    """Entries of a conversation without a gap, up to a place. What comes after it makes another one.

    Attributes:
        entries: Oldest first.
        place: `Turn.seq` of the newest turn it has all entries of.
        revision: `Turn.revision` of the turn it was read for.
        whole: Nothing older is there.
        before: How many characters the entries before each have, and all of them.
        pictures: Which of them have pictures.
        alone: See `_alone`.
        bytes: Of memory, about.
        used: It is used for the second time: what is found out now about each of its messages pays.
    """

    entries: list[Entry]
    place: int
    revision: Revision
    whole: bool
    before: list[int]
    pictures: list[int]
    alone: _Alone
    bytes: int
    used: bool = False
    made: _Built | None = None

    @classmethod
    def of(cls, entries: list[Entry], place: int, revision: Revision, *, whole: bool) -> Past:
        """Make one of what was read."""
        before = _sums(len(entry.content) for entry in entries)
        return cls(entries, place, revision, whole, before, _pictured(entries), _alone(entries), sum(map(_bytes, entries), PAST_BYTES))

    def then(self, newer: Sequence[Entry], place: int) -> Past:
        """Return it with what was said since, up to a place."""
        count = len(self.entries)
        entries = [*self.entries, *newer]
        past = Past(
            entries,
            place,
            self.revision,
            self.whole,
            self.before + _sums((len(entry.content) for entry in newer), self.before[-1])[1:],
            self.pictures + [count + number for number in _pictured(newer)],
            _alone(entries, known=self.alone, behind=count),
            self.bytes + sum(map(_bytes, newer)),
            True,
            None if self.made is None else self.made.then(newer, behind=count),
        )
        return past.trimmed() if len(entries) > transcript.ENTRIES_READ + SLACK else past

    def trimmed(self) -> Past:
        """Return it without the oldest entries, which nothing needs, but with all of each message."""
        dropped = len(self.entries) - transcript.ENTRIES_READ
        made = None
        if self.made is not None:
            first = bisect_right(self.made.starts, dropped) - 1
            dropped, made = self.made.starts[first], self.made.without(first)
        past = Past.of(self.entries[dropped:], self.place, self.revision, whole=False)
        past.used, past.made = self.used, made
        return past

    def read(self, chars: int, limit: int) -> Excerpt | None:
        """Return what the store would give if as much were read from it; None if it could give more than is at hand.

        Args:
            chars: `chars` of `Store.transcript`.
            limit: Most entries, those of the question not counted.
        """
        count, reached = len(self.entries), self.before[-1] - chars
        start = max(bisect_right(self.before, reached) - 1, count - limit, 0)
        enough = self.whole or reached >= 0 or count >= limit
        return Excerpt(self, start) if enough else None

    # for excerpts

    def authors_from(self, start: int) -> set[str | None]:
        """Return who asked among these; of several, any two."""
        if start >= self.alone.since:
            return {self.alone.author} if start <= self.alone.newest else set()
        return {entry.author for entry in self.entries[start:] if entry.role == "user"}

    def built(self, *, named: bool) -> _Built:
        """Return the messages of all entries. `named`: a person's message says whose it is."""
        if self.made is None or self.made.named is not named:
            self.made = _Built(*transcript.grouped(self.entries, named=named), named)
        return self.made


class Excerpt:
    """The part of a past that is considered for a question. `count` is of its entries, `chars` of their content."""

    def __init__(self, past: Past, start: int) -> None:
        self._past = past
        self._start = start
        self.count = len(past.entries) - start
        self.chars = past.before[-1] - past.before[start]

    def pictured(self) -> list[Entry]:
        """Return the entries with pictures, newest first."""
        return [self._past.entries[number] for number in reversed(self._past.pictures) if number >= self._start]

    def entries(self) -> list[Entry]:
        """Return the entries, oldest first."""
        return self._past.entries[self._start :]

    def newest(
        self, question: Sequence[Entry], pictures: Mapping[int, Sequence[ImagePart]], tokens: int
    ) -> tuple[tuple[Message, ...], bool]:
        """Return the newest messages that fit, with a question behind them; see `transcript.newest`."""
        if not pictures.keys() <= {entry.id for entry in question}:  # pictures of the past stand in its messages
            return transcript.newest(transcript.messages([*self.entries(), *question], pictures), tokens)
        authors = self._past.authors_from(self._start) | {entry.author for entry in question if entry.role == "user"}
        asked, _ = transcript.grouped(question, pictures, named=len(authors) > 1)
        built = self._past.built(named=len(authors) > 1)
        first = bisect_left(built.starts, self._start)
        behind = built.starts[first] if first < len(built.starts) else len(self._past.entries)
        if behind != self._start:  # of a question of several messages only the last ones were read
            begun, _ = transcript.grouped(self._past.entries[self._start : behind], named=built.named)
            return transcript.newest([*begun, *built.messages[first:], *asked], tokens)
        if not self._past.used or not asked:
            return transcript.newest([*built.messages[first:], *asked], tokens)
        return _newest(built, first, asked, tokens)


def _newest(built: _Built, first: int, asked: list[Message], tokens: int) -> tuple[tuple[Message, ...], bool]:
    """Do what `transcript.newest` does, by what is known of the sizes."""
    left = tokens * HUNDREDTHS - sum(map(transcript.size, asked))
    sizes = built.sizes()
    if left < 0:  # not even the whole question, if it has several messages, which no two people's has
        return transcript.newest([*built.messages[first:], *asked], tokens)
    fits = max(first, bisect_left(sizes, sizes[-1] - left))
    kept = transcript.from_person([*built.messages[fits:], *asked])
    return tuple(kept), fits > first


class _Alone(NamedTuple):
    """From which entry on one person alone asked, which entry is the newest that a person said (-1: none is), and who that is."""

    since: int = 0
    newest: int = -1
    author: str | None = None


def _alone(entries: Sequence[Entry], *, known: _Alone | None = None, behind: int = 0) -> _Alone:
    """Tell it of some entries. `known`: the same of those before the one at `behind`."""
    found: _Alone | None = None
    for number in range(len(entries) - 1, behind - 1, -1):
        entry = entries[number]
        if entry.role != "user":
            continue
        if found is None:
            found = _Alone(0, number, entry.author)
        elif entry.author != found.author:
            return found._replace(since=number + 1)
    if known is None or known.newest < 0:
        return found or _Alone()
    if found is None:
        return known
    return found._replace(since=known.since if known.author == found.author else known.newest + 1)


def _pictured(entries: Sequence[Entry]) -> list[int]:
    return [number for number, entry in enumerate(entries) if _MARK in entry.content]


def _sums(numbers: Iterable[int], first: int = 0) -> list[int]:
    """Return the sums of what is before each number, and of all of them, on top of the first."""
    return [*accumulate(numbers, initial=first)]


def _bytes(entry: Entry) -> int:
    return len(entry.content) * (TEXT_BYTES if entry.content.isascii() else WIDE_TEXT_BYTES) + ENTRY_BYTES


class Pasts:
    """The pasts of the conversations that were used last.

    Args:
        clock: Ages them.
        most: Bytes of all together.
    """

    def __init__(self, clock: Clock, most: int | None = None) -> None:
        self._clock = clock
        self._most = KEPT_BYTES if most is None else most
        self._kept: OrderedDict[int, tuple[float, Past]] = OrderedDict()
        self.bytes = 0

    def get(self, conversation: int) -> Past | None:
        """Return what is at hand of a conversation. Whether it still holds, the store knows."""
        self.drop()
        found = self._kept.get(conversation)
        return found[1] if found is not None else None

    def put(self, conversation: int, past: Past) -> None:
        """Keep a past in the place of what was kept of the conversation."""
        self.forget(conversation)
        self._kept[conversation] = (self._clock.now() + KEPT_SECONDS, past)
        self.bytes += past.bytes
        self.drop()

    def forget(self, conversation: int) -> None:
        """Let go of what is kept of a conversation."""
        if (former := self._kept.pop(conversation, None)) is not None:
            self.bytes -= former[1].bytes

    def drop(self) -> None:
        """Let go of what was not used for long, and of what is too much."""
        while self._kept:
            conversation, (until, _) = next(iter(self._kept.items()))
            if self.bytes <= self._most and until > self._clock.now():
                return
            self.forget(conversation)
