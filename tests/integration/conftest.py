"""The fixtures that integration tests of several parts share."""

from tests.support.network_fixtures import http, loop_time, session
from tests.support.platform_fixtures import inbox

__all__ = ["http", "inbox", "loop_time", "session"]
