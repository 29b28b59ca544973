"""What commands choose, and what of it is newer: a choice that is carried out late, or once more, must not undo one that came after it.

Only a choice that was made counts: one that was refused, or failed, undid nothing. The store is told so when the event is finished; of
those whose answer is still on its way into the chat it is known here.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from bot.access import Access
from bot.calls import Calls
from bot.commands.base import Answer
from bot.model import Incoming
from bot.payload import load
from storage.base import Accepted, Store

LOOKED_AT = 200
"""So many later commands are looked at at once."""
NOTHING_CHOSEN = "nothing was chosen"
"""Noted of a choice that was refused, or failed."""


class Subject(NamedTuple):
    """What is chosen: the command's `choice`, and which of several."""

    name: str
    which: str = ""


class Choices:
    """Compares choices."""

    def __init__(self, store: Store, calls: Calls, access: Access) -> None:
        self._store = store
        self._calls = calls
        self._access = access
        self._made: dict[int, dict[int, tuple[str, Subject]]] = {}  # no words of anybody's: a parked one stays here

    def made(self, accepted: Accepted, incoming: Incoming, answer: Answer | None) -> str | None:
        """Take note of what a command has just done. `finished` has to follow.

        Returns:
            What is to be noted with the event's end, if it was to choose something and did not.
        """
        subject = self._subject(incoming)
        if subject is None:
            return None
        if answer is not None and answer.chose:
            self._made.setdefault(accepted.conversation, {})[accepted.event] = (incoming.key, subject)
            return None
        made_before = accepted.event in self._made.get(accepted.conversation, {})
        return None if made_before else NOTHING_CHOSEN

    def finished(self, accepted: Accepted) -> None:
        """An event's end is stored: from now on the store knows what it chose."""
        made = self._made.get(accepted.conversation, {})
        made.pop(accepted.event, None)
        if not made:
            self._made.pop(accepted.conversation, None)

    async def overtaken(self, accepted: Accepted, incoming: Incoming) -> bool:
        """Tell whether something was chosen since an event came that chooses the same, or what it rests on: it would undo that.

        What was read again before a crash, and carried out then, has the key of `incoming`: it is no other choice. What is older than a
        /forget would bring back what that removed, and what was chosen between them is not known any more.
        """
        chosen, command = self._subject(incoming), self._calls.command_of(incoming)
        if chosen is None:
            return False
        above = {chosen} if command is None or command.within is None else {chosen, Subject(command.within)}
        for event, (key, subject) in self._made.get(accepted.conversation, {}).items():
            if event > accepted.event and key != incoming.key and subject in above:
                return True
        if accepted.event < await self._store.forgotten(accepted.conversation):
            return True
        after = accepted.event
        while True:
            later = await self._store.commands_after(accepted.conversation, after, LOOKED_AT)
            for one in later:
                with suppress(ValueError):  # written by another version
                    said = load(one.payload)
                    if self._subject(said) in above and said.key != incoming.key and self._access.admits(said):
                        return True
            if len(later) < LOOKED_AT:
                return False
            after = later[-1].id

    def _subject(self, incoming: Incoming) -> Subject | None:
        """Return what a command or a press chooses anew; None if it chooses nothing."""
        call, command = self._calls.of(incoming), self._calls.command_of(incoming)
        if call is None or command is None or command.choice is None:
            return None
        given = [call.arguments.get(option.name, "").strip() for option in command.options]
        if not all(given):
            return None  # it only shows what holds
        return Subject(command.choice, given[0].lower() if len(given) > 1 else "")
