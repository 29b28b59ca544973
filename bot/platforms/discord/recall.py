"""Finds a message of the bot again whose create's answer was lost, in the channel's history.

What a history tells of a message is neither its nonce nor its page: Discord keeps the nonce for the answer to the create alone. So a
message may be the one if it is the bot's, stands after what it answers, points at nothing else, and answers no other interaction; that it
is no page of another delivery is for the caller to check.
"""

from __future__ import annotations

from typing import Any, Final

from bot.model import Target
from bot.platforms.base import Refusal, RefusedError, Sighting, UnavailableError
from bot.platforms.budgets import DISCORD_HISTORY_MESSAGES
from bot.platforms.discord.reading import Asked, asked_of
from bot.platforms.discord.rest import Rest

LOADING: Final = 1 << 7
"""Message flag of an interaction's answer that is still waited for. Documented: message resource, message flags."""
NEWEST: Final = "newest"
"""The position at which only the newest message is read, to see whether there is a history at all."""


WRITTEN: Final = frozenset({0, 19, 20, 23})
"""Types of messages with a text of their own: default, reply, answers to commands of both kinds. What Discord itself says in the name of a
member, such as that something was pinned, can't be edited. Documented: message resource, message types."""
STANDS: Final = "stands"
"""In a position: what the reply answers to was read, so that the reply's first page points at it."""


async def search(rest: Rest, target: Target, *, first: bool, position: str | None) -> Sighting:
    """Read a part of a channel's history, from what the reply answers on.

    Without the right to read the history Discord returns no messages, and no error. Documented: message resource, get channel messages.

    Raises:
        RefusedError: Nobody can tell: the history can't be read, or it is not known where the reply stands.
        PlatformError: It did not come.
    """
    asked = asked_of(target.event)
    if asked is None:
        raise RefusedError(Refusal.BAD_REQUEST, "it is not known after which message the reply stands")
    if position == NEWEST:
        if not await _page(rest, target, "limit=1"):
            raise RefusedError(Refusal.FORBIDDEN, "the channel shows no history")
        return Sighting((), None)
    # What was asked itself is read, too: that it is there shows that the history can be read.
    mark, _, after = position.rpartition(":") if position else ("", "", str(asked.id - 1))
    messages = await _page(rest, target, f"limit={DISCORD_HISTORY_MESSAGES}&after={after}")
    if not messages and position is None:
        return Sighting((), NEWEST)
    pointed = mark == STANDS or any(raw["id"] == target.reply_to for raw in messages)
    own = tuple(str(raw["id"]) for raw in messages if _may_be_it(raw, target, asked, first=first, pointed=pointed))
    end = f"{STANDS if pointed else ''}:{messages[-1]['id']}" if len(messages) == DISCORD_HISTORY_MESSAGES else None
    return Sighting(own, end)


async def _page(rest: Rest, target: Target, query: str) -> list[dict[str, Any]]:
    """Return messages, oldest first."""
    answer = await rest.call("GET", f"/channels/{target.chat.chat}/messages?{query}")
    if not isinstance(answer.body, list) or not all(isinstance(raw, dict) and str(raw.get("id")).isdecimal() for raw in answer.body):
        raise UnavailableError("Discord's answer is no list of messages")
    return sorted(answer.body, key=lambda raw: int(raw["id"]))


def _may_be_it(raw: dict[str, Any], target: Target, asked: Asked, *, first: bool, pointed: bool) -> bool:
    """`pointed`: what the first page answers to still stands there, so that the page points at it."""
    author = raw.get("author")
    if not isinstance(author, dict) or str(author.get("id")) != target.chat.account or raw.get("flags", 0) & LOADING:
        return False
    if raw.get("type", 0) not in WRITTEN:
        return False
    about = raw.get("interaction_metadata")
    if isinstance(about, dict):
        follow_up = "original_response_message_id" in about
        return ((first and not target.below) or follow_up) and asked.interaction and str(about.get("id")) == str(asked.id)
    if raw.get("webhook_id") is not None:
        return False
    reference = raw.get("message_reference")
    if not isinstance(reference, dict):
        return not (first and pointed)
    return first and target.reply_to is not None and str(reference.get("message_id")) == target.reply_to
