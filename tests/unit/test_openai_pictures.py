"""Pictures to OpenAI-compatible providers: sent as content parts; what a model can't see is learned from its list or its refusal."""

import base64
from dataclasses import replace

import pytest

from adapters.base import ChatRequest, ErrorKind, ImagePart, Message, Part, ProviderError, TextDelta, TextPart
from adapters.bodies import STREAMED_FROM_BYTES
from adapters.openai_compatible import OpenAICompatible, openai_endpoint
from adapters.openai_vendors import GENERIC, OPENAI
from adapters.openai_wire import read_models, refuses_pictures
from adapters.router import Candidate, Router
from tests.support.openai_tapes import DONE, MODEL, Tape, TapeServer, delta
from tests.support.providers import KEY
from tests.support.wire import RawServer, whole

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
SEEN = [delta("A cat."), delta(finish="stop"), DONE]


def looking(*pictures: bytes, model: str = MODEL, **more) -> ChatRequest:
    parts: list[Part] = [TextPart("what is it?"), *(ImagePart("image/png", data) for data in pictures)]
    return ChatRequest(model, (Message("user", tuple(parts)),), **more)


async def heard(provider, request):
    return "".join([event.text async for event in provider.stream(request) if isinstance(event, TextDelta)])


async def test_a_picture_travels_as_a_data_url_beside_the_text(session):
    async with TapeServer(Tape(SEEN)) as server:
        provider = openai_endpoint(session, key=KEY, base_url=f"{server.url}/v1")
        assert await heard(provider, looking(PNG)) == "A cat."
        url = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
        content = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]
        assert server.calls[-1].body["messages"] == [{"role": "user", "content": content}]


async def test_a_large_body_arrives_whole(session):
    large = PNG + bytes(2 * STREAMED_FROM_BYTES)
    async with TapeServer(Tape(SEEN)) as server:
        provider = openai_endpoint(session, key=KEY, base_url=f"{server.url}/v1")
        assert await heard(provider, looking(large)) == "A cat."
        url = server.calls[-1].body["messages"][0]["content"][1]["image_url"]["url"]
        assert base64.b64decode(url.partition(",")[2]) == large


REFUSALS = [
    (400, "Invalid content type. image_url is only supported by certain models."),
    (400, "'messages.0' : for 'role:user' the following must be satisfied[('messages.0.content' : value must be a string)]"),
    (422, "Failed to deserialize the JSON body into the target type: messages[0]: unknown variant `image_url`, expected `text`"),
    (404, "No endpoints found that support image input"),
    (500, "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj"),
    (500, 'Failed to parse messages: Unsupported content part type: "image_url"'),
    (400, "Model does not support images. Please use a model that does."),
    (400, "this model does not support image input (ref: 1)"),
    (400, "vendor/some-model is not a multimodal model"),
    (422, "Input should be a valid string"),
    (400, "At most 0 image(s) may be provided in one request."),
]


@pytest.mark.parametrize(("status", "words"), REFUSALS)
def test_the_words_of_many_servers_for_no_pictures_are_understood(status, words):
    assert refuses_pictures(looking(PNG), status, words)
    assert not refuses_pictures(looking(), status, words)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Invalid image data."),
        (400, "Could not process image: it is truncated"),
        (429, "image input is not supported"),
        (400, "max_tokens must be at least 1"),
        (400, "The image is too large: at most 5 MB"),
    ],
)
def test_other_complaints_are_not_taken_for_it(status, words):
    assert not refuses_pictures(looking(PNG), status, words)


async def test_a_refusal_is_told_costs_nothing_and_is_remembered(session):
    refusal = whole({"error": {"message": "Invalid content type. image_url is only supported by certain models."}}, 400)
    async with RawServer([refusal]) as server:
        provider = openai_endpoint(session, key=KEY, base_url=f"{server.url}/v1")
        assert provider.capabilities(MODEL).images is None
        with pytest.raises(ProviderError) as caught:
            await heard(provider, looking(PNG))
        assert (caught.value.kind, caught.value.billed) == (ErrorKind.NO_PICTURES, "no")
        assert provider.capabilities(MODEL).images is False
        assert provider.capabilities("another").images is None


async def test_the_router_asks_again_without_what_was_refused(session):
    refusal = whole({"error": {"message": "Model does not support images."}}, 400)
    body = {"choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}]}
    async with RawServer([refusal, whole(body)]) as server:
        provider = openai_endpoint(session, key=KEY, base_url=f"{server.url}/v1")

        async def made():
            return looking(PNG) if provider.capabilities(MODEL).images is not False else looking()

        events = [event async for event in Router({"openai": provider}).chain([Candidate("openai", MODEL, made)])]
        assert "".join(event.text for event in events if isinstance(event, TextDelta)) == "Hello"
        assert [isinstance(asked.body["messages"][0]["content"], str) for asked in server.asked] == [False, True]


async def test_a_provider_that_never_learns_is_not_asked_for_ever(session):
    async with RawServer([whole({"error": {"message": "Model does not support images."}}, 400)]) as server:
        provider = openai_endpoint(session, key=KEY, base_url=f"{server.url}/v1")

        async def made():
            return looking(PNG)

        with pytest.raises(ProviderError) as caught:
            async for _ in Router({"openai": provider}).chain([Candidate("openai", MODEL, made)]):
                pass
        assert caught.value.kind is ErrorKind.NO_PICTURES
        assert len(server.asked) == 2


async def test_an_error_that_echoes_a_picture_shows_nothing_of_it(session):
    url = f"data:image/png;base64,{base64.b64encode(PNG * 20).decode()}"
    async with RawServer([whole({"error": {"message": f"cannot read {url} as a picture"}}, 400)]) as server:
        provider = openai_endpoint(session, key=KEY, base_url=f"{server.url}/v1")
        with pytest.raises(ProviderError) as caught:
            await heard(provider, looking(PNG * 20))
    assert caught.value.kind is ErrorKind.BAD_REQUEST
    assert "base64" not in str(caught.value)
    assert "as a picture" in caught.value.detail


async def test_the_completion_endpoint_drops_no_picture_unsaid(session):
    provider = openai_endpoint(session, key=KEY, base_url="http://127.0.0.1:1/v1")
    with pytest.raises(ProviderError) as caught:
        await heard(provider, looking(PNG, parameters={"endpoint": "completion"}))
    assert caught.value.kind is ErrorKind.NO_PICTURES


def test_model_lists_say_who_sees():
    entries = [
        {"id": "a", "architecture": {"input_modalities": ["text", "image"]}},
        {"id": "b", "architecture": {"input_modalities": ["text"]}},
        {"id": "c", "architecture": {"modality": "text+image->text"}},
        {"id": "d", "architecture": {"modality": "text->image"}},
        {"id": "e", "capabilities": {"vision": True}},
        {"id": "f", "capabilities": {"vision": False}},
        {"id": "g", "capabilities": ["completion", "multimodal"]},
        {"id": "h", "capabilities": ["completion"]},
        {"id": "i", "architecture": 7, "capabilities": "vision"},
        "j",
    ]
    seen = {model.id: model.images for model in read_models({"data": entries}) or ()}
    assert seen == {"a": True, "b": False, "c": True, "d": False, "e": True, "f": False, "g": True, "h": None, "i": None, "j": None}


async def test_what_is_declared_what_is_listed_and_what_is_learned_in_this_order(session):
    listing = whole({"data": [{"id": "listed", "input_modalities": ["text"]}, {"id": MODEL, "input_modalities": ["text", "image"]}]})
    async with RawServer([listing]) as server:
        unknown = OpenAICompatible(session, GENERIC, key=None, base_url=server.url)
        sees_all = OpenAICompatible(session, OPENAI, key=None, base_url=server.url)
        declared = OpenAICompatible(session, replace(GENERIC, vision=frozenset({"qwen*-vl-*"})), key=None, base_url=server.url)
        for provider in (unknown, sees_all, declared):
            await provider.models()
    said = [[one.capabilities(model).images for model in ("listed", MODEL, "qwen3-vl-8b", "x")] for one in (unknown, sees_all, declared)]
    assert said == [[False, True, None, None], [False, True, True, True], [False, False, True, False]]


async def test_models_of_the_completion_endpoint_see_nothing(session):
    vendor = replace(OPENAI, completion_models=frozenset({"old-*"}))
    provider = OpenAICompatible(session, vendor, key=None)
    assert [provider.capabilities(model).images for model in ("old-one", "new")] == [False, True]
