"""What has come of one answer so far, and what its end means."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.base import (
    Alternatives,
    Billed,
    ErrorKind,
    Event,
    Finished,
    FinishReason,
    ProviderError,
    ReasoningDelta,
    Scope,
    TextDelta,
    Usage,
)
from adapters.openai_wire import Piece, finish_reason
from adapters.thinking import TAGS, ThinkSplitter, split_whole

ANSWER_CHARS = 2 * 1024 * 1024
"""Most characters of one streamed answer, reasoning included: as much as a body that is read whole may have (`adapters.http.BODY_BYTES`).
The longest answer that any model in the vendors' lists can give has a quarter of that."""
_FAILED = "error"
"""The word for an answer that ended with an error."""


class Answer:
    """Collects the pieces of one answer.

    Args:
        inside: The answer starts inside a block of reasoning.
        tags: What encloses such a block; None for none.
        trim: Drop blanks before the first word: completions start with the blank that follows "ASSISTANT:".

    Attributes:
        visible: Text that is more than blanks was given out.
        begun: Text that is more than blanks, or reasoning, was given out.
        finish: The provider's first word for why it ended, "" until then.
        size: Characters that were given out, reasoning included.
    """

    def __init__(self, *, inside: bool = False, tags: tuple[str, str] | None = TAGS, trim: bool = False) -> None:
        self.visible = False
        self.begun = False
        self.finish = ""
        self.size = 0
        self._inside = inside
        self._tags = tags
        self._trim = trim
        self._refused = False
        self._reasoned = False
        self._tool = False
        self._usage: Usage | None = None
        self._splitter = ThinkSplitter(inside=inside, tags=tags)

    def take(self, piece: Piece) -> list[Event]:
        """Return the events of one piece."""
        text, reasoning = self._splitter.feed(piece.text) if piece.text else ("", "")
        return self._add(piece, text, reasoning)

    def take_text(self, text: str) -> list[Event]:
        """Return the events of text that comes with nothing else. Not blank, as nearly every piece of an answer that has begun."""
        if self.visible and self._splitter.passes(text):
            self.size += len(text)
            return [TextDelta(text)]
        return self.take(Piece(text))

    def take_whole(self, piece: Piece, others: Sequence[Piece] = ()) -> list[Event]:
        """Return the events of a whole answer, and of other answers to the same question.

        Another one counts if it says anything and did not end with an error. If the first does not, the next that does stands for it.
        """
        good = [(text, other) for other in others if other.finish.lower() != _FAILED and (text := self._other(other))]
        if good and (piece.finish.lower() == _FAILED or not self._other(piece)):
            piece = good.pop(0)[1]._replace(usage=piece.usage)
        events = self._add(piece, *self._split(piece.text))
        ends = tuple(_finished(other.finish, refused=bool(other.refusal), tool=other.tool) for _, other in good)
        return [*events, Alternatives(tuple(text for text, _ in good), ends)] if good else events

    def _other(self, piece: Piece) -> str:
        return f"{self._split(piece.text)[0]}{piece.refusal}".strip()

    def _split(self, text: str) -> tuple[str, str]:
        return split_whole(text, inside=self._inside, tags=self._tags)

    def flush(self) -> list[Event]:
        """Return what the splitter still holds."""
        return self._add(Piece(), *self._splitter.end())

    def _add(self, piece: Piece, text: str, reasoning: str) -> list[Event]:
        self.finish = self.finish or piece.finish
        self._usage = piece.usage or self._usage  # on every chunk it is cumulative: the last one holds
        self._refused = self._refused or bool(piece.refusal)
        self._tool = self._tool or piece.tool
        text += piece.refusal
        if self._trim and not self.visible:
            text = text.lstrip()
        events: list[Event] = []
        if reasoning := piece.reasoning + reasoning:
            self._reasoned = True
            events.append(ReasoningDelta(reasoning))
        if text:
            self.visible = self.visible or not text.isspace()
            events.append(TextDelta(text))
        self.begun = self.begun or bool(reasoning) or self.visible
        self.size += len(text) + len(reasoning)
        return events

    @property
    def full(self) -> bool:
        """It has reached the cap on its length: what is sent without end is not read on."""
        return self.size > ANSWER_CHARS

    def end(self, *, said_done: bool, cut: bool) -> list[Event]:
        """Return the last events: usage and `Finished`.

        Args:
            said_done: ``[DONE]`` came, or the body was whole.
            cut: The connection broke.

        Raises:
            ProviderError: There is no whole answer.
        """
        self.finish = self.finish or (FinishReason.LENGTH if self.full else "")
        proven = bool(self.finish) or said_done
        if self.finish.lower() == _FAILED:
            raise self._failed(ErrorKind.SERVER, "the model ended with an error", Scope.PROVIDER)
        if not self.visible:
            raise self._nothing(proven=proven, cut=cut)
        if cut and not proven:
            raise self._failed(ErrorKind.INCOMPLETE, "the connection was cut")
        events: list[Event] = [self._usage] if self._usage else []
        return [*events, _finished(self.finish, refused=self._refused, complete=proven, tool=self._tool)]

    def _nothing(self, *, proven: bool, cut: bool) -> ProviderError:
        if not proven and cut:
            return self._failed(ErrorKind.SERVER, "the connection was cut before any text", Scope.PROVIDER)
        if not proven:
            return self._failed(ErrorKind.PROTOCOL, "the answer ended without text and without a reason")
        reason = finish_reason(self.finish)
        if reason is FinishReason.CONTENT_FILTER:
            return self._failed(ErrorKind.CONTENT_FILTER, "the answer was withheld")
        if reason is FinishReason.LENGTH:
            detail = "the token limit was used up before any text, by hidden reasoning as a rule"
            return ProviderError(ErrorKind.EMPTY, detail, status=200, billed=Billed.MAYBE, at_cap=True)
        if self._tool:
            detail = "it asked for a tool to be run, and was offered none"
            return ProviderError(ErrorKind.EMPTY, detail, status=200, billed=Billed.MAYBE, wanted_tool=True)
        return self._failed(ErrorKind.EMPTY, "only reasoning, no text" if self._reasoned else "no text")

    def _failed(self, kind: ErrorKind, detail: str, scope: Scope = Scope.REQUEST) -> ProviderError:
        return ProviderError(kind, detail, status=200, billed=Billed.MAYBE, scope=scope, in_stream=self.visible)


def _finished(finish: str, *, refused: bool, complete: bool = True, tool: bool = False) -> Finished:
    reason = FinishReason.CONTENT_FILTER if refused else finish_reason(finish)
    return Finished(reason=reason, raw_reason=finish or None, complete=complete, wanted_tool=tool)


def joined(events: Sequence[Event]) -> list[Event]:
    """Return the events with neighbours of text, or of reasoning, made one."""
    made: list[Event] = []
    for event in events:
        last = made[-1] if made else None
        if isinstance(event, TextDelta) and isinstance(last, TextDelta):
            made[-1] = TextDelta(last.text + event.text)
        elif isinstance(event, ReasoningDelta) and isinstance(last, ReasoningDelta):
            made[-1] = ReasoningDelta(last.text + event.text)
        else:
            made.append(event)
    return made
