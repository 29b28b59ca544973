"""Message text as the server keeps it: trimmed, measured in UTF-16 units, with entities that have been checked.

Wording and rules follow tdlib's MessageEntity.cpp and LinkManager.cpp, as far as bots meet them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from bot.platforms.budgets import TELEGRAM_ENTITIES, TELEGRAM_MESSAGE_UTF16_UNITS
from sandbox.telegram.errors import Json, bad
from sandbox.telegram.parameters import whole

STYLES = frozenset({"bold", "italic", "underline", "strikethrough", "spoiler", "blockquote", "expandable_blockquote", "code"})
GIVEN = STYLES | {"pre", "text_link", "text_mention", "custom_emoji", "date_time"}
FOUND = frozenset({"mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bank_card_number"})
"""Types that Telegram finds by itself; given by a bot they are ignored."""
ENTITY_KEYS = frozenset({"type", "offset", "length", "url", "user", "language", "custom_emoji_id", "unix_time", "date_time_format"})
BLANK = " \t\r\n"
UNSEEN = frozenset("\u115f\u1160\u2800\u3164\uffa0\ufffc")
"""Characters that count as letters or symbols and show nothing. U+2800 and U+FFFC: tdlib's misc.cpp; the Hangul fillers are assumed."""
UNSEEN_KINDS = frozenset({"Cc", "Cf", "Me", "Mn", "Zl", "Zp", "Zs"})
"""Kinds that show nothing by themselves. tdlib names some spaces and zero widths; that the server takes no others either is assumed."""

_DETECTED = re.compile(
    r"(?P<bot_command>(?<![\w/@<>])/[A-Za-z0-9_]{1,64}(?:@[A-Za-z0-9_]{3,32})?(?![\w/@]))"
    r"|(?P<mention>(?<![\w@/])@[A-Za-z0-9_]{4,32}(?!\w))"
    r"|(?P<url>https?://[^\s<>\"]+)"
)


@dataclass(slots=True)
class Formatted:
    """Text and its entities; offsets and lengths in UTF-16 units."""

    text: str
    entities: list[Json] = field(default_factory=list)


def units(text: str) -> int:
    """Return the length in UTF-16 units."""
    return len(text) + sum(char > "\uffff" for char in text)


def visible(text: str) -> bool:
    """Tell whether a reader would see anything of it."""
    return any(char not in UNSEEN and unicodedata.category(char) not in UNSEEN_KINDS for char in text)


def detect(text: str) -> list[Json]:
    """Return the entities Telegram finds by itself in what a person writes: commands, mentions and addresses."""
    return [
        {"type": found.lastgroup, "offset": units(text[: found.start()]), "length": units(found.group())}
        for found in _DETECTED.finditer(text)
    ]


def marked(text: str, entity: Json) -> str:
    """Return the part of the text that an entity covers."""
    raw = text.encode("utf-16-le")
    return raw[entity["offset"] * 2 : (entity["offset"] + entity["length"]) * 2].decode("utf-16-le", "replace")


def finished(formatted: Formatted, *, too_long: str, may_be_empty: bool = False, most: int = TELEGRAM_MESSAGE_UTF16_UNITS) -> Formatted:
    """Trim as the server does, check the length after that, drop surplus entities.

    Args:
        formatted: Parsed and checked.
        too_long: The reason told when it is too long; sends and edits differ.
        may_be_empty: For drafts and captions.
        most: UTF-16 units that it may have.

    Raises:
        ApiError: It is too long, or there is nothing to see.
    """
    formatted = _trimmed(formatted)
    if not may_be_empty and not visible(formatted.text):
        raise bad("message text is empty")
    if units(formatted.text) > most:
        raise bad(too_long)
    return Formatted(formatted.text, formatted.entities[:TELEGRAM_ENTITIES])


def checked(text: str, entities: list[Json], users: Container[int]) -> Formatted:
    """Check entities as a bot gave them.

    Args:
        text: Before trimming; offsets refer to it.
        entities: As sent.
        users: Whom a `text_mention` may name.

    Raises:
        ApiError: One is malformed or does not fit the text.
    """
    starts = _boundaries(text)
    good = [entity for given in entities if (entity := _entity(given, starts, users)) is not None]
    good.sort(key=lambda entity: (entity["offset"], -entity["length"]))
    return Formatted(text, good)


def url_fault(url: str) -> str:
    """Say what Telegram has against the address of a link or button, empty if nothing; a host needs a dot."""
    scheme, colon, _ = url.partition("://")
    if url.lower().startswith(("tg:", "ton:")):
        return "" if url.partition(":")[2].strip("/") else f"Wrong {url.partition(':')[0].lower()} URL"
    if colon and scheme.lower() not in {"http", "https"}:
        return "Unsupported URL protocol"
    try:
        host = urlsplit(url if colon else f"http://{url}").hostname or ""
    except ValueError:
        host = ""
    return "" if "." in host or ":" in host else "Wrong HTTP URL"


def _boundaries(text: str) -> set[int]:
    """Return every UTF-16 offset at which a character starts, and the end."""
    offsets, at = {0}, 0
    for char in text:
        at += 2 if char > "\uffff" else 1
        offsets.add(at)
    return offsets


def _entity(given: Json, starts: set[int], users: Container[int]) -> Json | None:
    kind = given.get("type")
    if kind is None:
        raise bad("can't parse MessageEntity: Can't find field \"type\"")
    if kind not in GIVEN and kind not in FOUND:
        raise bad("can't parse MessageEntity: Unsupported type specified")
    offset, length = whole("offset", given.get("offset")), whole("length", given.get("length"))
    end = max(starts)
    if offset < 0 or length <= 0:
        raise bad("can't parse MessageEntity: offset must not be negative and length must be positive")
    if offset + length > end:
        raise bad(f"Entity beginning at UTF-16 offset {offset} ends after the end of the text at UTF-16 offset {offset + length}")
    if offset not in starts:
        raise bad(f"Entity begins in a middle of a UTF-16 symbol at UTF-16 offset {offset}")
    if offset + length not in starts:
        raise bad(f"Entity ends in a middle of a UTF-16 symbol at UTF-16 offset {offset + length}")
    if kind in FOUND:
        return None
    return {"type": kind, "offset": offset, "length": length, **_details(kind, given, users)}


def _details(kind: str, given: Json, users: Container[int]) -> Json:
    """Return what an entity of this type holds besides its place."""
    match kind:
        case "pre" if given.get("language") is not None:
            return {"language": _string("language", given["language"])}
        case "text_link":
            return {"url": _link(_string("url", given.get("url")))}
        case "text_mention":
            user = given.get("user")
            if not isinstance(user, dict) or user.get("id") not in users:
                raise bad("user not found")
            return {"user": user}
        case "custom_emoji":
            return {"custom_emoji_id": _string("custom_emoji_id", given.get("custom_emoji_id"))}
        case "date_time":
            return {"unix_time": whole("unix_time", given.get("unix_time"))}
        case _:
            return {}


def _link(url: str) -> str:
    fault = url_fault(url)
    if fault:
        raise bad(f"Entity URL '{url}' is invalid: {fault}")
    return url


def _string(name: str, value: Any) -> str:
    if value is None:
        raise bad(f"can't parse MessageEntity: Can't find field \"{name}\"")
    if not isinstance(value, str):
        raise bad(f'can\'t parse MessageEntity: Field "{name}" must be of type String')
    return value


def _trimmed(formatted: Formatted) -> Formatted:
    """Cut blanks at the end, and at the start as far as the first entity."""
    text = formatted.text.rstrip(BLANK)
    first = min((entity["offset"] for entity in formatted.entities), default=len(text))
    lead = min(len(text) - len(text.lstrip(BLANK)), first)  # blanks are one unit each
    text = text[lead:]
    end = units(text)
    kept = []
    for entity in formatted.entities:
        offset = entity["offset"] - lead
        length = min(entity["length"], end - offset)
        if length > 0:
            kept.append({**entity, "offset": offset, "length": length})
    return Formatted(text, kept)
