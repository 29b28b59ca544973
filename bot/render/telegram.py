"""Blocks → Telegram: plain text with entities, which the server can't refuse to parse.

Only formatting is made: no mention, no command, no hashtag entity. But Telegram itself links what it finds in a text, and an @name linked
so notifies the member who bears it. Therefore an invisible U+2060 WORD JOINER stands behind the @ of every name, except where Telegram
looks for none: in code and in addresses. /commands stay links on purpose: the bot's own help is made of them, and pressing one is the
person's own act. #tags notify nobody.

Source: Bot API, MessageEntity (nesting rules, UTF-16 units); what Telegram takes for a name: match_mentions and clean_input_string in
td/telegram of tdlib/td.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from bot.model import Entity
from bot.platforms.budgets import TELEGRAM_CAPTION_UTF16_UNITS, TELEGRAM_ENTITIES, TELEGRAM_MESSAGE_UTF16_UNITS
from bot.render.base import Rendered, Style
from bot.render.document import BOLD, CODE, ITALIC, RULE_TEXT, STRIKE, Block, Kind, Span, is_visible
from bot.render.heal import heal
from bot.render.markdown import read
from bot.render.text import clean, utf16_length

_BULLETS = "•◦▪"
_TICKED, _UNTICKED = "☑", "☐"
_STEP = "   "  # indentation of one more list level; the font is proportional, a space is narrow
_DEEPEST = 6
_TYPES = ((BOLD, "bold"), (ITALIC, "italic"), (STRIKE, "strikethrough"), (CODE, "code"))
# The entity types of every combination of marks. Code can't hold or be part of another.
_TYPES_OF = [("code",) if marks & CODE else tuple(name for bit, name in _TYPES if marks & bit) for marks in range(2 * CODE)]
_IMPORTANCE = ("expandable_blockquote", "pre", "blockquote", "text_link", "code", "bold", "italic", "strikethrough")

_HEADING, _CODE_BLOCK, _RULE, _FOLDED = Kind.HEADING, Kind.CODE, Kind.RULE, Kind.FOLDED
_new = tuple.__new__  # see bot.render.markdown

_JOINER = "\u2060"
# The characters inside the name are those that Telegram takes out before it looks for names. Before the @ only ASCII counts as a letter:
# what Telegram counts beyond that is not quite what Python does, and a joiner too many is seen by nobody.
_NAME = re.compile("(?<![A-Za-z0-9_])@(?:[\u2028-\u202e\u030a\u0333\u033f]*[A-Za-z0-9_]){4,}")
_ADDRESS = re.compile(
    r"https?://(?:[a-z0-9-]+\.)+[a-z]{2,}(?::[0-9]+)?/(?:[a-z0-9_./~%+=&?#-]*@)+[a-z0-9_./~%+=&?#-]*[a-z0-9_/]", re.IGNORECASE
)

_Piece: TypeAlias = tuple[str, int, str | None]
"""Text, its marks, and the target of the link that it belongs to."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Text and entities of some blocks.

    Attributes:
        text: What is written.
        size: Its length in UTF-16 units.
        entities: Of all that is closed, in the order of their places.
        quote: Where the quote begins that the last block stands in: its offset, and the number of entities before it.
        blocks: What was written.
        bare: The same for a message that shows some of the entities only; None if it is shown as it is.
    """

    text: str = ""
    size: int = 0
    entities: tuple[Entity, ...] = ()
    quote: tuple[int, int] | None = None
    blocks: tuple[Block, ...] = ()
    bare: Draft | None = None

    def then(self, blocks: Sequence[Block]) -> Draft:
        """Write more below it."""
        more = _Writer(self, bare=False).write(blocks)
        if len(more.entities) < TELEGRAM_ENTITIES or "@" not in more.text or len(more._closed()) <= TELEGRAM_ENTITIES:  # noqa: SLF001 - see below
            return more
        bare = _Writer(self.bare, bare=True).write(blocks) if self.bare else _Writer(Draft(), bare=True).write(more.blocks)
        return replace(more, bare=bare)

    def shown(self) -> Rendered:
        """Return it as a message: at most `TELEGRAM_ENTITIES`, the most important ones."""
        entities = self._closed()
        if len(entities) <= TELEGRAM_ENTITIES:
            return Rendered(self.text, entities)
        draft = self.bare or self
        ranked = sorted(draft._closed(), key=_importance)  # noqa: SLF001 - of its own kind
        return Rendered(draft.text, tuple(sorted(ranked[:TELEGRAM_ENTITIES], key=_place)))

    def length(self) -> int:
        """Count the UTF-16 units of it."""
        return (self.bare or self).size

    def _closed(self) -> tuple[Entity, ...]:
        if self.quote is None or self.quote[0] == self.size:
            return self.entities
        start, index = self.quote
        return (*self.entities[:index], Entity("blockquote", start, self.size - start), *self.entities[index:])


class _Writer:
    """Collects text and entities; counts in UTF-16 units.

    Args:
        draft: What stands above.
        bare: Some entities will be left out, so names in code and addresses are not safe either.
    """

    def __init__(self, draft: Draft, *, bare: bool) -> None:
        self._bare = bare
        self._parts = [draft.text] if draft.text else []
        self._size = draft.size
        self._entities = list(draft.entities)
        self._runs: dict[tuple[str, str | None], tuple[int, str]] = {}  # type and URL → offset and text so far
        self._quote = draft.quote
        self._blocks = draft.blocks

    def write(self, blocks: Sequence[Block]) -> Draft:
        for block in blocks:
            if is_visible(block):
                self._block(block)
        return Draft("".join(self._parts), self._size, tuple(self._entities), self._quote, (*self._blocks, *blocks))

    def _add(self, text: str) -> None:
        self._parts.append(text)
        self._size += len(text) if text.isascii() else utf16_length(text)

    def _block(self, block: Block) -> None:
        if self._quote and not block.quote:
            self._close_quote()
        first = not self._parts
        if not first:
            self._parts.append("\n\n" if block.gap else "\n")
            self._size += 2 if block.gap else 1
        if block.quote and self._quote is None:
            self._quote = (self._size, len(self._entities))
        lead, rest = _indentation(block) if block.depth or block.quote else ("", "")
        if first:
            lead = lead.lstrip()  # the server would strip it and shift what follows
        if block.kind is _CODE_BLOCK:
            self._code(block, lead.rstrip())
        elif block.kind is _RULE:
            self._add(lead + RULE_TEXT)
        elif block.kind is _FOLDED:
            self._folded(block)
        else:
            if lead:
                self._add(lead if block.spans else lead.rstrip())
            self._text(block, rest, bare_start=first and not lead)

    def _code(self, block: Block, marker: str) -> None:
        code = block.text.strip("\n").rstrip()
        if not code:  # seen by its marker alone; the server refuses an empty entity
            self._add(marker)
            return
        if marker:
            self._add(f"{marker}\n")
        if self._bare:
            code = _NAME.sub(lambda name: f"@{_JOINER}{name[0][1:]}", code)
        start = self._size
        self._add(code)
        self._entities.append(Entity("pre", start, self._size - start, language=block.language or None))

    def _folded(self, block: Block) -> None:
        """Write plain text as a quotation that people unfold."""
        start = self._size
        self._add("".join([text for text, _, _ in _without_names([(block.text.strip(), 0, None)], bare=self._bare)]))
        self._entities.append(Entity("expandable_blockquote", start, self._size - start))

    def _text(self, block: Block, rest: str, *, bare_start: bool) -> None:
        heading = BOLD if block.kind is _HEADING else 0
        first = len(self._entities)
        pieces = _without_names(_trimmed(block.spans, bare_start=bare_start), bare=self._bare)
        last = len(pieces) - 1
        for index, (text, marks, url) in enumerate(pieces):
            shown = text.replace("\n", f"\n{rest}") if rest and "\n" in text else text
            start = self._size
            size = len(shown) if shown.isascii() else utf16_length(shown)
            self._parts.append(shown)
            self._size = start + size
            if not (marks or heading or url):
                if self._runs:
                    self._close_runs()
            elif self._runs or url or heading or (index < last and (pieces[index + 1][1] or pieces[index + 1][2])):
                self._mark(shown, start, marks | heading, url)
            elif shown[0].isspace() or shown[-1].isspace() or len(_TYPES_OF[marks]) > 1:
                self._mark(shown, start, marks, None)
            else:  # marked alone, which is the usual case
                self._entities.append(_new(Entity, (_TYPES_OF[marks][0], start, size, None, None)))
        if self._runs:
            self._close_runs()
        if len(self._entities) > first + 1:
            self._entities[first:] = sorted(self._entities[first:], key=_place)

    def _mark(self, text: str, start: int, marks: int, url: str | None) -> None:
        types = _TYPES_OF[marks & ~CODE] if url else _TYPES_OF[marks]
        if len(types) == 1 and not (url or self._runs):  # the usual case
            self._runs[types[0], None] = (start, text)
            return
        wanted: list[tuple[str, str | None]] = [(name, None) for name in types]
        if url:
            wanted.append(("text_link", url))
        begun = list(self._runs)
        kept = next((index for index, key in enumerate(begun) if key not in wanted), len(begun))
        for key in begun[kept:]:  # with one that ends, those that began inside it end too: entities may not cross
            self._close_run(key)
        for key in wanted:
            run = self._runs.get(key)
            self._runs[key] = (run[0], run[1] + text) if run else (start, text)

    def _close_runs(self) -> None:
        for key in list(self._runs):
            self._close_run(key)

    def _close_run(self, key: tuple[str, str | None]) -> None:
        start, text = self._runs.pop(key)
        core = text.strip()
        if core:
            if text[0] != core[0]:
                start += text.index(core[0])  # white space is one unit each
            size = len(core) if core.isascii() else utf16_length(core)
            self._entities.append(_new(Entity, (key[0], start, size, key[1], None)))

    def _close_quote(self) -> None:
        if self._quote is not None and self._size > self._quote[0]:
            start, index = self._quote
            self._entities.insert(index, Entity("blockquote", start, self._size - start))
        self._quote = None


def _indentation(block: Block) -> tuple[str, str]:
    """Return what stands before the first line and before every further one."""
    nested = "> " * (min(block.quote, _DEEPEST) - 1)  # a quote in a quote can't be an entity
    if not block.depth:
        return nested, nested
    level = min(block.depth, _DEEPEST) - 1
    before = nested + _STEP * level
    if not block.marker:
        return before + _STEP, before + _STEP
    marker = _BULLETS[min(level, len(_BULLETS) - 1)] if block.marker == "-" else block.marker
    if block.task is not None:
        sign = _TICKED if block.task else _UNTICKED
        marker = sign if block.marker == "-" else f"{marker} {sign}"
    return f"{before}{marker} ", before + _STEP


def _trimmed(spans: Sequence[Span], *, bare_start: bool) -> list[_Piece]:
    """Drop white space at the end of a block, and at the start of the whole text."""
    pieces = [span[:3] for span in spans if span.text]
    while pieces and not (text := pieces[-1][0].rstrip()):
        pieces.pop()
    if pieces:
        pieces[-1] = (text, *pieces[-1][1:])
    while bare_start and pieces and not (text := pieces[0][0].lstrip()):
        pieces.pop(0)
    if bare_start and pieces:
        pieces[0] = (text, *pieces[0][1:])
    return pieces


def _without_names(pieces: list[_Piece], *, bare: bool) -> list[_Piece]:
    """Put a joiner into every name that Telegram would link. A name may begin in one piece and go on in the next."""
    for text, _, _ in pieces:
        if "@" in text:
            break
    else:
        return pieces
    pieces = [cut for piece in pieces for cut in _addresses_linked(piece)]
    names = [name.span() for name in _NAME.finditer("".join([text for text, _, _ in pieces]))]
    if not names:
        return pieces
    guarded: list[_Piece] = []
    at = index = 0
    for text, marks, url in pieces:
        end = at + len(text)
        safe = not bare and (url.startswith(text) if url else bool(marks & CODE))
        places: list[int] = []
        while index < len(names) and names[index][0] < end:
            first, last = names[index]
            if not (safe and last <= end):
                places.append(first + 1 - at)
            index += 1
        parts = [text[start:stop] for start, stop in zip([0, *places], [*places, len(text)], strict=True)]
        guarded.append((_JOINER.join(parts), marks, url))
        at = end
    return guarded


def _addresses_linked(piece: _Piece) -> list[_Piece]:
    """Make links of bare addresses with an @: a joiner would break the link that Telegram makes, and in a link it looks for no names."""
    text, marks, url = piece
    if url or marks & CODE or "@" not in text:
        return [piece]
    cuts: list[_Piece] = []
    at = 0
    for address in _ADDRESS.finditer(text):
        cuts += [(text[at : address.start()], marks, None), (address[0], marks, address[0])]
        at = address.end()
    return [cut for cut in (*cuts, (text[at:], marks, None)) if cut[0]]


def _importance(entity: Entity) -> int:
    return _IMPORTANCE.index(entity.type)


def _place(entity: Entity) -> tuple[int, int, str]:
    """Sort those that hold others before these."""
    return entity.offset, -entity.length, entity.type


def write(blocks: Sequence[Block]) -> Rendered:
    """Write blocks as text and entities: exact UTF-16 offsets, at most `TELEGRAM_ENTITIES`, none empty or ending in white space."""
    return Draft().then(blocks).shown()


def render(markdown: str) -> Rendered:
    """Render CommonMark, or any prefix of it. Never fails."""
    return write(read(heal(clean(markdown))))


def measure(rendered: Rendered) -> int:
    """Count UTF-16 units."""
    return utf16_length(rendered.text)


def bare(text: str) -> str:
    """Make text harmless that is shown without its entities: a name that stood in code would be linked. As long as before."""
    return _NAME.sub(lambda name: f"\uff20{name[0][1:]}", text)


STYLE = Style(
    render=render, measure=measure, limit=TELEGRAM_MESSAGE_UTF16_UNITS, draft=Draft(), bare=bare, caption=TELEGRAM_CAPTION_UTF16_UNITS
)
