"""A Discord on loopback: REST v10 and gateway, strict about limits and order, for real clients to log in to."""

from sandbox.discord.forms import File
from sandbox.discord.interactions import Interaction
from sandbox.discord.server import DiscordSandbox

__all__ = ["DiscordSandbox", "File", "Interaction"]
