"""Half-written Markdown never shows its raw signs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.render import telegram
from bot.render.formula import complete
from bot.render.heal import heal
from bot.render.text import clean
from tests.support.documents import ANSWER, DOCUMENTS

# Documents that show these signs on purpose, in code or escaped, when they are whole.
_SHOWS_SIGNS = {"odd", "inline", "code", "latex", "markdown in fence", "mentions"}


@pytest.mark.parametrize(
    ("half", "healed"),
    [
        ("a **b", "a **b**"),
        ("a **b*", "a **b**"),
        ("***a**", "***a***"),
        ("a **", "a"),
        ("a *b _c", "a *b _c_*"),
        ("**a `b", "**a `b`**"),
        ("~~a", "~~a~~"),
        ("a ``x`", "a ``x``"),
        ("[a](http://exa", "[a]()"),
        ("[**a", "[**a**]()"),
        ("![a", "![a]()"),
        ("a <thi", "a"),
        ("a [b](<http://x.y/ a", "a [b]()"),
        ("a [b](http://x.y 'tit", "a [b]()"),
        ("a[^1", "a"),
        ("a\n- **", "a"),
        ("a\n- <thi", "a"),
        ("a\n- `", "a"),
        ("| a |\n|---|\n| b |\n| `", "| a |\n|---|\n| b |"),
        ("a[^", "a"),
        ("- a\n- ", "- a"),
        ("- [", ""),
        ("foo\n-", "foo"),
        ("# ", ""),
        ("```py\nx\n``", "```py\nx\n```"),
        ("- ```py\n  x", "- ```py\n  x\n  ```"),
        ("> ```\n> x", "> ```\n> x\n> ```"),
        ("[x]: http://exa", "[x]:"),
        ("a [x]\n\n> [x]: h", "a [x]\n\n> [x]:"),
        ("は**「重", "は**「重**"),
        ("は**「重」*", "は**「重」**"),
        ("**注意：**请", "**注意：**请"),
        ("**Note:**do", "**Note:**do"),
        ("| a | b |\n|--", "| a | b |\n|---|---|"),
        ("| a |\n|---|\n| b |\n| ", "| a |\n|---|\n| b |"),
    ],
)
def test_half_written_markup_is_closed_or_held_back(half, healed):
    assert heal(half) == healed


@pytest.mark.parametrize(
    "whole",
    [
        "a **b** c",
        "```py\nx\n```",
        "x * y",
        "foo_bar",
        "42.",
        "takes ~5 s",
        "[a](http://x) b",
        "a \\*b",
        "use `**x` so",
        "[a](<http://x.y/ a>) b",
        "a[i](see a note) b",
        "a[^1] b",
        "[x]: http://x\n\na",
    ],
)
def test_whole_markup_stays_as_it_is(whole):
    assert heal(whole) == whole


@pytest.mark.parametrize("name", [name for name in DOCUMENTS if name not in _SHOWS_SIGNS])
def test_no_prefix_shows_raw_signs(name):
    document = DOCUMENTS[name]
    for end in range(len(document) + 1):
        assert not re.search(r"\*\*|~~|```|\]\(", telegram.render(document[:end]).text), document[max(0, end - 60) : end]


@pytest.mark.parametrize("end", range(len("[x]: https://exa.mple")))
def test_a_half_written_definition_is_no_target(end):
    assert telegram.render("see [x]\n\n" + "[x]: https://exa.mple"[:end]).entities == ()


def test_a_whole_definition_is_a_target():
    assert telegram.render("see [x]\n\n[x]: https://exa.mple\n").entities[0].url == "https://exa.mple"


def test_healing_changes_only_the_end():
    for end in range(len(ANSWER) + 1):
        assert heal(ANSWER[:end]).startswith(ANSWER[: max(0, end - 60)].rstrip())


@settings(max_examples=150)
@given(st.text(alphabet="ab *_~`[]()<>!#-+=|\\\n1.:$", max_size=80))
def test_healing_takes_any_text(text):
    healed = heal(clean(text))
    assert isinstance(healed, str)
    assert len(healed) <= 4 * len(text) + 8


@pytest.mark.parametrize(
    "piece",
    [
        "$ ",
        "$a ",
        "$x^2 ",
        "$$ ",
        "\\(word ",
        "\\[word ",
        "\\(} ",
        "$5 for a `$HOME` ",
        "| Tea | $4.50 |\n",
        'echo "$HOME/$USER"\n',
        "\\alpha ",
    ],
)
def test_a_text_full_of_dollars_is_looked_at_a_bounded_number_of_times(piece, monkeypatch):
    looked_at = []

    def counted(text, start):
        looked_at.append(len(text) - start)
        return complete(text, start)

    monkeypatch.setattr("bot.render.heal.complete", counted)
    text = piece * (10_000 // len(piece))
    heal(text)
    assert sum(looked_at) <= 2 * len(text), f"{len(looked_at)} times"


@pytest.mark.parametrize("before", ["It costs \\$5. ", "\\[1\\] says ", "`$x` ", "$x$ is ", "A \\(x\\) "])
@pytest.mark.parametrize(("half", "healed"), [("$x^2 + ", "$x^2$"), ("\\(x^2 + ", "\\(x^2\\)"), ("$$\\frac{a}{b", "$$\\frac{a}{b}$$")])
def test_a_formula_behind_other_signs_is_closed(before, half, healed):
    assert heal(before * 20 + half) == before * 20 + healed
