"""Which addresses become links."""

from __future__ import annotations

import re
from functools import lru_cache

# What is made a link of. Telegram refuses a whole text for one address without a dot in its host, or with a wrong port. What is not made a
# link is written out; names and passwords before the host, which may mislead, and IPv6 addresses are left to that, too.
_HOST = r"(?:(?!\s)[\w\x80-\U0010ffff-])+"
_LINK = re.compile(
    rf"https?://{_HOST}(?:\.{_HOST})+\.?(?::(?:[1-9]\d{{0,3}}|[1-5]\d{{4}}|6[0-4]\d{{3}}))?(?:[/?#][^\s<>\"]{{0,500}})?", re.IGNORECASE
)


@lru_cache(maxsize=128)
def is_link(url: str) -> bool:
    """Tell whether a link is made of an address. An answer asks for each of its own at every update."""
    return _LINK.fullmatch(url) is not None
