"""Reasoning is taken out of an answer wherever the tags are cut."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.thinking import ThinkSplitter, split_whole


def split(*pieces, inside=False):
    splitter = ThinkSplitter(inside=inside)
    parts = [splitter.feed(piece) for piece in pieces] + [splitter.end()]
    return "".join(part.text for part in parts), "".join(part.reasoning for part in parts)


CASES = [
    ("Hello", "Hello", ""),
    ("<think>hm</think>Hello", "Hello", "hm"),
    ("\n <think>\nhm\n</think>\n\nHello", "Hello", "\nhm\n"),
    ("<think></think>Hello", "Hello", ""),
    ("<think>never closed", "", "never closed"),
    ("<think>a < b </thin</think>x", "x", "a < b </thin"),
    ("<thinker> is no tag", "<thinker> is no tag", ""),
    ("Say <think>x</think> in code", "Say <think>x in code", ""),
    ("Use `</think>` to close", "Use `</think>` to close", ""),
    ("hm</think>Hello", "hmHello", ""),
    ("<think>a</think>b</think>c", "b</think>c", "a"),
    ("a <", "a <", ""),
    ("<thi", "<thi", ""),
    ("  ", "  ", ""),
    ("", "", ""),
]


@pytest.mark.parametrize(("whole", "text", "reasoning"), CASES)
def test_every_cut_gives_the_same_split(whole, text, reasoning):
    assert split(whole) == (text, reasoning)
    assert split(*whole) == (text, reasoning)
    for cut in range(len(whole)):
        assert split(whole[:cut], whole[cut:]) == (text, reasoning)


def test_a_model_whose_prompt_opened_the_block_starts_inside():
    assert split("hm</th", "ink>\nHello", inside=True) == ("Hello", "hm")


def test_a_whole_answer_with_a_lone_closing_tag_is_split_there():
    assert split_whole("hm</think>\nHello") == ("Hello", "hm")
    assert split_whole("Use `</think>` to close") == ("Use `</think>` to close", "")
    assert split_whole("<think>hm</think>Hello") == ("Hello", "hm")


@settings(max_examples=500)
@given(st.lists(st.sampled_from(["<", "</", "think", "think>", "<think>", "</think>", "`", " ", "\n", "x", "yz"]), max_size=12), st.data())
def test_nothing_depends_on_where_the_pieces_are_cut(parts, drawn):
    whole = "".join(parts)
    cuts = sorted(drawn.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert split(*pieces) == split(whole)


@settings(max_examples=500)
@given(st.text(alphabet="ab <>/`\nthink"))
def test_an_answer_without_whole_tags_is_untouched(text):
    if "<think>" not in text and "</think>" not in text:
        assert split(*text) == (text, "")
