"""What a command is. Declared once; both platforms derive their menus from the declarations."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from adapters.base import ErrorKind, Provider
from bot.catalogue import Catalogue
from bot.model import Button, ChatAddress, Incoming, Sender
from bot.preferences import Choice, Preferences
from bot.usage import Accounting
from storage.base import Store


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command says.

    Attributes:
        text: Markdown.
        note: If a button called, it is a word to the person who pressed it, and no message where the platform can say it otherwise.
        shows: The turn whose answer is to be shown as it is stored by now.
        chose: What the command was to choose is chosen (see `Command.choice`).
    """

    text: str
    buttons: tuple[tuple[Button, ...], ...] = ()
    note: bool = False
    shows: int | None = None
    chose: bool = False


Cooling: TypeAlias = Callable[[str, str], tuple[float, ErrorKind] | None]
"""Tells of a provider and a model for how many seconds more it is asked last, and what for; None: it is not."""


def _nobody_cools(_provider: str, _model: str) -> None:
    return None


async def _anybody() -> bool | None:
    return True


def _nothing_at_hand(conversation: int) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Context:
    """What a command or a completion may use.

    Attributes:
        conversation: Id of the conversation it was called in.
        event: Id of the event that called; 0 for a completion.
        providers: By name, in the order people see them.
        arguments: The call's arguments: option name → text, stripped, without empty ones.
        sender: Who called; None for a completion.
        reply_to: The message that the call was written as a reply to.
        turn: The turn under whose answer the button stands that called; None for a call that was written. Unchecked: it may be of another
            conversation.
        cooling: Who is left alone for a while.
        accounting: What questions used; None for a completion.
        let_go: Drops from memory what is at hand of a conversation.
        administers: Tells whether who called administers the place; None if that can't be found out now.
    """

    store: Store
    preferences: Preferences
    catalogue: Catalogue
    providers: Mapping[str, Provider]
    chat: ChatAddress
    server: str | None
    conversation: int
    event: int
    arguments: Mapping[str, str]
    sender: Sender | None = None
    turn: int | None = None
    cooling: Cooling = _nobody_cools
    accounting: Accounting | None = None
    reply_to: str | None = None
    administers: Callable[[], Awaitable[bool | None]] = _anybody
    let_go: Callable[[int], None] = _nothing_at_hand

    async def choice(self) -> Choice:
        """Return what holds in this conversation."""
        return await self.preferences.of(self.conversation, self.chat, self.server)


DEFAULT = "default"
"""The word that takes back what was set."""


def takes_back(word: str) -> bool:
    """Tell whether somebody wants a setting taken back to its default. Quotation marks around the word, as in the help, don't count."""
    return word.strip("“”„\"'`").lower() in {DEFAULT, "reset"}


Run: TypeAlias = Callable[[Context], Awaitable[Answer | None]]
Complete: TypeAlias = Callable[[Context, str], Awaitable[Sequence[str]]]


@dataclass(frozen=True, slots=True)
class Option:
    """An argument of a command.

    Attributes:
        name: 1-32 characters of a-z, 0-9, ``_`` (the tighter of both platforms).
        description: At most 100 characters.
        usage: How the help writes it; empty: its name in capitals.
        complete: Suggests values for what was typed so far, best first. What is suggested binds nobody: `Command.run` checks again.
    """

    name: str
    description: str
    required: bool = False
    complete: Complete | None = None
    usage: str = ""


@dataclass(frozen=True, slots=True)
class Command:
    """A slash command.

    Attributes:
        name: 1-32 characters of a-z, 0-9, ``_``.
        description: At most 100 characters.
        run: Carries it out. None for the answer: nothing needs to be said.
        options: In order; where a platform has only text, the words bind to them in order and the last one takes the rest.
        asks: The text of its first option is a question to the model: it becomes a turn and `run` is not called.
        private: The answer is of use to the asker alone.
        button: A button may call it, with its data as ``name:first argument``.
        turn: The button's argument is the turn under whose answer it stands, which it has to name, and behind a stroke its first option.
        urgent: It is carried out at once, also beside other commands of the conversation.
        changes: What it sets holds for every question after it: these wait until it is set.
        choice: What it chooses, once all its options are given (of several the first one says which of them). A later choice of the same
            holds, also if this one is carried out after it. None: it chooses nothing that a later one undoes.
        within: What that is part of: a later choice of it overtakes this one, too.
    """

    name: str
    description: str
    run: Run | None
    options: tuple[Option, ...] = ()
    asks: bool = False
    private: bool = False
    button: bool = False
    turn: bool = False
    urgent: bool = False
    changes: bool = False
    choice: str | None = None
    within: str | None = None

    def bind(self, text: str) -> dict[str, str]:
        """Bind the words after a command to its options, the last option taking the rest."""
        values: dict[str, str] = {}
        rest = text.strip()
        for place, option in enumerate(self.options):
            if not rest:
                break
            if place == len(self.options) - 1:
                values[option.name] = rest
                break
            word, *more = rest.split(maxsplit=1)
            values[option.name] = word
            rest = more[0] if more else ""
        return values


class Menu(Protocol):
    """What a platform needs to know of the commands."""

    commands: Sequence[Command]

    async def complete(self, chat: ChatAddress, server: str | None, command: str, option: str, text: str) -> Sequence[str]:
        """Suggest values for an option, best first; never fails, an unknown command or option has none."""
        ...


def question_of(commands: Sequence[Command], incoming: Incoming) -> str | None:
    """Return what an event asks the model: a message's text or the first argument of an asking command; None if it asks nothing."""
    if incoming.command is None:
        return incoming.text or None
    for command in commands:
        if command.name == incoming.command.name and command.asks:
            return incoming.command.arguments.get(command.options[0].name, "").strip() or None
    return None
