"""Rendering takes time in proportion to the text, whatever stands in it: a model that repeats itself holds up nobody else's answer."""

from __future__ import annotations

import cProfile
import sys
from dataclasses import replace
from itertools import cycle

import pyromark
import pytest

from bot.render import discord, fastpath, telegram
from bot.render.base import Rendered
from bot.render.heal import heal
from bot.render.mask import mask
from bot.render.pager import Pager

STYLES = {"discord": replace(discord.STYLE, limit=400), "telegram": replace(telegram.STYLE, limit=400)}
PIECES = [
    *("1. ", "- 1. ", "> ", "> - ", "\n- ", "\n1. ", "\n> ", "> a\n", "- a\n", "- - a\n", "word ", "a b. "),
    *("[", "]", "](", "[a](", "[a](b) ", "![", "[a]", "[a]: b\n", "[^1]", "[a](((b x", "](<", '[a](b "c" '),
    *("|a|", "|a|b|\n|-|-|\n", "|", "**", "*a **b ", "**a", "*a_ ", "~~a ", "`", "`` ` ", "```\n", " ```\na\n ```\n", "~~~ ~~~"),
    *("$", "$x ", "$$x ", "\\(word ", "\\[x` ", "\\(", "\\$", "\\frac{", "<a", "<!--", "a &amp; ", "@abcde ", "\n\n", "#", "\\", "中。"),
]
SIZE = 3500
TIMES = 3
MOST = 5.0  # times the work for `TIMES` the text: it would be nine times if each part of it were gone through for each other one


class Work:
    """Counts what rendering does: calls of functions, and characters given to the parser or to what reads without it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.characters = 0
        for name in ("events", "events_with_range"):
            monkeypatch.setattr(pyromark, name, self._counted(getattr(pyromark, name)))
        monkeypatch.setattr(fastpath, "blocks", self._counted(fastpath.blocks))

    def _counted(self, parse):
        def counted(text, *arguments, **options):
            self.characters += len(text)
            return parse(text, *arguments, **options)

        return counted

    def of(self, work, *arguments) -> tuple[int, int]:
        self.characters = 0
        profile = cProfile.Profile()  # a `sys.setprofile` of our own sees the same calls and takes half as long again
        profile.enable()
        try:
            work(*arguments)
        finally:
            profile.disable()
        return sum(entry.callcount for entry in profile.getstats()), self.characters


def assert_in_proportion(work, *arguments, text, monkeypatch):
    counter = Work(monkeypatch)
    calls, characters = counter.of(work, *arguments, text[: len(text) // TIMES])
    more_calls, more_characters = counter.of(work, *arguments, text)
    assert more_calls <= MOST * calls, f"{calls} calls, then {more_calls}"
    assert more_characters <= MOST * characters, f"{characters} characters parsed, then {more_characters}"


def at_once(style, text):
    Pager(style).pages(text, final=True)


@pytest.mark.parametrize(("piece", "platform"), list(zip(PIECES, cycle(STYLES), strict=False)))
def test_more_text_is_more_work_in_proportion(piece, platform, monkeypatch):
    monkeypatch.setattr("bot.render.pager._LEAST_WINDOW", 800)
    text = (piece * (TIMES * SIZE))[: TIMES * SIZE]
    assert_in_proportion(at_once, STYLES[platform], text=text, monkeypatch=monkeypatch)


@pytest.mark.parametrize("piece", PIECES)
def test_healing_more_text_is_more_work_in_proportion(piece, monkeypatch):
    text = "so " + piece * (2 * TIMES * SIZE)
    assert_in_proportion(heal, text=text[: TIMES * 2 * SIZE], monkeypatch=monkeypatch)


def steps(work, *arguments) -> int:
    """Count the lines that are gone through, where a comprehension goes through its own once for each element."""
    count = 0

    def see(_frame, event, _argument):
        nonlocal count
        count += event == "line"
        return see

    before = sys.gettrace()
    sys.settrace(see)
    try:
        work(*arguments)
    finally:
        sys.settrace(before)
    return count


MARKED_NAMES = ["*a* @abcde ", "*a* @abcde\n\n", "`a` `@abcde` ", "- *a* @abcde\n"]


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("piece", MARKED_NAMES)
def test_more_names_and_marks_on_one_page_are_more_steps_in_proportion(piece, platform):
    style = replace(STYLES[platform], limit=10 * SIZE)
    assert steps(at_once, style, piece * 3 * 150) <= 4.0 * steps(at_once, style, piece * 150)


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("piece", MARKED_NAMES)
def test_what_is_shown_without_some_marks_is_what_it_would_be_if_written_at_once(piece, platform):
    style = replace(STYLES[platform], limit=10 * SIZE)
    text = piece * 180
    growing = Pager(style)
    for end in range(0, len(text), 70):
        growing.pages(text[:end])
    assert looks(growing.pages(text, final=True)) == looks((style.render(text),))


@pytest.mark.parametrize("before", ["", "a ", "$", "$x$ "])
def test_a_row_of_dollars_is_one_step(before):
    mask(before)  # what it keeps of a formula is kept from now on
    assert steps(mask, f"{before}{'$' * 9000}") == steps(mask, f"{before}{'$' * 300}") < 200
    assert mask("$" * 5 + "x$$").text == mask("$" * 3).text + mask("$$x$$").text


LONG_BLOCKS = {
    "paragraph": "Some **bold** and *other* words, `code` and [a link](https://exa.mple/x) stand here. ",
    "paragraph of lines": "Some **bold** words\nand others, `code` too,\n",
    "bold": "**" + "Some bold words that do not end, " * 200,
    "quote": "> Some **bold** words\n> and others, `code` too,\n",
    "item": "- an item\n" + "  with *many* words\n" * 400,
    "nested items": "- outer\n" + "  - an item with **bold** words\n" * 300,
    "numbers": "3. outer\n" + "".join([f"   {number}. an item with **bold** words\n" for number in range(1, 250)]),
    "code in an item": "- outer\n\n  ```py\n" + "  value = another + 1\n" * 250 + "  ```\n",
    "table": "| a | b |\n|---|---|\n" + "| some **words** | others |\n" * 300,
}


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("name", LONG_BLOCKS)
def test_pages_of_one_long_block_read_as_they_would_from_its_beginning(name, platform, monkeypatch):
    """Where a page begins far inside a block, what is open there is put before it, so that it looks the same."""
    monkeypatch.setattr("bot.render.pager._LEAST_WINDOW", 800)
    text = (LONG_BLOCKS[name] * (TIMES * SIZE))[: TIMES * SIZE]
    pages = Pager(STYLES[platform]).pages(text, final=True)
    monkeypatch.setattr("bot.render.resume.before", lambda *_arguments, **_options: None)
    assert looks(pages) == looks(Pager(STYLES[platform]).pages(text, final=True))


def looks(pages: tuple[Rendered, ...]) -> list[tuple[str, object]]:
    return [(page.text, page.entities) for page in pages]


@pytest.mark.parametrize("platform", STYLES)
def test_more_lists_in_each_other_than_anybody_writes_are_text(platform):
    shown = STYLES[platform].render("- " * 23 + "1. deep").text
    assert shown.endswith("1. deep")
    assert STYLES[platform].render("1. " * 40 + "deep").text.replace("\\", "").endswith("1. 1. deep")
