"""Further providers are a few lines of a file; what is wrong in it is named, and no key is ever printed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from adapters import local
from adapters.http import Budgets, open_session
from adapters.openai_compatible import OpenAICompatible
from adapters.openai_parameters import OpenAIParameters
from adapters.openai_vendors import GENERIC, PRESETS
from bot.app import build_providers, defaults_of, secrets_of
from bot.endpoints import EndpointsError, Quirks, Table, read
from bot.settings import SettingsError, load, misspelt
from tests.support.openai_tapes import DONE, MODEL, Tape, TapeServer, delta
from tests.support.providers import KEY, events, failure, request
from tests.support.tables import refusal_at_start, written

GUIDE = Path(__file__).parents[2] / "docs" / "providers.md"
CANARY = "canary-4f1d-secret"


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(EndpointsError) as caught:
        read(written(folder, text), {"SET": CANARY})
    assert CANARY not in str(caught.value)
    return str(caught.value)


def test_every_preset_needs_no_more_than_a_key_and_a_model(tmp_path: Path) -> None:
    for name in set(PRESETS) - {"openai"}:
        (made,) = read(written(tmp_path, f'[{name}]\napi_key_env = "SET"\ndefault_model = "m"'), {"SET": CANARY})
        assert (made.vendor.name, made.vendor.base_url, made.vendor.default_model) == (name, PRESETS[name].base_url, "m")
        assert made.key is not None
        assert made.key.get_secret_value() == CANARY
        assert CANARY not in repr(made)


def test_several_of_one_kind_and_every_quirk_can_be_declared(tmp_path: Path) -> None:
    first, second, third = read(
        written(
            tmp_path,
            """
            [box-one]
            preset = "vllm"
            base_url = "http://10.0.0.7:8000/v1"
            default_model = "qwen"
            [box-two]
            title = "The other box"
            base_url = "http://10.0.0.8:8000/v1"
            default_model = "qwen"
            system_role = "first_user"
            renames = { max_tokens = "max_completion_tokens" }
            unsupported = ["top_p", "n"]
            reasoning_fields = ["thoughts"]
            think_tags = ["[R]", "[/R]"]
            contexts = { qwen = 32768 }
            headers = { "X-Title" = "us" }
            total_seconds = 300
            [box-two.models."qwen3-*"]
            first_seconds = 90
            starts_thinking = ["*"]
            think_tags = []
            [my-openai]
            preset = "openai"
            api_key = "canary"
            """,
        ),
        {},
    )
    assert (first.vendor.name, first.vendor.title, first.key, first.budgets) == ("box-one", "vLLM (box-one)", None, None)
    vendor = second.vendor
    assert vendor.unsupported == {"top_p", "n"}
    assert (vendor.title, vendor.system_role, vendor.think_tags) == ("The other box", "first_user", ("[R]", "[/R]"))
    assert vendor.of("qwen3-32b").think_tags is None
    assert vendor.of("qwen3-32b").starts_thinking == {"*"}
    assert second.budgets == Budgets(total=300)
    assert (vendor.of("qwen3-32b").first_seconds, vendor.first_seconds) == (90, None)
    assert third.vendor.of("gpt-5.4").renames == {"max_tokens": "max_completion_tokens"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[x]\nbase_url = 'http://h/v1'", "[x]: default_model is missing"),
        ("[x]\ndefault_model = 'm'", "[x]: base_url is missing"),
        ("[x]\npreset = 'grok'", "preset is one of"),
        ("[netmind]\ndefault_model = 'm'", "is none of netmind"),
        ("[Xx]\ndefault_model = 'm'", "a-z"),
        ("x = 1", "outside of a table"),
        ("[x", "is no TOML"),
        ("[x]\nbase_uri = 'http://h/v1'", "[x]: base_uri: there is no such key; did you mean base_url?"),
        ("[x]\nbase_url = 'ftp://h'", "base_url takes an address"),
        (f"[x]\nbase_url = 'https://me:{CANARY}@h/v1'", "base_url takes an address"),
        (f"[x]\napi_key = '{CANARY}'\napi_key_env = 'SET'", "not both"),
        ("[groq]\napi_key_env = 'UNSET'", "the variable UNSET is not set"),
        ("[groq]\nheaders = { Authorization = 'x' }", "headers can't set Authorization"),
        ("[groq]\nunsupported = ['top_k']", "unsupported"),
        ("[groq]\nthink_tags = ['<t>']", "think_tags takes"),
        (f"[groq]\nfirst_seconds = '{CANARY}'", "first_seconds"),
        ("[x]\nbase_url = 'http://h:99999/v1'", "base_url takes an address"),
        ("[x]\nbase_url = 'http://h:abc/v1'", "base_url takes an address"),
        ("[x]\nbase_url = 'http://[::1/v1'", "base_url takes an address"),
        ("[x]\nbase_url = 'http://:8000/v1'", "base_url takes an address"),
        ("[x]\nbase_url = 'http://h/v1'\ndefault_model = ' '", "default_model is missing"),
        ("[groq]\ncontexts = { m = -5 }", "contexts.m"),
        ("[groq]\ntotal_seconds = inf", "total_seconds"),
        ("[groq]\nextra = { since = 2026-01-01 }", "extra: takes what JSON has"),
        ("[groq]\nextra = { x = nan }", "extra: takes what JSON has"),
        ('[groq.models."*"]\nextra = { since = 2026-01-01 }', "extra: takes what JSON has"),
        ("[groq]\nrenames = { stop = '' }", "renames.stop"),
        (f'[groq]\nheaders = {{ X-Key = "{CANARY}\\n" }}', "'X-Key' has a sign"),
        ("[groq]\nheaders = { 'X Y' = 'z' }", "'X Y' has a sign"),
        (f"[groq]\napi_key = '{CANARY} and more'", "api_key: has a blank"),
        ("[groq]\napi_key = '  '", "[groq]: api_key is empty"),
        ("[groq]\napi_key = ''\napi_key_env = 'SET'", "[groq]: api_key is empty"),
        (
            "[groq]\napi_key_env = ''",
            "[groq]: api_key_env is empty: write the name of the variable that holds the key, or",
        ),
        ("[groq]\napi_key_env = ' '", "[groq]: api_key_env is empty"),
        (f"[groq]\napi_key_env = '{CANARY}'", "[groq]: api_key_env takes the name of a variable, such as GROQ_API_KEY"),
        ("[groq]\nextra = { model = 'm' }", "[groq]: extra: model can't be among the further fields, default_model and /model choose it"),
        ("[groq]\nextra = { messages = [] }", "[groq]: extra: messages can't"),
        ("[groq]\nextra = { prompt = 'x' }", "[groq]: extra: prompt can't"),
        ("[groq]\nextra = { stream = false }", "extra: stream can't be among the further fields, /settings stream sets it: take it out"),
        ("[groq]\nextra = { stream_options = {} }", "extra: stream_options can't be among the further fields, usage_in_stream sets it"),
        ('[groq.models."*"]\nextra = { n = 2 }', "[groq]: models.*.extra: n can't"),
        ("[groq]\nrenames = { max_tokens = 'messages' }", "[groq]: renames: max_tokens can't be sent as messages, it is the conversation"),
        (
            "[groq]\nrenames = { stop = 'n' }",
            "stop can't be sent as n, /settings n sets it: write this provider's own word for stop",
        ),
        ("[groq]\nrenames = { stop = 'top_p' }", "renames: stop can't be sent as top_p, top_p is sent as that"),
        ("[groq]\nrenames = { stop = 'x', top_p = 'x' }", "stop can't be sent as x, top_p is sent as that"),
        ("[groq]\nrenames = { stream = 'x' }", "renames: stream is not sent under any name"),
    ],
)
def test_what_is_wrong_is_named_with_its_table_and_no_value(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[x]\nvision = "qwen*"', '[x]: vision: takes a list in square brackets, such as vision = ["qwen*-vl-*"]'),
        ('[x]\nimages = "yes"', "[x]: images: takes true or false, without quotation marks, such as images = true"),
        ("[x]\nfirst_seconds = true", "[x]: first_seconds: takes a number, such as first_seconds = 90"),
        ("[x]\nunsuported = ['n']", "[x]: unsuported: there is no such key; did you mean unsupported?"),
        ("[x]\nqqq = 1", "[x]: qqq: there is no such key; there are api_key, api_key_env, base_url, completion_models, context, "),
        ('[x.models."a*"]\nvison = ["*"]', "[x]: models.a*.vison: there is no such key; did you mean vision?"),
        ('[x.models."a*"]\nbase_url = "http://h/v1"', "models.a*.base_url: can't differ between models: write it into the table itself"),
        ('[x.models."vision"]\nimages = 1', "[x]: models.vision.images: takes true or false"),
        ("[x]\nunsupported = ['top_k']", "[x]: unsupported.0: top_k is no parameter; did you mean top_p?"),
        (f"[x]\nunsupported = ['{CANARY}']", "[x]: unsupported.0: a name there is no parameter; there are max_tokens, "),
        ("[x]\nrenames = { maxtokens = 'm' }", "[x]: renames.maxtokens: maxtokens is no parameter; did you mean max_tokens?"),
        ("[x]\nmodels = ['a']", '[x]: models: takes a table, such as models = { "qwen3-*" = { context = 32768 } }'),
        ("[x]\ntitle = ''", '[x]: title: takes a text of at least 1 character, such as title = "GPU box"'),
        ("[x]\ntitle = ' '", '[x]: title: takes a text that is more than blanks, such as title = "GPU box"'),
        ('[x]\ntitle = "\\u200b\\t"', "[x]: title: takes a text that is more than blanks"),
        ('[x]\nreasoning_fields = [" "]', "[x]: reasoning_fields.0: takes a text that is more than blanks"),
        (
            "[x]\ndefault_model = 'm'",
            '[x]: base_url is missing: write the address of its API, such as base_url = "https://api.example.com/v1"',
        ),
        ("[x]\nbase_url = 'http://h/v1'", "[x]: default_model is missing: write the model that is asked where nobody chose another"),
        (
            "[x]\nbase_url = 'http://h/v1/chat/completions/'",
            "[x]: base_url takes an address without /chat/completions, which is appended: cut that off, so that it ends as https://api.",
        ),
        ("[x]\nbase_url = 'http://h/v1/models/'", "[x]: base_url takes an address without /models, which is appended: cut that off"),
        ("[x]\nbase_url = 'h:80'", "[x]: base_url takes an address such as https://api.example.com/v1"),
        ("[x]\npreset = 'Groq'", "modelslab_v7; did you mean groq?"),
        ('[x]\ntitle = "a\\nb"', "[x]: title: takes a name on one line: people read it"),
        ('[x]\ntitle = "a\\u2028b"', "[x]: title: takes a name on one line: people read it"),
        (f'[x]\ntitle = "{"a" * 61}"', '[x]: title: takes a text of at most 60 characters, such as title = "GPU box"'),
        ("[x]\nbase_url = 'http://h/v1/completions'", "[x]: base_url takes an address without /completions, which is appended"),
        (
            '[groq]\nunsupported = ["stop"]\nrenames = { top_p = "stop" }\n[groq.models."a*"]\nunsupported = ["n"]',
            "[groq]: models.a*.renames: top_p can't be sent as stop, stop is sent as that",
        ),
    ],
)
def test_a_mistake_is_told_with_what_to_write_in_its_place(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "openai",
            "set OPENAI_API_KEY (and OPENAI_BASE_URL for another address), or give the table another name, such as [my-openai], and ",
        ),
        ("OpenAI", 'and write preset = "openai" into it'),
        ("netmind", "set NETMIND_API_KEY, or give the table another name, such as [my-netmind]"),
        ("segmind", "set SEGMIND_API_KEY, or give the table another name"),
        ("modelslab", "set MODELSLAB_API_KEY, or give the table another name"),
        ("local", "(LOCAL_MODEL); for another server give the table another name, such as [my-local]"),
    ],
)
def test_a_name_that_is_taken_is_told_with_the_way_out(tmp_path: Path, name: str, words: str) -> None:
    said = refusal(tmp_path, f'[{name}]\ndefault_model = "m"')
    assert f"[{name}]: a table's name is none of netmind, segmind, modelslab, openai, local, which are set up by variables: " in said
    assert words in said
    assert "begins with a letter" not in said


@pytest.mark.parametrize(
    ("name", "better"),
    [
        ("GPU", "gpu"),
        ('"my box"', "my-box"),
        ('"Ollama (cellar)"', "ollama-cellar"),
        ('"7b"', "gpu-box"),
        ('"Ärger"', "arger"),
        ('""', "gpu-box"),
    ],
)
def test_a_name_that_is_badly_written_is_told_with_a_better_one(tmp_path: Path, name: str, better: str) -> None:
    said = refusal(tmp_path, f'[{name}]\ndefault_model = "m"')
    assert "a table's name has 1-31 characters of a-z, 0-9, _ and -, and begins with a letter: " in said
    plain = name.strip('"')
    assert said.endswith(f'write [{better}], and what people are to read as its title, such as title = "{plain}"')
    assert "netmind" not in said
    read(written(tmp_path, f'[{better}]\nbase_url = "http://h/v1"\ndefault_model = "m"\ntitle = "{plain or better}"'), {})


def test_a_table_in_double_brackets_is_told_as_that(tmp_path: Path) -> None:
    assert refusal(tmp_path, "[[a]]\ndefault_model = 'm'").endswith(
        ": write [a], not [[a]]: each provider has one table, which begins with its name in single brackets"
    )
    assert "outside of a table" in refusal(tmp_path, "a = [1]")


@pytest.mark.parametrize(
    ("text", "values", "whose"),
    [
        ('[ollama]\ntitle = "The box"\n[b]\npreset = "ollama"\ntitle = "the BOX "', {}, "[ollama]"),
        ('[b]\npreset = "ollama"\ntitle = "OpenAI-compatible"', {"openai_base_url": "http://localhost:1/v1"}, "openai"),
        ('[b]\npreset = "ollama"\ntitle = "Netmind Power"', {"netmind_api_key": KEY}, "netmind"),
        ('[b]\npreset = "ollama"\ntitle = "segmind"', {"segmind_api_key": KEY}, "segmind"),
        ('[b]\npreset = "ollama"\ntitle = "ModelsLab"', {"modelslab_api_key": KEY}, "modelslab"),
        ('[b]\npreset = "ollama"\ntitle = "Local model"', {"local_model": "auto"}, "local"),
    ],
)
def test_two_providers_that_people_could_not_tell_apart_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, values: dict[str, object], whose: str
) -> None:
    monkeypatch.setattr(local, "local_available", lambda: True)  # wherever this runs
    said = refusal_at_start(tmp_path, text, **values)
    assert f"[b]: its title, or its preset's, is that of {whose} too, and /provider shows titles: " in said
    assert said.endswith('write another into it, such as title = "b"')
    assert not refusal_at_start(tmp_path, f'{text.replace("title = ", "# ")}\ntitle = "b"', **values)


async def test_the_titles_that_are_held_against_those_of_tables_are_the_providers_own(tmp_path: Path) -> None:
    """`/provider` shows the titles of what was made; a table is held against what is known before anything is made."""
    keys = {f"{name}_api_key": KEY for name in ("netmind", "segmind", "modelslab", "openai")}
    async with open_session() as session:
        for address in (None, "http://localhost:1/v1"):
            for name, provider in build_providers(load(None, **keys, openai_base_url=address), session).items():
                said = refusal_at_start(
                    tmp_path, f'[b]\npreset = "ollama"\ntitle = "{provider.title}"', **keys, openai_base_url=address, local_model="auto"
                )
                assert f"is that of {name} too" in said
                await provider.aclose()


@pytest.mark.parametrize(
    "text",
    [
        '[ollama]\n[b]\npreset = "ollama"\n[c]\npreset = "ollama"',
        '[b]\npreset = "openai"',
        '[b]\npreset = "vllm"\ndefault_model = "m"\n[c]\npreset = "vllm"\ndefault_model = "m"',
    ],
)
def test_several_of_one_kind_are_told_apart_by_their_tables_names(tmp_path: Path, text: str) -> None:
    assert not refusal_at_start(tmp_path, text, openai_api_key=KEY)


def test_a_title_of_a_provider_that_is_not_set_up_is_free(tmp_path: Path) -> None:
    """So the way out that the refusal of [openai] names needs no title of its own."""
    assert not refusal_at_start(tmp_path, f'[my-openai]\npreset = "openai"\napi_key = "{KEY}"')


def test_what_some_models_rename_is_held_against_what_is_sent_to_them(tmp_path: Path) -> None:
    """And not against the names of a table that is another's, or against those that the table never sends."""
    text = '[groq]\nunsupported = ["stop"]\n[groq.models."a*"]\nrenames = { top_p = "stop", max_tokens = "logit_bias" }'
    with pytest.raises(EndpointsError, match="max_tokens can't be sent as logit_bias"):
        read(written(tmp_path, text), {})  # this table says itself what is not sent: its preset's list is replaced
    (made,) = read(written(tmp_path, text.replace('["stop"]', '["stop", "logit_bias"]')), {})
    assert made.vendor.of("a1").renames == {"top_p": "stop", "max_tokens": "logit_bias"}
    (made,) = read(written(tmp_path, '[groq.models."a*"]\nrenames = { max_tokens = "logit_bias" }'), {})
    assert made.vendor.of("a1").renames == {"max_tokens": "logit_bias"}


def test_parameters_may_change_places_and_take_the_name_of_one_that_is_never_sent(tmp_path: Path) -> None:
    swapped = "{ presence_penalty = 'frequency_penalty', frequency_penalty = 'presence_penalty', n = 'n' }"
    (made,) = read(written(tmp_path, f"[groq]\nrenames = {swapped}"), {})
    assert made.vendor.renames["presence_penalty"] == "frequency_penalty"
    (made,) = read(written(tmp_path, "[groq]\nunsupported = ['stop']\nrenames = { top_p = 'stop' }\nextra = { max_tokens = 9 }"), {})
    assert made.vendor.renames == {"top_p": "stop"}


def test_a_key_may_have_a_line_end_behind_it_and_none_within(tmp_path: Path) -> None:
    text = '[groq]\napi_key_env = "SET"'
    (made,) = read(written(tmp_path, text), {"SET": f" {CANARY}\n"})
    assert made.key is not None
    assert made.key.get_secret_value() == CANARY
    with pytest.raises(EndpointsError, match="the variable SET has a blank") as caught:
        read(written(tmp_path, text), {"SET": f"{CANARY}\n{CANARY}"})
    assert CANARY not in str(caught.value)


async def test_a_key_in_a_header_or_a_field_of_ones_own_is_as_secret_as_any_other(tmp_path: Path) -> None:
    """As Azure and gateways behind a login want it; some quote in an error what they were sent."""
    other = "canary-second-secret"
    echo = json.dumps({"error": {"message": f"no access with {CANARY} and {other} for us"}}).encode()
    async with TapeServer(Tape([echo], status=400, content_type="application/json")) as server, open_session() as session:
        text = f"""
            [box]
            base_url = "{server.url}/v1"
            default_model = "{MODEL}"
            api_key = "{KEY}"
            headers = {{ "X-Title" = "for us", "CF-Access-Client-Secret" = "{CANARY}" }}
            extra = {{ gateway = {{ api_key = "{other}", tokenizer = "llama" }} }}
        """
        path = written(tmp_path, text)
        settings = load(None, providers_file=path, local_model="off")
        assert {KEY, CANARY, other} <= set(secrets_of(settings))
        assert not {"llama", "for us"} & set(secrets_of(settings))
        provider = build_providers(settings, session)["box"]
        error = await failure(provider, request(MODEL), CANARY, other)
    assert error.detail == "no access with [redacted] and [redacted] for us"
    assert server.calls[0].headers["CF-Access-Client-Secret"] == CANARY


async def test_a_key_behind_a_word_in_a_header_is_secret_without_that_word(tmp_path: Path) -> None:
    """As in "Bearer …": who quotes such a key in an error quotes it alone."""
    echo = json.dumps({"error": {"message": f"no access with abc123 and {CANARY}, but with id"}}).encode()
    async with TapeServer(Tape([echo], status=400, content_type="application/json")) as server, open_session() as session:
        text = f"""
            [box]
            base_url = "{server.url}/v1"
            default_model = "{MODEL}"
            api_key = "{KEY}"
            headers = {{ "Proxy-Authorization" = "Bearer abc123", "X-Auth" = "Token\\t{CANARY} ", "X-Key" = "my id" }}
        """
        settings = load(None, providers_file=written(tmp_path, text), local_model="off")
        secrets = set(secrets_of(settings))
        assert {"Bearer abc123", "abc123", CANARY} <= secrets
        assert "id" not in secrets  # so short a word stands in ordinary text
        error = await failure(build_providers(settings, session)["box"], request(MODEL), "abc123", CANARY)
    assert error.detail == "no access with [redacted] and [redacted], but with id"


@pytest.mark.parametrize("value", [" ", "  \n", "\t"])
def test_a_variable_of_nothing_but_blanks_is_no_key(tmp_path: Path, value: str) -> None:
    with pytest.raises(EndpointsError, match=r"\[groq\]: the variable SET holds nothing but blanks"):
        read(written(tmp_path, '[groq]\napi_key_env = "SET"'), {"SET": value})


async def test_the_window_of_some_models_is_what_is_declared_of_them(tmp_path: Path) -> None:
    (made,) = read(written(tmp_path, '[openrouter]\ndefault_model = "m"\n[openrouter.models."openai/*"]\ncontext = 400000'), {})
    async with open_session() as session:
        provider = OpenAICompatible(session, made.vendor, key=None)
        assert [provider.capabilities(model).context_tokens for model in ("openai/gpt-5.4", "m")] == [400_000, made.vendor.context]


def declared(folder: Path, text: str, model: str = "openai/gpt-5.4") -> tuple[float | None, int]:
    """Return for how many seconds a model of OpenRouter is waited for, and its window in tokens."""
    (made,) = read(written(folder, f'[openrouter]\ndefault_model = "m"\n{text}'), {})
    vendor = made.vendor.of(model)
    return vendor.first_seconds, vendor.context


def test_what_a_table_says_of_the_first_word_goes_before_what_the_preset_says(tmp_path: Path) -> None:
    usual = PRESETS["openrouter"].context
    assert declared(tmp_path, "") == (90, usual)
    assert declared(tmp_path, "", "meta-llama/llama-3.3") == (None, usual)
    assert declared(tmp_path, "first_seconds = 170") == (170, usual)
    assert declared(tmp_path, "first_seconds = 30") == (30, usual)
    assert declared(tmp_path, 'first_seconds = 20\n[openrouter.models."openai/gpt-5.4"]\nfirst_seconds = 170') == (170, usual)


@pytest.mark.parametrize("pattern", ["openai/gpt-5*", "openai/*", "openai/gpt-5.4", "*.4"], ids=["same", "wider", "narrower", "across"])
def test_what_is_said_of_some_models_adds_to_what_the_preset_says_of_them(tmp_path: Path, pattern: str) -> None:
    table = f'[openrouter.models."{pattern}"]\ncontext = 400000\n'
    assert declared(tmp_path, table) == (90, 400_000)
    assert declared(tmp_path, f"{table}first_seconds = 170") == (170, 400_000)


def test_more_said_of_a_reasoning_model_leaves_it_the_dialect_that_it_needs(tmp_path: Path) -> None:
    (made,) = read(written(tmp_path, '[mine]\npreset = "openai"\n[mine.models."gpt-*"]\ncontext = 400000\nsystem_role = "system"'), {})
    vendor, known = made.vendor.of("gpt-5.4"), PRESETS["openai"].of("gpt-5.4")
    assert (vendor.context, vendor.system_role) == (400_000, "system")
    assert (vendor.renames, vendor.unsupported, vendor.first_seconds) == (known.renames, known.unsupported, 90)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(EndpointsError, match="can't be read"):
        read(tmp_path / "nothing.toml", {})


def test_the_guides_examples_are_taken_as_they_stand(tmp_path: Path) -> None:
    examples = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
    assert examples
    for text in examples:
        variables = dict.fromkeys(re.findall(r'api_key_env = "(\w+)"', text), "set")
        assert read(written(tmp_path, text), variables)


def test_the_guide_names_every_key_of_a_table_and_what_may_stand_for_some_models() -> None:
    guide = GUIDE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)`( \*)? \|", guide, re.MULTILINE)
    assert [key for key, _ in rows] == [*dict.fromkeys(key for key, _ in rows)]
    assert {key for key, _ in rows} == set(Table.model_fields)
    assert {key for key, mark in rows if mark} == set(Quirks.model_fields)
    (said,) = re.findall(r"^Parameters, for `renames` and `unsupported`, are (.*?)\n\n", guide, re.MULTILINE | re.DOTALL)
    assert set(re.findall(r"`(\w+)`", said)) - {"unsupported"} == set(OpenAIParameters.model_fields)


@pytest.mark.parametrize(
    ("key", "usual"),
    [
        ("idle_seconds", Budgets().idle),
        ("total_seconds", Budgets().total),
        ("first_seconds", Budgets().first),
        ("context", GENERIC.context),
        ("system_role", f'"{GENERIC.system_role}"'),
        ("reasoning_fields", json.dumps(GENERIC.reasoning_fields)),
        ("think_tags", json.dumps(GENERIC.think_tags)),
        ("usage_in_stream", str(GENERIC.usage_in_stream).lower()),
        ("lists_all_models", str(GENERIC.lists_all_models).lower()),
    ],
)
def test_the_guide_says_what_holds_without_a_key(key: str, usual: object) -> None:
    (said,) = re.findall(rf"^\| `{key}`.*\| (.*) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert (f"{usual:g}" if isinstance(usual, float) else str(usual)) in said


def test_the_guide_names_the_presets_that_need_a_model() -> None:
    needy = ", ".join(f"`{name}`" for name, vendor in PRESETS.items() if not vendor.default_model)
    assert f"(so do the presets {' and '.join(needy.rsplit(', ', 1))}: a `default_model`)" in GUIDE.read_text(encoding="utf-8")


async def test_the_settings_make_them_providers_beside_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = written(tmp_path, '[groq]\napi_key_env = "MY_GROQ_KEY"\n[ollama]\n')
    env = tmp_path / ".env"
    env.write_text(f"PROVIDERS_FILE={path}\nMY_GROQ_KEY={CANARY}\nDEFAULT_PROVIDER=ollama\n", encoding="utf-8")
    settings = load(env, local_model="off")
    assert CANARY in secrets_of(settings)
    assert CANARY not in repr(settings)
    assert misspelt(env, {}) == []
    async with open_session() as session:
        providers = build_providers(settings, session)
        assert list(providers) == ["groq", "ollama"]
        assert defaults_of(settings, providers).provider == "ollama"
        assert len({provider.account for provider in providers.values()}) == 2
    path.write_text("[groq]\nnonsense = 1\n", encoding="utf-8")
    with pytest.raises(SettingsError, match=r"PROVIDERS_FILE: .*\[groq\]: nonsense"):
        load(env)


def test_a_file_without_a_table_is_told_where_nothing_else_is_set_up(tmp_path: Path) -> None:
    path = written(tmp_path, "# [groq]\n")
    with pytest.raises(SettingsError) as caught:
        defaults_of(load(None, providers_file=path, local_model="off"), {})
    assert str(caught.value).startswith(f"No provider is set up: the file of PROVIDERS_FILE, {path}, holds no table. Write one for each")
    assert "or PROVIDERS_FILE" not in str(caught.value)
    with pytest.raises(SettingsError, match=r"No provider is set up. Set one of .* OPENAI_BASE_URL or PROVIDERS_FILE, or "):
        defaults_of(load(None, local_model="off"), {})


def test_where_a_name_is_no_provider_those_of_the_file_are_listed_once(tmp_path: Path) -> None:
    def told(text: str | None, name: str = "second") -> str:
        path = None if text is None else written(tmp_path, text)
        with pytest.raises(SettingsError) as caught:
            load(None, providers_file=path, default_provider=name)
        return str(caught.value)

    assert told("[ollama]\n[groq]").endswith("second is no provider. There are netmind, segmind, modelslab, openai, local, ollama, groq")
    assert told("[ollama]", "olama").endswith(
        "olama is no provider; did you mean ollama? There are netmind, segmind, modelslab, openai, local, ollama"
    )
    assert told(None).endswith("openai, local, and those of PROVIDERS_FILE, which is not set")
    assert told("").endswith("openai, local, and those of PROVIDERS_FILE, which holds no table")


async def test_one_of_them_answers(tmp_path: Path) -> None:
    async with TapeServer(Tape([delta("Hello"), delta(finish="stop"), DONE])) as server, open_session() as session:
        text = f'[box]\nbase_url = "{server.url}/v1"\ndefault_model = "{MODEL}"\napi_key = "{KEY}"\nheaders = {{ "X-Title" = "us" }}'
        (made,) = read(written(tmp_path, text), {})
        assert made.key is not None
        provider = OpenAICompatible(session, made.vendor, key=made.key.get_secret_value())
        assert "Hello" in [getattr(event, "text", "") async for event in provider.stream(request(MODEL))]
        assert server.calls[0].headers["X-Title"] == "us"


@pytest.mark.parametrize(
    ("text", "asked"),
    [("", True), ("usage_in_stream = false", False), (f'[box.models."{MODEL}"]\nusage_in_stream = false', False)],
    ids=["usual", "table", "model"],
)
async def test_a_stream_is_not_asked_for_its_usage_where_that_is_declared(tmp_path: Path, text: str, asked: bool) -> None:
    async with TapeServer(Tape([delta("Hello"), delta(finish="stop"), DONE])) as server, open_session() as session:
        (made,) = read(written(tmp_path, f'[box]\nbase_url = "{server.url}/v1"\ndefault_model = "{MODEL}"\n{text}'), {})
        await events(OpenAICompatible(session, made.vendor, key=KEY), request(MODEL))
        assert ("stream_options" in server.calls[0].body) is asked


async def test_models_that_take_pictures_are_declared_by_pattern(tmp_path: Path) -> None:
    text = '[box]\nbase_url = "http://10.0.0.7:8000/v1"\ndefault_model = "m"\nvision = ["qwen*-vl-*"]'
    (made,) = read(written(tmp_path, text), {})
    async with open_session() as session:
        provider = OpenAICompatible(session, made.vendor, key=None)
        assert [provider.capabilities(model).images for model in ("qwen3-vl-8b", "qwen3-8b")] == [True, False]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[my box]\na = 1", 1),
        ("# boxes\n\n[ollama]\n[my box] # the one in the cellar", 4),
        ("[Büro]", 1),
        ("[my/box]", 1),
        ("[ollama.models.]", 1),
        ("[[my box]]", 1),
        ("[]", 1),
    ],
)
def test_a_table_whose_name_needs_quotation_marks_is_told_how_it_is_written(tmp_path: Path, text: str, line: int) -> None:
    said = refusal(tmp_path, text)
    assert "is no TOML: " in said
    assert f"(at line {line}, column " in said
    assert ". A table's name has 1-31 characters of a-z, 0-9, _ and -, and begins with a letter" in said
    assert said.endswith('. Patterns of models stand below a table, in quotation marks: [my-box.models."qwen*"]')
    assert '["' not in said


@pytest.mark.parametrize(
    ("name", "better"), [("[my box]", "my-box"), ("[bücher]", "bucher"), ("[my/box]", "my-box"), ("[[my box]]", "my-box")]
)
def test_the_name_that_is_advised_in_place_of_one_that_is_no_toml_is_taken(tmp_path: Path, name: str, better: str) -> None:
    title = name.strip("[]")
    assert f'write [{better}], and what people are to read as its title, such as title = "{title}"' in refusal(tmp_path, name)
    assert read(written(tmp_path, f'[{better}]\nbase_url = "http://h/v1"\ndefault_model = "m"\ntitle = "{title}"'), {})


@pytest.mark.parametrize(
    ("header", "better"),
    [
        ("[box.models.qwen 3]", '[box.models."qwen 3"]'),
        ("[box.models.qwen*]", '[box.models."qwen*"]'),
        ("[box.models.gpt-4.1]", '[box.models."gpt-4.1"]'),
        ("[box.models.gpt-4.1]\ncontext = 512\n[box.models.gpt-4.5]", '[box.models."gpt-4.1"]'),
        ("[box.models.llama-3.3.x]", '[box.models."llama-3.3.x"]'),
    ],
)
def test_a_model_whose_name_needs_quotation_marks_is_told_as_that(tmp_path: Path, header: str, better: str) -> None:
    said = refusal(tmp_path, f"{header}\ncontext = 512")
    assert said.endswith(f"odel whose name has a dot, a * or another such sign stands in quotation marks: write {better}")
    assert read(written(tmp_path, f'[box]\nbase_url = "http://h/v1"\ndefault_model = "m"\n{better}\ncontext = 512'), {})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[my.box]\ndefault_model = 'm'", "[my]: a dot in a table's name makes a table within a table; a table's name has 1-31 "),
        ("[my.box]\ndefault_model = 'm'", "write [my-box], and what people are to read as its title"),
        ("[my.box.models.'a*']\ncontext = 512", "write [my-box], "),
        ("[groq]\ncontexts = { gpt-4.1 = 512 }", 'stands in quotation marks: write contexts = { "gpt-4.1" = 32768 }'),
        ('[groq]\n[groq."qwen*"]\ncontext = 512', 'what is different for some models stands under [groq.models."qwen*"]'),
        ("[groq]\noptions = { top_k = 5 }", "[groq]: options: there is no such key; there are api_key, api_key_env, "),
        ("[x.models.a.extras]\nb = 1", "[x]: models.a.extras: there is no such key; did you mean extra?"),
    ],
)
def test_what_a_dot_has_taken_apart_is_told_as_that(tmp_path: Path, text: str, words: str) -> None:
    assert words in refusal(tmp_path, text)


@pytest.mark.parametrize(
    "key",
    [
        "gsk_AbCd1234EfGhSECRET9876xyzABCDEFG",
        "SG_0a1b2c3d4e5f6a7b",
        "deadbeefdeadbeefdeadbeefdeadbeef",
        "DEADBEEFDEADBEEFDEADBEEFDEADBEEF",
        "AKIAIOSFODNN7EXAMPLE",
        "SG_QXZKWJVBPLMNTRSG",
        "A1B2_C3D4_E5F6",
        "sk-or-v1-0a1b2c3d",
    ],
)
def test_what_may_be_a_key_in_place_of_a_variables_name_is_not_shown(tmp_path: Path, key: str) -> None:
    said = refusal_at_start(tmp_path, f'[groq]\napi_key_env = "{key}"')
    assert "[groq]: api_key_env takes the name of a variable, such as GROQ_API_KEY; " in said
    assert "what stands there may be a key, so it isn't shown" in said
    assert key not in said
    assert not any(part in said for part in re.split(r"[_-]", key) if len(part) > 3)


@pytest.mark.parametrize("name", ["UNSET_GROQ_KEY", "MY_OPENROUTER_API_KEY2", "MODELSLAB_V7_KEY", "KEY_2026"])
def test_what_is_surely_the_name_of_a_variable_is_shown_where_it_is_not_set(tmp_path: Path, name: str) -> None:
    assert refusal(tmp_path, f'[groq]\napi_key_env = "{name}"').endswith(f"[groq]: the variable {name} is not set")


def test_a_variable_in_small_letters_that_is_set_holds_the_key(tmp_path: Path) -> None:
    (made,) = read(written(tmp_path, '[groq]\napi_key_env = "gsk_team"'), {"gsk_team": CANARY})
    assert made.key is not None
    assert made.key.get_secret_value() == CANARY


@pytest.mark.parametrize("value", ["$GOOD_KEY", "${GOOD_KEY}"])
def test_a_variable_in_place_of_the_key_is_told_where_it_belongs(tmp_path: Path, value: str) -> None:
    said = refusal(tmp_path, f"[groq]\napi_key = '{value}'")
    assert said.endswith('api_key takes no variable: write the key itself, or api_key_env = "GOOD_KEY"')
    (made,) = read(written(tmp_path, "[groq]\napi_key = '$3cret'"), {})
    assert made.key is not None


def test_blanks_around_a_tables_model_are_no_part_of_it(tmp_path: Path) -> None:
    (made,) = read(written(tmp_path, '[box]\nbase_url = "http://h/v1"\ndefault_model = " m "'), {})
    assert made.vendor.default_model == "m"


@pytest.mark.parametrize(
    "text", ["[x", "[ollama]]", '[ollama.models."a b"] x', "[ollama]\ntitle = GPU box", '[ollama]\ntitle = "GPU', "[ollama]\n[ollama]"]
)
def test_another_mistake_is_not_told_as_one_of_a_name(tmp_path: Path, text: str) -> None:
    said = refusal(tmp_path, text)
    assert "is no TOML: " in said
    assert "quotation marks" not in said
