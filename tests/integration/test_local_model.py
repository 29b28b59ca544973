"""The local model itself: a real llama.cpp server in a real child process."""

import asyncio
import os
import sys

import pytest

from adapters import local as module
from adapters.base import Alternatives, ChatRequest, ErrorKind, Finished, Message, ProviderError, TextDelta, TextPart, Usage
from adapters.local import MODEL, Local, local_available
from adapters.router import Router
from tests.support.clock import PATIENCE_SECONDS

pytestmark = [
    pytest.mark.local_model,
    pytest.mark.skipif(not local_available(), reason="the dependency group `local` is not installed"),
    pytest.mark.timeout(300),
]


def asking(text="What is the capital of France?", **parameters):
    return ChatRequest(
        MODEL, (Message("user", (TextPart(text),)),), system="Answer in one word.", parameters={"max_tokens": 12} | parameters
    )


@pytest.fixture
async def local(session):
    made = Local(session)
    try:
        yield made
    finally:
        await made.aclose()


async def ask(provider, request):
    return [event async for event in Router({"local": provider}).stream("local", request)]


def text(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def counted(events):
    return next(event for event in events if isinstance(event, Usage))


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def gone(pid, seconds=PATIENCE_SECONDS):
    for _ in range(int(seconds / 0.05)):
        if not alive(pid):
            return True
        await asyncio.sleep(0.05)
    return False


async def test_it_streams_answers_regularly_completes_and_restarts_after_a_crash(local):
    # What so small a model says differs from one processor to the next: that it was asked the question shows in the
    # tokens it read.
    streamed = await ask(local, asking(temperature=0))
    assert text(streamed).strip()
    assert sum(isinstance(event, TextDelta) for event in streamed) > 1
    assert isinstance(streamed[-1], Finished)
    short, long = counted(streamed), counted(await ask(local, asking("What is the capital of France?" * 8)))
    assert short.input_tokens
    assert short.output_tokens
    assert long.input_tokens
    assert long.input_tokens > short.input_tokens + 7 * 6

    regular = await ask(local, asking(stream=False, temperature=0, repetition_penalty=1.1, logit_bias='{"5": -1}'))
    assert sum(isinstance(event, TextDelta) for event in regular) == 1
    assert text(await ask(local, asking(endpoint="completion"))).strip()

    most = local.parameters.model_json_schema()["properties"]["n"]["anyOf"][0]["maximum"]  # as /settings shows and takes it
    several = await ask(local, asking(n=most))
    assert [len(event.texts) for event in several if isinstance(event, Alternatives)] == [most - 1]

    child = local._child
    child.kill()
    await child.wait()
    assert text(await ask(local, asking()))
    assert local._child.pid != child.pid

    assert [model.id for model in await local.models()] == [MODEL]
    assert MODEL in (await local.check()).note
    assert (await local.address()).endswith("/v1")

    last = local._child.pid
    await asyncio.wait_for(local.aclose(), module.STOP_S + PATIENCE_SECONDS)
    assert not alive(last)  # reaped, no zombie
    with pytest.raises(ProviderError) as caught:
        await local.start()
    assert caught.value.kind is ErrorKind.CONNECT


async def test_an_unknown_model_is_named_so_without_a_start(local):
    with pytest.raises(ProviderError) as caught:
        await ask(local, ChatRequest("gpt-4", (Message("user", (TextPart("hi"),)),)))
    assert caught.value.kind is ErrorKind.MODEL_NOT_FOUND
    assert local._child is None


async def test_leaving_an_answer_ends_its_generation(local):
    stream = local.stream(asking("Count from 1 to 1000.", max_tokens=1000))
    while not isinstance(await anext(stream), TextDelta):
        pass
    await stream.aclose()
    assert text(await ask(local, asking()))  # the slot is free again


async def test_a_start_that_takes_too_long_is_given_up_and_leaves_no_process(session, monkeypatch):
    started = []
    real = asyncio.create_subprocess_exec

    async def spy(*arguments, **options):
        started.append(await real(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spy)
    local = Local(session, start_timeout=0.001)
    with pytest.raises(ProviderError) as caught:
        await local.start()
    assert caught.value.kind is ErrorKind.CONNECT
    assert "did not start in 0.001 s" in caught.value.detail
    assert not alive(started[0].pid)


async def test_weights_that_are_no_model_are_said_to_be_so(session, monkeypatch, tmp_path):
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(b"no model")
    monkeypatch.setattr(module, "weights", lambda: broken)
    with pytest.raises(ProviderError) as caught:
        await Local(session).start()
    assert caught.value.kind is ErrorKind.CONNECT
    assert "did not start" in caught.value.detail or "ended before it listened" in caught.value.detail


PARENT = """
import asyncio, sys
from adapters.http import open_session
from adapters.local import Local

async def main():
    async with open_session() as session:
        local = Local(session)
        await local.start()
        print(local._child.pid, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_the_child_dies_with_a_bridge_that_was_killed():
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", PARENT, stdout=asyncio.subprocess.PIPE)
    try:
        assert parent.stdout is not None
        child = int(await parent.stdout.readline())
        assert alive(child)
    finally:
        parent.kill()
        await parent.wait()
    assert await gone(child)


async def test_where_the_group_is_not_installed_it_says_so(session, monkeypatch):
    monkeypatch.setattr(module, "weights", lambda: None)
    assert not local_available()
    with pytest.raises(ProviderError) as caught:
        await Local(session).start()
    assert "dependency group `local`" in caught.value.detail
