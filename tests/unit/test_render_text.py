"""Cleaning, widths and cuts of plain text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.render.text import clean, cluster_boundary, display_width, is_blank, utf16_length


@pytest.mark.parametrize(
    ("dirty", "cleaned"),
    [
        ("a\r\nb\rc", "a\nb\nc"),
        ("a\x00b\x1b[0m", "a\ufffdb\ufffd[0m"),
        ("\ud83d\ude00", "😀"),
        ("x\ud83d", "x\ufffd"),
        ("tab\tstays\n", "tab\tstays\n"),
    ],
)
def test_clean_leaves_only_what_platforms_take(dirty, cleaned):
    assert clean(dirty) == cleaned


@given(st.text())
def test_clean_text_can_be_encoded(text):
    assert len(clean(text).encode()) >= len(clean(text))
    assert utf16_length(clean(text)) == len(clean(text).encode("utf-16-le")) // 2


@pytest.mark.parametrize("cluster", ["👨‍👩‍👧‍👦", "e\u0301", "👍🏽", "1\ufe0f\u20e3", "🇩🇪", "\r\n"[1:], "각"])
def test_a_cut_never_splits_a_cluster(cluster):
    text = f"ab{cluster}{cluster}cd"
    safe = {0, 1, 2, 2 + len(cluster), 2 + 2 * len(cluster), 3 + 2 * len(cluster), 4 + 2 * len(cluster)}
    for at in range(len(text) + 1):
        assert cluster_boundary(text, at) in safe
        assert at - len(cluster) <= cluster_boundary(text, at) <= at


def test_a_cluster_without_end_is_cut_all_the_same():
    assert cluster_boundary("a" + "\u0301" * 1000, 500) == 500


@pytest.mark.parametrize(
    ("text", "width"),
    [("abc", 3), ("日本", 4), ("😀", 2), ("e\u0301", 1), ("é", 1), ("👨‍👩‍👧", 2), ("❤️", 2), ("1️⃣", 2), ("👍🏽", 2), ("🇩🇪", 2), ("☀️a", 3)],
)
def test_widths_are_columns(text, width):
    assert display_width(text) == width


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\u200b", "\u200d\ufe0f", "\u2800", "\u3164", "\u2060 \u00a0", "\u3000\u202e", "\u0301", "\U000e0041"]
)
def test_what_nobody_sees_is_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", [".", " a", "\u200ba", "e\u0301", "漢", "👍\ufe0f", "\ufffd"])
def test_what_is_seen_is_not_blank(text):
    assert not is_blank(text)
