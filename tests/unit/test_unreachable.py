"""Why a platform can't be reached is said in words: no name of a class, no address, whichever library did the call."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Awaitable, Callable

import httpx
import pytest
from telegram.error import NetworkError, TelegramError

from bot.platforms.base import PlatformError, UnavailableError
from bot.platforms.discord.rest import Rest
from bot.platforms.telegram.api import make_api
from bot.platforms.telegram.errors import platform_error
from bot.platforms.unreachable import why

NOWHERE = "nowhere.invalid"


async def discord(address: str) -> PlatformError:
    rest = Rest(address, "a.b.c")
    try:
        with pytest.raises(PlatformError) as caught:
            await rest.call("GET", "/users/@me")
        return caught.value
    finally:
        await rest.aclose()


async def telegram(address: str) -> PlatformError:
    api = make_api("1:secret", address)
    try:
        with pytest.raises(TelegramError) as caught:
            await api.call("getMe", {})
        return platform_error(caught.value, repeatable=True)
    finally:
        await api.aclose()


Ask = Callable[[str], Awaitable[PlatformError]]


def plain(error: PlatformError) -> str:
    """Return what is said, if it is fit for people."""
    assert isinstance(error, UnavailableError)
    said = str(error)
    assert not re.search(r"[a-z][A-Z]|127\\.0|nowhere|secret", said), said
    return said


@pytest.mark.parametrize("ask", [discord, telegram])
async def test_a_port_where_nobody_listens(ask: Ask) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and no listen: nobody else gets it
        assert plain(await ask(f"http://127.0.0.1:{taken.getsockname()[1]}")).endswith("can't be reached: the connection was refused")


@pytest.mark.parametrize("ask", [discord, telegram])
async def test_a_host_that_nobody_knows(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    async def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert plain(await ask(f"http://{NOWHERE}")).endswith("can't be reached: the host name is unknown")


@pytest.mark.parametrize("ask", [discord, telegram])
async def test_a_server_that_hangs_up(ask: Ask) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1") as server:
        said = plain(await ask(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"))
    assert said.endswith(("the connection broke", "connection reset by peer"))


@pytest.mark.parametrize("error", [httpx.ConnectTimeout("slow"), httpx.ReadTimeout("slow")])
def test_one_that_takes_too_long(error: httpx.TimeoutException) -> None:
    failed = NetworkError("x")
    failed.__cause__ = error
    assert str(platform_error(failed, repeatable=True)).endswith(": no answer in time")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (TimeoutError(), "no answer in time"),
        (ssl.SSLCertVerificationError("secret"), "TLS failed or its certificate is not trusted"),
        (OSError(113, "secret"), "no route to host"),
        (ExceptionGroup("secret", [ValueError("secret"), ConnectionRefusedError()]), "the connection was refused"),
        (ValueError("secret"), "the connection broke"),
    ],
)
def test_each_cause_has_its_words(error: Exception, words: str) -> None:
    assert why(error) == words


def test_an_error_that_leads_back_to_itself_ends() -> None:
    error, other = ValueError(), ValueError()
    error.__cause__, other.__cause__ = other, error
    assert why(error) == "the connection broke"
