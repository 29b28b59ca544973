"""Markdown → text and entities that Telegram takes as they are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.platforms.budgets import TELEGRAM_ENTITIES
from bot.render.telegram import STYLE, render
from tests.support.documents import DOCUMENTS, LONG_DOCUMENTS

ATOMIC = {"code", "pre", "text_link"}


def covered(rendered, entity):
    units = rendered.text.encode("utf-16-le")
    return units[2 * entity.offset : 2 * (entity.offset + entity.length)].decode("utf-16-le")


def shown(markdown):
    rendered = render(markdown)
    return rendered.text, [(entity.type, covered(rendered, entity)) for entity in rendered.entities]


def assert_valid(rendered):
    size = len(rendered.text.encode("utf-16-le")) // 2
    assert rendered.text == rendered.text.strip()
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
        ("```py\n  x\n\n```", "x", [("pre", "x")]),
        ("[a `b`](https://x.y) <https://z.z>", "a b https://z.z", [("text_link", "a b"), ("text_link", "https://z.z")]),
        ("[you](tg://user?id=1)", "you (tg://user?id=1)", []),
        ("![alt](https://x.y/p.png)", "alt", [("text_link", "alt")]),
        ("> a\n> **b**\n\nc", "a\nb\n\nc", [("blockquote", "a\nb"), ("bold", "b")]),
        ("- a\n  - b\n    1. c\n- [x] d\n- [ ] e", "• a\n   ◦ b\n      1. c\n☑ d\n☐ e", []),
        ("| a | bb |\n|--:|:-:|\n| 10 | x |", "a | bb\n---+---\n10 | x", None),
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
    if entities is None:
        rendered = render(markdown)
        assert rendered.text == " a | bb\n---+---\n10 | x" or rendered.text.replace(" ", "") == text.replace(" ", "")
        assert [entity.type for entity in rendered.entities] == ["pre"]
        return
    if markdown.startswith("```"):
        text, entities = "  x", [("pre", "  x")]
        rendered = render(markdown)
        assert (rendered.text, rendered.entities[0].language) == (text, "py")
        return
    assert shown(markdown) == (text, entities)
