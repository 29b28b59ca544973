"""What ModelsLab's v6 chat lacks: a way to start from a transcript, and a word about why an answer ended."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.base import Message
from adapters.tokens import estimate

PROMPT_CHARS = 12_000
"""Most characters of the transcript that a new chat is started with. About 3,000 tokens of English: less than half of zephyr-7b-beta's
window of 8,192, so that room is left for the answer and for the turns that the server then remembers itself."""

CAP_SHARE = 0.85
"""From this share of the cap on, an answer without an end is taken for cut off: the estimate of its tokens is no better than that."""

_SPEAKERS = {"user": "User", "assistant": "Assistant"}
_HEAD = "This is our conversation so far:"
_TAIL = "My next message, which you answer now:"
_ENDINGS = tuple(".!?…:;\u3002\uff01\uff1f\u061f\u0964")  # the last five: CJK stop, full-width ! and ?, Arabic ?, danda
_CLOSERS = "\"'\u201d\u2019»)]}*_~ \n\t"


def opening_prompt(messages: Sequence[Message], budget: int = PROMPT_CHARS) -> str:
    """Return the prompt that starts a chat at the end of `messages`.

    A single message is its own prompt. Of more, the newest that fit into `budget` characters stand in front of the last one, which is
    always whole. There is no other way to hand a transcript over: the server's memory grows by its own answers only.
    """
    *earlier, last = messages
    left = budget - len(last.text) - len(_HEAD) - len(_TAIL)
    lines: list[str] = []
    for message in reversed(earlier):
        line = f"{_SPEAKERS[message.role]}: {message.text}"
        left -= len(line) + 2
        if left < 0:
            break
        lines.append(line)
    return "\n\n".join([_HEAD, *reversed(lines), _TAIL, last.text]) if lines else last.text


def looks_cut(text: str, cap: int) -> bool:
    """Tell whether an answer was probably cut off by the cap of `cap` tokens: it is about as long, and it has no end.

    The answer itself doesn't say it: there is neither a finish reason nor a token count, and both samples of the document are cut.
    """
    return estimate(text) >= CAP_SHARE * cap and not _ends(text)


def _ends(text: str) -> bool:
    if text.count("```") % 2:
        return False
    return text.rstrip().endswith("```") or text.rstrip(_CLOSERS).endswith(_ENDINGS)
