"""What is read without the parser reads as the parser reads it, and the usual text is read so."""

from __future__ import annotations

from itertools import cycle, pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bench.documents import DOCUMENTS as USUAL
from bot.render import fastpath
from bot.render.boundary import boundaries
from bot.render.formula import formulas_in
from bot.render.heal import heal
from bot.render.markdown import read
from tests.support.documents import DOCUMENTS
from tests.unit.test_render_boundary import LINES

INLINE = [
    *(
        "word",
        "a b",
        "中文",
        "é",
        "😀 ",
        "1",
        "s_n",
        " ",
        " ",
        "  ",
        ",",
        ".",
        ":",
        "!",
        "(",
        ")",
        "“",
        "”",
        "，",
        "（",
        "）",
        "\u00a0",
        "\u3000",
    ),
    *(
        "`c`",
        "`a b`",
        "``",
        "`",
        "`x*y`",
        "`$x`",
        "` `",
        "`a\\`",
        "**b**",
        "**b c**",
        "**b:**",
        "**`c` d**",
        "*i*",
        "***bi***",
        "~~s~~",
        "~",
    ),
    *(
        "**",
        "*",
        "***",
        "_",
        "_i_",
        "__",
        "[l](https://e.org/a_b)",
        "[l](http://e.org)",
        "[l]()",
        "[l](x)",
        "[l]",
        "![i](https://e.org)",
        "](",
    ),
    *(
        "$x$",
        "$y^2$",
        "($z$)",
        "$5",
        "$5 and $6",
        "$\\alpha$",
        "\\(x\\)",
        "\\[y\\]",
        "$$x = 1$$",
        "$$",
        "\\",
        "\\*",
        "{",
        "}",
        "\u0301",
        "\u200b",
    ),
    *(
        "<",
        "< 3",
        "<b>",
        "<https://e.org>",
        "&",
        "& ",
        "&amp;",
        "@here",
        "https://e.org/a_b",
        "#",
        "|",
        "-",
        "+",
        "1.",
        "\t",
        "\u2e47",
        "\u1680",
    ),
]
BLOCKS = [
    *(
        "\n",
        "\n",
        "\n\n",
        "\n\n",
        "\n- ",
        "\n- a\n- b",
        "\n  - ",
        "\n    - ",
        "\n* ",
        "\n1. ",
        "\n2. ",
        "\n   - ",
        "\n# ",
        "\n### h\n",
        "\n> ",
        ">",
    ),
    *(
        "\n```py\nx = 1\n```\n",
        "\n```\n$a$ *b*\n> c\n```",
        "\n```",
        "\n~~~\n",
        "\n---\n",
        "\n***\n",
        "\n===\n",
        "\n    ",
        "  \n",
        "\n| ",
        " |",
    ),
    *(
        "\n\n| a | b |\n|---|:-:|\n",
        "| c | d |\n",
        "| e\n",
        "| e | f | g |\n",
        "| $x | y$ |\n",
        "| 5$| z$ |\n",
        "|-|\n",
        "\n\n$$\nx = 1\n$$\n\n",
        "\n$$\n> y\n$$",
        "\n\\[\n+ z\n\\]\n",
    ),
    *(
        "\n- [ ] t",
        "\n[x]: https://e.org\n",
        "[x]",
        "\n[^1]: n",
        "[^1]",
        "\n<div>\n",
        "\n- a $x\n- b$",
        "\n10. j",
        "\n- a: `b`\n  - c",
        "\n2) b",
    ),
]
TEXTS = (
    st.lists(st.sampled_from([*INLINE, *BLOCKS]), max_size=12).map("".join)
    | st.lists(st.sampled_from(INLINE[:40]), max_size=8).map("".join)
    | st.lists(st.sampled_from(LINES), max_size=10).map("\n".join)
)


def by_the_parser(text, number):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fastpath, "blocks", lambda *_arguments: None)
        return read(text, number=number)


def quickly(text, number=None):
    return fastpath.blocks(text, number, formulas_in(text))


@settings(max_examples=2000)
@given(TEXTS, st.none() | st.integers(1, 9))
@example("a **(b)** c", None)
@example("| a | b |\n|---|---|\n| x = 5$| y$ |", None)
@example("| a | b |\n|---|---|\n| \n| c | d |", None)
@example("$$\n> **n:** q\n$$", None)
def test_what_is_read_quickly_reads_as_the_parser_reads_it(text, number):
    assert read(text, number=number) == by_the_parser(text, number)


@settings(max_examples=600)
@given(TEXTS, st.lists(st.integers(1, 20), min_size=1, max_size=10), st.sampled_from(["", "word ", "> ", "# "]))
@example("`a*b` **c** *d* x", [7, 1], "")
def test_a_line_that_grows_reads_as_if_read_at_once(text, steps, before):
    text, known, end = before + text, fastpath.Known(), 0
    for step in cycle(steps):
        end += step
        assert fastpath.blocks(text[:end], None, formulas_in(text[:end]), known) == quickly(text[:end])
        if end >= len(text):
            break


def test_of_a_line_that_grows_only_the_end_is_read_again(monkeypatch):
    looked_at, text, known = 0, "Some **bold** words, `code` and *so on*. " * 30, fastpath.Known()
    whole = fastpath._INLINE

    class Counting:
        def findall(self, line, start=0):
            nonlocal looked_at
            looked_at += len(line) - start
            return whole.findall(line, start)

    monkeypatch.setattr(fastpath, "_INLINE", Counting())
    for end in range(41, len(text), 41):
        assert fastpath.blocks(text[: end - 1], None, (), known)
    assert looked_at < 3 * len(text)


@pytest.mark.parametrize("name", [*USUAL, *DOCUMENTS])
def test_every_prefix_of_a_document_reads_as_the_parser_reads_it(name):
    text = {**DOCUMENTS, **USUAL}[name]
    for end in range(0, len(text) + 1, 3):
        healed = heal(text[:end])
        start = max([0, *boundaries(healed)])
        assert read(healed[start:]) == by_the_parser(healed[start:], None)


@pytest.mark.parametrize("name", USUAL)
def test_most_of_a_usual_answer_is_read_quickly(name):
    text = USUAL[name]
    places = [0, *boundaries(text), len(text)]
    parts = [text[start:end] for start, end in pairwise(places)]
    assert sum(len(part) for part in parts if quickly(part)) > 0.8 * len(text)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "text",
            "a\nb",
            "# h",
            "#### **h** `c`",
            "- a\n- b",
            "* a\n  * b\n* c",
            "1. a\n   - b\n2. c",
            "7. a",
            "> q",
            "---",
            "a\n- b",
            "a\n# b",
        ),
        *("**a** b", "x *a*, (**b**)", "~~a~~", "`a`", "**`a` b**", "[a](https://e.org)", "[a]()", "中**文**字", "a_b", "R & D < 5"),
        *("```\na\n```", "```py\n$x *y\n```\n\nb", "| a | b |\n|-|:-:|\n| c | `d` |\n| e", "$x$ and $y$, $5", "$$\nx\n$$", "- $x$\n- $y$"),
    ],
)
def test_what_can_mean_one_thing_only_is_read_quickly(text):
    assert quickly(text) == by_the_parser(text, None)


@pytest.mark.parametrize(
    "text",
    [
        *(
            "a  \nb",
            "    a",
            "a\n===",
            "a\n---",
            "- a\nb",
            "- a\n\n- b",
            "- a\n\n  b",
            "- a\n+ b",
            "1. a\n- b",
            "- a\n 1. b",
            "- a\n  2. b",
            "a\n2. b",
        ),
        *(
            "- a\n      - b",
            "- a\n    - b\n  - c",
            "> a\nb",
            "> - a",
            "- # a",
            "- ",
            "- [ ] a",
            "# a #",
            "```\na",
            "~~~\na\n~~~",
            "a | b\n--|--",
            "\ta",
        ),
        *(
            "| a | b |\n|---|\n| c |",
            "| a |\n|---|\n| b | c |",
            "| a \\| b |\n|---|",
            "| a\n|---|",
            "| [a](https://e.org) |\n|---|",
            "a\n| b |\n|---|",
        ),
        *(
            "**a",
            "a**(b)**c",
            "**a *b* c**",
            "*a**b*",
            "_a_",
            "__a__",
            "``a``",
            "`a*b`",
            "` a `",
            "~a~",
            "a\\*b",
            "&amp;",
            "<b>",
            "[a]",
            "![a](b)",
        ),
        *(
            "[a](b)",
            "[a](https://localhost)",
            "[*a*](https://e.org)",
            "$x$ {",
            "\u2e47",
            "a\u1680b",
            "- $$\nx\n$$",
            "[a]: https://e.org",
            "[^1]",
        ),
    ],
)
def test_what_is_not_certain_is_left_to_the_parser(text):
    assert quickly(text) is None
