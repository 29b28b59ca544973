"""A growing list reads as if it were read at once, and of it only the last item is read again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.render.items import Items
from bot.render.markdown import read

BULLETS = ["- a", "- **b** c", "- `d`", "- 😀 e", "  - in", "    deep", "  text", "- [ ] f", "- > g"]
NUMBERS = ["1. one", "2. **two**", "9. nine", "10. ten", "   - in", "    deep", "  - out"]
FORMULAS = [
    "- $x$",
    "- if $\\Delta > 0$, **two**",
    "- a \\(y_1\\) b",
    "- $5",
    "- $x",
    "- $\\frac{a",
    "- y$",
    "  $z$",
    "- \\[x\\]",
    "- {",
    "- $a$ and $b",
    "- \\$",
]
OTHERS = [
    "* b",
    "+ c",
    "3) d",
    "lazy",
    "",
    "- ",
    "---",
    "- - -",
    "```",
    "  ```",
    "- a $x",
    "- y$",
    "***",
    "# h",
    "  ===",
    "[x]: y",
    "- [x]",
]
LINES = (
    st.lists(st.sampled_from(BULLETS))
    | st.lists(st.sampled_from([*FORMULAS, *BULLETS[:3]]))
    | st.lists(st.sampled_from(NUMBERS))
    | st.lists(st.sampled_from([*BULLETS, *NUMBERS, *OTHERS]))
)


@settings(max_examples=300)
@given(LINES.map("\n".join), st.integers(1, 20), st.none() | st.integers(1, 9))
def test_every_prefix_of_a_list_reads_as_if_read_at_once(text, step, number):
    items = Items()
    for end in range(0, len(text) + step, step):
        assert items.read(text[:end], number) == read(text[:end], number=number)


@pytest.mark.parametrize("item", ["- some **words** here\n", "- $x_1$ and $\\beta$\n", "1. some `code` here\n   - and *more*\n"])
def test_items_that_others_follow_are_read_twice_at_most(item, monkeypatch):
    parsed = 0

    def counted(text, **options):
        nonlocal parsed
        parsed += len(text)
        return read(text, **options)

    monkeypatch.setattr("bot.render.items.read", counted)
    items, text = Items(), item * 50
    for end in range(len(item), len(text) + 1, len(item)):
        items.read(text[:end], None)
    assert len(text) <= parsed <= 2 * len(text)
