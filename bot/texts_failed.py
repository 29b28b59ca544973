"""What the bot says of providers and models that failed lately. All are Markdown, as in `bot.texts`."""

from __future__ import annotations

from adapters.base import ErrorKind
from bot.render.text import escape
from bot.texts import WHY, duration

_MISPLACED = "something answers at the address that is set up for {}, but takes no questions: it seems to be a wrong one"
"""Of every request that is not accepted only a wrong address has a provider left alone."""
_TO_MEND = {
    ErrorKind.BAD_REQUEST: " The operator has to check it.",
    ErrorKind.AUTH: " The operator has to check it.",
    ErrorKind.QUOTA: " The operator must add some.",
    ErrorKind.MODEL_NOT_FOUND: " Choose another with /model.",
}
"""What helps where waiting does not."""


def cooling(provider: str, seconds: float, why: ErrorKind, *, alone: bool) -> str:
    """Say that a provider is left alone for a while; or, where it is `alone` and asked all the same, what went wrong and what helps."""
    misplaced = why is ErrorKind.BAD_REQUEST
    failed = _MISPLACED.format(escape(provider)) if misplaced else f"{escape(provider)} {WHY.get(why, 'did not answer')}"
    if alone:
        return f"A question failed lately: {failed}.{_TO_MEND.get(why, ' The next one is asked all the same.')}"
    until = f"for {duration(seconds)}" if seconds > 0 else "until a question has tried it out"
    failed = failed[0].upper() + failed[1:] if misplaced else failed
    return f"{failed}{'. The operator has to check it; it' if misplaced else ': it'} is asked last {until}"


def put_aside(provider: str, seconds: float) -> str:
    """Say, behind a model that was chosen, that the provider did not have it when it was asked lately."""
    until = f"for {duration(seconds)}" if seconds > 0 else "until a question has tried it out"
    return (
        f" But {escape(provider)} had no such model for this bot when it was asked lately: {until} whoever is named by /fallback is asked "
        "before it. Choose another with `/model NAME`."
    )
