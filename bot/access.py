"""Who may speak to the bot."""

from __future__ import annotations

from dataclasses import dataclass, field

from bot.model import ChatKind, Incoming


@dataclass(frozen=True, slots=True)
class AllowList:
    """Ids that may speak on one platform, beside the members of servers the bot was invited to.

    Attributes:
        admins: People who may do in every place what is up to those who administer it.
    """

    users: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    chats: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()

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

    def administers(self, incoming: Incoming) -> bool | None:
        """Tell whether the sender administers the place of an event; None if that is known to the platform alone.

        A private chat is its person's own.
        """
        allowed = self.lists.get(incoming.chat.platform)
        if incoming.chat_kind is ChatKind.PRIVATE or (allowed is not None and incoming.sender.id in allowed.admins):
            return True
        return incoming.sender.admin
