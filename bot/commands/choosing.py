"""/provider, /model, /models: who answers."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.base import ErrorKind, Provider, ProviderError
from bot import texts, texts_failed
from bot.catalogue import CLOSE, nearest, resolve, short_name
from bot.commands.base import DEFAULT, Answer, Command, Context, Option, takes_back
from bot.model import Button
from bot.preferences import Choice

BUTTON_MODELS = 12
"""Most models offered as buttons; the rest is a command or an autocompletion away."""
BUTTON_LABEL_CHARS = 38
"""Longest button label that phones still show whole."""
MODEL_CHARS = 200
"""Longest model id that is taken on trust; ours, more than any catalogue's longest."""
LISTED_MODELS = 60
"""Most models that /models lists at once."""


async def choose_provider(context: Context) -> Answer:
    """Switch the conversation's provider, or offer the choice."""
    wanted = context.arguments.get("name")
    choice = await context.choice()
    if wanted is None:
        rows = tuple(
            (Button(("✓ " if name == choice.provider else "") + provider.title, f"provider:{name}"),)
            for name, provider in context.providers.items()
        )
        return Answer(f"**{_title(context, choice.provider)}** answers here. Choose another:", rows)
    titles = {provider.title.lower(): name for name, provider in context.providers.items()}
    name = resolve(wanted, list(context.providers)) or titles.get(wanted.lower())
    if name is None:
        return Answer(texts.unknown("provider", wanted, nearest(wanted, context.providers, CLOSE), list(context.providers)))
    await context.preferences.set_provider(context.conversation, name)
    choice, provider = await context.choice(), context.providers[name]
    left_away = _left_away(provider, choice, choice.model)
    return Answer(f"**{provider.title}** answers from now on, with the model {texts.code(choice.model)}.{left_away}", chose=True)


def _put_aside(context: Context, provider: Provider, model: str) -> str:
    """Say that a model that was chosen could not be had lately; empty: nothing is known of that."""
    pause = context.cooling(provider.name, model)
    return texts_failed.put_aside(provider.title, pause[0]) if pause is not None and pause[1] is ErrorKind.MODEL_NOT_FOUND else ""


def _left_away(provider: Provider, choice: Choice, model: str) -> str:
    """Say what is set here and is not sent to a model that was chosen; empty: nothing."""
    unsupported = provider.capabilities(model).unsupported
    return texts.not_taken([name for name in choice.parameters if name in unsupported], model)


async def _listed(context: Context) -> tuple[Choice, Provider, list[str] | ProviderError] | Answer:
    """Return what is chosen, its provider, and its models or why they can't be had; or the answer that this provider is not there."""
    choice = await context.choice()
    provider = context.providers.get(choice.provider)
    if provider is None:
        return Answer(texts.provider_off(choice.provider))
    try:
        return choice, provider, [model.id for model in await context.catalogue.models(provider.name)]
    except ProviderError as error:
        return choice, provider, error


def _no_list(provider: Provider, error: ProviderError) -> Answer:
    return Answer(texts_failed.no_list(error, provider.title, by_name=not provider.lists_all_models))


async def choose_model(context: Context) -> Answer:
    """Choose a model of the current provider, or offer the choice."""
    wanted = context.arguments.get("name")
    listed = await _listed(context)
    if isinstance(listed, Answer):
        return listed
    choice, provider, names = listed
    if isinstance(names, ProviderError):
        doubt = texts.unchecked(provider.title, listless=names.no_such_route)
        return (await _choose_unseen(context, provider, choice, wanted, doubt) if wanted is not None else None) or _no_list(provider, names)
    if wanted is None:
        return _offer(choice, names) if names else Answer(f"The model is {texts.code(choice.model)}. {texts.no_models(provider.title)}")
    model = resolve(wanted, names)
    if model is None and takes_back(wanted):
        return await _back(context, provider)
    if model is None and not _on_trust(provider, wanted):
        return Answer(texts.unknown(_model_of(provider), wanted, nearest(wanted, names), more=" /models lists all."))
    doubt = texts.unlisted(provider.title, nearest(wanted, names)) if model is None else ""
    return await _choose(context, provider, choice, model or wanted, doubt)


async def _choose_unseen(context: Context, provider: Provider, choice: Choice, wanted: str, doubt: str) -> Answer | None:
    """Choose a model where the list can't be had; None: only the list tells whether there is such a one."""
    if takes_back(wanted):
        return await _back(context, provider)
    return await _choose(context, provider, choice, wanted, doubt) if _on_trust(provider, wanted) else None


def _on_trust(provider: Provider, wanted: str) -> bool:
    """Tell whether a name that no list has shown is taken. A fingerprint of a button is none."""
    return not (provider.lists_all_models or wanted.startswith("#") or len(wanted) > MODEL_CHARS)


async def _choose(context: Context, provider: Provider, choice: Choice, model: str, doubt: str) -> Answer:
    await context.preferences.set_model(context.conversation, provider.name, model)
    answer = f"**{provider.title}** answers with {texts.code(model)} from now on."
    return Answer(f"{answer}{doubt}{_put_aside(context, provider, model)}{_left_away(provider, choice, model)}", chose=True)


async def _back(context: Context, provider: Provider) -> Answer:
    """Go back to the model that answers where nobody chose one, and say which that is."""
    await context.preferences.set_model(context.conversation, provider.name, None)
    choice = await context.choice()
    left_away = _left_away(provider, choice, choice.model)
    put_aside = _put_aside(context, provider, choice.model)
    return Answer(f"{texts.model_back(provider.title, choice.model)}{put_aside}{left_away}", chose=True)


def _offer(choice: Choice, names: Sequence[str]) -> Answer:
    if list(names) == [choice.model]:
        return Answer(f"The model is {texts.code(choice.model)}, the only one there is here. /provider chooses who answers.")
    shown = list(names[:BUTTON_MODELS])
    rows = tuple((Button(_label(name, chosen=name == choice.model), f"model:{short_name(name, 'model:')}"),) for name in shown)
    more = f" {len(names) - len(shown)} more are in /models." if len(names) > len(shown) else ""
    ways = f"Choose another below, or with `/model NAME`; `/model {DEFAULT}` goes back to the default."
    return Answer(f"The model is {texts.code(choice.model)}. {ways}{more}", rows)


def _model_of(provider: Provider) -> str:
    """Name the kind of thing that was looked for; the local model's title has the word already."""
    return provider.title if provider.title.lower().endswith(" model") else f"{provider.title} model"


def _label(name: str, *, chosen: bool) -> str:
    mark = "✓ " if chosen else ""
    room = BUTTON_LABEL_CHARS - len(mark)
    return mark + (name if len(name) <= room else "…" + name[-(room - 1) :])


async def list_models(context: Context) -> Answer:
    """List the current provider's models, those that contain a word if one is given."""
    listed = await _listed(context)
    if isinstance(listed, Answer):
        return listed
    choice, provider, names = listed
    if isinstance(names, ProviderError):
        return _no_list(provider, names)
    if not names:
        return Answer(texts.no_models(provider.title))
    word = context.arguments.get("word", "").lower()
    found = [name for name in names if word in name.lower()]
    if not found:
        return Answer(
            texts.unknown(
                f"{_model_of(provider)} with", word, nearest(word, names), more=" /models lists all, /provider chooses another provider."
            )
        )
    sees = {name for name in found if provider.capabilities(name).images}
    lines = [
        texts.code(name) + (f" · {texts.SEES_PICTURES}" if name in sees else "") + (" ← chosen" if name == choice.model else "")
        for name in found
    ]
    return Answer(f"{texts.models_found(provider.title, len(found), word)}\n\n{texts.listed(lines, LISTED_MODELS)}")


async def complete_provider(context: Context, typed: str) -> Sequence[str]:
    """Suggest providers."""
    return [name for name in context.providers if typed.lower() in name]


async def complete_model(context: Context, typed: str) -> Sequence[str]:
    """Suggest models of the current provider from its live list."""
    choice = await context.choice()
    if choice.provider not in context.providers:
        return []
    names = [model.id for model in await context.catalogue.models(choice.provider)]
    return [name for name in names if typed.lower() in name.lower()] or nearest(typed, names)


def _title(context: Context, name: str) -> str:
    provider = context.providers.get(name)
    return provider.title if provider else name


COMMANDS = (
    Command(
        "provider",
        "Show or choose who answers in this conversation",
        choose_provider,
        (Option("name", "The provider, such as netmind", complete=complete_provider),),
        button=True,
        changes=True,
        choice="provider",
    ),
    Command(
        "model",
        "Show or choose the model that answers here; “default” goes back to the operator's",
        choose_model,
        (Option("name", "The model's id, or “default”; a part of it lists what fits", complete=complete_model),),
        button=True,
        changes=True,
        choice="model",
        within="provider",
    ),
    Command("models", "List the provider's models", list_models, (Option("word", "Only those that contain this"),), private=True),
)
