"""A turn on its way: what it has heard, from whom, and what is reserved for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from adapters.base import Alternatives, ErrorKind, Finished, ReasoningDelta, TextDelta, Usage
from bot import transcript
from bot.attachments import Brought, Note
from bot.model import Incoming
from bot.outbox import Delivery
from bot.past import Excerpt
from bot.preferences import Choice, Where
from bot.reply import Reply
from bot.usage import Expected, RefusedError
from storage.base import Turn

NO_OTHERS = Alternatives(())


@dataclass(slots=True)
class Course:
    """A turn on its way.

    Attributes:
        choices: Who is asked: what was chosen, then who answers in its place.
        asked: Whose answer the text is.
        passed: Why others did not answer: place among the choices → kind of the error.
        others: Further answers to the question, and how each ended.
        forget: Providers whose memory of the conversation is not known any more if the turn does not end well.
        asked_before: A crash came after a provider may have been asked, or one that failed may have billed it: what it cost may be more
            than is heard of.
        expected: What is reserved for it; None: nothing since it was claimed.
        thoughts: What the model said to itself.
        past: What was said before the question, as far as it was read.
        reach: So many characters of what was said before the question were asked for.
        whole: Nothing older than what is at hand would be sent.
        trimmed: Older messages were left out because the model had refused the whole.
        refused: Why one of the fallbacks was not asked.
    """

    turn: Turn
    incoming: Incoming
    reply: Reply
    delivery: Delivery
    choices: tuple[Choice, ...] = ()
    asked: int = 0
    passed: Mapping[int, ErrorKind] = field(default_factory=dict)
    others: Alternatives = NO_OTHERS
    forget: tuple[str, ...] = ()
    answered: bool = False
    asked_before: bool = False
    finished: Finished | None = None
    usage: Usage | None = None
    brought: Brought | None = None
    past: Excerpt | None = None
    reach: int = 0
    whole: bool = False
    notes: tuple[Note, ...] = ()
    expected: Expected | None = None
    thoughts: list[str] = field(default_factory=list)
    trimmed: bool = False
    refused: RefusedError | None = None

    @property
    def said(self) -> str | None:
        """The partial answer as transcript content, None if there is none."""
        return transcript.content(self.reply.text) if self.reply.text.strip() else None

    @property
    def where(self) -> Where:
        """Where what is chosen for it holds."""
        return self.turn.conversation, self.turn.chat, self.incoming.server

    @property
    def choice(self) -> Choice:
        """Who is being asked."""
        return self.choices[self.asked]

    def ask(self, place: int, passed: Mapping[int, ErrorKind]) -> None:
        """Begin with another choice: nothing of the one before stays."""
        self.trimmed = self.trimmed and place == self.asked
        self.asked, self.passed, self.usage, self.others, self.thoughts = place, passed, None, NO_OTHERS, []
        asked = self.choice.provider, self.choice.model
        self.delivery.expect(((self.turn.conversation, *asked), asked))
        self.forget = tuple(dict.fromkeys((*self.forget, self.choice.provider)))
        if passed:
            self.reply.anew()

    def reword(self) -> None:
        """The question has other words by now: it is read anew, and no job answers it."""
        self.turn = replace(self.turn, handle=None)
        self.brought, self.past, self.reach, self.whole, self.notes = None, None, 0, False, ()

    def keep(self, told: Finished | Usage | Alternatives) -> None:
        """Take what is told beside the text."""
        match told:
            case Finished():
                self.finished = told
            case Usage():
                self.usage = told
            case Alternatives():
                self.others = told

    def hear(self, said: TextDelta | ReasoningDelta) -> bool:
        """Take what the model says. True if it changes what is to be seen."""
        if isinstance(said, ReasoningDelta):
            self.thoughts.append(said.text)
            return self.choice.reasoning and self.reply.think(said.text)
        self.reply.append(said.text)
        return True
