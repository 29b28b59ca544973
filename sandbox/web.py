"""The try-out's web page: a Discord channel and a Telegram chat side by side, and the calls that the page makes.

It listens on 127.0.0.1 only and takes calls from its own page only (Host, Origin and a JSON body are checked), since it acts as the people
of the sandbox.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any, Self

from aiohttp import web

from bot.bridge import Bridge
from bot.platforms.budgets import DISCORD_INTERACTION_ACK_SECONDS
from sandbox.discord.errors import ApiError as DiscordError
from sandbox.discord.forms import File
from sandbox.discord.interactions import Interaction
from sandbox.outside import Outside
from sandbox.server import BODY_BYTES
from sandbox.telegram.errors import ApiError as TelegramError
from sandbox.telegram.people import Sent

QUEUE_EVENTS = 1000
"""Changes kept for a page that reads slowly; one that falls further behind is cut off and loads anew."""
PING_SECONDS = 15.0
"""A quiet event stream says so, to notice a page that is gone."""
SCRIPTS = ("app.js", "client.js", "composer.js", "discord.js", "markup.js", "telegram.js")
FILES = {
    "": ("index.html", "text/html"),
    "style.css": ("style.css", "text/css"),
    "icon.svg": ("icon.svg", "image/svg+xml"),
    **{name: (name, "text/javascript") for name in SCRIPTS},
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
"""What every answer carries: were a model's text ever taken for markup, it still could not run or load anything."""

PHOTOS = frozenset({"image/png", "image/jpeg", "image/webp"})
"""What Telegram's clients send as a photo; everything else as a document."""

NO_RESPONSE = "The application did not respond."
"""Discord's own words for a bot that took no notice of a command or a button in time."""

THREAD = "aside"
"""Name of the thread below the Discord channel."""
FORUM, TOPIC = "Sandbox forum", "aside"
"""Titles of the Telegram forum and of its topic."""

Handler = Callable[[Mapping[str, Any]], Awaitable[Any]]


class Page:
    """Serves the page."""

    def __init__(self, outside: Outside, bridge: Bridge, *, port: int = 0) -> None:
        self._outside = outside
        self._bridge = bridge
        self._port = port
        self._topic: tuple[int, int] | None = None
        self._readers: set[asyncio.Queue[dict[str, Any] | None]] = set()
        self._runner: web.AppRunner | None = None
        self._actions: dict[str, Handler] = {
            "discord/say": self._discord_say,
            "discord/delete": self._discord_delete,
            "discord/slash": self._discord_slash,
            "discord/commands": self._discord_commands,
            "discord/complete": self._discord_complete,
            "discord/press": self._discord_press,
            "telegram/say": self._telegram_say,
            "telegram/press": self._telegram_press,
            "telegram/stop_draft": self._telegram_stop_draft,
        }

    @property
    def url(self) -> str:
        """Address of the page, once started."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application(middlewares=[self._guard], client_max_size=BODY_BYTES)
        app.on_response_prepare.append(_harden)
        app.add_routes([web.get("/api/state", self._state), web.get("/api/events", self._events), web.post("/api/{action:.+}", self._act)])
        app.add_routes([web.get("/{name:[a-z.]*}", self._file)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        await self._furnish()
        self._outside.discord.on_change.append(lambda change: self._tell("discord", change))
        self._outside.telegram.on_change.append(lambda change: self._tell("telegram", change))
        return self

    async def _furnish(self) -> None:
        """Open what the stand-ins don't have from the start: each place is a conversation of its own."""
        discord, telegram = self._outside.discord, self._outside.telegram
        discord.open_dm(discord.user_id)
        await discord.start_thread(discord.channel_id, THREAD)
        forum = telegram.add_group(FORUM, [telegram.user_id], forum=True)
        self._topic = forum, telegram.add_topic(forum, TOPIC)

    async def __aexit__(self, *_: object) -> None:
        for queue in self._readers:
            queue.put_nowait(None)
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
        own = {f"127.0.0.1:{self._port}", f"localhost:{self._port}"}
        origin = request.headers.get("Origin")
        if request.host not in own or (origin is not None and origin.removeprefix("http://") not in own):
            raise web.HTTPForbidden(text="this page is for this machine only")
        return await handler(request)

    async def _file(self, request: web.Request) -> web.Response:
        known = FILES.get(request.match_info["name"])
        if known is None:
            raise web.HTTPNotFound
        name, kind = known
        return web.Response(body=files("sandbox").joinpath("page", name).read_bytes(), content_type=kind, charset="utf-8")

    async def _state(self, _: web.Request) -> web.Response:
        discord, telegram = self._outside.discord, self._outside.telegram
        channels = list(discord.channels.values())
        chats: list[tuple[int, int | None, str]] = [(telegram.user_id, None, "Private chat"), (telegram.group_id, None, "Sandbox group")]
        if self._topic is not None:
            chats.append((*self._topic, f"Topic: {TOPIC}"))
        return web.json_response(
            {
                "providers": [{"name": name, "title": provider.title} for name, provider in self._bridge.providers.items()],
                "discord": {
                    "bot": discord.bot_id,
                    "user": discord.user_id,
                    "users": list(discord.users.values()),
                    "channels": channels,
                    "commands": discord.commands,
                    "messages": {channel["id"]: discord.messages(channel["id"], viewer=discord.user_id) for channel in channels},
                },
                "telegram": {
                    "bot": telegram.bot_id,
                    "username": telegram.bot_username,
                    "user": telegram.user_id,
                    "chats": [{"id": chat, "thread": thread, "name": name} for chat, thread, name in chats],
                    "commands": telegram.commands.get("default", []),
                    "messages": [
                        {**message, "marks": telegram.reactions(chat).get(message["message_id"], [])}
                        for chat, thread, _ in chats
                        for message in telegram.messages(chat, thread=thread)
                    ],
                },
            }
        )

    async def _events(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._readers.add(queue)
        try:
            await response.write(b": open\n\n")
            await self._stream(queue, response)
        except ConnectionResetError:
            pass  # the page was closed
        finally:
            self._readers.discard(queue)
        return response

    @staticmethod
    async def _stream(queue: asyncio.Queue[dict[str, Any] | None], response: web.StreamResponse) -> None:
        while True:
            try:
                event = await asyncio.wait_for(queue.get(), PING_SECONDS)
            except TimeoutError:
                await response.write(b": quiet\n\n")
                continue
            if event is None:
                return
            await response.write(f"data: {json.dumps(event)}\n\n".encode())

    def _tell(self, platform: str, change: dict[str, Any]) -> None:
        for queue in list(self._readers):
            if queue.qsize() >= QUEUE_EVENTS:
                self._cut_off(queue)
            else:
                queue.put_nowait({"platform": platform, "change": change})

    def _cut_off(self, queue: asyncio.Queue[dict[str, Any] | None]) -> None:
        self._readers.discard(queue)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(None)

    async def _act(self, request: web.Request) -> web.Response:
        action = self._actions.get(request.match_info["action"])
        if action is None:
            raise web.HTTPNotFound
        if request.content_type != "application/json":
            raise web.HTTPUnsupportedMediaType(text="send JSON")
        try:
            result = await action(await request.json())
        except (ValueError, TypeError, LookupError, DiscordError, TelegramError) as error:
            return web.json_response({"error": str(error) or type(error).__name__}, status=400)
        except TimeoutError:
            return web.json_response({"error": NO_RESPONSE}, status=504)
        return web.json_response({"result": result})

    async def _discord_say(self, body: Mapping[str, Any]) -> Any:
        discord = self._outside.discord
        private = discord.channels[body["channel"]]["type"] == 1
        mention = bool(body.get("mention")) and not private
        attached = [File(name, media_type, data) for name, media_type, data in _files(body)]
        return await discord.say(
            body["channel"], discord.user_id, body["text"], reply_to=body.get("reply_to"), mention=mention, attachments=attached
        )

    async def _discord_slash(self, body: Mapping[str, Any]) -> Any:
        discord = self._outside.discord
        return await _acknowledged(await discord.slash(body["channel"], discord.user_id, body["command"], body.get("options") or {}))

    async def _discord_delete(self, body: Mapping[str, Any]) -> Any:
        discord = self._outside.discord
        channel, message = body["channel"], body["message"]
        if discord.world.message(channel, message).author_id != discord.user_id:
            raise ValueError("only a message of your own can be deleted")
        await discord.delete(channel, message)

    async def _discord_commands(self, _: Mapping[str, Any]) -> Any:
        return self._outside.discord.commands

    async def _discord_complete(self, body: Mapping[str, Any]) -> Any:
        discord = self._outside.discord
        return await discord.complete(body["channel"], discord.user_id, body["command"], body["option"], body["value"], body.get("options"))

    async def _discord_press(self, body: Mapping[str, Any]) -> Any:
        discord = self._outside.discord
        return await _acknowledged(await discord.press(body["channel"], body["message"], body["custom_id"], discord.user_id))

    async def _telegram_say(self, body: Mapping[str, Any]) -> Any:
        telegram = self._outside.telegram
        chat = int(body["chat"])
        mention = bool(body.get("mention")) and chat < 0
        sent = [Sent(data, None if media_type in PHOTOS else name, media_type) for name, media_type, data in _files(body)]
        where: dict[str, Any] = {"reply_to": body.get("reply_to"), "thread": body.get("thread")}
        return await telegram.say(chat, telegram.user_id, body["text"], **where, mention=mention, files=sent)

    async def _telegram_press(self, body: Mapping[str, Any]) -> Any:
        telegram = self._outside.telegram
        return await telegram.press(int(body["chat"]), int(body["message"]), body["data"], telegram.user_id)

    async def _telegram_stop_draft(self, body: Mapping[str, Any]) -> Any:
        return await self._outside.telegram.stop_draft(int(body["chat"]), thread=body.get("thread"))


def _files(body: Mapping[str, Any]) -> list[tuple[str, str, bytes]]:
    """Return the name, media type and content of the files that come with a message."""
    found = body.get("files") or []
    return [
        (str(file["name"]), str(file["type"]) or "application/octet-stream", base64.b64decode(file["data"], validate=True))
        for file in found
    ]


async def _acknowledged(interaction: Interaction) -> str:
    """Return the interaction's id once the bot has taken it.

    Raises:
        TimeoutError: It did not within the time that Discord gives it.
    """
    async with asyncio.timeout(DISCORD_INTERACTION_ACK_SECONDS):
        await interaction.responded.wait()
    return interaction.id


async def _harden(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(HEADERS)
