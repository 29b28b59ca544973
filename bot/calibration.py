"""How far the estimates of tokens are from what each model counts: learned from what providers report, and kept over restarts."""

from __future__ import annotations

import json
import logging

from adapters.tokens import Ratio
from storage.base import Store, StoreError

log = logging.getLogger(__name__)

SCOPE = "calibration"
"""Scope of the settings in which it is kept, one for each model."""
WORTH_WRITING = 0.01
"""A ratio that has moved by less is not written to the disk."""


class Calibration:
    """The ratio of every model. What can't be read or written costs nobody an answer: it is learned again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Ratio] | None = None
        self._written: dict[str, float] = {}

    async def ratio(self, provider: str, model: str) -> float:
        """Return what the model counts for an estimated token; 1 where nothing is known."""
        return (await self._all()).get(_key(provider, model), Ratio()).value

    async def learn(self, provider: str, model: str, estimated: int, reported: int) -> None:
        """Learn from one prompt.

        Args:
            provider: Its name.
            model: The provider's own id.
            estimated: Its tokens as `adapters.tokens.estimate` has them, without any ratio.
            reported: Its tokens as the provider counted them.
        """
        known, key = await self._all(), _key(provider, model)
        ratio = known[key] = known.get(key, Ratio()).learn(estimated, reported)
        if abs(ratio.value - self._written.get(key, 1.0)) < WORTH_WRITING:
            return
        try:
            await self._store.put_setting(SCOPE, key, json.dumps([round(ratio.estimated, 1), round(ratio.reported, 1)]))
        except StoreError as error:
            log.warning("calibration.not_kept: %s", error)
        else:
            self._written[key] = ratio.value

    async def _all(self) -> dict[str, Ratio]:
        if self._known is None:
            stored = (await self._store.settings([SCOPE])).get(SCOPE, {})
            if self._known is not None:  # another turn has read it meanwhile, and may have learned already
                return self._known
            self._known = {key: ratio for key, value in stored.items() if (ratio := _read(value)) is not None}
            self._written = {key: ratio.value for key, ratio in self._known.items()}
        return self._known


def _key(provider: str, model: str) -> str:
    return f"{provider}/{model}"


def _read(value: str) -> Ratio | None:
    try:
        estimated, reported = (float(part) for part in json.loads(value))
    except (ValueError, TypeError):
        return None
    return Ratio(estimated, reported) if 0 <= estimated < 1e12 and 0 <= reported < 1e12 else None  # noqa: PLR2004 - keeps nan and inf out
