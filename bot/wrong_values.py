"""What is wrong with a variable's value, in words for the operator: what it takes, from the declaration of its field."""

from __future__ import annotations

from typing import Literal, get_args, get_origin

from pydantic.fields import FieldInfo


def wrong_value(kind: str, message: str, field: FieldInfo | None) -> str:
    """Say what a variable takes.

    Args:
        kind: Type of the problem, as the validating library names it.
        message: Its own words; only those of a validator of ours are passed on.
        field: The variable's declaration; None if the problem is of several together.
    """
    if kind == "value_error":
        words = message.removeprefix("Value error, ")
        return words if field is None else f"{words[:1].lower()}{words[1:]}"
    if field is None:
        return "it is not of the form that is taken"
    kinds = _kinds(field.annotation)
    choices = [str(choice) for each in kinds if get_origin(each) is Literal for choice in get_args(each)]
    if choices:
        return f"takes {', '.join(choices[:-1])} or {choices[-1]}"
    if bool in kinds:
        return "takes true or false (a boolean)"
    if int in kinds or float in kinds:
        return f"takes {'an integer' if int in kinds else 'a number'}{_range(field)}"
    return "takes a text"


def _kinds(annotation: object) -> tuple[object, ...]:
    """Return the alternatives of an annotation such as ``int | None``, or itself."""
    return (annotation,) if get_origin(annotation) is Literal else (get_args(annotation) or (annotation,))


def _range(field: FieldInfo) -> str:
    """Return the range of a number's variable, with a space before it; empty: it has none."""
    low, above, high = (_bound(field, name) for name in ("ge", "gt", "le"))
    if low is not None and high is not None:
        return f" from {low} to {high}"
    words = [f"{word} {bound}" for word, bound in (("of at least", low), ("above", above), ("at most", high)) if bound is not None]
    return f" {' and '.join(words)}" if words else ""


def _bound(field: FieldInfo, name: str) -> str | None:
    """Return a bound of a field (``ge``, ``gt``, ``le``) as it would be typed; None: it has none."""
    return next((f"{bound:.12g}" for each in field.metadata if (bound := getattr(each, name, None)) is not None), None)
