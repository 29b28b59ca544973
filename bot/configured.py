"""How the operator set each provider up: what the examination names where something of it is to be changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from adapters.base import Provider
from bot.catalogue import nearest
from bot.settings import Settings

DEFAULT_MODEL = "DEFAULT_MODEL"


@dataclass(frozen=True, slots=True)
class Configured:
    """One provider as it is set up.

    Attributes:
        model: That is asked where nobody chose another: the provider's own id.
        where: What names that model, for the operator; empty: nothing does, it is the provider's usual one.
        spare: That would be asked if DEFAULT_MODEL were left empty, where that names the model; empty: no other.
        keyed: A key is set.
        key_at: Where the key stands, for the operator; empty: in the variable that has the provider's name.
        key_goes: What to do where the provider wants a key and none is set.
        chosen: The default provider, where that is another one: DEFAULT_MODEL is a model of its, not of this one's.
    """

    model: str
    where: str = ""
    spare: str = ""
    keyed: bool = True
    key_at: str = ""
    key_goes: str = ""
    chosen: str = ""

    def unlisted(self, provider: Provider, names: Sequence[str]) -> str:
        """Say that the provider's list, of these names, has not the model, and what to change; a list with gaps may be right without it."""
        if not names:
            words = f"{self.where or 'the usual model'} is {self.model}, and {listed(provider, 0)}"
            return f"{words}: see that the server has a model" if provider.lists_all_models else f"{words}. {DOUBT}"
        words = f"{self.where or 'the usual model'} is {self.model}, which is not among the {listed(provider, len(names))}"
        return f"{words}{near_it(self.model, names)}. {self._change('it', 'them', names) if provider.lists_all_models else DOUBT}"

    def refused(self, names: Sequence[str]) -> str:
        """Say that the provider knows no such model, and what to change. `names`: those that its list has."""
        return f"there is no model {self.model}. {self._change(self.where, 'those that there are', names)}"

    def closed(self, names: Sequence[str]) -> str:
        """Say that the provider has the model and does not let this key use it, and what to change. `names`: those that its list has."""
        words = f"this key or account may not use {self.model}: have that opened, or take another"
        return f"{words}. {self._change(self.where, 'those that are open', names)}"

    def _change(self, what: str, those: str, names: Sequence[str]) -> str:
        if not self.where and self.chosen:
            return f"Choose one with /model: DEFAULT_MODEL is {self.chosen}'s, the default provider's"
        if not self.where:
            return "Set DEFAULT_MODEL, or choose one with /model"
        return f"Set {what} to one of {those}{f', or leave it empty for {self.spare}' if self.spare in names else ''}"


DOUBT = "If its name is right, nothing is wrong"


def listed(provider: Provider, count: int) -> str:
    """Say how many models there are in which list: the provider's own, or the one that its adapter has."""
    if not count:
        whose = "the provider's own list" if provider.fetches_models else "the built-in list"
        return f"{whose} of models is empty"
    many = f"{count} model{'' if count == 1 else 's'}"
    if provider.fetches_models:
        return f"{many} in the provider's own list{'' if provider.lists_all_models else ', which may not have all'}"
    return f"{many} in a built-in list{'' if provider.lists_all_models else ', which has gaps'}"


def near_it(model: str, names: Sequence[str]) -> str:
    """Return the names that are near a model's, with the words before them; empty: none is."""
    near = ", ".join(nearest(model, names))
    return f"; near it: {near}" if near else ""


def configured(settings: Settings, providers: Mapping[str, Provider]) -> dict[str, Configured]:
    """Return each provider as it is set up, in their order."""
    chosen = settings.default_provider or next(iter(providers), "")
    return {name: _one(settings, provider, chosen) for name, provider in providers.items()}


def _one(settings: Settings, provider: Provider, chosen: str) -> Configured:
    name, model, where, spare = provider.name, provider.default_model, "", ""
    other = "" if name == chosen else chosen
    table = next((endpoint for endpoint in settings.endpoints if endpoint.vendor.name == name), None)
    if not other and settings.default_model:
        model, where, spare = settings.default_model, DEFAULT_MODEL, model if model != settings.default_model else ""
    elif table is not None:
        where = f"the default_model of [{name}] in PROVIDERS_FILE"
    if table is not None:
        goes = f"write api_key or api_key_env into [{name}] in PROVIDERS_FILE"
        goes += ", or mend the key that stands in its headers or extra" if table.vendor.secrets else ""
        stands = f"{table.key_variable}, the api_key_env" if table.key_variable else "the api_key"
        return Configured(model, where, spare, table.key is not None, f"its key, {stands} of [{name}] in PROVIDERS_FILE", goes, other)
    keyed = name != "local" and (name != "openai" or settings.openai_api_key is not None)  # the others are there by their key alone
    return Configured(model, where, spare, keyed, key_goes=f"set {name.upper()}_API_KEY", chosen=other)
