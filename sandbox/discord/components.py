"""Checks of message components: rows, buttons, selects, and the newer kinds by count and text alone.

Limits: documented in the component reference.
"""

from __future__ import annotations

from typing import Any

from bot.platforms.budgets import DISCORD_BUTTON_ROWS, DISCORD_BUTTONS_PER_ROW, DISCORD_CHOICES
from sandbox.discord.errors import FormErrors

ROW, BUTTON, STRING_SELECT = 1, 2, 3
SELECTS = (3, 5, 6, 7, 8)
LINK_STYLE = 5
CUSTOM_ID_CHARS, LABEL_CHARS, URL_CHARS = 100, 80, 512
NEW_KIND_COMPONENTS, NEW_KIND_TEXT = 40, 4000
"""Most components, and most text over all of them, of a message with the flag IS_COMPONENTS_V2."""

Path = tuple[str | int, ...]


def check_rows(errors: FormErrors, components: Any) -> None:
    """Check the components of an ordinary message."""
    if not isinstance(components, list):
        errors.add(("components",), "LIST_TYPE_CONVERT", "Only iterables may be used in a ListType")
        return
    if len(components) > DISCORD_BUTTON_ROWS:
        errors.add(("components",), "BASE_TYPE_MAX_LENGTH", f"Must be {DISCORD_BUTTON_ROWS} or fewer in length.")
    seen: set[str] = set()
    for number, row in enumerate(components):
        path: Path = ("components", number)
        if not isinstance(row, dict) or row.get("type") != ROW:
            errors.add((*path, "type"), "UNION_TYPE_CHOICES", f'Value of field "type" must be one of ({ROW},).')
            continue
        _check_row(errors, path, row.get("components"), seen)


def check_new_kind(errors: FormErrors, components: Any) -> None:
    """Check the tree of a message with IS_COMPONENTS_V2: how many there are and how much they say."""
    flat = list(walk(components))
    if len(flat) > NEW_KIND_COMPONENTS:
        errors.add(("components",), "BASE_TYPE_MAX_LENGTH", f"Must be {NEW_KIND_COMPONENTS} or fewer in length.")
    if sum(len(str(component.get("content") or "")) for component in flat) > NEW_KIND_TEXT:
        errors.add(("components",), "COMPONENT_DISPLAYABLE_TEXT_SIZE_EXCEEDED", f"Must be {NEW_KIND_TEXT} or fewer in length.")


def walk(components: Any) -> list[dict[str, Any]]:
    """Return every component of a tree, parents first."""
    found: list[dict[str, Any]] = []
    for component in components if isinstance(components, list) else []:
        if isinstance(component, dict):
            found.append(component)
            found.extend(walk(component.get("components")))
            if isinstance(component.get("accessory"), dict):
                found.extend(walk([component["accessory"]]))
    return found


def numbered(components: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the tree with an `id` on each component, as Discord stores it."""
    count = 0

    def copy(component: dict[str, Any]) -> dict[str, Any]:
        nonlocal count
        count += 1
        result = {"id": count, **component}
        if isinstance(component.get("components"), list):
            result["components"] = [copy(child) for child in component["components"]]
        return result

    return [copy(component) for component in components]


def _check_row(errors: FormErrors, path: Path, children: Any, seen: set[str]) -> None:
    inside: Path = (*path, "components")
    if not isinstance(children, list) or not 1 <= len(children) <= DISCORD_BUTTONS_PER_ROW:
        errors.add(inside, "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {DISCORD_BUTTONS_PER_ROW} in length.")
        return
    for number, child in enumerate(children):
        place: Path = (*inside, number)
        kind = child.get("type") if isinstance(child, dict) else None
        if kind == BUTTON:
            _check_button(errors, place, child)
        elif kind in SELECTS:
            _check_select(errors, place, child, alone=len(children) == 1)
        else:
            errors.add((*place, "type"), "UNION_TYPE_CHOICES", f'Value of field "type" must be one of {(BUTTON, *SELECTS)}.')
            continue
        custom_id = child.get("custom_id")
        if isinstance(custom_id, str):
            if custom_id in seen:
                errors.add((*place, "custom_id"), "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated")
            seen.add(custom_id)


def _check_button(errors: FormErrors, path: Path, button: dict[str, Any]) -> None:
    style = button.get("style")
    if not errors.choice((*path, "style"), style, (1, 2, 3, 4, LINK_STYLE)):
        return
    if style == LINK_STYLE:
        errors.length((*path, "url"), button.get("url"), 1, URL_CHARS)
        if button.get("custom_id") is not None:
            errors.add((*path, "custom_id"), "BUTTON_COMPONENT_INVALID_CUSTOM_ID", "A link button cannot have a custom id")
    elif button.get("custom_id") is None:
        errors.required((*path, "custom_id"))
    else:
        errors.length((*path, "custom_id"), button["custom_id"], 1, CUSTOM_ID_CHARS)
    if button.get("label") is not None:
        errors.length((*path, "label"), button["label"], 0, LABEL_CHARS)
    if not button.get("label") and not button.get("emoji"):
        errors.add(path, "BUTTON_COMPONENT_LABEL_OR_EMOJI_REQUIRED", "A button needs a label or an emoji")


def _check_select(errors: FormErrors, path: Path, select: dict[str, Any], *, alone: bool) -> None:
    if not alone:
        errors.add(path, "COMPONENT_LAYOUT_WIDTH_EXCEEDED", "The specified component exceeds the maximum width")
    errors.length((*path, "custom_id"), select.get("custom_id"), 1, CUSTOM_ID_CHARS)
    if select["type"] != STRING_SELECT:
        return
    options = select.get("options")
    if not isinstance(options, list) or not 1 <= len(options) <= DISCORD_CHOICES:
        errors.add((*path, "options"), "BASE_TYPE_BAD_LENGTH", f"Must be between 1 and {DISCORD_CHOICES} in length.")
