"""The provider seam: what goes in, and what comes out. Every way it can fail is told in `adapters.errors`, and imported from here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from json.encoder import encode_basestring_ascii
from typing import Any, Literal, Protocol, TypeAlias

from pydantic import BaseModel, ConfigDict

from adapters.errors import Billed, ErrorKind, ProviderError, Scope
from adapters.tokens import hundredths

__all__ = [
    "ADVISED",
    "NEEDS",
    "Alternatives",
    "Billed",
    "Capabilities",
    "ChatRequest",
    "ErrorKind",
    "Event",
    "FinishReason",
    "Finished",
    "Health",
    "ImagePart",
    "Message",
    "ModelInfo",
    "Pace",
    "Parameters",
    "Part",
    "Progress",
    "Provider",
    "ProviderError",
    "ReasoningDelta",
    "Scope",
    "Started",
    "Submitted",
    "TextDelta",
    "TextPart",
    "Usage",
]

# ------------------------------------------------------------------------------------------------ request


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of text in a message."""

    text: str


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A picture in a message.

    Attributes:
        media_type: IANA media type, such as ``image/png``.
        data: The file's bytes.
    """

    media_type: str
    data: bytes = field(repr=False)


Part: TypeAlias = TextPart | ImagePart


class _FoundOut:
    """Room for what is found out of a message once, as it is sent again with every later question: no part of its value."""

    __slots__ = ("_weight", "_written")
    _weight: int
    _written: bytes


@dataclass(frozen=True, slots=True)
class Message(_FoundOut):
    """One message of a transcript."""

    role: Literal["user", "assistant"]
    parts: tuple[Part, ...]

    @property
    def text(self) -> str:
        """The text parts, joined by blank lines."""
        if len(self.parts) == 1 and isinstance(alone := self.parts[0], TextPart):  # nearly every message
            return alone.text
        return "\n\n".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def weight(self) -> int:
        """What the text is estimated to have, in hundredths of a token; see `adapters.tokens`."""
        try:
            return self._weight
        except AttributeError:
            object.__setattr__(self, "_weight", found := hundredths(self.text))
            return found

    @property
    def weighed(self) -> bool:
        """Whether its weight is known already."""
        return hasattr(self, "_weight")

    @property
    def written(self) -> bytes:
        """JSON of its role and text as most providers take them, exactly as `json.dumps` writes it. Pictures are left out."""
        try:
            return self._written
        except AttributeError:
            found = f'{{"role": "{self.role}", "content": {encode_basestring_ascii(self.text)}}}'.encode()
            object.__setattr__(self, "_written", found)
            return found


class Pace:
    """How coarsely an answer may be read.

    Nothing that had come is lost by what is left unread, with TLS and without, though the connection be closed or reset meanwhile. A stop
    or the provider's silence is met as soon as ever; an answer that is stopped ends with what was read. The end is seen a quarter of a
    second later.

    Args:
        lull: Asked before each read of a stream: for how many seconds what comes may be left unread, because nobody could be shown it
            sooner.
    """

    __slots__ = ("_read", "lull")

    def __init__(self, lull: Callable[[], float]) -> None:
        self.lull = lull
        self._read: Callable[[], None] | None = None

    def on_hurry(self, read: Callable[[], None] | None) -> None:
        """Tell how to have what was left unread read at once; None: nothing is read any more."""
        self._read = read

    def hurry(self) -> None:
        """Have what was left unread read now: it could be shown soon."""
        if self._read is not None:
            self._read()


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One question to a model, with all that a stateless provider needs.

    Attributes:
        model: The provider's own model id.
        messages: The transcript, oldest first; the last one is always the user's.
        system: The persona, or None for the provider's own default.
        parameters: Values already validated by the provider's `Parameters` model; absent means the provider's default.
        turn: Opaque id of the turn, the same over attempts, for logs and idempotency.
        state: The opaque `Finished.state` of the turn before this one, given only while it still matches the transcript.
        resume: The handle of an earlier `Submitted`: collect that job instead of asking again. One that is not this provider's own is
            ignored; a job that is not there any more is STATE_LOST, and may have been billed.
        pace: How coarsely a stream may be read.
    """

    model: str
    messages: tuple[Message, ...] = field(repr=False)
    system: str | None = field(default=None, repr=False)
    parameters: Mapping[str, Any] = field(default_factory=dict)
    turn: str = ""
    state: str | None = field(default=None, repr=False)
    resume: str | None = field(default=None, repr=False)
    pace: Pace | None = field(default=None, repr=False, compare=False)


ADVISED = "advised"
"""Key in the schema of a parameter: the range that the provider advises, where it takes more than that."""


NEEDS = "needs"
"""Key in the schema of a parameter: the name of another one without which it does nothing, and for which values that is so; None: all."""


class Parameters(BaseModel):
    """Base of each provider's settable parameters.

    Every field is optional (None: leave it to the provider) and carries its range and a ``description`` that `/settings` shows.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


# ------------------------------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Started:
    """The provider took the request. At most once, and first."""

    request_id: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """A job was queued that can be collected later; the consumer stores `handle` before it pulls the next event."""

    handle: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Progress:
    """The provider works but has no text yet. `eta` is in seconds."""

    kind: Literal["queued", "processing", "thinking"]
    eta: float | None = None


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More of the answer; never empty, of any length."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ReasoningDelta:
    """More of the model's reasoning, which is not part of the answer."""

    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the provider says the request used. A later one replaces an earlier one.

    Attributes:
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer, reasoning included.
        cost: In the account's currency units, as reported.
        remaining_credits: Of the account, as reported.
    """

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost: float | None = None
    remaining_credits: float | None = None


class FinishReason(StrEnum):
    """Why the answer ended."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finished:
    """The answer is whole. Exactly one, and last; never without any visible text (that is `ErrorKind.EMPTY`).

    Attributes:
        reason: The unified reason.
        raw_reason: The provider's own word for it.
        complete: False where the provider never said that it was done.
        likely_truncated: The text looks cut off by a token cap although the provider does not say so.
        state: Opaque state that lets the next request continue this chat on the provider's side; a secret.
        wanted_tool: The model asked for a tool to be run behind its text; nobody offered it one.
    """

    reason: FinishReason = FinishReason.STOP
    raw_reason: str | None = None
    complete: bool = True
    likely_truncated: bool = False
    state: str | None = field(default=None, repr=False)
    wanted_tool: bool = False


@dataclass(frozen=True, slots=True)
class Alternatives:
    """Further answers to the same question, where more than one was asked for; comes before the end. The text deltas are the first one.

    Attributes:
        texts: Each as far as it came, none blank.
        ends: How each of them ended, in the same order; empty: that is not known.
    """

    texts: tuple[str, ...] = field(repr=False)
    ends: tuple[Finished, ...] = ()


Event: TypeAlias = Started | Submitted | Progress | TextDelta | ReasoningDelta | Alternatives | Usage | Finished

# --------------------------------------------------------------------------------------------- the seam


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a provider can do with a model.

    Attributes:
        streaming: Text arrives in pieces.
        server_memory: The provider keeps the chat and continues it by `ChatRequest.state`.
        images: `ImagePart` is understood; None: nobody has said so. A provider that then refuses a picture with NO_PICTURES has learned it.
        context_tokens: Size of the model's window in tokens, prompt and answer together.
        max_output_tokens: The most one answer may have, if there is a cap.
        unsupported: Settable parameters of the provider that this model does not take: they are not sent to it.
    """

    streaming: bool = True
    server_memory: bool = False
    images: bool | None = False
    context_tokens: int = 8192
    max_output_tokens: int | None = None
    unsupported: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model on offer. `id` is what `ChatRequest.model` takes; `images`: it takes pictures, None where the list does not say."""

    id: str
    context_tokens: int | None = None
    images: bool | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """The answer of `Provider.check`: reachable, and the key was taken.

    Attributes:
        credits: What is left on the account, where the provider tells.
        note: One line for the operator.
        unit: Of `credits`: "credits", or the currency's code where the provider counts in money; empty where it is not told.
    """

    credits: float | None = None
    note: str = ""
    unit: str = "credits"


class Provider(Protocol):
    """A language-model provider.

    Attributes:
        name: Lower-case id, as in `/provider`.
        title: The name people read.
        account: Fingerprint of base address and key: state of one account is never given to another. Not a secret.
        parameters: The model of its settable parameters.
        default_model: Used where nobody chose one.
        lists_all_models: `models` is complete: what is not in it does not exist. False for a catalogue that may have gaps.
        fetches_models: `models` is the provider's own list, asked for at each call. False for one that is built into the adapter.
        tells_credits: `check` says what is left on the account.
    """

    name: str
    title: str
    account: str
    parameters: type[Parameters]
    default_model: str
    lists_all_models: bool
    fetches_models: bool
    tells_credits: bool

    def stream(self, request: ChatRequest) -> AsyncGenerator[Event, None]:
        """Ask, and yield events as they arrive.

        Ends with exactly one `Finished`, or raises exactly one `ProviderError`; nothing comes after either. A provider that can't stream
        yields one `TextDelta`. Closing the generator or cancelling its task closes the socket. No secret is in any event or error.

        Raises:
            ProviderError: The answer could not be had, or not whole.
        """
        ...

    async def models(self) -> tuple[ModelInfo, ...]:
        """Fetch the models on offer, live where the provider has a list.

        Raises:
            ProviderError: The list could not be had.
        """
        ...

    async def check(self) -> Health:
        """Make the cheapest call that proves address and key. Never billed.

        Raises:
            ProviderError: Not reachable, or the key was refused.
        """
        ...

    def capabilities(self, model: str) -> Capabilities:
        """Tell what the provider can do with `model`, from what is known without a call."""
        ...

    async def aclose(self) -> None:
        """Let go of sockets and processes. Idempotent."""
        ...
