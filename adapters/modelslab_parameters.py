"""The body attributes of ModelsLab's v6 chat that a person may set, with the ranges of its document."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from adapters.base import ADVISED, NEEDS, Parameters

MAX_NEW_TOKENS = 1024
"""Most tokens of one answer; also our default, because the provider's own, 128, cuts most answers off."""
MAX_SEED = 2**63 - 1
"""The document says no more than "integral value": what a whole number of 64 bits holds, and any service can read."""


def _at_most_one(value: Any) -> Any:
    """Clamp as the server does: the document's sample sends a top_p of 10 and has 1 echoed."""
    try:
        return 1.0 if 1 < float(value) < math.inf else value
    except (TypeError, ValueError, OverflowError):
        return value


class ModelsLabParameters(Parameters):
    """What can be set.

    Four have a default of ours that is always sent, where the provider's own is unstated or spoils answers.
    """

    max_new_tokens: int | None = Field(MAX_NEW_TOKENS, ge=1, le=MAX_NEW_TOKENS, description="Most tokens the answer may have.")
    do_sample: bool | None = Field(True, description="Sample from the likely tokens; false always takes the likeliest one.")
    temperature: float | None = Field(
        None,
        gt=0,
        le=2,
        description="Randomness. The provider advises 0.1 to 0.3 and uses 0.3 by itself; higher values are taken too.",
        json_schema_extra={ADVISED: [0.1, 0.3]},
    )
    top_k: int | None = Field(
        None, ge=1, le=128, description="Only so many of the likeliest tokens are considered; the provider's own: 50."
    )
    top_p: Annotated[float | None, BeforeValidator(_at_most_one)] = Field(
        None,
        gt=0,
        le=1,
        description="Only the likeliest tokens that add up to this probability are considered; above 1 is 1. The provider's own: 0.95.",
    )
    no_repeat_ngram_size: int | None = Field(
        0,
        ge=0,
        le=MAX_NEW_TOKENS,  # a longer run than an answer can have
        description="No run of so many tokens may come twice; 0 is off. The provider's own, 5, damages code, lists and tables.",
    )
    seed: int | None = Field(
        None, ge=0, le=MAX_SEED, description="The same seed gives the same answer again, also on a retry. Unset: random."
    )
    temp: bool | None = Field(False, description="Have the provider send proxy links.")
    reset: bool | None = Field(
        None, description="Start the provider's memory of the chat anew with each question; the conversation is then sent along every time."
    )
    generator_type: Literal["json", "choices", "format", "text"] | None = Field(
        None,
        description="Kind of answer. All but text need generator_choices.",
        json_schema_extra={NEEDS: ["generator_choices", ["json", "choices", "format"]]},
    )
    generator_choices: str | None = Field(
        None,
        description="What generator_type needs: the choices, a JSON schema, or a data type.",
        min_length=1,
        max_length=4000,
        json_schema_extra={NEEDS: ["generator_type", None]},
    )


DEFAULTS: dict[str, Any] = ModelsLabParameters().model_dump(exclude_none=True)
"""Sent where nothing else was set."""
