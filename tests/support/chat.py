"""A chat platform in memory: strict about its budget, scripted in its failures."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from bot.clock import Clock
from bot.model import ChatAddress, ChatKind, EventKind, Incoming, Page, Receipt, Sender, Target
from bot.platforms.base import (
    Accept,
    Allowance,
    Call,
    FloodError,
    Limits,
    PlatformError,
    Refusal,
    RefusedError,
    UnavailableError,
    UnknownOutcomeError,
)
from bot.platforms.budgets import Budget, BudgetKind
from bot.render.base import Rendered, Style
from storage.base import DeliveryRow, Owner

OVERALL = Allowance("memory:all", Budget(BudgetKind.SLIDING, 50, 1.0))
PER_CHAT = Budget(BudgetKind.FIXED_WINDOW, 5, 5.0)
LIMITS = Limits(OVERALL, idempotent_send=True, private_answers=False, max_button_rows=5, max_buttons_per_row=5)
PLAIN = Style(render=Rendered, measure=lambda rendered: len(rendered.text), limit=2000)


def target(chat: str = "1") -> Target:
    return Target(ChatAddress("memory", "bot", chat), ChatKind.PRIVATE)


@dataclass
class Taken:
    """A call the platform took."""

    at: float
    call: Call
    message_id: str
    text: str


@dataclass
class MemoryPlatform:
    """Counts like a server with fixed windows; more calls than allowed are flooded and recorded."""

    clock: Clock
    style: Style = PLAIN
    name: str = "memory"
    limits: Limits = LIMITS
    taken: list[Taken] = field(default_factory=list)
    shown: dict[str, Page] = field(default_factory=dict)
    failures: list[PlatformError] = field(default_factory=list)
    failures_of: dict[Call, PlatformError] = field(default_factory=dict)
    lost_answers: int = 0
    floods: int = 0
    round_trip: float = 0.0
    fixed_kinds: bool = False

    def __post_init__(self) -> None:
        self._ids = itertools.count(1)
        self._nonces: dict[str, str] = {}
        self._windows: dict[str, tuple[float, int]] = {}

    async def open(self) -> str:
        return "bot"

    async def run(self, accept: Accept, ready: Callable[[], None]) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass

    def allowances(self, call: Call, target: Target, *, first: bool) -> Sequence[Allowance]:
        return [Allowance(f"memory:{call}:{target.chat.chat}", PER_CHAT), OVERALL]

    async def send(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        await self._take(Call.SEND, target)
        known = self._nonces.get(nonce) if self.limits.idempotent_send else None
        if known is not None:  # as on Discord: the first message comes back as it was
            return Receipt(known)
        message_id = self._nonces[nonce] = str(next(self._ids))
        receipt = self._done(Call.SEND, message_id, page)
        if self.lost_answers:
            self.lost_answers -= 1
            raise UnavailableError("cut") if self.limits.idempotent_send else UnknownOutcomeError("cut")
        return receipt

    async def edit(self, target: Target, message_id: str, page: Page, *, first: bool) -> Receipt:
        await self._take(Call.EDIT, target)
        if self.fixed_kinds and self.shown[message_id].file is not None and page.file is None:
            raise RefusedError(Refusal.OTHER_KIND, "there is no text in the message to edit")
        if message_id not in self.shown:
            raise RefusedError(Refusal.GONE, "there is no such message")
        return self._done(Call.EDIT, message_id, page)

    async def delete(self, target: Target, message_id: str) -> None:
        await self._take(Call.DELETE, target)
        self.shown.pop(message_id, None)

    def _done(self, call: Call, message_id: str, page: Page) -> Receipt:
        self.shown[message_id] = page
        self.taken.append(Taken(self.clock.now(), call, message_id, page.text))
        return Receipt(message_id)

    async def _take(self, call: Call, target: Target) -> None:
        if self.round_trip:
            await self.clock.sleep(self.round_trip / 2)
        key, now = f"{call}:{target.chat.chat}", self.clock.now()
        opened, count = self._windows.get(key, (now, 0))
        if now >= opened + PER_CHAT.seconds:
            opened, count = now, 0
        self._windows[key] = (opened, count + 1)
        if count >= PER_CHAT.calls:
            self.floods += 1
            raise FloodError(opened + PER_CHAT.seconds - now)
        if self.round_trip:
            await self.clock.sleep(self.round_trip / 2)
        if call in self.failures_of:
            raise self.failures_of.pop(call)
        if self.failures:
            raise self.failures.pop(0)


class MemoryDeliveries:
    """Rows of deliveries in memory."""

    def __init__(self, now: Callable[[], float] = lambda: 0.0) -> None:
        self.rows: list[DeliveryRow] = []
        self._now = now

    async def begin_delivery(self, owner: Owner, chat: ChatAddress, page: int, nonce: str) -> DeliveryRow:
        for row in self.rows:
            if (row.owner, row.page) == (owner, page):
                return row
        self.rows.append(DeliveryRow(len(self.rows) + 1, owner, chat, page, nonce, None, created_at=self._now()))
        return self.rows[-1]

    async def delivered(self, delivery: int, message_id: str, *, repeated: bool = False) -> None:
        self.rows[delivery - 1] = replace(self.rows[delivery - 1], message_id=message_id, repeated=repeated)

    async def deliveries(self, owner: Owner) -> Sequence[DeliveryRow]:
        return sorted((row for row in self.rows if row.owner == owner and row.page >= 0), key=lambda row: row.page)

    async def drop_delivery(self, delivery: int) -> None:
        self.rows[delivery - 1] = replace(self.rows[delivery - 1], page=-1, message_id=None)

    async def is_delivered(self, chat: ChatAddress, message_id: str) -> bool:
        return any(row.message_id == message_id and row.chat == chat for row in self.rows)


def incoming(text: str = "hello", *, key: str = "memory:1", chat: str = "1") -> Incoming:
    address = ChatAddress("memory", "bot", chat)
    return Incoming(key, EventKind.MESSAGE, address, ChatKind.PRIVATE, Sender("7", "ada"), text=text, message_id=key)
