"""Every sentence the bot says in a chat, in one place. All are Markdown.

A sentence says what happened and what to do next.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from adapters.base import FinishReason
from bot.model import ChatKind, Incoming
from bot.render.text import escape

_LONGEST_IN_SECONDS, _LONGEST_IN_MINUTES, _LONGEST_IN_HOURS = 90, 90, 48
"""From here on the next larger unit reads better."""
_THOUSAND = 1000
_SENTENCE_ENDS = (".", "!", "?", "…", "。", "！", "？")  # noqa: RUF001 - Chinese and Japanese ones
_CLOSING = "\"'”’»)"  # noqa: RUF001 - the mark that closes a quotation


def chain(others: Sequence[str]) -> str:
    """Say who is asked where the chosen provider does not answer."""
    named = ", then ".join(f"**{escape(other)}**" for other in others)
    return f"If it does not answer: {named}" if others else "If it does not answer: nobody else is asked (/fallback)"


def fallback(others: Sequence[str], *, changed: bool, first: str | None = None) -> str:
    """Say the same after /fallback. `first` was named, too, and is the chosen provider."""
    when = ", from the next question on" if changed else "" if first is None else ", as before: nothing was changed"
    already = "" if first is None else f"**{escape(first)}** is the chosen provider already: it is asked first here (/provider). "
    if not others:
        who = "the chosen provider" if first is None else "it"
        return f"{already}Nobody else is asked where {who} does not answer{when}. `/fallback NAME NAME` names who is."
    named = ", then ".join(f"**{escape(other)}**" for other in others)
    return (
        f"{already}Where the chosen provider does not answer, {named} {'is' if len(others) == 1 else 'are'} asked{when}. "
        "`/fallback off` leaves nobody, `/fallback default` is the operator's choice."
    )


def advised(least: float, most: float) -> str:
    """Say, behind a setting that was taken, what the provider advises."""
    return f" The provider advises {least:g} to {most:g}: outside of that its answers may be worse."


def clamped(typed: str, taken: float) -> str:
    """Say, behind a number that was taken, that another one was typed."""
    return f": {code(typed)} is {'more' if float(typed) > taken else 'less'} than the provider takes, so {code(f'{taken:g}')} is sent."


def needed(other: str, choices: Sequence[str]) -> str:
    """Say, behind a setting that was taken, that it does nothing without another one, which is not set."""
    return f" It does nothing without **{other}**, which is not set: `/settings {other} {'/'.join(choices) or 'VALUE'}`."


def one_of(choices: Sequence[str]) -> str:
    """Name what there is to choose from; empty where there is nothing."""
    return f"one of {', '.join(choices)}" if len(choices) > 2 else " or ".join(choices)  # noqa: PLR2004 - two are either


def not_taken(names: Sequence[str], model: str) -> str:
    """Say, behind another sentence, which settings a model does not take; empty where it takes all."""
    if not names:
        return ""
    named, it = ", ".join(f"**{name}**" for name in names), "it is" if len(names) == 1 else "they are"
    return f" {code(model)} does not take {named}: {it} not sent to it, only to a model that does (/model)."


def sentence(words: str) -> str:
    """Return somebody's words with one full stop at their end, if they do not end a sentence by themselves."""
    words = words.rstrip()
    return words if words.rstrip(_CLOSING).endswith(_SENTENCE_ENDS) else f"{words}."


def duration(seconds: float) -> str:
    """Say how long something takes, rounded up: in seconds, minutes, hours or days."""
    if seconds <= _LONGEST_IN_SECONDS:
        return f"{math.ceil(seconds)} s"
    minutes = math.ceil(seconds / 60)
    if minutes <= _LONGEST_IN_MINUTES:
        return f"{minutes} minutes"
    hours = math.ceil(minutes / 60)
    return f"{hours} hours" if hours <= _LONGEST_IN_HOURS else f"{math.ceil(hours / 24)} days"


def size(count: int) -> str:
    """Say how many bytes something has, in the unit that reads best."""
    amount, unit = float(count), "bytes"
    for larger in ("kB", "MB", "GB"):
        if amount < _THOUSAND:
            break
        amount, unit = amount / _THOUSAND, larger
    return f"{count} bytes" if unit == "bytes" else f"{amount:.1f} {unit}"


def finish_note(reason: FinishReason, *, complete: bool, likely_truncated: bool) -> tuple[str, bool]:
    """Say below an answer that it is not whole, empty if it is; and whether there may be more of it to be had, by Continue."""
    if ended_for_good(reason):  # before the others
        return _FILTERED, False
    if reason is FinishReason.LENGTH:
        return f"*✂️ Cut at the length limit. {_MORE}*", True
    if likely_truncated:
        return f"*✂️ Probably cut at the length limit. {_MORE}*", True
    return ("", False) if complete else (_LOST_ITS_END, True)


def ended_for_good(reason: FinishReason) -> bool:
    """Tell whether going on from an answer that ended so would end the same way: neither its button nor the command does."""
    return reason is FinishReason.CONTENT_FILTER


_FILTERED = (
    "*The provider's content filter ended this answer. Ask in other words, or choose another with /model or /provider, then use /retry.*"
)
WANTED_TOOL = "*The model wanted to use a tool next; this bot has none. Ask for an answer without it, or choose another model with /model.*"
_LOST_ITS_END = (
    "*The connection ended before the model said that it was done; something may be missing. "
    "Press Continue or use /continue for what is missing, or /retry to ask again.*"
)
_MORE = "Press Continue or use /continue for more, or raise the limit with /settings."
LABEL_STOP, LABEL_RETRY, LABEL_CONTINUE, LABEL_OTHER_MODEL = "Stop", "Retry", "Continue", "Other model…"
_ANSWER_NUMBER = "Answer {}"
STOPPED = "*⏹ Stopped.*"
INTERNAL = "⚠️ Something went wrong inside the bot; it was logged. Use /retry to ask again."
INTERRUPTED = (
    "⚠️ I was interrupted while this was being answered, and did not ask the model again: it may have been billed already. "
    "Press Retry, or use /retry, to ask it again."
)
INTERRUPTED_BELOW = (
    "⚠️ I was interrupted in the middle of the answer above: it is not whole, and I kept nothing of it, so it can't be continued. I did not "
    "ask the model again: it may have been billed already. Press Retry, or use /retry, to ask it again."
)
TOO_MANY_ATTEMPTS = "⚠️ This question was interrupted several times and is not asked again by itself. Use /retry to ask it."
NO_TEXT = "I can only read text here. Write your question as a message."
NOTHING_SAID = "There is nothing in that message that I can read. Write your question, or send a picture or a file."
REASONING_SIGN = "💭"
WHOLE_IN_FILE = "📄 This is a long answer: the whole of it is in the file."
POSSIBLY_REPEATED = "(This message may stand here twice: the connection broke while it was being sent.)"
TRIMMED = "*✂️ This conversation is longer than the model takes: older messages were left out of this question. /reset starts afresh.*"
SEES_PICTURES = "sees pictures"
FILES_IGNORED = "*I can't read files here; only your text was sent to the model.*"
DEAD_BUTTON = "This button is of no use any more. /help lists the commands."
WAITING_SIGN = "👀"
"""On a message that waits. One that both platforms take: Telegram has no hourglass among its reactions."""
WAITING = "⏳ This waits until the answer before it is done. /stop ends that one and what waits."
WITHDRAWN = "Withdrawn: what you wrote there is not asked any more."
NOTHING_TO_STOP = "Nothing is running."
NOTHING_TO_RETRY = "There is nothing to ask again: nothing was asked here since the start or the last /reset or /forget."
_RUNS = "A question still runs: /stop ends it."
RETRY_RUNS = f"There is nothing to ask again yet. {_RUNS}"
NOT_RUNNING = "This answer has ended already."
SLIPPED = "That came right behind Stop, so nothing was asked. Press again if you mean it."
NOT_KEPT = "This question can't be asked again: it is still being answered, or it is not kept any more."
NOTHING_TO_CONTINUE = "There is nothing to continue: nothing was answered here since the start or the last /reset or /forget."
CONTINUE_INTERRUPTED = (
    "That can't be continued: I was interrupted while I answered the last question, and kept nothing of what I had said of it by then. "
    "Use /retry to ask it again."
)
_UNANSWERED = "The last question got no answer: use /retry to ask it again."
CONTINUE_UNANSWERED = f"There is nothing to continue. {_UNANSWERED}"
CONTINUE_FILTERED = (
    "The provider's content filter ended this answer, and going on from it would end the same way, so I did not ask. "
    "Say it in other words, in a message of your own, or choose another with /model or /provider, then use /retry."
)
CONTINUE_RUNS = f"There is nothing to continue yet. {_RUNS}"
NOT_CONTINUED = (
    "This answer can't be continued: it, or another to its question, goes on below, was asked again, or was forgotten by /reset. "
    "Say in a message of your own what is to follow."
)
NOTHING_OTHER = "There is no such other answer: nothing was answered here since the start or the last /reset or /forget."
OTHER_UNANSWERED = f"There is no such other answer. {_UNANSWERED}"
OTHER_RUNS = f"There is no such other answer yet. {_RUNS}"
NOT_OTHER = "This answer is not kept any more, or it is still on its way."
RESET = "Started afresh: what was said before is no longer sent to the model. (/forget removes it from the bot's disk, too.)"
ADMINS_ONLY = (
    "Only who administers this place may do that: it concerns what everybody said here. "
    "(On Discord that takes the permission Manage Server, on Telegram an administrator of the group.)"
)
ADMIN_UNKNOWN = "I could not find out just now whether you administer this group. Try again in a moment."
FORGET_SURE = (
    "Remove everything that was said in this conversation, by everybody, from this bot's disk: questions, answers, the persona set here? "
    "That can't be undone. The messages in this chat stay, and so does what a provider itself may keep."
)
FORGET_BUTTON, FORGET_CANCEL = "Forget everything said here", "Cancel"
NOT_FORGOTTEN = "Nothing was removed. /forget asks anew."
FORGET_CANCELLED = "That was cancelled: nothing was removed. /forget asks anew."
FORGOTTEN = "Forgotten: nothing of what was said here is on this bot's disk any more. Backups that the operator made before still hold it."
FORGOTTEN_STOPPED = f"{FORGOTTEN} What was still being answered, or waited, is stopped and goes as soon as it has ended."
FORGOTTEN_BEFORE = "That was done already. What was said since then is still here: /forget asks anew."
OVERTAKEN = "This is not carried out any more: something else was chosen here since. Use the command again if you still want it."
TOO_LATE = "I could not read this when it came, and now it would concern what came since: it is not carried out. Use the command again."


def parked(seconds: float, *, asked: bool = True) -> str:
    """Say that something failed too often and is set aside. `asked`: it was a question, not a command."""
    again = "press Retry, or use /retry, to ask it again" if asked else "use the command again"
    return (
        f"⚠️ I could not finish this: it failed again and again for {duration(seconds)} and is set aside now. "
        f"The operator of this bot can see it and have it tried again; you can also {again}."
    )


_TAKEN = "I take pictures (PNG, JPEG, WebP, GIF), text, code and PDF"
_FILE_NOTES = {
    "unseen": "{0} can't see pictures. Choose a model that can with /model, then press Retry.",
    "unseen_provider": "{0} can't see pictures. Choose a provider that can with /provider ({1}), then press Retry.",
    "unseen_perhaps": "{0} can't see pictures. Whether {1} can is not known: choose with /provider, then press Retry.",
    "unseen_anywhere": "{0} can't see pictures. No other model here is known to, either: say in words what it shows.",
    "unseen_instead": "{0} stands in for the chosen model and can't see pictures. Press Retry to ask the chosen one again.",
    "unseen_endpoint": "{0} is shown no pictures, because endpoint is set to completion: `/settings endpoint default`, then press Retry.",
    "pictures_off": "Pictures are not taken here.",
    "many_pictures": "Only the first {0} pictures were shown to the model: that is the most I can show it at once.",
    "many_files": "Only the first {0} files were read.",
    "large": "{0} is too large: I take up to {1}.",
    "sound": "I can't listen to or watch {0}: " + _TAKEN + ".",
    "kind": "{0} is of a kind that I can't read: " + _TAKEN + ".",
    "no_picture": "{0} is no picture that I can read, whatever its name says: " + _TAKEN + ".",
    "no_pdf": "{0} is no PDF, whatever its name says.",
    "empty": "{0} is empty.",
    "gone": "{0} can't be had any more. Send it again.",
    "refused": "{0} did not come from where this platform keeps its files, so I did not take it. Send it again.",
    "unavailable": "{0} could not be fetched just now. Press Retry to try again.",
    "pdf_locked": "{0} is protected by a password. Send it without one.",
    "pdf_scan": "{0} has no text in it: its pages are pictures. Send them as pictures.",
    "pdf_broken": "{0} is damaged and can't be read. Send it anew, or its text.",
    "pdf_heavy": "{0} takes too much time or memory to be read. Send a part of it.",
    "pages": "Of {0} only the first {1} of {2} pages were read.",
    "cut": "{0} was cut after {1} of {2} characters.",
}
"""What is said of files; `bot.attachments` names the sentences and what stands in them."""


def file_notes(notes: Sequence[Sequence[Any]]) -> str:
    """Say below an answer which files were not read, or not whole."""
    return "\n\n".join(f"*📎 {_file_note(*note)}*" for note in notes)


def nothing_to_ask(notes: Sequence[Sequence[Any]]) -> str:
    """Say why a question that is nothing but files can't be asked."""
    return "\n\n".join(f"⚠️ {_file_note(*note)}" for note in notes)


def _file_note(name: str, *values: Any) -> str:
    if name == "cut" and values[2] is None:
        return f"{escape(str(values[0]))} was cut after {values[1]:,} characters."
    if name == "large":
        values = (values[0], size(values[1]))
    said = [f"{value:,}" if isinstance(value, int) else escape(str(value)) for value in values]
    return _FILE_NOTES[name].format(*said)


def kept(days: int | None, most: int | None) -> str:
    """Say how long what is said in a conversation is kept. `most` is the operator's limit in days, None if there is none."""
    if days is None and most is None:
        return "What is said here is kept until somebody says /forget. `/keep DAYS` removes what is older by itself."
    if days is None or (most is not None and most < days):
        return f"What is said here is removed after {_days(most or 0)}; that is the operator's limit. `/keep DAYS` makes it shorter."
    return f"What is said here is removed after {_days(days)}. `/keep forever` takes that back."


def keep_refused(wanted: str, longest: int, *, limited: bool) -> str:
    """Say what /keep takes."""
    limit = " (that is the operator's limit)" if limited else ""
    return f"{code(wanted)} is no number of days I can take: write a whole number from 1 to {longest}{limit}, or `forever`."


def reasoning(shown: bool, *, changed: bool) -> str:  # noqa: FBT001 - what is told
    """Say whether what a model says to itself is shown."""
    when = ", from the next question on" if changed else ""
    if shown:
        return f"What the model says to itself is shown above its answer{when}, if it says anything. `/reasoning hide` takes that back."
    return f"What the model says to itself is not shown{when}. `/reasoning show` shows it, folded, above the answer."


def reasoning_refused(wanted: str, choices: Sequence[str]) -> str:
    """Say what /reasoning takes."""
    return f"{code(wanted)} is nothing I can do there: write {' or '.join(f'`/reasoning {choice}`' for choice in choices)}."


def _days(days: int) -> str:
    return f"{days} day{'' if days == 1 else 's'}"


def ordered_wait(seconds: float) -> str:
    """Say why an answer stood still."""
    return f"(This chat had more messages than its platform allows: I was told to wait {duration(seconds)}.)"


def provider_off(provider: str) -> str:
    """Say that the chosen provider is not set up here."""
    return f"⚠️ {escape(provider)} is chosen here, but it is not set up on this bot (any more). Choose another with /provider."


def refusal(incoming: Incoming) -> str:
    """Tell somebody who may not speak why, and what to do."""
    return member_unknown() if incoming.sender.member is None else refused(incoming)


def refused(incoming: Incoming) -> str:
    """Tell somebody whom the bot does not know what the operator has to add. Added to, not set: there may be a list already."""
    platform = incoming.chat.platform.upper()
    where = f" (or this chat, {code(incoming.chat.chat)}, to `{platform}_ALLOWED_CHATS`)" if incoming.chat_kind is ChatKind.GROUP else ""
    return (
        f"This bot does not know you yet. Ask its operator to add {code(incoming.sender.id)} "
        f"to `{platform}_ALLOWED_USERS`{where} and to restart it."
    )


def member_unknown() -> str:
    """Tell somebody whose membership could not be looked up that it may be different in a moment."""
    return "I could not find out just now whether you are in a server I was invited to. Try again in a moment."


def models_found(provider: str, count: int, word: str) -> str:
    """Say how many models a provider lists, or how many of them contain `word`; the list follows."""
    models = f"{count} model{'' if count == 1 else 's'}"
    return f"{f'For {code(word)}, ' if word else ''}**{escape(provider)}** has {models}:"


def unchecked(provider: str, *, listless: bool = False) -> str:
    """Say, behind a model that was taken, that the provider's list can't be had, or that it has none (`listless`)."""
    if listless:
        return (
            f" {escape(provider)} has no list of models, so I could not look the name up: the next question shows whether it has this one."
        )
    return f" {escape(provider)}'s models can't be listed at the moment, so I could not look the name up."


def unlisted(provider: str, near: Sequence[str]) -> str:
    """Say, behind a model that was taken, that a provider's list, which has gaps, does not name it, and what it has that is like it."""
    names = ", ".join(code(name) for name in near)
    like = f"; near it {'is' if len(near) == 1 else 'are'} {names}" if near else ""
    return f" It is not in my list of {escape(provider)}'s models, which is not complete{like}."


def model_back(provider: str, model: str) -> str:
    """Say that the model is the one again that answers where nobody chose one."""
    return f"**{escape(provider)}** answers with {code(model)} from now on: the default, which holds where nobody chooses a model."


def no_models(provider: str) -> str:
    """Say that a provider's list of models is empty."""
    return f"{escape(provider)} lists no models at the moment."


def unknown(kind: str, name: str, nearest: Sequence[str], known: Sequence[str] = (), *, more: str = "") -> str:
    """Say that there is no such thing, and which names come nearest; if none does, which there are, or where they are listed (`more`)."""
    if nearest:
        hint = " Did you mean " + " or ".join(code(item) for item in nearest) + "?"
    else:
        hint = f" There are: {', '.join(code(item) for item in known)}." if known else more
    return f"There is no {kind} {code(name)}.{hint}"


def answer_label(number: int) -> str:
    """Name one of several answers on a button."""
    return _ANSWER_NUMBER.format(number)


def answer_note(number: int, count: int) -> str:
    """Say below an answer which of several it is; empty where it is the only one."""
    return f"*{_ANSWER_NUMBER.format(number)} of {count}.*" if count > 1 else ""


def other_shown(number: int, count: int) -> str:
    """Say that another answer stands now."""
    return f"{_ANSWER_NUMBER.format(number)} of {count} stands in its place now."


def no_other_answer(provider: str, most: int, count: int) -> str:
    """Say that the last question has no further answer, or of its `count` none of that number. `most`: So many the provider gives."""
    if count > 1:
        return f"There is no such other answer to the last question: there are {count}. `/other` shows the next one."
    several = f"`/settings n {min(most, 3)}` asks for {'two' if most == 2 else 'three'} from the next question on."  # noqa: PLR2004
    return f"There is no such other answer to the last question. {several if most > 1 else f'{escape(provider)} gives one to a question.'}"


def no_such_answer(wanted: str) -> str:
    """Say what /other takes."""
    return f"{code(wanted)} is no number of an answer: write `/other 2`, or `/other` for the next one."


def value(setting: Any) -> str:
    """Show a parameter's value as it would be typed: a text as it is, everything else as JSON."""
    return code(setting if isinstance(setting, str) else json.dumps(setting, ensure_ascii=False))


def _code(text: str) -> str:
    return text.replace("`", "'").replace("\n", " ")[:100]


def stopped(count: int) -> str:
    """Say what /stop met."""
    return "Stopping." if count == 1 else f"Stopping, and {count - 1} waiting question{'s' if count > 2 else ''} with it."  # noqa: PLR2004


def listed(items: Sequence[str], most: int) -> str:
    """Return items as a Markdown list, with a word on what was left out."""
    lines = [f"- {item}" for item in items[:most]]
    if len(items) > most:
        lines.append(f"- … and {len(items) - most} more")
    return "\n".join(lines)


def code(text: str) -> str:
    """Return foreign text as inline code."""
    return f"`{_code(text)}`"
