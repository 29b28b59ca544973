"""What a model is shown of a conversation. No more of its past is read than its window can hold."""

from __future__ import annotations

from dataclasses import replace

from adapters.base import Capabilities, Message
from bot import transcript
from bot.attachments import Attachments, asks
from bot.course import Course
from bot.preferences import Choice
from bot.usage import chosen_cap
from storage.base import Store

CHARS_PER_TOKEN = 4
"""So many characters of stored content are read for each token that there is room for: English has three, and some are not text."""
FURTHER = 4
"""Where that does not fill the window, so many times as many are read."""


class History:
    """Reads the past of conversations.

    Args:
        store: Where it is.
        attachments: Reads the files of questions.
    """

    def __init__(self, store: Store, attachments: Attachments) -> None:
        self._store = store
        self._attachments = attachments

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
        sees = capabilities.images is not False and choice.parameters.get("endpoint") != "completion"  # which takes text alone
        chars = max(room, 1) * CHARS_PER_TOKEN
        while await self._bring(course, chars):
            assert course.brought is not None
            window = capabilities.context_tokens
            seen = await self._attachments.shown(course.turn, course.brought, model=choice.model, sees=sees, window=window)
            course.notes = seen.notes
            conversation = transcript.messages(seen.entries, seen.pictures)
            kept, full = transcript.newest(conversation, room)
            if full or course.whole:
                return kept
            chars *= FURTHER
        return None

    async def _bring(self, course: Course, chars: int) -> bool:
        """Have so much of the past at hand. The question's files are read once, whoever is asked. False: the turn is another worker's."""
        if course.brought is not None and (course.whole or chars <= course.reach):
            return True
        entries = await self._store.transcript(course.turn, transcript.ENTRIES_READ, chars=chars)
        course.whole = len(entries) >= transcript.ENTRIES_READ or chars > sum(
            len(entry.content) for entry in entries if not asks(entry, course.turn)
        )
        course.reach = chars
        if course.brought is None:
            course.brought = await self._attachments.read(course.turn, entries)
        else:
            before = [entry for entry in entries if not asks(entry, course.turn)]
            question = [entry for entry in course.brought.entries if asks(entry, course.turn)]
            course.brought = replace(course.brought, entries=[*before, *question])
        return course.brought is not None
