"""The ModelsLab stand-in keeps chats, queues and refuses as its documents say."""

import asyncio
from collections.abc import Mapping
from typing import Any

import aiohttp
import pytest

from sandbox.faults import Fault
from sandbox.providers import ModelsLabSandbox

KEY = "ml-0123456789abcdef"
ZEPHYR = "zephyr-7b-beta"


@pytest.fixture
async def modelslab(voice):
    async with ModelsLabSandbox(key=KEY, voice=voice) as server:
        yield server


async def post(http: aiohttp.ClientSession, url: str, body: Any) -> tuple[int, Any, Mapping[str, str]]:
    async with http.post(url, json=body) as response:
        return response.status, await response.json(content_type=None), response.headers


def ask(prompt: str = "Write a guide", **more: Any) -> dict[str, Any]:
    return {"key": KEY, "model_id": ZEPHYR, "prompt": prompt, **more}


async def test_modelslab_remembers_a_chat_and_continues_it(http, modelslab, voice):
    url = f"{modelslab.base_url}/llm/chat"
    status, first, _ = await post(http, url, ask("one", system_prompt="Gold"))
    assert (status, first["status"], first["message"]) == (200, "success", f"{ZEPHYR} heard: one")
    chat_id = first["chat_id"]
    assert first["meta"]["chat_id"] == chat_id
    assert chat_id in first["output"][0]
    await post(http, url, ask("two", chat_id=chat_id, system_prompt="ignored"))
    assert [message["content"] for message in voice.heard[1]] == ["Gold", "one", f"{ZEPHYR} heard: one", "two"]
    assert len(modelslab.chats[chat_id].messages) == 4


async def test_modelslab_echoes_as_in_its_document(http, modelslab):
    sample = {
        "system_prompt": "Gold Mining around the world", "max_new_tokens": 64, "do_sample": True, "temperature": 1, "top_k": 50,
        "top_p": 10, "no_repeat_ngram_size": 5, "seed": 1235, "temp": False, "webhook": None, "track_id": None,
    }  # fmt: skip
    _, body, _ = await post(http, f"{modelslab.base_url}/llm/chat", ask("Write", **sample))
    meta = {name: value for name, value in body["meta"].items() if name not in {"chat_id", "created_at", "updated_at"}}
    assert meta == {
        "do_sample": "yes", "max_new_tokens": 64, "model_id": ZEPHYR, "no_repeat_ngram_size": 5, "num_return_sequences": 1,
        "pipeline_tag": "text-generation", "prompt": "Write", "seed": 1235, "temp": "no", "temperature": 1, "top_k": 50, "top_p": 1,
    }  # fmt: skip


async def test_modelslab_cuts_at_its_own_default_of_128(http, modelslab, voice):
    voice.queue("w " * 300, "w " * 300)
    url = f"{modelslab.base_url}/llm/chat"
    assert len((await post(http, url, ask()))[1]["message"].split()) == 128
    assert len((await post(http, url, ask(max_new_tokens=64)))[1]["message"].split()) == 64


async def test_modelslab_reset_forgets_and_takes_a_new_persona(http, modelslab, voice):
    url = f"{modelslab.base_url}/llm/chat"
    chat_id = (await post(http, url, ask("one", system_prompt="A")))[1]["chat_id"]
    _, body, _ = await post(http, url, ask("two", chat_id=chat_id, reset=True, system_prompt="B"))
    assert body["chat_id"] == chat_id
    assert [message["content"] for message in voice.heard[1]] == ["B", "two"]


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        ({**ask(), "key": "wrong"}, 401, "Invalid API key"),
        ({**ask(), "model_id": "gpt-9"}, 400, "Model not found: gpt-9"),
        ({"key": KEY, "model_id": ZEPHYR}, 400, "prompt is required"),
        (ask(chat_id="nobody-knows"), 200, "Chat not found"),
        (ask(max_new_tokens=1025), 400, "The max_new_tokens field is invalid."),
        (ask(temperature=0), 400, "The temperature field is invalid."),
        (ask(top_k=129), 400, "The top_k field is invalid."),
        (ask(do_sample="yes"), 400, "The do_sample field is invalid."),
        (ask(generator_type="choices"), 400, "The generator_choices field is required."),
        (ask(messages=[]), 400, "The messages field is not known."),
    ],
)
async def test_modelslab_refuses_in_its_own_words(http, modelslab, body, status, message):
    got, answer, _ = await post(http, f"{modelslab.base_url}/llm/chat", body)
    assert (got, answer) == (status, {"status": "error", "message": message})
    modelslab.misspell = True
    assert (await post(http, f"{modelslab.base_url}/llm/chat", body))[1] == {"status": "error", "messege": message}


async def test_modelslab_queues_for_so_many_polls(http, modelslab):
    modelslab.queue_for, modelslab.eta = 2, 1.5
    _, queued, _ = await post(http, f"{modelslab.base_url}/llm/chat", ask("one"))
    assert (queued["status"], queued["eta"], queued["message"]) == ("processing", 1.5, "")
    poll = {"key": KEY, "chat_id": queued["chat_id"]}
    replies = [(await post(http, f"{modelslab.base_url}/llm/get_queued_response", poll))[1] for _ in range(3)]
    assert [reply["status"] for reply in replies] == ["processing", "processing", "success"]
    assert replies[2]["message"] == f"{ZEPHYR} heard: one"


async def test_modelslab_vain_poll_can_be_an_empty_success_with_eta_in_meta(http, modelslab):
    modelslab.queue_for, modelslab.vain_success, modelslab.eta_in_meta = 1, True, True
    _, queued, _ = await post(http, f"{modelslab.base_url}/llm/chat", ask("one"))
    assert queued["meta"]["eta"] == 1
    assert "eta" not in queued
    poll = {"key": KEY, "chat_id": queued["chat_id"]}
    _, vain, _ = await post(http, f"{modelslab.base_url}/llm/get_queued_response", poll)
    assert (vain["status"], vain["message"]) == ("success", "")


async def test_modelslab_refuses_a_second_request_of_one_chat_and_a_sixth_of_the_account(http, modelslab):
    url = f"{modelslab.base_url}/llm/chat"
    chat_id = (await post(http, url, ask("one")))[1]["chat_id"]
    modelslab.hold = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(post(http, url, ask("two", chat_id=chat_id)))]
        running += [group.create_task(post(http, url, ask(f"other {number}"))) for number in range(4)]
        while sum(one.busy for one in modelslab.chats.values()) < 5:  # noqa: ASYNC110 - the stand-in has no event for it
            await asyncio.sleep(0.005)
        status, refused, _ = await post(http, url, ask("three", chat_id=chat_id))
        assert (status, refused["status"]) == (200, "error")
        status, limited, _ = await post(http, url, ask("six"))
        assert (status, limited["retry_after"]) == (429, 30)
        modelslab.hold.set()
    assert all(task.result()[1]["status"] == "success" for task in running)


async def test_modelslab_remembers_an_answer_whose_reader_was_cut_off(http, modelslab):
    url = f"{modelslab.base_url}/llm/chat"
    chat_id = (await post(http, url, ask("one")))[1]["chat_id"]
    modelslab.faults.add(Fault(path="*/llm/chat", drop="after"))
    with pytest.raises(aiohttp.ClientError):
        await post(http, url, ask("two", chat_id=chat_id))
    assert len(modelslab.chats[chat_id].messages) == 4
    _, found, _ = await post(http, f"{modelslab.base_url}/llm/get_queued_response", {"key": KEY, "chat_id": chat_id})
    assert found["meta"]["prompt"] == "two"


async def test_modelslab_balance_lies_beside_v6(http, modelslab):
    _, body, _ = await post(http, f"{modelslab.url}/api/wallet_balance", {"key": KEY})
    assert body == {"status": "success", "data": {"balance": 43.6, "currency": "USD"}}
