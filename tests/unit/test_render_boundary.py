"""Where a growing text divides into what is settled and what may still change."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.render.boundary import boundaries, last_boundary
from bot.render.markdown import read
from bot.render.mask import holds_stand_in
from tests.support.documents import DOCUMENTS, LONG_DOCUMENTS

ALL = {**DOCUMENTS, **LONG_DOCUMENTS}
# One line each of what may open, go on or close: fences in and outside of lists and quotes, items, tables, code, HTML, emphasis.
LINES = [
    *["", "", "", "a", "  text", "    code", "\ta", "**b", "*a*\\", "\\", "# h", "---", "===", "$$", "x $y$", "| a | b |", "|---|---|"],
    *[
        "- a",
        "* b",
        "1. x",
        "2) y",
        "  - c",
        "   1. z",
        "-",
        "1.",
        "+ ~~~",
        "- ```",
        "> q",
        "> ```",
        "  > q",
        "[x]",
        "12",
        "\\[",
        "\\]",
        "$5 a",
        "\\frac{a",
        "+ $x",
        "$$ y",
    ],
    *[
        "```",
        "```py",
        "   ```",
        "  ```",
        " ~~~",
        "~~~",
        "````",
        "<div>",
        "</div>",
        "<!--",
        "-->",
        "<pre>",
        "</pre>",
        "\u2e45div>",
        "\u1680",
    ],
]


def assert_divides(text):
    """Read a text as a whole and in its parts, and every prefix of it for places."""
    if holds_stand_in(text):
        assert last_boundary(text) == 0, "HTML may go on over empty lines"
        return
    seen: list[int] = []
    for end in range(len(text) + 1):
        found = list(boundaries(text[:end]))
        assert found[: len(seen)] == seen, "a place vanished"
        for start in seen[-1:]:
            assert list(boundaries(text[:end], start)) == [place for place in found if place > start]
        seen = found
    parts = [text[start:end] for start, end in zip([0, *seen], [*seen, len(text)], strict=True)]
    assert read(text) == [block for part in parts for block in read(part)]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a\n\nb\n\n\nc", ["a\n\n", "b\n\n\n", "c"]),
        ("a\nb", ["a\nb"]),
        ("a\n\n  b", ["a\n\n  b"]),
        ("# a\n\n```\nx\n\ny\n```\n\nb", ["# a\n\n", "```\nx\n\ny\n```\n\n", "b"]),
        ("```\nx\n\ny", ["```\nx\n\ny"]),
        ("- a\n\n- b\n\nc", ["- a\n\n- b\n\n", "c"]),
        ("1. a\n\n   ```\n   x\n\n   y\n   ```\n\nc", ["1. a\n\n   ```\n   x\n\n   y\n   ```\n\n", "c"]),
        ("1. a\n\n   ```\n   x\n\nc", ["1. a\n\n   ```\n   x\n\nc"]),
        ("a\n\n-", ["a\n\n-"]),
        ("a\n\n12", ["a\n\n12"]),
        ("a\n\n-b", ["a\n\n", "-b"]),
        ("a\n\n12 b", ["a\n\n", "12 b"]),
        ("> a\n\n> b", ["> a\n\n", "> b"]),
    ],
)
def test_a_text_divides_at_blocks_that_nothing_joins(text, parts):
    found = list(boundaries(text))
    assert [text[start:end] for start, end in zip([0, *found], [*found, len(text)], strict=True)] == parts
    assert last_boundary(text) == ([0, *found])[-1]


@pytest.mark.parametrize("name", [name for name, text in ALL.items() if "]:" not in text])  # definitions reach over places
def test_the_parts_of_a_document_read_as_the_whole(name):
    text = ALL[name]
    places = [0, *boundaries(text), len(text)]
    assert read(text) == [block for start, end in pairwise(places) for block in read(text[start:end])]


@settings(max_examples=600)
@given(st.lists(st.sampled_from(LINES), max_size=12).map("\n".join))
def test_the_parts_of_any_text_read_as_the_whole(text):
    assert_divides(text)
