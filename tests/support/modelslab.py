"""Questions to ModelsLab, and what its stand-in heard of them."""

import json
from typing import Any

from adapters.base import ChatRequest
from adapters.modelslab import ModelsLab
from sandbox.providers import ModelsLabSandbox
from tests.support.providers import PROMPT, events, talk

ZEPHYR = "zephyr-7b-beta"
CHAT, QUEUE = "*/llm/chat", "*/llm/get_queued_response"


def ask(*texts: str, **more: Any) -> ChatRequest:
    """A question after what was said before it, user and assistant in turn."""
    return ChatRequest(ZEPHYR, talk(*(texts or (PROMPT,))), **more)


def chat_id(state: str | None) -> str:
    """The chat that a state of the provider names."""
    assert state is not None
    return str(json.loads(state)["chat_id"])


def bodies(server: ModelsLabSandbox, part: str = "/llm/chat") -> list[Any]:
    """What was posted to a part of the API, in order."""
    return [call.body for call in server.calls_to("POST", part)]


async def begun(modelslab: ModelsLab) -> tuple[str, tuple[str, str]]:
    """Return the state and the transcript of a chat with one turn."""
    got = await events(modelslab, ask("one"))
    return got[-1].state, ("one", got[1].text)
