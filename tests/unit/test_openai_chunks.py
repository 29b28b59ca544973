"""The short way through a stream says what the long way says, whatever comes."""

import json
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.base import Finished, TextDelta
from adapters.http import Budgets
from adapters.openai_answer import Answer
from adapters.openai_chunks import CHEAP_BYTES, MOST_LESSONS, Shortcut
from adapters.openai_compatible import _Reading
from adapters.openai_vendors import GENERIC
from adapters.openai_wire import read_piece
from adapters.sse import EVENT_BYTES, Decoder

FIELDS = ("reasoning_content", "reasoning")
HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}


def chunk(delta, **more):
    return {**HEAD, "choices": [{"index": 0, "delta": delta, "finish_reason": None}], **more}


def event(data, **how):
    return b"data: " + json.dumps(data, **how).encode() + b"\n\n"


def long_way(raw):
    decoder = Decoder()
    return "".join(read_piece(json.loads(found.data), FIELDS).text for found in decoder.feed(raw))


def taught(*chunks):
    shortcut = Shortcut(FIELDS)
    for raw in chunks:
        shortcut.learn(raw)
    return shortcut


@given(st.lists(st.text(min_size=1), min_size=1, max_size=6), st.booleans(), st.sampled_from([None, (",", ":")]))
def test_any_texts_of_one_form_read_as_the_long_way_reads_them(texts, ascii_only, separators):
    shortcut = taught(event(chunk({"content": "once"}), ensure_ascii=ascii_only, separators=separators))
    texts = [text.encode(errors="replace").decode() for text in texts]
    raw = b"".join(event(chunk({"content": text}), ensure_ascii=ascii_only, separators=separators) for text in texts)
    assert shortcut.text(raw) == "".join(texts) == long_way(raw)


ODD = [
    b"a",
    b" word",
    b"\\n",
    b"\\",
    b'"',
    b'\\"',
    b",",
    b"\n",
    b"\xc3",
    b"\xa9",
    b"\xc3\xa9",
    b"\\ud83d",
    b"\\ude00",
    b"\xed\xa0\xbd",
    b"[",
    b"]",
    b"\x00",
]


@given(st.lists(st.lists(st.sampled_from(ODD), min_size=1, max_size=3).map(b"".join), min_size=2, max_size=5), st.sampled_from([1, 12]))
def test_many_events_that_came_together_read_as_one_by_one_or_take_the_long_way(middles, times):
    known = event(chunk({"content": "once"}))
    head, tail = known.split(b"once")
    raw = b"".join(head + middle + tail for middle in middles * times)
    said = taught(known).text(raw)
    if said:
        assert said == long_way(raw)


def test_the_text_between_and_its_neighbours_is_found_where_long_reads_are_cut():
    known = event(chunk({"content": "once"}))
    head, tail = known.split(b"once")
    for size in range(CHEAP_BYTES // 2, CHEAP_BYTES * 2, 7):
        parts = [b"x" * size, b"y" * 5, b"z" * size, *[b"w"] * 40]
        raw = b"".join(head + part + tail for part in parts)
        assert taught(known).text(raw) == b"".join(parts).decode() == long_way(raw)


@given(st.binary(max_size=40))
def test_bytes_that_are_no_text_take_the_long_way(middle):
    known = event(chunk({"content": "once"}))
    head, tail = known.split(b"once")
    said = taught(known).text(head + middle + tail)
    if said:
        assert said == long_way(head + middle + tail)


@pytest.mark.parametrize(
    "other",
    [
        chunk({"content": "x"}, usage={"completion_tokens": 1}),
        chunk({"content": "x", "refusal": "no"}),
        chunk({"reasoning_content": "x"}),
        chunk({"role": "assistant", "content": ""}),
        {**HEAD, "choices": [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]},
        {**HEAD, "choices": [{"index": 1, "delta": {"content": "x"}}]},
        {"error": {"message": "overloaded", "content": "x"}},
        chunk({"content": "x"}, error={"message": "overloaded"}),
        chunk({"content": "x"}, object="error"),
        {**HEAD, "choices": [], "content": "x"},
    ],
)
def test_a_chunk_that_brings_anything_else_is_neither_learned_nor_taken(other):
    assert taught(event(other)).text(event(other)) == ""
    assert taught(event(chunk({"content": "once"}))).text(event(other)) == ""


@pytest.mark.parametrize(
    "data", [chunk({"content": "x"}), chunk({"role": "assistant", "content": "x"}), {**HEAD, "choices": [{"index": 0, "text": "x"}]}]
)
def test_the_forms_of_text_are_learned(data):
    assert taught(event(data)).text(event(data) * 3) == "xxx"


def test_a_part_of_an_event_two_that_are_cut_and_one_with_a_name_take_the_long_way():
    known = event(chunk({"content": "once"}))
    shortcut = taught(known)
    for raw in (known[:-1], known[1:], known + known[:-1], b"event: error\n" + known, known + b"data: [DONE]\n\n", known + b": ping\n\n"):
        assert shortcut.text(raw) == ""
    assert shortcut.text(known + known) == "onceonce"


def test_an_event_over_the_limit_takes_the_long_way():
    known = event(chunk({"content": "once"}))
    assert taught(known).text(known.replace(b"once", b"x" * EVENT_BYTES)) == ""


def test_a_form_that_changes_all_the_time_is_given_up_and_one_with_a_clock_is_not():
    shortcut = taught(*[event({**chunk({"content": "x"}), "id": str(number)}) for number in range(MOST_LESSONS)])
    last = event(chunk({"content": "x"}))
    shortcut.learn(last)
    assert shortcut.text(last) == ""
    clock = taught()
    for second in range(5 * MOST_LESSONS):
        raw = event({**chunk({"content": "x"}), "created": second})
        clock.learn(raw)
        assert [clock.text(raw) for _ in range(20)] == ["x"] * 20


def test_a_text_that_quotes_the_form_around_it_is_text():
    known = event(chunk({"content": "once"}))
    head, tail = known.split(b"once")
    quoted = (head + tail).decode().strip() + '"content": "more"'
    assert taught(event(chunk({"content": quoted}))).text(event(chunk({"content": quoted + "!"}))) == quoted + "!"
    assert taught(known).text(event(chunk({"content": quoted}))) == quoted


class Pieces:
    """An answer's body that comes in these pieces."""

    status, cut, content_type = 200, False, "text/event-stream"

    def __init__(self, pieces):
        self.headers: dict[str, str] = {}
        self._pieces = [piece for piece in pieces if piece]

    async def peek(self, deadline):
        return self._pieces[0] if self._pieces else b""

    async def next_chunk(self, deadline, lull=0.0):
        return self._pieces.pop(0) if self._pieces else b""


async def read(pieces):
    reading = _Reading(cast(Any, None), cast(Any, Pieces(pieces)), Answer(), GENERIC, budgets=Budgets(), began=0.0, private=())
    events = []
    while not reading.over:
        events += await reading.more()
    return events


@given(
    st.lists(st.text('ab <>/think"\\\n\u00e9\u200d\U0001f98a', min_size=1, max_size=12), min_size=1, max_size=30),
    st.lists(st.integers(0, 9000), max_size=12),
)
async def test_however_the_events_are_cut_the_answer_is_what_was_said(texts, cuts):
    said = [event(chunk({"role": "assistant", "content": "S"})), *(event(chunk({"content": text}), ensure_ascii=False) for text in texts)]
    end = event({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}) + b"data: [DONE]\n\n"
    body = b"".join([*said, end])
    places = sorted({0, len(body), *(cut % len(body) for cut in cuts)})
    slices = [body[begin:stop] for begin, stop in pairwise(places)]
    for pieces in (slices, [*said, end]):
        events = await read(pieces)
        assert isinstance(events[-1], Finished)
        text = "".join(found.text for found in events if isinstance(found, TextDelta))
        assert text == "".join(found.text for found in await read([body]) if isinstance(found, TextDelta))


async def test_an_event_whose_name_came_in_the_bytes_before_takes_the_long_way():
    known = event(chunk({"content": "x"}))
    end = event({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    said = [found.text for found in await read([known, known, b"event: ping\n", known, end]) if isinstance(found, TextDelta)]
    assert "".join(said) == "xx"


async def test_text_that_came_together_is_one_piece():
    first = event(chunk({"role": "assistant", "content": "S"}))
    texts = [event(chunk({"content": text})) for text in ("a", "b", "c")]
    end = event({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    for pieces in ([first, b"".join(texts), end], [first, texts[0], texts[1] + texts[2], end]):
        said = [found.text for found in await read(pieces) if isinstance(found, TextDelta)]
        assert "".join(said) == "Sabc"
        assert len(said) == len(pieces) - 1


async def test_of_the_last_words_and_the_end_that_come_together_only_the_end_goes_the_long_way(monkeypatch: pytest.MonkeyPatch) -> None:
    known, end = event(chunk({"content": "a word "})), event({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    rest = end + b"data: [DONE]\n\n"
    fed, feed = [], Decoder.feed

    def noted(decoder: Decoder, raw: bytes) -> Any:
        fed.append(raw)
        return feed(decoder, raw)

    monkeypatch.setattr(Decoder, "feed", noted)
    events = await read([known, known, known * 8 + rest])
    assert "".join(found.text for found in events if isinstance(found, TextDelta)) == "a word " * 10
    assert fed == [known, known, rest], "a form is learned once the stream has begun"
    assert isinstance(events[-1], Finished)


@pytest.mark.parametrize("others", [b"", b"data: {", b": ping\n\n"])
def test_what_leads_ends_where_an_event_ends(others):
    known = event(chunk({"content": "x"}))
    assert taught(known).leading(known * 3 + others) == (len(known) * 3 if others else 0)
    assert taught(known).leading(b": ping\n\n" + known + others) == 0
    assert taught().leading(known + others) == 0


@pytest.mark.parametrize(
    "nothing", [b":\n\n", b"data: {}\n\n", event(chunk({"content": ""}))], ids=["comments", "empty objects", "empty texts"]
)
async def test_events_that_teach_nothing_are_not_cut_off_one_by_one(nothing, monkeypatch):
    first = event(chunk({"role": "assistant", "content": "S"}))
    end = event({**HEAD, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    asked, lesson = [], Shortcut.lesson

    def counted(self, read):
        asked.append(len(read))
        return lesson(self, read)

    monkeypatch.setattr(Shortcut, "lesson", counted)
    said = await read([first, nothing * 1000, end])
    assert isinstance(said[-1], Finished)
    assert len(asked) <= 4, "once a read"
