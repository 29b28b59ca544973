"""/ask, /retry, /continue, /stop, /other, /reset: the run of a conversation. Called by a button, they concern the turn it stands under."""

from __future__ import annotations

import json

from bot import controls, endings, texts, transcript
from bot.commands.base import Answer, Command, Context, Option
from bot.leftovers import INTERRUPTED
from storage.base import NewTurn, Turn, TurnState


async def stop(context: Context) -> Answer | None:
    """Stop the running answer and what waits behind it; as a reply to what waits, that alone; by a button, its answer alone."""
    if context.turn is not None:
        met = await context.store.stop_turn(context.conversation, context.turn)
        return None if met else Answer(texts.NOT_RUNNING, note=True)
    if context.reply_to is not None and await _taken_back(context, context.reply_to):
        return Answer(texts.WITHDRAWN)
    count = await context.store.stop(context.conversation, queued=True, before=context.event)
    return Answer(texts.stopped(count) if count else texts.NOTHING_TO_STOP)


async def _taken_back(context: Context, message_id: str) -> bool:
    """Take back what a message asks while it waits. Done once more, as after a crash, it stops nothing else in its place."""
    store = context.store
    return await store.withdraw(context.chat, message_id) or await store.withdrawn(context.chat, message_id)


async def reset(context: Context) -> Answer:
    """Forget what was said, as far as the model is concerned."""
    await context.store.reset(context.conversation, before=context.event)
    return Answer(texts.RESET)


async def retry(context: Context) -> Answer | None:
    """Ask the last question again, or that of the button's turn; the new turn's answer is the answer to this command."""
    turn = await context.store.retry(context.conversation, context.event, context.chat, turn=context.turn)
    if turn is not None:
        return None
    if context.turn is not None:
        return Answer(texts.NOT_KEPT, note=True)
    return Answer(texts.RETRY_RUNS if await _runs(context) else texts.NOTHING_TO_RETRY, note=True)


async def go_on(context: Context) -> Answer | None:
    """Let the last answer go on where it stopped, or that of the button's turn; the new turn's answer is the answer to this command."""
    store = context.store
    said = await store.answer_of(context.conversation, context.turn, before=context.event)
    if said is not None and endings.for_good(await store.turn(said.turn)):
        return Answer(texts.CONTINUE_FILTERED, note=True)
    if said is not None and context.sender is not None:
        question = transcript.content(transcript.go_on(transcript.text_of(said.content)))
        asked = NewTurn(question, None, context.sender.id, context.sender.name)
        if await store.extend(context.conversation, context.event, context.chat, said.turn, asked) is not None:
            return None
    if context.turn is not None or (said is not None and not await _runs(context)):
        return Answer(texts.NOT_CONTINUED, note=True)
    return Answer(texts.CONTINUE_RUNS if await _runs(context) else await _nothing_to_continue(context), note=True)


async def _nothing_to_continue(context: Context) -> str:
    newest = await _newest(context)
    if newest is not None and newest.error == INTERRUPTED:
        return texts.CONTINUE_INTERRUPTED
    return texts.CONTINUE_UNANSWERED if _unanswered(newest) else texts.NOTHING_TO_CONTINUE


async def _newest(context: Context) -> Turn | None:
    newest = await context.store.newest_turn(context.conversation, before=context.event)
    return None if newest is None else await context.store.turn(newest)


def _unanswered(newest: Turn | None) -> bool:
    """Tell whether the last question, which has no answer that could be gone on from, never got one."""
    return newest is not None and newest.state in {TurnState.FAILED, TurnState.STOPPED, TurnState.PARKED}


async def other(context: Context) -> Answer:
    """Let another answer to the last question stand, or to that of the button's turn: it takes the place of the one that stood."""
    store, turn, wanted = context.store, context.turn, context.arguments.get("number")
    if turn is None:
        said = await store.answer_of(context.conversation, before=context.event)
        turn = said.turn if said is not None else None
    number = controls.turn_of(wanted) if wanted is not None else None
    if wanted is not None and number is None:
        return Answer(texts.no_such_answer(wanted), note=True)
    chosen = await store.choose(context.conversation, turn, number, event=context.event) if turn is not None else None
    if chosen is None:
        return Answer(texts.NOT_OTHER if context.turn is not None else await _no_other(context, answered=turn), note=True)
    return Answer(texts.other_shown(chosen.number, chosen.count) if context.turn is None else "", shows=chosen.turn)


async def _runs(context: Context) -> bool:
    """Tell whether a question of the conversation waits or is being answered."""
    _, running = await context.store.counts(context.conversation)
    return running > 0


async def _no_other(context: Context, *, answered: int | None) -> str:
    """Say why the last question, of the turn `answered`, has no such other answer, and how to get several where the provider gives them."""
    if await _runs(context):
        return texts.OTHER_RUNS
    if answered is None:
        return texts.OTHER_UNANSWERED if _unanswered(await _newest(context)) else texts.NOTHING_OTHER
    name = (await context.choice()).provider
    provider = context.providers.get(name)
    if provider is None:
        return texts.provider_off(name)
    several = provider.parameters.model_json_schema()["properties"].get("n", {})
    most = max((branch.get("maximum", 1) for branch in several.get("anyOf", [several])), default=1)
    finish = (await context.store.turn(answered)).finish
    return texts.no_other_answer(provider.title, most, int(json.loads(finish).get("answers", 1)) if finish else 1)


COMMANDS = (
    Command("ask", "Ask the model something", None, (Option("question", "What you want to know", required=True),), asks=True),
    Command(controls.RETRY, "Ask the last question again", retry, button=True, turn=True),
    Command(controls.CONTINUE, "Let the last answer go on where it stopped", go_on, button=True, turn=True),
    Command(controls.STOP, "Stop the running answer and what waits behind it", stop, button=True, turn=True, urgent=True),
    Command(
        controls.OTHER,
        "Show another answer, where several were asked for (/settings n)",
        other,
        (Option("number", "Which one; the next if you name none"),),
        button=True,
        turn=True,
        changes=True,
    ),
    Command("reset", "Start afresh: the model sees nothing of what was said before", reset, changes=True),
)
