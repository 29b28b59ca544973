"""Drafts: they show a private chat the text of a message that is still being written.

Source: Bot API, sendMessageDraft and sendRichMessageDraft, 10.3 for the Stop button. python-telegram-bot 22.8 knows the first one as of
10.0, without the button, and the second not at all.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import Any

from telegram.error import InvalidToken, TelegramError

from bot.model import Page, Target
from bot.platforms.base import Refusal, RefusedError
from bot.platforms.telegram.api import Api
from bot.platforms.telegram.egress import entities, place
from bot.platforms.telegram.errors import platform_error
from bot.platforms.telegram.rich import rich_message

log = logging.getLogger(__name__)

REMEMBERED = 1000
"""So many drafts are remembered with their topics."""
RICH_REFUSALS = 3
"""A rich draft may be refused for what it holds just then: after so many in a row the answer goes on without."""


class DraftMode(StrEnum):
    """How drafts are shown."""

    OFF = "off"
    PLAIN = "plain"
    RICH = "rich"


_METHODS = {DraftMode.PLAIN: "sendMessageDraft", DraftMode.RICH: "sendRichMessageDraft"}
_NEXT_BEST = {DraftMode.RICH: DraftMode.PLAIN}


class Drafts:
    """Shows drafts as far as the server knows them.

    Attributes:
        mode: As it is wanted, or what is left of it: a server that does not know a method is not asked again.
    """

    def __init__(self, mode: DraftMode) -> None:
        self.mode = mode
        self._topics: dict[int, str] = {}

    def topic_of(self, number: int) -> str:
        """Return the topic in which a draft was shown, empty if in none: the server does not say it of a stopped one."""
        return self._topics.get(number, "")

    async def show(self, api: Api, target: Target, page: Page, number: int) -> None:
        """Show a page as the draft with this number.

        Raises:
            PlatformError: It was not shown; a draft may be repeated.
        """
        mode = self.mode
        if mode is DraftMode.OFF:
            raise RefusedError(Refusal.BAD_REQUEST, "drafts are off")
        self._remember(number, target.chat.thread)
        parameters = {
            **place(target),
            "draft_id": number,
            **_content(mode, page),
            "can_stop": True,
            "keep_on_stop": True,  # until the message with the text so far takes its place
        }
        try:
            await api.call(_METHODS[mode], parameters)
        except InvalidToken:  # the token was good when the bot logged in: 404 is what a server says to a method that it does not know
            self.mode = _NEXT_BEST.get(mode, DraftMode.OFF)
            log.warning("this Bot API server does not know %s drafts; from now on: %s", mode, self.mode)
            raise RefusedError(Refusal.BAD_REQUEST, f"the server does not know {mode} drafts") from None
        except TelegramError as error:
            raise platform_error(error, repeatable=True) from error

    def _remember(self, number: int, topic: str) -> None:
        if topic and number not in self._topics:
            self._topics[number] = topic
            while len(self._topics) > REMEMBERED:
                del self._topics[next(iter(self._topics))]


def _content(mode: DraftMode, page: Page) -> dict[str, Any]:
    return {"rich_message": rich_message(page)} if mode is DraftMode.RICH else {"text": page.text, "entities": entities(page)}
