"""What the platforms allow: the one table of their limits, each number with its unit and source.

The outbox paces by it, the sandbox enforces it, the benchmark computes the physical limit from it. Imports no platform library.

Marks of the sources: documented by the platform; observed widely but undocumented; assumed by us.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class BudgetKind(StrEnum):
    """How a budget refills."""

    FIXED_WINDOW = "fixed_window"  # `calls` in a window of `seconds` that its first call opens
    TOKEN_BUCKET = "token_bucket"  # `calls` per `seconds` steadily, `burst` at once  # noqa: S105 - no password
    SLIDING = "sliding"  # at most `calls` in any `seconds`


@dataclass(frozen=True, slots=True)
class Budget:
    """How often calls of one kind may be made. `seconds` is the period, `burst` the most at once for a token bucket."""

    kind: BudgetKind
    calls: int
    seconds: float
    burst: int = 0


ATTACHMENT_SECONDS = 20.0
"""A file that somebody sent is given up after so long: 10 MB at 4 Mbit/s. Ours."""

# Discord -----------------------------------------------------------------------------------------------------------
DISCORD_MESSAGE_CODE_POINTS = 2000
"""Longest `content`. Documented: message resource, create and edit."""
DISCORD_FILE_BYTES = 10 * 1024 * 1024
"""Largest file where nobody pays for more. Documented: API reference, uploading files."""
DISCORD_NONCE_CHARS = 25
"""Longest `nonce`. Documented: message resource, create."""
DISCORD_NONCE_SECONDS = 120.0
"""So long after a create its nonce gives the same message back. Documented as "the past few minutes", in the message resource, create; that
it is no less than two is assumed. If that one was deleted meanwhile the answer is 10008; by intention, as Discord's staff said."""
DISCORD_CREATE = Budget(BudgetKind.FIXED_WINDOW, 5, 5.0)
"""Creates per channel. Observed, undocumented; the headers rule."""
DISCORD_EDIT = Budget(BudgetKind.FIXED_WINDOW, 5, 5.0)
"""Edits per channel, a bucket of its own. Observed, undocumented; the headers rule."""
DISCORD_DELETE = Budget(BudgetKind.FIXED_WINDOW, 5, 5.0)
"""Deletes per channel, a bucket of its own. Assumed to be as for edits; the headers rule."""
DISCORD_OLD_EDIT = Budget(BudgetKind.FIXED_WINDOW, 3, 6.0)
"""Edits per channel of messages older than an hour. Observed."""
DISCORD_OLD_EDIT_SECONDS = 3600.0
"""From this age on a message counts as old (error 30046). Documented: opcodes and status codes."""
DISCORD_TYPING = Budget(BudgetKind.FIXED_WINDOW, 5, 5.0)
"""Typing calls per channel, a bucket of its own. Assumed, after that of edits; the headers rule."""
DISCORD_HISTORY = Budget(BudgetKind.FIXED_WINDOW, 5, 5.0)
"""Reads of a channel's history, a bucket of its own. Assumed, after that of edits; the headers rule."""
DISCORD_MESSAGE_READ = Budget(BudgetKind.FIXED_WINDOW, 5, 5.0)
"""Reads of single messages per channel, a bucket of its own. Assumed, after that of edits; the headers rule."""
DISCORD_LINK_SECONDS = 86_400.0
"""The address of an attachment holds that long. Observed; its end is part of it. Documented: reference, signed attachment CDN URLs."""
DISCORD_REACTION = Budget(BudgetKind.FIXED_WINDOW, 1, 0.25)
"""Reactions set or taken away, one bucket for both. Observed, undocumented (the headers say one a second); whether it is one per channel or
per account differs between reports: taken for the account's, to be on the safe side."""
DISCORD_HISTORY_MESSAGES = 100
"""Most messages of one read. Documented: message resource, get channel messages."""
DISCORD_INTERACTION_EDIT = Budget(BudgetKind.FIXED_WINDOW, 5, 5.0)
"""Calls per interaction token, outside the global budget. Documented as webhook-like: receiving and responding."""
DISCORD_GLOBAL = Budget(BudgetKind.SLIDING, 50, 1.0)
"""All calls of a bot but those of interactions. Documented: rate limits."""
DISCORD_INVALID = Budget(BudgetKind.SLIDING, 10_000, 600.0)
"""401, 403 and 429 answers per address before it is banned. Documented: rate limits."""
DISCORD_IDENTIFIES = Budget(BudgetKind.TOKEN_BUCKET, 1, 120.0, burst=50)
"""New sessions of the gateway: at most 770 in any day, chosen by us. Documented: after 1,000 within 24 h Discord resets the token."""
DISCORD_INTERACTION_ACK_SECONDS = 3.0
"""An interaction not answered by then is lost. Documented: receiving and responding."""
DISCORD_INTERACTION_TOKEN_SECONDS = 900.0
"""An interaction's token lives that long. Documented: receiving and responding."""
DISCORD_TYPING_SECONDS = 10.0
"""One typing call shows that long. Documented: channel resource."""
DISCORD_CHOICES = 25
"""Most choices of an option or an autocomplete answer. Documented: application commands."""
DISCORD_BUTTON_ROWS, DISCORD_BUTTONS_PER_ROW = 5, 5
"""Most action rows of a message, most buttons of a row. Documented: component reference."""

# Telegram ----------------------------------------------------------------------------------------------------------
TELEGRAM_MESSAGE_UTF16_UNITS = 4096
"""Longest text after entities, in UTF-16 units. Documented: sendMessage; unit as of entity offsets."""
TELEGRAM_CAPTION_UTF16_UNITS = 1024
"""Longest text beside a file after entities, in UTF-16 units. Documented: sendDocument; unit as of entity offsets."""
TELEGRAM_FILE_BYTES = 50_000_000
"""Largest file that a bot sends. Documented: sendDocument (50 MB)."""
TELEGRAM_DOWNLOAD_BYTES = 20_000_000
"""Largest file that a bot can fetch. Documented: getFile (20 MB)."""
TELEGRAM_FILE_LINK_SECONDS = 3600.0
"""The address that getFile names holds at least that long. Documented: getFile."""
TELEGRAM_ENTITIES = 100
"""Most entities of a message; the rest is dropped silently. Undocumented, from python-telegram-bot's constants."""
TELEGRAM_PRIVATE = Budget(BudgetKind.TOKEN_BUCKET, 1, 1.0, burst=3)
"""Sends, edits and drafts per private chat. Documented about 1/s; the burst is assumed. No rate of drafts is documented; that they are
flooded is known from field reports, that they share the budget of the chat's messages is assumed, to be on the safe side."""
TELEGRAM_GROUP = Budget(BudgetKind.TOKEN_BUCKET, 20, 60.0, burst=3)
"""Sends and edits per group. Documented 20/min, edits count; the burst is assumed."""
TELEGRAM_REACTION = Budget(BudgetKind.TOKEN_BUCKET, 1, 1.0, burst=3)
"""Reactions per chat. No rate is documented; assumed to be that of messages in private chats, and a budget of its own."""
TELEGRAM_GLOBAL = Budget(BudgetKind.SLIDING, 30, 1.0)
"""All sends and edits of a bot. Documented: bots FAQ."""
TELEGRAM_FLOOD_SECONDS = 3
"""First `retry_after` of the sandbox; it doubles while the flood goes on. From field reports."""
TELEGRAM_TYPING_SECONDS = 5.0
"""One chat action shows that long. Documented: sendChatAction."""
TELEGRAM_DRAFT_SECONDS = 30.0
"""A draft shows that long, and no longer than to the bot's next message in the chat. Documented: sendMessageDraft."""
TELEGRAM_RICH_CHARS, TELEGRAM_RICH_BLOCKS, TELEGRAM_RICH_DEPTH = 32_768, 500, 16
"""Longest text of a rich message, most blocks, most levels of nesting. Documented: rich message limits."""
TELEGRAM_CALLBACK_BYTES = 64
"""Longest `callback_data`. Documented: InlineKeyboardButton."""
TELEGRAM_CALLBACK_TEXT_CHARS = 200
"""Longest `text` of an answer to a press. Documented: answerCallbackQuery."""
TELEGRAM_CALLBACK_SECONDS = 60.0
"""A press is answered within that time or not at all. Assumed: Telegram refuses late answers and gives no number."""
TELEGRAM_BUTTON_ROWS, TELEGRAM_BUTTONS_PER_ROW = 12, 8
"""Most rows of an inline keyboard, most buttons of a row: 100 in all. Undocumented, from python-telegram-bot's constants."""
TELEGRAM_POLL_SECONDS = 50
"""Longest useful `timeout` of getUpdates. From the Bot API server's source."""
