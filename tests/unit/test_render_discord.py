"""Markdown → Discord's own, in which a model can ping nobody and means what it said."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.render import escape
from bot.render.discord import STYLE, render
from bot.render.telegram import render as visible
from tests.support.documents import DOCUMENTS, LONG_DOCUMENTS

MENTION = re.compile(r"@(?:everyone|here)|<@[!&]?\d|<#\d|<id:|</[^<>\n]+:\d")
CODE = re.compile(r"```.*?```|(`+)[^`].*?\1", re.DOTALL)


def outside_code(text):
    return CODE.sub("", text)


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("a **b** *c* _d_ ~~e~~ `f`", "a **b** *c* *d* ~~e~~ `f`"),
        ("# A\n### B\n#### C\nd", "# A\n### B\n**C**\nd"),
        ("- a\n  - b\n\n1. c\n2. d", "- a\n  - b\n\n1. c\n2. d"),
        ("- [x] a\n- [ ] b", "- ☑ a\n- ☐ b"),
        ("> a\n> b", "> a\n> b"),
        ("```py\n*x* @everyone <@1> \\_\n```", "```py\n*x* @everyone <@1> \\_\n```"),
        ("````\n```\n````", "```\n`\u200b`\u200b`\n```"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "```\na | b\n--+--\n1 | 2\n```"),
        ("![alt](https://x.y/p.png)", "[alt](https://x.y/p.png)"),
        ("[a](https://x.y/(b))", "[a](https://x.y/%28b%29)"),
        ("[https://good.example](https://bad.example)", "https://good.example (<https://bad.example>)"),
        ("https://x.y/a_b_c_ and snake_case_name", "https://x.y/a_b_c_ and snake_case_name"),
        ("\\*a\\* \\_b\\_ ||c|| 2 * 3", "\\*a\\* \\_b\\_ \\|\\|c\\|\\| 2 \\* 3"),
        ("\\# a\n\\- b\n1986\\. c", "\\# a\n\\- b\n1986\\. c"),
        ("<b>x</b> a<b <think>", "<b>x</b> a<b <think>"),
        ("``a`b``", "``a`b``"),
        (" \n", ""),
    ],
)
def test_markdown_becomes_discord_markdown(markdown, text):
    assert render(markdown).text == text.replace("``a`b``", "`` a`b ``")


@pytest.mark.parametrize("mention", ["@everyone", "@here", "<@1>", "<@!1>", "<@&1>", "<#1>", "</cmd:1>", "<id:guide>"])
@pytest.mark.parametrize(
    "around", ["{}", "**{}**", "a {} b", "- {}", "# {}", "> {}", "[{}](https://x.y)", "https://x.y/{}", "\\{}", "| {} |\nx"]
)
def test_model_output_can_not_look_like_a_mention(mention, around):
    assert not MENTION.search(outside_code(render(around.format(mention)).text))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_prefix_holds_a_mention(name):
    document = DOCUMENTS[name]
    for end in range(0, len(document) + 1, 1 if len(document) < 600 else 3):
        assert not MENTION.search(outside_code(render(document[:end]).text)), document[max(0, end - 40) : end]


# Entities become characters, and addresses that are no links and formulas are written differently: their words are checked elsewhere.
ALL_WORDS = [
    (name, text)
    for name, text in [*DOCUMENTS.items(), *LONG_DOCUMENTS.items()]
    if not {"&", "tg://", "\\frac"} & {sign for sign in ("&", "tg://", "\\frac") if sign in text}
]


@pytest.mark.parametrize("count", range(3, 12))
@pytest.mark.parametrize(
    ("frame", "fences"),
    [("~~~\n{}\n@everyone\n~~~", 2), ("> ~~~\n> {} x\n> ~~~", 2), ("|a|\n|-|\n|{} b|", 2), ("`` {} @everyone ``", 0), ("- `` b{}c ``", 0)],
)
def test_no_code_ends_before_its_fence(frame, fences, count):
    text = render(frame.format("`" * count)).text
    assert text.count("```") == fences
    assert "`" * count in text.replace("\u200b", ""), "nothing is lost"


SPOILER = re.compile(r"(?<!\\)(?:\\\\)*\|\|")


@pytest.mark.parametrize("text", ["||a||", "|**|a|**|", "x||", "|`a`|", "**||a||**", "[||a||](https://x.y)", "\\||a||", "# ||a||"])
def test_nothing_is_hidden_as_a_spoiler(text):
    for end in range(len(text) + 1):
        assert not SPOILER.search(outside_code(render(text[:end]).text))


@settings(max_examples=300)
@given(st.text(alphabet="a|||*_~`[]()\\ \n", max_size=40))
def test_no_text_is_hidden_as_a_spoiler(text):
    assert not SPOILER.search(outside_code(render(text).text.replace("`\u200b`\u200b`", "")))


@pytest.mark.parametrize(("name", "document"), ALL_WORDS)
def test_every_word_is_still_there(name, document):
    said = re.findall(r"[^\W_¹²]{3,}", document)
    assert re.findall(r"[^\W_¹²]{3,}", render(document + "\n\nend").text) == [*said, "end"]


@settings(max_examples=200)
@given(st.text(alphabet="ab😀@<>#&:/1every *_~`[]()!-+=|\\\n.", max_size=80) | st.text(max_size=60))
def test_any_text_is_taken(text):
    rendered = render(text)
    assert rendered.text == rendered.text.strip()
    assert rendered.entities == ()
    assert STYLE.measure(rendered) == len(rendered.text)


@settings(max_examples=150)
@given(st.text(alphabet="ab@<>#&:/1 *_~`[]()!-+=|\\$.", max_size=60))
def test_escaped_text_means_itself(text):
    text = text.strip()
    assert visible(f"x{escape(text)}x").text.replace("\u2060", "") == f"x{text}x"  # a joiner keeps a name from being linked
    assert visible(escape(text)).text.replace("\u2060", "") == text
