"""Bodies with pictures in them are what they would be in one piece, and nothing stands still while they are made."""

from __future__ import annotations

import asyncio
import base64
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.bodies import PIECE_BYTES, STREAMED_FROM_BYTES, Base64Text, Pieces, encode
from adapters.http import Http, open_session
from tests.support.wire import RawServer, whole


def url(data: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(data).decode()}"


async def joined(body: Pieces) -> bytes:
    return b"".join([piece async for piece in body])


@given(st.lists(st.tuples(st.text(), st.integers(0, 5), st.integers(-2, 2)), max_size=4))
def test_in_pieces_it_is_the_same_and_as_long_as_it_says(parts):
    sizes = [max(0, count * PIECE_BYTES // 2 + more) for _, count, more in parts]
    datas = [bytes([number % 256]) * size for number, size in enumerate(sizes)]
    texts = [text for text, *_ in parts]
    body = encode([[text, Base64Text("data:image/png;base64,", data)] for text, data in zip(texts, datas, strict=True)])
    raw = asyncio.run(joined(body)) if isinstance(body, Pieces) else body
    assert isinstance(raw, bytes)
    assert json.loads(raw) == [[text, url(data)] for text, data in zip(texts, datas, strict=True)]
    if isinstance(body, Pieces):
        assert body.length == len(raw)


def test_without_binary_texts_it_is_plain_json_and_a_large_one_goes_out_in_pieces():
    assert encode({"a": "ü"}) == json.dumps({"a": "ü"}).encode()
    large = encode({"a": "x" * STREAMED_FROM_BYTES})
    assert isinstance(large, io.BytesIO)
    assert json.load(large) == {"a": "x" * STREAMED_FROM_BYTES}


def test_what_is_no_json_is_refused():
    with pytest.raises(TypeError, match="bytes is no JSON"):
        encode({"a": b"x"})


async def test_it_arrives_whole_with_its_length():
    data = bytes(range(256)) * 4096
    async with open_session() as session, RawServer([whole({})]) as server:
        await Http(session).post_json(server.url, {"b": Base64Text("data:image/png;base64,", data)})
    assert server.asked[0].body == {"b": url(data)}
    headers = {name.lower(): value for name, value in server.asked[0].headers.items()}
    assert headers["content-length"] == str(len(json.dumps({"b": url(data)})))
    assert "transfer-encoding" not in headers


async def test_others_have_their_turn_while_it_is_made():
    body = encode({"b": Base64Text("", bytes(20 * PIECE_BYTES))})
    assert isinstance(body, Pieces)
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await joined(body)
    task.cancel()
    assert turns >= 20
