"""`dragoman sandbox`: the outside world on loopback, the real bridge, and a page to talk to it."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from adapters.base import ProviderError
from adapters.local import Local
from bot.app import open_bridge
from bot.bridge import Bridge, BridgeError
from bot.settings import DATABASE_SCHEME, Settings, load, stand_for
from sandbox.outside import Outside
from sandbox.providers import LocalVoice
from sandbox.web import Page

USUAL_PORT = 8023
"""Where the page is found again at the next start."""
GRACE_SECONDS = 0.5
"""Nothing of a try-out is taken up again: it ends soon."""
KEPT_CALLS = 200
"""So many calls of each stand-in's log are kept: nobody reads it here."""
READY = """
  Dragoman is ready to be tried: open {url}

  Discord and Telegram are stand-ins on this machine; nothing leaves it{leaving}.
  Answers come from {answers}. Ctrl-C ends it; the conversations are forgotten then.
"""


async def run(settings: Settings, stop: asyncio.Event, *, port: int | None, say: Callable[[str], None]) -> None:
    """Serve the try-out until `stop` is set.

    Args:
        settings: The operator's; real provider keys are used, platform tokens are not.
        stop: Set it to end.
        port: Of the page, on 127.0.0.1; 0 takes a free one, None the usual one or else a free one.
        say: Prints a line for the person at the terminal.

    Raises:
        OSError: The port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="dragoman-") as folder:
        database = Path(folder) / "sandbox.db"
        bridge: Bridge | None = None

        async def model_address() -> str | None:
            local = bridge.providers.get("local") if bridge else None
            return await _address(local) if isinstance(local, Local) else None

        async with Outside(voice=LocalVoice(model_address), random_tokens=True, keep_calls=KEPT_CALLS) as outside:
            values = settings_for(settings, outside, database)
            port = usual_port() if port is None else port
            if port and is_taken(port):
                raise BridgeError(f"Port {port} is taken: give another with --port, or leave it out to take a free one.")
            async with open_bridge(load(None, **values)) as bridge, Page(outside, bridge, port=port) as page:
                accepting: set[str] = set()

                def ready(name: str) -> None:
                    accepting.add(name)
                    if accepting == set(bridge.platforms):
                        say(announcement(page.url, settings, bridge))

                await bridge.run(stop, ready, grace=GRACE_SECONDS)


def usual_port() -> int:
    """Return the usual port if nothing listens there, else 0."""
    return 0 if is_taken(USUAL_PORT) else USUAL_PORT


def is_taken(port: int) -> bool:
    """Tell whether something listens on a port of 127.0.0.1."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


async def _address(local: Local) -> str | None:
    try:
        return await local.address()
    except ProviderError:
        return None


def settings_for(settings: Settings, outside: Outside, database: Path) -> dict[str, Any]:
    """Return the bridge's settings: the stand-ins everywhere, but a provider with a real key stays the real one."""
    values = dict(settings)  # every one: what is not given is read from the environment, where a real webhook may be set
    values.update(
        {
            name: field.default
            for name, field in Settings.model_fields.items()
            if name.startswith(("discord_", "telegram_")) and name != "telegram_drafts"
        }
    )
    real = real_providers(settings)
    absent = {*real, *stand_for(settings)}  # two of one title would be refused, and the operator's own is the one to be tried
    values.update({name: value for name, value in outside.provider_settings().items() if name.split("_", 1)[0] not in absent})
    if "modelslab" not in real:
        values.update(modelslab_webhook_url=None)  # nobody posts for the stand-in, and the port is the real bot's
    values.update(outside.platform_settings())
    values.update(access="open", database_url=f"{DATABASE_SCHEME}{database}")
    if settings.default_provider is None and settings.local_model != "off" and Local.available():
        values.update(default_provider="local", default_model="")  # a DEFAULT_MODEL was meant for the provider that answers outside
    return values


def real_providers(settings: Settings) -> list[str]:
    """Return the providers that are asked outside, as the operator set them up; all others are stand-ins."""
    keys = {name: getattr(settings, f"{name}_api_key") for name in ("netmind", "segmind", "modelslab", "openai")}
    own = [name for name, key in keys.items() if key or (name == "openai" and settings.openai_base_url)]
    return own + [endpoint.vendor.name for endpoint in settings.endpoints]


def announcement(url: str, settings: Settings, bridge: Bridge) -> str:
    """Return what the terminal says once everything accepts. `settings` are the operator's."""
    real = real_providers(settings)
    ones = "the real one: it is" if len(real) == 1 else "the real ones: they are"
    return READY.format(
        url=url,
        leaving=f", but what you ask {_listed(real)} goes to {ones} set up" if real else "",
        answers=_who_answers(settings, bridge, real),
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join(part for part in (", ".join(names[:-1]), names[-1]) if part)


def _who_answers(settings: Settings, bridge: Bridge, real: Sequence[str]) -> str:
    """Say who answers where nobody chose another provider: a real one, or a stand-in's voice."""
    chosen = settings.default_provider or ("local" if "local" in bridge.providers else next(iter(bridge.providers), None))
    if chosen in real:
        return f"{chosen}, the real one"
    if "local" in bridge.providers:
        return "the small model on this machine"
    why = "switched off (LOCAL_MODEL=off)" if settings.local_model == "off" else "not installed"
    others = f"; /provider {real[0]} asks the real one" if real else ""
    return f"a script: the local model is {why}{others}"
