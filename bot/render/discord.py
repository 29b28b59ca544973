"""Blocks → Discord's Markdown.

What Discord shows itself is passed on: bold, italics, strikethrough, code, fences, quotes, headings 1 to 3, lists, masked links. Text that
merely looks like markup is escaped. What looks like a mention is broken by a zero-width space, so that it can't even look like a ping
(`allowed_mentions` none is sent as well). Code is left as it is: Discord resolves nothing inside it.

Source: Discord's Markdown guide for what is shown; the client's parser rules for what has to be escaped, from field knowledge.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from bot.platforms.budgets import DISCORD_MESSAGE_CODE_POINTS
from bot.render.base import Rendered, Style
from bot.render.document import BOLD, CODE, ITALIC, RULE_TEXT, STRIKE, Block, Kind, Span, is_visible
from bot.render.heal import heal
from bot.render.markdown import read
from bot.render.text import clean

_new = tuple.__new__  # see bot.render.markdown
_BREAK = "\u200b"
_TICKED, _UNTICKED = "☑", "☐"
_DEEPEST = 6
_HEADINGS = 3  # levels Discord has
_SIGNS = ((BOLD, "**"), (STRIKE, "~~"), (ITALIC, "*"))
_SIGNS_OF = [[pair for pair in _SIGNS if marks & pair[0]] for marks in range(2 * CODE)]  # of every combination of marks
_AROUND = [("".join([sign for _, sign in pairs]), "".join([sign for _, sign in reversed(pairs)])) for pairs in _SIGNS_OF]
_SPECIAL = re.compile(r"[\\*`_~|<\]@]")
_UNSAFE = re.compile(rf"{_SPECIAL.pattern}|\n|://")  # without any of it, text means itself but for the start of its line
_URL = re.compile(r"(https?://[^\s<>]+)", re.IGNORECASE)
_MENTION = re.compile(r"<(?:[@#:]|a:|t:|id:|/[^<>\n]{0,100}:\d)")
_LINE_START = re.compile(r"([ \t]*)(?:([>#+-])|(\d{1,9})([.)]))")
_LATER_LINE_START = re.compile(r"(\n[ \t]*)(?:([>#+-])|(\d{1,9})([.)]))")
_BACKTICKS = re.compile("`+")
_FENCE = re.compile("`{3,}")
_TEXT, _HEADING, _CODE_BLOCK, _FOLDED = Kind.TEXT, Kind.HEADING, Kind.CODE, Kind.FOLDED


def _escape(text: str, *, line_start: bool) -> str:
    """Make text mean itself. `line_start`: it begins a line, where quotes, headings and lists would begin."""
    if "://" in text:
        pieces = _URL.split(text)  # a backslash would break a bare link
        for index, piece in enumerate(pieces):
            pieces[index] = _break_mentions(piece) if index % 2 else _SPECIAL.sub(_escape_sign, piece)
        text = "".join(pieces)
    else:
        text = _SPECIAL.sub(_escape_sign, text)
    if line_start and (found := _LINE_START.match(text)):
        text = _escape_line_start(found) + text[found.end() :]
    if "\n" in text:
        text = _LATER_LINE_START.sub(_escape_line_start, text)
    return text


def _break_mentions(url: str) -> str:
    return url.replace("@everyone", "%40everyone").replace("@here", "%40here")


def _escape_sign(match: re.Match[str]) -> str:
    sign = match.group()
    rule = _RULES.get(sign)
    return rule(match.string, match.start(), match.string[match.end() : match.end() + 1]) if rule else f"\\{sign}"


def _at_sign(text: str, at: int, _after: str) -> str:
    return f"@{_BREAK}" if text.startswith(("everyone", "here"), at + 1) else "@"


def _less_sign(text: str, at: int, _after: str) -> str:
    return f"<{_BREAK}" if _MENTION.match(text, at) else "<"


def _backslash(_text: str, _at: int, after: str) -> str:
    return "\\" if after and (after.isalnum() or after.isspace()) else "\\\\"


def _underscore(text: str, at: int, after: str) -> str:
    return "_" if at and after and text[at - 1].isalnum() and after.isalnum() else "\\_"


def _doubled(text: str, at: int, after: str) -> str:
    """Escape what means something only in pairs; the rest of a pair may stand in the neighbouring run."""
    sign = text[at]
    return f"\\{sign}" if sign in {after, text[at - 1 : at]} or not after or not at else sign


def _bracket(_text: str, _at: int, after: str) -> str:
    return "]" if after and after != "(" else "\\]"


# What a sign becomes, by the text, its place and the sign after it; the others are always escaped.
_RULES: dict[str, Callable[[str, int, str], str]] = {
    "@": _at_sign,
    "<": _less_sign,
    "\\": _backslash,
    "_": _underscore,
    "~": _doubled,
    "|": _doubled,
    "]": _bracket,
}


def _escape_line_start(match: re.Match[str]) -> str:
    space, sign, digits, stop = match.groups()
    return f"{space}\\{sign}" if sign else f"{space}{digits}\\{stop}"


def _inline(spans: Sequence[Span], marks: int, *, line_start: bool) -> str:
    """Write the spans of one block, all of them with these marks, too."""
    if len(spans) == 1 and not marks:  # the usual case
        text, own, url, _, _ = spans[0]
        if not own and url is None:
            return _escape(text, line_start=line_start)
    if not marks and (simple := _simple(spans, line_start=line_start)) is not None:
        return simple
    return _Inline(line_start=line_start).write(spans, marks)


def _simple(spans: Sequence[Span], *, line_start: bool) -> str | None:
    """Write marked text between text that is not, nothing of which has to be escaped; None if it is not that simple."""
    parts: list[str] = []
    said: list[str] = []  # what is not code
    before = -1
    for text, marks, url, _, _ in spans:
        if url is not None:
            return None
        if not marks:
            if not before or (before < 0 and text.isspace()):
                return None
            said.append(text)
            parts.append(text)
        elif before > 0 or not text or text != text.strip():
            return None
        elif marks == CODE and "`" not in text:
            parts.append(f"`{text}`")
        else:
            begin, end = _AROUND[marks]
            if marks & CODE:
                parts.append(f"{begin}{_code(text)}{end}")
            else:
                said.append(text)
                parts.append(f"{begin}{text}{end}")
        before = marks
    if _UNSAFE.search("".join(said)):
        return None
    if line_start and spans and not spans[0].marks & CODE and (found := _LINE_START.match(spans[0].text)):
        begin, end = _AROUND[spans[0].marks]
        parts[0] = f"{begin}{_escape_line_start(found)}{found.string[found.end() :]}{end}"
    return "".join(parts)


class _Inline:
    """Writes the spans of one block."""

    def __init__(self, *, line_start: bool) -> None:
        self._out: list[str] = []
        self._open: list[tuple[int, str]] = []
        self._space = ""
        self._closed = False  # a sign was closed last
        self._fresh = line_start  # a line begins here

    def write(self, spans: Sequence[Span], marks: int) -> str:
        at, count = 0, len(spans)
        while at < count:
            text, own, url, _, _ = spans[at]
            first, at = at, at + 1
            if url is None:
                while at < count and spans[at].marks == own and spans[at].url is None:
                    text += spans[at].text  # what looks like markup may be spread over several
                    at += 1
                if not own | marks:
                    self._plain(text)
                elif (at < count and (spans[at].marks or spans[at].url)) or marks or not self._alone(text, own):
                    self._run(text, own | marks)
            else:
                while at < count and spans[at].url == url:
                    at += 1
                self._close_all()
                self._link(spans[first:at], url, marks)
        self._close_all()
        return "".join(self._out)

    def _alone(self, text: str, marks: int) -> bool:
        """Write marked text between text that is not, which is the usual case; False if it is not that simple."""
        if self._open or self._space or self._closed or not text or text[0].isspace() or text[-1].isspace():
            return False
        begin, end = _AROUND[marks]
        self._out.append(f"{begin}{_code(text) if marks & CODE else _escape(text, line_start=self._fresh)}{end}")
        self._fresh, self._closed = False, bool(end)
        return True

    def _plain(self, text: str) -> None:
        if self._open:
            self._close_all()
        if self._space:
            self._put(self._space)
            self._space = ""
        self._put(_escape(text, line_start=self._fresh))

    def _run(self, text: str, marks: int) -> None:
        core = text.strip()
        if not core:
            self._space += text
            return
        wanted = _SIGNS_OF[marks]
        while self._open and any(pair not in wanted for pair in self._open):
            self._close()
        lead = self._space + text[: len(text) - len(text.lstrip())]
        if lead:
            self._put(lead)
        for pair in wanted:
            if pair not in self._open:
                if self._closed and not lead:  # "**a**" and "*b*" side by side would run together
                    self._put(_BREAK)
                self._open.append(pair)
                self._out.append(pair[1])
                self._closed = False
        self._put(_code(core) if marks & CODE else _escape(core, line_start=self._fresh))
        self._space = text[len(text.rstrip()) :]

    def _put(self, text: str) -> None:
        self._out.append(text)
        self._closed = False
        if self._fresh and not text.isspace():
            self._fresh = False
        if "\n" in text and text.rstrip(" \t").endswith("\n"):
            self._fresh = True

    def _close(self) -> None:
        self._out.append(self._open.pop()[1])
        self._closed = True

    def _close_all(self) -> None:
        while self._open:
            self._close()

    def _link(self, spans: Sequence[Span], url: str, marks: int) -> None:
        label = "".join([span.text for span in spans])
        lead = self._space + label[: len(label) - len(label.lstrip())]
        self._space = label[len(label.rstrip()) :]
        if lead:
            self._put(lead)
        target = url.replace("(", "%28").replace(")", "%29").replace("@everyone", "%40everyone").replace("@here", "%40here")
        shown = label.strip()
        if shown == url or not shown:
            self._put(f"<{target}>")
        elif "://" in shown:  # Discord refuses a mask that looks like another address
            self._put(f"{_escape(shown, line_start=False)} (<{target}>)")
        else:
            flat = [span._replace(text=span.text.replace("\n", " "), url=None) for span in spans]
            inner = _inline(flat, marks, line_start=False).strip()
            self._put(f"[{inner}]({target})")


def _code(text: str) -> str:
    if "`" not in text:
        return f"`{text}`"
    text = _FENCE.sub(lambda run: _BREAK.join(run[0]), text)  # Discord ends a fence at the first three, however many opened it
    fence = "`" * (max(map(len, _BACKTICKS.findall(text))) + 1)
    return f"{fence} {text} {fence}"


def _fence(block: Block) -> str:
    code = block.text.strip("\n").rstrip()
    code = _FENCE.sub(lambda run: _BREAK.join(run[0]), code)
    return f"```{block.language}\n{code}\n```"


def _subtext(text: str) -> str:
    """Write plain text small and grey, line by line: Discord folds nothing but spoilers, which hide all of a text."""
    return "\n".join([f"-# {_escape(line, line_start=True)}" for line in text.split("\n")])


def _body(block: Block) -> str:
    kind = block.kind
    if kind is _TEXT:
        return _inline(block.spans, 0, line_start=True)
    if kind is _CODE_BLOCK:
        return _fence(block)
    if kind is _FOLDED:
        return _subtext(block.text)
    if kind is not _HEADING:
        return RULE_TEXT
    if block.level > _HEADINGS:
        return _inline(block.spans, BOLD, line_start=True).replace("\n", " ")
    return f"{'#' * block.level} {_inline(block.spans, 0, line_start=True)}".replace("\n", " ")


def _block(block: Block, *, first: bool) -> str:
    body = _body(block)
    if block.depth:
        body = _indented(block, body)
    if first:
        body = body.lstrip()
    if block.quote:
        body = f"> {body}".replace("\n", "\n> ")
    return body.rstrip(" ")


def _indented(block: Block, body: str) -> str:
    before = "  " * (min(block.depth, _DEEPEST) - 1)
    if not block.marker:
        return _each_line(body, f"{before}  ")
    task = "" if block.task is None else f"{_TICKED if block.task else _UNTICKED} "
    body = f"\n{body}" if block.kind is _CODE_BLOCK else body.replace("\n", f"\n{before}  ")
    return f"{before}{block.marker} {task}{body}"


def _each_line(body: str, before: str) -> str:
    return body if body.startswith("```") else before + body.replace("\n", f"\n{before}")


class Draft(NamedTuple):
    """Discord's Markdown of some blocks, and the last of them."""

    text: str = ""
    last: Block | None = None

    def then(self, blocks: Sequence[Block]) -> Draft:
        """Write more below it."""
        parts = [self.text]
        before = self.last
        for block in blocks:
            if not is_visible(block):
                continue
            if before is not None:
                quoted = "> " if before.quote and block.quote else ""
                parts.append(f"\n{quoted}\n" if block.gap and before.kind is not _HEADING else "\n")
            parts.append(_block(block, first=before is None))
            before = block
        return _new(Draft, ("".join(parts), before))

    def shown(self) -> Rendered:
        """Return it as a message."""
        return Rendered(self.text.strip())

    def length(self) -> int:
        """Count the code points of it."""
        return len(self.text.strip())


def write(blocks: Sequence[Block]) -> Rendered:
    """Write blocks as Discord's Markdown."""
    return Draft().then(blocks).shown()


def render(markdown: str) -> Rendered:
    """Render CommonMark, or any prefix of it. Never fails."""
    return write(read(heal(clean(markdown))))


def measure(rendered: Rendered) -> int:
    """Count code points."""
    return len(rendered.text)


STYLE = Style(render=render, measure=measure, limit=DISCORD_MESSAGE_CODE_POINTS, draft=Draft())
