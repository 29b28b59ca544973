"""HTTP to providers: one session, JSON out, bounded JSON or a byte stream in, every failure a `ProviderError`.

Traps this module closes (each measured on aiohttp 3.14):

- A redirect would carry ``x-api-key`` and a JSON body with a key in it to another host, and turn a POST into a GET: none is followed.
- ``response.json()`` refuses JSON that is labelled text/plain: bytes are read, capped, and parsed here.
- ``data="..."`` sends text/plain, which Segmind answers with a 406 that looks like a billing problem: bodies go out as ``json=`` only.
- A connection on which ``Connection: close`` was asked goes back to the pool unless the answer says that too, and many servers just close:
  the next question on it is cut, and may have been billed. See `_Connector`. A POST that is cut so is never repeated by aiohttp itself.
- Keepalive bytes defeat ``sock_read``: time budgets are kept on what the caller calls payload, see `Stream.next_chunk`.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import aiohttp
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from adapters.addresses import GuardedResolver, PrivateAddressError, refuse_private
from adapters.base import Billed, ErrorKind, ProviderError, Scope
from adapters.bodies import Pieces, encode
from adapters.failures import error_code, error_fields, error_text, excerpt, redact, retry_after, retry_told, should_retry
from adapters.gathered import gather, hear_of_loss
from adapters.unread import Lookout, Unread
from adapters.verdicts import Verdict, classify

__all__ = [
    "BODY_BYTES",
    "REDIRECTS",
    "Budgets",
    "Http",
    "Reply",
    "Stream",
    "Verdict",
    "classify",
    "error_code",
    "error_text",
    "excerpt",
    "open_session",
    "redact",
    "retry_after",
]

BODY_BYTES = 2 * 1024 * 1024
"""Largest answer body that is read whole. A long answer is some 100 KB."""

REDIRECTS = range(300, 400)
"""Statuses that lead elsewhere: none is followed."""
_REFUSED = range(400, 600)
_PADDING = b" \t\r\n\xef\xbb\xbf"

KEEPALIVE_S = 30.0
"""Idle connections are kept so long: a chat's next question usually comes within it, and most gateways close at 60 s."""


@dataclass(frozen=True, slots=True)
class Budgets:
    """How long to wait for what, in seconds.

    The defaults: 30 s of silence is more than a healthy model takes that does not reason (published means are 2 to 10 s; reasoning ones
    need 60 s and more), and 180 s is what comparable clients wait in all.

    Attributes:
        connect: Name resolution, TCP and TLS together.
        first: From the request to the first payload (a stream's first event, a blocking call's headers).
        idle: Between two payloads of a stream.
        total: The whole call.
    """

    connect: float = 10.0
    first: float = 30.0
    idle: float = 30.0
    total: float = 180.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that was read whole.

    Attributes:
        status: HTTP status, never a redirect.
        headers: Of the answer; look-up ignores case.
        content_type: Media type without parameters, lower case, "" if none.
        data: The body as JSON, None if it is none, whatever its content type says.
        text: The body as text.
    """

    status: int
    headers: Mapping[str, str]
    content_type: str
    data: Any = field(repr=False)
    text: str = field(repr=False)

    @property
    def ok(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004


class _Connector(aiohttp.TCPConnector):
    """Uses no connection again that it was asked to close."""

    async def connect(self, req: aiohttp.ClientRequest, traces: list[Trace], timeout: aiohttp.ClientTimeout) -> Connection:  # noqa: ASYNC109 - aiohttp's name
        """Get a connection from the pool, or make one."""
        connection = await super().connect(req, traces, timeout)
        if connection.protocol is not None and req.headers.get("Connection", "").lower() == "close":
            connection.protocol.force_close()  # when this answer is over
        return connection


def open_session(*, private_addresses: bool = False) -> aiohttp.ClientSession:
    """Open the one session for all providers. Call it in a running loop and close it at the end.

    No cookies, no proxies or .netrc from the environment, no total time-out and no pool limit: time is kept per call, the number of answers
    in flight is bounded by the callers, and waiting for a pool slot would look like a slow provider. Certificates are verified.

    Args:
        private_addresses: Names that look public may lead to private addresses, and private addresses may be written out.
    """
    try:
        release = version("dragoman")
    except PackageNotFoundError:
        release = "0"
    return aiohttp.ClientSession(
        connector=_Connector(limit=0, keepalive_timeout=KEEPALIVE_S, resolver=None if private_addresses else GuardedResolver()),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        headers={"User-Agent": f"Dragoman/{release}"},
        trust_env=False,
        middlewares=() if private_addresses else (refuse_private,),
    )


class _Watch:
    """One timer for a whole stream: it goes off only while something is waited for, and is moved, not made anew, with each piece.

    `asyncio.timeout_at` for each piece took a quarter of all the time that reading a stream takes (measured).

    Args:
        expire: Called when it goes off.

    Attributes:
        due: When it goes off, in the loop's time; infinite where nothing is waited for. `set` has to be called if it lies before `at`.
        at: When it looks whether it is due.
        expired: It went off.
    """

    __slots__ = ("_expire", "_handle", "_loop", "at", "due", "expired")

    def __init__(self, expire: Callable[[], None]) -> None:
        self.expired = False
        self.due = self.at = math.inf
        self._expire = expire
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.TimerHandle | None = None

    def close(self) -> None:
        """Take the timer away."""
        self.at = math.inf
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def set(self, at: float) -> None:
        """Look at `at`."""
        self.close()
        self.at = at
        self._handle = self._loop.call_at(at, self._fire)

    def _fire(self) -> None:
        self._handle = None
        self.at = math.inf
        if self._loop.time() < self.due:
            if self.due < math.inf:
                self.set(self.due)
            return
        self.expired = True
        self._expire()


class Stream:
    """An open answer whose body is read piece by piece.

    Attributes:
        status: HTTP status, never a redirect.
        headers: Of the answer.
        content_type: Media type without parameters, lower case, "" if none.
        cut: The connection broke before the body's end. A cut of a ``Connection: close`` answer can't be seen: it looks like the end.
    """

    def __init__(self, response: aiohttp.ClientResponse, lookout: Lookout) -> None:
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.content_type = _media_type(response)
        self.cut = False
        self._response = response
        self._content = response.content
        gather(self._content)
        self._over = hear_of_loss(response)
        self._held = b""  # read ahead by `peek`
        self._watch = _Watch(response.close)  # which ends a read that waits
        self._unread = Unread(response, lookout)

    async def peek(self, deadline: float) -> bytes:
        """Return the first bytes without taking them, leading blanks and a BOM dropped; b"" if the body has nothing else.

        Raises:
            TimeoutError: The deadline has passed.
        """
        while not self._held:
            chunk = await self.next_chunk(deadline)
            if not chunk:
                break
            self._held = chunk.lstrip(_PADDING)
        return self._held

    async def next_chunk(self, deadline: float, lull: float = 0.0) -> bytes:
        """Return the next bytes, b"" at the end.

        Args:
            deadline: In the loop's time.
            lull: For so many seconds what comes may be left unread, so that one read brings much; `hurry` ends it.

        Raises:
            TimeoutError: The deadline has passed, and the answer was closed; the caller knows which of its budgets that was.
        """
        if self._held:
            held, self._held = self._held, b""
            return held
        watch = self._watch
        watch.due = deadline
        if deadline < watch.at:
            watch.set(deadline)
        if lull > 0:
            self._unread.begin(lull, deadline)
        try:
            chunk = await self._content.readany()
        except (aiohttp.ClientError, RuntimeError) as error:
            if not _lost(self._response, error):
                raise
            chunk = b""
            self.cut = not watch.expired
        finally:
            watch.due = math.inf
            if lull > 0:
                self._unread.end()
        if watch.expired and not chunk:
            raise TimeoutError
        return chunk

    def hurry(self) -> None:
        """Read what was left unread."""
        self._unread.end()

    def close(self) -> None:
        """Close the socket, or leave it to be used again if the body was read to its end."""
        self._watch.close()
        self._over()
        self._response.close()

    async def reply(self, deadline: float) -> Reply:
        """Read the rest as one body: an error, or JSON where a stream was asked for.

        Raises:
            ProviderError: TIMEOUT_TOTAL, SERVER (cut) or PROTOCOL (too large).
        """
        try:
            async with asyncio.timeout_at(deadline):
                return await _read(self._response, self._held)
        except TimeoutError:
            raise ProviderError(
                ErrorKind.TIMEOUT_TOTAL, "the answer's body did not end", status=self.status, scope=Scope.PROVIDER
            ) from None
        except aiohttp.ClientError:
            raise ProviderError(ErrorKind.SERVER, "the connection was cut", status=self.status, scope=Scope.PROVIDER) from None


class Http:
    """Calls to one provider account.

    Args:
        session: From `open_session`; not closed here.
        secrets: Texts that must never leave in an error: the key, ids that act as keys.
        budgets: Defaults of the calls.
        now: Epoch seconds, for retry hints that are dates.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        *,
        secrets: Sequence[str] = (),
        budgets: Budgets | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.budgets = budgets or Budgets()
        self._session = session
        self._secrets = tuple(secret for secret in secrets if secret)
        self._now = now
        self._lookout = Lookout()

    async def get_json(self, url: str, headers: Mapping[str, str] | None = None, *, budgets: Budgets | None = None) -> Reply:
        """GET, and return the answer whatever its status is. Never billed.

        Raises:
            ProviderError: No answer, a redirect, or one that is too large.
        """
        return await self._whole(_Call("GET", url, None, headers, budgets or self.budgets, Billed.NO))

    async def post_json(
        self,
        url: str,
        body: Any,
        headers: Mapping[str, str] | None = None,
        *,
        budgets: Budgets | None = None,
        billable: bool = True,
    ) -> Reply:
        """POST JSON, and return the answer whatever its status is.

        Args:
            url: Absolute.
            body: JSON value.
            headers: Besides the session's.
            budgets: `first` runs until the headers, which a blocking provider sends with the answer: give such a call first = total.
            billable: False for polls and queries, whose failure can't have cost anything.

        Raises:
            ProviderError: No answer, a redirect, or one that is too large.
        """
        return await self._whole(_Call("POST", url, body, headers, budgets or self.budgets, Billed.MAYBE if billable else Billed.NO))

    @asynccontextmanager
    async def stream_json(
        self, url: str, body: Any, headers: Mapping[str, str] | None = None, *, budgets: Budgets | None = None
    ) -> AsyncIterator[Stream]:
        """POST JSON and give the open answer, whatever its status is; on every way out its socket is closed, or reused if read to the end.

        Raises:
            ProviderError: No headers within `first`, or a redirect.
        """
        call = _Call("POST", url, body, headers, budgets or self.budgets, Billed.MAYBE)
        response = await self._open(call, min(call.budgets.first, call.budgets.total))
        stream = Stream(response, self._lookout)
        try:
            yield stream
        finally:
            stream.close()

    def failure(self, reply: Reply, *, private: Sequence[str] = (), in_stream: bool = False) -> ProviderError:
        """Make the error that an answer stands for, by the common rules; adapters with better knowledge look first.

        Args:
            reply: An error status, or a 200 whose body is an error.
            private: Prompts, which providers like to echo.
            in_stream: Text was already shown.
        """
        body = reply.text if reply.data is None else reply.data
        return self.error(reply.status, body, reply.headers, private=private, in_stream=in_stream)

    def error(
        self, status: int, body: Any, headers: Mapping[str, str] | None = None, *, private: Sequence[str] = (), in_stream: bool = False
    ) -> ProviderError:
        """Same as `failure`, from the parts: an error event inside a stream has no `Reply` of its own."""
        verdict = classify(status, error_text(body), error_code(body), error_fields(body))
        waits = verdict.kind in {ErrorKind.RATE_LIMIT, ErrorKind.OVERLOADED, ErrorKind.SERVER}
        return ProviderError(
            verdict.kind,
            excerpt(body, self._secrets, private),
            status=status,
            retry_after=retry_told(headers or {}, body, self._now()) if waits else None,
            billed=Billed.MAYBE if in_stream else verdict.billed,
            scope=verdict.scope,
            in_stream=in_stream,
            should_retry=should_retry(headers or {}) if status in _REFUSED else None,  # a good answer's header says nothing of its error
        )

    def excerpt(self, body: Any, private: Sequence[str] = ()) -> str:
        """Return the redacted error text of a body."""
        return excerpt(body, self._secrets, private)

    async def _whole(self, call: _Call) -> Reply:
        total = call.budgets.total
        try:
            async with asyncio.timeout(total):
                response = await self._open(call, call.budgets.first if call.budgets.first < total else None)
                try:
                    return await _read(response)
                finally:
                    response.close()
        except TimeoutError:
            raise call.failed(ErrorKind.TIMEOUT_TOTAL, f"no whole answer in {total:g} s") from None
        except aiohttp.ClientError:
            raise call.failed(ErrorKind.SERVER, "the connection was cut") from None

    async def _open(self, call: _Call, within: float | None) -> aiohttp.ClientResponse:
        """Send the request and wait for the headers, at most `within` seconds."""
        try:
            async with asyncio.timeout(within):
                response = await self._session.request(
                    call.method,
                    call.url,
                    **_payload(call),
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, connect=call.budgets.connect),
                )
        # First, as one of these is a TimeoutError too: nothing was sent yet.
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError, aiohttp.ClientSSLError, aiohttp.InvalidURL) as error:
            detail = f"cannot reach {_origin(call.url)}: {_reason(error)}"
            raise ProviderError(ErrorKind.CONNECT, detail, billed=Billed.NO, scope=Scope.PROVIDER) from None
        except TimeoutError:
            if within is None:
                raise  # the caller's own budget
            raise call.failed(ErrorKind.TIMEOUT_FIRST, f"no answer in {within:g} s") from None
        except aiohttp.ClientError:
            raise call.failed(ErrorKind.SERVER, "the connection was cut before an answer came") from None
        if response.status in REDIRECTS:
            response.close()
            detail = f"{_origin(call.url)} redirects to {_destination(call.url, response.headers.get('Location', ''))}"
            raise ProviderError(ErrorKind.BAD_REQUEST, detail, status=response.status, billed=Billed.NO, scope=Scope.PROVIDER)
        return response


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    url: str
    body: Any = field(repr=False)
    headers: Mapping[str, str] | None = field(repr=False)
    budgets: Budgets
    billed: Billed  # if it fails with its fate unknown

    def failed(self, kind: ErrorKind, detail: str) -> ProviderError:
        return ProviderError(kind, detail, billed=self.billed, scope=Scope.PROVIDER)


def _payload(call: _Call) -> dict[str, Any]:
    """Return headers and body as aiohttp takes them."""
    if call.body is None:
        return {"headers": call.headers}
    body = encode(call.body)
    headers = {**(call.headers or {}), "Content-Type": "application/json"}
    if isinstance(body, Pieces):
        headers["Content-Length"] = str(body.length)  # else it would go out in chunks, which not every server takes
    return {"headers": headers, "data": body}


async def _read(response: aiohttp.ClientResponse, held: bytes = b"") -> Reply:
    body = bytearray(held)
    try:
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > BODY_BYTES:
                raise ProviderError(ErrorKind.PROTOCOL, f"the answer is larger than {BODY_BYTES} bytes", status=response.status)
    except RuntimeError as error:
        if not _lost(response, error):
            raise
        raise aiohttp.ClientPayloadError("the connection ended in what is no HTTP") from error
    try:
        data = json.loads(body) if body else None  # takes leading blanks, which some send to keep a connection alive, and a BOM
    except (ValueError, RecursionError):
        data = None
    return Reply(response.status, response.headers, _media_type(response), data, body.decode("utf-8", "replace"))


def _lost(response: aiohttp.ClientResponse, error: Exception) -> bool:
    """Tell whether an error of a read means that the connection is gone.

    Where it ended in what is no HTTP while nobody was reading, aiohttp says so at the next read by a bare RuntimeError.
    """
    connection = response.connection
    gone = connection is None or connection.transport is None
    return isinstance(error, aiohttp.ClientError) or (type(error) is RuntimeError and gone)


def _media_type(response: aiohttp.ClientResponse) -> str:
    return response.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def _origin(url: str) -> str:
    """Scheme and host: a path, a query or user info may hold a secret."""
    try:
        return str(URL(url).origin())
    except ValueError:
        return "an address without a host"


def _destination(url: str, location: str) -> str:
    """Name where a redirect leads as far as that may be shown."""
    if not location:
        return "nowhere that it names"
    try:
        there = URL(url).join(URL(location)).origin()
    except ValueError:
        return "an address without a host"
    return "another path of its own" if there == URL(url).origin() else str(there)


def _reason(error: aiohttp.ClientError | aiohttp.InvalidURL) -> str:
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no connection in time"
    if isinstance(error, aiohttp.InvalidURL):
        return "not a usable address"
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, PrivateAddressError):
        return f"{error.os_error.strerror}, which is not allowed"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name is unknown"
    if isinstance(error, aiohttp.ClientSSLError):
        return "TLS failed or its certificate is not trusted"
    return (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
