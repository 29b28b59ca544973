"""Reactions of the bot to messages: setMessageReaction."""

from __future__ import annotations

from typing import Final

from sandbox.telegram.errors import bad
from sandbox.telegram.flood import Flood
from sandbox.telegram.parameters import Parameters
from sandbox.telegram.sending import Sending
from sandbox.telegram.world import World

_LINES: Final = (
    "❤ 👍 👎 🔥 🥰 👏 😁 🤔 🤯 😱 🤬 😢 🎉 🤩 🤮 💩 🙏 👌 🕊 🤡 🥱 🥴 😍 🐳 ❤‍🔥 🌚 🌭 💯 🤣 ⚡",
    "🍌 🏆 💔 🤨 😐 🍓 🍾 💋 🖕 😈 😴 😭 🤓 👻 👨‍💻 👀 🎃 🙈 😇 😨 🤝 ✍ 🤗 🫡 🎅 🎄 ☃ 💅 🤪 🗿",
    "🆒 💘 🙉 🦄 😘 💊 🙊 😎 👾 🤷‍♂ 🤷 🤷‍♀ 😡",
)
EMOJIS: Final = frozenset(emoji for line in _LINES for emoji in line.split())
"""All that may be used. Documented: ReactionTypeEmoji."""
MOST = 1
"""Most reactions of a bot to a message. Documented: setMessageReaction."""


class Reactions:
    """The handler; messages carry what was set as `reactions`, which no other method shows."""

    def __init__(self, world: World, sending: Sending, flood: Flood) -> None:
        self._world, self._sending, self._flood = world, sending, flood

    async def set_message_reaction(self, parameters: Parameters) -> bool:
        """Set the reactions of the bot to a message; none takes them away."""
        chat = self._sending.writable(parameters)
        given = parameters.records("reaction", {"type", "emoji", "custom_emoji_id"}) or []
        parameters.boolean("is_big")
        message_id = parameters.integer("message_id")
        if message_id not in chat.messages:
            raise bad("message to react not found")
        if len(given) > MOST:
            raise bad("REACTIONS_TOO_MANY")
        emojis = [str(one.get("emoji")) for one in given]
        if any(one.get("type") != "emoji" for one in given) or not EMOJIS.issuperset(emojis):
            raise bad("REACTION_INVALID")
        if emojis and chat.id in self._world.without_reactions:
            raise bad("REACTION_INVALID")
        self._flood.charge_reaction(chat.id)
        self._world.reactions[chat.id, message_id] = emojis
        self._world.change("reactions", chat_id=chat.id, message_id=message_id, emojis=emojis)
        return True
