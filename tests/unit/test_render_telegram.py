"""Markdown → text and entities that Telegram takes as they are."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.platforms.budgets import TELEGRAM_ENTITIES
from bot.render.discord import STYLE as DISCORD
from bot.render.pager import Pager
from bot.render.telegram import STYLE, render
from sandbox.telegram.text import url_fault
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
        ("$a*b*c$ and $5", "a*b*c and $5", []),
        ("[1]: https://x.y\n\nsee [1]", "[1]: https://x.y\n\nsee 1", [("text_link", "1")]),
        ("- ```\n\n- b", "•\n• b", []),
        ("a[^1] **b[^12]** [^note] `[^1]` [^] [^a b]", "a¹ b¹² [note] [^1] [^] [^a b]", [("bold", "b¹²"), ("code", "[^1]")]),
        ("[^1]: one\n[^x]: two", "¹: one\n[x]: two", []),
        ("| a<br>b | 名 |\n|---|---|\n| x <br/> y | z |", "a b | 名\n----+---\nx y | z", [("pre", "a b | 名\n----+---\nx y | z")]),
        ("array[i](see a note) on", "array[i](see a note) on", []),
        ("@someone /start #tag", "@\u2060someone /start #tag", []),
        ("", "", []),
        (" \n\n ", "", []),
    ],
)
def test_markdown_becomes_text_and_entities(markdown, text, entities):
    assert shown(markdown) == (text, entities)


LINKED = re.compile(r"(?<!\w)@[A-Za-z0-9_]{4,}")
REMOVED = re.compile("[\u2028-\u202e\u030a\u0333\u033f]")


def linked_names(rendered):
    """What Telegram would link: it drops some characters, then looks everywhere but in code and links."""
    units = bytearray(rendered.text.encode("utf-16-le"))
    for entity in rendered.entities:
        if entity.type in {"code", "pre", "text_link"}:
            units[2 * entity.offset : 2 * (entity.offset + entity.length)] = " ".encode("utf-16-le") * entity.length
    return LINKED.findall(REMOVED.sub("", units.decode("utf-16-le")))


@pytest.mark.parametrize(
    ("markdown", "text", "entities"),
    [
        ("@durov", "@\u2060durov", []),
        ("(@durov), @@durov. @dur @ durov", "(@\u2060durov), @@\u2060durov. @dur @ durov", []),
        ("me@durov.example a_@durov", "me@durov.example a_@durov", []),
        ("é@durov", "é@\u2060durov", []),
        ("😀 @durov **b**", "😀 @\u2060durov b", [("bold", "b")]),
        ("**@durov** *x*", "@\u2060durov x", [("bold", "@\u2060durov"), ("italic", "x")]),
        ("@**durov** *x*", "@\u2060durov x", [("bold", "durov"), ("italic", "x")]),
        ("@du**rov**", "@\u2060durov", [("bold", "rov")]),
        ("`@durov` **b**", "@durov b", [("code", "@durov"), ("bold", "b")]),
        ("@`durov`", "@\u2060durov", [("code", "durov")]),
        ("`@`durov", "@\u2060durov", [("code", "@\u2060")]),
        ("```\n@durov\n```", "@durov", [("pre", "@durov")]),
        ("[@durov](https://x.y/@durov)", "@\u2060durov", [("text_link", "@\u2060durov")]),
        ("<https://x.yz/@durov>", "https://x.yz/@durov", [("text_link", "https://x.yz/@durov")]),
        ("see https://x.yz/@durov/1. **b**", "see https://x.yz/@durov/1. b", [("text_link", "https://x.yz/@durov/1"), ("bold", "b")]),
        ("**https://x.yz/@durov**", "https://x.yz/@durov", [("bold", "https://x.yz/@durov"), ("text_link", "https://x.yz/@durov")]),
        (
            "https://@durov https://x/@durov https://x.yz/«@durov",
            "https://@\u2060durov https://x/@\u2060durov https://x.yz/«@\u2060durov",
            [],
        ),
        ("@\u202edurov @d\u0333urov", "@\u2060\u202edurov @\u2060d\u0333urov", []),
        ("- @durov\n\n> @durov", "• @\u2060durov\n\n@\u2060durov", [("blockquote", "@\u2060durov")]),
    ],
)
def test_a_name_is_never_linked_and_offsets_stay_right(markdown, text, entities):
    assert shown(markdown) == (text, entities)
    assert linked_names(render(markdown)) == []
    assert_valid(render(markdown))


@pytest.mark.parametrize("markdown", ["`@durov` " * 150, "```\n@durov\n```\n" * 150, "<https://x.yz/@durov> " * 150])
def test_a_name_is_not_linked_where_its_entity_was_left_out(markdown):
    rendered = render(markdown)
    assert len(rendered.entities) == TELEGRAM_ENTITIES
    assert linked_names(rendered) == []
    assert_valid(rendered)


def test_an_address_with_a_name_leads_where_it_says():
    assert render("at https://x.yz/@durov?a=b#c!").entities[0].url == "https://x.yz/@durov?a=b#c"


def test_pages_full_of_names_fit_and_hold_them_all():
    pages = Pager(STYLE).pages("@durov, " * 2000, final=True)
    assert all(STYLE.measure(page) <= STYLE.limit for page in pages)
    assert sum(page.text.count("@\u2060durov") for page in pages) == 2000


@settings(max_examples=200)
@given(st.text(alphabet="@@@durové_ *`[](\u202e\n-./:1", max_size=80))
def test_no_text_links_a_name(text):
    rendered = render(text)
    assert linked_names(rendered) == []
    assert_valid(rendered)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost",
        "http://localhost:8080/a.b",
        "https://exa",
        "https://exa?x=1.2",
        "https://x.y:0/",
        "https://x.y:99999/",
        "https://.",
        "https://.x",
        "https://x..y",
        "https://a@x.y",
        "http://[::1",
        "https://x.y\\z",
        "https://x.y%zz/",
        "http://",
    ],
)
@pytest.mark.parametrize("style", [STYLE, DISCORD], ids=["telegram", "discord"])
def test_an_address_that_would_be_refused_is_written_out(style, url):
    rendered = style.render(f"**b** [label](<{url}>) and [label][r]\n\n[r]: {url}\n")
    assert not any(entity.url for entity in rendered.entities)
    assert "](" not in rendered.text
    assert unescaped(rendered.text).startswith(unescaped(f"{style.render('**b**').text} label ({url})"))


def unescaped(text):
    return text.replace("\\", "")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:8080/a", "https://exa.mple", "HTTPS://EXA.MPLE?x", "https://x.y:8443#a", "https://例え.jp/é"]
)
def test_an_address_that_is_taken_is_a_link(url):
    assert url_fault(url) == ""
    assert [entity.url for entity in render(f"[label]({url})").entities] == [url]


@settings(max_examples=200)
@given(st.text(alphabet="ab.:/@[]1%-é\u3000\\?#", max_size=12))
def test_no_link_is_refused(rest):
    for entity in render(f"[label](<https://{rest}>) <http://{rest}>").entities:
        assert entity.url is None or not url_fault(entity.url)


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


@settings(max_examples=200)
@given(st.text(alphabet="ab😀é\u200d *_~`[]()<>!#-+=|\\\n1.:$@&;\t\r\x00", max_size=80) | st.text(max_size=60))
def test_any_text_is_valid(text):
    assert_valid(render(text))


def test_a_name_pings_nobody_where_text_is_shown_without_its_entities():
    page = render("ask `@durov` or me@example.org, @ab too")
    assert STYLE.bare(page.text) == page.text.replace("@durov", "\uff20durov")
    assert len(STYLE.bare(page.text)) == len(page.text)
