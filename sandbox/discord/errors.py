"""How Discord says no: status, JSON code, message and, for forms, a tree of errors.

Codes and texts: documented under opcodes and status codes; 30046, 50027 and 10015 as seen in the field.
"""

from __future__ import annotations

from typing import Any

REFUSALS: dict[int, tuple[int, str]] = {
    0: (404, "404: Not Found"),
    10002: (404, "Unknown Application"),
    10003: (404, "Unknown Channel"),
    10004: (404, "Unknown Guild"),
    10007: (404, "Unknown Member"),
    10008: (404, "Unknown Message"),
    10013: (404, "Unknown User"),
    10014: (400, "Unknown Emoji"),
    10015: (404, "Unknown Webhook"),
    10062: (404, "Unknown interaction"),
    30010: (400, "Maximum number of reactions reached (20)"),
    40005: (413, "Request entity too large"),
    40060: (400, "Interaction has already been acknowledged."),
    50001: (403, "Missing Access"),
    50003: (403, "Cannot execute action on a DM channel"),
    50005: (403, "Cannot edit a message authored by another user"),
    50006: (400, "Cannot send an empty message"),
    50007: (403, "Cannot send messages to this user"),
    50013: (403, "Missing Permissions"),
    50024: (400, "Cannot execute action on this channel type"),
    50027: (401, "Invalid Webhook Token"),
    50035: (400, "Invalid Form Body"),
    50083: (400, "Thread is archived"),
    50109: (400, "The request body contains invalid JSON."),
    160004: (400, "A thread has already been created for this message"),
    160005: (400, "Thread is locked"),
}


class ApiError(Exception):
    """A call was refused.

    Attributes:
        status: HTTP status.
        code: Discord's JSON code.
        errors: Tree of what is wrong with a form, None for other refusals.
    """

    def __init__(self, code: int, *, errors: dict[str, Any] | None = None) -> None:
        self.status, self.message = REFUSALS[code]
        super().__init__(self.message)
        self.code = code
        self.errors = errors

    @property
    def body(self) -> dict[str, Any]:
        """JSON body of the answer."""
        body: dict[str, Any] = {"message": self.message, "code": self.code}
        return body if self.errors is None else {**body, "errors": self.errors}


class UnauthorizedError(ApiError):
    """The bot token is missing or wrong."""

    def __init__(self) -> None:
        super().__init__(0)
        self.status, self.message = 401, "401: Unauthorized"


class FormErrors:
    """What is wrong with a form, collected; Discord tells everything at once."""

    def __init__(self) -> None:
        self._tree: dict[str, Any] = {}

    def add(self, path: tuple[str | int, ...], code: str, message: str) -> None:
        """Note one error at a place of the form."""
        node = self._tree
        for step in path:
            node = node.setdefault(str(step), {})
        node.setdefault("_errors", []).append({"code": code, "message": message})

    def length(self, path: tuple[str | int, ...], text: Any, least: int, most: int) -> bool:
        """Check that `text` is a string of `least` to `most` code points; note what is wrong."""
        if not isinstance(text, str):
            self.add(path, "STRING_TYPE_CONVERT", "Could not interpret value as string.")
        elif len(text) > most and least == 0:
            self.add(path, "BASE_TYPE_MAX_LENGTH", f"Must be {most} or fewer in length.")
        elif not least <= len(text) <= most:
            self.add(path, "BASE_TYPE_BAD_LENGTH", f"Must be between {least} and {most} in length.")
        else:
            return True
        return False

    def required(self, path: tuple[str | int, ...]) -> None:
        """Note that a field is missing."""
        self.add(path, "BASE_TYPE_REQUIRED", "This field is required")

    def choice(self, path: tuple[str | int, ...], value: Any, allowed: tuple[Any, ...]) -> bool:
        """Check that `value` is one of those allowed; note if not."""
        if value in allowed and not isinstance(value, bool):
            return True
        self.add(path, "BASE_TYPE_CHOICES", f"Value must be one of {allowed}.")
        return False

    def check(self) -> None:
        """Raise what was noted.

        Raises:
            ApiError: 50035 with the tree, if there is any.
        """
        if self._tree:
            raise ApiError(50035, errors=self._tree)


def invalid_form(path: tuple[str | int, ...], code: str, message: str) -> ApiError:
    """Return the refusal of a form with one error."""
    errors = FormErrors()
    errors.add(path, code, message)
    try:
        errors.check()
    except ApiError as error:
        return error
    raise AssertionError("an error was added")
