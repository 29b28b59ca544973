"""The growing text of an answer as a list of pages."""

from __future__ import annotations

from dataclasses import replace

from bot import texts
from bot.model import Button, Page
from bot.render.base import Rendered, Style
from bot.render.folded import Folded
from bot.render.pager import Pager
from bot.render.text import is_blank

ROOMY = 10
"""A message that holds less than so many of the outbox's labels, as in tests, is left as long as it is."""
Buttons = tuple[tuple[Button, ...], ...]


class Reply:
    """Text that grows, and the pages it makes.

    Appending is cheap; pages are rendered when somebody asks for them. Controls stand under the last page only: `buttons` while it grows.
    What the model says to itself can stand folded above the answer until that begins; it is no part of the text.
    """

    def __init__(self, style: Style, buttons: Buttons = ()) -> None:
        style = _roomy(style)
        self._pager = Pager(style)
        self._thoughts = Folded(style, texts.REASONING_SIGN)
        self._thought = False
        self._begun = False
        self._parts: list[str] = []
        self._markdown = ""
        self._note = ""
        self._final = False
        self._buttons = buttons

    @property
    def text(self) -> str:
        """All that the model said so far, as Markdown."""
        if self._parts:
            self._markdown += "".join(self._parts)
            self._parts.clear()
        return self._markdown

    def append(self, text: str) -> None:
        """Add what the model said next."""
        self._parts.append(text)
        self._begun = self._begun or not is_blank(text)

    def think(self, text: str) -> bool:
        """Add what the model said to itself next; False if that stays out because the answer has begun."""
        if not self._begun:
            self._thoughts.append(text)
            self._thought = True
        return not self._begun

    def end(self, note: str = "", buttons: Buttons = ()) -> None:
        """Nothing more comes. `note` is the bot's own Markdown below the text, `buttons` stand under the last page.

        What the model said to itself goes if it came to no answer.
        """
        if not self._begun:
            self._thought = False
            self._pager.put_above(())
        self._note, self._buttons, self._final = note, buttons, True

    def pages(self) -> tuple[Page, ...]:
        """Return the pages as they should look now; none while there is no visible text."""
        if self._thought:
            self._thought = False
            self._pager.put_above(self._thoughts.blocks())
        rendered = self._pager.pages(self.text, final=self._final, note=self._note)
        last = len(rendered) - 1
        return tuple(Page(page.text, page.entities, self._buttons if index == last else ()) for index, page in enumerate(rendered))


def _roomy(style: Style) -> Style:
    """Keep room on every page for the outbox to say that the page may stand in the chat twice."""
    room = style.measure(Rendered(f"\n\n{texts.POSSIBLY_REPEATED}"))
    return replace(style, limit=style.limit - room) if style.limit > ROOMY * room else style
