"""What a provider remembers of a conversation by itself: used only where it has seen exactly what the transcript holds."""

from __future__ import annotations

from adapters.base import Finished, Provider
from bot.preferences import Choice
from storage.base import ProviderStateRow, Store, Turn


async def recall(store: Store, turn: Turn, choice: Choice, provider: Provider) -> str | None:
    """Return the provider's own memory of the chat if it has seen exactly what the transcript holds."""
    row = await store.provider_state(turn.conversation, choice.provider)
    if row is None or turn.attempt > 1:
        return None
    last = await store.last_entry(turn.conversation, turn.id)
    wanted = (provider.account, choice.model, choice.persona_hash, last)
    return row.value if (row.account, row.model, row.persona, row.last_entry) == wanted else None


def kept(choice: Choice, provider: Provider, finished: Finished) -> ProviderStateRow | None:
    """Return what is to be stored of its memory after an answer; None if it has none. The store fills in the entry."""
    if finished.state is None:
        return None
    return ProviderStateRow(choice.provider, provider.account, choice.model, choice.persona_hash, 0, finished.state)
