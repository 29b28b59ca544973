"""How an answer ended, as it is stored with it: what stands below it is the same after a crash."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from adapters.base import Alternatives, ErrorKind, Finished, FinishReason, ProviderError
from bot import texts, texts_failed, texts_usage
from bot.course import Course
from bot.preferences import Choice
from storage.base import Turn

Title: TypeAlias = Callable[[Choice], str]
"""Returns the name that people read of who was chosen."""


def stored(finished: Finished, others: Alternatives, more: Mapping[str, Any]) -> str:
    """Return the end of an answer, and of the others to the same question, as JSON, with what else is to be told of it."""
    several = {"answers": 1 + len(others.texts), "others": [_end(end) for end in others.ends]}
    return json.dumps({**_end(finished), **several, **more})


def _end(finished: Finished) -> dict[str, Any]:
    return {
        "reason": finished.reason,
        "raw": finished.raw_reason,
        "complete": finished.complete,
        "cut": finished.likely_truncated,
        "tool": finished.wanted_tool,
    }


def answers(said: Mapping[str, Any]) -> int:
    """Return how many answers there are to the question."""
    return int(said.get("answers", 1))


def ending(said: Mapping[str, Any], shown: int = 1) -> tuple[str, bool]:
    """Return the words about how an answer ended, and whether there may be more of it to be had. `shown`: which of several it is."""
    said = _of_shown(said, shown)
    note, more = texts.finish_note(_reason(said), complete=said.get("complete", True), likely_truncated=said.get("cut", False))
    return note or (texts.WANTED_TOOL if said.get("tool", False) else ""), more


def _of_shown(said: Mapping[str, Any], shown: int) -> Mapping[str, Any]:
    if shown == 1:
        return said
    others = said.get("others", ())  # a version before this one did not keep how they ended
    return others[shown - 2] if shown - 2 < len(others) else {}


def _reason(said: Mapping[str, Any]) -> FinishReason:
    return FinishReason(said.get("reason", FinishReason.STOP))


def for_good(turn: Turn) -> bool:
    """Tell whether going on from a turn's answer, whole or in part, would end as it did: it has no Continue, and /continue is refused."""
    if turn.error is not None:
        kind = next((kind for kind in ErrorKind if kind == turn.error.partition(":")[0]), None)  # as `str` of the error has it
        return kind is not None and not texts_failed.goes_on(ProviderError(kind))
    said = json.loads(turn.finish) if turn.finish else {}
    return texts.ended_for_good(_reason(_of_shown(said, turn.shown)))


def instead(course: Course, title: Title) -> dict[str, Any]:
    """Return what is to be told of an answer that is not from who was chosen, as part of its end; nothing if it is."""
    if course.asked == 0:
        return {}
    return {"instead": [title(course.choice), course.choice.model, title(course.choices[0]), course.passed.get(0)]}


def failure(course: Course, error: ProviderError, title: Title) -> tuple[str, bool]:
    """Return the words about why there is no answer, or not the whole of it, and whether there may be more of it to be had."""
    at = next((place for place, choice in enumerate(course.choices) if choice.provider == error.provider), 0)
    told = texts_failed.provider_error(error, title(course.choices[at]), course.choices[at].model, broke_off=course.said is not None)
    if course.said is not None:
        note = instead_note(instead(course, title))
    elif (refused := course.refused) is not None:
        note = texts_usage.over_budget(refused.standing, refused.expected, refused.model)
    else:
        others = sorted({*course.passed, course.asked} - {at})
        note = texts_failed.nobody_else([title(course.choices[place]) for place in others]) if others else ""
    return f"{told}\n\n{note}" if note else told, course.said is not None and texts_failed.goes_on(error)


def instead_note(said: Mapping[str, Any]) -> str:
    """Return the words about who answered in the place of who was chosen; empty if that one did."""
    if "instead" not in said:
        return ""
    provider, model, chosen, why = said["instead"]
    return texts_failed.instead(provider, model, chosen, ErrorKind(why) if why else None)


def files_note(said: Mapping[str, Any]) -> str:
    """Return the words about files that were not read, or not whole; empty if all were."""
    return texts.file_notes(said.get("files", ()))


def further_notes(said: Mapping[str, Any]) -> list[str]:
    """Return the words about what was left out of the question, and about budgets that are nearly used up."""
    notes = [texts.TRIMMED] if said.get("trimmed") else []
    near = [budget for budget in said.get("near", ()) if "took" in budget]  # what an older version stored tells only what was expected
    return [*notes, *(texts_usage.near_budget(**budget) for budget in near)]
