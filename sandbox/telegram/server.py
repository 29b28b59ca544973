"""The stand-in itself: the Bot API over HTTP, and the world behind it as Python calls."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from sandbox.server import Server
from sandbox.telegram.errors import ApiError, Json, bad
from sandbox.telegram.flood import Flood
from sandbox.telegram.menus import Menus
from sandbox.telegram.methods import Methods
from sandbox.telegram.people import People, Sent
from sandbox.telegram.reactions import Reactions
from sandbox.telegram.sending import Sending
from sandbox.telegram.updates import Updates
from sandbox.telegram.webhook import Webhook
from sandbox.telegram.world import BOT_USERNAME, DOCUMENT_PREFIX, FILE_PREFIX, Draft, World

TOKEN = "123456:sandbox-telegram-token"  # noqa: S105 - opens nothing

log = logging.getLogger(__name__)


class TelegramSandbox(Server):
    """Telegram on loopback, strict about limits and parameters.

    It starts with a person, ada, who has started the bot in private, and a group in which both are; ada owns it.

    Attributes:
        token: The only one that is accepted.
        user_id: Ada, and her private chat.
        group_id: The group.
        world: People, chats, messages; `world.privacy` and `world.private_topics` may be set.
        flood: Counts sends, edits, drafts and deletions; `forgive()` starts it anew.
    """

    def __init__(self, *, token: str = TOKEN, now: Callable[[], float] = time.time) -> None:
        super().__init__(now=now)
        self.token = token
        self.bot_id = int(token.partition(":")[0])
        self.bot_username = BOT_USERNAME
        self.world = World(self.bot_id, now)
        self.flood = Flood(now)
        self._updates = Updates(now)
        self._webhook = Webhook(self._updates, now, self._execute)
        self._people = People(self.world, self._updates, now)
        self._menus = Menus(self.world)
        sending = Sending(self.world, self._people, self.flood, now)
        reactions = Reactions(self.world, sending, self.flood)
        self._methods = Methods(self.world, self._updates, self._webhook, sending, menus=self._menus, reactions=reactions)
        self.user_id = self.add_user("ada")
        self.world.chat(self.user_id).open = True
        self.group_id = self.add_group("Sandbox group", [self.user_id])

    @property
    def api_url(self) -> str:
        """Address before `/bot<token>/<method>`."""
        return self.url

    @property
    def commands(self) -> dict[str, list[Json]]:
        """Command menus by scope: `default`, `all_private_chats`, `chat:<id>`, `chat_member:<id>:<id>`, with a language `…/de`."""
        return self._menus.commands

    @property
    def on_change(self) -> list[Callable[[Json], None]]:
        """Called with every visible change, at once and in order: a dict with `type`, always `chat_id` (but for `commands`), and.

        - `message`, `edited_message`: `message`, `thread` (the topic, or None)
        - `deleted`: `message_id`, `thread`
        - `chat_action`: `action`, `thread`
        - `draft`: `draft_id`, `text`, `entities`, `can_stop`, `thread`; it shows for half a minute
        - `draft_gone`: `draft_id`, `thread`; by a message of the bot or by its Stop button
        - `callback_answer`: `user_id`, `callback_query_id`, `text`, `show_alert`
        - `commands`: `scope`, `commands`
        - `reactions`: `message_id`, `emojis`
        """
        return self.world.on_change

    @property
    def unknown_parameters(self) -> list[str]:
        """What was sent that the Bot API does not have, as `method.parameter`; nested names follow after dots."""
        return self._methods.unknown

    @property
    def pending(self) -> list[Json]:
        """Updates that have not been confirmed, oldest first."""
        return [item.update for item in self._updates.pending]

    @property
    def given(self) -> list[Json]:
        """The last updates that were confirmed, oldest first."""
        return list(self._updates.given)

    @property
    def repeating(self) -> bool:
        """Something that `repeat` gives out once more has not been fetched yet."""
        return bool(self._updates.again)

    @property
    def polled(self) -> bool:
        """A poll waits for updates."""
        return self._updates.listening.is_set()

    def routes(self) -> list[web.AbstractRouteDef]:
        """Return the stand-in's routes."""
        path = "/bot{token}/{method}"
        return [web.get(path, self._answer), web.post(path, self._answer), web.get("/file/bot{token}/{path:.+}", self._file)]

    async def start(self, port: int = 0) -> None:
        """Listen on 127.0.0.1; port 0 takes a free one. After a stop everything is as it was."""
        await super().start(port)
        self._webhook.resume()

    async def stop(self) -> None:
        """Close every connection. Idempotent."""
        await self._webhook.close()
        await super().stop()

    # The people's side -----------------------------------------------------------------------------------------------

    def add_user(self, name: str) -> int:
        """Add a person; the private chat has the same id and opens when the person first writes there."""
        return self.world.add_user(name)

    def add_group(self, title: str, members: Sequence[int], *, forum: bool = False) -> int:
        """Add a supergroup with the bot in it; the first member owns it. Return its id, which is negative."""
        return self.world.add_group(title, members, forum=forum)

    def add_topic(self, chat_id: int, name: str) -> int:
        """Add a topic to a forum, or to a private chat, which turns topics on there. Return its `message_thread_id`."""
        chat = self.world.chat(chat_id)
        if chat.private:
            self.world.private_topics = True
        elif not chat.forum:
            raise ValueError("only a forum has topics")
        return self.world.open_topic(chat, name, chat_id if chat.private else chat.owner)

    async def say(
        self,
        chat_id: int,
        user_id: int,
        text: str,
        *,
        reply_to: int | None = None,
        thread: int | None = None,
        mention: bool = False,
        photo: bool = False,
        files: Sequence[Sent] = (),
    ) -> Json:
        """Let a person write; the bot gets the update unless privacy mode keeps it.

        A text beyond 4096 UTF-16 units is sent in parts, as clients do; several files are an album, a message each; the last is returned.
        """
        return self._people.say(chat_id, user_id, text, reply_to=reply_to, thread=thread, mention=mention, photo=photo, files=files)

    async def edit(self, chat_id: int, message_id: int, text: str) -> Json:
        """Let a person change a message of theirs."""
        return self._people.edit(chat_id, message_id, text)

    async def delete(self, chat_id: int, message_id: int) -> None:
        """Let a message be deleted by people; Telegram tells bots nothing of it."""
        self._people.delete(chat_id, message_id)

    async def press(self, chat_id: int, message_id: int, data: str, user_id: int, *, wait_seconds: float = 5.0) -> Json:
        """Press a button, which need not exist; return the parameters of the bot's answerCallbackQuery.

        Raises:
            TimeoutError: The bot did not answer.
        """
        return await self._people.press(chat_id, message_id, data, user_id, wait_seconds)

    async def stop_draft(self, chat_id: int, *, thread: int | None = None) -> None:
        """Let the person press the Stop button of the draft that shows in a private chat.

        Raises:
            ValueError: None shows there, or it has no such button.
        """
        self._people.stop_draft(chat_id, thread)

    def block(self, user_id: int) -> None:
        """Let a person block the bot; writing to it again lifts that."""
        self._people.shut(user_id, "blocked", user_id)

    def kick(self, chat_id: int) -> None:
        """Throw the bot out of a group."""
        self._people.shut(chat_id, "kicked", self.world.chat(chat_id).owner)

    def messages(self, chat_id: int, *, thread: int | None = None) -> list[Json]:
        """Return the messages of a chat, or of one topic, in order; service messages are left out."""
        return list(self.world.shown(self.world.chat(chat_id), thread))

    def reactions(self, chat_id: int) -> dict[int, list[str]]:
        """Return message → emojis that the bot has put on it, of those that have any."""
        return {message: emojis for (chat, message), emojis in self.world.reactions.items() if chat == chat_id and emojis}

    def attached(self, message: Json) -> bytes:
        """Return the content of a message's file."""
        return self.world.files[message["document"]["file_id"]]

    def drafts(self, chat_id: int) -> list[Draft]:
        """Return the drafts that still show in a private chat, one per topic at most."""
        return self.world.drafts(self.world.chat(chat_id))

    async def push(self, update: Json) -> None:
        """Queue an update as it is, malformed or not; one without `update_id` gets the next."""
        self._updates.add(update)

    async def repeat(self, updates: Sequence[Json]) -> None:
        """Give updates out once more by polling, whatever was confirmed: as a server does that lost the confirmation."""
        self._updates.repeat(updates)

    async def connected(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109 - the caller's bound, not a cancellation scope
        """Return once a poll waits for updates or a webhook is set.

        Raises:
            TimeoutError: Nobody came.
        """
        waits = [asyncio.create_task(event.wait()) for event in (self._updates.listening, self._webhook.is_set)]
        try:
            done, _ = await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not done:
            raise TimeoutError("no bot asked for updates")

    # The bot's side --------------------------------------------------------------------------------------------------

    async def _answer(self, request: web.Request) -> web.Response:
        try:
            if request.match_info["token"] != self.token:
                raise ApiError(401, "Unauthorized")  # noqa: TRY301 - every refusal is answered in one place
            result = await self._methods.call(request.match_info["method"], await _values(request))
        except ApiError as error:
            return _json(error.code, error.answer())
        return _json(200, {"ok": True, "result": result})

    async def _file(self, request: web.Request) -> web.Response:
        name = request.match_info["path"].rpartition("/")[2].partition(".")[0]
        content = self.world.files.get(name) if name.startswith((FILE_PREFIX, DOCUMENT_PREFIX)) else None
        if request.match_info["token"] != self.token or content is None or not self.world.link_holds(request.match_info["path"]):
            return _json(404, ApiError(404, "Not Found").answer())
        return web.Response(body=content, content_type="application/octet-stream")

    async def _execute(self, name: str, values: Mapping[str, object]) -> None:
        """Run a call that came as the answer to a webhook delivery."""
        try:
            await self._methods.call(name, values)
        except ApiError as error:
            log.warning("method %s in a webhook's answer was refused: %s", name, error)


async def _values(request: web.Request) -> dict[str, Any]:
    """Return the parameters of a request, from its query and its body."""
    values: dict[str, Any] = dict(request.query)
    if not request.body_exists:  # not can_read_body: the log of calls has read it already, and it is kept
        return values
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.read() or b"{}")
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise bad("can't parse JSON object")
        return values | body
    return values | dict(await request.post())


def _json(status: int, body: Json) -> web.Response:
    return web.Response(status=status, body=json.dumps(body).encode(), content_type="application/json")
