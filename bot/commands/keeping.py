"""/keep and /forget: how long what was said stays on the bot's disk."""

from __future__ import annotations

from bot import controls, texts
from bot.commands.base import Answer, Command, Context, Option, takes_back
from bot.model import Button, ButtonStyle
from bot.preferences import MOST_KEEP_DAYS

YES, NO = "yes", frozenset({"no", "cancel"})
FOR_EVER = frozenset({"forever", "always"})


async def keep(context: Context) -> Answer:
    """Show or set after how many days what is said here is removed."""
    wanted = context.arguments.get("days", "").lower()
    most = context.preferences.most_days
    if not wanted:
        return Answer(texts.kept(await context.preferences.keep_days(context.conversation), most))
    if (refusal := await _refusal(context)) is not None:
        return refusal
    if wanted in FOR_EVER or takes_back(wanted):
        await context.preferences.set_keep_days(context.conversation, None)
        return Answer(texts.kept(None, most), chose=True)
    number = wanted.removesuffix("days").removesuffix("day").removesuffix("d").strip()
    longest = most or MOST_KEEP_DAYS
    if not (number.isascii() and number.isdigit() and 1 <= int(number) <= longest):
        return Answer(texts.keep_refused(wanted, longest, limited=most is not None))
    await context.preferences.set_keep_days(context.conversation, int(number))
    return Answer(texts.kept(int(number), most), chose=True)


async def forget(context: Context) -> Answer:
    """Remove everything that was said here, after a word of confirmation."""
    if (refusal := await _refusal(context)) is not None:
        return refusal
    word, _, asked_by = context.arguments.get("confirm", "").lower().partition(" ")
    asked, conversation = controls.turn_of(asked_by), context.conversation
    if word in NO:
        return Answer(await _cancel(context, asked), note=True)
    if word != YES:
        sure = Button(texts.FORGET_BUTTON, f"forget:{YES} {context.event}", ButtonStyle.DANGER)
        return Answer(texts.FORGET_SURE, ((sure, Button(texts.FORGET_CANCEL, f"forget:cancel {context.event}")),))
    if asked is not None and asked <= await context.preferences.forget_cancelled(conversation):
        return Answer(texts.FORGET_CANCELLED, note=True)
    store = context.store
    # From here on it is certain, whatever happens to this process.
    words = context.preferences.words(conversation)
    if not await store.forget(conversation, before=context.event, asked=asked, settings=words):
        return Answer(texts.FORGOTTEN_BEFORE, note=True)
    context.let_go(conversation)
    stopped = await store.stop(conversation, queued=True, before=context.event)
    after: int | None = 0
    while after is not None:
        after = (await store.sweep(conversation, older_than=None, after=after)).resume
    await store.scrub()
    return Answer(texts.FORGOTTEN_STOPPED if stopped else texts.FORGOTTEN)


async def _cancel(context: Context, asked: int | None) -> str:
    """Have the button beside Cancel do nothing from now on, and those of questions before; what was done already is said to be so."""
    # Typed, or a button of an earlier version: whatever was asked so far. A number that somebody typed cancels nothing that is to come.
    asked = context.event if asked is None else min(asked, context.event)
    if asked < await context.store.forgotten(context.conversation):
        return texts.FORGOTTEN_BEFORE
    if asked > await context.preferences.forget_cancelled(context.conversation):
        await context.preferences.cancel_forget(context.conversation, asked)
    return texts.NOT_FORGOTTEN


async def _refusal(context: Context) -> Answer | None:
    """Refuse who may not remove what others said; None if the person may."""
    may = await context.administers()
    return None if may else Answer(texts.ADMINS_ONLY if may is False else texts.ADMIN_UNKNOWN, note=True)


COMMANDS = (
    Command(
        "keep",
        "Show or set after how many days what is said here is removed",
        keep,
        (Option("days", "A number of days, or “forever”"),),
        choice="days",
    ),
    Command(
        "forget",
        "Remove everything that was said here from the bot's disk",
        forget,
        (Option("confirm", "“yes”: without asking back", usage="yes"),),
        button=True,
        changes=True,
    ),
)
