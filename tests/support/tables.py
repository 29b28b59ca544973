"""PROVIDERS_FILE as a test writes it."""

from __future__ import annotations

from pathlib import Path

from bot.settings import SettingsError, load


def written(folder: Path, text: str) -> Path:
    """Return the path of a file of tables that holds `text`."""
    path = folder / "providers.toml"
    path.write_text(text, encoding="utf-8")
    return path


def refusal_at_start(folder: Path, text: str, **values: object) -> str:
    """Return what the start says of a file of tables, with `values` as the other settings; empty: it is taken."""
    try:
        load(None, **{"providers_file": written(folder, text), "local_model": "off", **values})
    except SettingsError as error:
        return str(error)
    return ""
