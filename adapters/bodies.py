"""JSON bodies with large binary texts in them, and with lists that are written already.

Binary texts are encoded piece by piece as they are sent, and nothing else stands still meanwhile: a picture of 8 MB, encoded and quoted at
once, stops everything else for a quarter of a second on a slow machine (measured).
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from adapters.base import ChatRequest, Message, TextPart

STREAMED_FROM_BYTES = 64 * 1024
"""What is larger is sent in pieces."""
PIECE_BYTES = 3 * 32 * 1024
"""So much is encoded at once, about a millisecond; a multiple of three, so that the pieces make one base64 text."""


@dataclass(frozen=True, slots=True)
class Base64Text:
    """Stands in a JSON body for a text: `prefix`, then `data` in base64."""

    prefix: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class WrittenList:
    """Stands in a JSON body for a list: the JSON of each item, as `json.dumps` would write it."""

    items: Sequence[bytes] = field(repr=False)

    def __bytes__(self) -> bytes:
        """Return the JSON of the whole list."""
        return b"[%b]" % b", ".join(self.items)


def written_messages(request: ChatRequest, system_role: str | None) -> WrittenList:
    """Return a request's messages as role and text, by what each keeps of it from one question to the next. Pictures are left out.

    Args:
        request: What is asked.
        system_role: Role of the message that the persona is; ``first_user`` puts it before the first user message; None leaves it out.
    """
    items = [message.written for message in request.messages]
    if request.system and system_role is not None:
        first = next((place for place, message in enumerate(request.messages) if message.role == "user"), None)
        if system_role != "first_user":
            items.insert(0, json.dumps({"role": system_role, "content": request.system}).encode())
        elif first is None:
            items.insert(0, Message("user", (TextPart(request.system),)).written)
        else:
            items[first] = Message("user", (TextPart(f"{request.system}\n\n{request.messages[first].text}"),)).written
    return WrittenList(items)


class Pieces:
    """A body that is made while it is sent. `length` is in bytes."""

    def __init__(self, parts: list[bytes | Base64Text]) -> None:
        self._parts = parts
        self.length = sum(len(part) if isinstance(part, bytes) else _length(part) for part in parts)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the pieces, and let others have their turn between them."""
        for part in self._parts:
            if isinstance(part, bytes):
                yield part
                continue
            yield json.dumps(part.prefix).encode()[:-1]
            for start in range(0, len(part.data), PIECE_BYTES):
                yield base64.b64encode(part.data[start : start + PIECE_BYTES])
                await asyncio.sleep(0)
            yield b'"'


Body: TypeAlias = bytes | io.BytesIO | Pieces


def encode(body: Any) -> Body:
    """Return a JSON value as a request's body."""
    mark = secrets.token_hex(16)  # no text of anybody's can hold it
    held: list[Base64Text | WrittenList] = []

    def hold(value: Any) -> str:
        if not isinstance(value, Base64Text | WrittenList):
            raise TypeError(f"{type(value).__name__} is no JSON")
        held.append(value)
        return mark

    text = json.dumps(body, default=hold).encode()
    if held:
        first, *others = text.split(f'"{mark}"'.encode())
        parts: list[bytes | Base64Text] = [first]
        for value, rest in zip(held, others, strict=True):
            parts += [value if isinstance(value, Base64Text) else bytes(value), rest]
        if any(isinstance(part, Base64Text) for part in parts):
            return Pieces(parts)
        text = b"".join(part for part in parts if isinstance(part, bytes))
    return text if len(text) <= STREAMED_FROM_BYTES else io.BytesIO(text)


def _length(part: Base64Text) -> int:
    return len(json.dumps(part.prefix).encode()) + 4 * -(-len(part.data) // 3)
