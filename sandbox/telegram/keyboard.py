"""Keyboards under messages."""

from __future__ import annotations

from bot.platforms.budgets import TELEGRAM_CALLBACK_BYTES
from sandbox.telegram.errors import Json, bad
from sandbox.telegram.parameters import Parameters
from sandbox.telegram.text import url_fault

MARKUP_KEYS = frozenset(
    {
        "inline_keyboard",
        "keyboard",
        "is_persistent",
        "resize_keyboard",
        "one_time_keyboard",
        "input_field_placeholder",
        "selective",
        "remove_keyboard",
        "force_reply",
    }
)
ACTIONS = frozenset(
    {
        "url",
        "callback_data",
        "web_app",
        "login_url",
        "switch_inline_query",
        "switch_inline_query_current_chat",
        "switch_inline_query_chosen_chat",
        "copy_text",
        "callback_game",
        "pay",
    }
)
BUTTON_KEYS = ACTIONS | {"text", "icon_custom_emoji_id", "style", "disabled"}
STYLES = frozenset({"danger", "success", "primary"})
MAX_BUTTONS = 100
"""Most buttons of a message. Undocumented, from python-telegram-bot's constants."""


def inline_keyboard(parameters: Parameters, *, only_inline: bool = False) -> Json | None:
    """Return the checked inline keyboard of `reply_markup`; None if there is none or it is another kind of keyboard.

    Args:
        parameters: Of the call.
        only_inline: Edits take no other kind.

    Raises:
        ApiError: Telegram would refuse it.
    """
    markup = parameters.record("reply_markup", MARKUP_KEYS)
    if markup is None:
        return None
    if "inline_keyboard" not in markup:
        if only_inline and markup:
            raise bad("inline keyboard expected")
        return None
    rows = markup["inline_keyboard"]
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise bad('can\'t parse inline keyboard: Field "inline_keyboard" must be an Array of Arrays')
    checked = [[_button(parameters.check("reply_markup.inline_keyboard", button, BUTTON_KEYS)) for button in row] for row in rows if row]
    if sum(map(len, checked)) > MAX_BUTTONS:
        raise bad("reply markup is too long")
    return {"inline_keyboard": checked} if checked else None


def _button(button: Json) -> Json:
    if not isinstance(button.get("text"), str) or not button["text"].strip():
        raise bad("can't parse inline keyboard button: Can't find field \"text\"")
    actions = ACTIONS & button.keys()
    if not actions:
        raise bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
    if len(actions) > 1:
        raise bad("can't parse inline keyboard button: exactly one action must be specified")
    if "callback_data" in button:
        data = button["callback_data"]
        if not isinstance(data, str) or not 1 <= len(data.encode("utf-8", "surrogatepass")) <= TELEGRAM_CALLBACK_BYTES:
            raise bad("BUTTON_DATA_INVALID")
    if "url" in button:
        fault = url_fault(str(button["url"]))
        if fault:
            raise bad(f"inline keyboard button URL '{button['url']}' is invalid: {fault}")
    if "style" in button and button["style"] not in STYLES:
        raise bad("can't parse inline keyboard button: unsupported style specified")
    return dict(button)
