"""Keys and addresses as operators write them: checked before anything is sent, with words that hold nothing of a key."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr
from yarl import URL

from adapters.addresses import is_public, looks_private, written_address

_KEY = re.compile(r"[!-~]+")
"""What may stand in a header and is no blank: no provider's key has anything else."""

CALLS = ("/chat/completions", "/completions", "/models")
"""What is appended to the address of an OpenAI-compatible API. Documents of providers often print it with the address."""

Schemes = frozenset[str]
HTTP: Schemes = frozenset({"http", "https"})
WEBSOCKET: Schemes = frozenset({"ws", "wss"})


def cleaned_key(value: SecretStr | None) -> SecretStr | None:
    """Return a key without blanks and line ends around it, as files and terminals leave them there; None if nothing else is there.

    Raises:
        ValueError: It can't be a key.
    """
    key = value.get_secret_value().strip() if value is not None else ""
    if key and not _KEY.fullmatch(key):
        raise ValueError("has a blank, a line end or another sign in it that no key has: copy it again")
    return SecretStr(key) if key else None


_NAME_CHARS, _NAME_DIGITS = 64, 4
_RANDOM = re.compile(r"[A-Z0-9]{17}|[A-F0-9]{8}|[^AEIOUY_]{8}")
"""What stands in keys and not in words: long without a break, hexadecimal, or without a vowel."""


def names_a_variable(text: str) -> bool:
    """Tell whether a text is surely the name of a variable, which may be shown, and no key: many of these are valid names, too."""
    few_digits = sum(character.isdigit() for character in text) <= _NAME_DIGITS
    return re.fullmatch(r"[A-Z][A-Z0-9_]*", text) is not None and len(text) <= _NAME_CHARS and few_digits and not _RANDOM.search(text)


def checked_address(value: str, schemes: Schemes = HTTP, path: str = "") -> str:
    """Return an address without the slash at its end. `path` stands behind the host in the example that a refusal gives.

    Raises:
        ValueError: It is none, or holds what is no part of one.
    """
    try:
        address, parts = URL(value), urlsplit(value)
        good = address.scheme in schemes and bool(address.raw_host) and re.search(r"[\s\x00-\x1f\x7f]", value) is None
    except ValueError:  # a port that is none, half an IPv6 address; its own words may quote a password
        good = False
    if not good:
        hint = ", with both brackets around an IPv6 address" if "[" in value or "]" in value else ""
        raise ValueError(f"takes an address such as {'wss' if schemes == WEBSOCKET else 'https'}://api.example.com{path}{hint}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("takes an address without user, password, query or fragment")
    return value.rstrip("/")


def checked_api_address(value: str) -> str:
    """Return the address of an OpenAI-compatible API without the slash at its end.

    Raises:
        ValueError: It is none, or is that of one of the API's calls.
    """
    address = checked_address(value, path="/v1")
    if (call := next((call for call in CALLS if address.endswith(call)), None)) is not None:
        raise ValueError(
            f"takes an address without {call}, which is appended: cut that off, so that it ends as https://api.example.com/v1 does"
        )
    return address


def checked_public_address(value: str) -> str:
    """Return an address that others reach from the internet, without the slash at its end.

    Raises:
        ValueError: It is none, is not https, or its host is in a private network or on this machine.
    """
    host = URL(checked_address(value)).raw_host or ""
    if URL(value).scheme != "https" or looks_private(host) or (written_address(host) is not None and not is_public(host)):
        raise ValueError("takes a public https address, such as https://bot.example.com/modelslab: it is called from the internet")
    return value.rstrip("/")


Key = Annotated[SecretStr | None, AfterValidator(cleaned_key)]
Address = Annotated[str | None, AfterValidator(lambda value: None if value is None else checked_address(value))]
ApiAddress = Annotated[str | None, AfterValidator(lambda value: None if value is None else checked_api_address(value))]
PublicAddress = Annotated[str | None, AfterValidator(lambda value: None if value is None else checked_public_address(value))]
GatewayAddress = Annotated[str | None, AfterValidator(lambda value: None if value is None else checked_address(value, WEBSOCKET))]
