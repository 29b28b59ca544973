"""The buttons under an answer. Each names its turn, so that an old message's button never meets a newer turn, also after a restart.

Their data is `name:argument` of a command of bot/commands/: a press is carried out as that command, with its checks.
"""

from __future__ import annotations

from bot import texts
from bot.model import Button, ButtonStyle
from bot.reply import Buttons

STOP, RETRY, CONTINUE, MODEL, OTHER = "stop", "retry", "continue", "model", "other"
"""Names of the commands behind the buttons."""
ROW = 5
"""Most buttons of a row: the tightest platform's."""
TURN_DIGITS = 18
"""Longest number that is read as a turn's id: more would not fit the database."""


def growing(turn: int) -> Buttons:
    """Return what stands under an answer while it grows."""
    return ((Button(texts.LABEL_STOP, f"{STOP}:{turn}", ButtonStyle.DANGER),),)


def ended(turn: int, *, more: bool = False, shown: int = 1, answers: int = 1) -> Buttons:
    """Return what stands under an answer, or under the words that say why there is none.

    Args:
        turn: Whose answer it is.
        more: It can be continued.
        shown: Which answer it is, where there are several.
        answers: How many there are.
    """
    further = (Button(texts.LABEL_CONTINUE, f"{CONTINUE}:{turn}", ButtonStyle.PRIMARY),) if more else ()
    row = (*further, Button(texts.LABEL_RETRY, f"{RETRY}:{turn}"), Button(texts.LABEL_OTHER_MODEL, f"{MODEL}:"))
    others = [Button(texts.answer_label(number), f"{OTHER}:{turn}/{number}") for number in range(1, answers + 1) if number != shown]
    return (row, *(tuple(others[place : place + ROW]) for place in range(0, len(others), ROW)))


def split(argument: str) -> tuple[int | None, str]:
    """Return the turn that a button's argument names, None if it names none, and what stands behind it."""
    turn, _, rest = argument.partition("/")
    return turn_of(turn), rest


def turn_of(argument: str) -> int | None:
    """Return the turn that a button's argument names; None if it names none."""
    if argument.isascii() and argument.isdigit() and len(argument) <= TURN_DIGITS:
        return int(argument)
    return None
