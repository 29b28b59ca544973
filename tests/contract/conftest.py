"""The fixtures of the contract suites: one for each implementation of a seam."""

from tests.support.network_fixtures import loop_time, session
from tests.support.platform_fixtures import inbox, platform, where, world
from tests.support.specification_fixtures import discord_says, telegram_says
from tests.support.store_fixtures import place, store

__all__ = ["discord_says", "inbox", "loop_time", "place", "platform", "session", "store", "telegram_says", "where", "world"]
