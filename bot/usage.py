"""What each question uses: expected and reserved before a provider is asked, settled with what it reports, or estimated, afterwards."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from typing import Any

from adapters import told
from adapters.base import Billed, ChatRequest, ErrorKind, ProviderError, Scope, TextPart, Usage
from adapters.tokens import estimate
from bot import transcript
from bot.budgets import Budgets, day_of
from bot.calibration import Calibration
from bot.model import ChatAddress, Incoming, Sender
from bot.preferences import Choice
from bot.prices import Prices
from storage.base import Store, StoreError, Turn
from storage.usage import Amounts, Limit, Reservation, Standing, Tally, TurnUsage

log = logging.getLogger(__name__)

ANSWER_TOKENS = 1_000
"""An answer without a cap is expected to have so many."""
CREDITS = "credits"
"""Scope of the settings that hold what providers said last is left on their accounts."""


class RefusedError(Exception):
    """A question may not be asked: a budget is used up, or does not reach for it, or can't be kept because there is no price.

    Attributes:
        standing: What is used of the budget, without the question.
        expected: What the question is expected to use.
        model: The model whose price is not known; None if there is too little left.
    """

    def __init__(self, standing: Standing, expected: Amounts, *, model: str | None = None) -> None:
        super().__init__(f"budget {standing.limit.name}: {'no price' if model else 'used up'}")
        self.standing = standing
        self.expected = expected
        self.model = model

    def passing(self) -> ProviderError:
        """Return it as what lets the next one of a chain be asked; it tells nothing of the provider."""
        return ProviderError(ErrorKind.QUOTA, "a budget of the operator's does not allow it", billed=Billed.NO, scope=Scope.REQUEST)


@dataclass(frozen=True, slots=True)
class Expected:
    """What a question was expected to use when it was asked.

    Attributes:
        choice: Who was asked.
        prompt: Tokens of the prompt as estimated, without what was learned about the model.
        ratio: What the model counts for an estimated token.
        amounts: What was reserved.
        standings: How far the budgets were, with what was reserved.
        comparable: What the provider reports of the prompt is what was estimated: it holds the transcript, all of it, and only text.
    """

    choice: Choice
    prompt: int
    ratio: float
    amounts: Amounts
    standings: tuple[Standing, ...] = ()
    comparable: bool = False

    @property
    def asked(self) -> dict[str, str]:
        """Who was asked, by the names that the store has for it."""
        return {"provider": self.choice.provider, "model": self.choice.model}


@dataclass(frozen=True, slots=True)
class Credits:
    """What a provider said is left on its account, in its own units, and when, in epoch seconds."""

    left: Decimal
    at: float


class Accounting:
    """Reserves, settles, learns, and sums up.

    Args:
        store: Where it is kept.
        prices: The operator's table.
        budgets: The operator's budgets.
        epoch: Epoch seconds; days and months begin at midnight UTC.
    """

    def __init__(
        self, store: Store, prices: Prices | None = None, budgets: Budgets | None = None, epoch: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._prices = prices or Prices()
        self._budgets = budgets or Budgets()
        self._epoch = epoch
        self._calibration = Calibration(store)

    async def ratio(self, choice: Choice) -> float:
        """Return what the chosen model counts for an estimated token."""
        return await self._calibration.ratio(choice.provider, choice.model)

    async def reserve(
        self, turn: Turn, incoming: Incoming, choice: Choice, request: ChatRequest, *, most: int | None, possibly_double: bool
    ) -> Expected | None:
        """Reserve what a question is expected to use. None: the turn is another worker's.

        Args:
            turn: The question's.
            incoming: Who asks, and where.
            choice: Who is asked.
            request: What is asked.
            most: The most tokens that the model can answer with, if that is known.
            possibly_double: It may have been asked and billed before.

        Raises:
            RefusedError: A budget does not allow it. Nothing was reserved.
        """
        prompt, ratio = transcript.estimated(request.messages, request.system), await self.ratio(choice)
        tokens_in = _counted(prompt, ratio)
        tokens_out = (chosen_cap(choice) or min(most or ANSWER_TOKENS, ANSWER_TOKENS)) * int(choice.parameters.get("n") or 1)
        tokens_out = min(tokens_out, told.MOST_TOKENS)  # not every provider's parameter has a bound, and the store's numbers have one
        cost = self._prices.cost(choice.provider, choice.model, tokens_in, tokens_out)
        amounts = Amounts(tokens_in, tokens_out, cost, estimated=True, possibly_double=possibly_double)
        today = day_of(self._epoch())
        limits = self._budgets.limits(incoming.chat, incoming.sender, today)
        bought = request.resume is not None  # a job that is collected: no budget refuses it, but how far they are is told
        for limit in limits:
            if not bought and not limit.covers(cost):
                raise RefusedError(Standing(limit, 0), amounts, model=choice.model)
        subjects = self._budgets.subjects(turn.conversation, incoming)
        held = () if bought else tuple(limits)
        spending = await self._store.spend(turn, Reservation(choice.provider, choice.model, today, subjects, amounts, held))
        if spending is None:
            return None
        if spending.over is not None:
            raise RefusedError(spending.over, amounts)
        text_only = {type(part) for message in request.messages for part in message.parts} <= {TextPart}
        comparable = text_only and request.state is None and request.resume is None and not possibly_double
        standings = spending.standings if not bought else await self._standings(limit for limit in limits if limit.covers(cost))
        return Expected(choice, prompt, ratio, amounts, tuple(standings), comparable)

    async def near(self, expected: Expected, used: Amounts) -> list[Mapping[str, Any]]:
        """Return what is to be told of budgets that were nearly used up when the question was checked, or are now; JSON.

        The figures are those that /usage gives once `used` has taken the place of what was reserved.
        """
        found: list[Mapping[str, Any]] = []
        for checked in expected.standings:
            limit, asked, took = checked.limit, checked.limit.measure(expected.amounts), checked.limit.measure(used)
            edge = limit.most * self._budgets.named(limit.name).near
            if not limit.most or max(checked.used, checked.used - asked + took) < edge:  # one of 0 lets only through what is free
                continue
            now = limit.standing(await self.tallies(limit.subject, limit.first_day, limit.end_day), expected.amounts, used)
            if max(checked.used, now.used) < edge:
                continue  # others were given back meanwhile
            figures = {"used": now.used, "about": now.estimated, "most": limit.most, "until": limit.end_day}
            if now.used < edge:  # it is near its end by what was reserved alone
                figures["reached"] = checked.used
            question = {"asked": asked, "took": took, "took_about": used.estimated}
            found.append({"name": limit.name, "currency": None if limit.cost is None else limit.cost.currency, **figures, **question})
        return found

    def shortened(self, expected: Expected, request: ChatRequest) -> Expected:
        """Return what is expected of a request from which messages were left out."""
        return replace(expected, prompt=transcript.estimated(request.messages, request.system))

    def used(self, expected: Expected, usage: Usage | None, said: str, *, possibly_double: bool) -> Amounts:
        """Return what a question used: what the provider reported, and an estimate of what it did not. `said`: all that the model said."""
        choice = expected.choice
        # Some report zeros instead of nothing: no prompt and no answer has none.
        tokens_in = (told.tokens(usage.input_tokens) or None) if usage is not None else None
        tokens_out = (told.tokens(usage.output_tokens) or None) if usage is not None else None
        estimated = tokens_in is None or tokens_out is None
        if tokens_in is None:
            tokens_in = _counted(expected.prompt, expected.ratio)
        if tokens_out is None:
            tokens_out = _counted(estimate(said), expected.ratio)
        reported = told.cost(usage.cost) if usage is not None else None
        cost = self._prices.cost(choice.provider, choice.model, tokens_in, tokens_out, reported=reported)
        return Amounts(tokens_in, tokens_out, cost, estimated, possibly_double)

    async def learn(self, expected: Expected, usage: Usage | None) -> None:
        """Learn from what a provider reported of an answer. A store that fails costs nothing but that."""
        if usage is None:
            return
        choice = expected.choice
        try:
            if expected.comparable and (counted := told.tokens(usage.input_tokens)):
                await self._calibration.learn(choice.provider, choice.model, expected.prompt, counted)
            if usage.remaining_credits is not None:
                left = json.dumps([str(usage.remaining_credits), self._epoch()])
                await self._store.put_setting(CREDITS, choice.provider, left)
        except StoreError as error:
            log.warning("usage.not_learned: %s", error)

    # what people ask about

    def today(self) -> int:
        """Return the number of the day, UTC."""
        return day_of(self._epoch())

    async def newest(self, conversation: int) -> TurnUsage | None:
        """Return what the newest question of a conversation used."""
        return await self._store.newest_usage(conversation)

    async def tallies(self, subject: str, first_day: int, end_day: int) -> Sequence[Tally]:
        """Return a subject's sums by provider and currency."""
        return await self._store.tallies(subject, first_day, end_day)

    async def standings(self, chat: ChatAddress, sender: Sender) -> list[Standing]:
        """Return how much is used of the budgets that hold for somebody in a chat."""
        return await self._standings(self._budgets.limits(chat, sender, self.today()))

    async def _standings(self, limits: Iterable[Limit]) -> list[Standing]:
        return [one.standing(await self.tallies(one.subject, one.first_day, one.end_day)) for one in limits]

    async def credits(self) -> dict[str, Credits]:
        """Return what providers said last is left on their accounts: by provider."""
        stored = (await self._store.settings([CREDITS])).get(CREDITS, {})
        read = {provider: json.loads(value) for provider, value in stored.items()}
        return {provider: Credits(Decimal(left), at) for provider, (left, at) in read.items()}


def chosen_cap(choice: Choice) -> int | None:
    """Return the most tokens that an answer may have by the conversation's own choice."""
    cap = choice.parameters.get("max_tokens") or choice.parameters.get("max_new_tokens")
    return int(cap) if cap else None


def reported(usage: Usage | None, *, possibly_double: bool) -> str | None:
    """Return the provider's own word on what a question used, as JSON; None if it said nothing."""
    if usage is None:
        return None
    return json.dumps(asdict(usage) | ({"possibly_double": True} if possibly_double else {}))


def _counted(tokens: int, ratio: float) -> int:
    return round(tokens * ratio)
