"""A name that looks public leads to no private address, unless the operator allows it."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from adapters.addresses import GuardedResolver, PrivateAddressError, is_public, looks_private, needs_permission
from adapters.base import Billed, ErrorKind, ProviderError
from adapters.http import Http, open_session
from bot.settings import SettingsError, load


class Names(AbstractResolver):
    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        made: list[Any] = [
            {"hostname": host, "host": address, "port": port, "family": family, "proto": 0, "flags": 0} for address in self._addresses
        ]
        return made

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("1.1.1.1", True),
        ("2606:4700:4700::1111", True),
        ("127.0.0.1", False),
        ("10.0.0.7", False),
        ("192.168.1.1", False),
        ("172.16.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),  # noqa: S104 - an address to refuse
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00:ec2::254", False),
        ("::ffff:127.0.0.1", False),
        ("nonsense", False),
    ],
)
def test_addresses_are_told_apart(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("host", "private"), [("localhost", True), ("ollama", True), ("box.local", True), ("api.netmind.ai", False), ("LOCALHOST.", True)]
)
def test_names_that_say_so_are_private(host: str, private: bool) -> None:
    assert looks_private(host) is private


async def test_a_public_name_with_one_private_address_is_refused_and_a_private_name_is_not() -> None:
    mixed = GuardedResolver(Names("1.1.1.1", "10.0.0.7"))
    with pytest.raises(PrivateAddressError):
        await mixed.resolve("api.example.com", 443)
    assert len(await mixed.resolve("ollama", 80)) == 2
    assert len(await GuardedResolver(Names("1.1.1.1")).resolve("api.example.com", 443)) == 1


async def test_the_session_refuses_it_before_anything_is_sent_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiohttp.DefaultResolver", lambda: Names("127.0.0.1"))
    async with open_session() as session:
        with pytest.raises(ProviderError) as caught:
            await Http(session).post_json("http://gateway.example.com:9/v1", {"secret": "x"})
    error = caught.value
    assert (error.kind, error.billed) == (ErrorKind.CONNECT, Billed.NO)
    assert "leads to a private address" in error.detail


PRIVATE_SPELLINGS = [
    "2130706433",
    "0x7f000001",
    "0x7f.1",
    "0X7F.0.0.1",
    "127.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",  # noqa: S104 - an address to refuse
    "10.0.0.7",
    "10.7",
    "0x0a.7",
    "192.168.1.1",
    "169.254.169.254",
    "2852039166",
    "100.64.0.1",
    "⑩.0.0.1",
    "10。0。0。1",
    "１０.0.0.1",
    "[::ffff:10.0.0.1]",
    "[::ffff:7f00:1]",
    "[::10.0.0.1]",
    "[64:ff9b::10.0.0.1]",
    "[2002:a00:1::]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[::]",
]


@pytest.mark.parametrize("host", PRIVATE_SPELLINGS)
async def test_a_private_address_in_any_spelling_gets_no_request_unless_the_operator_allows(host: str) -> None:
    """Nothing goes out: neither the system's resolver nor a socket is asked."""
    async with open_session() as session:
        with pytest.raises(ProviderError) as caught:
            await Http(session).get_json(f"http://{host}:9/v1")
    assert (caught.value.kind, caught.value.billed) == (ErrorKind.CONNECT, Billed.NO)
    assert "private address, which is not allowed" in caught.value.detail
    with pytest.raises(SettingsError, match=r"^OPENAI_BASE_URL leads to a private address.*PROVIDER_PRIVATE_ADDRESSES"):
        load(None, openai_base_url=f"http://{host}:9/v1")
    assert load(None, openai_base_url=f"http://{host}:9/v1", provider_private_addresses=True).provider_private_addresses


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.53", "::1", "127.0.0.1.", "1.1.1.1", "16843009", "localhost", "ollama", "api.netmind.ai"]
)
def test_this_machine_names_and_public_addresses_need_no_permission(host: str) -> None:
    assert not needs_permission(host)


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001"])
async def test_a_number_is_no_name_without_a_dot(host: str) -> None:
    with pytest.raises(PrivateAddressError):
        await GuardedResolver(Names("127.0.0.1")).resolve(host, 80)


async def test_with_permission_it_is_asked(unused_tcp_port: int) -> None:
    async with open_session(private_addresses=True) as session:
        with pytest.raises(ProviderError) as caught:
            await Http(session).get_json(f"http://2130706433:{unused_tcp_port}/v1")
    assert "private" not in caught.value.detail  # nobody listens there, but it was tried


def test_a_further_providers_address_is_looked_at_too(tmp_path: Path) -> None:
    file = tmp_path / "providers.toml"
    file.write_text('[gpu-box]\nbase_url = "http://10.0.0.7:8000/v1"\ndefault_model = "m"\n')
    with pytest.raises(SettingsError, match=r"^PROVIDERS_FILE: .*providers.toml, \[gpu-box\], base_url leads to a private address"):
        load(None, providers_file=file)
    assert load(None, providers_file=file, provider_private_addresses=True).endpoints
