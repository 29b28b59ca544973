"""The provider stand-ins keep to their documents, and refuse what the real ones refuse."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sandbox.faults import Fault
from sandbox.providers import LocalVoice, ModelsLabSandbox, NetmindSandbox, ScriptedVoice, SegmindSandbox
from sandbox.providers.netmind import dialogue
from sandbox.providers.tokens import Limited, count_tokens, first_words

KEY = "SG_0123456789abcdef"
LLAMA = "meta-llama/Meta-Llama-3.1-8B-Instruct"
BEARER = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture
async def netmind(voice):
    async with NetmindSandbox(key=KEY, voice=voice) as server:
        yield server


@pytest.fixture
async def segmind(voice):
    async with SegmindSandbox(key=KEY, voice=voice, now=lambda: 1_000_000.0) as server:
        yield server


@pytest.fixture
async def modelslab(voice):
    async with ModelsLabSandbox(key=KEY, voice=voice) as server:
        yield server


async def post(http: aiohttp.ClientSession, url: str, body: Any, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
    async with http.post(url, json=body, headers=headers) as response:
        return response.status, await response.json(content_type=None), response.headers


def chat(text: str = "Hi there!", **more: Any) -> dict[str, Any]:
    return {"model": LLAMA, "messages": [{"role": "user", "content": text}], **more}


# ------------------------------------------------------------------------------------------------- voices


async def _all(pieces: AsyncIterator[str]) -> list[str]:
    return [piece async for piece in pieces]


async def test_scripted_voice_takes_answers_in_order_then_names_model_and_question():
    voice = ScriptedVoice(["one two", ""])
    asked = [{"role": "user", "content": "old"}, {"role": "assistant", "content": "x"}, {"role": "user", "content": "new"}]
    first, second, third = (voice.speak("m", asked) for _ in range(3))
    assert await _all(third) == ["m ", "heard: ", "new"]
    assert await _all(first) == ["one ", "two"]
    assert await _all(second) == []
    assert voice.heard == [tuple(asked)] * 3


async def _llama(request):
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for piece in ("Hal", "lo"):
        await response.write(f"data: {json.dumps({'choices': [{'delta': {'content': piece}}]})}\n\n".encode())
    await response.write(b'data: {"choices":[]}\n\ndata: [DONE]\n\n')
    return response


async def test_local_voice_streams_from_a_server_and_falls_back_where_there_is_none(aiohttp_free_port):
    app = web.Application()
    app.add_routes([web.post("/v1/chat/completions", _llama)])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", aiohttp_free_port).start()
    address = f"http://127.0.0.1:{aiohttp_free_port}/v1"

    async def there():
        return address

    async def nowhere():
        return None

    asked = [{"role": "user", "content": "hi"}]
    spoken = await _all(LocalVoice(there).speak("m", asked))
    await runner.cleanup()
    assert spoken == ["Hal", "lo"]
    scripted = ScriptedVoice(["scripted", "also scripted"])
    assert await _all(LocalVoice(nowhere, scripted).speak("m", asked)) == ["scripted"]
    assert await _all(LocalVoice(there, scripted).speak("m", asked)) == ["also ", "scripted"]


@pytest.fixture
def aiohttp_free_port(unused_tcp_port):
    return unused_tcp_port


async def test_stop_sequence_split_over_pieces_ends_the_answer():
    async def pieces() -> AsyncIterator[str]:
        for piece in ("Hello\nUS", "ED\nUSE", "R: me"):
            yield piece

    limited = Limited(pieces(), stop=["\nUSER:"])
    assert await limited.text() == "Hello\nUSED"
    assert limited.finish_reason == "stop"


async def test_token_limit_cuts_and_says_length():
    limited = Limited(ScriptedVoice(["one two three four"]).speak("m", []), max_tokens=3)
    assert (await limited.text()).split() == ["one", "two", "three"]
    assert (limited.tokens, limited.finish_reason) == (3, "length")
    assert count_tokens("one, two") == 3
    assert first_words("  a b  c", 2) == "  a b"


# ------------------------------------------------------------------------------------------------ netmind


async def _events(http: aiohttp.ClientSession, url: str, body: Any) -> list[Any]:
    async with http.post(url, json=body, headers=BEARER) as response:
        assert response.status == 200
        assert response.content_type == "text/event-stream"
        lines = (await response.text()).split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-2]]


async def test_netmind_stream_begins_with_the_role_and_ends_with_reason_and_usage(http, netmind, voice):
    voice.queue("Hello you there")
    events = await _events(http, f"{netmind.base_url}/chat/completions", chat(stream=True, stream_options={"include_usage": True}))
    assert events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert [event["choices"][0]["delta"]["content"] for event in events[1:-2]] == ["Hello ", "you ", "there"]
    assert events[-2]["choices"][0] == {"index": 0, "delta": {}, "finish_reason": "stop"}
    assert events[-1]["choices"] == []
    assert events[-1]["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    assert all(event["usage"] is None for event in events[:-1])
    assert len({event["id"] for event in events}) == 1


async def test_netmind_stream_has_no_usage_unless_asked(http, netmind):
    events = await _events(http, f"{netmind.base_url}/chat/completions", chat(stream=True))
    assert not any("usage" in event for event in events)
    assert events[-1]["choices"][0]["finish_reason"] == "stop"


async def test_netmind_regular_answer_counts_tokens_and_gives_n_choices(http, netmind, voice):
    voice.queue("one", "two")
    status, body, _ = await post(http, f"{netmind.base_url}/chat/completions", chat(n=2), **BEARER)
    assert status == 200
    assert [choice["message"]["content"] for choice in body["choices"]] == ["one", "two"]
    assert body["usage"]["total_tokens"] == body["usage"]["prompt_tokens"] + 2


async def test_netmind_limits_tokens_and_honours_stop(http, netmind, voice):
    voice.queue("one two three", "red green blue")
    url = f"{netmind.base_url}/chat/completions"
    _, cut, _ = await post(http, url, chat(max_tokens=2), **BEARER)
    assert (cut["choices"][0]["message"]["content"], cut["choices"][0]["finish_reason"]) == ("one two ", "length")
    _, stopped, _ = await post(http, url, chat(stop=["green", "x"]), **BEARER)
    assert (stopped["choices"][0]["message"]["content"], stopped["choices"][0]["finish_reason"]) == ("red ", "stop")


async def test_netmind_completion_reads_the_flattened_transcript(http, netmind, voice):
    prompt = "A chat.\nBe edgy.\nUSER: How do I make pasta?\nASSISTANT: First, boil.\nUSER: Better?\nASSISTANT:"
    url = f"{netmind.base_url}/completions"
    status, body, _ = await post(http, url, {"model": LLAMA, "prompt": prompt}, **BEARER)
    assert status == 200
    assert body["object"] == "text_completion"
    assert body["choices"][0]["text"] == f"{LLAMA} heard: Better?"
    assert [message["role"] for message in voice.heard[0]] == ["system", "user", "assistant", "user"]
    events = await _events(http, url, {"model": LLAMA, "prompt": "once upon", "stream": True})
    assert "".join(event["choices"][0]["text"] for event in events) == f"{LLAMA} heard: once upon"
    assert dialogue("once upon") == [{"role": "user", "content": "once upon"}]


async def test_netmind_lists_its_models_to_key_holders_only(http, netmind):
    async with http.get(f"{netmind.base_url}/models") as response:
        assert response.status == 401
    async with http.get(f"{netmind.base_url}/models", headers=BEARER) as response:
        listed = await response.json()
    assert listed["object"] == "list"
    assert LLAMA in [model["id"] for model in listed["data"]]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": KEY}, {"x-api-key": KEY}])
async def test_netmind_takes_the_key_as_bearer_only(http, netmind, headers):
    status, body, _ = await post(http, f"{netmind.base_url}/chat/completions", chat(), **headers)
    assert (status, body["error"]["code"]) == (401, "invalid_api_key")
    assert KEY not in json.dumps(body)


async def test_netmind_names_an_unknown_model(http, netmind):
    status, body, _ = await post(http, f"{netmind.base_url}/chat/completions", {**chat(), "model": "gpt-9"}, **BEARER)
    assert (status, body["error"]["message"]) == (404, "unknown model: gpt-9")


@pytest.mark.parametrize(
    "wrong",
    [
        {"temperature": 2.1},
        {"temperature": "hot"},
        {"temperature": True},
        {"top_p": 0},
        {"max_tokens": 0},
        {"max_tokens": 1.5},
        {"stop": ["a", "b", "c", "d", "e"]},
        {"stop": []},
        {"n": 0},
        {"n": 2, "stream": True},
        {"presence_penalty": 3},
        {"frequency_penalty": -3},
        {"repetition_penalty": 0},
        {"logit_bias": {"word": 1}},
        {"logit_bias": {"7": 101}},
        {"stream": "yes"},
        {"stream_options": {"include_usage": True}},
        {"max_completion_tokens": 5},
        {"chat_id": "x"},
        {"messages": []},
        {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]},
        {"messages": [{"role": "developer", "content": "a"}]},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "user", "content": [{"type": "audio"}]}]},
        {"messages": "hi"},
    ],
    ids=json.dumps,
)
async def test_netmind_refuses_what_its_document_does_not_admit(http, netmind, voice, wrong):
    status, body, _ = await post(http, f"{netmind.base_url}/chat/completions", {**chat(), **wrong}, **BEARER)
    assert status == 400
    assert set(body["error"]) == {"message", "type", "param", "code"}
    assert voice.heard == []


async def test_netmind_takes_every_parameter_of_its_document(http, netmind):
    everything: dict[str, Any] = {
        "max_tokens": 512, "temperature": 2, "top_p": 1, "stop": ["a", "b", "c", "d"], "n": 1, "presence_penalty": -2,
        "frequency_penalty": 2, "repetition_penalty": 1.1, "logit_bias": {"50256": -100}, "stream": False,
    }  # fmt: skip
    status, _, _ = await post(http, f"{netmind.base_url}/chat/completions", chat(**everything), **BEARER)
    assert status == 200


async def test_netmind_can_refuse_stream_options_by_name(http, netmind):
    netmind.stream_options = False
    body = chat(stream=True, stream_options={"include_usage": True})
    status, answer, _ = await post(http, f"{netmind.base_url}/chat/completions", body, **BEARER)
    assert (status, answer["error"]["param"]) == (400, "stream_options")


async def test_netmind_wants_json(http, netmind):
    async with http.post(f"{netmind.base_url}/chat/completions", data="{}", headers=BEARER) as response:
        assert response.status == 415


async def test_netmind_refuses_what_exceeds_its_window(http, netmind):
    status, body, _ = await post(http, f"{netmind.base_url}/chat/completions", chat("a " * 131_100), **BEARER)
    assert (status, body["error"]["code"]) == (400, "context_length_exceeded")


async def test_netmind_keeps_the_pace_and_counts_readers_that_leave(http):
    voice = ScriptedVoice(["a " * 400])
    async with NetmindSandbox(key=KEY, voice=voice, tokens_per_second=200) as server:
        clock = asyncio.get_running_loop().time
        async with http.post(f"{server.base_url}/chat/completions", json=chat(stream=True), headers=BEARER) as response:
            begun, seen = clock(), b""
            while seen.count(b"data:") < 21:
                seen += await response.content.readany()
            assert clock() - begun >= 0.08
        for _ in range(100):
            if server.abandoned:
                break
            await asyncio.sleep(0.01)
        assert server.abandoned == 1
        assert server.calls[0].status == 0


# ------------------------------------------------------------------------------------------------ segmind


def said(text: str = "joke on cats") -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


async def test_segmind_answers_in_the_shape_of_the_slugs_vendor(http, segmind):
    shapes = {}
    for slug in ("llama-v3p1-8b-instruct", "claude-4.5-sonnet", "gemini-2.5-flash"):
        status, shapes[slug], _ = await post(http, f"{segmind.base_url}/v1/{slug}", said(), **{"x-api-key": KEY})
        assert status == 200
    llama, claude, gemini = shapes.values()
    assert llama["choices"][0]["message"]["content"] == "llama-v3p1-8b-instruct heard: joke on cats"
    assert claude["content"] == [{"type": "text", "text": "claude-4.5-sonnet heard: joke on cats"}]
    assert claude["stop_reason"] == "end_turn"
    assert gemini["candidates"][0]["content"]["parts"][0]["text"] == "gemini-2.5-flash heard: joke on cats"
    assert gemini["usageMetadata"]["promptTokenCount"] == 3


async def test_segmind_tells_cost_and_remaining_credits_as_floats(http, segmind):
    _, _, headers = await post(http, f"{segmind.base_url}/v1/deepseek-chat", said(), **{"x-api-key": KEY})
    assert headers["x-remaining-credits"] == "4.99975"
    assert headers["x-cost"] == "0.00025"
    assert float(headers["x-generation-time"]) >= 0
    assert headers["x-request-id"]
    async with http.get(f"{segmind.base_url}/v1/get-user-credits", headers={"x-api-key": KEY}) as response:
        assert await response.json() == {"credits": 4.99975, "free-credits": 0.018}


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({}, "Missing Authorization or x-api-key in header"),
        (BEARER, "Unauthorized. API key is invalid or may have expired"),
        ({"x-api-key": "SG_wrong"}, "Unauthorized. API key is invalid or may have expired"),
    ],
)
async def test_segmind_takes_the_key_in_its_own_header_only(http, segmind, headers, message):
    status, body, _ = await post(http, f"{segmind.base_url}/v1/deepseek-chat", said(), **headers)
    assert status == 401
    assert body["error"].startswith(message)


async def test_segmind_406_has_its_three_meanings(http, segmind):
    url, key = f"{segmind.base_url}/v1/deepseek-chat", {"x-api-key": KEY}
    async with http.post(url, data=json.dumps(said()), headers=key) as response:
        assert (response.status, await response.json()) == (406, {"error": "Invalid content type"})
    status, body, _ = await post(http, url, {**said(), "top_k": 5}, **key)
    assert (status, body["error"]) == (406, "Parameter top_k is not supported or out of range")
    segmind.credits = 0.0001
    status, body, _ = await post(http, url, said(), **key)
    assert status == 406
    assert body["error"].startswith("Insufficient credits")


async def test_segmind_wrong_method_unknown_and_retired_slugs(http, segmind):
    key = {"x-api-key": KEY}
    async with http.get(f"{segmind.base_url}/v1/deepseek-chat", headers=key) as response:
        assert (response.status, response.content_type) == (405, "text/html")
    assert (await post(http, f"{segmind.base_url}/v1/llama-9", said(), **key))[0] == 404
    assert (await post(http, f"{segmind.base_url}/v1/claude-3-haiku", said(), **key))[0] == 410


async def test_segmind_refuses_malformed_conversations(http, segmind):
    url, key = f"{segmind.base_url}/v1/deepseek-chat", {"x-api-key": KEY}
    system = {"messages": [{"role": "system", "content": "x"}, *said()["messages"]]}
    bodies: list[dict[str, Any]] = [{}, {"messages": []}, {"messages": ["hi"]}, {"messages": [{"role": "tool", "content": "x"}]}]
    for body in bodies:
        assert (await post(http, url, body, **key))[0] == 400
    assert (await post(http, url, system, **key))[0] == 200
    assert (await post(http, f"{segmind.base_url}/v1/claude-4.5-sonnet", system, **key))[0] == 400
    segmind.system_role = False
    assert (await post(http, url, system, **key))[0] == 400


async def test_segmind_limits_requests_and_says_when_to_come_again(http, voice):
    async with SegmindSandbox(key=KEY, voice=voice, requests_per_minute=1, now=lambda: 1_000_000.0) as server:
        url, key = f"{server.base_url}/v1/deepseek-chat", {"x-api-key": KEY}
        assert (await post(http, url, said(), **key))[0] == 200
        status, _, headers = await post(http, url, said(), **key)
    assert (status, headers["x-rate-limit-reset-at-utc"]) == (429, "1970-01-12T13:47:40+00:00")


# ------------------------------------------------------------------------------------------------- faults


async def test_faults_meet_every_stand_in(http, netmind, segmind, modelslab):
    targets = (
        (netmind, f"{netmind.base_url}/chat/completions"),
        (segmind, f"{segmind.base_url}/v1/deepseek-chat"),
        (modelslab, f"{modelslab.base_url}/llm/chat"),
    )
    for server, url in targets:
        server.faults.add(Fault(status=503, body={"error": "busy"}, headers={"Retry-After": "3"}))
        status, body, headers = await post(http, url, {})
        assert (status, body, headers["Retry-After"]) == (503, {"error": "busy"}, "3")
        assert server.calls[-1].status == 503


# ----------------------------------------------------------------------------------------------- netmind: pictures


def looking(model: str, url: str) -> dict[str, Any]:
    content = [{"type": "text", "text": "what is it?"}, {"type": "image_url", "image_url": {"url": url}}]
    return {"model": model, "messages": [{"role": "user", "content": content}]}


PNG_URL = "data:image/png;base64,iVBORw0KGgoAAAAN"


async def test_netmind_shows_pictures_to_models_that_take_them_and_to_no_others(http, netmind):
    url = f"{netmind.base_url}/chat/completions"
    status, body, _ = await post(http, url, looking("openai/gpt-5.4", PNG_URL), **BEARER)
    assert (status, "what is it?" in body["choices"][0]["message"]["content"]) == (200, True)
    status, body, _ = await post(http, url, looking(LLAMA, PNG_URL), **BEARER)
    assert (status, body["error"]["message"]) == (400, "Invalid content type. image_url is only supported by certain models.")


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com/cat.png",
        "data:image/png;base64,R0lGODlh",  # a GIF
        "data:image/svg+xml;base64,PHN2Zz4=",
        "data:image/png;base64,%%%",
        "data:text/html;base64,PGgxPg==",
    ],
)
async def test_netmind_refuses_what_is_no_picture(http, netmind, url):
    status, body, _ = await post(http, f"{netmind.base_url}/chat/completions", looking("openai/gpt-5.4", url), **BEARER)
    assert (status, body["error"]["message"]) == (400, "Invalid image data.")
