"""What a model is shown of a conversation. No more of its past is read than its window can hold, and what is at hand of it not again."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.base import Capabilities, Message
from bot import sight, transcript
from bot.attachments import Attachments, Note, asks
from bot.course import Course
from bot.past import Excerpt, Past, Pasts
from bot.preferences import Choice
from bot.usage import chosen_cap
from storage.base import Entry, Store, Turn

CHARS_PER_TOKEN = 4
"""So many characters of stored content are read for each token that there is room for: English has three, and some are not text."""
FURTHER = 4
"""Where that does not fill the window, so many times as many are read."""


class History:
    """Reads the past of conversations.

    Args:
        store: Where it is.
        attachments: Reads the files of questions.
        pasts: What is at hand of it.
    """

    def __init__(self, store: Store, attachments: Attachments, pasts: Pasts) -> None:
        self._store = store
        self._attachments = attachments
        self._pasts = pasts

    async def messages(
        self, course: Course, choice: Choice, capabilities: Capabilities, *, ratio: float = 1.0
    ) -> tuple[Message, ...] | None:
        """Return what is sent of a conversation; what is to be said of the question's files is noted.

        Args:
            course: Whose question is asked.
            choice: Who is asked.
            capabilities: Of the chosen model.
            ratio: What it counts for an estimated token.

        Returns:
            Oldest first; None if another worker has taken the turn.

        Raises:
            NothingToAskError: Nothing of the question can be shown to the model.
        """
        cap = chosen_cap(choice) or capabilities.max_output_tokens
        room = transcript.room(choice.persona, capabilities.context_tokens, cap, ratio=ratio)
        perhaps = sight.sees(capabilities, choice) is not False
        chars = max(room, 1) * CHARS_PER_TOKEN
        while await self._bring(course, chars):
            assert course.brought is not None
            assert course.past is not None
            window = capabilities.context_tokens
            older = course.past.pictured()
            blind = _why_blind(course, choice, capabilities)
            shown = self._attachments.shown
            seen = await shown(course.brought, older, choice=choice, where=course.where, sees=perhaps, window=window, blind=blind)
            course.notes = seen.notes
            kept, full = course.past.newest(seen.question, seen.pictures, room)
            if full or course.whole:
                return kept
            chars *= FURTHER
        return None

    async def _bring(self, course: Course, chars: int) -> bool:
        """Have so much of the past at hand. The question's files are read once, whoever is asked. False: the turn is another worker's."""
        if course.brought is not None and (course.whole or chars <= course.reach):
            return True
        course.past, question = await self._read(course.turn, chars)
        course.whole = course.past.count + len(question) >= transcript.ENTRIES_READ or chars > course.past.chars
        course.reach = chars
        if course.brought is None:
            course.brought = await self._attachments.read(course.turn, question)
        return course.brought is not None

    async def _read(self, turn: Turn, chars: int) -> tuple[Excerpt, Sequence[Entry]]:
        """Return what `Store.transcript` gives for so many characters: what was said before the question, and the question."""
        kept = self._pasts.get(turn.conversation)
        if kept is not None:
            newer = await self._store.transcript_since(turn, kept.place, kept.revision, transcript.ENTRIES_READ)
            if newer is not None:
                before, question = _parted(newer, turn)
                past = kept.then(before, turn.seq - 1)
                if (excerpt := past.read(chars, transcript.ENTRIES_READ - len(question))) is not None:
                    self._pasts.put(turn.conversation, past)
                    return excerpt, question
        entries = await self._store.transcript(turn, transcript.ENTRIES_READ, chars=chars)
        before, question = _parted(entries, turn)
        whole = len(entries) < transcript.ENTRIES_READ and chars > sum(len(entry.content) for entry in before)
        past = Past.of(before, turn.seq - 1, turn.revision, whole=whole)
        if kept is None or kept.place < turn.seq:  # not a parked question that is asked again, behind which others were answered
            self._pasts.put(turn.conversation, past)
        return Excerpt(past, 0), question


def _parted(entries: Sequence[Entry], turn: Turn) -> tuple[list[Entry], list[Entry]]:
    """Return what was said before a turn's question, and the question, which comes last."""
    count = len(entries)
    while count and asks(entries[count - 1], turn):
        count -= 1
    return list(entries[:count]), list(entries[count:])


def _why_blind(course: Course, choice: Choice, capabilities: Capabilities) -> Note | None:
    """Return what is to be said of pictures that are not shown where choosing another model would not help; None: it would."""
    if choice != course.choices[0]:
        return ["unseen_instead", choice.model]
    return None if capabilities.images is False else ["unseen_endpoint", choice.model]
