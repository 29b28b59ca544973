"""Titles of the tables of PROVIDERS_FILE: what people choose by means one provider, whichever word of it they type."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters import local
from tests.support.tables import refusal_at_start

PLAIN = 'base_url = "http://localhost:1/v1"\ndefault_model = "m"\n'


@pytest.mark.parametrize(
    ("title", "values", "meant"),
    [
        ("later", {}, "later"),
        ("LATER", {}, "later"),
        ("Netmind", {"netmind_api_key": "canary-4f1d"}, "netmind"),
        ("OpenAI", {"openai_base_url": "http://localhost:2/v1"}, "openai"),
    ],
)
def test_no_title_is_the_name_of_another_provider(tmp_path: Path, title: str, values: dict[str, object], meant: str) -> None:
    """`/provider` looks among the names first: who types what the button shows would be answered by somebody else."""
    text = f'[first]\n{PLAIN}title = "{title}"\n[later]\n{PLAIN}title = "Another"\n'
    said = refusal_at_start(tmp_path, text, **values)
    assert f"[first]: its title is the name of another provider, and /provider would take it for {meant}: " in said
    assert said.endswith('such as title = "first"')
    assert not refusal_at_start(tmp_path, text.replace(f'"{title}"', '"first"'), **values)


def test_the_name_of_a_provider_that_is_not_set_up_is_free_as_a_title(tmp_path: Path) -> None:
    assert not refusal_at_start(tmp_path, f'[mine]\n{PLAIN}title = "Netmind"')


def test_blanks_do_not_tell_titles_apart(tmp_path: Path) -> None:
    said = refusal_at_start(tmp_path, f'[a]\n{PLAIN}title = "GPU box"\n[b]\n{PLAIN}title = " GPU  box "')
    assert "[b]: its title, or its preset's, is that of [a] too" in said


@pytest.mark.parametrize(("installed", "wanted", "free"), [(False, "auto", True), (True, "off", True), (True, "auto", False)])
def test_the_local_models_title_is_free_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installed: bool, wanted: str, free: bool
) -> None:
    monkeypatch.setattr(local, "local_available", lambda: installed)
    said = refusal_at_start(tmp_path, f'[ollama]\ntitle = "{local.LOCAL.title}"', local_model=wanted)
    assert (not said) is free
    assert free or "is that of local too" in said
