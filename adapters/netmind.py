"""Netmind Power: one declaration over the OpenAI-compatible engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import aiohttp

from adapters.base import ErrorKind, Health, ProviderError, Scope
from adapters.http import Budgets
from adapters.openai_compatible import OpenAICompatible
from adapters.openai_parameters import THINKS, Vendor

FORMER_URL = "https://inference-api.netmind.ai/inference-api/openai/v1"
"""The address of Netmind's older document. A key is never sent there unless it is set as the base address."""

_ONE_TEMPERATURE: Mapping[str, Any] = {"unsupported": frozenset({"temperature"}), **THINKS}
"""gpt-5's models take no temperature but their own, whatever range Netmind's document gives. Of others nothing of the kind is known."""

NETMIND = Vendor(
    name="netmind",
    title="Netmind Power",
    base_url="https://api.netmind.ai/inference-api/openai/v1",
    default_model="meta-llama/Meta-Llama-3.1-8B-Instruct",
    contexts={
        "meta-llama/Meta-Llama-3.1-8B-Instruct": 131_072,
        "meta-llama/Meta-Llama-3.1-70B-Instruct": 131_072,
    },
    context=32_768,  # a guess on the low side: its list tells no sizes
    models={
        "openai/gpt-5*": _ONE_TEMPERATURE,
        **dict.fromkeys(("openai/o[134]*", "deepseek-ai/DeepSeek-R*", "deepseek-ai/DeepSeek-V4*", "*[Tt]hinking*"), THINKS),
    },
)


class Netmind(OpenAICompatible):
    """The provider ``netmind``.

    Args:
        session: From `adapters.http.open_session`.
        key: Netmind API key.
        base_url: Instead of Netmind's current one.
        default_model: Instead of the document's.
        completion_models: Models whose endpoint defaults to completion.
        budgets: Of time.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        key: str,
        base_url: str | None = None,
        default_model: str | None = None,
        completion_models: frozenset[str] = frozenset(),
        budgets: Budgets | None = None,
    ) -> None:
        vendor = replace(NETMIND, completion_models=completion_models)
        super().__init__(session, vendor, key=key, base_url=base_url, default_model=default_model, budgets=budgets)

    async def check(self) -> Health:
        """Prove address and key.

        What is wrong with either may be that they belong to Netmind's other address: that one is named, and nothing is ever sent there.
        """
        other = NETMIND.base_url if self._url == FORMER_URL else FORMER_URL
        try:
            health = await super().check()
        except ProviderError as error:
            if error.kind in {ErrorKind.AUTH, ErrorKind.FORBIDDEN} or error.scope is Scope.PROVIDER:
                error.detail = f"{error.detail}{'; ' if error.detail else ''}Netmind has two addresses, the other one is {other}"
            raise
        if self._url == FORMER_URL:
            return replace(health, note=f"{health.note}; this is Netmind's former address, its present one is {other}")
        return health
