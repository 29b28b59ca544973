"""What every stand-in has in common: who may call it, what it remembers of calls, and the keys of the outside world."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sandbox.faults import Fault
from sandbox.outside import Outside
from sandbox.server import Call, Server
from sandbox.telegram import TelegramSandbox


class Echo(Server):
    """Answers what it was sent."""

    def routes(self) -> list[web.AbstractRouteDef]:
        return [web.route("*", "/{path:.*}", self._echo)]

    async def _echo(self, request: web.Request) -> web.Response:
        return web.Response(body=await request.read())


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    async with Echo() as server:
        yield server


async def status(http: aiohttp.ClientSession, url: str, **headers: str) -> int:
    async with http.post(url, data=b"x", headers=headers) as response:
        return response.status


# Who may call ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1.evil.example"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_calls_that_a_web_page_makes_are_refused_and_touch_nothing(echo, http, headers):
    fault = echo.faults.add(Fault(status=500))
    assert await status(http, f"{echo.url}/x", **headers) == 403
    assert (echo.calls, fault.times) == ([], 1)


async def test_programs_on_this_machine_reach_it_by_both_names(echo, http):
    port = echo.url.rpartition(":")[2]
    assert await status(http, f"{echo.url}/x") == 200
    assert await status(http, f"{echo.url}/x", Host=f"localhost:{port}") == 200


async def test_a_foreign_page_cannot_set_a_webhook(http):
    async with TelegramSandbox() as telegram:
        url = f"{telegram.api_url}/bot{telegram.token}/setWebhook"
        form = {"url": "http://127.0.0.1:9/take"}
        async with http.post(url, data=form, headers={"Origin": "https://evil.example"}) as posted:
            assert posted.status == 403
        async with http.get(url, params=form, headers={"Sec-Fetch-Site": "cross-site"}) as shown_as_picture:
            assert shown_as_picture.status == 403
        async with http.post(f"{telegram.api_url}/bot{telegram.token}/getWebhookInfo") as response:
            assert (await response.json())["result"]["url"] == ""


async def test_the_gateway_takes_no_page_either(http):
    async with Outside() as outside:
        with pytest.raises(aiohttp.WSServerHandshakeError, match="403"):
            await http.ws_connect(outside.discord.gateway_url, origin="https://evil.example")


# What is remembered ----------------------------------------------------------------------------------------------------


def test_a_call_shows_neither_its_bodies_nor_its_tokens():
    secret = "canary"
    path = f"/bot1:{secret}{'x' * 40}/sendMessage"
    call = Call(0.0, "POST", path, {"X": secret}, {"key": secret}, {"key": secret}, 200, secret.encode())
    assert secret not in repr(call)
    assert "POST" in repr(call)
    assert "/sendMessage" in repr(call)
    assert "200" in repr(call)


async def test_all_calls_are_kept_unless_a_bound_is_set(echo, http):
    for number in range(5):
        await status(http, f"{echo.url}/{number}")
    assert [call.path for call in echo.calls] == ["/0", "/1", "/2", "/3", "/4"]
    echo.keep_calls = 2
    await status(http, f"{echo.url}/5")
    assert [call.path for call in echo.calls] == ["/4", "/5"]
    assert [call.path for call in echo.calls_to("POST", "/5")] == ["/5"]
    echo.keep_calls = 0
    await status(http, f"{echo.url}/6")
    assert echo.calls == []


async def test_the_outside_world_bounds_the_calls_of_all_its_servers(http):
    async with Outside(keep_calls=3) as outside:
        await asyncio.gather(*(status(http, f"{server.url}/nowhere") for server in outside.servers for _ in range(5)))
        assert [len(server.calls) for server in outside.servers] == [3] * len(outside.servers)


# Keys ------------------------------------------------------------------------------------------------------------------


def keys(outside: Outside) -> dict[str, Any]:
    settings = {**outside.platform_settings(), **outside.provider_settings()}
    return {name: value for name, value in settings.items() if name.endswith(("_token", "_key"))}


async def test_random_tokens_are_new_each_time_and_open_what_they_should(http):
    first, second = keys(Outside(random_tokens=True)), keys(Outside(random_tokens=True))
    fixed = keys(Outside())
    assert len(fixed) == 5
    assert fixed == keys(Outside())
    for name, value in fixed.items():
        assert len({value, first[name], second[name]}) == 3

    async with Outside(random_tokens=True) as outside:
        telegram = f"{outside.telegram.api_url}/bot{outside.telegram.token}/getMe"
        discord = {"Authorization": f"Bot {outside.discord.token}"}
        segmind = {"x-api-key": outside.provider_settings()["segmind_api_key"]}
        netmind = {"Authorization": f"Bearer {outside.provider_settings()['netmind_api_key']}"}
        for url, headers in (
            (telegram, {}),
            (f"{outside.discord.api_url}/users/@me", discord),
            (f"{outside.segmind.base_url}/v1/get-user-credits", segmind),
            (f"{outside.netmind.base_url}/models", netmind),
        ):
            async with http.get(url, headers=headers) as response:
                assert response.status == 200, url
