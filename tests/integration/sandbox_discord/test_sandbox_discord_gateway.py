"""How strict the stand-in for Discord is, seen by a plain HTTP client: the gateway's order."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.support.clock import PATIENCE_SECONDS
from tests.support.discord_sandbox import Client


class Socket:
    """A raw gateway connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket

    async def send(self, op: Any, data: Any) -> None:
        await self.socket.send_json({"op": op, "d": data})

    async def next(self) -> Any:
        return await self.socket.receive_json(timeout=PATIENCE_SECONDS)

    async def code(self) -> int | None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            async for _message in self.socket:
                pass
        return self.socket.close_code


async def dial(client: Client, version: str = "10") -> Socket:
    socket = Socket(await client.session.ws_connect(f"{client.sandbox.gateway_url}?v={version}&encoding=json"))
    assert (await socket.next())["op"] == 10
    return socket


def identity(client: Client, **more: Any) -> dict[str, Any]:
    return {"token": client.sandbox.token, "intents": 1 | 1 << 9, "properties": {}, **more}


@pytest.mark.parametrize(
    ("op", "data", "code"),
    [
        (2, {"token": "wrong", "intents": 1}, 4004),
        (2, {"intents": 1 << 40}, 4013),
        (2, {"intents": 1 << 15}, 4014),
        (2, {"intents": 1 << 1}, 4014),
        (3, {}, 4003),
        (6, {"token": "wrong"}, 4004),
        (None, {}, 4003),
    ],
)
async def test_gateway_refuses_what_is_out_of_order(client, op, data, code):
    socket = await dial(client)
    await socket.send(op, identity(client, **data) if op in {2, 6} else data)
    assert await socket.code() == code


async def test_gateway_refuses_garbage_a_second_identify_and_other_versions(client):
    socket = await dial(client)
    await socket.socket.send_str("no json")
    assert await socket.code() == 4002
    socket = await dial(client)
    await socket.send(2, identity(client))
    await socket.send(2, identity(client))
    assert await socket.code() == 4005
    assert await (await dial(client, "9")).code() == 4012


async def test_gateway_answers_heartbeats_and_closes_on_silence(client, sandbox, loop_time):
    sandbox.gateway.heartbeat_seconds = 1000.0
    socket = await dial(client)
    for _ in range(3):
        await loop_time.skip(750)
        await socket.send(1, None)
        assert (await socket.next())["op"] == 11
    await loop_time.skip(1500)
    assert await socket.code() == 4009


async def test_gateway_closes_on_too_many_events(client):
    socket = await dial(client)
    await socket.send(2, identity(client))
    for _ in range(120):
        await socket.send(1, None)
    assert await socket.code() == 4008


async def resumed(client: Client, ready: dict[str, Any], seq: int) -> list[Any]:
    socket = await dial(client)
    await socket.send(6, {"token": client.sandbox.token, "session_id": ready["session_id"], "seq": seq})
    first = await socket.next()
    events = [(first["op"], first["t"])]
    while events[-1] not in {(9, None), (0, "RESUMED")}:
        got = await socket.next()
        events.append((got["op"], got["t"]))
    await socket.socket.close(code=4000)
    await client.sandbox.disconnected()
    return events


async def started(client: Client) -> tuple[Socket, dict[str, Any], int]:
    socket = await dial(client)
    await socket.send(2, identity(client))
    ready, guild = await socket.next(), await socket.next()
    assert (ready["t"], guild["t"]) == ("READY", "GUILD_CREATE")
    return socket, ready["d"], guild["s"]


async def test_session_is_resumed_after_a_crash_but_not_after_a_farewell_nor_for_ever(client, sandbox, clock):
    socket, ready, seq = await started(client)
    await socket.socket.close(code=4000)
    await sandbox.disconnected()
    await sandbox.say(sandbox.channel_id, sandbox.user_id, "missed")
    assert await resumed(client, ready, seq) == [(0, "MESSAGE_CREATE"), (0, "RESUMED")]
    clock.seconds += 600
    assert await resumed(client, ready, seq) == [(9, None)]
    socket, ready, seq = await started(client)
    await socket.socket.close(code=1000)
    await sandbox.disconnected()
    assert await resumed(client, ready, seq) == [(9, None)]


async def test_identifies_are_counted_and_told(client, sandbox):
    await started(client)
    assert sandbox.gateway.identifies == 1
    quota = (await client.call("GET", "/gateway/bot")).body["session_start_limit"]
    assert (quota["total"], quota["remaining"]) == (1000, 999)


async def test_thousand_and_first_identify_of_a_day_costs_the_token(client, sandbox):
    for _ in range(1000):
        sandbox.gateway._daily.take()
    socket = await dial(client)
    await socket.send(2, identity(client))
    assert await socket.code() == 4004
    assert (await client.call("GET", "/users/@me")).status == 401
