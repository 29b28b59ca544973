"""What becomes of a question after it was stored: the files that came with it are read when its turn is on."""

from __future__ import annotations

from collections.abc import Mapping

from storage.base import Turn
from storage.tx import Tx


async def fill(tx: Tx, *, turn: Turn, contents: Mapping[int, str]) -> bool:
    """Give entries of a turn's question another content, all or none; False if another worker has taken the turn."""
    if not await tx.fetch("turn_fence", turn.id, turn.attempt):
        return False
    for entry, content in contents.items():
        await tx.fetch("entry_fill", entry, turn.id, content)
    return True
