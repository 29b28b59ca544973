"""Strangers: the official client against our stand-in, and our adapter against a stand-in that nobody here wrote."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import openai
import pytest

from adapters.base import ErrorKind, Finished, ProviderError, Started, TextDelta
from adapters.http import open_session
from adapters.openai_compatible import openai_endpoint
from sandbox.providers import NetmindSandbox, ScriptedVoice
from tests.support.clock import PATIENCE_SECONDS
from tests.support.providers import request

KEY = "canary-key-5f2c9a71e0"
MODEL = "meta-llama/Meta-Llama-3.1-8B-Instruct"


# ------------------------------------------------------------------------- the official client, our stand-in


@asynccontextmanager
async def client(voice: ScriptedVoice, *, key: str = KEY) -> AsyncIterator[openai.AsyncOpenAI]:
    async with (
        NetmindSandbox(key=KEY, voice=voice) as server,
        openai.AsyncOpenAI(api_key=key, base_url=server.base_url, max_retries=0) as made,
    ):
        yield made


async def test_the_official_client_streams_a_chat_with_its_usage() -> None:
    async with client(ScriptedVoice(["Paris is the capital. 🦊"])) as made:
        stream = await made.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": "Capital?"}],
            stream=True,
            max_tokens=512,
            stream_options={"include_usage": True},
        )
        chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Paris is the capital. 🦊"
    assert chunks[-2].choices[0].finish_reason == "stop"
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.prompt_tokens + usage.completion_tokens == usage.total_tokens


async def test_the_official_client_gets_several_answers_at_once() -> None:
    async with client(ScriptedVoice(["One", "Two"])) as made:
        whole = await made.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "?"}], n=2, temperature=0.5, stop=["END"]
        )
    assert [(choice.index, choice.message.content, choice.finish_reason) for choice in whole.choices] == [
        (0, "One", "stop"),
        (1, "Two", "stop"),
    ]


@pytest.mark.parametrize("streamed", [True, False])
async def test_the_official_client_completes_a_prompt(streamed: bool) -> None:
    async with client(ScriptedVoice(["First, boil water."])) as made:
        prompt = "USER: How do I make pasta?\nASSISTANT:"
        if streamed:
            pieces = await made.completions.create(model=MODEL, prompt=prompt, stream=True)
            text = "".join([piece.choices[0].text async for piece in pieces])
        else:
            text = (await made.completions.create(model=MODEL, prompt=prompt, extra_body={"repetition_penalty": 1.1})).choices[0].text
    assert text == "First, boil water."


async def test_the_official_client_lists_models_and_understands_the_refusals() -> None:
    async with client(ScriptedVoice()) as made:
        assert MODEL in [model.id async for model in made.models.list()]
        with pytest.raises(openai.NotFoundError, match="unknown model"):
            await made.chat.completions.create(model="no/such-model", messages=[{"role": "user", "content": "?"}])
        with pytest.raises(openai.BadRequestError, match="temperature"):
            await made.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": "?"}], temperature=3)
    async with client(ScriptedVoice(), key="wrong") as made:
        with pytest.raises(openai.AuthenticationError):
            await made.models.list()


# -------------------------------------------------------------------------- our adapter, a stranger's stand-in

SCENARIO = """
version: 1
rules:
  - type: llm.openai
    when: {model: "*", messages_contains: "limit"}
    respond: {error_type: rate_limit, message: "Slow down", status_code: 429, retry_after: 7}
  - type: llm.openai
    when: {model: "*", messages_contains: "key"}
    respond: {error_type: authentication, message: "Invalid API key", status_code: 401}
  - type: llm.openai
    when: {model: "*", messages_contains: "hello"}
    respond: {content: "Hello from a stranger, 🦊 and all.", usage: {input_tokens: 7, output_tokens: 3, total_tokens: 10}}
"""
CONTENT = "Hello from a stranger, 🦊 and all."


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("stranger") / "scenario.yaml"
    path.write_text(SCENARIO, encoding="utf-8")
    return path


@asynccontextmanager
async def stranger(scenario: Path) -> AsyncIterator[str]:
    """Run mocktopus in a process of its own; return the base address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = "from mocktopus.cli import main; main()"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, "serve", "--scenario", str(scenario), "--port", str(port),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not await _open(port):
                assert process.returncode is None, "the stranger did not start"
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _open(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def test_our_adapter_speaks_with_a_server_that_nobody_here_wrote(scenario: Path) -> None:
    async with stranger(scenario) as url, open_session() as session, asyncio.timeout(PATIENCE_SECONDS):
        provider = openai_endpoint(session, key=KEY, base_url=url)
        for streamed in (True, False):
            events = [event async for event in provider.stream(request("gpt-4o-mini", "hello there", parameters={"stream": streamed}))]
            assert isinstance(events[0], Started)
            assert "".join(event.text for event in events if isinstance(event, TextDelta)) == CONTENT
            assert isinstance(events[-1], Finished)
            assert events[-1].complete
        assert await provider.models()
        for text, kind, wait in (("limit", ErrorKind.RATE_LIMIT, 7.0), ("key", ErrorKind.AUTH, None), ("what is this", None, None)):
            with pytest.raises(ProviderError) as caught:
                await anext(provider.stream(request("gpt-4o-mini", text)))
            assert kind in {None, caught.value.kind}
            assert caught.value.retry_after == wait
            assert KEY not in f"{caught.value!r}"
