"""What a turn asks of a provider: its requests, what is reserved for them, and what they used in the end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from adapters.base import ChatRequest, Pace, Provider
from adapters.router import Candidate
from bot import memory, transcript
from bot.clock import Clock
from bot.course import Course
from bot.history import History
from bot.insist import insist
from bot.preferences import Choice
from bot.usage import Accounting, RefusedError
from storage.base import Store, Turn
from storage.usage import Amounts


class Fenced(Exception):  # noqa: N818 - it is a signal to whoever runs the turn, not a failure
    """Another worker has taken the turn: say and write nothing more."""


class Asking:
    """Makes the requests of turns, and accounts for what they use."""

    def __init__(
        self, *, store: Store, providers: Mapping[str, Provider], history: History, accounting: Accounting, clock: Clock, reask: bool
    ) -> None:
        """Take what is needed.

        Args:
            store: Where turns are.
            providers: By name.
            history: Reads what a question is sent with.
            accounting: Counts what questions use, and keeps the budgets.
            clock: For waits.
            reask: A question that a crash interrupted is asked again.
        """
        self._store = store
        self._providers = providers
        self._history = history
        self._accounting = accounting
        self._clock = clock
        self._reask = reask
        self._unasked: set[int] = set()

    def begin(self, turn: Turn) -> None:
        """Note that no provider was asked for a turn that is claimed for the first time."""
        if turn.attempt == 1:
            self._unasked.add(turn.id)

    def over(self, turn: Turn) -> None:
        """Forget a turn that is over."""
        self._unasked.discard(turn.id)

    def candidate(self, course: Course, place: int) -> Candidate:
        """Return one of those who are asked, as the router takes it: its request is made when its turn has come."""
        choice = course.choices[place]
        afresh = self._reask or course.turn.handle is None
        request, shorter = partial(self._request_at, course, place), partial(self._shorter, course)
        return Candidate(choice.provider, choice.model, request, afresh, shorter, partial(request, lost=True))

    async def _request_at(self, course: Course, place: int, *, lost: bool = False) -> ChatRequest:
        """Make the request. A budget that does not reach for one of the fallbacks leaves the others, and who was chosen, to be asked.

        `lost`: The job that it was to collect is gone.
        """
        turn, choice = course.turn, course.choices[place]
        try:
            if turn.handle is not None and (lost or choice.provider != turn.provider):
                await self._take_edits(course)
            if lost:
                course.turn = replace(course.turn, handle=None)
            return await self._request(course, choice)
        except RefusedError as refused:
            if place == 0:
                raise
            course.refused = refused
            raise refused.passing() from refused

    async def _take_edits(self, course: Course) -> None:
        """Ask with the newest words where a job that was given older ones is not collected."""
        edited = await insist(self._clock, lambda: self._store.take_edits(course.turn))
        if edited is None:
            raise Fenced
        if edited:
            course.reword()

    async def _request(self, course: Course, choice: Choice) -> ChatRequest:
        """Make the request and reserve what it is expected to use.

        A job is collected by whoever has it; what is asked in its place is bought anew.

        Raises:
            RefusedError: A budget does not allow it.
        """
        turn, provider = course.turn, self._providers[choice.provider]
        capabilities = provider.capabilities(choice.model)
        ratio = await self._accounting.ratio(choice)
        messages = await self._history.messages(course, choice, capabilities, ratio=ratio)
        if messages is None:
            raise Fenced
        state = await memory.recall(self._store, turn, choice, provider) if capabilities.server_memory else None
        pace = Pace(course.delivery.lull)
        course.delivery.near = pace.hurry
        request = ChatRequest(
            model=choice.model,
            messages=messages,
            system=choice.persona,
            parameters=choice.parameters,
            turn=str(turn.id),
            state=state,
            resume=turn.handle if choice.provider == turn.provider else None,
            pace=pace,
        )
        most, double = capabilities.max_output_tokens, course.asked_before
        course.expected = await self._accounting.reserve(turn, course.incoming, choice, request, most=most, possibly_double=double)
        if course.expected is None:
            raise Fenced
        self._unasked.discard(turn.id)
        return request

    def _shorter(self, course: Course, request: ChatRequest) -> ChatRequest | None:
        """Leave out older messages of a request that the model refused for its length."""
        messages = transcript.shorter(request.messages)
        if messages is None:
            return None
        request = replace(request, messages=messages, state=None)
        if course.expected is not None:
            course.expected = self._accounting.shortened(course.expected, request)
        course.trimmed = True
        return request

    def used(self, course: Course) -> Amounts | None:
        """Return what the question used, as far as is known; None if nothing was reserved for it."""
        if course.expected is None:
            return None
        said, double = "".join((course.reply.text, *course.others.texts, *course.thoughts)), course.asked_before
        return self._accounting.used(course.expected, course.usage, said, possibly_double=double)

    async def near(self, course: Course, used: Amounts | None) -> list[Mapping[str, Any]]:
        """Return what is to be told of budgets that are nearly used up; JSON."""
        expected = course.expected
        if expected is None or used is None:
            return []
        return await insist(self._clock, lambda: self._accounting.near(expected, used))

    async def settle(self, course: Course, *, billed: bool = True) -> None:
        """Put what a question without a whole answer used in the place of what was reserved, or give it back."""
        never_asked = course.expected is None and course.turn.id in self._unasked
        if course.expected is None and not never_asked:
            return  # what a worker before reserved stays
        billed = not never_asked and (billed or course.asked_before or course.usage is not None or course.said is not None)
        asked = {"provider": "", "model": ""} if course.expected is None else course.expected.asked
        await insist(self._clock, lambda: self._store.settle(course.turn, self.used(course) if billed else None, **asked))

    def asked_before(self, turn: Turn) -> bool:
        """Tell whether a provider may have been asked already, and billed it. A job that is collected is not asked again."""
        return turn.attempt > 1 and turn.id not in self._unasked and turn.handle is None
