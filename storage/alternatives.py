"""Several answers to one question: one stands, the others are kept as long as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from storage.tx import Tx


@dataclass(frozen=True, slots=True)
class Alternative:
    """A further answer to a question. `content` is its text as JSON list of content parts, for the transcript."""

    text: str = field(repr=False)
    content: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which answer of a turn stands now: its number from 1, of so many."""

    turn: int
    number: int
    count: int


class AlternativeStore(Protocol):
    """What a store knows of several answers."""

    async def choose(self, conversation: int, turn: int, number: int | None = None, *, event: int | None = None) -> Chosen | None:
        """Let another answer of a turn stand, which later requests then see; providers forget the conversation.

        Args:
            conversation: The turn's.
            turn: Whose answer.
            number: From 1; None for the next one.
            event: Who chooses. Carried out once more it moves no further, and what a newer event chose stays. None: newer than all.

        Returns:
            What stands now. None: it has no such answer, is not done, or is not kept.
        """
        ...


async def keep(tx: Tx, turn: int, first: Alternative, others: Sequence[Alternative]) -> None:
    """Keep all answers of a turn that has more than one."""
    if others:
        for number, one in enumerate((first, *others), start=1):
            await tx.fetch("alternative_insert", turn, number, one.text, one.content)


async def choose(tx: Tx, conversation: int, turn: int, number: int | None, event: int | None) -> Chosen | None:
    """Let another answer stand; None for `number`: the next one, after the last the first."""
    rows = await tx.fetch("alternatives", turn, conversation)
    if not rows:
        return None
    shown, shown_by = rows[0]["shown"], rows[0]["shown_by"]
    wanted = shown % len(rows) + 1 if number is None else number
    found = next((row for row in rows if row["number"] == wanted), None)
    if found is None:
        return None
    if event is not None and (shown_by > event or (number is None and shown_by == event)):
        return Chosen(turn, shown, len(rows))
    await tx.fetch("turn_show", turn, found["text"], wanted, shown_by if event is None else event)
    if wanted != shown:
        await tx.fetch("answer_replace", turn, found["content"])
        await tx.fetch("states_drop", conversation)  # a provider remembers another answer
    return Chosen(turn, wanted, len(rows))
