"""The models on offer, fetched live and kept for a while; and which valid names come nearest to a wrong one."""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from adapters.base import ErrorKind, ModelInfo, Provider, ProviderError
from bot.clock import Clock

log = logging.getLogger(__name__)

FRESH_SECONDS = 300.0
"""A list younger than this is not fetched again."""
NEAREST, NEAREST_CUTOFF = 3, 0.5
"""How many near names are offered, and how near they must be (difflib's ratio)."""
CONTAINED_CHARS = 2
"""So much at least must be typed for a name to be offered because it contains it further behind: nearly every name has an `e`."""
CLOSE = 0.75
"""How near they must be where there are few names, all of which can be told instead: `top_p` is no misspelt `stop` (0.67)."""
BUTTON_DATA_CHARS = 64
"""Longest button data (Telegram's callback_data, the tightest platform)."""


@dataclass(frozen=True, slots=True)
class _Kept:
    at: float
    models: tuple[ModelInfo, ...]


class Catalogue:
    """Model lists of all providers.

    A list is fetched by one task of its own, however many ask and whether or not they wait for it: an autocompletion gives up sooner than a
    slow provider answers, and the next key press is to find what the one before asked for.
    """

    def __init__(self, providers: Mapping[str, Provider], clock: Clock) -> None:
        self._providers = providers
        self._clock = clock
        self._kept: dict[str, _Kept] = {}
        self._fetching: dict[str, asyncio.Task[_Kept]] = {}

    async def models(self, provider: str) -> tuple[ModelInfo, ...]:
        """Return a provider's models.

        Raises:
            ProviderError: The list could not be had and none is kept.
        """
        kept = self._kept.get(provider)
        if kept is not None and self._clock.now() - kept.at < FRESH_SECONDS:
            return kept.models
        task = self._fetching.get(provider)
        if task is None:
            task = self._fetching[provider] = asyncio.create_task(self._fetch(provider))
            task.add_done_callback(partial(self._fetched, provider))
        await asyncio.wait({task})  # unlike awaiting the task itself: cancelled here, the task goes on
        if task.cancelled():
            raise ProviderError(ErrorKind.CONNECT, "the bridge is closing")
        try:
            return task.result().models
        except ProviderError:
            if kept is None:
                raise
            return kept.models

    async def _fetch(self, provider: str) -> _Kept:
        models = await self._providers[provider].models()
        kept = self._kept[provider] = _Kept(self._clock.now(), models)
        return kept

    def _fetched(self, provider: str, task: asyncio.Task[_Kept]) -> None:
        del self._fetching[provider]
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, ProviderError):  # nobody may be waiting for it any more
            log.info("catalogue.unavailable provider=%s: %s", provider, error)
        else:
            log.error("catalogue.crashed provider=%s", provider, exc_info=error)

    async def aclose(self) -> None:
        """End what is being fetched. Idempotent."""
        fetching = list(self._fetching.values())
        for task in fetching:
            task.cancel()
        await asyncio.gather(*fetching, return_exceptions=True)


def nearest(name: str, names: Iterable[str], cutoff: float = NEAREST_CUTOFF) -> list[str]:
    """Return the valid names nearest to a wrong one, best first: those that contain it, then those spelt alike (difflib's ratio).

    Of a single letter nothing is made but what begins with it.
    """
    known = list(names)
    low = name.lower()
    within = low if len(low) >= CONTAINED_CHARS else None
    containing = sorted((item for item in known if low and (item.lower().startswith(low) or (within and within in item.lower()))), key=len)
    by_low = {item.lower(): item for item in known}
    tails = {item.lower().rsplit("/", 1)[-1]: item for item in known}
    alike = [by_low[hit] for hit in difflib.get_close_matches(low, by_low, NEAREST, cutoff)]
    alike += [tails[hit] for hit in difflib.get_close_matches(low, tails, NEAREST, cutoff)]
    return list(dict.fromkeys([*containing, *alike]))[:NEAREST]


def short_name(model: str, prefix: str) -> str:
    """Return what stands for a model in a button's data: its id where it fits, else a fingerprint that `resolve` knows."""
    if len(f"{prefix}{model}".encode()) <= BUTTON_DATA_CHARS:
        return model
    return _fingerprint(model)


def _fingerprint(model: str) -> str:
    return "#" + hashlib.sha256(model.encode()).hexdigest()[:16]


def resolve(name: str, models: Sequence[str]) -> str | None:
    """Find the model that a typed name or a button's short name stands for: exact, else without regard to case; None if there is none."""
    if name in models:
        return name
    for model in models:
        if model.lower() == name.lower() or _fingerprint(model) == name:
            return model
    return None
