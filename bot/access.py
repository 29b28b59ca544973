"""Who may speak to the bot."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.model import Incoming


@dataclass(frozen=True, slots=True)
class AllowList:
    """Ids that may speak on one platform, beside the members of servers the bot was invited to."""

    users: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    chats: frozenset[str] = frozenset()

    def admits(self, incoming: Incoming) -> bool:
        """Tell whether the sender, one of the sender's roles or the chat is listed."""
        sender = incoming.sender
        return sender.id in self.users or incoming.chat.chat in self.chats or not self.roles.isdisjoint(sender.roles)


@dataclass(frozen=True, slots=True)
class Access:
    """The rule of the house: open to all, or by invitation and list.

    Attributes:
        open: Everybody may speak.
        lists: By platform name.
    """

    open: bool = False
    lists: dict[str, AllowList] = field(default_factory=dict)

    def admits(self, incoming: Incoming) -> bool:
        """Tell whether this event may be acted on. A membership that could not be found out (None) admits nobody."""
        if self.open or incoming.sender.member is True:
            return True
        allowed = self.lists.get(incoming.chat.platform)
        return allowed is not None and allowed.admits(incoming)
