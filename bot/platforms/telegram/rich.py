"""From a page to the blocks of a rich message.

A rich message can also be written in Markdown or HTML, which Telegram then parses: what a model says could make buttons, mentions, pictures
fetched from elsewhere, or a half-written frame that is refused. Blocks are not parsed. They are made of the page as it is rendered for an
ordinary message, so that the two look alike and hold the same links, and nothing else is a link.

Source: Bot API, InputRichMessage, InputRichBlock and RichText (10.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

from bot.model import Entity, Page
from bot.platforms.budgets import TELEGRAM_RICH_BLOCKS

Json: TypeAlias = dict[str, Any]
RichText: TypeAlias = str | Json | list[str | Json]

INLINE = frozenset({"bold", "italic", "underline", "strikethrough", "spoiler", "code"})
"""Entity types that are named alike in rich text."""
QUOTES = frozenset({"blockquote", "expandable_blockquote"})
_EMPTY_LINES = re.compile(r"\n{2,}")


def rich_message(page: Page) -> Json:
    """Return the InputRichMessage that shows a page."""
    text = _Text(page)
    blocks = list(text.blocks(0, text.size))
    if _count(blocks) > TELEGRAM_RICH_BLOCKS:
        blocks = [_paragraph(text.inline(0, text.size))]
    return {"blocks": blocks, "skip_entity_detection": True}


def _paragraph(text: RichText) -> Json:
    return {"type": "paragraph", "text": text}


def _count(blocks: Sequence[Json]) -> int:
    return sum(1 + _count(block.get("blocks", ())) for block in blocks)


class _Text:
    """A page's text; places in it are UTF-16 offsets."""

    def __init__(self, page: Page) -> None:
        self._raw = page.text.encode("utf-16-le", "surrogatepass")
        self._entities = sorted(page.entities, key=lambda entity: (entity.offset, -entity.length))
        self.size = len(self._raw) // 2

    def blocks(self, start: int, end: int, *, quoted: bool = False) -> Iterator[Json]:
        """Yield the blocks between two places; `quoted`: inside of a quotation, which holds no other."""
        at = start
        for entity in self._entities:
            stop = entity.offset + entity.length
            quote = entity.type in QUOTES and not quoted
            if entity.offset < at or stop > end or not (quote or entity.type == "pre"):
                continue
            yield from self._paragraphs(at, entity.offset)
            if quote:
                yield {"type": "blockquote", "blocks": list(self.blocks(entity.offset, stop, quoted=True))}
            else:
                yield {"type": "pre", "text": self._cut(entity.offset, stop)} | ({"language": entity.language} if entity.language else {})
            at = stop
        yield from self._paragraphs(at, end)

    def inline(self, start: int, end: int) -> RichText:
        """Return the formatted text between two places."""
        inside = [entity for entity in self._entities if entity.offset < end and entity.offset + entity.length > start]
        places = {place for entity in inside for place in (entity.offset, entity.offset + entity.length) if start < place < end}
        bounds = [start, *sorted(places), end]
        pieces = [self._piece(first, last, inside) for first, last in pairwise(bounds)]
        return pieces[0] if len(pieces) == 1 else pieces

    def _paragraphs(self, start: int, end: int) -> Iterator[Json]:
        """Yield what stands between two places, one paragraph for each run of lines; line breaks within one stay."""
        text = self._cut(start, end)
        at = 0
        for gap in [*_EMPTY_LINES.finditer(text), None]:
            part = text[at : gap.start() if gap else len(text)]
            core = part.strip("\n")
            if core.strip():
                before = text[:at] + part[: len(part) - len(part.lstrip("\n"))]
                first = start + _units(before)
                yield _paragraph(self.inline(first, first + _units(core)))
            at = gap.end() if gap else at

    def _piece(self, start: int, end: int, entities: Sequence[Entity]) -> str | Json:
        piece: str | Json = self._cut(start, end)
        for entity in reversed([one for one in entities if one.offset <= start and one.offset + one.length >= end]):
            if entity.type in INLINE:
                piece = {"type": entity.type, "text": piece}
            elif entity.type == "text_link" and entity.url:
                piece = {"type": "url", "text": piece, "url": entity.url}
        return piece

    def _cut(self, start: int, end: int) -> str:
        return self._raw[2 * start : 2 * end].decode("utf-16-le", "replace")


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2
