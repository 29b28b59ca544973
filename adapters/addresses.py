"""Which hosts may lead into a private network.

A name may if it says so (``localhost``, ``ollama``, ``box.local``), an address written out only if it is this machine's own. Everything
else needs the operator's permission, however it is spelt: ``http://2130706433/`` and ``http://0x7f.1/`` are 127.0.0.1, and the system's
resolver takes both.
"""

from __future__ import annotations

import ipaddress
import socket
from functools import lru_cache
from typing import Any

import aiohttp
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse
from aiohttp.abc import AbstractResolver, ResolveResult

_EMBEDDED_IPV4 = (ipaddress.IPv6Network("::/96"), ipaddress.IPv6Network("64:ff9b::/96"))
"""IPv6 addresses whose last 32 bits are an IPv4 address that they lead to: RFC 4291 2.5.5.1, RFC 6052 2.1. `ipaddress` itself knows those
of ::ffff:0:0/96 and 2002::/16."""
_PRIVATE_SUFFIXES = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".test")


class PrivateAddressError(OSError):
    """A name that looks public leads to a private address, or a host is one that is not this machine's own."""


def looks_private(host: str) -> bool:
    """Whether a host name says by itself that it is on a private network: ``localhost``, one without a dot, ``….local`` and the like."""
    name = host.rstrip(".").lower()
    if written_address(name) is not None:
        return False
    return "." not in name or name.endswith(_PRIVATE_SUFFIXES)


def written_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is, in any of the spellings that the system's resolver takes; None for a name.

    IPv4: fewer than four parts, hexadecimal and octal ones (inet_aton). IPv6: without brackets.
    """
    plain = host.partition("%")[0].rstrip(".")
    try:
        return ipaddress.ip_address(plain)
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(plain)) if plain.isascii() else None
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=256)
def needs_permission(host: str) -> bool:
    """Whether a host is a private address written out, other than this machine's own in its usual spelling (127.0.0.1, ::1)."""
    address = written_address(host)
    if address is None or is_public(str(address)):
        return False
    # Newer Pythons take 127.0.0.1 inside an IPv6 address for loopback, older ones don't: it is no usual spelling.
    mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    return mapped or not (address.is_loopback and host.rstrip(".") == str(address))


def is_public(address: str) -> bool:
    """Whether an IP address lies in the public internet; an IPv4 address inside an IPv6 one is looked at as such."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour
        if inner is None and any(parsed in network for network in _EMBEDDED_IPV4):
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        return (inner or parsed).is_global and not (inner or parsed).is_multicast
    return parsed.is_global and not parsed.is_multicast


async def refuse_private(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    """Let no request out to a private address that is written out; a middleware of aiohttp, since addresses pass by its resolver.

    Raises:
        aiohttp.ClientConnectorError: It would go there; its `os_error` is a `PrivateAddressError`.
    """
    if needs_permission(request.url.raw_host or ""):
        raise aiohttp.ClientConnectorError(request.connection_key, PrivateAddressError(None, "it is a private address"))
    return await handler(request)


class GuardedResolver(AbstractResolver):
    """Resolves names, but refuses public-looking ones that lead to a private address.

    A hijacked or rebound name must not make this program send a key, or what a person wrote, to a machine of the local network.

    Args:
        inner: Does the work; aiohttp's default.
    """

    def __init__(self, inner: AbstractResolver | None = None) -> None:
        self._inner = inner or aiohttp.DefaultResolver()

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """Return the addresses.

        Raises:
            PrivateAddressError: One of them is private, and the name does not say so.
        """
        found: Any = await self._inner.resolve(host, port, family)
        if not looks_private(host) and not all(is_public(result["host"]) for result in found):
            raise PrivateAddressError(None, "its name leads to a private address")
        return list(found)

    async def close(self) -> None:
        """Let go of what the inner one holds."""
        await self._inner.close()
