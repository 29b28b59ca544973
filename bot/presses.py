"""Presses that were not meant: the buttons under an answer change as it ends, and a second press on Stop lands on what stands there now."""

from __future__ import annotations

from dataclasses import dataclass

from bot.clock import Clock
from bot.model import ChatAddress, Incoming

SLIP_SECONDS = 1.0
"""So long after an answer ended a press of who stopped it is taken for one more on Stop. Ours: two quick presses are less than half a
second apart, the change travels to the person and the press back; to read the new buttons and choose one takes longer."""


@dataclass(slots=True)
class _Stop:
    """Who pressed Stop under an answer, on which message, and when the answer ended; None: it has not yet."""

    sender: str
    chat: ChatAddress
    message_id: str | None
    ended: float | None = None


class Presses:
    """Remembers who has just stopped an answer. In memory only: after a restart every press counts."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stops: dict[int, _Stop] = {}

    def stopping(self, turn: int, press: Incoming) -> None:
        """Somebody pressed Stop under the answer of a turn that runs. `ended` has to follow."""
        self._stops = {one: stop for one, stop in self._stops.items() if self._recent(stop)}
        message_id = press.button.message_id if press.button is not None else None
        self._stops[turn] = _Stop(press.sender.id, press.chat, message_id)

    def ended(self, turn: int) -> None:
        """A turn has ended, and other buttons stand under its answer."""
        if turn in self._stops:
            self._stops[turn].ended = self._clock.now()

    def slipped(self, turn: int | None, press: Incoming) -> bool:
        """Tell whether a press that came just now was meant for Stop.

        Args:
            turn: Whose answer the button stands under, as far as it names one.
            press: A press of another button than Stop.
        """
        if press.button is None:
            return False
        under = press.button.message_id
        for one, stop in self._stops.items():
            same_place = one == turn or (under is not None and (under, press.chat) == (stop.message_id, stop.chat))
            if same_place and stop.sender == press.sender.id and self._recent(stop):
                return True
        return False

    def _recent(self, stop: _Stop) -> bool:
        return stop.ended is None or self._clock.now() - stop.ended < SLIP_SECONDS
