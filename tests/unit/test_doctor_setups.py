"""What `dragoman doctor` and `doctor --live` name to be changed is what the operator set: a variable, or a key of a table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters import local
from adapters.base import Health
from bot import cli
from bot.configured import Configured, configured
from bot.doctor import examine
from bot.live import Row, ask_live, examine_all
from bot.settings import Settings, load
from sandbox.faults import Fault
from sandbox.outside import Outside
from tests.support.scripted import ScriptedProvider

LISTED = "meta-llama/Meta-Llama-3.1-8B-Instruct"
NO_KEYS = {"netmind_api_key": None, "segmind_api_key": None, "modelslab_api_key": None}


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with Outside() as outside:
        yield outside


def loaded(outside: Outside, folder: Path, **values: Any) -> Settings:
    given = {**outside.provider_settings(), **NO_KEYS, "local_model": "off", "database_url": f"sqlite:///{folder / 'd.db'}"}
    return load(None, **{**given, **values})


def table(outside: Outside, folder: Path, text: str, *, keyed: bool = True) -> Path:
    """Write a table [mine] at the stand-in of Netmind, with its key or without."""
    path = folder / "providers.toml"
    key = f'api_key = "{outside.provider_settings()["netmind_api_key"]}"\n' if keyed else ""
    path.write_text(f'[mine]\nbase_url = "{outside.netmind.base_url}"\n{key}{text}\n', encoding="utf-8")
    return path


async def live(settings: Settings) -> dict[str, Row]:
    return {row.step: row for row in await ask_live(settings)}


async def test_live_names_the_default_model_of_a_table_where_there_is_no_such_model(outside: Outside, tmp_path: Path) -> None:
    path = table(outside, tmp_path, 'default_model = "missing"\nlists_all_models = true')
    rows = await live(loaded(outside, tmp_path, providers_file=path))
    assert str(rows["models"]).startswith(
        "MEND  mine          models    the default_model of [mine] in PROVIDERS_FILE is missing, which is "
    )
    assert rows["models"].words.endswith(". Set it to one of them")
    words = "there is no model missing. Set the default_model of [mine] in PROVIDERS_FILE to one of those that there are"
    assert rows["question"].words.startswith(words)
    assert not [row for row in rows.values() if "DEFAULT_MODEL" in row.words or "/model" in row.words]


async def test_live_names_default_model_where_that_is_what_is_wrong(outside: Outside, tmp_path: Path) -> None:
    path = table(outside, tmp_path, f'default_model = "{LISTED}"\nlists_all_models = true')
    rows = await live(loaded(outside, tmp_path, providers_file=path, default_model="missing"))
    assert rows["models"].words.startswith("DEFAULT_MODEL is missing, which is not among the ")
    assert rows["models"].words.endswith(f". Set it to one of them, or leave it empty for {LISTED}")
    words = f"there is no model missing. Set DEFAULT_MODEL to one of those that there are, or leave it empty for {LISTED}"
    assert rows["question"].words.startswith(words)


async def test_no_model_is_advised_that_the_list_does_not_have_either(outside: Outside, tmp_path: Path) -> None:
    path = table(outside, tmp_path, 'default_model = "missing"\nlists_all_models = true')
    settings = loaded(outside, tmp_path, providers_file=path, default_model="nonesuch")
    (finding,) = [finding for finding in await examine(settings) if finding.what == "mine, model"]
    assert finding.words.startswith("DEFAULT_MODEL is nonesuch, which is not among the ")
    assert finding.words.endswith(". Set it to one of them")
    assert "leave it empty" not in "".join(row.words for row in await ask_live(settings))


@pytest.fixture
def shown(outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs `dragoman doctor --live` with further settings; returns its exit code and its lines."""

    async def run(**values: Any) -> tuple[int, list[str]]:
        monkeypatch.chdir(tmp_path)
        given = {**outside.provider_settings(), **outside.platform_settings(), "local_model": "off", **values}
        for name, value in {**given, "database_url": f"sqlite:///{tmp_path / 'd.db'}"}.items():
            if value is not None:
                monkeypatch.setenv(name.upper(), str(value))
        code = await asyncio.to_thread(cli.main, ["doctor", "--live"])
        return code, capsys.readouterr().out.splitlines()

    return run


async def test_a_model_that_a_list_with_gaps_lacks_is_one_warning_of_live(outside: Outside, tmp_path: Path, shown: Any) -> None:
    """Whoever reads both parts is not told "warn" in one and "ok" in the other; what is doubtful fails nothing."""
    outside.netmind.faults.add(Fault(path="*/models", status=200, body={"data": [{"id": "other"}]}, times=-1))
    path = table(outside, tmp_path, f'default_model = "{LISTED}"')
    code, lines = await shown(**NO_KEYS, providers_file=path)
    (line,) = [line for line in lines if "not among" in line]
    assert line.startswith("warn  mine          models    the default_model of [mine] in PROVIDERS_FILE is ")
    assert line.endswith("1 model in the provider's own list, which may not have all. If its name is right, nothing is wrong")
    assert code == cli.OK


async def test_a_model_that_a_complete_list_lacks_is_told_once_beside_the_refusal(shown: Any) -> None:
    code, lines = await shown(default_provider="netmind", default_model="nosuch")
    (line,) = [line for line in lines if "not among" in line]
    assert line.startswith("MEND  netmind       models    DEFAULT_MODEL is nosuch")
    assert code == cli.FAILED


async def refusals(settings: Settings, name: str) -> list[str]:
    """Return what both examinations say of a provider that refuses."""
    return [
        *(finding.words for finding in await examine(settings) if finding.what == name and not finding.fine),
        *(row.words for row in await ask_live(settings) if row.provider == name and not row.fine),
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "it wants a key: write api_key or api_key_env into [mine] in PROVIDERS_FILE ["),
        ('headers = { "X-Api-Key" = "canary-4f1d" }', " in PROVIDERS_FILE, or mend the key that stands in its headers or extra ["),
    ],
)
async def test_a_table_without_a_key_is_told_that_one_is_wanted(outside: Outside, tmp_path: Path, text: str, words: str) -> None:
    path = table(outside, tmp_path, f'default_model = "{LISTED}"\n{text}', keyed=False)
    told = await refusals(loaded(outside, tmp_path, providers_file=path), "mine")
    assert len(told) == 2
    for said in told:
        assert words in said
        assert "canary" not in said
        assert "key was refused" not in said


async def test_a_table_with_a_wrong_key_is_told_that_it_was_refused(outside: Outside, tmp_path: Path) -> None:
    path = table(outside, tmp_path, f'default_model = "{LISTED}"\napi_key = "canary-4f1d"', keyed=False)
    for said in await refusals(loaded(outside, tmp_path, providers_file=path), "mine"):
        assert said.startswith("the key was refused: check its key, the api_key of [mine] in PROVIDERS_FILE")


async def test_a_wrong_key_in_a_variable_that_a_table_names_is_told_with_that_variable(
    outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_BOX_KEY", "canary-4f1d")
    path = table(outside, tmp_path, f'default_model = "{LISTED}"\napi_key_env = "OUR_BOX_KEY"', keyed=False)
    told = await refusals(loaded(outside, tmp_path, providers_file=path), "mine")
    assert len(told) == 2
    for said in told:
        assert said.startswith("the key was refused: check its key, OUR_BOX_KEY, the api_key_env of [mine] in PROVIDERS_FILE")
        assert "canary" not in said


async def test_an_endpoint_without_openais_key_is_told_its_variable(outside: Outside, tmp_path: Path) -> None:
    told = await refusals(loaded(outside, tmp_path, openai_base_url=outside.netmind.base_url, default_model=LISTED), "openai")
    assert len(told) == 2
    for said in told:
        assert said.startswith("it wants a key: set OPENAI_API_KEY [")


async def test_a_list_that_wants_no_key_does_not_prove_that_the_question_wants_none(outside: Outside, tmp_path: Path) -> None:
    """As OpenRouter's: its list is public."""
    outside.netmind.faults.add(Fault(path="*/models", status=200, body={"data": [{"id": LISTED}]}, times=-1))
    path = table(outside, tmp_path, f'default_model = "{LISTED}"', keyed=False)
    rows = await live(loaded(outside, tmp_path, providers_file=path))
    assert str(rows["key"]) == "ok    mine          key       none is set, and none was asked for (1 models on offer)"
    assert rows["question"].words.startswith("it wants a key: write api_key or api_key_env into [mine] in PROVIDERS_FILE")


@pytest.mark.parametrize(
    ("complete", "advice"), [("true", ": see that the server has a model"), ("false", ". If its name is right, nothing is wrong")]
)
async def test_an_empty_list_of_models_is_told_as_that(outside: Outside, tmp_path: Path, complete: str, advice: str) -> None:
    """As of a server that has not loaded a model yet."""
    outside.netmind.faults.add(Fault(path="*/models", status=200, body={"data": []}, times=-1))
    settings = loaded(
        outside, tmp_path, providers_file=table(outside, tmp_path, f'default_model = "{LISTED}"\nlists_all_models = {complete}')
    )
    rows = await live(settings)
    words = f"and the provider's own list of models is empty{advice}"
    assert rows["models"].words == f"the default_model of [mine] in PROVIDERS_FILE is {LISTED}, {words}"
    findings = {finding.what: finding.words for finding in await examine(settings)}
    assert findings["mine, model"] == rows["models"].words
    assert "its list of models is empty" in findings["mine"]


async def test_live_examines_the_others_where_the_local_model_is_wanted_and_not_installed(
    outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "local_available", lambda: False)
    path = table(outside, tmp_path, f'default_model = "{LISTED}"')
    first, *others = await ask_live(loaded(outside, tmp_path, providers_file=path, local_model="on"))
    assert (first.fine, first.provider) == (False, "local")
    assert first.words.startswith("LOCAL_MODEL is on, but the local model is not installed")
    assert [(row.provider, row.step, row.fine) for row in others] == [("mine", step, True) for step in ("key", "models", "question")]


def test_what_set_each_provider_up_is_known() -> None:
    settings = load(None, openai_base_url="http://localhost:1/v1", segmind_api_key="k", default_provider="segmind", default_model="small")
    providers = {name: ScriptedProvider(name=name) for name in ("segmind", "openai", "local")}
    found = configured(settings, providers)
    assert [(name, setup.where, setup.keyed) for name, setup in found.items()] == [
        ("segmind", "DEFAULT_MODEL", True),
        ("openai", "", False),
        ("local", "", False),
    ]
    assert configured(load(None, openai_api_key="k"), {"openai": providers["openai"]})["openai"].keyed


class Well(ScriptedProvider):
    """A provider whose check ends well."""

    async def check(self) -> Health:
        return Health(note="small runs on this machine")


@pytest.mark.parametrize(
    ("name", "keyed", "words"),
    [
        ("local", False, "it needs none (small runs on this machine)"),
        ("mine", False, "none is set, and none was asked for (small runs on this machine)"),
        ("mine", True, "taken (small runs on this machine)"),
    ],
)
async def test_only_a_key_that_there_is_is_taken(name: str, keyed: bool, words: str) -> None:
    rows = await examine_all({name: Well(name=name)}, {name: "small"}, setups={name: Configured("small", keyed=keyed)})
    assert (rows[0].step, rows[0].words) == ("key", words)


@pytest.mark.parametrize("said", ["This key may not use the model.", "No access."])
async def test_live_does_not_call_a_key_refused_that_may_not_use_one_model(outside: Outside, tmp_path: Path, said: str) -> None:
    """The key was taken two lines above."""
    outside.netmind.faults.add(Fault(path="*/chat/completions", status=403, body={"error": {"message": said}}, times=-1))
    rows = await live(loaded(outside, tmp_path, providers_file=table(outside, tmp_path, f'default_model = "{LISTED}"')))
    assert rows["key"].words.startswith("taken")
    words = rows["question"].words
    may_not = f"this key or account may not use {LISTED}: have that opened, or take another. Set the default_model of [mine]"
    not_clear = f"it refused, and it is not clear why: {LISTED} may not be open to it; or it may be the key"
    assert words.startswith(may_not if "model" in said else not_clear)
    assert "key was refused" not in words


async def test_default_model_is_not_advised_for_another_provider_than_the_default_one(outside: Outside, tmp_path: Path) -> None:
    """It would be asked of the default provider, which has not got it."""
    key = outside.provider_settings()["netmind_api_key"]
    both = {"openai_base_url": outside.netmind.base_url, "openai_api_key": key}
    path = table(outside, tmp_path, f'default_model = "{LISTED}"')
    settings = loaded(outside, tmp_path, providers_file=path, default_provider="mine", **both)
    said = [finding.words for finding in await examine(settings) if finding.what == "openai, model"]
    said += [row.words for row in await ask_live(settings) if row.provider == "openai" and row.step == "question" and not row.fine]
    assert said
    for words in said:
        assert "Set DEFAULT_MODEL" not in words
    setup = configured(settings, {name: ScriptedProvider(name=name) for name in ("openai", "mine")})["openai"]
    assert setup.refused([]).endswith("Choose one with /model: DEFAULT_MODEL is mine's, the default provider's")
