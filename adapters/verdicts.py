"""What kind of error a provider's answer is.

The order is: explicit code in the body, then HTTP status, then a table of phrases (only where the status says little), then
`ErrorKind.PROTOCOL`. The tables collect what the clients of many OpenAI-compatible gateways met.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from adapters.base import Billed, ErrorKind, Scope


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an error is, how far it reaches, and whether it may have cost something."""

    kind: ErrorKind
    scope: Scope
    billed: Billed


_CODES: dict[str, ErrorKind] = {
    code: kind
    for kind, codes in {
        ErrorKind.QUOTA: """insufficient_quota insufficient_credits insufficient_balance insufficient_funds quota_exceeded payment_required
            billing_hard_limit_reached billing_not_active exceeded_current_quota_error insufficient_user_quota
            pre_consume_token_quota_failed""",
        ErrorKind.RATE_LIMIT: "rate_limit_exceeded rate_limit_error rate_limit_reached_error rate_limited too_many_requests ratelimiterror",
        ErrorKind.AUTH: """invalid_api_key incorrect_api_key invalid_authentication_error authentication_error authenticationerror
            unauthorized""",
        ErrorKind.NOT_SERVED: """unsupported_country_region_territory account_deactivated account_suspended ip_not_authorized
            organization_restricted""",
        ErrorKind.MODEL_NOT_FOUND: "model_not_found model_not_exist model_not_available model_not_supported unknown_model",
        ErrorKind.CONTEXT_OVERFLOW: """context_length_exceeded context_window_exceeded string_above_max_length exceed_context_size_error""",
        ErrorKind.CONTENT_FILTER: "content_filter content_policy_violation moderation_blocked data_inspection_failed",
        ErrorKind.OVERLOADED: "overloaded overloaded_error engine_overloaded_error server_overloaded service_unavailable unavailable_error",
        ErrorKind.SERVER: "server_error internal_error internal_server_error internalservererror api_error",
    }.items()
    for code in codes.split()
}

_NOT_SERVED = (
    r"\b(countr(y|ies)|territory|(user|your|this) (location|region))\b[^.]{0,40}\bnot (supported|available|allowed|served)"
    r"|\b(un|not )(supported|available|allowed|served) (in|from) (your|this) (country|region|location|territory)"
    r"|\bip( address(es)?)?\b[^.]{0,60}\b(not (allowed|authori[sz]ed|permitted|on|in)|blocked|banned|restrict)"
    r"|\b(account|organi[sz]ation|team|project|workspace)\b[^.]{0,60}"
    r"\b(is|was|been|were)( \w+)? (suspended|deactivated|disabled|banned|blocked|restricted|terminated|flagged)"
    r"|you have been blocked|^\W*error code: 1\d{3}\W*$|network settings"  # a number is all that Cloudflare says to a program
    r"|verify your (e-?mail|phone|account|identity)|(include|have|no) api access"
)
"""Not the key and not the question, but the account, the country or the address that it is asked from."""

# Ordered: the first kind one of whose phrases is found decides. A bare number such as "429" is no phrase: error texts echo token ids.
_PHRASES: tuple[tuple[ErrorKind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile("|".join(phrases), re.IGNORECASE))
    for kind, phrases in (
        (
            ErrorKind.CONTEXT_OVERFLOW,
            (
                r"context[ _](length|window|size)|maximum context|too many (input )?tokens(?! per|,)|maximum number of tokens",
                r"(prompt|input) is too long|reduce the length",
            ),
        ),
        (
            ErrorKind.QUOTA,
            (
                r"\b(insufficient|not enough|no|low) (api )?(credit|balance|quota|fund)|out of credit|credits? (balance )?(\w+ )?exhausted",
                r"current quota|quota exceeded(?!.{0,200}\bper (second|minute))|\bquota limit|monthly limit",
                r"spend(ing)? limit|payment required",
                r"account balance|key limit exceeded|(n't|not) have any credit|used all available credit",
            ),
        ),
        (
            ErrorKind.AUTH,
            (
                r"(invalid|incorrect|missing|expired|wrong|no) (api[ _-]?key|(access|auth|bearer) token|credential)",
                r"api[ _-]?key (is |provided )?(\w+ )?(not valid|invalid|incorrect|expired|required|missing)",
                r"unauthori[sz]ed|authentication(?! (service|server))|missing authorization",
            ),
        ),
        (ErrorKind.RATE_LIMIT, (r"rate[ _-]?limit|too many requests|too many tokens|queued requests allowed|quota exceeded",)),
        (ErrorKind.QUOTA, (r"upgrade (your )?subscription",)),  # which a rate limit advises, too
        (
            ErrorKind.OVERLOADED,
            (
                r"overloaded|service (is )?(temporarily )?unavailable|temporarily (unavailable|not available)|at capacity",
                r"server (is )?busy|\bmodel\b.{0,120}?\bis (\w+ )?(being )?load(ing|ed)\b|\bloading (the )?model\b",
            ),
        ),
        (
            ErrorKind.MODEL_NOT_FOUND,
            (
                r"(unknown|invalid|no such|unsupported) model\b",
                r"\bmodel\b.{0,120}?(not found|not exist|not available|decommissioned|deprecated|retired|no longer)",
            ),
        ),
        (ErrorKind.NOT_SERVED, (_NOT_SERVED,)),
        (
            ErrorKind.CONTENT_FILTER,
            (
                r"content[ _](policy|filter|management)|flagged|safety system|moderation|violates (our |the )?usage (guidelines|polic)",
                r"sensitive (word|content)|(blocked|banned|forbidden|prohibited) (key)?word",
            ),
        ),
        (
            ErrorKind.BAD_REQUEST,
            (
                r"(is|are) (required|mandatory|invalid)|must be|not supported|does not support",
                r"(invalid|unsupported|unknown|unexpected) (value|parameter|argument|field|content)",
            ),
        ),
    )
)

_SHUT_OUT = re.compile(_NOT_SERVED, re.IGNORECASE)
_NO_KEY = next(pattern for kind, pattern in _PHRASES if kind is ErrorKind.AUTH)

_STATUSES: dict[int, ErrorKind] = {
    401: ErrorKind.AUTH,
    402: ErrorKind.QUOTA,
    403: ErrorKind.AUTH,
    404: ErrorKind.MODEL_NOT_FOUND,
    408: ErrorKind.TIMEOUT_FIRST,
    410: ErrorKind.MODEL_NOT_FOUND,
    413: ErrorKind.CONTEXT_OVERFLOW,
    425: ErrorKind.RATE_LIMIT,
    429: ErrorKind.RATE_LIMIT,
    451: ErrorKind.CONTENT_FILTER,
    503: ErrorKind.OVERLOADED,
    529: ErrorKind.OVERLOADED,
}

_TALKATIVE = frozenset({200, 400, 406, 422, 500})
"""Under these statuses only the text tells errors apart."""

_HTTP_ERRORS = range(400, 600)

_SCOPES: dict[ErrorKind, Scope] = {
    ErrorKind.AUTH: Scope.ACCOUNT,
    ErrorKind.NOT_SERVED: Scope.ACCOUNT,
    ErrorKind.QUOTA: Scope.ACCOUNT,
    ErrorKind.RATE_LIMIT: Scope.ACCOUNT,
    ErrorKind.MODEL_NOT_FOUND: Scope.MODEL,
    ErrorKind.OVERLOADED: Scope.PROVIDER,
    ErrorKind.SERVER: Scope.PROVIDER,
    ErrorKind.TIMEOUT_FIRST: Scope.PROVIDER,
}

_REFUSALS = frozenset(
    {
        ErrorKind.AUTH,
        ErrorKind.NOT_SERVED,
        ErrorKind.FORBIDDEN,
        ErrorKind.QUOTA,
        ErrorKind.RATE_LIMIT,
        ErrorKind.MODEL_NOT_FOUND,
        ErrorKind.BAD_REQUEST,
        ErrorKind.CONTEXT_OVERFLOW,
    }
)
"""The provider said no before it did anything."""

_NO_ROUTE = re.compile(
    r"^(404\b|(page |route )?not found\b(?!.*\bmodel\b))|invalid url|unknown (request )?url|cannot (post|get) |no route|route .*not found",
    re.IGNORECASE,
)
"""A 404 of the route and not of the model: the base address is wrong."""

_TEXT_CHARS = 2000  # of an error text are looked at


_FORBIDDEN = 403
_MONEY = re.compile(r"credit|balance|quota|fund|limit", re.IGNORECASE)
"""What a 403 for want of money speaks of: OpenRouter's limit of a key, xAI's credits of a team. One for want of a plan does not."""
_NOT_CHARGED = re.compile(r"\bno credits? (were|was|are|is|will be|have been|has been) \w+", re.IGNORECASE)
"""Says what a refusal cost, and not why it was."""
_NOT_OPEN = re.compile(r"(not|n't) have access to (the )?model|must be verified to (use|stream|generate)", re.IGNORECASE)
"""A model that is there, but not for this key: OpenAI gives it the code of one that is not."""
_OF_A_MODEL = re.compile(r"\bmodel\b", re.IGNORECASE)
_OF_A_PLAN = re.compile(r"\b(plan|subscription)\b", re.IGNORECASE)
_OF_THE_KEY = re.compile(
    r"\bkeys?\b(?! ?(word|phrase)s?\b)|unauthor"
    r"|\b(api|access|auth|bearer|invalid|expired|your|this|the) token\b(?! (limit|count|budget|usage))",
    re.IGNORECASE,
)
_OF_ALL = re.compile(r"\b(countr(y|ies)|region|territory|location|ip|banned|suspended|deactivated|disabled)\b|been blocked", re.IGNORECASE)
"""Words of a 403 that is of the account or the place, where nothing speaks of a key or a model."""
_SAYS_NOTHING = re.compile(
    r"\W*(403)?\W*(forbidden|(access|permission) denied|request not allowed)?\W*(nginx\S*|cloudflare)?\W*", re.IGNORECASE
)


_SAID_WITH_403 = frozenset({ErrorKind.CONTENT_FILTER, ErrorKind.RATE_LIMIT, ErrorKind.CONTEXT_OVERFLOW})


def classify(status: int, text: str = "", code: str = "", fields: str = "") -> Verdict:
    """Tell what an error is.

    Args:
        status: HTTP status; 200 for an error that came inside a good answer.
        text: From `adapters.failures.error_text`.
        code: From `adapters.failures.error_code`.
        fields: From `adapters.failures.error_fields`: beside the code they tell how far a refused key reaches.
    """
    text = _NOT_CHARGED.sub("", text[:_TEXT_CHARS])
    if status == 200 and code.isdigit() and int(code) in _HTTP_ERRORS:  # noqa: PLR2004 - a status inside the body, as OpenRouter and vLLM send
        return classify(int(code), text, fields=fields)
    kind = _CODES.get(code) or _by_status(status, text)
    if kind is ErrorKind.AUTH:
        kind, scope = _denied(status, text, f"{code} {fields}")
        return Verdict(kind, scope, Billed.NO)
    if kind is ErrorKind.MODEL_NOT_FOUND and status == 404 and code not in _CODES and _NO_ROUTE.search(text):  # noqa: PLR2004 - HTTP's number
        return Verdict(ErrorKind.BAD_REQUEST, Scope.PROVIDER, Billed.NO)
    closed = kind is ErrorKind.MODEL_NOT_FOUND and status == _FORBIDDEN
    if closed or (kind in {ErrorKind.MODEL_NOT_FOUND, ErrorKind.BAD_REQUEST} and _NOT_OPEN.search(text)):
        return Verdict(ErrorKind.AUTH, Scope.MODEL, Billed.NO)
    refused = kind in _REFUSALS or (kind is ErrorKind.OVERLOADED and status in {429, 503, 529})
    # A 405 is of a wrong address, whatever is asked.
    scope = Scope.PROVIDER if status == 405 else _SCOPES.get(kind, Scope.REQUEST)  # noqa: PLR2004 - HTTP's number
    return Verdict(kind, scope, Billed.NO if refused else Billed.MAYBE)


def _by_status(status: int, text: str) -> ErrorKind:
    found = next((kind for kind, pattern in _PHRASES if pattern.search(text)), None)
    if status in _TALKATIVE and found is not None:
        return found
    if status == 429 and found in {ErrorKind.QUOTA, ErrorKind.OVERLOADED}:  # noqa: PLR2004 - HTTP's number
        return found  # Moonshot and others send an exhausted balance as 429
    if status == _FORBIDDEN and (found in _SAID_WITH_403 or (found is ErrorKind.QUOTA and _MONEY.search(text))):
        return found  # OpenRouter and xAI send a flagged question as 403, and a key that has used up its limit
    if status in _STATUSES:
        return _STATUSES[status]
    if status not in _HTTP_ERRORS:
        return ErrorKind.PROTOCOL
    return ErrorKind.SERVER if status >= 500 else ErrorKind.BAD_REQUEST  # noqa: PLR2004 - HTTP's number


def _denied(status: int, text: str, fields: str) -> tuple[ErrorKind, Scope]:
    """Tell what a refusal of the key is of, and how far it reaches: for another model it may be none."""
    if "model" in fields:  # LiteLLM's key_model_access_denied, which comes as 401, too
        return ErrorKind.AUTH, Scope.MODEL
    words = f"{fields} {text}".replace("_", " ")
    of_a_model = _OF_A_MODEL.search(text) is not None
    if not of_a_model and _SHUT_OUT.search(words):
        return ErrorKind.NOT_SERVED, Scope.ACCOUNT
    if status != _FORBIDDEN or any(_CODES.get(field) is ErrorKind.AUTH for field in fields.split()) or _NO_KEY.search(text):
        return ErrorKind.AUTH, Scope.ACCOUNT
    of_one = of_a_model or _OF_A_PLAN.search(text) is not None
    if of_one or _OF_THE_KEY.search(words):
        return ErrorKind.AUTH, Scope.MODEL if of_one else Scope.ACCOUNT
    if _OF_ALL.search(words):
        return ErrorKind.NOT_SERVED, Scope.ACCOUNT
    return ErrorKind.FORBIDDEN, Scope.ACCOUNT if _SAYS_NOTHING.fullmatch(text) else Scope.MODEL
