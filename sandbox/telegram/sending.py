"""The methods that make, change and remove what people see."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bot.platforms.budgets import TELEGRAM_CALLBACK_TEXT_CHARS, TELEGRAM_CAPTION_UTF16_UNITS, TELEGRAM_DRAFT_SECONDS
from sandbox.telegram.documents import keep, upload_of
from sandbox.telegram.errors import NOT_MODIFIED, QUERY_TOO_OLD, Json, bad, forbidden
from sandbox.telegram.flood import Flood
from sandbox.telegram.formatting import parsed
from sandbox.telegram.keyboard import inline_keyboard
from sandbox.telegram.parameters import Parameters, whole
from sandbox.telegram.people import People
from sandbox.telegram.rich import rich_text
from sandbox.telegram.text import ENTITY_KEYS, Formatted, checked, finished
from sandbox.telegram.world import Chat, Draft, World

DELETABLE_SECONDS = 48 * 3600
"""Older messages can't be deleted. Documented: deleteMessage."""
MAX_TOPIC_NAME = 128
"""Longest name of a topic. Documented: createForumTopic."""
MAX_DELETED = 100
"""Most messages of one deleteMessages. Documented."""
ACTIONS = frozenset(
    {
        "typing",
        "upload_photo",
        "record_video",
        "upload_video",
        "record_voice",
        "upload_voice",
        "upload_document",
        "choose_sticker",
        "find_location",
        "record_video_note",
        "upload_video_note",
    }
)
MEDIA_KEYS = frozenset({"type", "media", "thumbnail", "caption", "parse_mode", "caption_entities", "disable_content_type_detection"})
PREVIEW_KEYS = frozenset({"is_disabled", "url", "prefer_small_media", "prefer_large_media", "show_above_text"})
REPLY_KEYS = frozenset(
    {
        "message_id",
        "chat_id",
        "allow_sending_without_reply",
        "quote",
        "quote_parse_mode",
        "quote_entities",
        "quote_position",
        "checklist_task_id",
        "poll_option_id",
        "ephemeral_message_id",
    }
)


class Sending:
    """Handlers; each takes the parameters of a call and returns its result."""

    def __init__(self, world: World, people: People, flood: Flood, now: Callable[[], float]) -> None:
        self._world, self._people, self._flood, self._now = world, people, flood, now

    async def send_message(self, parameters: Parameters) -> Json:
        """Make a message."""
        chat = self.writable(parameters)
        formatted = self._formatted(parameters, too_long="message is too long")
        keyboard = inline_keyboard(parameters)
        preview = parameters.record("link_preview_options", PREVIEW_KEYS)
        thread = self._thread(chat, parameters)
        reply_to = self._reply_to(chat, parameters)
        self._flood.charge(chat.id)
        content = _content(formatted, keyboard, preview)
        return self._world.post(chat, self._world.bot_id, content, reply_to=reply_to, thread=thread)

    async def edit_message_text(self, parameters: Parameters) -> Json:
        """Change a message of the bot; without `reply_markup` its keyboard goes."""
        chat = self.writable(parameters)
        formatted = self._formatted(parameters, too_long="MESSAGE_TOO_LONG")
        keyboard = inline_keyboard(parameters, only_inline=True)
        preview = parameters.record("link_preview_options", PREVIEW_KEYS)
        message = self._own(chat, parameters)
        if "text" not in message:
            raise bad("there is no text in the message to edit")
        self._flood.charge(chat.id)
        return self._rewrite(chat, message, _content(formatted, keyboard, preview))

    async def send_document(self, parameters: Parameters) -> Json:
        """Make a message with a file."""
        chat = self.writable(parameters)
        upload = upload_of(parameters, "document")
        caption = self._caption(parameters, too_long="message caption is too long")
        keyboard = inline_keyboard(parameters)
        self._may_send_documents(chat)
        thread = self._thread(chat, parameters)
        reply_to = self._reply_to(chat, parameters)
        self._flood.charge(chat.id)
        content = _document(keep(self._world, upload), caption, keyboard)
        return self._world.post(chat, self._world.bot_id, content, reply_to=reply_to, thread=thread)

    async def edit_message_media(self, parameters: Parameters) -> Json:
        """Put a file into a message of the bot, in place of its text or its file. Other media than files are not known here."""
        chat = self.writable(parameters)
        media = parameters.record("media", MEDIA_KEYS)
        if media is None or media.get("type") != "document":
            raise bad("can't parse InputMedia: only documents are taken here")
        told = parameters.within(media)
        upload = upload_of(told, "media")
        caption = self._caption(told, too_long="MEDIA_CAPTION_TOO_LONG")
        keyboard = inline_keyboard(parameters, only_inline=True)
        message = self._own(chat, parameters)
        self._may_send_documents(chat)
        self._flood.charge(chat.id)
        drop = ("text", "entities", "link_preview_options", "reply_markup", "document", "caption", "caption_entities")
        return self._world.rewrite(chat, message["message_id"], _document(keep(self._world, upload), caption, keyboard), drop=drop)

    def _may_send_documents(self, chat: Chat) -> None:
        if chat.id in self._world.without_documents:
            raise bad("not enough rights to send documents to the chat")

    async def edit_message_reply_markup(self, parameters: Parameters) -> Json:
        """Change or remove the keyboard of a message of the bot."""
        chat = self.writable(parameters)
        keyboard = inline_keyboard(parameters, only_inline=True)
        message = self._own(chat, parameters)
        self._flood.charge(chat.id)
        content: Json = {key: message[key] for key in ("text", "entities", "link_preview_options") if key in message}
        if keyboard is not None:
            content["reply_markup"] = keyboard
        return self._rewrite(chat, message, content)

    async def delete_message(self, parameters: Parameters) -> bool:
        """Delete one of the bot's messages, or one it was sent in private."""
        chat = self.writable(parameters)
        message = chat.messages.get(parameters.integer("message_id"))
        if message is None:
            raise bad("message to delete not found")
        if not self._deletable(chat, message):
            raise bad("message can't be deleted")
        self._flood.charge(chat.id)
        self._world.remove(chat, message["message_id"])
        return True

    async def delete_messages(self, parameters: Parameters) -> bool:
        """Delete several; those that can't be are passed over."""
        chat = self.writable(parameters)
        ids = parameters.decoded("message_ids")
        if not isinstance(ids, list) or not 1 <= len(ids) <= MAX_DELETED:
            raise bad("message identifiers are not specified")
        named = [whole("message_ids", item) for item in ids]
        self._flood.charge(chat.id)
        for message_id in named:
            message = chat.messages.get(message_id)
            if message is not None and self._deletable(chat, message):
                self._world.remove(chat, message_id)
        return True

    async def send_chat_action(self, parameters: Parameters) -> bool:
        """Show that the bot is doing something."""
        chat = self.writable(parameters)
        action = parameters.text("action")
        if action not in ACTIONS:
            raise bad("wrong parameter action in request")
        thread = self._thread(chat, parameters)
        self._flood.charge_overall()
        self._world.change("chat_action", chat_id=chat.id, thread=thread, action=action)
        return True

    async def answer_callback_query(self, parameters: Parameters) -> bool:
        """Answer the press of a button."""
        text = parameters.text("text")
        if len(text) > TELEGRAM_CALLBACK_TEXT_CHARS:
            raise bad("MESSAGE_TOO_LONG")
        query_id = parameters.text("callback_query_id")
        answer: Json = parameters.raw() | {"text": text, "show_alert": parameters.boolean("show_alert")}
        if not self._people.answered(query_id, answer):
            raise bad(QUERY_TOO_OLD)
        return True

    async def send_message_draft(self, parameters: Parameters) -> bool:
        """Show a growing text in a private chat for a while."""
        return self._draft(parameters, lambda: self._formatted(parameters, too_long="message is too long", may_be_empty=True))

    async def send_rich_message_draft(self, parameters: Parameters) -> bool:
        """Show a growing rich message in a private chat for a while."""
        return self._draft(parameters, lambda: rich_text(parameters))

    def _draft(self, parameters: Parameters, content: Callable[[], Formatted]) -> bool:
        chat = self.writable(parameters)
        if not chat.private:
            raise bad("TEXTDRAFT_PEER_INVALID")
        draft_id = parameters.integer("draft_id")
        if not draft_id:
            raise bad("RANDOM_ID_INVALID")
        formatted = content()
        thread = self._thread(chat, parameters)
        self._flood.charge(chat.id)
        until = self._now() + TELEGRAM_DRAFT_SECONDS
        can_stop, keep = parameters.boolean("can_stop"), parameters.boolean("keep_on_stop")
        self._world.show_draft(chat, Draft(draft_id, thread, formatted.text, formatted.entities, until, can_stop, keep))
        return True

    async def create_forum_topic(self, parameters: Parameters) -> Json:
        """Make a topic in a forum."""
        chat = self.writable(parameters)
        if not (self._world.private_topics if chat.private else chat.forum):
            raise bad("the chat is not a forum")
        name = parameters.text("name").strip()
        if not 1 <= len(name) <= MAX_TOPIC_NAME:
            raise bad("TOPIC_TITLE_EMPTY" if not name else "topic name is too long")
        thread = self._world.open_topic(chat, name, self._world.bot_id)
        colour = chat.messages[thread]["forum_topic_created"]["icon_color"]
        return {"message_thread_id": thread, "name": name, "icon_color": colour}

    def known(self, parameters: Parameters) -> Chat:
        """Return the chat that a call names.

        Raises:
            ApiError: The bot knows no such chat.
        """
        if "chat_id" not in parameters or not parameters.text("chat_id").strip():
            raise bad("chat_id is empty")
        given = parameters.text("chat_id")
        if given.startswith("@"):
            raise bad("chat not found")
        chat = self._world.chats.get(parameters.integer("chat_id"))
        if chat is None:
            raise bad("chat not found")
        return chat

    def writable(self, parameters: Parameters) -> Chat:
        """Return the chat that a call names, if the bot may write there.

        Raises:
            ApiError: The bot knows no such chat, or may not write there.
        """
        chat = self.known(parameters)
        if chat.shut_by == "blocked":
            raise forbidden("bot was blocked by the user")
        if chat.shut_by == "kicked":
            raise forbidden("bot was kicked from the supergroup chat")
        if not chat.open:
            raise forbidden("bot can't initiate conversation with a user")
        return chat

    def _formatted(self, parameters: Parameters, *, too_long: str, may_be_empty: bool = False) -> Formatted:
        return finished(self._parsed(parameters, "text", "entities"), too_long=too_long, may_be_empty=may_be_empty)

    def _caption(self, parameters: Parameters, *, too_long: str) -> Formatted:
        formatted = self._parsed(parameters, "caption", "caption_entities")
        return finished(formatted, too_long=too_long, may_be_empty=True, most=TELEGRAM_CAPTION_UTF16_UNITS)

    def _parsed(self, parameters: Parameters, name: str, entities: str) -> Formatted:
        text = parameters.text(name).replace("\r", "")
        mode = parameters.text("parse_mode")
        if mode and mode.lower() != "none":
            return parsed(text, mode)
        return checked(text, parameters.records(entities, ENTITY_KEYS) or [], self._world.users)

    @staticmethod
    def _thread(chat: Chat, parameters: Parameters) -> int | None:
        thread = parameters.integer("message_thread_id")
        if not thread:
            return None
        if thread not in chat.topics:
            raise bad("message thread not found")
        return thread

    def _reply_to(self, chat: Chat, parameters: Parameters) -> int | None:
        reply = parameters.record("reply_parameters", REPLY_KEYS)
        if reply is None:
            return None
        elsewhere = reply.get("chat_id", chat.id)
        message_id = whole("message_id", reply.get("message_id"))
        if str(elsewhere) == str(chat.id) and message_id in chat.messages:
            return message_id
        if str(reply.get("allow_sending_without_reply", "")).lower() in {"true", "1"}:
            return None
        raise bad("message to be replied not found")

    def _own(self, chat: Chat, parameters: Parameters) -> Json:
        """Return the stored message that an edit names."""
        message_id = parameters.integer("message_id")
        if not message_id:
            raise bad("message identifier is not specified")
        message = chat.messages.get(message_id)
        if message is None:
            raise bad("message to edit not found")
        if message["from"]["id"] != self._world.bot_id:
            raise bad("message can't be edited")
        return message

    def _rewrite(self, chat: Chat, message: Json, content: Json) -> Json:
        fields = ("text", "entities", "reply_markup", "link_preview_options")
        if all(message.get(key) == content.get(key) for key in fields):
            raise bad(NOT_MODIFIED)
        return self._world.rewrite(chat, message["message_id"], content, drop=fields)

    def _deletable(self, chat: Chat, message: Json) -> bool:
        if "forum_topic_created" in message or self._now() - message["date"] > DELETABLE_SECONDS:
            return False
        return chat.private or message["from"]["id"] == self._world.bot_id


def _document(document: Json, caption: Formatted, keyboard: Json | None) -> Json:
    content: Json = {"document": document}
    optional = {"caption": caption.text, "caption_entities": caption.entities, "reply_markup": keyboard}
    return content | {key: value for key, value in optional.items() if value}


def _content(formatted: Formatted, keyboard: Json | None, preview: Json | None) -> Json:
    """Return a message's own fields; those that are empty are left out."""
    content: dict[str, Any] = {"text": formatted.text}
    optional = {"entities": formatted.entities, "reply_markup": keyboard, "link_preview_options": preview}
    return content | {key: value for key, value in optional.items() if value}
