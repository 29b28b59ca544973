"""The OpenAI dialects' wire format: requests out, chunks and bodies in. Loose on purpose: any field may be absent, null or of any type."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from adapters import told
from adapters.base import ChatRequest, ErrorKind, FinishReason, ImagePart, Message, ModelInfo, ProviderError, Scope, TextPart, Usage
from adapters.bodies import STREAMED_FROM_BYTES, Base64Text, written_messages
from adapters.openai_parameters import STOPS, OpenAIParameters, Vendor

# ------------------------------------------------------------------------------------------------- request

PREAMBLE = "A chat between a curious user and an artificial intelligence assistant."
COMPLETION_STOPS = ("\nUSER:", "</s>")
"""Where a completion must end, or the model goes on to play the user."""


def request_body(
    vendor: Vendor, request: ChatRequest, parameters: OpenAIParameters, *, completion: bool, usage: bool, written: bool = False
) -> dict[str, Any]:
    """Build the JSON of a request.

    Args:
        vendor: Whose dialect.
        request: What is asked; its `parameters` are not looked at.
        parameters: What is set.
        completion: For ``/completions``: the transcript is flattened as in Netmind's document.
        usage: Ask for the usage chunk of a stream.
        written: The messages may stand in it as a `WrittenList`: `adapters.bodies.encode` makes the same of it.
    """
    settings = parameters.model_dump(exclude_none=True, exclude={"stream", "endpoint", *vendor.unsupported})
    if settings.get("n") == 1:
        del settings["n"]  # the default everywhere, and some refuse to hear of it
    settings = {vendor.renames.get(name, name): value for name, value in settings.items()}
    body: dict[str, Any] = {"model": request.model, **vendor.extra, **settings, "stream": parameters.stream is not False}
    if completion:
        body["prompt"] = flatten(request)
        own = settings.get("stop", ())
        body["stop"] = [*COMPLETION_STOPS[: STOPS - len(own)], *own]  # what somebody has set is never left away
    else:
        ready = written and not has_pictures(request)
        body["messages"] = written_messages(request, vendor.system_role) if ready else _messages(vendor, request)
    if usage and body["stream"]:
        body["stream_options"] = {"include_usage": True}
    return body


def flatten(request: ChatRequest) -> str:
    """Write the transcript as one text that ends where the assistant speaks next."""
    lines = [PREAMBLE]
    if request.system:
        lines.append(request.system)
    lines += [f"{message.role.upper()}: {message.text}" for message in request.messages]
    return "\n".join([*lines, "ASSISTANT:"])


def _messages(vendor: Vendor, request: ChatRequest) -> list[dict[str, Any]]:
    messages = [{"role": message.role, "content": _content(message)} for message in request.messages]
    if not request.system:
        return messages
    if vendor.system_role != "first_user":
        return [{"role": vendor.system_role, "content": request.system}, *messages]
    first = next((message for message in messages if message["role"] == "user"), None)
    if first is None:
        return [{"role": "user", "content": request.system}, *messages]
    content = first["content"]
    if isinstance(content, str):
        first["content"] = f"{request.system}\n\n{content}"
    else:
        content.insert(0, {"type": "text", "text": request.system})
    return messages


def _content(message: Message) -> Any:
    if len(message.parts) == 1 and isinstance(message.parts[0], TextPart):  # nearly every message
        return message.parts[0].text
    if not any(isinstance(part, ImagePart) for part in message.parts):
        return message.text
    parts: list[dict[str, Any]] = []
    for part in message.parts:
        if isinstance(part, ImagePart):
            parts.append({"type": "image_url", "image_url": {"url": _data_url(part)}})
        else:
            parts.append({"type": "text", "text": part.text})
    return parts


def _data_url(picture: ImagePart) -> str | Base64Text:
    """Return a picture as an address; a large one is encoded when it is sent."""
    prefix = f"data:{picture.media_type};base64,"
    if len(picture.data) > STREAMED_FROM_BYTES:
        return Base64Text(prefix, picture.data)
    return prefix + base64.b64encode(picture.data).decode()


def private_texts(request: ChatRequest) -> list[str]:
    """Return the texts of a request that must not be seen in an error."""
    return [*filter(None, [request.system]), *[message.text for message in request.messages]]


# -------------------------------------------------------------------------------------------------- answer

_REASONS = {
    **dict.fromkeys(
        ("stop", "eos", "eos_token", "end_turn", "stop_sequence", "tool_calls", "function_call", "tool_use"), FinishReason.STOP
    ),
    **dict.fromkeys(("length", "max_tokens", "max_output_tokens", "model_length"), FinishReason.LENGTH),
    **dict.fromkeys(("content_filter", "safety", "sensitive", "refusal", "recitation"), FinishReason.CONTENT_FILTER),
}


def finish_reason(raw: str | None) -> FinishReason:
    """Unify a provider's word for why an answer ended."""
    return _REASONS.get((raw or "").lower(), FinishReason.UNKNOWN)


class Piece(NamedTuple):
    """What one chunk, or one whole body, brings. A tuple, as it is made for every chunk and costs a fifth of a frozen dataclass."""

    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    finish: str = ""
    usage: Usage | None = None
    role: bool = False  # one stood in the delta
    spoke: bool = False  # anything else stood in the delta: the model is at work
    tool: bool = False  # it asks for a tool to be run

    def says(self) -> bool:
        """Whether it says anything. A role, a reason or usage may come again and again in what only keeps a connection alive."""
        return bool(self.text or self.reasoning or self.refusal or self.spoke)


def is_error(data: Any) -> bool:
    """Whether JSON with status 200 is an error after all, in any of the four forms met.

    ``{"error": {…}}``, ``{"error": "…"}``, vLLM's ``{"object": "error", "message": …}`` and ``{"status": "error", "message": …}``.
    """
    if not isinstance(data, dict):
        return True
    if data.get("error") or data.get("object") == "error":
        return True
    return data.get("status") in {"error", "failed"} and not data.get("choices")


def own_fault(error: ProviderError, data: Any) -> ProviderError:
    """Return the error that came with status 200: told in the API's own form it was understood, though its words be unknown."""
    if error.kind is ErrorKind.PROTOCOL and error.detail and isinstance(data, dict) and is_error(data):
        error.kind, error.scope = ErrorKind.SERVER, Scope.PROVIDER
    return error


def read_piece(data: dict[str, Any], reasoning_fields: Sequence[str] = ("reasoning_content", "reasoning")) -> Piece:
    """Read a chunk of a stream or a whole body: `delta`, `message` or `text` of the first choice."""
    usage = _usage(data["usage"]) if data.get("usage") else None
    choice = _first_choice(data.get("choices"))
    if choice is None:
        return Piece(usage=usage)
    finish = _word(choice.get("finish_reason"))
    delta = choice.get("delta") or choice.get("message")
    if not isinstance(delta, dict):
        return Piece(_text(choice.get("text")), finish=finish, usage=usage)
    text = _text(delta.get("content"))
    if text and len(delta) == 1:  # nearly every chunk
        return Piece(text, finish=finish, usage=usage)
    reasoning = next((found for name in reasoning_fields if (found := _text(delta.get(name)))), "")
    role = bool(delta.get("role"))
    spoke = any(value for name, value in delta.items() if name != "role")
    tool = bool(delta.get("tool_calls") or delta.get("function_call"))
    return Piece(text, reasoning, _text(delta.get("refusal")), finish, usage, role, spoke, tool)


def read_body(data: Any, reasoning_fields: Sequence[str]) -> Piece | None:
    """Read a whole body, None if it is no answer. Besides OpenAI's form, ModelsLab's ``{"status": "success", "message": "…"}`` is one."""
    if is_error(data):
        return None
    if isinstance(data.get("choices"), list):
        return read_piece(data, reasoning_fields)
    if data.get("status") == "success" and isinstance(data.get("message"), str):
        return Piece(data["message"], usage=_usage(data.get("usage")))
    return None


def read_others(data: dict[str, Any], reasoning_fields: Sequence[str] = ()) -> list[Piece]:
    """Read all choices of a whole body but the first."""
    choices = data.get("choices")
    first = _first_choice(choices)
    others = [choice for choice in choices if isinstance(choice, dict) and choice is not first] if isinstance(choices, list) else []
    return [read_piece({"choices": [{**choice, "index": 0}]}, reasoning_fields) for choice in others]


def _first_choice(choices: Any) -> dict[str, Any] | None:
    """With n > 1 choices come interleaved; only index 0 counts, or one without an index."""
    if not isinstance(choices, list):
        return None
    if choices and isinstance(choices[0], dict) and not choices[0].get("index"):
        return choices[0]
    return next((choice for choice in choices if isinstance(choice, dict) and not choice.get("index")), None)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(_text(part.get("text")) if isinstance(part, dict) else _text(part) for part in content)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _usage(data: Any) -> Usage | None:
    if not isinstance(data, dict):
        return None
    found = Usage(
        input_tokens=told.tokens(data.get("prompt_tokens")),
        output_tokens=told.tokens(data.get("completion_tokens")),
        cost=told.cost(data.get("cost")),
    )
    return found if found != Usage() else None


def _count(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e12 else None  # noqa: PLR2004 - keeps inf out


def read_models(data: Any) -> tuple[ModelInfo, ...] | None:
    """Read ``GET /models``: OpenAI's ``{"data": […]}``, or a bare list; None if it is neither."""
    entries = data.get("data") if isinstance(data, dict) else data
    if not isinstance(entries, list):
        return None
    found: dict[str, ModelInfo] = {}
    for entry in entries:
        name = entry.get("id") if isinstance(entry, dict) else entry
        if isinstance(name, str) and name:
            found.setdefault(name, ModelInfo(name, _window(entry), _pictures(entry)))
    return tuple(found.values())


def _window(entry: Any) -> int | None:
    if not isinstance(entry, dict):
        return None
    names: Sequence[str] = ("context_length", "context_window", "max_model_len", "max_context_length")
    counts: Iterable[int | None] = (_count(entry.get(name)) for name in names)
    return next((count for count in counts if count), None)


def _pictures(entry: Any) -> bool | None:
    """Tell whether a model takes pictures, in the spellings met: OpenRouter's modalities, Mistral's and LM Studio's capabilities."""
    if not isinstance(entry, dict):
        return None
    architecture = entry.get("architecture")
    places = [architecture, entry] if isinstance(architecture, dict) else [entry]
    for place in places:
        if isinstance(taken := place.get("input_modalities"), list):
            return "image" in taken
        if isinstance(modality := place.get("modality"), str) and "->" in modality:
            return "image" in modality.partition("->")[0]
    able = entry.get("capabilities")
    if isinstance(able, dict) and isinstance(able.get("vision"), bool):
        return bool(able["vision"])
    return True if isinstance(able, list) and not {"vision", "multimodal", "image"}.isdisjoint(map(str, able)) else None


_NO_PICTURES = re.compile(
    r"(image|vision|multi-?modal|picture)[^.]{0,60}(not supported|unsupported|only supported|not available|not enabled|requires)"
    r"|(not|n't|cannot|unable to) (support|accept|take|handle|allow)[^.]{0,40}(image|vision|multi-?modal|picture)"
    r"|no endpoints found that support image|missing data required for image|at most 0 image"
    r"|(not|n't) a (multi-?modal|vision)|non-text content"
    r"|(unsupported|unknown|invalid) (content )?(part )?(type|variant)[^.]{0,40}image"
    r"|content[^.]{0,40}must be a string|should be a valid string|should be 'text'",
    re.IGNORECASE,
)
"""How providers say that a model takes no pictures: OpenAI, Groq, vLLM, llama.cpp, Ollama, LM Studio, OpenRouter, pydantic's own words."""


def refuses_pictures(request: ChatRequest, status: int, text: str) -> bool:
    """Whether an error says that the model takes no pictures. One about the picture itself, such as a broken file, does not."""
    if status not in {400, 404, 415, 422, 500, 501} or not has_pictures(request):
        return False
    return _NO_PICTURES.search(text[:_REFUSAL_CHARS]) is not None


_REFUSAL_CHARS = 2000


def has_pictures(request: ChatRequest) -> bool:
    """Whether a request shows a picture."""
    return ImagePart in {type(part) for message in request.messages for part in message.parts}
