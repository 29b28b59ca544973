"""Who may speak, command or turn, one turn at a time per conversation.

Turns come from the store's drain, in order. Commands and buttons never wait behind a running answer: they have a lane of their own per
conversation.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from adapters.base import Provider, ProviderError
from bot import controls, texts
from bot.access import Access
from bot.calls import Call, Calls
from bot.catalogue import CLOSE, Catalogue, nearest
from bot.choices import Choices
from bot.clock import Clock
from bot.commands.base import Answer, Command, Context, Cooling
from bot.insist import insist
from bot.lanes import Lanes
from bot.model import ChatAddress, EventKind, Incoming, Page, ReplyRoute, Target
from bot.outbox import DeliveryError, Outbox
from bot.parking import Parking
from bot.past import Pasts
from bot.payload import load
from bot.platforms.base import Platform, PlatformError, Refusal, SupportsAdministrators, SupportsAttachments, SupportsPresses
from bot.preferences import Preferences
from bot.presses import Presses
from bot.reply import Buttons, Reply
from bot.rereading import read_again
from bot.turn import HopelessError, TokenRefusedError, Turns, UnshownError
from bot.usage import Accounting
from bot.waiting import Waiting
from storage.base import Accepted, Owner, OwnerKind, Store, StoredEvent, StoreError, Turn, TurnState

log = logging.getLogger(__name__)

HOLD_STEP_SECONDS = 0.1
"""A question of which more is expected is looked at again after so long: its last piece lets it go at once."""
ENDING_SECONDS = 5.0
"""So long a press under an answer waits for the end of its turn to be stored."""


class Dispatcher:
    """Decides what an accepted event is, and carries it out."""

    def __init__(
        self,
        *,
        store: Store,
        turns: Turns,
        outbox: Outbox,
        platforms: Mapping[str, Platform],
        accounts: Mapping[str, str],
        providers: Mapping[str, Provider],
        preferences: Preferences,
        catalogue: Catalogue,
        access: Access,
        commands: Sequence[Command],
        cooling: Cooling,
        clock: Clock,
        parking: Parking,
        accounting: Accounting,
        waiting: Waiting,
        pasts: Pasts,
    ) -> None:
        self.commands = commands
        self._accounting = accounting
        self._calls = Calls(commands)
        self._choices = Choices(store, self._calls, access)
        self._store = store
        self._turns = turns
        self._outbox = outbox
        self._platforms = platforms
        # Told once, as in bot/outbox.py: it is asked for every question.
        self._taking_files = {name for name, platform in platforms.items() if isinstance(platform, SupportsAttachments)}
        self._providers = providers
        self._preferences = preferences
        self._catalogue = catalogue
        self._access = access
        self._accounts = accounts
        self._cooling = cooling
        self._clock = clock
        self._parking = parking
        self._waiting = waiting
        self._pasts = pasts
        self._presses = Presses(clock)
        self._lanes: Lanes[int] = Lanes()
        self._showing: Lanes[int] = Lanes()
        self._answering: dict[int, asyncio.Event] = {}
        self._changing: dict[int, dict[int, asyncio.Event]] = {}
        self._unserved: set[ChatAddress] = set()
        self._closing = False
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    # turns

    async def drain(self, conversation: int) -> None:
        """Run the oldest open turn of a conversation, if there is one. The store calls again while there are more.

        Raises:
            StoreError: The store failed; what is open stays open.
            UnshownError: A stored answer could not be shown yet.
        """
        self._enter()
        try:
            await self._drain(conversation)
        finally:
            self._leave()

    @property
    def closing(self) -> bool:
        """No further turn and no further attempt is begun."""
        return self._closing

    @property
    def idle(self) -> bool:
        """No turn and no command runs."""
        return self._idle.is_set()

    def _enter(self) -> None:
        self._running += 1
        self._idle.clear()

    def _leave(self) -> None:
        self._running -= 1
        if not self._running:
            self._idle.set()

    def serves(self, chat: ChatAddress) -> bool:
        """Tell whether this process is logged in as the account that has the chat. What it does not serve stays as it is."""
        served = self._accounts.get(chat.platform) == chat.account
        if not served and chat not in self._unserved:
            self._unserved.add(chat)
            log.warning("what is open on %s (account %s) waits until the bot is logged in there", chat.platform, chat.account)
        return served

    def takes_files(self, chat: ChatAddress) -> bool:
        """Tell whether files that people send there can be fetched."""
        return chat.platform in self._taking_files

    async def settle(self, seconds: float) -> bool:
        """Begin no further turn; return True once turns and commands have ended, False if some still run after `seconds`."""
        self._closing = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), seconds)
        return self._idle.is_set()

    async def _drain(self, conversation: int) -> None:
        turn, missed = None, False
        while turn is None:
            if self._closing:
                return
            turn = await self._store.claim(conversation, accounts=dict(self._accounts))
            if turn is None:
                held = await self._store.held(conversation)
                if held <= 0:
                    chat = await self._store.next_chat(conversation)
                    if chat is None or not self.serves(chat) or missed:  # which says so if that is why
                        return
                    missed = True  # it came, or was held no more, just after the claim: to take nothing would be a failure, with a pause
                await self._clock.sleep(min(held, HOLD_STEP_SECONDS))
        self._waiting.began(conversation, turn.id)
        try:
            await self._take(turn)
        except Exception as error:
            await self._parking.note(turn, error)
            raise  # the turn is open: it is claimed again after a pause
        finally:
            self._waiting.ended(conversation)

    async def _take(self, turn: Turn) -> None:
        """Bring a claimed turn to its end, or park it if it has failed too often."""
        try:
            incoming = load((turn.asked or await self._store.event(turn.event)).payload)
        except ValueError:  # written by another version, or by hand: it must not hold up the next ones of the conversation
            log.error("turn.unreadable turn=%d event=%d", turn.id, turn.event)  # noqa: TRY400 - the error quotes what people wrote
            await self._store.close(turn, TurnState.FAILED, error="its event can't be read back")
            return
        if turn.stop_requested and turn.state is not TurnState.ANSWERED and await self._taken_back(turn):
            await self._take_away(turn, incoming)
            await self._store.close(turn, TurnState.STOPPED)
            return
        if self._parking.due(turn):
            await self._parking.park(turn, incoming)
            return
        if not self._access.admits(incoming):
            await self._turns.refuse(turn, incoming, texts.refusal(incoming))
            return
        await self._settled_before(turn)
        ended = self._answering[turn.id] = asyncio.Event()
        try:
            await self._turns.run(turn, incoming)
        except HopelessError as error:
            await self._parking.note(turn, error)
            await self._parking.park(turn, incoming)
        except (StoreError, UnshownError):
            raise
        except Exception:  # a fault of ours in one turn must not hold up the next ones of the conversation
            log.exception("turn.crashed turn=%d", turn.id)
            await self._crashed(turn, incoming)
        finally:
            ended.set()
            del self._answering[turn.id]
            self._presses.ended(turn.id)

    async def _taken_back(self, turn: Turn) -> bool:
        """Tell whether nothing is left of a question: all its messages were taken back while it waited."""
        newest = await self._store.transcript(turn, 1)
        return not newest or newest[-1].turn != turn.id

    async def _take_away(self, turn: Turn, incoming: Incoming) -> None:
        """Put words in the place of what an attempt before the parking left in the chat, with its Stop button.

        Nothing is said where nothing was shown: who took it back knows.

        Raises:
            TokenRefusedError: The platform refuses the bot's token: the turn stays open.
        """
        owner = Owner(OwnerKind.TURN, turn.id)
        if not await self._store.deliveries(owner):
            return
        try:
            words = pages(self._platforms[turn.chat.platform], texts.WITHDRAWN)
            await self._outbox.post(owner, Target.answering(incoming, turn.route), words)
        except DeliveryError as error:
            log.warning("turn.undeliverable turn=%d: %s", turn.id, error)
            if error.refusal is Refusal.TOKEN:
                raise TokenRefusedError from error

    async def _crashed(self, turn: Turn, incoming: Incoming) -> None:
        try:
            await self._turns.fail(turn, incoming, texts.INTERNAL, "internal error")
        except UnshownError:
            raise  # it is told when the platform takes the bot's token again
        except Exception as error:  # nothing can be said; it gets out of the way of the next ones, for the operator to see
            log.exception("turn.crash_not_told turn=%d", turn.id)
            await self._parking.note(turn, error)
            await self._parking.park(turn, None)

    async def _settled_before(self, turn: Turn) -> None:
        """Wait for commands that came before the question and set what it is asked with."""
        for event, done in list(self._changing.get(turn.conversation, {}).items()):
            if event < turn.event:
                await done.wait()

    async def _ended(self, turn: int) -> None:
        """Wait for a turn that is about to end: its controls are seen a moment before its end is stored."""
        ended = self._answering.get(turn)
        if ended is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), ENDING_SECONDS)

    # commands and buttons

    def carry_out(self, accepted: Accepted, incoming: Incoming, *, late: bool = False) -> Coroutine[Any, Any, None]:
        """Return the work of an event that asks no model anything: a command, a button, a message without text.

        What it raises keeps the event open: it is to be carried out again. `late`: it came a while ago, and undoes nothing chosen since.

        Those of a conversation are carried out in order, urgent ones at once. A question that comes after this call waits for a change that
        came before it.
        """
        call, command = self._calls.of(incoming), self._calls.command_of(incoming)
        done = asyncio.Event()
        slipped = call is not None and self._slipped(call, incoming)
        if command is not None and command.changes:
            self._changing.setdefault(accepted.conversation, {})[accepted.event] = done
        self._enter()  # from now on: an orderly end that begins before the work's first step must wait for it, too
        ready = Answer(texts.SLIPPED, note=True) if slipped else None
        return self._carry_out(accepted, incoming, done, urgent=command is not None and command.urgent, ready=ready, late=late)

    def _slipped(self, call: Call, incoming: Incoming) -> bool:
        """Tell whether a press was meant for Stop, in whose place another button stands by now."""
        if call.name != controls.STOP:
            return self._presses.slipped(call.turn, incoming)
        if call.turn is not None and call.turn in self._answering and self._access.admits(incoming):
            self._presses.stopping(call.turn, incoming)
        return False

    async def _carry_out(
        self, accepted: Accepted, incoming: Incoming, done: asyncio.Event, *, urgent: bool, ready: Answer | None, late: bool
    ) -> None:
        try:
            try:
                async with nullcontext() if urgent else self._lanes.of(accepted.conversation):
                    # In the lane: what was chosen before this one's turn came is known only now.
                    if late and await insist(self._clock, lambda: self._choices.overtaken(accepted, incoming)):
                        ready = Answer(texts.OVERTAKEN)
                    answer = ready or await self._answer(accepted, incoming)
                    note = self._choices.made(accepted, incoming, answer)
            finally:
                done.set()
                self._changing.get(accepted.conversation, {}).pop(accepted.event, None)
                if not self._changing.get(accepted.conversation):
                    self._changing.pop(accepted.conversation, None)
            shows = answer.shows if answer is not None else None
            if incoming.kind is EventKind.BUTTON:
                answer = await self._pressed(accepted, incoming, answer)
            if answer is not None or shows is not None:
                try:
                    if shows is not None:
                        await self._show_again(shows)
                    if answer is not None and answer.text:
                        await self._say(accepted, incoming, answer)
                except DeliveryError as error:
                    log.warning("command.undeliverable event=%d: %s", accepted.event, error)
                    if error.refusal is Refusal.TOKEN:
                        return  # it stays open, and is carried out when the token is good
            noted = () if note is None else (note,)
            await insist(self._clock, lambda: self._store.finish_event(accepted.event, *noted))
            self._choices.finished(accepted)
        finally:
            self._leave()

    async def _answer(self, accepted: Accepted, incoming: Incoming) -> Answer | None:
        if not self._access.admits(incoming):
            return Answer(texts.refusal(incoming), note=True)
        call = self._calls.of(incoming)
        if call is None:
            nothing = texts.NOTHING_SAID if self.takes_files(incoming.chat) else texts.NO_TEXT
            return Answer(texts.DEAD_BUTTON if incoming.kind is EventKind.BUTTON else nothing, note=True)
        command = self._calls.by_name.get(call.name)
        if command is None:
            near = [f"/{name}" for name in nearest(call.name, self._calls.by_name, CLOSE)]
            return Answer(texts.unknown("command", f"/{call.name}", near, more=" /help lists all."))
        if command.run is None:
            return Answer(f"Write what you want to know after the command: `/{command.name} {command.options[0].name.upper()}`.")
        arguments = {name: text.strip() for name, text in call.arguments.items() if text.strip()}
        context = self._context(accepted.conversation, incoming.chat, incoming.server, accepted.event, arguments)
        if call.turn is not None and not command.urgent:
            await self._ended(call.turn)
        try:
            context = replace(
                context,
                sender=incoming.sender,
                turn=call.turn,
                reply_to=incoming.reply_to,
                cooling=self._cooling,
                accounting=self._accounting,
                administers=partial(self._administers, incoming),
                let_go=self._pasts.forget,
            )
            return await command.run(context)
        except Exception:  # a fault in one command is told and must not end the lane
            log.exception("command.crashed name=%s event=%d", call.name, accepted.event)
            return Answer(texts.INTERNAL, note=True, chose=True)  # it may have been, before the fault

    async def _administers(self, incoming: Incoming) -> bool | None:
        """Tell whether the sender administers the place; everybody does where the platform can't tell, None if it can't just now."""
        known = self._access.administers(incoming)
        platform = self._platforms[incoming.chat.platform]
        if known is not None or not isinstance(platform, SupportsAdministrators):
            return known is not False
        try:
            return await platform.administers(incoming.chat, incoming.sender.id)
        except PlatformError as error:
            log.warning("who administers a group could not be found out: %s", error)
            return None

    def _context(self, conversation: int, chat: ChatAddress, server: str | None, event: int, arguments: Mapping[str, str]) -> Context:
        return Context(self._store, self._preferences, self._catalogue, self._providers, chat, server, conversation, event, arguments)

    async def _pressed(self, accepted: Accepted, incoming: Incoming, answer: Answer | None) -> Answer | None:
        """Tell who pressed a button that it was carried out; return what is still to be said as a message."""
        platform = self._platforms[incoming.chat.platform]
        if not isinstance(platform, SupportsPresses):
            return answer
        note = pages(platform, answer.text)[0] if answer is not None and answer.note else None
        await platform.pressed(await self._route(accepted), note)
        return answer if note is None else None

    async def _route(self, accepted: Accepted) -> ReplyRoute | None:
        return await insist(self._clock, lambda: self._store.reply_route(accepted.event))

    async def _show_again(self, turn_id: int) -> None:
        """Show an answer as it is stored by now; one after the other, so that what is seen last is what is stored."""
        async with self._showing.of(turn_id):
            turn = await self._store.turn(turn_id)
            await self._turns.show_again(turn, load((await self._store.event(turn.event)).payload))

    async def _say(self, accepted: Accepted, incoming: Incoming, answer: Answer) -> None:
        platform = self._platforms[incoming.chat.platform]
        command = self._calls.command_of(incoming)
        private = command is not None and command.private and incoming.button is None
        target = Target.answering(incoming, await self._route(accepted), private=private)
        await self._outbox.post(Owner(OwnerKind.EVENT, accepted.event), target, pages(platform, answer.text, answer.buttons))

    # what is tried again

    async def read_again(self, kept: Incoming) -> Incoming | None:
        """Return the event that could not be read when it came; see `bot.rereading.read_again`."""
        return await read_again(kept, self._platforms)

    async def too_late(self, event: StoredEvent, incoming: Incoming) -> bool:
        """Tell whether what an event turned out to be, long after it came, must not be carried out as if it came now.

        A stop or /reset would concern what was asked and said since.
        """
        command = self._calls.command_of(incoming)
        concerns_what_is_there = command is not None and (command.changes or command.urgent or command.turn) and command.choice is None
        return concerns_what_is_there or await self._choices.overtaken(Accepted(event.id, event.conversation, None), incoming)

    # completions

    async def complete(self, chat: ChatAddress, server: str | None, command: str, option: str, text: str) -> Sequence[str]:
        """Suggest values for an option, best first; what can't be had suggests nothing."""
        declared = self._calls.by_name.get(command)
        known = {item.name: item for item in declared.options} if declared else {}
        if option not in known or (completer := known[option].complete) is None:
            return []
        try:
            context = self._context(await self._store.conversation_of(chat), chat, server, 0, {})
            return await completer(context, text)
        except (ProviderError, StoreError) as error:
            log.info("completion.unavailable command=%s: %s", command, error)
            return []


def pages(platform: Platform, markdown: str, buttons: Buttons = ()) -> tuple[Page, ...]:
    """Render the bot's own words for a platform, its buttons laid out in the rows that the platform has room for."""
    limits = platform.limits
    flat = [button for row in buttons for button in row]
    if len(buttons) > limits.max_button_rows:
        width = limits.max_buttons_per_row
        buttons = tuple(tuple(flat[place : place + width]) for place in range(0, len(flat), width))[: limits.max_button_rows]
    reply = Reply(platform.style)
    reply.append(markdown)
    reply.end(buttons=buttons)
    return reply.pages()
