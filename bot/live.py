"""`dragoman doctor --live`: one small question to each provider that is set up, with the operator's own keys.

A small version of the contract that the tests hold every adapter to, against the real thing: the key, the list of models, and an answer
with one beginning, text and one end. Nothing of a key, the question or the answer is printed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from adapters import http
from adapters.base import (
    ChatRequest,
    ErrorKind,
    Event,
    Finished,
    Message,
    Provider,
    ProviderError,
    Scope,
    Started,
    TextDelta,
    TextPart,
    Usage,
)
from bot import endpoints, texts_usage
from bot.app import build_providers
from bot.configured import Configured, configured, listed
from bot.settings import Settings, SettingsError

QUESTION = "Answer with the one word: yes"
ANSWER_TOKENS = 16
"""The answer is limited to so many tokens, where the provider has a parameter for it."""
LIVE_SECONDS = 90.0
"""All steps of one provider together; the providers are examined side by side. Segmind alone may take 60 s for an answer."""
CAPS = ("max_tokens", "max_new_tokens")
"""Names of the parameter that limits an answer."""
NOTICE = (
    "Asking each provider one question of a few dozen tokens, with an answer of at most "
    f"{ANSWER_TOKENS} tokens where that can be limited. The providers bill it as usual: a small part of a cent with most models."
)
KEY, MODELS, ANSWER = "key", "models", "question"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    fine: bool
    provider: str
    step: str
    words: str
    doubtful: bool = False
    """It may be wrong, and what is known does not tell."""

    def __str__(self) -> str:
        mark = "MEND" if not self.fine else "warn" if self.doubtful else "ok"
        return f"{mark:<4}  {self.provider:<12}  {self.step:<8}  {one_line(self.words)}"


def one_line(words: str) -> str:
    """Return words for a terminal: what a provider says is among them, and must not steer it."""
    return " ".join("".join(character if character.isprintable() else " " for character in words).split())


@dataclass(slots=True)
class _Heard:
    """What came of a question."""

    now: Callable[[], float]
    began: float
    pieces: int = 0
    first: float | None = None
    usage: Usage | None = None
    events: list[Event] = field(default_factory=list)

    def take(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, TextDelta) and event.text.strip():
            self.pieces += 1
            self.first = self.first if self.first is not None else self.now() - self.began
        elif isinstance(event, Usage):
            self.usage = event

    def wrong(self) -> str:
        """Return what is wrong with the shape of the answer; empty if nothing is."""
        ends = [place for place, event in enumerate(self.events) if isinstance(event, Finished)]
        starts = [place for place, event in enumerate(self.events) if isinstance(event, Started)]
        if len(ends) != 1:
            return f"the answer has {len(ends)} ends"
        if ends[0] != len(self.events) - 1:
            return "something came after the answer's end"
        if starts not in ([], [0]):
            return "the answer began in its middle"
        return "" if self.pieces else "the answer has no text"


async def ask_live(settings: Settings) -> list[Row]:
    """Examine every provider that is set up."""
    async with http.open_session(private_addresses=settings.provider_private_addresses) as session:
        refused: list[Row] = []
        try:
            providers = build_providers(settings, session)
        except SettingsError as error:
            refused = [Row(False, "local", KEY, str(error))]
            providers = build_providers(settings.model_copy(update={"local_model": "off"}), session)
        try:
            setups = configured(settings, providers)
            models = {name: setup.model for name, setup in setups.items()}
            return [*refused, *(await examine_all(providers, models, setups=setups))]
        finally:
            for provider in providers.values():
                await provider.aclose()


async def examine_all(
    providers: Mapping[str, Provider],
    models: Mapping[str, str],
    *,
    setups: Mapping[str, Configured] | None = None,
    seconds: float = LIVE_SECONDS,
    now: Callable[[], float] = time.monotonic,
) -> list[Row]:
    """Examine providers side by side; rows in their order. `models`: provider → the model that is asked, `setups`: what set it up."""
    if not providers:
        return [Row(False, "providers", KEY, "none is set up: see the line `default provider` above")]
    known = {name: Configured(model) for name, model in models.items()} | dict(setups or {})
    found = await asyncio.gather(*(_examine(provider, known[name], seconds, now) for name, provider in providers.items()))
    return [row for rows in found for row in rows]


async def _examine(provider: Provider, setup: Configured, seconds: float, now: Callable[[], float]) -> list[Row]:
    rows: list[Row] = []
    names: list[str] = []
    step = KEY
    try:
        async with asyncio.timeout(seconds):
            rows.append(await _key(provider, setup))
            step = MODELS
            names, row = await _models(provider, setup)
            rows.append(row)
            step = ANSWER
            rows.append(await _answer(provider, setup.model, now))
    except TimeoutError:
        rows.append(Row(False, provider.name, step, f"not done after {seconds:g} s: {_ADVICE[ErrorKind.TIMEOUT_TOTAL]}"))
    except ProviderError as error:
        rows.append(Row(False, provider.name, step, cause(provider, setup, error, step, names)))
    except Exception as error:  # noqa: BLE001 - a fault of ours in one provider is a line of its own, and the others are examined
        rows.append(Row(False, provider.name, step, f"this program failed at it ({type(error).__name__}); please report that"))
    return rows


async def _key(provider: Provider, setup: Configured) -> Row:
    health = await provider.check()
    taken = "taken" if setup.keyed else "it needs none" if provider.name == "local" else "none is set, and none was asked for"
    left = f", {texts_usage.left(health.credits, health.unit)}" if health.credits is not None else ""
    return Row(True, provider.name, KEY, f"{taken}{left}{f' ({health.note})' if health.note else ''}")


async def _models(provider: Provider, setup: Configured) -> tuple[list[str], Row]:
    try:
        names = [one.id for one in await provider.models()]
    except ProviderError as error:
        if not error.misplaced:
            raise
        # The check before has found the provider at this address: it has no list there.
        return [], Row(True, provider.name, MODELS, f"it has no list of models; {setup.model} is asked for by its name")
    return names, _list(provider, setup, names)


def _list(provider: Provider, setup: Configured, names: Sequence[str]) -> Row:
    if setup.model in names:
        return Row(True, provider.name, MODELS, f"{listed(provider, len(names))}; {setup.model} is among them")
    return Row(not provider.lists_all_models, provider.name, MODELS, setup.unlisted(provider, names), doubtful=True)


async def _answer(provider: Provider, model: str, now: Callable[[], float]) -> Row:
    cap = next((name for name in CAPS if name in provider.parameters.model_fields), None)
    parameters = {cap: ANSWER_TOKENS} if cap else {}
    request = ChatRequest(model, (Message("user", (TextPart(QUESTION),)),), parameters=parameters, turn="doctor")
    heard = _Heard(now, now())
    async with aclosing(provider.stream(request)) as events:
        async for event in events:
            heard.take(event)
    if wrong := heard.wrong():
        return Row(False, provider.name, ANSWER, f"{wrong}: {_ADVICE[ErrorKind.PROTOCOL]}")
    words = f"{model} answered, first text after {heard.first or 0.0:.1f} s, all of it after {now() - heard.began:.1f} s"
    streamed = f"in {heard.pieces} piece{'' if heard.pieces == 1 else 's'}"
    return Row(True, provider.name, ANSWER, f"{words}, {streamed}; {_spent(heard.usage)}")


def _spent(usage: Usage | None) -> str:
    if usage is None:
        return "what it used is not told"
    told = [
        f"{usage.input_tokens} + {usage.output_tokens} tokens"
        if usage.input_tokens is not None and usage.output_tokens is not None
        else "",
        f"cost {usage.cost:g}" if usage.cost is not None else "",
        texts_usage.left(usage.remaining_credits) if usage.remaining_credits is not None else "",
    ]
    return ", ".join(word for word in told if word) or "what it used is not told"


_LATER = "try again later; if it stays so, it is the provider's fault"
NOT_SERVED = "it does not serve this account, or the place or address it is asked from: ask the provider; the key is not what it refuses"
_ADVICE = {
    ErrorKind.NOT_SERVED: NOT_SERVED,
    ErrorKind.RATE_LIMIT: f"too many requests by this account's plan: {_LATER}",
    ErrorKind.OVERLOADED: f"overloaded: {_LATER}",
    ErrorKind.SERVER: f"a fault of the provider's own: {_LATER}",
    ErrorKind.TIMEOUT_FIRST: "nothing came in time: a slow model, or a proxy on the way that holds answers back",
    ErrorKind.TIMEOUT_IDLE: "the answer stopped in its middle: a slow model, or a proxy on the way that holds answers back",
    ErrorKind.TIMEOUT_TOTAL: "it took too long: a slow model, or a queue that does not move",
    ErrorKind.QUOTA: "no credits are left on the account, or its spending limit is reached: add some",
    ErrorKind.BAD_REQUEST: "it did not take the request",
    ErrorKind.CONTENT_FILTER: "it declined a harmless question: choose another model",
    ErrorKind.PROTOCOL: "what came is no answer of the API that was expected: is it the right address?",
    ErrorKind.INCOMPLETE: "the answer was cut off on its way: a proxy, or a fault of the provider's own",
    ErrorKind.EMPTY: "the answer was empty: ask once more; if it stays so, choose another model",
}
_AT_CAP = f"no text came within {ANSWER_TOKENS} tokens: a model that thinks first needs more, else choose another"
_WANTED_TOOL = "the model wanted to use a tool, of which it is offered none: choose another model"


def cause(provider: Provider, setup: Configured, error: ProviderError, step: str = KEY, names: Sequence[str] = ()) -> str:
    """Say why a step failed and what to do, with the provider's own words behind, which the adapter has redacted."""
    address = variables(provider.name)[1]
    words = (
        _moved(provider, error)
        or (wrong_place(provider, error) if step != ANSWER else "")
        or (_AT_CAP if error.at_cap else "")
        or (_WANTED_TOOL if error.wanted_tool else "")
        or {
            ErrorKind.AUTH: no_key(provider, setup),
            ErrorKind.FORBIDDEN: unclear(provider, setup, setup.model if step == ANSWER and error.scope is Scope.MODEL else ""),
            ErrorKind.CONNECT: f"can't be reached: check the network and {address}",
            ErrorKind.MODEL_NOT_FOUND: setup.closed(names) if error.kind is not error.told_as else setup.refused(names),
            ErrorKind.PROTOCOL: f"{_ADVICE[ErrorKind.PROTOCOL]} Check {address}",
        }.get(error.told_as if step == ANSWER else error.kind)
        or _ADVICE.get(error.kind, f"answered with an error ({error.kind})")
    )
    status = f"HTTP {error.status}" if error.status is not None else ""
    told = ": ".join(part for part in (status, error.detail) if part)
    return f"{words}{f' [{told}]' if told else ''}"


def passes(error: ProviderError) -> bool:
    """Tell whether a provider answered with a trouble of its own, of which there is nothing to mend here."""
    return error.status is not None and error.kind in {ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED, ErrorKind.SERVER}


def _moved(provider: Provider, error: ProviderError) -> str:
    """Say what to set where a provider redirects; empty: it does not."""
    if error.status not in http.REDIRECTS:
        return ""
    setting = variables(provider.name)[1] if provider.name in endpoints.TAKEN else f"the base_url of [{provider.name}] in PROVIDERS_FILE"
    return f"it redirects, which is not followed: set {setting} to where it is now"


def no_key(provider: Provider, setup: Configured) -> str:
    """Say that a provider refuses the key, or that it wants one where none is set."""
    return (
        f"the key was refused: check {setup.key_at or variables(provider.name)[0]}" if setup.keyed else f"it wants a key: {setup.key_goes}"
    )


def unclear(provider: Provider, setup: Configured, model: str = "") -> str:
    """Say that a provider refuses and nothing tells why. `model`: The one that was asked, if the refusal may be of that alone."""
    of_model = f"{model} may not be open to it; or " if model else ""
    key = f"the key (check {setup.key_at or variables(provider.name)[0]})" if setup.keyed else f"a key that is missing ({setup.key_goes})"
    return f"it refused, and it is not clear why: {of_model}it may be {key}, the account or the place it is asked from (ask the provider)"


def wrong_place(provider: Provider, error: ProviderError) -> str:
    """Say that a check met something else than the provider; empty: the error does not look so.

    A check asks for no model: one that is not there is the address. A refusal for another reason may be of the account or its country.
    """
    if not error.misplaced and error.kind not in {ErrorKind.PROTOCOL, ErrorKind.MODEL_NOT_FOUND}:
        return ""
    return f"what answers there does not look like the API of {provider.title}: check {variables(provider.name)[1]}"


def variables(name: str) -> tuple[str, str]:
    """Return where a provider's key and its address are set; of the local model, which has neither, what to look at."""
    if name == "local":
        return "its installation", "its installation (LOCAL_MODEL=off does without it)"
    if name in endpoints.TAKEN:
        return f"{name.upper()}_API_KEY", f"{name.upper()}_BASE_URL"
    return "its key", "its base_url in PROVIDERS_FILE"
