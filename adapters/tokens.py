"""Token estimates without a tokenizer.

Tokenizers differ per model and cost a download each, so the estimate errs on the high side: a transcript that is trimmed a little early is
answered, one that overflows is refused. Text without words (base64, hashes) is the one kind that comes out too low, by a third.
"""

from __future__ import annotations

import math
import string
from dataclasses import dataclass

_LETTERS = string.ascii_lowercase.encode()
_CAPITALS = string.ascii_uppercase.encode()
_SPACE = b" "  # part of the word behind it
_TWO = bytes(range(0xC2, 0xE0))  # lead bytes of UTF-8 characters by their length
_HANGUL = bytes(range(0xEA, 0xEE))
_THREE = bytes({*range(0xE0, 0xF0)} - {*_HANGUL})
_FOUR = bytes(range(0xF0, 0xF5))
_FOLLOW = bytes(range(0x80, 0xC0))

_OTHER = bytes(set(range(256)) - {*_LETTERS, *_CAPITALS, *_SPACE, *_TWO, *_THREE, *_HANGUL, *_FOUR, *_FOLLOW})

HUNDREDTHS = 100
"""What is added up is whole hundredths of a token: in whatever order it is done, the sum is the same."""

# Hundredths of a token per character. Fitted to SmolLM2's tokenizer: with 49,152 entries, and digits one by one, it takes more tokens than
# larger ones.
_OF_ASCII = (
    (_LETTERS, 36),
    (_CAPITALS, 60),
    (_OTHER, 120),  # digits, punctuation, line ends
)
_WEIGHTS = (
    *_OF_ASCII,
    (_TWO, 150),  # accents, Greek, Cyrillic, Hebrew, Arabic
    (_THREE, 240),  # Chinese, Japanese, Indic scripts, symbols
    (_HANGUL, 300),  # most of it
    (_FOUR, 350),  # emoji
)

_MOST_PER_BYTE = 1.2
"""The heaviest of the above by their bytes: of one, two, three and four bytes."""


def estimate(text: str) -> int:
    """Return about how many tokens `text` is, rather too many than too few; 0 for no text."""
    return tokens(hundredths(text))


def tokens(weighed: int) -> int:
    """Return hundredths of a token as tokens, rounded up."""
    return -(-weighed // HUNDREDTHS)


def weight(text: str) -> float:
    """Return what `estimate` rounds up."""
    return hundredths(text) / HUNDREDTHS


def hundredths(text: str) -> int:
    """Return the weight in hundredths of a token: the weights of two texts, added, are the weight of both in one."""
    rest, found = text.encode("utf-8", "replace"), 0
    for which, each in _OF_ASCII if text.isascii() else _WEIGHTS:
        if not rest:
            break
        # What `translate` deletes is counted in C, and then is in nobody's way: a transcript of 100 KB takes half a millisecond.
        left = rest.translate(None, which)
        found += (len(rest) - len(left)) * each
        rest = left
    return found


def most(text: str) -> int:
    """Return what `estimate` stays below, at a twentieth of its cost."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "replace"))
    return math.ceil(size * _MOST_PER_BYTE)


LEAST_RATIO, MOST_RATIO = 0.5, 3.0
"""Bounds of what is learned: whatever a provider reports, a transcript is neither sent four times too long nor cut to nothing."""
PRIOR_TOKENS = 1_000.0
"""So many estimated tokens count as reported exactly as estimated: one short question does not say much."""
MEMORY_TOKENS = 100_000.0
"""What was learned from more tokens than this weighs no more: a model that is exchanged behind its name is learned anew."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """How many tokens a model counts for those that are estimated, learned from what it reports; each token weighs the same.

    Attributes:
        estimated: Tokens that were estimated so far.
        reported: What the model counted for them.
    """

    estimated: float = 0.0
    reported: float = 0.0

    @property
    def value(self) -> float:
        """The ratio: 1 where nothing is known."""
        return min(max((self.reported + PRIOR_TOKENS) / (self.estimated + PRIOR_TOKENS), LEAST_RATIO), MOST_RATIO)

    def learn(self, estimated: int, reported: int) -> Ratio:
        """Return the ratio with one more prompt; what was learned long ago fades."""
        if estimated <= 0 or reported <= 0:
            return self
        sample = min(max(reported / estimated, LEAST_RATIO), MOST_RATIO) * estimated
        total = self.estimated + estimated
        fade = min(1.0, MEMORY_TOKENS / total)
        return Ratio(total * fade, (self.reported + sample) * fade)
