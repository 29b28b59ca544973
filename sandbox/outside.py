"""The whole outside world in one piece: both platforms, all three providers."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Self

from sandbox.discord import DiscordSandbox
from sandbox.providers import ModelsLabSandbox, NetmindSandbox, ScriptedVoice, SegmindSandbox, Voice
from sandbox.server import Server
from sandbox.telegram import TelegramSandbox

NETMIND_KEY, SEGMIND_KEY, MODELSLAB_KEY = "sandbox-netmind-key", "SG_5a4db0c55a4db0c5", "sandbox-modelslab-key"
"""Keys that the stand-ins take. They open nothing anywhere else."""


class Outside:
    """Starts and stops the stand-ins together.

    Args:
        voice: What the provider stand-ins say; queued text by default.
        now: Epoch seconds, for all of them.
    """

    def __init__(self, *, voice: Voice | None = None, now: Callable[[], float] = time.time) -> None:
        self.voice: Voice = voice or ScriptedVoice()
        self.discord = DiscordSandbox(now=now)
        self.telegram = TelegramSandbox(now=now)
        self.netmind = NetmindSandbox(key=NETMIND_KEY, voice=self.voice, now=now)
        self.segmind = SegmindSandbox(key=SEGMIND_KEY, voice=self.voice, now=now)
        self.modelslab = ModelsLabSandbox(key=MODELSLAB_KEY, voice=self.voice, now=now)
        self._stack = AsyncExitStack()

    @property
    def servers(self) -> tuple[Server, ...]:
        """All stand-ins."""
        return self.discord, self.telegram, self.netmind, self.segmind, self.modelslab

    def platform_settings(self) -> dict[str, Any]:
        """Return the settings, by field name, that point a bridge at both platforms."""
        return {
            "discord_token": self.discord.token,
            "discord_api_base_url": self.discord.api_url,
            "discord_gateway_url": self.discord.gateway_url,
            "telegram_token": self.telegram.token,
            "telegram_api_base_url": self.telegram.api_url,
        }

    def provider_settings(self) -> dict[str, Any]:
        """Return the settings, by field name, that point a bridge at the three providers."""
        return {
            "netmind_api_key": NETMIND_KEY,
            "netmind_base_url": self.netmind.base_url,
            "segmind_api_key": SEGMIND_KEY,
            "segmind_base_url": self.segmind.base_url,
            "modelslab_api_key": MODELSLAB_KEY,
            "modelslab_base_url": self.modelslab.base_url,
        }

    async def __aenter__(self) -> Self:
        for server in self.servers:
            await self._stack.enter_async_context(server)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
