"""A growing answer as pages: whole, within the limit, and still once they are followed."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model import Entity
from bot.render import discord, telegram
from bot.render.markdown import read
from bot.render.pager import Pager
from bot.render.text import clean, is_blank
from tests.support.documents import DOCUMENTS, LONG_DOCUMENTS, LONG_FENCE, LONG_LIST, LONG_PROSE, LONG_TABLE

STYLES = {"discord": discord.STYLE, "telegram": telegram.STYLE}
ALL = {**DOCUMENTS, **LONG_DOCUMENTS}


def words(text):
    """What is read, apart from white space, joiners and the lines of tables, whose width may grow."""
    return re.sub(r"[\s\u2060+|─\[\]()-]+", "", text)


def visible(pages):
    return words("".join([page.text for page in pages]))


def whole(document):
    return words(telegram.write(read(clean(document))).text)


def assert_fit(pages, style):
    for page in pages:
        assert not is_blank(page.text)
        assert style.measure(page) <= style.limit


def grow(pager, document, style, step):
    """Feed a document in pieces and check what holds at every moment."""
    before = ()
    for end in range(0, len(document), step):
        pages = pager.pages(document[:end])
        assert_fit(pages, style)
        assert len(pages) >= len(before), "a page vanished"
        assert pages[: len(before) - 1] == before[:-1] or not before, "a followed page changed"
        before = pages
    pages = pager.pages(document, final=True)
    assert_fit(pages, style)
    assert pages[: max(0, len(before) - 1)] == before[:-1]
    return pages


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("limit", [60, 300])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_growing_pages_fit_never_change_and_lose_nothing(name, limit, platform):
    style = replace(STYLES[platform], limit=limit)
    pages = grow(Pager(style), DOCUMENTS[name], style, 1 if len(DOCUMENTS[name]) < 600 else 5)
    if platform == "telegram" and name != "links":  # a reference whose definition has not come yet is text for good on a followed page
        assert visible(pages) == whole(DOCUMENTS[name])


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("name", LONG_DOCUMENTS)
def test_long_growing_answers_at_the_real_limit(name, platform):
    document = LONG_DOCUMENTS[name]
    pages = grow(Pager(STYLES[platform]), document, STYLES[platform], 149)
    assert len(pages) >= (2 if platform == "discord" or len(document) > 4500 else 1)
    if platform == "telegram":
        assert visible(pages) == whole(document)


@pytest.mark.parametrize(("name", "limit"), [(name, limit) for name in ALL for limit in (60, 300, 4096) if limit > 60 or name in DOCUMENTS])
def test_an_answer_in_one_piece_loses_nothing(name, limit):
    style = replace(telegram.STYLE, limit=limit)
    pages = Pager(style).pages(ALL[name], final=True)
    assert_fit(pages, style)
    assert visible(pages) == whole(ALL[name])


@pytest.mark.parametrize("text", ["", "  \n", "\n\n\t", "\u200b", "\u2800\n\n\u3164", "\ufe0f \u2060", "\u200b" * 9000])
def test_nothing_to_see_is_no_page(text):
    assert Pager(discord.STYLE).pages(text) == ()
    assert Pager(discord.STYLE).pages(text, final=True) == ()


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("text", ["**\u200d**", "```\n\ufe0f\n```", "# \u2060", "> \u3164", "`\u200b`"])
def test_markup_of_nothing_to_see_is_no_page_while_it_grows(platform, text):
    style = STYLES[platform]
    assert all(Pager(style).pages(text[:end]) == () for end in range(len(text) + 1))


@pytest.mark.parametrize("text", ["#", "```", "***", "[]()", "-", "```\n```"])
def test_a_final_text_of_mere_markup_is_shown(text):
    pages = Pager(telegram.STYLE).pages(text, final=True)
    assert len(pages) == 1
    assert pages[0].text


def test_fences_are_closed_and_reopened_with_their_language():
    pages = Pager(discord.STYLE).pages(LONG_FENCE, final=True)
    assert len(pages) > 2
    for page, following in pairwise(pages[:-1]):
        assert page.text.endswith("\n```")
        assert following.text.startswith("```python\nvalue_")
    assert all(page.text.count("```") == 2 for page in pages)


def test_cuts_prefer_paragraphs():
    pages = Pager(discord.STYLE).pages(LONG_PROSE, final=True)
    assert all(page.text.startswith("Sentence 0 of") for page in pages)


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("one two three four\nfive six seven eight", "one two three four"),
        ("One two three. Four five six seven eight", "One two three."),
        ("one two three four five six seven", "one two three four five"),
        ("onetwothreefourfivesixseveneightnine", "onetwothreefourfivesixsev"),
    ],
)
def test_cuts_prefer_lines_then_sentences_then_words(text, first):
    assert Pager(replace(telegram.STYLE, limit=25)).pages(text)[0].text == first


def test_open_marks_are_closed_and_reopened():
    pages = Pager(replace(discord.STYLE, limit=40)).pages("**bold words that go on for longer than one page holds**", final=True)
    assert [page.text for page in pages] == ["**bold words that go on for longer**", "**than one page holds**"]


def test_numbers_go_on_after_a_cut():
    pages = Pager(discord.STYLE).pages(LONG_LIST, final=True)
    numbers = [int(number) for page in pages for number in re.findall(r"^(\d+)\. ", page.text, re.MULTILINE)]
    assert numbers == list(range(1, 61))


def test_tables_go_on_after_a_cut():
    pages = Pager(discord.STYLE).pages(LONG_TABLE, final=True)
    assert all(page.text.startswith("```\n") and page.text.endswith("\n```") for page in pages)


def test_halves_of_a_character_wait_for_each_other():
    pager = Pager(telegram.STYLE)
    assert pager.pages("a\ud83d")[0].text == "a"
    assert pager.pages("a\ud83d\ude00\r")[0].text == "a😀"
    assert pager.pages("a\ud83d\ude00\r\nb", final=True)[0].text == "a😀\nb"


@pytest.mark.parametrize(
    "document",
    [
        "```py\n" + " " * 300 + "x\n```",
        "> " * 200 + "deep",
        "| a | b | c | d | e | f | g | h | i | j | k |\n" + "|---" * 11 + "|\n|" + "\n|x" * 30,
        "a" + "\u0301" * 300,
        f"[label](https://x.y/{'p' * 300}) after",
        "- " * 100 + "deep",
    ],
)
@pytest.mark.parametrize("platform", STYLES)
def test_what_hardly_fits_comes_to_an_end(platform, document):
    style = replace(STYLES[platform], limit=40)
    grow(Pager(style), document, style, 7)


@settings(max_examples=60)
@given(
    st.lists(
        st.text(alphabet="a字」：😀\u200d *_~`[]()<>!#-+=|\\\n1.:$@", max_size=30) | st.sampled_from(sorted(DOCUMENTS.values())), max_size=5
    ),
    st.sampled_from(sorted(STYLES)),
    st.integers(60, 200),
    st.integers(1, 40),
)
def test_any_text_grows_into_pages_that_fit(parts, platform, limit, step):
    style = replace(STYLES[platform], limit=limit)
    grow(Pager(style), "".join(parts), style, max(step, len("".join(parts)) // 60))


NOTE = "*Stopped.*"
SHOWN_NOTE = {"discord": "*Stopped.*", "telegram": "Stopped."}


def with_note(platform, text, *, note=NOTE, limit=None, step=7):
    """Show a text as it grows, then end it with a note."""
    style = STYLES[platform] if limit is None else replace(STYLES[platform], limit=limit)
    pager = Pager(style)
    for end in range(0, len(text) + step, step):
        pager.pages(text[:end])
    plain = pager.pages(text, final=True)
    pages = pager.pages(text, final=True, note=note)
    assert pager.pages(text, final=True, note=note) == pages
    assert_fit(pages, style)
    return plain, pages


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize(
    "text",
    [
        *[f"Text{chr(10) * count}" for count in range(1, 9)],
        "Text \n \n ",
        "```py\nx = 1\n",
        "```py\nx = 1\n```",
        "~~~~\nx\n~~~",
        "    x = 1\n    y = 2\n",
        "- a\n- b",
        "- a\n  1. b\n\n     c\n",
        "> quoted\n> on",
        "> - a\n>   ```\n>   x",
        "| a | b |\n|---|---|\n| 1 | 2 |\n",
        "**bold",
        "[label](http://exa",
        "a `b",
        "# Heading",
        "---",
        "<div>\n",
        "<!--",
        "$$x",
        "- ",
    ],
)
def test_a_note_is_a_paragraph_of_its_own_whatever_the_text_left_open(platform, text):
    plain, pages = with_note(platform, text)
    assert len(pages) == len(plain) == 1
    assert pages[0].text == plain[0].text + ("\n" if platform == "discord" and text == "# Heading" else "\n\n") + SHOWN_NOTE[platform]
    if platform == "telegram":
        units = len(pages[0].text) - len("Stopped.")
        assert pages[0].entities == (*plain[0].entities, Entity("italic", units, len("Stopped.")))


@pytest.mark.parametrize("platform", STYLES)
def test_a_note_for_which_there_is_no_room_is_a_page_of_its_own(platform):
    whole_note = len(SHOWN_NOTE[platform])
    for length in range(60 - whole_note - 4, 61):
        plain, pages = with_note(platform, "x" * length, limit=60)
        assert [page.text for page in plain] == ["x" * length]
        if length + 2 + whole_note <= 60:
            assert [page.text for page in pages] == ["x" * length + "\n\n" + SHOWN_NOTE[platform]]
        else:
            assert [page.text for page in pages] == ["x" * length, SHOWN_NOTE[platform]]


@pytest.mark.parametrize("platform", STYLES)
def test_a_note_longer_than_a_page_makes_several(platform):
    note = " ".join(f"word{n}" for n in range(40))
    plain, pages = with_note(platform, "text", note=note, limit=60)
    assert pages[0] == plain[0]
    assert len(pages) > 4
    assert visible(pages[1:]) == words(note)


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("text", ["", " \n\n", "\u200b"])
def test_without_text_the_note_stands_alone(platform, text):
    _, pages = with_note(platform, text)
    assert [page.text for page in pages] == [SHOWN_NOTE[platform]]


@pytest.mark.parametrize("platform", STYLES)
def test_a_note_below_many_pages_stands_on_the_last(platform):
    plain, pages = with_note(platform, LONG_FENCE[:-20], step=300)
    assert pages[:-1] == plain[:-1]
    assert pages[-1].text.startswith(plain[-1].text)
    assert pages[-1].text.endswith(SHOWN_NOTE[platform])


def test_a_note_waits_for_the_end():
    assert [page.text for page in Pager(discord.STYLE).pages("a", note=NOTE)] == ["a"]


@settings(max_examples=60)
@given(st.text(alphabet="ab \n\n`~*>-[](1.|<#\\", max_size=120), st.sampled_from(sorted(STYLES)), st.integers(40, 90))
def test_a_note_changes_nothing_but_the_end_of_the_last_page(text, platform, limit):
    plain, pages = with_note(platform, text, limit=limit)
    assert len(plain) <= len(pages) <= len(plain) + 1
    assert pages[-1].text.endswith(SHOWN_NOTE[platform])
    assert [page.text for page in pages[: len(plain) - 1]] == [page.text for page in plain[:-1]]
    assert not plain or pages[len(plain) - 1].text.startswith(plain[-1].text)
