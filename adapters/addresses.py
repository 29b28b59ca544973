"""Which host names may lead into a private network."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

_PRIVATE_SUFFIXES = (".local", ".localhost", ".internal", ".lan", ".home.arpa", ".test")


class PrivateAddressError(OSError):
    """A name that looks public leads to a private address."""


def looks_private(host: str) -> bool:
    """Whether a host name says by itself that it is on a private network: ``localhost``, one without a dot, ``….local`` and the like."""
    name = host.rstrip(".").lower()
    return "." not in name or name.endswith(_PRIVATE_SUFFIXES)


def is_public(address: str) -> bool:
    """Whether an IP address lies in the public internet; an IPv4 address inside an IPv6 one is looked at as such."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = getattr(parsed, "ipv4_mapped", None) or getattr(parsed, "sixtofour", None) or parsed
    return inner.is_global and not inner.is_multicast


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
