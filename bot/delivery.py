"""A reply on its way: what is wanted, what is visible, and the next step between them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from bot import texts
from bot.drafts import Draft
from bot.lengths import Ahead, Lengths, ahead
from bot.model import Page, Target
from bot.platforms.base import Call, Refusal
from bot.render.base import Rendered, Style
from storage.base import Owner

ALIGN_SECONDS = 0.075
"""An update that is due waits so long for a token that is expected. Found in virtual time: it is worth 3 to 5 % of the staleness."""
ALIGN_SLACK = 0.6
"""A token may be late by this share of the mean gap before it is no longer waited for."""
LONG_WAIT_SECONDS = 10.0
"""A wait that the platform ordered and that is as long as this is told to the reader."""
PLAINEST = 2
"""How far formatting is given up for a page that is refused with it: 1 without entities, 2 without buttons, too."""


_NO_FILES = frozenset({Refusal.FORBIDDEN, Refusal.BAD_REQUEST, Refusal.TOO_LONG})
"""Why a page with a file may be refused although its text would be taken: no right to send files, or too large a one."""


def _no_file() -> bool:
    return False


def _nothing() -> None:
    pass


class DeliveryError(Exception):
    """A reply can't be shown. `refusal` says why, where the platform did; `hopeless`: it was tried for hours."""

    def __init__(self, refusal: Refusal | None, detail: str, *, hopeless: bool = False) -> None:
        super().__init__(detail)
        self.refusal = refusal
        self.hopeless = hopeless


class Lane(Protocol):
    """What a delivery needs of its lane."""

    def wake(self) -> None:
        """Look again."""
        ...

    def remove(self, delivery: Delivery) -> None:
        """Forget a delivery."""
        ...

    def lull(self, delivery: Delivery) -> float:
        """Return for how many seconds what is new of a delivery may come unread."""
        ...

    async def quiet(self, delivery: Delivery) -> None:
        """Return once no call of a delivery is in flight."""
        ...

    def now(self) -> float:
        """Return the clock's seconds."""
        ...


class Pending:
    """The text that waits to be seen: how much, and the sum of the moments it came.

    Texts are weighed by their size, as one read of a stream brings one token or, in a crowd, a second's worth of them.
    """

    GAP_SHARE = 0.2
    """Weight of the newest gap between tokens in their mean."""

    def __init__(self) -> None:
        self.count = 0
        self.since = 0.0
        self.last = -math.inf
        self.gap = math.inf
        self._sum = 0.0

    def add(self, now: float, size: int = 1) -> None:
        """Text of so many characters came."""
        if not self.count:
            self.since = now
        gap, self.last = now - self.last, now
        self.gap = gap if self.gap == math.inf else self.gap + self.GAP_SHARE * (gap - self.gap)
        self.count += size
        self._sum += size * now

    def worth(self, now: float) -> float:
        """Return the size-seconds that it has waited."""
        return self.count * now - self._sum

    def take(self) -> tuple[int, float, float]:
        """Return what waits and count it as seen."""
        taken = self.count, self._sum, self.since
        self.count, self._sum = 0, 0.0
        return taken

    def put_back(self, taken: tuple[int, float, float]) -> None:
        """It was not seen after all."""
        count, total, since = taken
        if count:
            self.count, self._sum, self.since = self.count + count, self._sum + total, since


@dataclass(slots=True)
class Visible:
    """A page in the chat.

    Attributes:
        row: Of the store; None while the page has none.
        since: When the row was made, epoch seconds: no create of the page is older.
        page: What it shows; None while that is not known.
        tried: A create with its nonce may have been made already.
        doubtful: One may have arrived, and what a repeated one does has to be thought of first (bot/doubts.py).
        position: How far the history was searched for it, as the platform puts it.
        reads: How many parts of the history were read for it.
        failures: How many of them did not come.
        repeated: A create's outcome was lost and it is made once more: the page may stand in the chat twice and says so.
        recorded: `message_id` is stored.
        gone: Somebody deleted it.
        refused: The page that was refused while the reply grew; a different one may be taken.
        misfit: It can't become what is wanted: it is deleted, and another one made in its place.
        replaced: Its message is not there any more, or is left alone: another one is made, which has a row of its own.
        plainness: How much of its formatting was given up, 0 to `PLAINEST`.
    """

    row: int | None = None
    nonce: str = ""
    message_id: str | None = None
    since: float = 0.0
    page: Page | None = None
    tried: bool = False
    doubtful: bool = False
    position: str | None = None
    reads: int = 0
    failures: int = 0
    repeated: bool = False
    recorded: bool = True
    gone: bool = False
    misfit: bool = False
    replaced: bool = False
    refused: Page | None = None
    plainness: int = 0

    def give_place(self) -> None:
        """Have another message made in its place."""
        self.message_id, self.page, self.misfit, self.replaced = None, None, False, True


@dataclass(frozen=True, slots=True)
class Step:
    """The next call of a delivery. `page` is None for a delete; `more`: further pages are still to be made."""

    call: Call
    index: int
    page: Page | None
    more: bool = False


class Delivery:
    """Made by `Outbox.open`. `source` gives the wanted pages; it is asked only when a call is about to go out.

    Attributes:
        draft: Shows the page that still grows; None where growth is shown by edits.
        lengths: How long answers took lately.
        near: Called when its next call comes near: what came unread is wanted now.
        searches: The platform's history can be searched for a message that nobody knows of.
        without_file: Called when the chat refuses a file: True if the source gives the text in further pages instead.
    """

    def __init__(self, owner: Owner, target: Target, source: Callable[[], Sequence[Page]], lane: Lane, style: Style) -> None:
        self.owner = owner
        self.target = target
        self.visible: list[Visible] = []
        self.draft: Draft | None = None
        self.searches = False
        self.without_file: Callable[[], bool] = _no_file
        self.dirty = False
        self.closing = False
        self.not_before = -math.inf
        self.failures = 0
        self.failing_since = math.inf
        self.updated_at = -math.inf
        self.shown_at = math.inf
        self.ordered_wait = 0.0
        self.due_since: float | None = None
        self.lengths = Lengths()
        self.near: Callable[[], None] = _nothing
        self.pending = Pending()
        self._source = source
        self._lane = lane
        self._style = style
        self._kinds: Sequence[Hashable] = ()
        self._like: tuple[float, float] | None = None
        self._grew_at = math.inf
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def shown(self) -> bool:
        """Something of it is in the chat."""
        return any(page.message_id is not None for page in self.visible) or (self.draft is not None and self.draft.began)

    @property
    def began(self) -> bool:
        """Something of it is in the chat by this attempt; what an earlier one left there is not what it says."""
        return any(page.page is not None for page in self.visible) or (self.draft is not None and self.draft.began)

    def begun(self, index: int) -> bool:
        """Tell whether a page has a row that its next message may be made for."""
        return index < len(self.visible) and self.visible[index].row is not None and not self.visible[index].replaced

    def touch(self, size: int = 1) -> None:
        """Tell that the source has so many characters more. Cheap: called for every token."""
        now = self._lane.now()
        self._grew_at = min(self._grew_at, now)
        self.pending.add(now, size)
        if not self.dirty or self.due_since is not None:
            self.dirty = True
            self._lane.wake()

    def lull(self) -> float:
        """Return for how many seconds what is new may come unread: 0 up to the first text, and unless very many grow at once."""
        return 0.0 if self.closing or self.pending.last == -math.inf else self._lane.lull(self)

    def expect(self, kinds: Sequence[Hashable]) -> None:
        """Expect it to grow, from its next text on, for as long as the last ones of the first of these kinds of which enough are known."""
        self._kinds, self._like, self._grew_at = kinds, self.lengths.like(kinds), math.inf

    def learn(self) -> None:
        """Take note of how long it grew: its source has come to an end by itself."""
        self.lengths.learn(self._kinds, self.pending.last - self._grew_at)

    def ahead(self, now: float) -> Ahead | None:
        """Return when it is expected to end; None if nobody knows."""
        return ahead(self._like, max(0.0, now - self._grew_at))

    def patience(self, now: float) -> float:
        """Return the seconds for which the next token is worth waiting for: an update right after a token shows that one, too."""
        if self.due_since is None:
            self.due_since = now
        if self.pending.last >= self.due_since:
            return 0.0
        expected = self.pending.last + self.pending.gap
        if not now < expected + ALIGN_SLACK * self.pending.gap or expected > self.due_since + ALIGN_SECONDS:
            return 0.0
        return min(expected + ALIGN_SLACK * self.pending.gap, self.due_since + ALIGN_SECONDS) - now

    async def finish(self) -> None:
        """Bring the source's last word into the chat and return once all of it is visible.

        Raises:
            DeliveryError: It can't be shown.
        """
        self.closing = self.dirty = True
        self._lane.wake()
        await asyncio.shield(self._done)

    def hopeless(self) -> asyncio.Future[DeliveryError]:
        """Return what comes to hold why it can't be shown, once the platform has said so for good; never, if it may yet be.

        A token can be mended.
        """
        found: asyncio.Future[DeliveryError] = asyncio.get_running_loop().create_future()

        def look(done: asyncio.Future[None]) -> None:
            error = None if done.cancelled() else done.exception()
            if isinstance(error, DeliveryError) and error.refusal not in {None, Refusal.TOKEN} and not found.done():
                found.set_result(error)

        self._done.add_done_callback(look)
        return found

    def abandon(self) -> None:
        """Send nothing more; what is visible stays."""
        self._leave()
        if not self._done.done():
            self._done.cancel()

    async def abandoned(self) -> None:
        """Send nothing more, and return once the outcome of a call in flight is recorded: only then may the owner be delivered anew."""
        self.abandon()
        await self._lane.quiet(self)

    def settle(self, error: DeliveryError | None) -> None:
        """Take it out of its lane, whole or failed."""
        self._leave()
        if self._done.done():
            return
        if error is None:
            self._done.set_result(None)
        else:
            self._done.set_exception(error)
            self._done.exception()  # `finish` may never be awaited for a delivery that fails while it grows

    def _leave(self) -> None:
        self._lane.remove(self)
        self.near = _nothing  # which knows the delivery: the collector of such circles runs seldom

    def step(self) -> Step | None:
        """Compare wanted and visible; None if there is nothing to do."""
        wanted = self._source()
        for index, page in enumerate(wanted):
            if index >= len(self.visible):
                if self.draft is not None and not self.closing and index == len(wanted) - 1:
                    growing = self.draft.wants(page)
                    return Step(Call.DRAFT, index, growing) if growing else None
                return Step(Call.SEND, index, page)
            seen = self.visible[index]
            dressed = self._dress(seen, page, last=index == len(wanted) - 1)
            if seen.misfit or not (seen.gone or seen.page == dressed):
                return self._renewal(index, seen, dressed, more=len(wanted) > len(self.visible))
        if self.closing and wanted:
            for index in range(len(self.visible) - 1, len(wanted) - 1, -1):
                seen = self.visible[index]
                if seen.message_id is not None and not seen.gone:
                    return Step(Call.DELETE, index, None)
                if seen.doubtful and self.searches:
                    return Step(Call.SEARCH, index, None)  # it may stand there all the same
        return None

    def _renewal(self, index: int, seen: Visible, page: Page, *, more: bool) -> Step | None:
        if seen.misfit:
            return Step(Call.DELETE, index, None)
        if not self.closing and seen.refused == page:
            return None
        return Step(Call.SEND if seen.message_id is None else Call.EDIT, index, page, more=more)

    def refused(self, step: Step, reason: Refusal) -> bool:
        """Take note that the platform will not have a page; True if the delivery can go on all the same."""
        if step.call is Call.DRAFT:
            if self.draft is not None and not self.draft.refused(step.page):
                self.draft = None
            return True
        seen = self.visible[step.index]
        if step.page is not None and step.page.file is not None and reason in _NO_FILES and self.without_file():
            return True
        if step.call is Call.DELETE and seen.misfit:
            seen.give_place()  # it stays, and the new one comes below
        elif step.call is Call.EDIT and reason is Refusal.OTHER_KIND:
            seen.misfit = True
        elif reason is Refusal.GONE and self._was_there(step, seen):
            seen.give_place()
        elif step.call is Call.DELETE or (step.call is Call.EDIT and reason is Refusal.GONE):
            seen.gone = True  # deleted by somebody who wanted it away: it is not made again
        elif reason in {Refusal.BAD_REQUEST, Refusal.TOO_LONG} and not self.closing:
            seen.refused = step.page
        elif reason is Refusal.BAD_REQUEST and seen.plainness < PLAINEST:
            # Better without formatting, then without buttons, than not at all.
            seen.plainness = 1 if seen.plainness == 0 and step.page is not None and step.page.entities else PLAINEST
        else:
            return False
        return True

    @staticmethod
    def _was_there(step: Step, seen: Visible) -> bool:
        """Tell whether a message that is gone is one of an earlier attempt, which may have taken it away itself before it was killed."""
        return seen.page is None if step.call is Call.EDIT else step.call is Call.SEND and seen.tried

    def _dress(self, seen: Visible, page: Page, *, last: bool) -> Page:
        """Add what has to be said of the way the page took, where it fits, and leave out the formatting that was refused."""
        labels = [texts.POSSIBLY_REPEATED] if seen.repeated else []
        if last and self.ordered_wait >= LONG_WAIT_SECONDS:
            labels.append(texts.ordered_wait(self.ordered_wait))
        for label in labels:
            labelled = Rendered(f"{page.text}\n\n{label}", page.entities)
            if self._style.measure(labelled) <= self._style.room(file=page.file is not None):
                page = replace(page, text=labelled.text)
        if not self.closing or not seen.plainness:
            return page
        buttons = page.buttons if seen.plainness < PLAINEST else ()
        return replace(page, text=self._style.bare(page.text), entities=(), buttons=buttons)
