"""What goes wrong at the stand-ins goes wrong as it would outside."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from sandbox.discord import DiscordSandbox
from sandbox.faults import GARBLED, Fault
from sandbox.providers import NetmindSandbox, ScriptedVoice
from sandbox.telegram import TelegramSandbox
from tests.support.clock import PATIENCE_SECONDS

KEY = "some-key"


async def streamed(http: aiohttp.ClientSession, fault: Fault, *, last: bytes | None = None) -> bytes:
    """Return what arrives of a streamed answer until it ends or, behind its `last` word, half a second passes without a piece."""
    async with NetmindSandbox(key=KEY, voice=ScriptedVoice(["one two three four"])) as server:
        server.faults.add(fault)
        body = {"model": "openai/gpt-5.4", "messages": [{"role": "user", "content": "go"}], "stream": True}
        heard = b""
        async with http.post(f"{server.base_url}/chat/completions", json=body, headers={"Authorization": f"Bearer {KEY}"}) as response:
            try:
                while piece := await asyncio.wait_for(
                    response.content.readany(), PATIENCE_SECONDS if last is None or last not in heard else 0.5
                ):
                    heard += piece
            except aiohttp.ClientPayloadError:
                return heard + b"<cut>"
            except TimeoutError:
                return heard + b"<stalled>"
        return heard


async def test_a_stream_is_cut_after_so_many_pieces(http: aiohttp.ClientSession) -> None:
    heard = await streamed(http, Fault(stream="cut", after_pieces=3))  # the first piece holds the role
    assert heard.endswith(b"<cut>")
    assert b"two" in heard
    assert b"three" not in heard


async def test_a_stream_stalls_for_ever_or_for_a_while(http: aiohttp.ClientSession) -> None:
    heard = await streamed(http, Fault(stream="stall", after_pieces=2), last=b"one")
    assert heard.endswith(b"<stalled>")
    assert b"one" in heard
    assert b"two" not in heard
    assert (await streamed(http, Fault(stream="stall", after_pieces=2, stall=0.01))).endswith(b"[DONE]\n\n")


async def test_one_piece_of_a_stream_is_garbled(http: aiohttp.ClientSession) -> None:
    heard = await streamed(http, Fault(stream="garble", after_pieces=2))
    assert GARBLED in heard
    assert heard.endswith(b"[DONE]\n\n")


async def asked(http: aiohttp.ClientSession, telegram: TelegramSandbox, offset: int) -> list[dict[str, Any]]:
    body = {"offset": offset, "timeout": 0}
    async with http.post(f"{telegram.api_url}/bot{telegram.token}/getUpdates", json=body) as response:
        found: list[dict[str, Any]] = (await response.json())["result"]
        return found


async def test_telegram_gives_out_again_what_was_confirmed(http: aiohttp.ClientSession) -> None:
    async with TelegramSandbox() as telegram:
        await telegram.say(telegram.user_id, telegram.user_id, "hello")
        (update,) = await asked(http, telegram, 0)
        assert await asked(http, telegram, update["update_id"] + 1) == []
        assert telegram.given == [update]
        await telegram.repeat(telegram.given)
        assert telegram.repeating
        assert await asked(http, telegram, update["update_id"] + 1) == [update]
        assert await asked(http, telegram, update["update_id"] + 1) == []


async def identified(socket: aiohttp.ClientWebSocketResponse, discord: DiscordSandbox) -> None:
    await socket.receive_json()  # Hello
    await socket.send_json({"op": 2, "d": {"token": discord.token, "intents": 1 << 0 | 1 << 9, "properties": {}}})


async def told(socket: aiohttp.ClientWebSocketResponse, kind: str) -> dict[str, Any]:
    """Return the next event of a kind."""
    while (frame := json.loads((await socket.receive(5.0)).data))["t"] != kind:
        pass
    return dict(frame)


async def test_discords_events_are_given_again_with_their_numbers(http: aiohttp.ClientSession) -> None:
    async with DiscordSandbox() as discord, http.ws_connect(f"{discord.gateway_url}?v=10&encoding=json") as socket:
        await identified(socket, discord)
        await told(socket, "GUILD_CREATE")
        await discord.say(discord.channel_id, discord.user_id, "hello", mention=True)
        first = await told(socket, "MESSAGE_CREATE")
        assert discord.gateway.repeat("MESSAGE_CREATE") == 1
        assert await told(socket, "MESSAGE_CREATE") == first
        await discord.push("MESSAGE_CREATE", {"odd": True})
        assert (await told(socket, "MESSAGE_CREATE"))["d"] == {"odd": True}
        assert discord.gateway.kept()[-1] == ("MESSAGE_CREATE", {"odd": True})


async def test_a_silenced_connection_stays_open_and_carries_nothing_not_even_a_heartbeats_answer(http: aiohttp.ClientSession) -> None:
    async with DiscordSandbox() as discord, http.ws_connect(f"{discord.gateway_url}?v=10&encoding=json") as socket:
        await identified(socket, discord)
        await told(socket, "GUILD_CREATE")
        await discord.silence()
        await discord.say(discord.channel_id, discord.user_id, "hello", mention=True)
        await socket.send_json({"op": 1, "d": None})
        with pytest.raises(TimeoutError):
            await socket.receive(0.3)
        assert not socket.closed
