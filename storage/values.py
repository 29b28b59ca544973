"""What goes over the store seam: rows as frozen values. `storage.base` offers them, too."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from storage.alternatives import Alternative
from storage.troubles import Trouble
from storage.usage import Amounts


@dataclass(frozen=True, slots=True)
class ChatAddress:
    """Where messages appear. A conversation is not a chat: two chats may share one.

    Attributes:
        platform: Name of the platform, such as ``discord``.
        account: The bot account's id on it.
        chat: Channel, thread or chat id.
        thread: Forum topic id inside the chat, or the empty string.
    """

    platform: str
    account: str
    chat: str
    thread: str = ""

    def __str__(self) -> str:
        parts = [self.platform, self.account, self.chat]
        return ":".join([*parts, self.thread] if self.thread else parts)


class EventKind(StrEnum):
    """What came from a platform."""

    MESSAGE = "message"
    EDIT = "edit"
    COMMAND = "command"
    BUTTON = "button"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class ReplyRoute:
    """A short-lived way to answer one event, such as a Discord interaction token. Opaque, secret; kept until it expires.

    Attributes:
        value: What the platform needs to use it.
        expires_at: Epoch seconds.
    """

    value: str = field(repr=False)
    expires_at: float


@dataclass(frozen=True, slots=True)
class Merge:
    """How a message may become one question with what its author wrote just before or writes next.

    Attributes:
        window: Seconds between two messages that belong together.
        more: It looks cut off: its question waits so long for the rest.
    """

    window: float
    more: bool = False


@dataclass(frozen=True, slots=True)
class NewTurn:
    """What `NewEvent` asks a model: the user's entry of the transcript.

    Attributes:
        content: JSON list of content parts.
        message_id: The platform message it came from, if it came from one.
        author: Platform id of the person.
        author_name: The name people read.
        merge: None: it is a question of its own.
        version: Of its text, as the platform orders the edits of a message; 0: it was never edited, as far as is known.
    """

    content: str = field(repr=False)
    message_id: str | None
    author: str
    author_name: str
    merge: Merge | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event as it goes in.

    Attributes:
        key: Unique platform key; the same event delivered twice has the same key.
        payload: JSON from which the caller can rebuild the event after a crash.
        turn: Present if the event asks the model something.
        error: Why it can't be read, for `EventKind.UNREADABLE`.
    """

    key: str
    kind: EventKind
    chat: ChatAddress
    payload: str = field(repr=False)
    turn: NewTurn | None = None
    route: ReplyRoute | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a new event. `joined`: it became part of a turn that was waiting."""

    event: int
    conversation: int
    turn: int | None
    joined: bool = False


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event read back."""

    id: int
    key: str
    kind: EventKind
    conversation: int
    payload: str = field(repr=False)


class TurnState(StrEnum):
    """See the drawing at the top of the module. The first three are open; `storage.troubles` says what is parked."""

    ACCEPTED = "accepted"
    GENERATING = "generating"
    ANSWERED = "answered"
    DONE = "done"
    STOPPED = "stopped"
    FAILED = "failed"
    PARKED = "parked"


class Revision(NamedTuple):
    """What a conversation's past was when a turn was claimed. Two that are the same say that nothing has changed that was there then.

    Attributes:
        changes: How often something of it changed that a claimed turn may have read.
        reset: The newest turn's place that was forgotten.
    """

    changes: int
    reset: int


UNCHANGED = Revision(0, 0)
"""What every conversation begins with."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer.

    Attributes:
        seq: Place in its conversation, from 1.
        event: The event that asked.
        attempt: How often it was claimed; the fence of every write.
        stop_requested: Somebody asked to stop it.
        answer: The full text, from `answered` on; the partial text of a stopped or failed one.
        finish: The caller's JSON note on how the answer ended.
        handle: A provider job to collect (`Submitted`).
        earlier_attempts: Those before it was parked.
        trouble: How earlier attempts failed; None for the first one.
        shown: Which of several answers `answer` is, from 1.
        among_others: It waited behind an answer, and other questions of its conversation at the same time.
        asked: The event that asked, as the claim found it; None for a turn that was read back.
        route: The reply route of that event, if it held when the turn was claimed.
        revision: Of its conversation, when it was claimed or read back.
    """

    id: int
    conversation: int
    seq: int
    event: int
    chat: ChatAddress
    state: TurnState
    attempt: int
    stop_requested: bool
    answer: str | None = field(repr=False)
    finish: str | None
    provider: str | None
    model: str | None
    handle: str | None = field(repr=False)
    error: str | None
    earlier_attempts: int = 0
    trouble: Trouble | None = None
    shown: int = 1
    among_others: bool = False
    asked: StoredEvent | None = None
    route: ReplyRoute | None = None
    revision: Revision = UNCHANGED

    @property
    def tries(self) -> int:
        """How often it was claimed since it was accepted or unparked."""
        return self.attempt - self.earlier_attempts


class Entry(NamedTuple):
    """One entry of a transcript. `content` is a JSON list of content parts.

    A tuple, as hundreds are made for a question, and one costs a quarter of a frozen dataclass.
    """

    id: int
    turn: int
    role: str
    author: str | None
    author_name: str | None
    content: str

    def __repr__(self) -> str:
        return f"Entry(id={self.id}, turn={self.turn}, role={self.role!r})"


@dataclass(frozen=True, slots=True)
class ProviderStateRow:
    """A provider's own memory of a conversation, valid only while every field still matches."""

    provider: str
    account: str
    model: str
    persona: str
    last_entry: int
    value: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class TurnAnswer:
    """All that is stored when a turn is answered, in one transaction.

    Attributes:
        text: The full answer.
        content: The same as JSON list of content parts, for the transcript.
        finish: JSON note on how it ended.
        state: The provider's state with ``last_entry`` ignored: the store sets it to the answer's own entry. None drops the row.
        usage: Tokens and cost as the provider reported them, as JSON, or None.
        spent: What is counted in the place of what was reserved; None: what was reserved stays counted.
        others: Further answers to the same question, any of which may be chosen later.
    """

    text: str = field(repr=False)
    content: str = field(repr=False)
    finish: str
    provider: str
    model: str
    state: ProviderStateRow | None
    usage: str | None = None
    spent: Amounts | None = None
    others: tuple[Alternative, ...] = ()


class OwnerKind(StrEnum):
    """Whose pages they are."""

    TURN = "turn"
    EVENT = "event"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True)
class Owner:
    """What a delivery belongs to: a turn's answer, the answer to a command or button, or the word that an event's question waits."""

    kind: OwnerKind
    id: int


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One page of one reply.

    Attributes:
        page: From 0.
        nonce: Random, at most 25 characters, kept over attempts: a repeated create makes nothing new where the platform honours it.
        message_id: None until the platform confirmed the create.
        repeated: The message was made again because nobody could tell whether it had arrived; it says so.
        created_at: When the row was made, epoch seconds. No create of the page is older.
    """

    id: int
    owner: Owner
    chat: ChatAddress
    page: int
    nonce: str
    message_id: str | None
    repeated: bool = False
    created_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Sweep:
    """What one step of removing did.

    Attributes:
        removed: Events that were emptied, with all that came of them.
        resume: Where to go on; None once nothing is left to look at.
    """

    removed: int
    resume: int | None
