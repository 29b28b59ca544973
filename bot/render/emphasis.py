"""Emphasis in writing without spaces, which CommonMark's flanking rules refuse.

`**「注意」**请` is not bold by the rules, because the closing stars stand between a punctuation mark and a letter. Models write this all
the time in Chinese and Japanese, and `**Note:**do` now and then. With white space outside of the stars the parser takes it;
`bot.render.mask` puts some there and takes it out again.

Not everything is meant so: `a*(b+c)*d` and `int *p,*q` are not emphasis.
"""

from __future__ import annotations

import re

_PAIR = re.compile(r"(\*(?<![\\*]\*)\*{0,2})(?![\s*])([^*\n]++)(?<!\s)\1(?!\*)")  # begins with a plain star: three times as fast
# Without any of these places nothing is to be done, which most texts are told by in a tenth of the time: a sign, stars and a letter; or a
# letter, stars and a sign, where one of them is not ASCII or the sign opens something.
_LETTER, _SIGN = r"[^\W_]", r"[^\w\s*\\]"
_PLACE = re.compile(
    rf"\*(?:(?={_LETTER})(?:(?<={_SIGN}\*)|(?<={_SIGN}\*\*)|(?<={_SIGN}\*\*\*))"
    rf"|(?<={_LETTER}\*)(?=\*{{0,2}}(?:[\"'(\[`{{<$]|(?![\x00-\x7f]){_SIGN}))"
    rf"|(?<=[^\W\x00-\x7f]\*)(?=\*{{0,2}}{_SIGN}))"
)
_LAST_SIGNS = ".:!?"  # of what may be in italics right before a letter, where all is ASCII


def is_meant(count: int, before: str, inner: tuple[str, str], after: str) -> bool:
    """Tell whether a pair of stars that the rules refuse means emphasis.

    Args:
        count: Stars at each end.
        before: The character before the pair, or nothing.
        inner: The first and the last character between the stars.
        after: The character after the pair, or nothing.
    """
    first, last = inner
    opens = before.isalnum() and not first.isalnum()
    closes = after.isalnum() and not last.isalnum()
    if not (opens or closes):
        return False
    if not f"{before}{first}{last}{after}".isascii():
        return True
    outside = before if closes else after
    return opens != closes and not outside.strip() and (count > 1 or (closes and last in _LAST_SIGNS))


def loosen(source: str, space: str) -> tuple[str, list[int]]:
    """Put `space` outside of stars that the rules refuse; return the text and the places of what was put into it."""
    parts: list[str] = []
    added: list[int] = []
    if not _PLACE.search(source):
        return source, added
    done = 0
    for match in _PAIR.finditer(source):
        start, end = match.span()
        opened, closed = match.span(2)
        before, after = source[start - 1 : start], source[end : end + 1]
        first, last = source[opened], source[closed - 1]
        opens, closes = before.isalnum() and not first.isalnum(), after.isalnum() and not last.isalnum()
        if not ((opens or closes) and is_meant(opened - start, before, (first, last), after)):
            continue
        for place, wanted in ((start, opens), (end, closes)):
            if wanted:
                added.append(place + len(added))
                parts += [source[done:place], space]
                done = place
    return ("".join([*parts, source[done:]]), added) if added else (source, added)
