"""How long what fails is tried again before it is given up. Several attempts and some hours: what is wrong may be mended by then."""

from __future__ import annotations

from dataclasses import dataclass

PARK_ATTEMPTS, PARK_HOURS = 8, 3.0
"""Where nobody set it: what has failed so often, for so long, is given up. Pauses between attempts grow to a minute at most."""
WORKED_SECONDS = 600.0
"""A platform that took a call so lately is not away: what it still does not take is not held up by an outage."""


@dataclass(frozen=True, slots=True)
class ParkingRule:
    """From how many failures on, over how many seconds, something is given up."""

    attempts: int = PARK_ATTEMPTS
    seconds: float = PARK_HOURS * 3600

    def exceeded(self, failures: int, seconds: float) -> bool:
        """Tell whether something has failed too often for too long."""
        return failures >= self.attempts and seconds >= self.seconds


PATIENCE = ParkingRule()
"""The rule where nobody set one."""
