"""What an error of the Bot API means for the caller."""

from __future__ import annotations

import httpx
from telegram.error import BadRequest, ChatMigrated, Conflict, Forbidden, InvalidToken, TelegramError

from bot.platforms.base import FloodError, PlatformError, Refusal, RefusedError, UnavailableError, UnknownOutcomeError
from bot.platforms.telegram.api import FloodedError, ServerError
from bot.platforms.unreachable import NO_ANSWER, why

TOKEN_REFUSED = "Telegram does not know TELEGRAM_TOKEN; copy it anew from @BotFather"  # noqa: S105 - a sentence
NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, httpx.UnsupportedProtocol)
"""Errors of httpx after which no byte of the request has left."""
NOT_MODIFIED = "message is not modified"

# Parts of the server's descriptions of 400 answers, lower case, the first that fits counts. From the server's source and field reports;
# there are no codes.
_REFUSALS = (
    ("markup is too long", Refusal.BAD_REQUEST),
    ("too long", Refusal.TOO_LONG),
    ("too_long", Refusal.TOO_LONG),
    ("no text in the message", Refusal.OTHER_KIND),
    ("not enough rights", Refusal.FORBIDDEN),
    ("have no rights", Refusal.FORBIDDEN),
    ("write_forbidden", Refusal.FORBIDDEN),
    ("need administrator rights", Refusal.FORBIDDEN),
    ("topic_closed", Refusal.FORBIDDEN),
    ("can't be deleted", Refusal.FORBIDDEN),
    ("not found", Refusal.GONE),
    ("can't be edited", Refusal.GONE),
    ("message_id_invalid", Refusal.GONE),
    ("peer_id_invalid", Refusal.GONE),
    ("topic_deleted", Refusal.GONE),
    ("chat was deactivated", Refusal.GONE),
    ("chat was deleted", Refusal.GONE),
)


def platform_error(error: TelegramError, *, repeatable: bool) -> PlatformError:
    """Translate an error.

    Args:
        error: As `Api.call` raised it.
        repeatable: Doing it twice does no harm, as for an edit. A send is not: there an answer that was lost leaves the outcome unknown.
            So does any 5xx: 502 and 504 come from the front, which has lost the server behind it, and a 500 may come after the message
            was made.
    """
    if isinstance(error, FloodedError):
        return FloodError(error.seconds)
    refused = _refused(error)
    if refused is not None:
        return RefusedError(*refused)
    cause = error.__cause__
    what = _why(error, cause)
    if isinstance(cause, NEVER_SENT):
        return UnavailableError(f"Telegram can't be reached: {what}")
    if repeatable:
        return UnavailableError(f"no answer from Telegram: {what}")
    return UnknownOutcomeError(f"the answer of Telegram was lost: {what}")


def _why(error: TelegramError, cause: BaseException | None) -> str:
    if isinstance(cause, httpx.TimeoutException):
        return NO_ANSWER
    if isinstance(error, ServerError):
        return error.message
    return why(error)


def _refused(error: TelegramError) -> tuple[Refusal, str] | None:
    match error:
        case BadRequest():
            return refusal(error), error.message
        case Forbidden():
            return Refusal.FORBIDDEN, error.message
        case InvalidToken():
            return Refusal.TOKEN, TOKEN_REFUSED
        case ChatMigrated():
            return Refusal.GONE, "the group became a supergroup with a new id"
        case Conflict():
            return Refusal.BAD_REQUEST, error.message
    return None


def refusal(error: BadRequest) -> Refusal:
    """Tell what a 400 answer means."""
    said = error.message.lower()
    return next((reason for part, reason in _REFUSALS if part in said), Refusal.BAD_REQUEST)


def is_not_modified(error: TelegramError) -> bool:
    """The message already looks as it should."""
    return isinstance(error, BadRequest) and NOT_MODIFIED in error.message.lower()


def is_gone_already(error: TelegramError) -> bool:
    """The message to delete does not exist."""
    return isinstance(error, BadRequest) and refusal(error) is Refusal.GONE
