"""`dragoman doctor` and `doctor --live` look each provider's usual model up, and say in which list they looked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from adapters.base import ErrorKind, ProviderError, Scope
from adapters.openai_compatible import openai_endpoint
from bot.doctor import Finding, examine
from bot.live import Row, ask_live, variables, wrong_place
from bot.settings import Settings, load
from sandbox.faults import Fault
from sandbox.outside import Outside
from tests.support.scripted import ScriptedProvider

LISTED = "meta-llama/Meta-Llama-3.1-8B-Instruct"


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside() as outside:
        yield outside


def loaded(outside: Outside, folder: Path, **values: Any) -> Settings:
    given = {**outside.provider_settings(), "local_model": "off", "database_url": f"sqlite:///{folder / 'd.db'}"}
    return load(None, **{**given, **values})


def tabled(outside: Outside, folder: Path, text: str) -> dict[str, Any]:
    """Return the settings of a table [mine] at the stand-in of Netmind: an own list, and no other provider."""
    path = folder / "providers.toml"
    key, address = outside.provider_settings()["netmind_api_key"], outside.netmind.base_url
    path.write_text(f'[mine]\nbase_url = "{address}"\napi_key = "{key}"\n{text}\n', encoding="utf-8")
    return {"netmind_api_key": None, "segmind_api_key": None, "modelslab_api_key": None, "providers_file": path}


async def models(outside: Outside, folder: Path, **values: Any) -> dict[str, Finding]:
    found = await examine(loaded(outside, folder, **values))
    return {finding.what: finding for finding in found if finding.what.endswith(", model")}


async def test_a_default_model_that_a_complete_list_does_not_have_is_to_be_mended(outside: Outside, tmp_path: Path) -> None:
    found = await models(outside, tmp_path, default_model="meta-llama/Meta-Llama-3.1-8B")
    (finding,) = found.values()
    assert not finding.fine
    assert str(finding).startswith("MEND  netmind, model: DEFAULT_MODEL is meta-llama/Meta-Llama-3.1-8B, which is not among the ")
    assert f"models in the provider's own list; near it: {LISTED}" in finding.words
    assert finding.words.endswith(f"Set it to one of them, or leave it empty for {LISTED}")


async def test_where_the_list_has_gaps_it_is_a_warning_with_the_names_that_are_near(outside: Outside, tmp_path: Path) -> None:
    found = await models(outside, tmp_path, default_provider="segmind", default_model="llama-v3-8b-instruct-x")
    (finding,) = found.values()
    assert finding.fine
    assert str(finding).startswith("warn  segmind, model: DEFAULT_MODEL is llama-v3-8b-instruct-x, which is not among the ")
    assert "models in a built-in list, which has gaps; near it: llama-v3-8b-instruct" in finding.words


async def test_a_model_that_is_listed_is_worth_no_line(outside: Outside, tmp_path: Path) -> None:
    assert not await models(outside, tmp_path)
    assert not await models(outside, tmp_path, default_model=LISTED)


async def test_a_list_that_can_not_be_had_is_told_by_the_providers_own_line_alone(outside: Outside, tmp_path: Path) -> None:
    outside.netmind.faults.add(Fault(path="*/models", status=500, body={"error": {"message": "boom"}}, times=-1))
    assert not await models(outside, tmp_path, default_model="nosuch")


@pytest.mark.parametrize(("complete", "mark"), [(True, "MEND"), (False, "warn")])
async def test_the_model_of_a_table_is_looked_up_too(outside: Outside, tmp_path: Path, complete: bool, mark: str) -> None:
    text = f'default_model = "nosuch"\nlists_all_models = {str(complete).lower()}'
    found = await models(outside, tmp_path, **tabled(outside, tmp_path, text))
    assert str(found["mine, model"]).startswith(f"{mark}  mine, model: the default_model of [mine] in PROVIDERS_FILE is nosuch, which is")


@pytest.mark.parametrize("preset", ["openrouter", "llamacpp"])
async def test_who_takes_more_than_it_lists_gets_a_warning(outside: Outside, tmp_path: Path, preset: str) -> None:
    text = f'preset = "{preset}"\ndefault_model = "{LISTED}:nitro"'
    found = await models(outside, tmp_path, **tabled(outside, tmp_path, text))
    assert str(found["mine, model"]).startswith("warn  mine, model: ")
    assert f"; near it: {LISTED}" in found["mine, model"].words
    assert found["mine, model"].words.endswith(". If its name is right, nothing is wrong")


async def lists(settings: Settings) -> Mapping[str, Row]:
    return {row.provider: row for row in await ask_live(settings) if row.step == "models"}


@pytest.mark.parametrize(
    ("declared", "words"),
    [
        ("", "in the provider's own list, which may not have all; "),
        ("lists_all_models = true", "in the provider's own list; "),
        ('preset = "openai"', "in the provider's own list, which may not have all; "),
    ],
)
async def test_live_says_of_a_tables_list_that_it_is_the_providers_own(outside: Outside, tmp_path: Path, declared: str, words: str) -> None:
    settings = loaded(outside, tmp_path, **tabled(outside, tmp_path, f'default_model = "{LISTED}"\n{declared}'))
    row = (await lists(settings))["mine"]
    assert row.fine
    assert row.words.endswith(f"{words}{LISTED} is among them")


async def test_live_says_which_list_is_the_adapters_and_which_the_providers(outside: Outside, tmp_path: Path) -> None:
    seen = await lists(loaded(outside, tmp_path))
    assert "models in the provider's own list; " in seen["netmind"].words
    assert "in a built-in list, which has gaps; " in seen["segmind"].words
    assert "1 model in a built-in list, which has gaps; " in seen["modelslab"].words


@pytest.mark.parametrize("provider", ["netmind", "segmind", "modelslab"])
async def test_a_wrong_server_names_the_variable_of_the_address(outside: Outside, tmp_path: Path, provider: str) -> None:
    elsewhere = f"{outside.telegram.api_url}/nothing"
    found = await examine(loaded(outside, tmp_path, **{f"{provider}_base_url": elsewhere}))
    (finding,) = [finding for finding in found if finding.what == provider]
    assert not finding.fine
    assert f": check {provider.upper()}_BASE_URL" in finding.words
    rows = [row for row in await ask_live(loaded(outside, tmp_path, **{f"{provider}_base_url": elsewhere})) if row.provider == provider]
    assert f": check {provider.upper()}_BASE_URL" in rows[0].words


@pytest.mark.parametrize(
    ("kind", "scope", "misplaced"),
    [
        (ErrorKind.BAD_REQUEST, Scope.PROVIDER, True),
        (ErrorKind.MODEL_NOT_FOUND, Scope.MODEL, True),
        (ErrorKind.PROTOCOL, Scope.PROVIDER, True),
        (ErrorKind.BAD_REQUEST, Scope.REQUEST, False),  # such as Gemini's "User location is not supported"
        (ErrorKind.AUTH, Scope.ACCOUNT, False),
    ],
)
def test_only_what_looks_like_another_server_is_told_as_a_wrong_address(kind: ErrorKind, scope: Scope, misplaced: bool) -> None:
    assert bool(wrong_place(ScriptedProvider(), ProviderError(kind, "no", scope=scope))) is misplaced


def test_the_local_model_has_no_variables_of_a_key_and_an_address() -> None:
    assert variables("netmind") == ("NETMIND_API_KEY", "NETMIND_BASE_URL")
    assert not [words for words in variables("local") if "LOCAL_API_KEY" in words or "LOCAL_BASE_URL" in words]


def listless(outside: Outside, folder: Path, text: str = "", status: int = 404) -> Settings:
    """Return settings with one table, at a server that has no list of models."""
    outside.netmind.faults.add(Fault(path="*/models", status=status, body={"detail": "Not Found"}, times=-1))
    return loaded(outside, folder, **tabled(outside, folder, f'default_model = "{LISTED}"\n{text}'))


@pytest.mark.parametrize("status", [404, 405, 501])
async def test_a_server_without_a_list_answers_all_the_same(outside: Outside, tmp_path: Path, status: int) -> None:
    settings = listless(outside, tmp_path, status=status)
    (finding,) = [finding for finding in await examine(settings) if finding.what.startswith("mine")]
    assert (finding.fine, finding.words) == (True, "answers; it has no list of models")
    (asked,) = outside.netmind.calls_to("POST", "/chat/completions")
    assert asked.body == {}, "a question with words would be billed"
    rows = {row.step: row for row in await ask_live(settings)}
    assert [(step, row.fine) for step, row in rows.items()] == [("key", True), ("models", True), ("question", True)]
    assert rows["models"].words == f"it has no list of models; {LISTED} is asked for by its name"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (404, {"detail": "Not Found"}, "does not look like the API of mine: check its base_url in PROVIDERS_FILE"),
        # what OpenAI says where /models is a part of the address
        (404, {"error": {"message": "Invalid URL (POST /v1/models/chat/completions)"}}, "does not look like the API of mine"),
        (405, {"detail": "Method Not Allowed"}, "does not look like the API of mine"),
        (501, "<html>Unsupported method ('POST')</html>", "does not look like the API of mine"),
        (400, "<html>Bad Request</html>", "does not look like the API of mine"),
        (200, {"ok": True}, "does not look like the API of mine"),
        (401, {"error": {"message": "Incorrect API key"}}, "the key was refused: check its key, the api_key of [mine]"),
        (402, {"error": {"message": "pay"}}, "no credits are left"),
        (403, {"error": {"message": "Your country is not supported"}}, "the key is not what it refuses ["),
        (
            400,
            {"error": {"message": "User location is not supported for the API use."}},
            "ask the provider; the key is not what it refuses",
        ),
        (403, {"message": "Forbidden"}, "not clear why: it may be the key (check its key, the api_key of [mine]"),
    ],
)
async def test_where_neither_a_list_nor_questions_are_taken_the_address_is_wrong(
    outside: Outside, tmp_path: Path, status: int, body: Any, words: str
) -> None:
    settings = listless(outside, tmp_path)
    outside.netmind.faults.add(Fault(path="*/chat/completions", status=status, body=body, times=-1))
    (finding,) = [finding for finding in await examine(settings) if finding.what.startswith("mine")]
    assert not finding.fine
    assert words in finding.words
    (row,) = await ask_live(settings)
    assert not row.fine
    assert words in row.words


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (422, {"detail": [{"loc": ["body", "model"]}]}),
        (500, {"error": "no messages"}),
        (404, {"error": "model '' not found"}),
        (200, {"choices": [{"message": {"content": "Hello?"}}]}),
    ],
)
async def test_who_refuses_an_empty_question_or_answers_it_takes_others(outside: Outside, tmp_path: Path, status: int, body: Any) -> None:
    settings = listless(outside, tmp_path)
    outside.netmind.faults.add(Fault(path="*/chat/completions", status=status, body=body))
    (finding,) = [finding for finding in await examine(settings) if finding.what.startswith("mine")]
    assert finding.fine


async def test_who_answers_an_empty_question_is_not_asked_it_again(outside: Outside, session: aiohttp.ClientSession) -> None:
    outside.netmind.faults.add(Fault(path="*/models", status=404, body={"detail": "Not Found"}, times=-1))
    outside.netmind.faults.add(Fault(path="*/chat/completions", status=200, body={"choices": []}, times=-1))
    provider = openai_endpoint(session, key=None, base_url=outside.netmind.base_url)
    for _ in range(2):
        assert (await provider.check()).note == "it has no list of models"
    assert len(outside.netmind.calls_to("POST", "/chat/completions")) == 1
