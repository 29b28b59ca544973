"""A model that thinks unheard says its first word late: it is waited for longer than the others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import aiohttp
import pytest

from adapters.base import Billed, ErrorKind, ProviderError, TextDelta
from adapters.http import Budgets, Http
from adapters.netmind import NETMIND, Netmind
from adapters.openai_compatible import OpenAICompatible, openai_endpoint
from adapters.openai_parameters import OpenAIParameters, Vendor
from adapters.openai_vendors import GENERIC, OPENAI, PRESETS
from adapters.openai_wire import request_body
from adapters.segmind import Segmind
from tests.support.clock import LoopTime
from tests.support.openai_tapes import DONE, MODEL, Tape, TapeServer, delta
from tests.support.providers import KEY, events, failure, request
from tests.support.seam import eventually

BUDGETS = Budgets(connect=100, first=1000, idle=1000, total=9000)
THINKS = {"netmind": "openai/gpt-5.4", "openai": "gpt-5.4"}
LATE = {"first_seconds": 5e3}


@pytest.mark.parametrize("vendor", [replace(GENERIC, models={MODEL: LATE}), replace(GENERIC, first_seconds=5e3)], ids=["model", "all"])
async def test_a_model_that_thinks_unheard_may_take_longer_to_its_first_word_and_no_other(
    session: aiohttp.ClientSession, loop_time: LoopTime, vendor: Vendor
) -> None:
    tape = Tape([b": thinking\n\n", 3000.0, delta("Hello"), delta(finish="stop"), DONE])
    async with TapeServer(tape) as server:
        patient = OpenAICompatible(session, vendor, key=KEY, base_url=f"{server.url}/v1", budgets=BUDGETS)
        asking = asyncio.ensure_future(events(patient, request(MODEL)))
        await eventually(lambda: server.played)
        await loop_time.skip(2000)
        assert not asking.done()
        await loop_time.skip(1000)
        assert TextDelta("Hello") in await asking
        plain = OpenAICompatible(session, GENERIC, key=KEY, base_url=f"{server.url}/v1", budgets=BUDGETS)
        server.played = 0
        failing = asyncio.ensure_future(failure(plain, request(MODEL)))
        await eventually(lambda: server.played)
        await loop_time.skip(2000)
        assert (await failing).kind is ErrorKind.TIMEOUT_FIRST


@pytest.mark.parametrize("make", [Netmind, openai_endpoint], ids=["netmind", "openai"])
async def test_a_budget_that_somebody_set_goes_before_the_guess_about_a_model_that_thinks(
    session: aiohttp.ClientSession, make: Callable[..., OpenAICompatible], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def waited(_: object, *args: object, budgets: Budgets, **others: object) -> None:
        asked.append(budgets.first)
        raise ProviderError(ErrorKind.CONNECT, "not asked", billed=Billed.NO)

    monkeypatch.setattr(Http, "stream_json", waited)
    for budgets in (None, Budgets(idle=5), Budgets(first=170), Budgets(first=5)):
        provider = make(session, key=KEY, budgets=budgets)
        assert (await failure(provider, request(THINKS[provider.name]))).detail == "not asked"
    assert asked == [90, 90, 170, 5]


def test_what_is_different_with_some_of_openais_models_is_declared(session: aiohttp.ClientSession) -> None:
    openai = openai_endpoint(session, key=KEY)
    windows = {"o1": 200_000, "o1-mini": 128_000, "o1-preview-2024-09-12": 128_000, "o3-mini": 200_000, "gpt-5.1-chat-latest": 128_000}
    assert {model: openai.capabilities(model).context_tokens for model in windows} == windows
    first = OPENAI.of("o1-mini")
    assert (first.system_role, first.images, first.renames) == ("first_user", False, {"max_tokens": "max_completion_tokens"})
    assert openai.capabilities("gpt-4.1").unsupported == frozenset()
    sampling = {"temperature", "top_p", "presence_penalty", "frequency_penalty", "logit_bias", "stop"}
    for model in ("o1-mini", "o3", "o4-mini", "gpt-5.4"):  # what they do not take is said, see /settings
        assert openai.capabilities(model).unsupported == sampling


@pytest.mark.parametrize(
    ("vendor", "model", "held"),
    [
        (NETMIND, "openai/gpt-5.4", True),
        (NETMIND, "openai/gpt-5-mini", True),
        (NETMIND, "openai/o3", False),
        (NETMIND, "deepseek-ai/DeepSeek-V4-Pro", False),
        (OPENAI, "gpt-5.4", True),
        (OPENAI, "openai/gpt-5.4", False),
        (PRESETS["openrouter"], "openai/gpt-5.4", False),
    ],
)
def test_a_temperature_is_held_back_where_it_is_known_to_be_refused(
    session: aiohttp.ClientSession, vendor: Vendor, model: str, held: bool
) -> None:
    """As docs/providers.md says it."""
    provider = OpenAICompatible(session, vendor, key=KEY)
    assert ("temperature" in provider.capabilities(model).unsupported) is held
    sent = request_body(vendor.of(model), request(model), OpenAIParameters(temperature=0.5, top_p=0.5), completion=False, usage=False)
    assert ("temperature" not in sent) is held
    assert ("top_p" not in sent) is (held and vendor is OPENAI)  # of Netmind's nothing more is known


def test_of_segminds_models_nothing_is_held_back(session: aiohttp.ClientSession) -> None:
    assert Segmind(session, key=KEY).capabilities("gpt-5").unsupported == frozenset()


def test_which_models_think_unheard_is_declared() -> None:
    thinking = [NETMIND.of("openai/gpt-5.4"), NETMIND.of("deepseek-ai/DeepSeek-V4-Pro"), OPENAI.of("o3-mini"), OPENAI.of("gpt-5.4")]
    assert [vendor.first_seconds for vendor in thinking] == [90.0] * 4
    others = [NETMIND.of("meta-llama/Meta-Llama-3.1-8B-Instruct"), NETMIND.of("deepseek-ai/DeepSeek-V3"), OPENAI.of("gpt-4.1-mini")]
    assert [vendor.first_seconds for vendor in others] == [None] * 3
