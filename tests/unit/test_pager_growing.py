"""A page that is rendered while it grows looks as if it had been rendered at once."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bot.render import discord, pager, telegram
from bot.render.base import Draft, Rendered
from bot.render.heal import heal
from bot.render.pager import Pager
from bot.render.text import is_blank
from sandbox.discord.forms import read_form
from sandbox.telegram.text import checked, finished
from tests.support.documents import DOCUMENTS, LONG_DOCUMENTS, LONG_PROSE
from tests.unit.test_render_boundary import LINES

STYLES = {"discord": discord.STYLE, "telegram": telegram.STYLE}
ALL = {**DOCUMENTS, **LONG_DOCUMENTS}
ENDLESS = 10**6


def rendered_at_once(text, style):
    page = style.render(text)
    return () if is_blank(page.text) else (page,)


def assert_grows_as_if_at_once(text, style, ends):
    """Compare each update with the rendering of that prefix alone."""
    style = replace(style, limit=ENDLESS)
    growing, before = Pager(style), ()
    for end in ends:
        before = rendered_at_once(text[:end], style) or before  # what is seen stays until there is something else
        assert growing.pages(text[:end]) == before, text[:end][-80:]


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_prefix_looks_as_if_rendered_at_once(name, platform):
    text = DOCUMENTS[name]
    assert_grows_as_if_at_once(text, STYLES[platform], range(len(text) + 1))


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("name", LONG_DOCUMENTS)
def test_long_prefixes_look_as_if_rendered_at_once(name, platform):
    text = LONG_DOCUMENTS[name]
    assert_grows_as_if_at_once(text, STYLES[platform], range(0, len(text) + 1, 53))


def assert_taken(page, platform):
    """Give a page to the stand-in of its platform, which is at least as strict, and see that it stays as it is."""
    if platform == "discord":
        assert read_form({"content": page.text}).content == page.text
        return
    entities = [{name: value for name, value in entity._asdict().items() if value is not None} for entity in page.entities]
    taken = finished(checked(page.text, entities, users=()), too_long="MESSAGE_TOO_LONG")
    assert (taken.text, taken.entities) == (page.text, entities)


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("name", ALL)
def test_the_stand_ins_take_every_prefix_of_every_document_as_it_is(name, platform):
    text, growing = ALL[name], Pager(STYLES[platform])
    for end in range(0, len(text) + 1, 1 if len(text) < 2000 else 41):
        for page in growing.pages(text[:end])[-1:]:
            assert_taken(page, platform)
    for page in growing.pages(text, final=True):
        assert_taken(page, platform)


TEXTS = st.lists(st.sampled_from([*LINES, "[x]: https://x.yz", "see [x]"]), max_size=14).map("\n".join) | st.sampled_from(
    sorted(DOCUMENTS.values())
)
CHUNKS = st.lists(st.integers(1, 60), min_size=1, max_size=30)


def ends_of(text, chunks):
    ends: list[int] = []
    end = 0
    while end < len(text):
        end += chunks[len(ends) % len(chunks)]
        ends.append(min(end, len(text)))
    return ends


@settings(max_examples=300)
@given(TEXTS, CHUNKS, st.sampled_from(sorted(STYLES)))
def test_any_text_in_any_pieces_looks_as_if_rendered_at_once(text, chunks, platform):
    assert_grows_as_if_at_once(text, STYLES[platform], ends_of(text, chunks))


NOTES = [
    "- a",
    "- b[^1]",
    "[^1]: note",
    "- [^1]: note",
    "1. [^2]: y",
    "   [^2]: y",
    "- c [^2] d",
    "> [^1]",
    "> - [^1]: z",
    "",
    "text[^1]",
    "  [^1]",
]


@settings(max_examples=300)
@given(st.lists(st.sampled_from(NOTES), max_size=8).map("\n".join), CHUNKS, st.sampled_from(sorted(STYLES)))
@example("- a\n- [^1]: note\n\n> [^1]", [5], "telegram")
def test_footnotes_in_lists_look_as_if_rendered_at_once(text, chunks, platform):
    assert_grows_as_if_at_once(text, STYLES[platform], ends_of(text, chunks))


def test_a_footnote_in_a_list_is_shown():
    assert telegram.render("- a[^1]\n- [^1]: note").text == "• a¹\n• ¹: note"


def grow(text, style, ends):
    growing = Pager(style)
    return [*[growing.pages(text[:end]) for end in ends], growing.pages(text, final=True)]


def unsettled(text, style, ends):
    """Grow a text of which nothing is kept from one update to the next, but for pages that are followed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pager, "boundaries", lambda _text, _start: iter(()))
        patch.setattr(pager, "heal", lambda text, _start=-1: heal(text))
        return grow(text, style, ends)


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("limit", [80, 300])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_pages_end_where_they_would_if_nothing_were_kept(name, limit, platform):
    text, style = DOCUMENTS[name], replace(STYLES[platform], limit=limit)
    ends = range(0, len(text) + 1, 7)
    assert grow(text, style, ends) == unsettled(text, style, ends)


@settings(max_examples=200)
@given(TEXTS, CHUNKS, st.sampled_from(sorted(STYLES)), st.integers(40, 200))
def test_pages_of_any_text_end_where_they_would_if_nothing_were_kept(text, chunks, platform, limit):
    style, ends = replace(STYLES[platform], limit=limit), ends_of(text, chunks)
    assert grow(text, style, ends) == unsettled(text, style, ends)


@dataclass(frozen=True, slots=True)
class CountingDraft:
    """Counts the characters that are written."""

    inner: Draft
    written: list[int]

    def then(self, blocks):
        self.written.append(sum(len(block.text) for block in blocks))
        return CountingDraft(self.inner.then(blocks), self.written)

    def shown(self):
        return self.inner.shown()

    def length(self):
        return self.inner.length()


def test_neither_a_followed_page_nor_what_is_settled_is_rendered_again():
    written: list[int] = []
    growing = Pager(replace(telegram.STYLE, draft=CountingDraft(telegram.STYLE.draft, written)))
    paragraph = len(LONG_PROSE.partition("\n\n")[0]) + 2
    updates = range(0, len(LONG_PROSE), 50)
    for end in updates:
        growing.pages(LONG_PROSE[:end])
    assert sum(written) < 1.2 * len(updates) * paragraph
    written.clear()
    growing.pages(LONG_PROSE, final=True)
    assert sum(written) < paragraph


def test_nothing_is_rendered_where_nothing_is_new():
    written: list[int] = []
    growing = Pager(replace(telegram.STYLE, draft=CountingDraft(telegram.STYLE.draft, written)))
    pages = growing.pages("some *text*")
    written.clear()
    assert growing.pages("some *text*") == pages
    assert written == []
    assert growing.pages("some *text", final=False) != growing.pages("some *text*", final=True, note="note")


OPENERS = {
    "backtick": "Press the ` key.",
    "two backticks": "Quote `` so.",
    "bracket": "see \\[ here",
    "formula in brackets": "see \\[ x^2 prose is here",
    "parenthesis": "see \\( x^2 prose",
    "two dollars": "It costs $$ x^2 prose",
    "dollar": "It costs $x^2 for",
    "stars": "a **b",
    "tildes": "a ~~b",
    "label": "a [b",
    "target": "a [b](http://x.y/",
    "fence": "so\n\n```py\nx",
    "closed code": "a `code\ntwo` b",
    "entity": "a &amp; ` b &amp;",
}
LAYOUTS = {"one line": (" ", " "), "lines": ("\n", "\n"), "list": ("\n  ", "\n  "), "quote": ("\n> ", "\n> "), "late": (" ", "\n")}


def numbered(opener, layout):
    """Return an opener that nothing closes and 1,500 numbered words."""
    join, line = LAYOUTS[layout]
    rows = [" ".join([f"w{number}" for number in range(first, first + 12)]) for first in range(0, 1500, 12)]
    words = (
        line.join(rows[:50]) + join + OPENERS[opener] + join + line.join(rows[50:])
        if layout == "late"
        else OPENERS[opener] + join + line.join(rows)
    )
    return {"list": "- ", "quote": "> "}.get(layout, "") + words


@pytest.mark.parametrize("platform", STYLES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("opener", OPENERS)
@pytest.mark.parametrize("step", [40, ENDLESS])
def test_what_nothing_closes_makes_no_word_come_twice(opener, layout, platform, step):
    text = numbered(opener, layout)
    growing = Pager(STYLES[platform])
    before: tuple[Rendered, ...] = ()
    for end in [*range(step, len(text), step), len(text)]:
        pages = growing.pages(text[:end], final=end == len(text))
        assert pages[: max(0, len(before) - 1)] == before[:-1], "a page that is followed has changed"
        before = pages
    assert re.findall(r"w\d+", "\n".join([page.text for page in before])) == [f"w{number}" for number in range(1500)]
