"""Plain text: cleaning what models send, escaping what people wrote, widths, and where a text may be cut."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_DIRTY = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")
_SURROGATE = re.compile("[\ud800-\udfff]")

_SPECIAL = re.compile(r"[\\`*_~\[\]<>#|!$&]")
_LINE_START = re.compile(r"^[ \t]*(?:([-+=])|(\d{1,9})([.)]))?", re.MULTILINE)

_UNSEEN = frozenset({"Cf", "Mn", "Zs", "Zl", "Zp"})  # categories
_BLANKS = frozenset("\t\n\u115f\u1160\u2800\u3164\uffa0\ufffc")  # of other categories, but as empty

_ZWJ, _EMOJI_STYLE = "\u200d", "\ufe0f"
_WIDENS = -1
_EXTENDERS = re.compile("[\u200d\ufe00-\ufe0f\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\u1160-\u11ff]")
_LONGEST_CLUSTER = 64  # a cluster longer than this is an attack, not a letter


def clean(text: str) -> str:
    """Make line ends uniform, join halves of surrogate pairs, and replace control characters and lone surrogates by U+FFFD."""
    if not _DIRTY.search(text):
        return text
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if _SURROGATE.search(text):  # two deltas of a stream may carry one half each
        text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return _CONTROL.sub("\ufffd", text)


def escape(text: str) -> str:
    """Make any text, such as a model id or a person's words, mean itself inside Markdown. Indentation at line starts is lost."""
    return _LINE_START.sub(_escape_line_start, _SPECIAL.sub(_escape_sign, clean(text)))


def _escape_sign(match: re.Match[str]) -> str:
    return "&#91;" if match[0] == "[" else f"\\{match[0]}"  # with a backslash it would open a formula


def _escape_line_start(match: re.Match[str]) -> str:
    sign, digits, stop = match.groups()
    if sign:
        return f"\\{sign}"
    return f"{digits}\\{stop}" if digits else ""


def is_blank(text: str) -> bool:
    """Tell whether nothing of the text can be seen: white space, joiners, combining signs without a letter, and fillers."""
    if text.isascii():
        return not text.strip()
    for char in text:  # noqa: SIM110 - the first one tells, nearly always, and a generator costs more than the answer
        if char not in _BLANKS and unicodedata.category(char) not in _UNSEEN:
            return False
    return True


def utf16_length(text: str) -> int:
    """Count UTF-16 units, in which Telegram counts."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def display_width(text: str) -> int:
    """Count the columns a text takes in a monospaced font: East Asian wide ones and emoji take two, combining and joined ones none."""
    return len(text) if text.isascii() else _wide(text)


@lru_cache(maxsize=256)
def _wide(text: str) -> int:
    """Count them. A table that grows asks for each of its cells at every update."""
    width = last = 0  # the width of the last one that takes room
    joined = False
    for char in text:
        room = _room(char)
        if room == _WIDENS:
            width, last = width + (last == 1), 2  # shown as an emoji, which is wide
        elif room and not joined:
            last = room
            width += room
        joined = char == _ZWJ
    return width


@lru_cache(maxsize=1024)
def _room(char: str) -> int:
    """Return how many columns a character takes by itself; `_WIDENS` if it makes the one before it wide."""
    if char == _EMOJI_STYLE:
        return _WIDENS
    return 0 if _extends(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1


def _extends(char: str) -> bool:
    return unicodedata.category(char) in {"Mn", "Me", "Mc", "Cf"} or bool(_EXTENDERS.match(char))


def _is_flag_letter(char: str) -> bool:
    return "\U0001f1e6" <= char <= "\U0001f1ff"


def _splits_cluster(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return False
    if _extends(text[at]) or text[at - 1] == _ZWJ:
        return True
    if not (_is_flag_letter(text[at]) and _is_flag_letter(text[at - 1])):
        return False
    first = at
    while first and _is_flag_letter(text[first - 1]):
        first -= 1
    return (at - first) % 2 == 1


def cluster_boundary(text: str, at: int) -> int:
    """Return the last place up to `at` that does not split what people see as one character; `at` itself if there is none near."""
    for place in range(at, max(0, at - _LONGEST_CLUSTER), -1):
        if not _splits_cluster(text, place):
            return place
    return at
