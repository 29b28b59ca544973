"""What is sent to an OpenAI-compatible provider, and what its settings take."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.base import (
    Alternatives,
    ChatRequest,
    ErrorKind,
    Finished,
    FinishReason,
    ImagePart,
    Message,
    ModelInfo,
    ProviderError,
    ReasoningDelta,
    Scope,
    TextDelta,
    TextPart,
)
from adapters.http import Http
from adapters.netmind import FORMER_URL, NETMIND, Netmind
from adapters.openai_compatible import OpenAICompatible, openai_endpoint
from adapters.openai_parameters import OpenAIParameters
from adapters.openai_vendors import GENERIC, OPENAI, PRESETS
from adapters.openai_wire import flatten, request_body
from tests.support.openai_tapes import DONE, MODEL, Tape, TapeServer, delta, event
from tests.support.providers import KEY, request, said

PASTA = ChatRequest(
    model=MODEL,
    system="You are a cooking assistant.\nBe edgy in your cooking ideas.",
    messages=(
        said("user", "How do I make pasta?"),
        said("assistant", "First, boil water."),
        said("user", "How do I make it better?"),
    ),
)


def built(asked=PASTA, *, vendor=GENERIC, completion=False, usage=True, **parameters):
    return request_body(vendor, asked, OpenAIParameters(**parameters), completion=completion, usage=usage)


@pytest.fixture
async def server():
    async with TapeServer(Tape([delta("Hello"), delta(finish="stop"), DONE])) as opened:
        yield opened


def test_a_chat_request_is_the_documents():
    assert built(max_tokens=512) == {
        "model": MODEL,
        "messages": [
            {"role": "system", "content": PASTA.system},
            {"role": "user", "content": "How do I make pasta?"},
            {"role": "assistant", "content": "First, boil water."},
            {"role": "user", "content": "How do I make it better?"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 512,
    }


def test_every_parameter_of_the_document_travels_under_its_name():
    values = {
        "max_tokens": 7,
        "temperature": 0.0,
        "top_p": 0.5,
        "stop": ["a", "b", "c", "d"],
        "presence_penalty": -1.0,
        "frequency_penalty": 2.0,
        "repetition_penalty": 1.1,
        "logit_bias": {"50256": -100.0},
    }
    sent = built(**values, stream=False)
    assert {name: list(value) if name == "stop" else value for name, value in sent.items() if name in values} == values
    assert sent["stream"] is False
    assert not {"endpoint", "stream_options", "n"} & set(sent)


def test_a_completion_is_flattened_as_in_the_document_and_ends_where_the_user_would_speak():
    sent = built(completion=True, stop=["END"])
    assert sent["prompt"] == (
        "A chat between a curious user and an artificial intelligence assistant.\n"
        "You are a cooking assistant.\nBe edgy in your cooking ideas.\n"
        "USER: How do I make pasta?\nASSISTANT: First, boil water.\nUSER: How do I make it better?\nASSISTANT:"
    )
    assert sent["stop"] == ["\nUSER:", "</s>", "END"]
    assert "messages" not in sent
    assert len(built(completion=True, stop=["1", "2", "3", "4"])["stop"]) == 4
    assert built(completion=True, stop=["1", "2", "3", "4"])["stop"] == ["1", "2", "3", "4"]  # none of theirs is left away
    assert built(completion=True, stop=["1", "2", "3"])["stop"] == ["\nUSER:", "1", "2", "3"]
    assert flatten(replace(PASTA, system=None)).count("\n") == 4


@pytest.mark.parametrize(
    ("mode", "messages"),
    [
        ("system", [("system", "be brief"), ("user", "hi")]),
        ("developer", [("developer", "be brief"), ("user", "hi")]),
        ("first_user", [("user", "be brief\n\nhi")]),
    ],
)
def test_the_persona_travels_as_the_vendor_wants_it(mode, messages):
    asked = ChatRequest(MODEL, (said("user", "hi"),), system="be brief")
    sent = built(asked, vendor=replace(GENERIC, system_role=mode))
    assert [(message["role"], message["content"]) for message in sent["messages"]] == messages


def test_a_vendors_renames_gaps_and_extras_are_declared_not_coded():
    vendor = replace(
        GENERIC, renames={"max_tokens": "max_completion_tokens"}, unsupported=frozenset({"top_p"}), extra={"temperature": 0.4, "user": "x"}
    )
    sent = built(vendor=vendor, max_tokens=5, top_p=0.5)
    assert (sent["max_completion_tokens"], sent["temperature"], sent["user"]) == (5, 0.4, "x")
    assert not {"max_tokens", "top_p"} & set(sent)
    assert built(vendor=vendor, temperature=1.5)["temperature"] == 1.5


def test_pictures_travel_as_parts_beside_their_text():
    asked = ChatRequest(MODEL, (Message("user", (TextPart("what is it?"), ImagePart("image/png", b"\x89PNG"))),), system="see")
    parts = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}]
    assert built(asked)["messages"][1]["content"] == parts
    first_user = built(asked, vendor=replace(GENERIC, system_role="first_user"))
    assert first_user["messages"][0]["content"] == [{"type": "text", "text": "see"}, *parts]


# --------------------------------------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("name", "typed", "value"),
    [
        ("max_tokens", "512", 512),
        ("temperature", "0", 0.0),
        ("top_p", "1", 1.0),
        ("stop", "END", ("END",)),
        ("stop", "\\n\\n", ("\n\n",)),
        ("stop", '["a", "b"]', ("a", "b")),
        ("stop", "END,###", ("END", "###")),
        ("stop", "END, a b ,\\n\\n,", ("END", "a b", "\n\n")),
        ("stop", '"yes, sir", "END"', ("yes, sir", "END")),
        ("stop", '"', ('"',)),
        ("stop", '"yes, sir", END', ("yes, sir", "END")),
        ("stop", 'END , "yes, sir",\\n', ("END", "yes, sir", "\n")),
        ("stop", '"a,\\n", "say ""hi, you""", "\\"", 5" off', ("a,\n", 'say "hi, you"', '"', '5" off')),
        ("stop", '"\\d,", x', ("\\d,", "x")),
        ("stop", ",", (",",)),
        ("stop", "“END”, “###”", ("END", "###")),
        ("stop", "„ja, mein Herr“, END, “a\\n”", ("ja, mein Herr", "END", "a\n")),
        ("stop", "“", ("“",)),
        ("stop", '"“END”"', ("“END”",)),
        ("stop", "[“a”, “b”]", ("a", "b")),
        ("stop", '["“a”"]', ("“a”",)),
        ("logit_bias", "{“5”: -100}", {"5": -100.0}),
        ("logit_bias", '{"5": -100, "6": 1.5}', {"5": -100.0, "6": 1.5}),
        ("stream", "off", False),
        ("stream", "on", True),
        ("endpoint", "completion", "completion"),
    ],
)
def test_settings_take_what_a_person_types(name, typed, value):
    assert getattr(OpenAIParameters.model_validate({name: typed}), name) == value


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", 0),
        ("temperature", 2.1),
        ("temperature", -0.1),
        ("temperature", "nan"),
        ("top_p", 0),
        ("top_p", 1.1),
        ("stop", ["a", "b", "c", "d", "e"]),
        ("stop", "a,b,c,d,e"),
        ("stop", [""]),
        ("stop", '["a"'),
        ("stop", '"yes, sir'),
        ("stop", 'END, "yes, sir'),
        ("stop", '"yes" sir, END'),
        ("stop", '""'),
        ("stop", "“yes, sir, END"),
        ("stop", "“yes” sir, END"),
        ("stop", "“”"),
        ("presence_penalty", 3),
        ("frequency_penalty", -3),
        ("repetition_penalty", 0),
        ("logit_bias", {"word": 1}),
        ("logit_bias", {"5": 101}),
        ("logit_bias", "five"),
        ("endpoint", "responses"),
        ("n", 0),
        ("n", 9),
    ],
)
def test_settings_refuse_what_the_document_does_not_allow(name, value):
    with pytest.raises(ValidationError) as caught:
        OpenAIParameters.model_validate({name: value})
    assert caught.value.errors()[0]["loc"][0] == name


def test_every_setting_is_explained_and_left_to_the_provider_by_default():
    for name, field in OpenAIParameters.model_fields.items():
        assert field.description, name
        assert field.default is None, name
    assert not OpenAIParameters().model_dump(exclude_none=True)


# ------------------------------------------------------------------------------------------- over the wire


@pytest.mark.parametrize(
    ("parameters", "completion_models", "path"),
    [
        ({}, frozenset(), "/v1/chat/completions"),
        ({"endpoint": "completion"}, frozenset(), "/v1/completions"),
        ({}, frozenset({MODEL}), "/v1/completions"),
        ({"endpoint": "chat"}, frozenset({MODEL}), "/v1/chat/completions"),
    ],
)
async def test_the_endpoint_is_the_settings_or_the_models(server, session, parameters, completion_models, path):
    provider = Netmind(session, key=KEY, base_url=f"{server.url}/v1", completion_models=completion_models)
    async for _ in provider.stream(request(MODEL, parameters=parameters)):
        pass
    assert [call.path for call in server.calls] == [path]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_completions_text_is_read_without_its_leading_blank(server, session, stream):
    pieces = [event({"choices": [{"index": 0, "text": piece, "finish_reason": None}]}) for piece in (" ", " First", ", boil")]
    whole = b'{"choices": [{"index": 0, "text": "  First, boil", "finish_reason": "stop"}]}'
    server.tapes = [Tape([*pieces, event({"choices": [{"text": "", "finish_reason": "stop"}]}), DONE]) if stream else Tape([whole])]
    provider = Netmind(session, key=KEY, base_url=f"{server.url}/v1")
    asked = request(MODEL, parameters={"endpoint": "completion", "stream": stream})
    assert "".join([getattr(got, "text", "") async for got in provider.stream(asked)]) == "First, boil"


async def test_the_key_travels_as_bearer_trimmed_or_not_at_all(server, session):
    async for _ in openai_endpoint(session, key=f" {KEY}\n", base_url=f"{server.url}/v1").stream(request(MODEL)):
        pass
    assert server.calls[0].headers["Authorization"] == f"Bearer {KEY}"
    with pytest.raises(ProviderError):
        await openai_endpoint(session, key=None, base_url=f"{server.url}/v1").check()
    assert "Authorization" not in server.calls[1].headers


async def test_settings_of_another_provider_are_a_bad_request_before_anything_is_sent(server, session):
    provider = openai_endpoint(session, key=KEY, base_url=f"{server.url}/v1")
    with pytest.raises(ProviderError) as caught:
        await anext(provider.stream(request(MODEL, parameters={"top_k": 5, "stop": "x", "temperature": 9})))
    assert caught.value.kind is ErrorKind.BAD_REQUEST
    assert "temperature, top_k" in caught.value.detail
    assert not server.calls


@pytest.mark.parametrize(
    ("listed", "models"),
    [
        ({"data": [{"id": "a", "context_length": 5000}, {"id": "b"}, {"id": "a"}]}, (ModelInfo("a", 5000), ModelInfo("b"))),
        ([{"id": "a", "max_model_len": 9}], (ModelInfo("a", 9),)),
        ({"data": ["a", 7, None, {"id": 3}, {"id": ""}]}, (ModelInfo("a"),)),
        ({"data": []}, ()),
    ],
)
async def test_model_lists_are_read_in_every_form(server, session, listed, models):
    server.models = listed
    assert await openai_endpoint(session, key=KEY, base_url=f"{server.url}/v1").models() == models


@pytest.mark.parametrize(
    ("listed", "kind"),
    [({"models": {}}, ErrorKind.PROTOCOL), ("hello", ErrorKind.PROTOCOL), ({"error": {"message": "Invalid API key"}}, ErrorKind.AUTH)],
)
async def test_what_is_no_model_list_is_an_error(server, session, listed, kind):
    server.models = listed
    with pytest.raises(ProviderError) as caught:
        await openai_endpoint(session, key=KEY, base_url=f"{server.url}/v1").models()
    assert caught.value.kind is kind


async def test_an_address_without_a_model_list_is_called_a_wrong_address_and_not_a_wrong_model(server, session):
    with pytest.raises(ProviderError) as caught:
        await openai_endpoint(session, key=KEY, base_url=f"{server.url}/v2").check()
    assert caught.value.kind is ErrorKind.BAD_REQUEST


async def test_windows_come_from_the_model_list_the_table_or_a_low_guess(server, session):
    provider = OpenAICompatible(session, replace(GENERIC, contexts={"known": 99}), key=KEY, base_url=f"{server.url}/v1")
    assert [provider.capabilities(model).context_tokens for model in ("known", MODEL)] == [99, 8192]
    await provider.models()
    assert [provider.capabilities(model).context_tokens for model in ("known", MODEL)] == [99, 5000]


async def test_several_answers_come_at_once_the_first_as_text_and_the_others_as_alternatives(server, session):
    choices = [
        {"index": 1, "message": {"content": "<think>hm</think>\nSalut"}, "finish_reason": "stop"},
        {"index": 0, "message": {"content": "Hello"}, "finish_reason": "stop"},
        {"index": 2, "message": {"content": " "}, "finish_reason": "stop"},
    ]
    server.tapes = [Tape([json.dumps({"choices": choices}).encode()], content_type="application/json")]
    provider = Netmind(session, key=KEY, base_url=f"{server.url}/v1")
    got = [made async for made in provider.stream(request(MODEL, parameters={"n": 3}))]
    assert [made for made in got if isinstance(made, TextDelta)] == [TextDelta("Hello")]
    assert [made for made in got if isinstance(made, Alternatives)] == [Alternatives(("Salut",), (Finished(raw_reason="stop"),))]
    assert isinstance(got[-1], Finished)
    sent = server.calls[0].body
    assert (sent["n"], sent["stream"]) == (3, False)
    assert "stream_options" not in sent


async def several(server, session, *choices: tuple[str, str]) -> list[Any]:
    """What is made of choices: their texts and finish reasons, in order."""
    made = [{"index": place, "message": {"content": text}, "finish_reason": finish} for place, (text, finish) in enumerate(choices)]
    server.tapes = [Tape([json.dumps({"choices": made}).encode()], content_type="application/json")]
    provider = Netmind(session, key=KEY, base_url=f"{server.url}/v1")
    return [event async for event in provider.stream(request(MODEL, parameters={"n": len(choices)}))]


async def test_each_of_several_answers_says_how_it_ended_and_none_without_text_or_with_an_error_is_offered(server, session):
    got = await several(
        server, session, ("one", "stop"), ("two", "length"), ("", "length"), ("three", "content_filter"), ("four", "error"), ("five", "")
    )
    (others,) = [made for made in got if isinstance(made, Alternatives)]
    assert others.texts == ("two", "three", "five")
    assert [end.reason for end in others.ends] == [FinishReason.LENGTH, FinishReason.CONTENT_FILTER, FinishReason.UNKNOWN]
    assert all(end.complete for end in others.ends)
    assert got[-1] == Finished(raw_reason="stop")


async def test_where_the_first_of_several_answers_is_empty_the_next_stands_for_it(server, session):
    got = await several(server, session, (" ", "content_filter"), ("two", "length"), ("three", "stop"))
    assert [made for made in got if isinstance(made, TextDelta)] == [TextDelta("two")]
    assert [made.texts for made in got if isinstance(made, Alternatives)] == [("three",)]
    assert got[-1] == Finished(FinishReason.LENGTH, raw_reason="length")


@pytest.mark.parametrize("text", ["", "it began"])
async def test_where_the_first_of_several_answers_ended_with_an_error_the_others_are_not_lost(server, session, text):
    got = await several(server, session, (text, "error"), ("two", "stop"), ("three", "stop"))
    assert [made for made in got if isinstance(made, TextDelta)] == [TextDelta("two")]
    assert [made.texts for made in got if isinstance(made, Alternatives)] == [("three",)]
    assert got[-1] == Finished(raw_reason="stop")


@pytest.mark.parametrize("number", [{}, {"index": 0}], ids=["none has a number", "all have the same"])
async def test_several_answers_that_are_not_numbered_are_all_there(server, session, number):
    choices = [{**number, "message": {"content": text}, "finish_reason": "stop"} for text in ("one", "two", "three")]
    server.tapes = [Tape([json.dumps({"choices": choices}).encode()], content_type="application/json")]
    got = [made async for made in Netmind(session, key=KEY, base_url=f"{server.url}/v1").stream(request(MODEL, parameters={"n": 3}))]
    assert [made for made in got if isinstance(made, TextDelta)] == [TextDelta("one")]
    assert [made.texts for made in got if isinstance(made, Alternatives)] == [("two", "three")]


async def test_where_all_of_several_answers_are_empty_the_first_says_why(server, session):
    with pytest.raises(ProviderError) as caught:
        await several(server, session, ("", "content_filter"), ("", "length"))
    assert caught.value.kind is ErrorKind.CONTENT_FILTER


def test_one_answer_is_not_asked_for_by_number():
    assert "n" not in built(n=1)


@pytest.mark.parametrize(
    ("model", "cap", "role"), [("gpt-4.1", "max_tokens", "system"), ("gpt-5.4-mini", "max_completion_tokens", "developer")]
)
def test_a_model_can_differ_from_its_vendor(model, cap, role):
    asked = replace(PASTA, model=model)
    sent = built(asked, vendor=OPENAI.of(model), max_tokens=9, temperature=0.5)
    assert sent[cap] == 9
    assert sent["messages"][0]["role"] == role
    assert ("temperature" in sent) == (role == "system")


async def test_what_a_vendor_does_not_take_cant_be_set(session):
    groq = OpenAICompatible(session, PRESETS["groq"], key=KEY)
    assert set(OpenAIParameters.model_fields) - set(groq.parameters.model_fields) == {"n", "logit_bias", "repetition_penalty"}
    with pytest.raises(ValidationError):
        groq.parameters.model_validate({"n": 2})
    assert groq.parameters.model_validate({"stop": "END", "top_p": 0.5}).model_dump(exclude_none=True) == {"stop": ("END",), "top_p": 0.5}


@pytest.mark.parametrize(
    ("changes", "message", "text", "reasoning"),
    [
        ({"think_tags": ("[R]", "[/R]")}, {"content": "[R]hm[/R] Hello"}, "Hello", "hm"),
        ({"think_tags": None}, {"content": "<think>hm</think> Hello"}, "<think>hm</think> Hello", ""),
        ({"reasoning_fields": ("thoughts",)}, {"content": "Hello", "thoughts": "hm", "reasoning": "no"}, "Hello", "hm"),
        ({"starts_thinking": frozenset({"vendor/*"})}, {"content": "hm</think> Hello"}, "Hello", "hm"),
    ],
)
@pytest.mark.parametrize("streamed", [True, False])
async def test_reasoning_is_found_where_the_vendor_declares_it(server, session, changes, message, text, reasoning, streamed):  # noqa: PLR0917 - fixtures and a row
    whole = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
    chunk = event({"choices": [{"index": 0, "delta": message, "finish_reason": None}]})
    server.tapes = [Tape([chunk, delta(finish="stop"), DONE] if streamed else [whole])]
    provider = OpenAICompatible(session, replace(GENERIC, **changes), key=KEY, base_url=f"{server.url}/v1")
    got = [made async for made in provider.stream(request(MODEL))]
    assert "".join(made.text for made in got if isinstance(made, TextDelta)) == text
    assert "".join(made.text for made in got if isinstance(made, ReasoningDelta)) == reasoning


async def test_modelslab_v7s_own_envelope_is_an_answer_and_its_error_an_error(server, session):
    provider = OpenAICompatible(session, PRESETS["modelslab_v7"], key=KEY, base_url=f"{server.url}/v1")
    server.tapes = [
        Tape([b'{"status": "success", "message": "Hello"}']),
        Tape([b'{"status": "error", "messege": "You are out of credits"}']),
    ]
    got = [made async for made in provider.stream(request(MODEL))]
    assert TextDelta("Hello") in got
    with pytest.raises(ProviderError) as caught:
        await anext(provider.stream(request(MODEL)))
    assert caught.value.kind is ErrorKind.QUOTA


@pytest.mark.parametrize("former", [True, False])
async def test_netminds_check_names_the_other_address_and_asks_only_the_one_set(session, monkeypatch, former):
    asked = []

    async def get_json(_self, url, _headers, **_):
        asked.append(url)
        raise ProviderError(ErrorKind.CONNECT, "cannot reach it", scope=Scope.PROVIDER)

    monkeypatch.setattr(Http, "get_json", get_json)
    provider = Netmind(session, key=KEY, base_url=FORMER_URL if former else None)
    with pytest.raises(ProviderError) as caught:
        await provider.check()
    here, there = (FORMER_URL, NETMIND.base_url) if former else (NETMIND.base_url, FORMER_URL)
    assert asked == [f"{here}/models"]
    assert there in caught.value.detail


async def test_netmind_goes_to_the_current_address_and_never_by_itself_to_the_former(session):
    assert NETMIND.base_url == "https://api.netmind.ai/inference-api/openai/v1"
    provider = Netmind(session, key=KEY)
    assert FORMER_URL not in str(vars(provider))
    assert provider.default_model == "meta-llama/Meta-Llama-3.1-8B-Instruct"
    assert provider.account != Netmind(session, key=KEY, base_url=FORMER_URL).account
