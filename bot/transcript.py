"""Stored transcript entries ↔ messages of a request; trimming to the model's window."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from adapters.base import ImagePart, Message, TextPart
from adapters.tokens import HUNDREDTHS, estimate, hundredths, most
from adapters.tokens import tokens as whole_tokens
from bot.parts import KNOWN, TEXT, Part, words
from storage.base import Entry

ENTRIES_READ = 400
"""So many of the newest entries are considered; more than any window of today's chat models holds in practice."""
ANSWER_SHARE = 0.25
"""Share of a window that is left for the answer where no cap says how long it may be."""
MESSAGE_TOKENS = 6
"""What a message costs beside its text: role and separators."""
PICTURE_TOKENS = 1600
"""What a picture costs, about: the larger ones at the vendors that say how they count."""


_GO_ON = (
    "Continue your answer exactly where it stopped. Repeat nothing of it, and write no introduction. These were its last words:\n\n{words}"
)
"""What the model is told for Continue. With the last words, because others may have asked something since."""
LAST_WORDS_CHARS = 200
"""So much of an answer's end is quoted."""


def go_on(text: str) -> str:
    """Return the question that asks for what comes after `text`."""
    words = text.rstrip()
    if len(words) > LAST_WORDS_CHARS:
        words = words[-LAST_WORDS_CHARS:]
        words = words.partition(" ")[2] or words  # from the beginning of a word, in languages that part them
    return _GO_ON.format(words=words)


def content(text: str) -> str:
    """Return text as stored content: a JSON list of parts."""
    return json.dumps([{"type": "text", "text": text}], ensure_ascii=False)


def text_of(stored: str) -> str:
    """Return the text of stored content."""
    return _words(json.loads(stored))


def _words(parts: Sequence[Part]) -> str:
    if len(parts) == 1 and parts[0]["type"] == TEXT:  # nearly every entry
        return str(parts[0]["text"])
    return "\n\n".join(words(part) for part in parts if part["type"] in KNOWN)


def messages(entries: Sequence[Entry], pictures: Mapping[int, Sequence[ImagePart]] | None = None) -> list[Message]:
    """Turn entries into messages, with their pictures by entry. Where several people speak, each message says whose it is."""
    several = len({entry.author for entry in entries if entry.role == "user"}) > 1
    made, _ = grouped(entries, pictures, named=several)
    return made


def grouped(
    entries: Sequence[Entry], pictures: Mapping[int, Sequence[ImagePart]] | None = None, *, named: bool
) -> tuple[list[Message], list[int]]:
    """Return the messages that entries make, and which entry each of them begins with. `named`: a person's message says whose it is."""
    # Read at once: one by one takes three times as long, and there may be hundreds.
    stored = json.loads(f"[{','.join([entry.content for entry in entries])}]")
    result: list[Message] = []
    starts: list[int] = []
    former: Entry | None = None
    for place, (entry, listed) in enumerate(zip(entries, stored, strict=True)):
        text, shown = _words(listed), pictures.get(entry.id, ()) if pictures else ()
        if former is not None and former.turn == entry.turn and former.role == entry.role and former.author == entry.author:
            # Several parts of one question were written one after the other by one person: it is one message to the model.
            begun = result[-1]
            text = f"{begun.text}\n{text}"
            result[-1] = Message(begun.role, (TextPart(text), *begun.parts[1:], *shown))
        else:
            starts.append(place)
            if named and entry.role == "user" and entry.author_name:
                text = f"{entry.author_name}: {text}"
            result.append(Message("user" if entry.role == "user" else "assistant", (TextPart(text), *shown)))
        former = entry
    return result, starts


def room(system: str | None, window: int, answer_tokens: int | None, *, ratio: float = 1.0) -> int:
    """Return how many estimated tokens the messages of a request may have.

    Args:
        system: The persona, which is never dropped.
        window: Tokens of the model's window, prompt and answer together.
        answer_tokens: Tokens the answer may take; None leaves it a share of the window.
        ratio: What the model counts for an estimated token, as far as is known.
    """
    reserve = min(answer_tokens, window // 2) if answer_tokens else int(window * ANSWER_SHARE)
    return int((window - reserve) / ratio) - (estimate(system) if system else 0)


def fit(
    conversation: Sequence[Message], system: str | None, window: int, answer_tokens: int | None, *, ratio: float = 1.0
) -> tuple[Message, ...]:
    """Return what `newest` keeps of a conversation, oldest first, where there is the `room` that the rest of the arguments leave."""
    kept, _ = newest(conversation, room(system, window, answer_tokens, ratio=ratio))
    return kept


def newest(conversation: Sequence[Message], tokens: int) -> tuple[tuple[Message, ...], bool]:
    """Drop the oldest messages until the rest has no more estimated tokens; the last one always stays, and the first is a person's.

    Returns:
        What is kept, and whether there was no room for all of it.
    """
    beside = _beside_all(conversation)
    # Often all of it fits, and nothing has to be estimated exactly.
    fits = most("".join([message.text for message in conversation])) + beside <= tokens
    kept = list(conversation) if fits else _newest(conversation, tokens * HUNDREDTHS)
    full = len(kept) < len(conversation)
    return tuple(from_person(kept)), full


def estimated(conversation: Sequence[Message], system: str | None) -> int:
    """Return about how many tokens a request's prompt has."""
    weighed = sum([message.weight for message in conversation if message.weighed])
    # Many small texts take longer than all of them in one.
    rest = hundredths("".join([message.text for message in conversation if not message.weighed]))
    return whole_tokens(weighed + rest) + _beside_all(conversation) + (estimate(system) if system else 0)


def shorter(conversation: Sequence[Message]) -> tuple[Message, ...] | None:
    """Drop the older half of what is sent; the last message stays, and the first is a person's. None: only that one is left."""
    kept = from_person(_newest(conversation, sum(size(message) for message in conversation) / 2))
    return tuple(kept) if len(kept) < len(conversation) else None


def size(message: Message) -> int:
    """Return what a message takes of a window, in hundredths of a token."""
    return message.weight + _beside(message) * HUNDREDTHS


def from_person(kept: list[Message]) -> list[Message]:
    """Leave out what the assistant says before the first message of a person; the last message stays."""
    while len(kept) > 1 and kept[0].role == "assistant":
        kept.pop(0)
    return kept


def _newest(conversation: Sequence[Message], left: float) -> list[Message]:
    """Keep the newest messages that take no more than so many hundredths of a token."""
    kept: list[Message] = []
    for message in reversed(conversation):
        left -= size(message)
        if left < 0 and kept:
            break
        kept.append(message)
    kept.reverse()
    return kept


def _beside_all(conversation: Sequence[Message]) -> int:
    more = [message for message in conversation if len(message.parts) != 1]  # nearly every message is one text
    return MESSAGE_TOKENS * (len(conversation) - len(more)) + sum(map(_beside, more))


def _beside(message: Message) -> int:
    """Return what a message costs beside its text."""
    if len(message.parts) == 1:
        return MESSAGE_TOKENS
    return MESSAGE_TOKENS + PICTURE_TOKENS * sum(isinstance(part, ImagePart) for part in message.parts)
