"""Every way in which a provider can fail: a part of the seam, imported from `adapters.base`.

A failure is one exception, `ProviderError`: what went wrong (`ErrorKind`), what else would fail in the same way (`Scope`), and whether it
may have cost something (`Billed`). The kinds are grouped by what the caller can do next:

    ProviderError
    ├── ask again later      RATE_LIMIT  OVERLOADED  SERVER  CONNECT  TIMEOUT_FIRST  TIMEOUT_IDLE  TIMEOUT_TOTAL
    ├── mend the settings    AUTH  NOT_SERVED  FORBIDDEN  QUOTA  MODEL_NOT_FOUND  BAD_REQUEST
    ├── change the request   CONTEXT_OVERFLOW  CONTENT_FILTER  NO_PICTURES
    └── no usable answer     PROTOCOL  INCOMPLETE  EMPTY  STATE_LOST

What kind a provider's answer is stands in `adapters.verdicts`, and what a person is told about each in `bot.texts_failed`.
"""

from __future__ import annotations

from enum import StrEnum

from adapters.failures import RETRY_AFTER_CEILING_S


class ErrorKind(StrEnum):
    """What went wrong, in the order of the tree at the top of this module."""

    RATE_LIMIT = "rate_limit"
    OVERLOADED = "overloaded"
    SERVER = "server"
    CONNECT = "connect"
    TIMEOUT_FIRST = "timeout_first"
    TIMEOUT_IDLE = "timeout_idle"
    TIMEOUT_TOTAL = "timeout_total"
    AUTH = "auth"
    NOT_SERVED = "not_served"  # the account, the place or the address is refused, and the key is good
    FORBIDDEN = "forbidden"  # refused, and nothing tells why
    QUOTA = "quota"
    MODEL_NOT_FOUND = "model_not_found"
    BAD_REQUEST = "bad_request"
    CONTEXT_OVERFLOW = "context_overflow"
    CONTENT_FILTER = "content_filter"
    NO_PICTURES = "no_pictures"
    PROTOCOL = "protocol"
    INCOMPLETE = "incomplete"
    EMPTY = "empty"
    STATE_LOST = "state_lost"


class Scope(StrEnum):
    """How far an error reaches: what else would fail in the same way."""

    REQUEST = "request"
    MODEL = "model"
    ACCOUNT = "account"
    PROVIDER = "provider"


class Billed(StrEnum):
    """Whether the failed request may have cost something."""

    NO = "no"
    MAYBE = "maybe"
    YES = "yes"


class ProviderError(Exception):
    """A provider did not give an answer.

    Attributes:
        kind: What went wrong.
        detail: A short excerpt of the provider's words for the operator, redacted: no key, chat id or prompt.
        status: HTTP status, if there was one.
        retry_after: Seconds the provider asked to wait, as people are told; see `wait`.
        billed: Whether it may have been billed; only ``Billed.NO`` may be repeated without asking.
        scope: What else would fail in the same way.
        in_stream: True if it came after the answer had begun.
        at_cap: EMPTY: the cap on the answer's length was reached before its first word, by hidden thinking as a rule.
        wanted_tool: EMPTY: the model asked for a tool to be run in place of an answer.
        should_retry: Whether the provider says that the same request may succeed next time; None: it does not say.
        provider: Name of the provider that was asked; the router sets it.
    """

    def __init__(
        self,
        kind: ErrorKind,
        detail: str = "",
        *,
        status: int | None = None,
        retry_after: float | None = None,
        billed: Billed = Billed.MAYBE,
        scope: Scope = Scope.REQUEST,
        in_stream: bool = False,
        at_cap: bool = False,
        wanted_tool: bool = False,
        should_retry: bool | None = None,
    ) -> None:
        super().__init__(f"{kind}: {detail}" if detail else str(kind))
        self.kind = kind
        self.detail = detail
        self.status = status
        self.retry_after = retry_after
        self.billed = billed
        self.scope = scope
        self.in_stream = in_stream
        self.at_cap = at_cap
        self.wanted_tool = wanted_tool
        self.should_retry = should_retry
        self.provider: str | None = None

    @property
    def misplaced(self) -> bool:
        """What answered does not know the request at all: the address is wrong."""
        return self.kind is ErrorKind.BAD_REQUEST and self.scope is Scope.PROVIDER

    @property
    def no_such_route(self) -> bool:
        """`misplaced`, as there is nothing at that path, or nothing that takes that method: some servers have no list of models."""
        return self.misplaced and self.status in {404, 405, 501}

    @property
    def wait(self) -> float:
        """Seconds that are waited because the provider asked for it: of a long time only its beginning; 0 if it did not ask."""
        return min(self.retry_after or 0.0, RETRY_AFTER_CEILING_S)

    @property
    def told_as(self) -> ErrorKind:
        """What people are told of it in a few words: a model that is not open to a key is not there for it, and the key is good."""
        return ErrorKind.MODEL_NOT_FOUND if self.kind is ErrorKind.AUTH and self.scope is Scope.MODEL else self.kind

    def possibly_billed(self) -> ProviderError:
        """Return the same error of a question that may have been billed."""
        same = ProviderError(
            self.kind,
            self.detail,
            status=self.status,
            retry_after=self.retry_after,
            billed=Billed.MAYBE,
            scope=self.scope,
            in_stream=self.in_stream,
            at_cap=self.at_cap,
            wanted_tool=self.wanted_tool,
            should_retry=self.should_retry,
        )
        same.provider = self.provider
        return same
