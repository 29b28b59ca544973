"""The whole outside world in one piece: both platforms, all three providers."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Self

from sandbox.discord import DiscordSandbox
from sandbox.discord.server import TOKEN as DISCORD_TOKEN
from sandbox.providers import ModelsLabSandbox, NetmindSandbox, ScriptedVoice, SegmindSandbox, Voice
from sandbox.server import Server
from sandbox.telegram import TelegramSandbox
from sandbox.telegram.server import TOKEN as TELEGRAM_TOKEN

NETMIND_KEY, SEGMIND_KEY, MODELSLAB_KEY = "sandbox-netmind-key", "SG_5a4db0c55a4db0c5", "sandbox-modelslab-key"
"""Keys that the stand-ins take. They open nothing anywhere else."""


@dataclass(frozen=True, slots=True, repr=False)
class _Keys:
    """What the stand-ins take, in the form of the real ones."""

    discord: str = DISCORD_TOKEN
    telegram: str = TELEGRAM_TOKEN
    netmind: str = NETMIND_KEY
    segmind: str = SEGMIND_KEY
    modelslab: str = MODELSLAB_KEY

    @classmethod
    def random(cls) -> Self:
        bot_id = TELEGRAM_TOKEN.partition(":")[0]
        return cls(
            discord=secrets.token_urlsafe(32),
            telegram=f"{bot_id}:{secrets.token_urlsafe(26)}",
            netmind=secrets.token_urlsafe(32),
            segmind=f"SG_{secrets.token_hex(16)}",
            modelslab=secrets.token_urlsafe(32),
        )


class Outside:
    """Starts and stops the stand-ins together.

    Args:
        voice: What the provider stand-ins say; queued text by default.
        now: Epoch seconds, for all of them.
        random_tokens: Take new tokens and keys, which nobody else on the machine can know; otherwise they are always the same.
        keep_calls: How many calls each of them remembers; None for all.
    """

    def __init__(
        self,
        *,
        voice: Voice | None = None,
        now: Callable[[], float] = time.time,
        random_tokens: bool = False,
        keep_calls: int | None = None,
    ) -> None:
        self.voice: Voice = voice or ScriptedVoice()
        keys = _Keys.random() if random_tokens else _Keys()
        self._keys = keys
        self.discord = DiscordSandbox(token=keys.discord, now=now)
        self.telegram = TelegramSandbox(token=keys.telegram, now=now)
        self.netmind = NetmindSandbox(key=keys.netmind, voice=self.voice, now=now)
        self.segmind = SegmindSandbox(key=keys.segmind, voice=self.voice, now=now)
        self.modelslab = ModelsLabSandbox(key=keys.modelslab, voice=self.voice, now=now)
        for server in self.servers:
            server.keep_calls = keep_calls
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
            "discord_cdn_base_url": self.discord.cdn_url,
            "telegram_token": self.telegram.token,
            "telegram_api_base_url": self.telegram.api_url,
        }

    def provider_settings(self) -> dict[str, Any]:
        """Return the settings, by field name, that point a bridge at the three providers."""
        return {
            "netmind_api_key": self._keys.netmind,
            "netmind_base_url": self.netmind.base_url,
            "segmind_api_key": self._keys.segmind,
            "segmind_base_url": self.segmind.base_url,
            "modelslab_api_key": self._keys.modelslab,
            "modelslab_base_url": self.modelslab.base_url,
        }

    async def __aenter__(self) -> Self:
        for server in self.servers:
            await self._stack.enter_async_context(server)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
