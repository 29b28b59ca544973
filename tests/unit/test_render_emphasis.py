"""Bold and italics beside letters, as Chinese and Japanese are written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.render import discord, telegram
from bot.render.document import BOLD, ITALIC
from bot.render.markdown import read
from tests.support.documents import TIGHT


def marked(markdown, mark):
    return [span.text for block in read(markdown) for span in block.spans if span.marks & mark]


@pytest.mark.parametrize(
    ("markdown", "text", "bold"),
    [
        ("**注意：**请先阅读", "注意：请先阅读", ["注意："]),
        ("これは**「重要」**です", "これは「重要」です", ["「重要」"]),
        ("使用**`print()`**函数", "使用print()函数", ["print()"]),
        ("见**[文档](https://x.y)**说明", "见文档说明", ["文档"]),
        ("**Note:**do", "Note:do", ["Note:"]),
        ('see**"this"** now', 'see"this" now', ['"this"']),
        ("**a**、**「b」**と**「c」**d", "a、「b」と「c」d", ["a", "「b」", "「c」"]),
        ("| **注：**请 |\n|---|", "注：请\n------", []),
    ],
)
def test_bold_between_a_sign_and_a_letter_is_bold(markdown, text, bold):
    assert telegram.render(markdown).text == text
    assert marked(markdown, BOLD) == bold
    assert "\\*" not in discord.render(markdown).text


@pytest.mark.parametrize(
    ("markdown", "italic"), [("*注意：*请", ["注意："]), ("は*「x」*で", ["「x」"]), ("*Note:*do", ["Note:"]), ("***「x」***で", ["「x」"])]
)
def test_italics_between_a_sign_and_a_letter_are_italics(markdown, italic):
    assert marked(markdown, ITALIC) == italic
    assert "*" not in telegram.render(markdown).text


@pytest.mark.parametrize(
    "text",
    ["x = a*(b+c)*d", "2**(n+1)**k", "int *p,*q", "print(*a,*b)", "f(a)*(b+c)*d", "5 * 3：* 4", "2**10 和 **「x"],
)
def test_stars_that_are_no_emphasis_stay(text):
    assert telegram.write(read(text)).text == text


@pytest.mark.parametrize(
    "text",
    ["注**「b」**c", "x**`"],
)
def test_code_keeps_its_stars(text):
    for markdown in (f"```py\n{text}\n```\n**注：**请", f"``{text}、`` **注：**请", f"    {text}\n\n**注：**请"):
        assert text in telegram.render(markdown).text


def test_addresses_keep_their_stars():
    url = "https://x.y/注**（b）**c"
    assert telegram.render(f"[a]({url}) **注：**请").entities[0].url == url
    assert url in [entity.url for entity in telegram.render(f"[r]: {url}\n\n[a][r] **注：**请").entities]


def test_no_stand_in_is_left():
    assert "\u1680" not in telegram.render(TIGHT).text + discord.render(TIGHT).text


def test_a_text_of_stand_ins_is_shown_as_it_is():
    text = "a\u1680b \u2e45 \u2e46 **注：**请 <b>"
    assert telegram.write(read(text)).text == text


@settings(max_examples=200)
@given(st.text(alphabet="aé字「」：。*` \n[](<:)😀", max_size=50))
def test_places_in_the_source_are_those_without_stand_ins(text):
    for block in read(text, located=True):
        assert 0 <= block.anchor <= block.start <= len(text)
        for span in block.spans:
            assert 0 <= span.start <= span.end <= len(text) + 1
            if span.end - span.start == len(span.text) and "<" not in text and "[" not in text and "`" not in text:
                assert text[span.start : span.end] == span.text
