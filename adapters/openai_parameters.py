"""What can be set on an OpenAI-compatible provider, and how one such vendor differs from the next."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StringConstraints, create_model

from adapters.base import Parameters
from adapters.failures import SECRET_CHARS

STOPS = 4
"""Most stop sequences a request may have (Netmind's document; OpenAI's too)."""

THINKING_FIRST_S = 90.0
"""A model that thinks unheard says its first word so late, in seconds: published means of such models go up to 67 s."""

THINKS: Mapping[str, Any] = {"first_seconds": THINKING_FIRST_S, "first_seconds_guessed": True}
"""What `Vendor.models` says of such a model."""

CHOICES = 8
"""Most answers to one question. OpenAI takes 128, Netmind's document gives no range; each of them is paid for."""


_QUOTED = re.compile(r'("(?:[^"\\]|\\.|"")*")\s*(?:,|$)', re.DOTALL)
"""A text in quotation marks, up to the comma behind it. A quotation mark in it is doubled, or has a backslash before it."""
_OPENING, _CURLY = "“”„", "“”„‟"
_QUOTED_CURLY = re.compile(rf'[{_OPENING}]([^"{_CURLY}]*)["{_CURLY}]\s*(?:,|$)')
"""The same in the marks that phones put in the place of straight ones. What is meant to contain one stands in straight ones."""
_STRAIGHT = str.maketrans(dict.fromkeys(_CURLY, '"'))


def _sequences(value: Any) -> Any:
    """Take texts separated by commas, in which backslash-n stands for a line end, in quotation marks where one has a comma; or JSON."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _json(value)
    if value.strip() in {'"', *_CURLY}:  # it is what the answer is to stop at
        return [value.strip()]
    return list(_pieces(value)) or [value]


def _pieces(text: str) -> Iterator[str]:
    rest = text.strip()
    while rest:
        if not rest.startswith(('"', *_OPENING)):
            piece, _, rest = rest.partition(",")
            if piece.strip():
                yield piece.strip().replace("\\n", "\n")
        elif quoted := _QUOTED.match(rest):
            yield _unquoted(quoted[1])
            rest = rest[quoted.end() :]
        elif curly := _QUOTED_CURLY.match(rest):
            yield curly[1].replace("\\n", "\n")
            rest = rest[curly.end() :]
        else:
            raise ValueError('has an opening quotation mark without its closing one before a comma or the end: write "yes, sir", END')
        rest = rest.lstrip()


def _unquoted(quoted: str) -> str:
    try:
        return str(json.loads(quoted, strict=False))
    except ValueError:  # a mark is doubled, or a backslash stands for itself
        return quoted[1:-1].replace('""', '"').replace("\\n", "\n")


def _json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    for text in (value, value.translate(_STRAIGHT)):  # a phone may have put curly marks in the place of straight ones
        try:
            return json.loads(text)
        except ValueError:
            pass
    raise ValueError("is not valid JSON")


TokenId = Annotated[str, StringConstraints(pattern=r"^\d{1,7}$")]
Bias = Annotated[float, Field(ge=-100, le=100)]
Sequence = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class OpenAIParameters(Parameters):
    """The parameters of Netmind's document, which are those of OpenAI's chat API and `repetition_penalty`."""

    max_tokens: int | None = Field(None, ge=1, le=131_072, description="Most tokens of one answer, hidden thinking included.")
    temperature: float | None = Field(None, ge=0, le=2, description="Randomness: 0 is the most predictable, 2 the wildest.")
    top_p: float | None = Field(
        None,
        gt=0,
        le=1,
        description="Nucleus sampling: only the likeliest words that make up this share are considered. Use this or temperature.",
    )
    stop: Annotated[tuple[Sequence, ...], Field(max_length=STOPS), BeforeValidator(_sequences)] | None = Field(
        None,
        description="Up to 4 texts at which the answer stops, separated by commas: END, ###. One with a comma in it takes quotation marks, "
        '"yes, sir"; \\n is a line end.',
    )
    presence_penalty: float | None = Field(
        None, ge=-2, le=2, description="Above 0, words that were used at all become less likely: newer topics."
    )
    frequency_penalty: float | None = Field(
        None, ge=-2, le=2, description="Above 0, words become less likely the more often they were used."
    )
    repetition_penalty: float | None = Field(
        None, gt=0, le=2, description="Above 1, words of the question and the answer become less likely; 1 is neutral."
    )
    logit_bias: Annotated[dict[TokenId, Bias], Field(max_length=300), BeforeValidator(_json)] | None = Field(
        None, description='Makes single tokens likelier or less likely, as JSON of token ids to -100..100, such as {"50256": -100}.'
    )
    n: int | None = Field(
        None, ge=1, le=CHOICES, description="How many answers one question gets, all paid for; above 1 they arrive all at once."
    )
    stream: bool | None = Field(None, description="The answer arrives as it is written: true (default), or false: all at once.")
    endpoint: Literal["chat", "completion"] | None = Field(
        None, description="How the conversation is sent: as chat (default), or for completion as one text, for models without a chat form."
    )


def parameters_of(vendor: Vendor) -> type[Parameters]:
    """Return the parameters less those that a vendor does not have, in its ranges: what can be set is what is sent, and taken."""
    if not vendor.unsupported and vendor.choices == CHOICES:
        return OpenAIParameters
    own = OpenAIParameters.model_fields
    fields: dict[str, Any] = {name: (info.annotation, info) for name, info in own.items() if name not in vendor.unsupported}
    if "n" in fields:
        fields["n"] = (int | None, Field(None, ge=1, le=vendor.choices, description=own["n"].description))
    return create_model("OpenAIParametersOfVendor", __base__=Parameters, **fields)


@dataclass(frozen=True, slots=True)
class Vendor:
    """An OpenAI-compatible provider: where it is, and its oddities. One more vendor is one more of these.

    Attributes:
        name: Lower-case id, as in `/provider`.
        title: The name people read.
        base_url: With the version, without a trailing slash.
        default_model: Used where nobody chose one.
        system_role: How the persona travels; ``first_user`` puts it before the first user message, for models that know no system role.
        renames: Parameters that this vendor spells otherwise, such as ``max_completion_tokens`` for OpenAI's reasoning models.
        unsupported: Parameters that are never sent.
        choices: Most answers to one question that it gives.
        extra: Further fields of every request; a parameter of the same name goes before it.
        headers: Further headers of every request.
        usage_in_stream: Ask for the usage chunk. Dropped by itself where the vendor refuses it.
        reasoning_fields: Where a message's reasoning stands, the first that is there.
        think_tags: What encloses reasoning at the start of an answer's text; None where such a tag is the answer's own matter.
        starts_thinking: Models (patterns) whose answer starts inside such a block, the opening tag being part of their prompt.
        completion_models: Models (patterns) that default to the completion endpoint.
        contexts: Window sizes in tokens, by model id.
        context: Window size of any other model; low, as an unknown window must not be overrun.
        images: Its models take pictures; None: not known, a picture is sent and a refusal remembered. Its model list knows better.
        vision: Models (patterns) that take pictures; where any is named, all others take none.
        first_seconds: So long the first payload of an answer is waited for, instead of the usual time.
        first_seconds_guessed: Nobody asked for these seconds: a budget of time that somebody set goes before them.
        lists_all_models: Its model list is complete.
        models: What is different for some models: by pattern of the model id, fields of this class. All patterns that fit
            count; where two say something of the same field, the first does.
    """

    name: str
    title: str
    base_url: str
    default_model: str
    system_role: Literal["system", "developer", "first_user"] = "system"
    renames: Mapping[str, str] = field(default_factory=dict)
    unsupported: frozenset[str] = frozenset()
    choices: int = CHOICES
    extra: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    usage_in_stream: bool = True
    reasoning_fields: tuple[str, ...] = ("reasoning_content", "reasoning")
    think_tags: tuple[str, str] | None = ("<think>", "</think>")
    starts_thinking: frozenset[str] = frozenset()
    completion_models: frozenset[str] = frozenset()
    contexts: Mapping[str, int] = field(default_factory=dict)
    context: int = 8192
    images: bool | None = None
    vision: frozenset[str] = frozenset()
    first_seconds: float | None = None
    first_seconds_guessed: bool = False
    lists_all_models: bool = True
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Values of its headers and further fields that are named as keys are; of ``Bearer abc`` also ``abc``, if it is no short word."""
        declared = [self.headers, self.extra, *(changes.get("extra", {}) for changes in self.models.values())]
        values = [found for fields in declared for found in _secrets_in(fields)]
        words = [found.split()[-1] for found in values if found.strip()]
        return tuple(dict.fromkeys([*values, *(word for word in words if len(word) >= SECRET_CHARS)]))

    def of(self, model: str) -> Vendor:
        """Return the vendor as it is with this model."""
        changes: dict[str, Any] = {}
        for pattern, fields in self.models.items():
            if fnmatchcase(model, pattern):
                changes = {**fields, **changes}
        return replace(self, **changes) if changes else self


_SECRET_NAME = re.compile(r"(key|token|secret|password|credentials?|cookie|auth|authorization|signature)$", re.IGNORECASE)


def _secrets_in(fields: Any, name: str = "") -> Iterator[str]:
    if isinstance(fields, str) and _SECRET_NAME.search(name):
        yield fields
    elif isinstance(fields, Mapping):
        for own, value in fields.items():
            yield from _secrets_in(value, own)
    elif isinstance(fields, list):
        for value in fields:
            yield from _secrets_in(value, name)


def fits(model: str, patterns: frozenset[str]) -> bool:
    """Whether a model id is one of the patterns, in which ``*`` stands for anything."""
    return any(fnmatchcase(model, pattern) for pattern in patterns)
