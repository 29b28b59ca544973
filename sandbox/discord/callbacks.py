"""REST routes of interactions: the callback, and the webhook that a token opens for fifteen minutes. No bot token, no global budget."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from bot.platforms.budgets import DISCORD_INTERACTION_EDIT
from sandbox.discord.forms import EPHEMERAL, LOADING, USERS_PARSED, read_form
from sandbox.discord.guard import Guard, Handler, answer, read_body
from sandbox.discord.interactions import Interaction, Interactions
from sandbox.discord.world import Stored

WEBHOOK = "/webhooks/{application}/{token}"


class Callbacks:
    """The routes."""

    def __init__(self, interactions: Interactions, guard: Guard) -> None:
        self._interactions = interactions
        self._guard = guard

    def table(self) -> list[tuple[str, str, Handler]]:
        """Return method, path below the API's base, and handler of each route."""
        return [
            ("POST", "/interactions/{interaction}/{token}/callback", self._respond),
            ("POST", WEBHOOK, self._follow_up),
            ("GET", f"{WEBHOOK}/messages/{{message}}", self._read),
            ("PATCH", f"{WEBHOOK}/messages/{{message}}", self._edit),
            ("DELETE", f"{WEBHOOK}/messages/{{message}}", self._delete),
        ]

    async def _respond(self, request: web.Request) -> web.Response:
        body, files = await read_body(request)
        address = request.match_info
        interaction, stored = self._interactions.respond(address["interaction"], address["token"], body, files)
        if request.query.get("with_response", "").lower() not in {"1", "true"}:
            return answer(status=204)
        about: dict[str, Any] = {"id": interaction.id, "type": interaction.kind, "channel_id": interaction.channel_id}
        kind = interaction.response["type"] if interaction.response else 0
        if stored is None:
            return answer({"interaction": about})
        flags = stored.wire["flags"]
        about |= {"response_message_id": stored.id, "response_message_loading": bool(flags & LOADING)}
        about["response_message_ephemeral"] = bool(flags & EPHEMERAL)
        return answer({"interaction": about, "resource": {"type": kind, "message": dict(stored.wire)}})

    async def _follow_up(self, request: web.Request) -> web.Response:
        interaction = self._open(request)
        body, files = await read_body(request)
        stored = self._interactions.follow_up(interaction, read_form(body, files, parsed=USERS_PARSED))
        return answer(dict(stored.wire))

    async def _read(self, request: web.Request) -> web.Response:
        return answer(dict(self._named(request)[1].wire))

    async def _edit(self, request: web.Request) -> web.Response:
        interaction, stored = self._named(request)
        body, files = await read_body(request)
        form = read_form(body, files, parsed=USERS_PARSED)
        return answer(dict(self._interactions.edit(interaction, stored, form).wire))

    async def _delete(self, request: web.Request) -> web.Response:
        interaction, stored = self._named(request)
        self._interactions.delete(interaction, stored)
        return answer(status=204)

    def _open(self, request: web.Request) -> Interaction:
        self._guard.spend("interaction", request.match_info["token"], DISCORD_INTERACTION_EDIT)  # refused calls count, too
        return self._interactions.find(request.match_info["application"], request.match_info["token"])

    def _named(self, request: web.Request) -> tuple[Interaction, Stored]:
        interaction = self._open(request)
        return interaction, self._interactions.message(interaction, request.match_info["message"])
