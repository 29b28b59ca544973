"""From a page to calls of the Bot API.

page                 made by         edited by
text                 sendMessage     editMessageText; refused where a file stands
text beside a file   sendDocument    editMessageMedia, which sends the file anew
"""

from __future__ import annotations

from typing import Any

from telegram import (
    InlineKeyboardButton,
    InlineKeyboardMarkup,
    InputFile,
    InputMediaDocument,
    LinkPreviewOptions,
    MessageEntity,
    ReplyParameters,
)
from telegram.error import TelegramError

from bot import texts
from bot.model import Button, ButtonStyle, Entity, File, Page, Receipt, Target
from bot.platforms.telegram.api import Api
from bot.platforms.telegram.errors import is_gone_already, is_not_modified, platform_error

_STYLES = {ButtonStyle.PLAIN: None, ButtonStyle.PRIMARY: "primary", ButtonStyle.DANGER: "danger"}


async def send(api: Api, target: Target, page: Page, *, first: bool) -> Receipt:
    """Make a message."""
    reply = target.reply_to if first else None
    method, content = ("sendMessage", _content(page)) if page.file is None else ("sendDocument", _document(page, page.file))
    parameters = {
        **place(target),
        **content,
        # The person may have deleted the question meanwhile; the answer comes all the same.
        "reply_parameters": None if reply is None else ReplyParameters(int(reply), allow_sending_without_reply=True),
    }
    try:
        message = await api.call(method, parameters)
    except TelegramError as error:
        raise platform_error(error, repeatable=False) from error
    return Receipt(str(message["message_id"]))


async def edit(api: Api, target: Target, message_id: str, page: Page) -> Receipt:
    """Make a message look like a page. Without a keyboard in the call, the message loses the one it has."""
    method, content = ("editMessageText", _content(page)) if page.file is None else ("editMessageMedia", _media(page, page.file))
    try:
        await api.call(method, {"chat_id": target.chat.chat, "message_id": int(message_id), **content})
    except TelegramError as error:
        if not is_not_modified(error):
            raise platform_error(error, repeatable=True) from error
    return Receipt(message_id)


async def unbutton(api: Api, target: Target, message_id: str) -> None:
    """Take a message's keyboard away and leave its text."""
    try:
        await api.call("editMessageReplyMarkup", {"chat_id": target.chat.chat, "message_id": int(message_id)})
    except TelegramError as error:
        if not is_not_modified(error):
            raise platform_error(error, repeatable=True) from error


async def delete(api: Api, target: Target, message_id: str) -> None:
    """Delete a message."""
    try:
        await api.call("deleteMessage", {"chat_id": target.chat.chat, "message_id": int(message_id)})
    except TelegramError as error:
        if not is_gone_already(error):
            raise platform_error(error, repeatable=True) from error


async def typing(api: Api, target: Target) -> None:
    """Show that the bot is writing."""
    try:
        await api.call("sendChatAction", {**place(target), "action": "typing"})
    except TelegramError as error:
        raise platform_error(error, repeatable=True) from error


async def mark(api: Api, target: Target, message_id: str, *, on: bool) -> None:
    """Set or take away the bot's reaction to a message. A message that is gone shows no mark."""
    reaction = [{"type": "emoji", "emoji": texts.WAITING_SIGN}] if on else []
    try:
        await api.call("setMessageReaction", {"chat_id": target.chat.chat, "message_id": int(message_id), "reaction": reaction})
    except TelegramError as error:
        if not is_not_modified(error) and (on or not is_gone_already(error)):
            raise platform_error(error, repeatable=True) from error


def place(target: Target) -> dict[str, Any]:
    """Return the chat and topic of a call."""
    thread = target.chat.thread
    return {"chat_id": target.chat.chat, "message_thread_id": int(thread) if thread else None}


def _content(page: Page) -> dict[str, Any]:
    return {
        "text": page.text,
        "entities": entities(page),
        "link_preview_options": LinkPreviewOptions(is_disabled=True),
        "reply_markup": _keyboard(page),
    }


def _document(page: Page, file: File) -> dict[str, Any]:
    return {
        "document": InputFile(file.content, filename=file.name),
        "caption": page.text or None,
        "caption_entities": entities(page),
        "disable_content_type_detection": True,
        "reply_markup": _keyboard(page),
    }


def _media(page: Page, file: File) -> dict[str, Any]:
    media = InputMediaDocument(
        file.content,
        filename=file.name,
        caption=page.text or None,
        caption_entities=entities(page),
        disable_content_type_detection=True,
    )
    return {"media": media, "reply_markup": _keyboard(page)}


def _keyboard(page: Page) -> InlineKeyboardMarkup | None:
    return InlineKeyboardMarkup([[_button(button) for button in row] for row in page.buttons]) if page.buttons else None


def entities(page: Page) -> list[MessageEntity] | None:
    """Return a page's formatting, None if it has none."""
    return [_entity(entity) for entity in page.entities] or None


def _entity(entity: Entity) -> MessageEntity:
    return MessageEntity(entity.type, entity.offset, entity.length, url=entity.url, language=entity.language)


def _button(button: Button) -> InlineKeyboardButton:
    return InlineKeyboardButton(button.label, callback_data=button.data, style=_STYLES[button.style])
