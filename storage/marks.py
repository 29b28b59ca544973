"""The part of the store seam that knows which messages show that they wait, and lets go of questions that are withdrawn meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from storage.base import ChatAddress


@dataclass(frozen=True, slots=True)
class Mark:
    """A message that may show a mark.

    Attributes:
        turn: The turn that the message waits for.
        event: The event that asked for the turn.
        waiting: The turn has not begun.
    """

    turn: int
    event: int
    conversation: int
    chat: ChatAddress
    message_id: str
    waiting: bool


class MarkStore(Protocol):
    """Marks of waiting messages, and their withdrawal."""

    async def mark(self, turn: int, chat: ChatAddress, message_id: str) -> bool:
        """Note that a message is about to show a mark. False: its turn waits no more, and it is to show none."""
        ...

    async def unmark(self, chat: ChatAddress, message_id: str) -> None:
        """Note that a message shows no mark any more."""
        ...

    async def marks(self) -> Sequence[Mark]:
        """List the messages that may show a mark, oldest turn first."""
        ...

    async def withdraw(self, chat: ChatAddress, message_id: str, *, later: bool = False) -> bool:
        """Take back what a message asks, while its turn waits, is parked without an answer, or is tried again after a failure.

        The rest of a question of several messages stays. Where nothing is left of the question, its turn is asked to stop, a parked one
        once it is tried again, and no transcript holds it. False: nothing of it waits or is parked.

        `later`: What is being answered for the first time is taken back, too, if that attempt does not end it: by the next claim.
        """
        ...

    async def withdrawn(self, chat: ChatAddress, message_id: str) -> bool:
        """Tell whether what a message asked was taken back."""
        ...
