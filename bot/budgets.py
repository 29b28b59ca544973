"""How much may be spent: the operator's budgets, a TOML file that BUDGETS_FILE names.

[[budgets]]
name = "everybody"                    # people read it when it is used up
per = "user"                          # user | channel | role | all: each of them has it for itself
period = "month"                      # month | day, of UTC
tokens = 2_000_000                    # or cost = 5.00, and currency = "EUR" if it is not that of the prices

[[budgets]]
name = "students"
per = "role"                          # who has the role shares it
roles = ["998877665544332211"]
cost = 20

Whom it concerns can be narrowed by platform, users, roles and channels, and by except_users and except_roles. All budgets that concern
a question hold.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from bot import tables
from bot.model import ChatAddress, Incoming, Sender
from bot.prices import Amount, Currency
from bot.tables import TableError
from storage.usage import NANOS, Limit, Money

NEAR = 0.8
"""From this share on an answer says how much of a budget is used."""
DAY_SECONDS = 86_400
EPOCH = date(1970, 1, 1)
ALL = "all"


def _texts(value: Any) -> Any:
    return (
        [str(item) if isinstance(item, int) and not isinstance(item, bool) else item for item in value]
        if isinstance(value, list)
        else value
    )


def _id(value: str) -> str:
    if not re.fullmatch(r"-?[0-9]+", value):
        raise ValueError('takes a list of numeric ids, such as ["998877665544332211"] (names don\'t work)')
    return value


Ids = Annotated[frozenset[Annotated[str, AfterValidator(_id)]], BeforeValidator(_texts)]


_IDS = '["998877665544332211"]'


class Budget(BaseModel):
    """One budget.

    Attributes:
        near: From this share on an answer says how much is used.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    name: Annotated[
        str,
        Field(min_length=1, max_length=60, examples=['"everybody"']),
        AfterValidator(tables.visible),
        AfterValidator(tables.one_line),
    ]
    per: Literal["user", "channel", "role", "all"] = "user"
    period: Literal["month", "day"] = "month"
    tokens: Annotated[int, BeforeValidator(tables.number), Field(ge=1, le=10**15)] | None = Field(None, examples=["2_000_000"])
    cost: Amount | None = Field(None, examples=["5.00"])
    currency: Currency | None = Field(None, examples=['"EUR"'])
    near: Annotated[float, BeforeValidator(tables.number), Field(gt=0, le=1)] = Field(NEAR, examples=["0.9"])
    platform: Literal["discord", "telegram"] | None = None
    users: Ids = Field(frozenset(), examples=[_IDS])
    roles: Ids = Field(frozenset(), examples=[_IDS])
    channels: Ids = Field(frozenset(), examples=[_IDS])
    except_users: Ids = Field(frozenset(), examples=[_IDS])
    except_roles: Ids = Field(frozenset(), examples=[_IDS])

    @model_validator(mode="after")
    def _makes_sense(self) -> Budget:
        if (self.tokens is None) == (self.cost is None):
            raise ValueError("takes either tokens or cost, such as tokens = 2_000_000 or cost = 5.00")
        if self.currency is not None and self.cost is None:
            raise ValueError("currency is of no use without cost")
        if self.per == "role" and not self.roles:
            raise ValueError('per = "role" needs roles')
        return self

    def concerns(self, chat: ChatAddress, sender: Sender) -> bool:
        """Tell whether it holds for somebody in a chat."""
        return (
            self.platform in {None, chat.platform}
            and (not self.users or sender.id in self.users)
            and (not self.roles or not self.roles.isdisjoint(sender.roles))
            and (not self.channels or chat.chat in self.channels)
            and sender.id not in self.except_users
            and self.except_roles.isdisjoint(sender.roles)
        )

    def subjects(self, chat: ChatAddress, sender: Sender) -> tuple[str, ...]:
        """Return whose sums it is measured by. One that is narrowed to a part of what they use has sums of its own."""
        if self.per == "role":
            subjects = [role_of(chat.platform, role) for role in sorted(self.roles & set(sender.roles))]
        elif self.per == "channel":
            subjects = [channel_of(chat)]
        elif self.per == "user":
            subjects = [user_of(chat.platform, sender)]
        else:
            subjects = [ALL]
        return tuple(f"{self._own}{subject}" for subject in subjects)

    def measured(self, subject: str) -> str | None:
        """Return whose sums a subject's are, if they are those that the budget is measured by; None: they are not.

        By roles it can't be told: a budget of each person's that asks for roles takes everybody's sums for its own.
        """
        if not subject.startswith(self._own):
            return None
        whose = subject.removeprefix(self._own)
        per, _, rest = whose.partition(":")
        platform, _, its_id = rest.partition(":")
        wanted: frozenset[str] = {"user": self.users, "role": self.roles, "channel": self.channels}.get(per, frozenset())
        apart = per == "user" and its_id in self.except_users
        fits = per == ALL or (self.platform in {None, platform} and (not wanted or its_id in wanted) and not apart)
        return whose if per == self.per and fits else None

    @property
    def by_roles(self) -> bool:
        """Whether the sums it is measured by are also those of people whom it may not concern, by their roles."""
        return self.per == "user" and bool(self.roles or self.except_roles)

    @property
    def _own(self) -> str:
        """What the names of its subjects begin with: it has sums of its own if it is narrowed to a part of what its subjects use."""
        among = {
            "role": (self.users, self.channels, self.except_users, self.except_roles),
            "channel": (self.users, self.roles, self.except_users, self.except_roles),
            "user": (self.channels,),
            "all": (self.platform, self.users, self.roles, self.channels, self.except_users, self.except_roles),
        }
        return f"budget:{self.name}:" if any(among[self.per]) else ""


def user_of(platform: str, sender: Sender) -> str:
    """Return the subject of all that a person uses."""
    return f"user:{platform}:{sender.id}"


def role_of(platform: str, role: str) -> str:
    """Return the subject of all that those use who have a role."""
    return f"role:{platform}:{role}"


def channel_of(chat: ChatAddress) -> str:
    """Return the subject of all that is used in a channel, thread or chat; a group's topics count together."""
    return f"channel:{chat.platform}:{chat.chat}"


def conversation_of(conversation: int) -> str:
    """Return the subject of all that is used in a conversation."""
    return f"conversation:{conversation}"


class Budgets:
    """All budgets, and whose sums are to be kept.

    Args:
        budgets: In the file's order.
        currency: Of those that name none.
    """

    def __init__(self, budgets: Iterable[Budget] = (), currency: str = "USD") -> None:
        self._budgets = tuple(budgets)
        self._by_name = {budget.name: budget for budget in self._budgets}
        self._currency = currency

    def __len__(self) -> int:
        return len(self._budgets)

    def __iter__(self) -> Iterator[Budget]:
        return iter(self._budgets)

    def named(self, name: str) -> Budget:
        """Return a budget."""
        return self._by_name[name]

    def subjects(self, conversation: int, incoming: Incoming) -> tuple[str, ...]:
        """Return in whose sums a question counts."""
        chat, sender = incoming.chat, incoming.sender
        own = [ALL, user_of(chat.platform, sender), channel_of(chat), conversation_of(conversation)]
        measured = [subject for budget in self._budgets if budget.concerns(chat, sender) for subject in budget.subjects(chat, sender)]
        return tuple(dict.fromkeys([*own, *measured]))

    def limits(self, chat: ChatAddress, sender: Sender, today: int) -> list[Limit]:
        """Return the limits that hold for somebody in a chat."""
        found = []
        for budget in self._budgets:
            if not budget.concerns(chat, sender):
                continue
            found += [self.limit(budget, subject, today) for subject in budget.subjects(chat, sender)]
        return found

    def limit(self, budget: Budget, subject: str, day: int) -> Limit:
        """Return the limit of a subject in the period that a day is in."""
        first, end = span(budget.period, day)
        cost = None if budget.cost is None else Money(int(budget.cost * NANOS), budget.currency or self._currency)
        return Limit(budget.name, subject, first, end, budget.tokens, cost)

    def currencies(self) -> Sequence[str]:
        """Return the currencies in which there are budgets."""
        return sorted({budget.currency or self._currency for budget in self._budgets if budget.cost is not None})


def day_of(seconds: float) -> int:
    """Return the day of an instant in epoch seconds: numbered from 1970-01-01, UTC."""
    return int(seconds // DAY_SECONDS)


def date_of(day: int) -> date:
    """Return the date of a day."""
    return EPOCH + timedelta(days=day)


def month_of(day: int) -> tuple[int, int]:
    """Return the first day of a day's month, and the first day of the next month."""
    first = date_of(day).replace(day=1)
    after = (first + timedelta(days=31)).replace(day=1)
    return (first - EPOCH).days, (after - EPOCH).days


def span(period: str, day: int) -> tuple[int, int]:
    """Return the first day of a day's period, and the first day after it."""
    return month_of(day) if period == "month" else (day, day + 1)


def midnight(day: int) -> datetime:
    """Return the instant at which a day begins."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)


def _named(header: str) -> str:
    name = json.dumps(header.strip("[]\"' "), ensure_ascii=False)
    return f"Each budget begins with [[budgets]], and its name stands below that, such as name = {name}"


def read(path: Path, currency: str) -> Budgets:
    """Read the file; `currency` is that of budgets that name none.

    Raises:
        TableError: It can't be read, or something in it is wrong.
    """
    content = tables.read(path, number=Decimal, named=_named)
    listed = content.pop("budgets", [])
    if content or not isinstance(listed, list):
        raise TableError(f"{path}: begin each budget with [[budgets]], and put nothing else into the file")
    found: list[Budget] = []
    for number, table in enumerate(listed, 1):
        try:
            found.append(Budget.model_validate(table))
        except ValidationError as error:
            raise TableError(f"{path}, budget {number}: {tables.problem(error, Budget)}") from None
    names = [budget.name for budget in found]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise TableError(f"{path}: two budgets are called {twice[0]}")
    return Budgets(found, currency)
