"""The operator's table of prices: exact in its sums, and clear about what is wrong with it."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from bot.prices import Price, Prices, read, unused
from bot.settings import SettingsError, load
from bot.tables import TableError
from storage.usage import Money


def table(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "prices.toml"
    path.write_text(text, encoding="utf-8")
    return path


TABLE = """
currency = "EUR"

[netmind."deepseek-ai/*"]
input = 0.27
output = "1.10"

[netmind."*"]
input = 1
output = 2
currency = "USD"

[modelslab."*"]
request = 0.002

[segmind]
credit = 0.9
"""


def test_the_first_pattern_that_fits_counts_and_every_digit_of_it(tmp_path: Path) -> None:
    prices = read(table(tmp_path, TABLE))
    assert prices.cost("netmind", "deepseek-ai/DeepSeek-V3", 1_000_001, 1) == Money(270_001_370, "EUR")
    assert prices.cost("netmind", "other", 1_000_000, 1_000_000) == Money(3_000_000_000, "USD")
    assert prices.cost("modelslab", "m", 5, 5) == Money(2_000_000, "EUR")


def test_what_has_no_price_is_unknown_and_the_model_on_this_machine_costs_nothing(tmp_path: Path) -> None:
    prices = read(table(tmp_path, TABLE))
    assert prices.cost("openai", "m", 5, 5) is None
    assert prices.cost("segmind", "m", 5, 5) is None
    assert Prices().cost("netmind", "m", 0, 0) is None
    assert prices.cost("local", "m", 5, 5) == Money(0, "EUR")


def test_a_reported_cost_counts_where_the_operator_said_what_a_unit_costs_or_gave_no_price(tmp_path: Path) -> None:
    prices = read(table(tmp_path, TABLE))
    assert prices.cost("segmind", "m", 5, 5, reported=0.00025) == Money(225_000, "EUR")
    assert prices.cost("openai", "m", 5, 5, reported=0.1) == Money(100_000_000, "credits")
    assert prices.cost("modelslab", "m", 5, 5, reported=0.1) == Money(2_000_000, "EUR")


def test_sums_of_many_small_costs_do_not_drift() -> None:
    prices = Prices(models={"p": [("*", Price(input=Decimal("0.1"), output=Decimal("0.2")))]})
    costs = [prices.cost("p", "m", 1, 1) for _ in range(10_000)]
    assert sum(cost.nanos for cost in costs if cost) == 3_000_000


@pytest.mark.parametrize(
    ("text", "words"),
    {
        "no price": ('[p."m"]\ncurrency = "USD"', 'prices.toml, [p."m"]: takes input and output, or request'),
        "half": ('[p."m"]\ninput = 1', 'prices.toml, [p."m"]: takes both input and output'),
        "negative": ('[p."m"]\nrequest = -1', 'prices.toml, [p."m"]: request: takes 0 or more, such as request = 0.002'),
        "nan": ('[p."m"]\nrequest = nan', 'prices.toml, [p."m"]: request:'),
        "misspelt": ('[p."m"]\nrequest = 1\nreqest = 2', 'prices.toml, [p."m"]: reqest:'),
        "no table": ("p = 3", "prices.toml: p stands outside of a table"),
        "currency": ("currency = 5", "prices.toml: currency:"),
        "letters": (
            'currency = "dollars"',
            'prices.toml: currency: takes the three letters of a currency in ISO 4217, such as "EUR", or "credits"',
        ),
        "long code": ('currency = "USDT"', "takes the three letters of a currency in ISO 4217"),
        "sign": ('currency = "€"', 'takes the three letters of a currency in ISO 4217, such as "EUR", or "credits"'),
        "astray": (
            "[netmind]\ninput = 1",
            'prices.toml, [netmind]: input belongs to the prices of some models: write [netmind."*"] above it',
        ),
        "no pattern": ("[netmind]\nprice = 1", '[netmind]: price is no price: the prices of some models stand under [netmind."PATTERN"]'),
        "dots": ("[p.gpt-4.1]\ninput = 1\noutput = 1", "prices.toml, [p]: a model whose name has a dot, a * or another such sign"),
        "dots of several": ("[p.gpt-4.1]\nrequest = 1\n[p.gpt-4.5]\nrequest = 1", 'stands in quotation marks: write [p."gpt-4.1"]'),
        "more dots": ("[p.llama-3.3.x]\nrequest = 1", 'write [p."llama-3.3.x"]'),
        "star": ("[p.qwen*]\nrequest = 1", 'stands in quotation marks: write [p."qwen*"]'),
        "nothing": ("[netmind.]", "A table's name is that of a provider, as"),
        "blank": (
            "[my box]",
            "A table's name is that of a provider, as /provider takes it (a-z, 0-9, _ and -), such as [my-box], and a pattern",
        ),
        "blank of several": ("[[my box]]", 'stands behind it in quotation marks: [my-box."qwen*"]'),
        "near": ("[netmind]\ninputs = 1", "[netmind]: inputs is no price (did you mean input?)"),
        "key": ('[p."m"]\ninput = 1\noutpt = 1', 'prices.toml, [p."m"]: outpt: there is no such key; did you mean output?'),
        "truth": ('[p."m"]\nrequest = true', 'prices.toml, [p."m"]: request: takes a number, such as request = 0.002'),
        "credit": ("[p]\ncredit = -2", "prices.toml, [p]: credit:"),
        "no toml": ("[", "is no TOML"),
        "nested": ("x = " + "[" * 5_000, "nested too deeply"),
        "digits": (f'[p."m"]\nrequest = {"9" * 5_000}', "a number is too long"),
    }.values(),
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(TableError) as caught:
        read(table(tmp_path, text))
    assert words in str(caught.value)
    with pytest.raises(SettingsError, match=r"^PRICES_FILE: "):
        load(None, prices_file=tmp_path / "prices.toml")


def test_a_byte_order_mark_and_a_currency_in_small_letters_are_taken(tmp_path: Path) -> None:
    prices = read(table(tmp_path, '\ufeffcurrency = "eur"\n[p."a"]\nrequest = 1\n[p."*"]\nrequest = 1\ncurrency = "Usd"\n'))
    assert prices.cost("p", "a", 1, 1) == Money(1_000_000_000, "EUR")
    assert prices.cost("p", "b", 1, 1) == Money(1_000_000_000, "USD")


def test_whose_prices_count_for_nobody_is_told_with_the_nearest_names(tmp_path: Path) -> None:
    prices = read(table(tmp_path, '[netmnd."*"]\nrequest = 1\n[zzz]\ncredit = 1\n[mine."*"]\nrequest = 1\n'))
    first, second = unused(prices, ["netmind", "segmind", "mine"])
    assert first == "there is no provider netmnd, and its prices are not used; did you mean netmind?"
    assert second.endswith("there is no provider zzz, and its prices are not used; there are netmind, segmind, mine")


def test_what_is_hardly_alike_is_no_guess(tmp_path: Path) -> None:
    (line,) = unused(read(table(tmp_path, '[second."*"]\nrequest = 1\n')), ["netmind", "segmind", "mine"])
    assert line.endswith("there is no provider second, and its prices are not used; there are netmind, segmind, mine")


def test_a_provider_in_double_brackets_is_told_as_that(tmp_path: Path) -> None:
    with pytest.raises(TableError, match=r"write \[netmind\], not \[\[netmind\]\]: "):
        read(table(tmp_path, "[[netmind]]\ncredit = 1\n"))


def test_a_provider_of_the_operators_own_file_is_known(tmp_path: Path) -> None:
    (tmp_path / "providers.toml").write_text('[groq]\nbase_url = "https://api.groq.com/openai/v1"\ndefault_model = "m"\n')
    table(tmp_path, '[groq."*"]\nrequest = 1\n[grok."*"]\nrequest = 1\n')
    settings = load(None, prices_file=tmp_path / "prices.toml", providers_file=tmp_path / "providers.toml")
    (line,) = settings.unused_prices
    assert "no provider grok" in line
    assert "did you mean groq?" in line


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^PRICES_FILE: .*none\.toml can't be read: No such file"):
        load(None, prices_file=tmp_path / "none.toml")
