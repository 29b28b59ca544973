"""The fixtures that unit tests of several parts share."""

from tests.support.network_fixtures import http, session, sleep, slept, voice
from tests.support.platform_fixtures import inbox

__all__ = ["http", "inbox", "session", "sleep", "slept", "voice"]
