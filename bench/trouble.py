"""What goes wrong with a platform while a load runs: faults of the calls that make, change or delete messages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from bench.chats import Chats, values_of
from sandbox.faults import Fault, cut

FLOOD_SECONDS, OUTAGE_SECONDS, CUTTING_SECONDS, BAN_SECONDS = 30.0, 8.0, 8.0, 5.0
CUT_EVERY = 3
"""Every third connection is cut, by turns before and after the call was carried out."""


class Trouble(Fault):
    """A fault of the calls to messages, for some seconds.

    Args:
        chats: Tells which call is about which chat.
        seconds: How long.

    Attributes:
        refused: Calls it answered with 429.
        early: Calls to a chat that was told to wait and had not waited. There are none, or the bridge does not do as it is told.
    """

    def __init__(self, chats: Chats, seconds: float) -> None:
        super().__init__(times=-1)
        self.refused = self.early = 0
        self.chats = chats
        self.until = chats.server.now() + seconds

    async def before(self, request: web.Request) -> web.StreamResponse | None:
        """Meet the call if it is meant."""
        values = await values_of(request)
        chat = self.chats.chat_of(request.method, request.path, values)
        left = self.until - self.chats.server.now()
        return None if chat is None or left <= 0 else self.meet(request, chat, left)

    def meet(self, request: web.Request, chat: str, left: float) -> web.StreamResponse | None:
        """Answer a call to a chat instead of the platform, or not; `left` seconds of trouble are to come."""
        raise NotImplementedError


class Flood(Trouble):
    """Chats are refused until the end; the time told is what is left of it. `only`: the one chat that is, None for all."""

    def __init__(self, chats: Chats, seconds: float, *, only: str | None = None, via: bool = True) -> None:
        super().__init__(chats, seconds)
        self._only = only
        self._via = via
        self._told: set[str] = set()

    def meet(self, request: web.Request, chat: str, left: float) -> web.StreamResponse | None:
        del request
        if self._only not in {None, chat}:
            return None
        self.refused += 1
        self.early += chat in self._told
        self._told.add(chat)
        return self.chats.refusal(left, via=self._via)


class Outage(Trouble):
    """Edits are answered with 503."""

    def meet(self, request: web.Request, chat: str, left: float) -> web.StreamResponse | None:
        del chat, left
        return web.Response(status=503, text="upstream connect error") if self.chats.is_edit(request.method, request.path) else None


class Cuts(Trouble):
    """Connections are cut. A create only where a nonce makes it safe to repeat: elsewhere a second message is what the bridge promises."""

    def __init__(self, chats: Chats, seconds: float) -> None:
        super().__init__(chats, seconds)
        self._met = 0
        self._carried_out: set[int] = set()

    def meet(self, request: web.Request, chat: str, left: float) -> web.StreamResponse | None:
        del chat, left
        if not (self.chats.repeatable_creates or self.chats.is_edit(request.method, request.path)):
            return None
        self._met += 1
        if self._met % CUT_EVERY:
            return None
        if self._met % (2 * CUT_EVERY):
            return cut(request)
        self._carried_out.add(id(request))
        return None

    async def after(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """Cut the connection of a call that was carried out, if it is its turn."""
        if id(request) not in self._carried_out:
            return response
        self._carried_out.discard(id(request))
        return cut(request)


TROUBLES: dict[str, Callable[[Chats, Sequence[str]], Trouble]] = {
    "flood": lambda chats, names: Flood(chats, FLOOD_SECONDS, only=names[0]),
    "503": lambda chats, _: Outage(chats, OUTAGE_SECONDS),
    "cuts": lambda chats, _: Cuts(chats, CUTTING_SECONDS),
    "no via": lambda chats, _: Flood(chats, BAN_SECONDS, via=False),
}
"""By name; each takes the chats and their ids in the order of the questions."""
