"""What has failed lately is left alone for a while: a model, an account or a whole provider, as far as the error reaches.

After its pause a place is half open: one question is let through to try it, the others go elsewhere until that one has met its first text
or its failure. A cooldown is a guess. It decides who is asked first, never that nobody is asked: see `adapters.router`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from adapters.base import ErrorKind, Provider, ProviderError, Scope

log = logging.getLogger(__name__)

MENDED_S = 900.0
"""A refused key or an empty account: somebody has to mend it, and we are not told when."""

MODEL_GONE_S = 3600.0
"""A model that is not there: it seldom comes back."""

RATE_LEAST_S, RATE_MOST_S = 5.0, 60.0
"""A rate limit that says nothing of its end: the first pause and the longest, doubling. Providers count per minute."""

FAILURES, WITHIN_S = 3, 60.0
"""So many failures within so many seconds are no accident any more: a fault, a connection that fails, a silence."""

FAULT_LEAST_S, FAULT_MOST_S = 15.0, 120.0
"""The first pause after these and the longest, doubling."""

MOST_PLACES = 512
"""Models are names that people type: of more places than this the oldest are forgotten."""

_TO_MEND = frozenset(
    {
        ErrorKind.AUTH,
        ErrorKind.NOT_SERVED,
        ErrorKind.FORBIDDEN,
        ErrorKind.QUOTA,
        ErrorKind.MODEL_NOT_FOUND,
        ErrorKind.BAD_REQUEST,
    }
)
_FAULTS = frozenset(
    {
        ErrorKind.OVERLOADED,
        ErrorKind.SERVER,
        ErrorKind.CONNECT,
        ErrorKind.TIMEOUT_FIRST,
        ErrorKind.TIMEOUT_IDLE,
        ErrorKind.TIMEOUT_TOTAL,
        ErrorKind.PROTOCOL,
    }
)

Place = tuple[Scope, str, str, str]
"""Scope, provider, account, model; what the scope does not need is empty."""


@dataclass(slots=True)
class _Record:
    """What is known of a place.

    Attributes:
        failures: When faults were met that were not yet enough for a pause.
        pause: Seconds of the latest pause; 0: there was none.
        until: When it ends.
        kind: What it is for.
        probe: Who tries the place out.
    """

    failures: list[float] = field(default_factory=list)
    pause: float = 0.0
    since: float = 0.0
    until: float = 0.0
    kind: ErrorKind = ErrorKind.SERVER
    probe: Visit | None = None


class Cooldowns:
    """Pauses of places.

    Args:
        now: Gives monotonic seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._records: dict[Place, _Record] = {}

    def state(self, provider: Provider, model: str) -> tuple[float, ErrorKind | None]:
        """Return when a model may be asked and, if it should not be now, what for. Sorts by who is ready first."""
        now, end, kind = self._now(), 0.0, None
        for record in self._of(provider, model):
            if record.pause and (now < record.until or record.probe is not None) and record.until >= end:
                end, kind = record.until, record.kind
        return end, kind

    def visit(self, provider: Provider, model: str) -> Visit:
        """Begin to ask a model. Where its pause is over and nobody tries it yet, this is who does."""
        visit = Visit(provider, model, self._now())
        for record in self._of(provider, model):
            if record.pause and record.probe is None and visit.began >= record.until:
                record.probe = visit
        return visit

    def good(self, visit: Visit) -> None:
        """Text came: what was known before the visit began holds no more."""
        for place in _places(visit.provider, visit.model):
            record = self._records.get(place)
            if record is None or record.since > visit.began:
                continue
            if record.pause:
                log.info("provider.back provider=%s scope=%s", visit.provider.name, place[0])
            del self._records[place]

    def failed(self, visit: Visit, error: ProviderError) -> None:
        """A visit failed: pause the place that the error names, if it is one to pause for."""
        if error.scope is Scope.REQUEST or error.kind not in {*_TO_MEND, *_FAULTS, ErrorKind.RATE_LIMIT}:
            return
        place = next(place for place in _places(visit.provider, visit.model) if place[0] is error.scope)
        if place not in self._records and len(self._records) >= MOST_PLACES:
            del self._records[next(iter(self._records))]
        record = self._records.setdefault(place, _Record())
        now = self._now()
        pause = _pause(record, error, now)
        if pause <= 0 or now + pause <= record.until:
            return
        record.pause, record.since, record.until, record.kind, record.failures = pause, now, now + pause, error.told_as, []
        log.warning("provider.cooling provider=%s scope=%s kind=%s seconds=%.0f: %s", place[1], place[0], error.kind, pause, error.detail)

    def left(self, visit: Visit) -> None:
        """A visit has ended, however: if it was to try a place out and did not learn anything, the next one does."""
        for record in self._of(visit.provider, visit.model):
            if record.probe is visit:
                record.probe = None

    def _of(self, provider: Provider, model: str) -> list[_Record]:
        found = (self._records.get(place) for place in _places(provider, model))
        return [record for record in found if record is not None]


@dataclass(frozen=True, slots=True, eq=False)
class Visit:
    """One question at a model."""

    provider: Provider
    model: str
    began: float


def _pause(record: _Record, error: ProviderError, now: float) -> float:
    """Return the seconds that a failure pauses its place for; 0: not at all."""
    if error.kind in _TO_MEND:
        return MODEL_GONE_S if error.scope is Scope.MODEL else MENDED_S
    if record.pause and now < record.until:  # what was asked before the pause fails in it: that is nothing new
        return error.wait
    if error.kind is ErrorKind.RATE_LIMIT:
        return error.wait or _doubled(record, RATE_LEAST_S, RATE_MOST_S)
    if error.kind is ErrorKind.OVERLOADED and error.wait:
        return error.wait
    record.failures = [*(at for at in record.failures if now - at < WITHIN_S), now]
    return _doubled(record, FAULT_LEAST_S, FAULT_MOST_S) if record.pause or len(record.failures) >= FAILURES else 0.0


def _doubled(record: _Record, least: float, most: float) -> float:
    return min(max(record.pause * 2, least), most)


def _places(provider: Provider, model: str) -> tuple[Place, Place, Place]:
    return (
        (Scope.PROVIDER, provider.name, "", ""),
        (Scope.ACCOUNT, provider.name, provider.account, ""),
        (Scope.MODEL, provider.name, provider.account, model),
    )
