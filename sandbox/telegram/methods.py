"""The table of methods: their parameters and who answers them; and the small ones that only read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bot.platforms.budgets import TELEGRAM_DOWNLOAD_BYTES, TELEGRAM_POLL_SECONDS
from sandbox.telegram.documents import ATTACHED
from sandbox.telegram.errors import WEBHOOK_ACTIVE, ApiError, Json, bad
from sandbox.telegram.menus import Menus
from sandbox.telegram.parameters import Parameters
from sandbox.telegram.reactions import Reactions
from sandbox.telegram.sending import Sending
from sandbox.telegram.updates import MAX_BATCH, Updates
from sandbox.telegram.webhook import Webhook
from sandbox.telegram.world import DOCUMENT_PREFIX, FILE_PREFIX, World

UPDATE_TYPES: Final = frozenset(
    {
        "message",
        "edited_message",
        "channel_post",
        "edited_channel_post",
        "business_connection",
        "business_message",
        "edited_business_message",
        "deleted_business_messages",
        "guest_message",
        "message_reaction",
        "message_reaction_count",
        "inline_query",
        "chosen_inline_result",
        "callback_query",
        "shipping_query",
        "pre_checkout_query",
        "purchased_paid_media",
        "poll",
        "poll_answer",
        "my_chat_member",
        "chat_member",
        "chat_join_request",
        "chat_boost",
        "removed_chat_boost",
        "managed_bot",
        "subscription",
        "stopped_message_generation",
    }
)


_FORMAT, _SENT = "parse_mode entities", "disable_notification protect_content allow_paid_broadcast message_effect_id"
_EDIT = "chat_id message_id reply_markup"
_CAPTION = "caption parse_mode caption_entities disable_content_type_detection"
PARAMETERS: Final = {
    "getMe": "",
    "getUpdates": "offset limit timeout allowed_updates",
    "setWebhook": "url certificate ip_address max_connections allowed_updates drop_pending_updates secret_token",
    "deleteWebhook": "drop_pending_updates",
    "getWebhookInfo": "",
    "sendMessage": f"chat_id text message_thread_id link_preview_options reply_parameters reply_markup {_FORMAT} {_SENT}",
    "sendDocument": f"chat_id document {_CAPTION} message_thread_id reply_parameters reply_markup {_SENT}",
    "editMessageMedia": f"media {_EDIT}",
    "editMessageText": f"text link_preview_options {_EDIT} {_FORMAT}",
    "editMessageReplyMarkup": _EDIT,
    "deleteMessage": "chat_id message_id",
    "deleteMessages": "chat_id message_ids",
    "setMessageReaction": "chat_id message_id reaction is_big",
    "sendChatAction": "chat_id message_thread_id action",
    "answerCallbackQuery": "callback_query_id text show_alert url cache_time",
    "sendMessageDraft": f"chat_id message_thread_id draft_id text can_stop keep_on_stop {_FORMAT}",
    "sendRichMessageDraft": "chat_id message_thread_id draft_id rich_message can_stop keep_on_stop",
    "createForumTopic": "chat_id name icon_color icon_custom_emoji_id",
    "setMyCommands": "commands scope language_code",
    "getMyCommands": "scope language_code",
    "deleteMyCommands": "scope language_code",
    "getChat": "chat_id",
    "getChatMember": "chat_id user_id",
    "getChatAdministrators": "chat_id return_bots",
    "getChatMemberCount": "chat_id",
    "getFile": "file_id",
}
"""What each method takes; a parameter of the Bot API that is not here is one that the stand-in does not have."""


@dataclass(frozen=True, slots=True)
class Method:
    """A method: what it takes and what it does."""

    parameters: frozenset[str]
    run: Callable[[Parameters], Awaitable[Any]]


class Methods:
    """All methods of the stand-in.

    Attributes:
        unknown: Parameters that were sent and that the Bot API, or this stand-in, does not have, as `method.parameter`.
    """

    def __init__(self, world: World, updates: Updates, webhook: Webhook, sending: Sending, *, menus: Menus, reactions: Reactions) -> None:
        self._world, self._updates, self._webhook, self._sending = world, updates, webhook, sending
        self.unknown: list[str] = []
        runs: dict[str, Callable[[Parameters], Awaitable[Any]]] = {
            "getMe": self._get_me,
            "getUpdates": self._get_updates,
            "setWebhook": self._set_webhook,
            "deleteWebhook": webhook.delete,
            "getWebhookInfo": webhook.info,
            "sendMessage": sending.send_message,
            "sendDocument": sending.send_document,
            "editMessageMedia": sending.edit_message_media,
            "editMessageText": sending.edit_message_text,
            "editMessageReplyMarkup": sending.edit_message_reply_markup,
            "deleteMessage": sending.delete_message,
            "deleteMessages": sending.delete_messages,
            "setMessageReaction": reactions.set_message_reaction,
            "sendChatAction": sending.send_chat_action,
            "answerCallbackQuery": sending.answer_callback_query,
            "sendMessageDraft": sending.send_message_draft,
            "sendRichMessageDraft": sending.send_rich_message_draft,
            "createForumTopic": sending.create_forum_topic,
            "setMyCommands": menus.set_my_commands,
            "getMyCommands": menus.get_my_commands,
            "deleteMyCommands": menus.delete_my_commands,
            "getChat": self._get_chat,
            "getChatMember": self._get_chat_member,
            "getChatAdministrators": self._get_chat_administrators,
            "getChatMemberCount": self._get_chat_member_count,
            "getFile": self._get_file,
        }
        self._names = {name.lower(): name for name in runs}
        self._table = {name: Method(frozenset(PARAMETERS[name].split()), run) for name, run in runs.items()}

    async def call(self, name: str, values: Mapping[str, Any]) -> Any:
        """Run a method; names are not case-sensitive.

        Raises:
            ApiError: It is unknown, or it refused.
        """
        name = self._names.get(name.lower(), "")
        if not name:
            raise ApiError(404, "Not Found")
        method = self._table[name]
        named = " ".join(value for value in values.values() if isinstance(value, str) and ATTACHED in value)
        self.unknown += [f"{name}.{key}" for key in values if key not in method.parameters and f"{ATTACHED}{key}" not in named]
        return await method.run(Parameters(values, lambda key: self.unknown.append(f"{name}.{key}")))

    async def _get_me(self, _: Parameters) -> Json:
        return {
            **self._world.bot,
            "can_join_groups": True,
            "can_read_all_group_messages": not self._world.privacy,
            "supports_guest_queries": False,
            "supports_inline_queries": False,
            "can_connect_to_business": False,
            "has_main_web_app": False,
            "has_topics_enabled": self._world.private_topics,
            "allows_users_to_create_topics": self._world.private_topics,
            "can_manage_bots": False,
            "supports_join_request_queries": False,
        }

    async def _get_updates(self, parameters: Parameters) -> Any:
        if self._webhook.url:
            raise ApiError(409, WEBHOOK_ACTIVE)
        self._allow(parameters)
        timeout = min(max(parameters.integer("timeout"), 0), TELEGRAM_POLL_SECONDS)
        return await self._updates.poll(parameters.integer("offset"), parameters.integer("limit", MAX_BATCH), timeout)

    async def _set_webhook(self, parameters: Parameters) -> bool:
        done = await self._webhook.set(parameters)
        self._allow(parameters)
        return done

    def _allow(self, parameters: Parameters) -> None:
        """Keep which types are asked for; updates queued already stay."""
        kinds = parameters.decoded("allowed_updates")
        if kinds is None:
            return
        if not isinstance(kinds, list):
            raise bad("can't parse allowed_updates: expected an Array of String")
        self.unknown += [f"allowed_updates.{kind}" for kind in kinds if kind not in UPDATE_TYPES]
        self._updates.allowed = tuple(str(kind) for kind in kinds)

    async def _get_chat(self, parameters: Parameters) -> Json:
        chat = self._sending.known(parameters)
        if chat.private and not chat.open and not chat.shut_by:
            raise bad("chat not found")
        gifts = dict.fromkeys(
            ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"), chat.private
        )
        return {**chat.api(), "accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": gifts}

    async def _get_chat_member(self, parameters: Parameters) -> Json:
        chat = self._sending.writable(parameters)
        user = self._world.users.get(parameters.integer("user_id"))
        if user is None:
            raise bad("user not found")
        if user["id"] == chat.owner:
            return {"status": "creator", "user": user, "is_anonymous": False}
        inside = user["id"] in chat.members or user["id"] == self._world.bot_id
        return {"status": "member" if inside else "left", "user": user}

    async def _get_chat_administrators(self, parameters: Parameters) -> list[Json]:
        chat = self._sending.writable(parameters)
        if chat.private:
            raise bad("there are no administrators in the private chat")
        return [{"status": "creator", "user": self._world.users[chat.owner], "is_anonymous": False}] if chat.owner else []

    async def _get_chat_member_count(self, parameters: Parameters) -> int:
        return len(self._sending.writable(parameters).members) + 1

    async def _get_file(self, parameters: Parameters) -> Json:
        file_id = parameters.text("file_id")
        content = self._world.files.get(file_id)
        if content is None:
            raise bad("wrong file_id or the file is temporarily unavailable")
        if len(content) > TELEGRAM_DOWNLOAD_BYTES:
            raise bad("file is too big")
        unique = file_id.removeprefix(FILE_PREFIX).removeprefix(DOCUMENT_PREFIX)
        path = f"documents/{file_id}" if file_id.startswith(DOCUMENT_PREFIX) else f"photos/{file_id}.png"
        return {"file_id": file_id, "file_unique_id": unique, "file_size": len(content), "file_path": self._world.link(path)}
