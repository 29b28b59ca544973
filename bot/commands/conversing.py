"""/ask, /retry, /stop, /reset: the run of a conversation."""

from __future__ import annotations

from bot import texts
from bot.commands.base import Answer, Command, Context, Option


async def stop(context: Context) -> Answer:
    """Stop the running answer and what waits behind it."""
    count = await context.store.stop(context.conversation, queued=True, before=context.event)
    return Answer(texts.stopped(count) if count else texts.NOTHING_TO_STOP)


async def reset(context: Context) -> Answer:
    """Forget what was said, as far as the model is concerned."""
    await context.store.reset(context.conversation, before=context.event)
    return Answer(texts.RESET)


async def retry(context: Context) -> Answer | None:
    """Ask the last question again; the new turn's answer is the answer to this command."""
    turn = await context.store.retry(context.conversation, context.event, context.chat)
    return Answer(texts.NOTHING_TO_RETRY) if turn is None else None


COMMANDS = (
    Command("ask", "Ask the model something", None, (Option("question", "What you want to know", required=True),), asks=True),
    Command("retry", "Ask the last question again", retry, button=True),
    Command("stop", "Stop the running answer", stop, button=True, urgent=True),
    Command("reset", "Start afresh: forget what was said before", reset, changes=True),
)
