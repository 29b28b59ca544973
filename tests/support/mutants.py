"""Payloads gone wrong: parts missing, of other types, out of range, huge, or nested without end."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from typing import Any

from bot.model import Incoming
from bot.payload import dump, load

HUGE = "x" * 200_000


def _deep(levels: int = 200) -> Any:
    nested: Any = "bottom"
    for _ in range(levels):
        nested = {"in": [nested]}
    return nested


REPLACEMENTS: Sequence[Any] = (
    None, True, 0, -1, 2**70, 1.5, "", "no number", "half \ud83d", "nul \0", HUGE, [], [None], [[]], {}, {"id": None}, _deep(),
)  # fmt: skip


def storable(incoming: Incoming) -> bool:
    """Tell whether an event can be stored, indexed by its key and read back."""
    stored = dump(incoming).encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # as the store does
    return load(stored).kind is incoming.kind and len(incoming.key) < 200


def mutants(payload: dict[str, Any], count: int, *, keep: Sequence[str] = (), seed: int = 7) -> Iterator[dict[str, Any]]:
    """Yield `count` copies of a payload, each with one to three parts gone wrong; the top-level keys of `keep` stay."""
    chance = random.Random(seed)
    for _ in range(count):
        mutant = copy.deepcopy(payload)
        for _ in range(chance.choice((1, 1, 2, 3))):
            _break(mutant, chance, keep)
        yield mutant


def _break(mutant: dict[str, Any], chance: random.Random, keep: Sequence[str]) -> None:
    places = [place for place in _places(mutant) if place[0] is not mutant or place[1] not in keep]
    if not places:
        return
    holder, key = chance.choice(places)
    if chance.random() < 0.2:
        del holder[key]
    else:
        holder[key] = copy.deepcopy(chance.choice(REPLACEMENTS))


def _places(part: Any) -> Iterator[tuple[Any, Any]]:
    keys: Any = part.keys() if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ()
    for key in list(keys):
        yield part, key
        yield from _places(part[key])
