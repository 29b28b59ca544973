"""The event-stream decoder against the WHATWG grammar and a plain reference."""

import json
import os
import random
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.sse import EVENT_BYTES, Decoder, EventTooLarge, ServerEvent


def decode(*chunks, end=True):
    decoder = Decoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    return events + (decoder.end() if end else [])


def data(*chunks, **more):
    return [event.data for event in decode(*chunks, **more)]


def reference(stream: bytes) -> list[ServerEvent]:
    """The grammar, read off the specification: whole text at once, one line after the other."""
    text = stream.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace").replace("\r\n", "\n").replace("\r", "\n")
    events: list[ServerEvent] = []
    lines: list[str] = []
    name = ""
    for line in text.split("\n")[:-1]:
        if not line:
            if lines:
                events.append(ServerEvent("\n".join(lines), name))
            lines, name = [], ""
            continue
        if line.startswith(":"):
            continue
        key, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if key == "data":
            lines.append(value)
        if key == "event":
            name = value
    return events


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\n", ["a"]),
        (b"data:a\n\ndata:  b\n\n", ["a", " b"]),
        (b"data: a\ndata: b\n\n", ["a\nb"]),
        (b"data: a\r\n\r\ndata: b\r\rdata: c\n\r\n", ["a", "b", "c"]),
        (b"\xef\xbb\xbfdata: a\n\n", ["a"]),
        (b": OPENROUTER PROCESSING\n\n:\n\ndata: a\n\n", ["a"]),
        (b"id: 1\nretry: 5\nnonsense\ndata: a\n\n", ["a"]),
        (b"data\n\n", [""]),
        (b"event: x\n\ndata: a\n\n", ["a"]),
        (b"data: [DONE]\n\n", ["[DONE]"]),
        ("data: ¿🦊?\n\n".encode(), ["¿🦊?"]),
        (b"data: \xff\n\n", ["\N{REPLACEMENT CHARACTER}"]),
    ],
)
def test_every_cut_of_the_grammars_forms_gives_the_same_events(stream, expected):
    assert data(stream) == expected
    assert data(*(bytes([byte]) for byte in stream)) == expected
    for cut in range(len(stream)):
        assert data(stream[:cut], stream[cut:]) == expected


def test_an_events_name_is_kept_and_does_not_reach_the_next():
    assert decode(b"event: error\ndata: a\n\ndata: b\n\n") == [ServerEvent("a", "error"), ServerEvent("b", "")]


@pytest.mark.parametrize(
    ("tail", "expected"), [(b'data: {"a": 1}', ['{"a": 1}']), (b'data: {"a": 1}\n', ['{"a": 1}']), (b"data: [DONE]", ["[DONE]"])]
)
def test_a_whole_event_at_the_end_needs_no_blank_line(tail, expected):
    assert data(b"data: 0\n\n", tail) == ["0", *expected]


@pytest.mark.parametrize("tail", [b'data: {"a": ', b"data: half a wo", b"dat", b": comment", b""])
def test_half_an_event_at_the_end_is_dropped(tail):
    assert data(b"data: 0\n\n", tail) == ["0"]


def test_an_event_of_700_kb_in_small_chunks_is_read_in_linear_time():
    text = json.dumps({"t": "x" * 700_000}).encode()
    stream = b"data: " + text + b"\n\n"
    pieces = [stream[at : at + 100] for at in range(0, len(stream), 100)]
    assert data(*pieces) == [text.decode()]


@pytest.mark.parametrize("piece", [b"x" * 4096, b"data: " + b"x" * 4096 + b"\n", b"\n: " + b"x" * 4096])
def test_an_endless_event_is_refused_and_endless_comments_are_not(piece):
    decoder = Decoder()
    pieces = EVENT_BYTES // len(piece) + 3
    if piece.startswith(b"\n:"):
        assert [event for _ in range(pieces) for event in decoder.feed(piece)] == []
        return
    with pytest.raises(EventTooLarge):
        [decoder.feed(piece) for _ in range(pieces)]


def test_many_events_do_not_add_up_to_one_that_is_too_large():
    decoder = Decoder()
    event = b"data: " + b"x" * 300_000 + b"\n\n"
    got = [made for _ in range(10) for cut in (event[:7], event[7:]) for made in decoder.feed(cut)]
    assert len(got) == 10


LINES = [
    b"data: hello",
    b"data:\xc3\xa9\xf0\x9f\xa6\x8a",
    b"data",
    b"data:  x",
    b": ping",
    b":",
    b"event: e",
    b"id: 3",
    b"",
    b"",
    b"",
    b"datax: no",
    b"\xff\xfe",
]
ENDED = st.sampled_from([line + end for line in LINES for end in (b"\n", b"\r\n", b"\r")])


@settings(max_examples=2000)
@given(st.data(), st.booleans(), st.lists(ENDED, max_size=25))
def test_any_stream_cut_anywhere_equals_the_reference(drawn, bom, lines):
    stream = (b"\xef\xbb\xbf" if bom else b"") + b"".join(lines)
    cuts = sorted(drawn.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    chunks = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert decode(*chunks, end=False) == reference(stream)


STREAMS, SPLITS = 2_000, 50
FORMS = [
    b"data: hello",
    b"data:\xc3\xa9\xf0\x9f\xa6\x8a",
    "data: 語, ¿? 🦊".encode(),
    b"data",
    b"data:",
    b"data: ",
    b"data:  x",
    b'data: {"a": "b: c"}',
    b"data: [DONE]",
    b": ping",
    b":",
    b"event: e",
    b"event",
    "event:é".encode(),
    b"id: 3",
    b"retry: 10",
    b"datax: no",
    b" data: no",
    b"nonsense",
    b"\xff\xfe",
    b"data: \xf0\x9f",
    b"data: \xef\xbb\xbf",
    b"\xef\xbb\xbfdata: no",
    b"data: \x00\x0b\xe2\x80\xa8",  # ends of a line for Python, none here
]


def random_stream(chance: random.Random) -> bytes:
    """A stream of up to 13 lines, now and then a line of some KB in it, whose last line may lack its end."""
    end = chance.choice([b"\n", b"\r\n", b"\r", None])  # one all through, as vendors send it, or each line its own
    lines = []
    for _ in range(chance.randrange(14)):
        line = b"" if chance.random() < 0.4 else chance.choice(FORMS)
        if chance.random() < 0.01:
            line = b"data: " + chance.choice([b"x", b"\xc3\xa9", b"\xf0\x9f\xa6\x8a"]) * chance.randrange(1000)
        lines.append(line + (end or chance.choice([b"\n", b"\r\n", b"\r"])))
    return chance.choice([b"", b"", b"\xef\xbb\xbf"]) + b"".join(lines) + chance.choice([b"", b"", b"data: cut off"])


def sore_places(stream: bytes) -> list[int]:
    """Return where a cut is next to a CR or an LF, or inside a character."""
    return [found.start() for found in re.finditer(rb"(?<=[\r\n\x80-\xff])|(?=[\r\n])", stream)]


def random_split(chance: random.Random, stream: bytes, sore: list[int]) -> list[bytes]:
    """Cut a stream anywhere: a few times, byte by byte from somewhere on, or only at sore places."""
    size = len(stream)
    way = chance.random()
    if way < 0.6:
        cuts = [int(chance.random() * (size + 1)) for _ in range(int(chance.random() * 8))]
    elif way < 0.65:
        start = chance.randrange(size + 1)
        cuts = list(range(start, min(size, start + 60)))
    else:
        cuts = chance.sample(sore, min(len(sore), chance.randrange(12)))
    cuts.sort()
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, size], strict=True)]


def differing(seed: int) -> tuple[int, str]:
    """Try one random stream in all its random splits; return how many there were, and the first that is read otherwise, "" if none is."""
    chance = random.Random(seed)
    stream = random_stream(chance)
    expected, sore = reference(stream), sore_places(stream)
    for count in range(SPLITS):
        chunks = random_split(chance, stream, sore)
        if (got := decode(*chunks, end=False)) != expected:
            return count + 1, f"seed {seed}: {chunks} gives {got}, not {expected}"
    return SPLITS, ""


def test_a_hundred_thousand_random_splits_of_random_streams_equal_the_reference():
    first = int(os.environ.get("SSE_SEED", "0")) or random.SystemRandom().randrange(1, 1 << 48)
    tried = 0
    for seed in range(first, first + STREAMS):
        splits, difference = differing(seed)
        assert not difference, f"{difference}\nAgain with SSE_SEED={seed}"
        tried += splits
    assert tried == 100_000


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("seed", range(8))
def test_an_event_just_within_the_size_cap_is_read_and_one_beyond_it_refused_however_it_is_cut(seed, end):
    chance = random.Random(seed)
    longest = EVENT_BYTES - len(b"data: ")  # so that it fits with its field name, which counts until the line ends
    for length, fits in ((longest, True), (EVENT_BYTES, False)):
        stream = b"data: a" + end * 2 + b"data: " + b"x" * length + end * 2 + b"data: b" + end * 2
        cuts = sorted(chance.randrange(len(stream) + 1) for _ in range(chance.randrange(40)))
        chunks = [stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        if fits:
            assert data(*chunks) == ["a", "x" * length, "b"]
        else:
            with pytest.raises(EventTooLarge):
                decode(*chunks)
