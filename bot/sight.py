"""What is to be said of a picture that the chosen model can't see: whom to choose that can."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from adapters.base import Capabilities, ModelInfo, Provider, ProviderError
from bot.attachments import Note
from bot.catalogue import Catalogue
from bot.preferences import Choice, Preferences, Where

LIST_SECONDS = 3.0
"""The answer waits for a provider's list of models no longer: without it, another of its models may see."""


class Sight:
    """Finds who sees, as far as that is known without asking a model.

    Args:
        providers: By name, in the order people see them.
        catalogue: Their models.
        preferences: Which model each of them would be asked with.
    """

    def __init__(self, providers: Mapping[str, Provider], catalogue: Catalogue, preferences: Preferences) -> None:
        self._providers = providers
        self._catalogue = catalogue
        self._preferences = preferences

    async def unseen(self, choice: Choice, where: Where) -> Note:
        """Return the note about a picture that the model chosen in a conversation is not shown.

        Other providers are judged by the model that /provider would bring there.
        """
        if await self._another_model_may(choice):
            return ["unseen", choice.model]
        chosen = await self._preferences.everywhere(where)
        others = {
            other.title: sees(other.capabilities(chosen[name].model), chosen[name])
            for name, other in self._providers.items()
            if name != choice.provider
        }
        for note, wanted in (("unseen_provider", True), ("unseen_perhaps", None)):
            if named := [title for title, known in others.items() if known is wanted]:
                return [note, choice.model, " or ".join(named) if wanted is None else ", ".join(named)]
        return ["unseen_anywhere", choice.model]

    async def _another_model_may(self, choice: Choice) -> bool:
        """Tell whether a model of the provider whose chosen one does not see does, or nobody has said that it does not."""
        provider = self._providers[choice.provider]
        try:
            async with asyncio.timeout(LIST_SECONDS):
                listed = await self._catalogue.models(choice.provider)
        except (ProviderError, TimeoutError):
            listed = (ModelInfo(provider.default_model),)
        return any(provider.capabilities(model.id).images is not False for model in listed)


def sees(capabilities: Capabilities, choice: Choice) -> bool | None:
    """Tell whether a model takes pictures as it is chosen; None: nobody has said so of it."""
    if choice.parameters.get("endpoint") == "completion":  # which takes text alone
        return False
    return capabilities.images
