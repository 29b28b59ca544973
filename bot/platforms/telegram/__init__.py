"""Telegram, through python-telegram-bot's client and types, with an intake of our own."""

from bot.platforms.telegram.drafts import DraftMode
from bot.platforms.telegram.platform import TelegramPlatform
from bot.platforms.telegram.webhook import WebhookSettings

__all__ = ["DraftMode", "TelegramPlatform", "WebhookSettings"]
