"""The values that flow between the boxes. All frozen; validated once, at the edge that makes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from storage.base import ChatAddress, EventKind, ReplyRoute

__all__ = [
    "Attachment",
    "Button",
    "ButtonPress",
    "ButtonStyle",
    "ChatAddress",
    "ChatKind",
    "CommandCall",
    "Entity",
    "EventKind",
    "File",
    "Incoming",
    "Page",
    "Receipt",
    "ReplyRoute",
    "Sender",
    "Target",
]

# --------------------------------------------------------------------------------------------- platform → core


class ChatKind(StrEnum):
    """Who can read along; budgets and manners depend on it."""

    PRIVATE = "private"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class Sender:
    """A person on a platform.

    Attributes:
        id: The platform's numeric id, as text.
        name: What people read.
        roles: Ids of the roles the person has where the event happened.
        member: The person is in a server the bot was invited to; None if that could not be found out.
        admin: The person administers the place; None where the platform did not say so with the event.
    """

    id: str
    name: str
    roles: tuple[str, ...] = ()
    member: bool | None = False
    admin: bool | None = None


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that came with a message. `size` is in bytes; `source` is what the platform needs to fetch it."""

    name: str
    media_type: str
    size: int
    source: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CommandCall:
    """A slash command with its arguments, still unchecked: option name → text."""

    name: str
    arguments: dict[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class ButtonPress:
    """A pressed button. `data` is what `Button.data` was, or what somebody forged."""

    data: str
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """An event from a platform that is meant for the bot.

    Attributes:
        key: Unique: the same event delivered twice has the same key.
        server: Discord server id; None elsewhere.
        text: What was said, with the bot's own mention taken out. Empty for commands and buttons,
            and for an edit that deleted the message.
        message_id: The platform's id of the person's message.
        route: A short-lived way to answer, such as an interaction token.
        album: Names what several messages came together as, each with a file; None for a message that stands alone.
        raw: What came from the platform, of an event that could not be read.
        reply_to: The message that a command was written as a reply to.
        version: Grows from one edit of a message to the next, as the platform dates them; 0: it was never edited, or that is not known.
    """

    key: str
    kind: EventKind
    chat: ChatAddress
    chat_kind: ChatKind
    sender: Sender
    server: str | None = None
    text: str = field(default="", repr=False)
    message_id: str | None = None
    command: CommandCall | None = None
    button: ButtonPress | None = None
    attachments: tuple[Attachment, ...] = ()
    route: ReplyRoute | None = None
    album: str | None = None
    raw: str | None = field(default=None, repr=False)
    reply_to: str | None = None
    version: int = 0


# --------------------------------------------------------------------------------------------- core → platform


class ButtonStyle(StrEnum):
    """How a button looks, where the platform has looks."""

    PLAIN = "plain"
    PRIMARY = "primary"
    DANGER = "danger"


@dataclass(frozen=True, slots=True)
class Button:
    """A button under a message. `data` comes back when it is pressed: at most 64 bytes (the tightest platform's limit)."""

    label: str
    data: str
    style: ButtonStyle = ButtonStyle.PLAIN


class Entity(NamedTuple):
    """A formatted range of a page's text, as Telegram's MessageEntity names it. Offset and length in UTF-16 units.

    A named tuple: a page has up to a hundred, made anew for every update.
    """

    type: str
    offset: int
    length: int
    url: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class File:
    """A file that the bot writes. `content` is UTF-8 text."""

    name: str
    media_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Page:
    """One message as it should look: the platform's own text, its buttons in rows, and the file that comes with it."""

    text: str
    entities: tuple[Entity, ...] = ()
    buttons: tuple[tuple[Button, ...], ...] = ()
    file: File | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a reply goes.

    Attributes:
        reply_to: The person's message that the first page answers to.
        route: A short-lived way to answer; the platform falls back to the chat when it is gone.
        private: Only the asker should see it, where the platform can do that.
        event: Key of the event that it answers: the platform knows by it where in the chat the reply stands.
        below: Another reply to the event stays above it: the place that the platform keeps for the answer is taken.
    """

    chat: ChatAddress
    chat_kind: ChatKind
    reply_to: str | None = None
    route: ReplyRoute | None = None
    private: bool = False
    event: str | None = None
    below: bool = False

    @classmethod
    def answering(cls, incoming: Incoming, route: ReplyRoute | None, *, private: bool = False, refer: bool = False) -> Target:
        """Return where the answer to an event goes.

        Where several people talk, and where it is to `refer`, it refers to the message it answers, or of the button.
        """
        about = incoming.button.message_id if incoming.button is not None else incoming.message_id
        reply_to = about if refer or incoming.chat_kind is ChatKind.GROUP else None
        return cls(incoming.chat, incoming.chat_kind, reply_to, route, private, incoming.key)


@dataclass(frozen=True, slots=True)
class Receipt:
    """The platform took a call.

    Attributes:
        message_id: Of the message made or edited.
        remaining: Calls left in the bucket, as the platform said.
        reset_after: Seconds until the bucket is full again, as the platform said.
    """

    message_id: str
    remaining: int | None = None
    reset_after: float | None = None
