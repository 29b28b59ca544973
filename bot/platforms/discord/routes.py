"""Interaction tokens: the short-lived way to answer a slash command or a button."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from bot.model import ReplyRoute
from bot.platforms.budgets import DISCORD_INTERACTION_ACK_SECONDS, DISCORD_INTERACTION_TOKEN_SECONDS

HANDOVER_SECONDS: Final = 60.0
"""So long before a token's end answers move to the bot's own route."""


@dataclass(frozen=True, slots=True)
class InteractionRoute:
    """What is needed to answer an interaction.

    Attributes:
        press: A button was pressed: the interaction has no message of its own to fill in; its original is the one with the button.
    """

    application: str
    token: str = field(repr=False)
    interaction: str
    press: bool = False

    @property
    def webhook(self) -> str:
        """Path of the webhook that stands for the interaction."""
        return f"/webhooks/{self.application}/{self.token}"

    @property
    def bucket(self) -> str:
        """Name of its budget. Tells nothing of the token."""
        return f"discord:interaction:{hashlib.sha256(self.token.encode()).hexdigest()[:16]}"

    def pack(self, now: float) -> ReplyRoute:
        """Return it as the core keeps it; `now` in epoch seconds.

        Raises:
            TypeError: The token is none. discord.py takes what comes; every call by this route would fail where nobody expects it.
        """
        if not isinstance(self.token, str) or not self.token:
            raise TypeError("the token of an interaction is none")
        value = json.dumps({"application": self.application, "token": self.token, "interaction": self.interaction, "press": self.press})
        return ReplyRoute(value, now + DISCORD_INTERACTION_TOKEN_SECONDS - HANDOVER_SECONDS)


def unpack(route: ReplyRoute | None, now: float) -> InteractionRoute | None:
    """Return the route if it still lives at `now` (epoch seconds)."""
    if route is None or route.expires_at <= now:
        return None
    value = json.loads(route.value)
    return InteractionRoute(value["application"], value["token"], value["interaction"], press=value.get("press", False))


class Acknowledgements:
    """Interactions of this process that are being acknowledged; an answer must not overtake that."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Event] = {}

    @contextmanager
    def under_way(self, interaction: str) -> Iterator[None]:
        """Mark an interaction as not yet acknowledged, until the end of the block."""
        done = self._under_way[interaction] = asyncio.Event()
        try:
            yield
        finally:
            done.set()
            if self._under_way.get(interaction) is done:  # not if the gateway replayed the interaction meanwhile
                del self._under_way[interaction]

    async def settled(self, interaction: str) -> None:
        """Return when the acknowledgement is out, at the latest when Discord would not take it any more."""
        done = self._under_way.get(interaction)
        if done is None:
            return
        try:
            async with asyncio.timeout(DISCORD_INTERACTION_ACK_SECONDS):
                await done.wait()
        except TimeoutError:
            return
