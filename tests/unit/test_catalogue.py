"""Model lists, kept for a while; and the nearest valid names."""

from __future__ import annotations

import asyncio
import gc

import pytest

from adapters.base import ErrorKind, ModelInfo, ProviderError
from bot.catalogue import BUTTON_DATA_CHARS, FRESH_SECONDS, Catalogue, nearest, resolve, short_name
from tests.support.clock import FakeClock
from tests.support.core import eventually
from tests.support.scripted import ScriptedProvider

LONG = "organisation/" + "very-long-model-name-" * 5
MODELS = ["meta-llama/Meta-Llama-3.1-8B-Instruct", "meta-llama/Meta-Llama-3.1-70B-Instruct", "gpt-4o", "claude-3-haiku", LONG]


async def test_a_list_is_fetched_once_while_it_is_fresh_and_again_afterwards() -> None:
    clock, provider = FakeClock(), ScriptedProvider()
    catalogue = Catalogue({"alpha": provider}, clock)
    for _ in range(3):
        assert [model.id for model in await catalogue.models("alpha")] == ["small", "large"]
    assert provider.listings == 1
    provider.names = ("new",)
    await clock.run(FRESH_SECONDS)
    assert [model.id for model in await catalogue.models("alpha")] == ["new"]
    assert provider.listings == 2


async def test_an_old_list_is_better_than_none() -> None:
    clock, provider = FakeClock(), ScriptedProvider()
    catalogue = Catalogue({"alpha": provider}, clock)
    await catalogue.models("alpha")
    await clock.run(FRESH_SECONDS * 2)
    provider.list_error = ProviderError(ErrorKind.CONNECT)
    assert [model.id for model in await catalogue.models("alpha")] == ["small", "large"]


async def test_where_no_list_was_ever_had_the_failure_is_told_and_not_kept() -> None:
    provider = ScriptedProvider(list_error=ProviderError(ErrorKind.CONNECT))
    catalogue = Catalogue({"alpha": provider}, FakeClock())
    with pytest.raises(ProviderError):
        await catalogue.models("alpha")
    provider.list_error = None
    assert await catalogue.models("alpha")


class SlowProvider(ScriptedProvider):
    """Lists its models once the test opens the gate."""

    def __init__(self, fault: Exception | None = None) -> None:
        super().__init__()
        self.fault = fault
        self.gate = asyncio.Event()
        self.ended = 0

    async def models(self) -> tuple[ModelInfo, ...]:
        self.listings += 1
        try:
            await self.gate.wait()
        finally:
            self.ended += 1
        if self.fault is not None:
            raise self.fault
        return tuple(ModelInfo(name) for name in self.names)


async def test_a_slow_list_is_fetched_once_for_all_key_presses_and_kept_though_each_gave_up() -> None:
    provider = SlowProvider()
    catalogue = Catalogue({"alpha": provider}, FakeClock())
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(catalogue.models("alpha"), 0.01)
    assert (provider.listings, provider.ended) == (1, 0)
    provider.gate.set()
    await eventually(lambda: provider.ended)
    assert [model.id for model in await asyncio.wait_for(catalogue.models("alpha"), 1)] == ["small", "large"]
    assert provider.listings == 1


async def test_all_who_ask_at_once_share_one_fetch() -> None:
    provider = SlowProvider()
    catalogue = Catalogue({"alpha": provider}, FakeClock())
    askers = [asyncio.create_task(catalogue.models("alpha")) for _ in range(5)]
    await asyncio.sleep(0)
    askers[0].cancel()
    await asyncio.sleep(0)
    provider.gate.set()
    given_up, *lists = await asyncio.gather(*askers, return_exceptions=True)
    assert isinstance(given_up, asyncio.CancelledError)
    assert all(found == (ModelInfo("small"), ModelInfo("large")) for found in lists)
    assert provider.listings == 1


@pytest.mark.parametrize("error", [ProviderError(ErrorKind.CONNECT), RuntimeError("a fault of ours")])
async def test_a_failure_that_nobody_waits_for_is_logged_and_not_kept(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    unheard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    provider = SlowProvider(error)
    catalogue = Catalogue({"alpha": provider}, FakeClock())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(catalogue.models("alpha"), 0.01)
    provider.gate.set()
    await eventually(lambda: "catalogue." in caplog.text)
    gc.collect()
    assert not unheard
    provider.fault = None
    assert await catalogue.models("alpha")
    assert provider.listings == 2


async def test_closing_ends_what_is_being_fetched_and_tells_those_who_wait() -> None:
    provider = SlowProvider()
    catalogue = Catalogue({"alpha": provider}, FakeClock())
    asker = asyncio.create_task(catalogue.models("alpha"))
    await eventually(lambda: provider.listings)
    await catalogue.aclose()
    assert provider.ended == 1
    with pytest.raises(ProviderError):
        await asker
    await catalogue.aclose()


async def test_each_provider_has_its_own_list() -> None:
    catalogue = Catalogue({"alpha": ScriptedProvider(), "beta": ScriptedProvider("beta", names=("b",))}, FakeClock())
    assert await catalogue.models("alpha") != await catalogue.models("beta")


@pytest.mark.parametrize(
    ("typed", "best"),
    [
        ("70b", "meta-llama/Meta-Llama-3.1-70B-Instruct"),
        ("gpt4o", "gpt-4o"),
        ("GPT-4", "gpt-4o"),
        ("Meta-Lama-3.1-8B-Instruct", "meta-llama/Meta-Llama-3.1-8B-Instruct"),
        ("claude-3-hiaku", "claude-3-haiku"),
    ],
)
def test_the_nearest_name_comes_first(typed: str, best: str) -> None:
    found = nearest(typed, MODELS)
    assert found[0] == best
    assert len(found) == len(set(found)) <= 3


@pytest.mark.parametrize("typed", ["", "zzzzzz", "🦊", "\0"])
def test_what_is_like_nothing_has_no_nearest_name(typed: str) -> None:
    assert nearest(typed, MODELS) == []
    assert nearest(typed, []) == []


def test_a_single_letter_is_the_beginning_of_a_name_and_not_just_in_it() -> None:
    assert nearest("g", ["gpt-4o", "mistral-large"]) == ["gpt-4o"]
    assert nearest("o3", ["gpt-4o", "openai/o3-mini"]) == ["openai/o3-mini"]


def test_a_name_is_found_exactly_then_without_regard_to_case() -> None:
    assert resolve("gpt-4o", ["GPT-4O", "gpt-4o"]) == "gpt-4o"
    assert resolve("GPT-4o", MODELS) == "gpt-4o"
    assert resolve("gpt", MODELS) is None


@pytest.mark.parametrize("model", [*MODELS, "模型" * 20, "x" * 58, "x" * 59])
def test_every_model_fits_into_a_button_and_is_found_by_it(model: str) -> None:
    short = short_name(model, "model:")
    assert len(f"model:{short}".encode()) <= BUTTON_DATA_CHARS
    assert resolve(short, [*MODELS, model]) == model
    assert (short == model) == (len(f"model:{model}".encode()) <= BUTTON_DATA_CHARS)
