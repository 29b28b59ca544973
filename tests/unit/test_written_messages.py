"""Messages that are written once and joined into a body make the same bytes as if the whole had been written by `json.dumps`."""

from __future__ import annotations

import asyncio
import io
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.base import ChatRequest, ImagePart, Message, Part, TextPart
from adapters.bodies import STREAMED_FROM_BYTES, Base64Text, Pieces, WrittenList, encode
from adapters.local import LOCAL
from adapters.netmind import NETMIND
from adapters.openai_parameters import OpenAIParameters, Vendor
from adapters.openai_vendors import GENERIC, OPENAI, PRESETS
from adapters.openai_wire import request_body
from adapters.segmind import _body as segmind_body

VENDORS = {vendor.name: vendor for vendor in (GENERIC, OPENAI, NETMIND, LOCAL, *PRESETS.values())}
PNG = b"\x89PNG\r\n\x1a\n" + bytes(9)

texts = st.text() | st.text(st.characters()) | st.sampled_from(["", '"', "\\", "\x00\x1f", "\ud800", "\u2028", "x" * STREAMED_FROM_BYTES])
pictures = st.sampled_from([ImagePart("image/png", PNG), ImagePart("image/png", PNG * 8000)])
several: st.SearchStrategy[tuple[Part, ...]] = st.lists(texts.map(TextPart) | pictures, min_size=1, max_size=3).map(tuple)
parts: st.SearchStrategy[tuple[Part, ...]] = texts.map(lambda text: (TextPart(text),))


def requests(parts: st.SearchStrategy[tuple[Part, ...]]) -> st.SearchStrategy[ChatRequest]:
    messages = st.builds(Message, st.sampled_from(["user", "assistant"]), parts)
    # The last one is always a person's.
    lists = st.tuples(st.lists(messages, max_size=5), st.builds(Message, st.just("user"), parts)).map(lambda all_: (*all_[0], all_[1]))
    return st.builds(ChatRequest, st.just("a/model"), lists, system=st.none() | texts)


def sent(body: Any) -> bytes:
    """The bytes that go out."""
    encoded = encode(body)
    if isinstance(encoded, Pieces):
        return asyncio.run(_joined(encoded))
    return encoded.getvalue() if isinstance(encoded, io.BytesIO) else encoded


async def _joined(pieces: Pieces) -> bytes:
    return b"".join([piece async for piece in pieces])


def as_one(body: Any) -> bytes:
    """The same body, written at once."""

    def whole(value: Any) -> str:
        assert isinstance(value, Base64Text)
        return value.prefix + "".join(json.loads(sent([Base64Text("", value.data)])))

    return json.dumps(body, default=whole).encode()


@pytest.mark.parametrize("system_role", ["as it is", "system", "developer", "first_user"])
@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
@given(asked=requests(parts) | requests(several), usage=st.booleans(), completion=st.booleans())
@settings(max_examples=12)
def test_every_dialect_sends_what_it_would_have_written_at_once(
    vendor: Vendor, system_role: Any, asked: ChatRequest, usage: bool, completion: bool
) -> None:
    if system_role != "as it is":
        vendor = replace(vendor, system_role=system_role)
    chosen = OpenAIParameters(temperature=0.7)
    plain = request_body(vendor, asked, chosen, completion=completion, usage=usage)
    ready = request_body(vendor, asked, chosen, completion=completion, usage=usage, written=True)
    assert sent(ready) == as_one(plain)
    assert sent(ready) == as_one(plain), "also when it is sent once more"
    if not completion and not any(isinstance(part, ImagePart) for message in asked.messages for part in message.parts):
        assert isinstance(ready["messages"], WrittenList)


@pytest.mark.parametrize("mode", ["role", "instruction", "first_user"])
@given(asked=requests(parts) | requests(several))
@settings(max_examples=40)
@example(asked=ChatRequest("slug", (Message("assistant", (TextPart("a"),)), Message("user", (TextPart("ü"),))), system="Be brief."))
def test_segminds_body_is_what_its_document_has(mode: str, asked: ChatRequest) -> None:
    messages = [{"role": message.role, "content": message.text} for message in asked.messages]
    wanted: dict[str, Any] = {"messages": messages}
    if asked.system and mode == "instruction":
        wanted["instruction"] = asked.system
    elif asked.system and mode == "role":
        messages.insert(0, {"role": "system", "content": asked.system})
    elif asked.system:
        first = next(message for message in messages if message["role"] == "user")
        first["content"] = f"{asked.system}\n\n{first['content']}"
    assert sent(segmind_body(asked, mode)) == json.dumps(wanted).encode()


def test_what_is_found_out_of_a_message_is_no_part_of_its_value() -> None:
    one, other = (Message("user", (TextPart("hello"),)) for _ in range(2))
    assert not one.weighed
    assert one.written == b'{"role": "user", "content": "hello"}'
    assert one.weight > 0
    assert one.weighed
    assert (one, hash(one), repr(one)) == (other, hash(other), repr(other))
