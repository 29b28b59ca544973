"""Discord: intake through discord.py, egress through calls of our own."""

from bot.platforms.discord.catchup import Reach
from bot.platforms.discord.platform import DiscordPlatform

__all__ = ["DiscordPlatform", "Reach"]
