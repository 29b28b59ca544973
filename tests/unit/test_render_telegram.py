"""Markdown → text and entities that Telegram takes as they are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.platforms.budgets import TELEGRAM_ENTITIES
from bot.render.telegram import STYLE, render
from tests.support.documents import DOCUMENTS, LONG_DOCUMENTS


def covered(rendered, entity):
    units = rendered.text.encode("utf-16-le")
    return units[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le")


def shown(markdown):
    rendered = render(markdown)
    return rendered.text, [(entity.type, covered(rendered, entity)) for entity in rendered.entities]


def assert_valid(rendered):
    size = len(rendered.text.encode("utf-16-le")) // 2
    assert rendered.text == rendered.text.rstrip()
    assert not rendered.text[:1].isspace() or rendered.entities[0].offset == 0, "the server would strip it"
    assert STYLE.measure(rendered) == size
    assert len(rendered.entities) <= TELEGRAM_ENTITIES
    for entity in rendered.entities:
        assert entity.length > 0
        assert 0 <= entity.offset <= entity.offset + entity.length <= size
        text = covered(rendered, entity)
        assert text == text.rstrip()
        assert entity.url is None or entity.url.lower().startswith(("http://", "https://"))
    for index, one in enumerate(rendered.entities):
        for other in rendered.entities[index + 1 :]:
            if other.offset < one.offset + one.length:
                assert other.offset + other.length <= one.offset + one.length, "entities cross"
                assert one.type not in {"code", "pre"}, "code holds another entity"


@pytest.mark.parametrize(
    ("markdown", "text", "entities"),
    [
        ("a **b** *c* ~~d~~ `e`", "a b c d e", [("bold", "b"), ("italic", "c"), ("strikethrough", "d"), ("code", "e")]),
        ("😀 **é😀**.", "😀 é😀.", [("bold", "é😀")]),
        ("**a `b` c**", "a b c", [("bold", "a"), ("code", "b"), ("bold", "c")]),
        ("# T *i*\nx", "T i\n\nx", [("bold", "T i"), ("italic", "i")]),
        ("[a `b`](https://x.y) <https://z.z>", "a b https://z.z", [("text_link", "a b"), ("text_link", "https://z.z")]),
        ("[you](tg://user?id=1)", "you (tg://user?id=1)", []),
        ("![alt](https://x.y/p.png)", "alt", [("text_link", "alt")]),
        ("> a\n> **b**\n\nc", "a\nb\n\nc", [("blockquote", "a\nb"), ("bold", "b")]),
        ("- a\n  - b\n    1. c\n- [x] d\n- [ ] e", "• a\n   ◦ b\n      1. c\n☑ d\n☐ e", []),
        ("| aa | bb |\n|--:|:-:|\n| 1 | x |", "aa | bb\n---+---\n 1 | x", [("pre", "aa | bb\n---+---\n 1 | x")]),
        ("x <think> y</b> <!-- c --> a<b", "x <think> y</b> <!-- c --> a<b", []),
        ("<div>\n**b**\n</div>", "<div>\nb\n</div>", [("bold", "b")]),
        ("$a*b*c$ and $5", "$a*b*c$ and $5", []),
        ("[1]: https://x.y\n\nsee [1]", "[1]: https://x.y\n\nsee 1", [("text_link", "1")]),
        ("@someone /start #tag", "@someone /start #tag", []),
        ("", "", []),
        (" \n\n ", "", []),
    ],
)
def test_markdown_becomes_text_and_entities(markdown, text, entities):
    assert shown(markdown) == (text, entities)


def test_fence_keeps_its_language_and_indentation():
    rendered = render("```py\n  x\n\n```")
    assert (rendered.text, rendered.entities[0].type, rendered.entities[0].language) == ("  x", "pre", "py")


def test_entities_beyond_the_most_are_the_least_important():
    rendered = render("*i* " * 150 + "[l](https://x.y) **b**")
    assert len(rendered.entities) == TELEGRAM_ENTITIES
    assert {"text_link", "bold"} <= {entity.type for entity in rendered.entities}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_prefix_is_valid(name):
    document = DOCUMENTS[name]
    for end in range(0, len(document) + 1, 1 if len(document) < 600 else 3):
        assert_valid(render(document[:end]))


def test_entities_never_cross():
    rendered = render("**a _**b** c_")
    assert_valid(rendered)
    assert_valid(render("**1-_*b c **d**; `_` e*"))


@pytest.mark.parametrize("name", LONG_DOCUMENTS)
def test_long_documents_are_valid(name):
    assert_valid(render(LONG_DOCUMENTS[name]))


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="ab😀é\u200d *_~`[]()<>!#-+=|\\\n1.:$@&;\t\r\x00", max_size=80) | st.text(max_size=60))
def test_any_text_is_valid(text):
    assert_valid(render(text))
