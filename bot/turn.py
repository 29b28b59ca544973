"""One turn: transcript → request → stream → reply.

Reading the model and writing to the chat are decoupled: the stream only appends to the reply, the outbox takes what is newest when a
call may go out. The full text is stored before the final edit, so that a crash after it delivers again without asking again.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, nullcontext
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from adapters.base import (
    Alternatives,
    Billed,
    Finished,
    FinishReason,
    Provider,
    ProviderError,
    ReasoningDelta,
    Submitted,
    TextDelta,
    Usage,
)
from adapters.router import Asked, ChainEvent, Router
from bot import controls, endings, memory, texts, texts_usage, transcript
from bot.asking import Asking, Fenced
from bot.attachments import Attachments, NothingToAskError
from bot.clock import Clock
from bot.course import Course
from bot.history import History
from bot.insist import insist
from bot.leftovers import INTERRUPTED, Leftovers
from bot.model import Incoming, Target
from bot.outbox import DeliveryError, Outbox
from bot.past import Pasts
from bot.platforms.base import Platform, Refusal, SupportsAttachments, SupportsTyping
from bot.preferences import Choice, Preferences
from bot.racing import background, unless
from bot.reply import Buttons, Filing, Reply
from bot.spending import spending
from bot.usage import Accounting, RefusedError, reported
from storage.alternatives import Alternative
from storage.base import Owner, OwnerKind, StopSignal, Store, StoreError, Turn, TurnAnswer, TurnState

log = logging.getLogger(__name__)

MOST_ATTEMPTS = 3
"""A question is asked once and, after crashes, at most twice again."""
TYPING_AFTER_SECONDS = 0.3
"""A model that answers sooner needs no typing indicator."""
TYPING_SHARE = 0.8
"""The indicator is renewed after this share of the time it shows."""

T = TypeVar("T")


class UnshownError(Exception):
    """A fault of ours, or a refused token, kept an answer from being shown: the turn stays open and is taken up again."""


class TokenRefusedError(UnshownError):
    """The platform refuses the bot's token: the turn waits for a good one."""


class HopelessError(UnshownError):
    """The answer was tried to be shown for hours, while others were."""


class _Stopped(Exception):  # noqa: N818 - it is a signal between two functions of this module, not a failure
    """Somebody asked the turn to stop."""


class Turns:
    """Runs claimed turns to their end."""

    def __init__(
        self,
        *,
        store: Store,
        router: Router,
        providers: Mapping[str, Provider],
        platforms: Mapping[str, Platform],
        preferences: Preferences,
        outbox: Outbox,
        attachments: Attachments,
        clock: Clock,
        accounting: Accounting,
        pasts: Pasts,
        long_answer_pages: int = 0,
        reask: bool = True,
    ) -> None:
        """Take what is needed.

        Args:
            store: Where turns are.
            router: Asks.
            providers: By name.
            platforms: By name.
            preferences: What is chosen in a conversation.
            outbox: Shows the answers.
            attachments: Reads the files of questions.
            clock: For waits.
            accounting: Counts what questions use, and keeps the budgets.
            pasts: What is at hand of conversations.
            long_answer_pages: An answer of more messages becomes a file; 0: none does.
            reask: A question that a crash interrupted is asked again; otherwise its asker is told.
        """
        self._long_answer_pages = long_answer_pages
        self._reask = reask
        self._accounting = accounting
        self._store = store
        self._router = router
        self._providers = providers
        self._platforms = platforms
        self._typing_on = {name: platform for name, platform in platforms.items() if isinstance(platform, SupportsTyping)}
        self._preferences = preferences
        self._outbox = outbox
        history = History(store, attachments, pasts)
        self._asking = Asking(store=store, providers=providers, history=history, accounting=accounting, clock=clock, reask=reask)
        self._leftovers = Leftovers(store, platforms, spending(outbox.meters, clock), clock)
        self._clock = clock

    async def run(self, turn: Turn, incoming: Incoming) -> None:
        """Bring a claimed turn to its end: its answer whole in the chat, or a sentence that says why not.

        Raises:
            StoreError: The store failed: the turn is still open.
            UnshownError: It could not be shown: the turn is still open.
        """
        self._asking.begin(turn)
        course = await self._begin(turn, incoming, first=turn.attempt == 1)
        try:
            await self._run(course)
            self._asking.over(turn)
        except Fenced:
            log.warning("turn.fenced turn=%d attempt=%d", turn.id, turn.attempt)
            course.delivery.abandon()
        except DeliveryError as error:
            log.warning("turn.undeliverable turn=%d: %s", turn.id, error)
            if error.refusal is Refusal.TOKEN:
                raise TokenRefusedError from error  # nobody can be told anything
            if course.answered and error.refusal is None:
                raise (HopelessError if error.hopeless else UnshownError) from error
            partial = None if course.answered else course.said
            if not course.answered:
                await self._asking.settle(course)
            await self._store.close(turn, TurnState.FAILED, error=f"delivery: {error}", partial=partial, forget=course.forget)
        except asyncio.CancelledError:
            course.delivery.abandon()
            raise
        except Exception as error:  # what is still to be shown must not come after the sentence that tells of the fault
            await course.delivery.abandoned()
            if course.answered and not isinstance(error, StoreError):
                raise UnshownError from error
            raise

    async def refuse(self, turn: Turn, incoming: Incoming, text: str) -> None:
        """End a turn whose asker may not ask with a sentence in the chat."""
        await self._end(turn, incoming, text, "refused")

    async def fail(self, turn: Turn, incoming: Incoming, text: str, error: str) -> None:
        """End a turn that can't be brought to its end with a sentence in the chat. It can be asked again."""
        await self._end(turn, incoming, text, error, controls.ended(turn.id))

    async def _end(self, turn: Turn, incoming: Incoming, text: str, error: str, buttons: Buttons = ()) -> None:
        """End a turn with a sentence in the chat.

        Raises:
            TokenRefusedError: The platform refuses the bot's token: the turn is still open.
        """
        course = await self._begin(turn, incoming)
        course.reply.end(text, buttons)
        try:
            await course.delivery.finish()
        except DeliveryError as problem:
            log.warning("turn.undeliverable turn=%d: %s", turn.id, problem)
            if problem.refusal is Refusal.TOKEN:
                raise TokenRefusedError from problem
        await self._store.close(turn, TurnState.FAILED, error=error)

    async def _begin(self, turn: Turn, incoming: Incoming, *, first: bool = False) -> Course:
        platform = self._platforms[turn.chat.platform]
        reply = Reply(platform.style, controls.growing(turn.id), filing=Filing(self._pages(turn), platform.limits.file_bytes))
        # Below what was written since, or among answers to several questions, nothing else tells which question is meant.
        route = turn.route if turn.asked is not None else await self._store.reply_route(turn.event)
        target = Target.answering(incoming, route, refer=turn.stop_requested or turn.among_others)
        delivery = await self._outbox.open(Owner(OwnerKind.TURN, turn.id), target, reply.pages, again=turn.attempt > 1, fresh=first)
        delivery.without_file = reply.without_file
        # Asked before and interrupted: nobody knows any more which provider has heard what.
        return Course(turn, incoming, reply, delivery, forget=tuple(self._providers) if turn.attempt > 1 else ())

    def _pages(self, turn: Turn) -> int:
        """Return how many pages an answer shows before it becomes a file; a stored answer is shown as it was before the crash."""
        stored = json.loads(turn.finish).get("pages", 0) if turn.finish else self._long_answer_pages
        return int(stored)

    async def _run(self, course: Course) -> None:
        turn = course.turn
        if turn.state is TurnState.ANSWERED:
            course.answered = True
            course.reply.append(turn.answer or "")
            await self._show(course, turn.finish)
            return
        if turn.stop_requested:
            await self._stopped(course)
            return
        if self._asking.asked_before(turn) and not self._reask and turn.tries > 1:  # not where the operator wants it asked again
            log.warning("turn.not_asked_again turn=%d attempt=%d", turn.id, turn.attempt)
            await self._end_below(course, texts.INTERRUPTED, controls.ended(turn.id), TurnState.FAILED, INTERRUPTED)
            return
        if turn.tries > MOST_ATTEMPTS:
            await self._failed(course, texts.TOO_MANY_ATTEMPTS, "too many attempts")
            return
        course.choices = await self._preferences.chain(*course.where)
        chosen = course.choices[0].provider
        if chosen not in self._providers:
            await self._failed(course, texts.provider_off(chosen), f"provider {chosen} is off")
            return
        try:
            await self._answer(course)
        except ProviderError as error:
            log.warning("turn.provider_failed turn=%d provider=%s: %s", turn.id, error.provider, error)
            await self._asking.settle(course, billed=error.billed is not Billed.NO)
            words, more = endings.failure(course, error, self._title)
            await self._failed(course, words, str(error), more=more)
        except NothingToAskError as error:
            await self._asking.settle(course, billed=False)
            await self._failed(course, texts.nothing_to_ask(error.notes), str(error))
        except RefusedError as error:
            log.info("turn.refused turn=%d: %s", turn.id, error)
            await self._asking.settle(course, billed=False)
            await self._failed(course, texts_usage.over_budget(error.standing, error.expected, error.model), str(error))
        except _Stopped:
            await self._asking.settle(course)
            await self._stopped(course)

    async def _answer(self, course: Course) -> None:
        course.asked_before = self._asking.asked_before(course.turn)
        signal = self._store.stop_signal(course.turn.id)
        if signal.is_set():
            raise _Stopped
        draft, touch = course.delivery.draft, course.delivery.touch
        keeping = nullcontext() if draft is None else background(draft.keep(self._clock, touch))  # from fading while nothing is said
        async with background(self._typing(course)), keeping:
            # What nobody can be shown is not read on: it is billed.
            await unless(self._read(course), _stop(signal), course.delivery.hopeless())
        finished = course.finished or Finished(FinishReason.UNKNOWN, complete=False)
        # After a crash it is shown as it would have been.
        used = self._asking.used(course)
        near = await self._asking.near(course, used)
        more = {"pages": self._long_answer_pages, "files": course.notes, "trimmed": course.trimmed, "near": near}
        finish = endings.stored(finished, course.others, more | endings.instead(course, self._title))
        choice = course.choice
        answer = TurnAnswer(
            text=course.reply.text,
            content=transcript.content(course.reply.text),
            finish=finish,
            provider=choice.provider,
            model=choice.model,
            state=memory.kept(choice, self._providers[choice.provider], finished),
            usage=reported(course.usage, possibly_double=course.asked_before),
            spent=used,
            others=tuple(Alternative(other, transcript.content(other)) for other in course.others.texts),
        )
        if not await insist(self._clock, lambda: self._store.answered(course.turn, answer)):
            raise Fenced
        course.answered = True
        course.delivery.learn()
        await self._show(course, answer.finish)

    async def _read(self, course: Course) -> None:
        order = [*range(len(course.choices))]
        if course.turn.handle is not None:  # whoever has the job collects it
            order.sort(key=lambda place: course.choices[place].provider != course.turn.provider)
            order = order if self._reask else order[:1]
        stream: AsyncGenerator[ChainEvent, None] = self._router.chain([self._asking.candidate(course, place) for place in order])
        grows = False
        async with aclosing(stream) as events:
            async for event in events:
                match event:
                    case TextDelta() | ReasoningDelta():  # first: nearly every event
                        if course.hear(event) and grows:
                            course.delivery.touch(len(event.text))
                    case Asked(place, passed, billed):
                        course.ask(order[place], {order[other]: kind for other, kind in passed.items()})
                        course.asked_before = course.asked_before or billed
                        # What comes in one piece comes with its end: shown with it, it has its controls at once and costs one call.
                        grows = self._providers[course.choice.provider].capabilities(course.choice.model).streaming
                    case Finished() | Usage() | Alternatives():
                        course.keep(event)
                    case Submitted(handle):
                        choice = course.choice
                        noted = partial(self._store.submitted, course.turn, handle, provider=choice.provider, model=choice.model)
                        if not await insist(self._clock, noted):  # a job that nobody knows of would be asked, and paid for, again
                            raise Fenced
                    case _:
                        log.debug("turn.event turn=%d %s", course.turn.id, type(event).__name__)

    def _title(self, choice: Choice) -> str:
        return self._providers[choice.provider].title

    async def show_again(self, turn: Turn, incoming: Incoming) -> None:
        """Show the answer of a turn that is over as it is stored by now, in the messages that it has.

        Raises:
            DeliveryError: It can't be shown.
        """
        course = await self._begin(turn, incoming)
        course.reply.append(turn.answer or "")
        self._end_whole(course, turn.finish)
        await course.delivery.finish()

    async def _show(self, course: Course, finish: str | None) -> None:
        self._end_whole(course, finish)
        await course.delivery.finish()
        closing = insist(self._clock, lambda: self._store.close(course.turn, TurnState.DONE))
        if course.expected is None:
            await closing
        else:  # side by side: what is learned is committed with the end, or after it, and never holds it up
            await asyncio.gather(closing, self._accounting.learn(course.expected, course.usage))

    def _end_whole(self, course: Course, finish: str | None) -> None:
        """End a reply that says all of an answer with what is to be told of it, and its controls."""
        said: dict[str, Any] = json.loads(finish) if finish else {}
        shown, count = course.turn.shown, endings.answers(said)
        note, more = endings.ending(said, shown)
        notes = [note, endings.instead_note(said), endings.files_note(said), *endings.further_notes(said), self._ignored(course)]
        notes.append(texts.answer_note(shown, count))
        buttons = controls.ended(course.turn.id, more=more, shown=shown, answers=count)
        course.reply.end("\n\n".join(note for note in notes if note), buttons)

    def _ignored(self, course: Course) -> str:
        fetched = not course.incoming.attachments or isinstance(self._platforms[course.turn.chat.platform], SupportsAttachments)
        return "" if fetched else texts.FILES_IGNORED

    async def _stopped(self, course: Course) -> None:
        buttons = controls.ended(course.turn.id, more=course.said is not None)
        await self._end_below(course, texts.STOPPED, buttons, TurnState.STOPPED, None)

    async def _end_below(self, course: Course, text: str, buttons: Buttons, state: TurnState, error: str | None) -> None:
        """End a turn with a sentence below what was said."""
        if course.said or not course.delivery.shown or course.delivery.began:
            course.reply.end(text, buttons)
            await course.delivery.finish()
        else:  # after a crash the partial text is known to the chat alone: it stays as it is, and what marks it stands below
            course.delivery.abandon()
            # First: the words bring Retry, and a press waits some seconds only for the turn's end.
            await self._leftovers.unbutton(course.turn, course.delivery.target)
            note = Reply(self._platforms[course.turn.chat.platform].style)
            note.end(texts.INTERRUPTED_BELOW if error == INTERRUPTED else text, buttons)
            below = replace(course.delivery.target, below=True)
            await self._outbox.post(Owner(OwnerKind.EVENT, course.turn.event), below, note.pages())
        await insist(self._clock, lambda: self._store.close(course.turn, state, error=error, partial=course.said, forget=course.forget))

    async def _failed(self, course: Course, text: str, error: str, *, more: bool = True) -> None:
        course.reply.end(text, controls.ended(course.turn.id, more=more and course.said is not None))
        await course.delivery.finish()
        await insist(
            self._clock, lambda: self._store.close(course.turn, TurnState.FAILED, error=error, partial=course.said, forget=course.forget)
        )

    async def _typing(self, course: Course) -> None:
        """Show that the bot is writing until its first text is there, and while more of it comes than is shown.

        A slash command shows it by itself.
        """
        delivery = course.delivery
        platform = self._typing_on.get(delivery.target.chat.platform)
        by_itself = delivery.target.route is not None and course.incoming.button is None
        if platform is None or by_itself:
            return
        await self._clock.sleep(TYPING_AFTER_SECONDS)
        while not delivery.shown or course.reply.may_withhold:
            if not delivery.shown or course.reply.withholds:
                await self._outbox.typing(delivery.target)
            await self._clock.sleep(platform.typing_seconds * TYPING_SHARE)


async def _stop(signal: StopSignal) -> _Stopped:
    await signal.wait()
    return _Stopped()
