"""The verdict: what the chats show, held against what was asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import pairwise, takewhile

from bot import texts
from tests.crash.talk import Question, words_in

SIGN = "⚠️"
"""With which every sentence begins that tells of a failure."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A question put in a chat.

    Attributes:
        message: Id of the message that asked.
        slash: It is no message but a slash command, with the interaction's id.
        failing: It may end in a sentence that says what failed: its provider was made to fail.
    """

    chat: str
    question: Question
    message: str
    slash: bool = False
    failing: bool = False


@dataclass(frozen=True, slots=True)
class Said:
    """A message in a chat, in the order in which they stand there."""

    id: str
    mine: bool
    text: str

    @property
    def labelled(self) -> bool:
        return texts.POSSIBLY_REPEATED.strip("()") in self.text


@dataclass(slots=True)
class Verdict:
    """What was found, as question numbers.

    Attributes:
        lost: Nothing of the answer is there, nor a sentence that says why.
        twice: Two complete replies without a label.
        incomplete: Words are missing, or stand there again without a label.
        disorder: It was asked of the provider, or stands in the chat, behind a later question of its chat.
        labelled: A message made again says that it may stand there twice, and it does.
        overcautious: A message made again says so, and the first one never arrived.
        told: Not answered, and a sentence says why.
    """

    lost: list[int] = field(default_factory=list)
    twice: list[int] = field(default_factory=list)
    incomplete: list[int] = field(default_factory=list)
    disorder: list[int] = field(default_factory=list)
    labelled: list[int] = field(default_factory=list)
    overcautious: list[int] = field(default_factory=list)
    told: list[int] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.twice or self.incomplete or self.disorder)

    def __str__(self) -> str:
        return ", ".join(f"{item.name} {_list(getattr(self, item.name))}" for item in fields(self))


def _list(numbers: Sequence[int]) -> str:
    return f"{len(numbers)}" + (
        f" ({', '.join(f'q{number}' for number in numbers[:12])}{' …' if len(numbers) > 12 else ''})" if numbers else ""
    )


def judge(chats: Mapping[str, Sequence[Said]], asked: Iterable[Asked], first_asked: Sequence[int] = ()) -> Verdict:
    """Judge every question from what the chats show, and from the order in which the provider was first asked.

    What answers a slash command is left out of the order in the chat: Discord gives it its place when the command is acknowledged, before
    the answers that come first.
    """
    verdict = Verdict()
    by_chat: dict[str, list[Asked]] = {}
    for one in asked:
        by_chat.setdefault(one.chat, []).append(one)
    for chat, questions in by_chat.items():
        _judge_chat(verdict, list(chats[chat]), questions)
        numbers = {one.question.number for one in questions}
        verdict.disorder += _behind([number for number in first_asked if number in numbers])
    return verdict


def is_whole(messages: Iterable[Said], question: Question) -> bool:
    """Tell whether every word of an answer is somewhere in the bot's messages."""
    found = {place for message in messages if message.mine for place in words_in(message.text).get(question.number, ())}
    return len(found) == question.words


def is_told(messages: Sequence[Said], one: Asked) -> bool:
    """Tell whether the bot said after the question, and before the next one, that something failed."""
    after = next((place for place, message in enumerate(messages) if message.id == one.message), -1)
    replies = takewhile(lambda message: message.mine, messages[after + 1 :])
    return any(SIGN in message.text for message in replies)


def _judge_chat(verdict: Verdict, messages: Sequence[Said], questions: Sequence[Asked]) -> None:
    replies = [message for message in messages if message.mine]
    begun: list[tuple[int, int]] = []  # place of an answer's first message, number of its question
    for one in questions:
        number = one.question.number
        pages = [
            (place, message, words_in(message.text)[number]) for place, message in enumerate(replies) if number in words_in(message.text)
        ]
        kept, shadows = _without_shadows([(message, words) for _, message, words in pages])
        verdict.labelled += [number] * shadows
        verdict.overcautious += [number] * (sum(message.labelled for message, _ in kept) - shadows)
        whole = list(range(one.question.words))
        shown = [word for _, words in kept for word in words]
        if one.failing and shown != whole and is_told(messages, one):
            verdict.told.append(number)
            if len(shown) != len(set(shown)):
                verdict.incomplete.append(number)
        elif not shown:
            verdict.lost.append(number)
        elif shown != whole:
            (verdict.twice if min(shown.count(word) for word in whole) > 1 else verdict.incomplete).append(number)
        if pages and not one.slash:
            begun.append((pages[0][0], number))
    verdict.disorder += _behind([number for _, number in sorted(begun)])


def _behind(numbers: Sequence[int]) -> list[int]:
    return [number for earlier, number in pairwise(numbers) if number < earlier]


def _without_shadows(pages: Sequence[tuple[Said, list[int]]]) -> tuple[list[tuple[Said, list[int]]], int]:
    """Leave out messages that a labelled one repeats, each with a partner of its own; return the others and how many were left out."""
    kept = list(pages)
    shadows = 0
    for again, words in [page for page in pages if page[0].labelled]:
        for page in kept:
            if not page[0].labelled and page[1] == words[: len(page[1])] and page[0] is not again:
                kept.remove(page)
                shadows += 1
                break
    return kept, shadows
