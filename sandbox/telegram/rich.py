"""Rich messages, as far as the stand-in takes them: blocks of text. What the server would have to parse, Markdown and HTML, it refuses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bot.platforms.budgets import TELEGRAM_RICH_BLOCKS, TELEGRAM_RICH_CHARS, TELEGRAM_RICH_DEPTH
from sandbox.telegram.errors import Json, bad
from sandbox.telegram.parameters import Parameters
from sandbox.telegram.text import Formatted, units, url_fault, visible

MESSAGE_KEYS = frozenset({"html", "markdown", "blocks", "is_rtl", "skip_entity_detection", "media"})
STYLES = frozenset({"bold", "italic", "underline", "strikethrough", "spoiler", "code"})
BLOCKS = {
    "paragraph": {"type", "text"},
    "heading": {"type", "text", "size"},
    "pre": {"type", "text", "language"},
    "blockquote": {"type", "blocks", "credit"},
    "divider": {"type"},
    "thinking": {"type", "text"},
}
"""The blocks the stand-in shows, with their fields. The Bot API has more."""
RULE = "─" * 10


def rich_text(parameters: Parameters) -> Formatted:
    """Return the `rich_message` of a call as plain text with entities, checked.

    Raises:
        ApiError: Telegram would refuse it, or the stand-in does not take it.
    """
    message = parameters.record("rich_message", MESSAGE_KEYS)
    if message is None:
        raise bad("rich message must be non-empty")
    if sum(key in message for key in ("html", "markdown", "blocks")) != 1:
        raise bad("exactly one of html, markdown and blocks must be used")
    if not isinstance(message.get("blocks"), list):
        raise bad("the stand-in takes rich messages as blocks alone")
    reader = _Reader(parameters)
    reader.blocks(message["blocks"], 1)
    if units(reader.text) > TELEGRAM_RICH_CHARS or reader.count > TELEGRAM_RICH_BLOCKS:
        raise bad("RICH_MESSAGE_TOO_LONG")
    if not visible(reader.text):
        raise bad("rich message must be non-empty")
    return Formatted(reader.text, sorted(reader.entities, key=lambda entity: (entity["offset"], -entity["length"])))


class _Reader:
    """Collects text and entities."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self.text = ""
        self.entities: list[Json] = []
        self.count = 0

    def blocks(self, blocks: Sequence[Any], depth: int) -> None:
        """Read blocks one below the other."""
        for place, given in enumerate(blocks):
            kind = given.get("type") if isinstance(given, dict) else None
            if kind not in BLOCKS:
                raise bad(f"can't parse InputRichBlock: type {kind} is not taken")
            block = self._parameters.check("rich_message.blocks", given, BLOCKS[kind])
            self.count += 1
            if place:
                self.text += "\n\n"
            start = units(self.text)
            self._block(kind, block, depth)
            if kind in {"pre", "blockquote"}:
                self._mark(kind, start, {"language": block["language"]} if "language" in block else {})

    def _block(self, kind: str, block: Json, depth: int) -> None:
        if depth > TELEGRAM_RICH_DEPTH:
            raise bad("RICH_MESSAGE_DEPTH_INVALID")
        if kind == "divider":
            self.text += RULE
        elif kind == "blockquote":
            if not isinstance(block.get("blocks"), list) or not block["blocks"]:
                raise bad("can't parse InputRichBlock: a quotation needs blocks")
            self.blocks(block["blocks"], depth + 1)
        else:
            before = self.text
            self._inline(block.get("text"), depth + 1)
            if self.text == before:
                raise bad("can't parse InputRichBlock: text must be non-empty")

    def _inline(self, given: Any, depth: int) -> None:
        if depth > TELEGRAM_RICH_DEPTH:
            raise bad("RICH_MESSAGE_DEPTH_INVALID")
        if isinstance(given, str):
            self.text += given
        elif isinstance(given, list):
            for item in given:
                self._inline(item, depth)
        elif isinstance(given, dict) and given.get("type") in STYLES:
            start = units(self.text)
            self._inline(self._parameters.check("rich_text", given, {"type", "text"}).get("text"), depth + 1)
            self._mark(str(given["type"]), start, {})
        elif isinstance(given, dict) and given.get("type") == "url":
            url = str(self._parameters.check("rich_text", given, {"type", "text", "url"}).get("url"))
            if url.lower().startswith(("tg:", "ton:")) or url_fault(url):
                raise bad("RICH_TEXT_URL_INVALID")
            start = units(self.text)
            self._inline(given.get("text"), depth + 1)
            self._mark("text_link", start, {"url": url})
        else:
            raise bad("can't parse RichText: this type is not taken")

    def _mark(self, kind: str, start: int, details: Json) -> None:
        length = units(self.text) - start
        if length:
            self.entities.append({"type": kind, "offset": start, "length": length, **details})
