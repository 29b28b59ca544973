"""What becomes of a question after it was stored: it is edited; the files that came with it are read when its turn is on."""

from __future__ import annotations

from collections.abc import Mapping

from storage.base import ChatAddress, Turn
from storage.tx import Tx


async def fill(tx: Tx, *, turn: Turn, contents: Mapping[int, str]) -> bool:
    """Give entries of a turn's question another content, all or none; False if another worker has taken the turn."""
    if not await tx.fetch("turn_fence", turn.id, turn.attempt):
        return False
    for entry, content in contents.items():
        await tx.fetch("entry_fill", entry, turn.id, content)
    return True


async def edit(tx: Tx, *, chat: ChatAddress, message_id: str, content: str, version: int) -> bool:
    """Replace the text of the question that came from a message, or record it beside it once generation has begun (False).

    A parked question has its text replaced as well: it is asked afresh when it is tried again, unless its answer is stored.
    Edits can come out of order: one is tried again after a failure, or read again much later. The newest by its version stays.
    """
    chats = await tx.fetch("chat_find", chat.platform, chat.account, chat.chat, chat.thread)
    found = await tx.fetch("entry_find", chats[0]["id"], message_id) if chats else ()
    if not found:
        return False
    if found[0]["replaceable"]:
        replaced = bool(await tx.fetch("entry_replace", found[0]["id"], content, version))
        if replaced:
            await tx.fetch("turn_job_drop", found[0]["turn"])
        return replaced
    await tx.fetch("entry_note_edit", found[0]["id"], content, version)
    return False


async def reopened(tx: Tx, turn: int) -> bool:
    """Give the question of a turn that is asked afresh the text that an edit brought meanwhile; True if there was one."""
    taken = bool(await tx.fetch("edits_take", turn))
    if taken:
        await tx.fetch("turn_job_drop", turn)
    return taken


async def withdrawn_meanwhile(tx: Tx, turn: int, conversation: int) -> bool:
    """Take out of a question that is asked once more what was deleted while it was being answered; True if that is all of it: it stops."""
    gone = await tx.fetch("withdrawals_noted", turn)
    for row in gone:
        await tx.fetch("entry_withdraw", row["id"])
    if not gone:
        return False
    if await tx.fetch("question_any", turn):
        await tx.fetch("turn_job_drop", turn)
        return False
    await tx.fetch("turn_stop", turn, conversation)
    return True
