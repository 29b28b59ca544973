"""What people do: write, edit, delete, press buttons, block the bot. Each act becomes the updates a bot would get."""

from __future__ import annotations

import asyncio
import copy
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from bot.platforms.budgets import TELEGRAM_CALLBACK_SECONDS, TELEGRAM_MESSAGE_UTF16_UNITS
from sandbox.telegram.errors import Json
from sandbox.telegram.text import BLANK, detect, marked, units
from sandbox.telegram.updates import Updates
from sandbox.telegram.world import DOCUMENT_PREFIX, FILE_PREFIX, Chat, World

CAPTION_UNITS = 1024
"""Longest caption, in UTF-16 units. Documented: sendPhoto."""
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de00"
    "00000c4944415478da63506838000002240161e3e9493c0000000049454e44ae426082"
)
"""The picture people send: a PNG of one pixel."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A file that a person sends: without a name as a photo, with one as a document."""

    data: bytes
    name: str | None = None
    media_type: str = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Press:
    """A button pressed that waits for its answer, until `until`."""

    chat_id: int
    user_id: int
    until: float
    answer: asyncio.Future[Json]


class People:
    """The persons' side of the world."""

    def __init__(self, world: World, updates: Updates, now: Callable[[], float]) -> None:
        self._world, self._updates, self._now = world, updates, now
        self._presses: dict[str, Press] = {}

    def say(
        self,
        chat_id: int,
        user_id: int,
        text: str,
        *,
        reply_to: int | None,
        thread: int | None,
        mention: bool,
        photo: bool = False,
        files: Sequence[Sent] = (),
    ) -> Json:
        """Write a message; what is too long for one, or brings several files, becomes several, of which the last is returned."""
        chat = self._place(chat_id, user_id)
        if reply_to is not None:
            self._world.message(chat_id, reply_to)
        if thread is not None and thread not in chat.topics:
            raise ValueError(f"chat {chat_id} has no topic {thread}")
        if mention:
            text = f"@{self._world.bot['username']} {text}"
        files = [Sent(PIXEL)] if photo else files
        contents = self._sent(files, text) if files else [_written(part) for part in split(text)]
        if not contents:
            raise ValueError("an empty message can't be written")
        if chat.private:
            chat.open, chat.shut_by = True, ""
        for content in contents:
            message = self._world.post(chat, user_id, content, reply_to=reply_to, thread=thread)
            self._report("message", chat, message)
        return copy.deepcopy(message)

    def edit(self, chat_id: int, message_id: int, text: str) -> Json:
        """Change a person's message."""
        chat, message = self._world.chat(chat_id), self._world.message(chat_id, message_id)
        if message["from"]["is_bot"]:
            raise ValueError("people can't edit a message of the bot")
        key = "text" if "text" in message else "caption"
        found = detect(text)
        content = {key: text, ("entities" if key == "text" else "caption_entities"): found} if found else {key: text}
        message = self._world.rewrite(chat, message_id, content, drop=("entities", "caption_entities"))
        self._report("edited_message", chat, message)
        return copy.deepcopy(message)

    def delete(self, chat_id: int, message_id: int) -> None:
        """Delete a message; bots are not told."""
        self._world.message(chat_id, message_id)
        self._world.remove(self._world.chat(chat_id), message_id)

    async def press(self, chat_id: int, message_id: int, data: str, user_id: int, wait_seconds: float) -> Json:
        """Press a button, also one that is not there; return what the bot answered.

        Raises:
            TimeoutError: No answer came.
        """
        chat = self._place(chat_id, user_id)
        query_id = str(secrets.randbelow(10**18))
        answer: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._presses[query_id] = Press(chat_id, user_id, self._now() + TELEGRAM_CALLBACK_SECONDS, answer)
        message = chat.messages.get(message_id) or {"message_id": message_id, "chat": chat.api(), "date": 0}
        query = {"id": query_id, "from": self._world.users[user_id], "chat_instance": str(-chat_id), "message": message, "data": data}
        self._updates.add({"callback_query": copy.deepcopy(query)})
        async with asyncio.timeout(wait_seconds):
            return await asyncio.shield(answer)

    def stop_draft(self, chat_id: int, thread: int | None) -> None:
        """Press the Stop button of the draft that shows.

        Only what is displayed changes; the bot gets an update that names neither a person nor a topic, as the real server's does.
        """
        chat = self._world.chat(chat_id)
        draft = next((one for one in self._world.drafts(chat) if one.thread == thread), None)
        if draft is None or not draft.can_stop:
            raise ValueError(f"no draft in the chat {chat_id} has a Stop button")
        if draft.keep_on_stop:
            self._world.show_draft(chat, replace(draft, can_stop=False))
        else:
            self._world.drop_draft(chat, thread)
        self._updates.add({"stopped_message_generation": {"chat": chat.api(), "draft_id": draft.id}})

    def answered(self, query_id: str, parameters: Json) -> bool:
        """Take the bot's answer to a callback query; False if it is unknown, answered already or too old."""
        press = self._presses.pop(query_id, None)
        if press is None or press.until < self._now():
            return False
        if not press.answer.done():
            press.answer.set_result(parameters)
        self._world.change("callback_answer", chat_id=press.chat_id, user_id=press.user_id, **parameters)
        return True

    def shut(self, chat_id: int, by: str, user_id: int) -> None:
        """Block the bot in a private chat or throw it out of a group."""
        chat = self._world.chat(chat_id)
        chat.open, chat.shut_by = False, by
        old = {"user": self._world.bot, "status": "member"}
        new = {"user": self._world.bot, "status": "kicked", "until_date": 0}
        who = self._world.users[user_id]
        change = {"chat": chat.api(), "from": who, "date": int(self._now()), "old_chat_member": old, "new_chat_member": new}
        self._updates.add({"my_chat_member": change})

    def _place(self, chat_id: int, user_id: int) -> Chat:
        self._world.person(user_id)
        chat = self._world.chat(chat_id)
        if user_id not in chat.members:
            raise ValueError(f"{user_id} is not in the chat {chat_id}")
        return chat

    def _sent(self, files: Sequence[Sent], caption: str) -> list[Json]:
        """Return the messages that bring files, the caption with the first; several are an album."""
        if units(caption) > CAPTION_UNITS:
            raise ValueError(f"a caption has at most {CAPTION_UNITS} UTF-16 units")
        contents = [self._kept(file) for file in files]
        if caption:
            contents[0]["caption"] = caption
            if found := detect(caption):
                contents[0]["caption_entities"] = found
        album = {"media_group_id": str(secrets.randbelow(10**17))} if len(files) > 1 else {}
        return [content | album for content in contents]

    def _kept(self, file: Sent) -> Json:
        unique = secrets.token_hex(8)
        file_id = f"{FILE_PREFIX if file.name is None else DOCUMENT_PREFIX}{unique}"
        self._world.files[file_id] = file.data
        about = {"file_id": file_id, "file_unique_id": unique, "file_size": len(file.data)}
        if file.name is None:
            return {"photo": [{**about, "width": 1, "height": 1}]}
        return {"document": {**about, "file_name": file.name, "mime_type": file.media_type}}

    def _report(self, kind: str, chat: Chat, message: Json) -> None:
        """Give the bot the update, if it may see the message."""
        if chat.private or (chat.open and (not self._world.privacy or self._meant_for_bot(message))):
            self._updates.add({kind: copy.deepcopy(message)})

    def _meant_for_bot(self, message: Json) -> bool:
        """Say whether privacy mode lets a message of a group through: a command, an answer to the bot, or one that names it."""
        text: str = message.get("text") or message.get("caption") or ""
        found: list[Json] = message.get("entities") or message.get("caption_entities") or []
        name = f"@{self._world.bot['username']}".lower()
        for entity in found:
            part = marked(text, entity).lower()
            if entity["type"] == "mention" and part == name:
                return True
            if entity["type"] == "bot_command" and ("@" not in part or part.endswith(name)):
                return True
        target = message.get("reply_to_message", {})
        return target.get("from", {}).get("id") == self._world.bot_id and "forum_topic_created" not in target


def split(text: str) -> list[str]:
    """Cut a text as clients do: at the last line break or blank within the limit, in the middle of a word if there is none."""
    parts = []
    rest = text.strip(BLANK)
    while rest:
        fit = _fitting(rest)
        cut = fit
        if fit < len(rest):
            cut = max(rest.rfind("\n", 0, fit + 1), 0) or max(rest.rfind(" ", 0, fit + 1), 0) or fit
        parts.append(rest[:cut].strip(BLANK))
        rest = rest[cut:].strip(BLANK)
    return parts


def _fitting(text: str) -> int:
    """Return how many characters from the start fit into one message."""
    if units(text) <= TELEGRAM_MESSAGE_UTF16_UNITS:
        return len(text)
    used = 0
    for index, char in enumerate(text):
        used += 2 if char > "\uffff" else 1
        if used > TELEGRAM_MESSAGE_UTF16_UNITS:
            return index
    return len(text)


def _written(text: str) -> Json:
    found = detect(text)
    return {"text": text, "entities": found} if found else {"text": text}
