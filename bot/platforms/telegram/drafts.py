"""Drafts: `sendMessageDraft` shows a private chat the text of a message that is still being written.

Source: Bot API, sendMessageDraft, 10.3 for the Stop button. python-telegram-bot 22.8 knows the method of 10.0, without the button.
"""

from __future__ import annotations

import logging

from telegram.error import InvalidToken, TelegramError

from bot.model import Page, Target
from bot.platforms.base import Refusal, RefusedError
from bot.platforms.telegram.api import Api
from bot.platforms.telegram.egress import entities, place
from bot.platforms.telegram.errors import platform_error

log = logging.getLogger(__name__)


REMEMBERED = 1000
"""So many drafts are remembered with their topics."""


class Drafts:
    """Shows drafts until the server turns out not to know them.

    Attributes:
        on: They are wanted, and the server knows them as far as has been seen.
    """

    def __init__(self, *, on: bool) -> None:
        self.on = on
        self._topics: dict[int, str] = {}

    def topic_of(self, number: int) -> str:
        """Return the topic in which a draft was shown, empty if in none: the server does not say it of a stopped one."""
        return self._topics.get(number, "")

    async def show(self, api: Api, target: Target, page: Page, number: int) -> None:
        """Show a page as the draft with this number.

        Raises:
            PlatformError: It was not shown; a draft may be repeated.
        """
        parameters = {
            **place(target),
            "draft_id": number,
            "text": page.text,
            "entities": entities(page),
            "can_stop": True,
            "keep_on_stop": True,  # until the message with the text so far takes its place
        }
        try:
            self._remember(number, target.chat.thread)
            await api.call("sendMessageDraft", parameters)
        except InvalidToken:  # the token was good when the bot logged in: 404 is what a server says to a method that it does not know
            self.on = False
            log.warning("this Bot API server does not know drafts: answers grow by edits")
            raise RefusedError(Refusal.BAD_REQUEST, "the server does not know drafts") from None
        except TelegramError as error:
            raise platform_error(error, repeatable=True) from error

    def _remember(self, number: int, topic: str) -> None:
        if topic and number not in self._topics:
            self._topics[number] = topic
            while len(self._topics) > REMEMBERED:
                del self._topics[next(iter(self._topics))]
