"""The platform seam. The core knows no platform by name: what differs is declared here.

Errors, grouped by what the caller can do next:

    PlatformError
    ├── FloodError         wait exactly as long as told, this chat only (or all, where the platform says so), then repeat
    ├── UnavailableError   nothing was done: repeat with back-off
    ├── UnknownOutcomeError  it may or may not have been done
    ├── FileError          a file that somebody sent can't be had; `trouble` says whether trying again helps
    └── RefusedError       repeating is of no use; `reason` says why
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, TypeAlias, runtime_checkable

from bot.model import Attachment, ChatAddress, Incoming, Page, Receipt, ReplyRoute, Target
from bot.platforms.budgets import Budget
from bot.render.base import Style


class PlatformError(Exception):
    """A call to a platform failed. The message is for the operator and holds no secret."""


class FloodError(PlatformError):
    """Too many calls. `retry_after` is in seconds; `everywhere` if the whole bot account has to wait."""

    def __init__(self, retry_after: float, *, everywhere: bool = False) -> None:
        super().__init__(f"flooded: wait {retry_after:g} s{' everywhere' if everywhere else ''}")
        self.retry_after = retry_after
        self.everywhere = everywhere


class UnavailableError(PlatformError):
    """The platform is down or can't be reached, and certainly did nothing."""


class UnknownOutcomeError(PlatformError):
    """The answer was lost: it may or may not have been done."""


class Refusal(StrEnum):
    """Why a call is of no use."""

    GONE = "gone"  # the message or chat does not exist any more
    FORBIDDEN = "forbidden"  # the bot may not, or was blocked
    TOO_LONG = "too_long"
    BAD_REQUEST = "bad_request"
    OTHER_KIND = "other_kind"  # the message can't be edited into such a one: one with a file into one without
    TOKEN = "token"  # the bot's own token was refused  # noqa: S105 - no password


class RefusedError(PlatformError):
    """The platform will not do it however often it is asked."""

    def __init__(self, reason: Refusal, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail

    @property
    def words(self) -> str:
        """What to say to the operator, who has no use for our word for the reason."""
        return self.detail or str(self.reason)


class FileTrouble(StrEnum):
    """Why a file can't be had."""

    TOO_LARGE = "too_large"
    GONE = "gone"  # the platform does not have it any more
    REFUSED = "refused"  # it does not come from where the platform keeps files, or not as it should
    UNAVAILABLE = "unavailable"  # not now


class FileError(PlatformError):
    """A file that somebody sent can't be had. The message holds no address: it would open the file."""

    def __init__(self, trouble: FileTrouble, detail: str) -> None:
        super().__init__(f"{trouble}: {detail}")
        self.trouble = trouble


class Call(StrEnum):
    """What is asked of a platform, as far as budgets tell it apart."""

    SEND = "send"
    EDIT = "edit"
    DELETE = "delete"
    DRAFT = "draft"
    SEARCH = "search"


@dataclass(frozen=True, slots=True)
class Allowance:
    """A budget and the name of the bucket it is counted in; calls with the same name share it."""

    bucket: str
    budget: Budget


@dataclass(frozen=True, slots=True)
class Limits:
    """What a platform allows.

    Attributes:
        overall: Counts all calls of the bot account that `Platform.allowances` does not exempt by leaving it out.
        idempotent_send: A repeated send with the same nonce makes nothing new, for `nonce_seconds` after the first one.
        private_answers: Command answers can be shown to the asker alone.
        max_button_rows: Most rows of buttons under a message.
        max_buttons_per_row: Most buttons of a row.
        file_bytes: Largest file of a message; 0: it takes none.
        nonce_seconds: So long a nonce is honoured.
        login_calls: So many calls counted in `overall` are made until the first event can arrive, and wait for nothing.
        one_by_one: An event is offered only when the one before it is committed.
    """

    overall: Allowance
    idempotent_send: bool
    private_answers: bool
    max_button_rows: int
    max_buttons_per_row: int
    file_bytes: int = 0
    nonce_seconds: float = math.inf
    login_calls: int = 0
    one_by_one: bool = False


Accept: TypeAlias = Callable[[Incoming], Awaitable[bool]]
"""Commit an event; True if it is new. The platform acknowledges after it returned, never before."""


class Platform(Protocol):
    """A chat platform.

    Attributes:
        name: Lower-case id, the first field of every chat address.
        limits: What it allows.
        style: How text is rendered and measured for it.
    """

    name: str
    limits: Limits
    style: Style

    async def open(self) -> str:
        """Check the token and return the bot account's id. After it `send`, `edit` and `delete` work, without any intake.

        Raises:
            RefusedError: With `Refusal.TOKEN` if the token is wrong.
            UnavailableError: The platform can't be reached.
        """
        ...

    async def run(self, accept: Accept, ready: Callable[[], None]) -> None:
        """Take events in until cancelled; call `ready` once the first can arrive. Lost connections are taken up again inside.

        Raises:
            RefusedError: The token was revoked, or another copy of the bot runs.
        """
        ...

    def allowances(self, call: Call, target: Target, *, first: bool) -> Sequence[Allowance]:
        """Name the budgets that a call would be counted in; `first` if it makes or edits the first page of a reply.

        The chat's own comes first, for every kind of call: a flood that is not `everywhere` halts what is counted in that one only.
        """
        ...

    async def send(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        """Make a message. `first`: it is the reply's first page and may use `target.route` and `target.reply_to`.

        Raises:
            PlatformError: One of the tree above.
        """
        ...

    async def edit(self, target: Target, message_id: str, page: Page, *, first: bool) -> Receipt:
        """Make a message look like `page`; that it already does is success. A file is sent anew.

        Raises:
            PlatformError: One of the tree above.
        """
        ...

    async def delete(self, target: Target, message_id: str) -> None:
        """Delete a message of the bot; that it is gone already is success.

        Raises:
            PlatformError: One of the tree above.
        """
        ...

    async def aclose(self) -> None:
        """Let go of connections. Idempotent."""
        ...


class Repeat(StrEnum):
    """What a create does that is made once more because nobody knows whether the first one arrived."""

    SAME = "same"  # nothing new, whenever it is made
    NONCE = "nonce"  # nothing new as long as the nonce is honoured; then the history is to be searched first
    SEARCH = "search"  # perhaps another message: the history is to be searched first
    NEW = "new"  # perhaps another message, and nothing tells


@dataclass(frozen=True, slots=True)
class Sighting:
    """Part of a chat's history, read to find a message whose create's answer was lost.

    Attributes:
        messages: Ids of those that may be it, oldest first.
        further: Where to read on; None: there is nothing more to read.
    """

    messages: tuple[str, ...]
    further: str | None


@runtime_checkable
class SupportsSearch(Protocol):
    """A platform whose history can tell of a create whose answer was lost."""

    def repeat(self, target: Target, *, first: bool) -> Repeat:
        """Tell what a repeated create would do now; `first` if it is the reply's first page."""
        ...

    async def search(self, target: Target, *, first: bool, position: str | None) -> Sighting:
        """Read a part of the history, from what the reply answers on or from where an earlier sighting ended. Counted as one call.

        Raises:
            RefusedError: The history can't be read.
            PlatformError: It did not come.
        """
        ...

    async def resend(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        """Make a message once more, as `repeat` said that it may be.

        Raises:
            UnavailableError: That is not how it is any more, and nothing was made: `repeat` says what is to be done now.
            PlatformError: One of the tree above.
        """
        ...


class Memo(Protocol):
    """A place where a platform keeps a few small facts over restarts, such as the hash of the command tree it last synced."""

    async def get(self, key: str) -> str | None:
        """Return the value, None if there is none."""
        ...

    async def put(self, key: str, value: str) -> None:
        """Keep a value."""
        ...


@runtime_checkable
class SupportsPresses(Protocol):
    """A platform that can say a word to the person who pressed a button, and to nobody else."""

    async def pressed(self, route: ReplyRoute | None, note: Page | None = None) -> None:
        """Say that a press was carried out, and `note` if there is one. Nobody waits for it: failures are swallowed.

        Args:
            route: Of the press; None when it is gone.
            note: A word to the person; buttons are left out.
        """
        ...


@runtime_checkable
class SupportsUnbuttoning(Protocol):
    """A platform that can take the buttons from under one of the bot's messages and leave all else of it as it is."""

    def allowances(self, call: Call, target: Target, *, first: bool) -> Sequence[Allowance]:
        """See `Platform.allowances`: it counts as an edit."""
        ...

    async def unbutton(self, target: Target, message_id: str, *, first: bool) -> None:
        """Take the buttons away; that there are none is success.

        Raises:
            PlatformError: One of the tree above. It may be repeated.
        """
        ...


@runtime_checkable
class SupportsMarks(Protocol):
    """A platform that can put a small sign of the bot's own on a person's message: it was seen, and waits."""

    def mark_allowances(self, target: Target) -> Sequence[Allowance]:
        """Name the budgets that setting a mark or taking it away is counted in, the narrowest first, that of the whole account last."""
        ...

    async def mark(self, target: Target, message_id: str, *, on: bool) -> None:
        """Set a mark, or take it away; that it is so already is success.

        Raises:
            PlatformError: One of the tree above. It may be repeated.
        """
        ...


@runtime_checkable
class SupportsReadingAgain(Protocol):
    """A platform that can read what it set aside from what is kept of it: what an older version could not, a newer one may."""

    async def read_again(self, kept: Incoming) -> Incoming | None:
        """Return the event that was kept as it came (`Incoming.raw`), as if it came now; None if it is not meant for the bot.

        Raises:
            Exception: It can't be read this time either.
        """
        ...


@runtime_checkable
class SupportsAdministrators(Protocol):
    """A platform that does not say with an event whether its person administers the place, and can be asked."""

    async def administers(self, chat: ChatAddress, person: str) -> bool:
        """Tell whether a person administers a group.

        Raises:
            PlatformError: It can't be found out now.
        """
        ...


@runtime_checkable
class SupportsTyping(Protocol):
    """A platform that can show that the bot is writing."""

    typing_seconds: float

    async def typing(self, target: Target) -> None:
        """Show it for `typing_seconds`. Failures are of no importance and are swallowed."""
        ...


@runtime_checkable
class SupportsAttachments(Protocol):
    """A platform whose people's files can be fetched."""

    async def fetch(self, attachment: Attachment, chat: ChatAddress, message_id: str | None, *, most_bytes: int) -> bytes:
        """Return a file's content, within `budgets.ATTACHMENT_SECONDS`, from where the platform itself keeps files and from nowhere else.

        Nothing else that is said of the file is to be believed: neither its type nor its size.

        Args:
            attachment: As it came with the message.
            chat: Where.
            message_id: Of the message, by which a file can be found whose address has expired.
            most_bytes: More is not read.

        Raises:
            FileError: It can't be had.
        """
        ...


@runtime_checkable
class SupportsDrafts(Protocol):
    """A platform that can show a growing text before it is a message. It shows until the bot's next message there, or until it fades.

    Attributes:
        draft_seconds: A draft fades so long after it was shown last.
        draft_refusals: After so many refusals in a row it is of no use to go on with the drafts of an answer.
    """

    draft_seconds: float
    draft_refusals: int

    def drafts(self, target: Target) -> bool:
        """Tell whether drafts can be shown there, as far as is known by now."""
        ...

    async def draft(self, target: Target, page: Page, *, number: int) -> None:
        """Show a page as a draft, in place of the one that shows there; its buttons are left out.

        A person who stops it makes an event, a press of the button whose data is `bot.drafts.stop_of(number)`.

        Args:
            target: Where.
            page: The text so far, as it will stand in the message.
            number: Positive; the same while one text grows.

        Raises:
            PlatformError: One of the tree above. It may be repeated.
        """
        ...


class Cursors(Protocol):
    """How far each chat of a bot account has been read. A position is text of the platform's own; it means nothing to the core."""

    async def read(self, account: str) -> Mapping[str, str | None]:
        """Return chat → position of every chat that the bot has talked in, None where none was noted. Chats that are gone are left out.

        Raises:
            StoreError: They can't be read now.
        """
        ...

    async def write(self, account: str, moved: Mapping[str, str | None]) -> None:
        """Note positions; None for a chat that is gone.

        Raises:
            StoreError: None of them was noted.
        """
        ...


@dataclass(slots=True)
class Heard:
    """What the platform said of a bucket, in the answer to a call of its own accord: calls left, seconds until it is full again."""

    remaining: int | None = None
    reset_after: float | None = None


Spend: TypeAlias = Callable[[Sequence[Allowance]], AbstractAsyncContextManager[Heard]]
"""Wait until a call counted in these budgets may go out beside the answers, and count it: the call is made within the context.

The narrowest budget comes first, that of the whole account last. A `FloodError` within it halts them as long as told.
"""


@runtime_checkable
class SupportsCatchUp(Protocol):
    """A platform that confirms nothing: what was said while no connection stood is read back from its history, from a cursor per chat."""

    def catch_up_with(self, cursors: Cursors, spend: Spend) -> None:
        """Take what is needed for it. Called before `run`, which then does it whenever events may have been missed."""
        ...
