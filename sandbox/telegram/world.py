"""What exists: people, chats, topics, messages, files. Knows no HTTP and no updates."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from bot.platforms.budgets import TELEGRAM_FILE_LINK_SECONDS
from sandbox.telegram.errors import Json

BOT_USERNAME = "dragoman_bot"
FIRST_USER = 5_000_000_001
"""Beyond 32 bits, as ids of new accounts are."""
FIRST_GROUP = -1_002_000_000_001
TOPIC_COLOUR = 0x6FB9F0
FILE_PREFIX = "AgAC"
"""With which the `file_id` of a picture starts; what follows is its `file_unique_id`."""
DOCUMENT_PREFIX = "BQAC"
"""Likewise for other files."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A preview that a bot shows in a private chat, until `until` or its next message there.

    Attributes:
        can_stop: It has a Stop button.
        keep_on_stop: It stays when that is pressed, without the button.
    """

    id: int
    thread: int | None
    text: str
    entities: list[Json]
    until: float
    can_stop: bool = False
    keep_on_stop: bool = False


@dataclass(slots=True)
class Chat:
    """A private chat or a supergroup, as the bot meets it.

    Attributes:
        open: The bot may write here: the person has started it, or it is in the group.
        shut_by: Why not, if it once could: `blocked` or `kicked`.
        members: Ids of the people in it; the bot is not among them.
        owner: Who administers the group.
    """

    id: int
    name: str
    members: set[int]
    owner: int = 0
    forum: bool = False
    open: bool = False
    shut_by: str = ""
    topics: dict[int, str] = field(default_factory=dict)
    messages: dict[int, Json] = field(default_factory=dict)
    drafts: dict[int | None, Draft] = field(default_factory=dict)
    last_message_id: int = 0

    @property
    def private(self) -> bool:
        """Whether it is the chat of one person with the bot."""
        return self.id > 0

    def api(self) -> Json:
        """Return the Chat object."""
        if self.private:
            return {"id": self.id, "type": "private", "first_name": self.name, "username": self.name}
        chat: Json = {"id": self.id, "type": "supergroup", "title": self.name}
        return {**chat, "is_forum": True} if self.forum else chat


class World:
    """Everything there is, and the news of every visible change.

    Attributes:
        privacy: In groups the bot gets only what is meant for it.
        private_topics: Private chats may have topics.
        on_change: Called with every visible change.
        files: Content by `file_id`.
        links: When the addresses that were given out expire, epoch seconds by path.
        without_documents: Chats where the bot may not send files.
        without_reactions: Chats that take no reactions.
        reactions: (chat, message) → emojis that the bot has put on it.
    """

    def __init__(self, bot_id: int, now: Callable[[], float]) -> None:
        self._now = now
        self.bot_id = bot_id
        self.privacy = True
        self.private_topics = False
        self.bot: Json = {"id": bot_id, "is_bot": True, "first_name": "Dragoman", "username": BOT_USERNAME}
        self.users: dict[int, Json] = {bot_id: self.bot}
        self.chats: dict[int, Chat] = {}
        self.files: dict[str, bytes] = {}
        self.links: dict[str, float] = {}
        self.without_documents: set[int] = set()
        self.without_reactions: set[int] = set()
        self.reactions: dict[tuple[int, int], list[str]] = {}
        self.on_change: list[Callable[[Json], None]] = []
        self._private_message_id = 0

    def link(self, path: str) -> str:
        """Let a file be had at a path for an hour; return the path."""
        self.links[path] = self._now() + TELEGRAM_FILE_LINK_SECONDS
        return path

    def link_holds(self, path: str) -> bool:
        """Tell whether a file can be had at a path."""
        return self.links.get(path, 0.0) > self._now()

    def add_user(self, name: str) -> int:
        """Add a person, whose private chat has the same id and is not open yet."""
        user_id = FIRST_USER + len(self.users) - 1
        self.users[user_id] = {"id": user_id, "is_bot": False, "first_name": name, "username": name, "language_code": "en"}
        self.chats[user_id] = Chat(user_id, name, {user_id})
        return user_id

    def add_group(self, title: str, members: Sequence[int], *, forum: bool) -> int:
        """Add a supergroup with the bot in it; its first member owns it.

        Raises:
            ValueError: It would have no members, or one who does not exist.
        """
        if not members:
            raise ValueError("a group needs a member")
        for user_id in members:
            self.person(user_id)
        chat_id = FIRST_GROUP - sum(not chat.private for chat in self.chats.values())
        self.chats[chat_id] = Chat(chat_id, title, set(members), members[0], forum, open=True)
        return chat_id

    def person(self, user_id: int) -> Json:
        """Return the User object of a person.

        Raises:
            ValueError: There is none with this id.
        """
        if user_id not in self.users or user_id == self.bot_id:
            raise ValueError(f"no person has the id {user_id}")
        return self.users[user_id]

    def chat(self, chat_id: int) -> Chat:
        """Return a chat.

        Raises:
            ValueError: There is none with this id.
        """
        if chat_id not in self.chats:
            raise ValueError(f"no chat has the id {chat_id}")
        return self.chats[chat_id]

    def message(self, chat_id: int, message_id: int) -> Json:
        """Return the stored message.

        Raises:
            ValueError: There is none with this id.
        """
        message = self.chat(chat_id).messages.get(message_id)
        if message is None:
            raise ValueError(f"chat {chat_id} has no message {message_id}")
        return message

    def post(self, chat: Chat, sender: int, content: Json, *, reply_to: int | None = None, thread: int | None = None) -> Json:
        """Store a message and tell of it.

        Args:
            chat: Where.
            sender: Id of the person or bot.
            content: Its own fields: text, entities, reply_markup, …
            reply_to: A message of the same chat.
            thread: A topic of the chat.
        """
        message_id = self._take_message_id(chat)
        message: Json = {"message_id": message_id, "from": self.users[sender], "chat": chat.api(), "date": int(self._now())}
        if reply_to is not None:
            thread = self._follow(chat, message, chat.messages[reply_to], thread)
        if thread is not None:
            message |= {"message_thread_id": thread, "is_topic_message": True}
            # In a topic, what answers nothing else answers the message that opened the topic.
            if reply_to is None and not chat.private and thread in chat.messages:
                message["reply_to_message"] = _quoted(chat.messages[thread])
        chat.messages[message_id] = {**message, **copy.deepcopy(content)}
        if sender == self.bot_id:
            self.drop_draft(chat, thread)
        self.tell("message", chat, chat.messages[message_id])
        return chat.messages[message_id]

    def open_topic(self, chat: Chat, name: str, creator: int) -> int:
        """Make a topic; its id is that of the service message that opens it."""
        content = {"forum_topic_created": {"name": name, "icon_color": TOPIC_COLOUR}}
        thread = self._take_message_id(chat)
        chat.topics[thread] = name
        chat.messages[thread] = {
            "message_id": thread,
            "from": self.users[creator],
            "chat": chat.api(),
            "date": int(self._now()),
            "message_thread_id": thread,
            "is_topic_message": True,
            **content,
        }
        return thread

    def rewrite(self, chat: Chat, message_id: int, content: Json, *, drop: Sequence[str] = ()) -> Json:
        """Change a message's own fields, mark it as edited and tell of it."""
        message = chat.messages[message_id]
        for key in drop:
            message.pop(key, None)
        message.update(copy.deepcopy(content))
        message["edit_date"] = int(self._now())
        self.tell("edited_message", chat, message)
        return message

    def remove(self, chat: Chat, message_id: int) -> None:
        """Delete a message and tell of it."""
        message = chat.messages.pop(message_id)
        self.change("deleted", chat_id=chat.id, message_id=message_id, thread=_topic(message))

    def shown(self, chat: Chat, thread: int | None) -> Iterator[Json]:
        """Yield copies of the messages in order, without service messages."""
        for message in chat.messages.values():
            if "forum_topic_created" not in message and thread in {None, _topic(message)}:
                yield copy.deepcopy(message)

    def drafts(self, chat: Chat) -> list[Draft]:
        """Return the drafts that still show."""
        chat.drafts = {thread: draft for thread, draft in chat.drafts.items() if draft.until > self._now()}
        return list(chat.drafts.values())

    def show_draft(self, chat: Chat, draft: Draft) -> None:
        """Show a draft, in place of the one that shows already, and tell of it."""
        chat.drafts[draft.thread] = draft
        entities = copy.deepcopy(draft.entities)
        self.change(
            "draft", chat_id=chat.id, thread=draft.thread, draft_id=draft.id, text=draft.text, entities=entities, can_stop=draft.can_stop
        )

    def drop_draft(self, chat: Chat, thread: int | None) -> None:
        """Show the draft of a topic no longer, and tell of it if there is one."""
        draft = chat.drafts.pop(thread, None)
        if draft is not None:
            self.change("draft_gone", chat_id=chat.id, thread=thread, draft_id=draft.id)

    def tell(self, kind: str, chat: Chat, message: Json) -> None:
        """Tell of a message that was made or changed."""
        self.change(kind, chat_id=chat.id, thread=_topic(message), message=copy.deepcopy(message))

    def change(self, kind: str, **news: Any) -> None:
        """Tell of any visible change."""
        for listener in self.on_change:
            listener({"type": kind, **news})

    def _take_message_id(self, chat: Chat) -> int:
        # Private chats share one row of numbers; every supergroup has its own, so numbers of different chats do collide.
        if chat.private:
            self._private_message_id += 1
            return self._private_message_id
        chat.last_message_id += 1
        return chat.last_message_id

    @staticmethod
    def _follow(chat: Chat, message: Json, target: Json, thread: int | None) -> int | None:
        """Make a message answer another; return the topic it lands in."""
        message["reply_to_message"] = _quoted(target)
        if target.get("is_topic_message"):
            return int(target["message_thread_id"])
        if not chat.private and not chat.forum:
            # Outside forums, answers form threads too, which are no topics: nothing can be sent to them by their number.
            message["message_thread_id"] = target.get("message_thread_id", target["message_id"])
        return thread


def _quoted(message: Json) -> Json:
    """Return a message as it is quoted in an answer, which never holds another quote."""
    return {key: copy.deepcopy(value) for key, value in message.items() if key != "reply_to_message"}


def _topic(message: Json) -> int | None:
    """Return the topic a message is in."""
    return message["message_thread_id"] if message.get("is_topic_message") else None
