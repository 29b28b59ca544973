"""Which conversation is drained when, and which turn is to stop.

One task for each conversation with open turns, never two; one that fails waits alone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from storage.base import Drain, StoreError, StoreUnavailableError

log = logging.getLogger(__name__)

FIRST_RETRY_SECONDS = 1.0
LONGEST_RETRY_SECONDS = 60.0

_UNKNOWN = 0  # no turn has this id


@dataclass(slots=True)
class _Lane:
    """A conversation that is being drained. `woken`: something came in that the present drain may not have seen."""

    woken: bool = False


class Lanes:
    """Drain conversations as they are woken.

    A drain that ends with the same turn at the head as before, by an error or without one, is called again after a pause that doubles.

    Args:
        first_open: Returns the turn that a conversation would claim next, None if nothing is open.
        first_retry: Seconds until a conversation that made no progress is drained again.
    """

    def __init__(self, first_open: Callable[[int], Awaitable[int | None]], *, first_retry: float = FIRST_RETRY_SECONDS) -> None:
        self._first_open = first_open
        self._first_retry = first_retry
        self._lanes: dict[int, _Lane] = {}
        self._start: Callable[[int], object] | None = None
        self._running = False
        self._signals: dict[int, asyncio.Event] = {}

    def wake(self, conversation: int) -> None:
        """Have a conversation drained. Before `run` it does nothing: `run` begins with all that is open."""
        if self._start is None:
            return
        lane = self._lanes.get(conversation)
        if lane is not None:
            lane.woken = True
            return
        self._lanes[conversation] = _Lane()
        self._start(conversation)

    def signal(self, turn: int) -> asyncio.Event:
        """Return a turn's stop signal, whichever comes first: who asks for it or who sets it. Kept until `forget`."""
        return self._signals.setdefault(turn, asyncio.Event())

    def interrupt(self, turn: int) -> None:
        """Set a turn's stop signal."""
        self.signal(turn).set()

    def forget(self, turn: int) -> None:
        """Let go of a turn's stop signal: the turn is closed."""
        self._signals.pop(turn, None)

    async def run(self, drain: Drain, waiting: Callable[[], Awaitable[Iterable[int]]]) -> None:
        """Drain what waits already, then what is woken, until cancelled.

        Raises:
            RuntimeError: It runs already.
        """
        if self._running:
            raise RuntimeError("The store is drained already")
        self._running = True
        try:
            async with asyncio.TaskGroup() as group:
                # Before the first await: a turn committed while `waiting` reads must be found by one of the two.
                self._start = lambda conversation: group.create_task(self._drain(conversation, drain))
                try:
                    for conversation in await waiting():
                        self.wake(conversation)
                    await asyncio.Event().wait()
                finally:
                    self._start = None  # a group that is being cancelled takes no new tasks
        finally:
            self._lanes.clear()
            self._running = False

    async def _drain(self, conversation: int, drain: Drain) -> None:
        lane = self._lanes[conversation]
        head: int | None = None
        stuck = 0
        while True:
            lane.woken = False
            before = head
            failed = await self._call(drain, conversation)
            head = await self._head(conversation, before)
            if head is None and not lane.woken:
                del self._lanes[conversation]  # no await since `woken` was read: a wake from now on starts a new lane
                return
            stuck = stuck + 1 if failed or (head is not None and head == before) else 0
            if stuck:
                await asyncio.sleep(min(self._first_retry * 2 ** min(stuck - 1, 30), LONGEST_RETRY_SECONDS))

    async def _call(self, drain: Drain, conversation: int) -> bool:
        """Drain once; True if it failed."""
        try:
            await drain(conversation)
        except asyncio.CancelledError:
            if _cancelling():
                raise
            log.error("draining conversation %d was cancelled from within; it is tried again", conversation)  # noqa: TRY400 - no traceback helps
            return True
        except StoreUnavailableError as error:  # it says what to mend
            log.error("draining conversation %d failed; it is tried again: %s", conversation, error)  # noqa: TRY400 - a traceback would hide it
            return True
        except Exception:  # whatever the caller's bug or the outage is, it must not end the loop for the others
            log.exception("draining conversation %d failed; it is tried again", conversation)
            return True
        return False

    async def _head(self, conversation: int, before: int | None) -> int | None:
        """Return the turn at the head; if it can't be read, something that stands for "still open"."""
        try:
            return await self._first_open(conversation)
        except StoreError:
            log.exception("what is open in conversation %d could not be looked up", conversation)
            return _UNKNOWN if before is None else before


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
