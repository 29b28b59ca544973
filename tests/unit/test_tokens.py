"""The estimate errs on the high side. The counts are those of SmolLM2's own tokenizer."""

import pytest

from adapters.tokens import estimate, most

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


def test_no_text_is_no_tokens_and_any_text_is_some():
    assert estimate("") == 0
    assert estimate("a") == 1
    assert estimate("\ud800") >= 1


def test_more_text_is_never_fewer_tokens():
    text = "Grüße, 日本 🦊!\n" * 3
    sizes = [estimate(text[:end]) for end in range(len(text) + 1)]
    assert sizes == sorted(sizes)
