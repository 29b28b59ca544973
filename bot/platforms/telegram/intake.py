"""One raw update at a time: parse it alone, commit it, then say so. Polling and webhook share it."""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from telegram import Update

from bot.commands.base import Command
from bot.model import ChatAddress, ChatKind, EventKind, Incoming, ReplyRoute, Sender
from bot.payload import sound
from bot.platforms.base import Accept
from bot.platforms.budgets import TELEGRAM_CALLBACK_SECONDS
from bot.platforms.set_aside import raw_of, reason_of
from bot.platforms.telegram.reading import PLATFORM, STOPPED, Me, clean, read, read_stop
from storage.base import StoreUnavailableError

ALLOWED_UPDATES = ["message", "edited_message", "callback_query", STOPPED]
UNKNOWN = "unknown"
TRIES = 5
"""So often an event is offered to a store that works but will not take this one; then it is set aside."""
UNPARSED = "unparsed"
"""Marks an update of which only the id could be read."""
REMEMBERED = 1000
"""Most updates whose failures are counted at once."""

log = logging.getLogger(__name__)


class Intake:
    """Commits updates.

    Args:
        me: The bot's own account.
        commands: What the platform's menu offers.
        accept: Commits an event.
        answer: Ends the wait of a button press that nothing follows from; called with the callback query's id, must not block. The others
            are answered when they were carried out.
        topic_of: Tells the topic in which a draft was shown, empty if in none.
        now: Epoch seconds.
    """

    def __init__(
        self,
        me: Me,
        commands: Sequence[Command],
        accept: Accept,
        answer: Callable[[str], None],
        topic_of: Callable[[int], str] = lambda _: "",
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._topic_of = topic_of
        self._now = now
        self._me = me
        self._commands = commands
        self._accept = accept
        self._answer = answer
        self._failures: dict[int, int] = {}

    async def take(self, raw: Any) -> None:
        """Commit an update if it is meant for the bot. What can't be parsed is committed as unreadable, so that it blocks nothing.

        Raises:
            Exception: `accept` failed and nothing is committed: the update must be offered again.
        """
        update_id = update_id_of(raw)
        if update_id is None:
            log.error("an update without an id was skipped")
            return
        incoming = self._read(raw, update_id)
        query = _part(raw, "callback_query").get("id")
        if incoming is not None and incoming.kind is EventKind.BUTTON and isinstance(query, str):
            incoming = replace(incoming, route=ReplyRoute(clean(query), self._now() + TELEGRAM_CALLBACK_SECONDS))
        taken = incoming is not None and await self._commit(incoming, raw, update_id)
        if isinstance(query, str) and not taken:
            self._answer(query)

    def _read(self, raw: dict[str, Any], update_id: int) -> Incoming | None:
        try:
            if UNPARSED in raw:
                return self._unreadable(raw, update_id, "it is no JSON, or nested too deeply")
            return event_of(raw, self._me, self._commands, self._topic_of)
        except Exception as error:  # noqa: BLE001 - whatever one odd update provokes in the parser must not stop the others
            log.warning("update %d can't be read and is set aside: %s", update_id, reason_of(error))
            return self._unreadable(raw, update_id, reason_of(error))

    async def _commit(self, incoming: Incoming, raw: dict[str, Any], update_id: int) -> bool:
        """Commit an event; False if nothing follows from it."""
        taken = incoming.kind is not EventKind.UNREADABLE
        try:
            await self._accept(incoming)
        except StoreUnavailableError:
            raise
        except Exception as error:
            if not self._is_hopeless(update_id):
                raise
            log.exception("update %d is set aside: the store would not take it", update_id)
            await self._accept(self._unreadable(raw, update_id, f"not stored: {type(error).__name__}"))
            taken = False
        self._failures.pop(update_id, None)
        return taken

    def _is_hopeless(self, update_id: int) -> bool:
        failures = self._failures.pop(update_id, 0) + 1
        self._failures[update_id] = failures
        while len(self._failures) > REMEMBERED:
            del self._failures[next(iter(self._failures))]
        return failures >= TRIES

    def _unreadable(self, raw: dict[str, Any], update_id: int, reason: str) -> Incoming:
        """Make the event of what can't be read, with the address as far as it can be seen."""
        digest = hashlib.sha256(raw_of(raw).encode()).hexdigest()[:16]
        query = _part(raw, "callback_query")
        message = _part(raw, "message") or _part(raw, "edited_message") or _part(query, "message") or _part(raw, STOPPED)
        chat = _id(_part(message, "chat"))
        person = _part(query, "from") or _part(message, "from")
        return Incoming(
            key=f"{PLATFORM}:{self._me.account}:update:{update_id}:{digest}",
            kind=EventKind.UNREADABLE,
            chat=ChatAddress(PLATFORM, self._me.account, chat),
            chat_kind=ChatKind.PRIVATE if chat == _id(person) != UNKNOWN else ChatKind.GROUP,
            sender=Sender(_id(person), _name(person)),
            text=clean(reason),
            raw=raw_of(raw),
        )


def event_of(raw: dict[str, Any], me: Me, commands: Sequence[Command], topic_of: Callable[[int], str]) -> Incoming | None:
    """Return the event that an update is, None if it is not meant for the bot.

    Raises:
        Exception: It can't be read.
    """
    if STOPPED in raw:
        return read_stop(raw[STOPPED], int(raw["update_id"]), me, topic_of)
    incoming = read(Update.de_json(raw), me, commands)
    return None if incoming is None else sound(incoming)


def read_again(raw: str, me: Me, commands: Sequence[Command], topic_of: Callable[[int], str]) -> Incoming | None:
    """Return the event of an update that was set aside; see `bot.platforms.base.SupportsReadingAgain`.

    Raises:
        Exception: It can't be read this time either.
    """
    kept = json.loads(raw)
    if not isinstance(kept, dict) or UNPARSED in kept or update_id_of(kept) is None:
        raise TypeError("it was not kept as an update")
    return event_of(kept, me, commands, topic_of)


def update_id_of(raw: Any) -> int | None:
    """Return an update's id, None if it has none."""
    update_id = raw.get("update_id") if isinstance(raw, dict) else None
    return update_id if isinstance(update_id, int) and not isinstance(update_id, bool) else None


def _part(raw: dict[str, Any], name: str) -> dict[str, Any]:
    part = raw.get(name)
    return part if isinstance(part, dict) else {}


def _id(raw: dict[str, Any]) -> str:
    value = raw.get("id")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else UNKNOWN


def _name(raw: dict[str, Any]) -> str:
    value = raw.get("first_name")
    return clean(value) if isinstance(value, str) else UNKNOWN
