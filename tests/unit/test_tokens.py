"""The estimate errs on the high side. The counts are those of SmolLM2's own tokenizer."""

import pytest

from adapters.tokens import LEAST_RATIO, MEMORY_TOKENS, MOST_RATIO, Ratio, estimate, most, weight

COUNTED = {
    "The quick brown fox jumps over the lazy dog.": 10,
    "Die Donaudampfschifffahrtsgesellschaft übernimmt größere Verantwortung für die Überprüfung der Straßenverhältnisse.": 50,
    "Съешь же ещё этих мягких французских булок, да выпей чаю.": 55,
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה": 45,
    "我能吞下玻璃而不伤身体。今天天气很好，我们去公园散步吧。": 53,
    "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다.": 80,
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า": 59,
    "🦊🎉👩‍👩‍👧‍👦🇩🇪👍🏽😀🚀": 42,
    "| a | b |\n|---|---|\n" + "| 12 | x |\n" * 20: 172,
    "3.14159265358979323846264338327950288 2026-11-21 09:21:44": 57,
}


@pytest.mark.parametrize(("text", "tokens"), COUNTED.items(), ids=range(len(COUNTED)))
def test_the_estimate_is_not_below_the_count_and_below_its_double(text, tokens):
    assert tokens * 0.95 <= estimate(text) <= tokens * 2


@pytest.mark.parametrize("text", [*COUNTED, "", "a", "0", "\n", "é", "ก", "\uac00", "🦊", "\ud800", "Ab1 " * 100])
def test_the_quick_bound_is_never_below_the_estimate(text):
    assert most(text) >= estimate(text)


@pytest.mark.parametrize("text", COUNTED, ids=range(len(COUNTED)))
def test_the_weights_of_pieces_add_up_to_that_of_the_whole(text):
    pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
    assert sum(map(weight, pieces)) == pytest.approx(weight(text))
    assert weight(text) <= estimate(text) < weight(text) + 1


def test_no_text_is_no_tokens_and_any_text_is_some():
    assert estimate("") == 0
    assert estimate("a") == 1
    assert estimate("\ud800") >= 1


def test_more_text_is_never_fewer_tokens():
    text = "Grüße, 日本 🦊!\n" * 3
    sizes = [estimate(text[:end]) for end in range(len(text) + 1)]
    assert sizes == sorted(sizes)


def learned(*samples, start=None):
    start = start or Ratio()
    for estimated, reported in samples:
        start = start.learn(estimated, reported)
    return start.value


def test_what_a_model_reports_is_learned_and_long_prompts_weigh_more():
    assert Ratio().value == 1.0
    assert learned(*[(1_000, 700)] * 50) == pytest.approx(0.7, abs=0.01)
    assert learned((10, 40)) == pytest.approx(1.02, abs=0.02)  # one short question says little
    assert learned(*[(10, 30)] * 20, *[(10_000, 8_000)] * 5) == pytest.approx(0.81, abs=0.01)


@pytest.mark.parametrize(("reported", "ratio"), [(1, LEAST_RATIO), (10**9, MOST_RATIO)])
def test_what_is_learned_stays_within_bounds(reported, ratio):
    assert learned(*[(1_000, reported)] * 1_000) == pytest.approx(ratio, abs=0.03)


def test_a_model_that_was_exchanged_is_learned_anew():
    often = int(MEMORY_TOKENS) // 1_000
    old = Ratio()
    for _ in range(100 * often):
        old = old.learn(1_000, 600)
    assert learned(*[(1_000, 1_200)] * (3 * often), start=old) == pytest.approx(1.2, abs=0.05)


@pytest.mark.parametrize("sample", [(0, 10), (10, 0), (-5, 10)])
def test_what_says_nothing_is_not_learned(sample):
    assert learned(sample) == 1.0
