"""A name that looks public leads to no private address, unless the operator allows it."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from adapters.addresses import GuardedResolver, PrivateAddressError, is_public, looks_private
from adapters.base import Billed, ErrorKind, ProviderError
from adapters.http import Http, open_session


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
