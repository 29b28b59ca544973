"""Files that people send: fetched when their question's turn comes, checked, read, and shown to the model that is asked.

The text of a file becomes part of the transcript. Of a picture only the reference is kept there, and its bytes are fetched again when a
later question shows it once more; docs/decisions/0010 says why.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from adapters.base import ImagePart
from adapters.tokens import estimate
from bot import parts
from bot.clock import Clock
from bot.parts import Part
from bot.pdf import PdfError, PdfReader
from bot.platforms.base import FileError, FileTrouble, Platform, SupportsAttachments
from bot.preferences import Choice, Where
from bot.sniffing import decoded, is_pdf, picture_type, said_to_be_pdf, said_to_be_picture
from storage.base import Entry, Store, Turn

log = logging.getLogger(__name__)

MOST_FILES = 20
"""Files of one question that are read."""
FETCHED_AT_ONCE = 4
"""Files of one question that are fetched at the same time."""
TRIES = 2
"""A file that can't be had now is asked for once more."""
REQUEST_PICTURE_BYTES = 20_000_000
"""All pictures of one request; providers refuse bodies of some tens of megabytes, and base64 adds a third."""
FILE_SHARE = 0.5
"""The files of a question take at most this share of the model's window."""
KEPT_BYTES, KEPT_SECONDS = 64_000_000, 900.0
"""Pictures that were just fetched are kept in memory: so many bytes in all, so long. All those of one question fit in."""
MISSED_SECONDS = 900.0
"""An older picture that did not come is not asked for again for so long: each question after it would wait for it in vain."""

Note: TypeAlias = Sequence[Any]
"""What is to be said of a file: the name of a sentence in `bot.texts`, then what stands in it. JSON, as it is kept over a crash."""
Unseen: TypeAlias = Callable[[Choice, Where], Awaitable[Note]]
_Place: TypeAlias = tuple[int, int]
"""Entry, and place of the part in it."""
T = TypeVar("T")


@dataclass(frozen=True)
class FileLimits:
    """What is taken of people's files.

    Attributes:
        picture_bytes: Largest picture.
        pictures: Most pictures of a question, and of a request with all that was said before; 0: none is looked at.
        file_bytes: Largest other file.
        text_chars: So much of a file's text is taken.
    """

    picture_bytes: int = 8_000_000
    pictures: int = 5
    file_bytes: int = 10_000_000
    text_chars: int = 60_000


@dataclass(frozen=True, slots=True)
class Brought:
    """A question whose files were read.

    Attributes:
        question: Its entries.
        notes: What is to be said of files that could not be read.
    """

    question: Sequence[Entry]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """What a model is shown.

    Attributes:
        question: Its entries, files cut to the model's size.
        pictures: By entry.
        notes: What is to be said of it below the answer.
    """

    question: Sequence[Entry]
    pictures: Mapping[int, tuple[ImagePart, ...]]
    notes: tuple[Note, ...] = ()


class NothingToAskError(Exception):
    """Of a question nothing is left that the model could be shown. `notes` say why."""

    def __init__(self, notes: Sequence[Note]) -> None:
        super().__init__("nothing of the question can be shown to the model")
        self.notes = notes


class _UnreadError(Exception):
    """A file is not read; `note` says why."""

    def __init__(self, *note: Any) -> None:
        super().__init__(note[0])
        self.note: Note = note


class Attachments:
    """Reads the files of questions.

    Args:
        store: Where the transcript is.
        platforms: By name.
        clock: Ages what is kept in memory.
        limits: What is taken.
        pdf: Reads PDFs.
        unseen: Returns what is to be said of pictures that a chosen model can't see.
    """

    def __init__(
        self,
        store: Store,
        platforms: Mapping[str, Platform],
        clock: Clock,
        limits: FileLimits | None = None,
        pdf: PdfReader | None = None,
        *,
        unseen: Unseen | None = None,
    ) -> None:
        self._unseen = unseen or _by_model
        self._store = store
        self._platforms = platforms
        self._limits = limits or FileLimits()
        self._pdf = pdf or PdfReader()
        self._kept = _Kept(clock)
        self._clock = clock
        self._missed: dict[str, float] = {}

    async def read(self, turn: Turn, question: Sequence[Entry]) -> Brought | None:
        """Fetch and read the files of a turn's own question; what was read becomes part of the stored transcript.

        Returns:
            None if another worker has taken the turn.
        """
        mine = {entry.id: parts.load(entry.content) for entry in question}
        unread = [(own, place) for own, listed in mine.items() for place, part in enumerate(listed) if part["type"] == parts.ATTACHMENT]
        if not unread:
            return Brought(question)
        notes: list[Note] = []
        taken = self._taken(unread, mine, notes)
        one_pdf = asyncio.Lock()  # a question with many heavy ones leaves room for those of others
        outcomes = await _some_at_once([partial(self._outcome, mine[own][place], one_pdf) for own, place in taken])
        changed: set[int] = set()
        for (own, place), outcome in zip(taken, outcomes, strict=True):
            if isinstance(outcome, dict):
                mine[own][place] = outcome
                changed.add(own)
            else:
                notes.append(outcome)
        contents = {own: parts.dump(mine[own]) for own in changed}
        if contents and not await self._store.fill(turn, contents):
            return None
        return Brought([entry._replace(content=contents.get(entry.id, entry.content)) for entry in question], tuple(notes))

    async def shown(
        self, brought: Brought, older: Sequence[Entry], *, choice: Choice, where: Where, sees: bool, window: int, blind: Note | None = None
    ) -> Shown:
        """Return what a model is shown of a question, and which pictures of it and of what was said before.

        Args:
            brought: From `read`.
            older: The entries before the question that have pictures, newest first.
            choice: Who is asked.
            where: In which conversation.
            sees: The model takes pictures, or nobody knows that it does not.
            window: Its size in tokens.
            blind: What is to be said where it does not see; None: whom to choose that does.

        Raises:
            NothingToAskError: Nothing of the question can be shown to it.
        """
        notes = list(brought.notes)
        mine = {entry.id: parts.load(entry.content) for entry in brought.question}
        listed = [part for own in mine.values() for part in own]
        pictures: dict[int, list[ImagePart]] = {}
        if sees:
            pictures = await self._pictures(older, mine, notes)
        elif any(part["type"] == parts.PICTURE for part in listed):
            notes.append(blind or await self._unseen(choice, where))
        said = any(part["type"] == parts.FILE or (part["type"] == parts.TEXT and part["text"].strip()) for part in listed)
        if listed and not said and not any(own in pictures for own in mine):
            raise NothingToAskError(notes)
        shown = {own: tuple(some) for own, some in pictures.items()}
        if not any(part["type"] == parts.FILE for part in listed):
            return Shown(brought.question, shown, tuple(notes))
        _cut(mine, int(window * FILE_SHARE), notes)
        contents = {own: parts.dump(listed) for own, listed in mine.items()}
        question = [entry._replace(content=contents.get(entry.id, entry.content)) for entry in brought.question]
        return Shown(question, shown, tuple(notes))

    def _taken(self, unread: Sequence[_Place], mine: Mapping[int, list[Part]], notes: list[Note]) -> list[_Place]:
        """Return which files are read: no more than so many, and of those said to be pictures no more than may be shown."""
        taken: list[_Place] = []
        pictures = sum(part["type"] == parts.PICTURE for listed in mine.values() for part in listed)
        for own, place in unread:
            part = mine[own][place]
            picture = said_to_be_picture(part["name"], part["media_type"])
            if picture and pictures >= self._limits.pictures:
                _say_once(notes, ["pictures_off"] if self._limits.pictures == 0 else ["many_pictures", self._limits.pictures])
            elif len(taken) >= MOST_FILES:
                _say_once(notes, ["many_files", MOST_FILES])
            else:
                taken.append((own, place))
                pictures += picture
        return taken

    # one file

    async def _outcome(self, part: Part, one_pdf: asyncio.Lock) -> Part | Note:
        try:
            return await self._read(part, one_pdf)
        except _UnreadError as unread:
            return unread.note

    async def _read(self, part: Part, one_pdf: asyncio.Lock) -> Part:
        """Fetch a file and return the part that it becomes.

        Raises:
            _UnreadError: It is not read.
        """
        name, media_type = part["name"], part["media_type"]
        if media_type.startswith(("audio/", "video/")):
            raise _UnreadError("sound", name)
        picture = said_to_be_picture(name, media_type)
        data = await self._fetched(part, self._limits.picture_bytes if picture else self._limits.file_bytes)
        if found := picture_type(data):
            if not self._limits.pictures:
                raise _UnreadError("pictures_off")
            if len(data) > self._limits.picture_bytes:
                raise _UnreadError("large", name, self._limits.picture_bytes)
            self._kept.put(_key(part), data)
            return {**part, "type": parts.PICTURE, "media_type": found, "size": len(data)}
        if picture:
            raise _UnreadError("no_picture", name)
        if is_pdf(data):
            async with one_pdf:
                return await self._read_pdf(name, data)
        if said_to_be_pdf(name, media_type):
            raise _UnreadError("no_pdf", name)
        text = await asyncio.to_thread(decoded, data)
        if text is None:
            raise _UnreadError("kind", name)
        if not text.strip():
            raise _UnreadError("empty", name)
        return {"type": parts.FILE, "name": name, "text": text[: self._limits.text_chars], "of": len(text)}

    async def _read_pdf(self, name: str, data: bytes) -> Part:
        try:
            found = await self._pdf.text(data, chars=self._limits.text_chars)
        except PdfError as error:
            raise _UnreadError(str(error.trouble), name) from None
        whole = found.read == found.pages and len(found.text) <= self._limits.text_chars
        text = found.text[: self._limits.text_chars]
        return {"type": parts.FILE, "name": name, "text": text, "of": len(text) if whole else None, "pages": [found.read, found.pages]}

    async def _fetched(self, part: Part, most: int, tries: int = TRIES) -> bytes:
        """Return a file's content.

        Raises:
            _UnreadError: It can't be had.
        """
        name = part["name"]
        if part["size"] > most:
            raise _UnreadError("large", name, most)
        attachment, chat, message = parts.attachment_of(part)
        platform = self._platforms.get(chat.platform)
        if not isinstance(platform, SupportsAttachments):
            raise _UnreadError("gone", name)
        for left in reversed(range(tries)):
            try:
                return await platform.fetch(attachment, chat, message, most_bytes=most)
            except FileError as error:
                log.info("attachment.not_fetched platform=%s %s", chat.platform, error)
                if error.trouble is FileTrouble.TOO_LARGE:
                    raise _UnreadError("large", name, most) from None
                if error.trouble is not FileTrouble.UNAVAILABLE or not left:
                    raise _UnreadError(str(error.trouble), name) from None
        raise AssertionError  # the last try returns or raises

    # pictures

    async def _pictures(self, older: Sequence[Entry], mine: Mapping[int, list[Part]], notes: list[Note]) -> dict[int, list[ImagePart]]:
        """Fetch the pictures of a request: the question's own, then the newest of those before, as many as may be shown."""
        own = [(entry, part) for entry, listed in mine.items() for part in listed if part["type"] == parts.PICTURE]
        before = [
            (entry.id, part)
            for entry in older
            if entry.role == "user"
            for part in parts.load(entry.content)
            if part["type"] == parts.PICTURE
        ]
        chosen: list[tuple[int, Part]] = []
        room = REQUEST_PICTURE_BYTES
        for entry, part in [*own, *before]:
            room -= part["size"]
            if len(chosen) == self._limits.pictures or room < 0:
                break
            chosen.append((entry, part))
        if len(chosen) < len(own):
            _say_once(notes, ["many_pictures", len(chosen)])
        outcomes = await _some_at_once([partial(self._picture if entry in mine else self._older, part) for entry, part in chosen])
        shown: dict[int, list[ImagePart]] = {}
        for (entry, _), outcome in zip(chosen, outcomes, strict=True):
            if isinstance(outcome, ImagePart):
                shown.setdefault(entry, []).append(outcome)
            elif outcome is not None and entry in mine:
                notes.append(outcome)
        return shown

    async def _older(self, part: Part) -> ImagePart | None:
        """Return a picture of an earlier question if it comes at once: the newest question waits for it, and is none about it as a rule."""
        now = self._clock.now()
        self._missed = {key: until for key, until in self._missed.items() if until > now}
        if _key(part) in self._missed:
            return None
        outcome = await self._picture(part, tries=1)
        if isinstance(outcome, ImagePart):
            return outcome
        self._missed[_key(part)] = self._clock.now() + MISSED_SECONDS
        return None

    async def _picture(self, part: Part, tries: int = TRIES) -> ImagePart | Note:
        data = self._kept.get(_key(part))
        if data is None:
            try:
                data = await self._fetched(part, self._limits.picture_bytes, tries)
            except _UnreadError as unread:
                return unread.note
            self._kept.put(_key(part), data)
        found = picture_type(data)
        return ImagePart(found, data) if found else ["no_picture", part["name"]]


class _Kept:
    """What was just fetched, the oldest going first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._bytes = 0

    def get(self, key: str) -> bytes | None:
        """Return it if it is still there."""
        self._drop()
        found = self._kept.get(key)
        return found[1] if found is not None else None

    def put(self, key: str, data: bytes) -> None:
        """Keep it for a while."""
        if (former := self._kept.pop(key, None)) is not None:
            self._bytes -= len(former[1])
        self._kept[key] = (self._clock.now() + KEPT_SECONDS, data)
        self._bytes += len(data)
        self._drop()

    def _drop(self) -> None:
        while self._kept:
            key, (until, data) = next(iter(self._kept.items()))
            if self._bytes <= KEPT_BYTES and until > self._clock.now():
                return
            del self._kept[key]
            self._bytes -= len(data)


async def _by_model(choice: Choice, _: Where) -> Note:
    return ["unseen", choice.model]


def asks(entry: Entry, turn: Turn) -> bool:
    """Tell whether an entry is part of what a turn asks."""
    return entry.turn == turn.id and entry.role == "user"


def _key(part: Part) -> str:
    """Return what names a file whatever its signature says."""
    return f"{part['chat'][0]} {part['source'].partition('?')[0]}"


def _say_once(notes: list[Note], note: Note) -> None:
    if note not in notes:
        notes.append(note)


def _cut(mine: Mapping[int, list[Part]], tokens: int, notes: list[Note]) -> None:
    """Cut the texts of a question's files so that they take no more than so many tokens, and say of each where it ends."""
    files = [part for listed in mine.values() for part in listed if part["type"] == parts.FILE]
    total = sum(estimate(part["text"]) for part in files)
    for part in files:
        if total > tokens:
            part["text"] = part["text"][: len(part["text"]) * tokens // total]
        shown, of, pages = len(part["text"]), part["of"], part.get("pages")
        if pages and pages[0] < pages[1] and total <= tokens:
            notes.append(["pages", part["name"], *pages])
        elif of is None or shown < of:
            notes.append(["cut", part["name"], shown, of])


async def _some_at_once(jobs: Sequence[Callable[[], Awaitable[T]]]) -> list[T]:
    """Do a few of the jobs at the same time; return what they return, in their order."""
    room = asyncio.Semaphore(FETCHED_AT_ONCE)

    async def one(job: Callable[[], Awaitable[T]]) -> T:
        async with room:
            return await job()

    return list(await asyncio.gather(*(one(job) for job in jobs)))
