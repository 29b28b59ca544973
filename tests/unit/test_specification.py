"""The specification can't name a test that does not exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_test_that_the_specification_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs" / "specification.md").read_text()))
    there = {name for file in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert len(named) > 20
    assert named <= there, f"not there: {sorted(named - there)}"


def test_every_promise_names_a_test() -> None:
    text = (ROOT / "docs" / "specification.md").read_text()
    promises = re.split(r"^\d+\. ", text, flags=re.MULTILINE)[1:]
    assert len(promises) == 10
    assert all(re.search(r"`test_\w+`", promise) for promise in promises)
