"""Which messages show that they wait, written over the tiny database protocol."""

from __future__ import annotations

from collections.abc import Sequence

from storage.base import ChatAddress
from storage.marks import Mark
from storage.tx import OverDb, Row, Tx


class MarkRecords(OverDb):
    """The methods of `storage.marks.MarkStore`; see there."""

    async def mark(self, turn: int, chat: ChatAddress, message_id: str) -> bool:
        """Note that a message is about to show a mark. False: its turn waits no more."""
        return bool(await self._db.unit(lambda tx: tx.fetch("mark_put", turn, *_place(chat), message_id)))

    async def unmark(self, chat: ChatAddress, message_id: str) -> None:
        """Note that a message shows no mark any more."""
        await self._db.unit(lambda tx: tx.fetch("mark_drop", *_place(chat), message_id))

    async def marks(self) -> Sequence[Mark]:
        """List the messages that may show a mark, oldest turn first."""
        return [_mark(row) for row in await self._db.fetch("marks")]

    async def withdraw(self, chat: ChatAddress, message_id: str, *, later: bool = False) -> bool:
        """Take back what a message asks, while its turn waits, is parked or is tried again; `later`: else once it is."""
        return await self._db.unit(lambda tx: _withdraw(tx, chat, message_id, later=later))

    async def withdrawn(self, chat: ChatAddress, message_id: str) -> bool:
        """Tell whether what a message asked was taken back."""
        return any(row["withdrawn"] for row in await self._db.fetch("question_withdrawn", *_place(chat), message_id))


async def _withdraw(tx: Tx, chat: ChatAddress, message_id: str, *, later: bool) -> bool:
    found = await tx.fetch("questions_waiting", *_place(chat), message_id)
    if later and not found:
        await tx.fetch("withdrawal_note", *_place(chat), message_id)
    for row in found:
        await tx.fetch("entry_withdraw", row["entry"])
        if row["parts"] > 1:
            await tx.fetch("turn_job_drop", row["turn"])
            continue
        for _ in await tx.fetch("turn_stop", row["turn"], row["conversation"]):  # a parked one is stopped when it is tried again
            await tx.interrupt(row["turn"])
            await tx.wake(row["conversation"])
    return bool(found)


def _place(chat: ChatAddress) -> tuple[str, str, str, str]:
    return chat.platform, chat.account, chat.chat, chat.thread


def _mark(row: Row) -> Mark:
    chat = ChatAddress(row["platform"], row["account"], row["chat"], row["thread"])
    return Mark(row["turn"], row["event"], row["conversation"], chat, row["message_id"], bool(row["waiting"]))
