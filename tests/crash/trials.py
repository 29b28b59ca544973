"""What goes wrong outside while questions are answered: the provider's faults and the platforms', without a kill and with one."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, replace
from typing import Any

CHAT = "*/chat/completions"
CREATE, EDIT = "*/channels/*/messages", "*/channels/*/messages/*"
LIMITED = {"error": {"message": "Rate limit reached", "type": "rate_limit_error", "code": "rate_limit_exceeded"}}
BROKEN = {"error": {"message": "The server had an error", "type": "server_error", "code": "internal_error"}}
FLOODED = {"ok": False, "error_code": 429, "description": "Too Many Requests: retry after 1", "parameters": {"retry_after": 1}}
SLOW_DOWN = {"message": "You are being rate limited.", "retry_after": 0.5, "global": False}
ZOMBIE_SECONDS = 150.0
"""discord.py takes a connection for dead after a minute of silence; then everything has to be answered, too."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Something that goes wrong.

    Attributes:
        server: The stand-in that fails.
        fault: How its calls fail; the fields of `sandbox.faults.Fault`.
        gateway: What befalls Discord's gateway.
        replayed: What is said meanwhile comes when the session is resumed.
        failing: A question may end in a sentence that says what failed.
        unknown: So many creates get an unknown outcome, at most.
        kill: The bridge is killed in the midst of it.
        seconds: So long the answers may take.
    """

    name: str
    server: str = ""
    fault: dict[str, Any] | None = None
    gateway: str = ""
    replayed: bool = False
    failing: bool = False
    unknown: int = 0
    kill: bool = False
    seconds: float = 60.0

    @property
    def platform(self) -> str:
        return self.server if self.server in {"discord", "telegram"} else "discord" if self.gateway else ""


def _provider(name: str, times: int, *, failing: bool = True, **fault: Any) -> Trial:
    return Trial(f"provider: {name}", "netmind", {"path": CHAT, "times": times, **fault}, failing=failing)


def _discord(name: str, method: str, path: str, times: int, **fault: Any) -> Trial:
    return Trial(f"Discord: {name}", "discord", {"method": method, "path": path, "times": times, **fault})


def _telegram(name: str, method: str, times: int, *, unknown: bool = False, **fault: Any) -> Trial:
    return Trial(f"Telegram: {name}", "telegram", {"path": f"*/{method}", "times": times, **fault}, unknown=times if unknown else 0)


PROVIDER = (
    _provider("429 with a wait", 2, failing=False, status=429, body=LIMITED, headers={"Retry-After": "1"}),
    _provider("429 for ever", -1, status=429, body=LIMITED),
    _provider("500", 2, status=500, body=BROKEN),
    _provider("500 for ever", -1, status=500, body=BROKEN),
    _provider("connection cut before the answer", 2, drop="before"),
    _provider("stream cut at once", 3, stream="cut"),
    _provider("stream cut in the middle", 3, stream="cut", after_pieces=9),
    _provider("stall of 4 s, then on", 3, failing=False, stream="stall", after_pieces=5, stall=4.0),
    _provider("malformed chunk", 3, stream="garble", after_pieces=7),
)
STALLED = _provider("stall for ever", 2, stream="stall", after_pieces=6)
PLATFORMS = (
    _discord("503 on creates", "POST", CREATE, 3, status=503),
    _discord("503 on edits", "PATCH", EDIT, 4, status=503),
    _discord("creates reset before they are made", "POST", CREATE, 2, drop="before"),
    _discord("creates reset after they are made", "POST", CREATE, 2, drop="after"),
    _discord("edits reset", "PATCH", EDIT, 3, drop="after"),
    _discord("429 on creates", "POST", CREATE, 2, status=429, body=SLOW_DOWN),
    _discord("429 on edits", "PATCH", EDIT, 3, status=429, body=SLOW_DOWN),
    _telegram("503 on sends", "sendMessage", 2, unknown=True, status=503),
    _telegram("502 on edits", "editMessageText", 3, status=502, body="<html>bad gateway</html>"),
    _telegram("sends reset before they are made", "sendMessage", 2, unknown=True, drop="before"),
    _telegram("sends reset after they are made", "sendMessage", 2, unknown=True, drop="after"),
    _telegram("edits reset", "editMessageText", 3, drop="after"),
    _telegram("429 on sends", "sendMessage", 2, status=429, body=FLOODED),
    _telegram("429 on edits", "editMessageText", 3, status=429, body=FLOODED),
    _telegram("503 on updates", "getUpdates", 2, status=503),
    _telegram("updates reset", "getUpdates", 2, drop="after"),
    Trial("gateway: close 4000", gateway="close", replayed=True),
    Trial("gateway: session invalid, to be resumed", gateway="resumable", replayed=True),
    Trial("gateway: session invalid", gateway="invalid"),
    Trial("gateway: told to reconnect", gateway="reconnect", replayed=True),
)
ZOMBIE = Trial("gateway: zombie connection", gateway="zombie", replayed=True, seconds=ZOMBIE_SECONDS)
"""Open, and nothing comes over it any more, no heartbeat's answer either."""


def trials(seed: int) -> list[Trial]:
    """Return every trial, without a kill and with one; those that take a minute without."""
    found = [replace(one, kill=kill) for one, kill in itertools.product((*PROVIDER, *PLATFORMS), (False, True))]
    random.Random(seed).shuffle(found)
    return [*found, STALLED, ZOMBIE]
