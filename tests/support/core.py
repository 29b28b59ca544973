"""The core, wired by `bot.app`, on a real store, with a chat in memory and scripted providers."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from adapters.base import Provider
from adapters.router import Router
from bot.access import Access
from bot.app import Parts, wire
from bot.attachments import FileLimits
from bot.budgets import Budgets
from bot.catalogue import Catalogue
from bot.clock import Clock, SystemClock
from bot.commands.base import Command, Context
from bot.commands.registry import COMMANDS
from bot.dispatcher import Dispatcher
from bot.housekeeping import Housekeeper
from bot.inbox import Inbox
from bot.model import (
    Attachment,
    ButtonPress,
    ChatAddress,
    ChatKind,
    CommandCall,
    EventKind,
    Incoming,
    Page,
    Receipt,
    ReplyRoute,
    Sender,
    Target,
)
from bot.outbox import Outbox
from bot.past import Pasts
from bot.patience import ParkingRule
from bot.platforms.base import Allowance, Call, Platform
from bot.platforms.budgets import Budget, BudgetKind
from bot.preferences import Defaults, Preferences
from bot.prices import Prices
from bot.usage import Accounting
from storage.sqlite import SqliteStore
from tests.support.chat import MemoryPlatform
from tests.support.clock import PATIENCE_SECONDS
from tests.support.scripted import ScriptedProvider
from tests.support.stores import prepare

ROOMY = Budget(BudgetKind.SLIDING, 1000, 1.0)


def command_named(name: str) -> Command:
    (command,) = [one for one in COMMANDS if one.name == name]
    return command


async def eventually(holds: Callable[[], Any], words: str = "") -> Any:
    """Return the first true value of `holds`; fail if there is none in time."""
    for _ in range(int(PATIENCE_SECONDS / 0.005)):
        if value := holds():
            return value
        await asyncio.sleep(0.005)
    raise AssertionError(f"did not come about: {words or holds}")


class Chat(MemoryPlatform):
    """A platform with room for as many calls as a test likes, and with a typing indicator."""

    typing_seconds = 0.02

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock or SystemClock())
        self.targets: dict[str, Target] = {}
        self.typings = 0

    def allowances(self, call: Call, target: Target, *, first: bool) -> Sequence[Allowance]:
        return [Allowance(f"{call}:{target.chat.chat}", ROOMY)]

    async def send(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:
        receipt = await super().send(target, page, nonce=nonce, first=first)
        self.targets[receipt.message_id] = target
        return receipt

    async def unbutton(self, target: Target, message_id: str, *, first: bool) -> None:
        await self._take(Call.EDIT, target)
        self.shown[message_id] = replace(self.shown[message_id], buttons=())

    async def typing(self, target: Target) -> None:
        self.typings += 1

    async def _take(self, call: Call, target: Target) -> None:
        if self.failures:
            raise self.failures.pop(0)

    def texts(self, chat: str = "1") -> list[str]:
        """What a chat shows of the bot, in order."""
        return [page.text for message_id, page in self.shown.items() if self.targets[message_id].chat.chat == chat]


class PressableChat(Chat):
    """A chat that can say a word to who pressed a button. `words` has one entry a press, empty where nothing was to be said."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__(clock)
        self.words: list[str] = []

    async def pressed(self, route: ReplyRoute | None, note: Page | None = None) -> None:
        self.words.append("" if note is None else note.text)


LATEST = 2**40
"""An event that comes after all others: what a command called by hand is given."""


@dataclass
class Core:
    """All boxes, wired."""

    store: SqliteStore
    preferences: Preferences
    catalogue: Catalogue
    dispatcher: Dispatcher
    inbox: Inbox
    outbox: Outbox
    drain: asyncio.Task[None]
    housekeeper: Housekeeper
    accounting: Accounting
    pasts: Pasts

    async def drain_no_more(self) -> None:
        """Claim no further turn and cut off those that run, as a crash would; what comes in is accepted still."""
        self.drain.cancel()
        await asyncio.gather(self.drain, return_exceptions=True)


@dataclass
class World:
    """What outlives a restart: the file, the chat, the providers. `async with world.running():` is one life of the bot."""

    folder: Path
    providers: dict[str, ScriptedProvider] = field(default_factory=dict)
    access: Access = field(default_factory=lambda: Access(open=True))
    defaults: Defaults | None = None
    commands: Sequence[Command] = COMMANDS
    long_answer_pages: int = 0
    reask: bool = True
    merge_window: float = 0.0
    parking_rule: ParkingRule = field(default_factory=ParkingRule)
    file_limits: FileLimits | None = None
    prices: Prices = field(default_factory=Prices)
    budgets: Budgets = field(default_factory=Budgets)
    epoch: Callable[[], float] = time.time
    chat: Chat = field(default_factory=Chat)
    core: Core | None = None

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        if not self.providers:
            self.providers = {
                "alpha": ScriptedProvider(),
                "beta": ScriptedProvider("beta", "Beta", default_model="b-one", names=("b-one",)),
            }

    @property
    def alpha(self) -> ScriptedProvider:
        return self.providers["alpha"]

    @property
    def database(self) -> Path:
        return self.folder / "dragoman.db"

    @property
    def now(self) -> Core:
        assert self.core is not None, "nothing is running"
        return self.core

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Core]:
        """One life. It ends like a crash: what runs is cut off, nothing is said any more."""
        if not self.database.exists():
            await prepare(self.database)
        store = SqliteStore(self.database, synchronous="OFF", first_retry=0.02)
        await store.open()
        clock = self.chat.clock
        providers: Mapping[str, Provider] = self.providers
        platforms: Mapping[str, Platform] = {"memory": self.chat}
        outbox = Outbox(platforms, store, clock, rule=self.parking_rule)
        catalogue = Catalogue(providers, clock)
        accounting = Accounting(store, self.prices, self.budgets, self.epoch)
        wired = wire(
            Parts(
                store=store,
                clock=clock,
                providers=providers,
                platforms=platforms,
                accounts=dict.fromkeys(platforms, "bot"),
                outbox=outbox,
                router=Router(providers, sleep=lambda _: asyncio.sleep(0)),
                catalogue=catalogue,
                accounting=accounting,
                defaults=self.defaults or Defaults(next(iter(self.providers))),
                access=self.access,
                parking_rule=self.parking_rule,
                file_limits=self.file_limits,
                merge_window=self.merge_window,
                long_answer_pages=self.long_answer_pages,
                reask=self.reask,
                commands=self.commands,
            )
        )
        inbox = wired.inbox
        drain = asyncio.create_task(store.run(wired.dispatcher.drain))
        self.core = Core(
            store, wired.preferences, catalogue, wired.dispatcher, inbox, outbox, drain, wired.housekeeper, accounting, wired.pasts
        )
        try:
            for name in platforms:
                await inbox.recover(name)
            yield self.core
        finally:
            core, self.core = self.now, None
            await core.drain_no_more()
            await inbox.aclose()
            await outbox.aclose()
            await catalogue.aclose()
            await store.aclose()

    def never_closes(self) -> asyncio.Event:
        """From now on this life closes no turn. The event is set when it would have closed one: only that says that it got so far."""
        reached = asyncio.Event()

        async def close(*_: object, **__: object) -> bool:
            reached.set()
            return await asyncio.Event().wait()

        self.now.store.close = close  # type: ignore[method-assign]
        return reached

    # what people do

    async def say(self, text: str, **more: Any) -> Incoming:
        """Write a message; `key`, `chat`, `sender`, `message_id`, `kind` and the like can be given."""
        return await self.come(EventKind.MESSAGE, text=text, **more)

    async def command(
        self, name: str, /, chat: str = "1", route: ReplyRoute | None = None, reply_to: str | None = None, **arguments: str
    ) -> Incoming:
        return await self.come(EventKind.COMMAND, chat=chat, route=route, reply_to=reply_to, command=CommandCall(name, arguments))

    async def press(self, data: str, *, under: str | None = None, **more: Any) -> Incoming:
        return await self.come(EventKind.BUTTON, button=ButtonPress(data, under), **more)

    def buttons(self, chat: str = "1") -> list[dict[str, str]]:
        """Label → data of the buttons under each message of the bot in a chat, in order."""
        shown = [page for message_id, page in self.chat.shown.items() if self.chat.targets[message_id].chat.chat == chat]
        return [{button.label: button.data for row in page.buttons for button in row} for page in shown]

    async def edit(self, said: Incoming, text: str) -> Incoming:
        return await self.come(EventKind.EDIT, text=text, message_id=said.message_id)

    async def come(self, kind: EventKind, **more: Any) -> Incoming:
        event = self.event(kind, **more)
        await self.now.inbox.accept(event)
        return event

    def event(self, kind: EventKind = EventKind.MESSAGE, *, chat: str = "1", **more: Any) -> Incoming:
        number = next(self._numbers)
        values: dict[str, Any] = {
            "key": f"memory:{number}",
            "kind": kind,
            "chat": ChatAddress("memory", "bot", chat),
            "chat_kind": ChatKind.PRIVATE,
            "sender": Sender("7", "Ada"),
            "message_id": f"m{number}" if kind is EventKind.MESSAGE else None,
        }
        return Incoming(**{**values, **more})

    # what they see

    def texts(self, chat: str = "1") -> list[str]:
        return self.chat.texts(chat)

    async def until_said(self, wanted: str, *, since: int = 0, chat: str = "1") -> str:
        """Return the bot's first message from `since` on that holds `wanted`."""
        try:
            return str(await eventually(lambda: next((text for text in self.texts(chat)[since:] if wanted in text), None)))
        except AssertionError:
            raise AssertionError(f"{wanted!r} was not said; what was: {self.texts(chat)[since:]}") from None

    async def idle(self) -> None:
        """Return once no turn is open and no command unfinished."""
        unfinished = (
            "SELECT (SELECT COUNT(*) FROM turn WHERE state IN ('accepted', 'generating', 'answered'))"
            " + (SELECT COUNT(*) FROM event WHERE finished_at IS NULL)"
        )
        await eventually(lambda: self.rows(unfinished) == [(0,)], "all is done")

    async def ask(self, text: str, **more: Any) -> str:
        """Write a message, wait for the end of its turn and return the newest message of the bot."""
        await self.say(text, **more)
        await self.idle()
        return self.texts(more.get("chat", "1"))[-1]

    async def order(self, name: str, /, **arguments: str) -> str:
        """Give a command, wait for its end and return the newest message of the bot."""
        await self.come(EventKind.COMMAND, command=CommandCall(name, arguments))
        await self.idle()
        return self.texts()[-1]

    # what is stored

    def rows(self, sql: str, *args: object) -> list[tuple[Any, ...]]:
        """Read the database beside the store: only what is committed is seen."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return connection.execute(sql, args).fetchall()

    def turns(self) -> list[tuple[str, int]]:
        """(state, attempt) of every turn, in order."""
        return self.rows("SELECT state, attempt FROM turn ORDER BY id")

    async def context(self, **arguments: str) -> Context:
        """What a command called in chat 1 gets."""
        core, chat = self.now, ChatAddress("memory", "bot", "1")
        conversation = await core.store.conversation_of(chat)
        return Context(core.store, core.preferences, core.catalogue, self.providers, chat, None, conversation, LATEST, arguments)

    async def run(self, name: str, /, **arguments: str) -> str:
        """Call a command's function; return the Markdown it answers."""
        run = command_named(name).run
        assert run is not None
        answer = await run(await self.context(**arguments))
        assert answer is not None
        return answer.text


def picture() -> Attachment:
    return Attachment("cat.png", "image/png", 3, "somewhere")
