"""Every key of the files that an operator writes, with every kind of wrong value: what is said names file, table and key, in our words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from bot import budgets, endpoints, prices
from bot.tables import TableError

VALUES = (
    *("5", "-5", "1.5", "nan", "inf", "1e30", "99999999999999999999", "true", "2026-01-01"),
    *('"?"', '""', '"yes"', "[]", "[1]", '["?"]', "[[1]]", "{}", "{ a = 1 }", '{ a = "?" }', "{ a = {} }", '{ "a b" = "x\\ny" }'),
)
LIBRARY = re.compile(r"[Ii]nput should|should be|[Uu]nable|valid |permitted|required|validation|pydantic|Value error|object")
"""Words of the validating library and of Python."""


def provider(key: str, value: str) -> str:
    usual = {"default_model": '"m"', "base_url": '"http://h/v1"'} | {key: value}
    return "[x]\n" + "\n".join(f"{name} = {its}" for name, its in usual.items())


def model(key: str, value: str) -> str:
    return f'[groq.models."q*"]\n{key} = {value}'


def price(key: str, value: str) -> str:
    return '[p."m"]\n' + "\n".join(f"{name} = {its}" for name, its in ({"input": "1", "output": "1"} | {key: value}).items())


def beside(key: str, value: str) -> str:
    return f"[p]\n{key} = {value}"


def top(key: str, value: str) -> str:
    return f"{key} = {value}"


def budget(key: str, value: str) -> str:
    usual = {"name": '"n"'} | ({} if key in {"tokens", "cost"} else {"cost": "1"}) | {key: value}
    return "[[budgets]]\n" + "\n".join(f"{name} = {its}" for name, its in usual.items())


CASES: list[tuple[str, Callable[[str, str], str], Iterable[str], str]] = [
    ("provider", provider, [*endpoints.Table.model_fields, "nonsense"], "[x]: "),
    ("model", model, [*endpoints.Quirks.model_fields, "nonsense", "base_url"], "[groq]: models.q*"),
    ("price", price, [*prices.Price.model_fields, "nonsense"], '[p."m"]: '),
    ("beside", beside, ["credit", "input", "currency", "nonsense"], "[p"),
    ("currency", top, ["currency", "nonsense"], ""),
    ("budget", budget, [*budgets.Budget.model_fields, "nonsense"], "budget 1: "),
]


def said(folder: Path, kind: str, text: str) -> str:
    """Return what is said of a file; empty: it is taken."""
    path = folder / f"{kind}.toml"
    path.write_text(text, encoding="utf-8")
    try:
        if kind in {"provider", "model"}:
            endpoints.read(path, {})
        elif kind == "budget":
            budgets.read(path, "USD")
        else:
            prices.read(path)
    except (TableError, endpoints.EndpointsError) as error:
        return str(error)
    return ""


@pytest.mark.parametrize(
    ("kind", "written", "key", "table"), [(kind, written, key, table) for kind, written, keys, table in CASES for key in keys]
)
def test_a_wrong_value_is_told_with_its_place_and_in_our_words(
    tmp_path: Path, kind: str, written: Callable[[str, str], str], key: str, table: str
) -> None:
    told = {value: words for value in VALUES if (words := said(tmp_path, kind, written(key, value)))}
    assert len(told) >= len(VALUES) // 3
    assert [words for words in told.values() if LIBRARY.search(words)] == []
    assert [words for words in told.values() if f"{kind}.toml" not in words or table not in words] == []
    unnamed = [words for words in told.values() if key not in words]
    assert [words for words in unnamed if not words.endswith("the variable yes is not set")] == []
    assert [words for words in told.values() if "\n" in words] == []
