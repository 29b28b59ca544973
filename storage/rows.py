"""Rows to values."""

from __future__ import annotations

from collections.abc import Callable

from storage.base import ChatAddress, DeliveryRow, Entry, Owner, Revision, Turn, TurnState
from storage.tx import Row


def address_of(row: Row) -> ChatAddress:
    """Return the address of a chat."""
    return ChatAddress(row["platform"], row["account"], row["chat"], row["thread"])


def turn_of(row: Row) -> Turn:
    """Return a turn."""
    return Turn(
        id=row["id"],
        conversation=row["conversation"],
        seq=row["seq"],
        event=row["event"],
        chat=address_of(row),
        state=TurnState(row["state"]),
        attempt=row["attempt"],
        stop_requested=bool(row["stop_requested"]),
        answer=row["answer"],
        finish=row["finish"],
        provider=row["provider"],
        model=row["model"],
        handle=row["handle"],
        error=row["error"],
        earlier_attempts=row["earlier_attempts"],
        shown=row["shown"],
        among_others=bool(row["among_others"]),
        revision=Revision(row["revision"], row["reset_seq"]),
    )


def entry_of(row: Row) -> Entry:
    """Return an entry of a transcript."""
    return Entry(*row)  # the statement has its columns in this order


def enough_before(turn: int, chars: int) -> Callable[[Row], bool]:
    """Return what tells, of a transcript's rows one after the other, that those of other turns have so many characters together."""
    left, among_its_own = chars, True

    def enough(row: Row) -> bool:
        nonlocal left, among_its_own
        if among_its_own and (among_its_own := row["turn"] == turn):  # they come first
            return False
        left -= len(row["content"])
        return left <= 0

    return enough


def delivery_of(owner: Owner, row: Row) -> DeliveryRow:
    """Return a page of an owner."""
    known = row["nonce"], row["message_id"], bool(row["repeated"]), row["created_at"]
    return DeliveryRow(row["id"], owner, address_of(row), row["page"], *known)
