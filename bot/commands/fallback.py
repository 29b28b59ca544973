"""/fallback: who is asked where the chosen provider does not answer."""

from __future__ import annotations

from collections.abc import Sequence

from bot import texts
from bot.catalogue import CLOSE, nearest, resolve
from bot.commands.base import DEFAULT, Answer, Command, Context, Option, takes_back

OFF = "off"
"""The word that leaves nobody in the chain."""


async def fallback(context: Context) -> Answer:
    """Show or set who is asked, in this order, where the chosen provider does not answer."""
    wanted = context.arguments.get("names", "").replace(",", " ").split()
    chosen = (await context.choice()).provider
    named: tuple[str, ...] = ()
    changed = False
    if wanted:
        names = await _names(context, wanted)
        if isinstance(names, Answer):
            return names
        named = names or ()
        changed = named != (chosen,)  # to ask the chosen one behind itself is no chain, and must not wipe the one that was set
        if changed:
            await context.preferences.set_fallback(context.conversation, names)
    first = context.providers[chosen].title if chosen in named and chosen in context.providers else None
    return Answer(texts.fallback(await titles(context), changed=changed, first=first), chose=changed)


async def _names(context: Context, wanted: Sequence[str]) -> tuple[str, ...] | Answer | None:
    """Return the providers that were named, None for the operator's own; or the answer that says which there is not."""
    if len(wanted) == 1 and takes_back(wanted[0]):
        return None
    if len(wanted) == 1 and wanted[0].lower() == OFF:
        return ()
    names: list[str] = []
    for word in wanted:
        name = resolve(word, list(context.providers))
        if name is None:
            return Answer(texts.unknown("provider", word, nearest(word, context.providers, CLOSE), list(context.providers)))
        names.append(name)
    return tuple(dict.fromkeys(names))


async def titles(context: Context) -> list[str]:
    """Return the names people read of who is asked after the chosen provider."""
    chain = await context.preferences.chain(context.conversation, context.chat, context.server)
    return [context.providers[choice.provider].title for choice in chain[1:]]


async def complete(context: Context, typed: str) -> Sequence[str]:
    """Suggest providers behind those that are typed already."""
    before, _, word = typed.replace(",", " ").rpartition(" ")
    known = before.split()
    names = [name for name in (*context.providers, *(() if known else (DEFAULT, OFF))) if name not in known and word.lower() in name]
    return [f"{before} {name}".strip() for name in names]


COMMANDS = (
    Command(
        "fallback",
        "Show or choose who answers where the chosen provider does not",
        fallback,
        (Option("names", "Providers in their order, “off” or “default”", complete=complete),),
        changes=True,
        choice="fallback",
    ),
)
