"""What is kept of a ModelsLab chat between two calls: the state of a conversation, and the handle of a queued answer. Both are secrets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from adapters.base import ChatRequest
from adapters.modelslab_replies import Answer


def chat_id_of(state: str | None) -> str | None:
    """Return the chat_id of a state, None where there is none."""
    value = _object(state)
    chat_id = value.get("chat_id")
    return chat_id if isinstance(chat_id, str) and chat_id else None


def state_of(chat_id: str) -> str:
    """Return the state that continues a chat."""
    return json.dumps({"chat_id": chat_id})


@dataclass(frozen=True, slots=True)
class Handle:
    """A queued answer.

    Attributes:
        account: `Provider.account` of who asked: another account can't collect it.
        chat: The chat_id, which is also what the queue is asked by.
        prompt: Fingerprint of the prompt, by which the answer is told from the one before it.
    """

    account: str
    chat: str = field(repr=False)
    prompt: str

    @classmethod
    def of(cls, account: str, chat_id: str, prompt: str) -> Handle:
        """Make the handle of a prompt that was queued."""
        return cls(account, chat_id, _fingerprint(prompt))

    @classmethod
    def read(cls, text: str | None, account: str) -> Handle | None:
        """Read what `text` returned, None if it is not of this account."""
        value = _object(text)
        if set(value) != {"account", "chat", "prompt"} or not all(isinstance(item, str) and item for item in value.values()):
            return None
        handle = cls(**value)
        return handle if handle.account == account else None

    @property
    def text(self) -> str:
        """What is stored to collect the answer later."""
        return json.dumps(asdict(self))

    def answered_by(self, answer: Answer, request: ChatRequest) -> bool:
        """Whether `answer` is to this prompt. Where the prompt is not echoed, one that the chat gave before is not."""
        if answer.prompt is not None:
            return _fingerprint(answer.prompt) == self.prompt
        return answer.text not in {message.text.strip() for message in request.messages if message.role == "assistant"}


def _object(text: str | None) -> Mapping[str, str]:
    try:
        value = json.loads(text) if text else None
    except ValueError:
        return {}
    return value if isinstance(value, Mapping) else {}


def _fingerprint(prompt: str) -> str:
    return hashlib.sha256(prompt.strip().encode()).hexdigest()[:16]
