"""The operator's budgets: whom they concern, by whose sums they are measured, when they renew."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from bot.budgets import Budget, Budgets, day_of, midnight, read, span
from bot.model import ChatAddress, ChatKind, EventKind, Incoming, Sender
from bot.settings import SettingsError, load
from bot.tables import TableError
from storage.usage import Limit, Money, Tally

CHAT = ChatAddress("discord", "bot", "30")
ADA = Sender("7", "Ada", ("5", "6"))


def made(**values: Any) -> Budget:
    return Budget.model_validate({"name": "b", "tokens": 10, **values})


def at(text: str) -> int:
    return day_of(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("instant", "period", "first", "end"),
    [
        ("2026-11-30T23:59:59", "month", "2026-11-01", "2026-12-01"),
        ("2026-12-01T00:00:00", "month", "2026-12-01", "2027-01-01"),
        ("2028-02-29T12:00:00", "month", "2028-02-01", "2028-03-01"),
        ("2026-11-30T23:59:59", "day", "2026-11-30", "2026-12-01"),
    ],
)
def test_a_period_is_one_of_utc(instant: str, period: str, first: str, end: str) -> None:
    assert [midnight(day).date().isoformat() for day in span(period, at(instant))] == [first, end]


@pytest.mark.parametrize(
    ("values", "subjects"),
    {
        "user": ({"per": "user"}, ["user:discord:7"]),
        "channel": ({"per": "channel"}, ["channel:discord:30"]),
        "role": ({"per": "role", "roles": [6, 5, 9]}, ["role:discord:5", "role:discord:6"]),
        "all": ({"per": "all"}, ["all"]),
        "those with a role": ({"roles": ["5"]}, ["user:discord:7"]),
        "a part of what is used": ({"channels": ["30"]}, ["budget:b:user:discord:7"]),
        "a part of a role": ({"per": "role", "roles": ["5"], "channels": ["30"]}, ["budget:b:role:discord:5"]),
        "a part of a channel": ({"per": "channel", "users": ["7"]}, ["budget:b:channel:discord:30"]),
        "a part of all": ({"per": "all", "platform": "discord"}, ["budget:b:all"]),
    }.values(),
)
def test_a_budget_is_measured_by_the_sums_of_just_what_it_concerns(values: dict[str, Any], subjects: list[str]) -> None:
    budget = made(**values)
    assert budget.concerns(CHAT, ADA)
    assert list(budget.subjects(CHAT, ADA)) == subjects
    incoming = Incoming("k", EventKind.MESSAGE, CHAT, ChatKind.GROUP, ADA)
    counted = Budgets([budget]).subjects(3, incoming)
    assert set(subjects) <= set(counted)
    assert counted[:4] == ("all", "user:discord:7", "channel:discord:30", "conversation:3")


@pytest.mark.parametrize(
    "values",
    [{"users": ["8"]}, {"roles": ["9"]}, {"channels": ["31"]}, {"platform": "telegram"}, {"except_users": [7]}, {"except_roles": ["6"]}],
)
def test_whom_it_does_not_concern_it_leaves_alone(values: dict[str, Any]) -> None:
    assert Budgets([made(**values)]).limits(CHAT, ADA, 20_000) == []


TABLE = """
[[budgets]]
name = "everybody"
tokens = 2_000_000

[[budgets]]
name = "students"
per = "role"
roles = ["5"]
cost = 12.50
period = "day"
near = 0.5
"""


def test_the_file_is_read_and_money_is_exact(tmp_path: Path) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text(TABLE)
    budgets = read(path, "EUR")
    assert budgets.limits(CHAT, ADA, at("2026-11-21")) == [
        Limit("everybody", "user:discord:7", at("2026-11-01"), at("2026-12-01"), tokens=2_000_000),
        Limit("students", "role:discord:5", at("2026-11-21"), at("2026-11-22"), cost=Money(12_500_000_000, "EUR")),
    ]
    assert budgets.named("students").near == 0.5
    assert len(load(None, budgets_file=path).budgets) == 2


@pytest.mark.parametrize("key", ["near", "tokens", "cost"])
def test_true_is_no_number(tmp_path: Path, key: str) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text(f'[[budgets]]\nname = "a"\n{"tokens = 5" if key == "near" else ""}\n{key} = true')
    with pytest.raises(TableError, match=f"{key}: takes a number"):
        read(path, "EUR")


def test_only_what_is_used_of_a_budget_in_its_own_currency_makes_it_an_estimate() -> None:
    limit = Limit("b", "all", 1, 2, cost=Money(10, "EUR"))
    euros, dollars = Tally("p", "EUR", 1, 5, 5, 0, 0, 0, 7), Tally("p", "USD", 1, 5, 5, 1, 0, 0, 7)
    assert (limit.standing([euros, dollars]).used, limit.standing([euros, dollars]).estimated) == (7, False)
    assert limit.standing([replace(euros, estimated=1)]).estimated
    assert not limit.standing([replace(euros, estimated=1, cost=0)]).estimated  # nothing of it is used


def test_a_currency_is_the_same_in_small_letters(tmp_path: Path) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text('[[budgets]]\nname = "a"\ncost = 1\ncurrency = "usd"')
    budgets = read(path, "EUR")
    assert [limit.cost for limit in budgets.limits(CHAT, ADA, at("2026-11-21"))] == [Money(1_000_000_000, "USD")]
    assert budgets.currencies() == ["USD"]


@pytest.mark.parametrize(
    ("text", "words"),
    {
        "neither": ('[[budgets]]\nname = "a"', "budgets.toml, budget 1: takes either tokens or cost"),
        "both": ('[[budgets]]\nname = "a"\ntokens = 1\ncost = 1', "budget 1: takes either tokens or cost"),
        "role": ('[[budgets]]\nname = "a"\ntokens = 1\nper = "role"', 'budget 1: per = "role" needs roles'),
        "name": ("[[budgets]]\ntokens = 1", 'budget 1: name: is missing: write it, such as name = "everybody"'),
        "letters": (
            '[[budgets]]\nname = "a"\ncost = 1\ncurrency = "dollars"',
            "budget 1: currency: takes the three letters of a currency in ISO 4217",
        ),
        "truth": ('[[budgets]]\nname = "a"\ntokens = true', "budget 1: tokens: takes a number, such as tokens = 2_000_000"),
        "per": ('[[budgets]]\nname = "a"\ntokens = 1\nper = "person"', 'budget 1: per: takes "user", "channel", "role" or "all"'),
        "list": ('[[budgets]]\nname = "a"\ntokens = 1\nusers = "7"', 'users: takes a list in square brackets, such as users = ["998877'),
        "key": ('[[budgets]]\nname = "a"\ntoken = 1', "budget 1: token: there is no such key; did you mean tokens?"),
        "lines": ('[[budgets]]\nname = "a\\nb"\ntokens = 1', "budget 1: name: takes a name on one line"),
        "blank": (
            '[[budgets]]\nname = " "\ntokens = 1',
            'budget 1: name: takes a text that is more than blanks, such as name = "everybody"',
        ),
        "heading": ("[[my budget]]", 'Each budget begins with [[budgets]], and its name stands below that, such as name = "my budget"'),
        "twice": ('[[budgets]]\nname = "a"\ntokens = 1\n[[budgets]]\nname = "a"\ntokens = 2', "two budgets are called a"),
        "id": ('[[budgets]]\nname = "a"\ntokens = 1\nusers = ["@ada"]', "budget 1: users.0:"),
        "currency": ('[[budgets]]\nname = "a"\ntokens = 1\ncurrency = "USD"', "currency is of no use without cost"),
        "lines in a name": ('[[budgets]]\nname = "a\\nb"\ntokens = 1', "budget 1: name:"),
        "misspelt": ('[[budgets]]\nname = "a"\ntoken = 1', "budget 1: token:"),
        "one table": ('[budgets]\nname = "a"', "begin each budget with [[budgets]]"),
        "more": ('[[budget]]\nname = "a"', "begin each budget with [[budgets]]"),
    }.values(),
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "budgets.toml"
    path.write_text(text)
    with pytest.raises(TableError) as caught:
        read(path, "USD")
    assert words in str(caught.value)
    with pytest.raises(SettingsError, match=r"^BUDGETS_FILE: "):
        load(None, budgets_file=path)
