"""A plain HTTP client of the stand-in for Discord, which shows every refusal as it is."""

import json
from dataclasses import dataclass
from typing import Any

import aiohttp

from sandbox.discord import DiscordSandbox


@dataclass
class Reply:
    """What a call was answered with; `body` is parsed where it is JSON."""

    status: int
    headers: Any
    body: Any


class Client:
    """Calls of a bot."""

    def __init__(self, sandbox: DiscordSandbox, session: aiohttp.ClientSession) -> None:
        self.sandbox = sandbox
        self.session = session
        self.channel = f"/channels/{sandbox.channel_id}"
        self.messages = f"{self.channel}/messages"

    async def call(self, method: str, path: str, body: Any = None, *, token: str | None = None, **query: str) -> Reply:
        headers = {"Authorization": f"Bot {token or self.sandbox.token}"} if token != "" else {}
        async with self.session.request(method, self.sandbox.api_url + path, json=body, headers=headers, params=query) as response:
            text = await response.text()
            is_json = response.headers.get("Content-Type") == "application/json"
            return Reply(response.status, response.headers, json.loads(text) if is_json and text else text)

    async def post(self, content: str = "hi", **more: Any) -> Reply:
        return await self.call("POST", self.messages, {"content": content, **more})

    async def edit(self, message_id: str, content: str = "new") -> Reply:
        return await self.call("PATCH", f"{self.messages}/{message_id}", {"content": content})


def problems(reply: Reply, *path: str) -> list[str]:
    """The codes a refused form has at a place."""
    node = reply.body["errors"]
    for step in path:
        node = node[step]
    return [error["code"] for error in node["_errors"]]


async def asked(client: Client) -> Any:
    """A person's command that waits for its answer."""
    if not client.sandbox.commands:
        await client.call("PUT", f"/applications/{client.sandbox.application_id}/commands", [{"name": "ask", "description": "d"}])
    return await client.sandbox.slash(client.sandbox.channel_id, client.sandbox.user_id, "ask")


async def respond(client: Client, interaction: Any, kind: int, **data: Any) -> Reply:
    """Answer an interaction; `kind` is the type of Discord's interaction callbacks."""
    path = f"/interactions/{interaction.id}/{interaction.token}/callback"
    return await client.call("POST", path, {"type": kind, "data": data}, token="")


async def deferred(client: Client, **data: Any) -> Any:
    """A person's command that was told to wait."""
    interaction = await asked(client)
    assert (await respond(client, interaction, 5, **data)).status == 204
    return interaction


async def original(client: Client, interaction: Any, method: str, body: Any = None, message: str = "@original") -> Reply:
    """Call the webhook of an interaction, for its first message or another one."""
    path = f"/webhooks/{client.sandbox.application_id}/{interaction.token}/messages/{message}"
    return await client.call(method, path, body, token="")


def button(number: int, **more: Any) -> dict[str, Any]:
    """A button with a label and a `custom_id` of its own."""
    return {"type": 2, "style": 1, "label": str(number), "custom_id": f"b{number}", **more}
