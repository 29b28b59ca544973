"""Addresses of attachments: signed, and of no use when their time has passed."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from bot.platforms.budgets import DISCORD_LINK_SECONDS


class Links:
    """Signs addresses and knows its own again.

    Args:
        now: Epoch seconds.

    Attributes:
        seconds: How long an address holds from now on.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.seconds = DISCORD_LINK_SECONDS
        self._now = now
        self._key = secrets.token_bytes(32)

    def signed(self, url: str) -> str:
        """Return an address that holds for `seconds`."""
        issued, expires = int(self._now()), int(self._now() + self.seconds)
        return f"{url}?ex={expires:x}&is={issued:x}&hm={self._mark(urlsplit(url).path, f'{expires:x}', f'{issued:x}')}&"

    def hold(self, path_with_query: str) -> bool:
        """Tell whether an address, of which the host is left out, was signed here and holds."""
        parts = urlsplit(path_with_query)
        fields = {name: values[0] for name, values in parse_qs(parts.query).items()}
        expires, issued, mark = fields.get("ex", ""), fields.get("is", ""), fields.get("hm", "")
        if not hmac.compare_digest(self._mark(parts.path, expires, issued), mark):
            return False
        return int(expires, 16) > self._now()

    def _mark(self, path: str, expires: str, issued: str) -> str:
        return hmac.new(self._key, f"{path}\n{expires}\n{issued}".encode(), hashlib.sha256).hexdigest()
