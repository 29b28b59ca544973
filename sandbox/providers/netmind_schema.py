"""The parameters of Netmind's document, with their types and ranges."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.providers.checks import Check, flag, number, text, whole

ROLES = ("system", "user", "assistant")
PICTURE_BYTES = 20 * 1024 * 1024
"""Largest picture, as OpenAI's; Netmind's document does not speak of pictures."""
MAX_CHOICES = 128
"""Largest ``n``, as at OpenAI; Netmind's document gives no range."""


class Refused(Exception):  # noqa: N818 - the stand-in's answer, not a failure of its own
    """A request that is answered with an error body."""

    def __init__(self, text: str, *, status: int = 400, code: str | None = None, param: str | None = None) -> None:
        super().__init__(text)
        self.text = text
        self.status = status
        self.code = code
        self.param = param


def _stop(value: Any) -> bool:
    return text(value) or (isinstance(value, list) and 1 <= len(value) <= 4 and all(text(item) for item in value))


def _logit_bias(value: Any) -> bool:
    bias = number(-100, 100)
    return isinstance(value, dict) and all(key.isdigit() and bias(weight) for key, weight in value.items())


def _stream_options(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"include_usage"} and flag(value["include_usage"])


_COMMON: dict[str, tuple[Check, str]] = {
    "model": (text, "a model id"),
    "max_tokens": (whole(1), "an integer of at least 1"),
    "stream": (flag, "true or false"),
    "stream_options": (_stream_options, "an object with include_usage"),
    "temperature": (number(0, 2), "a number from 0 to 2"),
    "top_p": (number(0, 1, above=True), "a number above 0, at most 1"),
    "stop": (_stop, "a string or a list of 1 to 4 strings"),
    "n": (whole(1, MAX_CHOICES), f"an integer from 1 to {MAX_CHOICES}"),
    "presence_penalty": (number(-2, 2), "a number from -2 to 2"),
    "frequency_penalty": (number(-2, 2), "a number from -2 to 2"),
    "repetition_penalty": (number(0, 2, above=True), "a number above 0, at most 2"),
    "logit_bias": (_logit_bias, "an object of token ids and numbers from -100 to 100"),
}


def check_chat(body: dict[str, Any], *, stream_options: bool) -> None:
    """Check a chat completion's body.

    Raises:
        Refused: It is not as in the document.
    """
    _check(body, {**_COMMON, "messages": (_messages, "a list of messages")}, stream_options=stream_options)
    messages = body.get("messages")
    if not messages:
        raise Refused("[] is too short - 'messages'", param="messages")
    if messages[-1]["role"] != "user":
        raise Refused("This model does not support assistant message prefill. The conversation must end with a user message.")


def check_completion(body: dict[str, Any], *, stream_options: bool) -> None:
    """Check a completion's body.

    Raises:
        Refused: It is not as in the document.
    """
    _check(body, {**_COMMON, "prompt": (text, "a string")}, stream_options=stream_options)
    if "prompt" not in body:
        raise Refused("you must provide a prompt parameter", param="prompt")


_DATA_URL = re.compile(r"data:(image/[a-z]+);base64,([A-Za-z0-9+/]+={0,2})")
_SIGNATURES = {
    "image/png": (b"\x89PNG\r\n\x1a\n",),
    "image/jpeg": (b"\xff\xd8\xff",),
    "image/gif": (b"GIF87a", b"GIF89a"),
    "image/webp": (b"RIFF",),
}


def check_pictures(messages: Iterable[Mapping[str, Any]], *, taken: bool) -> None:
    """Check the pictures of a chat.

    Args:
        messages: Checked by `check_chat`.
        taken: The model takes pictures at all.

    Raises:
        Refused: It does not; or one is no picture of the type it is said to be, too large, or an address: nothing is fetched here.
    """
    parts = [part for message in messages if isinstance(message["content"], list) for part in message["content"]]
    for url in (part["image_url"]["url"] for part in parts if part["type"] == "image_url"):
        if not taken:
            raise Refused("Invalid content type. image_url is only supported by certain models.", param="messages")
        found = _DATA_URL.fullmatch(url)
        try:
            data = base64.b64decode(found[2], validate=True) if found else b""
        except binascii.Error:
            data = b""
        if found is None or not data.startswith(_SIGNATURES.get(found[1], ())):
            raise Refused("Invalid image data.", code="invalid_image", param="messages")
        if len(data) > PICTURE_BYTES:
            raise Refused(f"An image has at most {PICTURE_BYTES} bytes.", code="image_too_large", param="messages")


def _check(body: dict[str, Any], known: dict[str, tuple[Check, str]], *, stream_options: bool) -> None:
    for name, value in body.items():
        if name not in known or (name == "stream_options" and not stream_options):
            raise Refused(f"Unrecognized request argument supplied: {name}", param=name)
        check, expected = known[name]
        if not check(value):
            raise Refused(f"Invalid value for '{name}': expected {expected}.", code="invalid_value", param=name)
    if "stream_options" in body and not body.get("stream"):
        raise Refused("The 'stream_options' parameter is only allowed when 'stream' is enabled.", param="stream_options")
    if body.get("stream") and body.get("n", 1) > 1:
        raise Refused("'n' must be 1 while streaming.", param="n")


def _messages(value: Any) -> bool:
    return isinstance(value, list) and all(_message(item) for item in value)


def _message(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {"role", "content"} or value["role"] not in ROLES:
        return False
    content = value["content"]
    return isinstance(content, str) or (isinstance(content, list) and bool(content) and all(_part(part) for part in content))


def _part(value: Any) -> bool:
    if not isinstance(value, dict):
        return False
    if value.get("type") == "text":
        return set(value) == {"type", "text"} and isinstance(value["text"], str)
    image = value.get("image_url")
    return value.get("type") == "image_url" and isinstance(image, dict) and isinstance(image.get("url"), str)
