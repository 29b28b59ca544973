"""What the bot says of providers and models that failed, now or lately. All are Markdown, as in `bot.texts`."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.base import ErrorKind, ProviderError, Scope
from bot.render.text import escape
from bot.texts import duration, sentence

_PROVIDER_ERRORS = {
    ErrorKind.RATE_LIMIT: "{provider} is getting too many questions right now. Try again {when}.",
    ErrorKind.OVERLOADED: "{provider} is overloaded right now. Try again {when}, or choose another with /provider.",
    ErrorKind.SERVER: "{provider} had a fault of its own. Use /retry to ask again, or choose another with /provider.",
    ErrorKind.CONNECT: "{provider} can't be reached right now. Use /retry in a while, or choose another with /provider.",
    ErrorKind.TIMEOUT_FIRST: "{provider} did not begin to answer in time. Use /retry to ask again.",
    ErrorKind.TIMEOUT_IDLE: "{provider} stopped in the middle of its answer. Use /retry to ask again.",
    ErrorKind.TIMEOUT_TOTAL: "{provider} took too long. Use /retry to ask again, or choose a faster model with /model.",
    ErrorKind.AUTH: (
        "{provider} refused this bot's key. The operator has to check it (`dragoman doctor` says where it stands); "
        "meanwhile choose another with /provider."
    ),
    ErrorKind.NOT_SERVED: (
        "{provider} does not serve this bot's account, or the place it runs at. The operator has to ask {provider} (`dragoman doctor` "
        "shows its words); meanwhile choose another with /provider."
    ),
    ErrorKind.FORBIDDEN: (
        "{provider} refused this bot, and it is not clear why: it may be the key, the account or the place it runs at. The operator has to "
        "look into it (`dragoman doctor --live` shows its words); meanwhile choose another with /provider."
    ),
    ErrorKind.QUOTA: "The account at {provider} has no credits left. The operator must add some; meanwhile choose another with /provider.",
    ErrorKind.MODEL_NOT_FOUND: "{provider} has no model {model}. Choose another with /model.",
    ErrorKind.BAD_REQUEST: "{provider} did not accept the request{detail} Check /settings, or choose another model with /model.",
    ErrorKind.CONTEXT_OVERFLOW: "This conversation is too long for {model}. Use /reset to start afresh, or choose another with /model.",
    ErrorKind.CONTENT_FILTER: "{provider} declined to answer that. Ask in other words.",
    ErrorKind.NO_PICTURES: "{model} can't see pictures. Choose another with /model or /provider, then use /retry.",
    ErrorKind.PROTOCOL: "{provider} sent something that can't be understood. Use /retry to ask again.",
    ErrorKind.INCOMPLETE: "The answer was cut off on its way. Use /retry to ask again.",
    ErrorKind.EMPTY: "{model} gave an empty answer. Use /retry to ask again, or choose another model with /model.",
    ErrorKind.STATE_LOST: "{provider} lost this conversation. Use /retry: it will be told again what was said.",
}
_BROKE_OFF = {
    ErrorKind.RATE_LIMIT: "{provider} is getting too many questions right now and stopped in the middle of its answer.",
    ErrorKind.OVERLOADED: "{provider} is overloaded right now and stopped in the middle of its answer.",
    ErrorKind.SERVER: "{provider} had a fault of its own in the middle of its answer.",
    ErrorKind.CONNECT: "The connection to {provider} broke in the middle of its answer.",
    ErrorKind.TIMEOUT_FIRST: "{provider} stopped in the middle of its answer.",
    ErrorKind.TIMEOUT_IDLE: "{provider} stopped in the middle of its answer.",
    ErrorKind.TIMEOUT_TOTAL: "{provider} took too long with its answer.",
    ErrorKind.PROTOCOL: "{provider} sent something that can't be understood in the middle of its answer.",
    ErrorKind.INCOMPLETE: "The answer was cut off on its way.",
    ErrorKind.EMPTY: "{model} stopped in the middle of its answer.",
    ErrorKind.STATE_LOST: "{provider} lost this conversation in the middle of its answer.",
}
"""Why an answer is not whole of which a part was shown: Continue stands below it."""
_ENDED_FOR_GOOD = {
    ErrorKind.CONTENT_FILTER: "{provider} declined to go on with this answer. Ask in other words.",
}
"""Why an answer of which a part was shown is not whole where going on from it would end the same way: these have no Continue."""
_GO_ON = "Press Continue or use /continue to go on from here, or /retry to ask anew."

WHY = {
    ErrorKind.RATE_LIMIT: "gets too many questions right now",
    ErrorKind.OVERLOADED: "is overloaded",
    ErrorKind.SERVER: "had a fault of its own",
    ErrorKind.CONNECT: "can't be reached",
    ErrorKind.TIMEOUT_FIRST: "did not begin to answer in time",
    ErrorKind.TIMEOUT_IDLE: "stopped before its first word",
    ErrorKind.TIMEOUT_TOTAL: "took too long",
    ErrorKind.AUTH: "refused this bot's key",
    ErrorKind.NOT_SERVED: "does not serve this bot's account, or the place it runs at",
    ErrorKind.FORBIDDEN: "refused this bot and did not say clearly why",
    ErrorKind.QUOTA: "has no credits left",
    ErrorKind.MODEL_NOT_FOUND: "has no such model for this bot",
    ErrorKind.BAD_REQUEST: "did not take the question",
}
"""Why another provider answered, after the name of the one that was chosen."""
_OF_ALL_REQUESTS = frozenset(
    {ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED, ErrorKind.AUTH, ErrorKind.NOT_SERVED, ErrorKind.FORBIDDEN, ErrorKind.QUOTA}
)
"""What hits a list of models as it does a question: the same is said and advised of both."""
_UNLISTED: dict[ErrorKind, str] = {
    kind: words for kind, words in WHY.items() if kind not in {ErrorKind.MODEL_NOT_FOUND, ErrorKind.BAD_REQUEST}
}
"""Why there is no list, after the provider's name: no model was asked for."""
_AT_CAP = "{model} used up the length of its answer by thinking. Set a higher max_tokens with /settings, or choose another with /model."
_WANTED_TOOL = (
    "{model} wanted to use a tool and gave no answer; this bot has no tools. Ask for an answer without them, or choose another "
    "model with /model, then use /retry."
)
_WRONG_ADDRESS = (
    "{provider} seems to be set up with a wrong address. The operator has to check it; meanwhile choose another with /provider."
)
_LISTLESS = (
    "{provider} has no list of models where it is set up. Some servers have none: then choose one by its name, with `/model NAME`. "
    "If it does not answer either, its address is wrong, and the operator has to check it (`dragoman doctor` tells)."
)
_NOT_OPEN = "{provider} does not let this bot's key or account use {model}. Choose another with /model. The operator can have it opened."
_MAYBE_NOT_OPEN = (
    "{provider} refused the question, and it is not clear why: {model} may not be open to this bot's key or account, or nothing may. "
    "Choose another with /model or /provider. The operator sees what it said with `dragoman doctor --live`."
)
_MISPLACED = "something answers at the address that is set up for {}, but takes no questions: it seems to be a wrong one"
"""Of every request that is not accepted only a wrong address has a provider left alone."""
_TO_MEND = {
    ErrorKind.BAD_REQUEST: " The operator has to check it.",
    ErrorKind.AUTH: " The operator has to check it.",
    ErrorKind.NOT_SERVED: " The operator has to ask the provider.",
    ErrorKind.FORBIDDEN: " The operator has to look into it.",
    ErrorKind.QUOTA: " The operator must add some.",
    ErrorKind.MODEL_NOT_FOUND: " Choose another with /model.",
}
"""What helps where waiting does not."""


def goes_on(error: ProviderError) -> bool:
    """Tell whether an answer that broke off with this error can be continued: by the button, of which the words below it speak."""
    return error.kind not in _ENDED_FOR_GOOD


def provider_error(error: ProviderError, provider: str, model: str, *, broke_off: bool = False) -> str:
    """Say what went wrong with a question, in one sentence and what to do. `broke_off`: a part of the answer stands above it."""
    when = f"in {duration(error.retry_after)}" if error.retry_after else "in a while"
    detail = f": {sentence(escape(error.detail))}" if error.kind is ErrorKind.BAD_REQUEST and error.detail.strip() else "."
    words = _broken_off(error) if broke_off else _unanswered(error)
    if model and error.scope is Scope.MODEL:
        words = {ErrorKind.AUTH: _NOT_OPEN, ErrorKind.FORBIDDEN: _MAYBE_NOT_OPEN}.get(error.kind, words)
    return f"⚠️ {words.format(provider=escape(provider), model=escape(model), when=when, detail=detail)}"


def no_list(error: ProviderError, provider: str, *, by_name: bool = False) -> str:
    """Say why a provider's list of models can't be had: nothing was asked that /retry could ask again, and no model is at fault.

    `by_name`: A model that no list has shown can be chosen.
    """
    if by_name and error.no_such_route:
        return f"⚠️ {_LISTLESS.format(provider=escape(provider))}"
    if error.kind in _OF_ALL_REQUESTS or error.misplaced:
        return provider_error(error, provider, "")
    why = _UNLISTED.get(error.kind, "did not answer as it should")
    return f"⚠️ {escape(provider)} {why}, so its models can't be listed. Try again in a while, or choose another with /provider."


def _unanswered(error: ProviderError) -> str:
    if error.misplaced:
        return _WRONG_ADDRESS
    if error.wanted_tool:
        return _WANTED_TOOL
    return _AT_CAP if error.at_cap else _PROVIDER_ERRORS[error.kind]


def _broken_off(error: ProviderError) -> str:
    if not goes_on(error):
        return _ENDED_FOR_GOOD[error.kind]
    return f"{_BROKE_OFF.get(error.kind) or _unanswered(error)} {_GO_ON}"


def instead(provider: str, model: str, chosen: str, why: ErrorKind | None) -> str:
    """Say below an answer that it is not from the provider that was chosen."""
    reason = WHY.get(why, "did not answer") if why else "did not answer"
    return f"*↪ {escape(provider)} answered, with {escape(model)}: {escape(chosen)} {reason}.*"


def nobody_else(providers: Sequence[str]) -> str:
    """Say that others were asked, too."""
    return f"{' and '.join(escape(provider) for provider in providers)} did not answer, either."


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
