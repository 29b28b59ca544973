"""Telegram on loopback: a Bot API server with people, groups, limits and refusals like the real one's."""

from sandbox.telegram.server import TelegramSandbox

__all__ = ["TelegramSandbox"]
