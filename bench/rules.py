"""Rules of pacing in virtual time: the bridge's own outbox, and what others do."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bench import virtual
from bench.answers import CHARS_PER_TOKEN, RATE, Outcome, outcome
from bench.farside import NAME, FarSide, Place, Rows
from bot.lengths import Lengths
from bot.model import Page
from bot.outbox import Outbox
from bot.platforms.base import Call, FloodError
from storage.base import Owner, OwnerKind

SEED = 7
KINDS = ("answers",)
"""All answers of a run are of one kind."""
EPSILON = 1e-9


class Rule(Protocol):
    """Shows the answers of a load. Made anew for each run, inside the virtual loop."""

    async def show(self, chat: str, times: Sequence[float]) -> None:
        """Show one answer, whose tokens come at `times`, and return once its last call has been answered."""
        ...


@dataclass(frozen=True, slots=True)
class Run:
    """What a rule made of a load."""

    outcomes: list[Outcome]
    calls: int
    floods: int


def simulate(rule: Callable[[FarSide], Rule], place: Place, answers: Sequence[Sequence[float]], *, round_trip: float = 0.0) -> Run:
    """Run a load in virtual time, one chat for each answer. Its moments are seconds from 0 on."""

    async def main() -> Run:
        far = FarSide(place, round_trip, asyncio.get_running_loop().time)
        shown = rule(far)
        await asyncio.gather(*(shown.show(str(chat), times) for chat, times in enumerate(answers)))
        return Run([outcome(times, far.seen.get(str(chat), [])) for chat, times in enumerate(answers)], far.calls, far.floods)

    return virtual.run(main())


async def until(moment: float) -> None:
    """Return at a moment of the loop's clock."""
    await asyncio.sleep(max(0.0, moment - asyncio.get_running_loop().time()))


class Bridge:
    """The bridge's own outbox, as it is. `lengths`: it knows how long answers before took, and learns of each; None: it knows nothing."""

    def __init__(self, far: FarSide, lengths: Lengths | None = None) -> None:
        self._far = far
        self._outbox = Outbox({NAME: far}, Rows(), virtual.LoopClock(), rng=random.Random(SEED), lengths=lengths)  # noqa: S311 - nonces
        self._knows = lengths is not None

    async def show(self, chat: str, times: Sequence[float]) -> None:
        """Grow a delivery token by token."""
        count = 0
        owner = Owner(OwnerKind.TURN, int(chat))
        delivery = await self._outbox.open(owner, self._far.target(chat), lambda: [Page(str(count))] if count else [])
        for moment in times:
            await until(moment)
            if not count and self._knows:
                delivery.expect(KINDS)
            count += 1
            delivery.touch()
        delivery.learn()
        await delivery.finish()


class OnToken:
    """What others do: look at each token whether it is time, call if no call is under way, show the end at once; obey a 429.

    Args:
        far: The platform.
        due: Tells from (seconds since the last call, tokens since the last call) whether it is time.
        shared: The last call of any chat counts.
    """

    def __init__(self, far: FarSide, due: Callable[[float, int], bool], *, shared: bool = False) -> None:
        self._far = far
        self._due = due
        self._shared = shared
        self._last_of_all = -math.inf

    async def show(self, chat: str, times: Sequence[float]) -> None:
        """Call at tokens; the answer to a call is awaited beside them."""
        now = asyncio.get_running_loop().time
        last, shown = -math.inf, 0
        under_way: asyncio.Task[None] | None = None
        for count, moment in enumerate(times, 1):
            await until(moment)
            since = self._last_of_all if self._shared else last
            if (under_way is None or under_way.done()) and (not shown or self._due(now() - since, count - shown)):
                under_way = asyncio.create_task(self._call(chat, count, first=not shown))
                last, shown = now(), count
                self._last_of_all = last
        if under_way is not None:
            await under_way
        if shown < len(times):
            await self._call(chat, len(times), first=not shown)

    async def _call(self, chat: str, count: int, *, first: bool) -> None:
        while True:
            try:
                await self._far.take(Call.SEND if first else Call.EDIT, chat, count, chat)
            except FloodError as flood:
                await asyncio.sleep(flood.retry_after)
            else:
                return


class Listed:
    """Updates at listed moments of an answer's age, and at its end as soon as the budget has room: the yardstick of `bench.blind`.

    An update goes out with the token that is due at its moment, whether that comes a little early or late. The rule knows the far side's
    budget exactly, as one with a round trip of zero and no other chats may.
    """

    def __init__(self, far: FarSide, ages: Sequence[float]) -> None:
        self._far = far
        self._places = [math.floor(age * RATE + EPSILON) for age in ages]

    async def show(self, chat: str, times: Sequence[float]) -> None:
        """Follow the list."""
        shown = 0
        for place in self._places:
            if place >= len(times):
                break
            await until(times[place])
            await self._take(chat, place + 1, first=not shown)
            shown = place + 1
        await until(times[-1])
        if shown < len(times):
            await self._take(chat, len(times), first=not shown)

    async def _take(self, chat: str, count: int, *, first: bool) -> None:
        call = Call.SEND if first else Call.EDIT
        await asyncio.sleep(self._far.wait(call, chat))
        await self._far.take(call, chat, count, chat)


def others() -> dict[str, Callable[[FarSide], Rule]]:
    """Return the rules used by others, by name."""
    return {
        "1 s, whole process": lambda far: OnToken(far, lambda seconds, _: seconds >= 1.0 - 1e-9, shared=True),
        "1 s, each chat": lambda far: OnToken(far, lambda seconds, _: seconds >= 1.0 - 1e-9),
        "100 characters": lambda far: OnToken(far, lambda _, tokens: tokens * CHARS_PER_TOKEN >= 100),
        "500 ms": lambda far: OnToken(far, lambda seconds, _: seconds >= 0.5 - 1e-9),
    }
