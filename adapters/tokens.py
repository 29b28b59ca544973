"""Token estimates without a tokenizer.

Tokenizers differ per model and cost a download each, so the estimate errs on the high side: a transcript that is trimmed a little early is
answered, one that overflows is refused.
"""

from __future__ import annotations

import math
import string

_WORDS = (string.ascii_letters + " ").encode()
_TWO = bytes(range(0xC2, 0xE0))  # lead bytes of UTF-8 characters by their length
_THREE = bytes(range(0xE0, 0xF0))
_FOUR = bytes(range(0xF0, 0xF5))
_FOLLOW = bytes(range(0x80, 0xC0))

# Tokens per character. Measured on SmolLM2's tokenizer (49,152 entries, digits one by one, the smallest in use here, thus the hungriest).
_PER_WORD_CHARACTER = 0.28
_PER_SIGN = 1.0  # digits, punctuation, line ends
_PER_TWO = 1.2  # accents, Greek, Cyrillic, Hebrew, Arabic
_PER_THREE = 2.2  # Chinese, Japanese, Korean, Indic scripts, symbols
_PER_FOUR = 3.5  # emoji


def estimate(text: str) -> int:
    """Return about how many tokens `text` is, rather too many than too few; 0 for no text."""
    raw = text.encode("utf-8", "replace")
    two, three, four = (len(raw) - len(raw.translate(None, lead)) for lead in (_TWO, _THREE, _FOUR))
    words = len(raw) - len(raw.translate(None, _WORDS))
    signs = len(raw.translate(None, _WORDS + _TWO + _THREE + _FOUR + _FOLLOW))
    return math.ceil(words * _PER_WORD_CHARACTER + signs * _PER_SIGN + two * _PER_TWO + three * _PER_THREE + four * _PER_FOUR)
