"""The queue of updates, and the long poll that empties it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sandbox.telegram.errors import OTHER_POLL, ApiError, Json

MAX_BATCH = 100
REPEAT_SECONDS = 0.5
"""A poll with the offset of the one before it, within this time, gets one update at most. From the Bot API server's source."""
KEPT_SECONDS = 24 * 3600.0
"""Updates older than this are dropped. Documented: getting updates."""
GIVEN_KEPT = 1000
"""So many confirmed updates are remembered."""
NOT_BY_DEFAULT = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
"""Left out unless `allowed_updates` names them. Documented: getUpdates."""


@dataclass(frozen=True, slots=True, eq=False)
class Pending:
    """An update that has not been confirmed.

    Attributes:
        id: Place in the queue; the update's own `update_id` unless that is malformed.
        lane: Chat whose updates keep their order over a webhook, 0 for none.
        at: Epoch seconds when it came.
    """

    id: int
    lane: int
    at: float
    update: Json


class Updates:
    """The updates of one bot.

    Attributes:
        pending: Oldest first.
        given: The last confirmed ones.
        again: Confirmed ones that are given out once more, as by a server that lost the confirmation.
        allowed: Types asked for last; empty for all but `NOT_BY_DEFAULT`.
        listening: Set while a poll waits.
        on_add: Told of every update that was taken in.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._next_id = 700_000_001
        self._waiting: asyncio.Future[ApiError | None] | None = None
        self._last_offset: int | None = None
        self._last_poll = 0.0
        self.pending: list[Pending] = []
        self.given: deque[Json] = deque(maxlen=GIVEN_KEPT)
        self.again: list[Json] = []
        self.allowed: tuple[str, ...] = ()
        self.listening = asyncio.Event()
        self.on_add: Callable[[Pending], None] | None = None

    def add(self, update: Json) -> int | None:
        """Queue an update unless its type is not asked for; one without `update_id` gets the next. Return its place, None if left out."""
        kind = next((key for key in update if key != "update_id"), "")
        if kind in NOT_BY_DEFAULT if not self.allowed else kind not in self.allowed:
            return None
        given = update.get("update_id", self._next_id)
        place = given if isinstance(given, int) and not isinstance(given, bool) else self._next_id
        self._next_id = max(self._next_id, place + 1)
        pending = Pending(place, _lane(update), self._now(), {"update_id": given, **update})
        self.pending.append(pending)
        if self.on_add is not None:
            self.on_add(pending)
        self._wake(None)
        return place

    def remove(self, pending: Pending) -> None:
        """Take out a delivered update."""
        if pending in self.pending:
            self.pending.remove(pending)

    def clear(self) -> None:
        """Drop all of them."""
        self.pending.clear()

    def terminate(self, description: str) -> None:
        """End a waiting poll with 409."""
        self._wake(ApiError(409, description))

    def expire(self) -> None:
        """Drop what is too old."""
        oldest = self._now() - KEPT_SECONDS
        self.pending = [item for item in self.pending if item.at > oldest]

    async def poll(self, offset: int, limit: int, timeout: float) -> Sequence[Json]:  # noqa: ASYNC109 - a parameter of the Bot API
        """Answer one getUpdates; a poll that waits already is ended with 409.

        Args:
            offset: Confirms every update before it; negative: keeps only so many from the end; 0 confirms nothing.
            limit: Most updates returned.
            timeout: Longest wait for the first one, in seconds.

        Raises:
            ApiError: 409 if another poll or a webhook ended this one.
        """
        self.terminate(OTHER_POLL)
        now = self._now()
        if offset == self._last_offset and now - self._last_poll < REPEAT_SECONDS:
            limit = 1
        self._last_offset, self._last_poll = offset, now
        self._confirm(offset)
        if self.pending or self.again or timeout <= 0:
            return self._batch(limit)
        await self._wait(timeout)
        return self._batch(limit)

    def _confirm(self, offset: int) -> None:
        self.expire()
        if offset < 0:
            self.pending = self.pending[offset:]
        elif offset > 0:
            self.given.extend(item.update for item in self.pending if item.id < offset)
            self.pending = [item for item in self.pending if item.id >= offset]

    def repeat(self, updates: Sequence[Json]) -> None:
        """Give updates out once more, whatever was confirmed."""
        self.again.extend(updates)
        self._wake(None)

    def _batch(self, limit: int) -> list[Json]:
        most = limit if 1 <= limit <= MAX_BATCH else MAX_BATCH
        if self.again:
            batch, self.again = self.again[:most], self.again[most:]
            return batch
        return [item.update for item in self.pending[:most]]

    async def _wait(self, seconds: float) -> None:
        waiting = self._waiting = asyncio.get_running_loop().create_future()
        self.listening.set()
        try:
            async with asyncio.timeout(seconds):
                error = await waiting
        except TimeoutError:
            return
        finally:
            if self._waiting is waiting:
                self._waiting = None
            if self._waiting is None:
                self.listening.clear()
        if error is not None:
            raise error

    def _wake(self, error: ApiError | None) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(error)


def _lane(update: Json) -> int:
    for key, value in update.items():
        if key == "update_id" or not isinstance(value, dict):
            continue
        message = value.get("message")
        holder = message if isinstance(message, dict) else value
        chat = holder.get("chat")
        if isinstance(chat, dict) and isinstance(chat.get("id"), int):
            return int(chat["id"])
    return 0
