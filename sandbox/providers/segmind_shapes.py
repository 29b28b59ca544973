"""The three shapes in which the stand-in answers, as the vendors behind Segmind do."""

from __future__ import annotations

import uuid
from typing import Any

from sandbox.providers.tokens import Limited


def shaped(slug: str, answer: str, limited: Limited, prompt: int) -> dict[str, Any]:
    """Return an answer in the shape of the slug's vendor."""
    shape = _anthropic if slug.startswith("claude") else _gemini if slug.startswith("gemini") else _openai
    return shape(slug, answer, limited, prompt)


def _openai(slug: str, answer: str, limited: Limited, prompt: int) -> dict[str, Any]:
    return {
        "id": uuid.uuid4().hex,
        "object": "chat.completion",
        "model": slug,
        "choices": [{"index": 0, "message": {"role": "assistant", "content": answer}, "finish_reason": limited.finish_reason}],
        "usage": {"prompt_tokens": prompt, "completion_tokens": limited.tokens, "total_tokens": prompt + limited.tokens},
    }


def _anthropic(slug: str, answer: str, limited: Limited, prompt: int) -> dict[str, Any]:
    return {
        "id": f"msg_{uuid.uuid4().hex}",
        "type": "message",
        "role": "assistant",
        "model": slug,
        "content": [{"type": "text", "text": answer}],
        "stop_reason": {"stop": "end_turn", "length": "max_tokens"}[limited.finish_reason],
        "usage": {"input_tokens": prompt, "output_tokens": limited.tokens},
    }


def _gemini(slug: str, answer: str, limited: Limited, prompt: int) -> dict[str, Any]:
    reason = {"stop": "STOP", "length": "MAX_TOKENS"}[limited.finish_reason]
    return {
        "candidates": [{"content": {"role": "model", "parts": [{"text": answer}]}, "finishReason": reason, "index": 0}],
        "modelVersion": slug,
        "usageMetadata": {
            "promptTokenCount": prompt,
            "candidatesTokenCount": limited.tokens,
            "totalTokenCount": prompt + limited.tokens,
        },
    }
