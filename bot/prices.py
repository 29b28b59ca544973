"""What questions cost: the operator's table of prices, a TOML file that PRICES_FILE names.

currency = "USD"                      # of every price below that names no other

[netmind."deepseek-ai/*"]             # a provider, and its models: the first pattern that fits counts
input = 0.50                          # for a million tokens of the prompt
output = 1.00                         # for a million tokens of the answer

[modelslab."*"]
request = 0.002                       # for each question, whatever its length

[segmind]
credit = 1                            # a provider that reports what a question cost: what one of its units costs

A model without a price has an unknown cost, which is never taken for nothing. The model on this machine costs nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from bot import tables
from bot.catalogue import CLOSE, nearest
from bot.tables import TableError
from storage.usage import NANOS, Money

MILLION = 1_000_000
DEARLY = 1_000_000
"""Highest price that is taken: beyond it is a mistake."""
MOST = Decimal(DEARLY)
"""Nor is one question counted as costing more, of any currency: the store's sums have a bound."""
CREDITS = "credits"
"""Currency of a cost that a provider reports in units of its own, where the operator has not said what one costs."""
FREE = ("local",)
"""Providers that run on the operator's own machine."""


def _code(written: str) -> str:
    if written.lower() == CREDITS:
        return CREDITS
    if not re.fullmatch(r"[A-Za-z]{3}", written):
        raise ValueError(f'takes the three letters of a currency in ISO 4217, such as "EUR", or "{CREDITS}"')
    return written.upper()


Currency = Annotated[str, AfterValidator(_code)]
"""However it is written: a budget in usd is kept with prices in USD."""
Amount = Annotated[Decimal, BeforeValidator(tables.number), Field(ge=0, le=DEARLY)]


class Price(BaseModel):
    """What one model costs. `input` and `output` are for a million tokens, `request` for a question."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    input: Amount = Field(Decimal(0), examples=["0.50"])
    output: Amount = Field(Decimal(0), examples=["1.00"])
    request: Amount = Field(Decimal(0), examples=["0.002"])
    currency: Currency | None = Field(None, examples=['"EUR"'])

    @model_validator(mode="after")
    def _says_something(self) -> Price:
        if not self.model_fields_set & {"input", "output", "request"}:
            raise ValueError("takes input and output, or request (0 for what costs nothing)")
        if len(self.model_fields_set & {"input", "output"}) == 1:
            raise ValueError("takes both input and output (0 for what costs nothing)")
        return self


@dataclass(frozen=True, slots=True)
class Prices:
    """The whole table.

    Attributes:
        models: Provider → patterns of models with their prices, in the file's order.
        credits: Provider → what one of the units costs in which it reports costs.
    """

    currency: str = "USD"
    models: Mapping[str, Sequence[tuple[str, Price]]] = field(default_factory=dict)
    credits: Mapping[str, Decimal] = field(default_factory=dict)

    def cost(self, provider: str, model: str, input_tokens: int, output_tokens: int, *, reported: float | None = None) -> Money | None:
        """Return what a question costs, None if that is unknown.

        Args:
            provider: Its name.
            model: The provider's own id.
            input_tokens: Of the prompt.
            output_tokens: Of the answer.
            reported: What the provider says it cost, in its own units. Counts where the operator said what a unit costs, or no price.
        """
        if reported is not None and provider in self.credits:
            return _money(Decimal(str(reported)) * self.credits[provider], self.currency)
        price = self._price(provider, model)
        if price is not None:
            sum_of_both = (price.input * input_tokens + price.output * output_tokens) / MILLION
            return _money(sum_of_both + price.request, price.currency or self.currency)
        if reported is not None:
            return _money(Decimal(str(reported)), CREDITS)
        return _money(Decimal(0), self.currency) if provider in FREE else None

    def _price(self, provider: str, model: str) -> Price | None:
        return next((price for pattern, price in self.models.get(provider, ()) if fnmatchcase(model, pattern)), None)


def read(path: Path) -> Prices:
    """Read the file.

    Raises:
        TableError: It can't be read, or something in it is wrong.
    """
    content = tables.read(path, number=Decimal, named=_named)
    currency = _checked(Currency, content.pop("currency", "USD"), f"{path}: currency")
    models: dict[str, list[tuple[str, Price]]] = {}
    units: dict[str, Decimal] = {}
    for provider, table in content.items():
        where = f"{path}, [{provider}]"
        if not isinstance(table, Mapping):
            raise TableError(tables.no_table(path, provider, table))
        for pattern, price in table.items():
            if pattern == "credit":
                units[provider] = _checked(Amount, price, f"{where}: credit")
            elif not isinstance(price, Mapping):
                raise TableError(f"{where}: {_astray(pattern, provider)}")
            elif whole := _taken_apart(pattern, price):
                raise TableError(f"{where}: {_quoted(provider, whole)}")
            else:
                models.setdefault(provider, []).append((pattern, _checked(Price, price, f'{where[:-1]}."{pattern}"]')))
    return Prices(currency, models, units)


def unused(prices: Prices, known: Sequence[str]) -> list[str]:
    """Return a line for each provider in the table that there is not: nobody's questions are priced by it."""
    lines = []
    for name in dict.fromkeys([*prices.models, *prices.credits]):
        if name not in known:
            near = nearest(name, known, CLOSE)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            lines.append(f"there is no provider {name}, and its prices are not used; {hint}")
    return lines


def _astray(key: str, provider: str) -> str:
    """Say where a key belongs that stands beside the patterns of a provider's models."""
    if key in Price.model_fields:
        return f'{key} belongs to the prices of some models: write [{provider}."*"] above it, for all of them, or a pattern in place of *'
    near = nearest(key, ["credit", *Price.model_fields], CLOSE)
    hint = f" (did you mean {' or '.join(near)}?)" if near else ""
    return f'{key} is no price{hint}: the prices of some models stand under [{provider}."PATTERN"], such as [{provider}."*"]'


def _named(header: str) -> str:
    """Say how a table's name is written in this file, given what stands in place of one."""
    provider, _, pattern = (part.strip() for part in header.partition("."))
    if pattern and re.fullmatch(r"[a-z][a-z0-9_-]*", provider) and '"' not in pattern:
        words = _quoted(provider, pattern)
        return f"{words[:1].upper()}{words[1:]}"
    name = "a table's name is that of a provider, as /provider takes it (a-z, 0-9, _ and -), such as [my-box]"
    return f'A{name[1:]}, and a pattern of its models stands behind it in quotation marks: [my-box."qwen*"]'


def _quoted(provider: str, pattern: str) -> str:
    return f'a model whose name has a dot, a * or another such sign stands in quotation marks: write [{provider}."{pattern}"]'


def _taken_apart(pattern: str, price: Mapping[str, Any]) -> str:
    """Return the whole of a model's name that its dots have taken apart; empty: they have not."""
    whole = tables.within_dots(pattern, price, Price.model_fields)
    return "" if whole == pattern else whole


def _checked(kind: Any, value: Any, where: str) -> Any:
    try:
        return TypeAdapter(kind).validate_python(value)
    except ValidationError as error:
        raise TableError(f"{where}: {tables.problem(error, kind if kind is Price else None)}") from None


def _money(amount: Decimal, currency: str) -> Money:
    return Money(int((min(amount, MOST) * NANOS).to_integral_value(ROUND_HALF_UP)), currency)
