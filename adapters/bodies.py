"""JSON bodies with large binary texts in them: they are encoded piece by piece as they are sent, and nothing else stands still meanwhile.

A picture of 8 MB, encoded and quoted at once, stops everything else for a quarter of a second on a slow machine (measured).
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

STREAMED_FROM_BYTES = 64 * 1024
"""What is larger is sent in pieces."""
PIECE_BYTES = 3 * 32 * 1024
"""So much is encoded at once, about a millisecond; a multiple of three, so that the pieces make one base64 text."""


@dataclass(frozen=True, slots=True)
class Base64Text:
    """Stands in a JSON body for a text: `prefix`, then `data` in base64."""

    prefix: str
    data: bytes = field(repr=False)


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
    held: list[Base64Text] = []

    def hold(value: Any) -> str:
        if not isinstance(value, Base64Text):
            raise TypeError(f"{type(value).__name__} is no JSON")
        held.append(value)
        return mark

    text = json.dumps(body, default=hold).encode()
    if not held:
        return text if len(text) <= STREAMED_FROM_BYTES else io.BytesIO(text)
    first, *others = text.split(f'"{mark}"'.encode())
    parts: list[bytes | Base64Text] = [first]
    for value, rest in zip(held, others, strict=True):
        parts += [value, rest]
    return Pieces(parts)


def _length(part: Base64Text) -> int:
    return len(json.dumps(part.prefix).encode()) + 4 * -(-len(part.data) // 3)
