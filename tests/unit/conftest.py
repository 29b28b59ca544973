"""The fixtures that unit tests of several parts share."""

from tests.support.network_fixtures import http, loop_time, session, sleep, slept, voice
from tests.support.platform_fixtures import inbox
from tests.support.specification_fixtures import discord_says, telegram_says

__all__ = ["discord_says", "http", "inbox", "loop_time", "session", "sleep", "slept", "telegram_says", "voice"]
