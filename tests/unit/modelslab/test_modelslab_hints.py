"""ModelsLab's webhook is unsigned: a post is a hint to look into the queue now, and nothing else."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aiohttp
import pytest

from adapters.base import ChatRequest, Finished, TextDelta
from adapters.modelslab import Hints, ModelsLab
from adapters.modelslab_hints import Hint
from sandbox.providers import ModelsLabSandbox
from tests.support.clock import PATIENCE_SECONDS
from tests.support.providers import KEY, said

URL = "https://bot.example/hooks/modelslab"
REQUEST = ChatRequest("zephyr-7b-beta", (said("user", "hi there"),))


class Waits:
    """Sleeps end when a test says so; what is below a second at once."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        if seconds > 1:
            await asyncio.sleep(3600)


async def post(hints: Hints, data: Any) -> int:
    async with aiohttp.ClientSession() as client, client.post(f"http://127.0.0.1:{hints.port}/hooks/modelslab", json=data) as response:
        return response.status


async def answer(provider: ModelsLab) -> list[Any]:
    return [event async for event in provider.stream(REQUEST)]


async def until_queued(server: ModelsLabSandbox) -> int:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not server.calls_to("POST", "/llm/chat"):  # noqa: ASYNC110 - the stand-in has no event for it
            await asyncio.sleep(0.005)
    body: Any = server.calls_to("POST", "/llm/chat")[0].body
    assert body["webhook"] == URL
    return int(body["track_id"])


@pytest.mark.parametrize("spelt", [int, str])
async def test_a_hint_makes_the_queue_be_asked_at_once(server: ModelsLabSandbox, session: aiohttp.ClientSession, spelt: type) -> None:
    hints, waits = Hints(URL, port=0), Waits()
    provider = ModelsLab(session, key=KEY, base_url=server.base_url, hints=hints, sleep=waits)
    server.queue_for, server.eta = 1, 60
    task = asyncio.create_task(answer(provider))
    track_id = await until_queued(server)
    for chat in server.chats.values():
        chat.polls = 0
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not task.done():
            assert await post(hints, {"status": "success", "track_id": spelt(track_id), "output": ["not this"]}) == 200
            await asyncio.sleep(0.01)
    events = task.result()
    assert TextDelta("zephyr-7b-beta heard: hi there") in events
    assert isinstance(events[-1], Finished)
    assert not hints._waiting
    await provider.aclose()
    await provider.aclose()


async def test_what_a_stranger_posts_is_answered_and_does_nothing(server: ModelsLabSandbox, session: aiohttp.ClientSession) -> None:
    hints = Hints(URL, port=0)
    provider = ModelsLab(session, key=KEY, base_url=server.base_url, hints=hints, sleep=Waits())
    server.queue_for, server.eta = 1, 60
    task = asyncio.create_task(answer(provider))
    await until_queued(server)
    strange: list[Any] = [
        {"track_id": 1},
        {"track_id": "x"},
        {"track_id": None},
        {},
        [],
        "text",
        {"track_id": True},
        {"track_id": "9" * 5000},
    ]
    for data in strange:
        assert await post(hints, data) == 200
    await asyncio.sleep(0.05)
    assert not task.done()
    assert not server.calls_to("POST", "get_queued_response")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await provider.aclose()


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"[" * 100_000, "application/json"),
        (b'{"track_id": 1}', "application/json; charset=nonsense"),
        (b"\xff\xfe\xff", "text/plain"),
        (b"x" * 300_000, "application/json"),
        (b"", "application/json"),
    ],
    ids=["deep", "no encoding", "no text", "large", "empty"],
)
async def test_whatever_a_stranger_posts_is_no_fault_of_ours(raw: bytes, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    hints = Hints(URL, port=0)
    await hints.begin()
    address = f"http://127.0.0.1:{hints.port}/hooks/modelslab"
    async with aiohttp.ClientSession() as client, client.post(address, data=raw, headers={"Content-Type": kind}) as response:
        assert response.status == 200
    assert not caplog.records
    await hints.aclose()


async def test_many_hints_do_not_make_many_looks() -> None:
    waits = Waits()
    hint = Hint(7)
    hint.came.set()
    await hint.wait(10, waits)
    assert waits.asked[0] == 1.0
    assert not hint.came.is_set()


async def test_a_port_that_is_taken_costs_no_answer(server: ModelsLabSandbox, session: aiohttp.ClientSession) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        provider = ModelsLab(session, key=KEY, base_url=server.base_url, hints=Hints(URL, port=taken.getsockname()[1]))
        assert isinstance((await answer(provider))[-1], Finished)
    assert "webhook" not in server.calls[0].body
