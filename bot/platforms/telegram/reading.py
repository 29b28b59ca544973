"""From a parsed update to an event of ours: is it meant for the bot, and what does it say? Pure functions."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from telegram import Audio, CallbackQuery, Chat, Document, Message, MessageEntity, Update, User, Video, Voice

from bot.commands.base import Command
from bot.drafts import stop_of
from bot.model import Attachment, ButtonPress, ChatAddress, ChatKind, CommandCall, EventKind, Incoming, Sender

PLATFORM = "telegram"
START, HELP = "start", "help"
MOST_ID = 2**63
MOST_UPDATES = 2**31
"""Updates are numbered one by one, in numbers of 32 bits: https://core.telegram.org/bots/api#update."""
ID_CHARS = 64
"""Longest id of a callback query that is taken for one; real ones are numbers of 19 digits."""
STOPPED = "stopped_message_generation"
"""The part of an update that tells of a stopped draft. Bot API 10.3; python-telegram-bot 22.8 does not read it."""


@dataclass(frozen=True, slots=True)
class Me:
    """The bot's own account. `username` is without ``@``."""

    id: int
    username: str

    @property
    def account(self) -> str:
        """Its id as text."""
        return str(self.id)


@dataclass(frozen=True, slots=True)
class _Said:
    """A text or caption with its entities; offsets in UTF-16 units."""

    text: str
    entities: tuple[MessageEntity, ...]

    def slice(self, entity: MessageEntity) -> str:
        """Return the text an entity covers."""
        raw = self.text.encode("utf-16-le", "surrogatepass")
        return raw[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le", "replace")


def read(update: Update, me: Me, commands: Sequence[Command]) -> Incoming | None:
    """Return the event that an update is, None if it is not meant for the bot."""
    if update.callback_query is not None:
        return _button(update.callback_query, me)
    if update.message is not None:
        return _message(update.message, me, commands, edited=False)
    if update.edited_message is not None:
        edit = _message(update.edited_message, me, commands, edited=True)
        return None if edit is None else replace(edit, version=_version(update.edited_message, update.update_id))
    return None


def read_stop(stopped: Mapping[str, Any], update_id: int, me: Me, topic_of: Callable[[int], str]) -> Incoming:
    """Return the event of a draft's Stop button.

    The server names no person, a draft's chat being private, and no topic, whatever the documentation says; it writes the draft's number as
    text. `topic_of` tells the topic in which a draft was shown, empty if in none.

    Raises:
        ValueError, TypeError, KeyError: It is not of this shape.
    """
    number, chat = int(stopped["draft_id"]), Chat.de_json(stopped["chat"])
    if chat is None or chat.type != Chat.PRIVATE:
        raise TypeError("a draft was stopped outside of private chats")
    return Incoming(
        # The update's id is part of it: what came twice had the same, and the number of a draft may come again.
        key=f"{PLATFORM}:{me.account}:stopped:{chat.id}:{number}:{update_id}",
        kind=EventKind.BUTTON,
        chat=_address(me, chat, str(stopped.get("message_thread_id") or topic_of(number))),
        chat_kind=ChatKind.PRIVATE,
        sender=Sender(str(chat.id), clean(chat.full_name or "")),
        button=ButtonPress(stop_of(number)),
    )


def clean(text: str) -> str:
    """Replace what no database stores: lone surrogates and NUL."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")


# --------------------------------------------------------------------------------------------------------- buttons


def _button(query: CallbackQuery, me: Me) -> Incoming | None:
    # Without data it is a game; without a message it comes from a message sent by inline mode, which the bot has not.
    if query.data is None or query.message is None:
        return None
    message = query.message
    thread = _thread(message) if isinstance(message, Message) else ""
    return Incoming(
        key=f"{PLATFORM}:{me.account}:callback:{_short(query.id)}",
        kind=EventKind.BUTTON,
        chat=_address(me, message.chat, thread),
        chat_kind=_chat_kind(message.chat),
        sender=_sender(query.from_user),
        button=ButtonPress(clean(query.data), str(_whole(message.message_id))),
    )


# -------------------------------------------------------------------------------------------------------- messages


def _message(message: Message, me: Me, commands: Sequence[Command], *, edited: bool) -> Incoming | None:
    person = message.from_user
    if person is None or person.is_bot or message.chat.type == Chat.CHANNEL:
        return None  # channel posts, anonymous admins, other bots, the bot itself
    said = _said(message)
    attachments = tuple(_attachments(message))
    if not said.text and not attachments:
        return None  # service messages, stickers, places
    if _is_command(said):
        return _command_event(message, me, person, said, commands, edited=edited)
    mentions = [entity for entity in said.entities if _is_mention(said, entity, me)]
    if _chat_kind(message.chat) is ChatKind.GROUP and not mentions and not _answers(message, me):
        return None
    kind = EventKind.EDIT if edited else EventKind.MESSAGE
    return _incoming(message, me, person, kind, text=_without(said, mentions), attachments=attachments)


def _command_event(message: Message, me: Me, person: User, said: _Said, commands: Sequence[Command], *, edited: bool) -> Incoming | None:
    command = _command(said, me, commands, named_only=_chat_kind(message.chat) is ChatKind.GROUP)
    if command is None:
        return None
    if not edited:
        return _incoming(message, me, person, EventKind.COMMAND, command=command)
    # An edited command is not carried out again, but the question of an asking one can still be put right.
    question = _question(command, commands)
    return None if question is None else _incoming(message, me, person, EventKind.EDIT, text=question)


def _incoming(
    message: Message,
    me: Me,
    person: User,
    kind: EventKind,
    *,
    text: str = "",
    command: CommandCall | None = None,
    attachments: tuple[Attachment, ...] = (),
) -> Incoming:
    # Not the update's id: Telegram may begin anew at a random one after a week of silence.
    key = f"{PLATFORM}:{me.account}:message:{_whole(message.chat.id)}:{_whole(message.message_id)}"
    if kind is EventKind.EDIT:
        edited_at = int(message.edit_date.timestamp()) if message.edit_date is not None else 0
        # Two edits may fall into one second; the text tells them apart.
        key += f":edit:{edited_at}:{hashlib.sha256(clean(text).encode()).hexdigest()[:16]}"
    return Incoming(
        key=key,
        kind=kind,
        chat=_address(me, message.chat, _thread(message)),
        chat_kind=_chat_kind(message.chat),
        sender=_sender(person),
        text=clean(text),
        message_id=str(message.message_id),
        command=command,
        attachments=attachments,
        album=None if message.media_group_id is None else _short(message.media_group_id),
        reply_to=_replied(message) if command is not None else None,
    )


def _version(edited: Message, update_id: int) -> int:
    """Order the edits of a message: by the second of each, and those of one second by their updates, which are numbered in sequence."""
    seconds = int(edited.edit_date.timestamp()) if edited.edit_date is not None else 0
    return seconds * MOST_UPDATES + update_id % MOST_UPDATES


def _replied(message: Message) -> str | None:
    """Return the message of the same chat that this one replies to; what opened a topic is replied to by everything in it."""
    replied = message.reply_to_message
    if replied is None or replied.forum_topic_created is not None:
        return None
    return str(_whole(replied.message_id))


def _said(message: Message) -> _Said:
    if message.text is not None:
        return _Said(message.text, tuple(message.entities))
    return _Said(message.caption or "", tuple(message.caption_entities))


def _is_mention(said: _Said, entity: MessageEntity, me: Me) -> bool:
    if entity.type == MessageEntity.TEXT_MENTION:
        return entity.user is not None and entity.user.id == me.id
    return entity.type == MessageEntity.MENTION and said.slice(entity).lower() == f"@{me.username}".lower()


def _answers(message: Message, me: Me) -> bool:
    replied = message.reply_to_message
    if replied is None or replied.from_user is None or replied.from_user.id != me.id:
        return False
    # Every plain message of a topic is marked as a reply to the topic's first, a service message: the bot's own if it opened the topic.
    return replied.forum_topic_created is None


def _without(said: _Said, mentions: list[MessageEntity]) -> str:
    """Take mentions out, each with one space beside it if it had one on both sides, and the comma after an address."""
    raw = said.text.encode("utf-16-le", "surrogatepass")
    for entity in sorted(mentions, key=lambda mention: -mention.offset):
        before, after = raw[: 2 * entity.offset], raw[2 * (entity.offset + entity.length) :]
        space = " ".encode("utf-16-le")
        raw = before + (after[2:] if before.endswith(space) and after.startswith(space) else after)
    text = raw.decode("utf-16-le", "surrogatepass").strip()
    addressed = any(entity.offset == 0 for entity in mentions)
    return re.sub(r"^[,:]\s+", "", text) if addressed else text


# -------------------------------------------------------------------------------------------------------- commands


def _is_command(said: _Said) -> bool:
    return any(entity.type == MessageEntity.BOT_COMMAND and entity.offset == 0 for entity in said.entities)


def _command(said: _Said, me: Me, commands: Sequence[Command], *, named_only: bool) -> CommandCall | None:
    """Read ``/name rest`` or ``/name@bot rest``.

    None: it is for another bot; or, with `named_only`, no command of ours by name and not addressed to us. Unknown ones are passed on
    otherwise, so that the person can be told the nearest names.
    """
    head, *tail = said.text.split(maxsplit=1)
    name, _, addressee = head[1:].partition("@")
    name = clean(name).lower()
    if addressee and addressee.lower() != me.username.lower():
        return None
    known = {command.name: command for command in commands}
    if name == START and START not in known:
        return CommandCall(HELP)  # what every client sends first; its text is a deep link's payload
    if name in known:
        return CommandCall(name, known[name].bind(clean(tail[0]) if tail else ""))
    return CommandCall(name) if addressee or not named_only else None


def _question(call: CommandCall, commands: Sequence[Command]) -> str | None:
    command = next((one for one in commands if one.name == call.name and one.asks), None)
    return call.arguments.get(command.options[0].name) if command is not None else None


# ----------------------------------------------------------------------------------------------------------- parts


def _address(me: Me, chat: Chat, thread: str) -> ChatAddress:
    return ChatAddress(PLATFORM, me.account, str(_whole(chat.id)), thread)


def _thread(message: Message) -> str:
    # Outside forums `message_thread_id` numbers threads of replies, which are no topics.
    return str(_whole(message.message_thread_id)) if message.is_topic_message and message.message_thread_id is not None else ""


def _chat_kind(chat: Chat) -> ChatKind:
    return ChatKind.PRIVATE if chat.type == Chat.PRIVATE else ChatKind.GROUP


def _sender(user: User) -> Sender:
    return Sender(str(_whole(user.id)), clean(user.full_name))


def _whole(number: object) -> int:
    """Return an id; the library takes whatever comes in its place."""
    if isinstance(number, bool) or not isinstance(number, int) or abs(number) > MOST_ID:
        raise TypeError("an id is no number")
    return number


def _short(word: object) -> str:
    if not isinstance(word, str) or len(word) > ID_CHARS:
        raise TypeError("an id is no short text")
    return word


def _attachments(message: Message) -> Iterable[Attachment]:
    if message.photo:
        largest = max(message.photo, key=lambda size: size.width * size.height)
        yield Attachment("photo.jpg", "image/jpeg", largest.file_size or 0, largest.file_id)
    if message.document is not None:
        yield _file(message.document, message.document.file_name or "document", "application/octet-stream")
    if message.voice is not None:
        yield _file(message.voice, "voice.ogg", "audio/ogg")
    if message.audio is not None:
        yield _file(message.audio, message.audio.file_name or "audio", "audio/mpeg")
    if message.video is not None:
        yield _file(message.video, message.video.file_name or "video.mp4", "video/mp4")


def _file(file: Document | Voice | Audio | Video, name: str, media_type: str) -> Attachment:
    return Attachment(clean(name), file.mime_type or media_type, file.file_size or 0, file.file_id)
