"""The contract benches of the three providers that have a stand-in of their own."""

import asyncio

import aiohttp

from adapters.base import Provider
from adapters.http import Budgets
from adapters.modelslab import ModelsLab
from adapters.netmind import Netmind
from adapters.segmind import Segmind
from sandbox.providers import ModelsLabSandbox, NetmindSandbox, SegmindSandbox
from sandbox.providers.netmind import BASE_PATH
from sandbox.providers.voices import by_words
from tests.support.providers import KEY, Bench


class Parrot:
    """A voice that says the same again and again."""

    def __init__(self) -> None:
        self.text = "Hello"
        self.heard: asyncio.Event | None = None

    async def speak(self, model, messages):
        for number, piece in enumerate(by_words(self.text)):
            if number == 1 and self.heard is not None:
                await self.heard.wait()
            yield piece


async def _no_wait(_: float) -> None:
    """The contract is not about how long the queue takes."""


class NetmindBench(Bench):
    """Netmind's chat completions."""

    model = "meta-llama/Meta-Llama-3.1-8B-Instruct"

    def __init__(self) -> None:
        self._voice = Parrot()
        self.server = self._sandbox = NetmindSandbox(key=KEY, voice=self._voice)

    def provider(
        self, session: aiohttp.ClientSession, *, url: str | None = None, key: str = KEY, budgets: Budgets | None = None
    ) -> Provider:
        return Netmind(session, key=key, base_url=f"{url or self._sandbox.url}{BASE_PATH}", budgets=budgets)

    def say(self, text: str) -> None:
        self._voice.text, self._voice.heard = text, self.heard


class SegmindBench(Bench):
    """Segmind v1."""

    model = "llama-v3p1-8b-instruct"
    streaming = False

    def __init__(self) -> None:
        self._voice = Parrot()
        self.server = self._sandbox = SegmindSandbox(key=KEY, voice=self._voice, requests_per_minute=10_000)

    def provider(
        self, session: aiohttp.ClientSession, *, url: str | None = None, key: str = KEY, budgets: Budgets | None = None
    ) -> Provider:
        return Segmind(session, key=key, base_url=url or self._sandbox.base_url, sleep=_no_wait, budgets=budgets)

    def say(self, text: str) -> None:
        self._voice.text = text


class SegmindJobsBench(SegmindBench):
    """Segmind v2: a model that is asked through jobs."""

    model = "deepseek-reasoner"


class ModelsLabBench(Bench):
    """ModelsLab v6 chat."""

    model = "zephyr-7b-beta"
    streaming = False

    def __init__(self) -> None:
        self._voice = Parrot()
        self.server = self._sandbox = ModelsLabSandbox(key=KEY, voice=self._voice)

    def provider(
        self, session: aiohttp.ClientSession, *, url: str | None = None, key: str = KEY, budgets: Budgets | None = None
    ) -> Provider:
        return ModelsLab(session, key=key, base_url=f"{url or self._sandbox.url}/api/v6", sleep=_no_wait, budgets=budgets)

    def say(self, text: str) -> None:
        self._voice.text = text
