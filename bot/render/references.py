"""What references lead to: to the target that a definition gives them, before or behind them or in an earlier page; or to a footnote."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

import pyromark

from bot.render.links import is_link
from bot.render.mask import Masked, is_definition

NOTE = "\0note"
"""Target of footnotes: not one that a text could hold."""
_NOTE_LABEL = re.compile(r"\^[^\s^]{1,40}")

Resolver: TypeAlias = Callable[["pyromark.event.BrokenLink"], "tuple[str, str] | None"]


def resolver(source: str, masked: Masked) -> Resolver | None:
    """Return what finds the target of a reference that the parser knows none for."""
    if not (masked.targets or "[^" in source):
        return None
    data = b""

    def resolve(link: pyromark.event.BrokenLink) -> tuple[str, str] | None:
        nonlocal data
        if _NOTE_LABEL.fullmatch(link["reference"]):
            return (NOTE, "")
        target = masked.targets.get(masked.unmask(link["reference"]).casefold(), "")
        if not is_link(target):
            return None
        data = data or masked.text.encode()
        return None if is_definition(data, link["span"]["end"]) else (target, "")

    return resolve
