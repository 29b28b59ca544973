"""`dragoman doctor --live` against the stand-ins, well and with faults: each is told with its cause and what to do, nothing secret is."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from adapters.base import ChatRequest, Finished, Health, ModelInfo, Parameters, Started, TextDelta, Usage
from adapters.http import open_session
from adapters.netmind import FORMER_URL
from bot import cli, live
from bot.app import build_providers
from bot.live import Row, ask_live, examine_all
from bot.settings import load
from sandbox.certificates import OPENSSL
from sandbox.faults import Fault
from sandbox.outside import Outside
from sandbox.providers import ScriptedVoice
from tests.integration.test_tls import context
from tests.support.scripted import ScriptedProvider

__all__ = ["context"]

WRONG = "canary-wrong-4f1d"
CHAT, SLUG, MODELSLAB = "*/chat/completions", "*/v1/llama*", "*/llm/chat"


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside(voice=ScriptedVoice(["yes indeed it is so"])) as outside:
        yield outside


async def table(outside: Outside, **values: Any) -> list[Row]:
    given = {**outside.provider_settings(), "local_model": "off"}
    rows = await ask_live(load(None, **{**given, **values}))
    for row in rows:
        line = str(row)
        assert "\n" not in line
        assert line.startswith("ok  " if row.fine else "MEND")
        secrets = [value for name, value in given.items() if name.endswith("key")]
        assert not [secret for secret in (*secrets, WRONG, live.QUESTION, "yes indeed") if secret in line]
    return rows


def mended(rows: list[Row]) -> list[tuple[str, str]]:
    return [(row.provider, row.step) for row in rows if not row.fine]


async def test_where_all_is_well_each_provider_answers_one_short_question(outside: Outside) -> None:
    rows = await table(outside)
    assert [(row.provider, row.step, row.fine) for row in rows] == [
        (name, step, True) for name in ("netmind", "segmind", "modelslab") for step in ("key", "models", "question")
    ]
    words = {(row.provider, row.step): row.words for row in rows}
    assert "tokens" in words["netmind", "question"]
    assert "credits left" in words["segmind", "key"]
    assert "credits left" in words["segmind", "question"]
    assert "USD left" in words["modelslab", "key"]
    (asked,) = outside.netmind.calls_to("POST", "/chat/completions")
    assert (asked.body["max_tokens"], asked.body["stream"]) == (live.ANSWER_TOKENS, True)
    assert len(outside.modelslab.calls_to("POST", "/llm/chat")) == 1


@pytest.mark.parametrize(
    ("server", "fault", "row", "advice"),
    [
        ("netmind", Fault(path="*/models", status=401, body={"error": {"message": "bad key"}}), "key", "check NETMIND_API_KEY [HTTP 401"),
        ("netmind", Fault(path=CHAT, status=403, body="error code: 1020"), "question", "the key is not what it refuses [HTTP 403: error"),
        (
            "netmind",
            Fault(path=CHAT, status=403, body={"error": {"message": "Mystery"}}),
            "question",
            "may not be open to it; or it may be",
        ),
        ("netmind", Fault(path=CHAT, status=402, body={"error": {"message": "pay"}}), "question", "no credits are left"),
        ("segmind", Fault(path=SLUG, status=406, body={"error": "Insufficient credits"}), "question", "no credits are left"),
        ("segmind", Fault(path=SLUG, status=406, body={"error": "Invalid content type"}), "question", "did not take the request"),
        ("modelslab", Fault(path=MODELSLAB, status=200, body={"status": "error", "messege": "out of credits"}), "question", "no credits"),
        (
            "netmind",
            Fault(path=CHAT, status=404, body={"error": {"message": "unknown model: x"}}),
            "question",
            "there is no model meta-llama",
        ),
        ("segmind", Fault(path=SLUG, status=410, body={"error": "retired"}), "question", "Choose one with /model: DEFAULT_MODEL is"),
        ("netmind", Fault(path=CHAT, status=200, body="<html>Welcome to nginx</html>"), "question", "is it the right address?"),
        ("segmind", Fault(path=SLUG, status=200, body="<html>hello</html>"), "question", "Check SEGMIND_BASE_URL"),
        ("segmind", Fault(path=SLUG, status=200, body={"answer": 42}), "question", "is it the right address?"),
        ("modelslab", Fault(path=MODELSLAB, status=200, body={"text": "yes"}), "question", "is it the right address?"),
        ("netmind", Fault(path=CHAT, status=429, body={"error": {"message": "slow down"}}), "question", "too many requests"),
        ("modelslab", Fault(path=MODELSLAB, status=500, body={"status": "error"}), "question", "a fault of the provider's own"),
        ("netmind", Fault(path=CHAT, drop="before"), "question", "a fault of the provider's own"),
        ("netmind", Fault(path=CHAT, stream="cut", after_pieces=3), "question", "cut off on its way"),
    ],
    ids=lambda value: f"{value.status or value.drop or value.stream}" if isinstance(value, Fault) else "",
)
async def test_each_fault_is_told_with_what_to_do_and_the_others_are_examined(
    outside: Outside, server: str, fault: Fault, row: str, advice: str
) -> None:
    getattr(outside, server).faults.add(fault)
    rows = await table(outside)
    assert mended(rows) == [(server, row)]
    assert advice in next(one.words for one in rows if not one.fine)
    assert len({one.provider for one in rows}) == 3


@pytest.mark.parametrize(
    ("finish", "words"), [("stop", "the answer was empty: "), ("length", f"no text came within {live.ANSWER_TOKENS} tokens: ")]
)
async def test_an_empty_answer_is_told_as_cut_only_where_it_was(outside: Outside, finish: str, words: str) -> None:
    empty = {"choices": [{"index": 0, "message": {"role": "assistant", "content": ""}, "finish_reason": finish}]}
    outside.netmind.faults.add(Fault(path=CHAT, status=200, body=empty))
    rows = await table(outside)
    assert mended(rows) == [("netmind", "question")]
    assert next(row.words for row in rows if not row.fine).startswith(words)


async def test_a_model_that_wants_a_tool_is_told_as_that(outside: Outside) -> None:
    message = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f"}}]}
    called = {"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]}
    outside.netmind.faults.add(Fault(path=CHAT, status=200, body=called))
    rows = await table(outside)
    assert mended(rows) == [("netmind", "question")]
    assert next(row.words for row in rows if not row.fine).startswith("the model wanted to use a tool")


async def test_a_question_that_redirects_names_the_setting(outside: Outside) -> None:
    outside.netmind.faults.add(Fault(path=CHAT, status=308, headers={"Location": "/v2/chat/completions"}))
    rows = await table(outside)
    assert mended(rows) == [("netmind", "question")]
    assert "set NETMIND_BASE_URL to where it is now [HTTP 308: " in next(row.words for row in rows if not row.fine)


async def test_a_page_where_the_list_of_models_should_be_is_told(outside: Outside) -> None:
    outside.netmind.faults.add(Fault(path="*/models", status=200, body="<html>Welcome to nginx</html>", times=-1))
    rows = await table(outside)
    assert mended(rows) == [("netmind", "key")]


async def test_a_wrong_key_names_its_variable_and_netminds_other_address(outside: Outside) -> None:
    rows = await table(outside, netmind_api_key=WRONG, segmind_api_key=WRONG, modelslab_api_key=WRONG)
    assert mended(rows) == [("netmind", "key"), ("segmind", "key"), ("modelslab", "key")]
    assert FORMER_URL in rows[0].words
    for row in rows:
        assert f"check {row.provider.upper()}_API_KEY" in row.words
    assert not outside.netmind.calls_to("POST", "/chat/completions")


async def test_a_model_that_is_not_in_the_list_is_told_with_those_near_it(outside: Outside) -> None:
    rows = await table(outside, default_provider="netmind", default_model="meta-llama/Meta-Llama-3.1-8B")
    assert mended(rows) == [("netmind", "models"), ("netmind", "question")]
    assert "near it: meta-llama/Meta-Llama-3.1-8B-Instruct" in rows[1].words
    assert "there is no model meta-llama/Meta-Llama-3.1-8B. Set DEFAULT_MODEL" in rows[2].words


async def test_a_provider_that_stalls_ends_with_its_time_and_holds_up_no_other(outside: Outside) -> None:
    outside.netmind.faults.add(Fault(path=CHAT, stream="stall", after_pieces=2))
    settings = load(None, **outside.provider_settings(), local_model="off")
    async with open_session() as session:
        providers = build_providers(settings, session)
        rows = await examine_all(providers, {name: one.default_model for name, one in providers.items()}, seconds=2.0)
    assert mended(rows) == [("netmind", "question")]
    assert rows[2].words.startswith("not done after 2 s: it took too long")
    assert len(rows) == 9


@pytest.mark.skipif(OPENSSL is None, reason="openssl, which makes the certificate, is not installed")
async def test_a_certificate_that_nobody_vouches_for_is_told(outside: Outside, context: ssl.SSLContext) -> None:
    runner = web.AppRunner(web.Application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        rows = await table(outside, netmind_base_url=f"https://127.0.0.1:{runner.addresses[0][1]}/v1")
    finally:
        await runner.cleanup()
    assert mended(rows) == [("netmind", "key")]
    assert "check the network and NETMIND_BASE_URL" in rows[0].words
    assert "certificate is not trusted" in rows[0].words


class NoKnobs(Parameters):
    """No parameter at all."""


class Odd(ScriptedProvider):
    """A provider of a shape that no adapter should have."""

    async def check(self) -> Health:
        return Health()

    async def models(self) -> tuple[ModelInfo, ...]:
        return (ModelInfo("small"),)


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ((TextDelta("yes"),), "the answer has 0 ends"),
        ((TextDelta("yes"), Finished(), Usage(1, 1)), "something came after the answer's end"),
        ((TextDelta("yes"), Started(), Finished()), "the answer began in its middle"),
        ((TextDelta(" "), Finished()), "the answer has no text"),
        ((RuntimeError("canary"),), "this program failed at it (RuntimeError)"),
    ],
)
async def test_an_answer_of_a_wrong_shape_is_told(steps: tuple[Any, ...], words: str) -> None:
    odd = Odd()
    odd.will(*steps)
    rows = await examine_all({"alpha": odd}, {"alpha": "small"})
    assert mended(rows) == [("alpha", "question")]
    assert rows[-1].words.startswith(words)
    assert "canary" not in str(rows)


async def test_where_an_answer_can_not_be_limited_it_is_asked_all_the_same() -> None:
    plain = Odd(parameters=NoKnobs)
    rows = await examine_all({"alpha": plain}, {"alpha": "small"})
    assert mended(rows) == []
    assert isinstance(plain.requests[0], ChatRequest)
    assert plain.requests[0].parameters == {}


def test_what_a_provider_says_does_not_steer_the_terminal() -> None:
    assert str(Row(False, "netmind", "key", "refused\x1b[2J\x07\r\nhere")).endswith("refused [2J here")


async def test_only_with_the_flag_is_anything_asked_and_the_exit_code_tells(
    outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    given = {
        **outside.provider_settings(),
        **outside.platform_settings(),
        "local_model": "off",
        "database_url": f"sqlite:///{tmp_path / 'd.db'}",
    }
    for name, value in given.items():
        monkeypatch.setenv(name.upper(), str(value))
    assert await asyncio.to_thread(cli.main, ["doctor"]) == cli.OK
    assert not outside.netmind.calls_to("POST", "/chat/completions")
    capsys.readouterr()
    assert await asyncio.to_thread(cli.main, ["doctor", "--live"]) == cli.OK
    said = capsys.readouterr().out
    assert said.index(live.NOTICE) < said.index("netmind       question")
    assert len(outside.netmind.calls_to("POST", "/chat/completions")) == 1
    outside.netmind.faults.add(Fault(path=CHAT, status=402, body={"error": {"message": "pay"}}))
    assert await asyncio.to_thread(cli.main, ["doctor", "--live"]) == cli.FAILED
    assert "MEND  netmind       question  no credits are left" in capsys.readouterr().out
