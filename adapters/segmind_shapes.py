"""The three shapes in which Segmind passes a vendor's answer through, told apart by structure: no tag says which one it is.

Source: the ``segmind`` SDK 1.3.0 (chat.py), whose own detection works the same way. One client also met a bare string under ``output``,
``response`` or ``text``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from adapters import told
from adapters.base import FinishReason
from adapters.openai_wire import finish_reason
from adapters.thinking import split_whole

_GEMINI_FILTERS = frozenset({"prohibited_content", "blocklist", "spii", "image_safety"})
"""Gemini's further words for a filtered answer, lower case."""


@dataclass(frozen=True, slots=True)
class Content:
    """What an answer says, whatever its shape.

    Attributes:
        text: The answer, possibly empty.
        reasoning: The model's reasoning, where it is told apart.
        raw_reason: The vendor's word for why it ended.
        model: The model as the vendor names it, which may differ from the slug.
    """

    text: str = field(repr=False)
    reasoning: str = field(default="", repr=False)
    raw_reason: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    model: str | None = None

    @property
    def reason(self) -> FinishReason:
        """The unified reason; UNKNOWN where the vendor's word is unknown or absent."""
        filtered = (self.raw_reason or "").lower() in _GEMINI_FILTERS
        return FinishReason.CONTENT_FILTER if filtered else finish_reason(self.raw_reason)


def read_content(data: Any) -> Content | None:
    """Read an answer, or return None if it has none of the known shapes."""
    if not isinstance(data, Mapping):
        return None
    if isinstance(data.get("choices"), list):
        return _openai(data)
    if isinstance(data.get("content"), list):
        return _anthropic(data)
    if isinstance(data.get("candidates"), list) or isinstance(data.get("promptFeedback"), Mapping):
        return _gemini(data)
    found = next((data[name] for name in ("output", "response", "text") if isinstance(data.get(name), str)), None)
    return None if found is None else Content(found)


def _openai(data: Mapping[str, Any]) -> Content | None:
    choice = _first(data["choices"])
    message = choice.get("message")
    if not isinstance(message, Mapping):
        return None
    usage = _mapping(data.get("usage"))
    text, thought = split_whole(_text(message.get("content")))  # DeepSeek's and MiniMax's <think> may stand in the content
    refusal = _text(message.get("refusal"))
    return Content(
        text or refusal,
        _text(message.get("reasoning_content")) or _text(message.get("reasoning")) or thought,
        "content_filter" if refusal and not text else _word(choice.get("finish_reason")),
        told.tokens(usage.get("prompt_tokens")),
        told.tokens(usage.get("completion_tokens")),
        _word(data.get("model")),
    )


def _anthropic(data: Mapping[str, Any]) -> Content:
    usage = _mapping(data.get("usage"))
    blocks = [block for block in data["content"] if isinstance(block, Mapping)]
    return Content(
        "".join(_text(block.get("text")) for block in blocks),
        "".join(_text(block.get("thinking")) for block in blocks),
        _word(data.get("stop_reason")),
        told.tokens(usage.get("input_tokens")),
        told.tokens(usage.get("output_tokens")),
        _word(data.get("model")),
    )


def _gemini(data: Mapping[str, Any]) -> Content:
    candidate = _first(data.get("candidates"))
    parts = _mapping(candidate.get("content")).get("parts")
    blocks = [part for part in parts if isinstance(part, Mapping)] if isinstance(parts, list) else []
    blocked = _mapping(data.get("promptFeedback")).get("blockReason")
    usage = _mapping(data.get("usageMetadata"))
    output = [told.tokens(usage.get(name)) for name in ("candidatesTokenCount", "thoughtsTokenCount")]
    return Content(
        "".join(_text(block.get("text")) for block in blocks if not block.get("thought")),
        "".join(_text(block.get("text")) for block in blocks if block.get("thought")),
        # A blocked prompt has no candidate, and blocking reasons are many: all are the filter's.
        "content_filter" if blocked and not blocks else _word(candidate.get("finishReason")),
        told.tokens(usage.get("promptTokenCount")),
        None if output[0] is None else output[0] + (output[1] or 0),
        _word(data.get("modelVersion")),
    )


def _text(value: Any) -> str:
    """Return text that is a string or a list of parts."""
    if isinstance(value, list):
        return "".join(_text(part.get("text")) for part in value if isinstance(part, Mapping))
    return value if isinstance(value, str) else ""


def _first(value: Any) -> Mapping[str, Any]:
    return _mapping(value[0]) if isinstance(value, list) and value else {}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _word(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
