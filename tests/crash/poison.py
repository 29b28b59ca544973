"""Real payloads, mutated: parts missing, of the wrong type, huge, or deeply nested. Seeded, so that a find can be repeated."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from typing import Any

HUGE = 200_000
DEEP = 200
"""Levels of nesting: more than any real payload has, fewer than Python's parser refuses."""
FRESH = 7_000_000_000
"""Ids from here on belong to nobody else."""
AT_HOME = 8
"""One mutation of so many comes from a chat that exists; the others from chats of their own, where no answer can be shown."""
EVENTS = ("MESSAGE_CREATE", "MESSAGE_UPDATE", "INTERACTION_CREATE")


def _nested() -> Any:
    value: Any = "deep"
    for _ in range(DEEP):
        value = [value]
    return value


def _values() -> list[Any]:
    return [
        None, True, False, 0, -1, 1.5, 2**31, 2**63, 2**80, -(2**70), "", "x" * HUGE, "\0", "\ud800", "\u202e", "1e400", "NaN",
        [], {}, [None], {"id": None}, {"id": []}, [[]], {"": {}}, _nested(), list(range(2000)),
    ]  # fmt: skip


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield (*path, key)
        yield from _paths(inner, (*path, key))


def mutated(payload: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return a copy with one to three places changed, dropped or put elsewhere."""
    broken = copy.deepcopy(payload)
    for _ in range(rng.randint(1, 3)):
        paths = list(_paths(broken))
        if not paths:
            break
        *way, last = rng.choice(paths)
        parent: Any = broken
        for key in way:
            parent = parent[key]
        kind = rng.randrange(4)
        if kind == 0:
            del parent[last]
        elif kind == 1 and isinstance(parent, dict):
            parent[f"{last}\u0000"] = parent.pop(last)
        else:
            parent[last] = copy.deepcopy(rng.choice(_values()))
    return broken


def broken_updates(real: Sequence[dict[str, Any]], seed: int, count: int, kinds: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield mutated Telegram updates. The stand-in numbers them: Telegram numbers all that it gives out."""
    rng = random.Random(seed)
    known = [update for update in real if any(kind in update for kind in kinds)]
    for number in range(count):
        update = copy.deepcopy(rng.choice(known))
        update.pop("update_id")
        kind, body = next(iter(update.items()))
        message = body.get("message", body)
        message["message_id"] = FRESH + number
        if "data" in body:
            body["id"] = str(FRESH + number)
        if number % AT_HOME:
            message["chat"]["id"] = message["from"]["id"] = FRESH + number
        yield {kind: mutated(update, rng).get(kind, rng.choice(_values()))}


def broken_events(real: Sequence[tuple[str, dict[str, Any]]], seed: int, count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield mutated gateway events."""
    rng = random.Random(seed)
    known = [event for event in real if event[0] in EVENTS]
    for number in range(count):
        name, data = rng.choice(known)
        data = {**copy.deepcopy(data), "id": str(FRESH + number)}
        if number % AT_HOME:
            data["channel_id"] = str(FRESH + number)
        yield name, mutated(data, rng)
