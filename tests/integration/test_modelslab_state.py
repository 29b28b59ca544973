"""ModelsLab's chat_id beside the transcript: what each thing that can come between two questions does to it. Core, store and adapter are
the real ones; the sandbox's ModelsLab remembers what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from adapters.http import open_session
from adapters.modelslab import BUDGETS, ModelsLab
from bot.preferences import Defaults
from sandbox.faults import Fault
from sandbox.providers import ModelsLabSandbox, ScriptedVoice
from tests.support.clock import LoopTime
from tests.support.core import World, eventually
from tests.support.scripted import ScriptedProvider

KEY = "ml-canary-key-0123456789"
CHAT = "*/llm/chat"


async def _soon(_: float) -> None:
    await asyncio.sleep(0.001)


@dataclass
class Scene:
    """A conversation with ModelsLab, and ModelsLab."""

    world: World
    server: ModelsLabSandbox
    session: aiohttp.ClientSession
    loop_time: LoopTime

    def plug(self) -> None:
        """Make the provider anew, as after a restart."""
        fresh = ModelsLab(self.session, key=KEY, base_url=self.server.base_url, sleep=_soon)
        self.world.providers["modelslab"] = fresh  # type: ignore[assignment]  # the world's own are scripted

    def asked(self) -> list[dict[str, object]]:
        """Bodies of the questions that ModelsLab got."""
        return [call.body for call in self.server.calls_to("POST", "/llm/chat")]


@pytest.fixture
async def scene(tmp_path: Path, loop_time: LoopTime) -> AsyncIterator[Scene]:
    models = ["zephyr-7b-beta", "other-model"]
    async with ModelsLabSandbox(key=KEY, voice=ScriptedVoice(), models=models) as server, open_session() as session:
        beta = ScriptedProvider("beta", "Beta", default_model="b-one", names=("b-one",))
        made = Scene(World(tmp_path, {"beta": beta}, defaults=Defaults("modelslab")), server, session, loop_time)
        made.plug()
        yield made


async def nothing(_: Scene) -> None:
    pass


async def away_and_back_without_a_question(scene: Scene) -> None:
    await scene.world.order("provider", name="beta")
    await scene.world.order("provider", name="modelslab")


async def away_and_back(scene: Scene) -> None:
    await scene.world.order("provider", name="beta")
    await scene.world.ask("in between")
    await scene.world.order("provider", name="modelslab")


async def a_retry(scene: Scene) -> None:
    await scene.world.order("retry")


async def a_reset(scene: Scene) -> None:
    await scene.world.order("reset")


async def a_late_edit(scene: Scene) -> None:
    said = await scene.world.say("edited later")
    await scene.world.idle()
    await scene.world.edit(said, "too late")
    await scene.world.idle()


async def an_edit_in_time(scene: Scene) -> None:
    scene.server.hold = asyncio.Event()
    await scene.world.say("holds the line")
    waiting = await scene.world.say("worng")
    await scene.world.edit(waiting, "wrong")
    scene.server.hold.set()
    await scene.world.idle()


async def another_persona(scene: Scene) -> None:
    await scene.world.order("system", text="You are a pirate.")


async def another_model(scene: Scene) -> None:
    await scene.world.order("model", name="other-model")


async def a_parameter(scene: Scene) -> None:
    await scene.world.order("settings", name="temperature", value="0.2")


async def a_time_out(scene: Scene) -> None:
    scene.server.hold = asyncio.Event()
    before = len(scene.server.calls)
    await scene.world.say("never answered in time")
    await eventually(lambda: len(scene.server.calls) > before)
    await scene.loop_time.skip(BUDGETS.total)
    await scene.world.idle()
    assert "ModelsLab took too long" in scene.world.texts()[-1]
    scene.server.hold.set()
    scene.server.hold = None


async def a_cut_connection(scene: Scene) -> None:
    scene.server.faults.add(Fault(path=CHAT, drop="before"))
    await scene.world.ask("never arrived")


async def a_stop(scene: Scene) -> None:
    scene.server.hold = asyncio.Event()
    before = len(scene.server.calls)
    await scene.world.say("stopped")
    await eventually(lambda: len(scene.server.calls) > before)
    await scene.world.command("stop")
    await scene.world.idle()
    scene.server.hold.set()
    scene.server.hold = None


async def a_queued_answer(scene: Scene) -> None:
    scene.server.queue_for = 2
    await scene.world.ask("queued")
    scene.server.queue_for = 0


async def a_lost_chat(scene: Scene) -> None:
    scene.server.chats.clear()


async def another_key(scene: Scene) -> None:
    scene.world.providers["modelslab"].account = "another account"


KEPT, ANEW, FORGOTTEN = "the chat goes on", "a new chat from the transcript", "a new chat that knows nothing"

TABLE: dict[Callable[[Scene], Awaitable[None]], str] = {
    nothing: KEPT,
    away_and_back_without_a_question: KEPT,
    a_parameter: KEPT,
    a_late_edit: KEPT,
    an_edit_in_time: KEPT,
    a_queued_answer: KEPT,
    away_and_back: ANEW,
    another_persona: ANEW,
    another_model: ANEW,
    another_key: ANEW,
    a_time_out: ANEW,
    a_cut_connection: ANEW,
    a_stop: ANEW,
    a_lost_chat: ANEW,
    a_reset: FORGOTTEN,
}


@pytest.mark.parametrize("act", TABLE, ids=lambda act: act.__name__)
async def test_each_thing_that_comes_between_does_to_the_chat_what_the_table_says(
    scene: Scene, act: Callable[[Scene], Awaitable[None]]
) -> None:
    async with scene.world.running():
        await scene.world.ask("one")
        (first,) = scene.server.chats
        await act(scene)
        await scene.world.ask("last")
    body = scene.asked()[-1]
    prompt = str(body["prompt"])
    known = "one" in prompt
    if TABLE[act] is KEPT:
        assert (body.get("chat_id"), prompt) == (first, "last")
    else:
        assert "chat_id" not in body
        assert prompt.endswith("last")
        assert known == (TABLE[act] is ANEW)
    assert ("system_prompt" in body) == (act is another_persona)
    if act is away_and_back:
        assert "heard: in between" in prompt
    if act is an_edit_in_time:
        assert scene.asked()[-2]["prompt"] == "wrong"


async def test_twenty_turns_of_a_conversation_use_one_chat_over_restarts(scene: Scene) -> None:
    for life in range(4):
        scene.plug()
        async with scene.world.running():
            for number in range(5):
                await scene.world.ask(f"question {life * 5 + number}")
    assert len(scene.server.chats) == 1
    assert [body["prompt"] for body in scene.asked()] == [f"question {number}" for number in range(20)]
    assert len({body.get("chat_id") for body in scene.asked()[1:]}) == 1


async def test_a_retry_asks_a_new_chat_that_never_heard_the_answer_it_replaces(scene: Scene) -> None:
    async with scene.world.running():
        await scene.world.ask("one")
        await scene.world.ask("two")
        await a_retry(scene)
        again = scene.asked()[-1]
        assert "chat_id" not in again
        assert str(again["prompt"]).endswith("two")
        assert "heard: two" not in str(again["prompt"])
        await scene.world.ask("three")
    assert scene.asked()[-1]["prompt"] == "three"
    assert scene.asked()[-1]["chat_id"] == list(scene.server.chats)[-1]
    assert len(scene.server.chats) == 2


async def test_a_crash_while_an_answer_is_queued_costs_no_second_question_and_keeps_the_chat(scene: Scene) -> None:
    async with scene.world.running():
        await scene.world.ask("one")
        scene.server.queue_for = 10**9
        await scene.world.say("two")
        await eventually(lambda: scene.world.rows("SELECT 1 FROM turn WHERE handle IS NOT NULL"))
    for chat in scene.server.chats.values():
        chat.polls = 0
    scene.server.queue_for = 0
    scene.plug()
    async with scene.world.running():
        await scene.world.until_said("heard: two")
        await scene.world.idle()
        assert [body["prompt"] for body in scene.asked()] == ["one", "two"]
        await scene.world.ask("three")
    assert len(scene.server.chats) == 1
    assert scene.asked()[-1]["prompt"] == "three"


async def test_no_chat_id_and_no_key_is_in_a_log_or_in_the_chat(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with scene.world.running():
        await scene.world.ask("one")
        (chat_id,) = scene.server.chats
        for text in (f"chat {chat_id} of {KEY} broke", f"see https://pub-1.r2.dev/chats/{chat_id}.json"):
            scene.server.faults.add(Fault(path=CHAT, status=500, body={"status": "error", "message": text, "chat_id": chat_id}))
            await scene.world.ask("forty silver spoons")
    shown = caplog.text + "".join(scene.world.texts())
    assert "broke" in shown
    for secret in (chat_id, KEY, "r2.dev"):
        assert secret not in shown
