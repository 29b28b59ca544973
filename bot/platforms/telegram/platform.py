"""The Telegram side of the platform seam."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Sequence

from telegram.error import InvalidToken, TelegramError

from bot.clock import Clock
from bot.commands.base import Menu
from bot.model import Attachment, ChatAddress, ChatKind, Incoming, Page, Receipt, ReplyRoute, Target
from bot.platforms.base import Accept, Allowance, Call, Limits, Memo, PlatformError, Refusal, RefusedError, UnavailableError
from bot.platforms.budgets import (
    TELEGRAM_BUTTON_ROWS,
    TELEGRAM_BUTTONS_PER_ROW,
    TELEGRAM_CALLBACK_TEXT_CHARS,
    TELEGRAM_DRAFT_SECONDS,
    TELEGRAM_FILE_BYTES,
    TELEGRAM_GLOBAL,
    TELEGRAM_GROUP,
    TELEGRAM_PRIVATE,
    TELEGRAM_REACTION,
    TELEGRAM_TYPING_SECONDS,
)
from bot.platforms.errands import Errands
from bot.platforms.telegram import egress, files
from bot.platforms.telegram.api import Api, make_api
from bot.platforms.telegram.drafts import RICH_REFUSALS, DraftMode, Drafts
from bot.platforms.telegram.errors import TOKEN_REFUSED, platform_error
from bot.platforms.telegram.intake import Intake, read_again
from bot.platforms.telegram.polling import poll
from bot.platforms.telegram.reading import PLATFORM, Me
from bot.platforms.telegram.webhook import WebhookSettings, listen
from bot.platforms.tokens import telegram_fault
from bot.render.base import Style

TYPINGS = 16
"""Most typing signals in flight; when many people write at once, more would stand in line before the answers."""
PASSING_CHARS = 80
"""A longer word to who pressed a button stays until it is confirmed; ours."""
CLOSE_SECONDS = 10.0
"""So long calls that are in flight may take when the platform is closed."""

log = logging.getLogger(__name__)


class TelegramPlatform:
    """Telegram.

    Args:
        token: From @BotFather.
        menu: The commands to offer.
        memo: Keeps the hash of the menu that was set last.
        style: How text is rendered.
        api_base_url: Address of a Bot API server of one's own, without a trailing ``/bot``.
        webhook: Take updates in through a webhook; without it, by long polling.
        drafts: How answers grow in private chats: ``off``: by edits; ``plain``: by drafts; ``rich``: by drafts of rich messages.
        clock: Times the waits of the intake.
        now: Epoch seconds.
    """

    name = PLATFORM
    limits = Limits(
        overall=Allowance(f"{PLATFORM}:all", TELEGRAM_GLOBAL),
        idempotent_send=False,
        private_answers=False,
        max_button_rows=TELEGRAM_BUTTON_ROWS,
        max_buttons_per_row=TELEGRAM_BUTTONS_PER_ROW,
        file_bytes=TELEGRAM_FILE_BYTES,
        one_by_one=True,
    )
    typing_seconds = TELEGRAM_TYPING_SECONDS
    draft_seconds = TELEGRAM_DRAFT_SECONDS

    def __init__(
        self,
        token: str,
        menu: Menu,
        memo: Memo,
        *,
        style: Style,
        api_base_url: str | None = None,
        webhook: WebhookSettings | None = None,
        drafts: DraftMode = DraftMode.OFF,
        clock: Clock,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.style = style
        self._token = token
        self._menu = menu
        self._memo = memo
        self._base_url = api_base_url
        self._webhook = webhook
        self._clock = clock
        self._now = now
        self._errands = Errands("call to Telegram")
        self._drafts = Drafts(drafts)
        self.draft_refusals = RICH_REFUSALS if drafts is DraftMode.RICH else 1
        self._typings = asyncio.Semaphore(TYPINGS)
        self._opened: tuple[Api, Me] | None = None

    async def open(self) -> str:
        """Check the token and return the bot's user id; see `bot.platforms.base.Platform.open`."""
        await self.aclose()
        if fault := telegram_fault(self._token):
            raise RefusedError(Refusal.TOKEN, fault)
        api = make_api(self._token, self._base_url)
        try:
            account = await api.call("getMe", {})
            me = Me(int(account["id"]), str(account.get("username", "")))
        except BaseException as error:
            await api.aclose()
            if isinstance(error, InvalidToken):
                raise RefusedError(Refusal.TOKEN, TOKEN_REFUSED) from None
            if isinstance(error, TelegramError):
                raise UnavailableError(str(platform_error(error, repeatable=True))) from error
            raise
        self._opened = (api, me)
        return me.account

    async def run(self, accept: Accept, ready: Callable[[], None]) -> None:
        """Take events in until cancelled; see `bot.platforms.base.Platform.run`."""
        api, me = self._open()
        intake = Intake(
            me, self._menu.commands, accept, lambda query: self._errands.start(_answer(api, query)), self._drafts.topic_of, now=self._now
        )
        self._errands.start(self._offer_menu(api, me))
        if self._webhook is not None:
            await listen(api, intake, self._clock, self._webhook, ready)
        else:
            await poll(api, intake, self._clock, ready)

    async def read_again(self, kept: Incoming) -> Incoming | None:
        """Read an update that was set aside; see `bot.platforms.base.SupportsReadingAgain`."""
        return read_again(kept.raw or "", self._open()[1], self._menu.commands, self._drafts.topic_of)

    def allowances(self, call: Call, target: Target, *, first: bool) -> Sequence[Allowance]:  # noqa: ARG002 - of the seam
        """Name the budgets of a call: all calls of a chat share one, whatever the topic.

        That deletes count is assumed, to be on the safe side; it also lets a delete that is flooded halt its chat and not every chat.
        """
        budget = TELEGRAM_PRIVATE if target.chat_kind is ChatKind.PRIVATE else TELEGRAM_GROUP
        return (Allowance(f"{PLATFORM}:chat:{target.chat.chat}", budget), self.limits.overall)

    async def send(self, target: Target, page: Page, *, nonce: str, first: bool) -> Receipt:  # noqa: ARG002 - Telegram knows no nonce
        """Make a message; see `bot.platforms.base.Platform.send`."""
        return await self._errands.run(egress.send(self._open()[0], target, page, first=first))

    async def edit(self, target: Target, message_id: str, page: Page, *, first: bool) -> Receipt:  # noqa: ARG002 - of the seam
        """Make a message look like `page`; see `bot.platforms.base.Platform.edit`."""
        return await self._errands.run(egress.edit(self._open()[0], target, message_id, page))

    async def unbutton(self, target: Target, message_id: str, *, first: bool) -> None:  # noqa: ARG002 - of the seam
        """Take a message's buttons away; see `bot.platforms.base.SupportsUnbuttoning`."""
        await self._errands.run(egress.unbutton(self._open()[0], target, message_id))

    async def delete(self, target: Target, message_id: str) -> None:
        """Delete a message; see `bot.platforms.base.Platform.delete`."""
        await self._errands.run(egress.delete(self._open()[0], target, message_id))

    async def fetch(self, attachment: Attachment, chat: ChatAddress, message_id: str | None, *, most_bytes: int) -> bytes:  # noqa: ARG002 - of the seam
        """Return a file's content; see `bot.platforms.base.SupportsAttachments`. Its id holds for ever."""
        return await files.fetch(self._open()[0], attachment, most_bytes=most_bytes)

    def drafts(self, target: Target) -> bool:
        """Tell whether drafts can be shown there; see `bot.platforms.base.SupportsDrafts`."""
        return self._drafts.mode is not DraftMode.OFF and target.chat_kind is ChatKind.PRIVATE

    async def draft(self, target: Target, page: Page, *, number: int) -> None:
        """Show a page as a draft; see `bot.platforms.base.SupportsDrafts`."""
        await self._errands.run(self._drafts.show(self._open()[0], target, page, number))

    async def pressed(self, route: ReplyRoute | None, note: Page | None = None) -> None:
        """Answer a press; see `bot.platforms.base.SupportsPresses`. It waits for nobody: the client does, and too late is no harm."""
        if route is not None:
            self._errands.start(_answer(self._open()[0], route.value, note.text if note is not None else ""))

    async def administers(self, chat: ChatAddress, person: str) -> bool:
        """Tell whether a person administers a group; see `bot.platforms.base.SupportsAdministrators`."""
        try:
            admins = await self._errands.run(self._open()[0].call("getChatAdministrators", {"chat_id": chat.chat}))
        except TelegramError as error:
            raise platform_error(error, repeatable=True) from error
        return any(str(admin["user"]["id"]) == person for admin in admins)

    def mark_allowances(self, target: Target) -> Sequence[Allowance]:
        """Name the budgets of a mark; see `bot.platforms.base.SupportsMarks`."""
        return (Allowance(f"{PLATFORM}:reactions:{target.chat.chat}", TELEGRAM_REACTION), self.limits.overall)

    async def mark(self, target: Target, message_id: str, *, on: bool) -> None:
        """Set or take away a mark; see `bot.platforms.base.SupportsMarks`."""
        await self._errands.run(egress.mark(self._open()[0], target, message_id, on=on))

    async def typing(self, target: Target) -> None:
        """Show that the bot is writing; see `bot.platforms.base.SupportsTyping`."""
        if self._typings.locked():
            return
        try:
            async with self._typings:
                await self._errands.run(egress.typing(self._open()[0], target))
        except PlatformError as error:
            log.debug("typing was not shown: %s", error)

    async def aclose(self) -> None:
        """Let calls in flight end, then close the connections. Idempotent."""
        await self._errands.finish(CLOSE_SECONDS)
        if self._opened is not None:
            (api, _), self._opened = self._opened, None
            await api.aclose()

    def _open(self) -> tuple[Api, Me]:
        if self._opened is None:
            raise RuntimeError("open the platform first")
        return self._opened

    async def _offer_menu(self, api: Api, me: Me) -> None:
        """Set the command menu if it is not the one set last. Commands work without it, so a failure is only logged."""
        commands = [{"command": command.name, "description": command.description} for command in self._menu.commands]
        key = f"{PLATFORM}:{me.account}:commands"
        # The address belongs to it: another server has another menu.
        digest = hashlib.sha256(json.dumps([self._base_url, commands]).encode()).hexdigest()
        if await self._memo.get(key) == digest:
            return
        try:
            await api.call("setMyCommands", {"commands": commands})
        except TelegramError as error:
            log.warning("the command menu was not set: %s", platform_error(error, repeatable=True))
        else:
            await self._memo.put(key, digest)


async def _answer(api: Api, query: str, words: str = "") -> None:
    """End a client's wait after the press of a button, with a word to the person if there is one. Too late is no harm."""
    parameters: dict[str, object] = {"callback_query_id": query}
    if words:
        parameters["text"] = words[:TELEGRAM_CALLBACK_TEXT_CHARS]
        parameters["show_alert"] = len(words) > PASSING_CHARS  # what passes by in a few seconds must be short
    try:
        await api.call("answerCallbackQuery", parameters)
    except TelegramError as error:
        log.debug("a button press was not acknowledged: %s", platform_error(error, repeatable=True))
