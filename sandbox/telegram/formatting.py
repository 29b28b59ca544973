"""parse_mode: HTML and MarkdownV2, as far as bots use them, with the refusals of the real parser (tdlib, MessageEntity.cpp)."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from sandbox.telegram.errors import ApiError, Json, bad
from sandbox.telegram.text import Formatted, units, url_fault

RESERVED = frozenset("_*[]()~`>#+-=|{}.!")
TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "a": "text_link",
}
MARKS = (("||", "spoiler"), ("__", "underline"), ("*", "bold"), ("_", "italic"), ("~", "strikethrough"))
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9-]*)((?:\s+[A-Za-z-]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>]+))?)*)\s*>")
_ATTRIBUTE = re.compile(r"([A-Za-z-]+)(?:\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+))?")


def parsed(text: str, mode: str) -> Formatted:
    """Parse marked-up text.

    Raises:
        ApiError: The mode is unknown, or the text is not written in it.
    """
    parsers: dict[str, Callable[[str], Formatted]] = {"html": _html, "markdownv2": lambda marked: _MarkdownV2(marked).parse()}
    parser = parsers.get(mode.lower())
    if parser is None:
        raise bad("unsupported parse_mode")
    formatted = parser(text)
    formatted.entities.sort(key=lambda entity: (entity["offset"], -entity["length"]))
    return formatted


def _cannot(reason: str) -> ApiError:
    return bad(f"can't parse entities: {reason}")


def _span(kind: str, start: int, end: int, **details: str) -> list[Json]:
    """Return the entity in a list, which is empty if the entity would cover nothing."""
    return [{"type": kind, "offset": start, "length": end - start, **details}] if end > start else []


def _html(source: str) -> Formatted:
    out = ""
    entities: list[Json] = []
    stack: list[tuple[str, int, dict[str, str]]] = []
    at = 0
    while at < len(source):
        if source[at] != "<":
            end = source.find("<", at)
            end = len(source) if end < 0 else end
            out += html.unescape(source[at:end])
            at = end
            continue
        tag = _TAG.match(source, at)
        where = f"at byte offset {len(source[:at].encode())}"
        if tag is None:
            raise _cannot(f'Unsupported start tag "" {where}')
        name, at = tag[2].lower(), tag.end()
        if not tag[1]:
            attributes = {key.lower(): html.unescape(value.strip("\"'")) for key, value in _ATTRIBUTE.findall(tag[3])}
            if name not in TAGS or (name == "span" and attributes.get("class") != "tg-spoiler"):
                raise _cannot(f'Unsupported start tag "{name}" {where}')
            stack.append((name, units(out), attributes))
            continue
        if not stack:
            raise _cannot(f"Unexpected end tag {where}")
        opened, start, attributes = stack.pop()
        if opened != name:
            raise _cannot(f'Unmatched end tag {where}, expected "</{opened}>", found "</{name}>"')
        _close(entities, name, start, units(out), attributes)
    if stack:
        raise _cannot(f'Can\'t find end tag corresponding to start tag "{stack[-1][0]}"')
    return Formatted(out, entities)


def _close(entities: list[Json], name: str, start: int, end: int, attributes: dict[str, str]) -> None:
    """Add the entity of a tag that ends."""
    kind = TAGS[name]
    if kind == "text_link":
        url = attributes.get("href", "")
        if url and not url_fault(url):  # a link Telegram does not like becomes plain text here
            entities += _span(kind, start, end, url=url)
    elif kind == "code" and attributes.get("class", "").startswith("language-"):
        entities += _span("pre", start, end, language=attributes["class"].removeprefix("language-"))
    elif kind == "blockquote" and "expandable" in attributes:
        entities += _span("expandable_blockquote", start, end)
    elif kind != "pre" or not any(item["type"] == "pre" and item["offset"] == start for item in entities):
        entities += _span(kind, start, end)


class _MarkdownV2:
    """One text being parsed."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0
        self.out = ""
        self.entities: list[Json] = []
        self.open: list[tuple[str, str, int, int]] = []  # mark, kind, UTF-16 offset, byte offset in the source

    def parse(self) -> Formatted:
        """Parse all of it."""
        while self.at < len(self.source):
            self._step()
        if self.open:
            _, kind, _, byte = self.open[-1]
            raise _cannot(f"Can't find end of {kind.capitalize()} entity at byte offset {byte}")
        return Formatted(self.out, self.entities)

    def _step(self) -> None:
        char = self.source[self.at]
        if char == "\\" and self.at + 1 < len(self.source) and "!" <= self.source[self.at + 1] <= "~":
            self.out += self.source[self.at + 1]
            self.at += 2
        elif char == "`":
            self._code()
        elif char == ">" and (self.at == 0 or self.source[self.at - 1] == "\n"):
            self._quote()
        elif char in "[]" and self._link(char):
            return
        elif not self._mark():
            if char in RESERVED:
                raise _cannot(f"Character '{char}' is reserved and must be escaped with the preceding '\\'")
            self.out += char
            self.at += 1

    def _byte(self) -> int:
        return len(self.source[: self.at].encode())

    def _mark(self) -> bool:
        """Open or close a style; False if none stands here."""
        for mark, kind in MARKS:
            if not self.source.startswith(mark, self.at):
                continue
            if self.open and self.open[-1][0] == mark:
                _, _, start, _ = self.open.pop()
                self.entities += _span(kind, start, units(self.out))
            else:
                self.open.append((mark, kind, units(self.out), self._byte()))
            self.at += len(mark)
            return True
        return False

    def _code(self) -> None:
        """Take in inline code or a block, inside which only backslash escapes count."""
        fence = "```" if self.source.startswith("```", self.at) else "`"
        byte, start = self._byte(), units(self.out)
        self.at += len(fence)
        language = ""
        if fence == "```" and (head := re.compile(r"([^\s`]*)\n").match(self.source, self.at)):
            language, self.at = head[1], head.end()
        while not self.source.startswith(fence, self.at):
            if self.at >= len(self.source):
                raise _cannot(f"Can't find end of {'Pre' if fence == '```' else 'Code'} entity at byte offset {byte}")
            if self.source[self.at] == "\\" and self.source[self.at + 1 : self.at + 2] in {"\\", "`"}:
                self.at += 1
            self.out += self.source[self.at]
            self.at += 1
        self.at += len(fence)
        details = {"language": language} if language else {}
        self.entities += _span("pre" if fence == "```" else "code", start, units(self.out), **details)

    def _quote(self) -> None:
        """Take in the lines of a block quotation."""
        start = len(self.source)
        lines = []
        for line in self.source[self.at :].split("\n"):
            if not line.startswith(">"):
                break
            lines.append(line[1:])
            start = self.at = self.at + len(line) + 1
        inner = _MarkdownV2("\n".join(lines)).parse()
        offset = units(self.out)
        self.entities += [{**item, "offset": item["offset"] + offset} for item in inner.entities]
        self.out += inner.text
        self.entities += _span("blockquote", offset, units(self.out))
        if start <= len(self.source):
            self.out += "\n"

    def _link(self, char: str) -> bool:
        """Open a link, or close it and read its address; False if a bracket stands alone."""
        if char == "[":
            self.open.append(("[", "textUrl", units(self.out), self._byte()))
            self.at += 1
            return True
        if not self.open or self.open[-1][0] != "[":
            return False
        _, _, start, _ = self.open.pop()
        self.at += 1
        address = re.compile(r"\(((?:\\.|[^)\\])*)\)").match(self.source, self.at)
        url = re.sub(r"\\(.)", r"\1", address[1]) if address else self.out
        if address:
            self.at = address.end()
        if address and not url_fault(url):
            self.entities += _span("text_link", start, units(self.out), url=url)
        return True
