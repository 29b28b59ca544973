"""What the bot says of tokens, money, budgets and credits. All are Markdown, as in `bot.texts`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from adapters import told
from bot.render.text import escape
from bot.texts import code
from storage.usage import NANOS, Amounts, Standing, Tally, TurnUsage


def money(nanos: int, currency: str) -> str:
    """Say an amount of money: with cents from 1 on, below it with two digits that count."""
    amount = Decimal(nanos) / NANOS
    places = 2 if amount >= 1 else min(9, 1 - amount.adjusted()) if amount else 0
    return f"{amount:,.{places}f} {currency}"


def quantity(used: int, currency: str | None) -> str:
    """Say how much of a budget something is: money, or tokens."""
    return f"{used:,} {'token' if used == 1 else 'tokens'}" if currency is None else money(used, currency)


def instant(day: int) -> str:
    """Say when a day begins, which is numbered from 1970-01-01."""
    begins = date(1970, 1, 1) + timedelta(days=day)
    return f"{begins.day} {begins:%B} {begins.year}, 00:00 UTC"


def _of(used: int, most: int, currency: str | None, *, estimated: bool = False) -> str:
    """Say how much of a budget is used."""
    number, _, _ = quantity(used, currency).partition(" ")
    return f"{_about(estimated)}{number} of {quantity(most, currency)}"


def _about(estimated: bool) -> str:  # noqa: FBT001 - what is said
    return "≈" if estimated else ""


def over_budget(standing: Standing, expected: Amounts, model: str | None) -> str:
    """Say why a question is not asked: a budget is used up, or does not reach for it; or `model` has no price in its currency."""
    limit = standing.limit
    name, currency = f"“{escape(limit.name)}”", None if limit.cost is None else limit.cost.currency
    if model is not None:
        return (
            f"⚠️ The budget {name} is in {currency}, and there is no price of {code(model)} in that currency to keep it by. "
            "The operator has to add one; meanwhile choose another with /model or /provider."
        )
    renews = f"It renews on {instant(limit.end_day)}."
    if standing.used >= limit.most:
        return f"⚠️ The budget {name} is used up: {_of(standing.used, limit.most, currency, estimated=standing.estimated)}. {renews}"
    asked = quantity(limit.measure(expected), currency)
    left = _of(limit.most - standing.used, limit.most, currency, estimated=standing.estimated)
    return (
        f"⚠️ The budget {name} does not reach for this question: it is expected to take about {asked}, and {left} are left. {renews} "
        "A shorter conversation (/reset), a lower max_tokens (/settings) or another model (/model) may need less."
    )


def near_budget(
    *,
    name: str,
    used: int,
    about: bool,
    most: int,
    asked: int,
    took: int,
    took_about: bool,
    currency: str | None,
    until: int,
    reached: int | None = None,
) -> str:
    """Say below an answer how far a budget is that was nearly used up when the question was checked, or is now.

    Args:
        name: The budget's.
        used: So much of it is used, the question included, in tokens or billionths of the currency; the figures below are in the same.
        about: Some of that is estimated.
        most: The budget.
        asked: What the question was expected to use.
        took: What it used.
        took_about: That is estimated.
        currency: None: it is a budget of tokens.
        until: The day on which it renews.
        reached: So much was used and reserved when the question was checked, where that alone was near the end; None: it is near by use.
    """
    share = 100 * used // most if most else 100
    early = "" if reached is None else _early(100 * reached // most)
    return (
        f"*📊 Budget “{escape(name)}”: {_of(used, most, currency, estimated=about)} used ({share} %). This question took "
        f"{_about(took_about)}{quantity(took, currency)}; before it was asked, ≈{quantity(asked, currency)} were reserved for it{early}. "
        f"The budget renews on {instant(until)}.*"
    )


def _early(share: int) -> str:
    """Say why a budget is told of that is not near its end by what is used."""
    return f", as an answer of full length would have taken: with that it was {share} %, and a smaller `/settings max_tokens` reserves less"


def usage_line(tallies: Sequence[Tally]) -> str:
    """Say what some questions used: their number, tokens and cost, what of it is estimated and what unknown."""
    questions = sum(tally.questions for tally in tallies)
    if not questions:
        return "nothing"
    about = _about(any(tally.estimated for tally in tallies))
    tokens = sum(tally.input_tokens + tally.output_tokens for tally in tallies)
    costs: dict[str, int] = {}
    for tally in tallies:
        if tally.currency:
            costs[tally.currency] = costs.get(tally.currency, 0) + tally.cost
    parts = [f"{about}{quantity(tokens, None)} in {_questions(questions)}"]
    parts += [f"{about}{money(nanos, currency)}" for currency, nanos in sorted(costs.items())]
    if unpriced := sum(tally.unpriced for tally in tallies):
        parts.append("cost unknown" if unpriced == questions else f"cost of {_questions(unpriced)} unknown")
    if double := sum(tally.possibly_double for tally in tallies):
        parts.append(f"{_questions(double)} possibly billed twice")
    return ", ".join(parts)


def turn_usage(newest: TurnUsage, provider: str) -> str:
    """Say what one question used: prompt and answer, cost, and who was asked."""
    amounts = newest.amounts
    about = _about(amounts.estimated or newest.reserved)
    cost = "cost unknown" if amounts.cost is None else f"{about}{money(amounts.cost.nanos, amounts.cost.currency)}"
    tokens = f"{about}{quantity(amounts.tokens, None)} ({amounts.input_tokens:,} and {amounts.output_tokens:,})"
    double = ", possibly billed twice" if amounts.possibly_double else ""
    return f"Newest question: {tokens}, {cost}, {escape(provider)} with {escape(newest.model)}{double}"


def _questions(count: int) -> str:
    return f"{count:,} question{'' if count == 1 else 's'}"


def budget_line(standing: Standing) -> str:
    """Say how much of a budget is used."""
    limit = standing.limit
    currency = None if limit.cost is None else limit.cost.currency
    used = _of(standing.used, limit.most, currency, estimated=standing.estimated)
    return f"“{escape(limit.name)}”: {used} used, renews on {instant(limit.end_day)}"


def budget_row(standing: Standing, questions: int) -> str:
    """Say how much of a budget was used in its period, for the operator."""
    limit = standing.limit
    used = _of(standing.used, limit.most, None if limit.cost is None else limit.cost.currency, estimated=standing.estimated)
    return f"{used} used ({100 * standing.used // limit.most if limit.most else 100} %) in {_questions(questions)}"


def credits_left(amount: Decimal, at: float | None, unit: str = "credits") -> str:
    """Say what is left on a provider's account; `at`, in epoch seconds, is when the provider said so, None for just now."""
    when = "" if at is None else f" (on {datetime.fromtimestamp(at, UTC):%Y-%m-%d, %H:%M} UTC)"
    return f"{left(amount, unit)}{when}"


def left(amount: float | Decimal, unit: str = "credits") -> str:
    """Say what is left on an account, and never more than that."""
    return " ".join([told.rounded_down(amount), *([escape(unit)] if unit else []), "left"])


def no_usage(year: int, month: int) -> str:
    """Say that nothing was used in a month."""
    return f"Nothing was used in {year}-{month:02}."


def no_role(year: int, month: int) -> str:
    """Say that something was used in a month, and that no role has sums."""
    return (
        f'No role was counted by itself in {year}-{month:02}: that begins when a budget in BUDGETS_FILE names it (per = "role"). '
        "`--by budget` shows the budgets, `--by user` everybody."
    )


def no_budget(year: int, month: int) -> str:
    """Say that something was used in a month, and that there is no budget."""
    return f"No budget was counted in {year}-{month:02}: BUDGETS_FILE names none. `--by user` shows everybody, `--by all` the sum."


def by_roles(budget: str) -> str:
    """Say that a budget may concern fewer than those that are listed."""
    return f"Whom “{budget}” concerns depends on roles, which are not kept: everybody it may concern is listed."


NOBODY = "nobody"
"""In the place of a subject, where a budget has no sums."""
USAGE_HERE, USAGE_YOU, USAGE_PROVIDERS, USAGE_BUDGETS = "This conversation", "You, everywhere", "By provider, here, this month", "Budgets"
USAGE_TODAY, USAGE_MONTH = "Today", "This month"
USAGE_NOTE = (
    "*Days and months are those of UTC. ≈: some of it is estimated, because a provider does not report it, or a question runs or was "
    "interrupted.*"
)
