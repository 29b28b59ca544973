"""An answer's body that is read without a step for each of its HTTP chunks.

Most providers send each token as an HTTP chunk of its own. aiohttp notes where each chunk ends, for those who read chunk by chunk
(`aiohttp.StreamReader.readchunk`, which nothing here does), and where a read joins what has come, it runs the parser and the flow
control once more for each chunk. Here no ends are noted, and reading is resumed only where it was stopped. A crowd's answers cost 3.4 %
less processor time so (three runs of two bridges side by side, 3.0 to 4.0), on aiohttp 3.14.

Nor does it wait for a connection that is gone, which aiohttp's parser can forget to tell (`hear_of_loss`).

The first builds on what is not public in aiohttp: with another than the one it was tried with the body stays as aiohttp made it, which is
slower and nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

import aiohttp

TRIED = "3.14."
"""The aiohttp whose source was read, and with which the tests run."""


class Gathered(aiohttp.StreamReader):
    """A body whose chunks have no ends.

    Bounded by its bytes alone (two times `read_bufsize`, half a megabyte), not by the number of its chunks: in chunks of two bytes that
    is 11 MB. aiohttp bounds their number because of what each costs in a read of its kind.
    """

    __slots__ = ()

    def begin_http_chunk_receiving(self) -> None:
        """Note nothing."""

    def end_http_chunk_receiving(self) -> None:
        """Note nothing."""

    def _read_nowait(self, n: int) -> bytes:
        if n != -1 or self._buffer_offset:
            return super()._read_nowait(n)
        self._timer.assert_timeout()
        data = b"".join(self._buffer)
        self._buffer.clear()
        self._size = 0
        # Nothing is held of a body that is over: its connection may serve another one, which is held up for its own reasons.
        if data and self._protocol._reading_paused:  # noqa: SLF001 - to ask costs less than to resume what was not stopped
            self._protocol.resume_reading()  # may bring more: everything here is as it is to be by now
        return data


def gather(content: aiohttp.StreamReader) -> None:
    """Let a body be read so, before anything of it is read, if aiohttp is as it is known here."""
    if type(content) is not aiohttp.StreamReader or not aiohttp.__version__.startswith(TRIED):
        return
    if content._protocol._reading_paused:  # noqa: SLF001 - stopped by the number of chunks: only aiohttp's own reads let its parser go on
        return
    content.__class__ = Gathered  # it has no fields of its own, so that what has come already stays
    content._http_chunk_splits = None  # noqa: SLF001 - the ends of chunks that came with the headers


def hear_of_loss(response: aiohttp.ClientResponse) -> Callable[[], object]:
    """Let who waits for more of a body hear that the connection is gone; return what ends that, to be called when the answer is over.

    When aiohttp's parser meets what is no HTTP it closes the connection and forgets the body: who waits for it is told neither an end nor
    an error (aiohttp 3.14, with its parser in C).
    """
    connection, content = response.connection, response.content
    protocol = None if connection is None else connection.protocol
    closed = None if protocol is None else protocol.closed
    if closed is None:
        return _nothing

    def lost(_: asyncio.Future[None]) -> None:
        if not content.is_eof() and content.exception() is None:
            content.set_exception(aiohttp.ClientPayloadError("the connection ended in what is no HTTP"))

    closed.remove_done_callback(_heard)
    closed.add_done_callback(_heard)  # it outlives this answer where the connection is used again
    closed.add_done_callback(lost)
    return partial(closed.remove_done_callback, lost)


def _heard(closed: asyncio.Future[None]) -> None:
    """Take note of how a connection ended, which asyncio complains of where nobody does."""
    if not closed.cancelled():
        closed.exception()


def _nothing() -> None:
    """There is nothing to end."""
