"""The growing text of an answer as a list of pages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from bot import texts
from bot.model import Button, File, Page
from bot.render.base import Rendered, Style
from bot.render.folded import Folded
from bot.render.pager import Pager
from bot.render.text import clean, is_blank

ROOMY = 10
"""A message that holds less than so many of the outbox's labels, as in tests, is left as long as it is."""
Buttons = tuple[tuple[Button, ...], ...]

FILE_NAME, FILE_TYPE = "answer.md", "text/markdown"


@dataclass(frozen=True, slots=True)
class Filing:
    """When an answer becomes a file.

    Attributes:
        pages: It shows so many pages before; 0: it never does.
        most_bytes: Largest file that the platform takes.
    """

    pages: int = 0
    most_bytes: int = 0


NEVER = Filing()


class Reply:
    """Text that grows, and the pages it makes.

    Appending is cheap; pages are rendered when somebody asks for them. Controls stand under the last page only: `buttons` while it grows.
    What the model says to itself can stand folded above the answer until that begins; it is no part of the text. A long answer may show
    its first pages only, and the whole of it, as Markdown, in a file with the last page.

    Attributes:
        withholds: More has been said than is shown, and more may come.
    """

    def __init__(self, style: Style, buttons: Buttons = (), *, filing: Filing = NEVER) -> None:
        style = _roomy(style)
        self.withholds = False
        self._style = style
        self._filing = filing if filing.pages and filing.most_bytes else NEVER
        self._file: File | None = None
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
        if not self._begun:
            self._begun = not is_blank(text)

    def think(self, text: str) -> bool:
        """Add what the model said to itself next; False if that stays out because the answer has begun."""
        if not self._begun:
            self._thoughts.append(text)
            self._thought = True
        return not self._begun

    @property
    def may_withhold(self) -> bool:
        """It shows its first pages only, if there will be many."""
        return self._filing.pages > 0

    def without_file(self) -> bool:
        """Give the whole text in pages; False if it has been given so already."""
        filed, self._filing = self.may_withhold, NEVER
        return filed

    def anew(self) -> None:
        """Somebody else answers: what was thought so far is not what led to the text."""
        self._thoughts = Folded(self._style, texts.REASONING_SIGN)
        self._thought = True

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
        if (filed := self._filed()) is not None:
            return self._with_buttons(filed)
        return self._with_buttons(_pages(self._pager.pages(self.text, final=self._final, note=self._note)))

    def _filed(self) -> list[Page] | None:
        """Return the first pages, and once all is said a page with the file; None if all of the text is shown as pages."""
        shown = self._filing.pages
        if not shown:
            return None
        rendered = self._pager.pages(self.text, final=self._final)
        self.withholds = len(rendered) > shown and not self._final
        if len(rendered) <= shown:
            return None
        if not self._final:
            return _pages(rendered[:shown])
        self._file = self._file or File(FILE_NAME, FILE_TYPE, clean(self.text).encode())
        if len(self._file.content) > self._filing.most_bytes:
            return None
        return [*_pages(rendered[:shown]), *self._file_pages(self._file)]

    def _file_pages(self, file: File) -> list[Page]:
        """Return the page with the file, and the note below if there is no room for it beside the file."""
        beside = _roomy(replace(self._style, limit=self._style.room(file=True)))
        whole = _pages(Pager(beside).pages("\n\n".join(filter(None, (texts.WHOLE_IN_FILE, self._note))), final=True))
        if len(whole) == 1:
            return [replace(whole[0], file=file)]
        first = _pages(Pager(beside).pages(texts.WHOLE_IN_FILE, final=True))
        return [replace(first[0], file=file), *_pages(Pager(self._style).pages(self._note, final=True))]

    def _with_buttons(self, pages: Sequence[Page]) -> tuple[Page, ...]:
        return tuple([*pages[:-1], replace(pages[-1], buttons=self._buttons)] if pages else ())


def _pages(rendered: Sequence[Rendered]) -> list[Page]:
    return [Page(page.text, page.entities) for page in rendered]


def _roomy(style: Style) -> Style:
    """Keep room on every page for the outbox to say that the page may stand in the chat twice."""
    room = style.measure(Rendered(f"\n\n{texts.POSSIBLY_REPEATED}"))
    return replace(style, limit=style.limit - room) if style.limit > ROOMY * room else style
