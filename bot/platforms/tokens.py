"""What the platforms' bot tokens look like. Tells a slip of copying before anything is sent; only the platform knows whether one is good.

Forms: Telegram's Bot API, "Authorizing your bot" (the bot's id, a colon, today 35 characters); Discord's API reference, "Authentication"
(three parts of base64url between dots). Neither documents a length, so none is asked for.
"""

from __future__ import annotations

import re

_TELEGRAM = re.compile(r"[0-9]+:[A-Za-z0-9_-]+")
_DISCORD = re.compile(r"[A-Za-z0-9_-]+={0,2}\.[A-Za-z0-9_-]+={0,2}\.[A-Za-z0-9_-]+={0,2}")
TELEGRAM_FORM = "a Telegram token is digits, a colon and about 35 characters of A-Z, a-z, 0-9, _ and -; @BotFather shows it"
DISCORD_FORM = (
    'a Discord bot token is three parts of A-Z, a-z, 0-9, _ and -, with dots between them; the Developer Portal shows it on the page "Bot"'
)


def telegram_fault(token: str) -> str | None:
    """Return what is wrong with the form of TELEGRAM_TOKEN, and the right form; None if nothing is. The token is not in it."""
    return None if _TELEGRAM.fullmatch(token) else f"TELEGRAM_TOKEN does not look like a bot token{_slip(token)}: {TELEGRAM_FORM}"


def discord_fault(token: str, *, official: bool = True) -> str | None:
    """Return what is wrong with the form of DISCORD_TOKEN, and the right form; None if nothing is. The token is not in it.

    Args:
        token: As it was set.
        official: It is for Discord's own address. Another server's tokens may have another form: of them only a slip of copying is told.
    """
    slip = _slip(token)
    if not slip and (_DISCORD.fullmatch(token) or not official):
        return None
    return f"DISCORD_TOKEN does not look like a bot token{slip}: {DISCORD_FORM}"


def _slip(token: str) -> str:
    if re.match(r"\s*[\"']?bot(\s|(?=[0-9]+:))", token, re.IGNORECASE):
        return " (leave out the “Bot” before it)"
    if re.search("[\"'`\u2018-\u201f]", token):
        return " (there is a quotation mark in it)"
    if re.search(r"\s", token):
        return " (there is a space or a line break in it)"
    return ""
