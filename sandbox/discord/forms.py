"""Message forms: what a create, an edit or an interaction answer may say, and whom it would ping.

Limits: documented in the message resource; `content` is checked at 2000, though the published schema says 4000.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from bot.platforms.budgets import DISCORD_MESSAGE_CODE_POINTS, DISCORD_NONCE_CHARS
from sandbox.discord.components import check_new_kind, check_rows, numbered
from sandbox.discord.errors import ApiError, FormErrors

SUPPRESS_EMBEDS, EPHEMERAL, LOADING, SUPPRESS_NOTIFICATIONS, NEW_KIND = 1 << 2, 1 << 6, 1 << 7, 1 << 12, 1 << 15
SETTABLE_FLAGS = SUPPRESS_EMBEDS | SUPPRESS_NOTIFICATIONS | NEW_KIND
EMBEDS, EMBED_TITLE, EMBED_DESCRIPTION, EMBED_TEXT = 10, 256, 4096, 6000
ALLOWED_IDS = 100
ALL_PARSED = frozenset({"users", "roles", "everyone"})
"""What an ordinary message pings if it says nothing about it."""
USERS_PARSED = frozenset({"users"})
"""What an answer to an interaction pings if it says nothing about it."""

_USER, _ROLE, _EVERYONE = re.compile(r"<@!?(\d+)>"), re.compile(r"<@&(\d+)>"), re.compile(r"@(?:everyone|here)")


@dataclass(frozen=True, slots=True)
class File:
    """An uploaded or attached file."""

    name: str
    media_type: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Allowed:
    """Whom a message may ping."""

    parse: frozenset[str]
    users: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    replied_user: bool = False


@dataclass(frozen=True, slots=True)
class Pings:
    """Whom a message pings: ids, in the order they are named."""

    users: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    everyone: bool = False

    def __bool__(self) -> bool:
        return bool(self.users or self.roles or self.everyone)


@dataclass(frozen=True, slots=True)
class MessageForm:
    """A checked form.

    Attributes:
        given: Names of the fields the form carries; an edit leaves the others as they are.
        content: Text without the white space around it.
        reference: `message_reference` as sent, None if there is none.
        kept: Ids of the attachments that an edit keeps.
    """

    given: frozenset[str]
    content: str
    embeds: list[dict[str, Any]]
    components: list[dict[str, Any]]
    flags: int
    nonce: str | int | None
    enforce_nonce: bool
    allowed: Allowed
    reference: dict[str, Any] | None
    kept: frozenset[str] = frozenset()
    files: tuple[File, ...] = ()

    def require_substance(self) -> None:
        """Refuse a message that shows nothing.

        Raises:
            ApiError: 50006.
        """
        if not (self.content or self.embeds or self.files or (self.components and self.flags & NEW_KIND)):
            raise ApiError(50006)


def read_form(body: Any, files: tuple[File, ...] = (), *, parsed: frozenset[str] = ALL_PARSED) -> MessageForm:
    """Check a message form.

    Args:
        body: JSON of the request.
        files: Uploads that came with it.
        parsed: What is pinged if the form says nothing about it.

    Raises:
        ApiError: 50035 with everything that is wrong.
    """
    if not isinstance(body, dict):
        raise ApiError(50035, errors={"_errors": [{"code": "DICT_TYPE_CONVERT", "message": "Only dictionaries may be used in a DictType"}]})
    errors = FormErrors()
    flags = body.get("flags") or 0
    if not isinstance(flags, int):
        errors.add(("flags",), "NUMBER_TYPE_COERCE", "Value is not int.")
        flags = 0
    content = body.get("content")
    if content is not None:
        errors.length(("content",), content, 0, DISCORD_MESSAGE_CODE_POINTS)
    embeds = body.get("embeds") or []
    _check_embeds(errors, embeds)
    _check_components(errors, body, flags)
    _check_nonce(errors, body.get("nonce"))
    allowed = _read_allowed(errors, body.get("allowed_mentions"), parsed)
    reference = body.get("message_reference")
    if reference is not None and not (isinstance(reference, dict) and str(reference.get("message_id", "")).isdecimal()):
        errors.add(("message_reference", "message_id"), "NUMBER_TYPE_COERCE", "Value is not snowflake.")
    errors.check()
    return MessageForm(
        given=frozenset(body),
        content=(content or "").strip(),
        embeds=[{"type": "rich", **embed} for embed in embeds],
        components=numbered(body.get("components") or []),
        flags=flags,
        nonce=body.get("nonce"),
        enforce_nonce=bool(body.get("enforce_nonce")),
        allowed=allowed,
        reference=reference,
        kept=frozenset(str(attachment.get("id")) for attachment in body.get("attachments") or []),
        files=files,
    )


def find_pings(content: str, allowed: Allowed, *, replied_to: str | None = None) -> Pings:
    """Say whom a text pings. Code blocks are no shelter here, though clients show them as such: the stricter reading."""
    users = [user for user in _USER.findall(content) if "users" in allowed.parse or user in allowed.users]
    if replied_to is not None and allowed.replied_user:
        users.append(replied_to)
    roles = [role for role in _ROLE.findall(content) if "roles" in allowed.parse or role in allowed.roles]
    everyone = "everyone" in allowed.parse and _EVERYONE.search(content) is not None
    return Pings(tuple(dict.fromkeys(users)), tuple(dict.fromkeys(roles)), everyone)


def _check_embeds(errors: FormErrors, embeds: Any) -> None:
    if not isinstance(embeds, list) or not all(isinstance(embed, dict) for embed in embeds):
        errors.add(("embeds",), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        return
    if len(embeds) > EMBEDS:
        errors.add(("embeds",), "BASE_TYPE_MAX_LENGTH", f"Must be {EMBEDS} or fewer in length.")
    total = 0
    for number, embed in enumerate(embeds):
        for name, most in (("title", EMBED_TITLE), ("description", EMBED_DESCRIPTION)):
            text = embed.get(name)
            if text is not None and errors.length(("embeds", number, name), text, 0, most):
                total += len(text)
    if total > EMBED_TEXT:
        errors.add(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", f"Embed size exceeds maximum size of {EMBED_TEXT}")


def _check_components(errors: FormErrors, body: dict[str, Any], flags: int) -> None:
    components = body.get("components") or []
    if not flags & NEW_KIND:
        check_rows(errors, components)
        return
    check_new_kind(errors, components)
    for name in ("content", "embeds"):
        if body.get(name):
            errors.add((name,), "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", f"The '{name}' field cannot be used with this flag")


def _check_nonce(errors: FormErrors, nonce: Any) -> None:
    if nonce is None or (isinstance(nonce, int) and not isinstance(nonce, bool)):
        return
    errors.length(("nonce",), nonce, 0, DISCORD_NONCE_CHARS)


def _read_allowed(errors: FormErrors, raw: Any, parsed: frozenset[str]) -> Allowed:
    if raw is None:
        return Allowed(parsed, replied_user=True)
    if not isinstance(raw, dict):
        errors.add(("allowed_mentions",), "DICT_TYPE_CONVERT", "Only dictionaries may be used in a DictType")
        return Allowed(frozenset())
    parse = raw.get("parse") or []
    for number, kind in enumerate(parse):
        errors.choice(("allowed_mentions", "parse", number), kind, tuple(sorted(ALL_PARSED)))
    ids: dict[str, frozenset[str]] = {}
    for kind in ("users", "roles"):
        named = raw.get(kind) or []
        ids[kind] = frozenset(map(str, named))
        if len(named) > ALLOWED_IDS:
            errors.add(("allowed_mentions", kind), "BASE_TYPE_MAX_LENGTH", f"Must be {ALLOWED_IDS} or fewer in length.")
        if named and kind in parse:
            errors.add(
                ("allowed_mentions",),
                "MESSAGE_ALLOWED_MENTIONS_PARSE_EXCLUSIVE",
                f'parse:["{kind}"] and {kind}: [ids...] exclude each other',
            )
    return Allowed(frozenset(map(str, parse)), ids["users"], ids["roles"], bool(raw.get("replied_user")))
