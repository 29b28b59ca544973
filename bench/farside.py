"""A platform in virtual time: the real budgets, kept by the stand-ins' own gates; a page's text is the number of its tokens."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.answers import Seen
from bot.model import ChatAddress, ChatKind, Page, Receipt, Target
from bot.platforms import budgets
from bot.platforms.base import Accept, Allowance, Call, FloodError, Limits
from bot.platforms.budgets import Budget
from bot.render.base import Rendered, Style
from sandbox.limits import Gates
from storage.base import DeliveryRow, Owner

NAME = "far"
STYLE = Style(render=Rendered, measure=lambda rendered: len(rendered.text), limit=10_000)


@dataclass(frozen=True, slots=True)
class Place:
    """A kind of chat.

    Attributes:
        create: Budget of creates, None where edits and creates share one.
        edit: Budget of updates in one chat.
        overall: Budget of the bot.
        headers: The platform tells what is left of a bucket.
    """

    name: str
    kind: ChatKind
    create: Budget | None
    edit: Budget
    overall: Budget
    headers: bool


PLACES = {
    place.name: place
    for place in (
        Place("discord", ChatKind.GROUP, budgets.DISCORD_CREATE, budgets.DISCORD_EDIT, budgets.DISCORD_GLOBAL, headers=True),
        Place("telegram", ChatKind.PRIVATE, None, budgets.TELEGRAM_PRIVATE, budgets.TELEGRAM_GLOBAL, headers=False),
        Place("telegram group", ChatKind.GROUP, None, budgets.TELEGRAM_GROUP, budgets.TELEGRAM_GLOBAL, headers=False),
    )
}


@dataclass
class FarSide:
    """Counts strictly, applies after half the round trip, answers after the other half.

    Attributes:
        seen: What was visible, by chat.
        calls: How many calls came.
        floods: How many of them were refused.
    """

    place: Place
    round_trip: float
    now: Callable[[], float]
    name: str = NAME
    style: Style = STYLE
    seen: dict[str, list[Seen]] = field(default_factory=dict)
    calls: int = 0
    floods: int = 0

    def __post_init__(self) -> None:
        self._gates = Gates(self.now)
        self._ids = itertools.count(1)
        overall = Allowance("overall", self.place.overall)
        self.limits = Limits(overall, idempotent_send=True, private_answers=False, max_button_rows=5, max_buttons_per_row=5)

    def target(self, chat: str) -> Target:
        """Return the address of a chat."""
        return Target(ChatAddress(NAME, "bot", chat), self.place.kind)

    async def open(self) -> str:
        """Nothing has to be opened."""
        return "bot"

    async def run(self, accept: Accept, ready: Callable[[], None]) -> None:
        """Nobody speaks here."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing has to be closed."""

    def allowances(self, call: Call, target: Target, *, first: bool) -> Sequence[Allowance]:
        """Name the budgets of a call."""
        del first
        return (self._own(call, target.chat.chat), self.limits.overall)

    async def send(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        """Make a message."""
        del nonce, first
        return await self.take(Call.SEND, target.chat.chat, int(page.text), str(next(self._ids)))

    async def edit(self, target: Target, message_id: str, page: Page, *, first: bool) -> Receipt:
        """Edit a message."""
        del first
        return await self.take(Call.EDIT, target.chat.chat, int(page.text), message_id)

    async def delete(self, target: Target, message_id: str) -> None:
        """Nothing is ever deleted here."""
        raise NotImplementedError

    async def take(self, call: Call, chat: str, count: int, message_id: str) -> Receipt:
        """Count a call, show what it brings, answer.

        Raises:
            FloodError: A budget is used up.
        """
        await asyncio.sleep(self.round_trip / 2)
        self.calls += 1
        own = self._own(call, chat)
        inner = self._gates.peek(own.bucket, own.budget)
        overall = self._gates.peek(self.limits.overall.bucket, self.place.overall)
        if not (inner.allowed and overall.allowed):
            self.floods += 1
            await asyncio.sleep(self.round_trip / 2)
            refusing = overall if inner.allowed else inner
            wait = math.ceil(refusing.reset_after * 1000) / 1000 if self.place.headers else float(max(3, math.ceil(refusing.reset_after)))
            raise FloodError(wait, everywhere=inner.allowed)
        self._gates.take(self.limits.overall.bucket, self.place.overall)
        verdict = self._gates.take(own.bucket, own.budget)
        self.seen.setdefault(chat, []).append(Seen(self.now(), count))
        await asyncio.sleep(self.round_trip / 2)
        if not self.place.headers:
            return Receipt(message_id)
        return Receipt(message_id, verdict.remaining, math.ceil(round(verdict.reset_after * 1000, 3)) / 1000)

    def wait(self, call: Call, chat: str) -> float:
        """Return the seconds until the chat's own budget has room."""
        own = self._own(call, chat)
        verdict = self._gates.peek(own.bucket, own.budget)
        return 0.0 if verdict.allowed else verdict.reset_after

    def _own(self, call: Call, chat: str) -> Allowance:
        if self.place.create is not None and call is Call.SEND:
            return Allowance(f"create:{chat}", self.place.create)
        return Allowance(f"chat:{chat}", self.place.edit)


class Rows:
    """Deliveries in memory, kept only as long as they are asked for."""

    def __init__(self) -> None:
        self._ids = itertools.count(1)

    async def begin_delivery(self, owner: Owner, chat: ChatAddress, page: int, nonce: str) -> DeliveryRow:
        """Begin a page."""
        return DeliveryRow(next(self._ids), owner, chat, page, nonce, None)

    async def delivered(self, delivery: int, message_id: str, *, repeated: bool = False) -> None:
        """Nothing is read again."""

    async def deliveries(self, owner: Owner) -> Sequence[DeliveryRow]:
        """No earlier attempt left anything."""
        del owner
        return ()

    async def drop_delivery(self, delivery: int) -> None:
        """Nothing is read again."""

    async def is_delivered(self, chat: ChatAddress, message_id: str) -> bool:
        """Nothing is searched for."""
        raise NotImplementedError
